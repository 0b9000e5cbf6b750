"""A sheet is photographed or scanned: light, a view from the side, a sensor, a file.

Photos are float32 (H, W, 3) red, green, blue, black 0 to white 1; lengths are pixels. Each function
returns a new photo; those that move pixels also return where to.
"""

import io

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image, ImageOps

from inkdigits.core.digits import Array, Pixels
from inkdigits.data.synthetic.pages.paper import RGB, Layer, Photo, Points, clouds

Homography = NDArray[np.float64]  # (3, 3): a point of the sheet -> where the photo shows it

ORIENTATION_TAG = 0x0112  # the EXIF tag: how a viewer has to turn the picture
TURNS = {  # that undo the tag's
    1: None,
    3: Image.Transpose.ROTATE_180,
    6: Image.Transpose.ROTATE_90,
    8: Image.Transpose.ROTATE_270,
}


# ---- the view


def cornered(photo: Photo, inset: float, tilt: float, rng: Generator) -> tuple[Photo, Homography]:
    """View a sheet at an angle, from so near that its edges are not in the photo.

    Args:
        photo: the sheet.
        inset: how far inside the sheet each corner of the photo is, at most.
        tilt: of the camera, in degrees.
        rng: draws the corners.
    """
    height, width = photo.shape[:2]
    corners = _rectangle(width, height)
    middle = corners.mean(axis=0)
    inwards = np.sign(middle - corners) * rng.uniform(0.2 * inset, inset, (4, 2))
    turn = np.deg2rad(tilt)
    rotation = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])

    seen = (corners + inwards - middle) @ rotation + middle

    matrix = _homography(np.clip(seen, 0, [width, height]), corners)
    return _warped(photo, matrix, (width, height)), matrix


def on_table(photo: Photo, table: Photo, skew: float, rng: Generator) -> tuple[Photo, Homography]:
    """View a sheet on a table.

    Args:
        photo: the sheet.
        table: the larger photo.
        skew: how far corners are from where they are seen from above, at most.
        rng: draws the place and the corners.
    """
    height, width = photo.shape[:2]
    tall, wide = table.shape[:2]
    corners = _rectangle(width, height)
    room = np.array([wide - width, tall - height])
    seen = corners + room * rng.uniform(0.3, 0.7, 2) + rng.uniform(-skew, skew, (4, 2))
    matrix = _homography(corners, seen)

    flat = _warped(photo, matrix, (wide, tall))
    covers = cv2.warpPerspective(np.ones((height, width), np.float32), matrix, (wide, tall))
    below = cv2.GaussianBlur(np.roll(covers, 2, axis=(0, 1)), (0, 0), 3)  # a narrow shadow
    ground = table * (1 - 0.5 * below)[..., None]

    return flat * covers[..., None] + ground * (1 - covers[..., None]), matrix


def _rectangle(width: int, height: int) -> Points:
    return np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float64)


def _homography(corners: Points, seen: Points) -> Homography:
    matrix = cv2.getPerspectiveTransform(corners.astype(np.float32), seen.astype(np.float32))
    return matrix.astype(np.float64)


def _warped(photo: Photo, matrix: Homography, size: tuple[int, int]) -> Photo:
    return cv2.warpPerspective(photo, matrix, size, borderMode=cv2.BORDER_REPLICATE)


def moved(points: Points, matrix: Homography) -> Points:
    """Return where points of the sheet are seen in the photo."""
    seen = np.column_stack([points, np.ones(len(points))]) @ matrix.T
    return seen[:, :2] / seen[:, 2:]


# ---- the light


def shaded(photo: Photo, depth: float, rng: Generator) -> Photo:
    """Add the shadow of the person with the camera: a large blot with a soft edge.

    Args:
        photo: in full light.
        depth: the light that the shadow takes, 0-1.
        rng: draws the blot.
    """
    height, width = photo.shape[:2]
    side = max(height, width)
    centre = rng.uniform([-0.1 * width, -0.1 * height], [1.1 * width, 1.1 * height])
    axes = rng.uniform(0.3, 0.8, 2) * side
    centre_px, axes_px = np.rint([centre, axes]).astype(int).tolist()
    shadow = np.zeros((height, width), np.uint8)

    cv2.ellipse(shadow, centre_px, axes_px, rng.uniform(0, 180), 0, 360, 255, -1)

    blurred_shadow = cv2.GaussianBlur(shadow, (0, 0), side * rng.uniform(0.008, 0.1))
    soft = blurred_shadow.astype(np.float32) / 255

    return photo * (1 - depth * soft)[..., None]


