"""A sweep tries each trial once, also if processes are killed, and only validation digits judge."""

import csv
import functools
import json
import os
import random
import re
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import mean, median, stdev
from types import SimpleNamespace
from typing import IO, Any

import optuna
import pytest
import sqlalchemy

from inkdigits.command import cli
from inkdigits.core.errors import (
    BadData,
    BadValue,
    CannotWrite,
    InkdigitsError,
    MissingExtra,
    UnknownName,
)
from inkdigits.core.files import file_lock
from inkdigits.data.datasets import Dataset, load_dataset
from inkdigits.runs.engines import Underway
from inkdigits.runs.run import train
from inkdigits.runs.sweep import workers
from inkdigits.runs.sweep.space import Choice, Range, Space, load_space
from inkdigits.runs.sweep.study import LOCK_NAME, Search
from inkdigits.runs.sweep.trials import SeedFigures, TrialResult
from inkdigits.runs.sweep.workers import sweep
from inkdigits.training.figures import TrainingProgress
from inkdigits.training.loop import Training
from inkdigits.training.recipe import load_recipe

pytestmark = pytest.mark.slow  # networks are trained

TRAINED = """
recipe = "lenet"
data = "optdigits"
seeds = 2
trials = 4
[space]
learning_rate = { low = 1e-3, high = 1e-2, log = true }
batch = { low = 256, high = 512, step = 128 }
[set]
epochs = 1
"""


@pytest.fixture(autouse=True)
def _no_need_to_reach_the_disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """In this process. SQLite waits for the disk some ten times a trial."""

    def in_no_hurry(connection: Any, _: object) -> None:
        connection.execute("PRAGMA synchronous = OFF").close()

    monkeypatch.setattr(os, "fsync", lambda _: None)
    sqlalchemy.event.listen(sqlalchemy.Engine, "connect", in_no_hurry)
    yield
    sqlalchemy.event.remove(sqlalchemy.Engine, "connect", in_no_hurry)


@pytest.fixture
def described(tmp_path: Path) -> Callable[..., Space]:
    """A space of a file with such a text."""

    def described(text: str = TRAINED, **options: object) -> Space:
        path = tmp_path / "space.toml"
        path.write_text(textwrap.dedent(text))
        return load_space(path, **options)

    return described


def score(settings: dict[str, float], seed: int = 0) -> SeedFigures:
    """A made-up landscape, a little rough: the best is at a learning rate of 0.01."""
    loss = (
        abs(settings["learning_rate"] - 0.01) + 0.01 * random.Random(f"{settings} {seed}").random()
    )
    return SeedFigures(1 - loss, loss, 1.0)


def drive(search: Search, most: int = 10**6) -> list[TrialResult]:
    """Go on with a search of made-up figures, for so many trials."""
    for _ in range(most):
        attempt = search.claim()
        if attempt is None:
            break
        with attempt:
            attempt.advance()
            while not attempt.over:
                attempt.advance(score(attempt.settings, len(attempt.seeds)))
    return search.results()


MADE_UP = """
recipe = "tiny"
trials = 12
prune = false
[space]
learning_rate = { low = 1e-4, high = 0.1, log = true }
batch = { low = 32, high = 256, step = 32 }
optimiser = ["adam", "sgd"]
options.channels = { low = 2, high = 9 }
"""

# ---- the space


def test_a_space_is_what_its_file_says(described) -> None:
    space = described("""
        recipe = "tiny"
        [space]
        optimiser = ["adam", "sgd"]
        learning_rate = { low = 1, high = 10, log = true }
        batch = { low = 32, high = 250, step = 32 }
        shift = { low = 0.1, high = 0.35, step = 0.1 }
        "options.channels" = { low = 2, high = 9 }
        [set]
        epochs = 2
    """)
    assert space.values == {
        "batch": Range(32, 224, 32),
        "learning_rate": Range(1.0, 10.0, log=True),
        "optimiser": Choice(("adam", "sgd")),
        "options.channels": Range(2, 9),
        "shift": Range(0.1, 0.3, 0.1),
    }
    assert space.values["shift"].points("shift") == (0.1, 0.2, 0.3)
    assert type(space.values["learning_rate"].low) is float
    assert (space.recipe.name, space.recipe.epochs, space.seeds, space.trials) == ("tiny", 2, 3, 20)
    tried = space.recipe_with({"batch": 64, "options.channels": 3})
    assert (tried.batch, tried.epochs, tried.options) == (64, 2, {"channels": 3})


