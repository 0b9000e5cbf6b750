"""Folders of pictures sorted by class: read with MNIST's geometry, or refused with a sentence."""

from pathlib import Path

import numpy as np
import pytest
from digit_files import written
from PIL import Image

from inkdigits.core.errors import BadData
from inkdigits.data.paths import read_folder


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
    from inkdigits.reading.page.single import single

    save(stroke(3), tmp_path / "7" / "b.png")
    save(stroke(1), tmp_path / "7" / "deeper" / "a.jpg")
    save(stroke(0), tmp_path / "0" / "x.PNG")
    for ignored in ("7/.hidden.png", "7/notes.txt", "others/y.png", "README.md"):
        path = tmp_path / ignored
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"not a picture")
    calls: list[tuple[str, int, int | None]] = []
    split = read_folder(tmp_path, lambda *call: calls.append(call))
    images = split.images
    labels = split.labels
    np.testing.assert_array_equal(labels, [0, 7, 7])
    paths = [
        tmp_path / "0" / "x.PNG",
        tmp_path / "7" / "b.png",
        tmp_path / "7" / "deeper" / "a.jpg",
    ]
    np.testing.assert_array_equal(images, [single(path) for path in paths])
    assert (images.dtype, labels.dtype) == (np.uint8, np.uint8)
    assert [call[1:] for call in calls] == [(1, 3), (2, 3), (3, 3)]


def test_a_picture_that_is_mnist_like_stays_as_it_is(tmp_path: Path, mnist) -> None:  # type: ignore[no-untyped-def]
    for index, label in enumerate(mnist.validation.labels[:20]):
        save(mnist.validation.images[index], tmp_path / str(label) / f"{index:03}.png")
    split = read_folder(tmp_path)
    order = np.argsort(mnist.validation.labels[:20], kind="stable")
    np.testing.assert_array_equal(split.labels, mnist.validation.labels[:20][order])
    np.testing.assert_array_equal(split.images, mnist.validation.images[:20][order])


def test_folders_of_other_numbers_are_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    stroke = np.zeros((28, 28), np.uint8)
    stroke[5:23, 13:15] = 255
    for name in ("3", "10", "-1", "letters"):
        (tmp_path / name).mkdir()
        save(stroke, tmp_path / name / "digit.png")

    assert len(read_folder(tmp_path)) == 1
    assert "left out in" in caplog.text
    assert "-1, 10; digits are in folders called 0 to 9" in caplog.text


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
