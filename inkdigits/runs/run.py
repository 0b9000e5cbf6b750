"""One training run: a recipe and a dataset in, the folder of a trained model out.

The folder holds model.safetensors and config.json (checkpoint.py), model.onnx (export.py),
metrics.jsonl (a line an epoch, then the final figures) and report.html. The test split is read
once, whole, when the weights are final.
"""

import dataclasses
import logging
import math
from collections.abc import Generator, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

from inkdigits.core.digits import CLASSES
from inkdigits.core.errors import BadData, InkdigitsError
from inkdigits.core.files import refuse_link, remove_leftovers
from inkdigits.data.datasets import load_dataset
from inkdigits.data.splits import Dataset, Split
from inkdigits.runs.artifacts import (
    MEMBERS_FOLDER,
    FinalFigures,
    RunRecord,
    TrainingHistory,
    finish,
    read_epochs,
    run_name,
    write_metrics,
)
from inkdigits.runs.checkpoint import load_checkpoint, load_run
from inkdigits.runs.job import EVERY_MINUTE, TrainingJob, check_before_training, prepare
from inkdigits.runs.resume import (
    LAST_BITS,
    Interval,
    SavedStates,
    StateSaver,
    differences,
)
from inkdigits.runs.run_folder import (
    RUN_FILES,
    check_room,
    finished_before,
    is_finished,
    left_tidy,
    locked_folder,
    refuse_differences,
)
from inkdigits.training.device import choose_device, name_lack_of_memory
from inkdigits.training.figures import Epoch, TrainingProgress
from inkdigits.training.models import recipe_network
from inkdigits.training.predictions import accuracy_on
from inkdigits.training.recipe import Recipe, load_recipe
from inkdigits.training.state import fact

log = logging.getLogger(__name__)


def train(
    recipe: str | Path | Recipe,
    out: str | Path,
    *,
    data: str | Path | Dataset | None = None,
    seed: int = 0,
    device: str = "auto",
    init: str | Path | None = None,
    settings: Mapping[str, Any] | None = None,
    data_dir: str | Path | None = None,
    resume: bool = False,
    tensorboard: bool = False,
    interval: Interval = EVERY_MINUTE,
) -> FinalFigures:
    """Train a recipe and leave the run in the folder `out`, as `inkdigits train` does.

    Arguments and errors are those of `iter_train`.

    Returns:
        The final figures.
    """
    records = iter_train(
        recipe,
        out,
        data=data,
        seed=seed,
        device=device,
        init=init,
        settings=settings,
        data_dir=data_dir,
        resume=resume,
        tensorboard=tensorboard,
        interval=interval,
    )
    *_, final = records

    assert isinstance(final, FinalFigures), "a run ends with its final figures"
    return final


def iter_train(
    recipe: str | Path | Recipe,
    out: str | Path,
    *,
    data: str | Path | Dataset | None = None,
    seed: int = 0,
    device: str = "auto",
    init: str | Path | None = None,
    settings: Mapping[str, Any] | None = None,
    data_dir: str | Path | None = None,
    resume: bool = False,
    tensorboard: bool = False,
    interval: Interval = EVERY_MINUTE,
) -> Generator[RunRecord, None, None]:
    """Train a recipe, and yield its records. Closing the generator stops the run for `resume`.

    Args:
        recipe: a shipped name, a .toml file, or a Recipe.
        out: the folder of the run. It must be new, empty, or hold a run to resume.
        data: a dataset's name or path, or a Dataset; None for the recipe's own.
        seed: of the fresh weights, the order of the digits and the augmentation.
        device: auto, cpu, cuda or mps.
        init: a model to start from instead of fresh weights.
        settings: keys of the recipe to change, such as {"epochs": 3}.
        data_dir: where datasets are; None for INKDIGITS_DATA or the user's cache.
        resume: continue the run that was stopped in `out`, if there is one.
        tensorboard: also write TensorBoard's event files, into `out`/tensorboard.
        interval: how often the state is saved.

    Returns:
        A generator of `TrainingProgress` now and then, an `Epoch` after every pass, and at the end
        the `FinalFigures`.

    Raises:
        InkdigitsError: something is wrong with the arguments, the data or the disk.
    """
    recipe = load_recipe(recipe, settings)
    if not isinstance(data, Dataset):
        data = load_dataset(data or recipe.data, data_dir=data_dir)

    records = run(
        recipe,
        Path(out),
        data,
        seed=seed,
        device=device,
        init=init,
        resume=resume,
        interval=interval,
        mnist=mnist_to_compare(data, data_dir) if init else None,
    )
    if tensorboard:
        from inkdigits.runs.tensorboard import track

        records = track(records, recipe, data, Path(out), seed)

    return records


def mnist_to_compare(dataset: Dataset, data_dir: str | Path | None = None) -> Split | None:
    """Return MNIST's test digits, to see if a network forgets them as it learns from `dataset`.

    Returns:
        None if the dataset has other classes, or MNIST is not on this machine.
    """
    with suppress(BadData):
        mnist = load_dataset("mnist", data_dir=data_dir, download=False)
        if dataset.classes[:CLASSES] == mnist.classes:
            return mnist.test

    return None


