"""Evaluation -> report.html: one self-contained page that shows how a model learned, what it gets wrong and how sure it is.

Takes results, pictures and whatever is recorded about their making; writes one file that needs no network, script or other
file, and reads on a phone, on paper, in the dark and without colour vision. Measures nothing itself.
"""

import base64
import html
import io
import json
import platform
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

import inkdigits
from inkdigits.core.digits import DIGITS
from inkdigits.core.errors import BadValue
from inkdigits.core.files import write_whole
from inkdigits.evaluation.metrics import (
    Evaluation,
    Predictions,
    confusions,
    errors,
    percent,
    reliability,
)
from inkdigits.evaluation.plots import curves as plots
from inkdigits.evaluation.plots.style import svg
from inkdigits.evaluation.selective import risk_coverage

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Array = NDArray[Any]

WORST = 36  # errors shown; fills the rows of a phone (3) and of a wide page (9)
UNSURE = 6  # doubtful predictions shown, after one of each class
VISIBLE = 0.005  # probabilities below this get a bar without a figure
LONGEST = 400  # characters of one recorded value; the rest is in the run's own files


def write_report(
    path: str | Path,
    *,
    evaluation: Evaluation,
    probabilities: Array,
    images: Array,
    labels: Array,
    history: Sequence[Mapping[str, Any]] = (),
    config: Mapping[str, Any] | None = None,
) -> None:
    """Write the page, whole or not at all, over whatever lies at `path`.

    evaluation: of these probabilities, float (N, 10), images, uint8 (N, 28, 28), and labels, integer (N,), in the same order.
    history: a mapping an epoch as `train --json` prints them, empty where there was no training. config: anything worth keeping
    about the making, nested as you like: recipe, versions, seed, final figures; its "classes" name the ten classes.
    Raises BadValue where these do not fit together, CannotWrite, MissingExtra without matplotlib.
    """
    config = config or {}
    seen = Predictions(
        model=evaluation.model,
        data=evaluation.data,
        split=evaluation.split,
        classes=_class_names(config),
        images=np.asarray(images),
        labels=np.asarray(labels),
        probabilities=np.asarray(probabilities),
    )
    if seen.images.shape != (evaluation.n, 28, 28) or seen.images.dtype != np.uint8:
        raise BadValue(
            f"images are {seen.images.dtype} {seen.images.shape}; they should be uint8 {(evaluation.n, 28, 28)}"
        )
    if seen.labels.shape != (evaluation.n,) or seen.probabilities.shape != (
        evaluation.n,
        len(DIGITS),
    ):
        shapes = f"labels {seen.labels.shape} and probabilities {seen.probabilities.shape}"
        raise BadValue(f"{shapes} do not belong to an evaluation of {evaluation.n} images")
    write_whole(Path(path), render(evaluation, seen, history, config))


def _class_names(config: Mapping[str, Any]) -> tuple[str, ...]:
    """Ten names. A class may be named after a folder whose name is no valid text; it becomes text here."""
    classes = tuple(
        str(name).encode(errors="replace").decode() for name in config.get("classes", DIGITS)
    )
    if len(classes) != len(DIGITS):
        raise BadValue(
            f"{len(classes)} class names in the report's config; there are {len(DIGITS)} classes"
        )
    return classes


def render(
    evaluation: Evaluation,
    seen: Predictions,
    history: Sequence[Mapping[str, Any]],
    config: Mapping[str, Any],
) -> str:
    """The page as HTML. seen: the predictions that were evaluated; the rest as for `write_report`."""
    learning = _learning(history)
    sections = [
        learning,
        _confusion(evaluation, seen.classes),
        _per_class(
            evaluation, seen.classes, wide=bool(learning)
        ),  # three would leave a gap in rows of two
        _worst_errors(seen),
        _calibration(evaluation, seen),
        _doubt(evaluation, seen),
        _samples(seen),
        _making(config),
    ]
    return Template(PAGE).substitute(
        title=_text(evaluation.model or "A model"),
        data=_text(", ".join(filter(None, [evaluation.data, evaluation.split])) or "its data"),
        n=f"{evaluation.n:,}",
        figures=_headline(evaluation),
        sections="\n".join(filter(None, sections)),
    )


