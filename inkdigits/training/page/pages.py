"""Training pages and their targets by number, drawn when they are asked for."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from inkdigits.data.synthetic.training_pages.generator import TrainingPage, training_page
from inkdigits.training.page.targets import PageTargets, page_targets

CROP = 192  # pixels, height and width of a training page
VALIDATION_SEED = 20261129
PARTS_OF_MOSAICS = 1 << 30  # pages from this number on are only seen as parts of mosaics


class Pages(Dataset[tuple[NDArray[np.uint8], PageTargets]]):
    """Training pages by number: the same number and seed is the same page, whoever draws it.

    Args:
        seed: of all pages.
        split: train or validation.
        mosaics: fraction of the pages that are several pages made small, beside each other, so that
            the network learns where writing is that is too small to be read.
    """

    def __init__(self, seed: int, split: str, mosaics: float = 0.0) -> None:
        self.seed = seed
        self.split = split
        self.mosaics = mosaics

    def __getitem__(self, index: int) -> tuple[NDArray[np.uint8], PageTargets]:
        chance = np.random.default_rng((self.seed, index, PARTS_OF_MOSAICS))
        if chance.random() < self.mosaics:
            page = mosaic(self.seed, index, across=int(chance.integers(2, 4)), split=self.split)
        else:
            page = training_page(self.seed, index, split=self.split)

        return page.picture, page_targets(page.owner, page.kinds, page.boxes)


def mosaic(seed: int, index: int, *, across: int, split: str) -> TrainingPage:
    """Return a page of several pages at a fraction of their size, `across` in each row and column."""
    side = CROP // across
    used = side * across
    picture = np.zeros((CROP, CROP, 3), np.uint8)
    owner = np.zeros((CROP, CROP), np.int16)
    kinds: list[NDArray[np.int8]] = []
    boxes: list[NDArray[np.float32]] = []
    before = 0

    for number in range(across**2):
        part = training_page(seed, PARTS_OF_MOSAICS + index * 9 + number, split=split)
        top, left = number // across * side, number % across * side
        window = np.s_[top : top + side, left : left + side]

        colours = part.picture[:used, :used].reshape(side, across, side, across, 3)
        picture[window] = colours.mean(axis=(1, 3)).astype(np.uint8)
        owners = part.owner[:used, :used].reshape(side, across, side, across).max(axis=(1, 3))
        owner[window] = np.where(owners > 0, owners + before, 0)

        corner = np.array([left, top, left, top], np.float32)
        boxes.append(part.boxes / across + corner)
        kinds.append(part.kinds)
        before += len(part.kinds)

    return TrainingPage(picture, owner, np.concatenate(kinds), np.concatenate(boxes), ())


def stack_pages(
    pages: Sequence[tuple[NDArray[np.uint8], PageTargets]],
) -> tuple[Tensor, dict[str, Tensor]]:
    """Return a batch: pictures (N, 3, H, W) uint8, and the stacked targets by name."""
    pictures = torch.from_numpy(np.stack([picture for picture, _ in pages]))
    targets = {
        name: torch.from_numpy(np.stack([getattr(target, name) for _, target in pages]))
        for name in PageTargets._fields
    }
    return pictures.permute(0, 3, 1, 2), targets
