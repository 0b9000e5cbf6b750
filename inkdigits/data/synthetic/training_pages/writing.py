"""Put symbols on a page: ink, and whose it is.

Takes glyphs and where they go on the sheet, and sees them through a lens.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from inkdigits.core.digits import Array
from inkdigits.data.synthetic.training_pages.boxes import (
    Box,
    is_empty,
    overlap,
    union,
    whole,
    window,
)
from inkdigits.data.synthetic.training_pages.camera import Lens
from inkdigits.data.synthetic.training_pages.fields import EM, FINENESS, Glyph
from inkdigits.data.synthetic.training_pages.pixels import Layer, Plane, Size

Frame = NDArray[np.float64]  # (2, 2): ems to pixels of the sheet
Bend = NDArray[np.float64]  # (2, 3): how far x and y are moved by each of three waves, ems
SheetBox = tuple[float, float, float, float]  # left, top, right, bottom, pixels of the sheet

COVERED = 100  # of 255, from which on a pixel is a symbol's
LEAST_HALF = 0.45  # pixels: half the width of the thinnest line that a picture can show
LEAST_HARD = 0.62  # pixels: the same where a pixel is covered or not
SOLID_HALF = 0.5  # pixels around a solid shape, so that its thin parts are seen
EDGE = 1.5  # pixels around a line that its soft edge may reach
WIDEST = 900  # pixels of a symbol; a lens at its limits draws them longer
COARSE = 1.2  # pixels to one of a glyph's field, from which on its steps would be seen
LEAST_PIXELS = 6  # of visible ink
LEAST_SHARE = 0.4  # of a symbol's ink that has to be in the picture and on top


@dataclass(slots=True)
class Placed:
    """A symbol on the page: its kind, its whole ink in pixels, and its ink's box in the picture."""

    kind: int
    pixels: int
    box: Box


@dataclass(slots=True)
class Ink:
    """A symbol's ink, uint8 (H, W), and the box of the picture that it covers."""

    alpha: Layer
    box: Box


@dataclass(frozen=True)
class Visible:
    """What can be seen of a page's symbols.

    Attributes:
        owner: int16 (H, W), 0 or the number of a symbol of these, from 1.
        symbols: those that can be seen, in the order of writing.
        lines: for each line its symbols, as indices into `symbols`.
    """

    owner: NDArray[np.int16]
    symbols: list[Placed]
    lines: list[list[int]]


