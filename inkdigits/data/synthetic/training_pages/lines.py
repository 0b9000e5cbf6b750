"""Write a line with one hand: symbols that stand apart, touch, overlap and hang together.

Takes a text as `grammar` composes it; returns nothing but ink, on a `Writing`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import groupby

import numpy as np
from numpy.random import Generator

from inkdigits.data.synthetic.training_pages.draws import chance, one_of
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
from inkdigits.data.synthetic.training_pages.pixels import Plane
from inkdigits.data.synthetic.training_pages.writing import SOLID_HALF, Frame, Writing

NARROWEST_STEP = 0.55  # of a symbol's width: the next one starts no further left
NARROWEST = 0.22  # em, the same for narrow symbols
ONE = SYMBOLS.index("1")
FULL_STOP = SYMBOLS.index(".")  # kinds below are digits
SLASH = SYMBOLS.index("/")
THICK = 0.2  # em: pens of this width touch, but do not overlap, or nobody could read them
USUAL_PEN = 0.06  # em, half the width where neither hand nor glyph says otherwise
LONGEST_LIGATURE = 0.8  # em
STEEPEST_LIGATURE = 1.3  # em, up or down
MARKS = {SYMBOLS.index(mark) for mark in ".,-:"}  # of any size
HANGING = {4, 7, 9}  # digits that may hang below the baseline
UNEVEN_BEND = 0.4  # of a hand's bend: its deviation from symbol to symbol
CELL_TOP = 1.25  # of an em above the baseline
CELL_BOTTOM = 0.25  # of an em below


@dataclass(slots=True)
class Writer:
    """Who writes on a page, where to and how large.

    Attributes:
        writing: where to.
        hand: whose.
        bank: of glyphs.
        rng: chance.
        em: height of digits, pixels.
        pitch: from row to row, pixels.
        others: share of symbols that are no numbers.
        noise: of the pen's width at each pixel, float32 (H, W), about 1.
        drift: of baselines, y per x.
        words: how often a word stands beside a number.
        pens: how many write.
    """

    writing: Writing
    hand: Hand
    bank: Bank
    rng: Generator
    em: float
    pitch: float
    others: float
    noise: Plane | None
    drift: float
    words: float
    pens: int


@dataclass(slots=True)
class Symbol:
    """A symbol as it is being written: what, how large and thick, then where; pixels of the sheet.

    Attributes:
        glyph: what.
        em: how large.
        half: half the pen's width.
        wide: from its left end to its right.
        chained: whether it hangs on the zero before.
        left: x of its left end.
        base: y of its baseline.
        frame: (2, 2), ems to pixels.
        number: on the `Writing`; None where it cannot be seen.
    """

    glyph: Glyph
    em: float
    half: float
    wide: float
    chained: bool = False
    left: float = 0.0
    base: float = 0.0
    frame: Frame = field(default_factory=lambda: np.eye(2))
    number: int | None = None

    @property
    def is_digit(self) -> bool:
        """Whether it is one of the ten digits."""
        return self.glyph.kind < FULL_STOP


def write_line(
    writer: Writer,
    text: Sequence[str],
    place: tuple[float, float],
    size: float,
    *,
    cell: float | None = None,
) -> float:
    """Write a line of symbols.

    Args:
        writer: who writes and where to.
        text: digits, names of signs, and " ".
        place: left end of the baseline on the sheet, pixels.
        size: of an em, pixels.
        cell: width of a box for each symbol, pixels; without it they stand close.

    Returns:
        Where the line ends, x on the sheet.
    """
    start, base = place
    x = start
    before: Symbol | None = None
    numbers: list[int] = []
    zeros = {} if cell else _chains(text, writer.hand, writer.rng)

    for i, name in enumerate(text):
        if name == " ":
            x += cell or size * writer.rng.uniform(0.35, 0.8)
            before = None
            continue

        symbol = _sized(writer, name, size, zeros.get(i))
        symbol.chained = zeros.keys() >= {i - 1, i}
        if cell:
            left = start + i * cell
            symbol.left = _in_cell(writer, symbol, left, base, size, cell)
        elif before:
            symbol.left = _left(writer, before, symbol, size)
        else:
            symbol.left = x

        symbol.base = base + writer.drift * (symbol.left - start)
        _put(writer, symbol, size)
        if symbol.number:
            numbers.append(symbol.number)
            _join(writer, before, symbol)

        before = symbol
        x = symbol.left + symbol.wide
        size *= 1 - writer.hand.shrinking

    if numbers:
        writer.writing.lines.append(numbers)

    end = base + writer.drift * (x - start)
    writer.writing.extents.append((start, base - size, x, end))

    return x


def _sized(
    writer: Writer,
    name: str,
    size: float,
    zero: Glyph | None,
) -> Symbol:
    """Choose a glyph, its size and the pen's width. zero: of a chain."""
    hand, rng = writer.hand, writer.rng
    glyph = zero or _glyph(writer, name)
    em = size * float(np.clip(rng.normal(1, hand.uneven), 0.7, 1.3))
    if zero:
        em = size * hand.zero
    elif glyph.kind == 0:
        em *= hand.zero
    elif glyph.kind in MARKS:
        em = size * rng.uniform(0.8, 1.3)

    pen = glyph.pen or USUAL_PEN if hand.pen is None else hand.pen
    half = em * pen
    if glyph.kind == FULL_STOP:
        half *= rng.uniform(1.0, 1.5)
    if glyph.pen == 0:
        half = SOLID_HALF

    wide = glyph.box[2] * hand.breadth * em

    return Symbol(glyph, em, half, wide)


