"""`inkdigits read` as people and scripts meet it."""

import io
import os
import re
import sys
from pathlib import Path

import numpy as np
import pytest
from command_line import (
    assert_refused,
    save_digit,
)
from few_digits import few_digits
from PIL import Image
from promised import names

from benchmarks.soak.dear_files import tiff
from inkdigits.command.text import format_reading
from inkdigits.reading.explanation import folder as explained
from inkdigits.reading.reading import Reading
from inkdigits.reading.symbols import Digit, Sign

FAULTS = Path(__file__).parents[1] / "reading" / "drawn-faults"

# ---- read


def test_read_json_is_one_object_a_picture_in_input_order(inkdigits_command, trained, tmp_path):
    good, other = save_digit(tmp_path / "b.png"), save_digit(tmp_path / "a.png", 1)
    done = inkdigits_command(
        "read", "--json", "--model", trained, good, tmp_path / "missing.png", other
    )
    assert done.status == 1
    assert [found["path"] for found in done.objects] == [
        str(good),
        str(tmp_path / "missing.png"),
        str(other),
    ]
    assert [list(found) for found in done.objects] == [
        ["path", "text", "digits", "warnings", "error", "written", "signs", "confidence"]
    ] * 3
    first, missing, last = done.objects
    assert missing["text"] is None
    assert missing["digits"] == []
    assert missing["error"]["code"] == "not_found"
    assert done.err == f"inkdigits: {missing['error']['message']}\n"
    for found in (first, last):
        assert found["error"] is None
        assert set(found["digits"][0]) - {"reason"} == {"digit", "confidence", "accepted", "box"}


def test_read_prints_what_it_found_for_people(inkdigits_command, trained, tmp_path):
    good = save_digit(tmp_path / "good.png")
    done = inkdigits_command("read", "--single", "--model", trained, good)
    assert (done.status, done.err) == (0, "")
    assert re.fullmatch(
        re.escape(str(good)) + r": (\d  \d+\.\d% sure|no digit  \(.*\)).*\n", done.out
    )
    done = inkdigits_command("read", "--model", trained, tmp_path / "missing.png", good)
    assert done.status == 1
    assert done.out.splitlines()[0] == f"{tmp_path / 'missing.png'}: could not be read"
    assert len(done.out.splitlines()) == 2


def test_a_reason_is_told_once_and_how_often() -> None:
    seven = Digit(7, 0.98, accepted=True, box=(0, 0, 9, 9))
    reasons = ["not a digit", "in a text", "not a digit"]
    refused = [Digit(1, 0.3, accepted=False, box=(0, 0, 9, 9), reason=why) for why in reasons]
    reading = Reading("7", (seven, *refused), ("very faint",))
    line = "a.png: 7  98.0% sure  (not a digit, 2 times)  (in a text)  [very faint]"
    assert format_reading("a.png", reading) == line


def test_a_line_as_it_is_written_has_signs_instead_of_a_warning() -> None:
    digits = tuple(Digit(2, 0.9, True, (left, 0, left + 10, 20)) for left in (0, 20))
    point = Sign(".", 0.9, (13, 17, 16, 20))
    reading = Reading("22", digits, ("very faint", "signs left out: ."), signs=(point,))
    assert format_reading("a.png", reading).startswith("a.png: 22  ")
    written = format_reading("a.png", reading, written=True)
    assert written == "a.png: 2.2  90.0% sure  [very faint]"


def test_read_written_prints_the_signs(inkdigits_command):
    done = inkdigits_command("read", "--written", FAULTS / "amount-comma-slash.png")
    assert "110,000/-" in done.out
    done = inkdigits_command("read", FAULTS / "amount-comma-slash.png")
    assert "110000" in done.out


def test_below_prints_what_a_person_should_look_at(inkdigits_command, trained, tmp_path):
    digit, blank = save_digit(tmp_path / "digit.png"), tmp_path / "blank.png"
    Image.new("L", (60, 60), 255).save(blank)
    common = ("read", "--json", "--model", trained, digit, blank)
    sure = inkdigits_command(*common).objects[0]["confidence"]
    for below, listed in ((sure / 2, [blank]), (min(1, sure * 1.001), [digit, blank])):
        done = inkdigits_command(*common, "--below", str(below))
        assert done.status == 0
        assert [found["path"] for found in done.objects] == list(map(str, listed))
        assert f"{len(listed)} of 2 pictures" in done.err


@pytest.mark.parametrize("below", ["0", "-1", "1.5", "nan"])
def test_below_is_a_probability(below, inkdigits_command, trained, tmp_path):
    done = inkdigits_command("read", "--below", below, save_digit(tmp_path / "digit.png"))
    assert_refused(done, "--below", below)


def test_read_table_writes_numbers_and_how_sure_they_are(inkdigits_command, tmp_path):
    out = tmp_path / "numbers.csv"
    picture = FAULTS / "amount-5comma155.png"
    done = inkdigits_command("read", "--json", "--table", out, "--below", "1", picture)
    (said,) = done.objects
    assert (said["rows"], said["columns"], said["doubtful"]) == (1, 1, 1)
    assert out.read_text().strip() == '"5,155?"'
    sure = (tmp_path / "numbers-confidence.csv").read_text()
    assert 0.5 < float(sure) <= 1


def test_read_table_is_of_one_picture_that_can_be_read(inkdigits_command, tmp_path):
    out, digit = tmp_path / "numbers.csv", save_digit(tmp_path / "digit.png")
    done = inkdigits_command("read", "--table", out, digit, digit)
    assert_refused(done, "--table", "one picture")
    assert inkdigits_command("read", "--table", out, tmp_path / "missing.png").status == 1
    done = inkdigits_command("read", "--table", out, "--explain", tmp_path / "why", digit)
    assert_refused(done, "--table", "--explain")
    assert not out.exists()


