"""See a sheet through a lens, in light, and keep it as a file.

The lens moves points of the sheet to the picture, so that ink, owners and boxes move together; the
other effects move nothing. Pictures are float32 (H, W, 3), 0 to 255, red, green, blue.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from inkdigits.core.digits import Array
from inkdigits.data.synthetic.training_pages.draws import chance, pick
from inkdigits.data.synthetic.training_pages.pixels import (
    Picture,
    Size,
    clouds,
    ellipse,
    lit_by,
    part,
    resized,
    soft,
    spread,
)

Points = NDArray[np.float64]  # (..., 2): x and y in pixels
Matrix = NDArray[np.float64]

MOST_TILT = 15  # degrees
CORNERS = ((0, 0), (1, 0), (1, 1), (0, 1))  # of a sheet, in its width and height
CORNER_SHIFT = 0.06  # of the sheet's sides: deviation of its corners, seen from far on the side
SMALLEST = 8  # pixels of a side, when a picture is made smaller

ENLARGING = {cv2.INTER_LINEAR: 0.5, cv2.INTER_CUBIC: 0.3, cv2.INTER_NEAREST: 0.2}


@dataclass(frozen=True)
class Lens:
    """A homography from the sheet to the picture, (3, 3)."""

    matrix: Matrix

    def at(self, x: float, y: float) -> tuple[Points, Matrix]:
        """Return where a point of the sheet is seen, (2,), and the Jacobian there, (2, 2)."""
        moved = self.matrix[:, 0] * x + self.matrix[:, 1] * y + self.matrix[:, 2]
        depth = moved[2]
        point = moved[:2] / depth

        linear = self.matrix[:2, :2]
        fading = np.outer(point, self.matrix[2, :2])

        return point, (linear - fading) / depth

    def seen(self, points: Points) -> Points:
        """Return where points (..., 2) of the sheet are seen."""
        linear = self.matrix[:, :2]
        moved = points @ linear.T + self.matrix[:, 2]
        return moved[..., :2] / moved[..., 2:]


def random_lens(
    size: Size,
    rng: Generator,
    *,
    tilt: float,
    skew: float,
) -> Lens:
    """Draw a lens.

    Args:
        size: of the picture, pixels.
        rng: chance.
        tilt: deviation of the camera's turn, degrees.
        skew: how far from the side the sheet is seen, 0 to 1.

    Returns:
        The lens.
    """
    height, width = size
    degrees = np.clip(rng.normal(0, tilt), -MOST_TILT, MOST_TILT)
    turn = np.deg2rad(degrees)
    cos = np.cos(turn)
    sin = np.sin(turn)
    rotation = np.array([[cos, -sin], [sin, cos]])

    middle = np.array([width / 2, height / 2])
    turned = np.eye(3)
    turned[:2, :2] = rotation
    turned[:2, 2] = middle - rotation @ middle

    corners = np.array(CORNERS, np.float32) * (width, height)
    shifts = rng.normal(0, CORNER_SHIFT * skew, (4, 2)) * (width, height)
    moved = (corners + shifts).astype(np.float32)
    slanted = cv2.getPerspectiveTransform(corners.astype(np.float32), moved)

    return Lens(turned @ slanted)


def lit(picture: Picture, loss: float, rng: Generator) -> Picture:
    """Let light fall unevenly, from one side or in patches, and in a colour of its own.

    Args:
        picture: float32 (H, W, 3), 0 to 255.
        loss: share of light that is lost where it is darkest.
        rng: chance.

    Returns:
        The picture in that light.
    """
    size = picture.shape[:2]
    corners = rng.uniform(1 - loss, 1, (2, 2))
    light = resized(corners.astype(np.float32), size)

    if chance(0.4, rng):
        patches = clouds(size, (2, 2), rng)
        light *= 1 + 0.25 * loss * patches

    colour = 1 + rng.normal(0, 0.03, 3)

    return lit_by(picture, light, colour.tolist())


def shaded(picture: Picture, depth: float, rng: Generator) -> Picture:
    """Let the shadow of a hand or a phone fall on the page.

    Args:
        picture: float32 (H, W, 3), 0 to 255.
        depth: share of light that is lost in the shadow.
        rng: chance.

    Returns:
        The picture with the shadow.
    """
    height, width = picture.shape[:2]
    side = max(height, width) / 2
    shadow = np.zeros((height // 2, width // 2), np.uint8)

    if chance(0.5, rng):
        centre = rng.uniform(-0.1, 1.1, 2) * side
        axes = rng.uniform(0.25, 0.8, 2) * side
        turn = rng.uniform(0, 180)
        ellipse(shadow, centre, axes, turn)
    else:
        corners = rng.uniform(-0.5, 1.5, (3, 2)) * side
        cv2.fillConvexPoly(shadow, corners.astype(np.int32), 255)

    edge = side * rng.uniform(0.01, 0.12)
    large = resized(soft(shadow, edge), (height, width))

    return lit_by(picture, 1 - part(large, depth))


def blurred(picture: Picture, radius: float, rng: Generator) -> Picture:
    """Put the page out of focus, or shake the camera.

    Args:
        picture: float32 (H, W, 3), 0 to 255.
        radius: of what a point becomes, pixels.
        rng: chance.

    Returns:
        The picture, less sharp.
    """
    if chance(0.7, rng):
        return soft(picture, radius)

    steps = max(3, 2 * round(1.5 * radius) + 1)
    middle = steps // 2
    angle = rng.uniform(0, np.pi)
    reach = middle * np.array([np.cos(angle), np.sin(angle)])
    ends = np.rint([middle - reach, middle + reach])
    start, end = ends.astype(int).tolist()

    way = np.zeros((steps, steps), np.float32)
    cv2.line(way, start, end, 1.0, 1)

    return cv2.filter2D(picture, -1, way / way.sum())


def faded(picture: Picture, contrast: float, rng: Generator) -> Picture:
    """Take contrast away; `contrast`, 0 to 1, is what is left of it."""
    middle = rng.uniform(20, 235)
    return picture * np.float32(contrast) + np.float32(middle * (1 - contrast))


def binary(picture: Array, rng: Generator) -> Array:
    """Scan in black and white: each pixel against its surroundings."""
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    block = 2 * int(rng.integers(10, 30)) + 1
    darker = rng.uniform(10, 25)
    black = cv2.adaptiveThreshold(
        grey,
        255,
        cv2.ADAPTIVE_THRESH_MEAN_C,
        cv2.THRESH_BINARY,
        block,
        darker,
    )

    return cv2.merge([black] * 3)


def resampled(picture: Array, factor: float, rng: Generator) -> Array:
    """Make the picture smaller by a factor of 0 to 1 and large again, as programs do."""
    height, width = picture.shape[:2]
    tall = max(SMALLEST, round(height * factor))
    wide = max(SMALLEST, round(width * factor))
    shrinking = rng.choice([cv2.INTER_AREA, cv2.INTER_LINEAR])
    small = resized(picture, (tall, wide), shrinking)

    return resized(small, (height, width), pick(ENLARGING, rng))


def jpeg(picture: Array, quality: int) -> Array:
    """Keep the picture as a JPEG file of some quality, 1 to 100."""
    reverse = picture[..., ::-1]
    _, data = cv2.imencode(".jpg", reverse, [cv2.IMWRITE_JPEG_QUALITY, quality])
    stored = np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR))
    return np.ascontiguousarray(stored[..., ::-1])


def grey(picture: Picture) -> Picture:
    """Take the colours away."""
    return spread(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY))