def test_lines_may_change_places_and_a_recipe_lies_beside_the_space(described, tmp_path) -> None:
    (tmp_path / "mine.toml").write_text('network = "lenet"\nbatch = 32\n')
    spaces = [
        described(f'recipe = "mine.toml"\n[space]\n{lines}')
        for lines in ("epochs = [1, 2]\nbatch = [1, 2]", "batch = [1, 2]\nepochs = [1, 2]")
    ]
    assert spaces[0].identity == spaces[1].identity
    assert list(spaces[0].values) == list(spaces[1].values)


GOOD = 'recipe = "tiny"\n[space]\nbatch = [1, 2]\n'


@pytest.mark.parametrize(
    ("text", "error", "says"),
    [
        ("recipe = ", BadData, "describes no space"),
        ('recipe = "tiny"', BadValue, "has no space"),
        ("[space]\nbatch = [1, 2]", BadValue, "has no recipe"),
        ("trails = 3\n" + GOOD, UnknownName, "'trails'; known: recipe, data, trials"),
        ("trials = 0\n" + GOOD, BadValue, "trials must be from 1"),
        ("seeds = true\n" + GOOD, BadValue, "seeds must be a whole number, not True"),
        (
            'metric = "test_accuracy"\n' + GOOD,
            UnknownName,
            "known: validation_accuracy, validation_loss",
        ),
        ('sampler = "best"\n' + GOOD, UnknownName, "known: tpe, random, grid"),
        (GOOD + "learning_rte = [1, 2]", UnknownName, "known: network,"),
        (GOOD + "data = ['mnist', 'optdigits']", UnknownName, "'data'"),
        (GOOD + "epochs = 5", BadValue, "a range such as"),
        (GOOD + "epochs = { low = 1 }", BadValue, "needs high"),
        (GOOD + "epochs = { lo = 1, high = 3 }", UnknownName, "known: low, high, step, log"),
        (GOOD + "epochs = { low = 1, high = 2.5 }", BadValue, "only whole numbers"),
        (GOOD + "epochs = { low = 3, high = 2 }", BadValue, "low 3 is above high 2"),
        (GOOD + "epochs = { low = 2, high = 2 }", BadValue, "under [set]"),
        (GOOD + "epochs = { low = 1, high = '2' }", BadValue, "high must be a number"),
        (GOOD + "epochs = { low = 1, high = 5, step = 0 }", BadValue, "step must be above 0"),
        (GOOD + "epochs = { low = 1, high = 2, log = 3 }", BadValue, "log must be true or false"),
        (GOOD + "shift = { low = 0, high = 2, log = true }", BadValue, "begins above 0"),
        (GOOD + "shift = { low = nan, high = 2 }", BadValue, "low must be a number"),
        (GOOD + "shift = { low = -1, high = 2 }", BadValue, "shift must be 0 or more"),
        (GOOD + "optimiser = { low = 1, high = 2 }", BadValue, "a list of values"),
        (GOOD + "optimiser = ['adam', 'adam']", BadValue, "all different"),
        (GOOD + "optimiser = [['adam'], 'sgd']", BadValue, "a list holds numbers, texts"),
        (GOOD + "[set]\nbatch = 3", BadValue, "under [set] and under [space]"),
        (GOOD + "[set]\nepoch = 3", UnknownName, "epochs"),
        ("set = 3\n" + GOOD, BadValue, "set must be a table"),
        (
            'recipe = "ensemble"\n[space]\nbatch = [1, 2]',
            BadValue,
            "search for the best 'best' instead",
        ),
        ('sampler = "grid"\n' + GOOD + "shift = { low = 0, high = 1.5 }", BadValue, "or a step"),
        (
            'sampler = "grid"\n' + GOOD + "shift = { low = 0, high = 1, step = 1e-9 }",
            BadValue,
            "larger step",
        ),
    ],
)
def test_a_space_without_sense_is_refused_in_a_sentence(described, text, error, says) -> None:
    with pytest.raises(error) as caught:
        described(text)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("optimiser = ['adam', 'adm']", "adm"),
        ("options.depth = [1, 2]", "'depth'"),
        ("options.channels = ['two', 2]", "channels = 'two'"),
    ],
)
def test_what_only_training_knows_is_refused_before_it_too(described, tmp_path, line, says) -> None:
    space = described(f'recipe = "tiny"\ndata = "optdigits"\n[space]\n{line}')
    with pytest.raises(InkdigitsError, match=says):
        next(search(space, tmp_path / "out"))
    assert not (tmp_path / "out").exists()


