"""One training run, from a recipe and a dataset to a folder that can be read with, measured, and trained further.

The folder afterwards: model.safetensors and config.json (checkpoint.py), model.onnx (export.py), metrics.jsonl (a line an epoch,
then the final figures) and report.html (report.py). The test split is read once, whole, when the weights are final.
"""

import dataclasses
import importlib.util
import json
import logging
import math
import shutil
import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch._dynamo
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import nn

from inkdigits.checkpoint import CONFIG_FILE, Checkpoint, load_checkpoint, save_checkpoint
from inkdigits.data import Dataset, load_dataset
from inkdigits.errors import BadData, BadModel, BadValue, CannotWrite, InkdigitsError, MissingExtra, UnknownName
from inkdigits.evaluation import CLASSES, evaluate_probabilities
from inkdigits.export import export_onnx
from inkdigits.files import new_folder, write_whole
from inkdigits.models import count_parameters, recipe_network
from inkdigits.recipe import Recipe, from_table, load_recipe
from inkdigits.recogniser import Recogniser, shipped_folder, shipped_models
from inkdigits.report import write_report
from inkdigits.training import (
    Epoch,
    Progress,
    Teacher,
    choose_device,
    fit,
    fit_temperature,
    measure,
    predict_logits,
    seeded_network,
)

# The first optimiser loads torch._dynamo anyway. That takes a second, which belongs to starting up and not to the first epoch,
# so it is loaded above.

log = logging.getLogger(__name__)

DIGITS_TO_KEEP = 6  # decimals of figures in files: more would be noise
LARGEST_SEED = 2**63 - 1  # of torch's generators
NEEDED_AT_THE_END = ("safetensors", "onnx", "onnxscript", "matplotlib")  # better missed before the training than after it
REPORT_SIZE = 1 << 20  # bytes, generously; the other files are two copies of the weights


@dataclass(frozen=True)
class Final:
    """What a run reached. Accuracies and F1 are fractions, all of the finished network without dropout.

    train_seconds: from data in memory to trained weights, without the validation after each epoch. test_loss: mean cross-entropy
    in nats, before confidence is calibrated, as the recipes' sources measure it.
    """

    recipe: str
    seed: int
    epochs: int
    train_seconds: float
    train_accuracy: float
    validation_accuracy: float
    test_accuracy: float
    test_loss: float
    test_f1_macro: float
    parameters: int
    device: str


Record = Progress | Epoch | Final


@dataclass
class Passes:
    """What a run has to show so far: its whole epochs, the weights after the last of them, and the seconds spent training."""

    epochs: list[Epoch] = field(default_factory=list)
    weights: dict[str, torch.Tensor] = field(default_factory=dict)
    seconds: float = 0.0


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
) -> Final:
    """Train a recipe and leave the run in the new folder `out`: `inkdigits train`.

    recipe: a shipped name, a .toml file, or a Recipe. data: a dataset's name or path; None for the recipe's own. init: a model to
    start from instead of fresh weights. settings: keys of the recipe to change, such as {"epochs": 3}. Raises InkdigitsError with a
    sentence for the user.
    """
    chosen = load_recipe(recipe, settings)
    dataset = load_dataset(data or chosen.data, data_dir=data_dir)
    final = None
    for record in run(chosen, Path(out), dataset, seed=seed, device=device, init=init):
        final = record
    assert isinstance(final, Final), "a run ends with its final figures"
    return final


