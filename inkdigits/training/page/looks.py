"""What the second network learns from: looks that the page network takes of training pages, labelled.

They are taken as in reading, with the same passes and the same decoding, so that the second network
sees what it will see: symbols that touch others, torn ones, and what was never a symbol.
"""

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Dataset

from inkdigits.data.synthetic.training_pages.generator import TrainingPage, training_page
from inkdigits.reading.page.decoding import Symbol, find_symbols
from inkdigits.reading.page.finding import Piece, find_pieces
from inkdigits.reading.page.look import SIDE, looks
from inkdigits.reading.page.maps import FINE, PageSession

OTHER = 15
SIZES = ((192, 256), (192, 256), (256, 320))  # pixels, height and width, of pages in turn

# A find is a symbol where most of its ink is the symbol's and their boxes agree, no symbol where
# they clearly do not, and not learnt from in between.
PURE, MIXED = 0.75, 0.6
AGREES, DISAGREES = 0.55, 0.35

Looks = NDArray[np.uint8]
Kinds = NDArray[np.int64]


class LookPages(Dataset[tuple[Looks, Kinds]]):
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

    def __getitem__(self, index: int) -> tuple[Looks, Kinds]:
        size = SIZES[index % len(SIZES)]
        page = training_page(self.seed, index, size=size, split=self.split)
        return labelled_looks(self.network, page)


def labelled_looks(network: PageSession, page: TrainingPage) -> tuple[Looks, Kinds]:
    """Find the symbols of a page, and label those that can be labelled.

    Returns:
        Looks (K, 3, 32, 32) uint8 and kinds (K,) 0 to 15, OTHER for what is no symbol.
    """
    taken = [np.zeros((0, 3, SIDE, SIDE), np.uint8)]
    kinds: list[int] = []
    for piece in find_pieces(network, page.picture):
        symbols = find_symbols(piece.maps)
        labels = [label(page, piece, symbol) for symbol in symbols]
        clear = [number for number, kind in enumerate(labels) if kind is not None]
        taken.append(looks(piece, [symbols[number] for number in clear]))
        kinds += [kind for kind in labels if kind is not None]

    return np.concatenate(taken), np.array(kinds, np.int64)


def label(page: TrainingPage, piece: Piece, symbol: Symbol) -> int | None:
    """Return the kind of what was found in a piece of a page; None where that is not clear."""
    height, width = page.owner.shape
    rows = ((symbol.rows + 0.5) * FINE / piece.scale + piece.top).astype(int)
    columns = ((symbol.columns + 0.5) * FINE / piece.scale + piece.left).astype(int)
    owners = page.owner[rows.clip(0, height - 1), columns.clip(0, width - 1)]

    inked = np.bincount(owners, minlength=len(page.kinds) + 1)
    inked[0] = 0
    number = int(inked.argmax())
    if inked[number] == 0:
        return OTHER

    corner = np.array([piece.left, piece.top] * 2)
    overlap = box_overlap(np.array(symbol.box) / piece.scale + corner, page.boxes[number - 1])
    purity = inked[number] / inked.sum()
    if purity >= PURE and overlap >= AGREES:
        return int(page.kinds[number - 1])
    if purity < MIXED or overlap < DISAGREES:
        return OTHER
    return None


def box_overlap(one: NDArray[np.floating], other: NDArray[np.floating]) -> float:
    """Return the intersection of two boxes over their union, 0 to 1."""
    low = np.maximum(one[:2], other[:2])
    high = np.minimum(one[2:], other[2:])
    shared = float(np.prod(np.maximum(high - low, 0)))
    areas = float(np.prod(one[2:] - one[:2]) + np.prod(other[2:] - other[:2]))
    return shared / max(areas - shared, 1e-6)
