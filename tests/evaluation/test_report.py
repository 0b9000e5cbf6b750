"""The report is one safe, self-contained page that says what the evaluation says."""

import base64
import errno
import io
import math
import re
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from inkdigits.core.digits import DIGITS
from inkdigits.core.errors import BadValue, CannotWrite
from inkdigits.evaluation import report, sections
from inkdigits.evaluation.measurement import Predictions, evaluate_predictions
from inkdigits.evaluation.metrics import (
    errors,
    evaluate_probabilities,
    reliability,
    wilson_interval,
)
from inkdigits.evaluation.plots import curves, galleries
from inkdigits.evaluation.plots.confusion import confusion_matrix
from inkdigits.evaluation.plots.drawing import Band, Bar, Words
from inkdigits.evaluation.plots.style import BLUE, ORANGE
from inkdigits.evaluation.report import write_report
from inkdigits.evaluation.selective import risk_coverage

pytestmark = pytest.mark.slow  # networks are trained

N = 400
HISTORY = [
    {
        "epoch": epoch,
        "train_loss": 1 / epoch,
        "train_accuracy": 1 - 0.2 / epoch,
        "validation_loss": 0.9 / epoch,
        "validation_accuracy": 1 - 0.3 / epoch,
        "seconds": 1.0,
        "images_per_second": 55000.0,
    }
    for epoch in range(1, 6)
]
CONFIG = {
    "recipe": {
        "name": "lenet",
        "optimiser": {"name": "adam", "learning_rate": 0.001},
        "source": "https://example.org/paper",
    },
    "versions": {"torch": "2.13.0"},
    "seed": 7,
}
HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>&amp;$title"


class Page(HTMLParser):
    """The elements of a page; complains about a wrong nesting."""

    VOID = ("meta", "img", "br", "link", "input")

    def __init__(self, text):
        super().__init__()
        self.tags, self.attributes, self.texts, self.open = [], [], [], []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes += attributes
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes += attributes

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)

    def values(self, name):
        return [value for key, value in self.attributes if key == name]

    @property
    def text(self):
        return " ".join(" ".join(self.texts).split())


@pytest.fixture(scope="module")
def seen():
    """Images, labels and probabilities of a model that errs about one time in ten."""
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 10, N)
    logits = generator.normal(size=(N, 10))
    logits[np.arange(N), labels] += 2.7
    probabilities = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    images = generator.integers(0, 256, (N, 28, 28), np.uint8)
    return {"images": images, "labels": labels, "probabilities": probabilities}


def predictions(seen, model="", data="", split="", classes=DIGITS):
    return Predictions(model=model, data=data, split=split, classes=tuple(classes), **seen)


def write(path, seen, model="runs/lenet", data="mnist", classes=DIGITS, config=None, history=()):
    predicted = predictions(seen, model, data, "test", classes)
    write_report(
        path,
        evaluation=evaluate_predictions(predicted),
        seen=predicted,
        history=history,
        config=config or {},
    )
    return path.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def page(seen, tmp_path_factory):
    return Page(
        write(
            tmp_path_factory.mktemp("report") / "report.html", seen, history=HISTORY, config=CONFIG
        )
    )


def names(folder):
    return [path.name for path in folder.iterdir()]


def first(seen, n):
    return {name: values[:n] for name, values in seen.items()}


def test_page_needs_no_script_and_nothing_from_outside(page):
    assert not {"script", "link", "iframe", "object", "embed", "base"} & set(page.tags)
    assert all(source.startswith("data:image/png;base64,") for source in page.values("src"))
    assert all(target.startswith("#") for target in page.values("href"))
    assert not [
        value
        for _, value in page.attributes
        if re.search(r"https?:|//", re.sub("data:image/png.*", "", value or ""))
    ]
    assert not re.search(r"url\((?!#)|@import", page.text)
    assert "default-src 'none'" in " ".join(page.values("content"))


def test_page_has_every_id_once_and_refers_to_no_other(page):
    ids = page.values("id")
    references = {
        target
        for _, value in page.attributes
        for target in re.findall(r"(?:url\(|^)#([\w-]+)", value or "")
    }
    assert len(ids) == len(set(ids))
    assert references <= set(ids)


