"""From ink to candidates: the groups of strokes that may be one digit each, in reading order.

Takes a mask of strokes; returns boxes, masks and line numbers. Knows writing: dirt, detached parts, gaps, lines, digits that
touch. Knows neither pictures nor networks: whoever can tell how digit-like some strokes are passes that in as `judge`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

Box = tuple[int, int, int, int]  # left, top, right, bottom; right and bottom are one past the last pixel
Mask = NDArray[np.bool_]

SMALLEST = 5  # pixels; parts that are smaller in both directions carry no shape
SPECK = 0.2  # of the usual height of a digit: what is smaller in both directions is dirt
REACH = 0.35  # of the digit's size: what lies closer belongs to it, where a picture holds one digit
FLAT = 0.25  # height over width of a line that lies
FRAGMENT = 0.4  # of the usual height: what is lower is a piece of a digit, not one
WIDE = 1.2  # width over height from which a part may be several digits,
WIDE_IF_DOUBTFUL = 0.8  # also where it does not look like one digit
SURE = 0.9
WIDEST_PIECE = 1.6  # widths of a piece in heights of the part
MOST_SEAMS = 80  # more places to cut at are hatching or a fence
LOWEST_PIECE = 0.5  # of the height of the part that it was cut from
NARROWEST = 0.55  # or, among digits, where it does not look like a digit at all
LEAST_SURE = 0.4  # of every piece that a cut leaves,
LEAST_SURE_IF_ALONE = 0.6  # among nothing that tells digits from letters,
LEAST_SURE_IF_NARROW = 0.95  # or of what is narrow enough for one letter
CUT_COST = 0.7  # nats that each further digit must earn in confidence
SEAM_ROWS = 48  # a part is reduced to so many before ways through it are looked for
SIDESTEP = np.float32(0.05)  # price of a step aside, in pixels of ink
MOST_CUT = 0.35  # of the height may be ink on the way
STEEPEST_CUT = 0.5  # of the height that a straight cut may lean
FAINT = 0.5  # of the usual strength of the ink: what is weaker shines through from the back of the sheet


@dataclass(frozen=True, eq=False)
class Candidate:
    """Strokes that may be one digit: their box, the mask of just these strokes inside it, and the line that they stand in."""

    box: Box
    mask: Mask
    line: int = 0

    @property
    def width(self) -> int:
        return self.box[2] - self.box[0]

    @property
    def height(self) -> int:
        return self.box[3] - self.box[1]

    @property
    def middle(self) -> tuple[float, float]:
        return (self.box[0] + self.box[2]) / 2, (self.box[1] + self.box[3]) / 2


Judge = Callable[[Sequence[Candidate]], NDArray[np.floating]]  # (N,): how sure one can be that each is one digit, 0-1


def find_candidates(mask: Mask, strength: NDArray[np.uint8], single: bool = False, judge: Judge | None = None) -> list[Candidate]:
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
    digits = _cut_touching(_merge_broken(_merge_detached(parts), usual, judge), usual, judge)
    return [replace(part, line=number) for number, line in enumerate(_lines(digits)) for part in line]


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
    sums, squares = np.bincount(inked, levels, minlength=count), np.bincount(inked, levels**2, minlength=count)
    found = []
    for label in range(1, count):
        left, top, width, height, area = (int(n) for n in stats[label])
        if max(width, height) < min(SMALLEST, 0.2 * max(mask.shape)):
            continue
        own = labels[top : top + height, left : left + width] == label
        box = left, top, left + width, top + height
        at_border = min(left, top, mask.shape[1] - box[2], mask.shape[0] - box[3]) == 0
        found.append(_Component(box, own, area=area, strength=squares[label] / max(1.0, sums[label]), at_border=at_border))
    return found


def _without_dirt(parts: list[_Component]) -> list[_Component]:
    """Drop specks and what is much fainter than the writing."""
    if not parts:
        return []
    areas = np.array([part.area for part in parts], np.float64)
    usual = _weighted_median(np.array([max(part.width, part.height) for part in parts]), areas)
    strength = _weighted_median(np.array([part.strength for part in parts]), areas)
    return [part for part in parts if max(part.width, part.height) > SPECK * usual and part.strength > FAINT * strength]


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
    while near := [part for part in others if _distance(part.box, whole) < REACH * max(whole[2] - whole[0], whole[3] - whole[1])]:
        belonging += near
        others = [part for part in others if part not in near]
        for part in near:
            whole = _around(whole, part.box)
    return belonging


def _without_underlines(parts: list[_Component], judge: Judge) -> list[_Component]:
    """Drop lying lines below what is as much of a digit without them, so that the foot of a broken 2 stays."""
    below = {line: bodies for line in parts if _lies(line) and (bodies := [part for part in parts if _stands_on(part, line)])}
    if not below:
        return parts
    pairs = [(body, line) for line, bodies in below.items() for body in bodies]
    sure = judge([*(body for body, _ in pairs), *(_joined(body, line) for body, line in pairs)])
    better = {(body, line) for (body, line), alone, both in zip(pairs, sure, sure[len(pairs) :], strict=False) if alone >= both}
    return [part for part in parts if part not in below or not all((body, part) in better for body in below[part])]


def _lies(part: Candidate) -> bool:
    return part.height < FLAT * part.width


def _stands_on(body: Candidate, line: Candidate) -> bool:
    """Whether the line runs below most of the body, and close to it."""
    shared = min(body.box[2], line.box[2]) - max(body.box[0], line.box[0])
    gap = line.box[1] - body.box[3]
    return (
        not _lies(body) and shared > 0.5 * body.width and -0.1 * body.height < gap < body.height and line.width > 0.5 * body.height
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
    return overlap > 0.5 * part.width and gap < 0.25 * body.height and part.height < 0.6 * body.height


def _merge_broken(parts: list[Candidate], usual: float, judge: Judge) -> list[Candidate]:
    """Join neighbours that are more digit-like together than apart, best first: broken strokes, detached bars and feet."""
    for _ in range(3):
        pairs = [(i, j) for i in range(len(parts)) for j in range(i) if _may_be_one(parts[i], parts[j], usual)]
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
    return _distance(a.box, b.box) < 0.25 * usual and max(right - left, bottom - top) < (2 if fragment else 1.5) * usual


def _apart(parts: list[Candidate], alone: NDArray[np.floating], pair: tuple[int, int], usual: float) -> float:
    """How digit-like two parts are as two: the worse one of both counts, unless it is too small to be a digit anyway."""
    small, large = sorted(pair, key=lambda index: parts[index].height)
    if parts[small].height < FRAGMENT * usual:
        return float(alone[large]) - 0.05
    return float(min(alone[small], alone[large])) + 0.1


def _cut_touching(parts: list[Candidate], usual: float, judge: Judge) -> list[Candidate]:
    """Cut what is too wide for one digit where that makes better digits."""
    sure = judge(parts)
    narrow = np.array([_is_narrow(part) and part.height > 0.5 * usual for part in parts])
    digits = narrow & (sure > SURE)
    pieces: list[Candidate] = []
    for number, part in enumerate(parts):
        others = int(narrow.sum()) - int(narrow[number])
        company = (int(digits.sum()) - int(digits[number])) / others if others else None
        least = _least_sure(part, float(sure[number]), usual, company)
        pieces += [part] if least is None else _best_cut(part, judge, least)
    return pieces


def _is_narrow(part: Candidate) -> bool:
    return part.width < WIDE_IF_DOUBTFUL * part.height


def _least_sure(part: Candidate, sure: float, usual: float, company: float | None) -> float | None:
    """How sure every piece of this part must be for a cut; None where it can be no several digits.

    company: the share of digits among the page's other narrow parts. Among letters, what is wide is a letter too; among digits,
    what is narrow and no digit may be two.
    """
    shape = part.width / part.height
    if part.height <= 0.5 * usual or (company is not None and company < 0.5):
        return None
    if shape > (WIDE if sure > SURE or company is None else WIDE_IF_DOUBTFUL):
        return LEAST_SURE if company is not None else LEAST_SURE_IF_ALONE
    return LEAST_SURE_IF_NARROW if company is not None and sure < 0.5 and shape > NARROWEST else None


def _best_cut(part: Candidate, judge: Judge, least: float) -> list[Candidate]:
    """The way of cutting a part from top to bottom, or not, whose worst piece is most digit-like, weighed by width."""
    seams = _seams(part)
    if not 0 < len(seams) <= MOST_SEAMS:
        return [part]
    edges = [np.zeros(part.height, int), *seams, np.full(part.height, part.width)]
    places = [float(edge.mean()) for edge in edges]
    whole = 0, len(edges) - 1
    spans = [
        (i, j)
        for i in range(len(edges))
        for j in range(i + 1, len(edges))
        if places[j] - places[i] < WIDEST_PIECE * part.height or (i, j) == whole
    ]
    pieces = {span: piece for span in spans if (piece := _piece(part, edges[span[0]], edges[span[1]])) is not None}
    sure = dict(zip(pieces, judge(list(pieces.values())), strict=True))
    best: dict[int, tuple[float, list[Candidate]]] = {0: (0.0, [])}
    for end in range(1, len(edges)):
        ways = [
            (best[start][0] + np.log(max(1e-6, float(sure[start, end]))) - CUT_COST, [*best[start][1], pieces[start, end]])
            for start in range(end)
            if start in best and (start, end) in sure and (sure[start, end] >= least or (start, end) == whole)
        ]
        if ways:
            best[end] = max(ways, key=lambda way: way[0])
    return best[len(edges) - 1][1] if len(edges) - 1 in best else [part]


def _seams(part: Candidate) -> list[NDArray[np.intp]]:
    """Ways from top to bottom to cut along, a column for each row; from left to right: of little ink, and from notch to notch."""
    rows = min(part.height, SEAM_ROWS)
    columns = max(2, round(part.width * rows / part.height))
    small = cv2.resize(part.mask.view(np.uint8) * 255, (columns, rows), interpolation=cv2.INTER_AREA)
    ink = small.astype(np.float32) / np.float32(255)
    margin = max(2, round(0.12 * rows))
    paths = sorted([*_of_little_ink(ink, margin), *_between_notches(ink > 0.5, margin)], key=lambda path: float(path.mean()))
    scale = part.width / columns
    places = np.linspace(0, rows - 1, part.height)
    return [np.rint(np.interp(places, np.arange(rows), path + 0.5) * scale).astype(np.intp) for path in paths]


def _of_little_ink(ink: NDArray[np.float32], margin: int) -> list[NDArray[np.intp]]:
    """Ways that wind between the strokes, one for each place to cut."""
    rows, columns = ink.shape
    middle = rows // 2
    above, upwards = _cheapest(ink[: middle + 1])
    below, downwards = _cheapest(ink[middle:][::-1])
    cost = above + below
    chosen: list[int] = []
    for column in np.argsort(cost, kind="stable"):
        inside = margin <= column < columns - margin
        if inside and cost[column] < MOST_CUT * rows and all(abs(column - other) > margin for other in chosen):
            chosen.append(int(column))
    return [np.concatenate([_back(upwards, column), _back(downwards, column)[::-1][1:]]) for column in chosen]


def _between_notches(mask: Mask, margin: int) -> list[NDArray[np.intp]]:
    """Straight ways from where the outline dips in from above to where it does so from below: through strokes shared by two."""
    rows, columns = mask.shape
    upper, lower = _notches(mask, margin), _notches(mask[::-1], margin)
    ends = [(x, y) for x in upper for y in lower if abs(x - y) < STEEPEST_CUT * rows]
    lonely = [x for x in upper if all(x != end for end, _ in ends)], [y for y in lower if all(y != end for _, end in ends)]
    ends += [(x, x) for x in (*lonely[0], *lonely[1])]
    return [np.rint(np.linspace(x, y, rows)).astype(np.intp) for x, y in ends if margin <= (x + y) / 2 < columns - margin]


def _notches(mask: Mask, margin: int) -> list[int]:
    """The columns where the first ink from above lies deeper than to either side, by as much as a stroke's thickness."""
    depth = np.where(mask.any(axis=0), mask.argmax(axis=0), len(mask))
    found: list[int] = []
    for column in np.argsort(-depth, kind="stable"):
        left, right = depth[max(0, column - 4 * margin) : column], depth[column + 1 : column + 4 * margin]
        deep = len(left) and len(right) and depth[column] - max(left.min(), right.min()) >= margin
        if deep and all(abs(column - other) > margin for other in found):
            level = np.flatnonzero(depth == depth[column])
            found.append(int(np.median(level[np.abs(level - column) <= margin])))
    return found


