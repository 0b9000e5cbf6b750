"""Write what the live figures of the docs start from: data, and the pictures where nothing runs.

    python -m benchmarks.reading.live_figures --write docs/figures

The figure of the threshold needs what shipped models say of things that they did not learn from:
MNIST's validation digits, scribbles, and digits in a mirror, which are none. The test digits are
not read.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks.common import command_line, encoded, in_words, machine, save_figure
from inkdigits.core.digits import NOT_A_DIGIT, SIDE, Array
from inkdigits.core.files import write_whole
from inkdigits.data.datasets import load_dataset
from inkdigits.data.splits import Split
from inkdigits.data.synthetic.handwriting import others, recording
from inkdigits.evaluation.plots import galleries, style
from inkdigits.evaluation.plots.layers import feature_maps
from inkdigits.evaluation.selective import RiskCoverage, risk_coverage
from inkdigits.reading.layers import compute_layers
from inkdigits.reading.preprocessing.fields import to_field
from inkdigits.reading.recogniser import Recogniser

MODELS = ("default", "best")  # one that can say "not a digit", and one that cannot
SCRIBBLES = 300
MIRRORED = 256
MIRRORED_DIGITS = (2, 3, 4, 7)  # the others are digits in a mirror, too, or nearly
POINTS = 160  # of a curve
EXAMPLES = 48
DECIMALS = 6  # of a confidence; many are very near 1


@dataclass(frozen=True)
class Said:
    """What a model says of things.

    Attributes:
        name: of the model.
        digits: int (N,), its best guesses.
        sure: float (N,), that it is one digit, and this one; 0 to 1.
    """

    name: str
    digits: Array
    sure: Array


def main() -> None:
    """Compute, print what was measured, and write where asked."""
    parser = command_line(__doc__, write="the folder of the figures")
    folder = parser.parse_args().write
    validation = load_dataset("mnist").validation
    asked = things(validation)
    answers = [ask(name, asked.images) for name in MODELS]
    chosen = examples(answers[0].sure)
    data = threshold_data(asked.labels, answers, chosen)

    for model in data["models"]:
        curve = risk_coverage(*_confidence_and_right(asked.labels, answers, model["name"]))
        print(f"{model['name']}: {curve.coverage_at(0.01):.1%} accepted at 1 % errors")
    print(data["made"])

    if folder:
        write_whole(folder / "threshold.json", json.dumps(data, separators=(",", ":")) + "\n")
        strip = np.concatenate(list(asked.images[chosen]), axis=1)
        write_whole(folder / "threshold-examples.png", encoded(strip, optimize=True))
        save_figure(curves(asked.labels, answers), folder / "threshold.png")
        digit = validation.images[np.flatnonzero(validation.labels == 3)[0]]
        save_figure(
            feature_maps(compute_layers(Recogniser("default"), digit)), folder / "inside.png"
        )
        save_figure(prepared(digit), folder / "preparing.png")


def things(validation: Split) -> Split:
    """Return validation digits, then scribbles and digits in a mirror, labelled as no digits."""
    rng = np.random.default_rng(1)
    stock = others.Stock(validation.images, validation.labels, rng)
    scribbles = []
    for _ in range(SCRIBBLES):
        canvas = others.scribble(stock)
        scribbles.append(recording.framed(recording.recorded(canvas, rng), rng, otherwise=canvas))

    some = np.flatnonzero(np.isin(validation.labels, MIRRORED_DIGITS))[:MIRRORED]
    images = [validation.images, np.stack(scribbles), validation.images[some][:, :, ::-1]]
    none = np.full(SCRIBBLES + MIRRORED, NOT_A_DIGIT, validation.labels.dtype)
    return Split(np.concatenate(images), np.concatenate([validation.labels, none]))


def ask(name: str, images: NDArray[np.uint8]) -> Said:
    """Ask a shipped model about things."""
    model = Recogniser(name)
    digits = model.classify(images).argmax(axis=1)
    return Said(name, digits, model.sureness(images).astype(np.float64).round(DECIMALS))


def examples(sure: Array) -> Array:
    """Choose which things are shown: from the surest to the least sure, denser towards these.

    Evenly chosen, nearly all would be as sure as can be.
    """
    steps = np.linspace(1, 0, EXAMPLES) ** 2
    order = np.argsort(sure, kind="stable")
    return order[np.unique(((len(sure) - 1) * steps).astype(int))[::-1]]


def threshold_data(labels: Array, answers: Sequence[Said], chosen: Array) -> dict[str, Any]:
    """Return what the figure of the threshold needs, as JSON."""
    models: list[dict[str, Any]] = []
    for said in answers:
        curve = risk_coverage(*_confidence_and_right(labels, answers, said.name))
        models.append({"name": said.name, "points": points(curve)})

    highest = max(point["wrong"] / point["accepted"] for each in models for point in each["points"])
    counts = f"{int((labels < NOT_A_DIGIT).sum()):,} validation digits of MNIST"
    return {
        "made": "python -m benchmarks.reading.live_figures --write docs/figures; "
        + in_words(machine("numpy", "onnxruntime")),
        "what": f"{counts}, {SCRIBBLES} scribbles, {MIRRORED} digits in a mirror",
        "things": len(labels),
        "highest": float(np.ceil(20 * highest) / 20),
        "models": models,
        "examples": [_example(labels, answers, number) for number in chosen],
    }


def points(curve: RiskCoverage) -> list[dict[str, float]]:
    """Return about POINTS points of a curve, evenly spaced by what is accepted; the last is its."""
    wanted = np.linspace(0, 1, POINTS + 1)[1:]
    places = np.unique(np.searchsorted(curve.coverage, wanted - 1e-9))
    return [
        {
            "confidence": round(float(curve.confidence[place]), DECIMALS),
            "accepted": int(curve.accepted[place]),
            "wrong": int(curve.wrong[place]),
        }
        for place in places
    ]


def _example(labels: Array, answers: Sequence[Said], number: int) -> dict[str, Any]:
    label = int(labels[number])
    return {
        "is": None if label == NOT_A_DIGIT else label,
        "answers": {
            said.name: {"said": int(said.digits[number]), "sure": float(said.sure[number])}
            for said in answers
        },
    }


def _confidence_and_right(labels: Array, answers: Sequence[Said], name: str) -> tuple[Array, Array]:
    said = next(each for each in answers if each.name == name)
    return said.sure, said.digits == labels


# ---- pictures


def curves(labels: Array, answers: Sequence[Said]) -> Any:
    """Draw the risk-coverage curve of each model."""
    figure = style.figure_of(2.6)
    axes = figure.subplots()
    for said, colour, line in zip(answers, (style.BLUE, style.ORANGE), "-:", strict=True):
        curve = risk_coverage(said.sure, said.digits == labels)
        axes.plot(100 * curve.coverage, 100 * curve.risk, line, color=colour, label=said.name)

    axes.set(xlim=(0, 100), ylim=(0, None))
    style.dress(axes, "Wrong, of the accepted (%)")
    style.label_axes(axes, "accepted, of all (%)")
    style.add_legend(axes, loc="upper left")
    return figure


def prepared(digit: NDArray[np.uint8]) -> Any:
    """Draw a small digit in a corner of its sheet, and what it is made to for the network."""
    sheet = np.zeros((SIDE, SIDE), np.uint8)
    small = Image.fromarray(digit).resize((SIDE // 2, SIDE // 2), Image.Resampling.BOX)
    sheet[2 : 2 + SIDE // 2, 3 : 3 + SIDE // 2] = np.asarray(small)
    return galleries.digit_grid(
        np.stack([sheet, to_field(sheet)]), ["only made small", "prepared"], columns=2
    )


if __name__ == "__main__":
    main()