def _text(value: object) -> str:
    """Anything from outside, as text of the page."""
    return html.escape(str(value))


def _section(heading: str, explanation: str, body: str, *, wide: bool = False) -> str:
    kind = ' class="wide"' if wide else ""
    return f"<section{kind}>\n<h2>{heading}</h2>\n<p>{explanation}</p>\n{body}\n</section>"


def _drawing(figure: "Figure", what: str) -> str:
    return svg(figure).replace("<svg", f'<svg role="img" aria-label="{what}"', 1)


def _headline(evaluation: Evaluation) -> str:
    low, high = evaluation.accuracy_ci95
    figures = [
        (
            "accuracy",
            percent(evaluation.accuracy),
            f"95 % interval {percent(low)} to {percent(high)}",
        ),
        ("errors", f"{evaluation.errors:,}", f"of {evaluation.n:,} images"),
        ("loss", f"{evaluation.nll:.4f}", "negative log-likelihood, nats an image"),
        ("calibration error", percent(evaluation.ece), "confidence against truth, on average"),
        ("F1", f"{evaluation.f1_macro:.4f}", "mean of the classes"),
    ]
    return "".join(
        f"<div><dt>{name}</dt><dd><b>{value}</b> {note}</dd></div>" for name, value, note in figures
    )


def _learning(history: Sequence[Mapping[str, Any]]) -> str:
    if not any("epoch" in record for record in history):
        return ""
    explanation = "After each pass over the training images. Where validation stops improving, more training only memorises."
    return _section(
        "How it learned",
        explanation,
        _drawing(plots.learning_curves(history), "loss and accuracy by epoch"),
    )


def _confusion(evaluation: Evaluation, classes: Sequence[str]) -> str:
    explanation = "No confusions: every image was read right."
    if happened := confusions(evaluation):
        label, read, count = happened[0]
        most = f"{_text(classes[label])} read as {_text(classes[read])}, {_times(count)}"
        explanation = f"Grey is right, orange is wrong, and the stronger the more often. Most frequent: {most}."
    return _section(
        "What it confuses",
        explanation,
        _drawing(plots.confusion_matrix(evaluation, classes), "confusion matrix"),
    )


def _times(count: int) -> str:
    return {1: "once", 2: "twice"}.get(count, f"{count:,} times")


def _worst_errors(seen: Predictions) -> str:
    wrong = errors(seen.probabilities, seen.labels)
    shown = wrong[:WORST].tolist()
    if not shown:
        return _section("Errors", "There are none.", "", wide=True)
    which = (
        f"The {WORST} it was surest of, out of {len(wrong):,}"
        if len(wrong) > WORST
        else "All, the surest first"
    )
    explanation = f"{which}: what was read, how sure it was, and the label with its share."
    body = "".join(_error(seen, index) for index in shown)
    return _section("Errors", explanation, f'<div class="digits">{body}</div>', wide=True)


def _error(seen: Predictions, index: int) -> str:
    """The picture; below it what was read and the label, each with its probability."""
    said = "".join(
        f'<tr><td>{role}</td><th class="{role}">{_text(seen.classes[which])}</th>'
        f"<td>{_share(seen.probabilities[index, which])}</td></tr>"
        for role, which in (
            ("read", int(seen.probabilities[index].argmax())),
            ("label", int(seen.labels[index])),
        )
    )
    return f"<figure>{_picture(seen, index)}<figcaption><table>{said}</table></figcaption></figure>"


def _picture(seen: Predictions, index: int) -> str:
    """Dark ink on light paper, as a picture in the page itself (about 400 bytes)."""
    buffer = io.BytesIO()
    Image.fromarray(255 - seen.images[index]).save(buffer, "PNG", optimize=True)
    source = base64.b64encode(buffer.getvalue()).decode()
    what = f"image {index}, label {_text(seen.classes[seen.labels[index]])}"
    return f'<img src="data:image/png;base64,{source}" alt="{what}" title="{what}" width="84" height="84">'


