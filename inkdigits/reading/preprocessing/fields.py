"""From one digit's ink to what the network sees: a field of 28x28 pixels with MNIST's geometry.

Strokes of any size come in, a field goes out. Source: MNIST's recipe as recovered by L. Bottou
(Yadav & Bottou 2019, "Cold Case: the Lost MNIST Digits"): the tight bounding box is padded to a
square, averaged over areas to 20x20 pixels, stretched to full contrast, and pasted where its centre
of mass is the middle of the field. Before that, a pen thinner or thicker than MNIST's is brought
into its range.
"""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from inkdigits.core.digits import SIDE, Mask, Plane

Field = NDArray[np.uint8]  # (28, 28): paper 0, ink 255
Sums = NDArray[np.int64]  # (N,): of the ink in each column, or in each row

DIGIT = 20  # pixels of the longer side of the digit in its field
CENTRE = 15.0  # where the centre of mass is pasted: int(CENTRE - centre), so that it is in [14, 15)
LEEWAY = 0.05  # pixels that the centre of mass of MNIST's own images is off

SUPERSAMPLING = 5  # strokes are worked on at 100 px, and averaged from there to 20
LARGE = DIGIT * SUPERSAMPLING
TIGHT = 40  # strength; the bounding box holds all that is stronger, as in MNIST's averaged pixels
PEN = (1.8, 3.6)  # pixels at a 20-px digit; 5 and 95 % of MNIST's 55,000 are below 1.6 and 3.7
DIAGONAL = 2**0.5  # pixels from the middle of one pixel to that of the next across a corner
PIXEL = 2.0  # length of the outline of a single pixel, as wide as it is long
MOST_GAIN = 1.5  # beyond stretching the maximum to 255


def to_field(strokes: Plane) -> Field:
    """Bring one digit's ink to MNIST's geometry.

    Args:
        strokes: (h, w) uint8, paper 0 to ink 255; not blank.

    Returns:
        (28, 28) uint8, paper 0 to ink 255.
    """
    tight = _strengthen(_crop(strokes))
    digit = _resize(tight, LARGE)
    change = _pen_change(digit)
    if change:
        digit = _change_pen(_resize(tight, LARGE - change), change, otherwise=digit)

    square = _pad_to_square(_crop(digit), LARGE)
    small = Image.fromarray(square).reduce(SUPERSAMPLING)
    return _paste(_stretch_contrast(np.asarray(small)))


