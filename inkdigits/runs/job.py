"""What is to be trained on what: everything that a run's bits depend on, checked before the first of them is computed.

A recipe, digits and choices in; a Training before its first step out. Knows nothing of folders and of what a run leaves.
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
from inkdigits.data.datasets import Dataset, Split
from inkdigits.runs.checkpoint import WEIGHTS_FILE, load_run, machine, model_folder, versions
from inkdigits.runs.resume import Interval
from inkdigits.training.device import choose_device
from inkdigits.training.distillation import load_teachers, teacher_files
from inkdigits.training.distributed import Group
from inkdigits.training.loop import Training, seeded_network
from inkdigits.training.predictions import accuracy_on, predict_logits
from inkdigits.training.recipe import Recipe

LARGEST_SEED = 2**63 - 1  # of torch's generators
NEEDED = (
    "filelock",
    "safetensors",
    "onnx",
    "onnxscript",
    "matplotlib",
)  # better missed before the training than after it
EVERY_MINUTE = Interval(seconds=60)


@dataclass(frozen=True)
class Job:
    """What is to be trained on what, as for `run`. The same job gives the same bits on the same machine."""

    recipe: Recipe
    dataset: Dataset
    seed: int = 0
    device: str = "auto"
    init: str | Path | None = None
    members_in: Path | None = None
    resume: bool = False
    interval: Interval = EVERY_MINUTE
    mnist: Split | None = (
        None  # its test digits, to tell how many are read right before and after training from `init`
    )

    @cached_property
    def identity(self) -> dict[str, Any]:
        """What the bits depend on, as JSON's types: a state of another identity is of another run."""
        teachers = [_sha256(file.read_bytes()) for file in teacher_files(self.recipe.teacher)]
        start = (
            None
            if self.init is None
            else _sha256((model_folder(self.init) / WEIGHTS_FILE).read_bytes())
        )
        splits = [self.dataset[name] for name in ("train", "validation", "test")]
        digits = " + ".join(str(len(split)) for split in splits)
        content = _sha256(
            *(
                np.ascontiguousarray(array)
                for split in splits
                for array in (split.images, split.labels)
            )
        )
        others = {
            "seed": self.seed,
            "digits": f"{digits}, SHA-256 {content}",
            "teachers": teachers,
            "init": start,
        }
        return json.loads(json.dumps(self.recipe.what_it_trains | others))

    @property
    def circumstances(self) -> dict[str, Any]:
        """What they depend on as well, but need not be the same to go on."""
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


def check_before_training(job: Job) -> None:
    """Refuse what would only come to light later. Raises UnknownName, BadValue, BadData or MissingExtra."""
    recipe, dataset, seed = job.recipe, job.dataset, job.seed
    choose_device(job.device)
    if not 0 <= seed <= LARGEST_SEED:
        raise BadValue(f"a seed is a whole number from 0 to {LARGEST_SEED}, not {seed}")
    for split in ("train", "validation", "test"):
        if not len(dataset.splits.get(split, ())):
            sizes = ", ".join(
                f"{len(digits)} in {name!r}" for name, digits in dataset.splits.items()
            )
            raise BadData(
                f"{dataset.name} has too few digits to train on ({sizes}): none are left for the split {split!r}"
            )
    if recipe.members > 1 and job.init is not None:
        raise BadValue(
            f"{recipe.name!r} trains {recipe.members} networks, which cannot all start from {job.init}"
        )
    for library in NEEDED:
        if importlib.util.find_spec(library) is None:
            raise MissingExtra("training", "train")


def check_outputs(network: nn.Module, recipe: Recipe, dataset: Dataset) -> None:
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
        raise BadValue(
            f"{recipe.name!r} has {outputs} outputs, but a teacher speaks of the {CLASSES} digits alone: train without"
        )


def prepare(job: Job, processes: Group) -> tuple[Training, float, float | None]:
    """The training before its first step, the seconds that took, and how MNIST was read before it, where that is compared."""
    started = time.perf_counter()
    network = seeded_network(job.recipe, job.seed)
    seconds = time.perf_counter() - started
    check_outputs(network, job.recipe, job.dataset)
    teachers = load_teachers(job.recipe.teacher, job.dataset.classes)
    before = None
    if job.init is not None:
        start_from(network, job.recipe, job.init)
        before = None if job.mnist is None else accuracy_on(network, job.mnist)
    started = time.perf_counter()
    training = Training(
        network,
        job.recipe,
        job.dataset.train,
        seed=job.seed,
        device=job.device,
        teachers=teachers,
        group=processes,
    )
    return training, seconds + time.perf_counter() - started, before


def start_from(network: nn.Module, recipe: Recipe, init: str | Path) -> None:
    """Give the network the weights of another model: a run folder or a shipped name. Raises BadModel where they do not fit."""
    other = load_run(init)
    if (other.recipe.network, dict(other.recipe.options)) != (recipe.network, dict(recipe.options)):
        ours, theirs = (_described(each) for each in (recipe, other.recipe))
        mismatch = (
            f"{init} holds the network {theirs}, but the recipe {recipe.name!r} trains {ours}"
        )
        raise BadModel(f"{mismatch}; train {other.recipe.name!r}")
    network.load_state_dict(other.network.state_dict())


def _described(recipe: Recipe) -> str:
    options = ", ".join(f"{name} {value}" for name, value in recipe.options.items())
    return f"{recipe.network!r}" + (f" with {options}" if options else "")
