"""Who wrote MNIST's training digits: a folder of datasets comes in, a number a digit goes out.

MNIST's own files do not say it. QMNIST's labels do, in the same order, and so does the small file
mnist_writers.npz that is made of them.
"""

import zipfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from inkdigits.core.errors import BadData
from inkdigits.core.progress import ProgressCallback
from inkdigits.data.catalogue import DATASETS
from inkdigits.data.store import at_hand, fetch_file, read_checked

WRITERS_FILE = "mnist_writers.npz"  # in MNIST's folder
QMNIST = DATASETS["qmnist"]
LABELS = QMNIST.files[1]  # of its training digits: rows of 8 numbers
WRITER = 2  # the column of the writer's number

Writers = NDArray[np.int32]


def training_writers(
    data_dir: Path, download: bool = True, progress: ProgressCallback | None = None
) -> Writers:
    """Return the number of the person who wrote each of MNIST's training digits.

    Args:
        data_dir: the folder of all datasets with a name.
        download: fetch QMNIST's labels, half a megabyte, if neither file is there.
        progress: called with the bytes that have arrived and the bytes expected.

    Returns:
        int32 (60000,), in MNIST's order.

    Raises:
        BadData: neither file is there, or it is damaged.
        DownloadFailed, CannotWrite, MissingExtra: as `fetch_file` raises them.
    """
    made = data_dir / "mnist" / WRITERS_FILE
    if made.is_file():
        return read_writers(made)

    folder = data_dir / QMNIST.folder
    if download and not at_hand(folder, LABELS):
        fetch_file(QMNIST, LABELS, folder, progress)

    try:
        rows, _ = read_checked(folder, LABELS)
    except BadData as problem:
        raise BadData(
            f"who wrote MNIST's digits is in QMNIST's labels, but {problem}; "
            "`inkdigits data fetch qmnist` downloads them"
        ) from None

    return rows[:, WRITER].astype(np.int32)


def read_writers(path: Path) -> Writers:
    """Read mnist_writers.npz, or raise BadData if it is damaged."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            writers = np.asarray(stored["train_writer"], np.int32)
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise BadData(f"{path} is damaged: {error}") from error

    if writers.shape != LABELS.shape[:1]:
        raise BadData(f"{path} has the shape {writers.shape}, not {LABELS.shape[:1]}")

    return writers
