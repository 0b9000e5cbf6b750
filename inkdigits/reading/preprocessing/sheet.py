"""The sheet in a picture that shows more: the table around it, a dark margin, a window frame.

A grey overview comes in, the mask of the sheet goes out. A sheet is large, of one tone, sharply
cut, and has few corners.
"""

import cv2
import numpy as np

from inkdigits.core.digits import Mask, Plane
from inkdigits.reading.preprocessing.planes import (
    as_plane,
    erode,
    find_components,
    rim_of,
    steps,
)

SMALLEST_SIDE = 128  # pixels; smaller pictures show one digit, not a sheet on a table
SMALLEST = 0.15  # of the picture's area
LARGEST = 0.97
FILLED = 0.8  # of its outline's area that must have the sheet's tone: a thick 0 has less
MOST_INK = 0.12  # of the sheet's area
RECTANGULAR = 0.82  # of the area of the smallest rectangle around it; an ellipse fills 0.785
LONGEST = 3.0  # length over breadth: a longer bar is a 1
CORNERS = 6  # of its outline, where the picture's own border may have cut off some
MIDDLE = 0.08  # of the picture's side from its rim, beyond the dents of a rough outline
FAINTEST_EDGE = 12  # grey levels within 3 px
MARGIN = 0.012  # of the picture's side: the sheet's rim with its shadow


def find_sheet(grey: Plane) -> Mask | None:
    """Find the sheet in a picture.

    Args:
        grey: (H, W) uint8, an overview.

    Returns:
        The mask of the sheet without its rim, or None where the whole picture is paper.
    """
    if min(grey.shape) < SMALLEST_SIDE:
        return None

    smooth = as_plane(cv2.GaussianBlur(grey, (0, 0), max(grey.shape) / 200 + 0.5))
    _, light = cv2.threshold(smooth, 0, 1, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    for tone in (light > 0, light == 0):
        sheet = _sheet_of(tone, smooth)
        if sheet is not None:
            return sheet if _is_written_on(sheet, grey) else None

    return None


def _is_written_on(sheet: Mask, grey: Plane) -> bool:
    """Tell whether anything in the middle has an edge; a thick 1 from a paint program has none."""
    middle = erode(sheet, round(2 * MIDDLE * max(grey.shape)) + 1)
    return bool(middle.any()) and int(steps(grey, 3)[middle].max()) > FAINTEST_EDGE


def _sheet_of(tone: Mask, grey: Plane) -> Mask | None:
    """Return the largest region of one tone without its rim, if it looks like a sheet."""
    labels, stats = find_components(tone, connectivity=4)
    if len(stats) < 2:
        return None

    largest = 1 + int(stats[1:, cv2.CC_STAT_AREA].argmax())
    region = labels == largest
    if not SMALLEST < region.mean() < LARGEST:
        return None

    sheet = _rectangle_around(region)
    if sheet is None:
        return None

    if not SMALLEST < float(sheet.mean()) < LARGEST:
        return None

    is_filled = float(region[sheet].mean()) >= FILLED
    is_alone = float(region[~sheet].mean()) <= 0.1
    if not (is_filled and is_alone and _stands_out(sheet, grey)):
        return None

    margin = max(1, round(MARGIN * max(grey.shape)))
    inner = erode(sheet, 2 * margin + 1)
    return inner if float(tone[inner].mean()) > 1 - MOST_INK else None


def _rectangle_around(region: Mask) -> Mask | None:
    """Return the convex hull of a region, if that is about a rectangle."""
    contours, _ = cv2.findContours(region.view(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    hull = cv2.convexHull(max(contours, key=cv2.contourArea))
    corners = cv2.approxPolyDP(hull, 0.02 * cv2.arcLength(hull, closed=True), closed=True)
    _, (length, breadth), _ = cv2.minAreaRect(hull)
    is_rectangular = cv2.contourArea(hull) > RECTANGULAR * length * breadth
    is_bar = max(length, breadth) > LONGEST * min(length, breadth)
    if len(corners) > CORNERS or is_bar or not is_rectangular:
        return None

    filled = np.zeros(region.shape, np.uint8)
    cv2.fillPoly(filled, [hull], 1)
    return filled > 0


def _stands_out(sheet: Mask, grey: Plane) -> bool:
    """Tell whether the sheet ends in a sharp edge, with the table all around it.

    A shadow's edge is soft, or leaves the picture.
    """
    border = np.concatenate([sheet[0], sheet[-1], sheet[:, 0], sheet[:, -1]])
    if float(border.mean()) >= 0.35:
        return False

    difference = abs(float(grey[sheet].mean()) - float(grey[~sheet].mean()))
    is_sharp = steps(grey, 7)[rim_of(sheet)] > 0.5 * difference
    return difference > 30 and float(is_sharp.mean()) > 0.75
