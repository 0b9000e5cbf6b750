"""SPACE.toml in, a frozen `Space` out: what a sweep tries, how often, and how that is judged.

A misspelt key, or a range that makes no sense, gets one sentence that names what would work. Needs
neither Optuna nor torch.
"""

import dataclasses
import itertools
import math
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

from inkdigits.core.errors import BadData, BadValue, UnknownName
from inkdigits.core.files import MAX_CONFIG, read_small
from inkdigits.training.recipe import FIELDS, SETTINGS, Recipe, load_recipe

Value = bool | int | float | str

METRICS: dict[str, Literal["maximize", "minimize"]] = {
    "validation_accuracy": "maximize",
    "validation_loss": "minimize",
}
NAMES = {"metric": tuple(METRICS), "sampler": ("tpe", "random", "grid")}
LARGEST_GRID = 10**5  # points; more are a slip

# Options are searched one by one.
NOT_SEARCHED = ("summary", "source", "options", "members", "data", "teacher")
SEARCHED = [key for key in SETTINGS if key not in NOT_SEARCHED]

# Of the whole numbers in the file, the smallest and the largest. The last is that of numpy's
# generators.
LIMITS = {"seeds": (1, 1000), "trials": (1, 10**6), "seed": (0, 2**32 - 1)}

# The types of values in the file, where they are not texts.
KINDS: dict[str, tuple[type, str]] = {
    **dict.fromkeys(LIMITS, (int, "a whole number")),
    "prune": (bool, "true or false"),
}

# Of the file, with what to add if it is missing and has no default.
KEYS = ["recipe", "data", "trials", "seeds", "metric", "sampler", "seed", "prune", "set", "space"]
NEEDED = {
    "recipe": 'recipe = "tiny"',
    "space": "[space] and below it learning_rate = { low = 1e-4, high = 1e-2 }",
}


@dataclass(frozen=True)
class Range:
    """Numbers from low to high, both included.

    Attributes:
        low: the smallest.
        high: the largest. The numbers are whole if both ends are.
        step: between neighbours; None for any number in between.
        log: whether they are spread evenly by their ratio.
    """

    low: float
    high: float
    step: float | None = None
    log: bool = False

    @property
    def ends(self) -> tuple[float, ...]:
        """The values that have to make sense for all those in between to do so."""
        return self.low, self.high

    def points(self, key: str) -> tuple[float, ...]:
        """List all numbers of the range.

        Args:
            key: of the recipe, for the message.

        Raises:
            BadValue: they cannot be counted, or are too many.
        """
        whole = isinstance(self.low, int) and not self.log
        step = self.step or (1 if whole else None)
        if step is None:
            raise BadValue(
                f"[space] {key}: a grid needs a list of values, or a step between low and high, "
                f"not {self}"
            )
        if (self.high - self.low) / step >= LARGEST_GRID:
            raise BadValue(
                f"[space] {key}: a grid of so small steps has too many points; take a larger step"
            )

        count = 1 + _steps(self.low, self.high, step)
        return tuple(_plus(self.low, number, step) for number in range(count))

    def __str__(self) -> str:
        step = f" in steps of {self.step}" if self.step else ""
        log = ", log" if self.log else ""
        return f"{self.low} to {self.high}{step}{log}"


@dataclass(frozen=True)
class Choice:
    """One of several values."""

    ends: tuple[Value, ...]

    def points(self, _: str) -> tuple[Value, ...]:
        """List all values."""
        return self.ends

    def __str__(self) -> str:
        return ", ".join(map(str, self.ends))


@dataclass(frozen=True)
class Space:
    """What may be tried, how often, and how it is judged.

    Attributes:
        path: of the file that says so.
        recipe: the one to start from, with [set] applied.
        values: the keys of the recipe that are searched.
        trials: how many combinations are tried.
        seeds: trainings of each trial, with seeds 0 to seeds - 1.
        metric: what the best trial is best in.
        sampler: how combinations are chosen: tpe, random or grid.
        seed: of the sampler.
        prune: whether to leave a trial whose first seeds are worse than most.
    """

    path: Path
    recipe: Recipe
    values: Mapping[str, Range | Choice]
    trials: int = 20
    seeds: int = 3
    metric: str = "validation_accuracy"
    sampler: str = "tpe"
    seed: int = 0
    prune: bool = True

    def recipe_with(self, settings: Mapping[str, Value]) -> Recipe:
        """Return the recipe with some keys changed.

        Raises:
            BadValue: the keys do not go together.
        """
        return load_recipe(self.recipe, _nested(settings))

    def extremes(self) -> Iterator[Recipe]:
        """Yield the recipe with every end of every range and every choice, one at a time."""
        for key, values in self.values.items():
            for value in values.ends:
                yield self.recipe_with({key: value})

    def grid(self) -> list[dict[str, Value]]:
        """List every combination, the alphabet's last key changing fastest.

        Raises:
            BadValue: there are too many.
        """
        points = {key: values.points(key) for key, values in self.values.items()}
        size = math.prod(map(len, points.values()))
        if size > LARGEST_GRID:
            raise BadValue(
                f"the grid has {size:,} points, more than {LARGEST_GRID:,}; "
                "take larger steps, or another sampler"
            )

        combinations = itertools.product(*points.values())
        return [dict(zip(points, each, strict=True)) for each in combinations]

    @property
    def identity(self) -> dict[str, Any]:
        """What a trial's figures and its place in the search depend on, as JSON's types.

        How many trials there are is free.
        """
        return {
            **self.recipe.what_it_trains,
            **{key: getattr(self, key) for key in ("seeds", "metric", "sampler", "seed", "prune")},
            **{f"[space] {key}": str(values) for key, values in self.values.items()},
        }


