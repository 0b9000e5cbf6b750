"""Draw a contact sheet of training pages, to look at."""

import argparse
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from inkdigits.data.synthetic.training_pages.generator import SPLITS, TrainingPage, training_page
from inkdigits.data.synthetic.training_pages.glyphs import OTHER

GAP = 4  # pixels between pages
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
        tiles.append(np.hstack([page.picture, owners(page)]) if options.owner else page.picture)
    Image.fromarray(contact_sheet(tiles, options.columns)).save(options.out)


def owners(page: TrainingPage) -> NDArray[np.uint8]:
    """Colour each symbol's ink, and draw its box: digits white, separators yellow, others red."""
    hues = (np.arange(len(page.kinds) + 1) * GOLDEN * 180 % 180).astype(np.uint8)
    hsv = np.full((len(hues), 1, 3), 230, np.uint8)
    hsv[:, 0, 0] = hues
    colours = np.asarray(cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB), np.uint8)[:, 0]
    colours[0] = 30
    picture = np.ascontiguousarray(colours[page.owner])
    for kind, (left, top, right, bottom) in zip(page.kinds, page.boxes.astype(int), strict=True):
        colour = (255, 255, 255) if kind < 10 else (255, 60, 60) if kind == OTHER else (255, 255, 0)
        cv2.rectangle(picture, (left, top), (right - 1, bottom - 1), colour, 1)
    return picture


def contact_sheet(tiles: list[NDArray[np.uint8]], columns: int) -> NDArray[np.uint8]:
    """Paste pictures of one size into rows."""
    height, width = tiles[0].shape[:2]
    rows = -(-len(tiles) // columns)
    sheet = np.full(
        (rows * (height + GAP), min(columns, len(tiles)) * (width + GAP), 3), (90, 0, 90), np.uint8
    )
    for place, tile in enumerate(tiles):
        y, x = place // columns * (height + GAP), place % columns * (width + GAP)
        sheet[y : y + height, x : x + width] = tile
    return sheet


if __name__ == "__main__":
    main()
