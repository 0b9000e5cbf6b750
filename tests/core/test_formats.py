"""Any file of digits is recognised by what is in it."""

import gzip
import io
from pathlib import Path

import numpy as np
import pytest
from digit_files import IMAGES, LABELS, idx, npy, npz, table, written
from PIL import Image

from inkdigits.core.errors import BadData
from inkdigits.core.formats import iter_images, kind_of, read_images


def picture(kind: str) -> bytes:
    """A 44-pixel-wide picture; 44 is a comma."""
    file = io.BytesIO()
    Image.fromarray(np.zeros((44, 44), np.uint8)).save(file, kind)
    return file.getvalue()


CSV = table(IMAGES, LABELS).encode()


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (idx(IMAGES), "idx"),
        (gzip.compress(idx(IMAGES)), "idx"),
        (npz(images=IMAGES), "npz"),
        (npy(IMAGES), "npy"),
        (CSV, "csv"),
        (gzip.compress(CSV), "csv"),
        (table(IMAGES, LABELS, header=None).encode(), "csv"),
        (b"", None),
        *(
            (picture(name), None)
            for name in ("png", "jpeg", "gif", "bmp", "webp", "tiff", "ppm", "tga", "ico")
        ),
        (b'<svg width="1", height="1">', None),
        (b'{"a": 1, "b": 2}', None),
    ],
)
def test_the_format_of_a_file_shows_in_its_first_bytes(
    tmp_path: Path, content: bytes, kind: str | None
) -> None:
    assert kind_of(written(tmp_path / "misleading.png", content)) == kind


@pytest.mark.parametrize(
    ("content", "labelled"),
    [
        (idx(IMAGES), False),
        (npy(IMAGES), False),
        (npz(images=IMAGES), False),
        (npz(arr_0=IMAGES), False),
        (npz(images=IMAGES, labels=LABELS), True),
        (npz(x_train=IMAGES[:3], y_train=LABELS[:3], x_test=IMAGES[3:], y_test=LABELS[3:]), True),
        (npz(x_train=IMAGES[:3], y_train=LABELS[:3], x_test=IMAGES[3:]), False),
        (CSV, True),
    ],
)
def test_every_kind_of_file_gives_the_same_images_whole_and_in_blocks(
    tmp_path: Path, content: bytes, labelled: bool
) -> None:
    path = written(tmp_path / "x", content)
    found = list(read_images(path).values())
    images = np.concatenate([images for images, _ in found])
    np.testing.assert_array_equal(images, IMAGES)
    assert images.dtype == np.uint8
    labels = [labels for _, labels in found if labels is not None]
    assert (len(labels) == len(found)) == labelled
    assert not labelled or (np.concatenate(labels) == LABELS).all()
    for block in (1, 2, 100):
        np.testing.assert_array_equal(np.concatenate(list(iter_images(path, block))), IMAGES)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "is empty"),
        (b"\x89PNG\r\n\x1a\n", "neither IDX, .npz, .npy nor CSV: it starts with b'.x89PNG"),
        (idx(IMAGES[:0]), "holds no images"),
        (npy(IMAGES[:0]), "holds no images"),
        (npz(images=IMAGES[:0]), "holds no images"),
        (CSV.split(b"\n")[0] + b"\n", "holds no images"),
    ],
)
def test_a_file_without_images_says_so(tmp_path: Path, content: bytes, sentence: str) -> None:
    path = written(tmp_path / "x", content)
    with pytest.raises(BadData, match=sentence):
        read_images(path)
    with pytest.raises(BadData, match=sentence):
        list(iter_images(path))
