"""Datasets by name or path -> train, validation and test splits of uint8 arrays.

Takes `mnist`, a folder, a file, or several of these joined by `+`; returns a Dataset, the same one every time: nothing here is
random. Knows nothing of networks and never loads torch. Whoever learns or measures decides which split to look at.
"""

import logging
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inkdigits.core import formats
from inkdigits.core.arrays import as_images, as_labels, read_idx, read_npz
from inkdigits.core.digits import DIGITS, SIDE, Labels, Pixels
from inkdigits.core.errors import BadData, BadValue, MissingExtra, UnknownName
from inkdigits.core.progress import ProgressCallback
from inkdigits.data import folders, store
from inkdigits.data.catalogue import DATASETS, Entry
from inkdigits.data.store import default_data_dir, fetch_dataset, list_datasets, verify_dataset

__all__ = [
    "Dataset",
    "Split",
    "default_data_dir",
    "fetch_dataset",
    "list_datasets",
    "load_dataset",
    "verify_dataset",
]

log = logging.getLogger(__name__)

VALIDATION = 5_000  # images of MNIST's 60,000 that decisions are made on; of a smaller training set the same share, a twelfth
SHARE = VALIDATION / 60_000
COPIES = 6  # of each training image, each in another hand, in `handwriting`
HELD_OUT = 0.1  # where there is no test split: the share that becomes one, and again the share for validation


@dataclass(frozen=True)
class Split:
    """Images and what they show. images: uint8 (N, 28, 28), paper 0 to ink 255; labels: uint8 (N,), 0 to 9, and 10 for no digit."""

    images: Pixels
    labels: Labels

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, chosen: NDArray[Any] | slice) -> "Split":
        return Split(self.images[chosen], self.labels[chosen])


@dataclass(frozen=True)
class Dataset:
    """The splits of one dataset by name. classes: the labels in words: ten, or eleven where there are things that are no digits."""

    name: str
    classes: tuple[str, ...]
    splits: dict[str, Split]

    def __getitem__(self, split: str) -> Split:
        if split not in self.splits:
            raise UnknownName(f"split in {self.name}:", split, self.splits)
        return self.splits[split]

    @property
    def train(self) -> Split:
        """What is learned from."""
        return self["train"]

    @property
    def validation(self) -> Split:
        """What decisions are made on."""
        return self["validation"]

    @property
    def test(self) -> Split:
        """What is looked at once, at the end."""
        return self["test"]


def load_dataset(
    source: str | Path,
    *,
    data_dir: str | Path | None = None,
    download: bool = True,
    progress: ProgressCallback | None = None,
) -> Dataset:
    """A dataset by name, or read from a path, with the splits train, validation and test.

    source: a name that `list_datasets` knows; a folder of pictures sorted into folders called 0 to 9; a folder of IDX files
        named as MNIST's; an IDX file of images with its labels beside it; an .npz; a CSV with labels; or several of these,
        joined by `+`, split by split. A name wins over a file that is called the same; ./NAME means the file.
    data_dir: where named datasets lie; default_data_dir() unless given. download: whether to fetch what is not there.
    progress: called while files are downloaded or pictures are read.

    The validation split comes out of the training images. A source without a test split is divided 80/10/10 and also has the
    split `all`. Pixels stay as they are, except that pictures, USPS and optdigits are brought to MNIST's geometry.
    Raises UnknownName, BadData, BadValue, and what `fetch_dataset` raises.
    """
    if isinstance(source, str) and source in DATASETS:
        return _load_named(
            DATASETS[source], Path(data_dir) if data_dir else default_data_dir(), download, progress
        )
    if Path(source).exists():
        return Dataset(str(source), DIGITS, _load_path(Path(source), progress))
    if len(parts := str(source).split("+")) > 1:
        return _join(
            [
                load_dataset(part, data_dir=data_dir, download=download, progress=progress)
                for part in parts
            ]
        )
    if isinstance(source, Path) or re.search(r"[/\\.]", source):
        raise BadData(f"no file or folder {str(source)!r}")
    raise UnknownName(
        "dataset", source, [*DATASETS, "or the path of a folder, IDX, .npz or CSV file"]
    )


