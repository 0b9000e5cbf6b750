"""The comparison scores as slow and obvious versions do, and finds planted readers out."""

import csv
import os
import random
import sys
from dataclasses import dataclass
from functools import lru_cache
from math import sqrt
from pathlib import Path

import pytest

from benchmarks.handwriting import __main__ as command
from benchmarks.handwriting import page, rows, worker
from benchmarks.handwriting.comparison import Comparison, by_megapixels, compare
from benchmarks.handwriting.kept import KeptAnswers, keeping
from benchmarks.handwriting.readers import OURS, Answer, NotInstalled, ReaderEnded, started
from benchmarks.handwriting.rows import Case, Row
from benchmarks.handwriting.scores import (
    Score,
    Share,
    accepted_digits,
    by_fault,
    calibration_error,
    digits_of,
    score,
    score_pairs,
    share_of,
)
from inkdigits.core.errors import BadData
from inkdigits.data.synthetic.pages import write_pages

SAMPLE = Path(__file__).parents[1] / "assets" / "sample.jpg"
PYTHON = Path(sys.executable)
FIELD = """file,kind,content,medium
amounts/a-1.png,amount,100,cheque
amounts/a-2.png,amount,2250,cheque
strings/a-3.png,string,0290,form
lines/a-4.png,lines,12-345,board
singles/a-5.png,single,7,exam
singles/a-6.png,single,1,exam
rejects/a-7.png,reject,doodle,screen
"""
DRAWN = """file,content,kind,read_2026_11
rule-1.png,2222,rule at the feet of 2,7777
rule-2.png,22,rule at the feet of 2,77
columns.png,12-34,rows torn apart,13-24
scratch.png,,scratch read as 1,1
"""
PICTURES = """file,kind,content
singles/b-1.png,single,3
crops/b-2.png,crop,4
strings/b-3.png,string,5-67
rejects/b-4.png,reject,a cat
"""


@dataclass(frozen=True)
class Planted:
    """A reader whose answers are made up from the truth."""

    title: str
    made_up: str  # "right", "wrong", "nothing" or "without rows"
    one_line_only: bool = False

    def can_read(self, case: Case) -> bool:
        return case.one_line or not self.one_line_only

    def read(self, case: Case) -> Answer:
        text = {
            "right": case.content,
            "nothing": "",
            "without rows": digits_of(case.content),
            "wrong": "".join(c if c == "-" else str(9 - int(c)) for c in case.content) or "5",
        }[self.made_up]
        digits = tuple((int(c), 0.9) for c in digits_of(text))
        return Answer(text, digits, digits[0][0] if digits else None, milliseconds=10)


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("generated") / "pages"
    write_pages(out, 24, seed=3)
    return out


@pytest.fixture
def data(tmp_path: Path) -> Path:
    for name, truth in {"field": FIELD, "field/drawn": DRAWN, "pictures": PICTURES}.items():
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "truth.csv").write_text(truth)

    return tmp_path


def compared(data: Path, generated: Path, *readers: Planted) -> Comparison:
    found, missing = command.every_row(data, generated)
    assert not missing
    return compare(rows.limited(found, None), readers)


def scores_of(comparison: Comparison, title: str) -> dict[str, Score | None]:
    return {row.name: score(row, comparison.answers[title]) for row in comparison.rows}


# ---- scores


def random_text(draw: random.Random) -> str:
    return "".join(draw.choice("0123") for _ in range(draw.randrange(6)))


def test_errors_and_surplus_are_those_of_slow_and_obvious_versions() -> None:
    @lru_cache(None)
    def slow(a: str, b: str) -> int:
        if not a or not b:
            return len(a) + len(b)
        return min(slow(a[1:], b) + 1, slow(a, b[1:]) + 1, slow(a[1:], b[1:]) + (a[0] != b[0]))

    draw = random.Random(0)
    pairs = [(random_text(draw), random_text(draw)) for _ in range(300)]
    found = score_pairs(pairs, [1.0] * len(pairs))

    edits = 0
    written = 0
    more = 0
    fewer = 0
    for read, truth in pairs:
        edits += slow(read, truth)
        written += len(truth)
        if len(read) > len(truth):
            more += len(read) - len(truth)
        else:
            fewer += len(truth) - len(read)

    assert found.character_error_rate == pytest.approx(edits / written)
    assert (found.oversegmented, found.undersegmented) == (more, fewer)
    assert found.exact == Share(sum(read == truth for read, truth in pairs), len(pairs))
    with_text = [pair for pair in pairs if pair[0]]
    assert found.wrong == Share(sum(a != b for a, b in with_text), len(with_text))


