"""Datasets of the user's own: the path of a folder or a file comes in, splits go out."""

import logging
import re
from pathlib import Path

import numpy as np

from inkdigits.core.arrays import as_images, as_labels, read_array
from inkdigits.core.digits import Labels, Pixels
from inkdigits.core.errors import BadData
from inkdigits.core.formats import kind_of, read_images
from inkdigits.core.pixels import on_light_paper
from inkdigits.core.progress import ProgressCallback
from inkdigits.data.folders import is_picture_folder, listing, read_folder
from inkdigits.data.splits import Split, Unusable, divided, with_validation

log = logging.getLogger(__name__)

IDX_SPLITS = {
    "train": r"train[-_.]images",
    "test": r"(t10k|test)[-_.]images",
}  # in the names of files


def load_path(
    path: Path, progress: ProgressCallback | None, *, strict: bool = False
) -> tuple[dict[str, Split], tuple[Unusable, ...]]:
    """Return the splits of a dataset that a folder or a file holds.

    Args:
        path: a folder of pictures sorted into folders called 0 to 9, or with a labels.csv; a folder
            of IDX files named as MNIST's; an IDX file of images with its labels beside it; an .npz
            file or a CSV file with labels.
        progress: called while pictures are read.
        strict: whether the first picture that cannot be used is an error.

    Returns:
        The splits by name, and the pictures that are left out. A test split is kept; images without
        one are divided 80/10/10.

    Raises:
        BadData: images or labels are missing, damaged or something else.
    """
    if path.is_dir():
        if is_picture_folder(path):
            digits, unusable = read_folder(path, progress, strict=strict)
            return divided(digits), unusable
        return _load_idx_folder(path), ()

    return _load_file(path), ()


def _load_file(path: Path) -> dict[str, Split]:
    """Return the splits of a file."""
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

    is_dark_on_light = on_light_paper(images)
    if is_dark_on_light.any():
        log.warning(
            "%s of %s images in %s are dark on light, where MNIST's are light on dark: their "
            "negatives are used",
            f"{is_dark_on_light.sum():,}",
            f"{len(images):,}",
            name,
        )
        images = np.where(is_dark_on_light[:, None, None], ~images, images)

    return Split(images, labels)


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
            f"{folder} holds {listing(folder)}; "
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
