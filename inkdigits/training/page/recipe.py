"""What defines a training of the page reader: page.toml in, a frozen `PageRecipe` out."""

import dataclasses
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from inkdigits.core.errors import BadValue, UnknownName
from inkdigits.training.recipe import parse_settings

NAME = "page"  # of the recipe, which is no file of the user's
LARGEST = 1_000_000_000  # of any number; a larger one is a typing error
SHIPPED = Path(__file__).with_name("page.toml")
FRACTIONS = ("decay", "weight_decay", "ema", "mosaics")  # 0 to 1; 0 is off


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
        """Return the learning rate of a step.

        Args:
            step: steps taken before it.
            steps: of all.
        """
        rising = min(1.0, (step + 1) / self.warm_up)
        fall = max(1.0, self.decay * steps)
        falling = min(1.0, (steps - step) / fall)
        return self.learning_rate * rising * falling


KEYS = tuple(field.name for field in dataclasses.fields(PageRecipe))


def parse_page_settings(pairs: Iterable[str]) -> dict[str, Any]:
    """Parse settings such as `["steps=500", "ema=0.99"]`; `load_page_recipe` checks them.

    Raises:
        BadValue: a pair is not key=value.
    """
    pairs = list(pairs)
    for pair in pairs:
        key, separator, _ = pair.partition("=")
        if not separator or not key.strip():
            raise BadValue(f"a setting reads key=value, not {pair!r}; keys: {', '.join(KEYS)}")

    return parse_settings(pairs)


def load_page_recipe(settings: Mapping[str, Any] | None = None) -> PageRecipe:
    """Return the shipped recipe of the page reader.

    Args:
        settings: keys to change, such as {"steps": 500}.

    Raises:
        UnknownName: there is no such key.
        BadValue: a value is of the wrong type or out of range.
    """
    table = tomllib.loads(SHIPPED.read_text(encoding="utf-8"))
    table |= dict(settings or {})

    types = {field.name: field.type for field in dataclasses.fields(PageRecipe)}
    for name, value in table.items():
        if name not in types:
            raise UnknownName("recipe key", name, types)

        _check(name, value, types[name])

    return PageRecipe(**table)


def to_page_table(recipe: PageRecipe) -> dict[str, Any]:
    """Return the recipe as JSON's types, with the keys that tell what other recipes reached.

    They are empty: it has no source, and its figures are no test accuracies.
    """
    evidence: dict[str, Any] = {"source": "", "published": {}, "measured": {}}
    return {"name": NAME, "network": NAME, **dataclasses.asdict(recipe), **evidence}


def _check(name: str, value: Any, kind: object) -> None:
    """Raise BadValue unless a value is what its key needs."""
    if kind is str:
        is_right = isinstance(value, str)
        needed = "text"
    elif kind is int:
        is_right = _is_number(value, int) and 1 <= value <= LARGEST
        needed = f"a whole number from 1 to {LARGEST:,}"
    elif name in FRACTIONS:
        is_right = _is_number(value, int, float) and 0 <= value <= 1
        needed = "a number from 0 to 1"
    else:
        is_right = _is_number(value, int, float) and 0 < value <= LARGEST
        needed = f"a number above 0, at most {LARGEST:,}"

    if not is_right:
        raise BadValue(f"{name} = {value!r}; expected {needed}")


def _is_number(value: object, *kinds: type) -> bool:
    """Tell whether a value is of one of these kinds; True and False are no numbers here."""
    return isinstance(value, kinds) and not isinstance(value, bool)
