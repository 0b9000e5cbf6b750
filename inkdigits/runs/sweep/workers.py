"""A space and digits in, trial after trial out, trained and judged here or on other machines.

Trials run one after another, in several processes, or on a Ray cluster; `study` keeps what comes
out. Only the validation digits judge. The test digits are not even handed on: `inkdigits train
DIR/best.toml` reads them once, when the sweep is over.
"""

import logging
import math
import tempfile
from collections.abc import Generator, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from inkdigits.core.errors import CannotWrite, InkdigitsError
from inkdigits.core.files import refuse_link
from inkdigits.data.datasets import Dataset
from inkdigits.runs.engines import (
    TRAINING_ERRORS,
    Failure,
    RayTasks,
    Underway,
    check_jobs,
    run_processes,
)
from inkdigits.runs.job import EVERY_MINUTE, TrainingJob, check_before_training, check_outputs
from inkdigits.runs.resume import SavedStates, StateSaver
from inkdigits.runs.sweep.space import Space, Value
from inkdigits.runs.sweep.study import Attempt, Search
from inkdigits.runs.sweep.trials import SeedFigures, TrialResult, format_figure, rank_results
from inkdigits.training.device import name_lack_of_memory
from inkdigits.training.distillation import load_teachers
from inkdigits.training.figures import TrainingProgress
from inkdigits.training.loop import Training, seeded_network
from inkdigits.training.recipe import Recipe

log = logging.getLogger(__name__)

SweepRecord = Underway | TrialResult


@dataclass(frozen=True)
class SweepDigits:
    """What trials learn from and what judges them: training and validation digits.

    Attributes:
        dataset: without test digits.
        device: auto, cpu, cuda or mps.
    """

    dataset: Dataset
    device: str = "auto"

    def __str__(self) -> str:
        return " + ".join(str(len(digits)) for digits in self.dataset.splits.values())


def sweep(
    space: Space,
    out: Path,
    dataset: Dataset,
    *,
    device: str = "auto",
    jobs: int | None = None,
    engine: str = "optuna",
    data_dir: Path | None = None,
) -> Generator[SweepRecord, None, None]:
    """Search for the best recipe in the folder `out`, or go on there, as `inkdigits sweep` does.

    Args:
        space: what is searched.
        out: the folder of the sweep, which several processes may share.
        dataset: the one that `space.recipe.data` names.
        device: auto, cpu, cuda or mps.
        jobs: trials at a time. None is one, and one a processor of the cluster with "ray".
        engine: "optuna", in processes on this machine, or "ray".
        data_dir: the folder with the datasets, for other processes; None for the default one.

    Yields:
        What is under way, and each trial that has come to its end, once.

    Raises:
        InkdigitsError: with a sentence for the user.
    """
    check_jobs(jobs)
    digits = prepare_digits(space, dataset, device)
    search = Search(space, out, str(digits))
    yield from search.news()

    try:
        if engine == "ray":
            yield from _work_on_ray(search, digits, jobs)
        elif jobs and jobs > 1:
            yield from _work_in_processes(search, jobs, device, data_dir)
        else:
            yield from _work_here(search, digits)
    except (KeyboardInterrupt, GeneratorExit):
        log.warning("the sweep was stopped; the same command continues it")
        raise


def prepare_digits(space: Space, dataset: Dataset, device: str = "auto") -> SweepDigits:
    """Take the test digits out of a dataset, after refusing what would fail in a later trial.

    Raises:
        UnknownName: a recipe of the space names something that does not exist.
        BadValue: a recipe of the space makes no sense.
        BadData: the dataset has too few digits.
        MissingExtra: a library is not installed.
    """
    check_before_training(TrainingJob(space.recipe, dataset, device=device))
    one = dataset.train[:1]
    for recipe in space.extremes():
        network = seeded_network(recipe, 0)
        Training(network, recipe, one, device=device)
        check_outputs(network, recipe, dataset)

    splits = {name: dataset[name] for name in ("train", "validation")}
    return SweepDigits(Dataset(dataset.name, dataset.classes, splits), device)


