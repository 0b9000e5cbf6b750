"""The trials of a sweep and what became of them, in a folder that several processes share.

The figures of seeds come in; which trial is next, and when one is over, goes out. Optuna proposes
and remembers in `DIR/sweep.db` (SQLite). `DIR/trials.csv` has a row for every trial, and
`DIR/best.toml` is the recipe of the best.

A process holds a lock on each trial that it works on. A trial that is not over and whose lock is
free was left by a process that ended; the next process takes it up, with its finished seeds.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from statistics import mean, median
from typing import Any

import numpy as np
import optuna
import sqlalchemy
from optuna.trial import FrozenTrial, TrialState

from inkdigits.core.errors import BadValue, CannotWrite
from inkdigits.core.files import (
    entries,
    file_lock,
    refuse_link,
    refuse_links_of_database,
    remove_leftovers,
    report_write_errors,
    writable_folder,
    write_whole,
)
from inkdigits.core.signals import uninterrupted
from inkdigits.runs.resume import SavedStates, differences
from inkdigits.runs.sweep.space import METRICS, Choice, Space, Value
from inkdigits.runs.sweep.trials import (
    BEST_FILE,
    FINISHED,
    TRIALS_FILE,
    UNDER_WAY,
    SeedFigures,
    TrialResult,
    as_csv,
    as_recipe,
    rank_results,
)

DATABASE = "sweep.db"
LOCK_NAME = "sweep"  # `file_lock` makes .sweep.lock of it: whose turn it is to use the database
PATIENCE_SECONDS = 60.0  # to wait for SQLite, should another program look into the database
FEWEST_TO_PRUNE_BY = 5  # finished trials, whose median says something

# All others are under way.
END_STATES = {
    TrialState.COMPLETE: FINISHED,
    TrialState.PRUNED: "pruned",
    TrialState.FAIL: "failed",
}


class Search:
    """The trials in a folder, as one of the processes that share it.

    Args:
        space: what is searched.
        out: the folder; a sweep that is there goes on.
        digits: what is learned from, in words.

    Raises:
        BadValue: the folder is of another sweep.
        CannotWrite: the folder is of something else, or cannot be written to.
    """

    def __init__(self, space: Space, out: Path, digits: str) -> None:
        self.space = space
        self.out = out
        self._database = out / DATABASE
        self._told = set[int]()  # the trials that `news` has returned

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        writable_folder(out)
        with self.turn():
            others = [path for path in entries(out) if path.name != f".{LOCK_NAME}.lock"]
            if others and not self._database.exists():
                raise CannotWrite(
                    f"the folder {out} is not empty and holds no sweep; "
                    "choose a new one, or delete it first"
                )
            refuse_link(self._database)
            with report_write_errors(self._database):
                refuse_links_of_database(self._database)
            self.study = self._open(space.identity | {"digits": digits})
            self._tidy_up()

    def _tidy_up(self) -> None:
        """Do what a process that was killed may not have come to."""
        remove_leftovers(self.out, (TRIALS_FILE, BEST_FILE))
        trials = self.trials()
        if trials:
            self.write()

        for trial in trials:
            if trial.state.is_finished():
                held = self._hold(trial.number)
                if held:
                    held.close()  # and so its file is gone

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Keep other processes, and signals, from the database meanwhile.

        Raises:
            CannotWrite: the database cannot be used.
        """
        try:
            with file_lock(self.out / LOCK_NAME), uninterrupted:
                yield
        except (optuna.exceptions.StorageInternalError, sqlalchemy.exc.SQLAlchemyError) as error:
            raise self._unusable(error.__cause__ or error) from error

    def _unusable(self, error: BaseException) -> CannotWrite:
        """Return what to raise if the database cannot be used."""
        return CannotWrite(f"{self._database} cannot be used: {str(error).splitlines()[0]}")

    def _open(self, now: dict[str, Any]) -> optuna.Study:
        """Open the database's study if it is of this search, or make a new one."""
        # The path as an object, not as text: a folder's name may hold any character.
        url = sqlalchemy.URL.create("sqlite", database=str(self._database.resolve()))
        try:
            storage = optuna.storages.RDBStorage(
                url.render_as_string(),
                engine_kwargs={"connect_args": {"timeout": PATIENCE_SECONDS}},
            )
        except RuntimeError as error:  # tables of another version of Optuna
            raise self._unusable(error) from error

        study = optuna.create_study(
            storage=storage,
            study_name="sweep",
            direction=METRICS[self.space.metric],
            load_if_exists=True,
        )
        then = study.user_attrs.get("space")
        if then is None:
            study.set_user_attr("space", now)
            return study

        different = differences(then, dict.fromkeys(then) | now)
        if different:
            raise BadValue(
                f"{self.out} holds another sweep, of {'; '.join(different)}; "
                "choose another folder, or the settings that it was started with"
            )
        return study

    def claim(self) -> "Attempt | None":
        """Take a trial that was left, or a new one.

        Returns:
            None if all trials are over, or in the hands of other processes.
        """
        with self.turn():
            trials = self.trials()
            for trial in trials:
                held = None if trial.state.is_finished() else self._hold(trial.number)
                if held:
                    return Attempt(self, self._propose(trial.number, trial), held)

            number = len(trials)
            held = self._hold(number) if number < self.space.trials else None
            return Attempt(self, self._propose(number), held) if held else None

    def trials(self) -> list[FrozenTrial]:
        """List all trials that were begun, as Optuna has them. To be called in one's turn."""
        return self.study.get_trials(deepcopy=False)

    def _hold(self, number: int) -> ExitStack | None:
        """Lock a trial; return None if another process has it."""
        with ExitStack() as stack:
            if stack.enter_context(file_lock(self.folder(number), wait=False)):
                return stack.pop_all()
        return None

    def folder(self, number: int) -> Path:
        """Return where a trial may keep the state of the seed under way."""
        return self.out / f"trial-{number + 1}"

    def _propose(self, number: int, begun: FrozenTrial | None = None) -> optuna.Trial:
        """Return a trial with all its settings.

        They depend on the space, the trial's number and the trials before it, and on nothing else,
        not even on what else was drawn: a kill may come between two draws.
        """
        self.study.sampler = self._sampler(number, 0)
        trial = optuna.Trial(self.study, begun._trial_id) if begun else self.study.ask()

        for place, (key, values) in enumerate(self.space.values.items()):
            self.study.sampler = self._sampler(number, place)
            if isinstance(values, Choice) or self.space.sampler == "grid":
                trial.suggest_categorical(key, values.points(key))
            elif isinstance(values.low, int) and isinstance(values.high, int):
                step = int(values.step or 1)
                trial.suggest_int(key, values.low, values.high, step=step, log=values.log)
            else:
                trial.suggest_float(key, values.low, values.high, step=values.step, log=values.log)

        return trial

    def _sampler(self, number: int, place: int) -> optuna.samplers.BaseSampler:
        """Make a fresh sampler for one key of one trial, so that a stopped search goes on alike."""
        space = self.space
        if space.sampler == "grid":
            points = {key: values.points(key) for key, values in space.values.items()}
            return optuna.samplers.GridSampler(points, seed=space.seed)

        seed = int(np.random.SeedSequence((space.seed, number, place)).generate_state(1)[0])
        if space.sampler == "tpe":
            return optuna.samplers.TPESampler(seed=seed)
        return optuna.samplers.RandomSampler(seed=seed)

    def results(self) -> list[TrialResult]:
        """List all trials that were begun, in the order of their numbers."""
        with self.turn():
            return self._results()

    def _results(self) -> list[TrialResult]:
        return [_result(trial) for trial in self.trials()]

    def news(self) -> list[TrialResult]:
        """List the trials that have ended since the last call, in any process."""
        over = [result for result in self.results() if result.over]
        new = [result for result in over if result.trial not in self._told]
        self._told.update(result.trial for result in new)
        return new

    def write(self) -> None:
        """Write the files for people and programs. To be called in one's turn."""
        results = self._results()
        write_whole(self.out / TRIALS_FILE, as_csv(results))

        ranked = rank_results(results, self.space.metric)
        if ranked:
            write_whole(self.out / BEST_FILE, as_recipe(self.space, ranked[0], len(results)))


