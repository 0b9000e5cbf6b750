"""From a picture to a page: its ink, its candidates, and each of them as the network will see it.

An upright picture comes in, a Page goes out. This module leads through finding ink, removing
printed lines, segmentation and `fields`. It knows no networks: the caller passes `judge`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from inkdigits.core.digits import SIDE, Pixels, Plane
from inkdigits.reading.preprocessing.candidate import Box, Candidate, bounding_box
from inkdigits.reading.preprocessing.fields import DIGIT, Field, as_is, stroke_width, to_field
from inkdigits.reading.preprocessing.ink import (
    POLARITY_SIDE,
    Ink,
    find_ink,
    find_ink_in_few_pixels,
)
from inkdigits.reading.preprocessing.picture import Picture, Source, open_picture
from inkdigits.reading.preprocessing.planes import (
    as_plane,
    grey_of,
    overview_of,
    rectangle,
    rim_of,
)
from inkdigits.reading.preprocessing.printed_lines import without_printed_lines
from inkdigits.reading.preprocessing.segmentation import find_candidates

# Returns how sure one can be that each field is one digit: (N, 28, 28) uint8 -> (N,), 0 to 1.
FieldJudge = Callable[[Pixels], NDArray[np.floating]]

SMALLEST_SIDE = 96  # pixels; smaller pictures are enlarged before ink is looked for
EDGE = 2  # pixels around the mask whose greys still belong to the stroke

# Outline pixels per pixel of the original. Writing has 0.02 to 0.2, noise 0.5 to 1.
TEXTURE = 0.4
TEXTURE_OF_TINY = 0.75  # tiny pictures of digits reach 0.7
SMALLEST_TEXTURE = 20  # pixels of the shorter side; smaller pictures are tiny
BUSY = 0.2  # with so much outline, greys that are distributed like noise are noise

NOISE = 0.15  # correlation of neighbours; pure noise has 0 (sd 0.03 in 28x28), writing from 0.28
ROWS_FOR_NOISE = 400  # of a large picture are enough to know noise by

# Pixels of a side before and after pixels were repeated.
SMALLEST_IN_BLOCKS = 8
LARGEST_IN_BLOCKS = 1000
ROUNDING = 1e-6  # of a pixel

WIDEST = 2.0  # width over height of a digit
FRAGMENT = 0.4  # of the line's usual height
FILLED = 0.38  # stroke width over size; a disc has 0.5, MNIST's thickest digits 0.25


@dataclass(frozen=True)
class Page:
    """A picture prepared for the network.

    Attributes:
        picture: the pixels in which ink was looked for.
        ink: all of it.
        candidates: in reading order.
        fields: (N, 28, 28) uint8, each candidate as the network will see it.
        flaws: for each candidate why it cannot be a digit, or None.
    """

    picture: Picture
    ink: Ink
    candidates: tuple[Candidate, ...]
    fields: Pixels
    flaws: tuple[str | None, ...]
    warnings: tuple[str, ...] = ()

    def in_original(self, box: Box) -> Box:
        """Return a box of this page in pixels of the upright original."""
        x, y = self.picture.scale
        left, top, right, bottom = box
        return round(left * x), round(top * y), round(right * x), round(bottom * y)


def single(source: Source) -> Field:
    """Return the one digit in a picture as MNIST would have it.

    Args:
        source: a path, the bytes of a file, a PIL image or an array. A picture that has MNIST's
            geometry already comes back unchanged, light on dark.

    Returns:
        (28, 28) uint8, paper 0 to ink 255; all 0 if the picture is blank.

    Raises:
        BadPicture: the picture cannot be read.
    """
    page = prepare(open_picture(source), single=True)
    return page.fields[0] if len(page.fields) else np.zeros((SIDE, SIDE), np.uint8)


def prepare(picture: Picture, single: bool = False, judge: FieldJudge | None = None) -> Page:
    """Find the candidates in a picture and bring each to the network's geometry.

    Args:
        picture: upright.
        single: whether it holds at most one digit.
        judge: how digit-like fields are. With it, broken strokes are joined and touching digits cut
            where that makes better digits.
    """
    field = as_is(picture.pixels)
    if field is None:
        picture = _in_own_pixels(picture)
        field = as_is(picture.pixels)
    if field is not None:
        return _page_of_field(picture, field)

    enlarged, factor = _large_enough(picture)
    ink = _find_writing(enlarged.pixels, factor, noise=_is_noise(picture.pixels))

    def judge_candidates(candidates: Sequence[Candidate]) -> NDArray[np.floating]:
        return judge(_fields(ink, candidates)) if judge else np.zeros(len(candidates))

    candidates = tuple(find_candidates(ink.mask, ink.strength, single, judge_candidates))
    fields = _fields(ink, candidates)
    warnings = picture.warnings + ink.warnings + _warnings(candidates, enlarged)
    return Page(enlarged, ink, candidates, fields, _flaws(candidates), warnings)


def _page_of_field(picture: Picture, field: Field) -> Page:
    """Return the page of a picture that is a field already."""
    light_on_dark = field is picture.pixels
    warnings = ("light ink on dark paper",) if light_on_dark else ()
    mask = field > 0
    ink = Ink(field, mask, 1.0, 0.0, light_on_dark, warnings)

    left, top, width, height = cv2.boundingRect(mask.view(np.uint8))
    box = left, top, left + width, top + height
    whole = Candidate(box, mask[top : top + height, left : left + width])
    return Page(picture, ink, (whole,), field[None], (None,), picture.warnings + warnings)


def _fields(ink: Ink, candidates: Sequence[Candidate]) -> Pixels:
    """Bring candidates to MNIST's geometry, (N, 28, 28)."""
    fields = [to_field(_strokes(ink, candidate)) for candidate in candidates]
    return np.array(fields, np.uint8).reshape(-1, SIDE, SIDE)