def test_surplus_in_one_picture_does_not_make_up_for_lack_in_another() -> None:
    found = score_pairs([("123", "12"), ("1", "12"), ("", "7"), ("11", "")], [5, 1, 2, 30])
    assert found.oversegmented == 1 + 2
    assert found.undersegmented == 1 + 1
    assert found.milliseconds == 3.5


@pytest.mark.parametrize(("count", "n"), [(0, 2), (1, 10), (71, 160), (357, 358), (16, 16)])
def test_intervals_hold_all_shares_that_the_score_test_does_not_reject(count: int, n: int) -> None:
    def fits(share: float) -> bool:
        return abs(count / n - share) <= 1.959964 * sqrt(share * (1 - share) / n)

    steps = 20_000
    fitting = [step / steps for step in range(steps + 1) if fits(step / steps)]
    low, high = map(float, page.interval(Share(count, n)).split("-"))
    assert low == pytest.approx(100 * fitting[0], abs=0.06)
    assert high == pytest.approx(100 * fitting[-1], abs=0.06)


def test_rows_of_writing_count_only_where_they_should() -> None:
    case = Case(Path("a.png"), "12-34")
    answers = {case: Answer("1234")}
    ignored = score(Row("", (case,)), answers)
    counted = score(Row("", (case,), rows_count=True), answers)
    assert ignored
    assert counted
    assert (ignored.exact.count, ignored.character_error_rate) == (1, 0)
    assert (counted.exact.count, counted.character_error_rate) == (0, 1 / 5)
    assert counted.undersegmented == 0


def test_calibration_takes_only_pictures_with_as_many_digits_as_are_written() -> None:
    exact = Case(Path("a.png"), "12-3")
    short = Case(Path("b.png"), "45")
    answers = {
        exact: Answer("1273", ((1, 0.9), (2, 0.8), (7, 0.7))),
        short: Answer("4", ((4, 1.0),)),
    }
    confidence, right = accepted_digits([exact, short, exact], answers)
    assert share_of(right) == Share(2, 3)
    assert calibration_error(confidence, right) == pytest.approx((0.1 + 0.2 + 0.7) / 3)


# ---- planted readers


def test_a_wrong_reader_scores_nothing_in_any_row(data: Path, generated: Path) -> None:
    comparison = compared(data, generated, Planted("wrong", "wrong"))
    for name, found in scores_of(comparison, "wrong").items():
        assert found, name
        assert found.exact.n > 0, name
        assert found.exact.count == 0, name
        assert found.wrong == Share(found.exact.n, found.exact.n), name


def test_a_right_reader_scores_everything_in_every_row(data: Path, generated: Path) -> None:
    comparison = compared(data, generated, Planted("right", "right"))
    for name, found in scores_of(comparison, "right").items():
        assert found, name
        assert found.exact.count == found.exact.n > 0, name
        assert found.edits == found.oversegmented == found.undersegmented == 0, name


def test_a_silent_reader_is_right_only_where_there_is_no_digit(data: Path, generated: Path) -> None:
    comparison = compared(data, generated, Planted("silent", "nothing"))
    for name, found in scores_of(comparison, "silent").items():
        assert found, name
        if "no digit" in name:
            assert found.exact.count == found.exact.n > 0
        elif name == "field: drawn faults":
            assert found.exact == Share(1, 4)
        else:
            assert found.exact.count == 0
            assert found.character_error_rate == 1


def test_faults_are_scored_by_kind(data: Path, generated: Path) -> None:
    comparison = compared(data, generated, Planted("flat", "without rows"))
    (drawn,) = [row for row in comparison.rows if row.name == "field: drawn faults"]
    found = {
        fault: each.exact for fault, each in by_fault(drawn, comparison.answers["flat"]).items()
    }
    assert found == {
        "rows torn apart": Share(0, 1),
        "rule at the feet of 2": Share(2, 2),
        "scratch read as 1": Share(1, 1),
    }


