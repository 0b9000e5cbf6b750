"""What defines a training of the page reader: page.toml in, a frozen `PageRecipe` out."""

import dataclasses
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from inkdigits.core.errors import BadValue, UnknownName

SHIPPED = Path(__file__).with_name("page.toml")


@dataclass(frozen=True)
class PageRecipe:
    """Trains the two networks of the page reader, one after the other.

    The learning rates warm up, stay, and fall to nothing at the end ("warm-up, stable, decay": Hu
    et al. 2024), so that a longer training may start from the stable part of a shorter one.

    Attributes:
        summary: one sentence for people.
        steps: of the page network.
        batch: pages a step.
        learning_rate: of the stable part, for both networks.
        warm_up: steps in which the rate rises.
        decay: fraction of all steps, at the end, in which the rate falls.
        weight_decay: of kernels.
        ema: decay of the exponential moving average of the weights a step.
        mosaics: fraction of the pages that are several pages made small.
        shards: of looks, for the second network.
        pages: drawn for a shard of looks.
        passes: over each shard before it is forgotten.
        look_batch: looks a step.
        validation_pages: on which both networks are measured.
    """

    summary: str
    steps: int
    batch: int
    learning_rate: float
    warm_up: int
    decay: float
    weight_decay: float
    ema: float
    mosaics: float
    shards: int
    pages: int
    passes: int
    look_batch: int
    validation_pages: int

    def rate(self, step: int, steps: int) -> float:
        """Return the learning rate of one step of so many."""
        rising = min(1.0, (step + 1) / self.warm_up)
        falling = min(1.0, (steps - step) / max(1.0, self.decay * steps))
        return self.learning_rate * rising * falling


def load_page_recipe(settings: Mapping[str, Any] | None = None) -> PageRecipe:
    """Return the shipped recipe of the page reader.

    Args:
        settings: keys to change, such as {"steps": 500}.

    Raises:
        UnknownName: there is no such key.
        BadValue: a value is of the wrong type or not positive.
    """
    table = tomllib.loads(SHIPPED.read_text(encoding="utf-8")) | dict(settings or {})
    types = {field.name: field.type for field in dataclasses.fields(PageRecipe)}
    for name, value in table.items():
        if name not in types:
            raise UnknownName("setting of the recipe 'page'", name, types)
        if types[name] is not str:
            _check_number(name, value, whole=types[name] is int)

    return PageRecipe(**table)


def _check_number(name: str, value: object, *, whole: bool) -> None:
    """Raise BadValue unless a value is a positive number, and a whole one where that is needed."""
    kind = int if whole else (int, float)
    is_number = isinstance(value, kind) and not isinstance(value, bool)
    if not is_number or not value > 0:  # type: ignore[operator]
        needed = "a whole number, 1 or more" if whole else "a positive number"
        raise BadValue(f"{name} = {value!r}; expected {needed}")
