"""Datasets: the same splits for ever from every source, and a sentence where it is not one."""

import gzip
import hashlib
import logging
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from digit_files import idx, libsvm, npy, npz, numbers, table, written
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from inkdigits.core.arrays import read_array
from inkdigits.core.errors import BadData, BadValue, DownloadFailed, UnknownName
from inkdigits.data import named
from inkdigits.data.catalogue import DATASETS
from inkdigits.data.datasets import Dataset, Split, load_dataset
from inkdigits.data.splits import stratified

rng = np.random.default_rng(4)
IMAGES = rng.integers(0, 256, (200, 28, 28), np.uint8)
LABELS = np.arange(200, dtype=np.uint8) % 10


def same(found: Split, images: np.ndarray, labels: np.ndarray) -> None:
    np.testing.assert_array_equal(found.images, images)
    np.testing.assert_array_equal(found.labels, labels)
    assert (found.images.dtype, found.labels.dtype) == (np.uint8, np.uint8)


def pixels_of(split: Split) -> set[bytes]:
    return {image.tobytes() for image in split.images}


# ---- MNIST


def test_mnist_is_split_into_55000_5000_and_10000(mnist: Dataset) -> None:
    assert {name: len(split) for name, split in mnist.splits.items()} == {
        "train": 55_000,
        "validation": 5_000,
        "test": 10_000,
    }
    assert mnist.classes == tuple("0123456789")
    for split in mnist.splits.values():
        assert split.images.shape == (len(split), 28, 28)
        assert (split.images.dtype, split.labels.dtype) == (np.uint8, np.uint8)


def test_training_and_validation_images_are_mnists_60000_each_once(
    mnist: Dataset, data_dir: Path
) -> None:
    images = read_array(data_dir / "mnist" / "train-images-idx3-ubyte.gz")
    labels = read_array(data_dir / "mnist" / "train-labels-idx1-ubyte.gz")
    held_out = stratified(labels, 5_000)
    same(mnist.validation, images[held_out], labels[held_out])
    same(mnist.train, images[~held_out], labels[~held_out])


def test_the_test_split_is_the_file_as_published(mnist: Dataset, data_dir: Path) -> None:
    same(
        mnist.test,
        read_array(data_dir / "mnist" / "t10k-images-idx3-ubyte.gz"),
        read_array(data_dir / "mnist" / "t10k-labels-idx1-ubyte.gz"),
    )


def test_the_validation_split_never_changes(mnist: Dataset) -> None:
    # Figures of different versions are compared on it.
    digest = hashlib.sha256(mnist.validation.images.tobytes()).hexdigest()
    assert digest == "97baee8248eacb6672da155cb7aa189153d0f276c5c1a698d9a3f17b2a1de40a"
    assert np.bincount(mnist.validation.labels).tolist() == [
        494,
        562,
        496,
        511,
        487,
        452,
        493,
        522,
        487,
        496,
    ]


def test_classes_have_the_same_shares_as_in_a_stratified_split_of_scikit_learn(
    mnist: Dataset,
) -> None:
    from sklearn.model_selection import train_test_split

    labels = np.concatenate([mnist.train.labels, mnist.validation.labels])
    _, theirs = train_test_split(labels, test_size=5_000, stratify=labels, random_state=0)
    np.testing.assert_array_equal(np.bincount(mnist.validation.labels), np.bincount(theirs))


def test_mnist_at_hand_needs_no_network_and_no_torch(data_dir: Path, mnist: Dataset) -> None:
    program = (
        "import socket, sys; from inkdigits import load_dataset; socket.socket = None\n"
        "print(len(load_dataset('mnist').train), 'torch' in sys.modules)"
    )
    environment = {"INKDIGITS_DATA": str(data_dir), "OMP_NUM_THREADS": "1"}
    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env=environment, check=True
    )
    assert result.stdout.split() == ["55000", "False"]


