"""Corrections: stored once, readable for their owner only, exported as the network saw them."""

import contextlib
import io
import json
import re
import sqlite3
import stat
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from drawn import line, written
from PIL import Image
from serving import FORM, Server, encode_picture, form, running, serving

from benchmarks.soak.stranger_corrections import CORRECTIONS, forge
from inkdigits.command import cli
from inkdigits.core.errors import BadData, CannotWrite
from inkdigits.data.datasets import load_dataset
from inkdigits.reading.recogniser import cached_recogniser
from inkdigits.service import feedback
from inkdigits.service.feedback import Feedback, export_feedback, find_correction

pytestmark = pytest.mark.slow  # services are started

ONE, TWO = (encode_picture(Image.fromarray(written(line(text)))) for text in ("7", "27"))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "corrections.sqlite"


@pytest.fixture
def server(file: Path) -> Iterator[Server]:
    with serving("--model", "nano", "--collect", file) as server:
        yield server


def rows(file: Path) -> list[sqlite3.Row]:
    database = sqlite3.connect(file)
    database.row_factory = sqlite3.Row
    try:
        return database.execute("SELECT * FROM feedback ORDER BY rowid").fetchall()
    finally:
        database.close()


def correct(server: Server, picture: bytes, query: str) -> dict:
    answer = server.post(picture, f"/v1/feedback?{query}", "image/png")
    assert answer.status == 200, answer
    return answer.json


# ---- storing


def test_a_correction_is_stored_with_what_was_read_and_what_was_seen(
    server: Server, file: Path
) -> None:
    assert correct(server, ONE, "label=1") == {"stored": True, "count": 1}
    digit = cached_recogniser("nano").read(ONE).digits[0]
    [row] = rows(file)
    assert (row["label"], row["digit"], row["model"]) == (1, 7, "nano")
    assert row["confidence"] == pytest.approx(digit.confidence)
    assert row["field"] == digit.image.tobytes()
    assert row["box"] == ",".join(map(str, digit.box))
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\+00:00", row["time"])
    crop, (left, top, right, bottom) = np.array(Image.open(io.BytesIO(row["crop"]))), digit.box
    margin = (crop.shape[1] - (right - left)) // 2
    assert np.array_equal(
        crop, written(line("7"))[top - margin : bottom + margin, left - margin : right + margin]
    )
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert sqlite3.connect(file).execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_the_same_digit_of_the_same_picture_gets_a_new_label(server: Server, file: Path) -> None:
    first, second = (",".join(map(str, digit["box"])) for digit in server.post(TWO).json["digits"])
    assert correct(server, TWO, f"label=1&box={first}")["count"] == 1
    assert correct(server, TWO, f"label=3&box={second}")["count"] == 2
    assert correct(server, TWO, f"label=4&box={first}")["count"] == 2

    path = f"/v1/feedback?label=5&box={first}"
    own = {"X-Requested-With": "test"}  # a form from a program
    assert server.ask("POST", path, form(('name="file"', TWO)), FORM, **own).json["count"] == 2
    assert [(row["label"], row["digit"]) for row in rows(file)] == [(5, 2), (3, 7)]


def test_a_box_that_is_a_little_off_still_means_its_digit(server: Server, file: Path) -> None:
    left, top, right, bottom = server.post(TWO).json["digits"][1]["box"]
    correct(server, TWO, f"label=7&box={left - 3},{top - 3},{right + 3},{bottom + 3}")
    assert rows(file)[0]["box"] == f"{left},{top},{right},{bottom}"


PARAMETERS = (
    400,
    "bad_parameter",
    "parameters are label, a digit, and box, left,top,right,bottom as /v1/read gives them",
)
BLANK = encode_picture(Image.new("L", (100, 100), 255))
KINDS = "readable are PNG, JPEG, BMP, GIF, WebP, TIFF, PPM and AVIF"
SEVERAL = "where there are several, box says which one is meant"