def _glyph(writer: Writer, name: str) -> Glyph:
    ways: Sequence[Glyph]
    if name == "other":
        ways = writer.bank.others
    elif name == "letter":
        ways = writer.bank.letters
    elif name.isdigit():
        ways = writer.hand.digits[int(name)]
    else:
        ways = writer.bank.signs[name]

    return one_of(ways, writer.rng)


def _in_cell(
    writer: Writer,
    symbol: Symbol,
    left: float,
    base: float,
    size: float,
    cell: float,
) -> float:
    """Note the cell, and return where the symbol starts in it."""
    top = base - CELL_TOP * size
    bottom = base + CELL_BOTTOM * size
    writer.writing.cells.append((left, top, left + cell, bottom))
    return left + (cell - symbol.wide) / 2 + writer.rng.normal(0, 0.06) * cell


def _left(
    writer: Writer,
    before: Symbol,
    symbol: Symbol,
    size: float,
) -> float:
    """Return where a symbol starts: on the chain, touching the one before, or apart from it."""
    hand, rng = writer.hand, writer.rng
    if symbol.chained:
        return before.left + before.em * hand.breadth * before.glyph.tail[0]

    are_digits = before.is_digit and symbol.is_digit
    if are_digits and chance(hand.touching, rng):
        return _touching(before, symbol, hand, rng)

    gap = hand.gap if symbol.is_digit else max(0.03, 0.6 * hand.gap)
    room = size * gap * max(0.1, rng.normal(1, hand.loose))

    return before.left + before.wide + room + 1.8 * symbol.half


def _touching(
    before: Symbol,
    symbol: Symbol,
    hand: Hand,
    rng: Generator,
) -> float:
    """Find where the next symbol starts so that both pens touch at some height, or overlap."""
    em = symbol.em
    pen = 2 * symbol.half
    right = before.glyph.profile[:, 1] * before.em
    left = symbol.glyph.profile[:, 0] * em
    meet = float((right - left).max()) * hand.breadth
    if meet < -em:  # nothing of them is at the same height
        meet = before.wide

    thinness = max(0.0, 1 - pen / (THICK * em))
    deep = em * (hand.overlap * thinness)
    step = meet + pen * rng.uniform(0.4, 1.0) - deep * rng.uniform(0.3, 1.5)
    least = max(NARROWEST_STEP * before.wide, NARROWEST * em, 0.9 * pen)

    return before.left + max(step, least)


def _put(writer: Writer, symbol: Symbol, size: float) -> None:
    """Put a symbol where it belongs, leaning and rising as the hand does."""
    hand, rng = writer.hand, writer.rng
    if not symbol.chained:
        symbol.base += rng.normal(0, hand.rise) * size
    if symbol.glyph.kind in HANGING:
        symbol.base += hand.hanging * symbol.em

    turn = rng.normal(0, hand.turn)
    across = hand.breadth
    # Whoever leans to the left leans slashes to the right all the same.
    slant = abs(hand.slant) if symbol.glyph.kind == SLASH else hand.slant
    leaning = np.array(
        [
            [across, -slant - turn],
            [turn * across, 1.0],
        ]
    )
    symbol.frame = symbol.em * leaning

    bend = None
    is_bent = symbol.is_digit and symbol.glyph.kind != ONE  # a plain 1 is straight in most hands
    if hand.bend is not None and is_bent:
        bend = hand.bend + UNEVEN_BEND * rng.normal(0, np.abs(hand.bend))

    place = symbol.left, symbol.base
    put = partial(writer.writing.put, symbol.glyph, half=symbol.half, bend=bend)
    symbol.number = put(place, symbol.frame, noise=writer.noise)
    if symbol.number and chance(hand.retraced, rng):
        x, y = place + rng.normal(0, 0.03, 2) * symbol.em
        again = symbol.frame * rng.normal(1, 0.03)
        put((x, y), again, number=symbol.number)


