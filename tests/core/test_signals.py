"""A signal comes as an exception, but never in the middle of what must not be left half done."""

import os
import signal
import threading

import pytest

from inkdigits.core.signals import Interrupted, interruptible, uninterrupted

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals are POSIX")


@pytest.fixture(autouse=True)
def _heard():
    """Where the tests run in the background of a shell, SIGINT is ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize(
    ("number", "status", "says"),
    [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated")],
)
def test_a_signal_is_an_exception_with_the_exit_status_of_a_shell(
    number: int, status: int, says: str
) -> None:
    with pytest.raises(Interrupted, match=f"^{says}$") as caught, interruptible():
        signal.raise_signal(number)
    assert caught.value.status == status
    assert isinstance(caught.value, KeyboardInterrupt)


def test_a_signal_waits_for_the_end_of_the_outermost_block_and_is_raised_once() -> None:
    done = []

    def work() -> None:
        with interruptible(), uninterrupted:
            with uninterrupted:
                signal.raise_signal(signal.SIGTERM)
                signal.raise_signal(signal.SIGTERM)
                done.append("inner")
            done.append("outer")

    with pytest.raises(Interrupted):
        work()
    assert done == ["inner", "outer"]
    with uninterrupted:
        pass


def test_handlers_are_as_before_afterwards() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with interruptible():
        assert signal.getsignal(signal.SIGTERM) != before[1]
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def test_a_signal_that_is_ignored_stays_ignored() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with interruptible():
        signal.raise_signal(signal.SIGINT)


def test_in_other_threads_than_the_main_one_nothing_changes() -> None:
    seen = []

    def work() -> None:
        with interruptible():
            seen.append(signal.getsignal(signal.SIGTERM))

    before = signal.getsignal(signal.SIGTERM)
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [before]
