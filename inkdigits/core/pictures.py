"""Picture files by their names: a folder comes in, the paths of all pictures below it go out."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

PICTURE_SUFFIXES = frozenset(
    [
        ".png",
        ".jpg",
        ".jpeg",
        ".bmp",
        ".gif",
        ".webp",
        ".tif",
        ".tiff",
        ".ppm",
        ".pgm",
        ".pbm",
        ".pnm",
        ".avif",
        ".heic",
        ".heif",
        ".pdf",
    ]
)


def pictures_below(folder: Path) -> Iterator[Path]:
    """Yield the pictures in a folder and in the folders inside it, sorted by name.

    In memory are only the names in the folder at hand and in the folders that contain it.

    Args:
        folder: where to look. A folder that cannot be listed counts as empty, and links to folders
            are not followed.

    Yields:
        Every file with a picture's suffix whose name does not start with a dot.
    """
    folders = set()
    pictures = []
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            is_hidden = entry.name.startswith(".")
            is_picture = Path(entry.name).suffix.lower() in PICTURE_SUFFIXES
            if entry.is_dir(follow_symlinks=False):
                folders.add(entry.name)
            elif is_picture and not is_hidden and Path(entry).is_file():
                pictures.append(entry.name)

    for name in sorted([*folders, *pictures]):
        if name in folders:
            yield from pictures_below(folder / name)
        else:
            yield folder / name
