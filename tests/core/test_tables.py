"""CSV and LIBSVM tables: read as a careful reader reads them, or the wrong line is named."""

import bz2
import gzip
import re
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from digit_files import HEADER, IMAGES, LABELS, libsvm, numbers, table
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from inkdigits.core.errors import BadData
from inkdigits.core.tables import iter_csv, read_libsvm, read_numbers

rng = np.random.default_rng(2)
fuzzed = settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def read(
    path: Path, content: str | bytes, rows: int = 1024
) -> tuple[np.ndarray, np.ndarray | None]:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    images, labels = zip(*iter_csv(path, rows), strict=True)
    return np.concatenate(images), None if labels[0] is None else np.concatenate(labels)


@pytest.mark.parametrize(
    "content",
    [
        table(),
        table(header=None),
        table(end="\r\n"),
        "\ufeff" + table(),
        table().rstrip("\n"),
        table() + "\n\n",
        table().replace("\n", "\n\n"),
        table().replace(",", ", "),
        '"' + table().rstrip("\n").replace(",", '","').replace("\n", '"\n"') + '"',
        HEADER
        + "\n"
        + "\n".join(
            ",".join(f"{int(value)}.0" for value in line.split(","))
            for line in table().split("\n")[1:-1]
        ),
        gzip.compress(table().encode()),
    ],
    ids=[
        "kaggle",
        "no header",
        "crlf",
        "byte order mark",
        "no last newline",
        "blank end",
        "blank lines",
        "spaces",
        "quotes",
        "floats",
        "gzip",
    ],
)
@pytest.mark.parametrize("rows", [1, 3, 1024])
def test_kaggles_csv_is_read_in_all_its_variants(
    tmp_path: Path, content: str | bytes, rows: int
) -> None:
    images, labels = read(tmp_path / "x.csv", content, rows)
    np.testing.assert_array_equal(images, IMAGES)
    np.testing.assert_array_equal(labels, LABELS)
    assert (images.dtype, labels.dtype) == (np.uint8, np.uint8)


def test_the_label_may_come_last_or_be_missing(tmp_path: Path) -> None:
    pixels = HEADER.removeprefix("label,")
    last = "\n".join(
        ",".join([*line.split(",")[1:], line.split(",")[0]]) for line in table().splitlines()
    )
    for content, expected in (
        (last, LABELS),
        (table(labels=None, header=pixels), None),
        (table(labels=None, header=None), None),
    ):
        images, labels = read(tmp_path / "x.csv", content)
        np.testing.assert_array_equal(images, IMAGES)
        assert (labels is None) == (expected is None)
        assert labels is None or (labels == expected).all()


def with_line(number: int, change: str) -> str:
    lines = table().splitlines()
    old = lines[number - 1]
    lines[number - 1] = {
        "short": old.rpartition(",")[0],
        "long": old + ",0",
        "word": old[:-1] + "x",
        "256": old.rpartition(",")[0] + ",256",
        "negative": old.rpartition(",")[0] + ",-1",
        "half": old.rpartition(",")[0] + ",0.5",
        "empty": old.rpartition(",")[0] + ",",
        "label": "10" + old[1:],
        "semicolons": old.replace(",", ";"),
    }[change]
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("rows", [2, 1024])
@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ("short", "784 values; line 1 has 785"),
        ("long", "786 values; line 1 has 785"),
        ("word", "column 785: .*x' is not a number"),
        ("256", "column 785: '256' is not a whole number from 0 to 255"),
        ("negative", "'-1' is not"),
        ("half", "'0.5' is not"),
        ("empty", "'' is not a number"),
        ("label", "column 1: '10' is not a whole number from 0 to 9"),
        ("semicolons", "1 values"),
    ],
)
def test_a_wrong_row_is_named_by_its_line(
    tmp_path: Path, change: str, sentence: str, rows: int
) -> None:
    with pytest.raises(BadData, match=f"line 6.*{sentence}"):
        read(tmp_path / "x.csv", with_line(6, change), rows)


def test_blank_lines_count_when_a_line_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadData, match=r"line 11, column 785: '256'"):
        read(tmp_path / "x.csv", with_line(6, "256").replace("\n", "\n\n"))


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("a,b\n1,2\n", "line 1: 2 values; expected 784 pixels, or 785 values with the label"),
        (HEADER.replace("label", "name") + "\n", "neither 'name' nor 'pixel783' is called 'label'"),
        ("1," * 1_000_000, "line 1"),
        ("\n" * 5, "line 1: 0 values"),
    ],
)
def test_a_table_of_something_else_is_refused(tmp_path: Path, content: str, sentence: str) -> None:
    with pytest.raises(BadData, match=sentence):
        read(tmp_path / "x.csv", content)


@pytest.mark.parametrize("labels", [LABELS, None])
@pytest.mark.parametrize("damage", ["2x", "-1", "0.5", "nan", ""])
def test_a_first_row_whose_last_value_is_damaged_is_no_header(
    tmp_path: Path, labels: np.ndarray | None, damage: str
) -> None:
    first, _, rest = table(labels=labels, header=None).partition("\n")
    with pytest.raises(BadData, match=f"line 1, column .*: '{damage}' is not a"):
        read(tmp_path / "x.csv", first.rpartition(",")[0] + f",{damage}\n" + rest)


def test_the_names_of_pixels_may_be_numbers(tmp_path: Path) -> None:
    images, labels = read(
        tmp_path / "x.csv", table(header=",".join(["label", *map(str, range(784))]))
    )
    np.testing.assert_array_equal(images, IMAGES)
    np.testing.assert_array_equal(labels, LABELS)


