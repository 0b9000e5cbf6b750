"""Printed lines: the ruling of a page, squares, underlines and the boxes of forms, taken out of the ink without eating strokes.

Takes a mask of ink and its strength; returns the mask of what is printed. Knows straight lines; knows neither pictures nor digits,
except that a line is much longer than the writing is high.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from inkdigits.core.digits import Mask, Plane
from inkdigits.reading.preprocessing.ink import Ink

SEARCH_SIDE = 1100  # pixels; larger masks are searched for lines at half their size
STEEPEST = 8.0  # degrees that a line may be tilted
ANGLE_STEP = 0.4  # degrees
PASSES = 12  # a slope each: the lines of a page seen from the side differ
PARALLEL = 0.02  # difference of slopes
GAP = 0.03  # of the picture's side: a longer gap ends a line
BORDER = (
    0.025  # of the picture's side: a line that ends closer to the border leaves the sheet there
)
WHOLE = 0.35  # of the picture's side, that a line from border to border is long at least, where another border cuts it
SHORTEST = 0.12  # of the picture's side; shorter lines are left to whoever looks at components
THICKEST_RULING = 0.06  # of the picture's longest side, which may be a close-up,
THICKEST_UNDERLINE = 0.01
GRAINY = 8.0  # levels of strength; from there on lines are looked for in a blurred plane
MOST_GRAIN = 60.0  # levels; a line weaker than that is no matter for the ink anyway
FAINTEST_LINE = 16.0  # levels of strength, 255 is full ink,
ABOVE_NOISE = 5.0  # and standard deviations of the grain
SMALLEST_BOX = 12  # pixels
FEWEST_TEETH = 4  # of a comb: bars of one height on one printed line; fewer may be written 1s
STRAIGHT = 0.85  # of a box's side that must lie within 2 px of a line
MAX_SLOPE = 0.15
LONG = 3.0  # heights of the writing that a line must be long,
LONG_ACROSS = 1.3  # or this many where it runs from border to border,
LONG_AMONG_SEVERAL = 0.8  # or this many where at least
SEVERAL = 2  # lines do so side by side
MANY = 4  # parallels are print wherever they end,
LONG_AMONG_MANY = 2.0  # if they are so many heights long
INKED = 0.8  # of a line from border to border; bars of digits in a row have gaps between them


@dataclass(frozen=True)
class _Line:
    """A straight line y = y0 + slope * x from x = start to end, in pixels; thickness likewise.

    inked: the share of its length that has ink.
    """

    y0: float
    slope: float
    start: int
    end: int
    thickness: int
    inked: float

    @property
    def length(self) -> int:
        return self.end - self.start

    def enlarged(self, factor: int) -> "_Line":
        y0, thickness = factor * self.y0 + (factor - 1) / 2, factor * self.thickness
        return _Line(y0, self.slope, factor * self.start, factor * self.end, thickness, self.inked)

    def ends_on(self, sheet: Mask) -> int:
        """How many of its ends lie inside the sheet, rather than at its border, which may be the picture's."""
        reach = max(3.0, BORDER * max(sheet.shape))
        return sum(self._is_on(sheet, x) for x in (self.start - reach, self.end + reach))

    def _is_on(self, sheet: Mask, x: float) -> bool:
        height, width = sheet.shape
        column, row = round(x), round(self.y0 + self.slope * x)
        margin = BORDER * height
        return 0 <= column < width and margin <= row < height - margin and bool(sheet[row, column])


def without_printed_lines(ink: Ink) -> Ink:
    """The ink without the lines and boxes that were printed on the paper before."""
    smooth = ink.strength if ink.noise < GRAINY else cv2.GaussianBlur(ink.strength, (0, 0), 1.2)
    visible = smooth > max(FAINTEST_LINE, min(ABOVE_NOISE * ink.noise, MOST_GRAIN))
    sheet = np.ones_like(ink.mask) if ink.outside is None else ~ink.outside
    printed = _lines_from_border_to_border(visible & sheet, ink.strength, sheet)
    drawn = _boxes(ink.mask & ~printed)
    drawn |= _underlines(ink.mask & ~printed & ~drawn, ink.strength)
    if drawn.any():
        drawn |= _walls(ink.mask & ~printed & ~drawn, drawn)
    printed |= drawn
    if not (printed & ink.mask).any():
        return ink
    mask = ink.mask & ~printed
    around = cv2.dilate(printed.view(np.uint8), np.ones((3, 3), np.uint8)) > 0
    strength = np.where(around & ~mask, np.uint8(0), ink.strength)
    return replace(
        ink, mask=mask, strength=strength, warnings=(*ink.warnings, "printed lines removed")
    )


