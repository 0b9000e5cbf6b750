"""The trials of a sweep and what became of them, in a folder that several processes share and any of them may leave.

Optuna proposes and remembers, in `DIR/sweep.db` (SQLite); `DIR/trials.csv` has a row for every trial, `DIR/best.toml` is the recipe
of the best. Takes the figures of seeds, says which trial is next and when one is over; knows nothing of training.

A process holds a lock on each trial that it is at. A trial without an end whose lock is free was left by a process that ended, and
is taken up by whoever comes next, with its finished seeds.
"""

import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from statistics import mean, median
from typing import Any

import numpy as np
import optuna
import sqlalchemy
from optuna.trial import FrozenTrial, TrialState

from inkdigits.core.errors import BadValue, CannotWrite
from inkdigits.core.files import alone, entries, remove_leftovers, writable_folder, write_whole
from inkdigits.core.signals import uninterrupted
from inkdigits.runs.resume import differences
from inkdigits.runs.sweep.space import METRICS, Choice, Space, Value
from inkdigits.runs.sweep.trials import (
    BEST,
    TABLE,
    UNDER_WAY,
    Figures,
    Result,
    as_csv,
    as_recipe,
    best,
)

DATABASE = "sweep.db"
LOCKED = "sweep"  # what `alone` makes .sweep.lock of: whose turn it is to look into the database and to change it
PATIENCE = 60.0  # seconds to wait for SQLite, should somebody look into it with another program
UNPRUNED = 5  # finished trials that make a median to speak of

STATES = {
    TrialState.COMPLETE: "finished",
    TrialState.PRUNED: "pruned",
    TrialState.FAIL: "failed",
}  # all others are under way


class Search:
    """The trials in a folder, as one of the processes that share it."""

    def __init__(self, space: Space, out: Path, digits: str) -> None:
        """Begin it, or go on with it. digits: what is learned from, in words.

        Raises BadValue where the folder is of another search, CannotWrite where it is of something else, or not to be written to.
        """
        self.space, self.out = space, out
        self._told = set[int]()  # of the trials that are over, those that `news` has told of
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        writable_folder(out)
        with self.turn():
            if not self._database.exists() and any(
                path.name != f".{LOCKED}.lock" for path in entries(out)
            ):
                raise CannotWrite(
                    f"the folder {out} is not empty and holds no sweep; choose a new one, or delete it first"
                )
            self.study = self._open(space.identity | {"digits": digits})
            self._tidy_up()

    @property
    def _database(self) -> Path:
        return self.out / DATABASE

    def _tidy_up(self) -> None:
        """Do what whoever was killed may not have come to."""
        remove_leftovers(self.out)
        if trials := self.trials():
            self.write()
        for trial in trials:
            if trial.state.is_finished() and (held := self._hold(trial.number)):
                held.close()  # and so its file is gone

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Nobody else is at the database meanwhile, and no signal parts what belongs together. Raises CannotWrite."""
        try:
            with alone(self.out / LOCKED), uninterrupted:
                yield
        except (optuna.exceptions.StorageInternalError, sqlalchemy.exc.SQLAlchemyError) as error:
            reason = str(error.__cause__ or error).splitlines()[0]
            raise CannotWrite(f"{self._database} cannot be used: {reason}") from error

    def _open(self, now: dict[str, Any]) -> optuna.Study:
        """The database's study, if it is of this search, or a new one."""
        # Its own path as a URL: a folder's name may hold any character.
        url = sqlalchemy.URL.create(
            "sqlite", database=str(self._database.resolve())
        ).render_as_string()
        try:
            storage = optuna.storages.RDBStorage(
                url, engine_kwargs={"connect_args": {"timeout": PATIENCE}}
            )
        except RuntimeError as error:  # of a version of Optuna whose tables this one does not know
            raise CannotWrite(
                f"{self._database} cannot be used: {str(error).splitlines()[0]}"
            ) from error
        study = optuna.create_study(
            storage=storage,
            study_name="sweep",
            direction=METRICS[self.space.metric],
            load_if_exists=True,
        )
        then = study.user_attrs.get("space")
        if then is None:
            study.set_user_attr("space", now)
        elif different := differences(then, dict.fromkeys(then) | now):
            wanted = "choose another folder, or what it was started with"
            raise BadValue(f"{self.out} holds another sweep, of {'; '.join(different)}; {wanted}")
        return study

    def claim(self) -> "Attempt | None":
        """A trial for us: one that was left, or a new one; None where all that are wanted are over or in other hands."""
        with self.turn():
            trials = self.trials()
            for trial in trials:
                if not trial.state.is_finished() and (held := self._hold(trial.number)):
                    return Attempt(self, self._proposed(trial.number, trial), held)
            number = len(trials)
            if number < self.space.trials and (held := self._hold(number)):
                return Attempt(self, self._proposed(number), held)
            return None

    def trials(self) -> list[FrozenTrial]:
        """All that were begun, as Optuna has them. To be asked in one's turn."""
        return self.study.get_trials(deepcopy=False)

    def _hold(self, number: int) -> ExitStack | None:
        """The lock of a trial; None where another process has it."""
        with ExitStack() as stack:
            if stack.enter_context(alone(self.folder(number), wait=False)):
                return stack.pop_all()
        return None

    def folder(self, number: int) -> Path:
        """Where a trial may keep the state of the seed under way."""
        return self.out / f"trial-{number + 1}"

    def _proposed(self, number: int, begun: FrozenTrial | None = None) -> optuna.Trial:
        """A trial with all its settings, which depend on the space, its number and the trials before it, and on nothing else.

        Not on what else was drawn, either: a kill may come between two of them.
        """
        self.study.sampler = self._sampler(number, 0)
        trial = optuna.Trial(self.study, begun._trial_id) if begun else self.study.ask()
        for place, (key, values) in enumerate(self.space.values.items()):
            self.study.sampler = self._sampler(number, place)
            if isinstance(values, Choice) or self.space.sampler == "grid":
                trial.suggest_categorical(key, values.points(key))
            elif isinstance(values.low, int) and isinstance(values.high, int):
                trial.suggest_int(
                    key, values.low, values.high, step=int(values.step or 1), log=values.log
                )
            else:
                trial.suggest_float(key, values.low, values.high, step=values.step, log=values.log)
        return trial

    def _sampler(self, number: int, place: int) -> optuna.samplers.BaseSampler:
        """A fresh one for each key of each trial: a search that was stopped goes on as if it had not been."""
        if self.space.sampler == "grid":
            points = {key: values.points(key) for key, values in self.space.values.items()}
            return optuna.samplers.GridSampler(points, seed=self.space.seed)
        seed = int(np.random.SeedSequence((self.space.seed, number, place)).generate_state(1)[0])
        return (
            optuna.samplers.TPESampler(seed=seed)
            if self.space.sampler == "tpe"
            else optuna.samplers.RandomSampler(seed=seed)
        )

    def results(self) -> list[Result]:
        """All trials that were begun, in the order of their numbers."""
        with self.turn():
            return [_result(trial) for trial in self.trials()]

    def news(self) -> list[Result]:
        """The trials that have come to their end since the last call, whichever process was at them."""
        new = [
            result for result in self.results() if result.over and result.trial not in self._told
        ]
        self._told.update(result.trial for result in new)
        return new

    def write(self) -> None:
        """The files for people and programs, as far as the search is. To be called in one's turn."""
        results = [_result(trial) for trial in self.trials()]
        write_whole(self.out / TABLE, as_csv(results))
        if ranked := best(results, self.space.metric):
            write_whole(self.out / BEST, as_recipe(self.space, ranked[0], len(results)))


