"""Figures and predictions in, the sections of the report out, each as a piece of HTML.

Everything from outside goes through `as_text`, so that no name can become markup.
"""

import base64
import html
import io
import json
import platform
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

import inkdigits
from inkdigits.evaluation.measurement import Predictions
from inkdigits.evaluation.metrics import Evaluation, confusions, errors, percent, reliability
from inkdigits.evaluation.plots import confusion, curves
from inkdigits.evaluation.plots.drawing import Drawing
from inkdigits.evaluation.plots.style import svg
from inkdigits.evaluation.selective import risk_coverage

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ERRORS_SHOWN = 36  # fills the rows of a phone (3) and of a wide page (9)
DOUBTFUL_SHOWN = 6  # predictions, after one of each class
LEAST_SHARE_SHOWN = 0.005  # probabilities below this get a bar without a figure
LONGEST_VALUE = 400  # characters of one recorded value; the rest is in the run's own files

COLUMNS = ("", "images", "wrong", "precision %", "recall %", "F1", "taken for")


def as_text(value: object) -> str:
    """Return anything from outside as text of the page, with markup escaped."""
    return html.escape(str(value))


def section(heading: str, explanation: str, body: str, *, wide: bool = False) -> str:
    """Put a heading and a sentence above a body."""
    kind = ' class="wide"' if wide else ""
    return f"<section{kind}>\n<h2>{heading}</h2>\n<p>{explanation}</p>\n{body}\n</section>"


def drawing_of(figure: "Drawing | Figure", description: str, style: str = "") -> str:
    """Embed a drawing, or a figure of matplotlib's, described for those who cannot see it."""
    styled = f' style="{style}"' if style else ""
    described = f'<svg role="img" aria-label="{description}"{styled}'
    drawn = figure.svg() if isinstance(figure, Drawing) else svg(figure)
    return drawn.replace("<svg", described, 1)


def _cells(tag: str, texts: Sequence[str]) -> str:
    """Wrap each text into a cell of a table: `td` or `th`."""
    return "".join(f"<{tag}>{text}</{tag}>" for text in texts)


def show_headline(evaluation: Evaluation) -> str:
    """Write the five main figures, as pairs of a description list."""
    low, high = map(percent, evaluation.accuracy_ci95)
    figures = [
        ("accuracy", percent(evaluation.accuracy), f"95 % interval {low} to {high}"),
        ("errors", f"{evaluation.errors:,}", f"of {evaluation.n:,} images"),
        ("loss", f"{evaluation.nll:.4f}", "negative log-likelihood, nats an image"),
        ("calibration error", percent(evaluation.ece), "confidence against truth, on average"),
        ("F1", f"{evaluation.f1_macro:.4f}", "mean of the classes"),
    ]
    return "".join(
        f"<div><dt>{name}</dt><dd><b>{value}</b> {note}</dd></div>" for name, value, note in figures
    )


def show_learning(history: Sequence[Mapping[str, Any]]) -> str:
    """Draw the learning curves; return nothing if there was no training."""
    if not any("epoch" in record for record in history):
        return ""

    explanation = (
        "After each pass over the training images. Where validation stops improving, more training "
        "only memorises."
    )
    drawing = drawing_of(curves.learning_curves(history), "loss and accuracy by epoch")
    return section("How it learned", explanation, drawing)


def show_confusion(evaluation: Evaluation, classes: Sequence[str]) -> str:
    """Draw the confusion matrix, and name the most frequent confusion."""
    explanation = "No confusions: every image was read right."
    happened = confusions(evaluation)
    if happened:
        label, read, count = happened[0]
        times = {1: "once", 2: "twice"}.get(count, f"{count:,} times")
        explanation = (
            "Grey is right, orange is wrong, and the stronger the more often. Most frequent: "
            f"{as_text(classes[label])} read as {as_text(classes[read])}, {times}."
        )

    matrix = confusion.confusion_matrix(evaluation, classes)
    return section("What it confuses", explanation, drawing_of(matrix, "confusion matrix"))


