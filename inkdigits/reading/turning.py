"""Which way up is a page? One that is read badly is tried on its sides and upside down."""

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from inkdigits.reading.page.find import Box
from inkdigits.reading.preprocessing.picture import Picture, turn_left
from inkdigits.reading.reading import Reading
from inkdigits.reading.trace import Trace

TURNS = {
    1: "turned to the left",
    3: "turned to the right",
    2: "upside down",
}  # quarters to the left

# A page is tried on its sides and upside down if it has three candidates or more and they are read
# with little confidence, or if it has writing and no digit at all. The turned reading counts if it
# is confident. Of 400 generated upright pages 48 have no digit, most of them none that was written;
# no turned reading counts there.
FEWEST_ON_TURNED_PAGE = 3
MOST_TRIED = 30  # symbols of a page that are read in each direction, a sixth of a second's work
FEWEST_IN_LINE = 2  # digits in a line, in the mean; what stands in columns is on its side
CONFUSED_CONFIDENCE = 0.7  # a mean confidence below this makes no sense
SENSIBLE_CONFIDENCE = 0.8  # a mean confidence above this makes sense,
CLOSE_CONFIDENCE = 0.05  # by which another way up may be less sure, and is told. Set by hand
SENSIBLE_SHARE = 0.8  # if at least this share of the candidates is accepted


def looks_turned(trace: Trace) -> bool:
    """Tell whether a page may be on its side: digits are then hard to read, or to find at all."""
    digits = trace.reading.digits
    is_written_on = trace.page is not None and len(trace.page.pieces) > 0
    if not any(digit.accepted for digit in digits):
        return is_written_on

    is_confused = _mean_confidence(trace.reading) < CONFUSED_CONFIDENCE
    return len(digits) >= FEWEST_ON_TURNED_PAGE and is_confused


def turn_if_sensible(read: Callable[[Picture], Trace], picture: Picture, upright: Trace) -> Trace:
    """Return the trace of a page turned by right angles if that makes sense, or `upright`.

    Of a page with many symbols a part is tried, and then only the best way up is read whole.

    Args:
        read: reads a picture as it stands.
        picture: the page.
        upright: what `read` says of it.
    """
    part = _part_to_try(picture, upright.reading)
    best = upright
    best_quarters = 0
    readings = {"upright": upright.reading}
    for quarters, direction in TURNS.items():
        trace = read(turn_left(part, quarters))
        readings[direction] = trace.reading
        surer = _mean_confidence(trace.reading) > _mean_confidence(best.reading)
        if surer and _makes_sense(trace.reading):
            best = trace
            best_quarters = quarters

    doubts = other_ways(best.reading, readings)
    if best_quarters and part is not picture:
        best = read(turn_left(picture, best_quarters))
    if best_quarters and not _makes_sense(best.reading):
        return upright

    reading = _turned_back(best.reading, picture, best_quarters, doubts)
    return replace(best, reading=reading, picture=picture)


def _mean_confidence(reading: Reading) -> float:
    return sum(digit.confidence for digit in reading.digits) / max(1, len(reading.digits))


def _makes_sense(reading: Reading) -> bool:
    """Tell whether nearly all candidates are accepted, in rows, with high confidence."""
    accepted = [digit for digit in reading.digits if digit.accepted]
    lines = {digit.line for digit in accepted}
    enough = max(
        FEWEST_ON_TURNED_PAGE,
        FEWEST_IN_LINE * len(lines),
        SENSIBLE_SHARE * len(reading.digits),
    )
    return len(accepted) >= enough and _mean_confidence(reading) > SENSIBLE_CONFIDENCE


def other_ways(best: Reading, readings: Mapping[str, Reading]) -> tuple[str, ...]:
    """Return a warning for each direction in which a page reads otherwise, and nearly as surely."""
    least = _mean_confidence(best) - CLOSE_CONFIDENCE
    return tuple(
        f"might be {direction}"
        for direction, reading in readings.items()
        if _makes_sense(reading) and _mean_confidence(reading) > least and reading.text != best.text
    )


def _part_to_try(picture: Picture, reading: Reading) -> Picture:
    """Return the middle of a page with MOST_TRIED symbols, or the whole page if it has no more."""
    if len(reading.digits) <= MOST_TRIED:
        return picture

    boxes = np.array([digit.box for digit in reading.digits]) / (picture.scale * 2)
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2
    away = np.abs(centres - np.median(centres, axis=0)).max(axis=1)
    nearest = boxes[np.argsort(away, kind="stable")[:MOST_TRIED]]
    left, top = np.floor(nearest[:, :2].min(axis=0)).astype(int).tolist()
    right, bottom = np.ceil(nearest[:, 2:].max(axis=0)).astype(int).tolist()
    return replace(picture, pixels=picture.pixels[top:bottom, left:right])


def _turned_back(
    reading: Reading, picture: Picture, quarters: int, doubts: tuple[str, ...]
) -> Reading:
    """Return a reading of a picture turned left by quarters with boxes where they are in it.

    Args:
        reading: of the turned picture.
        picture: before it was turned.
        quarters: 0 to 3.
        doubts: warnings to add.
    """
    warnings = (*reading.warnings, *doubts)
    if not quarters:
        return replace(reading, warnings=warnings)

    size = picture.original_size
    digits = tuple(
        replace(digit, box=_turn_back(digit.box, quarters, size)) for digit in reading.digits
    )
    signs = tuple(replace(sign, box=_turn_back(sign.box, quarters, size)) for sign in reading.signs)
    warnings = (*reading.warnings, f"read {TURNS[quarters]}", *doubts)
    return replace(reading, digits=digits, signs=signs, warnings=warnings)


def _turn_back(box: Box, quarters: int, size: tuple[float, float]) -> Box:
    """Return where a box is in a picture that was turned left by quarters to find it.

    Args:
        box: left, top, right, bottom in the turned picture.
        quarters: 1, 2 or 3.
        size: (width, height) of the picture before it was turned.
    """
    left, top, right, bottom = box
    width, height = size
    if quarters == 1:
        return round(width - bottom), left, round(width - top), right
    if quarters == 2:
        return (
            round(width - right),
            round(height - bottom),
            round(width - left),
            round(height - top),
        )

    return top, round(height - right), bottom, round(height - left)
