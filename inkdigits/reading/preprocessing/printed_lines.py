"""Printed lines removed from the ink: ruling, squares, underlines and the boxes of forms.

Ink comes in, ink without what is printed goes out; strokes that cross a line are kept. Lines are
found by a Hough transform. This module is about straight lines, which are much longer than the
writing is high.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from inkdigits.core.digits import Mask, Plane
from inkdigits.reading.preprocessing.ink import Ink
from inkdigits.reading.preprocessing.planes import (
    dilate,
    find_components,
    open_by,
    outline_length,
)

SEARCH_SIDE = 1100  # pixels; larger masks are searched for lines at half their size

# Of the Hough transform.
STEEPEST = 8.0  # degrees that a line may be tilted
ANGLE_STEP = 0.4  # degrees
PASSES = 12  # a slope each: the lines of a page seen from the side differ
PARALLEL = 0.02  # difference of slopes

# Of the picture's side.
GAP = 0.03  # a longer gap ends a line
BORDER = 0.025  # a line that ends closer to the border leaves the sheet there
WHOLE = 0.35  # the least length of a line from border to border, where another border cuts it
SHORTEST = 0.12  # shorter lines are found as components
THICKEST_RULING = 0.06  # of the longest side of the picture, which may be a close-up
THICKEST_UNDERLINE = 0.01

# Levels of strength, 255 is full ink.
GRAINY = 8.0  # noise from which lines are looked for in a blurred plane
MOST_GRAIN = 60.0  # a line weaker than that does not get into the ink anyway
FAINTEST_LINE = 16.0
ABOVE_NOISE = 5.0  # standard deviations of the grain

SMALLEST_BOX = 12  # pixels
FEWEST_TEETH = 4  # of a comb: bars of one height on one printed line; fewer may be written 1s
STRAIGHT = 0.85  # of a box's side that must be within 2 px of a line
MAX_SLOPE = 0.15  # of a box's side

# Heights of the writing that a line must be long.
LONG = 3.0
LONG_ACROSS = 1.3  # if it runs from border to border,
LONG_AMONG_SEVERAL = 0.8  # and if at least
SEVERAL = 2  # lines do so side by side
MANY = 4  # parallels are print wherever they end,
LONG_AMONG_MANY = 2.0  # if they are this long
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

    def y_at(self, x: float) -> float:
        """Return the height of the line at x."""
        return self.y0 + self.slope * x

    def enlarged(self, factor: int) -> "_Line":
        """Return the line in a picture that is larger by a factor."""
        return replace(
            self,
            y0=factor * self.y0 + (factor - 1) / 2,
            start=factor * self.start,
            end=factor * self.end,
            thickness=factor * self.thickness,
        )

    def ends_on(self, sheet: Mask) -> int:
        """Count its ends inside the sheet; the others are at its border or the picture's."""
        reach = max(3.0, BORDER * max(sheet.shape))
        return sum(self._is_on(sheet, x) for x in (self.start - reach, self.end + reach))

    def _is_on(self, sheet: Mask, x: float) -> bool:
        height, width = sheet.shape
        column = round(x)
        row = round(self.y_at(x))
        margin = BORDER * height
        is_inside = 0 <= column < width and margin <= row < height - margin
        return is_inside and bool(sheet[row, column])

    def is_whole(self, sheet: Mask) -> bool:
        """Tell whether the line leaves the sheet at both ends."""
        return self.ends_on(sheet) == 0 and self.inked > INKED


def without_printed_lines(ink: Ink) -> Ink:
    """Return the ink without the lines and boxes that were printed on the paper before."""
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
    strength = np.where(dilate(printed, 3) & ~mask, np.uint8(0), ink.strength)
    warnings = (*ink.warnings, "printed lines removed")
    return replace(ink, mask=mask, strength=strength, warnings=warnings)


# ---- ruling, squares and underlines


def _lines_from_border_to_border(mask: Mask, strength: Plane, sheet: Mask) -> Mask:
    """Return ruling and squares: they leave the sheet on both sides, or are many side by side."""
    small, factor = _searchable(mask)
    thickest = THICKEST_RULING * max(small.shape)
    across = _printed(_find_lines(small, WHOLE, thickest, factor), sheet)
    upright = _printed(_find_lines(_turned(small), WHOLE, thickest, factor), sheet.T)
    lines = [*across, *upright]
    if not lines:
        return np.zeros_like(mask)

    writing = mask & ~_ruling(mask, strength, across, upright)
    if across and len(lines) >= MANY:  # upright lines alone may be a row of ones
        crumb = 3 * max(line.thickness for line in lines)
        if not _writing_size(writing, crumb):  # an empty page
            return (_band(mask.shape, across) | _band(mask.T.shape, upright).T) & mask

    size = _writing_size(writing)
    across = across if _are_long(across, size, sheet) else []
    upright = upright if _are_long(upright, size, sheet.T) else []
    return _ruling(mask, strength, across, upright)


