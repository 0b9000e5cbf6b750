"""The sheet in a picture that shows more than the sheet: the table around it, a page's dark margin, the frame of a window.

Takes upright pixels; returns where the sheet lies. Knows that a sheet is large, of one tone, sharply cut, and has few corners.
"""

import cv2
import numpy as np

from inkdigits.core.digits import Mask, Plane

SMALLEST = 0.15  # of the picture's area
LARGEST = 0.97
FILLED = 0.8  # of its outline's area that must have the sheet's tone: a thick 0 has less
MOST_INK = 0.12  # of the sheet's area
SMALLEST_SIDE = 128  # pixels; smaller pictures show one digit, not a sheet on a table
RECTANGULAR = 0.82  # of the area of the smallest rectangle around it; an ellipse fills 0.785
LONGEST = 3.0  # length over breadth: a longer bar is a 1
CORNERS = 6  # of its outline, where the picture's own border may have cut off some
MIDDLE = 0.08  # of the picture's side from its rim, beyond the dents of an outline that is not quite straight
FAINTEST_EDGE = 12  # grey levels within 3 px
MARGIN = 0.012  # of the picture's side: the sheet's rim with its shadow


def find_sheet(grey: Plane) -> Mask | None:
    """Where the sheet is, (H, W) bool without its rim, or None where the whole picture is paper. grey: (H, W) uint8."""
    if min(grey.shape) < SMALLEST_SIDE:
        return None
    smooth = np.asarray(cv2.GaussianBlur(grey, (0, 0), max(grey.shape) / 200 + 0.5), np.uint8)
    _, light = cv2.threshold(smooth, 0, 1, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    for tone in (light, 1 - light):
        sheet = _sheet_of(np.asarray(tone, np.uint8), smooth)
        if sheet is not None:
            return sheet if _is_written_on(sheet, grey) else None
    return None


def _is_written_on(sheet: Mask, grey: Plane) -> bool:
    """Whether anything with an edge is to be seen in the middle of it; inside a thick 1 from a paint program there is nothing."""
    side = round(2 * MIDDLE * max(grey.shape)) + 1
    middle = cv2.erode(sheet.view(np.uint8), np.ones((side, side), np.uint8)) > 0
    return bool(middle.any()) and int(steps(grey, 3)[middle].max()) > FAINTEST_EDGE


def steps(grey: Plane, side: int) -> Plane:
    """How many levels lie between the lightest and the darkest of the side x side pixels around each."""
    element = np.ones((side, side), np.uint8)
    return np.asarray(cv2.subtract(cv2.dilate(grey, element), cv2.erode(grey, element)), np.uint8)


def _sheet_of(tone: Plane, grey: Plane) -> Mask | None:
    """The largest region of one tone, if it looks like a sheet."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(tone, connectivity=4)
    if count < 2:
        return None
    label = 1 + int(stats[1:, cv2.CC_STAT_AREA].argmax())
    region = (labels == label).view(np.uint8)
    if not SMALLEST < region.mean() < LARGEST:
        return None
    contours, _ = cv2.findContours(region, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    hull = cv2.convexHull(max(contours, key=cv2.contourArea))
    corners = cv2.approxPolyDP(hull, 0.02 * cv2.arcLength(hull, closed=True), closed=True)
    _, (length, breadth), _ = cv2.minAreaRect(hull)
    rectangular = cv2.contourArea(hull) > RECTANGULAR * length * breadth
    if (
        len(corners) > CORNERS
        or not rectangular
        or max(length, breadth) > LONGEST * min(length, breadth)
    ):
        return None
    sheet = np.zeros_like(region)
    cv2.fillPoly(sheet, [hull], 1)
    outside = sheet == 0
    filled = float(region[~outside].mean())
    if (
        filled < FILLED
        or not SMALLEST < float(sheet.mean()) < LARGEST
        or float(region[outside].mean()) > 0.1
    ):
        return None
    if not _stands_out(sheet > 0, grey):
        return None
    margin = max(1, round(MARGIN * max(grey.shape)))
    inner = (
        cv2.erode(
            sheet,
            np.ones((2 * margin + 1, 2 * margin + 1), np.uint8),
            borderType=cv2.BORDER_CONSTANT,
            borderValue=1,
        )
        > 0
    )
    return inner if float(tone[inner].mean()) > 1 - MOST_INK else None


def _stands_out(sheet: Mask, grey: Plane) -> bool:
    """Whether the sheet ends in a sharp edge and the table lies all around it: a shadow's edge is soft or leaves the picture."""
    border = np.concatenate([sheet[0], sheet[-1], sheet[:, 0], sheet[:, -1]])
    difference = abs(float(grey[sheet].mean()) - float(grey[~sheet].mean()))
    eroded = (
        cv2.erode(
            sheet.view(np.uint8),
            np.ones((3, 3), np.uint8),
            borderType=cv2.BORDER_CONSTANT,
            borderValue=1,
        )
        > 0
    )
    rim = sheet & ~eroded
    return (
        float(border.mean()) < 0.35
        and difference > 30
        and float((steps(grey, 7)[rim] > 0.5 * difference).mean()) > 0.75
    )