# ---- trials


@pytest.mark.slow
@pytest.mark.parametrize("sampler", ["tpe", "random"])
def test_the_same_seed_gives_the_same_trials_also_when_stopped_in_between(
    described, tmp_path, sampler
) -> None:
    text = f'sampler = "{sampler}"\nseeds = 1\n' + MADE_UP.lstrip()
    whole = drive(Search(described(text), tmp_path / "whole", "digits"))
    parts = [drive(Search(described(text), tmp_path / "parts", "digits"), most=4) for _ in range(3)]
    assert parts[-1] == whole
    assert len({json.dumps(result.settings) for result in whole}) == 12
    (other,) = drive(Search(described("seed = 1\n" + text), tmp_path / "other", "digits"), most=1)
    assert other.settings != whole[0].settings


def test_a_trial_that_was_left_half_proposed_gets_the_settings_that_it_would_have_had(
    described, tmp_path, monkeypatch
) -> None:
    whole = drive(Search(described(MADE_UP), tmp_path / "whole", "digits"), most=1)
    search = Search(described(MADE_UP), tmp_path / "parts", "digits")
    with monkeypatch.context() as killed:
        killed.setattr(
            optuna.Trial, "suggest_float", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt)
        )
        with pytest.raises(KeyboardInterrupt):
            search.claim()
    assert 0 < len(search.trials()[0].params) < 4
    assert drive(search, most=1) == whole


def test_a_grid_is_tried_whole_and_each_point_once(described, tmp_path) -> None:
    space = described(
        'recipe = "tiny"\nsampler = "grid"\n[space]\n'
        "learning_rate = [0.1, 0.2]\nbatch = { low = 1, high = 3 }"
    )
    results = drive(Search(space, tmp_path / "out", "digits"))
    tried = sorted(
        (result.settings["batch"], result.settings["learning_rate"]) for result in results
    )
    assert tried == [(batch, rate) for batch in (1, 2, 3) for rate in (0.1, 0.2)]


def test_a_trial_that_was_left_is_taken_up_with_its_seeds_and_one_in_other_hands_is_not(
    described, tmp_path
) -> None:
    space = described(MADE_UP)
    ours, theirs = (Search(space, tmp_path / "out", "digits") for _ in range(2))
    with ours.claim() as first:
        first.advance(score(first.settings, 0))
        with theirs.claim() as second:
            assert (first.number, second.number) == (0, 1)
    with theirs.claim() as again:
        assert (again.number, again.settings) == (0, first.settings)
        assert again.seeds == [vars(score(first.settings, 0))]


@pytest.mark.parametrize("metric", ["validation_accuracy", "validation_loss"])
def test_a_trial_that_is_worse_than_the_median_after_a_seed_is_pruned(
    described, tmp_path, metric
) -> None:
    space = described(MADE_UP.replace("prune = false", f'seeds = 3\nmetric = "{metric}"'))
    sign = 1 if metric == "validation_loss" else -1
    results = drive(Search(space, tmp_path / "out", "digits"))

    def cost(result: TrialResult, seeds: int) -> float:
        return sign * mean(result.values(metric)[:seeds])

    for number, result in enumerate(results):
        finished = [each for each in results[:number] if each.state == "finished"]
        seen = range(1, 1 + min(2, len(result.seeds))) if len(finished) >= 5 else ()
        worse = [cost(result, n) > median(cost(each, n) for each in finished) for n in seen]
        assert result.state == ("pruned" if any(worse) else "finished")
        assert not any(worse[:-1])
    assert {result.state for result in results} == {"pruned", "finished"}


