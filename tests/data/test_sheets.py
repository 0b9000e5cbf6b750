"""A printed sheet that is filled in and photographed is cut into the pictures that were written."""

import contextlib
import csv
import io
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks.reading.collected import SCALE, Filled, Score, fill_sheet
from inkdigits.core.errors import BadData, BadPicture, BadValue, CannotWrite
from inkdigits.data.folders import read_folder
from inkdigits.data.sheets.collecting import collect
from inkdigits.data.sheets.cutting import cut_sheet
from inkdigits.data.sheets.layout import MARKERS, PAGE, all_boxes
from inkdigits.data.sheets.markers import find_markers
from inkdigits.data.sheets.printing import draw_sheet, write_sheet

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def filled() -> Filled:
    """Return a photo of a filled sheet, in strokes of our own."""
    return fill_sheet(np.random.default_rng(2), None)


@pytest.fixture(scope="module")
def folder(filled: Filled, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the photo, and others that show no whole sheet."""
    folder = tmp_path_factory.mktemp("photos")
    (folder / "photo.jpg").write_bytes(filled.photo)
    Image.new("RGB", (400, 500), "white").save(folder / "blank.png")
    return folder


# ---- the printed sheet


def test_boxes_and_markers_are_on_the_page_and_apart() -> None:
    boxes = all_boxes()
    assert len(boxes) == 103
    assert all(0 < box.left < box.right < PAGE[0] for box in boxes)
    assert all(0 < box.top < box.bottom < PAGE[1] for box in boxes)
    for number, one in enumerate(boxes):
        for other in boxes[number + 1 :]:
            beside = one.right + 2 < other.left or other.right + 2 < one.left
            assert beside or one.bottom + 2 < other.top or other.bottom + 2 < one.top


def test_a_sheet_is_printed_in_its_true_size(tmp_path: Path) -> None:
    write_sheet(tmp_path / "sheet.png")
    with Image.open(tmp_path / "sheet.png") as page:
        dots = page.info["dpi"][0]
        assert [round(side / dots * 25.4) for side in page.size] == list(PAGE)

    write_sheet(tmp_path / "sheet.PDF")
    assert (tmp_path / "sheet.PDF").read_bytes().startswith(b"%PDF")


def test_a_sheet_replaces_no_file_and_has_a_known_suffix(tmp_path: Path) -> None:
    (tmp_path / "photo.png").write_bytes(b"a photo")
    with pytest.raises(CannotWrite, match="exists already"):
        write_sheet(tmp_path / "photo.png")
    with pytest.raises(BadValue, match=r"'sheet.doc' is no name for a sheet.*\.pdf or \.png"):
        write_sheet(tmp_path / "sheet.doc")
    assert [path.name for path in tmp_path.iterdir()] == ["photo.png"]


# ---- markers


@pytest.mark.parametrize("angle", [0, 7, 30, 90, 181])
def test_markers_are_found_where_they_are_printed(angle: int) -> None:
    page = draw_sheet(5).rotate(-angle, Image.Resampling.BICUBIC, expand=True, fillcolor=255)
    turn = np.deg2rad(angle)
    away = (np.array(MARKERS) - np.array(PAGE) / 2) * 5
    turned = away @ [[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]]
    expected = turned + np.array(page.size) / 2

    found = np.array([marker[:2] for marker in find_markers(np.asarray(page))])
    distances = np.linalg.norm(expected[:, None] - found, axis=2)
    assert found.shape == (4, 2)
    assert distances.min(axis=1).max() < 1.5  # pixels: a third of a millimetre


def test_what_looks_like_a_much_smaller_marker_is_none() -> None:
    page = draw_sheet(5)
    marker = page.crop((40, 40, 120, 120))
    page.paste(marker.resize((24, 24)), (500, 150))
    assert len(find_markers(np.asarray(page))) == 4
    page.paste(marker, (500, 150))
    assert len(find_markers(np.asarray(page))) == 5


def test_an_empty_sheet_has_nothing_to_cut() -> None:
    sheet = cut_sheet(draw_sheet(5))
    assert (sheet.cells, sheet.number, sheet.empty) == ((), (), 100)


@pytest.mark.parametrize(
    ("size", "code"),
    [((1050, 600), "few_markers"), ((1050, 1485), ""), ((2100, 1485), "several_sheets")],
)
def test_other_numbers_of_markers_than_four_are_refused(size: tuple[int, int], code: str) -> None:
    page = draw_sheet(5)
    photo = Image.new("L", size, 255)
    photo.paste(page)
    photo.paste(page, (page.width, 0))
    if not code:
        assert cut_sheet(photo).empty == 100
        return

    with pytest.raises(BadPicture) as refused:
        cut_sheet(photo, "photo.jpg")
    assert refused.value.code == code
    assert "photo.jpg shows" in str(refused.value)


def test_four_markers_without_the_square_beside_one_are_no_whole_sheet() -> None:
    page = draw_sheet(5)
    page.paste(255, (125, 60, 165, 100))
    with pytest.raises(BadPicture, match="not those of one whole sheet"):
        cut_sheet(page)


# ---- cutting


@pytest.mark.slow
def test_a_photographed_sheet_is_cut_into_what_was_written(filled: Filled) -> None:
    score = Score()
    score.add(filled)
    assert score.seen == 1
    assert score.right >= 99
    assert score.lines == 0


@pytest.mark.slow
def test_pictures_that_are_cut_elsewhere_are_not_counted_as_right(filled: Filled) -> None:
    shifted = replace(filled, bend=filled.bend + 3 * SCALE)
    score = Score()
    score.add(shifted)
    assert score.right < 60
    assert score.lines > 0


@pytest.mark.slow
def test_a_sheet_upside_down_is_cut_as_the_upright_one(filled: Filled) -> None:
    upright = cut_sheet(filled.photo).cells
    photo = Image.open(io.BytesIO(filled.photo)).transpose(Image.Transpose.ROTATE_180)
    turned = cut_sheet(photo).cells
    assert [(cell.digit, cell.place) for cell in turned] == [
        (cell.digit, cell.place) for cell in upright
    ]
    differences = [
        np.abs(one.picture.astype(float) - other.picture).mean()
        for one, other in zip(upright, turned, strict=True)
        if one.picture.shape == other.picture.shape
    ]
    assert np.median(differences) < 5  # levels of 255: the marks are found to a part of a pixel


# ---- collecting


@pytest.mark.slow
def test_the_collected_folder_is_one_to_train_on_and_says_who_wrote_what(
    folder: Path, filled: Filled, tmp_path: Path
) -> None:
    out = tmp_path / "class"
    collected = collect([str(folder)], out)
    (sheet,) = collected.sheets
    assert sheet.writer == filled.number
    assert sheet.has_number
    assert sheet.digits + sheet.empty == 100
    assert [Path(bad.path).name for bad in collected.unusable] == ["blank.png"]
    assert "no sheet of boxes is seen" in collected.unusable[0].reason

    with (out / "writers.csv").open() as table:
        rows = list(csv.DictReader(table))
    assert {(row["writer"], row["sheet"]) for row in rows} == {(filled.number, sheet.path)}
    pictures = {str(path.relative_to(out)) for path in out.rglob("*.png")}
    assert {row["file"] for row in rows} == pictures
    assert all(row["file"].startswith(f"{row['digit']}/") for row in rows)

    split, unusable = read_folder(out)
    assert len(split) + len(unusable) == collected.digits
    assert len(unusable) <= 1


@pytest.mark.slow
def test_the_comparison_by_writer_of_the_documentation_runs(
    folder: Path, filled: Filled, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = (ROOT / "docs" / "train-your-own.md").read_text()
    (code,) = (text for text in re.findall(r"```python\n(.*?)```", page, re.S) if "writers" in text)
    monkeypatch.chdir(tmp_path)
    collect([str(folder / "photo.jpg")], Path("kept-out"))

    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(code.replace("runs/class", "tiny"), {})
    count = len(filled.inks)
    line = rf"writer {filled.number}: (\d+) of {count} before, (\d+) after\n"
    found = re.fullmatch(line, printed.getvalue())
    assert found, printed.getvalue()
    assert int(found[1]) > 0.9 * count  # by `default`, which learned from other hands


@pytest.mark.slow
def test_a_folder_with_pictures_stays_as_it_is(folder: Path, tmp_path: Path) -> None:
    kept = tmp_path / "class" / "3" / "sheet001-01.png"
    kept.parent.mkdir(parents=True)
    kept.write_bytes(b"years of work")
    with pytest.raises(CannotWrite, match="exists and is not empty"):
        collect([str(folder)], tmp_path / "class")
    assert kept.read_bytes() == b"years of work"
    assert len(list(tmp_path.rglob("*"))) == 3


def test_nothing_is_left_behind_where_nothing_is_collected(tmp_path: Path) -> None:
    draw_sheet(5).save(tmp_path / "empty.png")
    with pytest.raises(BadData, match="nothing to collect: all boxes are empty"):
        collect([str(tmp_path / "empty.png")], tmp_path / "class")
    with pytest.raises(BadData, match="nothing to collect: no file"):
        collect([str(tmp_path / "missing.jpg")], tmp_path / "class")
    assert [path.name for path in tmp_path.iterdir()] == ["empty.png"]
