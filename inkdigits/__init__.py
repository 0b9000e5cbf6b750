"""Read handwritten digits, and train the networks that do.

    >>> import inkdigits
    >>> inkdigits.read("photo.jpg").text
    '42'

The public names are those in `__all__`. They load on first use, so that importing the package
costs little and reading never loads torch.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from inkdigits.core.errors import InkdigitsError
    from inkdigits.data.datasets import load_dataset
    from inkdigits.data.splits import Dataset, Split
    from inkdigits.evaluation.measurement import evaluate
    from inkdigits.evaluation.metrics import Evaluation
    from inkdigits.reading.explanation.drawing import explain
    from inkdigits.reading.reading import Reading
    from inkdigits.reading.recogniser import Recogniser, read
    from inkdigits.reading.symbols import Digit, Sign
    from inkdigits.runs.run import train
    from inkdigits.training.recipe import Recipe, load_recipe

__version__ = "0.1.0"

_HOME = {
    "Dataset": "data.splits",
    "Digit": "reading.symbols",
    "Evaluation": "evaluation.metrics",
    "InkdigitsError": "core.errors",
    "Reading": "reading.reading",
    "Recipe": "training.recipe",
    "Recogniser": "reading.recogniser",
    "Sign": "reading.symbols",
    "Split": "data.splits",
    "evaluate": "evaluation.measurement",
    "explain": "reading.explanation.drawing",
    "load_dataset": "data.datasets",
    "load_recipe": "training.recipe",
    "read": "reading.recogniser",
    "train": "runs.run",
}

__all__ = [
    "Dataset",
    "Digit",
    "Evaluation",
    "InkdigitsError",
    "Reading",
    "Recipe",
    "Recogniser",
    "Sign",
    "Split",
    "evaluate",
    "explain",
    "load_dataset",
    "load_recipe",
    "read",
    "train",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'inkdigits' has no attribute {name!r}")

    value = getattr(importlib.import_module(f"inkdigits.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
