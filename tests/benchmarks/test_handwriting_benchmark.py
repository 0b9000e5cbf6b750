"""The figures agree with slow and obvious versions; the gallery shows what is misread."""

import itertools
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks.common import ROOT
from benchmarks.handwriting import __main__ as command
from benchmarks.handwriting import gallery, scores
from benchmarks.handwriting.comparison import Comparison
from benchmarks.handwriting.readers import OURS, Answer
from benchmarks.handwriting.rows import Case, Row, page_rows
from benchmarks.handwriting.scores import Share
from inkdigits.core.errors import BadData
from inkdigits.evaluation.metrics import evaluate_probabilities


def random_results(count: int = 300, seed: int = 0) -> tuple[list[float], list[bool]]:
    """Confidences with many equals, 0 and 1 among them, and whether each was right."""
    rng = np.random.default_rng(seed)
    confidence = rng.integers(0, 31, count) / 30
    return confidence.tolist(), (rng.random(count) < confidence).tolist()


# ---- figures


def test_edit_distance_is_that_of_the_recursive_definition() -> None:
    @lru_cache(None)
    def slow(a: str, b: str) -> int:
        if not a or not b:
            return len(a) + len(b)
        return min(slow(a[1:], b) + 1, slow(a, b[1:]) + 1, slow(a[1:], b[1:]) + (a[0] != b[0]))

    texts = ["", "1", "11", "12", "21", "1234", "1324", "123456", "992233", "2345671"]
    for a, b in itertools.product(texts, repeat=2):
        assert scores.edit_distance(a, b) == slow(a, b)


def test_the_calibration_error_is_that_of_the_evaluation_where_both_are_defined() -> None:
    rng = np.random.default_rng(1)
    probabilities = rng.dirichlet(np.full(10, 0.2), 400)
    labels = rng.integers(0, 10, 400)
    confidence = probabilities.max(1).tolist()
    right = (probabilities.argmax(1) == labels).tolist()
    theirs = evaluate_probabilities(probabilities, labels).ece
    assert scores.calibration_error(confidence, right) == pytest.approx(theirs)


def test_a_confidence_on_the_edge_of_two_bins_belongs_to_the_lower_one() -> None:
    edge = np.linspace(0, 1, 16)[9].item()
    above = edge + 1e-6
    # In one bin, over- and underconfidence would make up for each other in part.
    assert scores.calibration_error([edge, above], [True, False]) == pytest.approx(
        ((1 - edge) + above) / 2
    )


@pytest.mark.parametrize("per_cent", [1, 50, 80, 90, 95, 99, 100])
def test_errors_among_the_surest_are_those_above_the_highest_threshold_with_so_many(
    per_cent: int,
) -> None:
    confidence, right = random_results()
    for threshold in sorted(set(confidence), reverse=True):
        kept = [
            is_right for sure, is_right in zip(confidence, right, strict=True) if sure >= threshold
        ]
        if 100 * len(kept) >= per_cent * len(right):
            break

    found = scores.wrong_among_surest(confidence, right, per_cent)
    assert found == Share(kept.count(False), len(kept))


def test_without_digits_there_are_no_figures_of_confidence() -> None:
    assert scores.calibration_error([], []) is None
    assert scores.wrong_among_surest([], [], 90) == Share(0, 0)
    assert Share(0, 0).value is None


# ---- folders


@pytest.mark.parametrize(
    ("truth", "message"),
    [("file,kind\na.png,single\n", "no column"), ("file,kind,content\n", "lists no pictures")],
)
def test_a_wrong_truth_file_is_refused(tmp_path: Path, truth: str, message: str) -> None:
    (tmp_path / "truth.csv").write_text(truth)
    with pytest.raises(BadData, match=message):
        page_rows(tmp_path)


def test_a_folder_without_truth_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadData, match="inkdigits pages"):
        page_rows(tmp_path)


# ---- the gallery


def test_misread_pictures_are_those_that_were_shown_and_are_not_read_exactly() -> None:
    right, torn, wrong, unseen = (Case(Path(name), "12-34") for name in "abcd")
    answers = {right: Answer("12-34"), torn: Answer("1-234"), wrong: Answer("12-3")}
    cases = (right, torn, wrong, unseen)
    assert scores.misread(Row("", cases), answers) == [wrong]
    assert scores.misread(Row("", cases, rows_count=True), answers) == [torn, wrong]


def test_the_gallery_shows_each_misread_picture_once(tmp_path: Path) -> None:
    right = Case(tmp_path / "right.png", "7")
    wrong = Case(tmp_path / "<wrong>.png", "1-2")
    absent = Case(tmp_path / "absent.png", "")
    Image.new("RGBA", (700, 20)).save(wrong.path)
    answers = {
        right: Answer("7", ((7, 0.9),)),
        wrong: Answer("12", ((1, 0.9), (2, 0.6))),
        absent: Answer("5", ((5, 0.8),)),
    }
    rows = [
        Row("rows count", (right, wrong), rows_count=True),
        Row("misread again", (wrong, absent), rows_count=True),
    ]
    gallery.write_gallery(tmp_path, Comparison(rows, {"other": {}, OURS: answers}))

    written = (tmp_path / "gallery.html").read_text()
    assert "2 of 3 pictures misread" in written
    assert "right.png" not in written
    assert written.count("<b>1-2</b>: read 12, its least sure digit with 60.00 %<br>rows") == 1
    assert "&lt;wrong&gt;.png" in written
    assert "<b>no digit</b>: read 5, its least sure digit with 80.00 %<br>misread" in written
    assert written.count("data:image/png;base64,") == 1  # the other one is not there


@pytest.mark.parametrize("folder", [ROOT, ROOT / "benchmarks" / "gallery"])
def test_the_gallery_stays_out_of_the_repository(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        command.read_options(["--gallery", str(folder)])

    assert "other people's pictures" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (Answer("", guess=4), "refused, at best 4"),
        (Answer(""), "nothing found"),
        (Answer("", error="no file a.png"), "not read: no file a.png"),
        (Answer("1-2", ((1, 0.9), (2, 0.25))), "read 1-2, its least sure digit with 25.00 %"),
    ],
)
def test_what_was_said_reads_as_a_sentence(answer: Answer, said: str) -> None:
    assert gallery.said(answer) == said
