"""A sheet is photographed or scanned: light falls on it, a camera sees it from the side, and a file
comes out.

Pictures are float32 (H, W, 3) red, green, blue, black 0 to white 1; lengths are pixels. Each
function returns a new picture; those that move pixels also say where to. Knows nothing of what the
picture shows.
"""

import io

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from inkdigits.data.synthetic.pages.paper import Colour, Picture, clouds

Homography = NDArray[
    np.float64
]  # (3, 3): a point of the sheet to the point of the photo where it is seen

ORIENTATION = 0x0112  # the EXIF tag: how a viewer has to turn the picture
TURNS = {
    1: None,
    3: Image.Transpose.ROTATE_180,
    6: Image.Transpose.ROTATE_90,
    8: Image.Transpose.ROTATE_270,
}  # to undo the tag's


def cornered(
    picture: Picture, inset: float, tilt: float, rng: np.random.Generator
) -> tuple[Picture, Homography]:
    """Seen at an angle by a camera so near that the sheet's edges are not in the photo.

    inset: up to how far each corner of the photo lies inside the sheet. tilt: the camera's, in
        degrees.
    """
    height, width = picture.shape[:2]
    corners = _rectangle(width, height)
    middle = corners.mean(axis=0)
    inwards = np.sign(middle - corners) * rng.uniform(0.2 * inset, inset, (4, 2))
    turn = np.deg2rad(tilt)
    seen = (corners + inwards - middle) @ np.array(
        [[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]]
    ) + middle

    matrix = _homography(np.clip(seen, 0, [width, height]), corners)
    return _warped(picture, matrix, (width, height)), matrix


def on_table(
    picture: Picture, table: Picture, skew: float, rng: np.random.Generator
) -> tuple[Picture, Homography]:
    """The sheet lying on a table, the larger picture. skew: up to how far corners are from where
    one sees them from above.
    """
    height, width = picture.shape[:2]
    tall, wide = table.shape[:2]
    corners = _rectangle(width, height)
    room = np.array([wide - width, tall - height])
    seen = corners + room * rng.uniform(0.3, 0.7, 2) + rng.uniform(-skew, skew, (4, 2))
    matrix = _homography(corners, seen)

    lying = _warped(picture, matrix, (wide, tall))
    sheet = cv2.warpPerspective(
        np.ones((height, width), np.float32), matrix, (wide, tall), flags=cv2.INTER_LINEAR
    )
    below = cv2.GaussianBlur(
        np.roll(sheet, 2, axis=(0, 1)), (0, 0), 3
    )  # the sheet's own narrow shadow
    ground = table * (1 - 0.5 * below)[..., None]

    return np.asarray(
        lying * sheet[..., None] + ground * (1 - sheet[..., None]), np.float32
    ), matrix


def _rectangle(width: int, height: int) -> NDArray[np.float64]:
    return np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float64)


def _homography(corners: NDArray[np.float64], seen: NDArray[np.float64]) -> Homography:
    return np.asarray(
        cv2.getPerspectiveTransform(corners.astype(np.float32), seen.astype(np.float32)), np.float64
    )


