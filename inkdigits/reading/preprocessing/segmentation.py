"""From ink to candidates: the groups of strokes that may be one digit each, in reading order.

Takes a mask of strokes; returns boxes, masks and line numbers. Knows writing: dirt, detached parts, gaps, lines. Knows neither
pictures nor networks: whoever can tell how digit-like some strokes are passes that in as `judge`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from inkdigits.core.digits import Mask
from inkdigits.reading.preprocessing.candidate import Box, Candidate, Judge
from inkdigits.reading.preprocessing.cutting import cut_touching

SMALLEST = 5  # pixels; parts that are smaller in both directions carry no shape
SPECK = 0.2  # of the usual height of a digit: what is smaller in both directions is dirt
REACH = 0.35  # of the digit's size: what lies closer belongs to it, where a picture holds one digit
FLAT = 0.25  # height over width of a line that lies
FRAGMENT = 0.4  # of the usual height: what is lower is a piece of a digit, not one
FAINT = 0.5  # of the usual strength of the ink: what is weaker shines through from the back of the sheet


def find_candidates(
    mask: Mask, strength: NDArray[np.uint8], single: bool = False, judge: Judge | None = None
) -> list[Candidate]:
    """Group the strokes into candidates, in reading order.

    mask: (H, W) bool. strength: (H, W) uint8, how strong the ink is. single: all that belongs together is one candidate, the rest
    is dirt or a neighbour's remains. judge: settles what geometry leaves open; without it, geometry alone decides.
    """
    parts = _without_dirt(_components(mask, strength))
    if not parts:
        return []
    judge = judge or _judge_nothing
    if single:
        return [_join_all(_without_underlines(_belonging(parts, mask.shape), judge))]
    parts = _without_underlines(parts, judge)
    usual = _usual_height(parts)
    digits = cut_touching(_merge_broken(_merge_detached(parts), usual, judge), usual, judge)
    return [
        replace(part, line=number) for number, line in enumerate(_lines(digits)) for part in line
    ]


def _judge_nothing(candidates: Sequence[Candidate]) -> NDArray[np.floating]:
    return np.zeros(len(candidates))


@dataclass(frozen=True, eq=False)
class _Component(Candidate):
    area: int = 0
    strength: float = 0.0  # mean, weighted by itself so that the strokes' edges count little
    at_border: bool = False  # whether it touches the picture's border


def _components(mask: Mask, strength: NDArray[np.uint8]) -> list[_Component]:
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask.view(np.uint8), connectivity=8)
    inked, levels = labels[mask], strength[mask].astype(np.float64)
    sums, squares = (
        np.bincount(inked, levels, minlength=count),
        np.bincount(inked, levels**2, minlength=count),
    )
    found = []
    for label in range(1, count):
        left, top, width, height, area = (int(n) for n in stats[label])
        if max(width, height) < min(SMALLEST, 0.2 * max(mask.shape)):
            continue
        own = labels[top : top + height, left : left + width] == label
        box = left, top, left + width, top + height
        at_border = min(left, top, mask.shape[1] - box[2], mask.shape[0] - box[3]) == 0
        found.append(
            _Component(
                box,
                own,
                area=area,
                strength=squares[label] / max(1.0, sums[label]),
                at_border=at_border,
            )
        )
    return found


def _without_dirt(parts: list[_Component]) -> list[_Component]:
    """Drop specks and what is much fainter than the writing."""
    if not parts:
        return []
    areas = np.array([part.area for part in parts], np.float64)
    usual = _weighted_median(np.array([max(part.width, part.height) for part in parts]), areas)
    strength = _weighted_median(np.array([part.strength for part in parts]), areas)
    return [
        part
        for part in parts
        if max(part.width, part.height) > SPECK * usual and part.strength > FAINT * strength
    ]


def _usual_height(parts: Sequence[Candidate]) -> float:
    heights = np.array([part.height for part in parts], np.float64)
    return _weighted_median(heights, heights)


def _weighted_median(values: NDArray[np.floating], weights: NDArray[np.floating]) -> float:
    order = np.argsort(values)
    return float(values[order][np.searchsorted(np.cumsum(weights[order]), weights.sum() / 2)])


def _belonging(parts: list[_Component], shape: tuple[int, ...]) -> list[_Component]:
    """The parts of one digit: the largest near the middle, and what lies close to it."""

    def weight(part: _Component) -> float:
        off = max(abs(part.middle[0] / shape[1] - 0.5), abs(part.middle[1] / shape[0] - 0.5))
        return max(part.width, part.height) * (1 - off) * (0.5 if part.at_border else 1)

    main, *others = sorted(parts, key=weight, reverse=True)
    others = [part for part in others if main.at_border or not part.at_border]
    belonging, whole = [main], main.box
    while near := [
        part
        for part in others
        if _distance(part.box, whole) < REACH * max(whole[2] - whole[0], whole[3] - whole[1])
    ]:
        belonging += near
        others = [part for part in others if part not in near]
        for part in near:
            whole = _around(whole, part.box)
    return belonging


def _without_underlines(parts: list[_Component], judge: Judge) -> list[_Component]:
    """Drop lying lines below what is as much of a digit without them, so that the foot of a broken 2 stays."""
    below = {
        line: bodies
        for line in parts
        if _lies(line) and (bodies := [part for part in parts if _stands_on(part, line)])
    }
    if not below:
        return parts
    pairs = [(body, line) for line, bodies in below.items() for body in bodies]
    sure = judge([*(body for body, _ in pairs), *(_joined(body, line) for body, line in pairs)])
    better = {
        (body, line)
        for (body, line), alone, both in zip(pairs, sure, sure[len(pairs) :], strict=False)
        if alone >= both
    }
    return [
        part
        for part in parts
        if part not in below or not all((body, part) in better for body in below[part])
    ]


def _lies(part: Candidate) -> bool:
    return part.height < FLAT * part.width


def _stands_on(body: Candidate, line: Candidate) -> bool:
    """Whether the line runs below most of the body, and close to it."""
    shared = min(body.box[2], line.box[2]) - max(body.box[0], line.box[0])
    gap = line.box[1] - body.box[3]
    return (
        not _lies(body)
        and shared > 0.5 * body.width
        and -0.1 * body.height < gap < body.height
        and line.width > 0.5 * body.height
    )


def _around(a: Box, b: Box) -> Box:
    return min(a[0], b[0]), min(a[1], b[1]), max(a[2], b[2]), max(a[3], b[3])


def _distance(a: Box, b: Box) -> float:
    beside = max(a[0], b[0]) - min(a[2], b[2])
    above = max(a[1], b[1]) - min(a[3], b[3])
    return float(np.hypot(max(0, beside), max(0, above)))


def _join_all(parts: Sequence[Candidate]) -> Candidate:
    whole = parts[0]
    for part in parts[1:]:
        whole = _joined(whole, part)
    return whole


def _joined(a: Candidate, b: Candidate) -> Candidate:
    box = _around(a.box, b.box)
    mask = np.zeros((box[3] - box[1], box[2] - box[0]), np.bool_)
    for part in (a, b):
        left, top = part.box[0] - box[0], part.box[1] - box[1]
        mask[top : top + part.height, left : left + part.width] |= part.mask
    return Candidate(box, mask)


def _merge_detached(parts: Sequence[Candidate]) -> list[Candidate]:
    """Join parts that stand above one another and close, such as the bar of a 5 and its body."""
    parts = sorted(parts, key=lambda part: part.height * part.width, reverse=True)
    whole: list[Candidate] = []
    for part in parts:
        for index, body in enumerate(whole):
            if _belongs(part, body):
                whole[index] = _joined(body, part)
                break
        else:
            whole.append(part)
    return whole


def _belongs(part: Candidate, body: Candidate) -> bool:
    """Whether the smaller part hangs over the body: by half of its width, and less than a quarter of the body's height away."""
    overlap = min(part.box[2], body.box[2]) - max(part.box[0], body.box[0])
    gap = max(part.box[1], body.box[1]) - min(part.box[3], body.box[3])
    return (
        overlap > 0.5 * part.width and gap < 0.25 * body.height and part.height < 0.6 * body.height
    )


