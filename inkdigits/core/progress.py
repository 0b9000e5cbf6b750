"""The type of callbacks that report the progress of long work."""

from collections.abc import Callable

# Called with what is being worked on, how much is done, and how much there is (None if unknown).
ProgressCallback = Callable[[str, int, int | None], None]