def _join(datasets: list[Dataset]) -> Dataset:
    """Train with train, test with test; a split that one of them lacks is left out. Digits go with digits and other things.

    Of one that has too few images to divide, all are learned from.
    """
    first = max(datasets, key=lambda dataset: len(dataset.classes))
    for other in datasets:
        if other.classes != first.classes[: len(other.classes)]:
            raise BadValue(
                f"{first.name} and {other.name} cannot be joined: their classes are not the same things"
            )
    divided = [dataset.splits for dataset in datasets if "train" in dataset.splits]
    heaps = (
        [dataset["all"] for dataset in datasets if "train" not in dataset.splits] if divided else []
    )
    divided = divided or [dataset.splits for dataset in datasets]
    parts = {
        name: [splits[name] for splits in divided]
        for name in divided[0]
        if all(name in splits for splits in divided)
    }
    for name in parts.keys() & {"train", "all"}:
        parts[name] += heaps
    splits = {
        name: Split(
            np.concatenate([part.images for part in several]),
            np.concatenate([part.labels for part in several]),
        )
        for name, several in parts.items()
    }
    return Dataset("+".join(dataset.name for dataset in datasets), first.classes, splits)


# ---- splits


def stratified(labels: Labels, count: int) -> NDArray[np.bool_]:
    """Which `count` images to hold out: bool (N,), of each class its exact share, evenly spaced through the file.

    No randomness, so the same images everywhere and for ever. Shares are rounded so that they add up (largest remainder).
    """
    sizes = np.bincount(labels, minlength=10)
    shares = sizes * count / max(1, len(labels))
    quotas = shares.astype(int)
    quotas[np.argsort(quotas - shares, kind="stable")[: count - quotas.sum()]] += 1
    chosen = np.zeros(len(labels), bool)
    for label, quota in enumerate(quotas):
        places = np.flatnonzero(labels == label)
        chosen[places[(2 * np.arange(quota) + 1) * len(places) // (2 * max(1, quota))]] = True
    return chosen


def _with_validation(train: Split, **others: Split) -> dict[str, Split]:
    """Take the validation split out of the training images; the other splits stay as they are."""
    held_out = stratified(train.labels, min(VALIDATION, round(SHARE * len(train))))
    return {"train": train[~held_out], "validation": train[held_out], **others}


def _divided(everything: Split) -> dict[str, Split]:
    """Train, validation and test out of one heap; less than three images are only `all`."""
    if len(everything) < 3:
        return {"all": everything}
    count = max(1, round(HELD_OUT * len(everything)))
    for_test = stratified(everything.labels, count)
    rest, test = everything[~for_test], everything[for_test]
    for_validation = stratified(rest.labels, count)
    return {
        "train": rest[~for_validation],
        "validation": rest[for_validation],
        "test": test,
        "all": everything,
    }


# ---- datasets with a name


def _load_named(
    entry: Entry, data_dir: Path, download: bool, progress: ProgressCallback | None
) -> Dataset:
    folder = data_dir / entry.folder
    if download and not all(store.at_hand(folder, file) for file in entry.files):
        fetch_dataset(entry.name, data_dir, progress)
    try:
        return Dataset(entry.name, entry.classes, _named_splits(entry, folder, progress))
    except BadData as problem:
        raise BadData(
            f"{problem}; `inkdigits data fetch {entry.name}` downloads what is missing or wrong"
        ) from None


def _named_splits(
    entry: Entry, folder: Path, progress: ProgressCallback | None
) -> dict[str, Split]:
    arrays = []
    for file in entry.files:
        array, evidence = store.read_checked(folder, file)
        if evidence == store.UNPROVED:
            log.warning("%s: %s", folder / file.name, evidence)
        arrays.append(array)
    if entry.name == "optdigits":
        return _divided(_optdigits())
    if entry.name == "usps":
        return _with_validation(_usps(arrays[0]), test=_usps(arrays[1]))
    train, test = _idx_split(entry, *arrays[:2]), _idx_split(entry, *arrays[2:])
    if entry.name == "qmnist":  # the first 10,000 of its test digits are MNIST's
        return _with_validation(train, test=test[:10_000], test50k=test[10_000:])
    splits = _with_validation(train, test=test)
    return _handwriting(splits, progress) if entry.name == "handwriting" else splits


def _handwriting(mnist: dict[str, Split], progress: ProgressCallback | None) -> dict[str, Split]:
    """Train and validation as others might have written them, each made of its own images alone; test as it is."""
    from inkdigits.data.synthetic.handwriting import simulate  # not above: it needs OpenCV

    made = {
        name: Split(
            *simulate(
                mnist[name].images, mnist[name].labels, seed=seed, copies=copies, progress=progress
            )
        )
        for seed, (name, copies) in enumerate((("train", COPIES), ("validation", 1)))
    }
    return {**made, "test": mnist["test"]}


def _idx_split(entry: Entry, images: NDArray[Any], labels: NDArray[Any]) -> Split:
    images = as_images(images, entry.name)
    if entry.name == "emnist-digits":  # its files hold every image column by column
        images = np.ascontiguousarray(images.transpose(0, 2, 1))
    split = Split(images, as_labels(labels, len(images), f"a labels file of {entry.name}"))
    if entry.balanced and np.ptp(np.bincount(split.labels, minlength=10)):
        raise BadData(
            f"{entry.name} has equally many images of every class, but these files do not"
        )
    return split


def _usps(rows: NDArray[np.float32]) -> Split:
    """rows: float32 (N, 257), first the label 1 to 10, then 16x16 pixels from paper -1 to ink 1."""
    ink = np.clip((rows[:, 1:] + 1) * 127.5, 0, 255).round().astype(np.uint8)
    labels = as_labels(rows[:, 0].astype(np.int64) - 1, len(rows), "usps")
    return Split(_to_fields(ink.reshape(-1, 16, 16)), labels)


def _optdigits() -> Split:
    if not store.has_sklearn():
        raise MissingExtra("the dataset optdigits", "train")
    from sklearn.datasets import load_digits

    digits = load_digits()
    ink = (digits.images * (255 / 16)).round().astype(np.uint8)  # (N, 8, 8) from paper 0 to ink 16
    return Split(_to_fields(ink), digits.target.astype(np.uint8))


def _to_fields(ink: Pixels) -> Pixels:
    """Bring small digits (N, H, W), paper 0 to ink 255, to MNIST's geometry: (N, 28, 28)."""
    from inkdigits.reading.preprocessing import (
        fields as preprocessing,  # not above: other datasets do not need it
    )

    fields = np.zeros((len(ink), SIDE, SIDE), np.uint8)
    for field, digit in zip(fields, ink, strict=True):
        rows, columns = np.flatnonzero(digit.any(axis=1)), np.flatnonzero(digit.any(axis=0))
        if len(rows):
            field[:] = preprocessing.to_field(
                digit[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
            )
    return fields


# ---- datasets with a path


def _load_path(path: Path, progress: ProgressCallback | None) -> dict[str, Split]:
    if path.is_dir():
        if folders.class_folders(path):
            return _divided(Split(*folders.read_folder(path, progress)))
        return _idx_folder(path)
    match formats.kind_of(path):
        case "idx":
            return _divided(_idx_pair(path))
        case "npz":
            return _npz_splits(path)
        case _:
            return _divided(_labelled(*formats.read_images(path), path))


def _labelled(images: Pixels, labels: Labels | None, name: object) -> Split:
    if not len(images):
        raise BadData(f"{name} holds no images")
    if labels is None:
        raise BadData(
            f"{name} holds {len(images):,} images, but no labels to learn from or to measure with"
        )
    return Split(images, labels)


def _npz_splits(path: Path) -> dict[str, Split]:
    """Keras's arrays as they are named; anything else is one heap."""
    arrays = read_npz(path)
    found = {name: _labelled(*pair, f"{name} in {path}") for name, pair in arrays.items()}
    if {"x_train", "x_test"} <= set(found):
        return _with_validation(found["x_train"], test=found["x_test"])
    return _divided(next(iter(found.values())))


def _idx_folder(folder: Path) -> dict[str, Split]:
    """IDX files named as MNIST's: train-images..., train-labels..., t10k-images... or test-images..., and their labels."""
    found = {}
    for split, pattern in (("train", r"train[-_.]images"), ("test", r"(t10k|test)[-_.]images")):
        paths = sorted(
            path for path in folder.iterdir() if re.search(pattern, path.name) and path.is_file()
        )
        if len({path.name.removesuffix(".gz") for path in paths}) > 1:
            raise BadData(
                f"{folder} has several files of {split} images, {', '.join(path.name for path in paths)}: name one"
            )
        if paths:
            found[split] = _idx_pair(paths[0])
    if not found:
        raise BadData(
            f"{folder} holds {folders.listing(folder)}; needs pictures in folders called 0 to 9, or IDX files named as MNIST's"
        )
    return _with_validation(**found) if len(found) == 2 else _divided(*found.values())


def _idx_pair(path: Path) -> Split:
    images = as_images(read_idx(path), path)
    beside = _labels_beside(path)
    if not beside:
        raise BadData(
            f"no labels beside {path}: needs a file of the same name with 'labels' in place of 'images'"
        )
    return _labelled(images, as_labels(read_idx(beside), len(images), beside), path)


def _labels_beside(path: Path) -> Path | None:
    stem = path.name.removesuffix(".gz").replace("images", "labels")
    names = [
        stem.replace("idx3-ubyte", kind) + packed
        for kind in ("idx1-ubyte", "idx2-int")
        for packed in ("", ".gz")
    ]
    return next(
        (beside for name in names if (beside := path.with_name(name)) != path and beside.is_file()),
        None,
    )
