"""The type of the functions that long work calls to say how far it is."""

from collections.abc import Callable

# Called with what is being worked on, how much is done, and how much there is (None if unknown).
ProgressCallback = Callable[[str, int, int | None], None]
