"""Folders of the user's own pictures: labelled 28x28 digits go out, and what could not be used.

A folder holds folders called 0 to 9, with one digit in each picture; or a file labels.csv that says
what is written in each picture, `file,written`; or both.
"""

import csv
import logging
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from inkdigits.core.digits import DIGITS, Pixels
from inkdigits.core.errors import BadData, BadPicture, listed, shortened
from inkdigits.core.pictures import pictures_below
from inkdigits.core.progress import ProgressCallback
from inkdigits.data.splits import Split, Unusable

log = logging.getLogger(__name__)

NUMBER = re.compile(r"[+-]?\d+")
NO_DIGIT = re.compile(r"[^0-9]+")
LABELS_FILE = "labels.csv"
LABELS_COLUMNS = ("file", "written")


@dataclass(frozen=True)
class _Written:
    """A picture and the digits that are written in it, left to right, top to bottom.

    Attributes:
        alone: whether the picture is one of a class folder, which shows one digit.
    """

    path: Path
    digits: str
    alone: bool = False


def class_folders(folder: Path) -> list[Path]:
    """Return the folders called 0 to 9 inside a folder, in this order."""
    return [folder / digit for digit in DIGITS if (folder / digit).is_dir()]


def is_picture_folder(folder: Path) -> bool:
    """Tell whether a folder holds pictures with their labels."""
    return bool(class_folders(folder)) or (folder / LABELS_FILE).is_file()


def read_folder(
    folder: Path, progress: ProgressCallback | None = None, *, strict: bool = False
) -> tuple[Split, tuple[Unusable, ...]]:
    """Read the labelled pictures in a folder.

    Args:
        folder: with class folders, labels.csv or both.
        progress: called after each picture.
        strict: whether the first picture that cannot be used is an error.

    Returns:
        The digits with MNIST's geometry, those of class folders by class and then by name, those of
        labels.csv in its order; and the pictures that are left out, with the reasons.

    Raises:
        BadData: there are no pictures, none can be used, or none of those in a class folder;
            labels.csv is damaged; or a picture cannot be used and `strict` is given.
    """
    homes = class_folders(folder)
    pictures = [
        _Written(path, home.name, alone=True) for home in homes for path in pictures_below(home)
    ]
    pictures += _listed_pictures(folder)
    if not pictures:
        raise BadData(f"no pictures in folders called 0 to 9 in {folder}, but {listing(folder)}")

    _name_other_numbers(folder)
    images: list[Pixels] = []
    labels: list[int] = []
    unusable: list[Unusable] = []
    for index, picture in enumerate(pictures):
        try:
            images.append(_digits_in(picture))
            labels += map(int, picture.digits)
        except BadPicture as problem:
            if strict:
                raise BadData(f"{problem}; without --strict, it is left out") from None
            unusable.append(Unusable(str(picture.path), str(problem)))

        if progress:
            progress(f"reading {folder}", index + 1, len(pictures))

    _refuse_empty_classes(homes, pictures, labels, unusable)
    _warn(folder, pictures, unusable)
    return Split(np.concatenate(images), np.array(labels, np.uint8)), tuple(unusable)


def _digits_in(picture: _Written) -> Pixels:
    """Return the digits in a picture, (K, 28, 28), or raise BadPicture if they are not K."""
    from inkdigits.reading.cutting import cut_digits  # not above: they load ONNX Runtime
    from inkdigits.reading.page.single import single

    count = len(picture.digits)
    if not count:
        raise BadPicture("blank", f"no digits are written in {picture.path} by {LABELS_FILE}")

    if picture.alone or count == 1:
        image = single(picture.path)
        if not image.any():
            raise BadPicture("blank", f"no digit found in {picture.path}")
        return image[None]

    found = cut_digits(picture.path)
    if len(found) != count:
        raise BadPicture(
            "disagreement",
            f"{len(found)} digits found in {picture.path}, but {count} are written: "
            f"{shortened(picture.digits)}",
        )
    return found


def _listed_pictures(folder: Path) -> list[_Written]:
    """Return the pictures that a folder's labels.csv lists, if there is one."""
    path = folder / LABELS_FILE
    if not path.is_file():
        return []

    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = csv.DictReader(file, strict=True)
            if not set(LABELS_COLUMNS) <= set(rows.fieldnames or ()):
                columns = ", ".join(rows.fieldnames or ()) or "nothing"
                raise BadData(
                    f"{path} has the columns {shortened(columns)}; expected file,written, such as "
                    "a.png,12.50"
                )
            return [
                _Written(folder / (row["file"] or ""), NO_DIGIT.sub("", row["written"] or ""))
                for row in rows
            ]
    except (csv.Error, UnicodeError) as problem:
        raise BadData(f"{path} is damaged, or no table of file,written: {problem}") from None


def _refuse_empty_classes(
    homes: list[Path], pictures: list[_Written], labels: list[int], unusable: list[Unusable]
) -> None:
    """Refuse class folders of which one has no picture that can be used."""
    reasons = [bad.reason for bad in unusable]
    if not labels:
        count = "a picture" if len(reasons) == 1 else f"{len(reasons):,} pictures"
        where = homes[0].parent if homes else pictures[0].path.parent
        raise BadData(f"{count} in {where} cannot be used: {listed(reasons)}")

    for home in homes:
        if int(home.name) not in labels:
            why = [bad.reason for bad in unusable if Path(bad.path).is_relative_to(home)]
            raise BadData(
                f"no picture in {home} can be used, so that no {home.name} is learned: "
                f"{listed(why) if why else 'it has none'}"
            )


def _warn(folder: Path, pictures: list[_Written], unusable: list[Unusable]) -> None:
    """Warn of pictures that are left out."""
    if unusable:
        log.warning(
            "%s of %s pictures in %r cannot be used and are left out: %s",
            f"{len(unusable):,}",
            f"{len(pictures):,}",
            str(folder),
            listed(bad.reason for bad in unusable),
        )


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


def listing(folder: Path) -> str:
    """Return the names in a folder, shortened for an error message."""
    return listed(sorted(path.name + "/" * path.is_dir() for path in folder.iterdir()))