@pytest.mark.parametrize(
    ("body", "query", "refused"),
    [
        (ONE, "", PARAMETERS),
        (ONE, "label=10", PARAMETERS),
        (ONE, "label=-1", PARAMETERS),
        (ONE, "label=%D9%A3", PARAMETERS),
        (ONE, "label=7&box=1,2,3", PARAMETERS),
        (ONE, "label=7&box=a,b,c,d", PARAMETERS),
        (ONE, "label=7&box=", PARAMETERS),
        (ONE, "label=7&single=true", PARAMETERS),
        (ONE, "label=7&box=1,2,3,4", (422, "no_such_digit", "the picture has no digit at 1,2,3,4")),
        (ONE, "label=7&box=999999999,0,0,999999999", (422, "no_such_digit", None)),
        (TWO, "label=7", (422, "no_such_digit", f"the picture holds 2 digits; {SEVERAL}")),
        (BLANK, "label=7", (422, "no_such_digit", f"the picture holds 0 digits; {SEVERAL}")),
        (
            BLANK,
            "label=7&box=0,0,9,9",
            (422, "no_such_digit", "the picture has no digit at 0,0,9,9"),
        ),
        (
            b"hello",
            "label=7",
            (415, "not_a_picture", f"the data is not a picture that can be read; {KINDS}"),
        ),
        (b"", "label=7", (400, "empty", "the data is empty: 0 bytes")),
    ],
)
def test_corrections_that_make_no_sense_are_refused(
    fed: Server, body: bytes, query: str, refused: tuple[int, str, str | None]
) -> None:
    status, code, message = fed.post(body, f"/v1/feedback?{query}", "image/png").error
    assert (status, code) == refused[:2]
    assert refused[2] in (None, message)


@pytest.fixture(scope="module")
def fed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    file = tmp_path_factory.mktemp("fed") / "file"
    with serving("--model", "nano", "--collect", file) as server:
        yield server
    assert rows(file) == []


def test_without_the_option_nothing_is_stored() -> None:
    with serving("--model", "nano") as server:
        message = "this service stores no corrections; start it with --collect FILE to store them"
        assert server.post(ONE, "/v1/feedback?label=7").error == (404, "not_collecting", message)
        assert b"data-collects" not in server.get("/").body


def test_the_page_is_told_that_it_collects(fed: Server) -> None:
    assert b"<body data-collects>" in fed.get("/").body


# ---- trouble


def test_an_unusable_file_gives_one_sentence_and_status_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "text").write_text("Dear reader, " * 100)
    other = sqlite3.connect(tmp_path / "other")
    with other:
        other.execute("CREATE TABLE mail (body)")

    other.close()
    for name, reason in (
        ("text", "file is not a database"),
        ("other", "it is a database of another program"),
        (".", "Is a directory"),
        ("none/file", "No such file or directory"),
    ):
        assert cli.main(["serve", "--port", "0", "--collect", str(tmp_path / name)]) == 2
        said = capsys.readouterr().err
        advice = "choose a new file, or one that was made here"
        assert said == f"inkdigits: cannot collect in {tmp_path / name}: {reason}; {advice}\n"

    assert (tmp_path / "text").read_text().startswith("Dear reader")


def test_a_file_that_is_damaged_or_locked_later_stops_nothing_else(
    server: Server, file: Path
) -> None:
    correct(server, ONE, "label=7")
    locking = sqlite3.connect(file)
    locking.execute("BEGIN EXCLUSIVE")
    refused = (503, "not_stored", "the correction could not be stored; the log says why")
    assert server.post(ONE, "/v1/feedback?label=1").error == refused
    locking.close()
    assert correct(server, ONE, "label=1")["count"] == 1
    file.write_bytes(b"junk" * 5000)
    assert server.post(ONE, "/v1/feedback?label=2").error == refused
    assert server.post(ONE).json["text"] == "7"
    file.unlink()
    assert correct(server, ONE, "label=3")["count"] == 1
    assert 'status="500"' not in server.get("/metrics").body.decode()


def test_a_file_has_a_largest_size(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feedback, "MAX_FILE", 64 << 10)
    collected, trace = Feedback(file), cached_recogniser("nano").trace(ONE)

    def fill() -> None:
        for number in range(100):
            collected.store(find_correction(b"%d" % number, trace, 7, None, "nano"))

    with pytest.raises(sqlite3.OperationalError, match="full") as full:
        fill()

    assert feedback.is_full(full.value)
    assert 5 < len(rows(file)) < 100
    assert file.stat().st_size <= 64 << 10


def test_a_full_file_is_answered_with_status_507(tmp_path: Path) -> None:
    program = """
import sys
from inkdigits.command import cli
from inkdigits.service import feedback
feedback.MAX_FILE = 16384
sys.exit(cli.main(sys.argv[1:]))
"""
    with running(
        "-c", program, "serve", "--port", "0", "--model", "nano", "--collect", tmp_path / "file"
    ) as server:
        answers = [
            server.post(TWO, f"/v1/feedback?label=1&box={','.join(map(str, digit['box']))}")
            for digit in server.post(TWO).json["digits"]
        ] + [server.post(ONE, "/v1/feedback?label=7")]
        assert answers[-1].error == (507, "full", "there is no more room for corrections")
        assert server.post(ONE).json["text"] == "7"