def _printed(lines: list[_Line], sheet: Mask) -> list[_Line]:
    """Choose lines that leave the sheet at both ends, and their parallels that fade before that.

    Where there are none, choose many parallels.
    """
    whole = [line for line in lines if line.is_whole(sheet)]
    if whole:
        fading = [
            line
            for line in lines
            if line.ends_on(sheet) == 1
            and any(abs(line.slope - other.slope) < PARALLEL for other in whole)
        ]
        return whole + fading

    usual = float(np.median([line.slope for line in lines])) if lines else 0.0
    parallels = [line for line in lines if abs(line.slope - usual) < PARALLEL]
    return parallels if len(parallels) >= MANY else []


def _are_long(lines: list[_Line], size: float, sheet: Mask) -> bool:
    """Tell whether lines are longer than strokes of writing of this size.

    Such strokes may be the bar of a 4 that fills the picture.
    """
    if not lines or not size:
        return False

    if not any(line.is_whole(sheet) for line in lines):
        return float(np.median([line.length for line in lines])) > LONG_AMONG_MANY * size

    least = LONG_ACROSS if len(lines) < SEVERAL else LONG_AMONG_SEVERAL
    return sheet.shape[1] > least * size


def _ruling(mask: Mask, strength: Plane, across: list[_Line], upright: list[_Line]) -> Mask:
    """Return the pixels of both families of lines, and of where they cross each other."""
    one, band = _pixels(mask, strength, across)
    other, turned_band = _pixels(_turned(mask), _turned(strength), upright)
    corners = band & turned_band.T & mask
    if corners.any():
        side = 2 * max(line.thickness for line in (*across, *upright)) + 3
        corners &= ~open_by(mask, side, side)

    return one | other.T | corners


def _underlines(mask: Mask, strength: Plane) -> Mask:
    """Return lines that end inside the picture, several times as long as the writing is high."""
    small, factor = _searchable(mask)
    across = _find_lines(small, SHORTEST, THICKEST_UNDERLINE * max(small.shape), factor)
    if not across:
        return np.zeros_like(mask)

    own, _ = _pixels(mask, strength, across)
    height = _writing_size(mask & ~own)
    long = [line for line in across if height and line.length > LONG * height]
    own, _ = _pixels(mask, strength, long)
    return own


def _pixels(mask: Mask, strength: Plane, lines: list[_Line]) -> tuple[Mask, Mask]:
    """Return the lines' own pixels, and the bands in which they are.

    Where a stroke crosses, the vertical run is longer; where a stroke is on a line, it is darker.
    Those pixels are not the lines' own.
    """
    if not lines:
        return np.zeros_like(mask), np.zeros_like(mask)

    band = _band(mask.shape, lines)
    on_lines = band & mask
    usual = float(np.median([line.thickness for line in lines]))
    crossing = open_by(mask, 1, round(1.5 * usual + 1.5) + 1)

    darker = np.zeros_like(mask)
    level = float(np.median(strength[on_lines])) if on_lines.any() else 255.0
    if level < 160:
        darker = strength > level + 0.6 * (255 - level)

    return on_lines & ~crossing & ~darker, band & ~darker


def _band(shape: tuple[int, ...], lines: list[_Line]) -> Mask:
    """Return where the lines run, 2 px more on either side."""
    canvas = np.zeros(shape, np.uint8)
    for line in lines:
        start, end = ((round(16 * x), round(16 * line.y_at(x))) for x in (line.start, line.end))
        cv2.line(canvas, start, end, 1, line.thickness + 4, shift=4)

    return canvas > 0


def _writing_size(mask: Mask, crumb: int = 0) -> float:
    """Return the larger extent of the writing in a mask without lines, a median weighted by ink.

    Args:
        mask: of writing.
        crumb: pixels; what is at most this thin is not counted.
    """
    _, stats = find_components(mask)
    extents = stats[:, [cv2.CC_STAT_WIDTH, cv2.CC_STAT_HEIGHT]]
    counted = extents.min(axis=1) > crumb
    counted[0] = False
    if not counted.any():
        return 0.0

    sizes = extents[counted].max(axis=1)
    order = np.argsort(sizes)
    weights = np.cumsum(stats[counted, cv2.CC_STAT_AREA][order])
    return float(sizes[order][np.searchsorted(weights, weights[-1] / 2)])


