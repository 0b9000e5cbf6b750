"""The one kind of function that long work calls to say how far it is."""

from collections.abc import Callable

# Called with what is being worked on, how much of it is done, and how much there is (None where that is unknown).
ProgressCallback = Callable[[str, int, int | None], None]
