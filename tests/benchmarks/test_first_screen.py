"""The figures on the first screens are those of the pages that measure them."""

import re
from pathlib import Path

import pytest

from benchmarks.common import ROOT, read_between
from benchmarks.first_screen import NAME, PICTURES, SCREENS, rows_of, section

PAGE = """# Title

| other | n |
|---|---|
| a | 1 |

| pictures | n | exact |
|---|---|---|
| a | 2 | 50 % |
| b | 3 | 60 % |

| pictures | n |
|---|---|
| a | 4 |
"""


def test_rows_are_those_of_the_first_table_of_that_name(tmp_path: Path) -> None:
    (tmp_path / "page.md").write_text(PAGE)
    found = rows_of(tmp_path / "page.md", "pictures")
    assert found == {
        "a": {"pictures": "a", "n": "2", "exact": "50 %"},
        "b": {"pictures": "b", "n": "3", "exact": "60 %"},
    }


@pytest.mark.parametrize("name", SCREENS)
def test_first_screens_say_what_the_pages_measured(name: str) -> None:
    """If this fails, `python -m benchmarks.first_screen --write` mends it."""
    text = read_between(ROOT / name, NAME)
    assert text == section(SCREENS[name])

    page = (ROOT / "docs" / "handwriting.md").read_text()
    for row, what in PICTURES.items():
        measured = re.search(rf"^\| {row} \| (\d+) \| ([\d.]+ %) \|", page, re.MULTILINE)
        assert f"| {what} | {measured[2]} of {measured[1]} (" in text