def _per_class(evaluation: Evaluation, classes: Sequence[str], *, wide: bool) -> str:
    explanation = "Precision: of the images read as this class, how many are. Recall: of the images of this class, how many were found."
    head = "".join(
        f"<th>{name}</th>"
        for name in ("", "images", "wrong", "precision %", "recall %", "F1", "taken for")
    )
    rows = []
    for score in evaluation.per_class:
        taken_for = [
            (read, count) for label, read, count in confusions(evaluation) if label == score.digit
        ]
        counts = f"{score.support:,}", f"{sum(count for _, count in taken_for):,}"
        shares = f"{100 * score.precision:.2f}", f"{100 * score.recall:.2f}", f"{score.f1:.4f}"
        most = "".join(
            f"{_text(classes[read])} <small>({count:,})</small>" for read, count in taken_for[:1]
        )
        cells = "".join(f"<td>{cell}</td>" for cell in (*counts, *shares, most))
        rows.append(f"<tr><th>{_text(classes[score.digit])}</th>{cells}</tr>")
    table = f'<table class="figures"><thead><tr>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table>'
    return _section("Class by class", explanation, f'<div class="scroll">{table}</div>', wide=wide)


def _calibration(evaluation: Evaluation, seen: Predictions) -> str:
    explanation = (
        "Of the images read with 80 % confidence, 80 % should be right: then the points lie on the dotted line. Below it the"
        f" model is surer than it should be. Weighted by their images the points miss it by {percent(evaluation.ece)}."
    )
    diagram = plots.reliability_diagram(reliability(seen.probabilities, seen.labels))
    return _section(
        "How honest its confidence is", explanation, _drawing(diagram, "reliability diagram")
    )


def _doubt(evaluation: Evaluation, seen: Predictions) -> str:
    explanation = (
        "Where the images that it is least sure of are left to a person, fewer of the rest are wrong. Read without an error:"
        f" the surest {percent(evaluation.coverage_no_error)}."
    )
    if evaluation.auroc_errors is not None:
        explanation += (
            f" A right answer is surer than a wrong one in {percent(evaluation.auroc_errors)} of all such pairs (AUROC); mean error"
            f" over the curve (AURC): {100 * evaluation.aurc:.4f} %."
        )
    if evaluation.auroc_no_digit is not None:
        explanation += (
            f" Of a digit and one of {evaluation.n_no_digit:,} other things, the digit is surer to be one in"
            f" {percent(evaluation.auroc_no_digit)} of all pairs (AUROC)."
        )
    curve = risk_coverage(seen.probabilities.max(1), seen.probabilities.argmax(1) == seen.labels)
    return _section(
        "What its doubt is worth",
        explanation,
        _drawing(plots.risk_coverage_curve(curve), "risk-coverage curve"),
    )


def _samples(seen: Predictions) -> str:
    """One image of each class, not chosen by its result, and those where the best guess had the least probability."""
    firsts = [
        int(np.argmax(seen.labels == digit))
        for digit in range(len(seen.classes))
        if (seen.labels == digit).any()
    ]
    doubtful = np.argsort(seen.probabilities.max(1), kind="stable").tolist()
    unsure = [index for index in doubtful if index not in firsts][:UNSURE]
    body = "".join(_sample(seen, index) for index in [*firsts, *unsure])
    explanation = "The first image of each class, then some others that it was least sure of."
    return _section("Predictions", explanation, f'<div class="samples">{body}</div>', wide=True)


