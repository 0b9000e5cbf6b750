"""Recipes and seeds in, a finished run of each in `DIR/RECIPE-seedN` out, and what they measured.

Runs are made one after another, in several processes, or on a Ray cluster. Stop it and start it
again as you like: finished runs are kept, and stopped ones go on. Several calls at a time share the
work.
"""

import html
import tempfile
from collections.abc import Generator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

from inkdigits.core.errors import BadValue, InkdigitsError
from inkdigits.core.files import file_lock, refuse_link, write_whole
from inkdigits.data.datasets import Dataset, load_dataset
from inkdigits.runs.artifacts import LAST_FILE, RunRecord, run_name
from inkdigits.runs.engines import (
    TRAINING_ERRORS,
    Failure,
    RayTasks,
    Underway,
    check_jobs,
    run_processes,
)
from inkdigits.runs.job import TrainingJob
from inkdigits.runs.results import check_checkout, measure_recipe, write_evidence
from inkdigits.runs.run import run, run_in_locked_folder
from inkdigits.runs.run_folder import LOCK_NAME, clear_run_folder, is_finished, is_stopped
from inkdigits.training.recipe import Recipe, load_recipe

REFERENCE_SYSTEMS = ("lenet", "two-conv", "dropout", "sgd", "batchnorm")


@dataclass(frozen=True)
class PlannedRun:
    """One run of a recipe, in the folder `out/RECIPE-seedN`."""

    recipe: Recipe
    seed: int
    out: Path

    @property
    def folder(self) -> Path:
        """Where the run is."""
        return self.out / run_name(self.recipe, self.seed)

    @property
    def title(self) -> str:
        """The run in words, such as "lenet, seed 0"."""
        return f"{self.recipe.name}, seed {self.seed}"

    @property
    def is_finished(self) -> bool:
        """Whether the folder holds the finished run."""
        return is_finished(self.folder, self.recipe, self.seed)


@dataclass(frozen=True)
class RunStep:
    """What one of the runs has just reported."""

    run: PlannedRun
    record: RunRecord


@dataclass(frozen=True)
class Measured:
    """The recipes, with what the runs reached in `measured`."""

    recipes: tuple[Recipe, ...]


ReproductionRecord = RunStep | Underway | Measured


def reproduce(
    names: Sequence[str],
    seeds: int,
    out: Path,
    *,
    jobs: int | None = None,
    engine: str = "local",
    data_dir: Path | None = None,
    write: bool = False,
) -> Generator[ReproductionRecord, None, None]:
    """Train recipes with seeds 0 to seeds - 1, unless a run is finished already.

    With as many threads a run, the engines and numbers of jobs give the same bits.

    Args:
        names: shipped recipes or .toml files; none means the five reference systems.
        seeds: runs of each recipe.
        out: the folder for the runs.
        jobs: runs at a time. None is one with "local", one a processor of the cluster with "ray".
        engine: "local", in processes on this machine, or "ray".
        data_dir: the folder with the datasets; None for the default one.
        write: whether to also write what these runs reached into the recipes, and the figures of
            all recipes into docs/results.md and README.md, in a checkout of the project.

    Yields:
        The steps of a run, or how many runs are done if several are under way; at last what the
        recipes reached.

    Raises:
        InkdigitsError: with a sentence for the user.
    """
    if seeds < 1:
        raise BadValue(f"{seeds} seeds make no runs; 1 or more do, and 3 give an error bar")
    check_jobs(jobs)
    if write:
        check_checkout()

    recipes = [load_recipe(name) for name in names or REFERENCE_SYSTEMS]
    datasets = _load_datasets(recipes, data_dir)
    runs = planned_runs(recipes, seeds, out)

    if engine == "ray":
        yield from _train_on_ray(runs, datasets, jobs)
    else:
        command = ["reproduce", *names, "--seeds", seeds, "--out", out]
        yield from _train_in_processes(runs, command, jobs or 1, data_dir)

    # All runs, or what others have left: ensembles, and runs whose process was killed.
    yield from _train_here(runs, datasets)

    measured = Measured(tuple(measure_recipe(recipe, out) for recipe in recipes))
    if write:
        write_evidence({recipe.name: recipe.measured for recipe in measured.recipes})
    yield measured


def _load_datasets(recipes: Sequence[Recipe], data_dir: Path | None) -> dict[str, Dataset]:
    """Load each dataset that a recipe learns from, by its name."""
    names = {recipe.data for recipe in recipes}
    return {name: load_dataset(name, data_dir=data_dir) for name in names}


