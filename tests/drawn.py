"""Drawn digits whose ink is known pixel by pixel, for tests of reading."""

import cv2
import numpy as np

from inkdigits.core.digits import Mask, Plane

CIRCLE = [
    (5 + 4 * np.cos(angle), 4.5 + 4.5 * np.sin(angle)) for angle in np.linspace(0, 2 * np.pi, 25)
]
GLYPHS = {  # strokes of points (x, y) on a grid from 0 to 9
    "0": [CIRCLE],
    "1": [[(5, 0), (5, 9)]],
    "2": [[(1, 2), (2, 0.5), (5, 0), (8, 1), (8, 3), (1, 9), (9, 9)]],
    "3": [[(1, 1), (4, 0), (7, 1), (7, 3), (4, 4.2), (8, 5.5), (8, 7.5), (5, 9), (1, 8)]],
    "4": [[(6, 0), (1, 6), (9, 6)], [(6.5, 3), (6.5, 9)]],
    "5": [[(8, 0), (2, 0), (2, 4), (6, 3.8), (8, 6), (6.5, 8.5), (3, 9), (1, 8)]],
    "6": [[(7, 0), (3, 3), (1.5, 6), (2.5, 8.5), (5, 9), (7.5, 8), (7.5, 6), (5, 5), (2, 6)]],
    "7": [[(1, 0), (8, 0), (4, 9)]],
    "8": [
        [
            (5, 4),
            (2, 2.5),
            (3, 0.5),
            (5, 0),
            (7, 0.5),
            (8, 2.5),
            (5, 4),
            (2, 6),
            (2.5, 8.5),
            (5, 9),
            (7.5, 8.5),
            (8, 6),
            (5, 4),
        ]
    ],
    "9": [[(8, 3), (5, 4.5), (2.5, 3.5), (2, 1.5), (4, 0), (7, 0.3), (8, 3), (7.5, 6), (6, 9)]],
}


def ink(
    digit: str, shape: tuple[int, int], left: float, top: float, height: float = 80, pen: int = 8
) -> Plane:
    """Draw one digit on a sheet: paper 0, ink 255, edges grey.

    left, top: of its box, which is two thirds as wide as high.
    """
    layer = np.zeros(shape, np.uint8)
    for stroke in GLYPHS[digit]:
        points = np.array(stroke) * (0.667 * height / 9, height / 9) + (left, top)
        cv2.polylines(
            layer, [np.rint(16 * points).astype(np.int32)], False, 255, pen, cv2.LINE_AA, 4
        )
    return layer


def line(
    text: str,
    shape: tuple[int, int] = (200, 500),
    left: float = 40,
    top: float = 60,
    height: float = 80,
    pen: int = 8,
) -> Plane:
    """Digits side by side, as far apart as a third of their height."""
    return np.maximum.reduce(
        [
            ink(digit, shape, left + place * height, top, height, pen)
            for place, digit in enumerate(text)
        ]
    )


def written(layer: Plane, paper: object = 230, pen: object = 40) -> Plane:
    """Ink on paper, each a grey or a colour, or an array of them: (H, W) or (H, W, 3) uint8."""
    paper, pen = np.asarray(paper, np.float32), np.asarray(pen, np.float32)
    share = layer.astype(np.float32) / 255
    if max(paper.ndim, pen.ndim) in (1, 3):
        share = share[:, :, None]
    return np.clip(np.rint(paper * (1 - share) + pen * share), 0, 255).astype(np.uint8)


def overlap(one: Mask, other: Mask) -> float:
    """Intersection over union."""
    return float((one & other).sum() / max(1, (one | other).sum()))
