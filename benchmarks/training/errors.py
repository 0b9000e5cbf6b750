r"""Every MNIST test digit that a model reads wrong, as a picture and a table.

    python -m benchmarks.training.errors runs/reproduce/ensemble-seed0 \
        --others runs/reproduce/best-seed* --write docs/errors.md

The table says whether people agree with the label. The picture goes into the folder `images` beside
the page. Errors are looked at, nothing is chosen by them.
"""

import textwrap
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.common import command_line, save_figure, table
from inkdigits.core.files import write_whole
from inkdigits.data.catalogue import MISLABELLED
from inkdigits.data.datasets import Split, load_dataset
from inkdigits.evaluation.metrics import errors, evaluate_probabilities, percent
from inkdigits.evaluation.plots.galleries import digit_grid
from inkdigits.reading.recogniser import Recogniser

Classified = NDArray[np.float32]  # probabilities (N, 10)
COLUMNS = ("test image", "label", "read", "sure", "probability of the label")
PICTURE = "![each digit with its index, its label, and what it was read as](images/errors.png)"


def page(name: str, digits: Split, said: Classified, others: Sequence[Classified]) -> str:
    """Return the page as Markdown.

    Args:
        name: of the model.
        digits: MNIST's test digits.
        said: what the model said about them.
        others: what single networks said; how many of them err, too, is shown.
    """
    wrong = errors(said, digits.labels)
    disputed = set(MISLABELLED)
    shared = np.sum([other.argmax(1) != digits.labels for other in others], axis=0)
    accuracy = evaluate_probabilities(said, digits.labels).accuracy
    agreed = sorted(disputed - set(wrong.tolist()))
    prose = (
        f"All {len(wrong)} of MNIST's {len(digits):,} test digits that it reads otherwise than "
        f"labelled ({percent(accuracy)} right), the surest first. Of {len(MISLABELLED)} test "
        "digits the label lost a vote of people who looked at them (Northcutt et al. 2021): "
        f"{len(disputed) - len(agreed)} of those are here; with the labels of the others it agrees "
        f"({', '.join(map(str, agreed)) or 'none'})."
    )
    counted = f"wrong in {len(others)} single networks"
    head = [*COLUMNS, "people agree with the label", counted]
    rows = []
    for index in wrong.tolist():
        label = int(digits.labels[index])
        read = int(said[index].argmax())
        sure = percent(said[index, read]), percent(said[index, label])
        agrees = "no" if index in disputed else "yes"
        rows.append([index, label, read, *sure, agrees, shared[index]])

    title = f"# What `{name}` reads wrong"
    lines = [title, "", *textwrap.wrap(prose, 100), "", PICTURE, "", *table(head, rows)]
    made = f"Made on {datetime.now(UTC):%Y-%m-%d} by `benchmarks/training/errors.py`."
    return "\n".join([*lines, "", made, ""])


def main() -> None:
    """Measure, print, and write where asked."""
    parser = command_line(__doc__, write="write the page, and its picture beside it")
    text = "a shipped model's name, a folder made by train, or an .onnx file"
    parser.add_argument("model", metavar="MODEL", help=text)
    text = "single networks, to count in how many each digit is wrong"
    parser.add_argument("--others", nargs="+", required=True, metavar="MODEL", help=text)
    options = parser.parse_args()
    digits = load_dataset("mnist")["test"]
    models = [options.model, *options.others]
    said, *others = (Recogniser(model).classify(digits.images) for model in models)
    text = page(Path(options.model).name.partition("-seed")[0], digits, said, others)
    print(text)
    if options.write:
        wrong = errors(said, digits.labels)
        captions = [f"{index}: {digits.labels[index]}→{said[index].argmax()}" for index in wrong]
        figure = digit_grid(digits.images[wrong], captions, columns=6)
        save_figure(figure, options.write.parent / "images" / "errors.png")
        write_whole(options.write, text)


if __name__ == "__main__":
    main()