def load_space(path: Path, *, data: str | None = None, trials: int | None = None) -> Space:
    """Load the space that a .toml file describes.

    Args:
        path: of the file.
        data: a dataset's name or path, in place of the file's.
        trials: how many to try, in place of the file's number.

    Raises:
        BadData: the file is not TOML.
        UnknownName: a key does not exist.
        BadValue: a value or a range makes no sense.
    """
    table = _read(path)
    searched = _flat(_check_table("space", table.pop("space")))
    fixed = _flat(_check_table("set", table.pop("set", {})))
    both = sorted(searched.keys() & fixed.keys())
    if both:
        raise BadValue(f"{both[0]} stands under [set] and under [space]; one of them is enough")

    if data:
        table["data"] = data
    if trials is not None:
        table["trials"] = trials
    for key, value in table.items():
        _check_type(key, value)

    recipe = _load_base(path, table, fixed)
    # Sorted, so that a file whose lines change places stays the same space.
    values = {key: _read_values(recipe, key, searched[key]) for key in sorted(searched)}
    space = Space(path, recipe, values, **table)
    if space.sampler == "grid":
        size = len(space.grid())
        space = dataclasses.replace(space, trials=min(size, table.get("trials", size)))

    for _ in space.extremes():  # each is checked as it is made
        pass
    return space


def _read(path: Path) -> dict[str, Any]:
    """Read the file, whose keys exist and are complete, or raise an error."""
    try:
        table = tomllib.loads(read_small(path, MAX_CONFIG).decode("utf-8"))
        repr(table)  # as an error would print it
    except RecursionError:
        raise BadData(f"{path} describes no space: it is nested too deeply") from None
    except ValueError as error:
        raise BadData(f"{path} describes no space: {error}") from error
    except OSError as error:
        raise BadData(f"{path} cannot be read: {error.strerror}") from error

    for key in table:
        if key not in KEYS:
            raise UnknownName("key of a space", key, KEYS)
    for key, example in NEEDED.items():
        if not table.get(key):
            raise BadValue(f"{path} has no {key}; add {example}")
    return table


def _check_table(key: str, value: Any) -> Mapping[str, Any]:
    """Return a table, or raise BadValue."""
    if not isinstance(value, Mapping):
        raise BadValue(f"{key} must be a table, [{key}] and lines below it, not {value!r}")
    return value


def _check_type(key: str, value: Any) -> None:
    """Raise BadValue or UnknownName unless a key of the file has a value that it may have."""
    kind, words = KINDS.get(key, (str, "text"))
    arrived = type(value)
    if arrived is not kind:
        raise BadValue(f"{key} must be {words}, not {value!r}")

    if key in LIMITS:
        least, most = LIMITS[key]
        if not least <= value <= most:
            raise BadValue(f"{key} must be from {least} to {most:,}, not {value}")
    if key in NAMES and value not in NAMES[key]:
        raise UnknownName(key, value, NAMES[key])


def _load_base(path: Path, table: dict[str, Any], fixed: dict[str, Any]) -> Recipe:
    """Load the recipe to start from, and take its keys out of the table."""
    name = table.pop("recipe")
    settings = _nested(fixed)
    if "data" in table:
        settings["data"] = table.pop("data")

    # A recipe's file may be beside the space's, wherever the command is called.
    beside = path.parent / name
    is_file = name.endswith(".toml") and beside.is_file()
    recipe = load_recipe(beside if is_file else name, settings)
    if recipe.members > 1:
        raise BadValue(
            f"{recipe.name!r} trains {recipe.members} networks; search for the best "
            f"{recipe.member.name!r} instead"
        )
    return recipe


def _flat(table: Mapping[str, Any]) -> dict[str, Any]:
    """Return the keys of a recipe, options as keys with a dot, in either way of writing them."""
    flat = dict(table)
    options = flat.pop("options", {})
    if not isinstance(options, Mapping):
        return flat | {"options": options}
    return flat | {f"options.{key}": value for key, value in options.items()}


