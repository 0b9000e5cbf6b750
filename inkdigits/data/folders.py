"""Folders of pictures sorted by class: a folder that holds the folders 0 to 9 comes in, images and their labels come out."""

from pathlib import Path

import numpy as np

from inkdigits.core.arrays import listed
from inkdigits.core.digits import DIGITS, SIDE, Labels, Pixels
from inkdigits.core.errors import BadData, BadPicture
from inkdigits.core.formats import pictures_below
from inkdigits.core.progress import ProgressCallback


def class_folders(folder: Path) -> list[Path]:
    """The folders called 0 to 9 inside `folder`, in this order."""
    return [folder / digit for digit in DIGITS if (folder / digit).is_dir()]


def read_folder(folder: Path, progress: ProgressCallback | None = None) -> tuple[Pixels, Labels]:
    """Pictures of one digit each, sorted into folders called 0 to 9: uint8 (N, 28, 28) with MNIST's geometry, and labels (N,).

    Ordered by class, then by name. Raises BadData where there are no pictures, or some are blank or cannot be read: it names them.
    """
    from inkdigits.reading.preprocessing import fields  # not above: it loads OpenCV

    pictures = [
        (path, int(home.name)) for home in class_folders(folder) for path in pictures_below(home)
    ]
    if not pictures:
        raise BadData(f"no pictures in folders called 0 to 9 in {folder}, but {listing(folder)}")
    images, problems = np.empty((len(pictures), SIDE, SIDE), np.uint8), list[str]()
    for index, (path, _) in enumerate(pictures):
        try:
            images[index] = fields.single(path)
            if not images[index].any():
                problems.append(f"no digit found in {path}")
        except BadPicture as problem:
            problems.append(str(problem))
        if progress:
            progress(f"reading {folder}", index + 1, len(pictures))
    if problems:
        count = "a picture" if len(problems) == 1 else f"{len(problems):,} pictures"
        raise BadData(f"{count} in {folder} cannot be used: {listed(problems)}")
    return images, np.array([label for _, label in pictures], np.uint8)


def listing(folder: Path) -> str:
    """What lies in a folder, shortened for an error message."""
    return listed(sorted(path.name + "/" * path.is_dir() for path in folder.iterdir()))
