"""From ink to candidates: the groups of strokes that may be one digit each, in reading order.

A mask of strokes comes in; boxes, masks and line numbers go out. This module is about writing:
dirt, detached parts, gaps, lines. How digit-like some strokes are is for `judge` to say, which the
caller passes.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from inkdigits.core.digits import Mask, Plane
from inkdigits.reading.preprocessing.candidate import Box, Candidate, Judge, bounding_box
from inkdigits.reading.preprocessing.cutting import cut_touching
from inkdigits.reading.preprocessing.planes import find_components

SMALLEST = 5  # pixels; parts that are smaller in both directions carry no shape
SPECK = 0.2  # of the usual height of a digit: what is smaller in both directions is dirt
REACH = 0.35  # of the digit's size: what is closer belongs to it, if a picture holds one digit
FLAT = 0.25  # height over width of an underline
FRAGMENT = 0.4  # of the usual height: what is lower is a piece of a digit, not one
FAINT = 0.5  # of the ink's usual strength: what is weaker shines through from the sheet's back
MOST_MERGES = 3  # rounds of joining broken digits

Sureness = NDArray[np.floating]


def find_candidates(
    mask: Mask, strength: Plane, single: bool = False, judge: Judge | None = None
) -> list[Candidate]:
    """Group the strokes into candidates, in reading order.

    Args:
        mask: (H, W) bool, the strokes.
        strength: (H, W) uint8, how strong the ink is.
        single: whether everything that belongs together is one candidate; the rest is dirt then, or
            a
            neighbour's remains.
        judge: settles what geometry leaves open; without it, geometry alone decides.
    """
    judge = judge or _judge_nothing
    parts = _without_dirt(_components(mask, strength))
    if not parts:
        return []

    if single:
        return [_join(_without_underlines(_belonging(parts, mask.shape), judge))]

    parts = _without_underlines(parts, judge)
    usual = _usual_height(parts)
    merged = _merge_broken(_merge_detached(parts), usual, judge)
    lines = _lines(cut_touching(merged, usual, judge))
    return [replace(part, line=number) for number, line in enumerate(lines) for part in line]


def _judge_nothing(candidates: Sequence[Candidate]) -> Sureness:
    return np.zeros(len(candidates))


# ---- parts and dirt


@dataclass(frozen=True, eq=False)
class _Component(Candidate):
    """A connected component of ink.

    strength: the mean, weighted by itself so that the strokes' edges count little.
    at_border: whether it touches the picture's border.
    """

    area: int = 0
    strength: float = 0.0
    at_border: bool = False


def _components(mask: Mask, strength: Plane) -> list[_Component]:
    labels, stats = find_components(mask)
    inked = labels[mask]
    levels = strength[mask].astype(np.float64)
    sums = np.bincount(inked, levels, minlength=len(stats))
    squares = np.bincount(inked, levels**2, minlength=len(stats))

    picture_height, picture_width = mask.shape
    smallest = min(SMALLEST, 0.2 * max(mask.shape))
    found = []
    for label, (left, top, width, height, area) in enumerate(stats.tolist()):
        if label == 0 or max(width, height) < smallest:
            continue

        right = left + width
        bottom = top + height
        component = _Component(
            (left, top, right, bottom),
            labels[top:bottom, left:right] == label,
            area=area,
            strength=squares[label] / max(1.0, sums[label]),
            at_border=min(left, top, picture_width - right, picture_height - bottom) == 0,
        )
        found.append(component)

    return found


def _without_dirt(parts: list[_Component]) -> list[_Component]:
    """Drop specks and what is much fainter than the writing."""
    if not parts:
        return []

    areas = np.array([part.area for part in parts], np.float64)
    sizes = np.array([max(part.width, part.height) for part in parts])
    strengths = np.array([part.strength for part in parts])
    large = sizes > SPECK * _weighted_median(sizes, areas)
    strong = strengths > FAINT * _weighted_median(strengths, areas)
    return [part for part, keep in zip(parts, large & strong, strict=True) if keep]


def _usual_height(parts: Sequence[Candidate]) -> float:
    heights = np.array([part.height for part in parts], np.float64)
    return _weighted_median(heights, heights)


def _weighted_median(values: NDArray[np.floating], weights: NDArray[np.floating]) -> float:
    order = np.argsort(values)
    return float(values[order][np.searchsorted(np.cumsum(weights[order]), weights.sum() / 2)])


def _belonging(parts: list[_Component], shape: tuple[int, ...]) -> list[_Component]:
    """Return the parts of one digit: the largest near the middle, and what is close to it."""
    height, width = shape

    def weight(part: _Component) -> float:
        x, y = part.middle
        off = max(abs(x / width - 0.5), abs(y / height - 0.5))
        return max(part.width, part.height) * (1 - off) * (0.5 if part.at_border else 1)

    main, *others = sorted(parts, key=weight, reverse=True)
    others = [part for part in others if main.at_border or not part.at_border]
    belonging = [main]
    while True:
        whole = bounding_box(part.box for part in belonging)
        reach = REACH * max(whole[2] - whole[0], whole[3] - whole[1])
        near = [part for part in others if _distance(part.box, whole) < reach]
        if not near:
            return belonging

        belonging += near
        others = [part for part in others if part not in near]


def _without_underlines(parts: list[_Component], judge: Judge) -> list[_Component]:
    """Drop flat lines below digits, unless a digit is more of one with its line.

    So the foot of a broken 2 stays.
    """
    pairs = [
        (body, line) for line in parts if _is_flat(line) for body in parts if _stands_on(body, line)
    ]
    if not pairs:
        return parts

    bodies = [body for body, _ in pairs]
    sure = judge([*bodies, *(_join(pair) for pair in pairs)])
    alone, both = sure[: len(pairs)], sure[len(pairs) :]
    lines = {line for _, line in pairs}
    feet = {line for (_, line), is_foot in zip(pairs, alone < both, strict=True) if is_foot}
    return [part for part in parts if part in feet or part not in lines]


def _is_flat(part: Candidate) -> bool:
    return part.height < FLAT * part.width


def _stands_on(body: Candidate, line: Candidate) -> bool:
    """Tell whether a line runs below most of a body, and close to it."""
    shared = min(body.box[2], line.box[2]) - max(body.box[0], line.box[0])
    gap = line.box[1] - body.box[3]
    is_close = -0.1 * body.height < gap < body.height
    is_below = shared > 0.5 * body.width and line.width > 0.5 * body.height
    return is_close and is_below and not _is_flat(body)


def _distance(a: Box, b: Box) -> float:
    beside = max(a[0], b[0]) - min(a[2], b[2])
    above = max(a[1], b[1]) - min(a[3], b[3])
    return float(np.hypot(max(0, beside), max(0, above)))


# ---- joining


def _join(parts: Sequence[Candidate]) -> Candidate:
    """Return some parts as one candidate."""
    box = bounding_box(part.box for part in parts)
    left, top, right, bottom = box
    mask = np.zeros((bottom - top, right - left), np.bool_)
    for part in parts:
        x = part.box[0] - left
        y = part.box[1] - top
        mask[y : y + part.height, x : x + part.width] |= part.mask

    return Candidate(box, mask)


def _merge_detached(parts: Sequence[Candidate]) -> list[Candidate]:
    """Join parts that stand above one another and close, such as the bar of a 5 and its body."""
    bodies = list[Candidate]()
    for part in sorted(parts, key=lambda part: part.height * part.width, reverse=True):
        for index, body in enumerate(bodies):
            if _belongs(part, body):
                bodies[index] = _join([body, part])
                break
        else:
            bodies.append(part)

    return bodies


def _belongs(part: Candidate, body: Candidate) -> bool:
    """Tell whether the smaller part hangs over half of its width above or below the body."""
    overlap = min(part.box[2], body.box[2]) - max(part.box[0], body.box[0])
    gap = max(part.box[1], body.box[1]) - min(part.box[3], body.box[3])
    is_close = gap < 0.25 * body.height
    is_small = part.height < 0.6 * body.height
    return is_close and is_small and overlap > 0.5 * part.width


def _merge_broken(parts: list[Candidate], usual: float, judge: Judge) -> list[Candidate]:
    """Join neighbours that are more digit-like together than apart, best first.

    These are broken strokes, detached bars and feet.
    """
    for _ in range(MOST_MERGES):
        pairs = _close_pairs(parts, usual)
        unions = [_join([parts[i], parts[j]]) for i, j in pairs]
        if not unions:
            break

        sure = judge([*parts, *unions])
        apart = [_sureness_apart(parts, sure, pair, usual) for pair in pairs]
        gains = sure[len(parts) :] - np.array(apart, sure.dtype)
        chosen = _choose_pairs(pairs, gains)
        if not chosen:
            break

        used = {index for number in chosen for index in pairs[number]}
        parts = [part for index, part in enumerate(parts) if index not in used]
        parts += [unions[number] for number in chosen]

    return parts


def _close_pairs(parts: Sequence[Candidate], usual: float) -> list[tuple[int, int]]:
    """Return the indices of parts that are close enough to be one digit together."""
    return [
        (number, other)
        for number in range(len(parts))
        for other in range(number)
        if _may_be_one(parts[number], parts[other], usual)
    ]


def _choose_pairs(pairs: Sequence[tuple[int, int]], gains: Sureness) -> list[int]:
    """Choose pairs that have nothing in common and gain by being joined, best first."""
    used = set[int]()
    chosen = []
    for number in np.argsort(gains)[::-1].tolist():
        if gains[number] > 0 and used.isdisjoint(pairs[number]):
            used.update(pairs[number])
            chosen.append(number)

    return chosen


def _may_be_one(a: Candidate, b: Candidate, usual: float) -> bool:
    left, top, right, bottom = bounding_box([a.box, b.box])
    is_fragment = min(a.height, b.height) < FRAGMENT * usual
    largest = (2 if is_fragment else 1.5) * usual
    is_close = _distance(a.box, b.box) < 0.25 * usual
    return is_close and max(right - left, bottom - top) < largest


def _sureness_apart(
    parts: list[Candidate], sure: Sureness, pair: tuple[int, int], usual: float
) -> float:
    """Return how digit-like two parts are as two.

    The worse of them counts, unless it is too small to be a digit anyway.
    """
    small, large = sorted(pair, key=lambda index: parts[index].height)
    if parts[small].height < FRAGMENT * usual:
        return float(sure[large]) - 0.05

    return float(min(sure[small], sure[large])) + 0.1


# ---- reading order


def _lines(parts: Sequence[Candidate]) -> list[list[Candidate]]:
    """Sort parts into lines, top to bottom, each from left to right.

    A part continues the line whose end it stands beside.
    """
    lines = list[list[Candidate]]()
    for part in sorted(parts, key=lambda part: part.box[0]):
        beside = [line for line in lines if _overlap(line[-1], part) > 0.4]
        if beside:
            max(beside, key=lambda line: _overlap(line[-1], part)).append(part)
        else:
            lines.append([part])

    return sorted(lines, key=lambda line: float(np.mean([part.middle[1] for part in line])))


def _overlap(a: Candidate, b: Candidate) -> float:
    """Return the share of the lower one's height that is beside the other."""
    shared = min(a.box[3], b.box[3]) - max(a.box[1], b.box[1])
    return shared / max(1, min(a.height, b.height))
