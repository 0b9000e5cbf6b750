"""Writing a file whole or not at all, so that a full disk or a kill leaves what was there before; and being alone at it."""

import contextlib
import os
import re
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from inkdigits.core.errors import CannotWrite, MissingExtra

TEMPORARY = re.compile(
    r"\.[0-9a-f]{8}\."
)  # how the names begin that are given away here for a moment


def write_whole(path: Path, content: bytes | str | Callable[[Path], object]) -> None:
    """Put `content` at `path`: bytes, text, or a function that writes the temporary file that it is given.

    The temporary file lies beside `path`, reaches the disk, and then takes its name, which reaches it too. Raises CannotWrite.
    """
    temporary = (
        path.parent / f".{secrets.token_hex(4)}.{path.name}"
    )  # the suffix stays: some writers choose a format by it
    try:
        if callable(content):
            content(temporary)
        else:
            temporary.write_bytes(
                content
                if isinstance(content, bytes)
                else content.encode("utf-8", "xmlcharrefreplace")
            )
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
        _sync_folder(path.parent)
    except BaseException as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        if not isinstance(error, OSError):
            raise
        raise CannotWrite(
            f"cannot write {path}: {error.strerror or error}; choose a place with room that is yours"
        ) from error


def _sync_folder(folder: Path) -> None:
    """Have the names in it reach the disk, without which a power cut may undo a renaming."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def remove_leftovers(folder: Path) -> None:
    """Delete what processes that were killed within `write_whole` have left there. Nobody else may be writing into it."""
    for path in folder.iterdir():
        if TEMPORARY.match(path.name):
            path.unlink()


def entries(folder: Path) -> list[Path]:
    """What is in it, but for what `remove_leftovers` would delete."""
    return [path for path in folder.iterdir() if not TEMPORARY.match(path.name)]


def new_folder(path: Path) -> Path:
    """Make a folder that is not there yet, or take one that is empty. Raises CannotWrite."""
    if entries(writable_folder(path)):
        raise CannotWrite(
            f"the folder {path} exists and is not empty; choose a new one, or delete it first"
        )
    return path


def writable_folder(path: Path) -> Path:
    """Make a folder unless it is there. Raises CannotWrite where nothing can be written into it."""
    try:
        path.mkdir(parents=True, exist_ok=True)
        probe = path / f".{secrets.token_hex(4)}.probe"
        try:
            probe.touch()
        finally:
            probe.unlink(missing_ok=True)
    except OSError as error:
        raise CannotWrite(
            f"cannot write into {path}: {error.strerror or error}; choose a place that is yours"
        ) from error
    return path


@contextmanager
def alone(path: Path, wait: bool = True) -> Iterator[bool]:
    """Keep every other thread and process that wants to bring `path` waiting. Makes the folder around it.

    Gives True; or False, at once, where another one is at it and we are not to wait. The lock is the system's on a file beside
    `path`: a process that is killed lets go of it. Raises CannotWrite; MissingExtra where filelock is not installed.
    """
    try:
        from filelock import FileLock, Timeout
    except ImportError:
        raise MissingExtra("downloading a dataset", "train") from None
    lock = FileLock(
        path.with_name(f".{path.name}.lock"), thread_local=False
    )  # another thread may close a generator
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(Timeout):
            lock.acquire(blocking=wait)
    try:
        yield lock.is_locked
    finally:
        if lock.is_locked:
            # Deleted while it is held: whoever has opened it meanwhile sees that it has no name any more, and opens the next one.
            with contextlib.suppress(OSError):
                Path(lock.lock_file).unlink()
            lock.release()


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Raise as CannotWrite what the system refuses."""
    try:
        yield
    except OSError as problem:
        raise CannotWrite(f"cannot write {path}: {problem.strerror or problem}") from None
