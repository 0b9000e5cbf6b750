"""The queue in front of the threads: each request gets its own result, within a deadline."""

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import pytest

from inkdigits.service import workers
from inkdigits.service.responses import Refused
from inkdigits.service.workers import DELIVERY_BATCH, MAX_WAITING, Workers


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """Yield an event for work to wait for; it is set at the end in any case."""
    gate = threading.Event()
    yield gate
    gate.set()


def with_workers(threads: int, use: Callable[[Workers], Coroutine[Any, Any, Any]]) -> Any:
    async def run() -> Any:
        made = Workers(threads)
        try:
            return await asyncio.wait_for(use(made), 20)
        finally:
            made.close()

    return asyncio.run(run())


async def begun(pool: Workers, work: Callable[[], Any]) -> "asyncio.Task[Any]":
    """Return the task of work that a thread has been given, since one was idle."""
    task = asyncio.ensure_future(pool.run(work))
    await asyncio.sleep(0)
    assert pool.waiting == 0
    return task


@pytest.mark.parametrize("threads", [1, 3])
def test_each_request_gets_its_own_result(threads: int) -> None:
    async def use(pool: Workers) -> list[int]:
        answers: list[int] = []
        for round_ in range(20):
            answers += await asyncio.gather(
                *(pool.run(lambda n: n * n, round_ * 40 + n) for n in range(40))
            )

        return answers

    assert with_workers(threads, use) == [n * n for n in range(800)]


def test_an_error_reaches_only_the_request_that_caused_it() -> None:
    async def use(pool: Workers) -> list[Any]:
        return await asyncio.gather(
            *(pool.run(lambda n: 1 / n, n) for n in (0, 1, 0, 2)), return_exceptions=True
        )

    first, one, third, half = with_workers(1, use)
    assert isinstance(first, ZeroDivisionError)
    assert isinstance(third, ZeroDivisionError)
    assert (one, half) == (1, 0.5)


def test_a_quick_answer_does_not_wait_for_the_slow_work_behind_it(gate: threading.Event) -> None:
    async def use(pool: Workers) -> None:
        block = threading.Event()
        first = await begun(pool, block.wait)
        quick, slow = (
            asyncio.ensure_future(pool.run(work)) for work in (lambda: "quick", gate.wait)
        )
        await asyncio.sleep(0)
        assert pool.waiting == 2, "both are taken by the same thread, one after the other"
        block.set()
        assert await asyncio.wait_for(quick, 5) == "quick"
        assert not slow.done()
        gate.set()
        assert await slow
        assert await first

    with_workers(1, use)


def test_a_full_queue_refuses_at_once_and_takes_requests_again_afterwards(
    gate: threading.Event,
) -> None:
    async def use(pool: Workers) -> None:
        held = await begun(pool, gate.wait)
        waiting = [asyncio.ensure_future(pool.run(lambda n=n: n)) for n in range(MAX_WAITING)]
        await asyncio.sleep(0)
        with pytest.raises(Refused, match=f"{MAX_WAITING} requests are waiting") as refused:
            await pool.run(int)

        assert (refused.value.status, refused.value.headers) == (503, {"Retry-After": "1"})
        gate.set()
        assert await asyncio.gather(*waiting) == list(range(MAX_WAITING))
        assert await held
        assert await pool.run(int) == 0

    assert MAX_WAITING > DELIVERY_BATCH
    with_workers(1, use)


def test_work_that_is_cancelled_while_it_waits_never_begins(gate: threading.Event) -> None:
    async def use(pool: Workers) -> None:
        done: list[str] = []
        held = await begun(pool, gate.wait)
        gone, kept = (
            asyncio.ensure_future(pool.run(done.append, name)) for name in ("gone", "kept")
        )
        await asyncio.sleep(0)
        gone.cancel()
        await asyncio.sleep(0.01)
        assert pool.waiting == 1
        gate.set()
        await kept
        assert done == ["kept"]
        assert await held

    with_workers(1, use)


def test_waiting_and_working_have_deadlines(
    gate: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers, "DEADLINE", 0.4)

    async def use(pool: Workers) -> None:
        slow, waiting = (asyncio.ensure_future(pool.run(work)) for work in (gate.wait, int))
        with pytest.raises(Refused, match=r"no processor became free within 0\.2 s") as refused:
            await waiting

        assert refused.value.status == 503
        assert pool.waiting == 0
        with pytest.raises(Refused, match=r"more than 0\.4 s to read") as refused:
            await slow

        assert refused.value.status == 504
        gate.set()
        assert await pool.run(lambda: "again") == "again"

    with_workers(1, use)
