"""Datasets with a name: what lies on the disk is told apart, and only what is missing or wrong is
fetched.
"""

import bz2
import gzip
import hashlib
import io
import threading
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from digit_files import idx, libsvm, written

from inkdigits.core.errors import BadData, CannotWrite, DownloadFailed, UnknownName
from inkdigits.data import store
from inkdigits.data.catalogue import DATASETS, Archive, Entry, File
from inkdigits.data.store import (
    default_data_dir,
    fetch_dataset,
    list_datasets,
    read_checked,
    verify_dataset,
)

rng = np.random.default_rng(3)
ARRAYS = {
    "train-images": rng.integers(0, 256, (40, 28, 28), np.uint8),
    "train-labels": np.arange(40, dtype=np.uint8) % 10,
    "test-images": rng.integers(0, 256, (20, 28, 28), np.uint8),
    "test-labels": np.arange(20, dtype=np.uint8) % 10,
}


def hash_of(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


class Quiet(SimpleHTTPRequestHandler):
    asked: ClassVar[list[str]] = []

    def log_message(self, *args: object) -> None:
        Quiet.asked.append(self.path)


@pytest.fixture
def web(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Path, str]]:
    """A folder that is served on this machine, and its address, which fetch_dataset trusts
    meanwhile.
    """
    folder = tmp_path / "web"
    folder.mkdir()
    Quiet.asked.clear()
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder))) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}/"
        monkeypatch.setattr(
            store, "fetch", partial(store.fetch, trusts=lambda url: url.startswith(address))
        )
        yield folder, address
        server.shutdown()


@pytest.fixture
def toy(web: tuple[Path, str], monkeypatch: pytest.MonkeyPatch) -> Entry:
    """A dataset of four files, known by their unpacked bytes, served from the second of two
    mirrors.
    """
    folder, address = web
    for name, array in ARRAYS.items():
        (folder / f"{name}.gz").write_bytes(gzip.compress(idx(array)))
    files = tuple(
        File(name, array.shape, hash_of(idx(array)), of_unpacked=True)
        for name, array in ARRAYS.items()
    )
    entry = Entry("toy", "a toy", "none", files, (address + "dead/", address))
    monkeypatch.setitem(DATASETS, "toy", entry)
    return entry


def test_a_missing_dataset_is_fetched_whole_and_only_once(toy: Entry, tmp_path: Path) -> None:
    folder = fetch_dataset("toy", tmp_path)
    assert sorted(path.name for path in folder.iterdir()) == sorted(f"{name}.gz" for name in ARRAYS)
    for file in toy.files:
        np.testing.assert_array_equal(read_checked(folder, file)[0], ARRAYS[file.name])
    Quiet.asked.clear()
    fetch_dataset("toy", tmp_path)
    assert Quiet.asked == []


def test_only_what_is_missing_or_damaged_is_fetched(toy: Entry, tmp_path: Path) -> None:
    folder = fetch_dataset("toy", tmp_path)
    (folder / "train-labels.gz").unlink()
    (folder / "test-images.gz").write_bytes(b"\x1f\x8bdamaged")
    Quiet.asked.clear()
    fetch_dataset("toy", tmp_path)
    assert {path.rsplit("/", 1)[1] for path in Quiet.asked if "dead" not in path} == {
        "train-labels.gz",
        "test-images.gz",
    }
    assert all(finding.right for finding in verify_dataset("toy", tmp_path))


def test_files_may_be_stored_unpacked(toy: Entry, tmp_path: Path) -> None:
    (tmp_path / "toy").mkdir()
    for name, array in ARRAYS.items():
        written(tmp_path / "toy" / name, idx(array))
    assert [finding.note for finding in verify_dataset("toy", tmp_path)] == [store.PROVED] * 4
    fetch_dataset("toy", tmp_path)
    assert Quiet.asked == []


