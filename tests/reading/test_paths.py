"""Paths of all kinds become one reading a picture, in order; an unreadable one stops no other."""

import gzip
import io
import sys
import threading
import time
import weakref
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from digit_files import HEADER, idx, table
from few_digits import few_digits
from scanned import scan

from inkdigits.command import cli
from inkdigits.core.errors import BadValue
from inkdigits.data.datasets import Split
from inkdigits.reading import paths as paths_module
from inkdigits.reading.explanation.folder import Explanations
from inkdigits.reading.paths import read_paths
from inkdigits.reading.preprocessing import source
from inkdigits.reading.reading import Reading
from inkdigits.reading.recogniser import Recogniser


@pytest.fixture(scope="module")
def recogniser() -> Recogniser:
    return Recogniser("tiny")


@pytest.fixture(scope="module")
def digits() -> Split:
    return few_digits(5)


def read(
    recogniser: Recogniser, *paths: object, single: bool = False, jobs: int = 1
) -> list[tuple[str, Reading]]:
    return [
        (path, trace.reading)
        for path, trace in read_paths(recogniser, map(str, paths), single=single, jobs=jobs)
    ]


def codes(readings: list[tuple[str, Reading]]) -> list[str | None]:
    return [reading.error and reading.error.code for _, reading in readings]


# ---- pictures


def test_good_and_bad_pictures_keep_their_order(recogniser, digits, tmp_path):
    (tmp_path / "first.png").write_bytes(scan(digits.images[0]))
    (tmp_path / "last.png").write_bytes(scan(digits.images[1]))
    whole = (tmp_path / "first.png").read_bytes()
    (tmp_path / "empty.png").touch()
    (tmp_path / "cut.png").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "text.png").write_text("no picture at all")
    paths = [
        tmp_path / name
        for name in ("first.png", "empty.png", "missing.png", "cut.png", "text.png", "last.png")
    ]
    readings = read(recogniser, *paths)

    assert [path for path, _ in readings] == [str(path) for path in paths]
    assert codes(readings) == [None, "empty", "not_found", "truncated", "not_a_picture", None]
    for path, reading in readings:
        assert reading.error is None or (
            path in str(reading.error) and reading.text is None and reading.digits == ()
        )


def test_a_picture_gives_what_the_recogniser_reads(recogniser, digits, tmp_path):
    (tmp_path / "digit.png").write_bytes(scan(digits.images[2]))
    ((_, reading),) = read(recogniser, tmp_path / "digit.png", single=True)

    assert reading == recogniser.read(tmp_path / "digit.png", single=True)
    assert len(reading.digits) == 1


@pytest.mark.parametrize(
    "name",
    ["a" * 300 + ".png", "a\0b.png", "file.png/x.png", "nothing", "missing.npz", "missing.csv.gz"],
)
def test_a_name_that_no_file_can_have_is_one_error(name, recogniser, tmp_path):
    (tmp_path / "file.png").touch()
    ((path, reading),) = read(recogniser, tmp_path / name)

    assert path == str(tmp_path / name)
    assert reading.error.code in ("not_found", "unreadable")


def test_a_picture_is_kept_for_the_explanation_and_an_array_s_images_are_their_own(
    recogniser, digits, tmp_path
):
    (tmp_path / "digit.png").write_bytes(scan(digits.images[2]))
    np.save(tmp_path / "digits.npy", digits.images[:1])
    traces = [
        trace
        for _, trace in read_paths(
            recogniser, [str(tmp_path / name) for name in ("digit.png", "no.png", "digits.npy")]
        )
    ]

    assert [trace.picture is not None for trace in traces] == [True, False, False]
    assert np.array_equal(traces[0].reading.digits[0].image, digits.images[2])


def test_pictures_are_read_when_their_turn_comes(recogniser, digits, tmp_path):
    (tmp_path / "first.png").write_bytes(scan(digits.images[0]))
    traces = read_paths(recogniser, [str(tmp_path / "first.png"), str(tmp_path / "second.png")])
    next(traces)
    (tmp_path / "second.png").write_bytes(scan(digits.images[1]))

    assert next(traces)[1].reading.error is None


# ---- several at once


