"""A file is written whole or not at all; errors name the obstacle, and the old content stays."""

import errno
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from inkdigits.core.errors import CannotWrite, InkdigitsError
from inkdigits.core.files import file_lock, new_folder, remove_leftovers, write_whole


def fail(number: int) -> Callable[..., None]:
    def failing(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    return failing


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"\x00\xff\r\n", b"\x00\xff\r\n"),
        ("Größe\n", "Größe\n".encode()),
        ("a name that is not UTF-8: \udcff", b"a name that is not UTF-8: &#56575;"),
        (lambda path: path.write_bytes(b"written by a function"), b"written by a function"),
    ],
)
def test_bytes_text_and_a_writer_reach_the_file_and_nothing_else(
    tmp_path: Path, content: bytes | str | Callable[[Path], object], expected: bytes
) -> None:
    (tmp_path / "model.onnx").write_bytes(b"old")
    write_whole(tmp_path / "model.onnx", content)
    assert contents(tmp_path) == {"model.onnx": expected}


def test_a_writer_sees_the_suffix_and_not_the_file_itself(tmp_path: Path) -> None:
    def write(temporary: Path) -> None:
        assert temporary.suffix == ".onnx"
        assert temporary.parent == tmp_path
        assert not (tmp_path / "model.onnx").exists()
        temporary.touch()

    write_whole(tmp_path / "model.onnx", write)
    assert contents(tmp_path) == {"model.onnx": b""}


@pytest.mark.parametrize("call", ["write", "fsync", "replace"])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EIO])
def test_when_writing_fails_the_old_content_stays_and_no_temporary_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, number: int
) -> None:
    path = tmp_path / "config.json"
    path.write_bytes(b"old")

    def half(temporary: Path) -> None:
        temporary.write_bytes(b"ne")
        if call == "write":
            fail(number)()

    with monkeypatch.context() as patch:
        if call == "fsync":
            patch.setattr(os, "fsync", fail(number))
        if call == "replace":
            patch.setattr(Path, "replace", fail(number))
        with pytest.raises(CannotWrite) as caught:
            write_whole(path, half)
    assert (
        str(caught.value) == f"cannot write {path}: {os.strerror(number)}; "
        "choose a place with free space that you may write to"
    )
    assert contents(tmp_path) == {"config.json": b"old"}


def test_a_full_disk_is_reported(tmp_path: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")

    def write(temporary: Path) -> None:
        temporary.symlink_to("/dev/full")
        temporary.write_bytes(b"x" * 100_000)

    with pytest.raises(CannotWrite, match="No space left on device"):
        write_whole(tmp_path / "metrics.jsonl", write)
    assert contents(tmp_path) == {}
    assert Path("/dev/full").exists()


@pytest.mark.parametrize(
    "problem", [InkdigitsError("the file differs"), KeyboardInterrupt(), ZeroDivisionError()]
)
def test_a_problem_that_is_not_the_disk_s_goes_through_as_it_is(
    tmp_path: Path, problem: BaseException
) -> None:
    def write(temporary: Path) -> None:
        temporary.write_bytes(b"half")
        raise problem

    with pytest.raises(type(problem)) as caught:
        write_whole(tmp_path / "model.onnx", write)
    assert caught.value is problem
    assert contents(tmp_path) == {}


def syncs_while_writing(path: Path, monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, bool]]:
    """What was told to reach the disk, as inode numbers in their order; and whether there was a
    file at `path` then.
    """
    synced, sync = [], os.fsync

    def watch(descriptor: int) -> None:
        synced.append((os.fstat(descriptor).st_ino, path.exists()))
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", watch)
    write_whole(path, b"new")
    return synced


def test_the_bytes_are_on_the_disk_before_the_file_takes_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "model.onnx"
    synced = syncs_while_writing(path, monkeypatch)
    assert (path.stat().st_ino, False) in synced


@pytest.mark.parametrize("place", ["missing/file.txt", "folder", ".", "a file/file.txt", "x" * 300])
def test_a_path_that_cannot_be_written_to_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    (tmp_path / "a file").touch()
    with pytest.raises(
        CannotWrite,
        match=f"^cannot write {place}: .+; choose a place with free space that you may write to$",
    ):
        write_whole(Path(place), b"content")
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["a file", "folder"]


def test_a_new_folder_is_made_with_its_parents_and_an_empty_one_is_taken(tmp_path: Path) -> None:
    folder = tmp_path / "runs" / "lenet"
    assert new_folder(folder) == folder
    assert new_folder(folder) == folder
    assert list(folder.iterdir()) == []


def test_a_folder_that_holds_something_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "precious").write_bytes(b"!")
    with pytest.raises(
        CannotWrite,
        match=f"^the folder {tmp_path} exists and is not empty; "
        "choose a new one, or delete it first$",
    ):
        new_folder(tmp_path)
    assert contents(tmp_path) == {"precious": b"!"}


