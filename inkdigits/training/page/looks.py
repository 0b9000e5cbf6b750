"""What the second network learns from: looks that the page network takes of pages, labelled.

They are taken as in reading, with the same passes and the same decoding, so that the second network
sees what it will see: symbols that touch others, torn ones, and what was never a symbol.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Dataset

from inkdigits.data.synthetic.training_pages.generator import TrainingPage, training_page
from inkdigits.reading.page.decoding import Symbol, find_symbols
from inkdigits.reading.page.find import KINDS, OTHER
from inkdigits.reading.page.look import PLANES, SIDE, looks
from inkdigits.reading.page.maps import FINE, Floats, PageSession
from inkdigits.reading.page.survey import Piece, find_pieces

SIZES = ((192, 256), (192, 256), (256, 320))  # pixels, height and width, of pages in turn

# A find is a symbol where most of its ink is the symbol's and their boxes agree, no symbol where
# they clearly do not, and not learnt from in between. Set by hand, not yet measured.
PURE = 0.75  # share of the find's ink, without paper, that is the symbol's
MIXED = 0.6
AGREES = 0.55  # intersection over union of the boxes
DISAGREES = 0.35

Reals = NDArray[np.floating]


class LabelledLooks(NamedTuple):
    """Looks with what is known of them.

    Attributes:
        looks: (K, 6, 32, 32) uint8.
        page_logits: (K, 16) float32, what the page network says of them.
        kinds: (K,) int64, 0 to 15, OTHER for what is no symbol.
    """

    looks: NDArray[np.uint8]
    page_logits: Floats
    kinds: NDArray[np.int64]


class LookPages(Dataset[LabelledLooks]):
    """Labelled looks at training pages, by the number of the page.

    Args:
        network: the page network.
        seed: of the pages.
        split: train or validation.
    """

    def __init__(self, network: PageSession, seed: int, split: str) -> None:
        self.network = network
        self.seed = seed
        self.split = split

    def __getitem__(self, index: int) -> LabelledLooks:
        size = SIZES[index % len(SIZES)]
        page = training_page(
            self.seed,
            index,
            size=size,
            split=self.split,
        )
        return labelled_looks(self.network, page)


def labelled_looks(network: PageSession, page: TrainingPage) -> LabelledLooks:
    """Find the symbols of a page, and label those that can be labelled.

    Args:
        network: the page network.
        page: a picture and what is written on it.
    """
    taken = [np.zeros((0, 2 * PLANES, SIDE, SIDE), np.uint8)]
    logits = [np.zeros((0, KINDS), np.float32)]
    kinds: list[int] = []

    for piece in find_pieces(network, page.picture):
        clear: list[Symbol] = []
        for symbol in find_symbols(piece.maps):
            kind = label(page, piece, symbol)
            if kind is not None:
                clear.append(symbol)
                logits.append(symbol.kind[None])
                kinds.append(kind)

        taken.append(looks(piece, clear))

    return LabelledLooks(np.concatenate(taken), np.concatenate(logits), np.array(kinds, np.int64))


def label(page: TrainingPage, piece: Piece, symbol: Symbol) -> int | None:
    """Return the kind of what was found in a piece of a page.

    Args:
        page: with the true owner of every pixel.
        piece: a part of it, at its scale.
        symbol: found in the piece.

    Returns:
        0 to 15; OTHER for what is no symbol or not a whole one, None where that is not clear.
    """
    ink = np.bincount(_owners(page, piece, symbol), minlength=len(page.kinds) + 1)
    ink[0] = 0  # paper
    number = int(ink.argmax())
    if ink[number] == 0:
        return OTHER

    corner = np.array([piece.left, piece.top] * 2)
    box = np.array(symbol.box) / piece.scale + corner
    overlap = box_overlap(box, page.boxes[number - 1])
    purity = ink[number] / ink.sum()

    if purity >= PURE and overlap >= AGREES:
        return int(page.kinds[number - 1])
    if purity < MIXED or overlap < DISAGREES:
        return OTHER

    return None


def _owners(page: TrainingPage, piece: Piece, symbol: Symbol) -> NDArray[np.int16]:
    """Return whose ink the page has at the middle of each of a symbol's cells, (M,)."""
    height, width = page.owner.shape
    y = (symbol.rows + 0.5) * FINE / piece.scale + piece.top
    x = (symbol.columns + 0.5) * FINE / piece.scale + piece.left

    rows = y.astype(int).clip(0, height - 1)
    columns = x.astype(int).clip(0, width - 1)
    return page.owner[rows, columns]


def box_overlap(one: Reals, other: Reals) -> float:
    """Return the intersection of two boxes over their union, 0 to 1.

    Args:
        one: (4,) left, top, right, bottom.
        other: likewise.
    """
    corner = np.maximum(one[:2], other[:2])
    opposite = np.minimum(one[2:], other[2:])
    shared = _area(corner, opposite)

    areas = _area(one[:2], one[2:]) + _area(other[:2], other[2:])
    return shared / max(areas - shared, 1e-6)


def _area(corner: Reals, opposite: Reals) -> float:
    """Return the area between two corners, 0 where the second is not below and to the right."""
    sides = np.maximum(opposite - corner, 0)
    return float(np.prod(sides))
