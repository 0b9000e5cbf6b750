"""MNIST by writers: nobody is on both sides, and a sentence where nobody knows who wrote what."""

import gzip
from pathlib import Path

import numpy as np
import pytest
from digit_files import idx

from inkdigits.core.errors import BadData
from inkdigits.data import writers as module
from inkdigits.data.datasets import Dataset, load_dataset
from inkdigits.data.splits import Split, with_other_writers
from inkdigits.data.writers import LABELS, training_writers


@pytest.fixture(scope="session")
def by_writers(data_dir: Path, mnist: Dataset) -> Dataset:
    try:
        return load_dataset("mnist-writers", data_dir=data_dir, download=False)
    except BadData as problem:
        pytest.skip(str(problem))


def test_nobody_wrote_both_training_and_validation_digits(
    by_writers: Dataset, data_dir: Path, mnist: Dataset
) -> None:
    train, validation = by_writers.train, by_writers.validation
    assert len(train) + len(validation) == 60_000
    assert len(validation) == pytest.approx(5_000, rel=0.02)

    # Whose digit it is, looked up by its pixels: no two of MNIST's digits are equal.
    everyone = training_writers(data_dir, download=False)
    folder = data_dir / "mnist"
    with gzip.open(folder / "train-images-idx3-ubyte.gz") as file:
        images = np.frombuffer(file.read(), np.uint8, offset=16).reshape(-1, 28, 28)
    who = {image.tobytes(): writer for image, writer in zip(images, everyone, strict=True)}
    left = {who[image.tobytes()] for image in train.images}
    right = {who[image.tobytes()] for image in validation.images}
    assert left.isdisjoint(right)
    assert len(right) > 30
    np.testing.assert_array_equal(by_writers.test.labels, mnist.test.labels)


@pytest.mark.parametrize(("people", "each"), [(1, 24), (12, 10), (60, 5)])
def test_a_twelfth_of_the_people_is_held_out_with_all_that_they_wrote(
    people: int, each: int
) -> None:
    who = np.tile(np.arange(people, dtype=np.int32) * 7, each)
    labels = (np.arange(len(who)) % 10).astype(np.uint8)
    images = np.zeros((len(who), 28, 28), np.uint8)
    images[:, 0, 0] = who // 7
    splits = with_other_writers(Split(images, labels), who)

    held_out = {int(value) for value in splits["validation"].images[:, 0, 0]}
    learned = {int(value) for value in splits["train"].images[:, 0, 0]}
    assert held_out.isdisjoint(learned)
    assert len(held_out) == round(people / 12)
    assert len(splits["validation"]) == each * len(held_out)


def test_qmnist_s_labels_name_the_writers_where_the_small_file_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = np.arange(60_000 * 8, dtype=np.int32).reshape(60_000, 8)
    folder = tmp_path / "qmnist"
    folder.mkdir()
    (folder / LABELS.packed_name).write_bytes(gzip.compress(idx(rows.astype(">i4"))))
    monkeypatch.setattr(module, "fetch_file", lambda *args, **kwargs: pytest.fail("it is there"))
    np.testing.assert_array_equal(training_writers(tmp_path), rows[:, 2])


def test_without_either_file_the_error_says_how_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(BadData, match=r"QMNIST's labels, but .* is missing; `inkdigits data fetch"):
        training_writers(tmp_path, download=False)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no zip file",
        b"PK\x03\x04 cut off",
        {"others": np.zeros(3)},
        {"train_writer": np.zeros(3)},
    ],
)
def test_a_damaged_file_of_writers_is_named(tmp_path: Path, content: object) -> None:
    (tmp_path / "mnist").mkdir()
    path = tmp_path / "mnist" / "mnist_writers.npz"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        np.savez(path, **content)

    with pytest.raises(BadData, match=r"mnist_writers\.npz"):
        training_writers(tmp_path, download=False)