@pytest.mark.parametrize("place", ["file", "file/run"])
def test_a_file_in_the_way_of_a_folder_is_named(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(
        CannotWrite,
        match=f"^cannot write into .*{place}: .+; choose a place that you may write to$",
    ):
        new_folder(tmp_path / place)
    assert contents(tmp_path) == {"file": b""}


def test_a_folder_that_may_not_be_written_into_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        Path, "touch", fail(errno.EROFS)
    )  # permissions would not stop a test that runs as root
    with pytest.raises(
        CannotWrite,
        match=f"^cannot write into {tmp_path}: Read-only file system; "
        "choose a place that you may write to$",
    ):
        new_folder(tmp_path)


def test_the_name_reaches_the_disk_after_the_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "model.onnx"
    synced = syncs_while_writing(path, monkeypatch)
    assert synced == [(path.stat().st_ino, False), (tmp_path.stat().st_ino, True)]


def test_removing_leftovers_deletes_half_written_files_and_nothing_else(tmp_path: Path) -> None:
    kept = ["model.onnx", ".run.lock", ".hidden", ".0123abcd", "0123abcd.txt"]
    for name in [*kept, ".0123abcd.model.onnx"]:
        (tmp_path / name).touch()
    remove_leftovers(tmp_path)
    assert sorted(contents(tmp_path)) == sorted(kept)


def test_leftovers_are_regular_files_with_the_names_that_were_written(tmp_path: Path) -> None:
    (tmp_path / "mine").write_bytes(b"mine")
    (tmp_path / ".01234567.model.onnx").symlink_to(tmp_path / "mine")
    (tmp_path / ".12345678.model.onnx").mkdir()
    (tmp_path / ".23456789.letter.txt").touch()
    (tmp_path / ".3456789a.model.onnx").touch()
    before = set(tmp_path.iterdir())

    remove_leftovers(tmp_path, ["model.onnx"])
    assert before - set(tmp_path.iterdir()) == {tmp_path / ".3456789a.model.onnx"}


def test_a_lock_is_not_taken_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "mine").write_bytes(b"mine")
    (tmp_path / ".run.lock").symlink_to(tmp_path / "mine")
    with pytest.raises(CannotWrite, match=r"\.run\.lock is a link"), file_lock(tmp_path / "run"):
        pass

    assert contents(tmp_path) == {"mine": b"mine", ".run.lock": b"mine"}


# ---- file_lock

HOLDS = """
import sys, time
from pathlib import Path
from inkdigits.core.files import file_lock
with file_lock(Path(sys.argv[1]), wait=False) as ours:
    print(ours, flush=True)
    time.sleep(600)
"""


def test_one_of_two_processes_holds_the_lock_until_it_is_killed(tmp_path: Path) -> None:
    path = tmp_path / "run"
    with subprocess.Popen(
        [sys.executable, "-c", HOLDS, str(path)], stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "True\n"
        with file_lock(path, wait=False) as ours:
            assert not ours
        other.send_signal(signal.SIGTERM if os.name == "nt" else signal.SIGKILL)
        other.wait()
    assert ".run.lock" in contents(tmp_path), "the killed one could not delete it"
    with file_lock(path, wait=False) as ours:
        assert ours
    assert contents(tmp_path) == {}


def test_no_two_threads_hold_a_lock_at_once_though_each_deletes_its_file(tmp_path: Path) -> None:
    """Who has opened a file that is deleted under him must not believe that he holds the name."""
    inside, most, entered = [0], [0], [0]

    def work(seed: int) -> None:
        chance = random.Random(seed)
        turns = 20
        while turns:
            with file_lock(tmp_path / "run", wait=False) as ours:
                if ours:
                    turns -= 1
                    inside[0] += 1
                    most[0] = max(most[0], inside[0])
                    entered[0] += 1
                    time.sleep(chance.uniform(0, 0.002))
                    inside[0] -= 1

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1]
    assert entered == [6 * 20]
    assert contents(tmp_path) == {}


@pytest.mark.parametrize("call", ["touch", "unlink"])
def test_a_folder_that_could_not_be_probed_is_still_a_new_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    """A disk that fails for a moment leaves no file behind that would stand in the way of the next
    try.
    """
    do = getattr(Path, call)

    def after_the_act(path: Path, *_: object, **__: object) -> None:
        if call == "touch":
            do(path)
        fail(errno.EIO)()

    with monkeypatch.context() as patch:
        patch.setattr(Path, call, after_the_act)
        with pytest.raises(CannotWrite, match=os.strerror(errno.EIO)):
            new_folder(tmp_path)
    assert new_folder(tmp_path) == tmp_path
    remove_leftovers(tmp_path)
    assert not contents(tmp_path)
