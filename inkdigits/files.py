"""Writing a file whole or not at all, so that a full disk or a kill leaves what was there before."""

import contextlib
import os
import secrets
from collections.abc import Callable
from pathlib import Path

from inkdigits.errors import CannotWrite


def write_whole(path: Path, content: bytes | str | Callable[[Path], object]) -> None:
    """Put `content` at `path`: bytes, text, or a function that writes the temporary file that it is given.

    The temporary file lies beside `path`, reaches the disk, and then takes its name. Raises CannotWrite.
    """
    temporary = path.parent / f".{secrets.token_hex(4)}.{path.name}"  # the suffix stays: some writers choose a format by it
    try:
        if callable(content):
            content(temporary)
        else:
            temporary.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8", "xmlcharrefreplace"))
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        if not isinstance(error, OSError):
            raise
        raise CannotWrite(f"cannot write {path}: {error.strerror or error}; choose a place with room that is yours") from error


def new_folder(path: Path) -> Path:
    """Make a folder that is not there yet, or take one that is empty. Raises CannotWrite."""
    try:
        path.mkdir(parents=True, exist_ok=True)
        if any(path.iterdir()):
            raise CannotWrite(f"the folder {path} exists and is not empty; choose a new one, or delete it first")
        (probe := path / f".{secrets.token_hex(4)}").touch()
        probe.unlink()
    except OSError as error:
        raise CannotWrite(f"cannot write into {path}: {error.strerror or error}; choose a place that is yours") from error
    return path
