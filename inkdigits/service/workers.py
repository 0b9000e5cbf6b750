"""The threads that read pictures, and a queue of limited length in front of them.

Functions come in and their results go out, within a deadline. If the queue is full or too slow,
requests are refused at once, so that they do not pile up (backpressure).
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from inkdigits.service.responses import Busy, Refused

MAX_WAITING = 40  # requests; at 0.4 ms each, the last one waits 16 ms
DEADLINE = 8.0  # seconds from the last byte of a request to its result; half may be spent waiting

# Waking the event loop for each result costs more than the network's arithmetic, because the loop
# and the thread then compete for the interpreter. So a thread first goes on with the next task, and
# the loop collects several results at a time.
DELIVERY_BATCH = 16  # finished results that wake the loop
DELIVERY_INTERVAL = 0.004  # seconds that a result waits at most

T = TypeVar("T")


class QueueFull(Busy):
    """A request that comes while as many are waiting as the queue can hold."""

    def __init__(self) -> None:
        super().__init__(f"{MAX_WAITING} requests are waiting")


@dataclass(eq=False, slots=True)
class _Task:
    """Work for a thread, and the future of its result."""

    work: Callable[[], Any]
    future: asyncio.Future[Any]
    begun: bool = False
    result: Any = None
    error: BaseException | None = None

    def run(self) -> None:
        """Do the work, in a thread."""
        try:
            self.result = self.work()
        except BaseException as error:  # the request gets it, not the thread
            self.error = error

    def deliver(self) -> None:
        """Deliver the result, in the event loop."""
        if self.future.done():
            return  # the client has gone

        if self.error is None:
            self.future.set_result(self.result)
        else:
            self.future.set_exception(self.error)

    def fail_unless_begun(self) -> None:
        """Give up on work that no thread has begun with."""
        if not self.begun:
            self._fail(Busy(f"no processor became free within {DEADLINE / 2:g} s"))

    def fail_too_long(self) -> None:
        """Give up on work that takes too long."""
        self._fail(Refused(504, "too_long", f"this took more than {DEADLINE:g} s to read"))

    def _fail(self, error: Exception) -> None:
        if not self.future.done():
            self.future.set_exception(error)


class Workers:
    """A few threads with a bounded queue in front of them, for one event loop."""

    def __init__(self, threads: int, name: str = "reading") -> None:
        self._threads = ThreadPoolExecutor(threads, name)
        self._count = threads
        self._idle = threads
        self._queue: deque[_Task] = deque()
        self._done: deque[_Task] = deque()
        self._delivery: asyncio.TimerHandle | None = None

    @property
    def waiting(self) -> int:
        """Requests in the queue."""
        return len(self._queue)

    @property
    def free_places(self) -> int:
        """How many more requests the queue takes."""
        return max(0, MAX_WAITING - len(self._queue))

    def run(self, work: Callable[..., T], *arguments: Any) -> Coroutine[Any, Any, T]:
        """Put work into the queue for a thread, at once, and return a coroutine for its result.

        Args:
            work: the function that computes the result.
            arguments: the arguments of `work`.

        Returns:
            A coroutine that waits for the result. If it is cancelled, work that has not begun is
            dropped. It raises what `work` raises, `Busy` if no thread becomes free in time, and
            `Refused` with status 504 if the work takes too long.

        Raises:
            QueueFull: too many requests are waiting already.
        """
        if not self.free_places:
            raise QueueFull

        task = _Task(partial(work, *arguments), asyncio.get_running_loop().create_future())
        self._queue.append(task)
        self._start()
        return self._await_result(task)

    async def _await_result(self, task: _Task) -> Any:
        """Wait for a result, within the deadline."""
        loop = asyncio.get_running_loop()
        # Two bare timers: asyncio.wait and asyncio.timeout took a twentieth of a digit's time.
        timers = (
            loop.call_later(DEADLINE / 2, task.fail_unless_begun),
            loop.call_later(DEADLINE, task.fail_too_long),
        )
        try:
            return await task.future
        finally:
            for timer in timers:
                timer.cancel()
            task.future.cancel()
            if not task.begun:
                with contextlib.suppress(ValueError):  # a thread has just taken it
                    self._queue.remove(task)

    def close(self) -> None:
        """Drop what is in the queue, and start nothing new."""
        self._queue.clear()
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _start(self) -> None:
        """Give the next task to an idle thread, if there is one."""
        if not self._idle:
            return

        self._idle -= 1
        loop = asyncio.get_running_loop()
        if self._delivery is None:
            self._delivery = loop.call_later(DELIVERY_INTERVAL, self._deliver_regularly)
        self._threads.submit(self._run_queued, self._queue.popleft(), loop)

    def _deliver_regularly(self) -> None:
        """Deliver the finished results, and repeat this as long as a thread is working."""
        self._deliver()
        self._delivery = None
        if self._idle < self._count:
            loop = asyncio.get_running_loop()
            self._delivery = loop.call_later(DELIVERY_INTERVAL, self._deliver_regularly)

    def _run_queued(self, task: _Task, loop: asyncio.AbstractEventLoop) -> None:
        """Run a task and then all those in the queue, in a thread."""
        with contextlib.suppress(IndexError):  # the queue is empty
            while True:
                task.begun = True
                if not task.future.done():  # the client has gone, or it has waited for too long
                    task.run()
                    self._done.append(task)
                if len(self._done) >= DELIVERY_BATCH:
                    _call_soon(loop, self._deliver)
                task = self._queue.popleft()

        _call_soon(loop, self._finish_thread)

    def _finish_thread(self) -> None:
        """Count a thread as idle again, and deliver what it has done."""
        self._idle += 1
        self._deliver()
        if self._queue:
            self._start()

    def _deliver(self) -> None:
        """Deliver all finished results."""
        while self._done:
            self._done.popleft().deliver()


def _call_soon(loop: asyncio.AbstractEventLoop, function: Callable[[], None]) -> None:
    """Have the event loop call a function from another thread, unless the loop is closed."""
    with contextlib.suppress(RuntimeError):
        loop.call_soon_threadsafe(function)
