"""What can be where a file should be, and is none: pipes, links in a ring, a gigabyte of nothing.

The soak puts these in the place of models, of files in runs, and of corrections.
"""

import contextlib
import os
import shutil
import socket
from collections.abc import Callable, Mapping
from pathlib import Path

Make = Callable[[Path], object]  # makes something at a path, where nothing is

GIGABYTE = 1 << 30
ESCAPES = "\x1b[2J\x1b]0;owned\x07\ninkdigits: all well"  # clear the screen, and forge a line


def sparse(path: Path, size: int = GIGABYTE, head: bytes = b"") -> None:
    """Make a file of a size that takes no room on the disk."""
    path.write_bytes(head)
    os.truncate(path, size)


def _listen(path: Path) -> None:
    """Make a socket, which stays after its owner has gone."""
    with socket.socket(socket.AF_UNIX) as made, contextlib.chdir(path.parent):
        made.bind(path.name)  # a whole path may be too long


NO_FILES: Mapping[str, Make] = {
    "a FIFO": os.mkfifo,
    "a socket": _listen,
    "a folder": Path.mkdir,
    "a link to itself": lambda path: path.symlink_to(path.name),
    "a link to nowhere": lambda path: path.symlink_to("nowhere"),
    "a link to /dev/zero": lambda path: path.symlink_to("/dev/zero"),
    "a gigabyte of nothing": sparse,
    "nothing": Path.touch,
}


def in_place_of(name: str, make: Make) -> Make:
    """Return what makes a folder's file `name` anew, after it has been deleted."""

    def replace(folder: Path) -> None:
        (folder / name).unlink(missing_ok=True)
        make(folder / name)

    return replace


def linked(name: str, to: str) -> Make:
    """Return what puts a link in the place of a file or folder."""

    def change(folder: Path) -> None:
        place = folder / name
        if place.is_dir():
            shutil.rmtree(place)
        place.unlink(missing_ok=True)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to(to)

    return change