def _lines_from_border_to_border(mask: Mask, strength: Plane, sheet: Mask) -> Mask:
    """Ruling and squares: they leave the sheet on both sides, or are many side by side."""
    small, factor = _searchable(mask)
    thickest = THICKEST_RULING * max(small.shape)
    across = _printed(_find_lines(small, WHOLE, thickest, factor), sheet)
    upright = _printed(_find_lines(_turned(small), WHOLE, thickest, factor), sheet.T)
    lines = [*across, *upright]
    if not lines:
        return np.zeros_like(mask)
    writing = mask & ~_ruling(mask, strength, across, upright)
    crumb = 3 * max(line.thickness for line in lines) if len(lines) >= MANY else 0
    if (
        across and crumb and not _writing_size(writing, crumb)
    ):  # an empty page; upright lines alone may be a row of ones
        return (_band(mask.shape, across) | _band(mask.T.shape, upright).T) & mask
    size = _writing_size(writing)
    across = across if _are_long(across, size, sheet) else []
    upright = upright if _are_long(upright, size, sheet.T) else []
    return _ruling(mask, strength, across, upright)


def _printed(lines: list[_Line], sheet: Mask) -> list[_Line]:
    """Lines that leave the sheet at both ends, with their parallels that fade before the other end; or else many parallels."""
    whole = [line for line in lines if _is_whole(line, sheet)]
    if whole:
        return whole + [
            x
            for x in lines
            if x.ends_on(sheet) == 1 and any(abs(x.slope - y.slope) < PARALLEL for y in whole)
        ]
    usual = float(np.median([line.slope for line in lines])) if lines else 0.0
    parallels = [line for line in lines if abs(line.slope - usual) < PARALLEL]
    return parallels if len(parallels) >= MANY else []


def _is_whole(line: _Line, sheet: Mask) -> bool:
    return line.ends_on(sheet) == 0 and line.inked > INKED


def _are_long(lines: list[_Line], size: float, sheet: Mask) -> bool:
    """Whether these lines are no strokes of writing of this size, such as the bar of a 4 that fills the picture."""
    if not lines or not size:
        return False
    if not any(_is_whole(line, sheet) for line in lines):
        return float(np.median([line.length for line in lines])) > LONG_AMONG_MANY * size
    return sheet.shape[1] > (LONG_ACROSS if len(lines) < SEVERAL else LONG_AMONG_SEVERAL) * size


def _ruling(mask: Mask, strength: Plane, across: list[_Line], upright: list[_Line]) -> Mask:
    """The pixels of both families of lines, and where they cross each other."""
    one, band = _pixels(mask, strength, across)
    other, turned_band = _pixels(_turned(mask), _turned(strength), upright)
    corners = band & turned_band.T & mask
    if corners.any():
        side = 2 * max(line.thickness for line in (*across, *upright)) + 3
        corners &= (
            cv2.morphologyEx(mask.view(np.uint8), cv2.MORPH_OPEN, np.ones((side, side), np.uint8))
            == 0
        )
    return one | other.T | corners


def _underlines(mask: Mask, strength: Plane) -> Mask:
    """Lines that end inside the picture, several times as long as the writing is high."""
    small, factor = _searchable(mask)
    across = _find_lines(small, SHORTEST, THICKEST_UNDERLINE * max(small.shape), factor)
    if not across:
        return np.zeros_like(mask)
    height = _writing_size(mask & ~_pixels(mask, strength, across)[0])
    return _pixels(
        mask, strength, [line for line in across if height and line.length > LONG * height]
    )[0]


