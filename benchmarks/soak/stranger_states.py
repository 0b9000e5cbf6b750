"""Saved states of a stranger: tensors of other shapes, facts of other kinds, no states at all.

Each changes the folder of a run that was stopped, whose training then goes on.
"""

import hashlib
import json
import math
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load, save
from torch import Tensor

from benchmarks.soak.stranger_files import (
    ESCAPES,
    GIGABYTE,
    NO_FILES,
    Make,
    in_place_of,
    linked,
    sparse,
)

PRECIOUS = "../../precious"  # from within a run's folder
HUGE = 10**30

Facts = dict[str, Any]
Tensors = dict[str, Tensor]
Change = Callable[[Tensors, Facts], object]


# ---- tensors, of states and of weights


def first_of(tensors: Tensors, group: str = "") -> str:
    """Return the first name of a group of tensors that has several values."""
    return min(name for name in tensors if name.startswith(group) and tensors[name].ndim > 0)


def reshaped(tensors: Tensors, group: str = "") -> None:
    """Give a tensor another shape."""
    tensors[first_of(tensors, group)] = torch.zeros(1, 2, 3)


def spoilt(tensors: Tensors, group: str = "", value: float = math.nan) -> None:
    """Put something that is no number into a tensor."""
    tensors[first_of(tensors, group)].view(-1)[0] = value


def in_doubles(tensors: Tensors, group: str = "") -> None:
    """Give a tensor another type."""
    name = first_of(tensors, group)
    tensors[name] = tensors[name].double()


# ---- saved states


def state(change: Change) -> Make:
    """Return what changes the saved state, and gives it the hash that it has then."""

    def changed(folder: Path) -> None:
        path = _state_of(folder)
        content = path.read_bytes()
        length = int.from_bytes(content[:8], "little")
        facts = json.loads(json.loads(content[8 : 8 + length])["__metadata__"]["facts"])
        tensors = load(content)
        change(tensors, facts)
        path.unlink()
        write_state(folder, save(tensors, metadata={"facts": json.dumps(facts)}))

    return changed


def _state_of(folder: Path) -> Path:
    (path,) = (folder / "state").iterdir()
    return path


def write_state(folder: Path, content: bytes) -> None:
    """Write a state under the name that its bytes should have."""
    digest = hashlib.sha256(content).hexdigest()
    (folder / "state" / f"000001-{digest}.safetensors").write_bytes(content)


def tensor_change(change: Callable[..., object], group: str, **more: object) -> Make:
    """Return what changes a tensor of the saved state."""
    return state(lambda tensors, _: change(tensors, group, **more))


def fact(name: str, value: object) -> Make:
    """Return what gives a fact of the saved state another value."""
    return state(lambda _, facts: facts.update({name: value}))


def without_fact(name: str) -> Make:
    """Return what takes a fact out of the saved state."""
    return state(lambda _, facts: facts.pop(name))


def no_state(make: Make) -> Make:
    """Return what puts something else in the place of the saved state, under its name."""

    def change(folder: Path) -> None:
        path = _state_of(folder)
        path.unlink()
        make(path)

    return change


def cut_state(folder: Path) -> None:
    """Cut a state, and give it the name that it should have then."""
    path = _state_of(folder)
    content = path.read_bytes()[:-100]
    path.unlink()
    write_state(folder, content)


def sparse_state(folder: Path) -> None:
    """Make a state of a gigabyte of zeros, under the name that it should have."""
    _state_of(folder).unlink()
    digest = hashlib.sha256()
    for _ in range(GIGABYTE >> 20):
        digest.update(bytes(1 << 20))

    sparse(folder / "state" / f"000001-{digest.hexdigest()}.safetensors")


EPOCH = {"epoch": "1", "train_loss": None}

STATES: Mapping[str, Make] = {
    "a link as state": linked("state", PRECIOUS),
    "a link as .run.lock": linked(".run.lock", f"{PRECIOUS}/letter.txt"),
    "a FIFO as .run.lock": in_place_of(".run.lock", os.mkfifo),
    "a state with a tensor of another shape": tensor_change(reshaped, "network."),
    "a state with a moment of another shape": tensor_change(reshaped, "vector.exp_avg"),
    "a state with a tensor of another type": tensor_change(in_doubles, "network."),
    "a state with NaN": tensor_change(spoilt, "network."),
    "a state with an infinite average": tensor_change(spoilt, "vector.average", value=math.inf),
    "a state with a tensor more": state(
        lambda tensors, _: tensors.update({ESCAPES: torch.zeros(1)})
    ),
    "a state without a moment": state(lambda tensors, _: tensors.pop("vector.exp_avg_sq")),
    "a state without weights": state(lambda tensors, _: tensors.pop(first_of(tensors, "network."))),
    "a state with other generators": tensor_change(reshaped, "random.shuffling"),
    "a state with generators of zeros": state(lambda tensors, _: tensors["random.cpu"].zero_()),
    "a state without facts": state(lambda _, facts: facts.clear()),
    "a step of -1": fact("step", -1),
    "a step of 10**30": fact("step", HUGE),
    "a step that is text": fact("step", ESCAPES),
    "a step that is true": fact("step", True),
    "seconds without end": fact("seconds", math.inf),
    "epochs that are a number": fact("epochs", 3),
    "epochs of other kinds": fact("epochs", [EPOCH]),
    "a million epochs": fact("epochs", [{}] * 1_000_000),
    "an identity that is a list": fact("identity", []),
    "no identity": without_fact("identity"),
    "an identity of a megabyte": fact("identity", {"seed": ESCAPES * 40_000}),
    "circumstances that are a number": fact("circumstances", 7),
    "preparing for NaN seconds": fact("preparing", math.nan),
    **{f"{name} as a state": no_state(make) for name, make in NO_FILES.items()},
    "a cut state": cut_state,
    "a state of a gigabyte of zeros": sparse_state,
}


# With these the training goes on or begins again, and says why.
HARMLESS = {
    "a cut state",
    "circumstances that are a number",
    "a state of a gigabyte of zeros",
    *(f"{name} as a state" for name in NO_FILES),
}
