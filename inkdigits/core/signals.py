"""Ctrl-C and SIGTERM, raised as an exception at a moment when nothing is half done.

`with interruptible():` wraps a command, `with uninterrupted:` a step that must not be left half
done.
"""

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType


class Interrupted(KeyboardInterrupt):
    """The exception that Ctrl-C or SIGTERM raises.

    Attributes:
        status: what a shell expects the process to exit with: 130 for Ctrl-C, 143 for SIGTERM.
    """

    def __init__(self, number: int) -> None:
        super().__init__("interrupted" if number == signal.SIGINT else "terminated")
        self.status = 128 + number


class _Uninterrupted:
    """A block that delays signals: one that arrives inside is raised at its end.

    It is cheap enough to wrap every training step.
    """

    def __init__(self) -> None:
        self.depth = 0  # of nested blocks
        self.waiting = 0  # the number of the signal that arrived inside, or 0

    def __enter__(self) -> None:
        self.depth += 1

    def __exit__(self, *_: object) -> None:
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

    Only the main thread can do this; elsewhere the block changes nothing. A signal that is ignored
    stays ignored: shells start background jobs in this way, so that Ctrl-C does not stop them.
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
