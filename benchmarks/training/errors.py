"""Every MNIST test digit that a model reads wrong, as a picture and a table, with whether people agree with its label.

    python -m benchmarks.training.errors runs/reproduce/ensemble-seed0 --others runs/reproduce/best-seed* --write docs/errors.md

The picture goes into the folder `images` beside the page. Errors are looked at, nothing is chosen by them.
"""

import argparse
import textwrap
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from benchmarks.training.accuracy import row
from inkdigits.core.files import write_whole
from inkdigits.data.catalogue import MISLABELLED
from inkdigits.data.datasets import Split, load_dataset
from inkdigits.evaluation.metrics import errors, evaluate_probabilities, percent
from inkdigits.evaluation.plots.galleries import digit_grid
from inkdigits.reading.recogniser import Recogniser

Classified = np.ndarray  # float32 probabilities (N, 10)


def page(name: str, digits: Split, said: Classified, others: Sequence[Classified]) -> str:
    """The page as Markdown. others: what further networks said about the same digits; how many of them err, too, is shown."""
    wrong = errors(said, digits.labels)
    lost = np.isin(wrong, MISLABELLED)
    shared = (
        np.sum([other.argmax(1) != digits.labels for other in others], axis=0) if others else None
    )
    evaluation = evaluate_probabilities(said, digits.labels)
    agreed = [index for index in MISLABELLED if index not in wrong]
    prose = (
        f"All {len(wrong)} of MNIST's {len(digits):,} test digits that it reads otherwise than labelled "
        f"({percent(evaluation.accuracy)} right), the surest first. Of {len(MISLABELLED)} test digits the label lost a vote "
        f"of people who looked at them (Northcutt et al. 2021): {lost.sum()} of those are here; with the labels of the "
        f"others it agrees ({', '.join(map(str, agreed)) or 'none'})."
    )
    columns = [
        "test image",
        "label",
        "read",
        "sure",
        "probability of the label",
        "people agree with the label",
    ]
    columns += [f"wrong in {len(others)} single networks"] if others else []
    lines = [f"# What `{name}` reads wrong", "", *textwrap.wrap(prose, 130), ""]
    lines += [
        "![each digit with its index, its label, and what it was read as](images/errors.png)",
        "",
    ]
    lines += [row(columns), row(["---"] * len(columns))]
    for index, disputed in zip(wrong.tolist(), lost, strict=True):
        label, read = int(digits.labels[index]), int(said[index].argmax())
        cells = [
            index,
            label,
            read,
            percent(said[index, read]),
            percent(said[index, label]),
            "no" if disputed else "yes",
        ]
        cells += [] if shared is None else [int(shared[index])]
        lines.append(row(cells))
    return "\n".join(lines)


def main() -> None:
    """Measure, print, and write where asked."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "model",
        metavar="MODEL",
        help="a shipped model's name, a folder made by train, or an .onnx file",
    )
    parser.add_argument(
        "--others",
        nargs="*",
        default=[],
        metavar="MODEL",
        help="single networks, to count in how many each digit is wrong",
    )
    parser.add_argument("--data-dir", type=Path, metavar="DIR", help="where datasets lie")
    parser.add_argument(
        "--write", type=Path, metavar="FILE.md", help="write the page, and its picture beside it"
    )
    options = parser.parse_args()
    digits = load_dataset("mnist", data_dir=options.data_dir)["test"]
    said, *others = (
        Recogniser(model).classify(digits.images) for model in (options.model, *options.others)
    )
    name = Path(options.model).name.partition("-seed")[0]
    text = page(name, digits, said, others)
    made = f"Made on {datetime.now(UTC):%Y-%m-%d} by `benchmarks/training/errors.py`."
    print(text)
    if options.write:
        wrong = errors(said, digits.labels)
        captions = [f"{index}: {digits.labels[index]}→{said[index].argmax()}" for index in wrong]
        figure = digit_grid(digits.images[wrong], captions, columns=6)
        write_whole(
            options.write.with_name("images") / "errors.png",
            lambda path: figure.savefig(path, format="png", dpi=160),
        )
        write_whole(options.write, f"{text}\n\n{made}\n")


if __name__ == "__main__":
    main()
