"""An Evaluation in, report.html out: how a model learned, what it gets wrong, how sure it is.

The page needs no network, no script and no other file, and reads on a phone, on paper, in the dark
and without colour vision. Its frame is `report_page.html`, its content comes from `sections`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from string import Template
from typing import Any

import numpy as np

from inkdigits.core.digits import CLASSES
from inkdigits.core.errors import BadValue
from inkdigits.core.files import write_whole
from inkdigits.evaluation import sections
from inkdigits.evaluation.measurement import Predictions
from inkdigits.evaluation.metrics import Evaluation

FRAME = Path(__file__).with_name("report_page.html")


def write_report(
    path: str | Path,
    *,
    evaluation: Evaluation,
    seen: Predictions,
    history: Sequence[Mapping[str, Any]] = (),
    config: Mapping[str, Any],
) -> None:
    """Write the page in an atomic write, over whatever file is at `path`.

    Args:
        path: of the HTML file.
        evaluation: the figures of the predictions.
        seen: the predictions.
        history: a mapping an epoch, as `train --json` prints them; empty if there was no training.
        config: anything worth keeping about the making, nested as you like, such as the recipe,
            versions and final figures.

    Raises:
        BadValue: the arguments do not belong together.
        CannotWrite: the file cannot be written.
    """
    _check_shapes(evaluation.n, seen)

    # A folder's name that is not valid Unicode becomes text here.
    names = tuple(name.encode(errors="replace").decode() for name in seen.classes)
    page = render(evaluation, replace(seen, classes=names), history, config)
    write_whole(Path(path), page)


def _check_shapes(n: int, seen: Predictions) -> None:
    """Raise BadValue unless the predictions are of `n` images."""
    images = seen.images
    if images.shape != (n, 28, 28) or images.dtype != np.uint8:
        raise BadValue(f"images are {images.dtype} {images.shape}; expected uint8 {(n, 28, 28)}")

    if len(seen.classes) != CLASSES:
        raise BadValue(f"expected {CLASSES} class names, got {len(seen.classes)}")

    if seen.labels.shape != (n,) or seen.probabilities.shape != (n, CLASSES):
        shapes = f"labels {seen.labels.shape} and probabilities {seen.probabilities.shape}"
        raise BadValue(f"{shapes} do not belong to an evaluation of {n} images")


def render(
    evaluation: Evaluation,
    seen: Predictions,
    history: Sequence[Mapping[str, Any]],
    config: Mapping[str, Any],
) -> str:
    """Return the page as HTML.

    Args:
        evaluation: the figures.
        seen: the predictions that they are of.
        history: as for `write_report`.
        config: as for `write_report`.
    """
    learning = sections.show_learning(history)
    parts = [
        learning,
        sections.show_confusion(evaluation, seen.classes),
        # Three narrow sections would leave a gap in rows of two.
        sections.show_classes(evaluation, seen.classes, wide=bool(learning)),
        sections.show_errors(seen),
        sections.show_calibration(evaluation, seen),
        sections.show_doubt(evaluation, seen),
        sections.show_samples(seen),
        sections.show_making(config),
    ]
    data = ", ".join(filter(None, [evaluation.data, evaluation.split]))

    return Template(FRAME.read_text(encoding="utf-8")).substitute(
        title=sections.as_text(evaluation.model or "A model"),
        data=sections.as_text(data or "its data"),
        n=f"{evaluation.n:,}",
        figures=sections.show_headline(evaluation),
        sections="\n".join(filter(None, parts)),
    )
