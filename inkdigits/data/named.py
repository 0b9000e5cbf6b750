"""Datasets with a name: an entry of the catalogue comes in, a Dataset goes out.

What is special to one dataset, such as images stored column by column, is done here.
"""

import logging
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inkdigits.core.arrays import as_images, as_labels
from inkdigits.core.digits import CLASSES, SIDE, Pixels
from inkdigits.core.errors import BadData, MissingExtra, needs_extra
from inkdigits.core.progress import ProgressCallback
from inkdigits.data.catalogue import Entry
from inkdigits.data.splits import (
    Dataset,
    Split,
    divided,
    with_other_writers,
    with_validation,
)
from inkdigits.data.store import (
    UNPROVED,
    at_hand,
    by_hand,
    fetch_dataset,
    has_sklearn,
    read_checked,
)
from inkdigits.data.writers import Writers, training_writers

log = logging.getLogger(__name__)

COPIES = 6  # of each training image in `handwriting`, each in another hand


def load_named(
    entry: Entry, data_dir: Path, download: bool, progress: ProgressCallback | None
) -> Dataset:
    """Return a dataset of the catalogue.

    Args:
        entry: the dataset.
        data_dir: the folder of all datasets with a name.
        download: fetch files that are missing.
        progress: called while files are downloaded or digits are simulated.

    Raises:
        BadData: a file is missing or is not the right one.
        MissingExtra: a library that the dataset needs is not installed.
        DownloadFailed, CannotWrite: as `fetch_dataset` raises them.
    """
    folder = data_dir / entry.folder
    if download and not all(at_hand(folder, file) for file in entry.files):
        fetch_dataset(entry.name, data_dir, progress)

    writers = None
    if entry.name == "mnist-writers":
        writers = training_writers(data_dir, download, progress)

    try:
        return Dataset(entry.name, entry.classes, _splits(entry, folder, writers, progress))
    except BadData as problem:
        fetching = f"`inkdigits data fetch {entry.name}` downloads what is missing or wrong"
        help_with_files = by_hand(entry, folder) if entry.source else fetching
        raise BadData(f"{problem}; {help_with_files}") from None


def _splits(
    entry: Entry, folder: Path, writers: Writers | None, progress: ProgressCallback | None
) -> dict[str, Split]:
    arrays = _read_files(entry, folder)
    if entry.name == "optdigits":
        return divided(_optdigits())
    if entry.name == "usps":
        return with_validation(_usps(arrays[0]), test=_usps(arrays[1]))
    if entry.name == "semeion":
        return divided(_semeion(arrays[0]))
    if entry.name == "ardis":
        return with_validation(_ardis(*arrays[:2]), test=_ardis(*arrays[2:]))

    train = _idx_split(entry, *arrays[:2])
    test = _idx_split(entry, *arrays[2:])
    if entry.name == "qmnist":  # the first 10,000 of its test digits are MNIST's
        return with_validation(train, test=test[:10_000], test50k=test[10_000:])

    if writers is not None:
        return with_other_writers(train, writers, test=test)

    splits = with_validation(train, test=test)
    return handwriting(splits, progress) if entry.name == "handwriting" else splits


def _read_files(entry: Entry, folder: Path) -> list[NDArray[Any]]:
    """Read all files of a dataset; warn of those that cannot be compared with a published hash."""
    arrays = []
    for file in entry.files:
        array, evidence = read_checked(folder, file)
        if evidence == UNPROVED:
            log.warning("%s: %s", folder / file.name, evidence)
        arrays.append(array)

    return arrays


def _idx_split(entry: Entry, images: NDArray[Any], labels: NDArray[Any]) -> Split:
    """Return the split in a pair of files as MNIST's, checked for what is known of the dataset."""
    images = as_images(images, entry.name)
    if entry.name == "emnist-digits":  # its files hold every image column by column
        images = np.ascontiguousarray(images.transpose(0, 2, 1))

    labels = as_labels(labels, len(images), f"a labels file of {entry.name}")
    if entry.balanced and np.ptp(np.bincount(labels, minlength=CLASSES)):
        raise BadData(
            f"{entry.name} has equally many images of every class, but these files do not"
        )

    return Split(images, labels)


