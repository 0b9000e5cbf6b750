"""Draw a contact sheet of training pages, to look at."""

import argparse
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from inkdigits.core.digits import CLASSES, Array, Pixels
from inkdigits.data.synthetic.training_pages.generator import SPLITS, TrainingPage, training_page
from inkdigits.data.synthetic.training_pages.glyphs import OTHER
from inkdigits.data.synthetic.training_pages.pixels import Colour

GAP = 4  # pixels between pages
GROUND = (90, 0, 90)  # red, green, blue between pages
BARE = 30  # grey where no symbol's ink is
WHITE = (255, 255, 255)
RED = (255, 60, 60)
YELLOW = (255, 255, 0)
HALF_DEGREES = 180  # OpenCV's hues
GOLDEN = 0.618  # of a turn of hue from one symbol to the next, so that neighbours differ


def main() -> None:
    """Read the options and write the sheet."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=50)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--owner", action="store_true", help="whose ink is whose beside each page")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--split", choices=SPLITS, default="train")
    parser.add_argument("--size", type=int, nargs=2, default=(192, 192), metavar=("H", "W"))
    parser.add_argument("--columns", type=int, default=10)
    options = parser.parse_args()

    tiles = []
    for index in range(options.count):
        page = training_page(options.seed, index, size=tuple(options.size), split=options.split)
        tiles.append(page.picture)
        if options.owner:
            tiles[-1] = np.hstack([page.picture, owners(page)])

    sheet = contact_sheet(tiles, options.columns)
    Image.fromarray(sheet).save(options.out)


def owners(page: TrainingPage) -> Array:
    """Colour each symbol's ink, and draw its box: digits white, signs yellow, others red."""
    turns = np.arange(len(page.kinds) + 1) * GOLDEN
    hsv = np.full((len(turns), 1, 3), 230, np.uint8)
    hsv[:, 0, 0] = turns * HALF_DEGREES % HALF_DEGREES
    colours = cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)[:, 0]
    colours[0] = BARE

    picture = np.ascontiguousarray(colours[page.owner])
    for kind, box in zip(page.kinds, page.boxes.astype(int), strict=True):
        left, top, right, bottom = box.tolist()
        last = (right - 1, bottom - 1)
        cv2.rectangle(picture, (left, top), last, _box_colour(kind), 1)

    return picture


def _box_colour(kind: int) -> Colour:
    if kind < CLASSES:
        return WHITE
    return RED if kind == OTHER else YELLOW


def contact_sheet(tiles: list[Pixels], columns: int) -> Pixels:
    """Paste pictures of one size into rows.

    Args:
        tiles: uint8 (H, W, 3), all of one size.
        columns: how many stand beside each other.

    Returns:
        The sheet, uint8.
    """
    height, width = np.add(tiles[0].shape[:2], GAP).tolist()
    columns = min(columns, len(tiles))
    rows = -(-len(tiles) // columns)
    sheet = np.full((rows * height, columns * width, 3), GROUND, np.uint8)

    for place, tile in enumerate(tiles):
        row, column = divmod(place, columns)
        cell = sheet[row * height :, column * width :]
        cell[: height - GAP, : width - GAP] = tile

    return sheet


if __name__ == "__main__":
    main()