def test_read_numbers_the_images_of_a_file(inkdigits_command, trained, tmp_path):
    np.savez(tmp_path / "some.npz", images=few_digits(3).images)
    done = inkdigits_command("read", "--json", "--model", trained, tmp_path / "some.npz")
    assert [found["path"] for found in done.objects] == [
        f"{tmp_path / 'some.npz'}[{index}]" for index in range(3)
    ]


def test_read_takes_a_picture_on_standard_input(inkdigits_command, trained, tmp_path, monkeypatch):
    for data, status in ((save_digit(tmp_path / "good.png").read_bytes(), 0), (b"", 1)):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
        done = inkdigits_command("read", "-", "--json", "--model", trained)
        assert done.status == status
        assert done.objects[0]["path"] == "-"


def test_an_empty_folder_is_status_1(inkdigits_command, trained, tmp_path):
    done = inkdigits_command("read", "--json", "--model", trained, tmp_path)
    assert done.status == 1
    assert done.objects[0]["error"]["code"] == "empty"


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such names")
def test_file_names_that_are_not_unicode_can_be_printed_and_read_back(
    inkdigits_command, trained, tmp_path
):
    name = os.fsencode(tmp_path) + b"/\xff\xfe.png"
    save_digit(tmp_path / "good.png").rename(os.fsdecode(name))
    done = inkdigits_command("read", "--json", "--model", trained, os.fsdecode(name))
    assert os.fsencode(done.objects[0]["path"]) == name
    assert inkdigits_command("read", "--model", trained, os.fsdecode(name)).status == 0


def test_file_names_cannot_control_the_terminal(inkdigits_command, trained, tmp_path):
    name = tmp_path / "\x1b]0;owned\x07\n\r.png"
    done = inkdigits_command("read", "--model", trained, save_digit(name), tmp_path / "\x1b[2J.png")
    assert re.search(r"[^\n -~]", done.out + done.err) is None
    assert len(done.out.splitlines()) == 2

    forged = inkdigits_command("read", "--model", trained, tmp_path / "no\ninkdigits: all well")
    assert forged.err.splitlines() == [forged.err.rstrip()]


def test_what_pillow_says_of_a_picture_is_not_printed(inkdigits_command, trained, tmp_path, caplog):
    """It has a line for each of up to 65,535 entries of a TIFF."""
    entries = [(40_000 + number, 7, 60_000_000, 8) for number in range(50)]
    (tmp_path / "a.tif").write_bytes(tiff(*entries))
    done = inkdigits_command("read", "--model", trained, tmp_path / "a.tif")
    assert done.err == caplog.text == ""
    assert done.status == 0


# ---- read --explain


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Return a folder with two pictures, of which the second is damaged."""
    (tmp_path / "photos").mkdir()
    digits = np.concatenate([np.pad(field, 8) for field in few_digits(3).images], axis=1)
    Image.fromarray(255 - np.kron(digits, np.ones((3, 3), np.uint8))).save(
        tmp_path / "photos" / "good.png"
    )
    (tmp_path / "photos" / "wrong.png").write_bytes(b"no picture")
    return tmp_path / "photos"


@pytest.mark.parametrize("json_option", [(), ("--json",)])
def test_explaining_leaves_a_picture_of_each_picture_and_changes_nothing_else(
    json_option, photos, trained, inkdigits_command
):
    without = inkdigits_command("read", photos, "--model", trained, *json_option)
    why = photos / "why"  # inside what is read: explanations are no pictures of it
    for _ in range(2):
        done = inkdigits_command("read", photos, "--model", trained, *json_option, "--explain", why)
        assert (done.status, done.out) == (without.status, without.out) == (1, without.out)
        assert done.err == without.err + f"inkdigits: 1 explanation in {why}\n"
        assert names(why) == {"good.png.png"}

    with Image.open(why / "good.png.png") as image:
        image.load()


def test_a_folder_that_cannot_be_written_is_reported_before_anything_is_read(
    photos, trained, inkdigits_command, monkeypatch
):
    given = io.TextIOWrapper(io.BytesIO((photos / "good.png").read_bytes()))
    monkeypatch.setattr(sys, "stdin", given)
    assert_refused(
        inkdigits_command("read", "-", "--model", trained, "--explain", photos / "good.png"),
        "cannot write into",
        "good.png",
    )
    assert given.buffer.tell() == 0


def test_an_unknown_model_leaves_no_folder_for_explanations(photos, inkdigits_command, tmp_path):
    assert_refused(
        inkdigits_command("read", photos, "--model", "none-such", "--explain", tmp_path / "why"),
        "none-such",
    )
    assert not (tmp_path / "why").exists()


def test_only_the_first_images_of_a_large_array_are_explained(
    trained, inkdigits_command, tmp_path, monkeypatch
):
    monkeypatch.setattr(explained, "MOST_OF_A_FILE", 3)
    np.save(tmp_path / "many.npy", few_digits(20).images)
    done = inkdigits_command(
        "read", tmp_path / "many.npy", "--json", "--model", trained, "--explain", tmp_path / "why"
    )
    assert (done.status, len(done.objects)) == (0, 20)
    assert names(tmp_path / "why") == {f"many.npy[{index}].png" for index in range(3)}
    assert "3 explanations" in done.err
    assert "only the first 3" in done.err