# No picture is small enough to be read at once, or all are.
@pytest.mark.parametrize("small", [0, paths_module.SMALL_FILE])
@pytest.mark.parametrize("jobs", [2, 3, 16])
def test_several_at_once_give_the_same_in_the_same_order(
    jobs, small, recogniser, digits, tmp_path, monkeypatch
):
    monkeypatch.setattr(paths_module, "IMAGES_AT_ONCE", 2)
    monkeypatch.setattr(paths_module, "SMALL_FILE", small)
    for index, field in enumerate(digits.images):
        (tmp_path / f"{index}.png").write_bytes(scan(field))
    (tmp_path / "1.png").write_text("no picture")
    (tmp_path / "cut-ubyte").write_bytes(idx(digits.images)[: -28 * 28 // 2])
    np.save(tmp_path / "digits.npy", digits.images)
    paths = [
        tmp_path / "digits.npy",
        tmp_path / "3.png",
        tmp_path,
        tmp_path / "cut-ubyte",
        tmp_path / "missing.png",
    ]
    one, several = read(recogniser, *paths), read(recogniser, *paths, jobs=jobs)

    assert [code for code in codes(one) if code] == ["not_a_picture", "bad_data", "not_found"]
    assert [reading.to_json(path) for path, reading in several] == [
        reading.to_json(path) for path, reading in one
    ]


def test_the_first_to_finish_does_not_overtake(recogniser, digits, tmp_path, monkeypatch):
    finished = []
    real = recogniser.trace

    def slow_at_first(path: Path, single: bool) -> object:
        if path.name == "0.png":
            while len(finished) < 2:
                time.sleep(0.001)
        trace = real(path, single)
        finished.append(path.name)
        return trace

    monkeypatch.setattr(recogniser, "trace", slow_at_first)
    monkeypatch.setattr(paths_module, "SMALL_FILE", 0)
    for index in range(4):
        (tmp_path / f"{index}.png").write_bytes(scan(digits.images[index]))

    assert [path[-5] for path, _ in read(recogniser, tmp_path, jobs=2)] == list("0123")
    assert finished[0] != "0.png"


@pytest.mark.parametrize("jobs", [1, 2])
def test_reading_ahead_is_bounded(jobs, recogniser, digits, tmp_path, monkeypatch):
    asked = 0

    def endless(path: Path, block: int) -> Iterator[np.ndarray]:
        nonlocal asked
        while True:
            asked += 1
            yield digits.images

    monkeypatch.setattr(paths_module, "iter_images", endless)
    np.save(tmp_path / "digits.npy", digits.images)
    traces = read_paths(recogniser, [str(tmp_path / "digits.npy")], jobs=jobs)
    for taken in range(10):
        for _ in digits.images:
            next(traces)
        assert asked <= taken + (1 if jobs == 1 else paths_module.AHEAD * jobs)
    traces.close()


@pytest.mark.parametrize("jobs", [1, 2])
def test_nothing_is_kept_of_what_was_taken(jobs, recogniser, tmp_path, monkeypatch):
    blocks: list[weakref.ref] = []

    def watched(path: Path, block: int) -> Iterator[np.ndarray]:
        for _ in range(20):
            images = np.zeros((2, 28, 28), np.uint8)
            blocks.append(weakref.ref(images))
            yield images

    monkeypatch.setattr(paths_module, "iter_images", watched)
    np.save(tmp_path / "digits.npy", np.zeros((2, 28, 28), np.uint8))
    most = 0
    for _ in read_paths(recogniser, [str(tmp_path / "digits.npy")], jobs=jobs):
        most = max(most, sum(block() is not None for block in blocks))

    assert len(blocks) == 20
    assert most <= paths_module.AHEAD * jobs + 2  # what waits, what is read and what is handed out


@pytest.mark.parametrize("small", [0, paths_module.SMALL_FILE])
def test_a_fault_of_ours_is_not_swallowed_by_a_thread(
    small, recogniser, digits, tmp_path, monkeypatch
):
    def broken(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(recogniser, "trace", broken)
    monkeypatch.setattr(paths_module, "SMALL_FILE", small)
    (tmp_path / "digit.png").write_bytes(scan(digits.images[0]))

    with pytest.raises(ZeroDivisionError):
        read(recogniser, tmp_path, jobs=2)


def test_no_jobs_are_refused(recogniser):
    with pytest.raises(BadValue, match="jobs must be 1 or more, not 0"):
        read(recogniser, "a.png", jobs=0)


def test_the_command_prints_the_same_with_any_number_of_jobs(digits, tmp_path, capsys):
    np.save(tmp_path / "digits.npy", digits.images)
    printed = set()
    for jobs in ([], ["--jobs", "1"], ["--jobs", "5"]):
        assert cli.main(["read", "--json", *jobs, str(tmp_path / "digits.npy")]) == 0
        printed.add(capsys.readouterr().out)

    assert len(printed) == 1
    assert printed.pop().count("\n") == len(digits)
    assert cli.main(["read", "--jobs", "0", str(tmp_path / "digits.npy")]) == 2
    assert "jobs must be 1 or more, not 0" in capsys.readouterr().err


# ---- folders


def test_a_folder_is_all_pictures_below_it_sorted(recogniser, digits, tmp_path):
    (tmp_path / "b" / "deep").mkdir(parents=True)
    for name in ("c.PNG", "b/2.png", "b/deep/1.png", "a.jpg.png", ".hidden.png"):
        (tmp_path / name).write_bytes(scan(digits.images[0]))
    (tmp_path / "notes.txt").write_text("1,2,3\n")
    (tmp_path / "folder.png").mkdir()
    names = ["a.jpg.png", "b/2.png", "b/deep/1.png", "c.PNG"]
    readings = read(recogniser, tmp_path)

    assert [path for path, _ in readings] == [str(tmp_path / name) for name in names]
    assert codes(readings) == [None] * 4


def test_a_folder_is_listed_as_it_is_read(recogniser, digits, tmp_path):
    (tmp_path / "b").mkdir()
    (tmp_path / "a.png").write_bytes(scan(digits.images[0]))
    traces = read_paths(recogniser, [str(tmp_path)])
    next(traces)
    (tmp_path / "b" / "late.png").write_bytes(scan(digits.images[1]))

    assert [path for path, _ in traces] == [str(tmp_path / "b" / "late.png")]


def test_links_are_followed_to_pictures_but_not_in_circles(recogniser, digits, tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.png").write_bytes(scan(digits.images[0]))
    (tmp_path / "in" / "b.png").symlink_to("a.png")
    (tmp_path / "in" / "round").symlink_to(tmp_path)
    (tmp_path / "in" / "itself.png").symlink_to("itself.png")
    (tmp_path / "in" / "nowhere.png").symlink_to("nothing.png")

    assert [Path(path).name for path, _ in read(recogniser, tmp_path)] == ["a.png", "b.png"]


def test_a_folder_s_explanations_are_not_read_as_its_pictures(recogniser, digits, tmp_path):
    (tmp_path / "digit.png").write_bytes(scan(digits.images[0]))
    explanations = Explanations(tmp_path / "why")
    for path, trace in read_paths(recogniser, [str(tmp_path)]):
        explanations.add(path, trace)
    written = tmp_path / "why" / "digit.png.png"

    assert written.exists()
    assert [path for path, _ in read(recogniser, tmp_path)] == [str(tmp_path / "digit.png")]
    assert [path for path, _ in read(recogniser, written)] == [
        str(written)
    ]  # unless someone asks for it


def test_a_folder_without_pictures_is_one_error_that_names_the_endings(recogniser, tmp_path):
    (tmp_path / "notes.txt").touch()
    ((path, reading),) = read(recogniser, tmp_path)

    assert path == str(tmp_path)
    assert reading.error.code == "empty"
    assert ".png" in str(reading.error)


# ---- arrays


@pytest.mark.parametrize(
    "name",
    [
        *(
            "digits.npz",
            "digits.npy",
            "t10k-images-idx3-ubyte",
            "t10k-images-idx3-ubyte.gz",
            "digits.idx",
        ),
        *("labelled.csv", "plain.csv", "no-ending-idx", "no-ending-npz", "train.txt"),
    ],
)
def test_images_of_one_file_are_numbered(name, recogniser, digits, tmp_path):
    path, images = tmp_path / name, digits.images
    match name:
        case "digits.npz" | "no-ending-npz":
            with path.open("wb") as file:
                np.savez(file, images=images, labels=digits.labels)
        case "digits.npy":
            np.save(path, images)
        case "t10k-images-idx3-ubyte.gz":
            path.write_bytes(gzip.compress(idx(images)))
        case "plain.csv":
            path.write_text(table(images, None, HEADER.removeprefix("label,")))
        case "labelled.csv" | "train.txt":
            path.write_text(table(images, digits.labels))
        case _:
            path.write_bytes(idx(images))
    readings = read(recogniser, path)

    assert [name for name, _ in readings] == [f"{path}[{index}]" for index in range(5)]

    expected = recogniser.classify(images).argmax(1).tolist()

    assert [reading.digits[0].digit for _, reading in readings] == expected


def test_numbers_go_on_over_blocks(recogniser, digits, tmp_path, monkeypatch):
    many = np.concatenate([digits.images] * 3)
    np.save(tmp_path / "many.npy", many)
    monkeypatch.setattr(paths_module, "IMAGES_AT_ONCE", 4)

    assert [path[-4:].lstrip("y") for path, _ in read(recogniser, tmp_path / "many.npy")] == [
        f"[{i}]"[-4:] for i in range(15)
    ]


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("t10k-images-idx3-ubyte", b"\0\0\x0d\x01", "cut short"),
        ("t10k-images-idx3-ubyte", b"\0\0\x77\x03" + bytes(20), "neither IDX"),
        ("t10k-images-idx3-ubyte", b"", "empty"),
        ("digits.npz", b"PK\x03\x04 and then nothing", "damaged or unusual zip"),
        ("digits.npz", b"no zip file", "neither IDX"),
        ("digits.csv", b"label,pixel0\n1,2\n", "line 1: 2 values; expected 784"),
        ("digits.csv", b"", "empty"),
        ("digits.gz", b"\x1f\x8b\x08 and then nothing", "damaged or cut short"),
        ("labels-idx1-ubyte", b"\0\0\x08\x01\0\0\0\x02\1\2", r"shape \(2,\)"),
    ],
)
def test_damaged_arrays_are_one_error(name, content, says, recogniser, tmp_path):
    (tmp_path / name).write_bytes(content)
    readings = read(recogniser, tmp_path / name, tmp_path / name)

    assert codes(readings) == ["bad_data"] * 2
    with pytest.raises(Exception, match=says):
        raise readings[0][1].error


def test_a_truncated_file_gives_what_is_there_and_then_the_error(
    recogniser, digits, tmp_path, monkeypatch
):
    monkeypatch.setattr(paths_module, "IMAGES_AT_ONCE", 2)
    (tmp_path / "cut-ubyte").write_bytes(idx(digits.images)[: -28 * 28 // 2])
    readings = read(recogniser, tmp_path / "cut-ubyte")

    assert codes(readings) == [None] * 4 + ["bad_data"]  # two blocks, and the error
    assert readings[-1][0] == str(tmp_path / "cut-ubyte")


def test_a_csv_with_a_short_row_names_the_line(recogniser, digits, tmp_path):
    lines = table(digits.images, digits.labels).splitlines()
    lines[3] = lines[3].rsplit(",", 1)[0]
    (tmp_path / "digits.csv").write_text("\n".join(lines))
    ((_, reading),) = read(recogniser, tmp_path / "digits.csv")

    assert "line 4: 784 values; line 1 has 785" in str(reading.error)


# ---- standard input


def give(monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))


def test_a_picture_on_standard_input(recogniser, digits, tmp_path, monkeypatch):
    (tmp_path / "digit.png").write_bytes(scan(digits.images[3]))
    give(monkeypatch, (tmp_path / "digit.png").read_bytes())
    assert read(recogniser, "-") == [("-", recogniser.read(tmp_path / "digit.png"))]


@pytest.mark.parametrize(
    ("data", "code"),
    [(b"", "empty"), (b"text", "not_a_picture"), (b"\x89PNG\r\n\x1a\n", "not_a_picture")],
)
def test_other_things_than_a_picture_on_standard_input_are_one_error(
    data, code, recogniser, monkeypatch
):
    give(monkeypatch, data)
    ((path, reading),) = read(recogniser, "-")

    assert (path, reading.error.code) == ("-", code)
    assert "standard input" in str(reading.error)


def test_standard_input_without_end_is_not_read_to_its_end(recogniser, monkeypatch):
    give(monkeypatch, b"\x89PNG" + bytes(3000))
    monkeypatch.setattr(source, "MAX_FILE", 1000)
    ((_, reading),) = read(recogniser, "-")

    assert reading.error.code == "too_large"
    assert "standard input" in str(reading.error)


def test_closed_standard_input_is_one_error(recogniser, monkeypatch):
    monkeypatch.setattr(sys, "stdin", None)
    ((_, reading),) = read(recogniser, "-")

    assert reading.error.code == "empty"


def test_small_pictures_are_read_without_threads(recogniser, digits, tmp_path, monkeypatch):
    threads, real = set(), recogniser.trace
    monkeypatch.setattr(
        recogniser, "trace", lambda *given: threads.add(threading.current_thread()) or real(*given)
    )
    for index in range(4):
        (tmp_path / f"{index}.png").write_bytes(scan(digits.images[index]))

    assert len(read(recogniser, tmp_path, jobs=2)) == 4
    assert threads == {threading.main_thread()}