def planned_runs(recipes: Sequence[Recipe], seeds: int, out: Path) -> list[PlannedRun]:
    """List the runs of recipes, those of an ensemble's members before the ensemble."""
    runs: list[PlannedRun] = []
    for recipe in recipes:
        for seed in range(seeds):
            if recipe.members > 1:
                member_seeds = recipe.member_seeds(seed)
                runs += [PlannedRun(recipe.member, each, out) for each in member_seeds]
            runs.append(PlannedRun(recipe, seed, out))

    return runs


def _single_runs(runs: Sequence[PlannedRun]) -> list[PlannedRun]:
    """List the runs of one network each."""
    return [each for each in runs if each.recipe.members == 1]


def _standing(runs: Sequence[PlannedRun]) -> Underway:
    """Count the runs that are done."""
    done = sum(each.is_finished for each in runs)
    return Underway(f"{done}/{len(runs)} runs", done / len(runs))


def _train_here(
    runs: Sequence[PlannedRun], datasets: dict[str, Dataset]
) -> Generator[RunStep, None, None]:
    """Make the runs in this process: first those free to take, then what others did not finish."""
    for each in _single_runs(runs):
        yield from train_run(each, datasets[each.recipe.data], wait=False)
    for each in runs:
        yield from train_run(each, datasets[each.recipe.data], wait=True)


def _train_in_processes(
    runs: Sequence[PlannedRun], command: list[object], jobs: int, data_dir: Path | None
) -> Generator[Underway, None, None]:
    """Have several processes share the runs, each by the same command; a single job needs none."""
    if jobs == 1:
        return
    if data_dir:
        command = [*command, "--data-dir", data_dir]
    for _ in run_processes(command, jobs):
        yield _standing(runs)


def train_run(
    planned: PlannedRun, dataset: Dataset, *, wait: bool
) -> Generator[RunStep, None, None]:
    """Make a run, or go on with it, unless it is finished.

    Args:
        planned: the run.
        dataset: to learn from.
        wait: whether to wait if another process is at it; else the run is left to it.

    Yields:
        What the run reports.
    """
    job = TrainingJob(planned.recipe, dataset, planned.seed, members_in=planned.out, resume=True)
    refuse_link(planned.folder)
    with file_lock(planned.folder / LOCK_NAME, wait) as ours:
        if not ours or planned.is_finished:
            return
        if not is_stopped(planned.folder, job):
            clear_run_folder(planned.folder)

        with closing(run_in_locked_folder(job, planned.folder)) as records:
            for record in records:
                yield RunStep(planned, record)


def _train_on_ray(
    runs: Sequence[PlannedRun], datasets: dict[str, Dataset], jobs: int | None
) -> Generator[Underway, None, None]:
    """Make the runs of one network as tasks on a Ray cluster.

    Each run's folder stays locked here, so other machines need no folder of ours.
    """
    waiting = _single_runs(runs)
    with RayTasks(run_files, jobs) as tasks, ExitStack() as locks:
        shared = {name: tasks.share(dataset) for name, dataset in datasets.items()}
        while waiting or tasks:
            while waiting and tasks.has_room:
                planned = waiting.pop(0)
                refuse_link(planned.folder)
                ours = locks.enter_context(file_lock(planned.folder / LOCK_NAME, wait=False))
                if ours and not planned.is_finished:
                    tasks.start(planned, planned, shared[planned.recipe.data])

            yield _standing(runs)
            if tasks:
                _keep(*tasks.wait())


def run_files(planned: PlannedRun, dataset: Dataset) -> dict[str, bytes] | Failure:
    """Make a run on a machine that may have no folder of ours.

    Returns:
        The content of the run's files, by their names.
    """
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary, planned.folder.name)
        try:
            for _ in run(planned.recipe, folder, dataset, seed=planned.seed):
                pass
        except TRAINING_ERRORS as error:
            return Failure(str(error))

        files = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}

    # The report names the folder, which is another one here.
    there = html.escape(str(folder)).encode()
    here = html.escape(str(planned.folder)).encode()
    files[LAST_FILE] = files[LAST_FILE].replace(there, here)
    return files


def _keep(planned: PlannedRun, files: dict[str, bytes] | Failure) -> None:
    """Write the files of a finished run, the one that tells that it is whole last."""
    if isinstance(files, Failure):
        raise InkdigitsError(f"{planned.title}: {files.reason}")

    clear_run_folder(planned.folder)
    last = files.pop(LAST_FILE)
    for name, content in files.items():
        write_whole(planned.folder / name, content)
    write_whole(planned.folder / LAST_FILE, last)
