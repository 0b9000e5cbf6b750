"""Folders of labelled pictures: read with MNIST's geometry, left out or refused."""

from pathlib import Path

import numpy as np
import pytest
from digit_files import written
from drawn import line
from few_digits import few_digits
from PIL import Image

from inkdigits.core.errors import BadData
from inkdigits.data.datasets import load_dataset
from inkdigits.data.folders import read_folder
from inkdigits.reading.recogniser import cached_recogniser


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
    split, _ = read_folder(tmp_path, lambda *call: calls.append(call))
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
    split, _ = read_folder(tmp_path)
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

    assert len(read_folder(tmp_path)[0]) == 1
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


# ---- pictures that cannot be used, and pictures of several digits


def folder_of_all_digits(folder: Path) -> Path:
    for digit in range(10):
        save(stroke(digit), folder / str(digit) / "a.png")
    return folder


def test_a_picture_that_cannot_be_used_is_left_out_and_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder_of_all_digits(tmp_path)
    written(tmp_path / "7" / "bad.png", b"GIF89a")
    split, unusable = read_folder(tmp_path)

    assert split.labels.tolist() == list(range(10))
    assert [bad.path for bad in unusable] == [str(tmp_path / "7" / "bad.png")]
    assert "1 of 11 pictures" in caplog.text
    assert load_dataset(tmp_path).unusable == unusable


def test_a_strict_reader_stops_at_the_first_picture_that_cannot_be_used(tmp_path: Path) -> None:
    folder_of_all_digits(tmp_path)
    written(tmp_path / "7" / "bad.png", b"GIF89a")
    with pytest.raises(BadData, match=r"7/bad\.png is .*; without --strict, it is left out"):
        load_dataset(tmp_path, strict=True)


@pytest.mark.parametrize("bad", [b"GIF89a", None])
def test_a_class_folder_without_a_picture_that_can_be_used_is_an_error(
    tmp_path: Path, bad: bytes | None
) -> None:
    folder_of_all_digits(tmp_path)
    (tmp_path / "7" / "a.png").unlink()
    if bad:
        written(tmp_path / "7" / "bad.png", bad)
    with pytest.raises(BadData, match=r"7 can be used, so that no 7 is learned: .*(bad|has none)"):
        read_folder(tmp_path)


def test_numbers_are_cut_into_the_digits_that_labels_csv_says(tmp_path: Path) -> None:
    save(line("2024"), tmp_path / "a.png")
    save(line("57"), tmp_path / "b.png")
    (tmp_path / "labels.csv").write_text(
        "file,written\na.png,20/24\nb.png,579\nmissing.png,1\nb.png,none\n"
    )
    split, unusable = read_folder(tmp_path)

    assert split.labels.tolist() == [2, 0, 2, 4]
    assert cached_recogniser("default").classify(split.images).argmax(axis=1).tolist() == [
        2,
        0,
        2,
        4,
    ]
    reasons = [bad.reason for bad in unusable]
    assert "2 digits found" in reasons[0]
    assert "3 are written: 579" in reasons[0]
    assert "no file" in reasons[1]
    assert "no digits are written" in reasons[2]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("name,number\na.png,1\n", "has the columns name, number; expected file,written"),
        ("", "has the columns nothing"),
        ('file,written\na.png,"12\n', "is damaged"),
        ("file,written\n", "no pictures"),
        ("file,written\na.png,12\n", "cannot be used: no file"),
    ],
)
def test_a_labels_csv_of_something_else_is_refused(
    tmp_path: Path, content: str, sentence: str
) -> None:
    (tmp_path / "labels.csv").write_text(content)
    with pytest.raises(BadData, match=sentence):
        read_folder(tmp_path)


def test_rows_that_are_dark_on_light_are_learned_as_their_negatives(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    digits = few_digits(20)
    images = digits.images.copy()
    images[:5] = 255 - images[:5]
    np.savez(tmp_path / "x.npz", images=images, labels=digits.labels)
    everything = load_dataset(tmp_path / "x.npz")["all"]

    np.testing.assert_array_equal(everything.images, digits.images)
    assert "5 of 20 images" in caplog.text
