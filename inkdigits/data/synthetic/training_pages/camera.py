"""See a sheet through a lens, in light, and keep it as a file.

The lens moves points of the sheet to the picture, so that ink, owners and boxes move together; the
other effects move nothing.
Pictures are float32 (H, W, 3), 0 to 255, red, green, blue.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from inkdigits.data.synthetic.training_pages.pixels import Picture, clouds, lit_by, part


@dataclass(frozen=True)
class Lens:
    """A homography from the sheet to the picture, (3, 3)."""

    matrix: NDArray[np.float64]

    def at(self, x: float, y: float) -> tuple[tuple[float, float], NDArray[np.float64]]:
        """Say where a point of the sheet is seen, and how its neighbourhood is: the Jacobian, (2,
        2).
        """
        (a, b, c), (d, e, f), (g, h, i) = self.matrix.tolist()
        w = g * x + h * y + i
        u, v = (a * x + b * y + c) / w, (d * x + e * y + f) / w
        return (u, v), np.array([[a - g * u, b - h * u], [d - g * v, e - h * v]]) / w

    def seen(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Move points (..., 2)."""
        moved = points @ self.matrix[:, :2].T + self.matrix[:, 2]
        return moved[..., :2] / moved[..., 2:]


def random_lens(size: tuple[int, int], rng: Generator, *, tilt: float, skew: float) -> Lens:
    """Draw a lens that turns by some degrees (`tilt`: deviation) and sees the sheet a little from
    the side (`skew`: 0-1).
    """
    height, width = size
    turn = np.deg2rad(float(np.clip(rng.normal(0, tilt), -15, 15)))
    middle = np.array([width / 2, height / 2])
    cos, sin = np.cos(turn), np.sin(turn)
    shift = middle - np.array([[cos, -sin], [sin, cos]]) @ middle
    turned = np.array([[cos, -sin, shift[0]], [sin, cos, shift[1]], [0, 0, 1]])

    corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    moved = corners + rng.normal(0, 0.06 * skew, (4, 2)) * (width, height)
    slanted = cv2.getPerspectiveTransform(corners, moved.astype(np.float32))
    return Lens(turned @ slanted)


def lit(picture: Picture, loss: float, rng: Generator) -> Picture:
    """Let light fall unevenly, from one side or in patches, and in a colour of its own.

    loss: of light where it is darkest, 0-1.
    """
    height, width = picture.shape[:2]
    corners = rng.uniform(1 - loss, 1, (2, 2)).astype(np.float32)
    light = np.asarray(cv2.resize(corners, (width, height)), np.float32)
    if rng.random() < 0.4:
        light *= 1 + np.float32(0.25 * loss) * clouds((height, width), (2, 2), rng)
    return lit_by(picture, light, (1 + rng.normal(0, 0.03, 3)).tolist())


def shaded(picture: Picture, depth: float, rng: Generator) -> Picture:
    """Let the shadow of a hand or a phone fall on the page. depth: light lost, 0-1."""
    height, width = picture.shape[:2]
    shadow = np.zeros((height // 2, width // 2), np.uint8)
    side = max(height, width) / 2
    if rng.random() < 0.5:
        centre = (rng.uniform(-0.1, 1.1, 2) * side).astype(int).tolist()
        axes = (rng.uniform(0.25, 0.8, 2) * side).astype(int).tolist()
        cv2.ellipse(shadow, centre, axes, rng.uniform(0, 180), 0, 360, 255, -1)
    else:
        corners = (rng.uniform(-0.5, 1.5, (3, 2)) * side).astype(np.int32)
        cv2.fillConvexPoly(shadow, corners, 255)
    soft = cv2.GaussianBlur(shadow, (0, 0), side * float(rng.uniform(0.01, 0.12)))
    large = np.asarray(cv2.resize(soft, (width, height)), np.uint8)
    return lit_by(picture, 1 - part(large, depth))


def blurred(picture: Picture, radius: float, rng: Generator) -> Picture:
    """Put the page out of focus, or shake the camera. radius: pixels."""
    if rng.random() < 0.7:
        return np.asarray(cv2.GaussianBlur(picture, (0, 0), radius), np.float32)
    steps = max(3, 2 * round(1.5 * radius) + 1)
    kernel = np.zeros((steps, steps), np.float32)
    middle, angle = steps // 2, rng.uniform(0, np.pi)
    reach = middle * np.array([np.cos(angle), np.sin(angle)])
    ends = np.rint([middle - reach, middle + reach]).astype(int).tolist()
    cv2.line(kernel, ends[0], ends[1], 1.0, 1)
    return np.asarray(cv2.filter2D(picture, -1, kernel / kernel.sum()), np.float32)


def faded(picture: Picture, contrast: float, rng: Generator) -> Picture:
    """Take contrast away. contrast: what is left of it, 0-1."""
    middle = float(rng.uniform(20, 235))
    return picture * np.float32(contrast) + np.float32(middle * (1 - contrast))


def binary(picture: NDArray[np.uint8], rng: Generator) -> NDArray[np.uint8]:
    """Scan in black and white: each pixel against its surroundings."""
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    block = 2 * int(rng.integers(10, 30)) + 1
    black = cv2.adaptiveThreshold(
        grey, 255, cv2.ADAPTIVE_THRESH_MEAN_C, cv2.THRESH_BINARY, block, float(rng.uniform(10, 25))
    )
    return np.asarray(cv2.merge([black] * 3), np.uint8)


def resampled(picture: NDArray[np.uint8], factor: float, rng: Generator) -> NDArray[np.uint8]:
    """Make the picture smaller and large again, as programs do. factor: 0-1."""
    height, width = picture.shape[:2]
    small = cv2.resize(
        picture,
        (max(8, round(width * factor)), max(8, round(height * factor))),
        interpolation=int(rng.choice([cv2.INTER_AREA, cv2.INTER_LINEAR])),
    )
    how = int(rng.choice([cv2.INTER_LINEAR, cv2.INTER_CUBIC, cv2.INTER_NEAREST], p=[0.5, 0.3, 0.2]))
    return np.asarray(cv2.resize(small, (width, height), interpolation=how), np.uint8)


def jpeg(picture: NDArray[np.uint8], quality: int) -> NDArray[np.uint8]:
    """Keep the picture as a JPEG file of some quality, 1 to 100."""
    _, data = cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    stored = np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)
    return np.ascontiguousarray(stored[..., ::-1])