def test_the_same_settings_are_not_trained_twice(described, tmp_path) -> None:
    space = described('recipe = "tiny"\nsampler = "random"\ntrials = 8\n[space]\nbatch = [1, 2]')
    search, trained = Search(space, tmp_path / "out", "digits"), []
    while attempt := search.claim():
        with attempt:
            attempt.advance()
            while not attempt.over:
                trained.append((attempt.settings["batch"], len(attempt.seeds)))
                attempt.advance(SeedFigures(0.5, 1.0, 1.0))
    assert sorted(trained) == [(batch, seed) for batch in (1, 2) for seed in range(3)]
    assert [result.state for result in search.results()] == ["finished"] * 8


def test_another_search_in_the_folder_is_refused_with_what_differs_but_more_trials_are_welcome(
    described, tmp_path
) -> None:
    assert len(drive(Search(described(MADE_UP), tmp_path / "out", "digits"), most=1)) == 1
    for change, says in (
        (
            MADE_UP.replace("high = 256", "high = 128"),
            r"\[space\] batch '32 to 256 in steps of 32', now '32 to 128 in steps of 32'",
        ),
        (
            MADE_UP.replace('optimiser = ["adam", "sgd"]', ""),
            r"\[space\] optimiser 'adam, sgd', now None",
        ),
        (MADE_UP + "[set]\nepochs = 1", f"epochs {load_recipe('tiny').epochs}, now 1"),
        ("seed = 3\n" + MADE_UP, "seed 0, now 3"),
    ):
        with pytest.raises(
            BadValue, match=f"holds another sweep, of {says}; choose another folder"
        ):
            Search(described(change), tmp_path / "out", "digits")
    with pytest.raises(BadValue, match="digits 'digits', now 'others'"):
        Search(described(MADE_UP), tmp_path / "out", "others")
    for trials, wanted in ((2, 2), (3, 3), (1, 3)):
        assert (
            len(drive(Search(described(MADE_UP, trials=trials), tmp_path / "out", "digits")))
            == wanted
        )


def test_a_folder_of_something_else_and_a_damaged_database_are_refused(described, tmp_path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "notes").touch()
    with pytest.raises(CannotWrite, match="holds no sweep"):
        Search(described(MADE_UP), tmp_path / "out", "digits")
    (tmp_path / "out" / "sweep.db").write_text("no database")
    with pytest.raises(CannotWrite, match=r"sweep.db cannot be used: .*not a database"):
        Search(described(MADE_UP), tmp_path / "out", "digits")


def test_a_folder_may_be_called_anything(described, tmp_path) -> None:
    out = tmp_path / "50% of #1?"
    drive(Search(described(MADE_UP), out, "digits"), most=1)
    assert {path.name for path in out.iterdir()} == {"sweep.db", "trials.csv", "best.toml"}


# ---- trainings


class Forbidden:
    """Digits that can be counted and nothing else."""

    def __len__(self) -> int:
        return 100

    def __getattr__(self, name: str) -> object:
        raise AssertionError("the test digits were looked at")


@pytest.fixture
def without_test_digits() -> Dataset:
    digits = load_dataset("optdigits")
    forbidden = Dataset(digits.name, digits.classes, {**digits.splits, "test": Forbidden()})
    with pytest.raises(AssertionError):
        forbidden.test.images  # noqa: B018
    return forbidden


def search(
    space: Space, out: Path, dataset: Dataset | None = None, **options: Any
) -> Iterator[Underway | TrialResult]:
    """Search among optdigits, unless other digits are given."""
    return sweep(space, out, dataset or load_dataset("optdigits"), **options)


def over(records: Iterator[Underway | TrialResult]) -> list[TrialResult]:
    return [record for record in records if isinstance(record, TrialResult)]


