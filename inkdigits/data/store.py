"""The folder where datasets with a name lie: what is there, what proves it, and bringing what is
missing.

Files lie as DATA_DIR/<name>/<file>, packed as they are served or unpacked. Hands out single arrays;
knows nothing of splits.
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
from inkdigits.core.errors import BadData, UnknownName
from inkdigits.core.files import alone, writing
from inkdigits.core.progress import ProgressCallback
from inkdigits.core.tables import read_libsvm
from inkdigits.core.unpacking import sha256
from inkdigits.data.catalogue import DATASETS, Archive, Entry, File
from inkdigits.data.download import fetch, temporary_beside

PROVED = "right, SHA-256 as published"
UNPROVED = (
    "right shape, but packed differently from the published file, so its SHA-256 cannot be compared"
)
WITHOUT_HASH = "right shape; its SHA-256 is not published, only that of the archive it comes in"


@dataclass(frozen=True)
class Listing:
    """A line of `data list`. present: every file lies there. nbytes: on this disk."""

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
    """Where datasets lie unless told otherwise: $INKDIGITS_DATA, else inkdigits in the user's cache
    folder.
    """
    if folder := os.environ.get("INKDIGITS_DATA"):
        return Path(folder).expanduser()
    if sys.platform == "win32":
        return (
            Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "inkdigits"
        )
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "inkdigits"

    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "inkdigits"


def list_datasets(data_dir: Path | None = None) -> list[Listing]:
    """Every dataset that has a name, and whether it lies there whole. Looks at names and sizes
    only; `verify_dataset` reads.
    """
    return [
        _listing(entry, (data_dir or default_data_dir()) / entry.folder)
        for entry in DATASETS.values()
    ]


def _listing(entry: Entry, folder: Path) -> Listing:
    paths = [at_hand(folder, file) for file in entry.files]
    present = all(paths) if entry.files else has_sklearn()
    nbytes = sum(path.stat().st_size for path in paths if path)
    return Listing(entry.name, entry.description, entry.licence, present, nbytes)


def verify_dataset(name: str, data_dir: Path | None = None) -> list[Finding]:
    """What each file of a named dataset is: proved by its hash, right as far as can be seen, wrong,
    or missing.

    Raises UnknownName.
    """
    entry = entry_of(name)
    folder = (data_dir or default_data_dir()) / entry.folder
    if not entry.files:
        return [
            Finding(
                name,
                has_sklearn(),
                "comes with scikit-learn" if has_sklearn() else "needs scikit-learn",
            )
        ]

    return [_finding(folder, file) for file in entry.files]


def _finding(folder: Path, file: File) -> Finding:
    name = str(at_hand(folder, file) or folder / file.packed_name)
    try:
        _, evidence = read_checked(folder, file)
        return Finding(name, True, evidence)
    except BadData as problem:
        return Finding(name, False, str(problem).removeprefix(name).lstrip(": "))


def fetch_dataset(
    name: str, data_dir: Path | None = None, progress: ProgressCallback | None = None
) -> Path:
    """Download what is missing or wrong of a named dataset; return its folder.

    progress: called with what is downloaded, the bytes that have arrived, and the bytes expected.
    Raises UnknownName, DownloadFailed, CannotWrite, and MissingExtra where filelock is not
    installed.
    """
    entry = entry_of(name)
    folder = (data_dir or default_data_dir()) / entry.folder
    wanted = [file for file in entry.files if not _is_right(folder, file)]

    if wanted and entry.archive:
        _fetch_from_archive(entry.archive, folder, wanted, progress)
        return folder

    for file in wanted:
        assert file.sha256, "a file that is served on its own has a hash of its own"
        fetch(
            [mirror + file.packed_name for mirror in entry.mirrors],
            folder / file.packed_name,
            sha256=file.sha256,
            of_unpacked=file.of_unpacked,
            limit=file.limit,
            progress=progress,
        )

    return folder


def _fetch_from_archive(
    archive: Archive, folder: Path, wanted: list[File], progress: ProgressCallback | None
) -> None:
    """Download a zip file, take the wanted files out of it, and delete it again."""
    path = folder / archive.name
    with alone(folder / "archive"):
        wanted = [
            file for file in wanted if not _is_right(folder, file)
        ]  # unless they came while we waited
        if not wanted:
            return

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
                for file in wanted:
                    _extract(zipped, archive.folder + file.packed_name, folder / file.packed_name)
        finally:
            path.unlink()


def _extract(zipped: zipfile.ZipFile, member: str, path: Path) -> None:
    with writing(path), temporary_beside(path) as temporary:
        with zipped.open(member) as source, temporary.open("xb") as target:
            shutil.copyfileobj(source, target)
        temporary.replace(path)


def read_checked(folder: Path, file: File) -> tuple[NDArray[Any], str]:
    """The array in a file, and what shows that it is the right one: PROVED, UNPROVED or
    WITHOUT_HASH.

    Raises BadData where the file is missing, damaged, or certainly not the right one.
    """
    path = at_hand(folder, file)
    if not path:
        raise BadData(f"{folder / file.packed_name} is missing")

    if file.kind == "libsvm":
        array: NDArray[Any] = read_libsvm(path, file.shape[1], file.limit)
    else:
        array = read_array(path, sha256=file.sha256 if file.of_unpacked else None)

    if array.shape != file.shape:
        raise BadData(f"{path} has the shape {array.shape}, not {file.shape}")
    if file.of_unpacked or (
        file.sha256 and sha256(path, unpack=False, limit=file.limit) == file.sha256
    ):
        return array, PROVED

    return array, UNPROVED if file.sha256 else WITHOUT_HASH


def _is_right(folder: Path, file: File) -> bool:
    try:
        read_checked(folder, file)
    except BadData:
        return False
    return True


def at_hand(folder: Path, file: File) -> Path | None:
    """Where the file lies, packed or not; None where it does not."""
    return next(
        (path for path in (folder / file.packed_name, folder / file.name) if path.is_file()), None
    )


def entry_of(name: str) -> Entry:
    """A dataset's entry in the catalogue. Raises UnknownName."""
    if name not in DATASETS:
        raise UnknownName("dataset", name, DATASETS)
    return DATASETS[name]


def has_sklearn() -> bool:
    """Whether scikit-learn is installed, which carries optdigits."""
    return importlib.util.find_spec("sklearn") is not None
