"""The package and the benchmarks keep to limits of readability; planted faults are found."""

import sys
from pathlib import Path

import pytest

from benchmarks import readability
from benchmarks.readability import Readability, measure_file, measure_folder

ROOT = Path(__file__).parents[1]
MOST_NODES_A_LINE = 10.0
LEAST_BLANK = 0.07


@pytest.fixture(scope="module")
def package() -> Readability:
    return measure_folder(ROOT / "inkdigits")


def rooms_beyond(is_beyond: object) -> list[str]:
    """The rooms that are beyond a limit, with their figures."""
    rooms = sorted(path for path in (ROOT / "inkdigits").iterdir() if path.is_dir())
    measured = {room.name: measure_folder(room) for room in rooms if any(room.rglob("*.py"))}
    return [
        f"{name}: {found.nodes_a_line:.1f} nodes a line, {found.blank_share:.1%} blank"
        for name, found in measured.items()
        if is_beyond(found)
    ]


def test_a_line_holds_few_syntax_nodes(package: Readability) -> None:
    assert package.nodes_a_line <= MOST_NODES_A_LINE, rooms_beyond(
        lambda found: found.nodes_a_line > MOST_NODES_A_LINE
    )


def test_steps_within_functions_are_set_apart(package: Readability) -> None:
    assert package.blank_share >= LEAST_BLANK, rooms_beyond(
        lambda found: found.blank_share < LEAST_BLANK
    )


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["wide", "knots", "verbless"])
@pytest.mark.parametrize("folder", ["inkdigits", "benchmarks"])
def test_no_wide_line_no_knot_and_no_docstring_without_a_verb(folder: str, kind: str) -> None:
    places = getattr(measure_folder(ROOT / folder), kind)
    assert not places, "\n".join(["", *places])


# ---- the checker

KNOT = """
def decide(a, b, c, d):
    if a and b or c and d:
        return 1 if a else 2 if b else 3
    for each in a:
        if each and b:
            while c:
                c = [x for x in c if x]
    try:
        return [y for y in d if y]
    except ValueError:
        return 0
"""


def measured(tmp_path: Path, text: str) -> Readability:
    path = tmp_path / "module.py"
    path.write_text(text, encoding="utf-8")
    return measure_file(path, "module.py")


def test_clear_code_has_no_findings(tmp_path: Path) -> None:
    text = """
def add(a, b):
    'Add two.'
    total = a + b

    return total
"""
    found = measured(tmp_path, text)
    assert (found.wide, found.knots, found.verbless) == ([], [], [])
    assert found.code_lines == 3
    assert (found.blank_lines, found.function_lines) == (1, 4)


def test_a_planted_knot_is_named(tmp_path: Path) -> None:
    (place,) = measured(tmp_path, KNOT).knots
    assert place.startswith("module.py:2 decide (")


def test_a_short_function_that_only_decides_is_a_knot(tmp_path: Path) -> None:
    text = "def choose(a, b, c):\n    return a if b else c if a and b and c else b or c or None\n"
    assert len(measured(tmp_path, text).knots) == 1


def test_a_planted_wide_line_is_named(tmp_path: Path) -> None:
    text = f"x = 1\ny = '{'-' * readability.WIDEST}'\n"
    assert measured(tmp_path, text).wide == ["module.py:2"]
    fits = "y = '" + "-" * (readability.WIDEST - 6) + "'"
    assert len(fits) == readability.WIDEST
    assert measured(tmp_path, fits + "\n").wide == []


def test_planted_docstrings_without_a_verb_are_named(tmp_path: Path) -> None:
    text = """
class Box:
    '''A box.'''

    @property
    def size(self):
        '''The size.'''

    def _hidden(self):
        '''Of the inside.'''


def area(box):
    '''The area of a box.'''


def grow(box):
    '''Return a larger box.'''
"""
    assert measured(tmp_path, text).verbless == ["module.py:13 area: The area of a box."]


def test_the_command_names_the_places_of_a_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "module.py").write_text(KNOT)
    monkeypatch.setattr(sys, "argv", ["readability.py", str(tmp_path), "--list"])
    readability.main()
    printed = capsys.readouterr().out
    assert "1 functions that are knots" in printed
    assert "module.py:2 decide" in printed
