"""Datasets of the user's own: the path of a folder or a file comes in, splits go out."""

import logging
import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from inkdigits.core.arrays import as_images, as_labels, read_array
from inkdigits.core.digits import DIGITS, SIDE, Labels, Pixels
from inkdigits.core.errors import BadData, BadPicture, listed
from inkdigits.core.formats import kind_of, read_images
from inkdigits.core.pictures import pictures_below
from inkdigits.core.progress import ProgressCallback
from inkdigits.data.splits import Split, divided, with_validation

log = logging.getLogger(__name__)

NUMBER = re.compile(r"[+-]?\d+")
IDX_SPLITS = {
    "train": r"train[-_.]images",
    "test": r"(t10k|test)[-_.]images",
}  # in the names of files


def load_path(path: Path, progress: ProgressCallback | None) -> dict[str, Split]:
    """Return the splits of a dataset that a folder or a file holds.

    Args:
        path: a folder of pictures sorted into folders called 0 to 9; a folder of IDX files named as
            MNIST's; an IDX file of images with its labels beside it; an .npz file or a CSV file
            with labels.
        progress: called while pictures are read.

    Returns:
        The splits by name. A test split is kept; images without one are divided 80/10/10.

    Raises:
        BadData: images or labels are missing, damaged or something else.
    """
    if path.is_dir():
        if class_folders(path):
            return divided(read_folder(path, progress))
        return _load_idx_folder(path)

    if kind_of(path) == "idx":
        return divided(_load_idx_pair(path))

    arrays = {
        name: _labelled(images, labels, f"{name} in {path}")
        for name, (images, labels) in read_images(path).items()
    }
    if arrays.keys() >= {"x_train", "x_test"}:
        return with_validation(arrays["x_train"], test=arrays["x_test"])

    return divided(next(iter(arrays.values())))


def _labelled(images: Pixels, labels: Labels | None, name: str) -> Split:
    """Return images with their labels as a split. Raise BadData where either is missing."""
    if not len(images):
        raise BadData(f"{name} holds no images")
    if labels is None:
        raise BadData(
            f"{name} holds {len(images):,} images, but no labels to learn from or to measure with"
        )

    return Split(images, labels)


# ---- pictures in class folders


def class_folders(folder: Path) -> list[Path]:
    """Return the folders called 0 to 9 inside a folder, in this order."""
    return [folder / digit for digit in DIGITS if (folder / digit).is_dir()]


def _name_other_numbers(folder: Path) -> None:
    """Warn of folders called by a number that is no digit, which are left out."""
    numbers = [
        path.name
        for path in sorted(folder.iterdir())
        if NUMBER.fullmatch(path.name) and path.name not in DIGITS and path.is_dir()
    ]
    if numbers:
        log.warning(
            "left out in %r: %s; digits are in folders called 0 to 9", str(folder), listed(numbers)
        )


def read_folder(folder: Path, progress: ProgressCallback | None = None) -> Split:
    """Read pictures of one digit each, sorted into folders called 0 to 9.

    Args:
        folder: the folder of the class folders.
        progress: called after each picture.

    Returns:
        The digits with MNIST's geometry, ordered by class and then by name.

    Raises:
        BadData: there are no pictures, or some are blank or cannot be read; the error names them.
    """
    pictures = [
        (path, int(home.name)) for home in class_folders(folder) for path in pictures_below(home)
    ]
    if not pictures:
        raise BadData(f"no pictures in folders called 0 to 9 in {folder}, but {_listing(folder)}")

    _name_other_numbers(folder)
    images = np.empty((len(pictures), SIDE, SIDE), np.uint8)
    problems = []
    for index, (path, _) in enumerate(pictures):
        try:
            images[index] = _digit_in(path)
        except BadPicture as problem:
            problems.append(str(problem))

        if progress:
            progress(f"reading {folder}", index + 1, len(pictures))

    if problems:
        count = "a picture" if len(problems) == 1 else f"{len(problems):,} pictures"
        raise BadData(f"{count} in {folder} cannot be used: {listed(problems)}")

    return Split(images, np.array([label for _, label in pictures], np.uint8))


def _digit_in(path: Path) -> NDArray[np.uint8]:
    """Return the digit in a picture, (28, 28). Raise BadPicture where it cannot be read."""
    from inkdigits.reading.page.single import single  # not above: it loads ONNX Runtime

    image = single(path)
    if not image.any():
        raise BadPicture("blank", f"no digit found in {path}")

    return image


def _listing(folder: Path) -> str:
    """Return the names in a folder, shortened for an error message."""
    return listed(sorted(path.name + "/" * path.is_dir() for path in folder.iterdir()))


# ---- IDX files


def _load_idx_folder(folder: Path) -> dict[str, Split]:
    """Return the splits in a folder of IDX files, which are found by the names in IDX_SPLITS."""
    found = {}
    for split, pattern in IDX_SPLITS.items():
        paths = sorted(
            path for path in folder.iterdir() if re.search(pattern, path.name) and path.is_file()
        )
        if len({path.name.removesuffix(".gz") for path in paths}) > 1:
            names = ", ".join(path.name for path in paths)
            raise BadData(f"{folder} has several files of {split} images, {names}: name one")

        if paths:
            found[split] = _load_idx_pair(paths[0])

    if not found:
        raise BadData(
            f"{folder} holds {_listing(folder)}; "
            "expected pictures in folders called 0 to 9, or IDX files named as MNIST's"
        )

    return with_validation(**found) if len(found) == 2 else divided(*found.values())


def _load_idx_pair(path: Path) -> Split:
    """Return the images in an IDX file with the labels in the file beside it."""
    images = as_images(read_array(path), str(path))
    labels_path = _labels_beside(path)
    if not labels_path:
        raise BadData(
            f"no labels beside {path}; "
            "expected a file of the same name with 'labels' in place of 'images'"
        )

    labels = as_labels(read_array(labels_path), len(images), str(labels_path))
    return _labelled(images, labels, str(path))


def _labels_beside(path: Path) -> Path | None:
    """Return the file of labels that belongs to a file of images, or None where it is missing."""
    stem = path.name.removesuffix(".gz").replace("images", "labels")
    for kind in ("idx1-ubyte", "idx2-int"):
        for suffix in ("", ".gz"):
            beside = path.with_name(stem.replace("idx3-ubyte", kind) + suffix)
            if beside != path and beside.is_file():
                return beside

    return None
