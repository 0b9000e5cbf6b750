"""The folder of datasets with a name: what is there, what proves it, and fetching what is missing.

Files are at DATA_DIR/<name>/<file>, packed as they are served or unpacked. A name comes in, single
arrays go out.
"""

import importlib.util
import os
import shutil
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from inkdigits.core.arrays import read_array
from inkdigits.core.errors import BadData, DownloadFailed, look_up
from inkdigits.core.files import file_lock, remove_file, report_write_errors
from inkdigits.core.progress import ProgressCallback
from inkdigits.core.tables import read_libsvm, read_numbers
from inkdigits.core.unpacking import sha256
from inkdigits.data.catalogue import DATASETS, Archive, Entry, File
from inkdigits.data.download import fetch, temporary_beside

PROVED = "right, SHA-256 as published"
UNPROVED = (
    "right shape, but packed differently from the published file, so its SHA-256 cannot be compared"
)
WITHOUT_HASH = "right shape; its SHA-256 is not published"


@dataclass(frozen=True)
class Listing:
    """A line of `data list`.

    Attributes:
        name: of the dataset.
        description: a line about it.
        licence: of the data.
        present: every file is on this disk.
        nbytes: of its files on this disk.
    """

    name: str
    description: str
    licence: str
    present: bool
    nbytes: int


@dataclass(frozen=True)
class Finding:
    """A line of `data verify`: what one file was found to be."""

    file: str
    right: bool
    note: str

    def __str__(self) -> str:
        return f"{self.file}: {self.note}"


def default_data_dir() -> Path:
    """Return the folder of datasets: $INKDIGITS_DATA, else inkdigits in the user's cache folder."""
    folder = os.environ.get("INKDIGITS_DATA")
    if folder:
        return Path(folder).expanduser()

    if sys.platform == "win32":
        local = os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local"
        return Path(local) / "inkdigits"

    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "inkdigits"

    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "inkdigits"


def entry_of(name: str) -> Entry:
    """Return a dataset's entry in the catalogue, or raise UnknownName."""
    return look_up("dataset", name, DATASETS)


def has_sklearn() -> bool:
    """Tell whether scikit-learn is installed, which carries optdigits."""
    return importlib.util.find_spec("sklearn") is not None


# ---- what is there


def list_datasets(data_dir: Path | None = None) -> list[Listing]:
    """List every dataset that has a name, and tell whether all its files are there.

    Only names and sizes are looked at; `verify_dataset` reads the files.
    """
    listings = []
    for entry in DATASETS.values():
        folder = (data_dir or default_data_dir()) / entry.folder
        paths = [at_hand(folder, file) for file in entry.files]
        present = all(paths) if entry.files else has_sklearn()
        nbytes = sum(path.stat().st_size for path in paths if path)
        listings.append(Listing(entry.name, entry.description, entry.licence, present, nbytes))

    return listings


def at_hand(folder: Path, file: File) -> Path | None:
    """Return the path of a dataset's file, packed or not, or None where it is missing."""
    for path in (folder / file.packed_name, folder / file.name):
        if path.is_file():
            return path
    return None


def verify_dataset(name: str, data_dir: Path | None = None) -> list[Finding]:
    """Read each file of a dataset and tell what it is.

    Args:
        name: of the dataset.
        data_dir: the folder of datasets; `default_data_dir()` unless given.

    Returns:
        For each file whether it is proved by its hash, right as far as can be seen, wrong, or
        missing.

    Raises:
        UnknownName: no dataset has this name.
    """
    entry = entry_of(name)
    folder = (data_dir or default_data_dir()) / entry.folder
    if not entry.files:
        note = "comes with scikit-learn" if has_sklearn() else "needs scikit-learn"
        return [Finding(name, has_sklearn(), note)]

    return [_finding(folder, file) for file in entry.files]


def _finding(folder: Path, file: File) -> Finding:
    name = str(at_hand(folder, file) or folder / file.packed_name)
    try:
        _, evidence = read_checked(folder, file)
        return Finding(name, True, evidence)
    except BadData as problem:
        return Finding(name, False, str(problem).removeprefix(name).lstrip(": "))


