"""Which way up is a page? One that is read badly is tried on its sides and upside down.

Of a page with much on it, the middle tells before the page is read, so that it is read only once.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from inkdigits.core.digits import Pixels
from inkdigits.reading.page.find import Box
from inkdigits.reading.page.survey import Survey, resized
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
# Pixels of writing as large as it is looked at, of which 60 digits have as many: reading so much in
# four directions would be too dear.
CROWDED = 250_000
# Pixels on a side that tell which way up such a page is, a fifth of a second's work. Of 41
# generated pages on a side or upside down 24 are told so, 21 with 400, and 25 with 640.
MIDDLE = 512
FEWEST_IN_MIDDLE = 10  # digits there
# A mean confidence from which the middle is not tried the other ways. On 24 generated pages of
# validation digits it is 0.90 to 0.99 upright and 0.40 to 0.79 upside down.
SURELY_UPRIGHT = 0.85
CONFUSED_CONFIDENCE = 0.7  # a mean confidence below this makes no sense
SENSIBLE_CONFIDENCE = 0.8  # a mean confidence above this makes sense,
CLOSE_CONFIDENCE = 0.05  # by which another way up may be less sure, and is told. Set by hand
SENSIBLE_SHARE = 0.8  # if at least this share of the candidates is accepted


class Steps(NamedTuple):
    """The ways to read a picture as it stands.

    Attributes:
        survey: what the page reader's coarse pass says of a picture; None if it is noise.
        read: reads a picture, which may have been surveyed before.
        read_part: reads so many symbols in a part of one, (H, W, 3), at its scale.
    """

    survey: Callable[[Picture], Survey | None]
    read: Callable[[Picture, Survey | None], Trace]
    read_part: Callable[[Pixels, int], Reading]


def trace_way_up(steps: Steps, picture: Picture) -> Trace:
    """Read a page as it stands, or as it makes sense.

    Args:
        steps: the ways to read a picture.
        picture: the page.
    """
    surveyed = steps.survey(picture)
    if surveyed and _is_crowded(surveyed):
        quarters, doubts = _way_up(steps.read_part, surveyed)
        if quarters:
            surveyed = None
        trace = steps.read(turn_left(picture, quarters), surveyed)
        reading = _turned_back(trace.reading, picture, quarters, doubts)
        return replace(trace, reading=reading, picture=picture)

    trace = steps.read(picture, surveyed)
    if not looks_turned(trace):
        return trace

    return turn_if_sensible(steps, picture, trace)


def _is_crowded(survey: Survey) -> bool:
    return survey.wanted > CROWDED


def looks_turned(trace: Trace) -> bool:
    """Tell whether a page may be on its side: digits are then hard to read, or to find at all."""
    digits = trace.reading.digits
    is_written_on = trace.page is not None and len(trace.page.pieces) > 0
    if not any(digit.accepted for digit in digits):
        return is_written_on

    return _is_confused(trace.reading)


def _is_confused(reading: Reading) -> bool:
    enough = len(reading.digits) >= FEWEST_ON_TURNED_PAGE
    return enough and _mean_confidence(reading) < CONFUSED_CONFIDENCE


def turn_if_sensible(steps: Steps, picture: Picture, upright: Trace) -> Trace:
    """Return the trace of a page turned by right angles if that makes sense, or `upright`.

    Of a page with many symbols a part is tried, and then only the best way up is read whole.

    Args:
        steps: the ways to read a picture.
        picture: the page.
        upright: what was read in it as it stands.
    """
    part = _part_to_try(picture, upright.reading)
    best = upright
    best_quarters = 0
    readings = {"upright": upright.reading}
    for quarters, direction in TURNS.items():
        trace = _tried(steps, turn_left(part, quarters))
        readings[direction] = trace.reading
        surer = _mean_confidence(trace.reading) > _mean_confidence(best.reading)
        if surer and _makes_sense(trace.reading):
            best = trace
            best_quarters = quarters

    doubts = other_ways(best.reading, readings)
    if best_quarters and (best.page is None or part is not picture):
        best = steps.read(turn_left(picture, best_quarters), None)
    if best_quarters and not _makes_sense(best.reading):
        return upright

    reading = _turned_back(best.reading, picture, best_quarters, doubts)
    return replace(best, reading=reading, picture=picture)


def _tried(steps: Steps, turned: Picture) -> Trace:
    """Read a page turned by right angles, or its middle alone, without a page, if it is crowded.

    What is no writing as it stands may be much of it in another direction.
    """
    surveyed = steps.survey(turned)
    if surveyed and _is_crowded(surveyed):
        return Trace(steps.read_part(_middle(surveyed), MOST_TRIED))

    return steps.read(turned, surveyed)


def _way_up(read: Callable[[Pixels, int], Reading], survey: Survey) -> tuple[int, tuple[str, ...]]:
    """Return by how many quarters to turn a crowded page to the left, and doubts about that.

    Its middle tells; if that makes no sense in any direction, the page is read as it stands.

    Args:
        read: reads so many symbols in a part of a page as it stands, (H, W, 3), at its scale.
        survey: of the page.
    """
    middle = _middle(survey)
    upright = read(middle, MOST_TRIED)
    if _tells(upright) and _mean_confidence(upright) > SURELY_UPRIGHT:
        return 0, ()

    ways = {0: upright}
    ways |= {quarters: read(np.rot90(middle, quarters), MOST_TRIED) for quarters in TURNS}
    sensible = [quarters for quarters, reading in ways.items() if _tells(reading)]
    if not sensible:
        return 0, ()

    surest = max(sensible, key=lambda quarters: _mean_confidence(ways[quarters]))
    named = {TURNS.get(quarters, "upright"): reading for quarters, reading in ways.items()}
    return surest, other_ways(ways[surest], named)


def _tells(middle: Reading) -> bool:
    """Tell whether the middle of a crowded page has digits enough that make sense."""
    return len(middle.digits) >= FEWEST_IN_MIDDLE and _makes_sense(middle)


def _middle(survey: Survey) -> Pixels:
    """Return the middle of a page's largest place as it is looked at, MIDDLE pixels on a side."""
    place = max(survey.places, key=lambda place: place.pixels)
    scale = place.zoom * survey.shrink
    side = MIDDLE / scale
    left = max(0, round((place.left + place.right - side) / 2))
    top = max(0, round((place.top + place.bottom - side) / 2))
    part = survey.picture[top : round(top + side), left : round(left + side)]
    return resized(part, scale)


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