def _join(writer: Writer, before: Symbol | None, symbol: Symbol) -> None:
    """Lead the pen from the tail of one digit to the head of the next, now and then.

    The stroke is the former's ink. Digits of a chain hang together already.
    """
    if before is None or before.number is None or symbol.chained:
        return
    if not (before.is_digit and symbol.is_digit):
        return
    if not chance(writer.hand.joined, writer.rng):
        return

    tail = before.frame @ before.glyph.tail + (before.left, before.base)
    across, down = (_head(symbol) - tail) / before.em
    if not (0 < across < LONGEST_LIGATURE and abs(down) < STEEPEST_LIGATURE):
        return

    middle = np.array([0.5 * across, 0.12 + 0.5 * down])
    curve = _bent(np.zeros(2), middle, np.array([across, down]))
    stroke = from_strokes([curve], before.glyph.kind)
    frame = before.em * np.eye(2)
    x, y = tail
    writer.writing.put(stroke, (x, y), frame, before.half, number=before.number)


def _head(symbol: Symbol) -> Points:
    """Return where a pen that comes from the left meets a symbol, (2,), on the sheet."""
    profile = symbol.glyph.profile[:, 0]
    bands = np.flatnonzero(profile < FAR / 2)
    band = bands[len(bands) // 4]
    height = TOP + BAND * (band + 0.5)

    return symbol.frame @ (profile[band], height) + (symbol.left, symbol.base)


def _bent(start: Points, middle: Points, end: Points) -> Points:
    """Draw a curve, (9, 2), from start to end that leans towards the middle."""
    t = np.linspace(0, 1, 9)[:, None]
    s = 1 - t
    return s**2 * start + 2 * t * s * middle + t**2 * end


def _chains(text: Sequence[str], hand: Hand, rng: Generator) -> dict[int, Glyph]:
    """Draw some runs of zeros as chains: for each place in the text its glyph."""
    glyphs: dict[int, Glyph] = {}
    start = 0
    for name, run in groupby(text):
        length = len(list(run))
        if name == "0" and length > 1 and chance(hand.chained, rng):
            glyphs.update(enumerate(_zeros(length, rng), start))

        start += length

    return glyphs


def _zeros(count: int, rng: Generator) -> list[Glyph]:
    """Draw zeros without lifting the pen: rings with a stroke over to the next.

    The tail of each is where the next one's left end is, should they be on one line.
    """
    wide = rng.uniform(0.24, 0.42)
    step = wide * rng.uniform(1.45, 2.5)
    begin = rng.uniform(-1.9, -0.6)
    over = rng.uniform(0.0, 0.5)
    dip = rng.uniform(-0.08, 0.25)
    turn = begin - np.linspace(0, 2 * np.pi + over, 26)
    goal_x = step + wide * np.cos(begin)
    goal_y = 0.5 * np.sin(begin) - 0.5

    rings = []
    for place in range(count):
        tall = 0.5 * np.clip(rng.normal(1, 0.06), 0.8, 1.2)
        ring_x = wide * np.cos(turn)
        ring_y = tall * np.sin(turn) - 0.5
        ring = np.column_stack([ring_x, ring_y])
        if place < count - 1:
            x, y = ring[-1]
            middle = np.array([(x + goal_x) / 2, max(y, goal_y) + dip])
            stroke = _bent(ring[-1], middle, np.array([goal_x, goal_y]))
            ring = np.vstack([ring, stroke[1:]])

        rings.append(ring)

    lefts = np.array([ring[:, 0].min() for ring in rings])
    nexts = np.append(lefts[1:], lefts[-1])
    steps = (step + nexts - lefts).tolist()

    glyphs = []
    for ring, onwards in zip(rings, steps, strict=True):
        glyph = from_strokes([ring], 0)
        glyphs.append(replace(glyph, tail=(onwards, 0.0)))

    return glyphs
