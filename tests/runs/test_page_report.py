"""The report of a page reader shows what it learned and, on pages, what it finds and misses."""

import base64
import dataclasses
import io
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from inkdigits.data.synthetic.training_pages.generator import TrainingPage
from inkdigits.data.synthetic.training_pages.glyphs import OTHER
from inkdigits.reading.explanation.text import ACCEPTED, REFUSED
from inkdigits.runs.page_reader import report as page_report
from inkdigits.runs.page_reader.examples import ENLARGED, Example, JudgedFind, draw_example, judge
from inkdigits.runs.page_reader.records import (
    PageReaderFigures,
    from_final_record,
    to_page_record,
)
from inkdigits.training.page.look_loop import LookFigures, LookRecord
from inkdigits.training.page.loop import PageRecord
from inkdigits.training.page.measuring import PageFigures
from inkdigits.training.page.votes import Votes

BOXES = [(20, 20, 40, 60), (50, 20, 70, 60), (80, 20, 100, 60)]
FIGURES = PageReaderFigures(
    seed=3,
    validation_pages=128,
    page=PageFigures(1.5, 0.85, 0.966, 0.755),
    look=LookFigures(0.4, 0.905, 0.823, 1271),
    votes=Votes(0.2, 0.8765432109, 1.1),
)
RECORDS = [
    PageRecord(100, 200, 3.0, {"ink": 1.0, "kind": 2.0}),
    PageRecord(200, 200, 2.0, {"ink": 0.5, "kind": 1.5}),
    LookRecord(1, 2, 900, 1.25),
    LookRecord(2, 2, 950, 0.75),
]


def box(number: int) -> np.ndarray:
    return np.array(BOXES[number], np.float64)


@pytest.fixture
def example() -> Example:
    """A page with a 7, a 4 and a letter; the 7 is found, the 4 is read as 9, the letter as 1."""
    page = TrainingPage(
        picture=np.full((96, 128, 3), 200, np.uint8),
        owner=np.zeros((96, 128), np.int16),
        kinds=np.array([7, 4, OTHER], np.int8),
        boxes=np.array(BOXES, np.float32),
        strings=((0, 1, 2),),
    )
    finds = (
        JudgedFind(box(0), 7, True),
        JudgedFind(box(1), 9, False),
        JudgedFind(box(2), 1, False),
    )
    return judge(page, finds)


def test_a_symbol_read_as_another_one_is_missed_and_what_is_no_symbol_is_not(
    example: Example,
) -> None:
    assert [missed.tolist() for missed in example.missed] == [list(BOXES[1])]
    assert example.caption == "1 of 2 found, 2 wrong"
    nothing = dataclasses.replace(example, finds=(), missed=(), symbols=0)
    assert nothing.caption == "nothing to find, 0 wrong"


def test_true_finds_are_blue_wrong_ones_vermilion_and_missed_ones_underlined(
    example: Example,
) -> None:
    drawn = np.asarray(draw_example(example))
    assert drawn.shape == (96 * ENLARGED, 128 * ENLARGED, 3)
    for number, colour in enumerate((ACCEPTED, REFUSED, REFUSED)):
        left, _, right, bottom = (ENLARGED * box(number)).astype(int)
        assert tuple(drawn[bottom - 9, left]) == colour
        is_underlined = tuple(drawn[bottom + 3, (left + right) // 2]) == REFUSED
        assert is_underlined == (number == 1)


def test_finds_at_the_edges_are_drawn(example: Example) -> None:
    edge = JudgedFind(np.array([-2.0, -2.0, 128.0, 96.0]), 14, None)
    draw_example(dataclasses.replace(example, finds=(edge,)))


def test_the_report_holds_figures_curves_pages_and_the_recipe_and_nothing_from_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, example: Example
) -> None:
    monkeypatch.setattr(page_report, "validation_examples", lambda run, count: [example] * count)
    path = tmp_path / "report.html"
    making = {"recipe": {"name": "page", "steps": 200}, "machine": "<b>a machine</b>"}
    page_report.write_page_report(path, records=RECORDS, figures=FIGURES, making=making)

    text = path.read_text()
    for said in ("85.00 %", "96.60 %", "90.50 %", "of 1,271 looks", "on 128 images"):
        assert said in text
    assert text.count("<svg") == 3
    assert text.count("1 of 2 found, 2 wrong</figcaption>") == page_report.EXAMPLES
    assert "<th>steps</th><td>200</td>" in text
    assert "&lt;b&gt;a machine" in text
    assert not re.search(r'(?:src|href)="(?!data:|#)', text)
    [picture, *_] = re.findall(r'src="data:image/jpeg;base64,([^"]+)"', text)
    assert Image.open(io.BytesIO(base64.b64decode(picture))).size == (256, 192)


def test_records_are_told_apart_and_the_final_ones_come_back() -> None:
    told = [to_page_record(record) for record in (*RECORDS, FIGURES)]
    assert [record.get("network") for record in told] == ["page", "page", "look", "look", None]
    assert told[0]["losses"] == {"ink": 1.0, "kind": 2.0}
    final = told[-1]
    assert (final["final"], final["recipe"], final["seed"]) == (True, "page", 3)
    assert final["votes"] == {"page": 0.2, "look": 0.876543, "refusal": 1.1}
    assert to_page_record(from_final_record(final)) == final
