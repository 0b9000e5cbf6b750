"""The threads that read, and who may wait for them.

Takes functions, gives their results, in bounded time or not at all. Knows nothing of what is read.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from inkdigits.service.requests import Refused

MAX_WAITING = 40  # requests; at 0.4 ms each, the last one waits 16 ms
DEADLINE = 8.0  # seconds from a whole request to its answer; half of it may be spent waiting
RETRY_AFTER = {"Retry-After": "1"}

# Waking the event loop for every answer costs more than the network's arithmetic, because loop and thread then fight for one
# interpreter. So a thread goes on with what is queued, and the loop looks for answers now and then.
BATCH = 16  # answers, at which the loop is woken
HOLD = 0.004  # seconds that an answer lies about at most

Answer = TypeVar("Answer")


def busy(message: str) -> Refused:
    """What is answered where there is too much to do."""
    return Refused(503, "busy", f"{message}; try again in a second", RETRY_AFTER)


def refusal() -> Refused:
    """Of what a full queue does not take."""
    return busy(f"{MAX_WAITING} requests are waiting")


@dataclass(eq=False, slots=True)
class _Task:
    work: Callable[[], Any]
    answer: asyncio.Future[Any]
    begun: bool = False


class Workers:
    """A few threads, and a queue with an end in front of them. Whoever gives up waiting leaves nothing behind.

    Raises Refused with 503 where the queue is full or too slow, 504 where the work itself takes too long.
    """

    def __init__(self, threads: int) -> None:
        self._threads = ThreadPoolExecutor(threads, "reading")
        self._count = self._idle = threads
        self._queue: deque[_Task] = deque()
        self._looking: asyncio.TimerHandle | None = None
        self._done: deque[tuple[asyncio.Future[Any], Any, BaseException | None]] = deque()

    @property
    def waiting(self) -> int:
        """Requests in the queue."""
        return len(self._queue)

    @property
    def room(self) -> int:
        """How many more requests are taken."""
        return max(0, MAX_WAITING - len(self._queue))

    def run(self, work: Callable[..., Answer], *arguments: Any) -> Coroutine[Any, Any, Answer]:
        """The work's result, computed in a thread. It is queued here and now, so that whoever comes next knows of it."""
        if not self.room:
            raise refusal()
        task = _Task(partial(work, *arguments), asyncio.get_running_loop().create_future())
        self._queue.append(task)
        self._start()
        return self._finished(task)

    async def _finished(self, task: _Task) -> Any:
        try:
            await asyncio.wait([task.answer], timeout=DEADLINE / 2)
            if not task.answer.done() and not task.begun:
                raise busy(f"no processor became free within {DEADLINE / 2:g} s")
            async with asyncio.timeout(DEADLINE / 2):
                return await task.answer
        except TimeoutError:
            raise Refused(504, "too_long", f"this took more than {DEADLINE:g} s to read") from None
        finally:
            task.answer.cancel()
            if not task.begun:
                with contextlib.suppress(ValueError):  # a thread has just taken it
                    self._queue.remove(task)

    def close(self) -> None:
        """Begin nothing new."""
        self._queue.clear()
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _start(self) -> None:
        """Give the next task to an idle thread, if there is one."""
        if not self._idle:
            return
        loop = asyncio.get_running_loop()
        self._idle -= 1
        if self._looking is None:
            self._looking = loop.call_later(HOLD, self._look)
        self._threads.submit(self._work_off, self._queue.popleft(), loop)

    def _look(self) -> None:
        """Every now and then while something is read."""
        self._deliver()
        reading = self._idle < self._count
        self._looking = asyncio.get_running_loop().call_later(HOLD, self._look) if reading else None

    def _work_off(self, task: _Task, loop: asyncio.AbstractEventLoop) -> None:
        """In a thread: a task, and then whatever is queued, until nothing is."""
        with contextlib.suppress(IndexError):
            while True:
                task.begun = True
                if not task.answer.cancelled():
                    self._done.append((task.answer, *_outcome(task.work)))
                if len(self._done) >= BATCH:
                    _unless_closed(loop, self._deliver)
                task = self._queue.popleft()
        _unless_closed(loop, self._rest)

    def _rest(self) -> None:
        """A thread has nothing to do."""
        self._idle += 1
        self._deliver()
        if self._queue:
            self._start()

    def _deliver(self) -> None:
        while self._done:
            answer, result, error = self._done.popleft()
            if answer.done():
                continue  # nobody waits any longer
            if error is None:
                answer.set_result(result)
            else:
                answer.set_exception(error)


def _outcome(work: Callable[[], Any]) -> tuple[Any, BaseException | None]:
    try:
        return work(), None
    except BaseException as error:  # whatever it is, it belongs to who asked
        return None, error


def _unless_closed(loop: asyncio.AbstractEventLoop, function: Callable[[], None]) -> None:
    with contextlib.suppress(RuntimeError):
        loop.call_soon_threadsafe(function)
