"""Ctrl-C and SIGTERM, heard at a moment when nothing is half done.

`interruptible` stands around a command, `uninterrupted` around what must not be left half done. Knows nothing of either.
"""

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType, TracebackType


class Interrupted(KeyboardInterrupt):
    """A signal came. `status` is what a shell expects a process to end with that it has ended: 130 for Ctrl-C, 143 for SIGTERM."""

    def __init__(self, number: int) -> None:
        super().__init__("interrupted" if number == signal.SIGINT else "terminated")
        self.status = 128 + number


class _Uninterrupted:
    """`with uninterrupted:` a signal waits for its end. Cheap enough to stand around every step of a training."""

    def __init__(self) -> None:
        self.depth, self.waiting = (
            0,
            0,
        )  # how many such blocks we are in; the signal that came meanwhile

    def __enter__(self) -> None:
        self.depth += 1

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.depth -= 1
        if self.waiting and not self.depth:
            number, self.waiting = self.waiting, 0
            raise Interrupted(number)

    def heard(self, number: int, _: FrameType | None) -> None:
        """What the system calls."""
        if not self.depth:
            raise Interrupted(number)
        self.waiting = number


uninterrupted = _Uninterrupted()


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Raise Interrupted on Ctrl-C and SIGTERM while this lasts, outside `uninterrupted`. In other than the main thread, nothing.

    A signal that is ignored stays so: shells start what runs in their background without Ctrl-C.
    """
    before = {}
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM):
            if signal.getsignal(number) != signal.SIG_IGN:
                before[number] = signal.signal(number, uninterrupted.heard)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