def test_a_failed_download_says_why_and_keeps_the_files_that_arrived(
    toy: Entry, web: tuple[Path, str], tmp_path: Path
) -> None:
    (web[0] / "test-labels.gz").unlink()
    with pytest.raises(
        DownloadFailed, match=r"no mirror delivered test-labels\.gz: .*404.*; .*404"
    ):
        fetch_dataset("toy", tmp_path)
    assert sorted(path.name for path in (tmp_path / "toy").iterdir()) == [
        "test-images.gz",
        "train-images.gz",
        "train-labels.gz",
    ]


def test_verify_tells_right_wrong_and_missing_apart(toy: Entry, tmp_path: Path) -> None:
    folder = fetch_dataset("toy", tmp_path)
    written(folder / "train-images.gz", gzip.compress(idx(255 - ARRAYS["train-images"])))
    written(folder / "train-labels.gz", gzip.compress(idx(ARRAYS["train-labels"]))[:-3])
    (folder / "test-images.gz").unlink()
    findings = verify_dataset("toy", tmp_path)
    assert [finding.right for finding in findings] == [False, False, False, True]
    assert [str(folder / f"{name}.gz") for name in ARRAYS] == [finding.file for finding in findings]
    notes = ["not the expected one", "damaged or cut short", "is missing", store.PROVED]
    for finding, note in zip(findings, notes, strict=True):
        assert note in str(finding)


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress])
def test_a_file_known_only_as_it_is_served_is_not_proved_by_another_packing(
    tmp_path: Path, pack: type[bytes]
) -> None:
    served = pack(idx(ARRAYS["test-labels"]))
    file = File("x", (20,), hash_of(served), packing=".packed")
    assert read_checked(written(tmp_path / "x.packed", served).parent, file)[1] == store.PROVED
    (tmp_path / "x.packed").unlink()
    written(tmp_path / "x", idx(ARRAYS["test-labels"]))
    assert read_checked(tmp_path, file)[1] == store.UNPROVED
    written(tmp_path / "x", idx(ARRAYS["test-labels"][:19]))
    with pytest.raises(BadData, match=r"has the shape \(19,\), not \(20,\)"):
        read_checked(tmp_path, file)


def test_usps_files_are_libsvm_tables(tmp_path: Path) -> None:
    values = np.column_stack([rng.integers(1, 11, 6), rng.uniform(-1, 1, (6, 256)).round(3)])
    packed = bz2.compress(libsvm(values))
    file = File("usps", (6, 257), hash_of(packed), packing=".bz2", kind="libsvm")
    array, evidence = read_checked(written(tmp_path / "usps.bz2", packed).parent, file)
    np.testing.assert_allclose(array, values, rtol=1e-6)
    assert evidence == store.PROVED