@pytest.mark.slow
def test_trials_are_trained_without_the_test_digits_and_the_best_recipe_makes_the_same(
    without_test_digits, described, tmp_path, quick
) -> None:
    space, out = described(), tmp_path / "out"
    records = list(search(space, out, without_test_digits))
    results = over(iter(records))
    assert [(result.trial, result.state, len(result.seeds)) for result in results] == [
        (n, "finished", 2) for n in (1, 2, 3, 4)
    ]
    assert {record.name for record in records if isinstance(record, Underway)} == {
        f"trial {trial}/4 seed {seed}/2" for trial in (1, 2, 3, 4) for seed in (1, 2)
    }
    best = max(results, key=lambda result: mean(result.values("validation_accuracy")))
    recipe = load_recipe(out / "best.toml")
    assert {key: getattr(recipe, key) for key in best.settings} == best.settings
    assert recipe.what_it_trains == space.recipe_with(best.settings).what_it_trains
    for seed in (0, 1):
        final = train(out / "best.toml", tmp_path / f"run{seed}", seed=seed)
        assert final.validation_accuracy == best.values("validation_accuracy")[seed]
    assert {path.name for path in out.iterdir()} == {"sweep.db", "trials.csv", "best.toml"}


@pytest.mark.slow
def test_the_table_has_a_row_a_trial_with_mean_and_deviation(described, tmp_path) -> None:
    out = tmp_path / "out"
    results = over(search(described(), out))
    rows = list(csv.DictReader((out / "trials.csv").read_text().splitlines()))
    assert [int(row["trial"]) for row in rows] == [1, 2, 3, 4]
    for row, result in zip(rows, results, strict=True):
        for key in ("validation_accuracy", "validation_loss"):
            assert float(row[key]) == pytest.approx(mean(result.values(key)), abs=1e-6)
            assert float(row[f"{key}_sd"]) == pytest.approx(stdev(result.values(key)), abs=1e-6)
        assert {key: float(row[key]) for key in ("batch", "learning_rate")} == result.settings


@pytest.mark.slow
def test_a_trial_whose_loss_is_no_number_fails_with_its_reason_and_the_search_goes_on(
    described, tmp_path, caplog
) -> None:
    text = TRAINED.replace("{ low = 1e-3, high = 1e-2, log = true }", "[1e30, 1e-2]").replace(
        "trials = 4", 'sampler = "grid"'
    )
    results = over(search(described(text), tmp_path / "out"))
    for result in results:
        diverged = result.settings["learning_rate"] == 1e30
        assert result.state == ("failed" if diverged else "finished")
        assert (result.reason or "").startswith("the loss or its gradient became") == diverged
    assert len(results) == 6
    assert "became" in (tmp_path / "out" / "trials.csv").read_text()
    assert load_recipe(tmp_path / "out" / "best.toml").learning_rate == 1e-2


@pytest.mark.slow
def test_where_nothing_can_be_finished_there_is_no_best_recipe(described, tmp_path, capsys) -> None:
    text = TRAINED.replace("{ low = 1e-3, high = 1e-2, log = true }", "[1e30, 1e31]").replace(
        "trials = 4", "trials = 1"
    )
    described(text)
    assert cli.main(["sweep", str(tmp_path / "space.toml"), "--out", str(tmp_path / "out")]) == 2
    printed = capsys.readouterr()
    assert "1 failed" in printed.out
    assert "trial 1/1  failed: the loss" in printed.err
    assert not (tmp_path / "out" / "best.toml").exists()


@pytest.mark.slow
def test_what_ctrl_c_stops_goes_on_to_the_same_bits(
    described, tmp_path, monkeypatch, caplog
) -> None:
    space = described(
        TRAINED.replace("epochs = 1", "epochs = 2").replace("trials = 4", "trials = 2")
    )
    whole = over(search(space, tmp_path / "whole"))
    passes, stopped = Training.passes, []

    def interrupted(training: Training, validation: object) -> Iterator[object]:
        for record in passes(training, validation):
            yield record
            if (
                len(training.epochs) == 1
                and isinstance(record, TrainingProgress)
                and len(stopped) < 3
            ):
                stopped.append(training.steps_done)
                raise KeyboardInterrupt

    monkeypatch.setattr(Training, "passes", interrupted)
    for _ in range(3):
        with pytest.raises(KeyboardInterrupt):
            over(search(space, tmp_path / "parts"))
    assert "the sweep was stopped; the same command continues it" in caplog.text
    parts = over(search(space, tmp_path / "parts"))
    assert stopped == sorted(set(stopped)), "each time it went on from where it was"
    for one, other in zip(whole, parts, strict=True):
        for key in ("validation_accuracy", "validation_loss"):
            assert one.values(key) == other.values(key)


