"""No more requests get in than there are places, and while there are none, the event loop rests."""

import asyncio
from collections.abc import Callable, Coroutine

import pytest

from inkdigits.service import turnstile
from inkdigits.service.turnstile import REST, Turnstile


@pytest.fixture
def rests(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Return the seconds of each rest, which are not waited for."""
    taken: list[float] = []
    monkeypatch.setattr(turnstile.time, "sleep", taken.append)
    return taken


def in_loop(use: Callable[[Turnstile], Coroutine[None, None, None]], free_places: int) -> None:
    async def run() -> None:
        await use(Turnstile(lambda: free_places))

    asyncio.run(run())


def test_as_many_get_in_as_there_are_places(rests: list[float]) -> None:
    async def use(gate: Turnstile) -> None:
        refused = [gate.response_if_full(True) for _ in range(5)]
        assert refused[:3] == [None] * 3
        assert all(b"503" in answer for answer in refused[3:] if answer), refused
        assert all(refused[3:])

    in_loop(use, free_places=3)
    assert rests == [REST]


def test_who_only_asks_takes_no_place(rests: list[float]) -> None:
    async def use(gate: Turnstile) -> None:
        assert [gate.response_if_full(False) for _ in range(5)] == [None] * 5
        assert gate.response_if_full(True) is None
        assert gate.response_if_full(False)

    in_loop(use, free_places=1)
    assert rests == [REST]


def test_the_next_turn_begins_anew(rests: list[float]) -> None:
    async def use(gate: Turnstile) -> None:
        for _ in range(3):
            assert gate.response_if_full(True) is None
            await asyncio.sleep(0)
            await asyncio.sleep(0)

    in_loop(use, free_places=1)
    assert not rests


def test_the_loop_rests_once_for_all_that_it_refuses_in_a_turn(rests: list[float]) -> None:
    async def use(gate: Turnstile) -> None:
        for turn in range(1, 4):
            assert all(gate.response_if_full(True) for _ in range(10))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            assert rests == [REST] * turn

    in_loop(use, free_places=0)
