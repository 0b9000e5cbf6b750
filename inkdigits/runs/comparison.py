"""Run folders in, what their recipes reach and whether they differ out.

Runs are grouped by recipe, over all their seeds, and measured on the same digits. No run keeps its
predictions, so the digits are read again with each run's model.onnx. Needs no torch; the
statistics are in `evaluation.significance`.
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
from inkdigits.core.files import read_config
from inkdigits.core.progress import ProgressCallback
from inkdigits.data.catalogue import MISLABELLED
from inkdigits.data.datasets import Split, load_dataset
from inkdigits.evaluation.metrics import evaluate_probabilities, percent
from inkdigits.evaluation.significance import mcnemar_p, mean_interval, permutation_p, smallest_p
from inkdigits.reading.model_files import shipped_folder
from inkdigits.reading.recogniser import Recogniser
from inkdigits.training.recipe import from_table

# Below the table, for each test that gave a p-value.
TEST_NOTES = {
    "permutation": "permutation: of the seeds; of so few of them no p-value can be smaller",
    "mcnemar": "McNemar: of the digits that only the first, or only the second, reads right",
}


@dataclass(frozen=True)
class ComparedRun:
    """A run folder.

    Attributes:
        name: the folder, as it was given.
        folder: its path.
        recipe: the name of its recipe.
        seed: of the run.
        settings: what defines its recipe, the epochs that were trained, and its data.
    """

    name: str
    folder: Path
    recipe: str
    seed: int
    settings: dict[str, Any]


@dataclass(frozen=True)
class Accuracies:
    """The accuracies of some runs on n digits, each a fraction."""

    n: int
    accuracies: tuple[float, ...]

    @property
    def mean(self) -> float:
        """The mean over runs."""
        return fmean(self.accuracies)

    @property
    def sd(self) -> float | None:
        """The standard deviation between runs; None of a single run."""
        return _sd(self.accuracies)

    @property
    def ci95(self) -> tuple[float, float] | None:
        """The 95 % interval of the mean over all possible seeds; None of a single run."""
        return mean_interval(self.accuracies) if len(self.accuracies) > 1 else None

    def to_json(self) -> dict[str, Any]:
        """Return what `compare --json` prints of them."""
        return {
            "n": self.n,
            "accuracy_mean": self.mean,
            "accuracy_sd": self.sd,
            "accuracy_ci95": self.ci95 and list(self.ci95),
            "accuracies": list(self.accuracies),
        }


def _sd(values: Sequence[float]) -> float | None:
    """Return the standard deviation, None of a single value."""
    return stdev(values) if len(values) > 1 else None


@dataclass(frozen=True)
class Group:
    """The runs of one recipe.

    Attributes:
        recipe: its name, with what differs if several recipes have that name.
        seeds: of the runs.
        right: bool (runs, digits), which digits each run reads right.
        all_labels: the accuracies on all digits.
        without_mislabelled: the same without digits whose labels are wrong; None if all labels are
            taken as right.
        nll: the mean cross-entropy of each run, in nats, of the probabilities that it returns.
    """

    recipe: str
    seeds: tuple[int, ...]
    right: NDArray[np.bool_]
    all_labels: Accuracies
    without_mislabelled: Accuracies | None
    nll: tuple[float, ...]

    def to_json(self) -> dict[str, Any]:
        """Return what `compare --json` prints of it."""
        return {
            "recipe": self.recipe,
            "runs": len(self.seeds),
            "seeds": list(self.seeds),
            **self.all_labels.to_json(),
            "without_mislabelled": self.without_mislabelled and self.without_mislabelled.to_json(),
            "nll_mean": fmean(self.nll),
            "nll_sd": _sd(self.nll),
        }


@dataclass(frozen=True)
class Difference:
    """Two recipes, and whether they differ.

    Attributes:
        first: the name of the first recipe.
        second: the name of the second recipe.
        difference: of their mean accuracies, first less second.
        test: "permutation" of the seeds, or "mcnemar" for single runs.
        p: the chance of a difference at least as large if there were none.
        smallest_p: the smallest p that so few runs can have; None with "mcnemar".
        only_first: the digits that only the first reads right; None with "permutation".
        only_second: the digits that only the second reads right; None with "permutation".
    """

    first: str
    second: str
    difference: float
    test: str
    p: float
    smallest_p: float | None = None
    only_first: int | None = None
    only_second: int | None = None

    def to_json(self) -> dict[str, Any]:
        """Return what `compare --json` prints of it."""
        return {key: value for key, value in vars(self).items() if value is not None}


@dataclass(frozen=True)
class Comparison:
    """All recipes on one split, and all pairs of them."""

    data: str
    split: str
    groups: tuple[Group, ...]
    differences: tuple[Difference, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the object that `compare --json` prints. Fractions, not per cent."""
        return {
            "data": self.data,
            "split": self.split,
            "recipes": [group.to_json() for group in self.groups],
            "differences": [difference.to_json() for difference in self.differences],
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

    Runs that differ only in their seed are taken together; but exactly two runs are always
    compared with each other.

    Args:
        paths: run folders, folders that hold some, and names of shipped models.
        data: the name or path of a dataset.
        split: the name of a split.
        data_dir: the folder with the datasets; None for the default one.
        progress: as for `load_dataset`; also told of each recipe.

    Raises:
        BadModel: a path holds no run, or a damaged one.
        BadValue: a recipe has the same seed twice.
        BadData: the split has no digits.
        InkdigitsError: as for `load_dataset`.
    """
    runs = {run.folder.resolve(): run for path in paths for run in find_runs(path)}
    groups = group_runs(list(runs.values()))

    dataset = load_dataset(data, data_dir=data_dir, progress=progress)
    digits = dataset[split]
    digits = digits[digits.labels < CLASSES]
    if not len(digits):
        raise BadData(f"{dataset.name} has no digits in its split {split!r}")
    mislabelled = MISLABELLED if (dataset.name, split) == ("mnist", "test") else ()

    measured: list[Group] = []
    for name, members in groups.items():
        if progress:
            progress("reading the digits with each run's model", len(measured), len(groups))
        measured.append(_measured(name, members, digits, mislabelled))

    differences = tuple(_difference(first, second) for first, second in combinations(measured, 2))
    return Comparison(dataset.name, split, tuple(measured), differences)


# ---- runs


def find_runs(path: str | Path) -> list[ComparedRun]:
    """Find the run that a folder or a shipped model is, or the runs that a folder holds.

    Raises:
        BadModel: there are none, or one is damaged.
    """
    folder = shipped_folder(str(path)) or Path(path)
    if (folder / CONFIG_FILE).is_file():
        return [_read_run(str(path), folder)]

    inside = sorted(config.parent for config in folder.glob(f"*/{CONFIG_FILE}"))
    if not inside:
        raise BadModel(
            f"{str(path)!r} is no run; expected a folder made by `inkdigits train`, "
            "or one that holds such folders"
        )
    return [_read_run(str(each), each) for each in inside]


def _read_run(name: str, folder: Path) -> ComparedRun:
    """Read what a run folder says of itself, or raise BadModel."""
    path = folder / CONFIG_FILE
    try:
        config = read_config(path)
        recipe = from_table(config["recipe"])
        settings = {
            "name": recipe.name,
            **recipe.what_it_trains,
            "epochs": config["final"]["epochs"],
            "data": config["data"]["name"],
        }
        return ComparedRun(name, folder, recipe.name, int(config["seed"]), settings)
    except (OSError, ValueError, KeyError, TypeError, RecursionError, InkdigitsError) as error:
        raise BadModel(f"{path} is damaged, or of another version: {error}") from error


def group_runs(runs: Sequence[ComparedRun]) -> dict[str, list[ComparedRun]]:
    """Group runs by their recipe, in the order given.

    Two runs are a group each. Recipes that share a name are told apart by what differs.

    Raises:
        BadValue: a recipe has the same seed twice; a copy of a run proves nothing.
    """
    if len(runs) == 2:
        return {run.name: [run] for run in runs}

    alike: dict[str, list[ComparedRun]] = {}
    for run in runs:
        alike.setdefault(json.dumps(run.settings, sort_keys=True), []).append(run)

    for group in alike.values():
        group.sort(key=lambda run: run.seed)
        for run, after in pairwise(group):
            if run.seed == after.seed:
                raise BadValue(
                    f"{run.name} and {after.name} are the same recipe with the same seed: "
                    "name one of them"
                )

    firsts = [group[0] for group in alike.values()]
    return {_group_name(group[0], firsts): group for group in alike.values()}


def _group_name(run: ComparedRun, others: Sequence[ComparedRun]) -> str:
    """Name a recipe, with the settings in which its namesakes differ."""
    namesakes = [other.settings for other in others if other.recipe == run.recipe]
    differing = [
        f"{key} {value}"
        for key, value in run.settings.items()
        if any(other[key] != value for other in namesakes)
    ]
    return f"{run.recipe} ({', '.join(differing)})" if differing else run.recipe


# ---- figures


def _measured(
    name: str, runs: Sequence[ComparedRun], digits: Split, mislabelled: Sequence[int]
) -> Group:
    """Measure the runs of one recipe."""
    answers = [Recogniser(run.folder).classify(digits.images) for run in runs]
    right = np.array([answer.argmax(axis=1) == digits.labels for answer in answers])
    return Group(
        name,
        seeds=tuple(run.seed for run in runs),
        right=right,
        all_labels=_accuracies(right),
        without_mislabelled=(
            _accuracies(np.delete(right, mislabelled, axis=1)) if mislabelled else None
        ),
        nll=tuple(evaluate_probabilities(answer, digits.labels).nll for answer in answers),
    )


def _accuracies(right: NDArray[np.bool_]) -> Accuracies:
    """Average over digits: bool (runs, digits)."""
    return Accuracies(right.shape[1], tuple(right.mean(axis=1).tolist()))


def _difference(first: Group, second: Group) -> Difference:
    """Test two recipes against each other."""
    difference = first.all_labels.mean - second.all_labels.mean
    runs = len(first.right), len(second.right)
    if runs == (1, 1):
        only_first = int((first.right & ~second.right).sum())
        only_second = int((second.right & ~first.right).sum())
        return Difference(
            first.recipe,
            second.recipe,
            difference,
            "mcnemar",
            mcnemar_p(only_first, only_second),
            only_first=only_first,
            only_second=only_second,
        )

    counts = [group.right.sum(axis=1).tolist() for group in (first, second)]
    p = permutation_p(*counts)
    return Difference(first.recipe, second.recipe, difference, "permutation", p, smallest_p(*runs))


# ---- text


def describe_comparison(comparison: Comparison) -> str:
    """Describe the comparison for a terminal: a line a recipe, and a line a pair."""
    groups = comparison.groups
    cleaned = groups[0].without_mislabelled is not None
    width = max(len("recipe"), *(len(group.recipe) for group in groups))
    heading = f"  {'recipe':<{width}}  runs  accuracy     sd  mean's 95 % interval     nll"

    lines = [
        f"{comparison.data}, {comparison.split}: {groups[0].all_labels.n:,} digits",
        "",
        f"{heading}  cleaned*" if cleaned else heading,
        *(_group_line(group, width) for group in groups),
    ]
    if cleaned:
        without = f"without {len(MISLABELLED)} digits whose labels people outvote"
        lines += ["", f"* {without} (Northcutt et al. 2021)"]
    if comparison.differences:
        lines += ["", *_difference_lines(comparison.differences)]

    return "\n".join(lines)


def _group_line(group: Group, width: int) -> str:
    """Describe one recipe in a row."""
    figures = group.all_labels
    sd = "-"
    interval = "-"
    if figures.sd is not None and figures.ci95 is not None:
        low, high = figures.ci95
        sd = f"{100 * figures.sd:.2f}"
        interval = f"{100 * low:.2f} to {100 * high:.2f} %"

    runs = f"{len(group.seeds):4}  {percent(figures.mean):>8}  {sd:>5}  {interval:>20}"
    line = f"  {group.recipe:<{width}}  {runs}  {fmean(group.nll):.4f}"
    if group.without_mislabelled is None:
        return line
    return f"{line}  {percent(group.without_mislabelled.mean):>8}"


def _difference_lines(differences: Sequence[Difference]) -> list[str]:
    """Describe each pair in a row, and the tests below."""
    pairs = [f"{each.first} - {each.second}" for each in differences]
    width = max(len("difference"), *map(len, pairs))
    lines = [f"  {'difference':<{width}}  points  p-value"]
    for each, pair in zip(differences, pairs, strict=True):
        if each.smallest_p is None:
            test = f"McNemar, {each.only_first:,} against {each.only_second:,} digits"
        else:
            test = f"permutation, at least {each.smallest_p:.2g}"
        points = f"{100 * each.difference:+6.2f}"
        lines.append(f"  {pair:<{width}}  {points}  {each.p:7.2g}  {test}")

    tests = {each.test for each in differences}
    return [*lines, "", *(note for test, note in TEST_NOTES.items() if test in tests)]