def _turned(image: NDArray[Any]) -> NDArray[Any]:
    return np.ascontiguousarray(image.T)


# ---- boxes and combs


def _boxes(mask: Mask) -> Mask:
    """Return the four straight sides of every component that is a box with something in it."""
    boxes = np.zeros_like(mask)
    labels, stats = find_components(mask)
    for label, (left, top, width, height, area) in enumerate(stats.tolist()):
        is_box_sized = min(width, height) >= SMALLEST_BOX and area <= 0.5 * width * height
        if label == 0 or not is_box_sized:
            continue

        window = np.s_[top : top + height, left : left + width]
        own = labels[window] == label
        sides = _sides(own)
        if sides is None and _is_open_box(own):
            sides = own
        if sides is not None and _holds_something(mask[window] & ~sides):
            boxes[window] |= sides

    return boxes


def _is_open_box(own: Mask) -> bool:
    """Tell whether a component is three sides of a rectangle, such as the comb for one digit."""
    height, width = own.shape
    area = int(own.sum())
    thickness = 2 * area / outline_length(own)
    band = round(1.5 * thickness + 0.03 * max(height, width) + 1)
    if 2 * band >= 0.5 * min(height, width):
        return False

    filled = [
        own[:band].any(axis=0).mean(),
        own[-band:].any(axis=0).mean(),
        own[:, :band].any(axis=1).mean(),
        own[:, -band:].any(axis=1).mean(),
    ]
    inside = own[band:-band, band:-band]
    return sum(share > 0.85 for share in filled) >= 3 and int(inside.sum()) < 0.03 * area


def _sides(own: Mask) -> Mask | None:
    """Return the four sides if all are straight, without strokes that touch them, or None."""
    top = _top_side(own)
    bottom = _top_side(own[::-1])
    left = _top_side(own.T)
    right = _top_side(own.T[::-1])
    if top is None or bottom is None or left is None or right is None:
        return None

    return top | bottom[::-1] | left.T | right[::-1].T


def _top_side(own: Mask) -> Mask | None:
    """Return the upper side if it is a straight line from corner to corner, or None."""
    height, width = own.shape
    first = own.argmax(axis=0)
    xs = np.arange(width)
    inner = slice(round(0.1 * width), max(round(0.9 * width), 1))
    slope = float(np.polyfit(xs[inner], first[inner], 1)[0]) if width > 4 else 0.0
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


def _holds_something(inside: Mask) -> bool:
    _, stats = find_components(inside)
    return bool((stats[1:, cv2.CC_STAT_HEIGHT] > 0.25 * inside.shape[0]).any())