def _merge_broken(parts: list[Candidate], usual: float, judge: Judge) -> list[Candidate]:
    """Join neighbours that are more digit-like together than apart, best first: broken strokes, detached bars and feet."""
    for _ in range(3):
        pairs = [
            (i, j)
            for i in range(len(parts))
            for j in range(i)
            if _may_be_one(parts[i], parts[j], usual)
        ]
        if not pairs:
            break
        unions = [_joined(parts[i], parts[j]) for i, j in pairs]
        sure = judge([*parts, *unions])
        alone, together = sure[: len(parts)], sure[len(parts) :]
        gains = [together[n] - _apart(parts, alone, pair, usual) for n, pair in enumerate(pairs)]
        used: set[int] = set()
        merged = []
        for n in np.argsort(gains)[::-1]:
            if gains[n] <= 0:
                break
            if not used & set(pairs[n]):
                used |= set(pairs[n])
                merged.append(unions[n])
        if not merged:
            break
        parts = [part for index, part in enumerate(parts) if index not in used] + merged
    return parts


def _may_be_one(a: Candidate, b: Candidate, usual: float) -> bool:
    left, top, right, bottom = _around(a.box, b.box)
    fragment = min(a.height, b.height) < FRAGMENT * usual
    return (
        _distance(a.box, b.box) < 0.25 * usual
        and max(right - left, bottom - top) < (2 if fragment else 1.5) * usual
    )


def _apart(
    parts: list[Candidate], alone: NDArray[np.floating], pair: tuple[int, int], usual: float
) -> float:
    """How digit-like two parts are as two: the worse one of both counts, unless it is too small to be a digit anyway."""
    small, large = sorted(pair, key=lambda index: parts[index].height)
    if parts[small].height < FRAGMENT * usual:
        return float(alone[large]) - 0.05
    return float(min(alone[small], alone[large])) + 0.1


def _lines(parts: Sequence[Candidate]) -> list[list[Candidate]]:
    """Sort parts into lines, top to bottom, each from left to right: a part continues the line that it stands beside the end of."""
    lines: list[list[Candidate]] = []
    for part in sorted(parts, key=lambda part: part.box[0]):
        beside = [line for line in lines if _overlap(line[-1], part) > 0.4]
        if beside:
            max(beside, key=lambda line: _overlap(line[-1], part)).append(part)
        else:
            lines.append([part])
    return sorted(lines, key=lambda line: float(np.mean([part.middle[1] for part in line])))


def _overlap(a: Candidate, b: Candidate) -> float:
    """Share of the lower one's height that lies beside the other."""
    shared = min(a.box[3], b.box[3]) - max(a.box[1], b.box[1])
    return shared / max(1, min(a.height, b.height))