def test_corrections_from_several_threads_are_all_stored(file: Path) -> None:
    from concurrent.futures import ThreadPoolExecutor

    collected, trace = Feedback(file), cached_recogniser("nano").trace(ONE)
    with ThreadPoolExecutor(8) as threads:
        list(
            threads.map(
                lambda n: collected.store(find_correction(b"%d" % n, trace, n % 10, None, "nano")),
                range(40),
            )
        )

    assert len(rows(file)) == 40


# ---- as a dataset


def test_exported_digits_are_read_back_as_the_network_saw_them(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    collected, recogniser, expected = Feedback(file), cached_recogniser("nano"), []
    for number, text in enumerate(("0", "14", "2735", "689")):
        picture = encode_picture(Image.fromarray(written(line(text), paper=200 + 10 * number)))
        trace = recogniser.trace(picture)
        for digit in trace.reading.digits:
            label = (digit.digit + 3) % 10
            collected.store(find_correction(picture, trace, label, digit.box, "nano"))
            expected.append((label, digit.image.tobytes()))

    folder = tmp_path / "new" / "corrected"
    assert cli.main(["data", "export-feedback", str(file), str(folder), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "folder": str(folder),
        "digits": 10,
        "left_out": 0,
    }
    digits = load_dataset(folder)["all"]
    seen = [
        (int(label), image.tobytes())
        for image, label in zip(digits.images, digits.labels, strict=True)
    ]
    assert sorted(seen) == sorted(expected)
    assert list(folder.parent.iterdir()) == [folder]


def test_export_reads_while_others_write_and_changes_nothing(
    server: Server, file: Path, tmp_path: Path
) -> None:
    correct(server, ONE, "label=7")
    writing = sqlite3.connect(file)
    writing.execute("BEGIN IMMEDIATE")
    writing.execute("DELETE FROM feedback")
    assert export_feedback(file, tmp_path / "out") == (1, 0)
    writing.rollback()
    writing.close()
    assert len(rows(file)) == 1


def test_exports_that_fail_say_why_and_leave_nothing(file: Path, tmp_path: Path) -> None:
    Feedback(file)
    with pytest.raises(BadData, match=r"nothing has been collected in .* yet"):
        export_feedback(file, tmp_path / "out")

    with pytest.raises(BadData, match="no file"):
        export_feedback(tmp_path / "none", tmp_path / "out")

    (tmp_path / "text").write_text("Dear reader, " * 100)
    with pytest.raises(
        BadData,
        match="was not made by `inkdigits serve --collect`: file is not a database",
    ):
        export_feedback(tmp_path / "text", tmp_path / "out")

    assert not (tmp_path / "out").exists()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").touch()
    with pytest.raises(CannotWrite, match="exists and is not empty; choose a new folder"):
        export_feedback(file, tmp_path / "out")


def test_a_field_that_a_picture_would_not_give_back_is_left_out(file: Path, tmp_path: Path) -> None:
    Feedback(file).store(
        find_correction(ONE, cached_recogniser("nano").trace(ONE), 7, None, "nano")
    )
    with sqlite3.connect(file) as database:
        row = list(database.execute("SELECT * FROM feedback").fetchone())
        row[0], row[7] = b"other", bytes(range(196)) * 4
        database.execute(f"INSERT INTO feedback VALUES ({', '.join('?' * 9)})", row)

    database.close()
    assert export_feedback(file, tmp_path / "out") == (1, 1)


# ---- a stranger's file


def stored(file: Path) -> list:
    """Store a correction, and return its row."""
    trace = cached_recogniser("nano").trace(ONE)
    Feedback(file).store(find_correction(ONE, trace, 7, None, "nano"))
    return list(rows(file)[0])


@pytest.mark.parametrize("field", ["zeroblob(784)", "randomblob(784)"])
@pytest.mark.parametrize("place", ["label", "rowid"])
def test_a_label_or_number_that_is_a_path_touches_no_file(
    place: str, field: str, file: Path, tmp_path: Path
) -> None:
    precious = tmp_path / "precious"
    precious.mkdir()
    picture = precious / "000001.png"
    picture.write_bytes(b"a picture of my own")
    columns, values = "label, field", f"'{precious}', {field}"
    if place == "rowid":
        columns, values = "rowid, label, field", f"'{precious}/000001', 7, {field}"
    forge(file, f"CREATE TABLE feedback ({columns})", f"INSERT INTO feedback VALUES ({values})")

    says = {"label": "a label is '.*, where a whole number from 0 to 9", "rowid": "'rowid' is not"}
    with pytest.raises(BadData, match=says[place]):
        export_feedback(file, tmp_path / "out")

    assert picture.read_bytes() == b"a picture of my own"
    assert sorted(tmp_path.iterdir()) == sorted({file, precious})


@pytest.mark.parametrize(
    ("label", "field", "problem"),
    [
        ("10", "zeroblob(784)", "a label is 10, where a whole number from 0 to 9 should be"),
        ("-1", "zeroblob(784)", "a label is -1, where"),
        ("7.0", "zeroblob(784)", r"a label is 7\.0, where"),
        ("'7'", "zeroblob(784)", "a label is '7', where"),
        ("NULL", "zeroblob(784)", "a label is None, where"),
        ("char(27) || '[2J'", "zeroblob(784)", r"a label is '\\x1b\[2J', where"),
        ("7", "zeroblob(783)", "a field is not 784 bytes"),
        ("7", "'x'", "a field is not 784 bytes"),
        ("7", "NULL", "a field is not 784 bytes"),
        ("7", "zeroblob(2000000)", "too big"),
    ],
)
def test_what_is_no_correction_is_refused(
    label: str, field: str, problem: str, file: Path, tmp_path: Path
) -> None:
    forge(
        file,
        "CREATE TABLE feedback (label, field)",
        f"INSERT INTO feedback VALUES ({label}, {field})",
    )
    with pytest.raises(BadData, match=problem):
        export_feedback(file, tmp_path / "out")

    assert list(tmp_path.iterdir()) == [file]


def test_a_view_that_goes_on_for_ever_is_refused(file: Path, tmp_path: Path) -> None:
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)"
    forge(
        file,
        f"CREATE VIEW feedback AS {endless} SELECT i AS rowid, 7 AS label, zeroblob(784) AS field "
        "FROM n",
    )
    with pytest.raises(BadData, match="it holds no table of corrections"):
        export_feedback(file, tmp_path / "out")


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("rows without end", "it has rows twice, or more than fit into it"),
        ("computed columns", "its column 'label' is not simply stored"),
        ("rows of two bytes", "its column 'field' is not simply stored"),
        ("a FIFO as -journal", "'corrections.sqlite-journal' beside it is not a regular file"),
    ],
)
def test_a_file_of_a_few_bytes_does_not_take_for_ever(
    name: str, problem: str, file: Path, tmp_path: Path
) -> None:
    CORRECTIONS[name](file)
    with pytest.raises(BadData, match=problem):
        export_feedback(file, tmp_path / "out")

    assert not (tmp_path / "out").exists()