class Writing:
    """Collect ink and whose it is, while symbols are put on a page.

    Attributes:
        size: of the picture, pixels.
        lens: through which the sheet is seen.
        hard: whether a pixel is covered or not, nothing between.
        covers: ink of each pen, uint8 (H, W).
        pen: which one writes.
        owner: int16 (H, W), 0 or a symbol's number from 1.
        symbols: in the order of writing.
        lines: numbers of the symbols of each line.
        extents: of each line, on the sheet.
        cells: in which symbols stand, on the sheet.
        kept: the box of the picture that ink is in.
    """

    def __init__(
        self,
        size: Size,
        lens: Lens,
        *,
        hard: bool = False,
    ) -> None:
        self.size = size
        self.lens = lens
        self.hard = hard
        self.covers: list[Layer] = [np.zeros(size, np.uint8)]
        self.pen = 0
        self.owner = np.zeros(size, np.int16)
        self.symbols: list[Placed] = []
        self.lines: list[list[int]] = []
        self.extents: list[SheetBox] = []
        self.cells: list[SheetBox] = []
        self.kept = whole(size)

    def put(
        self,
        glyph: Glyph,
        place: tuple[float, float],
        frame: Frame,
        half: float,
        *,
        bend: Bend | None = None,
        noise: Plane | None = None,
        number: int | None = None,
    ) -> int | None:
        """Put a glyph on the page.

        Args:
            glyph: what to put.
            place: of its left end on the baseline, on the sheet.
            frame: (2, 2) ems to lengths on the sheet.
            half: half the width of the pen, pixels.
            bend: how the glyph is bent; as it is in the bank unless given.
            noise: float32 (H, W), the pen's width at each pixel, about 1.
            number: the symbol whose ink this is; a new one unless given.

        Returns:
            The symbol's number, or None where nothing of it is in the picture.
        """
        ink = self._ink(glyph, place, frame, half, bend, noise)
        if ink is None:
            return None

        alpha = ink.alpha
        mask = alpha > min(COVERED, int(alpha.max()) // 2)
        seen = overlap(ink.box, whole(self.size))
        in_ink = window(seen - np.tile(ink.box[:2], 2))
        visible = np.ascontiguousarray(mask[in_ink])
        left, top, width, height = cv2.boundingRect(visible.view(np.uint8))
        if not width:
            return None

        box = np.array([left, top, left + width, top + height])
        box += np.tile(seen[:2], 2)
        symbol = Placed(glyph.kind, int(np.count_nonzero(mask)), box)
        if number is None:
            self.symbols.append(symbol)
            number = len(self.symbols)
        else:
            first = self.symbols[number - 1]
            first.pixels += symbol.pixels
            first.box = union(first.box, box)

        in_picture = window(seen)
        cover = self.covers[self.pen][in_picture]
        np.maximum(cover, alpha[in_ink], out=cover)
        self.owner[in_picture][visible] = number

        return number

    def _ink(
        self,
        glyph: Glyph,
        place: tuple[float, float],
        frame: Frame,
        half: float,
        bend: Bend | None,
        noise: Plane | None,
    ) -> Ink | None:
        """Return a glyph's ink as it is seen through the lens, or None outside the picture."""
        point, jacobian = self.lens.at(*place)
        to_picture = jacobian @ frame
        half = max(self._least_half(glyph), half)
        scale = abs(np.linalg.det(to_picture)) ** 0.5 / EM
        bent = 0.0 if bend is None else float(np.abs(bend).sum()) * scale * EM
        box = _reached(glyph, point, to_picture, half + EDGE + bent)
        seen = overlap(box, whole(self.size))
        if is_empty(seen) or box[2] - box[0] > WIDEST:
            return None

        distance = _distances(glyph, box, point, to_picture, bend, fine=scale >= COARSE)
        level = distance.astype(np.float32) * np.float32(-255 * scale / FINENESS)

        if noise is not None and np.array_equal(seen, box):
            level += noise[window(box)] * np.float32(255 * half) + 127
        else:
            level += np.float32(255 * (half + 0.5))

        if self.hard:
            level = np.where(level > 127, 255, 0)

        return Ink(np.clip(level, 0, 255).astype(np.uint8), box)

    def _least_half(self, glyph: Glyph) -> float:
        if glyph.pen == 0:
            return SOLID_HALF
        return LEAST_HARD if self.hard else LEAST_HALF

    def crop(self, box: Box) -> None:
        """Forget the ink outside a box of the picture."""
        self.kept = box
        kept = window(box)
        inside = np.zeros_like(self.owner)
        inside[kept] = self.owner[kept]
        self.owner = inside

        for symbol in self.symbols:
            symbol.box = overlap(symbol.box, box)

    def move(self, across: int, down: int) -> None:
        """Move the ink of a picture that was cropped; what was kept of it stays within."""
        shift = np.array([across, down, across, down])
        self.kept = self.kept + shift
        self.owner = np.roll(self.owner, (down, across), axis=(0, 1))
        for symbol in self.symbols:
            symbol.box = symbol.box + shift

    def visible(self) -> Visible:
        """Return the symbols that can be seen well enough, numbered anew."""
        counts = np.bincount(self.owner.ravel(), minlength=len(self.symbols) + 1)
        numbers = np.zeros(len(self.symbols) + 1, np.int16)
        kept = []

        for number, symbol in enumerate(self.symbols, start=1):
            enough = max(LEAST_PIXELS, LEAST_SHARE * symbol.pixels)
            if counts[number] >= enough:
                kept.append(symbol)
                numbers[number] = len(kept)

        lines = []
        for line in self.lines:
            seen = numbers[line]
            if seen.any():
                lines.append((seen[seen > 0] - 1).tolist())

        return Visible(numbers[self.owner], kept, lines)


def _reached(
    glyph: Glyph,
    point: Array,
    to_picture: Frame,
    reach: float,
) -> Box:
    """Return the box of the picture that a glyph's ink may reach, `reach` pixels around its way."""
    left, top, right, bottom = glyph.box
    across = np.outer(to_picture[:, 0], (left, right))
    down = np.outer(to_picture[:, 1], (top, bottom))
    low = across.min(axis=1) + down.min(axis=1)
    high = across.max(axis=1) + down.max(axis=1)
    start = (point + low - reach).astype(int)
    end = (point + high + reach).astype(int) + 2

    return np.append(start, end)


def _distances(
    glyph: Glyph,
    box: Box,
    point: Array,
    to_picture: Frame,
    bend: Bend | None,
    *,
    fine: bool,
) -> Array:
    """Return the glyph's field as it is seen in a box of the picture; `fine`: without steps."""
    field = glyph.field.astype(np.float32) if fine else glyph.field
    to_ems = np.linalg.inv(to_picture)
    start = to_ems @ (box[:2] - point)
    width, height = (box[2:] - box[:2]).tolist()
    if bend is None:
        return cv2.warpAffine(
            field,
            np.column_stack([EM * to_ems, EM * start + glyph.origin]),
            (width, height),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_CONSTANT,
            borderValue=255,
        )

    columns = to_ems[:, 0, None, None] * np.arange(width)
    rows = to_ems[:, 1, None, None] * np.arange(height)[:, None]
    x, y = _bent(start[:, None, None] + columns + rows, bend)
    return cv2.remap(
        field,
        (EM * x + glyph.origin[0]).astype(np.float32),
        (EM * y + glyph.origin[1]).astype(np.float32),
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=255,
    )


def _bent(places: Array, bend: Bend) -> Array:
    """Move places (2, H, W) along three waves: a bow and an S over the height, one across.

    All lengths are ems.
    """
    x, y = places
    waves = np.stack([np.sin(np.pi * y), np.sin(2 * np.pi * y), np.sin(2 * np.pi * x)])
    return places + np.tensordot(bend, waves, axes=1)
