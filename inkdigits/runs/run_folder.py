"""The folder of a run: whose it is, what it holds already, and what an error leaves there."""

import logging
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from torch import nn

from inkdigits.core.digits import CONFIG_FILE
from inkdigits.core.errors import BadModel, BadValue, CannotWrite, InkdigitsError
from inkdigits.core.files import (
    entries,
    file_lock,
    read_config,
    refuse_link,
    remove_file,
    remove_leftovers,
    writable_folder,
)
from inkdigits.runs.artifacts import (
    LAST_FILE,
    MEMBERS_FOLDER,
    METRICS_FILE,
    ONNX_FILE,
    UNUSABLE_FILE,
    FinalFigures,
)
from inkdigits.runs.checkpoint import WEIGHTS_FILE, load_checkpoint
from inkdigits.runs.job import TrainingJob
from inkdigits.runs.resume import SavedStates, differences
from inkdigits.training.models import count_parameters
from inkdigits.training.recipe import Recipe, from_table
from inkdigits.training.state import fact

log = logging.getLogger(__name__)

REPORT_BYTES = 1 << 20  # generously; the other files are two copies of the weights
LOCK_NAME = "run"  # `file_lock(folder / LOCK_NAME)` holds LOCK_FILE in that folder
LOCK_FILE = f".{LOCK_NAME}.lock"
RUN_FILES = (WEIGHTS_FILE, CONFIG_FILE, ONNX_FILE, METRICS_FILE, UNUSABLE_FILE, LAST_FILE)


def is_finished(folder: Path, recipe: Recipe, seed: int) -> bool:
    """Tell whether a folder holds a finished run of this seed and of this recipe as it is now.

    A run of an older version of the recipe, or with a damaged file, does not count.
    """
    if not (folder / LAST_FILE).is_file():
        return False

    try:
        config = read_config(folder / CONFIG_FILE)
        trained = from_table(config["recipe"]).what_it_trains
        trained_seed = config["seed"]
        epochs = config["final"]["epochs"]
        fact(config["final"], "train_seconds", float)
    except (OSError, ValueError, KeyError, TypeError, InkdigitsError):
        return False

    same_recipe = trained == recipe.what_it_trains
    return same_recipe and trained_seed == seed and epochs == recipe.total_epochs


def is_stopped(folder: Path, job: TrainingJob) -> bool:
    """Tell whether a folder holds a saved state that this job would continue from."""
    saved = SavedStates(folder).load()
    return saved is not None and saved.facts.get("identity") == job.identity


def clear_run_folder(folder: Path) -> None:
    """Delete the files of a run. What else is in its folder stays.

    Raises:
        CannotWrite: the folder, or that of its states, is a link.
    """
    refuse_link(folder)
    SavedStates(folder).delete()
    remove_leftovers(folder, RUN_FILES)
    for name in RUN_FILES:
        remove_file(folder / name)


@contextmanager
def locked_folder(out: Path) -> Iterator[None]:
    """Make a run's folder, keep other runs out of it, and delete it if it is empty at the end."""
    was_there = out.is_dir()
    try:
        writable_folder(out)
        with file_lock(out / LOCK_NAME, wait=False) as ours:
            if not ours:
                raise CannotWrite(f"another run is using {out}; choose another folder, or wait")
            yield
    finally:
        if not was_there:
            with suppress(OSError):  # it is not empty
                out.rmdir()


def finished_before(job: TrainingJob, out: Path) -> FinalFigures | None:
    """Return the figures of a run that is finished, or None if the folder is free to train in.

    Raises:
        CannotWrite: the folder holds something else, or holds a run although `resume` is off.
    """
    finished = (out / LAST_FILE).is_file()
    stopped = SavedStates(out).folder.is_dir() or (out / MEMBERS_FOLDER).is_dir()
    if finished and job.resume:
        final = _final_figures(job, out)
        log.warning("the run in %s is already finished", out)
        return final

    if stopped and not finished:
        if job.resume:
            return None
        raise CannotWrite(f"{out} holds a run that was stopped; --resume continues it")

    if any(path.name != LOCK_FILE for path in entries(out)):
        raise CannotWrite(
            f"the folder {out} exists and is not empty; choose a new one, or delete it first"
        )

    return None


def _final_figures(job: TrainingJob, out: Path) -> FinalFigures:
    """Read the figures of a finished run.

    Raises:
        BadValue: it is not a run of this job.
        BadModel: it is no run.
    """
    config = load_checkpoint(out).config
    try:
        figures = {key: value for key, value in config["final"].items() if key != "final"}
        then = from_table(config["recipe"]).what_it_trains | {
            "seed": config["seed"],
            "digits": config["data"]["train"],
            # Older versions finished what Ctrl-C had cut short.
            "epochs": figures["epochs"] // job.recipe.members,
        }
        final = FinalFigures(**figures)
    except (AttributeError, KeyError, TypeError) as error:
        raise BadModel(f"{out / CONFIG_FILE} is damaged: {error!a:.200}") from error

    now = job.recipe.what_it_trains | {"seed": job.seed, "digits": len(job.dataset.train)}
    refuse_differences(out, differences(then, now))
    return final


def refuse_differences(out: Path, different: list[str]) -> None:
    """Raise BadValue if the run in a folder is not the one that was asked for."""
    if different:
        raise BadValue(
            f"{out} holds another run, of {'; '.join(different)}; "
            "choose another folder, or the settings that it was started with"
        )


@contextmanager
def left_tidy(out: Path) -> Iterator[None]:
    """Tell the user what stays in the folder after an error, and delete what is of no use.

    What an earlier run has left is of use: `resume` goes on there.
    """
    had_states = SavedStates(out).folder.is_dir()
    try:
        yield
    except BaseException as error:
        if (out / CONFIG_FILE).is_file():
            error.add_note(
                f"the trained weights are complete and stay in {out}; --resume finishes the run"
            )
        elif SavedStates(out):
            error.add_note(f"its last good state stays in {out}")
        elif not had_states:
            SavedStates(out).delete()
            remove_file(out / METRICS_FILE)
        raise


def check_room(folder: Path, network: nn.Module) -> None:
    """Raise CannotWrite if the disk has no room for a run."""
    needed = 2 * 4 * count_parameters(network) + REPORT_BYTES  # float32
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise CannotWrite(
            f"{folder} has room for {free / 2**20:.1f} MiB, but a run takes "
            f"{needed / 2**20:.1f}; choose another place"
        )
