"""A search over keys of a recipe: trial after trial is trained and judged, here, in several processes, or on a cluster.

A `Space` and digits in; `search.py` keeps what comes out. Only the validation digits judge: test digits are not even handed on, and
`inkdigits train DIR/best.toml` reads them once, when the search is over.
"""

import logging
import math
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import torch

from inkdigits.core.errors import BadValue, CannotWrite, InkdigitsError, MissingExtra
from inkdigits.core.signals import uninterrupted
from inkdigits.data.datasets import Dataset
from inkdigits.reading.network import processors
from inkdigits.runs.job import EVERY_MINUTE, TrainingJob, check_before_training, check_outputs
from inkdigits.runs.resume import SavedStates, StateSaver
from inkdigits.runs.sweep.space import Space, Value
from inkdigits.runs.sweep.study import Attempt, Search
from inkdigits.runs.sweep.trials import Figures, Result, best, figure
from inkdigits.training.distillation import load_teachers
from inkdigits.training.figures import TrainingProgress
from inkdigits.training.loop import Training, seeded_network
from inkdigits.training.recipe import Recipe

log = logging.getLogger(__name__)

GLANCE = 0.5  # seconds between two looks at what other processes have finished
TOO_MUCH = (InkdigitsError, torch.OutOfMemoryError)  # for a trial: it fails, and the search goes on


@dataclass(frozen=True)
class Underway:
    """TrainingProgress of a sweep: what is running, and the fraction of it that is done (0 to 1).

    training: how the seed under way is learning. best: the best result so far, in words.
    """

    name: str
    fraction: float
    training: TrainingProgress | None = None
    best: str = ""


Record = Underway | Result


@dataclass(frozen=True)
class Digits:
    """What is learned from and what judges. device: auto, cpu, cuda or mps."""

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
) -> Generator[Record, None, None]:
    """Search in the folder `out`, or go on there: `inkdigits sweep`. Yields what is under way, and each trial that is over, once.

    dataset: what `space.recipe.data` names. data_dir: where other processes find it, too.
    jobs: trials at a time, 1 unless given; with the engine ray, as many as its cluster has processors. Raises InkdigitsError.
    """
    if jobs is not None and jobs < 1:
        raise BadValue(f"{jobs} jobs do nothing; 1 or more do")
    digits = prepared(space, dataset, device)
    search = Search(space, out, str(digits))
    yield from search.news()
    given = {
        "--out": out,
        "--trials": space.trials,
        "--data": space.recipe.data,
        "--device": device,
        "--data-dir": data_dir,
    }
    options = [
        str(each)
        for option, value in given.items()
        if value is not None
        for each in (option, value)
    ]
    try:
        if engine == "ray":
            yield from work_on_ray(search, digits, jobs)
        elif (jobs or 1) == 1:
            yield from work(search, digits)
        else:
            yield from work_together(search, jobs or 1, ["sweep", str(space.path), *options])
    except (KeyboardInterrupt, GeneratorExit):
        log.warning("the sweep was stopped; the same command goes on with it")
        raise


def prepared(space: Space, dataset: Dataset, device: str = "auto") -> Digits:
    """The dataset without its test digits, after whatever would only come to light in a later trial has been refused.

    Raises UnknownName, BadValue, BadData or MissingExtra.
    """
    check_before_training(TrainingJob(space.recipe, dataset, device=device))
    one = dataset.train[:1]
    for recipe in space.extremes():
        network = seeded_network(recipe, 0)
        Training(network, recipe, one, device=device)
        check_outputs(network, recipe, dataset)
    seen = {name: dataset[name] for name in ("train", "validation")}
    return Digits(Dataset(dataset.name, dataset.classes, seen), device)


def train_seed(
    recipe: Recipe, seed: int, digits: Digits, folder: Path
) -> Iterator[TrainingProgress | Figures]:
    """Train once, from the state that `folder` keeps if it was stopped, and end with what the validation digits say.

    The same bits as `inkdigits train` makes with this seed. Raises InkdigitsError where the loss stops being a number.
    """
    dataset, teachers = digits.dataset, load_teachers(recipe.teacher, digits.dataset.classes)
    training = Training(
        seeded_network(recipe, seed),
        recipe,
        dataset.train,
        seed=seed,
        device=digits.device,
        teachers=teachers,
    )
    states = SavedStates(folder / f"seed-{seed}")
    if saved := states.load():
        training.restore(saved)
    states.folder.mkdir(parents=True, exist_ok=True)
    saving = StateSaver(states, EVERY_MINUTE, training.done)
    try:
        for record in training.passes(dataset.validation):
            if saving.due(training.done):
                saving.save(training.state(), training.done)
            if isinstance(record, TrainingProgress):
                yield record
    except (KeyboardInterrupt, GeneratorExit):
        if training.whole:
            with uninterrupted:
                saving.save(training.state(), training.done)
        raise
    last = training.epochs[-1]
    if not math.isfinite(last.validation_loss):
        raise InkdigitsError(
            f"the validation loss became {last.validation_loss}; a smaller learning_rate would help"
        )
    yield Figures(
        last.validation_accuracy,
        last.validation_loss,
        sum(epoch.seconds for epoch in training.epochs),
    )
    shutil.rmtree(
        states.folder.parent, ignore_errors=True
    )  # only now: the figures have been taken down


