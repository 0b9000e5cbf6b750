"""Datasets by name or path: the name or path of one or of several comes in, a Dataset goes out.

The same source gives the same splits every time. Torch is never loaded; which split to look at is
the caller's decision.
"""

import os
import re
from itertools import chain
from pathlib import Path

from inkdigits.core.digits import DIGITS
from inkdigits.core.errors import BadData, BadValue, UnknownName, quoted
from inkdigits.core.progress import ProgressCallback
from inkdigits.data.catalogue import DATASETS
from inkdigits.data.named import load_named
from inkdigits.data.paths import load_path
from inkdigits.data.splits import Dataset, Split, concatenated
from inkdigits.data.store import default_data_dir

__all__ = ["Dataset", "Split", "load_dataset"]


def load_dataset(
    source: str | Path,
    *,
    data_dir: str | Path | None = None,
    download: bool = True,
    progress: ProgressCallback | None = None,
    strict: bool = False,
) -> Dataset:
    """Load a dataset by name or from a path, with the splits train, validation and test.

    The validation split comes out of the training images. A source without a test split is divided
    80/10/10, and also has the split `all`. Pixels stay as they are, except that pictures, USPS and
    optdigits are brought to MNIST's geometry.

    Args:
        source: a name that `inkdigits data list` shows; a folder of pictures sorted into folders
            called 0 to 9, or with a labels.csv that says what is written in each; a folder of IDX
            files named as MNIST's; an IDX file of images with its labels beside it; an .npz file; a
            CSV file with labels; or several of these joined by `+`, split by split. A name wins
            over a file that is called the same; ./NAME means the file.
        data_dir: the folder of datasets with a name; `default_data_dir()` unless given.
        download: fetch files that are missing.
        progress: called while files are downloaded or pictures are read.
        strict: whether the first picture that cannot be used is an error. Otherwise those pictures
            are left out, and listed in the dataset's `unusable`.

    Returns:
        The dataset, the same one every time.

    Raises:
        UnknownName: no dataset has this name.
        BadData: files are missing, damaged or something else.
        BadValue: the datasets cannot be joined.
        DownloadFailed, CannotWrite, MissingExtra: as `fetch_dataset` raises them.
    """
    if isinstance(source, str) and source in DATASETS:
        folder = Path(data_dir) if data_dir else default_data_dir()
        return load_named(DATASETS[source], folder, download, progress)

    # Path.exists would raise an OSError for a name that is too long to be one.
    if os.path.exists(source):  # noqa: PTH110
        splits, unusable = load_path(Path(source), progress, strict=strict)
        return Dataset(str(source), DIGITS, splits, unusable)

    parts = str(source).split("+")
    if len(parts) > 1:
        return join_datasets(
            [
                load_dataset(
                    part, data_dir=data_dir, download=download, progress=progress, strict=strict
                )
                for part in parts
            ]
        )
    if isinstance(source, Path) or re.search(r"[/\\.]", source):
        raise BadData(f"no file or folder {quoted(source)}")

    raise UnknownName(
        "dataset", source, [*DATASETS, "or the path of a folder, IDX, .npz or CSV file"]
    )


def join_datasets(datasets: list[Dataset]) -> Dataset:
    """Join train with train and test with test; a split that one of them lacks is left out.

    A dataset of ten digits goes with one of eleven classes. A dataset that has too few images to be
    divided is learned from.
    """
    classes = _common_classes(datasets)
    divided = [dataset.splits for dataset in datasets if "train" in dataset.splits]
    undivided = [dataset["all"] for dataset in datasets if "train" not in dataset.splits]

    if not divided:
        divided = [dataset.splits for dataset in datasets]
        undivided = []

    joined = {}
    for name in _shared_names(divided):
        others = undivided if name in ("train", "all") else []
        joined[name] = concatenated([*(splits[name] for splits in divided), *others])

    name = "+".join(dataset.name for dataset in datasets)
    unusable = chain.from_iterable(dataset.unusable for dataset in datasets)
    return Dataset(name, classes, joined, tuple(unusable))


def _shared_names(several: list[dict[str, Split]]) -> list[str]:
    """Return the names of the splits that all have."""
    return [name for name in several[0] if all(name in splits for splits in several)]


def _common_classes(datasets: list[Dataset]) -> tuple[str, ...]:
    """Return the classes of the dataset that has most, or raise BadValue where others differ."""
    largest = max(datasets, key=lambda dataset: len(dataset.classes))
    for dataset in datasets:
        if dataset.classes != largest.classes[: len(dataset.classes)]:
            raise BadValue(
                f"{largest.name} and {dataset.name} cannot be joined: "
                "their classes are not the same things"
            )

    return largest.classes
