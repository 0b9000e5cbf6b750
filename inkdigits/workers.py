"""The threads that read, and who may wait for them.

Takes functions, gives their results, in bounded time or not at all. Knows nothing of what is read.
"""

import asyncio
import contextlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from inkdigits.messages import Refused

MAX_WAITING = 64  # requests; at 0.3 ms each, the last one waits 20 ms
DEADLINE = 8.0  # seconds from a whole request to its answer; half of it may be spent waiting
RETRY_AFTER = {"Retry-After": "1"}

Answer = TypeVar("Answer")


def busy(message: str) -> Refused:
    """What is answered where there is too much to do."""
    return Refused(503, "busy", f"{message}; try again in a second", RETRY_AFTER)


class Workers:
    """A few threads, and a queue with an end in front of them. Whoever gives up waiting leaves nothing behind.

    waiting: those in the queue. Raises Refused with 503 where it is full or too slow, 504 where the work itself takes too long.
    """

    def __init__(self, threads: int) -> None:
        self._threads = ThreadPoolExecutor(threads, "reading")
        self._free = asyncio.Semaphore(threads)
        self.waiting = 0

    def refuse_if_full(self) -> None:
        if self.waiting >= MAX_WAITING:
            raise busy(f"{self.waiting} requests are waiting")

    async def run(self, work: Callable[..., Answer], *arguments: Any) -> Answer:
        """The work's result, computed in a thread."""
        self.refuse_if_full()
        until = asyncio.get_running_loop().time() + DEADLINE
        self.waiting += 1
        try:
            async with asyncio.timeout(DEADLINE / 2):
                await self._free.acquire()
        except TimeoutError:
            raise busy(f"no processor became free within {DEADLINE / 2:g} s") from None
        finally:
            self.waiting -= 1
        loop = asyncio.get_running_loop()
        working = self._threads.submit(work, *arguments)
        working.add_done_callback(lambda _: _unless_closed(loop, self._free.release))  # also where nobody waits any longer
        try:
            async with asyncio.timeout_at(until):
                return await asyncio.wrap_future(working)
        except TimeoutError:
            raise Refused(504, "too_long", f"this took more than {DEADLINE:g} s to read") from None

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)


def _unless_closed(loop: asyncio.AbstractEventLoop, function: Callable[[], None]) -> None:
    with contextlib.suppress(RuntimeError):
        loop.call_soon_threadsafe(function)
