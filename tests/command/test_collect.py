"""`inkdigits sheet` and `inkdigits collect`: what is printed, and how they end."""

from pathlib import Path

import numpy as np
import pytest
from command_line import Command, assert_refused
from PIL import Image

from benchmarks.reading.collected import fill_sheet


def test_a_sheet_is_written_and_its_name_printed(
    inkdigits_command: Command, tmp_path: Path
) -> None:
    done = inkdigits_command("sheet", "--out", tmp_path / "sheet.pdf")
    assert (done.status, done.out, done.err) == (0, f"{tmp_path / 'sheet.pdf'}\n", "")
    assert_refused(inkdigits_command("sheet", "--out", tmp_path / "sheet.pdf"), "exists already")


def test_photos_without_a_sheet_are_refused(inkdigits_command: Command, tmp_path: Path) -> None:
    Image.new("L", (300, 400), 255).save(tmp_path / "blank.png")
    done = inkdigits_command("collect", tmp_path / "blank.png", "--out", tmp_path / "class")
    assert (done.status, done.out) == (2, "")
    assert done.err.splitlines()[-1].startswith("inkdigits: nothing to collect: no sheet of boxes")
    assert not (tmp_path / "class").exists()


@pytest.mark.slow
def test_what_is_collected_is_printed_and_what_is_not_named(
    inkdigits_command: Command, tmp_path: Path
) -> None:
    filled = fill_sheet(np.random.default_rng(2), None)
    (tmp_path / "photo.jpg").write_bytes(filled.photo)
    Image.new("L", (300, 400), 255).save(tmp_path / "blank.png")
    photos = (tmp_path / "photo.jpg", tmp_path / "blank.png")

    done = inkdigits_command("collect", *photos, "--out", tmp_path / "class")
    count = len(filled.inks)
    assert done.status == 1
    assert done.out == (
        f"{photos[0]}: {count} digits by writer {filled.number}, {100 - count} boxes are empty\n"
        f"{tmp_path / 'class'}: {count} digits by 1 writer\n"
    )
    assert "no sheet of boxes is seen in" in done.err

    done = inkdigits_command("collect", photos[0], "--out", tmp_path / "again", "--json")
    (record,) = done.objects
    assert done.status == 0
    assert record["digits"] == count
    assert record["sheets"][0]["writer"] == filled.number
    assert record["unusable"] == []