def show_classes(evaluation: Evaluation, classes: Sequence[str], *, wide: bool) -> str:
    """Write a table with a row a class."""
    explanation = (
        "Precision: of the images read as this class, how many are. Recall: of the images of this "
        "class, how many were found."
    )

    rows = []
    for score in evaluation.per_class:
        taken_for = [
            (as_text(classes[read]), count)
            for label, read, count in confusions(evaluation)
            if label == score.digit
        ]
        figures = [
            f"{score.support:,}",
            f"{sum(count for _, count in taken_for):,}",
            f"{100 * score.precision:.2f}",
            f"{100 * score.recall:.2f}",
            f"{score.f1:.4f}",
            "".join(f"{name} <small>({count:,})</small>" for name, count in taken_for[:1]),
        ]
        name = as_text(classes[score.digit])
        rows.append(f"<tr><th>{name}</th>{_cells('td', figures)}</tr>")

    head = f"<thead><tr>{_cells('th', COLUMNS)}</tr></thead>"
    table = f'<table class="figures">{head}<tbody>{"".join(rows)}</tbody></table>'
    return section("Class by class", explanation, f'<div class="scroll">{table}</div>', wide=wide)


def show_errors(seen: Predictions) -> str:
    """Show the errors that the model was surest of."""
    wrong = errors(seen.probabilities, seen.labels)
    if not len(wrong):
        return section("Errors", "There are none.", "", wide=True)

    shown = "All, the surest first"
    if len(wrong) > ERRORS_SHOWN:
        shown = f"The {ERRORS_SHOWN} it was surest of, out of {len(wrong):,}"
    explanation = f"{shown}: what was read, how sure it was, and the label with its share."

    body = "".join(_error(seen, index) for index in wrong[:ERRORS_SHOWN])
    return section("Errors", explanation, f'<div class="digits">{body}</div>', wide=True)


def _error(seen: Predictions, index: int) -> str:
    """Show one image, what was read and the label, each with its probability."""
    probabilities = seen.probabilities[index]
    rows = ""
    for role, number in (("read", probabilities.argmax()), ("label", seen.labels[index])):
        name = f'<th class="{role}">{as_text(seen.classes[number])}</th>'
        rows += f"<tr><td>{role}</td>{name}<td>{_share(probabilities[number])}</td></tr>"

    return f"<figure>{_picture(seen, index)}<figcaption><table>{rows}</table></figcaption></figure>"


def _picture(seen: Predictions, index: int) -> str:
    """Embed one image, dark ink on light paper, in about 400 bytes."""
    buffer = io.BytesIO()
    Image.fromarray(255 - seen.images[index]).save(buffer, "PNG", optimize=True)
    source = base64.b64encode(buffer.getvalue()).decode()

    name = f"image {index}, label {as_text(seen.classes[seen.labels[index]])}"
    described = f'alt="{name}" title="{name}" width="84" height="84"'
    return f'<img src="data:image/png;base64,{source}" {described}>'


def show_calibration(evaluation: Evaluation, seen: Predictions) -> str:
    """Draw the reliability diagram."""
    explanation = (
        "Of the images read with 80 % confidence, 80 % should be right: then the points lie on the "
        "dotted line. Below it the model is surer than it should be. Weighted by their images the "
        f"points miss it by {percent(evaluation.ece)}."
    )
    diagram = curves.reliability_diagram(reliability(seen.probabilities, seen.labels))
    drawing = drawing_of(diagram, "reliability diagram")
    return section("How honest its confidence is", explanation, drawing)


def show_doubt(evaluation: Evaluation, seen: Predictions) -> str:
    """Draw the risk-coverage curve, and say how well confidence tells errors."""
    explanation = (
        "Where the images that it is least sure of are left to a person, fewer of the rest are "
        f"wrong. Read without an error: the surest {percent(evaluation.coverage_no_error)}."
    )
    if evaluation.auroc_errors is not None:
        explanation += (
            f" A right answer is surer than a wrong one in {percent(evaluation.auroc_errors)} of "
            "all such pairs (AUROC); mean error over the curve (AURC): "
            f"{100 * evaluation.aurc:.4f} %."
        )
    if evaluation.auroc_no_digit is not None:
        explanation += (
            f" Of a digit and one of {evaluation.n_no_digit:,} other things, the digit is surer to "
            f"be one in {percent(evaluation.auroc_no_digit)} of all pairs (AUROC)."
        )

    right = seen.probabilities.argmax(1) == seen.labels
    curve = curves.risk_coverage_curve(risk_coverage(seen.probabilities.max(1), right))
    drawing = drawing_of(curve, "risk-coverage curve")
    return section("What its doubt is worth", explanation, drawing)