def handwriting(mnist: dict[str, Split], progress: ProgressCallback | None) -> dict[str, Split]:
    """Return MNIST in other people's handwriting; its test split stays as it is."""
    return {
        "train": _simulated(mnist["train"], 0, COPIES, progress),
        "validation": _simulated(mnist["validation"], 1, 1, progress),
        "test": mnist["test"],
    }


def _simulated(split: Split, seed: int, copies: int, progress: ProgressCallback | None) -> Split:
    """Return a split as other people might have written it, made of its own images alone."""
    with needs_extra("the dataset handwriting", "train"):  # it is drawn with OpenCV
        from inkdigits.data.synthetic.handwriting import simulate

    return Split(*simulate(split.images, split.labels, seed=seed, copies=copies, progress=progress))


# ---- smaller digits, brought to MNIST's geometry


def _usps(rows: NDArray[np.float32]) -> Split:
    """Return USPS's digits from rows of a label, 1 to 10, and 16x16 pixels, paper -1 to ink 1."""
    ink = np.clip((rows[:, 1:] + 1) * 127.5, 0, 255).round().astype(np.uint8)
    labels = as_labels(rows[:, 0].astype(np.int64) - 1, len(rows), "usps")
    return Split(_enlarged(ink.reshape(-1, 16, 16)), labels)


def _semeion(rows: NDArray[np.float32]) -> Split:
    """Return Semeion's digits from rows of 16x16 pixels, 0 or 1, and ten numbers for the label."""
    ink = rows[:, :256]
    if not np.isin(ink, (0, 1)).all():
        raise BadData("the pixels of semeion are 0 or 1, but not those of this file")

    labels = _one_hot_labels(rows[:, 256:], "semeion")
    return Split(_enlarged((ink * 255).astype(np.uint8).reshape(-1, 16, 16)), labels)


def _ardis(pixels: NDArray[np.float32], labels: NDArray[np.float32]) -> Split:
    """Return ARDIS's digits from rows of 28x28 pixels, paper 0 to ink 255, and their labels."""
    if not ((pixels >= 0) & (pixels <= 255)).all():
        raise BadData("the pixels of ardis are 0 to 255, but not those of this file")

    images = np.rint(pixels).astype(np.uint8).reshape(-1, SIDE, SIDE)
    return Split(images, _one_hot_labels(labels, "ardis"))


def _one_hot_labels(ones: NDArray[np.float32], name: str) -> NDArray[np.uint8]:
    """Return labels (N,) from rows of ten numbers, of which one is 1."""
    is_one = ones == 1
    if not ((ones == 0) | is_one).all() or (is_one.sum(axis=1) != 1).any():
        raise BadData(
            f"a label of {name} is ten numbers, a 1 and nine times 0; not so in this file"
        )

    return is_one.argmax(axis=1).astype(np.uint8)


def _optdigits() -> Split:
    """Return scikit-learn's digits, 8x8 pixels from paper 0 to ink 16."""
    if not has_sklearn():
        raise MissingExtra("the dataset optdigits", "train")

    from sklearn.datasets import load_digits

    digits = load_digits()
    ink = (digits.images * (255 / 16)).round().astype(np.uint8)

    return Split(_enlarged(ink), digits.target.astype(np.uint8))


def _enlarged(ink: NDArray[np.uint8]) -> Pixels:
    """Return small digits (N, H, W), paper 0 to ink 255, with MNIST's geometry: (N, 28, 28)."""
    from inkdigits.reading.preprocessing.fields import to_field

    images = np.zeros((len(ink), SIDE, SIDE), np.uint8)
    for image, digit in zip(images, ink, strict=True):
        if digit.any():
            image[:] = to_field(digit)

    return images
