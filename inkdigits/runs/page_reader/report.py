"""The report of a page reader's run: records, figures and a few read pages in, report.html out.

Its frame and style are those of other runs' reports.
"""

import base64
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Any

from inkdigits.core.files import write_whole
from inkdigits.evaluation.metrics import percent
from inkdigits.evaluation.plots.style import (
    BLUE,
    dress,
    figure_of,
    grid_of,
    label_axes,
)
from inkdigits.evaluation.report import FRAME
from inkdigits.evaluation.sections import drawing_of, section, show_making
from inkdigits.runs.page_reader.examples import Example, draw_example, validation_examples
from inkdigits.runs.page_reader.records import PageReaderFigures, StageRecord
from inkdigits.training.page.look_loop import LookRecord
from inkdigits.training.page.loop import PageRecord

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

EXAMPLES = 12  # pages
JPEG_QUALITY = 80
FEW_POINTS = 20  # of a curve; with more, points would hide the line
PARTS_IN_ROW = 4

# The frame shows images of single digits, enlarged and inverted in the dark; pages are photos.
LIKE_A_PHOTO = "width:100%;height:auto;filter:none;mix-blend-mode:normal;image-rendering:auto"
SIDE_BY_SIDE = "display:grid;gap:16px;grid-template-columns:repeat(auto-fill,minmax(230px,1fr))"


def write_page_report(
    path: Path,
    *,
    records: Sequence[StageRecord],
    figures: PageReaderFigures,
    making: Mapping[str, Any],
) -> None:
    """Write the report beside the networks that it shows, in an atomic write.

    Args:
        path: of the HTML file, in a folder with page.onnx and look.onnx.
        records: of both networks' trainings.
        figures: what they have reached.
        making: the recipe and whatever else is worth keeping, nested as you like.

    Raises:
        CannotWrite: the file cannot be written.
        MissingExtra: matplotlib is not installed.
    """
    sections = [
        *_show_learning(records),
        _show_examples(validation_examples(path.parent, EXAMPLES)),
        show_making(making),
    ]
    page = Template(FRAME.read_text(encoding="utf-8")).substitute(
        title="The page reader",
        data="generated validation pages, by hands that training never saw",
        n=f"{figures.validation_pages:,}",
        figures=_show_headline(figures),
        sections="\n".join(sections),
    )
    write_whole(path, page)


def _show_headline(figures: PageReaderFigures) -> str:
    """Write the main figures of both networks, as pairs of a description list."""
    page = figures.page
    look = figures.look
    looks = f"of {look.n:,} looks"
    pairs = [
        ("ink", percent(page.ink_overlap), "intersection over union"),
        ("votes", percent(page.votes), "of ink points to its own symbol"),
        ("kinds", percent(page.kinds), "of centres, by the page network alone"),
        ("digits", percent(look.digits), f"given their kind by the second look, {looks}"),
        ("others", percent(look.others), "of what is no symbol is refused by it"),
        ("second look's loss", f"{look.nll:.4f}", "nats, before both networks' votes are pooled"),
        (
            "weights of the votes",
            f"{figures.votes.look:.2f}",
            f"second look; page network {figures.votes.page:.2f}",
        ),
    ]
    return "".join(
        f"<div><dt>{name}</dt><dd><b>{value}</b> {note}</dd></div>" for name, value, note in pairs
    )


def _show_learning(records: Sequence[StageRecord]) -> list[str]:
    """Draw the losses of both networks as their trainings went on, in three sections."""
    pages = [record for record in records if isinstance(record, PageRecord)]
    looks = [record for record in records if isinstance(record, LookRecord)]

    page_curve = loss_curve(
        [record.step for record in pages],
        [record.loss for record in pages],
        "Loss",
        "step",
    )
    look_curve = loss_curve(
        [record.shard for record in looks],
        [record.loss for record in looks],
        "Loss (nats a look)",
        "shard",
    )
    page_loss = drawing_of(page_curve, "loss of the page network by step")
    look_loss = drawing_of(look_curve, "loss of the second network by shard")
    parts = drawing_of(part_curves(pages), "parts of its loss by step", "max-width:none")
    return [
        section(
            "How the page network learned",
            "It learns from whole pages. Each point is the mean since the one before.",
            page_loss,
        ),
        section(
            "How the second network learned",
            "It learns from the looks that the page network takes, shard by shard.",
            look_loss,
        ),
        section(
            "What the page network learned",
            "Its loss has a part for each question that it answers.",
            parts,
            wide=True,
        ),
    ]


def loss_curve(
    places: Sequence[int], losses: Sequence[float], title: str, counted: str
) -> "Figure":
    """Draw the loss of one network by what its training counts: steps or shards."""
    figure = figure_of(2.7)
    axes = figure.subplots()
    _draw_curve(axes, places, losses)

    dress(axes, title)
    label_axes(axes, counted)
    return figure


def _draw_curve(axes: "Axes", places: Sequence[int], losses: Sequence[float]) -> None:
    """Draw losses by their places, on whole numbers, with points where there are few."""
    marker = "o" if len(places) <= FEW_POINTS else ""
    axes.plot(places, losses, marker=marker, markersize=3.5, color=BLUE)
    axes.locator_params(axis="x", integer=True)


def part_curves(records: Sequence[PageRecord]) -> "Figure":
    """Draw the parts of the page network's loss, each on axes of its own."""
    names = list(records[0].losses)
    figure, places = grid_of(len(names), PARTS_IN_ROW, height=1.5, width=2.25)
    steps = [record.step for record in records]

    for axes, name in zip(places.flat, names, strict=False):
        axes.set_axis_on()
        _draw_curve(axes, steps, [record.losses[name] for record in records])
        dress(axes, name)
        axes.locator_params(nbins=3)
        axes.set_ylim(bottom=0)

    return figure


def _show_examples(examples: Iterable[Example]) -> str:
    """Show validation pages with what the reader finds on them."""
    explanation = (
        f"The first {EXAMPLES} validation pages, as both networks together read them. Blue is "
        "right; vermilion is wrong, and underlined what was missed; grey is part of a symbol, "
        "neither right nor wrong. Letters and scribbles are to be left alone."
    )
    body = "".join(_figure(example) for example in examples)
    body = f'<div style="{SIDE_BY_SIDE}">{body}</div>'
    return section("What they find", explanation, body, wide=True)


def _figure(example: Example) -> str:
    """Embed one page with its finds as a JPEG."""
    buffer = io.BytesIO()
    draw_example(example).save(buffer, "JPEG", quality=JPEG_QUALITY)
    source = base64.b64encode(buffer.getvalue()).decode()

    described = f'alt="a page: {example.caption}" style="{LIKE_A_PHOTO}"'
    image = f'<img src="data:image/jpeg;base64,{source}" {described}>'
    return f"<figure>{image}<figcaption>{example.caption}</figcaption></figure>"
