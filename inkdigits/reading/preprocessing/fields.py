"""From a picture to what the network sees: candidates as (N, 28, 28), with exactly MNIST's geometry.

The only place where a photo becomes 28x28. Leads through decoding, ink and segmentation; knows nothing of networks.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from inkdigits.core.digits import SIDE
from inkdigits.reading.preprocessing.candidate import Box, Candidate
from inkdigits.reading.preprocessing.ink import (
    POLARITY_SIDE,
    Ink,
    find_ink,
    find_ink_in_few_pixels,
)
from inkdigits.reading.preprocessing.picture import Picture, Source, open_picture
from inkdigits.reading.preprocessing.planes import grey_of, overview_of
from inkdigits.reading.preprocessing.printed_lines import without_printed_lines
from inkdigits.reading.preprocessing.segmentation import find_candidates

FieldJudge = Callable[[NDArray[np.uint8]], NDArray[np.floating]]
Field = NDArray[np.uint8]  # (28, 28): paper 0, ink 255

DIGIT = 20  # pixels of the longest side of the digit inside it
CENTRE = 15.0  # the paste position is int(CENTRE - centre of mass), so that the mass lies in [14, 15) of the field's edges
LEEWAY = 0.05  # pixels
SMALLEST_SIDE = 96  # pixels; smaller pictures are enlarged before ink is looked for
TEXTURE = 0.4  # outline pixels per pixel of the original; writing has 0.02-0.2, noise 0.5-1,
SMALLEST_TEXTURE = 20  # and tiny pictures (shortest side in px)
TEXTURE_OF_TINY = 0.75  # of digits reach 0.7
ROWS_FOR_NOISE = 400  # of a large picture are enough to know noise by
BUSY = 0.2  # and with so much outline, greys that are distributed like noise are noise
ROUNDING = 1e-6  # of a pixel
SMALLEST_IN_BLOCKS, LARGEST_IN_BLOCKS = (
    8,
    1000,
)  # pixels of a side before and after pixels were repeated
NOISE = 0.15  # correlation of neighbouring pixels; of pure noise it is 0 (sd 0.03 in 28x28 pixels), of real writing 0.28 and more
WIDEST = 2.0  # width over height of a digit
FRAGMENT = 0.4  # of the line's usual height
FILLED = 0.38  # stroke width over size; a disc has 0.5, MNIST's thickest digits 0.25
EDGE = 2  # pixels around the mask whose greys still belong to the stroke
TIGHT = 40  # strength; the digit's tight box holds all that is stronger: the edge of the ink in MNIST's area-averaged pixels
PIXEL = 2.0  # length of the outline of a single pixel, as wide as it is long
PEN = (
    1.8,
    3.6,
)  # pixels at a 20-px digit; MNIST's own strokes lie between 1.6 and 3.7 (5th and 95th percentile)
MOST_GAIN = 1.5  # beyond stretching the maximum to 255
SUPERSAMPLING = 5  # a digit is brought to 100 px, where strokes are worked on, and area-averaged from there to 20 px


@dataclass(frozen=True)
class Page:
    """What a picture holds: its ink, the candidates in reading order and each one as the network will see it.

    fields: (N, 28, 28) uint8. flaws: N reasons why a candidate cannot be a digit whatever the network says, or None.
    """

    picture: Picture
    ink: Ink
    candidates: tuple[Candidate, ...]
    fields: NDArray[np.uint8]
    flaws: tuple[str | None, ...]
    warnings: tuple[str, ...] = ()

    def in_original(self, box: Box) -> Box:
        """Return a box of this page in pixels of the upright original."""
        x, y = self.picture.scale
        left, top, right, bottom = box
        return round(left * x), round(top * y), round(right * x), round(bottom * y)


def single(source: Source) -> Field:
    """The one digit in a picture as MNIST would have it: (28, 28) uint8, paper 0, ink up to 255; all 0 where the picture is blank.

    A picture that has MNIST's geometry already comes back unchanged, light on dark. Raises BadPicture.
    """
    page = prepare(open_picture(source), single=True)
    return page.fields[0] if len(page.fields) else np.zeros((SIDE, SIDE), np.uint8)


def prepare(picture: Picture, single: bool = False, judge: FieldJudge | None = None) -> Page:
    """Find the candidates in a picture and bring each to the network's geometry.

    single: the picture holds at most one digit. judge: (N, 28, 28) uint8 -> (N,), how sure one can be that each is one digit, 0-1;
    with it, broken strokes are joined and touching digits cut where that makes better digits.
    """
    ready = as_is(picture.pixels)
    if ready is None:
        picture = _in_own_pixels(picture)
        ready = as_is(picture.pixels)
    if ready is not None:
        return _page_of(picture, ready)
    enlarged, factor = _large_enough(picture)
    ink = _find_writing(enlarged.pixels, factor, noise=_is_noise(picture.pixels))

    def fields_of(some: Sequence[Candidate]) -> NDArray[np.uint8]:
        return np.array(
            [to_field(_strokes(ink, candidate)) for candidate in some], np.uint8
        ).reshape(-1, SIDE, SIDE)

    def on_candidates(some: Sequence[Candidate]) -> NDArray[np.floating]:
        return judge(fields_of(some)) if judge else np.zeros(len(some))

    candidates = tuple(find_candidates(ink.mask, ink.strength, single, on_candidates))
    warnings = picture.warnings + ink.warnings + _warnings(candidates, enlarged)
    return Page(enlarged, ink, candidates, fields_of(candidates), find_flaws(candidates), warnings)


def _page_of(picture: Picture, field: Field) -> Page:
    """The page of a picture that is a field already."""
    light = field is picture.pixels
    warnings = ("light ink on dark paper",) if light else ()
    mask = field > 0
    ink = Ink(field, mask, 1.0, 0.0, light, warnings)
    return Page(picture, ink, (_whole(mask),), field[None], (None,), picture.warnings + warnings)


def _is_noise(pixels: NDArray[np.uint8]) -> bool:
    """Whether the picture's pixels know nothing of their neighbours, as where there is neither paper nor stroke."""
    if min(pixels.shape[:2]) < 2:
        return False
    grey = pixels if pixels.ndim == 2 else pixels[:, :, 1]  # green, which makes most of the grey
    step = max(1, len(grey) // ROWS_FOR_NOISE)
    rows, below = np.float32(grey[:-1:step]), np.float32(grey[1::step])
    rows, below = rows - rows.mean(), below - below.mean()
    together = float((rows[:, 1:] * rows[:, :-1]).mean() + (rows * below).mean()) / 2
    return together < NOISE * float(rows.var())


def _is_normal(pixels: NDArray[np.uint8]) -> bool:
    """Whether the greys are distributed as those of blurred noise: like a bell. Those of writing are skewed, for paper prevails."""
    grey = overview_of(grey_of(pixels), POLARITY_SIDE).astype(np.float32)
    side = max(3, max(grey.shape) // 4)
    even = grey - cv2.blur(grey, (side, side), borderType=cv2.BORDER_REFLECT)
    deviations = (even - even.mean()) / max(1e-6, float(even.std()))
    skewness, kurtosis = float((deviations**3).mean()), float((deviations**4).mean())
    return (
        abs(skewness) < 0.4 and 2.5 < kurtosis < 3.6
    )  # 0 and 3 are those of a normal distribution


def _find_writing(pixels: NDArray[np.uint8], factor: int, noise: bool) -> Ink:
    """The ink of strokes, without printed lines; none where all is noise or texture. factor: by which the picture was enlarged."""
    tiny = min(pixels.shape[:2]) < SMALLEST_TEXTURE * factor
    ink = find_ink_in_few_pixels(pixels) if tiny else without_printed_lines(find_ink(pixels))
    outline = factor * float(
        (ink.mask & (cv2.erode(ink.mask.view(np.uint8), np.ones((3, 3), np.uint8)) == 0)).mean()
    )
    busy = outline > BUSY and not tiny and _is_normal(pixels)
    if outline < (TEXTURE_OF_TINY if tiny else TEXTURE) and not noise and not busy:
        return ink
    nothing = np.zeros_like(ink.mask)
    return replace(
        ink,
        strength=nothing.astype(np.uint8),
        mask=nothing,
        warnings=(*ink.warnings, "texture, no writing"),
    )


def _in_own_pixels(picture: Picture) -> Picture:
    """The picture that it was before somebody enlarged it by repeating pixels: the smallest that it can have been."""
    pixels = picture.pixels
    height, width = pixels.shape[:2]
    shorter = min(height, width)
    if shorter < 2 * SMALLEST_IN_BLOCKS or max(height, width) > LARGEST_IN_BLOCKS:
        return picture
    axis = 0 if height <= width else 1
    along = _changes(pixels.swapaxes(0, axis))
    if (np.diff(along) < 2).any():  # rows that were repeated change every second time at most
        return picture
    changes = (along, _changes(pixels.swapaxes(0, 1 - axis)))[:: 1 - 2 * axis]
    for n in range(SMALLEST_IN_BLOCKS, shorter // 2 + 1):
        rows, columns = (
            _firsts(some, side, round(side * n / shorter))
            for some, side in zip(changes, (height, width), strict=True)
        )
        if rows is not None and columns is not None:
            scale = picture.scale[0] * width / len(columns), picture.scale[1] * height / len(rows)
            return replace(
                picture, pixels=np.ascontiguousarray(pixels[np.ix_(rows, columns)]), scale=scale
            )
    return picture


def _changes(pixels: NDArray[np.uint8]) -> NDArray[np.intp]:
    """The rows that differ from the one above."""
    return 1 + np.flatnonzero((pixels[1:] != pixels[:-1]).reshape(len(pixels) - 1, -1).any(axis=1))


def _firsts(changes: NDArray[np.intp], length: int, n: int) -> NDArray[np.intp] | None:
    """Where each of n repeated rows begins; None where a change lies elsewhere.

    Resampled by the nearest pixel, Pillow takes the one under the middle, OpenCV the one under the upper edge, which at times it
    rounds down to the one before.
    """
    if len(changes) >= n:
        return None
    for offset in (0.5, 0.0, -ROUNDING):
        starts = np.ceil(np.arange(n) * length / n - offset - ROUNDING / 2).astype(np.intp)
        starts[0] = 0
        if np.isin(changes, starts).all():
            return starts
    return None


def _large_enough(picture: Picture) -> tuple[Picture, int]:
    """(a tiny picture enlarged smoothly, so that what is one pixel apart can be told from what touches at a corner; the factor)."""
    height, width = picture.pixels.shape[:2]
    factor = -(-SMALLEST_SIDE // max(height, width))
    if factor < 2:
        return picture, 1
    pixels = cv2.resize(
        picture.pixels, (width * factor, height * factor), interpolation=cv2.INTER_CUBIC
    )
    scale = picture.scale[0] / factor, picture.scale[1] / factor
    return replace(picture, pixels=np.asarray(pixels, np.uint8), scale=scale), factor


def _warnings(candidates: Sequence[Candidate], picture: Picture) -> tuple[str, ...]:
    if not candidates:
        return ()
    height, width = picture.pixels.shape[:2]
    left, top = min(c.box[0] for c in candidates), min(c.box[1] for c in candidates)
    right, bottom = max(c.box[2] for c in candidates), max(c.box[3] for c in candidates)
    touches = min(left, top, width - right, height - bottom) <= 0
    smallest = round(
        min(max(c.width * picture.scale[0], c.height * picture.scale[1]) for c in candidates)
    )
    upscaled = smallest < DIGIT
    return (("touches the border",) if touches else ()) + (
        (f"upscaled from {smallest} px",) if upscaled else ()
    )


def find_flaws(candidates: Sequence[Candidate]) -> tuple[str | None, ...]:
    """For each candidate why it cannot be a digit, judged by its shape and by the others in its line; None where it can."""
    heights = {
        line: float(np.median([c.height for c in candidates if c.line == line]))
        for line in {c.line for c in candidates}
    }
    return tuple(_flaw(candidate, heights[candidate.line]) for candidate in candidates)


def _flaw(candidate: Candidate, usual_height: float) -> str | None:
    if candidate.width > WIDEST * candidate.height:
        return "wider than any digit"
    if candidate.height < FRAGMENT * usual_height:
        return "a fragment, much lower than the rest of the line"
    if stroke_width(candidate.mask.view(np.uint8) * 255) > FILLED * max(
        candidate.width, candidate.height
    ):
        return "a filled shape without strokes"
    return None


def as_is(pixels: NDArray[np.uint8]) -> Field | None:
    """The field itself where the pixels have MNIST's geometry already, inverted where they are dark on light; else None."""
    if pixels.shape != (SIDE, SIDE):
        return None
    if _is_mnist_like(pixels):
        return pixels
    inverted = np.asarray(cv2.bitwise_not(pixels), np.uint8)
    return inverted if _is_mnist_like(inverted) else None


def _is_mnist_like(field: Field) -> bool:
    """Full ink, a digit with a longest side of 20 px, and its centre of mass in [14, 15) from the field's edges, on pure paper.

    A little more is let pass, so that every one of MNIST's 60,000 training images is.
    """
    width, height = cv2.boundingRect(field)[2:]
    if not DIGIT - 1 <= max(width, height) <= DIGIT or field.max() < 254:
        return False
    return all(
        SIDE / 2 - LEEWAY <= place < SIDE / 2 + 1 + LEEWAY for place in _centre_of_mass(field)
    )


def _centre_of_mass(field: NDArray[np.uint8]) -> tuple[float, float]:
    """(x, y) from the left and upper edges: the middle of the first pixel is at 0.5."""
    moments = cv2.moments(field)
    return moments["m10"] / moments["m00"] + 0.5, moments["m01"] / moments["m00"] + 0.5


def _whole(mask: NDArray[np.bool_]) -> Candidate:
    left, top, width, height = cv2.boundingRect(mask.view(np.uint8))
    return Candidate(
        (left, top, left + width, top + height), mask[top : top + height, left : left + width]
    )


def _strokes(ink: Ink, candidate: Candidate) -> NDArray[np.uint8]:
    """The candidate's ink alone, its edge's greys included: (h, w) uint8, a little larger than its box."""
    left, top, right, bottom = candidate.box
    height, width = ink.strength.shape
    above, below, before, after = (
        min(EDGE, top),
        min(EDGE, height - bottom),
        min(EDGE, left),
        min(EDGE, width - right),
    )
    mask = cv2.copyMakeBorder(
        candidate.mask.view(np.uint8), above, below, before, after, cv2.BORDER_CONSTANT, value=(0,)
    )
    near = cv2.dilate(mask, np.ones((2 * EDGE + 1, 2 * EDGE + 1), np.uint8))
    return np.asarray(
        cv2.multiply(
            ink.strength[top - above : bottom + below, left - before : right + after], near
        ),
        np.uint8,
    )


def to_field(strokes: NDArray[np.uint8]) -> Field:
    """Bring one digit's ink to MNIST's geometry. strokes: (h, w) uint8, paper 0 to ink 255; not blank.

    Source: MNIST's recipe as recovered by L. Bottou: pad the tight box to a square, area-average to 20x20, stretch the maximum
    to 255, paste where the centre of mass is the middle of the field. Before that, a pen that is thinner or thicker than MNIST's
    is brought into its range.
    """
    large = _enlarged(strokes, DIGIT * SUPERSAMPLING)
    change = _pen_change(large)
    if change > 0:
        large = np.asarray(
            cv2.dilate(_enlarged(strokes, DIGIT * SUPERSAMPLING - change), disc(change + 1)),
            np.uint8,
        )
    elif change < 0:
        thin = np.asarray(
            cv2.erode(_enlarged(strokes, DIGIT * SUPERSAMPLING - change), disc(1 - change)),
            np.uint8,
        )
        large = thin if thin.any() else large
    square = _squared(large, DIGIT * SUPERSAMPLING)
    small = cv2.resize(square, (DIGIT, DIGIT), interpolation=cv2.INTER_AREA)
    return _paste(_full_contrast(np.asarray(small, np.uint8)))


def _full_contrast(digit: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Stretch the maximum to 255, and as far beyond as it takes for a quarter of the ink to be full, as in MNIST."""
    inked = digit[digit > 0]
    strongest, usual = int(inked.max()), float(np.percentile(inked, 75))
    return np.asarray(
        cv2.convertScaleAbs(
            digit, alpha=max(255 / strongest, min(250 / usual, MOST_GAIN * 255 / strongest))
        ),
        np.uint8,
    )


def _enlarged(strokes: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """The tight box of the ink, scaled to the longest side."""
    left, top, width, height = cv2.boundingRect(
        (strokes > min(TIGHT, int(strokes.max()) // 2)).view(np.uint8)
    )
    tight = strokes[top : top + height, left : left + width]
    scale = side / max(width, height)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return np.asarray(
        cv2.resize(tight, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC),
        np.uint8,
    )


def _squared(digit: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    left, top, width, height = cv2.boundingRect(
        (digit > min(TIGHT, int(digit.max()) // 2)).view(np.uint8)
    )
    digit = digit[top : top + height, left : left + width][:side, :side]
    height, width = digit.shape
    above, before = (side - height) // 2, (side - width) // 2
    below, after = side - height - above, side - width - before
    return np.asarray(
        cv2.copyMakeBorder(digit, above, below, before, after, cv2.BORDER_CONSTANT, value=(0,)),
        np.uint8,
    )


def _pen_change(digit: NDArray[np.uint8]) -> int:
    """By how many pixels the strokes should get wider (or thinner, where negative) to look like MNIST's; even."""
    width = stroke_width(digit)
    thinnest, thickest = PEN[0] * SUPERSAMPLING, PEN[1] * SUPERSAMPLING
    wanted = max(0.0, thinnest - width) + min(0.0, thickest - width)
    return 2 * round(wanted / 2)


def stroke_width(digit: NDArray[np.uint8]) -> float:
    """Mean width of the strokes in pixels: twice the area over the length of the outline."""
    binary = (digit > 127).view(np.uint8)
    contours, _ = cv2.findContours(binary, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    return (
        2
        * int(binary.sum())
        / max(1.0, sum(max(PIXEL, cv2.arcLength(contour, closed=True)) for contour in contours))
    )


def disc(diameter: int) -> NDArray[np.uint8]:
    """The mark of a round pen."""
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (diameter, diameter)), np.uint8)


def _paste(digit: NDArray[np.uint8]) -> Field:
    """Put (20, 20) into (28, 28) so that its centre of mass comes to lie in [14, 15)."""
    x, y = _centre_of_mass(digit)
    left, top = (
        min(SIDE - DIGIT, max(0, int(np.ceil(CENTRE - 1 - x)))),
        min(SIDE - DIGIT, max(0, int(np.ceil(CENTRE - 1 - y)))),
    )
    field = np.zeros((SIDE, SIDE), np.uint8)
    field[top : top + DIGIT, left : left + DIGIT] = digit
    return field
