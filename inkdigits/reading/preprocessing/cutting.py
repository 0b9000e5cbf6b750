"""Touching digits: a part that is too wide for one digit comes in, its digits go out.

It is cut where strokes can be parted, if that makes better digits (over-segmentation with dynamic
programming; the ways that wind between strokes are those of seam carving). What makes a good digit
is for `judge` to say.
"""

from collections.abc import Mapping, Sequence
from itertools import combinations

import cv2
import numpy as np
from numpy.typing import NDArray

from inkdigits.core.digits import Mask
from inkdigits.reading.preprocessing.candidate import Candidate, Judge

# Width over height of a part.
WIDE = 1.2  # from which it may be several digits,
WIDE_IF_DOUBTFUL = 0.8  # also where it does not look like one digit,
NARROWEST = 0.55  # or, among digits, where it does not look like a digit at all
WIDEST_PIECE = 1.6  # of a piece, in heights of the part

LOWEST_PIECE = 0.5  # of the height of the part that it was cut from
MOST_SEAMS = 80  # more places to cut at are hatching or a fence

# How sure it is that a part or piece is one digit.
SURE = 0.9
LEAST_SURE = 0.4  # of every piece that a cut leaves,
LEAST_SURE_IF_ALONE = 0.6  # where nothing tells digits from letters,
LEAST_SURE_IF_NARROW = 0.95  # or of what is narrow enough for one letter
CUT_COST = 0.7  # nats that each further digit must earn in confidence

SEAM_ROWS = 48  # a part is reduced to so many before ways through it are looked for
SIDESTEP = np.float32(0.05)  # price of a step aside, in pixels of ink
MOST_CUT = 0.35  # of the height may be ink on the way
STEEPEST_CUT = 0.5  # of the height that a straight cut may lean

Path = NDArray[np.intp]  # a column for each row
Span = tuple[int, int]  # from one place to cut at to another


def cut_touching(parts: list[Candidate], usual: float, judge: Judge) -> list[Candidate]:
    """Cut what is too wide for one digit where that makes better digits.

    Args:
        parts: of one page, in any order.
        usual: the height of a digit there, in pixels.
        judge: how digit-like candidates are.
    """
    sure = judge(parts)
    narrow = np.array([_is_narrow(part) and part.height > 0.5 * usual for part in parts])
    digits = narrow & (sure > SURE)
    pieces = list[Candidate]()
    for number, part in enumerate(parts):
        company = None
        others = int(narrow.sum()) - int(narrow[number])
        if others:
            company = (int(digits.sum()) - int(digits[number])) / others

        least = None
        if part.height > 0.5 * usual:
            least = _least_sure(part.width / part.height, float(sure[number]), company)

        pieces += [part] if least is None else _best_cut(part, judge, least)

    return pieces


def _is_narrow(part: Candidate) -> bool:
    return part.width < WIDE_IF_DOUBTFUL * part.height


def _least_sure(shape: float, sure: float, company: float | None) -> float | None:
    """Return how sure every piece of a part must be for a cut; None if it cannot be several digits.

    Among letters, what is wide is a letter too; among digits, what is narrow and no digit may be
    two.

    Args:
        shape: width over height.
        sure: how sure it is that the part is one digit.
        company: the share of digits among the page's other narrow parts; None if there are none.
    """
    if company is None:
        return LEAST_SURE_IF_ALONE if shape > WIDE else None

    if company < 0.5:
        return None

    if shape > (WIDE if sure > SURE else WIDE_IF_DOUBTFUL):
        return LEAST_SURE

    return LEAST_SURE_IF_NARROW if sure < 0.5 and shape > NARROWEST else None


def _best_cut(part: Candidate, judge: Judge, least: float) -> list[Candidate]:
    """Return the pieces of the best way to cut a part from top to bottom, which may be not to."""
    seams = _seams(part)
    if not 0 < len(seams) <= MOST_SEAMS:
        return [part]

    edges = [np.zeros(part.height, int), *seams, np.full(part.height, part.width)]
    last = len(edges) - 1
    pieces = _pieces(part, edges)
    likely = {
        span: float(sure)
        for span, sure in zip(pieces, judge(list(pieces.values())), strict=True)
        if sure >= least or span == (0, last)
    }
    spans = _best_spans(likely, last)
    return [pieces[span] for span in spans] if spans else [part]


def _pieces(part: Candidate, edges: Sequence[Path]) -> dict[Span, Candidate]:
    """Return the pieces between any two edges that are not too wide for a digit, and the whole."""
    places = [float(edge.mean()) for edge in edges]
    pieces = {}
    for span in combinations(range(len(edges)), 2):
        start, end = span
        is_whole = span == (0, len(edges) - 1)
        if is_whole or places[end] - places[start] < WIDEST_PIECE * part.height:
            piece = _piece(part, edges[start], edges[end])
            if piece is not None:
                pieces[span] = piece

    return pieces


