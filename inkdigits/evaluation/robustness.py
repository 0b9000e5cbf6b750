"""A model on MNIST-C: how well it reads digits through fifteen corruptions, none of which it should have learned from.

Takes a model and MNIST's digits, returns an Evaluation a corruption, their means, and text. The corruptions themselves are
`corruptions`' business, the figures of one are `evaluation`'s.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import Any

from inkdigits.core.errors import UnknownName
from inkdigits.core.progress import ProgressCallback
from inkdigits.data.synthetic.corruptions import AFFINE, CORRUPTIONS, corrupt
from inkdigits.evaluation.metrics import (
    Evaluation,
    Predictions,
    evaluate_predictions,
    percent,
    predict,
)

MNIST_C = "mnist-c"
SEED = 0  # of the draws: the same digits for everybody


@dataclass(frozen=True)
class Robustness:
    """One model on one split of MNIST: `identity` as it is, `corrupted` by each corruption's name. seed: of the draws."""

    model: str
    split: str
    seed: int
    identity: Evaluation
    corrupted: dict[str, Evaluation]

    @property
    def accuracy(self) -> float:
        """The mean of the fifteen, as the paper has it."""
        return self._mean("accuracy", tuple(self.corrupted))

    @property
    def accuracy_without_affine(self) -> float:
        """The mean of the eleven that no augmentation by shifts, turns, slants and zooms has shown to the network."""
        return self._mean("accuracy", [name for name in self.corrupted if name not in AFFINE])

    def _mean(self, figure: str, names: Sequence[str]) -> float:
        return fmean(getattr(self.corrupted[name], figure) for name in names)

    def to_json(self) -> dict[str, Any]:
        """The object that `evaluate --data mnist-c --json` prints. n: digits of each corruption; each has an object of its own."""
        names = tuple(self.corrupted)
        return {
            "model": self.model,
            "data": MNIST_C,
            "split": self.split,
            "seed": self.seed,
            "n": self.identity.n,
            "accuracy": self.accuracy,
            "accuracy_without_affine": self.accuracy_without_affine,
            "nll": self._mean("nll", names),
            "ece": self._mean("ece", names),
            "identity": self.identity.to_json(),
            "corruptions": {
                name: evaluation.to_json() for name, evaluation in self.corrupted.items()
            },
        }


def is_corrupted(data: str) -> bool:
    """Whether that is a name of ours: mnist-c, or mnist-c/fog and its like."""
    return data.partition("/")[0] == MNIST_C


def evaluate_corrupted(
    model: str | Path = "default",
    split: str | None = None,
    *,
    data_dir: str | Path | None = None,
    progress: ProgressCallback | None = None,
    seed: int = SEED,
) -> Robustness:
    """Measure a model on all of MNIST-C, made from a split of MNIST; the test split unless given.

    Arguments and errors as for `evaluation.predict`.
    """
    from inkdigits.reading.recogniser import Recogniser

    seen = predict(model, "mnist", split or "test", data_dir=data_dir, progress=progress)
    recogniser = Recogniser(model)
    corrupted: dict[str, Evaluation] = {}
    for name in CORRUPTIONS:
        if progress:
            progress(
                "corrupting MNIST's digits, and reading them", len(corrupted), len(CORRUPTIONS)
            )
        probabilities = recogniser.classify(corrupt(seen.images, name, seed))
        corrupted[name] = evaluate_predictions(
            replace(seen, data=f"{MNIST_C}/{name}", probabilities=probabilities)
        )
    return Robustness(seen.model, seen.split, seed, evaluate_predictions(seen), corrupted)


def predict_corrupted(
    model: str | Path,
    data: str,
    split: str | None = None,
    *,
    data_dir: str | Path | None = None,
    progress: ProgressCallback | None = None,
    seed: int = SEED,
) -> Predictions:
    """What the model says about digits through one corruption. data: mnist-c/NAME. The rest as for `evaluate_corrupted`."""
    name = data.partition("/")[2]
    if name not in CORRUPTIONS:
        raise UnknownName(f"corruption in {MNIST_C}:", name, CORRUPTIONS)
    through = partial(corrupt, corruption=name, seed=seed)
    return replace(
        predict(
            model, "mnist", split or "test", data_dir=data_dir, progress=progress, change=through
        ),
        data=data,
    )


def summary(robustness: Robustness) -> str:
    """As text for a terminal of 80 columns: a line a corruption, and the means."""
    everything, others = len(robustness.corrupted), len(robustness.corrupted) - len(AFFINE)
    return "\n".join(
        [
            f"{robustness.model} on {MNIST_C}, {robustness.split}: {robustness.identity.n:,} digits a corruption",
            "",
            f"  {'corruption':<15}{'accuracy':>9}   errors  loss (nll)  calibration (ece)",
            *(
                _line(name, each)
                for name, each in {"identity": robustness.identity, **robustness.corrupted}.items()
            ),
            "",
            f"  {f'mean of {everything}':<15}{percent(robustness.accuracy):>9}",
            f"  {f'mean of {others}':<15}{percent(robustness.accuracy_without_affine):>9}   without {', '.join(AFFINE)}",
        ]
    )


def _line(name: str, each: Evaluation) -> str:
    return f"  {name:<15}{percent(each.accuracy):>9}  {each.errors:7,}  {each.nll:10.4f}  {percent(each.ece):>17}"
