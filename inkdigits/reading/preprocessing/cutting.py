"""A part that is too wide for one digit -> its digits: where they touch is cut, if that makes better digits.

Takes candidates, returns candidates. What makes a good digit is `judge`'s to say; this knows where strokes can be parted.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from inkdigits.core.digits import Mask
from inkdigits.reading.preprocessing.candidate import Candidate, Judge

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


def cut_touching(parts: list[Candidate], usual: float, judge: Judge) -> list[Candidate]:
    """Cut what is too wide for one digit where that makes better digits.

    parts: of one page, in any order. usual: the height of a digit there, in pixels.
    """
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
    return (
        LEAST_SURE_IF_NARROW if company is not None and sure < 0.5 and shape > NARROWEST else None
    )


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
    pieces = {
        span: piece
        for span in spans
        if (piece := _piece(part, edges[span[0]], edges[span[1]])) is not None
    }
    sure = dict(zip(pieces, judge(list(pieces.values())), strict=True))
    best: dict[int, tuple[float, list[Candidate]]] = {0: (0.0, [])}
    for end in range(1, len(edges)):
        ways = [
            (
                best[start][0] + np.log(max(1e-6, float(sure[start, end]))) - CUT_COST,
                [*best[start][1], pieces[start, end]],
            )
            for start in range(end)
            if start in best
            and (start, end) in sure
            and (sure[start, end] >= least or (start, end) == whole)
        ]
        if ways:
            best[end] = max(ways, key=lambda way: way[0])
    return best[len(edges) - 1][1] if len(edges) - 1 in best else [part]


def _seams(part: Candidate) -> list[NDArray[np.intp]]:
    """Ways from top to bottom to cut along, a column for each row; from left to right: of little ink, and from notch to notch."""
    rows = min(part.height, SEAM_ROWS)
    columns = max(2, round(part.width * rows / part.height))
    small = cv2.resize(
        part.mask.view(np.uint8) * 255, (columns, rows), interpolation=cv2.INTER_AREA
    )
    ink = small.astype(np.float32) / np.float32(255)
    margin = max(2, round(0.12 * rows))
    paths = sorted(
        [*_of_little_ink(ink, margin), *_between_notches(ink > 0.5, margin)],
        key=lambda path: float(path.mean()),
    )
    scale = part.width / columns
    places = np.linspace(0, rows - 1, part.height)
    return [
        np.rint(np.interp(places, np.arange(rows), path + 0.5) * scale).astype(np.intp)
        for path in paths
    ]


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
        if (
            inside
            and cost[column] < MOST_CUT * rows
            and all(abs(column - other) > margin for other in chosen)
        ):
            chosen.append(int(column))
    return [
        np.concatenate([_back(upwards, column), _back(downwards, column)[::-1][1:]])
        for column in chosen
    ]


def _between_notches(mask: Mask, margin: int) -> list[NDArray[np.intp]]:
    """Straight ways from where the outline dips in from above to where it does so from below: through strokes shared by two."""
    rows, columns = mask.shape
    upper, lower = _notches(mask, margin), _notches(mask[::-1], margin)
    ends = [(x, y) for x in upper for y in lower if abs(x - y) < STEEPEST_CUT * rows]
    lonely = (
        [x for x in upper if all(x != end for end, _ in ends)],
        [y for y in lower if all(y != end for _, end in ends)],
    )
    ends += [(x, x) for x in (*lonely[0], *lonely[1])]
    return [
        np.rint(np.linspace(x, y, rows)).astype(np.intp)
        for x, y in ends
        if margin <= (x + y) / 2 < columns - margin
    ]


def _notches(mask: Mask, margin: int) -> list[int]:
    """The columns where the first ink from above lies deeper than to either side, by as much as a stroke's thickness."""
    depth = np.where(mask.any(axis=0), mask.argmax(axis=0), len(mask))
    found: list[int] = []
    for column in np.argsort(-depth, kind="stable"):
        left, right = (
            depth[max(0, column - 4 * margin) : column],
            depth[column + 1 : column + 4 * margin],
        )
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
