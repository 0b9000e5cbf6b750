"""What a sweep found: results of trials in, a table for people, rows for programs and the best recipe as a .toml out.

Knows nothing of Optuna, training or torch. Every figure is of validation digits.
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

TABLE, BEST = "trials.csv", "best.toml"
UNDER_WAY = "under way"  # the state of a trial that has not come to its end
SHOWN = 10  # rows of the table for people; trials.csv has all


@dataclass(frozen=True)
class Figures:
    """What one seed of a trial reached after its last epoch: a fraction, nats, and the seconds of training alone."""

    validation_accuracy: float
    validation_loss: float
    seconds: float


@dataclass(frozen=True)
class Result:
    """A trial. state: finished, pruned (worse than most after its first seeds), failed (`reason` says why), or under way."""

    trial: int  # counted from 1
    state: str
    settings: Mapping[str, Value]
    seeds: tuple[Figures, ...]  # those that are finished
    reason: str | None = None

    @property
    def over(self) -> bool:
        """Whether it has come to its end, good or bad."""
        return self.state != UNDER_WAY

    def values(self, key: str) -> list[float]:
        """One figure of every seed."""
        return [getattr(figures, key) for figures in self.seeds]

    def to_record(self) -> dict[str, Any]:
        """The object that `sweep --json` prints for it: means over seeds, null without any, and deviations, null for one alone."""
        record: dict[str, Any] = {"trial": self.trial, "state": self.state, "n": len(self.seeds)}
        for key in METRICS:
            values = self.values(key)
            record[key] = round(mean(values), DIGITS_TO_KEEP) if values else None
            record[f"{key}_sd"] = round(stdev(values), DIGITS_TO_KEEP) if len(values) > 1 else None
        record["seconds"] = round(sum(self.values("seconds")), 3)
        return record | {"reason": self.reason, "settings": dict(self.settings)}


def best(results: Sequence[Result], metric: str) -> list[Result]:
    """The finished trials, the best first; of equally good ones the earlier."""
    finished = [result for result in results if result.state == "finished"]
    sign = -1 if METRICS[metric] == "maximize" else 1
    return sorted(finished, key=lambda result: sign * mean(result.values(metric)))


def as_csv(results: Sequence[Result]) -> str:
    """A row for every trial, of which there is one at least, and a column for every key."""
    records = [result.to_record() for result in results]
    rows = [{**record.pop("settings"), **record} for record in records]
    text = io.StringIO()
    writer = csv.DictWriter(text, [*records[0], *results[0].settings], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def as_recipe(space: Space, chosen: Result, trials: int) -> str:
    """The recipe of a trial as a .toml that `inkdigits train` takes: every key that is not as `Recipe` has it anyway."""
    figures = f"{metric_name(space.metric)} {figure(chosen, space.metric)} over {seeds(len(chosen.seeds))}"
    facts = {
        "summary": f"the best of {trials} trials around {space.recipe.name}",
        "source": f"Found by `inkdigits sweep`: trial {chosen.trial}, {figures}. {_as_settings(chosen.settings)}",
    }
    plain, table = to_table(Recipe("", "")), to_table(space.recipe_with(chosen.settings))
    said = {
        key: value
        for key, value in table.items()
        if key not in ("name", "base", *EVIDENCE) and value != plain[key]
    }
    return "".join(f"{key} = {_toml(value)}\n" for key, value in (facts | said).items())


def _toml(value: Any) -> str:
    """JSON's texts, numbers and lists are TOML's, too; its objects are not."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {_toml(each)}" for key, each in value.items()) + " }"
    return json.dumps(value, ensure_ascii=False)


def line(result: Result, space: Space) -> str:
    """A trial that has come to its end."""
    trial = f"trial {result.trial:>{len(str(space.trials))}}/{space.trials}"
    if result.state == "failed":
        return f"{trial}  failed: {result.reason}  {_as_settings(result.settings)}"
    pruned = "  pruned" if result.state == "pruned" else ""
    spent = f"n {len(result.seeds)}  {sum(result.values('seconds')):.1f} s"
    return (
        f"{trial}  {figure(result, space.metric)}  {spent}{pruned}  {_as_settings(result.settings)}"
    )


def summary(results: Sequence[Result], space: Space, out: Path) -> list[str]:
    """Lines for people: how many trials came to which end, the best ones under a heading, and where to find them all."""
    states = [result.state for result in results]
    counts = ", ".join(f"{states.count(state)} {state}" for state in sorted(set(states)))
    lines = [f"{space.recipe.name} on {space.recipe.data}, {space.trials} trials: {counts}"]
    ranked = best(results, space.metric)
    if not ranked:
        return lines
    lines.append(f"{'trial':>5}  {metric_name(space.metric):<19}  {'n':>2}  {'time':>8}  settings")
    for result in ranked[:SHOWN]:
        seconds = f"{sum(result.values('seconds')):.1f} s"
        figures = f"{figure(result, space.metric):<19}  {len(result.seeds):>2}  {seconds:>8}"
        lines.append(f"{result.trial:>5}  {figures}  {_as_settings(result.settings)}")
    lines.append(f"the best as a recipe: {out / BEST}; all trials: {out / TABLE}")
    lines.append(
        f"The best of many was lucky, too: `inkdigits train {out / BEST} --out DIR` tells what it is like on test digits."
    )
    return lines


def figure(result: Result, metric: str) -> str:
    """Mean and, over several seeds, standard deviation."""
    values = result.values(metric)
    if metric == "validation_accuracy":
        return percent(mean(values)) + (f" ± {100 * stdev(values):.2f}" if len(values) > 1 else "")
    return f"{mean(values):.4f}" + (f" ± {stdev(values):.4f}" if len(values) > 1 else "")


def metric_name(metric: str) -> str:
    """As people write it."""
    return metric.replace("_", " ")


def seeds(count: int) -> str:
    """In words."""
    return f"{count} seed{'s' if count > 1 else ''}"


def _as_settings(settings: Mapping[str, Value]) -> str:
    """As `--set` takes them, but for digits that say nothing."""
    return " ".join(
        f"{key}={value:.4g}" if isinstance(value, float) else f"{key}={_plain(value)}"
        for key, value in settings.items()
    )


def _plain(value: Value) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