def test_page_says_what_the_evaluation_says(page, seen):
    ours = evaluate_probabilities(seen["probabilities"], seen["labels"])
    assert 20 < ours.errors < 80, "the example should be neither perfect nor hopeless"
    for claim in (
        f"{100 * ours.accuracy:.2f} %",
        f"{ours.errors} of {N} images",
        f"{ours.nll:.4f}",
        f"{ours.f1_macro:.4f}",
    ):
        assert claim in page.text
    for score in ours.per_class:
        assert f"{100 * score.precision:.2f} {100 * score.recall:.2f} {score.f1:.4f}" in page.text
    for recorded in (
        "optimiser.learning_rate 0.001",
        "torch 2.13.0",
        "seed 7",
        "https://example.org/paper",
    ):
        assert recorded in page.text


def test_page_shows_the_worst_errors_first_as_the_pictures_that_they_are(page, seen):
    worst = errors(seen["probabilities"], seen["labels"])[: sections.ERRORS_SHOWN]
    pictures = list(zip(page.values("src"), page.values("alt"), strict=True))[: len(worst)]
    for index, (source, name) in zip(worst, pictures, strict=True):
        assert name == f"image {index}, label {seen['labels'][index]}"
        with Image.open(io.BytesIO(base64.b64decode(source.partition(",")[2]))) as picture:
            np.testing.assert_array_equal(255 - np.asarray(picture), seen["images"][index])


def test_page_shows_one_image_of_each_class_then_the_least_certain(page, seen):
    firsts = [seen["labels"].tolist().index(digit) for digit in range(10)]
    least = [i for i in np.argsort(seen["probabilities"].max(1)) if i not in firsts][
        : sections.DOUBTFUL_SHOWN
    ]
    shown = [int(re.match(r"image (\d+)", name)[1]) for name in page.values("alt")]
    assert shown[-(10 + sections.DOUBTFUL_SHOWN) :] == firsts + least


def test_nothing_from_outside_becomes_markup(seen, tmp_path):
    classes = [f"{digit}{HOSTILE}" for digit in range(10)]
    config = {HOSTILE: {HOSTILE: HOSTILE}, "list": [HOSTILE]}
    hostile = Page(
        write(tmp_path / "a.html", first(seen, 50), HOSTILE, HOSTILE, classes, config=config)
    )
    harmless = Page(
        write(
            tmp_path / "b.html", first(seen, 50), "m", "d", config={"a": {"b": "c"}, "list": ["d"]}
        )
    )
    assert set(hostile.tags) == set(harmless.tags)
    assert {name for name, _ in hostile.attributes} == {name for name, _ in harmless.attributes}
    assert HOSTILE in hostile.text


def test_page_has_curves_only_where_there_was_training(seen, tmp_path, page):
    assert "loss and accuracy by epoch" in page.values("aria-label")
    final_only = [{"final": True, "epochs": 5, "test_accuracy": 0.99}]
    for history in ([], final_only):
        assert "loss and accuracy by epoch" not in Page(
            write(tmp_path / "r.html", first(seen, 50), history=history)
        ).values("aria-label")


@pytest.mark.parametrize(
    "classes", [["あ", "ki", *"23456789"], [*"012345678", "$\\frac$"], ["a\udcff", *"123456789"]]
)
def test_class_names_may_be_any_text(seen, tmp_path, classes):
    text = Page(write(tmp_path / "r.html", first(seen, 50), classes=classes)).text
    assert all(name.replace("\udcff", "?") in text for name in classes)


def test_paths_that_are_no_valid_text_are_shown_as_far_as_possible(seen, tmp_path):
    assert "runs/�" in write(tmp_path / "r.html", first(seen, 50), "runs/\udcff").replace(
        "&#56575;", "�"
    )


@pytest.mark.parametrize("n", [1, 2, 30])
def test_few_images_suffice(seen, tmp_path, n):
    assert f"of {n} images" in Page(write(tmp_path / "r.html", first(seen, n))).text


@pytest.mark.parametrize(
    ("read", "says"),
    [(range(10), "There are none."), ([(d + 1) % 10 for d in range(10)], "10 of 10 images")],
)
def test_all_right_and_all_wrong_are_reported_too(seen, tmp_path, read, says):
    certain = {
        "images": seen["images"][:10],
        "labels": np.arange(10),
        "probabilities": np.eye(10)[list(read)],
    }
    assert says in Page(write(tmp_path / "r.html", certain)).text


