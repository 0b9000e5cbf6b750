"""One training run, from a recipe and a dataset to a folder that can be read with, measured, and trained further.

The folder afterwards: model.safetensors and config.json (checkpoint.py), model.onnx (export.py), metrics.jsonl (a line an epoch,
then the final figures) and report.html (report.py). The test split is read once, whole, when the weights are final.
"""

import dataclasses
import json
import logging
import math
import shutil
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import torch._dynamo  # noqa: F401
from torch import nn

from inkdigits.core.digits import CLASSES, CONFIG_FILE
from inkdigits.core.errors import BadData, BadValue, CannotWrite, InkdigitsError
from inkdigits.core.files import alone, entries, remove_leftovers, writable_folder
from inkdigits.core.signals import uninterrupted
from inkdigits.data.datasets import Dataset, Split, load_dataset
from inkdigits.runs.artifacts import LAST_FILE, METRICS_FILE, Final, Work, finish, write_metrics
from inkdigits.runs.checkpoint import load_checkpoint
from inkdigits.runs.job import Job, check_before_training, prepare
from inkdigits.runs.resume import Saving, State, States, differences
from inkdigits.training.device import choose_device
from inkdigits.training.distributed import ALONE, Group, group
from inkdigits.training.launch import place_in_group, restarts
from inkdigits.training.loop import Epoch, Progress, Training
from inkdigits.training.models import count_parameters, recipe_network
from inkdigits.training.recipe import Recipe, from_table, load_recipe

# The first optimiser loads torch._dynamo anyway. That takes a second, which belongs to starting up and not to the first epoch,
# so it is loaded above.

log = logging.getLogger(__name__)

REPORT_SIZE = 1 << 20  # bytes, generously; the other files are two copies of the weights
LOCKED = "run"  # what `alone` makes .run.lock of, in the run's folder
LOCK = f".{LOCKED}.lock"

Record = Progress | Epoch | Final


def train(
    recipe: str | Path | Recipe,
    out: str | Path,
    *,
    data: str | Path | None = None,
    seed: int = 0,
    device: str = "auto",
    init: str | Path | None = None,
    settings: Mapping[str, Any] | None = None,
    data_dir: str | Path | None = None,
    resume: bool = False,
    tensorboard: bool = False,
) -> Final:
    """Train a recipe and leave the run in the new folder `out`: `inkdigits train`.

    recipe: a shipped name, a .toml file, or a Recipe. data: a dataset's name or path; None for the recipe's own. init: a model to
    start from instead of fresh weights. settings: keys of the recipe to change, such as {"epochs": 3}. resume: go on with the run
    that was stopped in `out`, if there is one. tensorboard: also write its event files, into `out`/tensorboard. Raises
    InkdigitsError with a sentence for the user.
    """
    chosen = load_recipe(recipe, settings)
    dataset = load_dataset(data or chosen.data, data_dir=data_dir)
    final = None
    mnist = mnist_to_compare(dataset, data_dir) if init else None
    records = run(
        chosen, Path(out), dataset, seed=seed, device=device, init=init, resume=resume, mnist=mnist
    )
    if tensorboard:
        from inkdigits.runs.tensorboard import track

        records = track(records, chosen, dataset, Path(out), seed)
    for record in records:
        final = record
    assert isinstance(final, Final), "a run ends with its final figures"
    return final


def mnist_to_compare(dataset: Dataset, data_dir: str | Path | None = None) -> Split | None:
    """MNIST's test digits, on which to see what learning from `dataset` makes a network forget; None unless they are at hand."""
    with suppress(BadData):
        mnist = load_dataset("mnist", data_dir=data_dir, download=False)
        return mnist.test if dataset.classes[:CLASSES] == mnist.classes else None
    return None


def run(
    recipe: Recipe, out: Path, dataset: Dataset, **options: Any
) -> Generator[Record, None, None]:
    """Train and yield what happens: Progress, an Epoch after every pass, and at last the Final. options: of a Job.

    A recipe of several members trains them one after another, each as a run of its own in `members_in`, or in `out` unless given.

    Its state is saved every now and then, and when Ctrl-C ends it or this generator is closed. `resume` goes on from there to the
    bits that it would have reached, starts where there is nothing yet, and has only the Final to say of a run that is finished.
    Raises InkdigitsError; then no folder is left behind, unless a state or the trained weights are in it.
    """
    job = Job(recipe, dataset, **options)
    check_before_training(job)
    if place_in_group()[1] > 1 and recipe.members > 1:
        raise BadValue(
            f"{recipe.name!r} trains {recipe.members} networks one after another; torchrun shares the work of one"
        )
    with group(job.device) as processes:
        if restarts():  # the command is the same as the first time
            job = dataclasses.replace(job, resume=True)
        if processes.leads:
            yield (yield from _lead(job, out, processes))
        else:
            yield from _follow(job, processes)