def _strokes(ink: Ink, candidate: Candidate) -> Plane:
    """Return a candidate's ink alone, its edge's greys included, a little larger than its box."""
    left, top, right, bottom = candidate.box
    height, width = ink.strength.shape
    above = min(EDGE, top)
    below = min(EDGE, height - bottom)
    before = min(EDGE, left)
    after = min(EDGE, width - right)

    own = candidate.mask.view(np.uint8)
    mask = cv2.copyMakeBorder(own, above, below, before, after, cv2.BORDER_CONSTANT, value=(0,))
    near = cv2.dilate(mask, rectangle(2 * EDGE + 1, 2 * EDGE + 1))
    around = ink.strength[top - above : bottom + below, left - before : right + after]
    return as_plane(cv2.multiply(around, near))


# ---- pictures without writing


def _find_writing(pixels: Plane, factor: int, noise: bool) -> Ink:
    """Return the ink of strokes without printed lines; none if all of it is noise or texture.

    Args:
        pixels: (H, W) or (H, W, 3).
        factor: by which the picture was enlarged.
        noise: whether the picture is noise.
    """
    is_tiny = min(pixels.shape[:2]) < SMALLEST_TEXTURE * factor
    if is_tiny:
        ink = find_ink_in_few_pixels(pixels)
        texture = TEXTURE_OF_TINY
    else:
        ink = without_printed_lines(find_ink(pixels))
        texture = TEXTURE

    outline = factor * float(rim_of(ink.mask).mean())
    is_busy = outline > BUSY and not is_tiny and _is_normal(pixels)
    if outline < texture and not noise and not is_busy:
        return ink

    blank = np.zeros_like(ink.strength)
    warnings = (*ink.warnings, "texture, no writing")
    return replace(ink, strength=blank, mask=blank > 0, warnings=warnings)