# ---- the command


@pytest.mark.slow
def test_a_second_call_says_what_is_there_and_trains_nothing(
    described, tmp_path, capsys, monkeypatch
) -> None:
    described(TRAINED.replace("trials = 4", "trials = 2"))
    command = ["sweep", str(tmp_path / "space.toml"), "--out", str(tmp_path / "out")]
    assert cli.main([*command, "--json"]) == 0
    first = capsys.readouterr()
    lines = [json.loads(line) for line in first.out.splitlines()]
    assert [list(line) for line in lines] == [
        [
            *(
                "trial",
                "state",
                "n",
                "validation_accuracy",
                "validation_accuracy_sd",
                "validation_loss",
                "validation_loss_sd",
            ),
            *("seconds", "reason", "settings"),
        ]
    ] * 2
    monkeypatch.setattr(workers, "train_seed", lambda *_: pytest.fail("there is nothing to train"))
    assert cli.main([*command, "--json"]) == 0
    assert capsys.readouterr().out == first.out
    assert cli.main(command) == 0
    table = capsys.readouterr().out.splitlines()
    assert table[0] == "lenet on optdigits, 2 trials: 2 finished"
    best = max(lines, key=lambda line: line["validation_accuracy"])
    assert table[2].split()[0] == str(best["trial"])
    # JSON has six decimals, so that the last digit of a percentage may be rounded twice.
    found = re.search(r"([\d.]+) % ± ([\d.]+)", table[2])
    assert found
    mean, spread = found.groups()
    assert float(mean) == pytest.approx(100 * best["validation_accuracy"], abs=0.011)
    assert float(spread) == pytest.approx(100 * best["validation_accuracy_sd"], abs=0.011)
    assert str(tmp_path / "out" / "best.toml") in "".join(table)


@pytest.mark.slow
def test_the_missing_extra_is_named(described, tmp_path, monkeypatch, capsys) -> None:
    space = described()
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingExtra, match=r"inkdigits\[scale\]"):
        over(search(space, tmp_path / "out", engine="ray"))
    for name in ("optuna", "inkdigits.runs.sweep.study", "inkdigits.runs.sweep.workers"):
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.delitem(sys.modules, "inkdigits.runs.sweep.study")
    monkeypatch.delitem(sys.modules, "inkdigits.runs.sweep.workers")
    monkeypatch.delattr("inkdigits.runs.sweep.workers")
    assert cli.main(["sweep", str(space.path), "--out", str(tmp_path / "other")]) == 2
    said = capsys.readouterr().err
    assert "pip install 'inkdigits[sweep]'" in said
    assert not (tmp_path / "other").exists()


def finished(out: Path) -> dict[str, dict[str, str]]:
    """The rows of trials.csv, as they are."""
    table = out / "trials.csv"
    rows = csv.DictReader(table.read_text().splitlines() if table.exists() else [])
    return {row["trial"]: row for row in rows if row["state"] == "finished"}


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="SIGSTOP and SIGKILL are POSIX")
def test_two_processes_share_the_trials_and_what_a_killed_one_had_finished_is_not_done_again(
    described, tmp_path
) -> None:
    space, out = (
        described(TRAINED.replace("trials = 4", "trials = 6\nprune = false")),
        tmp_path / "out",
    )
    command = [sys.executable, "-m", "inkdigits", "sweep", str(space.path), "--out", str(out)]
    other = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline, at_work = time.monotonic() + 120, False
        while not at_work:
            assert time.monotonic() < deadline
            assert other.poll() is None
            time.sleep(0.05)
            if len(finished(out)) >= 2:
                other.send_signal(signal.SIGSTOP)
                with file_lock(
                    out / LOCK_NAME, wait=False
                ) as not_its_turn:  # and so it is training
                    at_work = not_its_turn
                if not at_work:
                    other.send_signal(signal.SIGCONT)
        theirs = finished(out)
        assert len(over(search(space, out))) == 5, "the sixth is in other hands"
    finally:
        other.kill()
        other.wait()
    assert len(over(search(space, out))) == 6
    rows = finished(out)
    assert sorted(rows) == list("123456")
    assert {trial: rows[trial] for trial in theirs} == theirs, (
        "done again, the seconds would differ"
    )


