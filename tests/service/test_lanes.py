"""Digits never wait behind pages, and what is refused says which queue is full."""

import asyncio
import io
import threading
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import numpy as np
import pytest
from drawn import line, written
from PIL import Image

from inkdigits.core.errors import BadPicture
from inkdigits.reading.preprocessing.picture import Check, open_picture
from inkdigits.service import picture_limits, workers
from inkdigits.service.lanes import MAX_QUICK, Lanes
from inkdigits.service.picture_limits import LargerThanDigit, refuse_large, refuse_pages
from inkdigits.service.responses import Refused


def encoded(pixels: np.ndarray, kind: str = "PNG", **options: object) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind, **options)
    return file.getvalue()


DIGIT = encoded(np.full((28, 28), 255, np.uint8))
PAGE = encoded(written(line("27")))


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """Yield an event for work to wait for; it is set at the end in any case."""
    gate = threading.Event()
    yield gate
    gate.set()


def with_lanes(use: Callable[[Lanes], Coroutine[Any, Any, Any]]) -> Any:
    async def run() -> Any:
        lanes = Lanes(1)
        try:
            return await asyncio.wait_for(use(lanes), 20)
        finally:
            lanes.close()

    return asyncio.run(run())


def size_of(body: bytes, check: Check) -> tuple[int, ...]:
    return open_picture(body, check).pixels.shape


async def settled(lanes: Lanes) -> None:
    """Wait until pages have gone on from the digits' queue to their own."""
    for _ in range(20):
        await asyncio.sleep(0.01)


def test_pages_and_digits_are_read_alike() -> None:
    async def use(lanes: Lanes) -> list[Any]:
        padded = PAGE + bytes(MAX_QUICK)
        return await asyncio.gather(*(lanes.run(size_of, body) for body in (DIGIT, PAGE, padded)))

    digit, page, padded = with_lanes(use)
    assert digit == (28, 28)
    assert page == padded == written(line("27")).shape


def test_a_digit_does_not_wait_behind_pages(gate: threading.Event) -> None:
    def work(body: bytes, check: Check) -> tuple[int, ...]:
        size = size_of(body, check)
        return size if body == DIGIT else (*size, gate.wait(10))

    async def use(lanes: Lanes) -> None:
        pages = [asyncio.ensure_future(lanes.run(work, PAGE)) for _ in range(5)]
        await settled(lanes)
        assert await asyncio.wait_for(lanes.run(work, DIGIT), 5) == (28, 28)
        assert not any(page.done() for page in pages)
        assert lanes.waiting == 4
        gate.set()
        assert all(await asyncio.gather(*pages))

    with_lanes(use)


def test_pages_beyond_the_queue_are_refused_and_digits_are_not(
    gate: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers, "MAX_WAITING", 2)

    async def use(lanes: Lanes) -> None:
        waiting = [asyncio.ensure_future(lanes.pages.run(gate.wait)) for _ in range(3)]
        await asyncio.sleep(0)
        lanes.refuse_if_full(MAX_QUICK)
        with pytest.raises(Refused, match="2 requests are waiting"):
            lanes.refuse_if_full(MAX_QUICK + 1)
        with pytest.raises(Refused, match="2 requests are waiting"):
            await lanes.run(size_of, PAGE)

        assert await lanes.run(size_of, DIGIT) == (28, 28)
        gate.set()
        assert all(await asyncio.gather(*waiting))

    with_lanes(use)


def test_looks_inside_and_corrections_hold_up_nobody_else(gate: threading.Event) -> None:
    async def use(lanes: Lanes) -> None:
        held = [
            asyncio.ensure_future(lane.run(gate.wait))
            for lane in (lanes.inside, lanes.storing)
            for _ in range(8)
        ]
        await asyncio.sleep(0.01)
        for body in (DIGIT, PAGE):
            assert await asyncio.wait_for(lanes.run(size_of, body), 5)
        gate.set()
        assert all(await asyncio.gather(*held))

    with_lanes(use)


def test_what_is_no_picture_is_refused_where_it_is_found_out() -> None:
    with pytest.raises(BadPicture, match="not a picture"):
        with_lanes(lambda lanes: lanes.run(size_of, b"no picture"))


GREY = np.zeros((30, 30), np.uint8)
ALPHA = np.zeros((30, 30, 4), np.uint8)
LIMITS = ("MAX_PIXELS", "MAX_PIXELS_IN_SCANS", "MAX_PIXELS_BEYOND")


@pytest.mark.parametrize(
    ("picture", "limit"),
    [
        (encoded(GREY), "MAX_PIXELS"),
        (encoded(GREY, "GIF"), "MAX_PIXELS"),
        (encoded(GREY, "JPEG"), None),
        (encoded(GREY, "JPEG", progressive=True), "MAX_PIXELS_IN_SCANS"),
        (encoded(ALPHA), "MAX_PIXELS_BEYOND"),
        (encoded(GREY.astype(np.uint16)), "MAX_PIXELS_BEYOND"),
        (encoded(GREY, "WEBP"), "MAX_PIXELS_BEYOND"),
    ],
)
def test_each_kind_of_picture_has_its_limit(
    picture: bytes, limit: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in LIMITS:
        monkeypatch.setattr(picture_limits, name, 899 if name == limit else 900)
    if limit is None:
        assert open_picture(picture, refuse_large).pixels.shape == (30, 30)
        return

    with pytest.raises(BadPicture, match="the picture has 900 pixels; at most 899 of its kind"):
        open_picture(picture, refuse_large)


def test_a_picture_of_one_digit_has_as_many_pixels_as_one() -> None:
    assert open_picture(DIGIT, refuse_pages).pixels.shape == (28, 28)
    with pytest.raises(LargerThanDigit):
        open_picture(encoded(GREY), refuse_pages)
