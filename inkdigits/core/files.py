"""Atomic writes, so that a full disk or a kill leaves what was there before, and advisory locks.

What is deleted is a regular file with a name that we gave it. A folder may be a stranger's, and
have links where our own files and folders should be: they are refused.
"""

import contextlib
import errno
import json
import os
import re
import secrets
import stat
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from inkdigits.core.errors import CannotWrite, MissingExtra

# What SQLite keeps beside a file, and writes to without being asked.
SQLITE_ENDINGS = ("-wal", "-shm", "-journal")

MAX_CONFIG = 1 << 20  # bytes of a config.json, a recipe or a space; ours have some thousand

TEMPORARY = re.compile(r"\.[0-9a-f]{8}\.")  # the start of the names of temporary files


def write_whole(path: Path, content: bytes | str | Callable[[Path], object]) -> None:
    """Write a file whole or not at all (an atomic write).

    A temporary file beside it is written and synced to the disk, then renamed to `path`, and the
    renaming is synced too.

    Args:
        path: the file; an existing one is replaced.
        content: bytes, text, or a function that writes the temporary file whose path it is given.

    Raises:
        CannotWrite: the system refuses it; what was at `path` is still there.
    """
    temporary = _temporary(path)
    try:
        if callable(content):
            content(temporary)
        elif isinstance(content, str):
            temporary.write_bytes(content.encode("utf-8", "xmlcharrefreplace"))
        else:
            temporary.write_bytes(content)

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
            f"cannot write {path}: {error.strerror or error}; "
            "choose a place with free space that you may write to"
        ) from error


def _temporary(path: Path) -> Path:
    """Return a new name beside a file, with its suffix, by which some writers choose a format."""
    return path.parent / f".{secrets.token_hex(4)}.{path.name}"


