"""The benchmark's figures agree with slow and obvious versions; it reads folders as described."""

import csv
import itertools
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.handwriting import figures as made
from benchmarks.handwriting import gallery, measure
from inkdigits.core.errors import BadData, BadPicture, BadValue
from inkdigits.data.synthetic.pages import write_pages
from inkdigits.evaluation.metrics import reliability
from inkdigits.reading.recogniser import Digit, Reading

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


class Oracle:
    """Reads what the truth of a folder says without looking, but for the files in `wrong`."""

    def __init__(self, folder: Path, wrong: dict[str, str] | None = None) -> None:
        with (folder / "truth.csv").open(newline="") as file:
            truth = {
                row["file"]: "" if row["kind"] == "reject" else row["content"]
                for row in csv.DictReader(file)
            }
        self.said = {folder / name: content for name, content in (truth | (wrong or {})).items()}

    def read(self, path: Path, single: bool = False) -> Reading:
        said = self.said[Path(path)]
        digits = tuple(Digit(int(c), 0.9, True, (0, 0, 1, 1)) for c in said if c != "-")
        return Reading(said.replace("-", "\n"), digits[:1] if single else digits)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("pages") / "pages"
    write_pages(out, 24, seed=3)
    return out


def random_results(count: int = 300, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Confidences with many equals, 0 and 1 among them, and whether each was right."""
    rng = np.random.default_rng(seed)
    confidence = rng.integers(0, 31, count) / 30
    return confidence, rng.random(count) < confidence


# ---- figures


def test_edit_distance_is_that_of_the_recursive_definition() -> None:
    @lru_cache(None)
    def slow(a: str, b: str) -> int:
        if not a or not b:
            return len(a) + len(b)
        return min(slow(a[1:], b) + 1, slow(a, b[1:]) + 1, slow(a[1:], b[1:]) + (a[0] != b[0]))

    texts = ["", "1", "11", "12", "21", "1234", "1324", "123456", "992233", "2345671"]
    for a, b in itertools.product(texts, repeat=2):
        assert made.edit_distance(a, b) == slow(a, b)


@pytest.mark.parametrize("allowed", [0.0, 0.01, 0.1, 0.5])
def test_the_threshold_is_the_highest_that_refuses_no_more_than_allowed(allowed: float) -> None:
    confidence, _ = random_results()
    threshold = made.threshold_for(confidence.tolist(), allowed)
    assert (confidence < threshold).mean() <= allowed
    assert (confidence < np.nextafter(threshold, 2)).mean() > allowed


def test_calibration_is_that_of_the_evaluation_where_both_are_defined() -> None:
    rng = np.random.default_rng(1)
    probabilities = rng.dirichlet(np.full(10, 0.2), 400)
    labels = rng.integers(0, 10, 400)
    ours = made.calibration(
        probabilities.max(1).tolist(), (probabilities.argmax(1) == labels).tolist()
    )
    for mine, theirs in zip(ours, reliability(probabilities, labels), strict=True):
        assert (mine.n, mine.correct, mine.low, mine.high) == (
            theirs.n,
            theirs.correct,
            theirs.low,
            theirs.high,
        )
        assert mine.confidence == pytest.approx(theirs.confidence)
        assert mine.accuracy == pytest.approx(theirs.accuracy)


def test_risk_by_coverage_is_the_mean_over_all_orders_of_equals() -> None:
    confidence, right = [0.9, 0.5, 0.5, 0.5, 0.2], [True, False, True, True, False]
    orders = [
        order
        for order in itertools.permutations(range(5))
        if all(confidence[a] >= confidence[b] for a, b in itertools.pairwise(order))
    ]
    slow = [np.mean([[not right[i] for i in order[:k]] for order in orders]) for k in range(1, 6)]
    assert made.risk_by_coverage(confidence, right) == pytest.approx(slow)
    assert made.risk_by_coverage([], []) == ()


def test_figures_of_hand_made_outcomes() -> None:
    def digit(
        content: str,
        read: int | None,
        confidence: float,
        writer: str,
        *,
        accepted: bool = True,
        kind: str = "single",
    ) -> Any:
        look = {"polarity": "dark on light", "background": "drawn", "size": "to 32 px"}
        return made.Outcome(
            "f", kind, content, writer, read, confidence, accepted=accepted, milliseconds=10, **look
        )

    outcomes = [
        *(digit("1", 1, 0.9, "a") for _ in range(3)),
        digit("2", 3, 0.6, "a", accepted=False),
        digit("7", None, 0.0, "b", accepted=False, kind="crop"),
        made.Outcome("f", "string", "12-34", "a", text="12-34", milliseconds=5),
        made.Outcome("f", "string", "12-34", "a", text="1234", milliseconds=7),
        made.Outcome("f", "string", "123", "a", text="13", milliseconds=30),
        made.Outcome("f", "reject", "blank", "a"),
        made.Outcome("f", "reject", "letter", "a", 4, 0.95, accepted=True, as_page=True),
        made.Outcome("f", "reject", "wave", "b", 4, 0.3, accepted=False, as_page=True),
    ]
    figures = made.figures(outcomes)
    assert figures.digits == made.Share(3, 5)
    assert figures.by["kind"] == {"single": made.Share(3, 4), "crop": made.Share(0, 1)}
    assert figures.by["writer"] == {"a": made.Share(3, 4), "b": made.Share(0, 1)}
    assert figures.writers_mean == pytest.approx((3 / 4 + 0) / 2)
    assert figures.accepted == made.Share(3, 5)
    assert figures.trusted == made.Share(3, 3)
    assert figures.strings == made.Share(2, 3)
    assert figures.rows == made.Share(1, 3)
    assert figures.character_error_rate == pytest.approx(1 / 11)
    assert figures.rejected == made.Share(2, 3)
    assert figures.rejected_as_page == made.Share(1, 3)
    assert figures.threshold == 0
    assert figures.rejected_at == made.Share(0, 3)
    pairs = [(d, o) for d in (0.9, 0.9, 0.9, 0.6, 0.0) for o in (0.0, 0.95, 0.3)]
    assert figures.auroc == pytest.approx(np.mean([(d > o) + 0.5 * (d == o) for d, o in pairs]))
    assert figures.ece == pytest.approx((3 * 0.1 + 0.6 + 0) / 5)
    assert figures.risk_at(0.6) == 0
    assert figures.risk_at(1) == pytest.approx(2 / 5)
    assert figures.milliseconds["string"][0] == 7


def test_there_are_figures_without_any_picture_of_a_kind() -> None:
    outcome = made.Outcome("f", "string", "1", "a", text="1")
    figures = made.figures([outcome])
    assert figures.digits.value is None
    assert figures.auroc is figures.ece is figures.threshold is figures.writers_mean is None
    assert figures.risk_at(0.9) is None
    assert "strings read exactly" in measure.text(figures, [outcome])


# ---- pictures


@pytest.mark.parametrize(("paper", "ink"), [(255, 0), (0, 255), (250, 200), (60, 90)])
@pytest.mark.parametrize("side", [28, 120, 900])
def test_the_look_of_drawn_pictures(paper: int, ink: int, side: int) -> None:
    pixels = np.full((side, side), paper, np.uint8)
    pixels[side // 4 : 3 * side // 4, side // 2 : side // 2 + side // 12] = ink
    polarity = "light on dark" if ink > paper else "dark on light"
    size = {28: "to 32 px", 120: "to 512 px", 900: "over 512 px"}[side]
    assert measure.look(pixels) == (polarity, "drawn", size)
    assert measure.look(np.dstack([pixels] * 3)) == (polarity, "drawn", size)


def test_the_look_of_photographed_paper() -> None:
    light = np.tile(np.linspace(1, 0.5, 300), (300, 1))
    grain = np.random.default_rng(0).normal(0, 4, (300, 300))
    paper = np.full((300, 300), 200.0)
    paper[80:220, 140:160] = 60
    assert measure.look((paper + grain).clip(0, 255).astype(np.uint8)) == (
        "dark on light",
        "even",
        "to 512 px",
    )
    assert measure.look((paper * light + grain).clip(0, 255).astype(np.uint8)) == (
        "dark on light",
        "uneven",
        "to 512 px",
    )


# ---- folders


def test_a_perfect_reader_gets_everything_right(folder: Path) -> None:
    outcomes = measure.measure(folder, Oracle(folder))
    figures = made.figures(outcomes)
    assert len(outcomes) == 24
    for share in (
        figures.digits,
        figures.strings,
        figures.rows,
        figures.rejected,
        figures.rejected_at,
    ):
        assert share.count == share.n > 0
    assert figures.edits == 0
    assert figures.auroc == 1
    assert figures.ece == pytest.approx(0.1)


def test_what_is_wrong_is_named_and_counted(folder: Path) -> None:
    right = {case.kind: case for case in measure.cases(folder)}
    wrong = {
        right["single"].file: str((int(right["single"].content) + 1) % 10),
        right["reject"].file: "5",
    }
    outcomes = measure.measure(folder, Oracle(folder, wrong))
    figures = made.figures(outcomes)
    assert figures.digits.n - figures.digits.count == 1
    assert figures.rejected.n - figures.rejected.count == 1
    printed = measure.text(figures, outcomes)
    assert all(file in printed for file in wrong)


def test_a_picture_that_cannot_be_read_counts_as_wrong(tmp_path: Path) -> None:
    (tmp_path / "truth.csv").write_text("file,kind,content\nsingles/a-1.png,single,3\n")
    outcomes = measure.measure(tmp_path, Unreadable())
    assert made.figures(outcomes).digits == made.Share(0, 1)
    assert "no file" in measure.text(made.figures(outcomes), outcomes)


class Unreadable:
    """A reader for whom no file is there."""

    def read(self, path: Path, single: bool = False) -> Reading:
        raise BadPicture("not_found", f"no file {path}")


@pytest.mark.parametrize(
    ("truth", "message"),
    [
        ("file,kind\na.png,single\n", "no column"),
        ("file,kind,content\n", "lists no pictures"),
        ("file,kind,content\na.png,single,12\n", "calls '12' a 'single'"),
        ("file,kind,content\na.png,string,1a\n", "calls '1a'"),
        ("file,kind,content\na.png,page,1\n", "kinds are"),
    ],
)
def test_a_wrong_truth_file_is_refused(tmp_path: Path, truth: str, message: str) -> None:
    (tmp_path / "truth.csv").write_text(truth)
    with pytest.raises(BadData, match=message):
        measure.cases(tmp_path)


def test_a_folder_without_truth_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadData, match="inkdigits pages"):
        measure.cases(tmp_path)


# ---- what it writes


def test_gallery_and_page(
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    wrong = next(case.file for case in measure.cases(folder) if case.kind == "single")
    monkeypatch.setattr(measure, "Recogniser", lambda model, threads: Oracle(folder, {wrong: ""}))
    page = tmp_path / "handwriting.md"
    arguments = [str(folder), "--gallery", str(tmp_path / "g"), "--write", str(page)]
    assert measure.main(arguments) == 0
    printed, _, listed = capsys.readouterr().out.partition("\nwrong\n")
    assert listed.count(": ") == 1
    assert listed.strip().startswith(wrong)
    right = next(line for line in printed.splitlines() if line.startswith("one digit, best guess"))
    value = right.removeprefix("one digit, best guess right").strip()
    assert f"| one digit, best guess right | {value} |" in page.read_text()
    written = (tmp_path / "g" / "gallery.html").read_text()
    assert wrong in written
    assert written.count("data:image/png;base64,") == 1


def test_the_gallery_stays_out_of_the_repository(folder: Path) -> None:
    with pytest.raises(BadValue, match="other people's pictures"):
        gallery.write_gallery(BENCHMARKS / "gallery" / "gallery.html", folder, [])
    assert not (BENCHMARKS / "gallery").exists()


def test_what_was_said_reads_as_a_sentence() -> None:
    reject = made.Outcome("f", "reject", "wave", "a", 4, 0.25, as_page=True)
    assert gallery.said(reject) == "read 4, 25.0% sure, refused, accepted as a page"
    assert gallery.said(replace(reject, digit=None, as_page=False)) == "nothing found"
