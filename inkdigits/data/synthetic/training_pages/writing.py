"""Put symbols on a page: ink, and whose it is.

Takes glyphs and where they go on the sheet; sees them through a lens. Knows nothing of hands, lines
and paper.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from inkdigits.data.synthetic.training_pages.camera import Lens
from inkdigits.data.synthetic.training_pages.fields import EM, FINENESS, Glyph

Cover = NDArray[np.uint8]  # (H, W): bare 0 to covered 255

COVERED = 100  # of 255, from which on a pixel is a symbol's
LEAST_HALF = 0.45  # pixels: half the width of the thinnest line that a picture can show
LEAST_HARD = 0.62  # pixels: the same where a pixel is covered or not
SOLID_HALF = 0.5  # pixels around a solid shape, so that its thin parts are seen
LEAST_PIXELS = 6  # of visible ink
LEAST_SHARE = 0.4  # of a symbol's ink that has to be in the picture and on top


@dataclass(slots=True)
class Placed:
    """A symbol on the page: its kind, its whole ink in pixels, and its ink's box in the picture."""

    kind: int
    pixels: int
    box: tuple[int, int, int, int]


class Writing:
    """Collect ink and whose it is, while symbols are put on a page.

    Attributes:
        covers: ink of the first pen and of the second; pen: which one writes. owner: int16 (H, W),
            0 or a symbol's number from 1. symbols: in the order of writing.
        lines: numbers of the symbols of each line. extents: left, top, right, bottom of each line
            on the sheet.
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
            glyph: what to put.
            place: of its left end on the baseline, on the sheet.
            frame: (2, 2) ems to lengths on the sheet.
            half: half the width of the pen, pixels.
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
        """See a glyph through the lens: its ink as uint8, and where the ink's upper left corner is
        in the picture.
        """
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
            The owner map; the old numbers of the symbols that are left; the lines, as indices into
            these.
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
