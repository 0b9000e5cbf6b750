"""Tell pure noise from pictures: each of its pixels is independent of its neighbours."""

import numpy as np

from inkdigits.core.digits import Pixels

# Correlation of neighbouring pixels. Pure noise has 0 (standard deviation 0.03 in 28x28 pixels),
# writing from 0.28 on. The networks, which are shown no such noise, now and then see a digit in it.
NOISE = 0.15
ENOUGH_ROWS = 400  # of a large picture, to know noise by


def is_noise(pixels: Pixels) -> bool:
    """Tell whether pixels are independent of their neighbours, as without paper and strokes.

    Args:
        pixels: (H, W) or (H, W, 3) uint8.
    """
    if min(pixels.shape[:2]) < 2:
        return False

    grey = pixels if pixels.ndim == 2 else pixels[:, :, 1]  # green, which makes most of the grey
    step = max(1, len(grey) // ENOUGH_ROWS)
    rows = np.float32(grey[:-1:step])
    below = np.float32(grey[1::step])
    rows = rows - rows.mean()
    below = below - below.mean()

    beside = (rows[:, 1:] * rows[:, :-1]).mean()
    beneath = (rows * below).mean()
    return float(beside + beneath) / 2 < NOISE * float(rows.var())