# ---- rows


def test_every_kind_of_picture_has_its_row(data: Path, generated: Path) -> None:
    found, _ = command.every_row(data, generated)
    counts = {row.name: len(row.cases) for row in found if not row.name.startswith("generated")}
    assert counts == {
        "field: amounts": 2,
        "field: strings": 1,
        "field: lines, rows count": 1,
        "field: lines, rows ignored": 1,
        "field: one digit": 2,
        "field: one digit, as a page": 2,
        "field: no digit": 1,
        "field: drawn faults": 4,
        "pictures: one digit": 1,
        "pictures: one digit, cut out": 1,
        "pictures: strings": 1,
        "pictures: no digit": 1,
    }
    told = {row.name for row in found if any(case.single for case in row.cases)}
    assert told == {
        "field: one digit",
        "pictures: one digit",
        "pictures: one digit, cut out",
        "generated: one digit",
        "generated: one digit, cut out",
    }


def test_folders_that_are_not_there_are_named(tmp_path: Path, generated: Path) -> None:
    found, missing = command.every_row(tmp_path, generated)
    assert all(row.name.startswith("generated: ") for row in found)
    assert len(missing) == 3
    assert all("cannot read" in line for line in missing)


def test_columns_that_are_not_there_are_named(tmp_path: Path) -> None:
    (tmp_path / "truth.csv").write_text("file,kind\na.png,flag\n")
    with pytest.raises(BadData, match="no column 'content'"):
        rows.drawn_rows(tmp_path)


def test_a_kind_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    (tmp_path / "truth.csv").write_text("file,kind,content\na.png,strings,12\n")
    with pytest.raises(BadData, match=r"has the kind 'strings'; expected one of single, crop"):
        rows.picture_rows(tmp_path)


def test_a_limit_takes_pictures_from_the_whole_row() -> None:
    assert rows.spread_out(range(10), 3) == [0, 3, 6]
    assert rows.spread_out(range(3), 10) == [0, 1, 2]
    assert rows.spread_out(range(3), None) == [0, 1, 2]


# ---- asking readers


def test_readers_take_turns_and_get_only_pictures_they_can_read(
    data: Path, generated: Path
) -> None:
    readers = (Planted("any", "right"), Planted("lines", "right", one_line_only=True))
    comparison = compared(data, generated, *readers)
    assert set(comparison.answers["any"]) == set(comparison.cases)
    assert set(comparison.answers["lines"]) == {
        case for case in comparison.cases if case.content and "-" not in case.content
    }


def test_our_reader_answers_from_its_own_process() -> None:
    sample = Case(SAMPLE, "27354")
    missing = Case(SAMPLE.with_name("missing.png"), "1")
    with started(OURS, PYTHON) as reader:
        read = reader.read(sample)
        unread = reader.read(missing)

    assert read.text == "27354"
    assert "".join(str(digit) for digit, _ in read.digits) == "27354"
    assert all(0.5 < sure <= 1 for _, sure in read.digits)
    assert str(read.guess) in read.text
    assert read.milliseconds > 0
    assert unread.text == ""
    assert unread.error
    assert "missing.png" in unread.error


def test_a_reader_that_is_not_installed_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(NotInstalled, match=r"Tesseract: .*apt-get"), started("tesseract", PYTHON):
        pass

    absent = Path("no", "such", "python")
    with pytest.raises(NotInstalled, match="cannot start"), started("rapidocr", absent):
        pass


def test_a_reader_whose_process_ends_is_named() -> None:
    with started(OURS, PYTHON) as reader:
        reader.process.kill()
        reader.process.wait()
        with pytest.raises(ReaderEnded, match="inkdigits"):
            reader.read(Case(SAMPLE, "27354"))