def test_our_own_table_takes_no_text_for_a_label(file: Path) -> None:
    row = stored(file)
    row[1], row[3] = "0,0,1,1", "../7"
    with (
        contextlib.closing(sqlite3.connect(file)) as database,
        pytest.raises(sqlite3.IntegrityError, match="cannot store TEXT value in INTEGER column"),
    ):
        database.execute(f"INSERT INTO feedback VALUES ({', '.join('?' * 9)})", row)


@pytest.mark.parametrize("ending", ["-wal", "-shm", "-journal"])
def test_a_link_where_sqlite_would_write_is_refused(
    ending: str, file: Path, tmp_path: Path
) -> None:
    stored(file)
    precious = tmp_path / "precious"
    precious.write_bytes(b"my own" * 1000)
    file.with_name(file.name + ending).symlink_to(precious)

    with pytest.raises(BadData, match="is a link"):
        export_feedback(file, tmp_path / "out")
    with pytest.raises(CannotWrite, match="is a link"):
        Feedback(file)

    assert precious.read_bytes() == b"my own" * 1000


def test_a_link_in_place_of_the_new_folder_is_refused(file: Path, tmp_path: Path) -> None:
    stored(file)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "out").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(CannotWrite, match="choose a new folder"):
        export_feedback(file, tmp_path / "out")

    assert list((tmp_path / "elsewhere").iterdir()) == []