def _lead(job: Job, out: Path, processes: Group = ALONE) -> Generator[Record, None, Final]:
    """The whole run, as the process that writes it: nobody else may, as long as it lasts."""
    was_there = out.is_dir()
    try:
        writable_folder(out)
        with alone(out / LOCKED, wait=False) as ours:
            if not ours:
                raise CannotWrite(
                    f"another run is at work in {out}; choose another folder, or wait"
                )
            return (yield from run_alone(job, out, processes))
    finally:
        if not was_there:
            with suppress(OSError):  # there is something in it
                out.rmdir()


def _tell_followers(job: Job, processes: Group, saved: State | None) -> None:
    """What to train, and from where."""
    if processes.size > 1:
        processes.told(json.dumps(job.identity).encode())
        processes.told(saved.to_bytes() if saved else b"")


def _follow(job: Job, processes: Group) -> Generator[Record, None, None]:
    """Our share of a run that another process leads. Says nothing of it but the final figures."""
    training, _, _ = prepare(job, processes)
    leaders = json.loads(processes.told())
    if different := differences(leaders, job.identity):
        place = f"process {processes.rank + 1} of {processes.size}"
        raise BadValue(
            f"{place} was started to train something else than the first: {'; '.join(different)}"
        )
    if content := processes.told():
        training.restore(State.from_bytes(content))
    for _ in training.passes(job.dataset.validation):
        pass
    yield Final(**json.loads(processes.told()))


def run_alone(job: Job, out: Path, processes: Group = ALONE) -> Generator[Record, None, Final]:
    """`run`, for who holds the folder's lock already. Returns the final figures."""
    final = _check_folder(job, out)
    if final is None:
        remove_leftovers(out)
        final = (
            yield from _run_members(job, out)
            if job.recipe.members > 1
            else _run_one(job, out, processes)
        )
    States(out).delete()
    return final


def _check_folder(job: Job, out: Path) -> Final | None:
    """The figures of a run that is finished. Raises CannotWrite where the folder holds what is not to be gone on with."""
    finished, stopped = (
        (out / LAST_FILE).is_file(),
        States(out).folder.is_dir() or (out / "members").is_dir(),
    )
    if finished and job.resume:
        final = _final_figures(job, out)
        log.warning("the run in %s is finished", out)
        return final
    if stopped and not finished and not job.resume:
        raise CannotWrite(f"{out} holds a run that was stopped; --resume goes on with it")
    if finished or (not stopped and any(path.name != LOCK for path in entries(out))):
        raise CannotWrite(
            f"the folder {out} exists and is not empty; choose a new one, or delete it first"
        )
    return None


def _final_figures(job: Job, out: Path) -> Final:
    """Of a finished run. Raises BadValue where it is another one."""
    config = load_checkpoint(out).config
    then = from_table(config["recipe"]).what_it_trains | {
        "seed": config["seed"],
        "digits": config["data"]["train"],
    }
    then |= {
        "epochs": config["final"]["epochs"] // job.recipe.members
    }  # older versions finished what Ctrl-C had cut short
    _refuse(
        out,
        differences(
            then, job.recipe.what_it_trains | {"seed": job.seed, "digits": len(job.dataset.train)}
        ),
    )
    return Final(**{key: value for key, value in config["final"].items() if key != "final"})


def _refuse(out: Path, different: list[str]) -> None:
    if different:
        raise BadValue(
            f"{out} holds another run, of {'; '.join(different)}; choose another folder, or what it was started with"
        )


def _run_one(job: Job, out: Path, processes: Group) -> Generator[Record, None, Final]:
    """Train one network from wherever its state is, or from the beginning, and finish."""
    training, seconds, before = prepare(job, processes)
    mnist = None if job.init is None else job.mnist
    states = States(out)
    saved = states.load() if job.resume else None
    if saved:
        seconds = _take_up(job, out, training, saved)
    _tell_followers(job, processes, saved)
    saving = Saving(states, job.interval, training.done)

    def save() -> None:
        with uninterrupted:
            state = training.state()
            facts = {
                "identity": job.identity,
                "circumstances": job.circumstances,
                "preparing": seconds,
            }
            saving.save(State(state.tensors, state.facts | facts), training.done)

    with _left_tidy(out):
        _check_room(out, training.network)
        try:
            states.folder.mkdir(exist_ok=True)
            for record in training.passes(job.dataset.validation):
                if isinstance(record, Epoch):
                    _check_epoch(record)
                    saving.attempt(lambda: write_metrics(out, training.epochs))
                if saving.due(training.done):
                    save()
                if record:
                    yield record
            save()
            work = Work(
                training.epochs,
                seconds + sum(epoch.seconds for epoch in training.epochs),
                mnist,
                before,
            )
            final = finish(out, training.network, job.recipe, job.dataset, work, job.seed)
            processes.told(json.dumps(dataclasses.asdict(final)).encode())
            return final
        except (KeyboardInterrupt, GeneratorExit):
            if training.whole:
                save()
            if states:
                log.warning(
                    "stopped in epoch %d of %d; --resume goes on from there",
                    training.epoch,
                    job.recipe.epochs,
                )
            raise


