"""A training job: everything that the result of a run depends on, checked before it starts.

A recipe, a dataset and options come in; a `Training` that is ready for its first step goes out.
Folders are handled in `run.py`.
"""

import hashlib
import importlib.util
import json
import time
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from inkdigits.core.digits import CLASSES
from inkdigits.core.errors import BadData, BadModel, BadValue, MissingExtra
from inkdigits.data.splits import Dataset, Split
from inkdigits.runs.checkpoint import WEIGHTS_FILE, load_run, machine, model_folder, versions
from inkdigits.runs.resume import Interval
from inkdigits.training.device import choose_device
from inkdigits.training.distillation import load_teachers, teacher_files
from inkdigits.training.loop import Training, seeded_network
from inkdigits.training.predictions import predict_logits
from inkdigits.training.recipe import Recipe

LARGEST_SEED = 2**63 - 1  # of torch's generators
EVERY_MINUTE = Interval(seconds=60)

# If one is missing, this is said before the training, not after it.
NEEDED_LIBRARIES = ("filelock", "safetensors", "onnx")


@dataclass(frozen=True)
class TrainingJob:
    """A recipe, a dataset and options. The same job gives the same bits on the same machine.

    Attributes:
        recipe: the network and how to train it.
        dataset: with the splits train, validation and test.
        seed: of weights, order and augmentation.
        device: auto, cpu, cuda or mps.
        init: a model to start from instead of fresh weights.
        members_in: where an ensemble's members are trained; None for `members` in the run's folder.
        resume: whether to go on with a run that was stopped.
        interval: how often the state is saved.
        mnist: MNIST's test digits, to compare before and after training from `init`.
    """

    recipe: Recipe
    dataset: Dataset
    seed: int = 0
    device: str = "auto"
    init: str | Path | None = None
    members_in: Path | None = None
    resume: bool = False
    interval: Interval = EVERY_MINUTE
    mnist: Split | None = None

    @cached_property
    def identity(self) -> dict[str, Any]:
        """Everything that must be the same to continue a run, as JSON's types."""
        teachers = [_sha256(file.read_bytes()) for file in teacher_files(self.recipe.teacher)]
        init = None
        if self.init is not None:
            init = _sha256((model_folder(self.init) / WEIGHTS_FILE).read_bytes())

        splits = [self.dataset[name] for name in ("train", "validation", "test")]
        counts = " + ".join(str(len(split)) for split in splits)
        arrays = [array for split in splits for array in (split.images, split.labels)]
        content = _sha256(*(np.ascontiguousarray(array) for array in arrays))

        identity = self.recipe.what_it_trains | {
            "seed": self.seed,
            "digits": f"{counts}, SHA-256 {content}",
            "teachers": teachers,
            "init": init,
        }
        return json.loads(json.dumps(identity))

    @property
    def circumstances(self) -> dict[str, Any]:
        """What may change the last bits of a result, but need not be the same to continue a run."""
        libraries = {
            name: version
            for name, version in versions().items()
            if name in ("inkdigits", "torch", "onnxruntime")
        }
        return libraries | {"machine": machine(), "device": choose_device(self.device).type}


def _sha256(*contents: Any) -> str:
    digest = hashlib.sha256()
    for content in contents:
        digest.update(content)

    return digest.hexdigest()


def check_before_training(job: TrainingJob) -> None:
    """Refuse a job that would only fail later.

    Raises:
        UnknownName: there is no such device.
        BadValue: the device is not on this machine, the seed is out of range, or `init` is given
            for several networks.
        BadData: a split is empty.
        MissingExtra: a library is not installed.
    """
    recipe = job.recipe
    choose_device(job.device)
    if not 0 <= job.seed <= LARGEST_SEED:
        raise BadValue(f"a seed is a whole number from 0 to {LARGEST_SEED}, not {job.seed}")

    splits = job.dataset.splits
    for name in ("train", "validation", "test"):
        if not len(splits.get(name, ())):
            sizes = ", ".join(f"{len(digits)} in {split!r}" for split, digits in splits.items())
            raise BadData(
                f"{job.dataset.name} has too few digits to train on ({sizes}): "
                f"none are left for the split {name!r}"
            )

    if recipe.members > 1 and job.init is not None:
        raise BadValue(
            f"{recipe.name!r} trains {recipe.members} networks, "
            f"which cannot all start from {job.init}"
        )

    for library in NEEDED_LIBRARIES:
        if importlib.util.find_spec(library) is None:
            raise MissingExtra("training", "train")


def check_outputs(network: nn.Module, recipe: Recipe, dataset: Dataset) -> None:
    """Refuse a network whose outputs do not fit the classes or the teachers.

    Without a teacher there may be more outputs than classes, so that a network with the class "not
    a digit" can be trained further on digits only.

    Raises:
        BadValue: there are fewer outputs than classes, or more outputs than the teachers have.
    """
    outputs = predict_logits(network, dataset.train[:1]).shape[1]
    classes = len(dataset.classes)
    if outputs < classes:
        raise BadValue(
            f"{recipe.name!r} has {outputs} outputs, too few for the {classes} classes of "
            f"{dataset.name}; the recipe 'default' has 11"
        )
    if recipe.teacher and outputs > CLASSES:
        raise BadValue(
            f"{recipe.name!r} has {outputs} outputs, but a teacher knows only the {CLASSES} "
            "digits: train without one"
        )


def prepare(job: TrainingJob) -> tuple[Training, float]:
    """Build the network and its training.

    Returns:
        The training, ready for its first step, and the seconds that building it took, which count
        as training time; loading teachers does not count.

    Raises:
        UnknownName: a teacher, `init`, schedule or optimiser does not exist.
        BadModel: the weights of `init` do not fit.
        BadValue: the outputs do not fit the classes or the teachers.
    """
    started = time.perf_counter()
    network = seeded_network(job.recipe, job.seed)
    seconds = time.perf_counter() - started

    check_outputs(network, job.recipe, job.dataset)
    teachers = load_teachers(job.recipe.teacher, job.dataset.classes)
    if job.init is not None:
        start_from(network, job.recipe, job.init)

    started = time.perf_counter()
    training = Training(
        network,
        job.recipe,
        job.dataset.train,
        seed=job.seed,
        device=job.device,
        teachers=teachers,
    )
    seconds += time.perf_counter() - started
    return training, seconds


def start_from(network: nn.Module, recipe: Recipe, init: str | Path) -> None:
    """Give a network the weights of another model.

    Args:
        network: built from `recipe`; its weights are replaced.
        recipe: the recipe to train.
        init: a run folder or a shipped name.

    Raises:
        UnknownName: there is no such model.
        BadModel: it holds another network.
    """
    other = load_run(init)
    same_options = dict(other.recipe.options) == dict(recipe.options)
    if other.recipe.network != recipe.network or not same_options:
        raise BadModel(
            f"{init} holds the network {_described(other.recipe)}, but the recipe "
            f"{recipe.name!r} trains {_described(recipe)}; train {other.recipe.name!r}"
        )

    network.load_state_dict(other.network.state_dict())


def _described(recipe: Recipe) -> str:
    """Return a recipe's network and options in words, for error messages."""
    options = ", ".join(f"{name} {value}" for name, value in recipe.options.items())
    return f"{recipe.network!r} with {options}" if options else f"{recipe.network!r}"
