"""Write with one hand: lines of symbols that stand apart, touch, overlap and hang together, each with its own ink.

Knows hands, pens and where symbols go; knows nothing of paper.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from inkdigits.data.synthetic.training_pages.camera import Lens
from inkdigits.data.synthetic.training_pages.fields import EM, FINENESS, Glyph, from_strokes
from inkdigits.data.synthetic.training_pages.glyphs import SYMBOLS, Bank, Digits

Cover = NDArray[np.uint8]  # (H, W): bare 0 to covered 255

COVERED = 100  # of 255, from which on a pixel is a symbol's
LEAST_HALF = 0.45  # pixels: half the width of the thinnest line that a picture can show
SOLID_HALF = 0.5  # pixels around a solid shape, so that its thin parts are seen
LEAST_HARD = 0.62  # pixels: the same where a pixel is covered or not
LEAST_PIXELS = 6  # of visible ink
LEAST_SHARE = 0.4  # of a symbol's ink that has to be in the picture and on top
NARROWEST_STEP = (
    0.55  # of a symbol's width: the next one starts no further left, however they overlap
)
NARROWEST = 0.22  # em, the same for narrow symbols


@dataclass(frozen=True, slots=True)
class Hand:
    """How one person writes on one page. Lengths in ems of the page's digits.

    Attributes:
        digits: glyphs for each digit.
        slant: x per y; breadth: of symbols; zero: size of its zeros.
        pen: half its width, or None for the pen that belongs to the glyph; pressure: how much the pen's width varies.
        uneven: deviation of sizes, rise: of baselines, turn: of angles (radians).
        gap: between symbols; loose: deviation of gaps, as a share.
        touching, chained, joined: how often neighbours touch, zeros are one chain, a stroke leads to the next digit.
        overlap: how deep they touch.
        hanging: how far 4, 7 and 9 hang below the baseline.
        shrinking: size lost from one symbol to the next. retraced: how often a symbol is written twice over.
    """

    digits: Digits
    slant: float
    breadth: float
    zero: float
    pen: float | None
    pressure: float
    uneven: float
    rise: float
    turn: float
    gap: float
    loose: float
    touching: float
    chained: float
    joined: float
    overlap: float
    hanging: float
    shrinking: float
    retraced: float


def random_hand(bank: Bank, rng: Generator, *, pen: tuple[float, float] = (0.03, 0.2)) -> Hand:
    """Draw a person: in two of three cases an MNIST writer. pen: between which widths in ems."""
    real = rng.random() < 0.65
    digits = (bank.writers if real else bank.drawn)[
        rng.integers(len(bank.writers if real else bank.drawn))
    ]
    width = float(np.exp(rng.uniform(*np.log(pen))))
    tight = rng.random()
    gap = rng.uniform(-0.04, 0.1) if tight < 0.3 else rng.uniform(0.08, 0.35)
    return Hand(
        digits=digits,
        slant=float(np.clip(rng.normal(0.0 if real else 0.12, 0.14), -0.3, 0.6)),
        breadth=float(np.exp(rng.normal(0, 0.16))),
        zero=float(rng.choice([1.0, rng.uniform(0.6, 1.0)])),
        pen=None if real and rng.random() < 0.3 else width / 2,
        pressure=float(rng.choice([0, 0.15, 0.4])),
        uneven=float(rng.uniform(0.01, 0.09)),
        rise=float(rng.uniform(0.0, 0.06)),
        turn=float(rng.uniform(0, 0.05)),
        gap=float(gap if tight < 0.9 else rng.uniform(0.3, 1.2)),
        loose=float(rng.uniform(0.1, 0.5)),
        touching=float(rng.choice([0, 0.2, 0.7], p=[0.45, 0.3, 0.25])),
        chained=float(rng.choice([0, 0.9], p=[0.65, 0.35])),
        joined=float(rng.choice([0, 0.35], p=[0.75, 0.25])),
        overlap=float(rng.uniform(-0.01, 0.1)),
        hanging=float(rng.choice([0, rng.uniform(0.05, 0.3)])),
        shrinking=float(rng.choice([0, rng.uniform(0, 0.05)], p=[0.8, 0.2])),
        retraced=float(rng.choice([0, 0.05, 0.8], p=[0.85, 0.12, 0.03])),
    )


@dataclass(slots=True)
class Placed:
    """A symbol on the page: its kind, its whole ink in pixels, and its ink's box in the picture."""

    kind: int
    pixels: int
    box: tuple[int, int, int, int]