def test_a_damaged_mnist_is_refused_with_the_way_out(
    data_dir: Path, mnist: Dataset, tmp_path: Path
) -> None:
    (tmp_path / "mnist").mkdir()
    for path in (data_dir / "mnist").iterdir():
        (tmp_path / "mnist" / path.name).write_bytes(path.read_bytes())
    labels = read_array(data_dir / "mnist" / "t10k-labels-idx1-ubyte.gz")
    labels[77] = (labels[77] + 1) % 10
    written(tmp_path / "mnist" / "t10k-labels-idx1-ubyte.gz", gzip.compress(idx(labels)))
    with pytest.raises(
        BadData,
        match=r"t10k-labels-idx1-ubyte\.gz .* not the expected one.*; `inkdigits data fetch mnist`",
    ):
        load_dataset("mnist", data_dir=tmp_path)


# ---- splits


@given(labels=st.lists(st.integers(0, 9), min_size=1, max_size=300), share=st.floats(0, 1))
def test_stratified_holds_out_the_exact_count_and_each_class_its_share(
    labels: list[int], share: float
) -> None:
    array, count = np.array(labels, np.uint8), int(share * len(labels))
    chosen = stratified(array, count)
    assert chosen.sum() == count
    for label in range(10):
        exact = labels.count(label) * count / len(labels)
        assert abs(np.count_nonzero(chosen & (array == label)) - exact) < 1


def test_stratified_spreads_over_the_whole_file() -> None:
    labels = np.zeros(1_000, np.uint8)
    assert np.flatnonzero(stratified(labels, 10)).tolist() == [
        50,
        150,
        250,
        350,
        450,
        550,
        650,
        750,
        850,
        950,
    ]


def test_a_split_that_does_not_exist_lists_those_that_do() -> None:
    dataset = Dataset(
        "toy", tuple("0123456789"), {"train": Split(IMAGES, LABELS), "all": Split(IMAGES, LABELS)}
    )
    with pytest.raises(UnknownName, match="no split in toy: 'test'; known: train, all"):
        _ = dataset.test
    assert len(dataset["all"]) == 200


def check_heap(dataset: Dataset, count: int = 200) -> None:
    """A source without a test split of its own: 80/10/10, every class alike, nothing twice."""
    assert {name: len(split) for name, split in dataset.splits.items()} == {
        "train": count * 8 // 10,
        "validation": count // 10,
        "test": count // 10,
        "all": count,
    }
    parts = [pixels_of(dataset[name]) for name in ("train", "validation", "test")]
    assert sum(map(len, parts)) == len(set.union(*parts)) == count
    assert set.union(*parts) == pixels_of(dataset["all"])
    assert all(
        np.ptp(np.bincount(dataset[name].labels)) == 0 for name in ("train", "validation", "test")
    )


# ---- datasets with a name


def test_optdigits_are_scikit_learns_in_mnists_geometry() -> None:
    from sklearn.datasets import load_digits

    dataset = load_dataset("optdigits")
    everything = dataset["all"]
    np.testing.assert_array_equal(everything.labels, load_digits().target)
    assert {name: len(split) for name, split in dataset.splits.items()} == {
        "train": 1437,
        "validation": 180,
        "test": 180,
        "all": 1797,
    }
    rows, columns = everything.images.any(axis=2), everything.images.any(axis=1)
    longest = np.maximum(rows.sum(axis=1), columns.sum(axis=1))
    assert (longest >= 18).all()
    assert (longest <= 20).all()
    assert np.mean(everything.images.max(axis=(1, 2)) >= 254) > 0.99
    mass = everything.images.sum(axis=(1, 2), dtype=float)
    centres = np.arange(28) + 0.5
    for axis in (1, 2):
        centre = (everything.images.sum(axis=3 - axis) * centres).sum(axis=1) / mass
        assert np.mean((centre >= 14) & (centre < 15)) > 0.99


def shrunk(
    monkeypatch: pytest.MonkeyPatch, name: str, folder: Path, arrays: list[np.ndarray]
) -> Path:
    """Put small files into DATA_DIR/<name> and let the catalogue expect them. Returns DATA_DIR."""
    files = [
        replace(file, shape=array.shape)
        for file, array in zip(DATASETS[name].files, arrays, strict=True)
    ]
    monkeypatch.setitem(DATASETS, name, replace(DATASETS[name], files=tuple(files)))
    for file, array in zip(files, arrays, strict=True):
        path = folder / name / file.packed_name
        path.parent.mkdir(exist_ok=True)
        pack = {"libsvm": libsvm, "numbers": numbers, "idx": lambda a: gzip.compress(idx(a))}
        path.write_bytes(pack[file.kind](array))
    return folder