def train_seed(
    recipe: Recipe, seed: int, digits: SweepDigits, folder: Path
) -> Iterator[TrainingProgress | SeedFigures]:
    """Train once, to the same bits as `inkdigits train` with this seed.

    Args:
        recipe: how to train.
        seed: of weights, order and augmentation.
        digits: to learn from and to judge.
        folder: keeps the state while the training is under way; if it was stopped, it goes on.

    Yields:
        `TrainingProgress` now and then, and at last what the validation digits say.

    Raises:
        InkdigitsError: the loss stopped being a number.
        CannotWrite: where a folder of a sweep should be, there is a link.
    """
    seed_folder = folder / f"seed-{seed}"
    refuse_link(folder)
    refuse_link(seed_folder)
    states = SavedStates(seed_folder)

    dataset = digits.dataset
    training = Training(
        seeded_network(recipe, seed),
        recipe,
        dataset.train,
        seed=seed,
        device=digits.device,
        teachers=load_teachers(recipe.teacher, dataset.classes),
    )

    saver = StateSaver(training, states, EVERY_MINUTE)
    state = saver.load()
    if state:
        saver.restore(state)

    with name_lack_of_memory(), saver.when_stopped():
        for record in training.passes(dataset.validation):
            saver.save_if_due()
            if isinstance(record, TrainingProgress):
                yield record

    loss = training.epochs[-1].validation_loss
    if not math.isfinite(loss):
        raise InkdigitsError(f"the validation loss became {loss}; a smaller learning_rate may help")
    seconds = sum(epoch.seconds for epoch in training.epochs)
    yield SeedFigures(training.epochs[-1].validation_accuracy, loss, seconds)

    # Only now have the figures been taken down.
    states.delete_with_run()


def _work_here(search: Search, digits: SweepDigits) -> Generator[SweepRecord, None, None]:
    """Train trial after trial in this process."""
    while True:
        attempt = search.claim()
        if attempt is None:
            return

        with attempt:
            attempt.advance()
            while not attempt.over:
                yield from _train_next_seed(attempt, digits)
        yield from search.news()


def _train_next_seed(attempt: Attempt, digits: SweepDigits) -> Iterator[Underway]:
    """Train the next seed of a trial, and take its figures down."""
    space = attempt.search.space
    seed = len(attempt.seeds)
    name = f"trial {attempt.number + 1}/{space.trials} seed {seed + 1}/{space.seeds}"

    try:
        recipe = space.recipe_with(attempt.settings)
        for record in train_seed(recipe, seed, digits, attempt.folder):
            if isinstance(record, SeedFigures):
                attempt.advance(record)
            else:
                done = (record.epoch - 1 + record.fraction) / recipe.epochs
                yield Underway(name, done, record)
    except CannotWrite:
        raise
    except TRAINING_ERRORS as error:
        attempt.fail(str(error))


def _work_in_processes(
    search: Search, jobs: int, device: str, data_dir: Path | None
) -> Generator[SweepRecord, None, None]:
    """Have several processes share the search, each by the same command."""
    space = search.space
    command: list[object] = ["sweep", space.path, "--out", search.out, "--device", device]
    command += ["--trials", space.trials, "--data", space.recipe.data]
    if data_dir:
        command += ["--data-dir", data_dir]

    for _ in run_processes(command, jobs):
        yield from search.news()
        yield standing(search)
    yield from search.news()


def _work_on_ray(
    search: Search, digits: SweepDigits, jobs: int | None
) -> Generator[SweepRecord, None, None]:
    """Train seeds as tasks on a Ray cluster.

    The trials stay locked here, so other machines need no folder of ours.
    """
    with RayTasks(train_elsewhere, jobs, digits.device) as tasks, ExitStack() as held:
        shared = tasks.share(digits)

        def start_next_seed(attempt: Attempt) -> None:
            if not attempt.over:
                seed = len(attempt.seeds)
                tasks.start(attempt, search.space, attempt.settings, seed, shared)

        while True:
            while tasks.has_room:
                attempt = search.claim()
                if attempt is None:
                    break
                held.enter_context(attempt).advance()
                start_next_seed(attempt)

            yield from search.news()
            yield standing(search)
            if not tasks:
                return

            attempt, found = tasks.wait()
            if isinstance(found, Failure):
                attempt.fail(found.reason)
            else:
                attempt.advance(found)
            start_next_seed(attempt)


def train_elsewhere(
    space: Space, settings: dict[str, Value], seed: int, digits: SweepDigits
) -> SeedFigures | Failure:
    """Train one seed of a trial on a machine that may have no files of ours."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            *_, figures = train_seed(space.recipe_with(settings), seed, digits, Path(folder))
        except TRAINING_ERRORS as error:
            return Failure(str(error))

    assert isinstance(figures, SeedFigures), "a seed ends with its figures"
    return figures


def standing(search: Search) -> Underway:
    """Count the trials that are over, in all processes together."""
    space = search.space
    results = search.results()
    over = sum(result.over for result in results)
    ranked = rank_results(results, space.metric)
    best = f"best {format_figure(ranked[0], space.metric)}" if ranked else ""
    return Underway(f"{over}/{space.trials} trials", over / space.trials, best=best)