def read_checked(folder: Path, file: File) -> tuple[NDArray[Any], str]:
    """Read a file of a dataset and check it.

    Args:
        folder: of the dataset.
        file: its entry in the catalogue.

    Returns:
        The array, and what shows that it is the right one: PROVED, UNPROVED or WITHOUT_HASH.

    Raises:
        BadData: the file is missing, damaged, or certainly not the right one.
    """
    path = at_hand(folder, file)
    if not path:
        raise BadData(f"{folder / file.packed_name} is missing")

    if file.kind == "libsvm":
        array: NDArray[Any] = read_libsvm(path, file.shape[1], file.limit)
    elif file.kind == "numbers":
        array = read_numbers(path, file.shape[1], file.limit)
    else:
        array = read_array(path, sha256=file.sha256 if file.of_unpacked else None)

    if array.shape != file.shape:
        raise BadData(f"{path} has the shape {array.shape}, not {file.shape}")

    if not file.sha256:
        return array, WITHOUT_HASH
    if file.of_unpacked or sha256(path, unpack=False, limit=file.limit) == file.sha256:
        return array, PROVED

    return array, UNPROVED


def _is_right(folder: Path, file: File) -> bool:
    try:
        read_checked(folder, file)
    except BadData:
        return False
    return True


# ---- fetching


def fetch_dataset(
    name: str, data_dir: Path | None = None, progress: ProgressCallback | None = None
) -> Path:
    """Download the files of a dataset that are missing or wrong.

    Args:
        name: of the dataset.
        data_dir: the folder of datasets; `default_data_dir()` unless given.
        progress: called with the bytes that have arrived and the bytes expected.

    Returns:
        The dataset's folder.

    Raises:
        UnknownName: no dataset has this name.
        DownloadFailed: no mirror delivered a file, or there is none.
        CannotWrite: the folder cannot be written into.
        MissingExtra: filelock is not installed.
    """
    entry = entry_of(name)
    folder = (data_dir or default_data_dir()) / entry.folder
    wrong = [file for file in entry.files if not _is_right(folder, file)]

    if entry.source and wrong:
        raise DownloadFailed(by_hand(entry, folder))

    if entry.archive:
        if wrong:
            _fetch_from_archive(entry.archive, folder, wrong, progress)
        return folder

    for file in wrong:
        fetch_file(entry, file, folder, progress)

    return folder


def by_hand(entry: Entry, folder: Path) -> str:
    """Say where people get the files of a dataset that is not fetched here."""
    names = ", ".join(file.name for file in entry.files)
    return (
        f"{entry.name} is not downloaded here, as no SHA-256 of it is published: take {names} from "
        f"{entry.source} and put it into {folder}"
    )


def fetch_file(
    entry: Entry, file: File, folder: Path, progress: ProgressCallback | None = None
) -> None:
    """Download one file of a dataset that mirrors serve file by file.

    Raises:
        DownloadFailed, CannotWrite, MissingExtra: as `fetch_dataset` raises them.
    """
    assert file.sha256, "a file that is served on its own has a hash of its own"
    fetch(
        [mirror + file.packed_name for mirror in entry.mirrors],
        folder / file.packed_name,
        sha256=file.sha256,
        of_unpacked=file.of_unpacked,
        limit=file.limit,
        progress=progress,
    )


def _fetch_from_archive(
    archive: Archive, folder: Path, files: list[File], progress: ProgressCallback | None
) -> None:
    """Download a zip file, take some files out of it, and delete it again unless it was there."""
    path = folder / archive.name
    with file_lock(folder / "archive"):
        # Another process may have brought them while this one waited.
        files = [file for file in files if not _is_right(folder, file)]
        if not files:
            return

        was_there = os.path.lexists(path)
        fetch(
            archive.urls,
            path,
            sha256=archive.sha256,
            of_unpacked=False,
            limit=archive.nbytes,
            progress=progress,
        )
        try:
            with zipfile.ZipFile(path) as zipped:
                for file in files:
                    _extract(zipped, archive.folder + file.packed_name, folder / file.packed_name)
        finally:
            if not was_there:
                remove_file(path)


def _extract(zipped: zipfile.ZipFile, member: str, path: Path) -> None:
    """Take one file out of an archive, whole or not at all."""
    with report_write_errors(path), temporary_beside(path) as temporary:
        with zipped.open(member) as source, temporary.open("xb") as target:
            shutil.copyfileobj(source, target)
        temporary.replace(path)
