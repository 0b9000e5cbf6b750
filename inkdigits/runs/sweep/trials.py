"""Results of trials in; a table for people, rows for programs, and the best recipe as .toml out.

Every figure is of validation digits. Needs neither Optuna nor torch.
"""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from inkdigits.core.digits import DIGITS_TO_KEEP
from inkdigits.evaluation.metrics import percent
from inkdigits.runs.sweep.space import METRICS, Space, Value
from inkdigits.training.recipe import EVIDENCE, Recipe, to_table

TRIALS_FILE = "trials.csv"
BEST_FILE = "best.toml"
FINISHED = "finished"
UNDER_WAY = "under way"  # the state of a trial that has not come to its end
ROWS_SHOWN = 10  # of the table for people; trials.csv has all


@dataclass(frozen=True)
class SeedFigures:
    """What one seed of a trial reached after its last epoch.

    Attributes:
        validation_accuracy: a fraction.
        validation_loss: the mean cross-entropy, in nats.
        seconds: of training alone.
    """

    validation_accuracy: float
    validation_loss: float
    seconds: float


@dataclass(frozen=True)
class TrialResult:
    """What became of a trial.

    Attributes:
        trial: its number, counted from 1.
        state: finished, pruned (worse than most after its first seeds), failed, or under way.
        settings: the keys of the recipe that were tried.
        seeds: what its finished seeds reached.
        reason: why it failed; None if it did not.
    """

    trial: int
    state: str
    settings: Mapping[str, Value]
    seeds: tuple[SeedFigures, ...]
    reason: str | None = None

    @property
    def over(self) -> bool:
        """Whether it has come to its end, good or bad."""
        return self.state != UNDER_WAY

    @property
    def total_seconds(self) -> float:
        """The seconds of training of all seeds."""
        return sum(self.values("seconds"))

    def values(self, key: str) -> list[float]:
        """List one figure of every seed."""
        return [getattr(figures, key) for figures in self.seeds]

    def to_record(self) -> dict[str, Any]:
        """Return the object that `sweep --json` prints for it.

        Means over seeds are null without any seed, standard deviations also of a single one.
        """
        record: dict[str, Any] = {"trial": self.trial, "state": self.state, "n": len(self.seeds)}
        for key in METRICS:
            values = self.values(key)
            record[key] = round(mean(values), DIGITS_TO_KEEP) if values else None
            record[f"{key}_sd"] = round(stdev(values), DIGITS_TO_KEEP) if len(values) > 1 else None

        record["seconds"] = round(self.total_seconds, 3)
        return record | {"reason": self.reason, "settings": dict(self.settings)}


def rank_results(results: Sequence[TrialResult], metric: str) -> list[TrialResult]:
    """List the finished trials, the best first; of equally good ones the earlier."""
    finished = [result for result in results if result.state == FINISHED]
    sign = -1 if METRICS[metric] == "maximize" else 1
    return sorted(finished, key=lambda result: sign * mean(result.values(metric)))


def as_csv(results: Sequence[TrialResult]) -> str:
    """Write a row for every trial, at least one, and a column for every key."""
    records = [result.to_record() for result in results]
    rows = [{**record.pop("settings"), **record} for record in records]

    text = io.StringIO()
    writer = csv.DictWriter(text, [*records[0], *results[0].settings], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def as_recipe(space: Space, chosen: TrialResult, trials: int) -> str:
    """Write the recipe of a trial as a .toml that `inkdigits train` takes.

    Args:
        space: what was searched.
        chosen: the trial.
        trials: how many there were.

    Returns:
        Every key that is not as `Recipe` has it anyway.
    """
    count = len(chosen.seeds)
    over = f"{count} seed{'s' if count > 1 else ''}"
    figures = f"{_metric_name(space)} {format_figure(chosen, space.metric)} over {over}"
    settings = _as_settings(chosen.settings)
    facts = {
        "summary": f"the best of {trials} trials around {space.recipe.name}",
        "source": f"Found by `inkdigits sweep`: trial {chosen.trial}, {figures}. {settings}",
    }

    plain = to_table(Recipe("", ""))
    changed = {
        key: value
        for key, value in to_table(space.recipe_with(chosen.settings)).items()
        if key not in ("name", "base", *EVIDENCE) and value != plain[key]
    }
    return "".join(f"{key} = {_toml(value)}\n" for key, value in (facts | changed).items())


def _toml(value: Any) -> str:
    """Write a value as TOML: JSON's texts, numbers and lists are the same, its objects are not."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {_toml(each)}" for key, each in value.items()) + " }"
    return json.dumps(value, ensure_ascii=False)


def describe_trial(result: TrialResult, space: Space) -> str:
    """Describe a trial that has come to its end in a line."""
    trial = f"trial {result.trial:>{len(str(space.trials))}}/{space.trials}"
    settings = _as_settings(result.settings)
    if result.state == "failed":
        return f"{trial}  failed: {result.reason}  {settings}"

    figure = format_figure(result, space.metric)
    spent = f"n {len(result.seeds)}  {result.total_seconds:.1f} s"
    pruned = "  pruned" if result.state == "pruned" else ""
    return f"{trial}  {figure}  {spent}{pruned}  {settings}"


def describe_sweep(results: Sequence[TrialResult], space: Space, out: Path) -> list[str]:
    """Describe a sweep in lines: how its trials ended, the best ones, and where to find all."""
    states = [result.state for result in results]
    counts = ", ".join(f"{states.count(state)} {state}" for state in sorted(set(states)))
    lines = [f"{space.recipe.name} on {space.recipe.data}, {space.trials} trials: {counts}"]
    ranked = rank_results(results, space.metric)
    if not ranked:
        return lines

    lines.append(f"{'trial':>5}  {_metric_name(space):<19}  {'n':>2}  {'time':>8}  settings")
    for result in ranked[:ROWS_SHOWN]:
        figure = f"{format_figure(result, space.metric):<19}"
        seconds = f"{result.total_seconds:.1f} s"
        spent = f"{len(result.seeds):>2}  {seconds:>8}"
        lines.append(f"{result.trial:>5}  {figure}  {spent}  {_as_settings(result.settings)}")

    best = out / BEST_FILE
    lines.append(f"the best as a recipe: {best}; all trials: {out / TRIALS_FILE}")
    lines.append(
        f"The best of many was lucky, too: `inkdigits train {best} --out DIR` tells what it is "
        "like on test digits."
    )
    return lines


def format_figure(result: TrialResult, metric: str) -> str:
    """Format the mean over seeds and, of several, the standard deviation."""
    values = result.values(metric)
    is_share = metric == "validation_accuracy"
    figure = percent(mean(values)) if is_share else f"{mean(values):.4f}"
    if len(values) == 1:
        return figure

    sd = stdev(values)
    return f"{figure} ± {100 * sd:.2f}" if is_share else f"{figure} ± {sd:.4f}"


def _metric_name(space: Space) -> str:
    """Return the metric as people write it."""
    return space.metric.replace("_", " ")


def _as_settings(settings: Mapping[str, Value]) -> str:
    """Write settings as `--set` takes them, but for digits that say nothing."""
    return " ".join(f"{key}={_plain(value)}" for key, value in settings.items())


def _plain(value: Value) -> str:
    """Write one value of a setting."""
    if isinstance(value, float):
        return f"{value:.4g}"
    return str(value).lower() if isinstance(value, bool) else str(value)