def work(search: Search, digits: Digits) -> Generator[Record, None, None]:
    """Trial after trial in this process. Yields what is under way, and every trial that comes to its end, here or elsewhere."""
    while attempt := search.claim():
        with attempt:
            attempt.advance()
            while not attempt.over:
                yield from _next_seed(attempt, digits)
        yield from search.news()


def _next_seed(attempt: Attempt, digits: Digits) -> Iterator[Underway]:
    space, seed = attempt.search.space, len(attempt.seeds)
    name = f"trial {attempt.number + 1}/{space.trials} seed {seed + 1}/{space.seeds}"
    try:
        recipe = space.recipe_with(attempt.settings)
        for record in train_seed(recipe, seed, digits, attempt.search.folder(attempt.number)):
            if isinstance(record, Figures):
                attempt.advance(record)
            else:
                yield Underway(
                    name,
                    (record.epoch - 1 + record.fraction) / recipe.epochs,
                    record,
                )
    except CannotWrite:
        raise
    except TOO_MUCH as error:
        attempt.fail(str(error))


def work_together(
    search: Search, jobs: int, arguments: Sequence[str]
) -> Generator[Record, None, None]:
    """Several processes, each of which is `inkdigits ARGUMENTS` and shares the search. Yields as `work` does; leaving ends them."""
    environment = {"OMP_NUM_THREADS": str(max(1, processors() // jobs)), **os.environ}
    command, quiet = [sys.executable, "-m", "inkdigits", *arguments], subprocess.DEVNULL
    with ExitStack() as stack:
        said = [stack.enter_context(tempfile.TemporaryFile("w+")) for _ in range(jobs)]
        processes = [
            subprocess.Popen(command, stdin=quiet, stdout=quiet, stderr=file, env=environment)
            for file in said
        ]  # noqa: S603
        stack.callback(_stop, processes)
        while any(process.poll() is None for process in processes):
            time.sleep(GLANCE)
            yield from search.news()
            yield standing(search)
        yield from search.news()
        for process, file in zip(processes, said, strict=True):
            if process.returncode:
                file.seek(0)
                words = file.read().splitlines() or ["no word"]
                log.warning(
                    "one of %d processes ended with status %d: %s",
                    jobs,
                    process.returncode,
                    words[-1],
                )


def _stop(processes: Iterable[subprocess.Popen[bytes]]) -> None:
    """Have them save what they are at and leave."""
    for process in processes:
        process.terminate()
    for process in processes:
        process.wait()


def work_on_ray(search: Search, digits: Digits, jobs: int | None) -> Generator[Record, None, None]:
    """Seeds as tasks of Ray's, so many at a time, on the cluster that it finds, else on this machine. Yields as `work` does.

    jobs: None for one a processor of the cluster. The trials stay in our hands, so that other machines need no folder of ours.
    Raises MissingExtra.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # or it tells its makers
    try:
        import ray
    except ImportError:
        raise MissingExtra("--engine ray", "scale") from None
    ray.init(ignore_reinit_error=True, log_to_driver=False, logging_level=logging.ERROR)
    slots = jobs or int(ray.cluster_resources()["CPU"])
    train = ray.remote(num_gpus=int(digits.device == "cuda"))(outcome)
    put, at_work = ray.put(digits), dict[object, Attempt]()

    def begin_next_seed(attempt: Attempt) -> None:
        if not attempt.over:
            at_work[train.remote(search.space, attempt.settings, len(attempt.seeds), put)] = attempt

    with ExitStack() as held:
        while True:
            while len(at_work) < slots and (attempt := search.claim()):
                held.enter_context(attempt).advance()
                begin_next_seed(attempt)
            yield from search.news()
            yield standing(search)
            if not at_work:
                return
            (done, *_), _ = ray.wait(list(at_work))
            attempt = at_work.pop(done)
            try:
                found = ray.get(done)
            except (
                ray.exceptions.RayError
            ) as error:  # its machine is gone, or out of memory, after as many tries as Ray makes
                found = str(error).splitlines()[0]
            attempt.advance(found) if isinstance(found, Figures) else attempt.fail(found)
            begin_next_seed(attempt)


def outcome(space: Space, settings: dict[str, Value], seed: int, digits: Digits) -> Figures | str:
    """What a seed reached, or why it failed, on a machine that has none of our files."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            *_, figures = train_seed(space.recipe_with(settings), seed, digits, Path(folder))
        except TOO_MUCH as error:
            return str(error)
    assert isinstance(figures, Figures), "a seed ends with its figures"
    return figures


def standing(search: Search) -> Underway:
    """How far all processes together are."""
    space, results = search.space, search.results()
    over, ranked = sum(result.over for result in results), best(results, space.metric)
    return Underway(
        f"{over}/{space.trials} trials",
        over / space.trials,
        best=f"best {figure(ranked[0], space.metric)}" if ranked else "",
    )
