"""Ctrl-C and SIGTERM, raised as an exception at a moment when nothing is half done.

`with interruptible():` goes around a command, `with uninterrupted:` around what must not be left
half done.
"""

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType, TracebackType


class Interrupted(KeyboardInterrupt):
    """A signal that came.

    Attributes:
        status: what a shell expects the process to exit with: 130 for Ctrl-C, 143 for SIGTERM.
    """

    def __init__(self, number: int) -> None:
        super().__init__("interrupted" if number == signal.SIGINT else "terminated")
        self.status = 128 + number


class _Uninterrupted:
    """A block at whose end a signal is raised that came within it.

    It is cheap enough for every step of a training.
    """

    def __init__(self) -> None:
        self.depth = 0  # of nested blocks
        self.waiting = 0  # the signal that came meanwhile

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
            number = self.waiting
            self.waiting = 0
            raise Interrupted(number)

    def handle_signal(self, number: int, _: FrameType | None) -> None:
        """Handle a signal; the system calls this."""
        if not self.depth:
            raise Interrupted(number)
        self.waiting = number


uninterrupted = _Uninterrupted()


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Raise Interrupted on Ctrl-C and SIGTERM within the block, outside `uninterrupted`.

    In other threads than the main one nothing changes. A signal that is ignored stays so: shells
    start what runs in their background without Ctrl-C.
    """
    before = {}
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM):
            if signal.getsignal(number) != signal.SIG_IGN:
                before[number] = signal.signal(number, uninterrupted.handle_signal)

    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
