"""Mix pictures: light on them, one over another, smooth noise.

Pictures are float32 (H, W, 3), red, green, blue, 0 to 255; planes float32 (H, W). OpenCV's loops
are several times as fast as numpy's
with broadcasting, so everything full-sized goes through here.
"""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

Picture = NDArray[np.float32]  # (H, W, 3), 0 to 255
Plane = NDArray[np.float32]  # (H, W)
Colour = tuple[float, float, float]  # red, green, blue, 0 to 255

WHITE = (1.0, 1.0, 1.0)  # of light


def spread(plane: Plane, colour: Sequence[float] = WHITE) -> Picture:
    """Give each channel the plane, times its part of a colour."""
    if colour is WHITE:
        return np.asarray(cv2.merge([plane] * 3), np.float32)
    return np.asarray(cv2.merge([plane * np.float32(value) for value in colour]), np.float32)


def lit_by(picture: Picture, light: Plane, colour: Sequence[float] = WHITE) -> Picture:
    """Let light fall on a picture. light: 1 leaves it as it is."""
    return np.asarray(cv2.multiply(picture, spread(light, colour)), np.float32)


def dyed(picture: Picture, share: Plane, colour: Sequence[float]) -> Picture:
    """Dye a picture as translucent ink does. share: of ink, 0-1; colour: what white turns to, 0 to
    255.
    """
    layers = [1 - share * np.float32(1 - value / 255) for value in colour]
    return np.asarray(cv2.multiply(picture, cv2.merge(layers)), np.float32)


def covered(picture: Picture, share: Plane, above: Picture | Colour) -> Picture:
    """Lay a picture or a colour over another where `share`, 0-1, says so."""
    layer = spread(share, above) if isinstance(above, tuple) else lit_by(above, share)
    return np.asarray(cv2.add(lit_by(picture, 1 - share), layer), np.float32)


def part(layer: NDArray[np.uint8], strength: float = 1.0) -> Plane:
    """Turn a layer uint8 of 0 to 255 into shares of 0 to `strength`."""
    return np.asarray(layer * np.float32(strength / 255), np.float32)


def clouds(size: tuple[int, int], cells: tuple[int, int], rng: Generator) -> Plane:
    """Draw smooth noise of deviation about 1, so many cells down and across."""
    coarse = rng.standard_normal((cells[0] + 2, cells[1] + 2), np.float32) * np.float32(1.2)
    smooth = cv2.resize(coarse, (size[1], size[0]), interpolation=cv2.INTER_CUBIC)
    return np.asarray(smooth, np.float32)