def _best_spans(sure: Mapping[Span, float], last: int) -> list[Span]:
    """Return the spans from 0 to the last place that are surest together, at a price for each.

    There are none if no way leads there.
    """
    best: dict[int, tuple[float, list[Span]]] = {0: (0.0, [])}
    for end in range(1, last + 1):
        ways = []
        for start in range(end):
            if start in best and (start, end) in sure:
                total, spans = best[start]
                total = total + np.log(max(1e-6, sure[start, end])) - CUT_COST
                ways.append((total, [*spans, (start, end)]))

        if ways:
            best[end] = max(ways, key=lambda way: way[0])

    return best[last][1] if last in best else []


def _seams(part: Candidate) -> list[Path]:
    """Return ways from top to bottom to cut along, from left to right.

    They are ways of little ink, and straight ones from notch to notch.
    """
    rows = min(part.height, SEAM_ROWS)
    columns = max(2, round(part.width * rows / part.height))
    small = cv2.resize(
        part.mask.view(np.uint8) * 255, (columns, rows), interpolation=cv2.INTER_AREA
    )
    ink = small.astype(np.float32) / np.float32(255)
    margin = max(2, round(0.12 * rows))
    paths = [*_of_little_ink(ink, margin), *_between_notches(ink > 0.5, margin)]
    paths.sort(key=lambda path: float(path.mean()))

    scale = part.width / columns
    places = np.linspace(0, rows - 1, part.height)
    return [
        np.rint(np.interp(places, np.arange(rows), path + 0.5) * scale).astype(np.intp)
        for path in paths
    ]


def _of_little_ink(ink: NDArray[np.float32], margin: int) -> list[Path]:
    """Return ways that wind between the strokes, one for each place to cut."""
    rows, columns = ink.shape
    middle = rows // 2
    above, upwards = _cheapest(ink[: middle + 1])
    below, downwards = _cheapest(ink[middle:][::-1])
    cost = above + below
    chosen = list[int]()
    for column in np.argsort(cost, kind="stable").tolist():
        if cost[column] >= MOST_CUT * rows:
            break

        is_inside = margin <= column < columns - margin
        if is_inside and _is_apart(column, chosen, margin):
            chosen.append(column)

    return [
        np.concatenate([_back(upwards, column), _back(downwards, column)[::-1][1:]])
        for column in chosen
    ]


def _is_apart(column: int, others: Sequence[int], margin: int) -> bool:
    return all(abs(column - other) > margin for other in others)


def _between_notches(mask: Mask, margin: int) -> list[Path]:
    """Return straight ways between places where the outline dips in from above and from below.

    They lead through strokes that two digits share.
    """
    rows, columns = mask.shape
    upper = _notches(mask, margin)
    lower = _notches(mask[::-1], margin)
    ends = [(x, y) for x in upper for y in lower if abs(x - y) < STEEPEST_CUT * rows]
    paired_upper = {x for x, _ in ends}
    paired_lower = {y for _, y in ends}
    ends += [(x, x) for x in upper if x not in paired_upper]
    ends += [(y, y) for y in lower if y not in paired_lower]
    return [
        np.rint(np.linspace(x, y, rows)).astype(np.intp)
        for x, y in ends
        if margin <= (x + y) / 2 < columns - margin
    ]


def _notches(mask: Mask, margin: int) -> list[int]:
    """Return the columns where the first ink from above is deeper than to either side.

    It is so by as much as a stroke's thickness.
    """
    depth = np.where(mask.any(axis=0), mask.argmax(axis=0), len(mask))
    found = list[int]()
    for column in np.argsort(-depth, kind="stable").tolist():
        left = depth[max(0, column - 4 * margin) : column]
        right = depth[column + 1 : column + 4 * margin]
        if not len(left) or not len(right):
            continue

        is_deep = depth[column] - max(left.min(), right.min()) >= margin
        if is_deep and _is_apart(column, found, margin):
            level = np.flatnonzero(depth == depth[column])
            found.append(int(np.median(level[np.abs(level - column) <= margin])))

    return found


def _cheapest(ink: NDArray[np.float32]) -> tuple[NDArray[np.float32], Path]:
    """Find the ways of least ink from the first row to each column of the last, at most 45 degrees.

    Returns:
        The ink on each way, and for each row and column the column of the row before that it came
        from.
    """
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


def _back(origins: Path, column: int) -> Path:
    """Return the way that ends in a column of the last row."""
    path = np.full(len(origins), column, np.intp)
    for row in range(len(origins) - 1, 0, -1):
        path[row - 1] = origins[row, path[row]]

    return path


def _piece(part: Candidate, left: Path, right: Path) -> Candidate | None:
    """Return what is between two seams, or None where there is next to nothing."""
    columns = np.arange(part.width)
    mask = part.mask & (columns >= left[:, None]) & (columns < right[:, None])
    x, y, width, height = cv2.boundingRect(mask.view(np.uint8))
    if height < LOWEST_PIECE * part.height:
        return None

    left_edge = part.box[0] + x
    top_edge = part.box[1] + y
    box = left_edge, top_edge, left_edge + width, top_edge + height
    return Candidate(box, mask[y : y + height, x : x + width])
