"""What a sweep searches: SPACE.toml in, a frozen `Space` out.

Says what may be tried, how often and how it is judged; knows nothing of Optuna and of training. A misspelt key and a range without
sense get one sentence that names what would do.
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
from inkdigits.training.recipe import FIELDS, SETTINGS, Recipe, load_recipe

Value = bool | int | float | str

METRICS: dict[str, Literal["maximize", "minimize"]] = {
    "validation_accuracy": "maximize",
    "validation_loss": "minimize",
}
SAMPLERS = ("tpe", "random", "grid")
NOT_SEARCHED = (
    "summary",
    "source",
    "options",
    "members",
    "data",
    "teacher",
)  # options are searched one by one
SEARCHED = [key for key in SETTINGS if key not in NOT_SEARCHED]
LIMITS = {"seeds": 1000, "trials": 10**6, "seed": 2**32 - 1}  # of numpy's generators, the last
WHOLE_GRID = 10**5  # points; more are a slip


@dataclass(frozen=True)
class Range:
    """Numbers from low to high, both included; whole ones where these are. step: between neighbours. log: evenly by ratio."""

    low: float
    high: float
    step: float | None = None
    log: bool = False

    @property
    def ends(self) -> tuple[float, ...]:
        """What has to make sense for all that lies between to do so."""
        return self.low, self.high

    def points(self, key: str) -> tuple[float, ...]:
        """All of them. Raises BadValue where they cannot be counted."""
        step = self.step or (1 if isinstance(self.low, int) and not self.log else None)
        if step is None:
            raise BadValue(
                f"[space] {key}: a grid needs a list of values, or a step between low and high, not {self}"
            )
        if (self.high - self.low) / step >= WHOLE_GRID:
            raise BadValue(
                f"[space] {key}: a grid of so small steps has too many points; take a larger step"
            )
        return tuple(
            _plus(self.low, number, step) for number in range(1 + _steps(self.low, self.high, step))
        )

    def __str__(self) -> str:
        return (
            f"{self.low} to {self.high}"
            + (f" in steps of {self.step}" if self.step else "")
            + (", log" if self.log else "")
        )


@dataclass(frozen=True)
class Choice:
    """One of several values."""

    ends: tuple[Value, ...]

    def points(self, _: str) -> tuple[Value, ...]:
        """All of them."""
        return self.ends

    def __str__(self) -> str:
        return ", ".join(map(str, self.ends))


@dataclass(frozen=True)
class Space:
    """What may be tried, how often, and how it is judged: keys of the recipe, each with its values.

    path: the file that says so. recipe: with [set] laid over it. seeds: trainings of each trial, with seeds 0 to seeds - 1. seed:
    the sampler's. prune: whether to leave a trial whose first seeds are worse than most.
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
        """The recipe with such keys changed. Raises BadValue where they do not go together."""
        return load_recipe(self.recipe, _nested(settings))

    def extremes(self) -> Iterator[Recipe]:
        """The recipe with every end of every range and every choice, one at a time."""
        for key, values in self.values.items():
            for value in values.ends:
                yield self.recipe_with({key: value})

    def grid(self) -> list[dict[str, Value]]:
        """Every combination, the alphabet's last key changing fastest."""
        points = {key: values.points(key) for key, values in self.values.items()}
        if (size := math.prod(map(len, points.values()))) > WHOLE_GRID:
            raise BadValue(
                f"the grid has {size:,} points, more than {WHOLE_GRID:,}; take larger steps, or another sampler"
            )
        return [
            dict(zip(points, combined, strict=True))
            for combined in itertools.product(*points.values())
        ]

    @property
    def identity(self) -> dict[str, Any]:
        """What a trial's figures and its place in the search depend on, as JSON's types. How many trials there are is free."""
        judged = {
            key: getattr(self, key) for key in ("seeds", "metric", "sampler", "seed", "prune")
        }
        return (
            self.recipe.what_it_trains
            | judged
            | {f"[space] {key}": str(values) for key, values in self.values.items()}
        )