def _result(trial: FrozenTrial) -> TrialResult:
    """Convert Optuna's trial."""
    figures = tuple(SeedFigures(**each) for each in trial.user_attrs.get("seeds", ()))
    state = END_STATES.get(trial.state, UNDER_WAY)
    reason = trial.user_attrs.get("reason")
    return TrialResult(trial.number + 1, state, dict(trial.params), figures, reason)


class Attempt:
    """A trial in our hands, until it is over or we leave it.

    Its finished seeds are in the database.

    Attributes:
        search: the sweep that it belongs to.
        number: of the trial, counted from 0.
        folder: where it may keep the state of the seed under way.
        settings: the keys of the recipe to try.
        seeds: the figures of its finished seeds.
        over: whether it has come to its end.
    """

    def __init__(self, search: Search, trial: optuna.Trial, held: ExitStack) -> None:
        self.search = search
        self.number = trial.number
        self.folder = search.folder(trial.number)
        refuse_link(self.folder)
        self.settings: dict[str, Value] = trial.params
        self.over = False
        self._trial = trial
        self._held = held

        # The same settings and seeds make the same bits: nothing is trained twice.
        source: FrozenTrial | optuna.Trial = trial
        for other in search.trials():
            if other.state == TrialState.COMPLETE and other.params == trial.params:
                source = other
                break
        self.seeds: list[dict[str, float]] = list(source.user_attrs.get("seeds", ()))

    def __enter__(self) -> "Attempt":
        return self

    def __exit__(self, *error: object) -> None:
        self._held.close()

    def advance(self, figures: SeedFigures | None = None) -> None:
        """Take in what another seed reached, and end the trial if that decides it.

        It is over after the last seed, or if most trials were better after as many. Trials are
        compared seed by seed, not epoch by epoch: while its learning rate is high, a schedule does
        not show how it will end, and the number of epochs may be what is searched.

        Args:
            figures: of the seed; None to look only at the seeds that are finished.
        """
        space = self.search.space
        with self.search.turn():
            if figures:
                self.seeds.append(asdict(figures))
            if not self.seeds:
                return

            self._trial.set_user_attr("seeds", self.seeds)
            values = [each[space.metric] for each in self.seeds]
            reported = self.search.trials()[self.number].intermediate_values
            for step in range(len(values)):
                if step not in reported:
                    self._trial.report(mean(values[: step + 1]), step)

            if len(values) >= space.seeds:
                self._end(TrialState.COMPLETE, mean(values))
            elif space.prune and self._is_worse_than_most(mean(values)):
                self._end(TrialState.PRUNED)

    def _is_worse_than_most(self, value: float) -> bool:
        """Tell whether a mean is worse than the median of finished trials after as many seeds.

        Optuna's pruners take a trial's best value so far instead of its last, and a mean that began
        with a lucky seed would never be below the median.
        """
        step = len(self.seeds) - 1
        others = [
            each.intermediate_values[step]
            for each in self.search.trials()
            if each.state == TrialState.COMPLETE
        ]
        if len(others) < FEWEST_TO_PRUNE_BY:
            return False

        middle = median(others)
        return value < middle if METRICS[self.search.space.metric] == "maximize" else value > middle

    def fail(self, reason: str) -> None:
        """End a trial that cannot be finished; the search goes on without it."""
        with self.search.turn():
            self._trial.set_user_attr("reason", reason)
            self._end(TrialState.FAIL)

    def _end(self, state: TrialState, value: float | None = None) -> None:
        """End the trial, and let go of it."""
        # GridSampler would stop a loop of Optuna's, and there is none.
        self.search.study.sampler = optuna.samplers.RandomSampler()
        self._delete_states()
        self.search.study.tell(self._trial, value, state)
        self.over = True
        self.search.write()
        self._held.close()

    def _delete_states(self) -> None:
        """Delete the states of its seeds, and the trial's folder unless something else is in it."""
        for seed_folder in self.folder.glob("seed-*"):
            if not seed_folder.is_symlink():
                SavedStates(seed_folder).delete_with_run()

        with suppress(OSError):
            self.folder.rmdir()