def run(
    recipe: Recipe, out: Path, dataset: Dataset, **options: Any
) -> Generator[RunRecord, None, None]:
    """Train in a folder that no other run may use meanwhile.

    The state is saved now and then, and when Ctrl-C or closing this generator stops the run. With
    `resume`, a stopped run continues from its saved state and ends with the same bits as if it had
    never stopped; a finished run only yields its `FinalFigures`; without any run the training
    starts. After an error no folder is left behind, unless it holds a saved state or the trained
    weights.

    Args:
        recipe: how to train. Several members are trained one after another, each as a run of its
            own.
        out: the folder of the run.
        dataset: with the splits train, validation and test.
        options: the other attributes of a `TrainingJob`.

    Yields:
        `TrainingProgress` now and then, an `Epoch` after every pass, and the `FinalFigures` at the
        end.

    Raises:
        InkdigitsError: something is wrong with the options, the data or the disk.
    """
    job = TrainingJob(recipe, dataset, **options)
    check_before_training(job)

    with locked_folder(out), name_lack_of_memory():
        final = yield from run_in_locked_folder(job, out)

    yield final


def run_in_locked_folder(
    job: TrainingJob, out: Path
) -> Generator[TrainingProgress | Epoch, None, FinalFigures]:
    """Train a job, or return what it has reached already, in a folder whose lock the caller holds.

    Returns:
        The final figures.
    """
    final = finished_before(job, out)
    if final is None:
        remove_leftovers(out, RUN_FILES)
        train_job = run_single if job.recipe.members == 1 else run_ensemble
        final = yield from train_job(job, out)

    SavedStates(out).delete()
    return final


def run_single(
    job: TrainingJob, out: Path
) -> Generator[TrainingProgress | Epoch, None, FinalFigures]:
    """Train one network from its saved state, or from the beginning, and write the run's files.

    Returns:
        The final figures.
    """
    training, seconds = prepare(job)
    saver = StateSaver(training, SavedStates(out), job.interval)
    saver.facts = {
        "identity": job.identity,
        "circumstances": job.circumstances,
        "preparing": seconds,  # when the training first started
    }
    if job.resume:
        _resume(job, out, saver)

    mnist = None
    mnist_before = None
    if job.init is not None and job.mnist is not None:
        mnist = job.mnist
        mnist_before = accuracy_on(load_run(job.init).network, mnist)

    with left_tidy(out):
        check_room(out, training.network)

        with _stop_reported(saver), saver.when_stopped():
            for record in training.passes(job.dataset.validation):
                if isinstance(record, Epoch):
                    _refuse_unless_finite(record)
                    saver.attempt(lambda: write_metrics(out, training.epochs))

                saver.save_if_due()
                if record:
                    yield record

            saver.save()

            train_seconds = saver.facts["preparing"]
            train_seconds += sum(epoch.seconds for epoch in training.epochs)
            history = TrainingHistory(training.epochs, train_seconds, mnist, mnist_before)
            return finish(out, training.network, job.recipe, job.dataset, history, job.seed)


def run_ensemble(
    job: TrainingJob, out: Path
) -> Generator[TrainingProgress | Epoch, None, FinalFigures]:
    """Train the members that are not trained yet, join all of them, and write the run's files.

    The passes of all members are counted together.

    Returns:
        The final figures.
    """
    member = job.recipe.member
    network = recipe_network(job.recipe)
    epochs = list[Epoch]()
    seconds = 0.0

    refuse_link(out / MEMBERS_FOLDER)
    for number, seed in enumerate(job.recipe.member_seeds(job.seed)):
        folder = (job.members_in or out / MEMBERS_FOLDER) / run_name(member, seed)
        refuse_link(folder)
        epochs_before = number * member.epochs

        if not is_finished(folder, member, seed):
            options = {"seed": seed, "device": job.device, "interval": job.interval}
            with closing(run(member, folder, job.dataset, resume=True, **options)) as records:
                for record in records:
                    if not isinstance(record, FinalFigures):
                        yield dataclasses.replace(record, epoch=record.epoch + epochs_before)

        checkpoint = load_checkpoint(folder)
        weights = checkpoint.network.state_dict()
        network.get_submodule(f"members.{number}").load_state_dict(weights)
        seconds += checkpoint.config["final"]["train_seconds"]

        for epoch in read_epochs(folder):
            epochs.append(dataclasses.replace(epoch, epoch=epoch.epoch + epochs_before))

    network.to(choose_device(job.device))
    history = TrainingHistory(epochs, seconds)
    return finish(out, network, job.recipe, job.dataset, history, job.seed)


def _resume(job: TrainingJob, out: Path, saver: StateSaver) -> None:
    """Restore a training to where it was stopped, if there is a saved state.

    Raises:
        BadValue: the state is of another run.
        BadModel: it is no state of such a run.
    """
    state = saver.load()
    if state is None:
        return

    refuse_differences(out, differences(state.facts.get("identity"), job.identity))
    saver.restore(state)
    with saver.refusing_others():
        saver.facts["preparing"] = fact(state.facts, "preparing", float)

    training = saver.training
    write_metrics(out, training.epochs)

    log.warning(
        "continuing in epoch %d of %d, after %d steps",
        training.epoch,
        job.recipe.epochs,
        training.steps_done,
    )
    changed = differences(state.facts.get("circumstances"), job.circumstances)
    if changed:
        log.warning(LAST_BITS, "; ".join(changed))


@contextmanager
def _stop_reported(saver: StateSaver) -> Iterator[None]:
    """Say how to go on with the run if it is stopped from outside."""
    try:
        yield
    except (KeyboardInterrupt, GeneratorExit):
        if saver.states:
            log.warning(
                "stopped in epoch %d of %d; --resume continues from there",
                saver.training.epoch,
                saver.training.recipe.epochs,
            )
        raise


def _refuse_unless_finite(epoch: Epoch) -> None:
    """Raise InkdigitsError if the validation loss is infinite or not a number."""
    loss = epoch.validation_loss
    if not math.isfinite(loss):
        raise InkdigitsError(
            f"the validation loss became {loss} in epoch {epoch.epoch}; "
            "a smaller learning_rate may help"
        )
