"""Sections and tables take the place of their last edition; rounds alternate."""

from pathlib import Path

from benchmarks import common


def test_a_text_takes_the_place_of_the_one_before_and_leaves_the_rest(tmp_path: Path) -> None:
    path = tmp_path / "page.md"
    common.write_between(path, "one", "first")
    path.write_text(path.read_text() + "\nby hand\n")
    common.write_between(path, "two", "second")
    before = path.read_text()
    common.write_between(path, "one", "third")
    assert path.read_text() == before.replace("first", "third")
    assert common.read_between(path, "one") == "third"
    assert common.read_between(path, "two") == "second"
    assert common.read_between(path, "three") == ""
    assert common.read_between(tmp_path / "none", "one") == ""


def test_a_section_takes_the_place_of_its_last_edition(tmp_path: Path) -> None:
    path = tmp_path / "page.md"
    common.write_section(path, "## One\n\nfirst\n", "# Title\n")
    common.write_section(path, "## Two\n\nsecond\n")
    common.write_section(path, "## One\n\nthird\n")
    assert path.read_text() == "# Title\n\n## One\n\nthird\n\n## Two\n\nsecond\n"


def test_cells_of_a_table_cannot_break_it() -> None:
    assert common.table(("a", "b"), [(1, "x | y\nz")]) == [
        "| a | b |",
        "|---|---|",
        "| 1 | x \\| y z |",
    ]


def test_rounds_alternate_after_one_that_is_not_counted() -> None:
    taken = list(common.turns(["a", "b"], 2))
    assert taken == [(0, "a"), (0, "b"), (1, "b"), (1, "a"), (2, "a"), (2, "b")]


def test_a_measured_program_tells_its_peak_memory() -> None:
    seconds, peak = common.run_measured("import sys; held = b'x' * int(sys.argv[1])", 50_000_000)
    assert seconds > 0
    assert peak > 50_000_000


def test_spread_is_median_lowest_and_highest() -> None:
    assert common.spread([3.0, 1.0, 2.0], ".1f") == "2.0 (1.0-3.0)"
    assert common.spread([0.25], ".0f", 1e-3) == "250 (250-250)"
