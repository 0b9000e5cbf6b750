"""A dataset and its splits, and how validation digits are chosen, which is never by chance."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inkdigits.core.digits import CLASSES, Labels, Mask, Pixels
from inkdigits.core.errors import look_up

# Of MNIST's 60,000 training images; of a smaller training set the same share, a twelfth.
VALIDATION = 5_000
VALIDATION_SHARE = VALIDATION / 60_000
HELD_OUT_SHARE = 0.1  # of images without a test split: for testing, and again for validation


@dataclass(frozen=True)
class Split:
    """Images and their labels.

    Attributes:
        images: uint8 (N, 28, 28), paper 0 to ink 255.
        labels: uint8 (N,), 0 to 9, and 10 for things that are not digits.
    """

    images: Pixels
    labels: Labels

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, chosen: NDArray[Any] | slice) -> "Split":
        return Split(self.images[chosen], self.labels[chosen])


@dataclass(frozen=True)
class Unusable:
    """A picture that was left out of a dataset, and why."""

    path: str
    reason: str


@dataclass(frozen=True)
class Dataset:
    """A dataset's splits by name.

    Attributes:
        name: as it was asked for.
        classes: the labels in words: ten, or eleven where things are in it that are not digits.
        splits: mostly `train`, `validation` and `test`.
        unusable: the pictures that were left out.
    """

    name: str
    classes: tuple[str, ...]
    splits: dict[str, Split]
    unusable: tuple[Unusable, ...] = ()

    def __getitem__(self, split: str) -> Split:
        return look_up(f"split in {self.name}:", split, self.splits)

    @property
    def train(self) -> Split:
        """Return the split that is learned from."""
        return self["train"]

    @property
    def validation(self) -> Split:
        """Return the split that decisions are made on."""
        return self["validation"]

    @property
    def test(self) -> Split:
        """Return the split that is looked at once, at the end."""
        return self["test"]


def concatenated(splits: Sequence[Split]) -> Split:
    """Return one split of the images and labels of several, in this order."""
    return Split(
        np.concatenate([split.images for split in splits]),
        np.concatenate([split.labels for split in splits]),
    )


def stratified(labels: Labels, count: int) -> Mask:
    """Choose images to hold out: of each class its exact share, evenly spaced through the file.

    The same images are chosen everywhere and for ever. Shares are rounded so that they add up
    (largest remainder method).

    Args:
        labels: uint8 (N,), 0 to 9.
        count: how many images to choose, at most N.

    Returns:
        bool (N,), true for `count` images.
    """
    sizes = np.bincount(labels, minlength=CLASSES)
    shares = sizes * count / max(1, len(labels))
    quotas = shares.astype(int)
    missing = count - quotas.sum()
    quotas[np.argsort(quotas - shares, kind="stable")[:missing]] += 1

    chosen = np.zeros(len(labels), bool)

    for label, quota in enumerate(quotas):
        places = np.flatnonzero(labels == label)
        middles = (2 * np.arange(quota) + 1) * len(places) // (2 * max(1, quota))
        chosen[places[middles]] = True

    return chosen


def _held_out(split: Split, count: int) -> tuple[Split, Split]:
    """Return the rest of a split, and `count` images held out of it."""
    chosen = stratified(split.labels, count)
    return split[~chosen], split[chosen]


def with_validation(train: Split, **others: Split) -> dict[str, Split]:
    """Take a validation split out of the training images; other splits stay as they are."""
    count = min(VALIDATION, round(VALIDATION_SHARE * len(train)))
    rest, validation = _held_out(train, count)
    return {"train": rest, "validation": validation, **others}


def with_other_writers(
    train: Split, writers: NDArray[np.int32], **others: Split
) -> dict[str, Split]:
    """Take a validation split out of the training images, all that some people wrote.

    They are evenly spaced through the writers' numbers, which tell where somebody wrote, too. A
    network that is chosen on their digits has seen nobody's hand before.

    Args:
        train: the images to divide.
        writers: (N,), who wrote each one.
        others: splits that stay as they are.

    Returns:
        `train`, `validation` and the others; `validation` has about as many images as
        `with_validation` would hold out.
    """
    count = min(VALIDATION, round(VALIDATION_SHARE * len(train)))
    people = np.unique(writers)
    kept = round(len(people) * count / max(1, len(train)))
    middles = (2 * np.arange(kept) + 1) * len(people) // (2 * max(1, kept))
    chosen = np.isin(writers, people[middles])
    return {"train": train[~chosen], "validation": train[chosen], **others}


def divided(everything: Split) -> dict[str, Split]:
    """Divide images that have no test split into train, validation and test, and keep `all`.

    Fewer than three images are not divided: they are only `all`.
    """
    if len(everything) < 3:
        return {"all": everything}

    count = max(1, round(HELD_OUT_SHARE * len(everything)))
    rest, test = _held_out(everything, count)
    train, validation = _held_out(rest, count)
    return {"train": train, "validation": validation, "test": test, "all": everything}