def run(
    recipe: Recipe,
    out: Path,
    dataset: Dataset,
    *,
    seed: int = 0,
    device: str = "auto",
    init: str | Path | None = None,
    members_in: Path | None = None,
) -> Generator[Record, None, None]:
    """Train and yield what happens: Progress, an Epoch after every pass, and at last the Final.

    A recipe of several members trains them one after another, each as a run of its own in `members_in`, or in `out` unless given.
    Those that are finished there are taken as they are, so that the same call goes on where it was stopped.

    Ctrl-C ends the training early, and so does closing this generator: the last whole epoch's network is kept and finished as any
    other. After Ctrl-C its Final is yielded, too, and KeyboardInterrupt raised after that. Before the first epoch is whole nothing
    is kept. Raises InkdigitsError; then no folder is left behind, unless the trained weights are in it already.
    """
    check_before_training(dataset, seed)
    choose_device(device)
    if recipe.members > 1:
        if init is not None:
            raise BadValue(f"{recipe.name!r} trains {recipe.members} networks, which cannot all start from {init}")
        yield from _run_members(recipe, out, dataset, seed, device, members_in or out / "members")
        return
    started = time.perf_counter()
    network = seeded_network(recipe, seed)
    passes = Passes(seconds=time.perf_counter() - started)
    _check_outputs(network, recipe, dataset)
    teacher = load_teacher(recipe.teacher)
    if init is not None:
        start_from(network, recipe, init)
    stopped: BaseException | None = None
    with _run_folder(out) as folder:
        _check_room(folder, network)
        try:
            yield from _passes(passes, folder, network, recipe, dataset, seed, device, teacher)
            final = finish(folder, network, recipe, dataset, passes, seed)
        except (KeyboardInterrupt, GeneratorExit) as reason:
            if not passes.epochs:
                raise
            stopped = reason
            log.warning("stopped early: finishing with the network of epoch %d", len(passes.epochs))
            network.load_state_dict(passes.weights)
            final = finish(folder, network, recipe, dataset, passes, seed)
    if isinstance(stopped, GeneratorExit):
        return
    yield final
    if stopped:
        raise KeyboardInterrupt(f"interrupted; the network of epoch {final.epochs} is kept in {folder}") from None


def _run_members(recipe: Recipe, out: Path, dataset: Dataset, seed: int, device: str, place: Path) -> Iterator[Record]:
    """Train what is not trained yet, join all, and finish that as any run."""
    passes, network = Passes(), recipe_network(recipe)
    if (out / CONFIG_FILE).exists() or not (out / "members").is_dir():
        new_folder(out)
    for number, member_seed in enumerate(recipe.member_seeds(seed)):
        folder = place / run_name(recipe.member, member_seed)
        if not is_finished(folder, recipe.member, member_seed):
            shutil.rmtree(folder, ignore_errors=True)
            for record in run(recipe.member, folder, dataset, seed=member_seed, device=device):
                if not isinstance(record, Final):
                    yield dataclasses.replace(record, epoch=record.epoch + number * recipe.epochs)
        checkpoint = load_checkpoint(folder)
        network.get_submodule(f"members.{number}").load_state_dict(checkpoint.network.state_dict())
        passes.seconds += checkpoint.config["final"]["train_seconds"]
        lines = map(json.loads, (folder / "metrics.jsonl").read_text().splitlines())
        epochs = [Epoch(**line) for line in lines if "final" not in line]
        passes.epochs += [dataclasses.replace(epoch, epoch=epoch.epoch + number * recipe.epochs) for epoch in epochs]
    yield finish(out, network.to(choose_device(device)), recipe, dataset, passes, seed)


def run_name(recipe: Recipe, seed: int) -> str:
    """Of the folder, where runs lie side by side."""
    return f"{recipe.name}-seed{seed}"


def is_finished(folder: Path, recipe: Recipe, seed: int) -> bool:
    """Whether a folder holds a run of this recipe and seed, as the recipe is now, with its last file and all epochs.

    Ctrl-C may have cut it short, the recipe may have changed since, and a file may be damaged.
    """
    if not (folder / "report.html").is_file():
        return False
    try:
        config = json.loads((folder / CONFIG_FILE).read_bytes())
        same = from_table(config["recipe"]).what_it_trains == recipe.what_it_trains and config["seed"] == seed
        return bool(same and config["final"]["epochs"] == recipe.total_epochs)
    except (OSError, ValueError, KeyError, TypeError, InkdigitsError):
        return False


def check_before_training(dataset: Dataset, seed: int) -> None:
    """Refuse what would only come to light at the end. Raises BadValue, BadData or MissingExtra."""
    if not 0 <= seed <= LARGEST_SEED:
        raise BadValue(f"a seed is a whole number from 0 to {LARGEST_SEED}, not {seed}")
    for split in ("train", "validation", "test"):
        if not len(dataset.splits.get(split, ())):
            sizes = ", ".join(f"{len(digits)} in {name!r}" for name, digits in dataset.splits.items())
            raise BadData(f"{dataset.name} has too few digits to train on ({sizes}): none are left for the split {split!r}")
    for library in NEEDED_AT_THE_END:
        if importlib.util.find_spec(library) is None:
            raise MissingExtra("training", "train")


