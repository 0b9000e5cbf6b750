"""The state of a training under way: all that its next step depends on.

Tensors and facts in memory, on any device; `runs/resume.py` writes them to disk. A state that is
read from there may be a stranger's: a training compares it with its own before it goes on from it.
"""

import copy
import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor

Record = TypeVar("Record")

LARGEST_FACT = 2**53  # up to here, floats and whole numbers are the same
LONGEST_QUOTE = 40  # characters of a stranger's value in a message

# The types of facts in the words of errors.
KINDS: dict[type, str] = {
    bool: "true or false",
    int: "a whole number from 0",
    float: "a finite number",
    str: "text",
    list: "a list",
    dict: "names and values",
}


@dataclass(frozen=True)
class TrainingState:
    """Everything that the next step depends on.

    Attributes:
        tensors: on the CPU and contiguous; the names say what they belong to, such as
            `network.conv1.weight`.
        facts: as JSON's types.
    """

    tensors: dict[str, Tensor]
    facts: dict[str, Any]


def on_cpu(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Copy tensors to the CPU, contiguous, so that what follows does not change them."""
    return {
        name: value.detach().clone(memory_format=torch.contiguous_format).cpu()
        for name, value in tensors.items()
    }


def named(group: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Put the name of a group before every name: `weight` of `network` is `network.weight`."""
    return {f"{group}.{name}": value for name, value in tensors.items()}


def select(group: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors of one group under their own names, undoing `named`."""
    prefix = f"{group}."
    return {
        name.removeprefix(prefix): value
        for name, value in tensors.items()
        if name.startswith(prefix)
    }


def refuse_other_tensors(
    found: Mapping[str, Tensor],
    fresh: Mapping[str, Tensor],
    memory: Mapping[str, Tensor],
    optional: Mapping[str, Tensor] | None = None,
) -> None:
    """Refuse tensors that are not those of the training that would go on from them.

    Args:
        found: of a saved state.
        fresh: of the state of the training before its first step.
        memory: like what its optimiser remembers after a step; a state has all of it, or nothing.
        optional: like those that a state may have; a length of 0 stands for any other.

    Raises:
        ValueError: one is missing, is not expected, has another shape or type, or holds something
            that is no number; the first one is named.
    """
    optional = optional or {}
    expected = {**optional, **fresh}
    if not memory.keys().isdisjoint(found):
        expected |= memory

    for name in sorted({*expected, *found}):
        if name not in expected:
            raise ValueError(f"it has a tensor {_shorten(name)}, which does not belong to it")
        if name in found:
            _refuse_other_tensor(name, found[name], expected[name])
        elif name not in optional:
            raise ValueError(f"it has no tensor {name!r}")


def _refuse_other_tensor(name: str, found: Tensor, like: Tensor) -> None:
    """Raise ValueError unless a tensor has the shape and the type of another, and only numbers."""
    if not _fits(found.shape, like.shape) or found.dtype != like.dtype:
        its, ours = (f"{list(each.shape)} of {each.dtype}" for each in (found, like))
        raise ValueError(f"its tensor {name!r} is {its}, where {ours} should be")
    if not found.isfinite().all():
        raise ValueError(f"its tensor {name!r} has values that are no finite numbers")


def _fits(shape: torch.Size, like: torch.Size) -> bool:
    """Tell whether a shape is another one, in which 0 stands for any length but 0."""
    lengths = zip(shape, like, strict=False)
    return len(shape) == len(like) and all(its == (ours or its) > 0 for its, ours in lengths)


def _shorten(value: object) -> str:
    """Return a stranger's value as it may be printed: escaped, and not long."""
    text = ascii(value)
    return text if len(text) <= LONGEST_QUOTE else text[:LONGEST_QUOTE] + "..."


def memory_after_a_step(optimiser: torch.optim.Optimizer) -> dict[int, dict[str, Tensor]]:
    """Return tensors like those that an optimiser remembers after a step, by its weights' number.

    The optimiser stays as it is: a copy takes the step.
    """
    stepped = copy.deepcopy(optimiser)
    for group in stepped.param_groups:
        for weight in group["params"]:
            weight.grad = torch.zeros_like(weight)

    stepped.step()
    memories: dict[int, dict[str, Any]] = stepped.state_dict()["state"]
    return {
        number: {name: value for name, value in memory.items() if isinstance(value, Tensor)}
        for number, memory in memories.items()
    }


def fact(facts: Mapping[str, Any], name: str, kind: type, most: int = LARGEST_FACT) -> Any:
    """Return a fact of a saved state, after a look at it.

    Args:
        facts: of the state.
        name: of the fact.
        kind: the type that it has as JSON; a float is finite.
        most: a whole number is from 0 up to here.

    Raises:
        ValueError: it is missing, or something else.
    """
    value: Any = facts.get(name)
    is_right = type(value) is kind
    if is_right and kind is int:
        is_right = 0 <= value <= most
    if is_right and kind is float:
        is_right = math.isfinite(value)

    if not is_right:
        expected = f"{KINDS[kind]} to {most:,}" if kind is int else KINDS[kind]
        raise ValueError(f"its {name!a} is {_shorten(value)}, where {expected} should be")

    return value


def records(kind: type[Record], facts: Mapping[str, Any], name: str) -> list[Record]:
    """Return the records of a saved state.

    Args:
        kind: their dataclass, whose fields are whole numbers, floats, and floats by their names.
        facts: of the state.
        name: under which their fields are.

    Raises:
        ValueError: they are something else.
    """
    return [_record(kind, each) for each in fact(facts, name, list)]


def _record(kind: type[Record], values: Any) -> Record:
    """Make a record, or raise ValueError."""
    fields = dataclasses.fields(kind)  # type: ignore[arg-type]
    if not isinstance(values, dict) or values.keys() != {field.name for field in fields}:
        raise ValueError(f"one of its records is {_shorten(values)}")

    for field in fields:
        if field.type in (int, float):
            fact(values, field.name, field.type)
        else:
            floats(values, field.name)

    return kind(**values)


def floats(facts: Mapping[str, Any], name: str) -> dict[str, float]:
    """Return floats by their names, a fact of a saved state. Raises ValueError."""
    found = fact(facts, name, dict)
    if not all(each.isidentifier() for each in found):
        raise ValueError(f"its {name!r} has strange names: {_shorten(list(found))}")

    return {each: fact(found, each, float) for each in found}


def global_random_state(device: torch.device) -> Tensor:
    """Return the state of torch's global generator for a device; dropout draws from it."""
    return _global_generator(device).get_rng_state()


def set_global_random_state(device: torch.device, state: Tensor) -> None:
    """Set the state of torch's global generator for a device."""
    _global_generator(device).set_rng_state(state)


def _global_generator(device: torch.device) -> Any:
    return {"cpu": torch.random, "cuda": torch.cuda, "mps": torch.mps}[device.type]