class Process:
    """`python -m inkdigits ARGUMENTS`, done at once; the second one is killed before it begins."""

    made: list["Process"]

    def __init__(self, command: list[str], stderr: IO[str], **_: object) -> None:
        assert command[:4] == [sys.executable, "-P", "-m", "inkdigits"]
        self.made.append(self)
        self.ended = False
        self.returncode = -9 if len(self.made) == 2 else cli.main(command[4:])
        stderr.write("so it was\nkilled\n" if self.returncode else "")

    def poll(self) -> int:
        return self.returncode

    def terminate(self) -> None:
        self.ended = True

    def wait(self) -> None:
        assert self.ended


@pytest.mark.slow
def test_jobs_are_processes_that_share_the_search_and_one_that_fails_is_told_of(
    described, tmp_path, monkeypatch, caplog
) -> None:
    text = TRAINED.replace("trials = 4", 'trials = 5\nsampler = "random"').replace(
        "seeds = 2", "seeds = 1"
    )
    space = described(text, data="optdigits", trials=2)
    here = over(search(space, tmp_path / "here"))
    Process.made = []
    monkeypatch.setattr(subprocess, "Popen", Process)
    together = over(search(space, tmp_path / "together", device="cpu", jobs=2))
    assert [process.ended for process in Process.made] == [True, True]
    assert "one of 2 processes ended with status -9: killed" in caplog.text
    for one, other in zip(here, together, strict=True):
        assert (one.trial, one.state, one.settings) == (other.trial, other.state, other.settings)
        assert one.values("validation_loss") == other.values("validation_loss")
    with pytest.raises(BadValue, match="0 jobs"):
        next(search(space, tmp_path / "none", jobs=0))


@pytest.mark.slow
def test_ray_is_given_seeds_and_finds_what_one_process_finds(
    described, tmp_path, monkeypatch
) -> None:
    space, done = (
        described(TRAINED.replace("{ low = 1e-3, high = 1e-2, log = true }", "[1e30, 1e-2]")),
        [],
    )

    class Task:
        def __init__(self, work: Callable[..., object], *arguments: object) -> None:
            self.found = work(*arguments)

    def wait(tasks: list[Task]) -> tuple[list[Task], list[Task]]:
        """The last one begun is the first one done."""
        done.append(len(tasks))
        return tasks[-1:], tasks[:-1]

    def get(task: Task) -> object:
        if len(done) == 5:
            raise ZeroDivisionError("the machine is gone\nand so on")
        return task.found

    ray = SimpleNamespace(
        init=lambda **_: None,
        cluster_resources=lambda: {"CPU": 2.0},
        put=lambda value: value,
        remote=lambda **_: lambda work: SimpleNamespace(remote=functools.partial(Task, work)),
        wait=wait,
        get=get,
        cancel=lambda task, force: None,
        exceptions=SimpleNamespace(RayError=ZeroDivisionError),
    )
    monkeypatch.setitem(sys.modules, "ray", ray)
    results = sorted(
        over(search(space, tmp_path / "ray", engine="ray")), key=lambda result: result.trial
    )
    here = over(search(space, tmp_path / "here"))
    assert max(done) == 2
    assert [result.state for result in results if result.reason == "the machine is gone"] == [
        "failed"
    ]
    for there, same in zip(results, here, strict=True):
        if there.reason != "the machine is gone":
            assert (there.settings, there.state) == (same.settings, same.state)
            assert there.values("validation_loss") == same.values("validation_loss")