def _warped(picture: Picture, matrix: Homography, size: tuple[int, int]) -> Picture:
    seen = cv2.warpPerspective(
        picture, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(seen, np.float32)


def moved(points: NDArray[np.float64], matrix: Homography) -> NDArray[np.float64]:
    """Where points (K, 2) of the sheet are seen."""
    seen = np.column_stack([points, np.ones(len(points))]) @ matrix.T
    return np.asarray(seen[:, :2] / seen[:, 2:])


def shaded(picture: Picture, depth: float, rng: np.random.Generator) -> Picture:
    """The shadow of whoever holds the camera: a large blot with a soft edge. depth: the light that
    it takes, 0-1.
    """
    height, width = picture.shape[:2]
    side = max(height, width)
    centre = rng.uniform([-0.1 * width, -0.1 * height], [1.1 * width, 1.1 * height])
    shadow = np.zeros((height, width), np.uint8)
    axes = rng.uniform(0.3, 0.8, 2) * side
    cv2.ellipse(
        shadow,
        np.rint(centre).astype(int).tolist(),
        np.rint(axes).astype(int).tolist(),
        rng.uniform(0, 180),
        0,
        360,
        255,
        -1,
    )

    soft = cv2.GaussianBlur(shadow, (0, 0), side * rng.uniform(0.008, 0.1)).astype(np.float32) / 255
    return np.asarray(picture * (1 - depth * soft)[..., None], np.float32)


def uneven(picture: Picture, loss: float, rng: np.random.Generator) -> Picture:
    """A lamp or window at one side. loss: light that is missing at the darkest place, 0-1."""
    height, width = picture.shape[:2]
    lamp = rng.uniform([-0.5, -0.5], [1.5, 1.5])
    y, x = np.mgrid[:height, :width].astype(np.float32)
    away = np.hypot(x / width - lamp[0], y / height - lamp[1])
    light = away / away.max() + 0.04 * clouds((height, width), max(height, width) / 2, rng)

    return np.asarray(picture * np.clip(1 - loss * light, 0.05, 1)[..., None], np.float32)


def glossy(picture: Picture, strength: float, rng: np.random.Generator) -> Picture:
    """The lamp mirrored in something smooth, such as a whiteboard. strength: light added in its
    middle, 0-1.
    """
    height, width = picture.shape[:2]
    y, x = np.mgrid[:height, :width].astype(np.float32)
    middle, radius = rng.uniform(0, 1, 2), rng.uniform(0.1, 0.25)
    distance = ((x / width - middle[0]) ** 2 + (y / height - middle[1]) ** 2) / radius**2
    return np.asarray(picture + (strength * np.exp(-distance))[..., None], np.float32)


def exposed(picture: Picture, brightness: float, tint: Colour) -> Picture:
    """Brightness that white has in the photo, 1 as it is and more where it is overexposed, and the
    light's colour as factors.
    """
    return np.asarray(
        np.clip(picture * (np.array(tint, np.float32) * np.float32(brightness)), 0, 1), np.float32
    )


def blurred(picture: Picture, sigma: float) -> Picture:
    """Out of focus. sigma: pixels."""
    return np.asarray(cv2.GaussianBlur(picture, (0, 0), sigma), np.float32)


def shaken(picture: Picture, length: float, rng: np.random.Generator) -> Picture:
    """Moved during the exposure. length: pixels of the way."""
    side = int(np.ceil(length)) // 2 * 2 + 3
    way = np.zeros((side, side), np.float32)
    step = np.array([np.cos(angle := rng.uniform(0, np.pi)), np.sin(angle)]) * length / 2
    start, end = (
        (np.rint((side // 2 + sign * step) * 16)).astype(int).tolist() for sign in (-1, 1)
    )
    cv2.line(way, start, end, 1.0, 1, cv2.LINE_AA, 4)

    return np.asarray(
        cv2.filter2D(picture, -1, way / way.sum(), borderType=cv2.BORDER_REPLICATE), np.float32
    )


def grainy(picture: Picture, deviation: float, rng: np.random.Generator) -> Picture:
    """A sensor's noise in little light: mostly grey, a little coloured, spread over neighbours.
    deviation: of each pixel, 0-1.
    """
    shape = picture.shape[:2]
    grey = rng.standard_normal(shape, np.float32) + clouds(shape, 2, rng)
    colour = np.dstack([clouds(shape, 4, rng) for _ in range(3)])
    noise = 0.65 * grey[..., None] + 0.35 * colour
    return np.asarray(picture + deviation * noise, np.float32)


def developed(picture: Picture) -> NDArray[np.uint8]:
    """(H, W, 3) uint8."""
    return np.asarray(np.rint(np.clip(picture, 0, 1) * 255), np.uint8)


def encoded(pixels: NDArray[np.uint8], quality: int | None, orientation: int = 1) -> bytes:
    """A JPEG of this quality, 1-95, or a PNG where it is None.

    orientation: how the camera was held, as EXIF numbers it: 1, 3, 6 or 8; a viewer turns the
        picture upright.
    """
    image, buffer = Image.fromarray(pixels), io.BytesIO()
    turn = TURNS[orientation]
    if turn is not None:
        image = image.transpose(turn)

    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    if quality is None:
        image.save(buffer, "PNG", exif=exif)
    else:
        image.save(buffer, "JPEG", quality=quality, exif=exif)

    return buffer.getvalue()


def decoded(file: bytes) -> NDArray[np.uint8]:
    """What a viewer shows of a file: (H, W, 3) uint8, upright."""
    return np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(file))).convert("RGB"))
