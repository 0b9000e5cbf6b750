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
ACROSS = (2, 3)  # parts in a row of a mosaic; both divide CROP
MOST_PARTS = 9  # of a mosaic, so that no two mosaics share one

Pixels = NDArray[np.uint8]
Owners = NDArray[np.int16]
Sample = tuple[Pixels, PageTargets]


class Pages(Dataset[Sample]):
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

    def __getitem__(self, index: int) -> Sample:
        page = self.page(index)
        targets = page_targets(page.owner, page.kinds, page.boxes)
        return page.picture, targets

    def page(self, index: int) -> TrainingPage:
        """Draw a page or a mosaic: CROP x CROP pixels."""
        chance = np.random.default_rng((self.seed, index, PARTS_OF_MOSAICS))
        if chance.random() >= self.mosaics:
            return training_page(self.seed, index, split=self.split)

        across = int(chance.integers(ACROSS[0], ACROSS[1] + 1))
        return mosaic(self.seed, index, across=across, split=self.split)


def mosaic(seed: int, index: int, *, across: int, split: str) -> TrainingPage:
    """Return a page of several pages, each at a fraction of its size.

    Args:
        seed: of all pages.
        index: of the mosaic.
        across: parts in each row and column; 2 or 3.
        split: train or validation.

    Returns:
        A page of CROP x CROP pixels, without strings.
    """
    side = CROP // across
    picture = np.zeros((CROP, CROP, 3), np.uint8)
    owner = np.zeros((CROP, CROP), np.int16)
    kinds: list[NDArray[np.int8]] = []
    boxes: list[NDArray[np.float32]] = []
    before = 0  # symbols of the parts so far

    for number in range(across**2):
        part_index = PARTS_OF_MOSAICS + index * MOST_PARTS + number
        part = training_page(seed, part_index, split=split)
        row, column = divmod(number, across)
        top = row * side
        left = column * side

        window = np.s_[top : top + side, left : left + side]
        picture[window] = _averaged(part.picture, across)
        owners = _thinned(part.owner, across)
        owner[window] = np.where(owners > 0, owners + before, 0)

        corner = np.array([left, top, left, top], np.float32)
        smaller = part.boxes / np.float32(across)
        boxes.append(smaller + corner)
        kinds.append(part.kinds)
        before += len(part.kinds)

    return TrainingPage(
        picture,
        owner,
        np.concatenate(kinds),
        np.concatenate(boxes),
        strings=(),
    )


def _averaged(picture: Pixels, times: int) -> Pixels:
    """Return a picture made smaller by a whole factor: the mean of each block."""
    side = len(picture) // times
    blocks = picture.reshape(side, times, side, times, 3)
    return blocks.mean(axis=(1, 3)).astype(np.uint8)


def _thinned(owner: Owners, times: int) -> Owners:
    """Return owners made smaller by a whole factor: any symbol in a block comes before paper."""
    side = len(owner) // times
    blocks = owner.reshape(side, times, side, times)
    return blocks.max(axis=(1, 3))


def stack_pages(samples: Sequence[Sample]) -> tuple[Tensor, dict[str, Tensor]]:
    """Make a batch of pages and their targets.

    Args:
        samples: N of them.

    Returns:
        Pictures (N, 3, H, W) uint8, and the targets (N, ...) by name, as PageTargets describes.
    """
    pictures = np.stack([picture for picture, _ in samples])
    targets: dict[str, Tensor] = {}
    for name in PageTargets._fields:
        maps = [getattr(target, name) for _, target in samples]
        targets[name] = torch.from_numpy(np.stack(maps))

    return torch.from_numpy(pictures).permute(0, 3, 1, 2), targets