def test_page_on_10_000_images_with_long_history_stays_small(seen, tmp_path):
    many = {name: np.concatenate([values] * 25) for name, values in seen.items()}
    history = [HISTORY[0] | {"epoch": epoch} for epoch in range(1, 201)]
    assert len(write(tmp_path / "r.html", many, history=history)) < 1_000_000


def test_report_that_does_not_fit_its_evaluation_is_refused(seen, tmp_path):
    evaluation = evaluate_probabilities(seen["probabilities"], seen["labels"])
    for wrong, says in [
        ({"images": seen["images"][1:]}, r"images are uint8 \(399, 28, 28\)"),
        ({"images": seen["images"] / 255}, "images are float64"),
        ({"labels": seen["labels"][1:]}, r"labels \(399,\)"),
        ({"probabilities": seen["probabilities"][:, 1:]}, r"probabilities \(400, 9\)"),
        ({"classes": ["a", "b"]}, "class names, got 2"),
    ]:
        unfit = replace(predictions(seen), **wrong)
        with pytest.raises(BadValue, match=says):
            write_report(tmp_path / "r.html", evaluation=evaluation, seen=unfit, config={})
    assert list(tmp_path.iterdir()) == []


def test_report_replaces_an_older_one(seen, tmp_path):
    (tmp_path / "r.html").write_text("older")
    write(tmp_path / "r.html", first(seen, 10))
    assert names(tmp_path) == ["r.html"]


@pytest.mark.parametrize("call", ["os.fsync", "pathlib.Path.replace", "pathlib.Path.open"])
def test_a_full_disk_leaves_the_older_report_and_nothing_else(seen, tmp_path, monkeypatch, call):
    opened = Path.open

    def full(path, *args, **kwargs):
        if path == report.FRAME:
            return opened(path, *args, **kwargs)
        raise OSError(errno.ENOSPC, "No space left on device")

    target = tmp_path / "r.html"
    target.write_text("older")
    with monkeypatch.context() as patch:
        patch.setattr(call, full)
        with pytest.raises(CannotWrite, match=r"r\.html: No space left on device"):
            write(target, first(seen, 10))
    assert target.read_text() == "older"
    assert names(tmp_path) == ["r.html"]


def test_a_place_that_cannot_be_written_is_named(seen, tmp_path):
    (tmp_path / "folder.html").mkdir()
    for name in ("missing/r.html", "folder.html"):
        with pytest.raises(CannotWrite, match=name):
            write(tmp_path / name, first(seen, 10))
    assert names(tmp_path) == ["folder.html"]


def test_writing_loads_neither_matplotlib_nor_torch(tmp_path):
    program = (
        "import sys, numpy as np\n"
        "from inkdigits.evaluation import measurement, report\n"
        "images = np.zeros((10, 28, 28), np.uint8)\n"
        "seen = measurement.Predictions('', '', '', '0123456789', images, np.arange(10), "
        "np.eye(10))\n"
        "measured = measurement.evaluate_predictions(seen)\n"
        "report.write_report(sys.argv[1], evaluation=measured, seen=seen, config={})\n"
        "assert not {'matplotlib', 'torch'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", program, tmp_path / "r.html"], check=True)