def test_a_quote_in_the_header_that_is_not_closed_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadData, match="line 1: unexpected end of data"):
        read(tmp_path / "x.csv", table().replace("pixel783", '"pixel783'))


def test_two_rows_are_not_read_out_of_one_line(tmp_path: Path) -> None:
    first, second, *_ = table(header=None).splitlines()
    with pytest.raises(BadData, match="line 1: more than 65,536 characters"):
        read(tmp_path / "x.csv", first.ljust(1 << 16) + second)


@pytest.mark.parametrize(
    ("filling", "sentence"),
    [("\n", "blank lines"), ("0,", "more than 65,536"), (HEADER + "\n", "'label' is not")],
)
def test_a_small_file_that_unpacks_to_a_large_table_takes_no_memory(
    tmp_path: Path, filling: str, sentence: str
) -> None:
    content = gzip.compress((table() + filling * (5_000_000 // len(filling))).encode())
    tracemalloc.start()
    with pytest.raises(BadData, match=sentence):
        read(tmp_path / "x.csv", content)
    assert tracemalloc.get_traced_memory()[1] < 40_000_000
    tracemalloc.stop()


@fuzzed
@given(
    places=st.lists(
        st.tuples(st.floats(0, 1, exclude_max=True), st.sampled_from(list('0159,\n\r"-+. x\0é'))),
        max_size=3,
    ),
    rows=st.sampled_from([2, 50]),
)
def test_mutated_csv_gives_what_a_slow_reader_finds_or_bad_data(
    tmp_path: Path, places: list[tuple[float, str]], rows: int
) -> None:
    text = list(table())
    for where, character in places:
        text[int(where * len(text))] = character
    content = "".join(text)
    try:
        images, labels = read(tmp_path / "x.csv", content, rows)
    except BadData:
        return
    lines = [line for line in re.split(r"\r\n|\r|\n", content) if line.strip()]
    body = lines if re.fullmatch(r"[\d. ]+", lines[0].partition(",")[0]) else lines[1:]
    values = np.array(
        [[float(field.replace('"', "")) for field in line.split(",")] for line in body]
    )
    np.testing.assert_array_equal(labels, values[:, 0])
    np.testing.assert_array_equal(images.reshape(-1, 784), values[:, 1:])


# ---- LIBSVM


@pytest.mark.parametrize("pack", [bytes, bz2.compress])
def test_libsvm_rows_are_read_as_scikit_learn_reads_them(tmp_path: Path, pack: type[bytes]) -> None:
    from sklearn.datasets import load_svmlight_file

    values = np.column_stack([rng.integers(1, 11, 6), rng.uniform(-1, 1, (6, 12)).round(4)])
    (tmp_path / "plain").write_bytes(libsvm(values))
    (tmp_path / "x").write_bytes(pack(libsvm(values)))
    pixels, labels = load_svmlight_file(str(tmp_path / "plain"))
    found = read_libsvm(tmp_path / "x", 13, 10_000)
    np.testing.assert_array_equal(found[:, 0], labels)
    np.testing.assert_allclose(found[:, 1:], pixels.toarray(), rtol=1e-6)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"1 1:0 2:0\n1 1:0\n", "line 2"),
        (b"1 1:0 3:0\n", "line 1"),
        (b"1 1:0 2:x\n", "line 1"),
        (b"1 1:0 2:nan\n", "line 1"),
        (b"<html>\n", "line 1"),
        (b":\n", "line 1"),
        (b"1 1:0 2:0\n" * 1000, "more than the 1,000 bytes"),
        (bz2.compress(b"1 1:0 2:0\n" * 1000), "more than the 1,000 bytes"),
        (bz2.compress(b"1 1:0 2:0\n")[:-5], "damaged|cannot be read"),
    ],
)
def test_other_libsvm_files_are_refused(tmp_path: Path, content: bytes, sentence: str) -> None:
    (tmp_path / "x").write_bytes(content)
    with pytest.raises(BadData, match=sentence):
        read_libsvm(tmp_path / "x", 3, 1000)


def test_blank_lines_of_libsvm_take_no_memory(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"\n" * 1_000_000)
    tracemalloc.start()
    assert read_libsvm(tmp_path / "x", 257, 1_000_000).shape == (0, 257)
    assert (
        tracemalloc.get_traced_memory()[1] < 100_000_000
    )  # the pieces of the text; the rows would be 1 GB
    tracemalloc.stop()


# ---- numbers with spaces between them


def test_numbers_are_read_in_any_spelling(tmp_path: Path) -> None:
    values = np.array([[0, 1, 2.5], [255, 0, 0]])
    (tmp_path / "plain").write_bytes(numbers(values) + b"\n")
    np.savetxt(tmp_path / "e", values)
    for name in ("plain", "e"):
        np.testing.assert_array_equal(read_numbers(tmp_path / name, 3, 1000), values)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"1 2 3\n1 2\n", "line 2: expected 3 numbers"),
        (b"1 2 x\n", "line 1: expected 3 numbers"),
        (b"1 2 nan\n", "line 1: expected 3 numbers"),
        (b"1 2 3\n" * 200, "unpacks to more than the 1,000 bytes"),
    ],
)
def test_other_numbers_are_refused(tmp_path: Path, content: bytes, sentence: str) -> None:
    (tmp_path / "x").write_bytes(content)
    with pytest.raises(BadData, match=sentence):
        read_numbers(tmp_path / "x", 3, 1000)
