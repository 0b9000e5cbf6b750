"""Ten digits drawn clearly, which any model has to read: what a new one is tested on.

Pillow draws them: the service runs without OpenCV, which draws all other handwriting here.
"""

from collections.abc import Iterator

import numpy as np
from PIL import Image, ImageDraw

from inkdigits.core.digits import Pixels
from inkdigits.data.synthetic.glyphs import DIGIT_GLYPHS, parse, smooth

HEIGHT = 60  # pixels of a digit
MARGIN = 24  # pixels of paper around it
PEN = 6  # pixels
SUPERSAMPLING = 4  # times as large drawn, and area-averaged


def known_digits() -> Iterator[tuple[int, Pixels]]:
    """Yield each digit with a picture of it, uint8 (H, W), black on white."""
    for digit, ways in DIGIT_GLYPHS.items():
        usual = next(iter(ways.values()))
        yield digit, draw(usual)


def draw(shape: str) -> Pixels:
    """Draw a digit with a round pen, black on white.

    Args:
        shape: in the notation of `data.synthetic.glyphs`.

    Returns:
        uint8 (H, W).
    """
    curves = [smooth(stroke) for stroke in parse(shape)]
    points = np.concatenate(curves)
    low = points.min(axis=0)
    span = points.max(axis=0) - low
    width, height = np.ceil(HEIGHT * span).astype(int) + 2 * MARGIN

    size = (int(width) * SUPERSAMPLING, int(height) * SUPERSAMPLING)
    sheet = Image.new("L", size, 255)
    pencil = ImageDraw.Draw(sheet)
    radius = PEN * SUPERSAMPLING / 2
    for curve in curves:
        places = (HEIGHT * (curve - low) + MARGIN) * SUPERSAMPLING
        track = [(float(x), float(y)) for x, y in places]
        pencil.line(track, fill=0, width=PEN * SUPERSAMPLING)
        for place in track:  # joints and ends are round
            pencil.circle(place, radius, fill=0)

    return np.asarray(sheet.reduce(SUPERSAMPLING))
