"""Any file of digits is recognised by what is in it."""

import gzip
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from test_arrays import IMAGES, LABELS, idx, npy, npz, written
from test_tables import table

from inkdigits.core.errors import BadData
from inkdigits.core.formats import iter_images, kind_of, read_images
from inkdigits.data.folders import read_folder


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
def test_what_a_file_is_shows_in_its_first_bytes(
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
    images, labels = read_images(path)
    np.testing.assert_array_equal(images, IMAGES)
    assert images.dtype == np.uint8
    assert (labels is not None) == labelled
    assert labels is None or (labels == LABELS).all()
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


# ---- folders of pictures


def save(image: np.ndarray, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image).save(path)


def stroke(seed: int) -> np.ndarray:
    """Dark ink on white paper, (60, 60): a bent bar, different for each seed."""
    picture = np.full((60, 60), 255, np.uint8)
    picture[10:50, 26:34] = 0
    picture[10 + seed : 18 + seed, 26 : 40 + seed] = 0
    return picture


def test_class_folders_give_labels_and_fields_in_mnists_geometry(tmp_path: Path) -> None:
    from inkdigits.reading.preprocessing import fields as preprocessing

    save(stroke(3), tmp_path / "7" / "b.png")
    save(stroke(1), tmp_path / "7" / "deeper" / "a.jpg")
    save(stroke(0), tmp_path / "0" / "x.PNG")
    for ignored in ("7/.hidden.png", "7/notes.txt", "others/y.png", "README.md"):
        path = tmp_path / ignored
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"not a picture")
    calls: list[tuple[str, int, int | None]] = []
    images, labels = read_folder(tmp_path, lambda *call: calls.append(call))
    np.testing.assert_array_equal(labels, [0, 7, 7])
    paths = [
        tmp_path / "0" / "x.PNG",
        tmp_path / "7" / "b.png",
        tmp_path / "7" / "deeper" / "a.jpg",
    ]
    np.testing.assert_array_equal(images, [preprocessing.single(path) for path in paths])
    assert (images.dtype, labels.dtype) == (np.uint8, np.uint8)
    assert [call[1:] for call in calls] == [(1, 3), (2, 3), (3, 3)]


def test_a_picture_that_is_mnist_like_stays_as_it_is(tmp_path: Path, mnist) -> None:  # type: ignore[no-untyped-def]
    for index, label in enumerate(mnist.validation.labels[:20]):
        save(mnist.validation.images[index], tmp_path / str(label) / f"{index:03}.png")
    images, labels = read_folder(tmp_path)
    order = np.argsort(mnist.validation.labels[:20], kind="stable")
    np.testing.assert_array_equal(labels, mnist.validation.labels[:20][order])
    np.testing.assert_array_equal(images, mnist.validation.images[:20][order])


def test_folders_that_cannot_be_learned_from_are_refused(tmp_path: Path) -> None:
    (tmp_path / "3").mkdir()
    with pytest.raises(BadData, match=r"no pictures in folders called 0 to 9 in .*, but 3/"):
        read_folder(tmp_path)
    bad = written(tmp_path / "3" / "bad.png", b"GIF89a")
    with pytest.raises(BadData, match=r"bad\.png"):
        read_folder(tmp_path)
    bad.unlink()
    save(np.full((40, 40), 255, np.uint8), tmp_path / "3" / "blank.png")
    with pytest.raises(
        BadData, match=r"^a picture in .* cannot be used: no digit found in .*blank\.png$"
    ):
        read_folder(tmp_path)
    for number in range(8):
        save(np.full((40, 40), 255, np.uint8), tmp_path / "3" / f"blank{number}.png")
    with pytest.raises(
        BadData,
        match=r"^9 pictures in .*: no digit found in .*blank\.png, .*blank4\.png and 3 more$",
    ):
        read_folder(tmp_path)
