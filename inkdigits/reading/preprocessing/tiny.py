"""Bring a picture of a few pixels to MNIST's geometry: it has no room for more than one digit.

Other sets hold digits of 8 or 16 pixels without a margin, and one of MNIST's images that was stored
as JPEG is not quite as it was. Brought to MNIST's geometry they are like what the classifier has
learnt; the page reader is shown no writing of so few pixels.
"""

from typing import NamedTuple

import numpy as np
from PIL import Image

from inkdigits.core.digits import SIDE, Pixels
from inkdigits.reading.preprocessing.fields import Field, to_field
from inkdigits.reading.preprocessing.noise import is_noise

LEAST_CONTRAST = 40  # of 255, of the strongest pixel. Set by hand, not yet measured


class Tiny(NamedTuple):
    """The one digit of a tiny picture.

    Attributes:
        field: (28, 28) uint8, paper 0 to ink 255.
        is_light: whether its ink is lighter than its paper.
    """

    field: Field
    is_light: bool


def from_tiny(pixels: Pixels) -> Tiny | None:
    """Return the digit of a tiny picture; its paper is the grey that prevails at the border.

    Args:
        pixels: (H, W) or (H, W, 3) uint8.

    Returns:
        The digit; None where the picture is larger than an image of MNIST's, blank, or noise.
    """
    if max(pixels.shape[:2]) > SIDE or is_noise(pixels):
        return None

    grey = pixels if pixels.ndim == 2 else np.asarray(Image.fromarray(pixels).convert("L"))
    border = np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]])
    paper = np.median(border)
    strokes = np.abs(grey - paper)
    strongest = strokes.max()
    if strongest < LEAST_CONTRAST:
        return None

    stretched = np.rint(255 / strongest * strokes).astype(np.uint8)
    return Tiny(to_field(stretched), is_light=bool(grey.mean() > paper))