def _crop(digit: Plane) -> Plane:
    """Return the tight bounding box of the ink."""
    strong = digit > min(TIGHT, int(digit.max()) // 2)
    left, top, right, bottom = bounding_box(strong)
    return digit[top:bottom, left:right]


def bounding_box(mask: Mask) -> tuple[int, int, int, int]:
    """Return left, top, right, bottom of what is set; all 0 if nothing is."""
    columns = np.flatnonzero(mask.any(axis=0))
    rows = np.flatnonzero(mask.any(axis=1))
    if not len(rows):
        return 0, 0, 0, 0

    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def _strengthen(digit: Plane) -> Plane:
    """Multiply faint ink, which has no width at half of 255, and which rounding would wipe out."""
    return digit * np.uint8(255 // digit.max())


def _resize(digit: Plane, side: int) -> Plane:
    """Resize a digit, so that its longer side has `side` pixels."""
    height, width = digit.shape
    scale = side / max(width, height)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    method = Image.Resampling.HAMMING if scale < 1 else Image.Resampling.BICUBIC
    return np.asarray(Image.fromarray(digit).resize(size, method))


def _pen_change(digit: Plane) -> int:
    """Return by how many pixels the strokes should get wider, or thinner if negative; even."""
    thinnest, thickest = (width * SUPERSAMPLING for width in PEN)
    width = stroke_width(digit)
    change = max(0.0, thinnest - width) + min(0.0, thickest - width)
    return 2 * round(change / 2)


def _change_pen(digit: Plane, change: int, otherwise: Plane) -> Plane:
    """Make strokes wider or thinner; return `otherwise` if nothing would be left of them."""
    diameter = abs(change) + 1
    framed = _frame(digit, diameter // 2)  # or strokes along the edge would change on one side only
    if change > 0:
        return _grow(framed, diameter)

    thin = 255 - _grow(255 - framed, diameter)
    return thin if thin.any() else otherwise


def _grow(digit: Plane, diameter: int) -> Plane:
    """Return the strongest pixel below a round pen around each pixel (a dilation).

    Args:
        digit: (h, w) uint8.
        diameter: of the pen in pixels, odd.
    """
    radius = diameter // 2
    reaches = _reaches(diameter)
    height, width = digit.shape
    framed = _frame(digit, radius)
    near = framed[:, radius : radius + width]  # the strongest of each row, within `reach` pixels
    grown = np.zeros_like(digit)

    for reach in range(radius + 1):
        before = framed[:, radius - reach :][:, :width]
        after = framed[:, radius + reach :][:, :width]
        near = np.maximum(near, np.maximum(before, after))
        for row in np.flatnonzero(reaches == reach):
            np.maximum(grown, near[row : row + height], out=grown)

    return grown


def _frame(digit: Plane, margin: int) -> Plane:
    """Put paper all around a digit."""
    height, width = digit.shape
    framed = np.zeros((height + 2 * margin, width + 2 * margin), np.uint8)
    framed[margin : margin + height, margin : margin + width] = digit
    return framed


def _pad_to_square(digit: Plane, side: int) -> Plane:
    height, width = digit.shape
    top = (side - height) // 2
    left = (side - width) // 2
    square = np.zeros((side, side), np.uint8)
    square[top : top + height, left : left + width] = digit
    return square


def _stretch_contrast(digit: Plane) -> Plane:
    """Stretch the maximum to 255, and further until a quarter of the ink is full, as in MNIST."""
    inked = np.sort(digit[digit > 0])
    strongest = int(inked[-1])
    last = len(inked) - 1
    usual = float(np.interp(0.75 * last, np.arange(last + 1), inked))  # np.percentile takes 5 times
    gain = max(255 / strongest, min(250 / usual, MOST_GAIN * 255 / strongest))
    return np.rint(np.minimum(digit * gain, 255)).astype(np.uint8)


def _paste(digit: Plane) -> Field:
    """Put (20, 20) pixels into (28, 28), so that their centre of mass is in [14, 15)."""
    columns, rows = _ink_along(digit)
    left = min(SIDE - DIGIT, max(0, int(np.ceil(CENTRE - 1 - _centre(columns)))))
    top = min(SIDE - DIGIT, max(0, int(np.ceil(CENTRE - 1 - _centre(rows)))))
    field = np.zeros((SIDE, SIDE), np.uint8)
    field[top : top + DIGIT, left : left + DIGIT] = digit
    return field


def _ink_along(plane: Plane) -> tuple[Sums, Sums]:
    """Return how much ink is in each column, and in each row."""
    return plane.sum(axis=0, dtype=np.int64), plane.sum(axis=1, dtype=np.int64)


def _centre(sums: Sums) -> float:
    """Return where the centre of mass is from the first edge; the first pixel's middle is at 0.5.

    Args:
        sums: (N,) how much ink is in each column or row; not all 0.
    """
    return float(sums @ np.arange(len(sums)) / sums.sum()) + 0.5


def stroke_width(digit: Plane) -> float:
    """Return the mean width of the strokes in pixels: twice the area over the outline's length.

    Args:
        digit: (h, w) uint8, paper 0 to ink 255; from 128 on, a pixel is ink.
    """
    ink = digit > 127
    return 2 * np.count_nonzero(ink) / max(1.0, _outline_length(ink))


def _outline_length(ink: Mask) -> float:
    """Return the length of all outlines, through the middles of the outermost pixels of the ink.

    Each 2x2 pixels tell how the outline passes them: straight where two neighbours are ink, across
    where three are, and across twice where two are that touch at their corners. Source: the bit
    quads of Gray 1971, "Local Properties of Binary Images in Two Dimensions".
    """
    framed = _frame(ink.view(np.uint8), 1)
    inked = _sums_of_four(framed)
    is_corner_to_corner = framed[:-1, :-1] == framed[1:, 1:]
    is_alone = _sums_of_four(inked) == 4  # a pixel without neighbours is in four of the sums

    touching = np.count_nonzero((inked == 2) & is_corner_to_corner)
    straight = np.count_nonzero(inked == 2) - touching
    across = np.count_nonzero(inked == 3) + 2 * touching
    alone = np.count_nonzero(ink & is_alone)
    return straight + DIAGONAL * across + PIXEL * alone


def _sums_of_four(plane: Plane) -> Plane:
    """Return the sum of each 2x2 pixels, (h, w) -> (h - 1, w - 1)."""
    pairs = plane[:-1] + plane[1:]
    return pairs[:, :-1] + pairs[:, 1:]


def disc(diameter: int) -> Plane:
    """Return the mark of a round pen, (diameter, diameter) of 0 and 1."""
    places = np.arange(diameter) - diameter // 2
    return (np.abs(places) <= _reaches(diameter)[:, None]).astype(np.uint8)


def _reaches(diameter: int) -> NDArray[np.int64]:
    """Return how far a round pen reaches to either side of its middle, for each of its rows."""
    radius = diameter // 2  # as OpenCV draws it; with an even diameter, it has an edge cut off
    places = np.arange(diameter) - radius
    return np.rint(np.sqrt(radius**2 - places**2)).astype(np.int64)


def as_is(pixels: Plane) -> Field | None:
    """Return pixels that have MNIST's geometry already, inverted if they are dark on light.

    Args:
        pixels: (H, W) or (H, W, 3) uint8.

    Returns:
        (28, 28), the very same array if it is light on dark, or None.
    """
    if pixels.shape != (SIDE, SIDE):
        return None

    if _is_mnist_like(pixels):
        return pixels

    inverted = 255 - pixels
    return inverted if _is_mnist_like(inverted) else None


def _is_mnist_like(field: Field) -> bool:
    """Tell whether a field has full ink on pure paper, with the size and place of MNIST's digits.

    A little more is let pass, so that every one of MNIST's 60,000 training images is.
    """
    sums = _ink_along(field)
    longest = max(_extent(one) for one in sums)
    if not DIGIT - 1 <= longest <= DIGIT or field.max() < 254:
        return False

    least = SIDE / 2 - LEEWAY
    most = SIDE / 2 + 1 + LEEWAY
    return all(least <= _centre(one) < most for one in sums)


def _extent(sums: Sums) -> int:
    """Return how many columns or rows there are from the first with ink to the last; 0 without."""
    inked = np.flatnonzero(sums)
    return int(inked[-1]) + 1 - int(inked[0]) if len(inked) else 0