KEYS = [
    "recipe",
    "data",
    "trials",
    "seeds",
    "metric",
    "sampler",
    "seed",
    "prune",
    "set",
    "space",
]  # of the file


def load_space(path: Path, *, data: str | None = None, trials: int | None = None) -> Space:
    """The space that a .toml file describes. data, trials: in place of what it says.

    Raises BadData for what is not TOML, UnknownName for a key that does not exist, BadValue for a value or range without sense.
    """
    table = _read(path)
    for key in table:
        if key not in KEYS:
            raise UnknownName("key of a space", key, KEYS)
    for key, wanted in (
        ("recipe", 'recipe = "tiny"'),
        ("space", "[space] and below it learning_rate = { low = 1e-4, high = 1e-2 }"),
    ):
        if not table.get(key):
            raise BadValue(f"{path} has no {key}; add {wanted}")
    said = {key: _typed(key, table[key]) for key in table if key not in ("space", "set")}
    name, named = said.pop("recipe"), data or said.pop("data", None)
    fixed, searched = (_flat(_table(key, table.get(key, {}))) for key in ("set", "space"))
    if both := [key for key in searched if key in fixed]:
        raise BadValue(f"{both[0]} stands under [set] and under [space]; one of them is enough")
    recipe = load_recipe(_beside(path, name), _nested(fixed) | ({"data": named} if named else {}))
    if recipe.members > 1:
        raise BadValue(
            f"{recipe.name!r} trains {recipe.members} networks; search for the best {recipe.member.name!r} instead"
        )
    said.pop("data", None)
    if trials is not None:
        said["trials"] = _typed("trials", trials)
    # Sorted, so that a file whose lines change places stays the same space.
    space = Space(
        path,
        recipe,
        {key: _values(recipe, key, wanted) for key, wanted in sorted(searched.items())},
        **said,
    )
    if space.sampler == "grid":
        size = len(space.grid())
        space = dataclasses.replace(space, trials=min(size, said.get("trials", size)))
    for _ in space.extremes():  # each is checked as it is made
        pass
    return space


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise BadData(f"{path} describes no space: {error}") from error
    except OSError as error:
        raise BadData(f"{path} cannot be read: {error.strerror}") from error


def _beside(path: Path, recipe: str) -> str | Path:
    """A recipe's file may lie beside the space's, wherever the command is called."""
    beside = path.parent / recipe
    return beside if recipe.endswith(".toml") and beside.is_file() else recipe


def _typed(key: str, value: Any) -> Any:
    kind: type = {"prune": bool, **dict.fromkeys(LIMITS, int)}.get(key, str)
    right = type(value) is kind
    if not right:
        wanted = {bool: "true or false", int: "a whole number", str: "text"}[kind]
        raise BadValue(f"{key} must be {wanted}, not {value!r}")
    least = 0 if key == "seed" else 1
    if key in LIMITS and not least <= value <= LIMITS[key]:
        raise BadValue(f"{key} must be from {least} to {LIMITS[key]:,}, not {value}")
    for name, known in (("metric", METRICS), ("sampler", SAMPLERS)):
        if key == name and value not in known:
            raise UnknownName(name, value, known)
    return value


def _table(key: str, value: Any) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise BadValue(f"{key} must be a table, [{key}] and lines below it, not {value!r}")
    return value


def _flat(table: Mapping[str, Any]) -> dict[str, Any]:
    """Options as keys with a dot, however they were written."""
    options = table.get("options", {})
    below = (
        {f"options.{key}": value for key, value in options.items()}
        if isinstance(options, Mapping)
        else {"options": options}
    )
    return {key: value for key, value in table.items() if key != "options"} | below


def _nested(settings: Mapping[str, Any]) -> dict[str, Any]:
    """What `_flat` was given."""
    options = {
        key.removeprefix("options."): value
        for key, value in settings.items()
        if key.startswith("options.")
    }
    plain = {key: value for key, value in settings.items() if not key.startswith("options.")}
    return plain | ({"options": options} if options else {})


