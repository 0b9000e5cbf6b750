"""A sheet seen straight on: a photo comes in, an upright picture of the page goes out.

The four markers of its corners say how the camera saw it (a homography).
"""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from inkdigits.core.digits import Pixels, Plane
from inkdigits.core.errors import BadPicture
from inkdigits.data.sheets.layout import MARKERS, PAGE, UPRIGHT
from inkdigits.data.sheets.markers import Marker, find_markers

SCALE = 6.0  # pixels a millimetre; pictures of 1,600 pixels, as they are read, have at most 5.4
DARK_SQUARE = 0.6  # of the paper's light; less is the square that says which way is up

Homography = NDArray[np.float64]  # (3, 3): millimetres of the sheet -> pixels of the photo
Points = NDArray[np.float64]  # (K, 2): x to the right and y down


def locate(grey: Plane, name: str) -> Homography:
    """Return where the photo shows each point of the sheet.

    Args:
        grey: (H, W) uint8, black 0 to white 255.
        name: what errors call the photo.

    Raises:
        BadPicture: with the code no_sheet, few_markers, several_sheets or not_whole.
    """
    markers = find_markers(grey)
    _check_count(len(markers), name)

    places = _clockwise(markers)
    for turn in range(4):
        matrix = _homography(np.array(MARKERS), np.roll(places, turn, axis=0))
        if _is_upright(grey, matrix):
            return matrix

    raise BadPicture(
        "not_whole",
        f"{name} has four corner marks, but no square beside one of them: they are not those of "
        "one whole sheet",
    )


def _check_count(markers: int, name: str) -> None:
    """Refuse a photo that does not show four markers."""
    if markers == 0:
        raise BadPicture(
            "no_sheet", f"no sheet of boxes is seen in {name}; `inkdigits sheet` writes one"
        )
    if markers < 4:
        raise BadPicture(
            "few_markers",
            f"{name} shows {markers} of the four corner marks; photograph the whole page, in even "
            "light and not too far away",
        )
    if markers > 4:
        raise BadPicture(
            "several_sheets",
            f"{name} shows {markers} corner marks, where one sheet has four; photograph each sheet "
            "by itself",
        )


def _clockwise(markers: list[Marker]) -> Points:
    """Return the middles of four markers, clockwise from any of them."""
    places = np.array([(marker.x, marker.y) for marker in markers])
    away = places - places.mean(axis=0)
    return places[np.argsort(np.arctan2(away[:, 1], away[:, 0]))]


def _homography(points: Points, seen: Points) -> Homography:
    """Solve for the homography that takes four points to where they are seen."""
    rows: list[list[float]] = []
    for (x, y), (u, v) in zip(points.tolist(), seen.tolist(), strict=True):
        rows.append([x, y, 1, 0, 0, 0, -u * x, -u * y])
        rows.append([0, 0, 0, x, y, 1, -v * x, -v * y])

    solution, *_ = np.linalg.lstsq(np.array(rows), seen.ravel(), rcond=None)
    return np.append(solution, 1.0).reshape(3, 3)


def moved(points: Points, matrix: Homography) -> Points:
    """Return where points of the sheet (K, 2) are seen in the photo."""
    seen = np.column_stack([points, np.ones(len(points))]) @ matrix.T
    return seen[:, :2] / seen[:, 2:]


def _is_upright(grey: Plane, matrix: Homography) -> bool:
    """Tell whether the square that says which way is up is where it should be."""
    left, top, right, bottom = UPRIGHT
    width = right - left
    inside = _grid(left + width / 6, top + width / 6, right - width / 6, bottom - width / 6)
    # As much paper above the square and below it.
    above = _grid(left, top - 4, right, top - 2)
    below = _grid(left, bottom + 2, right, bottom + 4)

    square = _levels(grey, moved(inside, matrix)).mean()
    paper = _levels(grey, moved(np.concatenate([above, below]), matrix)).mean()
    return bool(square < DARK_SQUARE * paper)


def _grid(left: float, top: float, right: float, bottom: float) -> Points:
    """Return 25 points spread over a rectangle, (25, 2)."""
    x, y = np.meshgrid(np.linspace(left, right, 5), np.linspace(top, bottom, 5))
    return np.column_stack([x.ravel(), y.ravel()])


def _levels(grey: Plane, points: Points) -> NDArray[np.float64]:
    """Return the levels of the pixels at some points; those outside count as at the edge."""
    height, width = grey.shape
    x = np.clip(np.floor(points[:, 0]), 0, width - 1).astype(int)
    y = np.clip(np.floor(points[:, 1]), 0, height - 1).astype(int)
    return grey[y, x].astype(np.float64)


def straightened(pixels: Pixels, matrix: Homography) -> Pixels:
    """Return the sheet seen straight on, upright, SCALE pixels a millimetre.

    Args:
        pixels: (H, W, 3) or (H, W) uint8, the photo.
        matrix: where it shows the sheet.
    """
    size = (round(PAGE[0] * SCALE), round(PAGE[1] * SCALE))
    backwards = matrix @ np.diag([1 / SCALE, 1 / SCALE, 1.0])  # Pillow asks where a pixel is from
    terms = (backwards / backwards[2, 2]).ravel()[:8].tolist()
    image = Image.fromarray(pixels)
    seen = image.transform(size, Image.Transform.PERSPECTIVE, terms, Image.Resampling.BICUBIC)
    return np.asarray(seen)