def _cheapest(ink: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.intp]]:
    """(ink on the way from the first row to each column of the last, the column that each step came from), at most 45 degrees."""
    rows, columns = ink.shape
    origins = np.zeros((rows, columns), np.intp)
    total = ink[0]
    for row in range(1, rows):
        padded = np.pad(total, 1, constant_values=np.inf)
        ways = np.stack([padded[1:-1], padded[:-2] + SIDESTEP, padded[2:] + SIDESTEP])
        step = ways.argmin(axis=0)
        origins[row] = np.arange(columns) + np.array([0, -1, 1])[step]
        total = ways[step, np.arange(columns)] + ink[row]
    return total, origins


def _back(origins: NDArray[np.intp], column: int) -> NDArray[np.intp]:
    path = np.full(len(origins), column, np.intp)
    for row in range(len(origins) - 1, 0, -1):
        path[row - 1] = origins[row, path[row]]
    return path


def _piece(part: Candidate, left: NDArray[np.intp], right: NDArray[np.intp]) -> Candidate | None:
    """What lies between two seams, or None where there is next to nothing."""
    columns = np.arange(part.width)
    mask = part.mask & (columns >= left[:, None]) & (columns < right[:, None])
    x, y, width, height = cv2.boundingRect(mask.view(np.uint8))
    if height < LOWEST_PIECE * part.height:
        return None
    box = part.box[0] + x, part.box[1] + y, part.box[0] + x + width, part.box[1] + y + height
    return Candidate(box, mask[y : y + height, x : x + width])


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
