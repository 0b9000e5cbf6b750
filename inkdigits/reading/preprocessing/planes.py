"""Operations on planes and masks: OpenCV's, for masks as well, with their types told.

A plane is (H, W) uint8, a mask (H, W) bool. Each function leaves what comes in as it is.
"""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from inkdigits.core.digits import Mask, Plane


def as_plane(image: NDArray[Any]) -> Plane:
    """Return what OpenCV made of uint8 pixels, with its type told."""
    return np.asarray(image, np.uint8)


def rectangle(width: int, height: int) -> Plane:
    """Return the structuring element that is one everywhere."""
    return np.ones((height, width), np.uint8)


def dilate(mask: Mask, width: int, height: int | None = None) -> Mask:
    """Grow a mask by half of a rectangle in each direction; of a square without a height."""
    return cv2.dilate(mask.view(np.uint8), rectangle(width, height or width)) > 0


def erode(mask: Mask, side: int) -> Mask:
    """Shrink a mask by the half of a square in each direction, except at the picture's border."""
    return cv2.erode(mask.view(np.uint8), rectangle(side, side)) > 0


def rim_of(mask: Mask) -> Mask:
    """Return the pixels of a mask that have a neighbour outside it."""
    return mask & ~erode(mask, 3)


def open_by(mask: Mask, width: int, height: int) -> Mask:
    """Return the parts of a mask that a rectangle fits into (a morphological opening)."""
    element = rectangle(width, height)
    return cv2.morphologyEx(mask.view(np.uint8), cv2.MORPH_OPEN, element) > 0


def label_components(mask: Mask, connectivity: int = 8) -> tuple[int, NDArray[np.int32]]:
    """Return the number of labels and the label of each pixel, as `find_components`, but sooner."""
    count, labels = cv2.connectedComponents(mask.view(np.uint8), connectivity=connectivity)
    return count, np.asarray(labels, np.int32)


def find_components(mask: Mask, connectivity: int = 8) -> tuple[NDArray[np.int32], NDArray[Any]]:
    """Find the connected components of a mask.

    Args:
        mask: (H, W) bool.
        connectivity: 8 if pixels touch at their corners, 4 if they do not.

    Returns:
        The label of each pixel, (H, W), 0 outside the mask; and for each label, 0 included, a
        row of left, top, width, height and area.
    """
    _, labels, stats, _ = cv2.connectedComponentsWithStats(
        mask.view(np.uint8), connectivity=connectivity
    )
    return np.asarray(labels, np.int32), stats


def outline_length(mask: Mask) -> int:
    """Count the pixels of all outlines, those around holes included; at least 1."""
    contours, _ = cv2.findContours(mask.view(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    return max(1, sum(len(contour) for contour in contours))


def fit_mask(mask: Mask, shape: tuple[int, ...]) -> Mask:
    """Resize a mask to the height and width of a shape."""
    height, width = shape[:2]
    if mask.shape == (height, width):
        return mask

    resized = cv2.resize(mask.view(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST)
    return resized > 0


def overview_of(pixels: Plane, side: int) -> Plane:
    """Reduce a picture by area so that its longer side has at most `side` pixels."""
    height, width = pixels.shape[:2]
    scale = side / max(height, width)
    if scale >= 1:
        return pixels

    size = max(1, round(width * scale)), max(1, round(height * scale))
    return as_plane(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA))


def grey_of(pixels: Plane) -> Plane:
    """Return the greys of a picture: (H, W) or (H, W, 3) -> (H, W)."""
    if pixels.ndim == 2:
        return pixels

    return as_plane(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY))


def level_range(grey: Plane, side: int) -> tuple[Plane, Plane]:
    """Return the lightest and the darkest level of the side x side pixels around each pixel."""
    element = rectangle(side, side)
    return as_plane(cv2.dilate(grey, element)), as_plane(cv2.erode(grey, element))


def steps(grey: Plane, side: int) -> Plane:
    """Return how many levels are between the lightest and the darkest pixel around each pixel."""
    lightest, darkest = level_range(grey, side)
    return lightest - darkest