def contrast(one, other):
    """WCAG 2.1's contrast ratio of two colours, #rrggbb."""

    def luminance(colour):
        channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
        return sum(weight * c for weight, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))

    high, low = sorted([luminance(one), luminance(other)], reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_text_can_be_told_from_paper_in_the_light_in_the_dark_and_in_print():
    themes = [
        dict(re.findall(r"--(\w+): (#\w{6})", block))
        for block in re.findall(r":root \{(.*?)\}", report.FRAME.read_text(), re.DOTALL)
    ]
    assert len(themes) == 3
    for theme in themes:
        for colour in ("ink", "muted", "wrong"):
            assert contrast(theme[colour], theme["paper"]) >= 4.5
            assert contrast(theme[colour], theme["ground"]) >= 4.5
        assert contrast(theme["blue"], theme["paper"]) >= 3
        assert contrast(theme["orange"], theme["paper"]) >= 3


def points(line):
    return list(zip(line.x.tolist(), line.y.tolist(), strict=True))


def lines_of(drawing):
    """The points of each line of the learning curves, by title and colour."""
    return {
        (panel.title, {ORANGE: "training", BLUE: "validation"}[line.colour]): points(line)
        for panel in drawing.panels
        for line in panel.lines
    }


def test_learning_curves_show_the_history():
    drawing = curves.learning_curves([*HISTORY, {"final": True, "epochs": 5}])
    drawn = lines_of(drawing)
    assert len(drawn) == 4
    np.testing.assert_allclose(
        drawn["Loss (nats an image)", "training"], [(e, 1 / e) for e in range(1, 6)]
    )
    np.testing.assert_allclose(
        drawn["Accuracy (%)", "validation"], [(e, 100 - 30 / e) for e in range(1, 6)]
    )
    assert [line.label for panel in drawing.panels for line in panel.lines] == [
        "training",
        "validation",
        "",
        "",
    ]


def test_learning_curves_have_gaps_where_a_value_is_missing():
    history = [
        HISTORY[0],
        HISTORY[1] | {"train_loss": math.nan, "validation_loss": None},
        HISTORY[2],
    ]
    drawing = curves.learning_curves(
        [{k: v for k, v in e.items() if k != "validation_accuracy"} for e in history]
    )
    drawn = lines_of(drawing)
    for split in ("training", "validation"):
        values = [y for _, y in drawn["Loss (nats an image)", split]]
        assert [math.isnan(y) for y in values] == [False, True, False]
    assert ("Accuracy (%)", "validation") not in drawn

    paths = re.findall(r'<path d="([^"]*)" fill="none" stroke="var\(--blue', drawing.svg())
    assert [path.count("M") for path in paths] == [1, 2], "the legend's line, and one with a gap"
    assert "nan" not in drawing.svg()

    curves.learning_curves(HISTORY[:1]).svg()
    with pytest.raises(BadValue, match="no epochs"):
        curves.learning_curves([])


def test_confusion_matrix_shows_every_count_where_it_belongs(seen):
    ours = evaluate_probabilities(seen["probabilities"], seen["labels"])
    (panel,) = confusion_matrix(ours).panels
    drawn = {
        (shape.y, shape.x): int(shape.text) for shape in panel.shapes if isinstance(shape, Words)
    }
    assert drawn == {
        (i, j): n for i, row in enumerate(ours.confusion) for j, n in enumerate(row) if n or i == j
    }
    bottom, top = panel.y
    assert top < bottom, "label 0 is the top row"


def test_confusion_matrix_colours_errors_and_only_these(seen):
    ours = evaluate_probabilities(seen["probabilities"], seen["labels"])
    (panel,) = confusion_matrix(ours).panels
    opacity = {
        (round(sum(shape.y) / 2), round(sum(shape.x) / 2)): shape.opacity
        for shape in panel.shapes
        if isinstance(shape, Bar) and shape.colour == ORANGE
    }
    share = {
        (i, j): n / sum(row)
        for i, row in enumerate(ours.confusion)
        for j, n in enumerate(row)
        if n and i != j
    }
    assert opacity.keys() == share.keys()
    assert max(opacity, key=opacity.get) == max(share, key=share.get)


def test_reliability_diagram_shows_the_filled_bins_and_all_counts(seen):
    bins = reliability(seen["probabilities"], seen["labels"])
    accuracy, counts = curves.reliability_diagram(bins).panels
    drawn = next(line for line in accuracy.lines if line.marker)
    np.testing.assert_allclose(
        points(drawn), [(100 * b.confidence, 100 * b.accuracy) for b in bins if b.n]
    )
    assert counts.words == [str(b.n) for b in bins if b.n]


def test_risk_coverage_curve_shows_points_of_the_curve_up_to_the_last(seen):
    curve = risk_coverage(seen["probabilities"].max(1), right(seen))
    (panel,) = curves.risk_coverage_curve(curve).panels
    of_curve = {(100 * c, 100 * r) for c, r in zip(curve.coverage, curve.risk, strict=True)}
    drawn = points(panel.lines[0])
    assert set(drawn) <= of_curve
    assert drawn[-1] == (100, pytest.approx(100 * (1 - right(seen).mean())))
    assert len(drawn) > 100
    assert panel.x[0] > 0, "the example has its errors among the least sure"
    (band,) = (shape for shape in panel.shapes if isinstance(shape, Band))
    low, high = 100 * np.array(wilson_interval(int(curve.wrong[-1]), N))
    assert (band.x[-1], band.low[-1], band.high[-1]) == pytest.approx((100, low, high))


def right(seen):
    return seen["probabilities"].argmax(1) == seen["labels"]


@pytest.mark.parametrize(
    "wrong", [[], [950], [0], range(10), range(1000), range(100, 1000, 100), [999]]
)
def test_risk_coverage_axis_begins_before_nine_tenths_of_the_errors(wrong):
    curve = risk_coverage(-np.arange(1000.0), ~np.isin(np.arange(1000), wrong))
    (panel,) = curves.risk_coverage_curve(curve).panels
    (start, end), (bottom, top) = panel.x, panel.y
    assert end == 100
    assert bottom == 0
    assert sum(place >= 10 * start for place in wrong) >= 0.9 * len(wrong)
    assert top > max(np.nanmax(line.y) for line in panel.lines)


@pytest.mark.parametrize("wrong", [[600, 990], [600], range(1000)])
def test_risk_coverage_curve_marks_where_one_error_in_1000_is_left(wrong):
    curve = risk_coverage(-np.arange(2000.0), ~np.isin(np.arange(2000), wrong))
    (panel,) = curves.risk_coverage_curve(curve).panels
    share = curve.coverage_at(1 / 1000)
    said = [line.label for line in panel.lines if line.label]
    assert said == ([f"{100 * share:.2f} %: at most 1 error in 1,000"] if 0 < share < 1 else [])


def test_a_curve_of_a_single_threshold_is_drawn_too():
    drawing = curves.risk_coverage_curve(risk_coverage([1.0] * 8, [True] * 6 + [False] * 2))
    (panel,) = drawing.panels
    assert panel.x == (0, 100)
    assert points(panel.lines[-1]) == [(100, 25)]
    assert "nan" not in drawing.svg()


def test_page_says_what_doubt_is_worth(seen, tmp_path, page):
    ours = evaluate_probabilities(seen["probabilities"], seen["labels"])
    assert "risk-coverage curve" in page.values("aria-label")
    assert f"{100 * ours.auroc_errors:.2f} % of all such pairs (AUROC)" in page.text
    assert f"the surest {100 * ours.coverage_no_error:.2f} %" in page.text
    assert "other things" not in page.text
    more = replace(ours, n_no_digit=1250, auroc_no_digit=0.98765)
    write_report(tmp_path / "r.html", evaluation=more, seen=predictions(seen), config={})
    text = Page((tmp_path / "r.html").read_text(encoding="utf-8")).text
    assert (
        "one of 1,250 other things, the digit is surer to be one in 98.77 % of all pairs (AUROC)"
        in text
    )


@pytest.mark.parametrize(("n", "columns"), [(1, 8), (8, 8), (11, 4)])
def test_digit_grid_shows_each_image_with_its_caption(seen, n, columns):
    figure = galleries.digit_grid(
        seen["images"][:n], [f"caption {i}" for i in range(n)], columns=columns
    )
    drawn = [axes for axes in figure.axes if axes.images]
    assert [axes.get_title() for axes in drawn] == [f"caption {i}" for i in range(n)]
    np.testing.assert_array_equal(
        [axes.images[0].get_array() for axes in drawn], seen["images"][:n]
    )


def test_digit_grid_refuses_what_is_no_row_of_images(seen):
    for images, captions in [
        (seen["images"][0], []),
        (seen["images"][:0], []),
        (seen["images"][:3], ["one"]),
    ]:
        with pytest.raises(BadValue, match=r"\(N, 28, 28\)"):
            galleries.digit_grid(images, captions)


def test_svg_leaves_colours_to_the_page_and_text_as_text(seen):
    measured = evaluate_probabilities(seen["probabilities"], seen["labels"])
    drawing = confusion_matrix(measured).svg()
    assert drawing.startswith("<svg")
    assert {"var(--ink, ", "var(--orange, ", "var(--grid, "} <= set(
        re.findall(r"var\(--\w+, ", drawing)
    )
    assert ">read as</text>" in drawing