def _is_noise(pixels: Plane) -> bool:
    """Tell whether pixels are independent of their neighbours, as without paper and strokes."""
    if min(pixels.shape[:2]) < 2:
        return False

    grey = pixels if pixels.ndim == 2 else pixels[:, :, 1]  # green, which makes most of the grey
    step = max(1, len(grey) // ROWS_FOR_NOISE)
    rows = np.float32(grey[:-1:step])
    below = np.float32(grey[1::step])
    rows = rows - rows.mean()
    below = below - below.mean()
    together = float((rows[:, 1:] * rows[:, :-1]).mean() + (rows * below).mean()) / 2
    return together < NOISE * float(rows.var())


def _is_normal(pixels: Plane) -> bool:
    """Tell whether the greys are distributed as those of blurred noise: like a bell.

    Those of writing are skewed, because most of a page is paper.
    """
    grey = overview_of(grey_of(pixels), POLARITY_SIDE).astype(np.float32)
    side = max(3, max(grey.shape) // 4)
    even = grey - cv2.blur(grey, (side, side), borderType=cv2.BORDER_REFLECT)
    deviations = (even - even.mean()) / max(1e-6, float(even.std()))
    skewness = float((deviations**3).mean())  # 0 for a normal distribution
    kurtosis = float((deviations**4).mean())  # 3 for a normal distribution
    return abs(skewness) < 0.4 and 2.5 < kurtosis < 3.6


# ---- pictures in other sizes than their own


def _in_own_pixels(picture: Picture) -> Picture:
    """Return a picture before it was enlarged by repeating pixels, as small as it can have been."""
    pixels = picture.pixels
    height, width = pixels.shape[:2]
    shorter = min(height, width)
    if shorter < 2 * SMALLEST_IN_BLOCKS or max(height, width) > LARGEST_IN_BLOCKS:
        return picture

    axis = int(height > width)  # of the shorter side
    changes = {axis: _changes(pixels, axis)}
    if (np.diff(changes[axis]) < 2).any():  # rows that were repeated are at least two alike
        return picture

    changes[1 - axis] = _changes(pixels, 1 - axis)
    for count in range(SMALLEST_IN_BLOCKS, shorter // 2 + 1):
        rows = _firsts(changes[0], height, round(height * count / shorter))
        columns = _firsts(changes[1], width, round(width * count / shorter))
        if rows is not None and columns is not None:
            own = np.ascontiguousarray(pixels[np.ix_(rows, columns)])
            x, y = picture.scale
            scale = x * width / len(columns), y * height / len(rows)
            return replace(picture, pixels=own, scale=scale)

    return picture


def _changes(pixels: Plane, axis: int) -> NDArray[np.intp]:
    """Return the rows (of axis 0) or columns (of axis 1) that differ from the one before."""
    rows = pixels.swapaxes(0, axis)
    differs = (rows[1:] != rows[:-1]).reshape(len(rows) - 1, -1).any(axis=1)
    return 1 + np.flatnonzero(differs)


def _firsts(changes: NDArray[np.intp], length: int, count: int) -> NDArray[np.intp] | None:
    """Return where each of a number of repeated rows begins; None if a change is elsewhere.

    Resampled by the nearest pixel, Pillow takes the one under the middle, OpenCV the one under the
    upper edge, which at times it rounds down to the one before.
    """
    if len(changes) >= count:
        return None

    for offset in (0.5, 0.0, -ROUNDING):
        places = np.arange(count) * length / count
        starts = np.ceil(places - offset - ROUNDING / 2).astype(np.intp)
        starts[0] = 0
        if np.isin(changes, starts).all():
            return starts

    return None


def _large_enough(picture: Picture) -> tuple[Picture, int]:
    """Enlarge a tiny picture smoothly, and return the factor.

    So a gap of one pixel can be told from two pixels that touch at a corner.
    """
    height, width = picture.pixels.shape[:2]
    factor = -(-SMALLEST_SIDE // max(height, width))
    if factor < 2:
        return picture, 1

    size = width * factor, height * factor
    pixels = as_plane(cv2.resize(picture.pixels, size, interpolation=cv2.INTER_CUBIC))
    scale = picture.scale[0] / factor, picture.scale[1] / factor
    return replace(picture, pixels=pixels, scale=scale), factor


# ---- warnings and flaws


def _warnings(candidates: Sequence[Candidate], picture: Picture) -> tuple[str, ...]:
    if not candidates:
        return ()

    warnings = []
    height, width = picture.pixels.shape[:2]
    left, top, right, bottom = bounding_box(candidate.box for candidate in candidates)
    if min(left, top, width - right, height - bottom) <= 0:
        warnings.append("touches the border")

    x, y = picture.scale
    smallest = round(min(max(found.width * x, found.height * y) for found in candidates))
    if smallest < DIGIT:
        warnings.append(f"upscaled from {smallest} px")

    return tuple(warnings)


def _flaws(candidates: Sequence[Candidate]) -> tuple[str | None, ...]:
    """Return why candidates cannot be digits, by their shape and by the others in their line."""
    heights: dict[int, list[int]] = {}
    for candidate in candidates:
        heights.setdefault(candidate.line, []).append(candidate.height)

    usual = {line: float(np.median(some)) for line, some in heights.items()}
    return tuple(_flaw(candidate, usual[candidate.line]) for candidate in candidates)


def _flaw(candidate: Candidate, usual_height: float) -> str | None:
    if candidate.width > WIDEST * candidate.height:
        return "wider than any digit"

    if candidate.height < FRAGMENT * usual_height:
        return "a fragment, much lower than the rest of the line"

    size = max(candidate.width, candidate.height)
    if stroke_width(candidate.mask.view(np.uint8) * 255) > FILLED * size:
        return "a filled shape without strokes"

    return None