def _walls(mask: Mask, printed: Mask) -> Mask:
    """Return the walls between cells.

    They are upright bars from one printed line to another, or a row of equal ones, as in a comb.
    """
    labels, stats = find_components(mask)
    near = dilate(printed, 3, 7)
    walls = np.zeros(len(stats), np.bool_)
    teeth = []
    for label, (left, top, width, height, _) in enumerate(stats.tolist()):
        is_bar = height >= SMALLEST_BOX and width <= 0.1 * height + 3
        if label == 0 or not is_bar:
            continue

        window = np.s_[top : top + height, left : left + width]
        touching = (labels[window] == label) & near[window]
        ends = touching[: height // 4].any(), touching[-(height // 4) :].any()
        if all(ends):
            walls[label] = True
        elif any(ends):
            teeth.append((label, height))

    walls[_equal_teeth(teeth)] = True
    return walls[labels]


def _equal_teeth(teeth: Sequence[tuple[int, int]]) -> list[int]:
    """Return the labels of bars of one height, if they are enough for a comb.

    Args:
        teeth: labels and heights of bars.
    """
    if len(teeth) < FEWEST_TEETH:
        return []

    usual = float(np.median([height for _, height in teeth]))
    equal = [label for label, height in teeth if abs(height - usual) <= 0.12 * usual]
    return equal if len(equal) >= FEWEST_TEETH else []


# ---- the Hough transform


def _searchable(mask: Mask) -> tuple[Mask, int]:
    """Return the mask, halved if it is large, and by which factor it was reduced.

    Every pixel with ink in it keeps ink.
    """
    height, width = mask.shape
    if max(height, width) <= SEARCH_SIDE:
        return mask, 1

    size = (width + 1) // 2, (height + 1) // 2
    half = cv2.resize(mask.view(np.uint8) * 255, size, interpolation=cv2.INTER_AREA)
    return half > 0, 2


def _find_lines(mask: Mask, shortest: float, thickest: float, factor: int) -> list[_Line]:
    """Find nearly horizontal lines by voting.

    Each short vertical run of ink votes for the lines through it, angle by angle.

    Args:
        mask: of ink.
        shortest: length, as a share of the mask's width.
        thickest: pixels.
        factor: by which the lines are enlarged.
    """
    lines = _vote(mask, shortest * mask.shape[1], max(3, round(thickest)))
    return lines if factor == 1 else [line.enlarged(factor) for line in lines]


def _vote(mask: Mask, shortest: float, thickest: int) -> list[_Line]:
    """Return the lines of one slope after the other, each time of those runs that are left."""
    gap = max(6, round(GAP * mask.shape[1]))
    xs, middles, lengths = _short_runs(mask, thickest)
    found = list[_Line]()
    for _ in range(PASSES):
        if len(xs) < shortest:
            break

        slope, votes, lowest = _best_slope(xs, middles)
        offsets = middles - slope * xs
        taken = np.zeros(len(xs), np.bool_)
        tried = np.zeros(len(xs), np.bool_)
        for peak in _peaks(votes, 0.5 * shortest):
            near = np.abs(offsets - (peak + lowest)) <= 1.6
            tried |= near
            thickness = int(np.percentile(lengths[near], 75))
            y0 = float(np.median(offsets[near]))
            columns = _inked_columns(mask, y0, slope)
            for start, end in _stretches(columns, gap):
                own = near & (xs >= start) & (xs < end)
                length = end - start
                if length >= shortest and np.count_nonzero(own) > 0.4 * length:
                    inked = np.count_nonzero((columns >= start) & (columns < end)) / length
                    found.append(_Line(y0, slope, start, end, thickness, inked))
                    taken |= own

        if not tried.any():
            break

        # Runs that were tried in vain may belong to a line of another slope.
        left = ~taken if taken.any() else ~tried
        xs, middles, lengths = xs[left], middles[left], lengths[left]

    return found


def _short_runs(
    mask: Mask, longest: int
) -> tuple[NDArray[np.intp], NDArray[np.float64], NDArray[np.int32]]:
    """Find vertical runs of at most `longest` pixels.

    Returns:
        The column, the middle and the length of each.
    """
    short = mask & ~open_by(mask, 1, longest + 1)
    above = np.zeros_like(mask)
    above[1:] = mask[:-1]
    ys, xs = np.nonzero(short & ~above)
    lengths = np.ones(len(ys), np.int32)
    height = len(mask)
    for step in range(1, longest):
        rows = np.minimum(ys + step, height - 1)
        goes_on = short[rows, xs] & (ys + step < height) & (lengths == step)
        lengths += goes_on.astype(np.int32)

    return xs, ys + (lengths - 1) / 2, lengths


def _best_slope(
    xs: NDArray[np.intp], ys: NDArray[np.float64]
) -> tuple[float, NDArray[np.int64], int]:
    """Find the slope of the line with most votes, first roughly, then finely.

    Returns:
        The slope, the votes for it by offset, and the offset of the first vote.
    """
    steps = np.arange(-STEEPEST, STEEPEST + ANGLE_STEP / 2, ANGLE_STEP)
    some_xs, some_ys = xs[::3], ys[::3]  # a third of the votes elects the same
    rough = max(steps, key=lambda angle: _strongest(_votes(some_xs, some_ys, angle)[0]))
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
    """Return the columns with ink within a pixel of the line, that of crossing strokes included."""
    height, width = mask.shape
    xs = np.arange(width)
    ys = np.rint(y0 + slope * xs).astype(np.intp)
    inked = np.zeros(width, np.bool_)
    for rows in (ys - 1, ys, ys + 1):
        inked |= mask[np.clip(rows, 0, height - 1), xs] & (rows >= 0) & (rows < height)

    return np.nonzero(inked)[0]


def _stretches(columns: NDArray[np.intp], gap: int) -> Iterator[tuple[int, int]]:
    """Yield start and end of sorted columns that run on without a larger gap."""
    for stretch in np.split(columns, np.nonzero(np.diff(columns) > gap)[0] + 1):
        if len(stretch):
            yield int(stretch[0]), int(stretch[-1]) + 1
