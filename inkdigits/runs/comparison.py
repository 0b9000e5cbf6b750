"""Run folders in, what their recipes reach and whether they differ out, with all seeds and on the same digits.

Takes folders made by training, groups them by recipe, and reads the digits again with each run's model.onnx, as no run keeps its
predictions. Never loads torch; the statistics are `significance`'s.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inkdigits.core.digits import CLASSES, CONFIG_FILE
from inkdigits.core.errors import BadData, BadModel, BadValue, InkdigitsError
from inkdigits.core.progress import ProgressCallback
from inkdigits.data.catalogue import MISLABELLED
from inkdigits.data.datasets import Split, load_dataset
from inkdigits.evaluation.metrics import evaluate_probabilities, percent
from inkdigits.evaluation.significance import mcnemar_p, mean_interval, permutation_p, smallest_p
from inkdigits.reading.model_files import shipped_folder
from inkdigits.reading.recogniser import Recogniser
from inkdigits.training.recipe import from_table

NOTES = {  # on the tests that gave the p-values
    "permutation": "permutation: of the seeds; of so few of them no p-value can be smaller",
    "mcnemar": "McNemar: of the digits that only the first, or only the second, reads right",
}


@dataclass(frozen=True)
class Run:
    """A run folder. name: as it was given. settings: what defines its recipe, the epochs that it came to, and its data."""

    name: str
    folder: Path
    recipe: str
    seed: int
    settings: dict[str, Any]


@dataclass(frozen=True)
class Figures:
    """The accuracies of some runs on n digits, each a fraction."""

    n: int
    accuracies: tuple[float, ...]

    @property
    def mean(self) -> float:
        """Of the runs."""
        return fmean(self.accuracies)

    @property
    def sd(self) -> float | None:
        """Standard deviation between runs; None where there is one."""
        return stdev(self.accuracies) if len(self.accuracies) > 1 else None

    @property
    def ci95(self) -> tuple[float, float] | None:
        """The 95 % interval of the mean over all seeds there are; None where there is one run."""
        return mean_interval(self.accuracies) if len(self.accuracies) > 1 else None

    def to_json(self) -> dict[str, Any]:
        """As `compare --json` prints them."""
        return {
            "n": self.n,
            "accuracy_mean": self.mean,
            "accuracy_sd": self.sd,
            "accuracy_ci95": self.ci95 and list(self.ci95),
            "accuracies": list(self.accuracies),
        }


@dataclass(frozen=True)
class Group:
    """The runs of one recipe.

    right: bool (runs, digits); without_mislabelled: None where all labels are taken as right; nll: mean cross-entropy in nats of
    each run, of the probabilities that it gives out.
    """

    recipe: str
    seeds: tuple[int, ...]
    right: NDArray[np.bool_]
    all_labels: Figures
    without_mislabelled: Figures | None
    nll: tuple[float, ...]

    def to_json(self) -> dict[str, Any]:
        """As `compare --json` prints it."""
        clean = self.without_mislabelled and self.without_mislabelled.to_json()
        named = {"recipe": self.recipe, "runs": len(self.seeds), "seeds": list(self.seeds)}
        nll = {
            "nll_mean": fmean(self.nll),
            "nll_sd": stdev(self.nll) if len(self.nll) > 1 else None,
        }
        return named | self.all_labels.to_json() | {"without_mislabelled": clean} | nll


@dataclass(frozen=True)
class Difference:
    """Two recipes. difference: of their mean accuracies, first less second; p: the chance of one as large if there were none.

    test: "permutation" of the seeds, with the smallest p that so few runs can have; or, for single runs, "mcnemar", with the
    digits that only one of them reads right.
    """

    first: str
    second: str
    difference: float
    test: str
    p: float
    smallest_p: float | None = None
    only_first: int | None = None
    only_second: int | None = None


@dataclass(frozen=True)
class Comparison:
    """All recipes on one split, and all pairs of them."""

    data: str
    split: str
    groups: tuple[Group, ...]
    differences: tuple[Difference, ...]

    def to_json(self) -> dict[str, Any]:
        """The object that `compare --json` prints. Fractions, not per cent."""
        return {
            "data": self.data,
            "split": self.split,
            "recipes": [group.to_json() for group in self.groups],
            "differences": [
                {key: value for key, value in vars(difference).items() if value is not None}
                for difference in self.differences
            ],
        }


def compare(
    paths: Sequence[str | Path],
    data: str | Path = "mnist",
    split: str = "test",
    *,
    data_dir: str | Path | None = None,
    progress: ProgressCallback | None = None,
) -> Comparison:
    """Measure runs and compare their recipes.

    paths: run folders, folders that hold some, and names of shipped models. Runs of one recipe, told apart by nothing but their
    seed, are taken together; but two runs, and no more, are always compared with each other. data, split: as for `evaluate`.
    Raises BadModel, BadValue, UnknownName and what `load_dataset` raises.
    """
    groups = group_runs(
        list({run.folder.resolve(): run for path in paths for run in find_runs(path)}.values())
    )
    dataset = load_dataset(data, data_dir=data_dir, progress=progress)
    digits = dataset[split]
    digits = digits[digits.labels < CLASSES]
    if not len(digits):
        raise BadData(f"{dataset.name} has no digits in its split {split!r}")
    mislabelled = MISLABELLED if (dataset.name, split) == ("mnist", "test") else ()
    measured: list[Group] = []
    for name, runs in groups.items():
        if progress:
            progress("reading the digits with each run's model", len(measured), len(groups))
        measured.append(_measured(name, runs, digits, mislabelled))
    differences = tuple(_difference(first, second) for first, second in combinations(measured, 2))
    return Comparison(dataset.name, split, tuple(measured), differences)


# ---- runs


def find_runs(path: str | Path) -> list[Run]:
    """The run that a folder or a shipped model is, or the runs that a folder holds. Raises BadModel where there are none."""
    folder = shipped_folder(str(path)) or Path(path)
    if (folder / CONFIG_FILE).is_file():
        return [_read_run(str(path), folder)]
    inside = sorted(config.parent for config in folder.glob(f"*/{CONFIG_FILE}"))
    if not inside:
        raise BadModel(
            f"{str(path)!r} is no run; wanted is a folder made by `inkdigits train`, or one that holds such folders"
        )
    return [_read_run(str(each), each) for each in inside]


def _read_run(name: str, folder: Path) -> Run:
    try:
        config = json.loads((folder / CONFIG_FILE).read_bytes())
        recipe = from_table(config["recipe"])
        settings = {"name": recipe.name, **recipe.what_it_trains}
        settings |= {"epochs": config["final"]["epochs"], "data": config["data"]["name"]}
        return Run(name, folder, recipe.name, int(config["seed"]), settings)
    except (OSError, ValueError, KeyError, TypeError, RecursionError, InkdigitsError) as error:
        raise BadModel(
            f"{folder / CONFIG_FILE} is damaged, or of another version: {error}"
        ) from error


def group_runs(runs: Sequence[Run]) -> dict[str, list[Run]]:
    """By recipe, in the order given; each by itself where there are two. Recipes of one name are told apart by what differs.

    Raises BadValue where a seed comes twice, as a copy of a run proves nothing.
    """
    if len(runs) == 2:
        return {run.name: [run] for run in runs}
    alike: dict[str, list[Run]] = {}
    for run in runs:
        alike.setdefault(json.dumps(run.settings, sort_keys=True), []).append(run)
    for group in alike.values():
        group.sort(key=lambda run: run.seed)
        for run, after in pairwise(group):
            if run.seed == after.seed:
                raise BadValue(
                    f"{run.name} and {after.name} are the same recipe with the same seed: name one of them"
                )
    firsts = [group[0] for group in alike.values()]
    return {_name(group[0], firsts): group for group in alike.values()}


def _name(run: Run, others: Sequence[Run]) -> str:
    namesakes = [other.settings for other in others if other.recipe == run.recipe]
    differing = [
        key
        for key, value in run.settings.items()
        if any(other[key] != value for other in namesakes)
    ]
    return run.recipe + (
        f" ({', '.join(f'{key} {run.settings[key]}' for key in differing)})" if differing else ""
    )


# ---- figures


def _measured(name: str, runs: Sequence[Run], digits: Split, mislabelled: Sequence[int]) -> Group:
    said = [Recogniser(run.folder).classify(digits.images) for run in runs]
    right = np.array([probabilities.argmax(axis=1) == digits.labels for probabilities in said])
    without = _figures(np.delete(right, mislabelled, axis=1)) if mislabelled else None
    nll = tuple(evaluate_probabilities(probabilities, digits.labels).nll for probabilities in said)
    return Group(name, tuple(run.seed for run in runs), right, _figures(right), without, nll)


def _figures(right: NDArray[np.bool_]) -> Figures:
    return Figures(right.shape[1], tuple(right.mean(axis=1).tolist()))


def _difference(first: Group, second: Group) -> Difference:
    difference = first.all_labels.mean - second.all_labels.mean
    if len(first.right) == len(second.right) == 1:
        only_first, only_second = (
            int(np.sum(a & ~b))
            for a, b in ((first.right, second.right), (second.right, first.right))
        )
        p = mcnemar_p(only_first, only_second)
        return Difference(
            first.recipe, second.recipe, difference, "mcnemar", p, None, only_first, only_second
        )
    p = permutation_p(*(group.right.sum(axis=1).tolist() for group in (first, second)))
    smallest = smallest_p(len(first.right), len(second.right))
    return Difference(first.recipe, second.recipe, difference, "permutation", p, smallest)


# ---- text


def summary(comparison: Comparison) -> str:
    """The comparison as text for a terminal: a line a recipe, and a line a pair."""
    groups = comparison.groups
    clean = groups[0].without_mislabelled is not None
    width = max(len("recipe"), *(len(group.recipe) for group in groups))
    heading = f"  {'recipe':<{width}}  runs  accuracy     sd  mean's 95 % interval     nll"
    lines = [
        f"{comparison.data}, {comparison.split}: {groups[0].all_labels.n:,} digits",
        "",
        heading + ("  cleaned*" if clean else ""),
        *(_group_line(group, width) for group in groups),
    ]
    if clean:
        lines += [
            "",
            f"* without {len(MISLABELLED)} digits whose labels people outvote (Northcutt et al. 2021)",
        ]
    if comparison.differences:
        pairs = [
            f"{difference.first} - {difference.second}" for difference in comparison.differences
        ]
        width = max(len("difference"), *map(len, pairs))
        lines += ["", f"  {'difference':<{width}}  points  p-value"]
        lines += [
            _difference_line(*row, width) for row in zip(comparison.differences, pairs, strict=True)
        ]
        tests = {difference.test for difference in comparison.differences}
        lines += ["", *(note for test, note in NOTES.items() if test in tests)]
    return "\n".join(lines)


def _group_line(group: Group, width: int) -> str:
    figures, clean = group.all_labels, group.without_mislabelled
    sd = "-" if figures.sd is None else f"{100 * figures.sd:.2f}"
    interval = (
        "-"
        if figures.ci95 is None
        else " to ".join(f"{100 * end:.2f}" for end in figures.ci95) + " %"
    )
    line = f"  {group.recipe:<{width}}  {len(group.seeds):4}  {percent(figures.mean):>8}  {sd:>5}  {interval:>20}"
    line += f"  {fmean(group.nll):.4f}"
    return line + (f"  {percent(clean.mean):>8}" if clean else "")


def _difference_line(difference: Difference, pair: str, width: int) -> str:
    line = f"  {pair:<{width}}  {100 * difference.difference:+6.2f}  {difference.p:7.2g}"
    if difference.smallest_p is not None:
        return f"{line}  permutation, at least {difference.smallest_p:.2g}"
    return f"{line}  McNemar, {difference.only_first:,} against {difference.only_second:,} digits"
