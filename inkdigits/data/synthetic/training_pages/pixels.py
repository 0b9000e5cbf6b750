"""Mix pictures: light on them, one over another, smooth noise.

OpenCV's loops are several times as fast as numpy's with broadcasting, so everything full-sized goes
through here.
"""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.random import Generator

from inkdigits.core.digits import Array

Picture = Array  # float32 (H, W, 3), red, green, blue, 0 to 255
Plane = Array  # float32 (H, W)
Layer = Array  # uint8 (H, W), bare 0 to covered 255
Size = tuple[int, int]  # height and width, pixels
Colour = tuple[float, float, float]  # red, green, blue, 0 to 255

WHITE = (1.0, 1.0, 1.0)  # of light
FRACTION = 4  # binary digits after the point in OpenCV's coordinates
FARTHEST = 4000  # pixels; OpenCV's coordinates overflow beyond


def spread(plane: Plane, colour: Sequence[float] = WHITE) -> Picture:
    """Give each channel the plane, times its part of a colour."""
    return cv2.merge([plane * value for value in colour])


def lit_by(picture: Picture, light: Plane, colour: Sequence[float] = WHITE) -> Picture:
    """Let light fall on a picture; light of 1 leaves it as it is."""
    return cv2.multiply(picture, spread(light, colour))


def dyed(picture: Picture, share: Plane, colour: Sequence[float]) -> Picture:
    """Colour a picture as translucent ink does.

    Args:
        picture: float32 (H, W, 3), 0 to 255.
        share: of ink, float32 (H, W), 0 to 1.
        colour: what white turns to, 0 to 255.

    Returns:
        The picture, darker.
    """
    layers = [1 - share * (1 - value / 255) for value in colour]
    return cv2.multiply(picture, cv2.merge(layers))


def covered(picture: Picture, share: Plane, above: Picture | Colour) -> Picture:
    """Lay a picture or a colour over another.

    Args:
        picture: below, float32 (H, W, 3), 0 to 255.
        share: how much of it is covered, float32 (H, W), 0 to 1.
        above: what covers it.

    Returns:
        The mixture.
    """
    layer = spread(share, above) if isinstance(above, tuple) else lit_by(above, share)
    return cv2.add(lit_by(picture, 1 - share), layer)


def part(layer: Layer, strength: float = 1.0) -> Plane:
    """Turn a layer of 0 to 255 into shares of 0 to `strength`."""
    return layer * np.float32(strength / 255)


def clouds(size: Size, cells: Size, rng: Generator) -> Plane:
    """Draw smooth noise of deviation about 1.

    Args:
        size: of the result, pixels.
        cells: how many cells of noise it has down and across.
        rng: chance.

    Returns:
        float32 (H, W).
    """
    down, across = cells
    coarse = rng.standard_normal((down + 2, across + 2), np.float32)
    return resized(coarse * 1.2, size, cv2.INTER_CUBIC)


def resized(picture: Array, size: Size, how: int = cv2.INTER_LINEAR) -> Array:
    """Bring a picture or plane to a height and width, as OpenCV's `how` says."""
    height, width = size
    return cv2.resize(picture, (width, height), interpolation=how)


def soft(layer: Array, radius: float) -> Array:
    """Blur a picture or layer by a Gaussian. radius: its deviation, pixels."""
    return cv2.GaussianBlur(layer, (0, 0), radius)


def fixed_point(points: Array) -> Array:
    """Turn points into the numbers that OpenCV takes with a shift of FRACTION, int32."""
    near = np.clip(points, -FARTHEST, FARTHEST)
    return np.rint(near * 2**FRACTION).astype(np.int32)


def ellipse(
    picture: Array,
    centre: Sequence[float] | Array,
    axes: Sequence[float] | Array,
    turn: float,
    colour: float | Sequence[float] = 255,
    *,
    thickness: int = cv2.FILLED,
    edge: int = cv2.LINE_8,
) -> None:
    """Draw an ellipse on a picture or layer.

    Args:
        picture: to draw on.
        centre: x and y, (2,), pixels.
        axes: half their lengths, (2,), pixels.
        turn: degrees.
        colour: as many values as the picture has channels.
        thickness: of the line, pixels; filled unless given.
        edge: cv2.LINE_AA for a soft one.
    """
    x, y = centre
    width, height = axes
    reach = int(width), int(height)
    cv2.ellipse(picture, (int(x), int(y)), reach, turn, 0, 360, colour, thickness, edge)
