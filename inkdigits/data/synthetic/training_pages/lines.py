"""Write a line with one hand: symbols that stand apart, touch, overlap and hang together.

Takes a text as `grammar` composes it; returns nothing but ink, on a `Writing`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from inkdigits.data.synthetic.training_pages.fields import (
    BAND,
    FAR,
    TOP,
    Glyph,
    Points,
    from_strokes,
)
from inkdigits.data.synthetic.training_pages.glyphs import SYMBOLS, Bank
from inkdigits.data.synthetic.training_pages.hands import Hand
from inkdigits.data.synthetic.training_pages.writing import SOLID_HALF, Writing

Frame = NDArray[np.float64]  # (2, 2): ems to pixels of the sheet

NARROWEST_STEP = 0.55  # of a symbol's width: the next one starts no further left
NARROWEST = 0.22  # em, the same for narrow symbols
FULL_STOP = SYMBOLS.index(".")  # kinds below are digits
THICK = 0.2  # em: pens of this width touch, but do not overlap, or nobody could read them
USUAL_PEN = 0.06  # em, half the width where neither hand nor glyph says otherwise
LONGEST_LIGATURE = 0.8  # em
MARKS = {SYMBOLS.index(mark) for mark in (".", ",", "-", ":")}  # of any size
HANGING = {4, 7, 9}  # digits that may hang below the baseline


@dataclass(slots=True)
class _Symbol:
    """A symbol as it is being written: what, how large and thick, then where; pixels of the
    sheet.
    """

    glyph: Glyph
    em: float
    half: float
    wide: float
    chained: bool  # whether it hangs on the zero before
    left: float = 0.0
    base: float = 0.0
    frame: Frame = field(default_factory=lambda: np.eye(2))
    number: int | None = None


def write_line(
    writing: Writing,
    hand: Hand,
    bank: Bank,
    text: Sequence[str],
    place: tuple[float, float],
    size: float,
    rng: Generator,
    *,
    drift: float = 0.0,
    cell: float | None = None,
    noise: NDArray[np.float32] | None = None,
) -> float:
    """Write a line of symbols.

    Args:
        writing: where to.
        hand: whose.
        bank: signs.
        text: digits, names of signs, and " ".
        place: left end of the baseline on the sheet, pixels.
        size: of an em, pixels.
        rng: chance.
        drift: of the baseline, y per x.
        cell: width of a box for each symbol, pixels; without it they stand close.
        noise: of the pen's width.

    Returns:
        Where the line ends, x on the sheet.
    """
    start, base = place
    x, line = start, []
    before: _Symbol | None = None
    zeros = _chain(text, hand, rng) if cell is None else {}

    for i, name in enumerate(text):
        if name == " ":
            x += size * rng.uniform(0.35, 0.8) if cell is None else cell
            before = None
            continue

        symbol = _sized(zeros.get(i), name, hand, bank, size, rng)
        if cell is not None:
            left = start + i * cell
            symbol.left = left + (cell - symbol.wide) / 2 + rng.normal(0, 0.06) * cell
            writing.cells.append((left, base - 1.25 * size, left + cell, base + 0.25 * size))
        else:
            symbol.left = x if before is None else _left(before, symbol, hand, size, rng)

        symbol.base = base + drift * (symbol.left - start)
        _write(writing, hand, symbol, size, rng, noise)
        if symbol.number is not None:
            line.append(symbol.number)
            if before and _ligature(before, symbol) and rng.random() < hand.joined:
                _join(writing, before, symbol)
        before, x = symbol, symbol.left + symbol.wide
        size *= 1 - hand.shrinking

    if line:
        writing.lines.append(line)
    writing.extents.append((start, base - size, x, base + drift * (x - start)))
    return x


def _sized(
    zero: tuple[Glyph, bool] | None,
    name: str,
    hand: Hand,
    bank: Bank,
    size: float,
    rng: Generator,
) -> _Symbol:
    """Choose a glyph, its size and the pen's width. zero: of a chain, and whether it hangs on
    one.
    """
    glyph, chained = zero or (_glyph(name, hand, bank, rng), False)
    em = size * float(np.clip(rng.normal(1, hand.uneven), 0.7, 1.3))
    if zero:
        em = size * hand.zero
    elif glyph.kind == 0:
        em *= hand.zero
    elif glyph.kind in MARKS:
        em = size * rng.uniform(0.8, 1.3)

    half = em * (hand.pen if hand.pen is not None else glyph.pen or USUAL_PEN)
    if glyph.kind == FULL_STOP:
        half *= rng.uniform(1.0, 1.5)
    if glyph.pen == 0:
        half = SOLID_HALF
    return _Symbol(glyph, em, half, glyph.box[2] * hand.breadth * em, chained)


def _glyph(name: str, hand: Hand, bank: Bank, rng: Generator) -> Glyph:
    ways: Sequence[Glyph]
    if name == "other":
        ways = bank.others
    elif name == "letter":
        ways = bank.letters
    else:
        ways = hand.digits[int(name)] if name.isdigit() else bank.signs[name]
    return ways[int(rng.integers(len(ways)))]


def _left(before: _Symbol, symbol: _Symbol, hand: Hand, size: float, rng: Generator) -> float:
    """Say where the next symbol starts: on the chain, touching the one before, or apart from it."""
    if symbol.chained:
        return before.left + before.em * hand.breadth * before.glyph.tail[0]
    digits = before.glyph.kind < FULL_STOP and symbol.glyph.kind < FULL_STOP
    if digits and rng.random() < hand.touching:
        return _touching(before, symbol, hand, rng)
    gap = hand.gap if symbol.glyph.kind < FULL_STOP else max(0.03, 0.6 * hand.gap)
    room = size * gap * max(0.1, rng.normal(1, hand.loose))
    return before.left + before.wide + room + 1.8 * symbol.half


def _touching(before: _Symbol, symbol: _Symbol, hand: Hand, rng: Generator) -> float:
    """Find where the next symbol starts so that both pens touch at some height, or overlap."""
    em, pen = symbol.em, 2 * symbol.half
    right = before.glyph.profile[:, 1] * before.em
    left = symbol.glyph.profile[:, 0] * em
    meet = float((right - left).max()) * hand.breadth
    if meet < -em:  # nothing of them is at the same height
        meet = before.wide
    deep = hand.overlap * max(0.0, 1 - pen / (THICK * em))
    step = meet + pen * rng.uniform(0.4, 1.0) - em * deep * rng.uniform(0.3, 1.5)
    return before.left + max(step, NARROWEST_STEP * before.wide, NARROWEST * em, 0.9 * pen)


def _write(
    writing: Writing,
    hand: Hand,
    symbol: _Symbol,
    size: float,
    rng: Generator,
    noise: NDArray[np.float32] | None,
) -> None:
    """Put a symbol where it belongs, leaning and rising as the hand does."""
    if not symbol.chained:
        symbol.base += rng.normal(0, hand.rise) * size
    if symbol.glyph.kind in HANGING:
        symbol.base += hand.hanging * symbol.em
    turn = rng.normal(0, hand.turn)
    across = hand.breadth
    symbol.frame = symbol.em * np.array([[across, -hand.slant - turn], [turn * across, 1.0]])

    place = symbol.left, symbol.base
    symbol.number = writing.put(symbol.glyph, place, symbol.frame, symbol.half, noise=noise)
    if symbol.number is not None and rng.random() < hand.retraced:
        x, y = np.array(place) + rng.normal(0, 0.03, 2) * symbol.em
        again = symbol.frame * rng.normal(1, 0.03)
        writing.put(symbol.glyph, (x, y), again, symbol.half, number=symbol.number)


def _ligature(before: _Symbol, symbol: _Symbol) -> bool:
    """Say whether a stroke may lead from one symbol to the next: between digits that are no chain
    already.
    """
    digits = before.glyph.kind < FULL_STOP and symbol.glyph.kind < FULL_STOP
    return digits and not symbol.chained and before.number is not None


def _join(writing: Writing, before: _Symbol, symbol: _Symbol) -> None:
    """Lead the pen from the tail of one symbol to the head of the next; the stroke is the former's
    ink.
    """
    profile = symbol.glyph.profile[:, 0]
    bands = np.flatnonzero(profile < FAR / 2)
    first = bands[len(bands) // 4]
    head = symbol.frame @ (profile[first], TOP + BAND * (first + 0.5)) + (symbol.left, symbol.base)
    tail = before.frame @ before.glyph.tail + (before.left, before.base)
    across, down = (head - tail) / before.em
    if not (0 < across < LONGEST_LIGATURE and abs(down) < 1.3):
        return

    curve = _bent(
        np.zeros(2), np.array([0.5 * across, 0.12 + 0.5 * down]), np.array([across, down])
    )
    stroke = from_strokes([curve], before.glyph.kind)
    frame = before.em * np.eye(2)
    writing.put(stroke, (tail[0], tail[1]), frame, before.half, number=before.number)


def _bent(start: Points, middle: Points, end: Points) -> Points:
    """Draw a curve, (9, 2), from start to end that leans towards the middle."""
    t = np.linspace(0, 1, 9)[:, None]
    return np.asarray((1 - t) ** 2 * start + 2 * t * (1 - t) * middle + t**2 * end)


def _chain(text: Sequence[str], hand: Hand, rng: Generator) -> dict[int, tuple[Glyph, bool]]:
    """Draw runs of zeros as chains: for each place its glyph, and whether it hangs on another
    zero.
    """
    pieces: dict[int, tuple[Glyph, bool]] = {}
    i = 0
    while i < len(text):
        end = i
        while end < len(text) and text[end] == "0":
            end += 1
        if end - i > 1 and rng.random() < hand.chained:
            for place, glyph in enumerate(_zeros(end - i, rng), start=i):
                pieces[place] = glyph, place > i
        i = max(end, i + 1)
    return pieces


def _zeros(count: int, rng: Generator) -> list[Glyph]:
    """Draw zeros without lifting the pen: rings with a stroke over to the next.

    The tail of each is where the next one's left end is, should they be on one line.
    """
    wide = rng.uniform(0.24, 0.42)
    step = wide * rng.uniform(1.45, 2.5)
    begin, over = rng.uniform(-1.9, -0.6), rng.uniform(0.0, 0.5)
    dip = rng.uniform(-0.08, 0.25)
    turn = np.linspace(0, 2 * np.pi + over, 26)

    rings = []
    for place in range(count):
        tall = 0.5 * float(np.clip(rng.normal(1, 0.06), 0.8, 1.2))
        ring = np.column_stack([wide * np.cos(begin - turn), tall * np.sin(begin - turn) - 0.5])
        if place < count - 1:
            goal = np.array([step + wide * np.cos(begin), 0.5 * np.sin(begin) - 0.5])
            middle = np.array([(ring[-1, 0] + goal[0]) / 2, max(ring[-1, 1], goal[1]) + dip])
            ring = np.vstack([ring, _bent(ring[-1], middle, goal)[1:]])
        rings.append(ring)

    lefts = [float(ring[:, 0].min()) for ring in rings]
    steps = [
        step + after - left for left, after in zip(lefts, [*lefts[1:], lefts[-1]], strict=True)
    ]
    return [
        replace(from_strokes([ring], 0), tail=(onwards, 0.0))
        for ring, onwards in zip(rings, steps, strict=True)
    ]