class Writing:
    """Collect ink and whose it is, while symbols are put on a page.

    Attributes:
        covers: ink of the first pen and of the second; pen: which one writes. owner: int16 (H, W), 0 or a symbol's number from 1. symbols: in the order of writing.
        lines: numbers of the symbols of each line. extents: left, top, right, bottom of each line on the sheet.
    """

    def __init__(self, size: tuple[int, int], lens: Lens, *, hard: bool = False) -> None:
        self.size, self.lens, self.hard = size, lens, hard
        self.covers: list[Cover] = [np.zeros(size, np.uint8)]
        self.pen = 0
        self.owner = np.zeros(size, np.int16)
        self.symbols: list[Placed] = []
        self.lines: list[list[int]] = []
        self.extents: list[tuple[float, float, float, float]] = []
        self.cells: list[tuple[float, float, float, float]] = []

    def put(
        self,
        glyph: Glyph,
        place: tuple[float, float],
        frame: NDArray[np.float64],
        half: float,
        *,
        noise: NDArray[np.float32] | None = None,
        number: int | None = None,
    ) -> int | None:
        """Put a glyph on the page.

        Args:
            glyph: what to put. place: of its left end on the baseline, on the sheet.
            frame: (2, 2) ems to lengths on the sheet. half: half the width of the pen, pixels.
            noise: (H, W) the pen's width at each pixel, about 1.
            number: the symbol whose ink this is; a new one unless given.

        Returns:
            The symbol's number, or None where nothing of it is in the picture.
        """
        alpha, left, top = self._inked(glyph, place, frame, half, noise)
        if alpha is None:
            return None
        height, width = self.size
        x0, y0, x1, y1 = (
            max(0, left),
            max(0, top),
            min(width, left + alpha.shape[1]),
            min(height, top + alpha.shape[0]),
        )
        if x0 >= x1 or y0 >= y1:
            return None

        mask = alpha > min(COVERED, int(alpha.max()) // 2)
        pixels = int(cv2.countNonZero(mask.view(np.uint8)))
        here = np.s_[y0 - top : y1 - top, x0 - left : x1 - left]
        seen = np.ascontiguousarray(mask[here])
        x, y, w, h = cv2.boundingRect(seen.view(np.uint8))
        if not w:
            return None

        box = (x + x0, y + y0, x + x0 + w, y + y0 + h)
        if number is None:
            self.symbols.append(Placed(glyph.kind, pixels, box))
            number = len(self.symbols)
        else:
            symbol = self.symbols[number - 1]
            symbol.pixels += pixels
            old = symbol.box
            symbol.box = (
                min(old[0], box[0]),
                min(old[1], box[1]),
                max(old[2], box[2]),
                max(old[3], box[3]),
            )
        on_page = np.s_[y0:y1, x0:x1]
        cover = self.covers[self.pen][on_page]
        np.maximum(cover, alpha[here], out=cover)
        self.owner[on_page][seen] = number
        return number

    def _inked(
        self,
        glyph: Glyph,
        place: tuple[float, float],
        frame: NDArray[np.float64],
        half: float,
        noise: NDArray[np.float32] | None,
    ) -> tuple[Cover | None, int, int]:
        """See a glyph through the lens: its ink as uint8, and where the ink's upper left corner is in the picture."""
        (px, py), jacobian = self.lens.at(*place)
        (a, b), (c, d) = seen = jacobian @ frame
        scale = abs(a * d - b * c) ** 0.5 / EM
        half = max(SOLID_HALF if glyph.pen == 0 else LEAST_HARD if self.hard else LEAST_HALF, half)
        reach = half + 1.5

        left, top, right, bottom = glyph.box
        xs = (
            a * left + b * top,
            a * right + b * top,
            a * left + b * bottom,
            a * right + b * bottom,
        )
        ys = (
            c * left + d * top,
            c * right + d * top,
            c * left + d * bottom,
            c * right + d * bottom,
        )
        x0, y0 = int(px + min(xs) - reach), int(py + min(ys) - reach)
        x1, y1 = int(px + max(xs) + reach) + 2, int(py + max(ys) + reach) + 2
        if x1 <= 0 or y1 <= 0 or x0 >= self.size[1] or y0 >= self.size[0] or x1 - x0 > 900:
            return None, 0, 0

        inverse = EM * np.linalg.inv(seen)
        shift = inverse @ (x0 - px, y0 - py) + glyph.origin
        field = glyph.field if scale < 1.2 else glyph.field.astype(np.float32)
        distance = cv2.warpAffine(
            field,
            np.column_stack([inverse, shift]),
            (x1 - x0, y1 - y0),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_CONSTANT,
            borderValue=255,
        )
        ink = distance.astype(np.float32) * np.float32(-255 * scale / FINENESS)
        if noise is not None and x0 >= 0 and y0 >= 0 and x1 <= self.size[1] and y1 <= self.size[0]:
            ink += noise[y0:y1, x0:x1] * np.float32(255 * half) + np.float32(127)
        else:
            ink += np.float32(255 * (half + 0.5))
        if self.hard:
            return np.where(ink > 127, 255, 0).astype(np.uint8), x0, y0
        return np.clip(ink, 0, 255).astype(np.uint8), x0, y0

    def cropped(self, left: int, top: int, right: int, bottom: int) -> None:
        """Forget the ink outside a box of the picture."""
        inside = np.zeros_like(self.owner)
        inside[top:bottom, left:right] = self.owner[top:bottom, left:right]
        self.owner = inside
        for symbol in self.symbols:
            a, b, c, d = symbol.box
            symbol.box = (max(a, left), max(b, top), min(c, right), min(d, bottom))

    def finished(self) -> tuple[NDArray[np.int16], list[int], list[list[int]]]:
        """Number anew what can be seen well enough.

        Returns:
            The owner map; the old numbers of the symbols that are left; the lines, as indices into these.
        """
        counts = np.bincount(self.owner.ravel(), minlength=len(self.symbols) + 1)
        kept = [
            number
            for number, symbol in enumerate(self.symbols, start=1)
            if counts[number] >= max(LEAST_PIXELS, LEAST_SHARE * symbol.pixels)
        ]
        renumbered = np.zeros(len(self.symbols) + 1, np.int16)
        renumbered[kept] = np.arange(1, len(kept) + 1)
        lines = [
            [int(renumbered[number]) - 1 for number in line if renumbered[number]]
            for line in self.lines
        ]
        return renumbered[self.owner], kept, [line for line in lines if line]


def write_line(
    writing: Writing,
    hand: Hand,
    bank: Bank,
    tokens: Sequence[str],
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
        writing: where to. hand: whose. bank: signs.
        tokens: digits, names of signs, and " ".
        place: left end of the baseline on the sheet, pixels. size: of an em, pixels.
        drift: of the baseline, y per x. cell: width of a box for each symbol, pixels; without it they stand close.
        noise: of the pen's width.

    Returns:
        Where the line ends, x on the sheet.
    """
    x, base = place
    start, line = x, []
    before: _Before | None = None
    chain = _chain(tokens, hand, rng) if cell is None else {}

    for i, token in enumerate(tokens):
        if token == " ":
            x += size * rng.uniform(0.35, 0.8) if cell is None else cell
            before = None
            continue
        glyph, chained = chain.get(i) or (_glyph(token, hand, bank, rng), False)
        em = size * float(np.clip(rng.normal(1, hand.uneven), 0.7, 1.3))
        if glyph.kind == 0 and not chained and i not in chain:
            em *= hand.zero
        if i in chain:
            em = size * hand.zero
        if glyph.kind in {10, 11, 12, 14}:
            em = size * rng.uniform(0.8, 1.3)
        wide = glyph.box[2] * hand.breadth * em
        half = em * (hand.pen if hand.pen is not None else glyph.pen or 0.06)

        if cell is not None:
            left = place[0] + i * cell + (cell - wide) / 2 + rng.normal(0, 0.06) * cell
        elif before is None:
            left = x
        elif chained:
            left = before.left + before.advance
        elif rng.random() < hand.touching and glyph.kind < 10 and before.glyph.kind < 10:
            left = _touching(before, glyph, em, hand, rng)
        else:
            gap = hand.gap if glyph.kind < 10 else max(0.03, 0.6 * hand.gap)
            gap = size * gap * max(0.1, rng.normal(1, hand.loose)) + 1.8 * half
            left = before.left + before.wide + gap

        y = base + drift * (left - start) + rng.normal(0, hand.rise) * size * (not chained)
        if glyph.kind in {4, 7, 9}:
            y += hand.hanging * em
        turn = rng.normal(0, hand.turn)
        frame = em * np.array([[hand.breadth, -hand.slant - turn], [turn * hand.breadth, 1.0]])
        if glyph.kind == 10:
            half *= rng.uniform(1.0, 1.5)
        if glyph.pen == 0:
            half = SOLID_HALF

        number = writing.put(glyph, (left, y), frame, half, noise=noise)
        if number is not None and rng.random() < hand.retraced:
            beside = left + rng.normal(0, 0.03) * em, y + rng.normal(0, 0.03) * em
            writing.put(glyph, beside, frame * rng.normal(1, 0.03), half, number=number)
        if number is not None:
            line.append(number)
            if before and before.number and not chained and rng.random() < hand.joined:
                _join(writing, before, glyph, (left, y), frame, half)
        if cell is not None:
            writing.cells.append(
                (
                    place[0] + i * cell,
                    base - 1.25 * size,
                    place[0] + (i + 1) * cell,
                    base + 0.25 * size,
                )
            )
        before = _Before(glyph, left, y, em, wide, number, frame, em * hand.breadth * glyph.tail[0])
        x = left + wide
        size *= 1 - hand.shrinking

    if line:
        writing.lines.append(line)
    writing.extents.append((start, base - size, x, base + drift * (x - start)))
    return x


@dataclass(slots=True)
class _Before:
    """The symbol before the one that is being written."""

    glyph: Glyph
    left: float
    base: float
    em: float
    wide: float
    number: int | None
    frame: NDArray[np.float64]
    advance: float  # to the next of a chain


def _glyph(token: str, hand: Hand, bank: Bank, rng: Generator) -> Glyph:
    if token == "other":  # noqa: S105
        return bank.others[rng.integers(len(bank.others))]
    if token == "letter":  # noqa: S105
        return bank.letters[rng.integers(len(bank.letters))]
    ways = hand.digits[int(token)] if token.isdigit() else bank.signs[token]
    return ways[rng.integers(len(ways))]


def _touching(before: _Before, glyph: Glyph, em: float, hand: Hand, rng: Generator) -> float:
    """Find where the next symbol starts so that both pens touch at some height, or overlap."""
    right = before.glyph.profile[:, 1] * before.em
    left = glyph.profile[:, 0] * em
    meet = float((right - left).max()) * hand.breadth
    if meet < -em:  # nothing of them is at the same height
        meet = before.wide
    pen = 2 * (hand.pen if hand.pen is not None else 0.06) * em
    step = meet + pen * rng.uniform(0.3, 1.0) - em * hand.overlap * rng.uniform(0.3, 1.2)
    return before.left + max(step, NARROWEST_STEP * before.wide, NARROWEST * em, 0.9 * pen)


def _join(
    writing: Writing,
    before: _Before,
    glyph: Glyph,
    place: tuple[float, float],
    frame: NDArray[np.float64],
    half: float,
) -> None:
    """Lead the pen from the tail of the symbol before to the head of this one; the stroke is the former's ink."""
    bands = np.flatnonzero(glyph.profile[:, 0] < 50)
    first = bands[len(bands) // 4] if len(bands) else 0
    head = frame @ (glyph.profile[first, 0], -1.25 + 0.1 * first + 0.05) + place
    tail = before.frame @ before.glyph.tail + (before.left, before.base)
    across, down = (head - tail) / before.em
    if not (0 < across < 1.2 and abs(down) < 1.3):
        return
    bend = np.array([[0, 0], [0.5 * across, 0.12 + 0.5 * down], [across, down]])
    t = np.linspace(0, 1, 9)[:, None]
    curve = (1 - t) ** 2 * bend[0] + 2 * t * (1 - t) * bend[1] + t**2 * bend[2]
    stroke = from_strokes([curve], before.glyph.kind)
    upright = before.em * np.eye(2)
    writing.put(stroke, (float(tail[0]), float(tail[1])), upright, half, number=before.number)


def _chain(tokens: Sequence[str], hand: Hand, rng: Generator) -> dict[int, tuple[Glyph, bool]]:
    """Draw runs of zeros as one chain of strokes: for each place its glyph, and whether another zero comes before it."""
    pieces: dict[int, tuple[Glyph, bool]] = {}
    i = 0
    while i < len(tokens):
        end = i
        while end < len(tokens) and tokens[end] == "0":
            end += 1
        if end - i >= 2 and rng.random() < hand.chained:
            for place, glyph in enumerate(_zeros(end - i, rng), start=i):
                pieces[place] = glyph, place > i
        i = max(end, i + 1)
    return pieces


def _zeros(count: int, rng: Generator) -> list[Glyph]:
    """Draw zeros without lifting the pen: rings with a stroke over to the next."""
    wide = rng.uniform(0.24, 0.42)
    step = wide * rng.uniform(1.45, 2.5)
    begin = rng.uniform(-1.9, -0.6)
    dip = rng.uniform(-0.08, 0.25)
    over = rng.uniform(0.0, 0.5)
    glyphs = []
    for place in range(count):
        last = place == count - 1
        tall = 0.5 * float(np.clip(rng.normal(1, 0.06), 0.8, 1.2))
        turn = np.linspace(0, 2 * np.pi + over, 26)
        x, y = wide * np.cos(begin - turn), -0.5 + tall * np.sin(begin - turn)
        if not last:
            goal = np.array([step + wide * np.cos(begin), -0.5 + 0.5 * np.sin(begin)])
            t = np.linspace(0, 1, 9)[1:]
            middle = np.array([(x[-1] + goal[0]) / 2, max(y[-1], goal[1]) + dip])
            x = np.append(x, (1 - t) ** 2 * x[-1] + 2 * t * (1 - t) * middle[0] + t**2 * goal[0])
            y = np.append(y, (1 - t) ** 2 * y[-1] + 2 * t * (1 - t) * middle[1] + t**2 * goal[1])
        glyph = from_strokes([np.column_stack([x, y])], SYMBOLS.index("0"))
        glyphs.append((glyph, float(x.min())))
    lefts = [left for _, left in glyphs] + [glyphs[-1][1]]
    return [
        Glyph(g.field, g.kind, g.origin, g.box, g.profile, g.pen, (step + lefts[i + 1] - left, 0.0))
        for i, (g, left) in enumerate(glyphs)
    ]