def uneven(photo: Photo, loss: float, rng: Generator) -> Photo:
    """Darken a photo away from a lamp at one side; the darkest place loses `loss`, 0-1."""
    shape = photo.shape[:2]
    lamp = rng.uniform([-0.5, -0.5], [1.5, 1.5])
    away = np.hypot(*_offsets(photo, lamp))
    dark = away / away.max() + 0.04 * clouds(shape, max(shape) / 2, rng)

    return (photo * np.clip(1 - loss * dark, 0.05, 1)[..., None]).astype(np.float32)


def glossy(photo: Photo, strength: float, rng: Generator) -> Photo:
    """Add the reflection of the lamp in something smooth, such as a whiteboard.

    Args:
        photo: without the lamp.
        strength: light added in the middle of it, 0-1.
        rng: draws its place and size.
    """
    across, down = _offsets(photo, rng.uniform(0, 1, 2))
    radius = rng.uniform(0.1, 0.25)
    distance = (across**2 + down**2) / radius**2

    return (photo + (strength * np.exp(-distance))[..., None]).astype(np.float32)


def _offsets(photo: Photo, place: Array) -> tuple[Layer, Layer]:
    """Return how far each pixel is right of a place and below it, in widths and heights."""
    height, width = photo.shape[:2]
    y, x = np.mgrid[:height, :width].astype(np.float32)
    return x / width - place[0], y / height - place[1]


def exposed(photo: Photo, brightness: float, tint: RGB) -> Photo:
    """Set the brightness and colour of the light.

    Args:
        photo: as the light leaves it.
        brightness: of white; above 1 it is overexposed.
        tint: the light's colour, as factors.
    """
    return np.clip(photo * (np.array(tint, np.float32) * np.float32(brightness)), 0, 1)


# ---- the sensor


def blurred(photo: Photo, sigma: float) -> Photo:
    """Put a photo out of focus, by `sigma` pixels."""
    return cv2.GaussianBlur(photo, (0, 0), sigma)


def shaken(photo: Photo, length: float, rng: Generator) -> Photo:
    """Move the camera during the exposure, by `length` pixels."""
    side = int(np.ceil(length)) // 2 * 2 + 3
    angle = rng.uniform(0, np.pi)
    step = np.array([np.cos(angle), np.sin(angle)]) * length / 2
    ends = np.rint((side // 2 + np.array([-step, step])) * 16)
    start, end = ends.astype(int).tolist()
    way = np.zeros((side, side), np.float32)

    cv2.line(way, start, end, 1.0, 1, cv2.LINE_AA, 4)
    return cv2.filter2D(photo, -1, way / way.sum(), borderType=cv2.BORDER_REPLICATE)


def grainy(photo: Photo, deviation: float, rng: Generator) -> Photo:
    """Add a sensor's noise in little light: mostly grey, a little coloured, spread over neighbours.

    Args:
        photo: without noise.
        deviation: standard deviation of each pixel, 0-1.
        rng: draws it.
    """
    shape = photo.shape[:2]
    grey = rng.standard_normal(shape, np.float32) + clouds(shape, 2, rng)
    colour = np.dstack([clouds(shape, 4, rng) for _ in range(3)])
    return photo + deviation * (0.65 * grey[..., None] + 0.35 * colour)


# ---- the file


def developed(photo: Photo) -> Pixels:
    """Return a photo as pixels: (H, W, 3) uint8."""
    return np.rint(np.clip(photo, 0, 1) * 255).astype(np.uint8)


def encoded(pixels: Pixels, quality: int | None, orientation: int = 1) -> bytes:
    """Return pixels as a file.

    Args:
        pixels: (H, W, 3) uint8.
        quality: of a JPEG, 1-95; None makes a PNG.
        orientation: how the camera was held, as EXIF numbers it: 1, 3, 6 or 8. A viewer turns the
            picture upright.
    """
    image = Image.fromarray(pixels)
    turn = TURNS[orientation]
    if turn is not None:
        image = image.transpose(turn)

    exif = Image.Exif()
    exif[ORIENTATION_TAG] = orientation
    buffer = io.BytesIO()

    if quality is None:
        image.save(buffer, "PNG", exif=exif)
    else:
        image.save(buffer, "JPEG", quality=quality, exif=exif)

    return buffer.getvalue()


def decoded(file: bytes) -> Pixels:
    """Return what a viewer shows of a file: (H, W, 3) uint8, upright."""
    return np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(file))).convert("RGB"))
