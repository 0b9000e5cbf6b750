"""Who waits behind whom: digits, pages, looks inside the network, and the file of corrections.

Each has threads and a queue of its own. So a digit of 28x28 pixels never waits behind pages, which
take up to a thousand times as long, and a locked file of corrections holds up corrections only.
"""

from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from inkdigits.reading.preprocessing.picture import Check
from inkdigits.service.picture_limits import LargerThanDigit, refuse_large, refuse_pages
from inkdigits.service.workers import QueueFull, Workers

MAX_QUICK = 16 << 10  # bytes of a body that may be quick; a digit takes 0.3 to 4 thousand

T = TypeVar("T")


class Lanes:
    """The threads of the service, by what they do."""

    def __init__(self, processors: int) -> None:
        """Start no thread yet.

        Args:
            processors: how many digits, and how many pages, are read at a time.
        """
        self.digits = Workers(processors, "digits")
        self.pages = Workers(processors, "pages")
        self.inside = Workers(1, "inside")
        self.storing = Workers(1, "storing")

    @property
    def waiting(self) -> int:
        """Requests in all queues."""
        return sum(workers.waiting for workers in vars(self).values())

    def run(self, work: Callable[[bytes, Check], T], body: bytes) -> Coroutine[Any, Any, T]:
        """Put the reading of a body into a queue at once, and return a coroutine for its result.

        What may be one digit is tried with the digits, and goes on to the pages if it is more.

        Args:
            work: takes the body, and what refuses pictures that are too large for the lane.
            body: a picture, a form, or JSON.

        Raises:
            QueueFull: too many requests are waiting already.
        """
        if len(body) > MAX_QUICK:
            return self.pages.run(work, body, refuse_large)

        return self._run_quickly(self.digits.run(work, body, refuse_pages), work, body)

    async def _run_quickly(
        self, quick: Coroutine[Any, Any, T], work: Callable[[bytes, Check], T], body: bytes
    ) -> T:
        try:
            return await quick
        except LargerThanDigit:
            return await self.pages.run(work, body, refuse_large)

    def refuse_if_full(self, size: int = 0) -> None:
        """Refuse a request before its body arrives if there is no room for it.

        Args:
            size: bytes of the body, as far as they are known.

        Raises:
            QueueFull: too many requests of its kind are waiting.
        """
        workers = self.pages if size > MAX_QUICK else self.digits
        if not workers.free_places:
            raise QueueFull

    def close(self) -> None:
        """Drop what is waiting, and start nothing new."""
        for workers in vars(self).values():
            workers.close()