def test_what_a_reader_said_is_kept_and_not_asked_again(tmp_path: Path) -> None:
    kept = tmp_path / "kept.csv"
    missing = Case(SAMPLE.with_name("missing.png"), "1")
    with started(OURS, PYTHON) as reader:
        first = keeping(reader, KeptAnswers(kept))
        said = first.read(Case(SAMPLE, "27354"))
        error = first.read(missing).error

        reader.process.kill()
        again = keeping(reader, KeptAnswers(kept))
        assert again.read(Case(SAMPLE, "27354")) == said
        assert again.read(missing).error == error
        with pytest.raises(ReaderEnded):
            again.read(Case(SAMPLE, "27354", single=True))


def test_texts_side_by_side_are_one_row_from_left_to_right() -> None:
    def box(left: float, top: float) -> list[tuple[float, float]]:
        return [(left, top), (left + 40, top), (left + 40, top + 20), (left, top + 20)]

    boxes = [box(50, 3), box(0, 0), box(0, 30), box(50, 26), box(0, 60)]
    assert worker.in_rows(boxes, ["2", "1", "3", "4", "5"]) == ["12", "34", "5"]


def test_only_digits_of_a_text_count() -> None:
    assert worker.joined(["No. 12,50 EUR", "sum", "٣ = 7"]) == "1250-7"


# ---- what it writes


def test_the_section_has_every_row_and_every_reader(data: Path, generated: Path) -> None:
    readers = (Planted("inkdigits", "right"), Planted("other", "wrong", one_line_only=True))
    comparison = compared(data, generated, *readers)
    text = page.section(comparison, {"date": "today"}, ["Tesseract: not there"], "images/a.png")
    assert "- Tesseract: not there" in text
    assert "| field: drawn faults | 4 | 100.0 % (51.0-100.0), 0.0 % | 0.0 % of 2 (" in text
    assert "| field: amounts | 2 | 100.0 % | 34.2-100.0 | 0.0 % | 0 | 0 | 0.0 % (0 of 2) |" in text
    assert "| field: lines, rows count | 1 | 100.0 % (20.7-100.0), 0.0 % | - |" in text
    assert "is right of field: one digit: 2 of 2; pictures: one digit: 1 of 1;" in text
    assert "| rule at the feet of 2 | 2 of 2 | 0 of 2 |" in text
    assert "| real single digits | 4 | 100.0 % (4 of 4) | 10.00 % | 0.0 % (0 of 4) |" in text
    for row in comparison.rows:
        assert f"| {row.name} |" in text

    axes = page.exact_chart(comparison).axes[0]
    assert len(axes.get_yticklabels()) == len(comparison.rows)
    assert len(axes.containers) == len(readers)


def test_pictures_are_sorted_by_size(generated: Path) -> None:
    cases = [case for row in rows.page_rows(generated) for case in row.cases]
    found = by_megapixels([*cases, Case(Path("missing.png"), "1")])
    assert sum(map(len, found.values())) == len(cases)
    assert list(found) == [name for name in ("to 0.1", "to 1", "to 4", "over 4") if name in found]


@pytest.mark.slow
def test_the_command_writes_a_page_and_leaves_what_a_person_wrote(
    generated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("INKDIGITS_DATA", raising=False)
    written = tmp_path / "docs" / "handwriting.md"
    answers = tmp_path / "answers.csv"
    arguments = ["--pages", os.fspath(generated), "--opponents", "--limit", "1"]
    arguments += ["--write", os.fspath(written), "--answers", os.fspath(answers)]
    arguments += ["--gallery", os.fspath(tmp_path / "new" / "gallery")]
    assert command.main(arguments) == 0
    assert "of 4 pictures misread" in (tmp_path / "new" / "gallery" / "gallery.html").read_text()
    text = written.read_text()
    assert "real pictures: no folder is given" in text
    assert "at most 1" in text
    assert (written.parent / "images" / "handwriting.png").stat().st_size > 10_000
    with answers.open(newline="") as file:
        assert [row["reader"] for row in csv.DictReader(file)] == 4 * ["inkdigits"]

    written.write_text(text.replace("<!-- A person", "Ours is better at 7.\n<!-- A person"))
    assert command.main(arguments) == 0
    assert written.read_text().count("Ours is better at 7.") == 1
    assert written.read_text().count(page.HEADING) == 1