def _nested(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings with their options in a table of their own, undoing `_flat`."""
    nested: dict[str, Any] = {}
    for key, value in settings.items():
        name = key.removeprefix("options.")
        if name == key:
            nested[key] = value
        else:
            nested.setdefault("options", {})[name] = value

    return nested


def _read_values(recipe: Recipe, key: str, given: Any) -> Range | Choice:
    """Read what stands beside a key under [space], or raise UnknownName or BadValue."""
    option = key.startswith("options.") and key != "options."
    if key not in SEARCHED and not option:
        raise UnknownName("key to search", key, [*SEARCHED, "options.NAME"])
    kind = None if option else FIELDS[key].type
    has_ranges = kind in (None, int, float)

    found: Range | Choice
    if isinstance(given, list):
        found = _read_choice(key, given)
    elif isinstance(given, Mapping) and has_ranges:
        found = _read_range(key, given, kind)
    else:
        range_too = "a range such as { low = 1, high = 10 } or " if has_ranges else ""
        raise BadValue(f"[space] {key} must be {range_too}a list of values, not {given!r}")

    load_recipe(recipe, _nested({key: found.ends[0]}))
    return found


def _read_choice(key: str, values: list[Any]) -> Choice:
    """Read a list of values."""
    if not all(isinstance(value, Value) for value in values):
        raise BadValue(
            f"[space] {key}: a list holds numbers, texts, true and false, not {values!r}"
        )

    all_different = len(set(values)) == len(values)
    _check_several(key, all_different and len(values) > 1)
    return Choice(tuple(values))


def _read_range(key: str, table: Mapping[str, Any], kind: Any) -> Range:
    """Read { low, high, step, log }, as floats unless only whole numbers make sense or are given.

    Args:
        key: of the recipe.
        table: what stands beside it.
        kind: the type of the key; None if it is not known.
    """
    for name, value in table.items():
        _check_part(key, name, value)
    missing = [name for name in ("low", "high") if name not in table]
    if missing:
        raise BadValue(
            f"[space] {key}: a range needs {' and '.join(missing)}, "
            "such as { low = 1, high = 10 }"
        )

    found = Range(**_as_kind(key, table, kind))
    _check_range(key, found)
    if found.step is not None:
        # The last value that a step reaches is the highest.
        steps = _steps(found.low, found.high, found.step)
        found = dataclasses.replace(found, high=_plus(found.low, steps, found.step))
    _check_several(key, found.low < found.high)
    return found


def _as_kind(key: str, table: Mapping[str, Any], kind: Any) -> dict[str, Any]:
    """Convert the numbers of a range to what its key takes."""
    numbers = dict(table)
    log = numbers.pop("log", False)

    # True and false have been refused, so these are ints and floats.
    whole = {type(value) for value in numbers.values()} == {int}
    if kind is int and not whole:
        raise BadValue(f"[space] {key}: only whole numbers make sense, not {dict(table)}")
    if kind is float or not whole:
        numbers = {name: float(value) for name, value in numbers.items()}

    return {**numbers, "log": log}


def _check_part(key: str, name: str, value: Any) -> None:
    """Raise UnknownName or BadValue unless one part of a range is what it may be."""
    known = [item.name for item in dataclasses.fields(Range)]
    if name not in known:
        raise UnknownName(f"part of a range ([space] {key})", name, known)

    if name == "log":
        if not isinstance(value, bool):
            raise BadValue(f"[space] {key}: log must be true or false, not {value!r}")
        return

    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not math.isfinite(value):
        raise BadValue(f"[space] {key}: {name} must be a number, not {value!r}")


def _check_range(key: str, found: Range) -> None:
    """Raise BadValue unless the parts of a range go together."""
    if found.step is not None and found.step <= 0:
        raise BadValue(f"[space] {key}: step must be above 0, not {found.step}")
    if found.log and (found.low <= 0 or found.step is not None):
        raise BadValue(
            f"[space] {key}: a range with log begins above 0 and has no step, not {found}"
        )
    if found.low > found.high:
        raise BadValue(f"[space] {key}: low {found.low} is above high {found.high}")


def _check_several(key: str, several: bool) -> None:
    """Raise BadValue unless there is something to search."""
    if not several:
        raise BadValue(
            f"[space] {key} needs at least two values, all different; "
            "a fixed one belongs under [set]"
        )


def _steps(low: float, high: float, step: float) -> int:
    """Count the steps that fit, in decimals: in binary 0.3 is less than three times 0.1."""
    return int((Decimal(str(high)) - Decimal(str(low))) // Decimal(str(step)))


def _plus(low: float, count: int, step: float) -> float:
    """Add a number of steps, in decimals."""
    exact = Decimal(str(low)) + count * Decimal(str(step))
    return int(exact) if isinstance(low, int) and isinstance(step, int) else float(exact)
