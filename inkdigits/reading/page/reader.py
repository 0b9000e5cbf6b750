"""From a picture to the symbols written in it, in reading order, with what each of them may be.

    survey (pieces with maps) -> decoding (symbols) -> look -> lines

This module leads through these steps; each has a file of its own.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from inkdigits.core.digits import CLASSES, Pixels
from inkdigits.reading.page.decoding import Symbol, find_symbols, shared_areas
from inkdigits.reading.page.find import SLASH, Box, Find
from inkdigits.reading.page.lines import find_lines
from inkdigits.reading.page.look import PLANES, looks, near_views
from inkdigits.reading.page.maps import FINE, Floats, page_maps, softmax
from inkdigits.reading.page.networks import FOLDER, LOOK_FILE, PAGE_FILE, PixelNetwork
from inkdigits.reading.page.survey import Piece, Survey, look_at, survey
from inkdigits.reading.page.warnings import signs_warning, warnings_for
from inkdigits.reading.preprocessing.noise import is_noise
from inkdigits.reading.preprocessing.picture import Picture

# Of 3,811 digits on training pages of the validation split none had less; of all else 18 % had.
LEAST_DIGIT = 0.02  # probability of being a digit from which a symbol is looked at again
MOST_LOOKS = 200  # on a page, at the least sure symbols; half a second of one core
LOOKS_AT_ONCE = 64  # by the network, whose layers then take 20 MB
VIEWS_AT_ONCE = 256  # are taken of symbols, which needs 20 MB
SAME = 0.5  # intersection over union from which the less sure of two finds is the same symbol
INSIDE = 0.75  # share of a digit inside another one from which it is a part of that
MAY_BE_DIGIT = 0.3  # probability from which that is asked at all
# Times, what is a digit in a picture of one symbol at most: of 400 digits on validation pages the
# calibration error is 1.4 % with 3 or 4, and 2.0 % with 1.
LIKELIER_ALONE = 4.0


@dataclass(frozen=True, eq=False)
class Page:
    """A picture with the symbols that were found in it.

    Attributes:
        picture: upright.
        pieces: the parts of it in which there is writing of any kind.
        candidates: what may be digits, in reading order.
        signs: full stops, dashes and the like.
        warnings: sentences on what may go wrong.
    """

    picture: Picture
    pieces: tuple[Piece, ...]
    candidates: tuple[Find, ...]
    signs: tuple[Find, ...]
    warnings: tuple[str, ...]

    def in_original(self, box: Box) -> Box:
        """Return a box of this page in pixels of the upright original."""
        x, y = self.picture.scale
        left, top, right, bottom = box
        return round(left * x), round(top * y), round(right * x), round(bottom * y)


class PageReader:
    """Finds the symbols in pictures. Several threads may call it at a time.

    Args:
        threads: how many one call may use.

    Raises:
        BadModel: a network's file is damaged.
    """

    def __init__(self, threads: int = 1) -> None:
        self._page = PixelNetwork(FOLDER / PAGE_FILE, threads)
        self._look = PixelNetwork(FOLDER / LOOK_FILE, threads)

    def survey(self, picture: Picture) -> Survey | None:
        """Find where to look in an upright picture; None if it is noise."""
        return None if is_noise(picture.pixels) else survey(self._page, picture.rgb)

    def read_part(self, pixels: Pixels, most: int) -> Page:
        """Find the digits in a part of a picture, (H, W, 3), that has the scale of a piece.

        Those at its edges may be cut, and are left out. Of others, the `most` nearest to its middle
        are looked at.
        """
        size = np.array(pixels.shape[1::-1])
        piece = Piece(pixels, 0, 0, 1.0, page_maps(self._page, pixels))
        symbols = [symbol for symbol in find_symbols(piece.maps) if _is_inside(symbol, size)]
        symbols.sort(key=lambda symbol: np.abs(_middle(symbol) - size / 2).max())
        places = [(piece, symbol) for symbol in symbols[:most]]
        finds, _ = self._find_in([piece], places, pixels.shape[1::-1])
        candidates = tuple(find for find in finds if not find.is_sign)
        return Page(Picture(pixels), (piece,), candidates, (), ())

    def read(self, picture: Picture, single: bool = False, surveyed: Survey | None = None) -> Page:
        """Find the symbols in an upright picture.

        Args:
            picture: upright.
            single: whether it holds at most one digit; the likeliest one is then the candidate.
            surveyed: what `survey` says of the picture, if it was asked before.
        """
        surveyed = surveyed or self.survey(picture)
        pieces = look_at(self._page, surveyed) if surveyed else []
        height, width = picture.pixels.shape[:2]
        places = [(piece, symbol) for piece in pieces for symbol in find_symbols(piece.maps)]
        finds, once = self._find_in(pieces, places, (width, height))
        signs = tuple(find for find in finds if find.is_sign)
        candidates = tuple(find for find in finds if not find.is_sign)
        if single and finds:
            candidates = (_likeliest_alone(finds),)
            signs = ()

        warnings = (
            *picture.warnings,
            *warnings_for(picture, candidates),
            *signs_warning(() if single else finds),
            *_crowd_warning(once),
        )
        return Page(picture, tuple(pieces), candidates, signs, warnings)

    def _find_in(
        self,
        pieces: Sequence[Piece],
        places: Sequence[tuple[Piece, Symbol]],
        size: tuple[int, ...],
    ) -> tuple[tuple[Find, ...], int]:
        """Tell what the symbols in all pieces are.

        Args:
            pieces: of one picture.
            places: each symbol with the piece that it was found in.
            size: width and height of the picture.

        Returns:
            The symbols, each once, in reading order, and how many that may be digits were looked at
            once only, since there are so many.
        """
        if not places:
            return (), 0

        logits = np.stack([symbol.kind for _, symbol in places])
        chances = softmax(logits)
        worth = _worth_a_look(chances)
        asked = worth[:MOST_LOOKS]
        near = _seen(near_views, pieces, places, worth[MOST_LOOKS:])
        if asked:
            seen = _seen(looks, pieces, places, asked)
            taken = np.stack([seen[number] for number in asked])
            chances[asked] = self._look_again(taken, logits[asked])
            near |= {number: look[:PLANES] for number, look in seen.items()}

        finds = [
            Find(_box(piece, symbol, size), chances[number], piece, symbol, near.get(number))
            for number, (piece, symbol) in enumerate(places)
        ]
        return _in_reading_order(_distinct(finds)), len(worth) - len(asked)

    def _look_again(self, looks: Pixels, logits: Floats) -> Floats:
        """Return the chances (K, 16) by the second network, of looks (K, 6, 32, 32)."""
        starts = range(0, len(looks), LOOKS_AT_ONCE)
        parts = [
            self._look(looks[start : start + LOOKS_AT_ONCE], logits[start : start + LOOKS_AT_ONCE])
            for start in starts
        ]
        return np.concatenate([chances for (chances,) in parts])


def _is_inside(symbol: Symbol, size: NDArray[np.int64]) -> bool:
    """Tell whether a symbol of a piece of some width and height keeps away from its edges."""
    box = np.array(symbol.box)
    return bool((box[:2] >= FINE).all() and (box[2:] <= size - FINE).all())


def _middle(symbol: Symbol) -> NDArray[np.float64]:
    box = np.array(symbol.box)
    return (box[:2] + box[2:]) / 2


def _seen(
    views: Callable[[Piece, Sequence[Symbol]], Pixels],
    pieces: Sequence[Piece],
    places: Sequence[tuple[Piece, Symbol]],
    numbers: Sequence[int],
) -> dict[int, Pixels]:
    """View some symbols, a piece at a time.

    Args:
        views: `looks` or `near_views`.
        pieces: of a picture.
        places: each symbol with the piece that it was found in.
        numbers: of the symbols to view.

    Returns:
        (planes, 32, 32) uint8 for each number.
    """
    seen: dict[int, Pixels] = {}
    for piece in pieces:
        here = [number for number in numbers if places[number][0] is piece]
        for start in range(0, len(here), VIEWS_AT_ONCE):
            part = here[start : start + VIEWS_AT_ONCE]
            taken = views(piece, [places[number][1] for number in part])
            seen |= dict(zip(part, taken, strict=True))

    return seen


def _likeliest_alone(finds: Sequence[Find]) -> Find:
    """Return the find that most surely is some digit, if there is one symbol in the picture."""
    alone = [_if_alone(find) for find in finds]
    return max(alone, key=lambda find: float(find.chances[:CLASSES].max()))


def _if_alone(find: Find) -> Find:
    """Return a find as if it stood alone: it is no slash, but may be a 1.

    What is a digit then, is one more surely than among all that stands on pages.
    """
    chances = find.chances.copy()
    chances[SLASH] = 0
    if chances.sum() <= 0:
        return replace(find, line=0)

    alone = replace(find, chances=chances / chances.sum(), line=0)
    if not alone.is_digit:
        return alone

    chances[:CLASSES] *= LIKELIER_ALONE
    return replace(alone, chances=chances / chances.sum())


def _crowd_warning(once: int) -> tuple[str, ...]:
    """Return a warning if so many symbols were looked at once only."""
    return (f"crowded: {once} symbols were looked at once only",) if once else ()


def _worth_a_look(chances: Floats) -> list[int]:
    """Return which symbols may well be digits, the least sure first.

    Args:
        chances: (N, 16), of their kinds, by the page network.
    """
    worth = np.flatnonzero(chances[:, :CLASSES].sum(axis=1) > LEAST_DIGIT)
    least_sure = np.argsort(chances[worth].max(axis=1), kind="stable")
    return worth[least_sure].tolist()


@lru_cache(maxsize=4)
def page_reader(threads: int) -> PageReader:
    """Return the page reader that all recognisers with so many threads share."""
    return PageReader(threads)


def _box(piece: Piece, symbol: Symbol, size: tuple[int, ...]) -> Box:
    """Return the box of a symbol in whole pixels of a picture of some width and height."""
    corner = np.array([piece.left, piece.top] * 2)
    box = np.array(symbol.box) / piece.scale + corner
    low = np.rint(box[:2]).clip(0, np.array(size) - 1).astype(int)
    high = np.rint(box[2:]).clip(low + 1, size).astype(int)
    left, top, right, bottom = np.append(low, high).tolist()
    return left, top, right, bottom


def _distinct(finds: Sequence[Find]) -> list[Find]:
    """Return finds without those that are the same symbol as a surer one, or a part of a symbol.

    Pieces overlap, so that a symbol may be found twice, and at two scales in different extents: a
    digit inside one other is a part of it, as a dot is of a colon; what holds several is none.
    """
    if not finds:
        return []

    # A box is known to a cell of its piece, which is much of a thin 1 in a piece made small.
    cells = np.array([FINE / find.piece.scale for find in finds])
    boxes = _as_array(finds) + np.outer(cells / 2, (-1, -1, 1, 1))
    sure = [find.symbol.score + float(find.chances.max()) for find in finds]
    may_be_digit = np.array([find.digit_chance > MAY_BE_DIGIT for find in finds])
    is_sign = np.array([find.is_sign for find in finds])

    surest_first = np.argsort(-np.array(sure), kind="stable").tolist()
    is_kept = np.zeros(len(finds), bool)
    for number in surest_first:
        kept = np.flatnonzero(is_kept & _overlap(boxes[number], boxes))
        are_digits = may_be_digit[kept] & may_be_digit[number]
        are_signs = is_sign[kept] & is_sign[number]
        is_old, holds = _old_and_held(boxes[number], boxes[kept], are_digits | are_signs)
        if not is_old and holds.sum() <= 1:
            is_kept[kept[holds]] = False
            is_kept[number] = True

    return [finds[number] for number in surest_first if is_kept[number]]


def _old_and_held(
    box: NDArray[np.float64], others: NDArray[np.float64], are_alike: NDArray[np.bool_]
) -> tuple[bool, NDArray[np.bool_]]:
    """Compare the box of a symbol (4,) with those of surer ones that overlap it, (K, 4).

    Args:
        box: of the symbol.
        others: of the surer ones.
        are_alike: (K,) whether both are digits, or both signs.

    Returns:
        Whether it is one of them or a part of one, and which of them are parts of it (K,).
    """
    if len(others) == 0:
        return False, are_alike

    area = (box[2:] - box[:2]).prod()
    areas = (others[:, 2:] - others[:, :2]).prod(axis=1)
    shared = shared_areas(box, others)
    is_same = shared > SAME * (area + areas - shared)
    is_inside = are_alike & (shared > INSIDE * area)
    return bool((is_same | is_inside).any()), are_alike & (shared > INSIDE * areas)


def _overlap(box: NDArray[np.float64], others: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Tell which of other boxes (K, 4) share anything with a box (4,)."""
    left, top, right, bottom = box
    beside = (others[:, 0] < right) & (others[:, 2] > left)
    overlapping: NDArray[np.bool_] = beside & (others[:, 1] < bottom) & (others[:, 3] > top)
    return overlapping


def _in_reading_order(finds: Sequence[Find]) -> tuple[Find, ...]:
    """Return finds line by line, each with the number of its line.

    Lines are those of the digits; all else stands in the line of the nearest digit.
    """
    digits = [find for find in finds if find.is_digit] or list(finds)
    in_lines = set(digits)
    others = [find for find in finds if find not in in_lines]

    lines = find_lines(_as_array(digits))
    placed: list[Find] = []
    for line, numbers in enumerate(lines):
        placed += [replace(digits[number], line=line) for number in numbers]

    centres = _centres(placed)
    for other in others:
        distances = np.abs(centres - _centres([other])).sum(axis=1)
        nearest = placed[int(distances.argmin())]
        placed_other = replace(other, line=nearest.line)
        placed.append(placed_other)

    placed.sort(key=lambda find: (find.line, find.box[0]))
    return tuple(placed)


def _as_array(finds: Sequence[Find]) -> NDArray[np.float64]:
    return np.array([find.box for find in finds], np.float64).reshape(-1, 4)


def _centres(finds: Sequence[Find]) -> NDArray[np.float64]:
    """Return the centres (K, 2) of finds, x and y."""
    boxes = _as_array(finds)
    return (boxes[:, :2] + boxes[:, 2:]) / 2