def _result(trial: FrozenTrial) -> Result:
    figures = tuple(Figures(**each) for each in trial.user_attrs.get("seeds", ()))
    state = STATES.get(trial.state, UNDER_WAY)
    return Result(
        trial.number + 1, state, dict(trial.params), figures, trial.user_attrs.get("reason")
    )


class Attempt:
    """A trial in our hands, until it is over or we leave it. Whatever is finished of it is in the database."""

    def __init__(self, search: Search, trial: optuna.Trial, held: ExitStack) -> None:
        self.search, self.trial, self.number, self._held = search, trial, trial.number, held
        self.settings: dict[str, Value] = trial.params
        self.over = False
        # The same settings and seeds make the same bits: nothing is trained twice.
        twins = [
            each
            for each in search.trials()
            if each.state == TrialState.COMPLETE and each.params == trial.params
        ]
        self.seeds: list[dict[str, float]] = list(
            (twins[0] if twins else trial).user_attrs.get("seeds", ())
        )

    def __enter__(self) -> "Attempt":
        return self

    def __exit__(self, *error: object) -> None:
        self._held.close()

    def advance(self, figures: Figures | None = None) -> None:
        """Take in what another seed reached. After the last one, or where most did better by then, the trial is over.

        Trials are compared seed by seed, not epoch by epoch: while its learning rate is high, a schedule does not show how it will
        end, and the number of epochs may be what is searched.
        """
        space = self.search.space
        with self.search.turn():
            if figures:
                self.seeds.append(asdict(figures))
            if self.seeds:
                self.trial.set_user_attr("seeds", self.seeds)
            values = [each[space.metric] for each in self.seeds]
            reported = self.search.trials()[self.number].intermediate_values
            for step in sorted(set(range(len(values))) - set(reported)):
                self.trial.report(mean(values[: step + 1]), step)
            if len(values) >= space.seeds:
                self._end(TrialState.COMPLETE, mean(values))
            elif values and space.prune and self._is_worse_than_most(mean(values)):
                self._end(TrialState.PRUNED)

    def _is_worse_than_most(self, value: float) -> bool:
        """Than the median of the finished trials after as many seeds. Optuna's pruners take a trial's best value so far instead of
        its last, and a mean that began with a lucky seed would never be below.
        """
        step = len(self.seeds) - 1
        others = [
            each.intermediate_values[step]
            for each in self.search.trials()
            if each.state == TrialState.COMPLETE
        ]
        if len(others) < UNPRUNED:
            return False
        return (
            value < median(others)
            if METRICS[self.search.space.metric] == "maximize"
            else value > median(others)
        )

    def fail(self, reason: str) -> None:
        """It cannot be finished, and the search goes on without it."""
        with self.search.turn():
            self.trial.set_user_attr("reason", reason)
            self._end(TrialState.FAIL)

    def _end(self, state: TrialState, value: float | None = None) -> None:
        self.search.study.sampler = (
            optuna.samplers.RandomSampler()
        )  # GridSampler would stop a loop of Optuna's, and there is none
        shutil.rmtree(self.search.folder(self.number), ignore_errors=True)
        self.search.study.tell(self.trial, value, state)
        self.over = True
        self.search.write()
        self._held.close()
