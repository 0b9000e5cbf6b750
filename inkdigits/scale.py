"""`inkdigits.scale` is the public name of `inkdigits.reading.cluster`."""

from inkdigits.reading.cluster import *  # noqa: F403