def _sample(seen: Predictions, index: int) -> str:
    """The picture with a bar a class, and the verdict."""
    label, read = int(seen.labels[index]), int(seen.probabilities[index].argmax())
    bars = "".join(
        f'<tr class="{"best" if which == read else ""}"><th>{_text(name)}</th>'
        f'<td><i style="width:{100 * share:.1f}%"></i></td><td>{_share(share) if share >= VISIBLE else ""}</td></tr>'
        for which, (name, share) in enumerate(
            zip(seen.classes, seen.probabilities[index].tolist(), strict=True)
        )
    )
    verdict = (
        "right"
        if label == read
        else f'<b class="read">wrong</b>, it is {_text(seen.classes[label])}'
    )
    said = f"read as <b>{_text(seen.classes[read])}</b>: {verdict}"
    return f"<figure>{_picture(seen, index)}<table>{bars}</table><figcaption>{said}</figcaption></figure>"


def _share(probability: float) -> str:
    """Whole per cents, but never 0 or 100 for what is neither."""
    per_cent = 100 * float(probability)
    return (
        "&lt;1 %"
        if per_cent < 0.5
        else "&gt;99 %"
        if 99.5 <= per_cent < 100
        else f"{per_cent:.0f} %"
    )


def _making(config: Mapping[str, Any]) -> str:
    written = {
        "on": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "inkdigits": inkdigits.__version__,
        "python": platform.python_version(),
        "numpy": np.__version__,
    }
    groups: dict[str, dict[str, str]] = {}
    recorded = {key: value for key, value in config.items() if key != "classes"}
    for key, value in {**recorded, "report written": written}.items():
        for name, text in _flat(str(key), value):
            group, _, rest = name.partition(".") if isinstance(value, Mapping) else ("", "", name)
            groups.setdefault(group, {})[rest] = text
    body = "".join(_group(name, groups[name]) for name in sorted(groups, key=bool))
    return _section(
        "How it was made",
        "As recorded with the model.",
        f'<div class="making">{body}</div>',
        wide=True,
    )


def _flat(key: str, value: object) -> list[tuple[str, str]]:
    """Nested mappings as ("a.b.c", text) pairs."""
    if isinstance(value, Mapping):
        return [pair for name, inner in value.items() for pair in _flat(f"{key}.{name}", inner)]
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return [(key, text if len(text) <= LONGEST else f"{text[:LONGEST]} ...")]


def _group(name: str, pairs: Mapping[str, str]) -> str:
    caption = f"<caption>{_text(name)}</caption>" if name else ""
    rows = "".join(
        f"<tr><th>{_text(key)}</th><td>{_text(value)}</td></tr>" for key, value in pairs.items()
    )
    return f"<table>{caption}{rows}</table>"


PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; img-src data:">
<title>$title on $data</title>
<style>
:root { color-scheme: light dark; --paper: #ffffff; --ground: #f3f4f6; --ink: #1b1d21; --muted: #5f6570; --grid: #d5d9df;
  --blue: #0072b2; --orange: #d55e00; --wrong: #b34700; --flip: none; --blend: multiply }
@media (prefers-color-scheme: dark) {
  :root { --paper: #1b1d21; --ground: #111215; --ink: #e8eaed; --muted: #a0a7b1; --grid: #3a3e45;
    --blue: #56b4e9; --orange: #e08a2e; --wrong: #f0a04b; --flip: invert(1); --blend: screen } }
@media print {
  :root { color-scheme: light; --paper: #ffffff; --ground: #ffffff; --ink: #000000; --muted: #444444; --grid: #cccccc;
    --blue: #0072b2; --orange: #d55e00; --wrong: #b34700; --flip: none; --blend: multiply } }

* { box-sizing: border-box }
html { font-size: 15px }
body { margin: 0; background: var(--ground); color: var(--ink); font: 1rem/1.5 system-ui, sans-serif;
  font-variant-numeric: tabular-nums }
header, main { max-width: 1120px; margin: 0 auto; padding: 16px }
h1 { font-size: 1.8rem; line-height: 1.2; margin: 16px 0 0; overflow-wrap: anywhere }
h2 { font-size: 1.2rem; margin: 0 }
p { color: var(--muted); margin: 4px 0 12px; max-width: 60em }
main { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 460px), 1fr)); gap: 16px }
section, dl div { background: var(--paper); border-radius: 12px; padding: 16px; min-width: 0 }
.wide { grid-column: 1 / -1 }

dl { display: flex; flex-wrap: wrap; gap: 12px; margin: 16px 0 0 }
dl div { flex: 1 1 150px; padding: 12px 16px }
dt { color: var(--muted) }
dd { margin: 0; font-size: .85rem; color: var(--muted) }
dd b { display: block; font-size: 1.7rem; line-height: 1.3; color: var(--ink) }

section > svg { display: block; width: 100%; max-width: 460px; height: auto; margin: 0 auto; overflow: visible }
svg text { font-family: system-ui, sans-serif !important }
figure { margin: 0 }
img { image-rendering: pixelated; filter: var(--flip); mix-blend-mode: var(--blend); display: block }
table { border-collapse: collapse }
th, td { text-align: left; padding: 0; font-weight: normal; vertical-align: baseline }
b.read { color: var(--wrong) }

.scroll { overflow-x: auto }
.figures { width: 100% }
.figures th, .figures td { padding: 7px 0 7px 8px; text-align: right; white-space: nowrap; border-top: 1px solid var(--grid) }
.figures thead th { color: var(--muted); font-size: .85em; border: 0; white-space: normal; vertical-align: bottom }
.figures th:first-child { text-align: left; padding-left: 0; font-weight: 700 }

.digits { display: grid; grid-template-columns: repeat(auto-fill, minmax(104px, 1fr)); gap: 16px 8px }
.digits th, .digits td { font-size: .9rem; line-height: 1.35; padding-right: 6px; color: var(--muted) }
.digits th { font-weight: 700; color: var(--ink) }
.digits th.read { color: var(--wrong) }
.digits td { white-space: nowrap }

.samples { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 230px), 1fr)); gap: 20px }
.samples figure { display: grid; grid-template-columns: 84px 1fr; gap: 4px 12px; align-content: start }
.samples table { width: 100% }
.samples th, .samples td { font-size: .75rem; line-height: 1.2; color: var(--muted); white-space: nowrap }
.samples th { padding-right: 6px }
.samples td:nth-child(2) { width: 100%; padding-right: 6px; border-left: 1px solid var(--grid) }
.samples td:last-child { min-width: 3.2em; text-align: right }
.samples .best > * { color: var(--ink); font-weight: 700 }
.samples i { display: block; height: 8px; background: var(--blue) }
.samples figcaption { grid-column: 1 / -1; font-size: .9rem }

.making { columns: 320px; column-gap: 32px; overflow-x: auto }
.making table { width: 100%; margin-bottom: 16px }
.making tr { break-inside: avoid }
.making caption { text-align: left; font-weight: 700; break-after: avoid }
.making th, .making td { border-top: 1px solid var(--grid); padding: 3px 0; font-size: .9rem }
.making td { overflow-wrap: anywhere; width: 60% }
.making th { color: var(--muted); padding-right: 12px }

@media (max-width: 480px) {
  header, main { padding: 10px }
  main { gap: 10px }
  section { padding: 12px }
  .figures { font-size: .85rem }
  .figures th, .figures td { padding-left: 5px } }
@media print {
  * { print-color-adjust: exact }
  html { font-size: 10px }
  header, main, section, .wide { padding: 6px }
  main { grid-template-columns: 1fr 1fr; gap: 6px }
  dl div { flex-basis: 90px; padding: 6px }
  .figures th, .figures td { padding: 3px 0 3px 4px }
  .digits { grid-template-columns: repeat(9, 1fr); gap: 6px }
  .samples { grid-template-columns: repeat(4, 1fr); gap: 10px }
  .samples figure { grid-template-columns: 56px 1fr; gap: 2px 6px }
  img { width: 56px; height: 56px }
  .samples i { height: 6px }
  section:not(.wide), figure, tr { break-inside: avoid }
  h2, h2 + p { break-after: avoid } }
</style>
</head>
<body>
<header>
<h1>$title</h1>
<p>on $n images: $data</p>
<dl>$figures</dl>
</header>
<main>
$sections
</main>
</body>
</html>
"""
