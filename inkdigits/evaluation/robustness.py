"""A model on MNIST-C: how well it reads digits through fifteen corruptions it did not learn from.

A model and MNIST's digits in, an Evaluation of each corruption, their means, and a text out. The
corruptions are in `data.synthetic.corruptions`, the figures of one in `metrics`.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import Any

from inkdigits.core.errors import needs_extra
from inkdigits.core.progress import ProgressCallback
from inkdigits.evaluation.measurement import (
    CORRUPTION_SEED,
    MNIST_C,
    evaluate_predictions,
    predict,
)
from inkdigits.evaluation.metrics import Evaluation, percent

AFFINE = ("shear", "scale", "rotate", "translate")  # corruptions that usual augmentation covers


@dataclass(frozen=True)
class Robustness:
    """One model on one split of MNIST, without and with corruptions.

    Attributes:
        model: the name or path of the model.
        split: the name of the split.
        seed: of the corruptions.
        identity: the figures of the digits as they are.
        corrupted: the figures through each corruption, by its name.
    """

    model: str
    split: str
    seed: int
    identity: Evaluation
    corrupted: dict[str, Evaluation]

    @property
    def accuracy(self) -> float:
        """The mean accuracy through all corruptions, as in the paper."""
        return self._mean("accuracy", self.corrupted)

    @property
    def accuracy_without_affine(self) -> float:
        """The mean accuracy through the corruptions that resemble no usual augmentation.

        These are all but shifts, turns, slants and zooms.
        """
        return self._mean("accuracy", self.corrupted.keys() - set(AFFINE))

    def _mean(self, figure: str, names: Iterable[str]) -> float:
        """Average one figure over corruptions."""
        return fmean(getattr(self.corrupted[name], figure) for name in names)

    def to_json(self) -> dict[str, Any]:
        """Return the object that `evaluate --data mnist-c --json` prints.

        `n` is the number of digits of each corruption; each corruption has an object of its own.
        """
        corruptions = {name: each.to_json() for name, each in self.corrupted.items()}
        return {
            "model": self.model,
            "data": MNIST_C,
            "split": self.split,
            "seed": self.seed,
            "n": self.identity.n,
            "accuracy": self.accuracy,
            "accuracy_without_affine": self.accuracy_without_affine,
            "nll": self._mean("nll", self.corrupted),
            "ece": self._mean("ece", self.corrupted),
            "identity": self.identity.to_json(),
            "corruptions": corruptions,
        }


def evaluate_corrupted(
    model: str | Path = "default",
    split: str | None = None,
    *,
    data_dir: str | Path | None = None,
    progress: ProgressCallback | None = None,
    seed: int = CORRUPTION_SEED,
) -> Robustness:
    """Measure a model on all of MNIST-C, which is made from a split of MNIST.

    Args:
        model: as for `measurement.evaluate`.
        split: the name of a split of MNIST; None for the test split.
        data_dir: the folder with the datasets; None for the default one.
        progress: as for `load_dataset`; also told of each corruption.
        seed: of the corruptions.

    Raises:
        InkdigitsError: as for `measurement.evaluate`.
    """
    with needs_extra("corrupting digits", "train"):
        from inkdigits.data.synthetic.corruptions import CORRUPTIONS, corrupt
    from inkdigits.reading.recogniser import Recogniser

    seen = predict(model, "mnist", split or "test", data_dir=data_dir, progress=progress)
    recogniser = Recogniser(model)

    corrupted: dict[str, Evaluation] = {}
    for name in CORRUPTIONS:
        if progress:
            work = "corrupting MNIST's digits, and reading them"
            progress(work, len(corrupted), len(CORRUPTIONS))

        probabilities = recogniser.classify(corrupt(seen.images, name, seed))
        through = replace(seen, data=f"{MNIST_C}/{name}", probabilities=probabilities)
        corrupted[name] = evaluate_predictions(through)

    return Robustness(seen.model, seen.split, seed, evaluate_predictions(seen), corrupted)


def describe_robustness(robustness: Robustness) -> str:
    """Describe the figures in lines of at most 80 columns: one a corruption, and the means."""
    measured = {"identity": robustness.identity, **robustness.corrupted}
    count = len(robustness.corrupted)
    mean = f"mean of {count}"
    mean_of_others = f"mean of {count - len(AFFINE)}"
    accuracy = percent(robustness.accuracy)
    accuracy_of_others = percent(robustness.accuracy_without_affine)
    digits = f"{robustness.identity.n:,} digits a corruption"

    return "\n".join(
        [
            f"{robustness.model} on {MNIST_C}, {robustness.split}: {digits}",
            "",
            f"  {'corruption':<15}{'accuracy':>9}   errors  loss (nll)  calibration (ece)",
            *(_line(name, each) for name, each in measured.items()),
            "",
            f"  {mean:<15}{accuracy:>9}",
            f"  {mean_of_others:<15}{accuracy_of_others:>9}   without {', '.join(AFFINE)}",
        ]
    )


def _line(name: str, each: Evaluation) -> str:
    """Describe one corruption in a row."""
    accuracy = f"{percent(each.accuracy):>9}"
    return f"  {name:<15}{accuracy}  {each.errors:7,}  {each.nll:10.4f}  {percent(each.ece):>17}"