def _boxes(mask: Mask) -> Mask:
    """The four straight sides of every component that is a box with something in it."""
    boxes = np.zeros_like(mask)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask.view(np.uint8), connectivity=8)
    for label in range(1, count):
        left, top, width, height, area = (int(n) for n in stats[label])
        if min(width, height) < SMALLEST_BOX or area > 0.5 * width * height:
            continue
        window = np.s_[top : top + height, left : left + width]
        own = labels[window] == label
        sides = _sides(own)
        if sides is not None and _holds_something(mask[window] & ~sides):
            boxes[window] |= sides
        elif sides is None and _is_open_box(own) and _holds_something(mask[window] & ~own):
            boxes[window] |= own
    return boxes


def _is_open_box(own: Mask) -> bool:
    """Whether three sides of a rectangle are all that there is, such as the comb's tooth that a digit is written into."""
    height, width = own.shape
    contours, _ = cv2.findContours(own.view(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    thickness = 2 * int(own.sum()) / max(1, sum(len(contour) for contour in contours))
    band = round(1.5 * thickness + 0.03 * max(height, width) + 1)
    if 2 * band >= 0.5 * min(height, width):
        return False
    along = [own[:band], own[-band:], own[:, :band], own[:, -band:]]
    lengths = [
        float(side.any(axis=axis).mean()) for side, axis in zip(along, (0, 0, 1, 1), strict=True)
    ]
    inside = own[band:-band, band:-band]
    return sum(length > 0.85 for length in lengths) >= 3 and int(inside.sum()) < 0.03 * int(
        own.sum()
    )


def _sides(own: Mask) -> Mask | None:
    """The pixels of the four sides, where all four are straight; strokes that touch them left out."""
    top, bottom = _top_side(own), _top_side(own[::-1])
    left, right = _top_side(own.T), _top_side(own.T[::-1])
    if top is None or bottom is None or left is None or right is None:
        return None
    return top | bottom[::-1] | left.T | right[::-1].T


def _top_side(own: Mask) -> Mask | None:
    """The pixels of the upper side where that is a straight line from corner to corner, else None."""
    height, width = own.shape
    first = own.argmax(axis=0)
    xs = np.arange(width)
    inner = slice(round(0.1 * width), max(round(0.9 * width), 1))
    slope, start = np.polyfit(xs[inner], first[inner], 1) if width > 4 else (0.0, 0.0)
    start = float(np.median(first[inner] - slope * xs[inner]))
    distance = np.abs(first - (start + slope * xs))
    if abs(slope) > MAX_SLOPE or float((distance[inner] <= 2).mean()) < STRAIGHT:
        return None
    rows = np.arange(height)[:, None]
    ends = (~own & (rows >= first)).argmax(axis=0)
    runs = np.where(ends > first, ends - first, height - first)
    thickness = float(np.median(runs[inner]))
    short = (distance <= 3 + thickness) & (runs <= 1.6 * thickness + 1)
    if thickness > 0.2 * height or float(short[inner].mean()) < 0.5:
        return None
    return own & short & (rows >= first) & (rows < first + runs)


def _walls(mask: Mask, printed: Mask) -> Mask:
    """The walls between cells: upright bars from one printed line to another, or a row of equal ones, as in a comb."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask.view(np.uint8), connectivity=8)
    near = cv2.dilate(printed.view(np.uint8), np.ones((7, 3), np.uint8)) > 0
    walls, teeth = np.zeros(count, np.bool_), []
    for label in range(1, count):
        left, top, width, height, _ = (int(n) for n in stats[label])
        if height < SMALLEST_BOX or width > 0.1 * height + 3:
            continue
        window = np.s_[top : top + height, left : left + width]
        touching = (labels[window] == label) & near[window]
        ends = bool(touching[: height // 4].any()), bool(touching[-(height // 4) :].any())
        walls[label] = all(ends)
        if any(ends) and not all(ends):
            teeth.append((label, height))
    usual = float(np.median([height for _, height in teeth])) if len(teeth) >= FEWEST_TEETH else 0.0
    equal = [label for label, height in teeth if abs(height - usual) <= 0.12 * usual]
    if len(equal) >= FEWEST_TEETH:
        walls[equal] = True
    return walls[labels]


def _holds_something(inside: Mask) -> bool:
    count, _, stats, _ = cv2.connectedComponentsWithStats(inside.astype(np.uint8), connectivity=8)
    return bool(count > 1 and (stats[1:, cv2.CC_STAT_HEIGHT] > 0.25 * inside.shape[0]).any())


def _turned(image: NDArray[Any]) -> NDArray[Any]:
    return np.ascontiguousarray(image.T)


def _writing_size(mask: Mask, crumb: int = 0) -> float:
    """The larger extent of the writing, weighted by ink, once every line is gone; what is at most `crumb` pixels thin is none."""
    _, _, stats, _ = cv2.connectedComponentsWithStats(mask.view(np.uint8), connectivity=8)
    stats = stats[1:][stats[1:, [cv2.CC_STAT_WIDTH, cv2.CC_STAT_HEIGHT]].min(axis=1) > crumb]
    if not len(stats):
        return 0.0
    sizes = stats[:, [cv2.CC_STAT_WIDTH, cv2.CC_STAT_HEIGHT]].max(axis=1)
    order = np.argsort(sizes)
    weights = np.cumsum(stats[:, cv2.CC_STAT_AREA][order])
    return float(sizes[order][np.searchsorted(weights, weights[-1] / 2)])


def _searchable(mask: Mask) -> tuple[Mask, int]:
    """(the mask, halved where it is large, so that whatever had ink still has; by which factor it was reduced)."""
    height, width = mask.shape
    if max(height, width) <= SEARCH_SIDE:
        return mask, 1
    half = cv2.resize(
        mask.view(np.uint8) * 255,
        ((width + 1) // 2, (height + 1) // 2),
        interpolation=cv2.INTER_AREA,
    )
    return half > 0, 2


def _find_lines(mask: Mask, shortest: float, thickest: float, factor: int) -> list[_Line]:
    """Nearly horizontal lines at least `shortest` of the width long and `thickest` pixels thick, enlarged by the factor.

    By voting: each short vertical run of ink votes for the lines through it, angle by angle.
    """
    lines = _vote(mask, shortest * mask.shape[1], max(3, round(thickest)))
    return lines if factor == 1 else [line.enlarged(factor) for line in lines]


def _vote(mask: Mask, shortest: float, thickest: int) -> list[_Line]:
    width = mask.shape[1]
    starts, lengths = _short_runs(mask, thickest)
    ys, xs = np.nonzero(starts)
    found: list[_Line] = []
    middles = ys + (lengths[ys, xs] - 1) / 2
    for _ in range(PASSES):
        if len(xs) < shortest:
            break
        slope, votes, lowest = _best_slope(xs, middles)
        taken, tried = np.zeros(len(xs), np.bool_), np.zeros(len(xs), np.bool_)
        offsets = middles - slope * xs
        for peak in _peaks(votes, 0.5 * shortest):
            near = np.abs(offsets - (peak + lowest)) <= 1.6
            tried |= near
            thickness = int(np.percentile(lengths[ys[near], xs[near]], 75))
            y0 = float(np.median(offsets[near]))
            columns = _inked_columns(mask, y0, slope)
            for start, end in _stretches(columns, gap=max(6, round(GAP * width))):
                own = near & (xs >= start) & (xs < end)
                if end - start >= shortest and np.count_nonzero(own) > 0.4 * (end - start):
                    inked = np.count_nonzero((columns >= start) & (columns < end)) / (end - start)
                    found.append(_Line(y0, slope, start, end, thickness, inked))
                    taken |= own
        if not tried.any():
            break
        kept = ~(
            taken if taken.any() else tried
        )  # what was tried in vain may belong to a line of another slope
        xs, ys, middles = xs[kept], ys[kept], middles[kept]
    return found


def _short_runs(mask: Mask, longest: int) -> tuple[Mask, NDArray[np.int32]]:
    """(where a vertical run of at most `longest` pixels starts, its length there)."""
    tall = (
        cv2.morphologyEx(mask.view(np.uint8), cv2.MORPH_OPEN, np.ones((longest + 1, 1), np.uint8))
        > 0
    )
    short = mask & ~tall
    above = np.zeros_like(mask)
    above[1:] = mask[:-1]
    starts = short & ~above
    lengths = np.zeros(mask.shape, np.int32)
    ys, xs = np.nonzero(starts)
    count = np.ones(len(ys), np.int32)
    for step in range(1, longest):
        rows = np.minimum(ys + step, mask.shape[0] - 1)
        count += (short[rows, xs] & (ys + step < mask.shape[0]) & (count == step)).astype(np.int32)
    lengths[ys, xs] = count
    return starts, lengths


def _best_slope(
    xs: NDArray[np.intp], ys: NDArray[np.float64]
) -> tuple[float, NDArray[np.int64], int]:
    """(slope of the line with most votes, the votes for it by offset, offset of the first vote); first roughly, then finely."""
    steps = np.arange(-STEEPEST, STEEPEST + ANGLE_STEP / 2, ANGLE_STEP)
    rough = max(
        steps, key=lambda angle: _strongest(_votes(xs[::3], ys[::3], angle)[0])
    )  # a third of the votes elects the same
    fine = rough + np.linspace(-ANGLE_STEP, ANGLE_STEP, 9)
    best = max(fine, key=lambda angle: _strongest(_votes(xs, ys, angle)[0]))
    return float(np.tan(np.deg2rad(best))), *_votes(xs, ys, best)


def _votes(
    xs: NDArray[np.intp], ys: NDArray[np.float64], angle: float
) -> tuple[NDArray[np.int64], int]:
    offsets = np.rint(ys - np.tan(np.deg2rad(angle)) * xs).astype(np.int64)
    lowest = int(offsets.min())
    return np.bincount(offsets - lowest), lowest


def _strongest(votes: NDArray[np.int64]) -> int:
    return int(np.convolve(votes, np.ones(3, np.int64)).max())


def _peaks(votes: NDArray[np.int64], least: float) -> Iterator[int]:
    summed = np.convolve(votes, np.ones(3, np.int64), mode="same")
    while summed.max() >= least:
        peak = int(summed.argmax())
        yield peak
        summed[max(0, peak - 3) : peak + 4] = 0


def _inked_columns(mask: Mask, y0: float, slope: float) -> NDArray[np.intp]:
    """Where there is ink within a pixel of the line, strokes that cross it included."""
    height, width = mask.shape
    xs = np.arange(width)
    ys = np.rint(y0 + slope * xs).astype(np.intp)
    inked = [
        mask[np.clip(ys + step, 0, height - 1), xs] & (ys + step >= 0) & (ys + step < height)
        for step in (-1, 0, 1)
    ]
    return np.nonzero(inked[0] | inked[1] | inked[2])[0]


def _stretches(columns: NDArray[np.intp], gap: int) -> Iterator[tuple[int, int]]:
    """Where sorted columns run on without a larger gap."""
    for stretch in np.split(columns, np.nonzero(np.diff(columns) > gap)[0] + 1):
        if len(stretch):
            yield int(stretch[0]), int(stretch[-1]) + 1


def _pixels(mask: Mask, strength: Plane, lines: list[_Line]) -> tuple[Mask, Mask]:
    """(the lines' own pixels, the bands in which they lie).

    Not the lines' own are pixels where a stroke crosses, which makes the vertical run longer, or lies on the line and is darker.
    """
    if not lines:
        return np.zeros_like(mask), np.zeros_like(mask)
    band = _band(mask.shape, lines)
    on_lines = band & mask
    longest = round(1.5 * float(np.median([line.thickness for line in lines])) + 1.5)
    crossing = (
        cv2.morphologyEx(mask.view(np.uint8), cv2.MORPH_OPEN, np.ones((longest + 1, 1), np.uint8))
        > 0
    )
    level = float(np.median(strength[on_lines])) if on_lines.any() else 255.0
    darker = strength > level + 0.6 * (255 - level) if level < 160 else np.zeros_like(mask)
    return on_lines & ~crossing & ~darker, band & ~darker


def _band(shape: tuple[int, ...], lines: list[_Line]) -> Mask:
    """Where the lines run, 2 px more on either side."""
    canvas = np.zeros(shape, np.uint8)
    for line in lines:
        ends = [
            (round(16 * x), round(16 * (line.y0 + line.slope * x))) for x in (line.start, line.end)
        ]
        cv2.line(canvas, ends[0], ends[1], 1, line.thickness + 4, shift=4)
    return canvas > 0