def _check_outputs(network: nn.Module, recipe: Recipe, dataset: Dataset) -> None:
    """Raise BadValue where there are classes without an output, or outputs of which a teacher knows nothing.

    Without a teacher, more outputs than classes are no harm: digits of one's own go on teaching a network that also knows what is
    none.
    """
    outputs, classes = predict_logits(network, dataset.train[:1]).shape[1], len(dataset.classes)
    if outputs < classes:
        raise BadValue(
            f"{recipe.name!r} has {outputs} outputs, too few for the {classes} classes of {dataset.name}; 'default' has 11"
        )
    if recipe.teacher and outputs > CLASSES:
        raise BadValue(f"{recipe.name!r} has {outputs} outputs, but a teacher speaks of the {CLASSES} digits alone: train without")


@contextmanager
def _run_folder(out: Path) -> Iterator[Path]:
    """A new folder, which is gone again where an error leaves it without trained weights in it."""
    was_there = out.is_dir()  # and empty, else `new_folder` refuses it
    folder = None
    try:
        folder = new_folder(out)
        yield folder
    except BaseException as error:
        if folder is None:
            if not was_there:
                with suppress(OSError):
                    out.rmdir()  # Ctrl-C came while it was made
        elif (folder / CONFIG_FILE).is_file():
            error.add_note(f"the trained weights are whole and stay in {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)
            if was_there:
                folder.mkdir()
        raise


def _check_room(folder: Path, network: nn.Module) -> None:
    needed = 2 * 4 * count_parameters(network) + REPORT_SIZE  # float32
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise CannotWrite(
            f"{folder} has room for {free / 2**20:.1f} MiB, but a run takes {needed / 2**20:.1f}; choose another place"
        )


def _passes(
    passes: Passes,
    folder: Path,
    network: nn.Module,
    recipe: Recipe,
    dataset: Dataset,
    seed: int,
    device: str,
    teacher: Teacher | None = None,
) -> Iterator[Progress | Epoch]:
    """Train, adding to `passes` epoch by epoch. What happens before a Progress is training, before an Epoch validation."""
    waiting = time.perf_counter()
    for record in fit(network, recipe, dataset.train, dataset.validation, seed=seed, device=device, teacher=teacher):
        if isinstance(record, Progress):
            passes.seconds += time.perf_counter() - waiting
        else:
            if not math.isfinite(loss := record.validation_loss):
                where = f"in epoch {record.epoch}"
                raise InkdigitsError(f"the validation loss became {loss} {where}; a smaller learning_rate would help")
            weights = {name: tensor.detach().cpu().clone() for name, tensor in network.state_dict().items()}
            passes.epochs, passes.weights = [*passes.epochs, record], weights  # both or none, whenever Ctrl-C comes
            write_metrics(folder, passes.epochs)
        yield record
        waiting = time.perf_counter()


def load_teacher(models: Sequence[str]) -> Teacher | None:
    """Several models as one, which gives the mean of their probabilities; None without any. Raises UnknownName or BadModel.

    They run on the processor, on as many threads as torch, wherever the network itself is trained.
    """
    recognisers = [Recogniser(model, threads=torch.get_num_threads()) for model in models]

    def teacher(images: NDArray[np.uint8]) -> NDArray[np.float32]:
        mean: NDArray[np.float32] = np.mean([recogniser.classify(images) for recogniser in recognisers], axis=0)
        return mean

    return teacher if recognisers else None


def start_from(network: nn.Module, recipe: Recipe, init: str | Path) -> None:
    """Give the network the weights of another model: a run folder or a shipped name. Raises BadModel where they do not fit."""
    other = load_run(init)
    if (other.recipe.network, dict(other.recipe.options)) != (recipe.network, dict(recipe.options)):
        ours, theirs = (_described(each) for each in (recipe, other.recipe))
        mismatch = f"{init} holds the network {theirs}, but the recipe {recipe.name!r} trains {ours}"
        raise BadModel(f"{mismatch}; train {other.recipe.name!r}")
    network.load_state_dict(other.network.state_dict())


def _described(recipe: Recipe) -> str:
    options = ", ".join(f"{name} {value}" for name, value in recipe.options.items())
    return f"{recipe.network!r}" + (f" with {options}" if options else "")


def load_run(model: str | Path) -> Checkpoint:
    """The network of a shipped model or of a folder made by training. Raises UnknownName or BadModel."""
    folder = shipped_folder(str(model)) or Path(model)
    if folder.is_dir():
        return load_checkpoint(folder)
    wanted = "a folder made by `inkdigits train`"
    if folder.is_file():
        raise BadModel(f"{folder} is a file, and no network can be trained or exported from it; needs {wanted}")
    raise UnknownName("model", model, [*shipped_models(), wanted])


def finish(folder: Path, network: nn.Module, recipe: Recipe, dataset: Dataset, passes: Passes, seed: int) -> Final:
    """Calibrate on the validation digits, measure on the test digits, and write what a run folder holds. Returns the figures."""
    temperature = fit_temperature(network, dataset.validation)
    logits = predict_logits(network, dataset.test)[:, :CLASSES]  # that it is no digit is nothing the figures ask
    probabilities = torch.softmax(logits / temperature, dim=1).numpy()
    evaluation = evaluate_probabilities(probabilities, dataset.test.labels, model=str(folder), data=dataset.name, split="test")
    final = Final(
        recipe=recipe.name,
        seed=seed,
        epochs=len(passes.epochs),
        train_seconds=passes.seconds,
        train_accuracy=measure(network, dataset.train)[1],
        validation_accuracy=measure(network, dataset.validation)[1],
        test_accuracy=evaluation.accuracy,
        test_loss=F.cross_entropy(logits, torch.from_numpy(dataset.test.labels).long()).item(),
        test_f1_macro=evaluation.f1_macro,
        parameters=count_parameters(network),
        device=str(next(network.parameters()).device),
    )
    facts = {
        "seed": seed,
        "data": {"name": dataset.name, "train": len(dataset.train), "validation": len(dataset.validation)},
        "classes": list(dataset.classes),
        "temperature": temperature,
        "final": to_record(final),
    }
    config = save_checkpoint(folder, network, recipe, facts)
    described = {"recipe": recipe.name, "data": dataset.name, "seed": seed, "inkdigits": config["versions"]["inkdigits"]}
    export_onnx(network, folder / "model.onnx", dataset.validation.images, temperature=temperature, facts=described)
    write_metrics(folder, passes.epochs, final)
    write_report(
        folder / "report.html",
        evaluation=evaluation,
        probabilities=probabilities,
        images=dataset.test.images,
        labels=dataset.test.labels,
        history=[to_record(epoch) for epoch in passes.epochs],
        config=config | {"classes": dataset.classes[:CLASSES]},
    )
    return final


def write_metrics(folder: Path, epochs: list[Epoch], final: Final | None = None) -> None:
    """metrics.jsonl, whole: a line an epoch, and the final figures once there are some."""
    records: list[Epoch | Final] = [*epochs, *([final] if final else [])]
    write_whole(folder / "metrics.jsonl", "".join(json.dumps(to_record(record)) + "\n" for record in records))


def to_record(record: Epoch | Final) -> dict[str, Any]:
    """The object that `train --json` prints for it."""
    values = {
        name: round(value, DIGITS_TO_KEEP) if isinstance(value, float) else value
        for name, value in dataclasses.asdict(record).items()
    }
    return {"final": True, **values} if isinstance(record, Final) else values


@dataclass(frozen=True)
class Export:
    """What `inkdigits export` prints: the file, and the largest difference of a probability from the network's."""

    path: str
    bytes: int
    largest_difference: float
    compared_on: str  # a dataset's name


def export_run(model: str | Path, path: Path, *, data_dir: str | Path | None = None) -> Export:
    """Write the network of a shipped model or a run folder as one ONNX file, compared with it on 1,000 real digits.

    Those are MNIST's where they lie at hand, else optdigits. Raises InkdigitsError; then whatever lay at `path` lies there still.
    """
    checkpoint = load_run(model)
    try:
        digits = load_dataset("mnist", data_dir=data_dir, download=False)
    except BadData:
        digits = load_dataset("optdigits")
    try:
        facts = {"recipe": checkpoint.recipe.name, "data": checkpoint.config["data"]["name"], "seed": checkpoint.config["seed"]}
        temperature = float(checkpoint.config["temperature"])
    except (KeyError, TypeError, ValueError) as error:
        raise BadModel(f"the {CONFIG_FILE} of {model} is damaged: no good {error}") from error
    difference = export_onnx(checkpoint.network, path, digits.train.images, temperature=temperature, facts=facts)
    return Export(str(path), path.stat().st_size, difference, digits.name)