def test_emnists_digits_are_set_upright(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lying = IMAGES.transpose(0, 2, 1)
    folder = shrunk(
        monkeypatch, "emnist-digits", tmp_path, [lying, LABELS, lying[:100], LABELS[:100]]
    )
    same(load_dataset("emnist-digits", data_dir=folder).test, IMAGES[:100], LABELS[:100])


def test_an_emnist_with_unequal_classes_is_not_emnist(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = shrunk(
        monkeypatch, "emnist-digits", tmp_path, [IMAGES, LABELS, IMAGES[:99], LABELS[:99]]
    )
    with pytest.raises(BadData, match="equally many images of every class"):
        load_dataset("emnist-digits", data_dir=folder)


def test_qmnists_test_digits_are_mnists_10000_and_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = np.zeros((10_003, 28, 28), np.uint8)
    images[:, 0, 0], images[:, 0, 1] = np.arange(10_003) % 256, np.arange(10_003) // 256
    columns = np.full((10_003, 8), -1, np.int32)
    columns[:, 0] = np.arange(10_003) % 10
    small = columns[:200]
    folder = shrunk(monkeypatch, "qmnist", tmp_path, [IMAGES, small, images, columns])
    dataset = load_dataset("qmnist", data_dir=folder)
    assert list(dataset.splits) == ["train", "validation", "test", "test50k"]
    same(dataset.test, images[:10_000], columns[:10_000, 0])
    same(dataset["test50k"], images[10_000:], columns[10_000:, 0])


def test_usps_is_brought_to_mnists_geometry(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ink = np.full((24, 16, 16), -1.0)
    ink[:, 2:14, 7:9] = 1.0  # a 1, two pixels of sixteen wide
    rows = np.column_stack([np.arange(24) % 10 + 1, ink.reshape(24, 256)])
    folder = shrunk(monkeypatch, "usps", tmp_path, [rows, rows[:10]])
    test = load_dataset("usps", data_dir=folder).test
    np.testing.assert_array_equal(test.labels, np.arange(10))
    ys, xs = np.nonzero(test.images[0] > 127)
    assert (np.ptp(ys) + 1, 3 <= np.ptp(xs) + 1 <= 4) == (20, True)
    assert test.images[0].max() == 255


def test_semeion_is_brought_to_mnists_geometry(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ink = np.zeros((30, 16, 16))
    ink[:, 2:14, 7:9] = 1
    rows = np.hstack([ink.reshape(30, 256), np.eye(10)[np.arange(30) % 10]])
    folder = shrunk(monkeypatch, "semeion", tmp_path, [rows])
    everything = load_dataset("semeion", data_dir=folder)["all"]
    np.testing.assert_array_equal(everything.labels, np.arange(30) % 10)
    ys, xs = np.nonzero(everything.images[0] > 127)
    assert (np.ptp(ys) + 1, 3 <= np.ptp(xs) + 1 <= 4) == (20, True)


def test_ardis_keeps_its_pixels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows, ones = IMAGES.reshape(len(IMAGES), -1), np.eye(10)[LABELS]
    folder = shrunk(monkeypatch, "ardis", tmp_path, [rows, ones, rows[:20], ones[:20]])
    dataset = load_dataset("ardis", data_dir=folder)
    same(dataset.test, IMAGES[:20], LABELS[:20])
    assert len(dataset.train) + len(dataset["validation"]) == len(IMAGES)


@pytest.mark.parametrize(
    ("name", "place", "value", "sentence"),
    [
        ("semeion", (0, 5), 0.5, "pixels of semeion are 0 or 1"),
        ("semeion", (0, 256), 1, "a label of semeion is ten numbers"),
        ("semeion", (0, 260), 2, "a label of semeion is ten numbers"),
        ("ardis", (0, 3), 256, "pixels of ardis are 0 to 255"),
    ],
)
def test_other_numbers_than_a_dataset_has_are_refused(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    place: tuple[int, int],
    value: float,
    sentence: str,
) -> None:
    ones = np.eye(10)[np.full(20, 1)]
    pixels = np.zeros((20, 256 if name == "semeion" else 784))
    arrays = [np.hstack([pixels, ones])] if name == "semeion" else [pixels, ones, pixels, ones]
    arrays[0][place] = value
    with pytest.raises(BadData, match=f"{sentence}.*; {name} is not downloaded here"):
        load_dataset(name, data_dir=shrunk(monkeypatch, name, tmp_path, arrays))


@pytest.mark.parametrize("name", ["semeion", "ardis"])
def test_what_is_not_downloaded_says_where_it_is(tmp_path: Path, name: str) -> None:
    with pytest.raises(DownloadFailed, match=rf"from https://.* put it into .*{name}"):
        load_dataset(name, data_dir=tmp_path)
    with pytest.raises(BadData, match=rf"is missing; {name} is not downloaded here"):
        load_dataset(name, data_dir=tmp_path, download=False)
    assert not list(tmp_path.iterdir())


def test_a_file_that_cannot_be_proved_is_used_but_not_silently(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    folder = shrunk(monkeypatch, "kmnist", tmp_path, [IMAGES, LABELS, IMAGES, LABELS])
    with caplog.at_level(logging.WARNING):
        assert load_dataset("kmnist", data_dir=folder).classes[1] == "ki"
    assert len(caplog.records) == 4
    assert "cannot be compared" in caplog.text


def test_a_missing_dataset_is_downloaded_unless_that_is_forbidden(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(
        BadData,
        match=r"train-images-idx3-ubyte\.gz is missing; `inkdigits data fetch mnist` downloads",
    ):
        load_dataset("mnist", data_dir=tmp_path, download=False)
    asked: list[tuple[object, ...]] = []
    monkeypatch.setattr(named, "fetch_dataset", lambda *arguments: asked.append(arguments))
    with pytest.raises(BadData, match="is missing"):
        load_dataset("mnist", data_dir=tmp_path)
    assert asked == [("mnist", tmp_path, None)]


def test_a_dataset_at_hand_in_a_folder_that_cannot_be_written_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = shrunk(monkeypatch, "kmnist", tmp_path, [IMAGES, LABELS, IMAGES, LABELS])
    monkeypatch.setattr(socket, "socket", None)
    (folder / "kmnist").chmod(0o500)
    before = sorted(folder.rglob("*"))
    assert len(load_dataset("kmnist", data_dir=folder).test) == 200
    assert sorted(folder.rglob("*")) == before
    (folder / "kmnist").chmod(0o700)


# ---- datasets with a path


@pytest.mark.parametrize(
    ("names", "packed"),
    [
        (
            (
                "train-images-idx3-ubyte",
                "train-labels-idx1-ubyte",
                "t10k-images-idx3-ubyte",
                "t10k-labels-idx1-ubyte",
            ),
            True,
        ),
        (
            (
                "train-images-idx3-ubyte",
                "train-labels-idx1-ubyte",
                "t10k-images-idx3-ubyte",
                "t10k-labels-idx1-ubyte",
            ),
            False,
        ),
        (
            (
                "train-images.idx3-ubyte",
                "train-labels.idx1-ubyte",
                "t10k-images.idx3-ubyte",
                "t10k-labels.idx1-ubyte",
            ),
            False,
        ),
        (
            (
                "my-train-images-idx3-ubyte",
                "my-train-labels-idx1-ubyte",
                "my-test-images-idx3-ubyte",
                "my-test-labels-idx1-ubyte",
            ),
            True,
        ),
    ],
)
def test_a_folder_of_idx_files_named_as_mnists(
    tmp_path: Path, names: tuple[str, ...], packed: bool
) -> None:
    for name, array in zip(names, (IMAGES, LABELS, IMAGES[:50], LABELS[:50]), strict=True):
        written(
            tmp_path / (name + ".gz" * packed), gzip.compress(idx(array)) if packed else idx(array)
        )
    dataset = load_dataset(tmp_path)
    same(dataset.test, IMAGES[:50], LABELS[:50])
    assert (len(dataset.train), len(dataset.validation)) == (183, 17)  # a twelfth
    assert pixels_of(dataset.train) | pixels_of(dataset.validation) == pixels_of(
        Split(IMAGES, LABELS)
    )
    assert dataset.name == str(tmp_path)


def test_an_npz_named_as_keras_names_it_keeps_its_test_split(tmp_path: Path) -> None:
    path = written(
        tmp_path / "m.npz",
        npz(x_train=IMAGES, y_train=LABELS, x_test=IMAGES[:50], y_test=LABELS[:50]),
    )
    dataset = load_dataset(str(path))
    same(dataset.test, IMAGES[:50], LABELS[:50])
    assert (len(dataset.train), len(dataset.validation)) == (183, 17)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("plain.npz", npz(images=IMAGES, labels=LABELS)),
        ("kaggle.csv", table(IMAGES, LABELS).encode()),
        ("kaggle.csv.gz", gzip.compress(table(IMAGES, LABELS).encode())),
        ("some-images-idx3-ubyte.gz", gzip.compress(idx(IMAGES))),
        ("images", idx(IMAGES)),
    ],
)
def test_a_file_without_a_test_split_is_divided(tmp_path: Path, name: str, content: bytes) -> None:
    written(tmp_path / "some-labels-idx1-ubyte", idx(LABELS))
    written(tmp_path / "labels.gz", gzip.compress(idx(LABELS)))
    dataset = load_dataset(written(tmp_path / name, content))
    check_heap(dataset)
    same(dataset["all"], IMAGES, LABELS)


def test_a_folder_of_class_folders_is_divided(tmp_path: Path) -> None:
    for index in range(40):
        picture = np.full((40, 40), 255, np.uint8)
        picture[5 : 30 + index // 10, 10:14] = 0
        picture[5 : 5 + index % 10 * 2 + 3, 10 : 16 + index // 4] = 0
        (tmp_path / str(index % 10)).mkdir(exist_ok=True)
        Image.fromarray(picture).save(tmp_path / str(index % 10) / f"{index:02}.png")
    dataset = load_dataset(tmp_path)
    assert {name: len(split) for name, split in dataset.splits.items()} == {
        "train": 32,
        "validation": 4,
        "test": 4,
        "all": 40,
    }
    assert np.bincount(dataset["all"].labels).tolist() == [4] * 10


def test_three_images_are_divided_and_fewer_are_not(tmp_path: Path) -> None:
    few = load_dataset(written(tmp_path / "few.npz", npz(images=IMAGES[:3], labels=LABELS[:3])))
    assert {name: len(split) for name, split in few.splits.items()} == {
        "train": 1,
        "validation": 1,
        "test": 1,
        "all": 3,
    }
    two = load_dataset(written(tmp_path / "two.npz", npz(images=IMAGES[:2], labels=LABELS[:2])))
    with pytest.raises(UnknownName, match="known: all"):
        _ = two.train


def test_datasets_are_joined_split_by_split(tmp_path: Path) -> None:
    first = written(tmp_path / "a.npz", npz(images=IMAGES, labels=LABELS))
    second = written(
        tmp_path / "b.npz",
        npz(x_train=IMAGES, y_train=LABELS, x_test=IMAGES[:50], y_test=LABELS[:50]),
    )
    a, b, both = load_dataset(first), load_dataset(second), load_dataset(f"{first}+{second}")
    assert list(both.splits) == ["train", "validation", "test"]
    for name, split in both.splits.items():
        same(
            split,
            np.concatenate([a[name].images, b[name].images]),
            np.concatenate([a[name].labels, b[name].labels]),
        )
    assert both.name == f"{first}+{second}"


@pytest.mark.parametrize("few_first", [True, False])
def test_images_too_few_to_divide_are_added_to_the_training_images_of_others(
    tmp_path: Path, few_first: bool
) -> None:
    few = written(tmp_path / "few.npz", npz(images=IMAGES[:2], labels=LABELS[:2]))
    many = written(
        tmp_path / "many.npz",
        npz(x_train=IMAGES, y_train=LABELS, x_test=IMAGES[:50], y_test=LABELS[:50]),
    )
    alone, both = (
        load_dataset(many),
        load_dataset(f"{few}+{many}" if few_first else f"{many}+{few}"),
    )
    assert list(both.splits) == ["train", "validation", "test"]
    for name in ("validation", "test"):
        same(both[name], alone[name].images, alone[name].labels)
    same(
        both.train,
        np.concatenate([alone.train.images, IMAGES[:2]]),
        np.concatenate([alone.train.labels, LABELS[:2]]),
    )
    assert {name: len(split) for name, split in load_dataset(f"{few}+{few}").splits.items()} == {
        "all": 4
    }


def test_a_plus_in_a_files_name_is_part_of_its_name(tmp_path: Path) -> None:
    path = written(tmp_path / "a+b.npz", npz(images=IMAGES, labels=LABELS))
    check_heap(load_dataset(str(path)))


def test_a_name_joins_with_a_path(tmp_path: Path) -> None:
    path = written(tmp_path / "own.npz", npz(images=IMAGES, labels=LABELS))
    both = load_dataset(f"{path}+optdigits")
    assert {name: len(split) for name, split in both.splits.items()} == {
        "train": 160 + 1437,
        "validation": 20 + 180,
        "test": 20 + 180,
        "all": 200 + 1797,
    }


def test_digits_and_clothes_are_not_joined(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = shrunk(monkeypatch, "fashion-mnist", tmp_path, [IMAGES, LABELS, IMAGES, LABELS])
    with pytest.raises(BadValue, match="optdigits and fashion-mnist cannot be joined"):
        load_dataset("optdigits+fashion-mnist", data_dir=folder)


@pytest.mark.parametrize(
    ("files", "source", "sentence"),
    [
        ({}, "nist", r"no dataset 'nist'; known: mnist, .*optdigits, or the path of a folder"),
        ({}, "mnist+nist", "no dataset 'nist'"),
        ({}, "x.csv", "no file or folder '.*x.csv'"),
        ({}, ".", "holds nothing; expected pictures in folders called 0 to 9, or IDX files"),
        ({"a.txt": b"", "b/c": b""}, ".", r"holds a\.txt, b/; expected"),
        ({"0/x.txt": b""}, ".", "no pictures in folders called 0 to 9"),
        ({"empty": b""}, "empty", "is empty"),
        ({"page.csv": b"<html>"}, "page.csv", "neither IDX, .npz, .npy nor CSV"),
        ({"x-images": idx(IMAGES)}, "x-images", "no labels beside"),
        (
            {"x-images": idx(IMAGES), "x-labels": idx(LABELS[:9])},
            "x-images",
            r"\(9,\); expected 200 labels",
        ),
        (
            {"x-images": idx(IMAGES), "x-labels": idx(LABELS + 1)},
            "x-images",
            "from 1 to 10; expected 0 to 9",
        ),
        ({"x-labels": idx(LABELS)}, "x-labels", r"shape \(200,\); expected"),
        ({"x.npy": npy(IMAGES)}, "x.npy", "200 images, but no labels"),
        ({"x.npz": npz(images=IMAGES)}, "x.npz", "200 images, but no labels"),
        (
            {"x.npz": npz(x_train=IMAGES, y_train=LABELS, x_test=IMAGES)},
            "x.npz",
            "x_test in .* no labels",
        ),
        (
            {"x.csv": table(IMAGES[:5], None, header=None).encode()},
            "x.csv",
            "5 images, but no labels",
        ),
        (
            {"train-images": b"", "train-images-2": b""},
            ".",
            "several files of train images, train-images, train-images-2",
        ),
        (
            {"train-images": idx(IMAGES[:0]), "train-labels": idx(LABELS[:0])},
            ".",
            "holds no images",
        ),
    ],
)
def test_a_source_that_is_not_a_dataset_says_what_was_found(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    files: dict[str, bytes],
    source: str,
    sentence: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, content in files.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
    monkeypatch.setitem(
        DATASETS, "mnist", replace(DATASETS["optdigits"], name="optdigits")
    )  # no need to read the real one
    with pytest.raises((BadData, UnknownName), match=sentence):
        load_dataset(source)


def test_a_name_wins_over_a_folder_and_dot_slash_means_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    written(tmp_path / "optdigits", npz(images=IMAGES, labels=LABELS))
    assert len(load_dataset("optdigits")["all"]) == 1797
    assert len(load_dataset("./optdigits")["all"]) == 200
    assert len(load_dataset(Path("optdigits"))["all"]) == 200
