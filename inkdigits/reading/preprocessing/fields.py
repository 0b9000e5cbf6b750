"""From one digit's ink to what the network sees: a field of 28x28 pixels with MNIST's geometry.

Strokes of any size come in, a field goes out. Source: MNIST's recipe as recovered by L. Bottou
(Yadav & Bottou 2019, "Cold Case: the Lost MNIST Digits"): the tight bounding box is padded to a
square, averaged over areas to 20x20 pixels, stretched to full contrast, and pasted where its centre
of mass is the middle of the field. Before that, a pen thinner or thicker than MNIST's is brought
into its range.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from inkdigits.core.digits import SIDE, Plane
from inkdigits.reading.preprocessing.planes import as_plane

Field = NDArray[np.uint8]  # (28, 28): paper 0, ink 255

DIGIT = 20  # pixels of the longer side of the digit in its field
CENTRE = 15.0  # where the centre of mass is pasted: int(CENTRE - centre), so that it is in [14, 15)
LEEWAY = 0.05  # pixels that the centre of mass of MNIST's own images is off

SUPERSAMPLING = 5  # strokes are worked on at 100 px, and averaged from there to 20
LARGE = DIGIT * SUPERSAMPLING
TIGHT = 40  # strength; the bounding box holds all that is stronger, as in MNIST's averaged pixels
PEN = (1.8, 3.6)  # pixels at a 20-px digit; MNIST's strokes are 1.6 to 3.7 (5th, 95th percentile)
PIXEL = 2.0  # length of the outline of a single pixel, as wide as it is long
MOST_GAIN = 1.5  # beyond stretching the maximum to 255


def to_field(strokes: Plane) -> Field:
    """Bring one digit's ink to MNIST's geometry.

    Args:
        strokes: (h, w) uint8, paper 0 to ink 255; not blank.

    Returns:
        (28, 28) uint8, paper 0 to ink 255.
    """
    digit = _resize(strokes, LARGE)
    change = _pen_change(digit)
    if change:
        digit = _change_pen(_resize(strokes, LARGE - change), change, otherwise=digit)

    square = _pad_to_square(_crop(digit)[:LARGE, :LARGE], LARGE)
    small = cv2.resize(square, (DIGIT, DIGIT), interpolation=cv2.INTER_AREA)
    return _paste(_stretch_contrast(as_plane(small)))


def _crop(digit: Plane) -> Plane:
    """Return the tight bounding box of the ink."""
    strong = digit > min(TIGHT, int(digit.max()) // 2)
    left, top, width, height = cv2.boundingRect(strong.view(np.uint8))
    return digit[top : top + height, left : left + width]


def _resize(strokes: Plane, side: int) -> Plane:
    """Resize the tight bounding box of the ink, so that its longer side has `side` pixels."""
    tight = _crop(strokes)
    height, width = tight.shape
    scale = side / max(width, height)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    return as_plane(cv2.resize(tight, size, interpolation=method))


def _pen_change(digit: Plane) -> int:
    """Return by how many pixels the strokes should get wider, or thinner if negative; even."""
    thinnest, thickest = (width * SUPERSAMPLING for width in PEN)
    width = stroke_width(digit)
    change = max(0.0, thinnest - width) + min(0.0, thickest - width)
    return 2 * round(change / 2)


def _change_pen(digit: Plane, change: int, otherwise: Plane) -> Plane:
    """Make strokes wider or thinner; return `otherwise` if nothing would be left of them."""
    pen = disc(abs(change) + 1)
    if change > 0:
        return as_plane(cv2.dilate(digit, pen))

    thin = as_plane(cv2.erode(digit, pen))
    return thin if thin.any() else otherwise


def _pad_to_square(digit: Plane, side: int) -> Plane:
    height, width = digit.shape
    top = (side - height) // 2
    left = (side - width) // 2
    square = np.zeros((side, side), np.uint8)
    square[top : top + height, left : left + width] = digit
    return square


def _stretch_contrast(digit: Plane) -> Plane:
    """Stretch the maximum to 255, and further until a quarter of the ink is full, as in MNIST."""
    inked = digit[digit > 0]
    strongest = int(inked.max())
    usual = float(np.percentile(inked, 75))
    gain = max(255 / strongest, min(250 / usual, MOST_GAIN * 255 / strongest))
    return as_plane(cv2.convertScaleAbs(digit, alpha=gain))


def _paste(digit: Plane) -> Field:
    """Put (20, 20) pixels into (28, 28), so that their centre of mass is in [14, 15)."""
    x, y = _centre_of_mass(digit)
    left = min(SIDE - DIGIT, max(0, int(np.ceil(CENTRE - 1 - x))))
    top = min(SIDE - DIGIT, max(0, int(np.ceil(CENTRE - 1 - y))))
    field = np.zeros((SIDE, SIDE), np.uint8)
    field[top : top + DIGIT, left : left + DIGIT] = digit
    return field


def _centre_of_mass(field: Plane) -> tuple[float, float]:
    """Return (x, y) from the left and upper edges; the middle of the first pixel is at 0.5."""
    moments = cv2.moments(field)
    return moments["m10"] / moments["m00"] + 0.5, moments["m01"] / moments["m00"] + 0.5


def stroke_width(digit: Plane) -> float:
    """Return the mean width of the strokes in pixels: twice the area over the outline's length."""
    binary = (digit > 127).view(np.uint8)
    contours, _ = cv2.findContours(binary, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    outline = sum(max(PIXEL, cv2.arcLength(contour, closed=True)) for contour in contours)
    return 2 * int(binary.sum()) / max(1.0, outline)


def disc(diameter: int) -> Plane:
    """Return the mark of a round pen, (diameter, diameter) of 0 and 1."""
    return as_plane(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (diameter, diameter)))


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

    inverted = as_plane(cv2.bitwise_not(pixels))
    return inverted if _is_mnist_like(inverted) else None


def _is_mnist_like(field: Field) -> bool:
    """Tell whether a field has full ink on pure paper, with the size and place of MNIST's digits.

    A little more is let pass, so that every one of MNIST's 60,000 training images is.
    """
    _, _, width, height = cv2.boundingRect(field)
    if not DIGIT - 1 <= max(width, height) <= DIGIT or field.max() < 254:
        return False

    least = SIDE / 2 - LEEWAY
    most = SIDE / 2 + 1 + LEEWAY
    return all(least <= place < most for place in _centre_of_mass(field))
