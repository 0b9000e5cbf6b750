"""Figures and outcomes -> plots in the house style, and a gallery of everything that was read wrong.

The gallery holds the pictures themselves, which may be other people's, so it is never written into the repository.
"""

import base64
import html
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageOps

from benchmarks.handwriting.figures import ONE_DIGIT, Figures, Outcome, Share
from inkdigits.core.errors import BadValue
from inkdigits.core.files import write_whole
from inkdigits.evaluation.plots import curves as plots
from inkdigits.evaluation.plots import style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ROOT = Path(__file__).resolve().parents[2]
THUMBNAIL = 320  # pixels of the longer side
RESOLUTION = 160  # dots an inch
GALLERY = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Read wrong</title>
<style>
  body { font: 15px system-ui, sans-serif; margin: 1rem; }
  main { display: flex; flex-wrap: wrap; gap: 1rem; }
  figure { margin: 0; width: 20rem; }
  img { max-width: 100%; border: 1px solid #bbb; }
</style>
"""


def write_plots(folder: Path, measured: Figures, outcomes: Sequence[Outcome]) -> None:
    """reliability, risk-coverage, confidence and writers, a .png each; nothing where there were no digits. Raises MissingExtra."""
    if not measured.digits.n:
        return
    folder.mkdir(parents=True, exist_ok=True)
    drawings = {
        "reliability": plots.reliability_diagram(measured.bins),
        "risk-coverage": risk_coverage(measured.risk),
        "confidence": confidence_of_both(outcomes),
        "writers": writer_accuracies(measured.by["writer"]),
    }
    for name, figure in drawings.items():
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=RESOLUTION)
        write_whole(folder / f"{name}.png", buffer.getvalue())


def risk_coverage(risk: Sequence[float]) -> "Figure":
    """The share of errors when only the most confident digits are answered."""
    figure = style.figure_of(3.2)
    axes = figure.subplots()
    axes.plot(
        100 * np.arange(1, len(risk) + 1) / len(risk), 100 * np.asarray(risk), color=style.BLUE
    )
    style.dress(axes, "Errors among the surest digits (%)", grid="both")
    axes.set_xlabel("digits answered (%)", fontsize=style.FONT, color=style.MUTED)
    axes.set(xlim=(0, 100), ylim=(0, None))
    return figure


def confidence_of_both(outcomes: Sequence[Outcome]) -> "Figure":
    """How confidence is spread over digits and over what is none."""
    figure = style.figure_of(4.2)
    above, below = figure.subplots(2, 1, sharex=True)
    for axes, kinds, name, colour in (
        (above, ONE_DIGIT, "Digits", style.BLUE),
        (below, ("reject",), "No digits", style.ORANGE),
    ):
        confidence = [outcome.confidence for outcome in outcomes if outcome.kind in kinds]
        axes.hist(confidence, bins=np.linspace(0, 1, 21).tolist(), color=colour)
        axes.set_yscale(
            "symlog", linthresh=10
        )  # a handful in the middle shows beside hundreds at the end
        style.dress(axes, f"{name} (pictures)")
    below.set_xlabel("confidence of the best guess", fontsize=style.FONT, color=style.MUTED)
    return figure


def writer_accuracies(writers: Mapping[str, Share]) -> "Figure":
    """A line a writer, the worst one on top, with 95 % intervals."""
    ordered = sorted(writers.items(), key=lambda item: item[1].value or 0.0, reverse=True)
    figure = style.figure_of(1 + 0.2 * len(ordered))
    axes = figure.subplots()
    low, high = 100 * np.array([share.interval for _, share in ordered]).T
    axes.hlines(range(len(ordered)), low, high, color=style.MUTED, linewidth=1.2)
    axes.plot(
        [100 * (share.value or 0.0) for _, share in ordered],
        range(len(ordered)),
        "o",
        color=style.BLUE,
        markersize=4,
    )
    axes.set_yticks(
        range(len(ordered)), [f"{name} ({share.n})" for name, share in ordered], parse_math=False
    )
    style.dress(axes, "Accuracy by writer (%)", grid="x")
    return figure


def write_gallery(path: Path, folder: Path, outcomes: Sequence[Outcome]) -> None:
    """A page with everything that is wrong: the picture, the truth and what was read. folder: where the pictures lie.

    Raises BadValue for a place inside the repository, and CannotWrite.
    """
    if ROOT in path.resolve().parents:
        raise BadValue(
            f"{path} lies in the repository, and the gallery holds other people's pictures; choose a folder elsewhere"
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    wrong = [outcome for outcome in outcomes if not outcome.right]
    items = "\n".join(_item(folder, outcome) for outcome in wrong)
    write_whole(
        path,
        f"{GALLERY}<h1>{len(wrong)} of {len(outcomes)} pictures read wrong</h1>\n<main>\n{items}\n</main>\n</html>\n",
    )


def _item(folder: Path, outcome: Outcome) -> str:
    what, file, content = (
        html.escape(text) for text in (said(outcome), outcome.file, outcome.content)
    )
    caption = f"<b>{content}</b>: {what}<br>{file}<br>{outcome.polarity}, {outcome.background}"
    return f'<figure><img src="{thumbnail(folder / outcome.file)}" alt=""><figcaption>{caption}</figcaption></figure>'


def said(outcome: Outcome) -> str:
    """What was made of a picture, in words."""
    if outcome.error:
        return f"not read: {outcome.error}"
    if outcome.kind == "string":
        return f"read {outcome.text or 'nothing'}"
    page = ", accepted as a page" if outcome.kind == "reject" and outcome.as_page else ""
    if outcome.digit is None:
        return f"nothing found{page}"
    return f"read {outcome.digit}, {outcome.confidence:.1%} sure{'' if outcome.accepted else ', refused'}{page}"


def thumbnail(path: Path) -> str:
    """The picture as a data: address, upright and small, transparent parts light green. Empty where it cannot be read."""
    try:
        with Image.open(path) as image:
            upright = ImageOps.exif_transpose(image).convert("RGBA")
    except OSError:
        return ""
    scale = THUMBNAIL / max(upright.size)
    size = max(1, round(upright.width * scale)), max(1, round(upright.height * scale))
    ground = Image.new("RGBA", size, (215, 240, 215, 255))
    ground.alpha_composite(
        upright.resize(size, Image.Resampling.LANCZOS if scale < 1 else Image.Resampling.NEAREST)
    )
    buffer = io.BytesIO()
    ground.convert("RGB").save(buffer, "PNG")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