def _sync_folder(folder: Path) -> None:
    """Sync the names in a folder to the disk, without which a power cut may undo a renaming."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def remove_leftovers(folder: Path, names: Collection[str] | None = None) -> None:
    """Delete the temporary files of processes that were killed within `write_whole`.

    No other process may be writing into the folder meanwhile.

    Args:
        folder: in which they were writing.
        names: of the files that they were writing; None for any.
    """
    for path in folder.iterdir():
        written = written_name(path)
        if written and (names is None or written in names):
            remove_file(path)


def written_name(path: Path) -> str | None:
    """Return the name of the file that a temporary file would become, or None for other files."""
    found = TEMPORARY.match(path.name)
    return path.name[found.end() :] if found else None


def remove_file(path: Path) -> None:
    """Delete a file, unless it is a link, a folder or anything else that we do not make."""
    if is_regular(path):
        path.unlink(missing_ok=True)


def is_regular(path: Path) -> bool:
    """Tell whether there is a regular file, and not a link to one."""
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except OSError:
        return False


def _refuse_special(path: Path) -> None:
    """Raise CannotWrite if there is something else than a regular file, such as a FIFO.

    It is asked once: somebody else may delete the file meanwhile.
    """
    try:
        mode = path.lstat().st_mode
    except OSError:
        return

    if not stat.S_ISREG(mode):
        raise CannotWrite(f"{path} is not a regular file, as a lock of ours is; delete it")


def read_small(path: Path, limit: int) -> bytes:
    """Read a regular file of a size that it may have. Nothing waits for a FIFO or a device.

    Args:
        path: the file, or a link to one.
        limit: the most bytes that it may have.

    Raises:
        OSError: it is no regular file, has more bytes, or cannot be read.
    """
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    facts = os.fstat(descriptor)
    if not stat.S_ISREG(facts.st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "it is not a regular file")

    with os.fdopen(descriptor, "rb") as file:
        content = b"" if facts.st_size > limit else file.read(limit + 1)
        if max(facts.st_size, len(content)) > limit:
            raise OSError(errno.EFBIG, f"it has more than {limit:,} bytes")

    return content


def read_config(path: Path) -> Any:
    """Read what a run says of itself, which a stranger may have written.

    Raises:
        OSError: it is no regular file, has more than MAX_CONFIG bytes, or cannot be read.
        ValueError: it is no JSON, or nested too deeply.
    """
    try:
        return json.loads(read_small(path, MAX_CONFIG))
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def refuse_link(path: Path) -> None:
    """Refuse a link in place of a file or folder of ours: what it leads to is somebody else's.

    Raises:
        CannotWrite: it is one.
    """
    if path.is_symlink():
        raise CannotWrite(
            f"{path} is a link, where a file or folder of our own should be; "
            "delete the link, or choose another folder"
        )


def refuse_links_of_database(file: Path) -> None:
    """Refuse an SQLite file beside which links lie: SQLite would write into what they lead to.

    It would wait for ever at a pipe.

    Raises:
        OSError: where SQLite keeps what it has not merged yet, there is something else than a file.
    """
    database = file.resolve()  # a link to the file itself is the user's choice, and followed
    for ending in SQLITE_ENDINGS:
        companion = database.with_name(database.name + ending)
        if companion.is_symlink():
            raise OSError(errno.ELOOP, f"{companion.name!r} beside it is a link")
        if companion.exists() and not is_regular(companion):
            raise OSError(errno.EINVAL, f"{companion.name!r} beside it is not a regular file")


def entries(folder: Path) -> list[Path]:
    """List a folder, without the temporary files that `remove_leftovers` deletes."""
    return [path for path in folder.iterdir() if not TEMPORARY.match(path.name)]


def new_folder(path: Path) -> Path:
    """Make a folder, unless there is an empty one already, and return its path.

    Raises:
        CannotWrite: the folder is not empty, or cannot be made or written into.
    """
    if entries(writable_folder(path)):
        raise CannotWrite(
            f"the folder {path} exists and is not empty; choose a new one, or delete it first"
        )
    return path


def writable_folder(path: Path) -> Path:
    """Make a folder unless it is there, and return its path.

    Raises:
        CannotWrite: the folder cannot be made or written into.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        probe = _temporary(path / "probe")
        try:
            probe.touch()
        finally:
            probe.unlink(missing_ok=True)
    except OSError as error:
        raise CannotWrite(
            f"cannot write into {path}: {error.strerror or error}; "
            "choose a place that you may write to"
        ) from error

    return path


@contextmanager
def file_lock(path: Path, wait: bool = True) -> Iterator[bool]:
    """Hold an advisory lock for a path: it keeps out others that ask for the same lock.

    The lock belongs to the operating system, on the file `.NAME.lock` beside `path`. When a process
    is killed, the system releases it.

    Args:
        path: what the lock is for; its parent folder is made if it is missing.
        wait: wait until the lock is free.

    Yields:
        True if this block holds the lock. False if another thread or process holds it and `wait` is
        false.

    Raises:
        CannotWrite: the lock's file cannot be written.
        MissingExtra: filelock is not installed.
    """
    try:
        from filelock import FileLock, Timeout
    except ImportError:
        raise MissingExtra("downloading a dataset", "train") from None

    file = path.with_name(f".{path.name}.lock")
    refuse_link(file)  # what it leads to would be emptied
    _refuse_special(file)

    # Not bound to this thread: another one may close a generator.
    lock = FileLock(file, thread_local=False)
    with report_write_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(Timeout):
            lock.acquire(blocking=wait)

    try:
        yield lock.is_locked
    finally:
        if lock.is_locked:
            # Deleted while it is held: a process that has opened it meanwhile sees that it has lost
            # its name, and opens the next one.
            with contextlib.suppress(OSError):
                Path(lock.lock_file).unlink()
            lock.release()


@contextmanager
def report_write_errors(path: Path) -> Iterator[None]:
    """Raise CannotWrite, which names the path, for an OSError within the block."""
    try:
        yield
    except OSError as problem:
        raise CannotWrite(f"cannot write {path}: {problem.strerror or problem}") from None