def _take_up(job: Job, out: Path, training: Training, saved: State) -> float:
    """Bring the training to where it was. Returns the seconds that preparing it took then. Raises BadValue where it is another."""
    _refuse(out, differences(saved.facts["identity"], job.identity))
    training.restore(saved)
    write_metrics(out, training.epochs)
    log.warning(
        "going on in epoch %d of %d, after %d steps",
        training.epoch,
        job.recipe.epochs,
        training.done,
    )
    if changed := differences(saved.facts["circumstances"], job.circumstances):
        log.warning(
            "the result may differ in its last bits, as this has changed: %s", "; ".join(changed)
        )
    return float(saved.facts["preparing"])


def _check_epoch(epoch: Epoch) -> None:
    if not math.isfinite(loss := epoch.validation_loss):
        where = f"in epoch {epoch.epoch}"
        raise InkdigitsError(
            f"the validation loss became {loss} {where}; a smaller learning_rate would help"
        )


def _run_members(job: Job, out: Path) -> Generator[Record, None, Final]:
    """Train what is not trained yet, join all, and finish that as any run."""
    epochs, seconds, network = list[Epoch](), 0.0, recipe_network(job.recipe)
    for number, seed in enumerate(job.recipe.member_seeds(job.seed)):
        folder = (job.members_in or out / "members") / run_name(job.recipe.member, seed)
        if not is_finished(folder, job.recipe.member, seed):
            member = dataclasses.replace(
                job, recipe=job.recipe.member, seed=seed, members_in=None, resume=True
            )
            for record in _lead(member, folder):
                assert not isinstance(record, Final)
                yield dataclasses.replace(record, epoch=record.epoch + number * job.recipe.epochs)
        checkpoint = load_checkpoint(folder)
        network.get_submodule(f"members.{number}").load_state_dict(checkpoint.network.state_dict())
        seconds += checkpoint.config["final"]["train_seconds"]
        lines = map(json.loads, (folder / METRICS_FILE).read_text().splitlines())
        passes = [Epoch(**line) for line in lines if "final" not in line]
        epochs += [
            dataclasses.replace(epoch, epoch=epoch.epoch + number * job.recipe.epochs)
            for epoch in passes
        ]
    return finish(
        out,
        network.to(choose_device(job.device)),
        job.recipe,
        job.dataset,
        Work(epochs, seconds),
        job.seed,
    )


def run_name(recipe: Recipe, seed: int) -> str:
    """Of the folder, where runs lie side by side."""
    return f"{recipe.name}-seed{seed}"


def is_finished(folder: Path, recipe: Recipe, seed: int) -> bool:
    """Whether a folder holds a run of this recipe and seed, as the recipe is now, with its last file and all epochs.

    The recipe may have changed since, and a file may be damaged.
    """
    if not (folder / LAST_FILE).is_file():
        return False
    try:
        config = json.loads((folder / CONFIG_FILE).read_bytes())
        same = (
            from_table(config["recipe"]).what_it_trains == recipe.what_it_trains
            and config["seed"] == seed
        )
        return bool(same and config["final"]["epochs"] == recipe.total_epochs)
    except (OSError, ValueError, KeyError, TypeError, InkdigitsError):
        return False


def is_stopped(folder: Path, job: Job) -> bool:
    """Whether a folder holds a state from which this job would go on."""
    saved = States(folder).load()
    return saved is not None and saved.facts["identity"] == job.identity


def empty(folder: Path) -> None:
    """Delete what is in it, but for the lock."""
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        elif path.name != LOCK:
            path.unlink()


@contextmanager
def _left_tidy(out: Path) -> Iterator[None]:
    """Where an error leaves neither a state nor trained weights, nothing of ours is left."""
    try:
        yield
    except BaseException as error:
        if (out / CONFIG_FILE).is_file():
            error.add_note(
                f"the trained weights are whole and stay in {out}; --resume finishes the run"
            )
        elif States(out):
            error.add_note(f"its last good state stays in {out}")
        else:
            States(out).delete()
            (out / METRICS_FILE).unlink(missing_ok=True)
        raise


def _check_room(folder: Path, network: nn.Module) -> None:
    needed = 2 * 4 * count_parameters(network) + REPORT_SIZE  # float32
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise CannotWrite(
            f"{folder} has room for {free / 2**20:.1f} MiB, but a run takes {needed / 2**20:.1f}; choose another place"
        )