def _values(recipe: Recipe, key: str, wanted: Any) -> Range | Choice:
    """What stands beside a key under [space]. Raises UnknownName or BadValue."""
    option = key.startswith("options.") and key != "options."
    if key not in SEARCHED and not option:
        raise UnknownName("key to search", key, [*SEARCHED, "options.NAME"])
    kind = None if option else FIELDS[key].type
    if isinstance(wanted, list):
        found: Range | Choice = _choice(key, wanted)
    elif isinstance(wanted, Mapping) and kind in (None, int, float):
        found = _range(key, wanted, kind)
    else:
        range_too = "" if kind in (str, bool) else "a range such as { low = 1, high = 10 } or "
        raise BadValue(f"[space] {key} must be {range_too}a list of values, not {wanted!r}")
    load_recipe(recipe, _nested({key: found.ends[0]}))
    return found


def _choice(key: str, values: list[Any]) -> Choice:
    if not all(isinstance(value, Value) for value in values):
        raise BadValue(
            f"[space] {key}: a list holds numbers, texts, true and false, not {values!r}"
        )
    _check_several(key, len(set(values)), len(values))
    return Choice(tuple(values))


def _range(key: str, table: Mapping[str, Any], kind: Any) -> Range:
    known = [item.name for item in dataclasses.fields(Range)]
    for name, value in table.items():
        if name not in known:
            raise UnknownName(f"part of a range ([space] {key})", name, known)
        if name == "log":
            if not isinstance(value, bool):
                raise BadValue(f"[space] {key}: log must be true or false, not {value!r}")
        elif (
            isinstance(value, bool)
            or not isinstance(value, int | float)
            or not math.isfinite(value)
        ):
            raise BadValue(f"[space] {key}: {name} must be a number, not {value!r}")
    if missing := [name for name in ("low", "high") if name not in table]:
        raise BadValue(
            f"[space] {key}: a range needs {' and '.join(missing)}, such as {{ low = 1, high = 10 }}"
        )
    numbers = {name: value for name, value in table.items() if name != "log"}
    whole = all(isinstance(value, int) for value in numbers.values())
    if kind is int and not whole:
        raise BadValue(f"[space] {key}: only whole numbers make sense, not {dict(table)}")
    if kind is float or not whole:
        numbers = {name: float(value) for name, value in numbers.items()}
    return _checked(key, Range(**numbers, log=table.get("log", False)))


def _checked(key: str, found: Range) -> Range:
    """With the last value that a step reaches as its high."""
    if found.step is not None and found.step <= 0:
        raise BadValue(f"[space] {key}: step must be above 0, not {found.step}")
    if found.log and (found.low <= 0 or found.step is not None):
        raise BadValue(
            f"[space] {key}: a range with log begins above 0 and has no step, not {found}"
        )
    if found.low > found.high:
        raise BadValue(f"[space] {key}: low {found.low} is above high {found.high}")
    if found.step is not None:
        found = dataclasses.replace(
            found, high=_plus(found.low, _steps(found.low, found.high, found.step), found.step)
        )
    _check_several(key, 1 if found.low == found.high else 2, 2)
    return found


def _check_several(key: str, different: int, count: int) -> None:
    if different < max(2, count):
        raise BadValue(
            f"[space] {key} needs at least two values, all different; a fixed one belongs under [set]"
        )


def _steps(low: float, high: float, step: float) -> int:
    """How many steps fit, by the decimal digits that were written: in binary 0.3 is less than three times 0.1."""
    return int((Decimal(str(high)) - Decimal(str(low))) // Decimal(str(step)))


def _plus(low: float, count: int, step: float) -> float:
    exact = Decimal(str(low)) + count * Decimal(str(step))
    return int(exact) if isinstance(low, int) and isinstance(step, int) else float(exact)