@pytest.fixture
def zipped(web: tuple[Path, str], monkeypatch: pytest.MonkeyPatch) -> Entry:
    """The toy dataset inside an archive that holds more."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, array in ARRAYS.items():
            archive.writestr(f"gzip/{name}.gz", gzip.compress(idx(array)))
        archive.writestr("gzip/letters.gz", b"not wanted")
    written(web[0] / "all.zip", content.getvalue())
    files = tuple(File(name, array.shape) for name, array in ARRAYS.items())
    place = Archive(
        "all.zip",
        (web[1] + "all.zip",),
        hash_of(content.getvalue()),
        len(content.getvalue()),
        "gzip/",
    )
    entry = Entry("zipped", "a toy", "none", files, archive=place)
    monkeypatch.setitem(DATASETS, "zipped", entry)
    return entry


def test_files_are_taken_out_of_an_archive_once_and_the_archive_is_deleted(
    zipped: Entry, tmp_path: Path
) -> None:
    with ThreadPoolExecutor(4) as pool:
        folders = set(pool.map(lambda _: fetch_dataset("zipped", tmp_path), range(4)))
    assert Quiet.asked == ["/all.zip"]
    assert sorted(path.name for path in folders.pop().iterdir()) == sorted(
        f"{name}.gz" for name in ARRAYS
    )
    for file in zipped.files:
        array, evidence = read_checked(tmp_path / "zipped", file)
        np.testing.assert_array_equal(array, ARRAYS[file.name])
        assert evidence == store.WITHOUT_HASH


def test_an_archive_that_was_there_before_stays(
    zipped: Entry, web: tuple[Path, str], tmp_path: Path
) -> None:
    mine = tmp_path / "zipped" / "all.zip"
    mine.parent.mkdir()
    written(mine, (web[0] / "all.zip").read_bytes())
    fetch_dataset("zipped", tmp_path)
    assert mine.is_file()


def test_a_folder_in_place_of_the_temporary_file_is_left_alone(
    zipped: Entry, tmp_path: Path
) -> None:
    temporary = tmp_path / "zipped" / ".all.zip.part"
    temporary.mkdir(parents=True)
    with pytest.raises(CannotWrite, match="File exists"):
        fetch_dataset("zipped", tmp_path)
    assert temporary.is_dir()


def test_a_wrong_archive_leaves_nothing(
    zipped: Entry, web: tuple[Path, str], tmp_path: Path
) -> None:
    written(web[0] / "all.zip", (web[0] / "all.zip").read_bytes()[:-1] + b"x")
    with pytest.raises(DownloadFailed, match="SHA-256"):
        fetch_dataset("zipped", tmp_path)
    assert list((tmp_path / "zipped").iterdir()) == []


def test_the_list_tells_which_files_are_there(toy: Entry, tmp_path: Path) -> None:
    def listed() -> store.Listing:
        return next(line for line in list_datasets(tmp_path) if line.name == "toy")

    assert (listed().present, listed().nbytes) == (False, 0)
    folder = fetch_dataset("toy", tmp_path)
    assert listed() == store.Listing(
        "toy", "a toy", "none", True, sum(path.stat().st_size for path in folder.iterdir())
    )
    (folder / "test-labels.gz").unlink()
    assert not listed().present


def test_an_unknown_name_lists_the_known_ones(tmp_path: Path) -> None:
    for ask in (fetch_dataset, verify_dataset):
        with pytest.raises(
            UnknownName,
            match="no dataset 'nist'; known: "
            "mnist, fashion-mnist, kmnist, qmnist, emnist-digits, usps",
        ):
            ask("nist", tmp_path)


def test_the_folder_comes_from_the_environment_or_the_cache(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("INKDIGITS_DATA", str(tmp_path))
    assert default_data_dir() == tmp_path
    monkeypatch.delenv("INKDIGITS_DATA")
    monkeypatch.setattr(store.sys, "platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert default_data_dir() == tmp_path / "cache" / "inkdigits"


def test_optdigits_needs_no_file(tmp_path: Path) -> None:
    assert [finding.right for finding in verify_dataset("optdigits", tmp_path)] == [True]
    fetch_dataset("optdigits", tmp_path)
    assert not list(tmp_path.iterdir())


# ---- the catalogue


def test_every_download_is_over_https_from_more_than_one_place_and_has_a_hash() -> None:
    for entry in DATASETS.values():
        if entry.source:
            assert not entry.mirrors
            assert entry.source.startswith("https://")
            continue
        places = [*entry.mirrors, *(entry.archive.urls if entry.archive else ())]
        hashes = [entry.archive.sha256] if entry.archive else [file.sha256 for file in entry.files]
        assert all(place.startswith("https://") for place in places)
        assert all(place.endswith("/") for place in entry.mirrors)
        assert len(places) >= 2 or not entry.files
        assert all(
            digits is not None and len(digits) == 64 and int(digits, 16) for digits in hashes
        )


def test_no_hash_is_used_twice() -> None:
    entries = [entry for entry in DATASETS.values() if not entry.made_from]
    hashes = [file.sha256 for entry in entries for file in entry.files if file.sha256]
    assert len(set(hashes)) == len(hashes)


def test_the_limit_leaves_room_for_the_unpacked_file() -> None:
    for entry in DATASETS.values():
        for file in entry.files:
            width = 4 if file.name.endswith("-int") else 1
            assert file.limit > 4 + 4 * len(file.shape) + np.prod(file.shape) * width