def show_samples(seen: Predictions) -> str:
    """Show the first image of each class, and those whose best guess had the least probability."""
    _, firsts = np.unique(seen.labels, return_index=True)
    surest_last = np.argsort(seen.probabilities.max(1), kind="stable")
    doubtful = surest_last[~np.isin(surest_last, firsts)][:DOUBTFUL_SHOWN]

    body = "".join(_sample(seen, index) for index in [*firsts, *doubtful])
    explanation = "The first image of each class, then some others that it was least sure of."
    return section("Predictions", explanation, f'<div class="samples">{body}</div>', wide=True)


def _sample(seen: Predictions, index: int) -> str:
    """Show one image with a bar a class, and the verdict."""
    label = seen.labels[index]
    read = seen.probabilities[index].argmax()

    bars = ""
    for number, share in enumerate(seen.probabilities[index].tolist()):
        kind = "best" if number == read else ""
        figure = _share(share) if share >= LEAST_SHARE_SHOWN else ""
        bars += (
            f'<tr class="{kind}"><th>{as_text(seen.classes[number])}</th>'
            f'<td><i style="width:{100 * share:.1f}%"></i></td><td>{figure}</td></tr>'
        )

    verdict = "right"
    if label != read:
        verdict = f'<b class="read">wrong</b>, it is {as_text(seen.classes[label])}'
    caption = f"read as <b>{as_text(seen.classes[read])}</b>: {verdict}"
    picture = f"{_picture(seen, index)}<table>{bars}</table>"
    return f"<figure>{picture}<figcaption>{caption}</figcaption></figure>"


def _share(probability: float) -> str:
    """Format a probability in whole per cent, but never as 0 or 100 if it is neither."""
    per_cent = 100 * float(probability)
    if per_cent < 0.5:
        return "&lt;1 %"
    if 99.5 <= per_cent < 100:
        return "&gt;99 %"
    return f"{per_cent:.0f} %"


def show_making(config: Mapping[str, Any]) -> str:
    """Write what is recorded about the making: a table a group, first the values without one."""
    written = {
        "on": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "inkdigits": inkdigits.__version__,
        "python": platform.python_version(),
        "numpy": np.__version__,
    }
    recorded = {key: value for key, value in config.items() if key != "classes"}

    tables: dict[str, dict[str, str]] = {"": {}}
    for key, value in {**recorded, "report written": written}.items():
        group, name = (key, "") if isinstance(value, Mapping) else ("", key)
        pairs = {inner: _recorded(each) for inner, each in flatten(value, name)}
        tables.setdefault(group, {}).update(pairs)

    body = "".join(_table(name, pairs) for name, pairs in tables.items() if pairs)
    body = f'<div class="making">{body}</div>'
    return section("How it was made", "As recorded with the model.", body, wide=True)


def flatten(value: object, key: str = "") -> Iterator[tuple[str, Any]]:
    """Yield what nested mappings hold, with the keys joined by dots: `optimiser.name`, "adam"."""
    if not isinstance(value, Mapping):
        yield key, value
        return

    for name, inner in value.items():
        yield from flatten(inner, f"{key}.{name}" if key else name)


def _recorded(value: object) -> str:
    """Write a recorded value as text that is not too long."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= LONGEST_VALUE else f"{text[:LONGEST_VALUE]} ..."


def _table(name: str, pairs: Mapping[str, str]) -> str:
    """Write names and values as a table."""
    caption = f"<caption>{as_text(name)}</caption>" if name else ""
    rows = "".join(
        f"<tr><th>{as_text(key)}</th><td>{as_text(value)}</td></tr>" for key, value in pairs.items()
    )
    return f"<table>{caption}{rows}</table>"
