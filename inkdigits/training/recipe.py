"""Recipes: a network and how to train it, with its source and the accuracy that it reached.

A .toml file comes in, a frozen `Recipe` goes out. A user's own file works in the same way as those
in the package. A misspelt key is refused, and the error lists the known keys.
"""

import dataclasses
import json
import math
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from inkdigits.core.errors import BadData, BadValue, UnknownName
from inkdigits.core.files import MAX_CONFIG, read_small

SHIPPED = Path(__file__).with_name("recipes")
REFERENCE_RECIPES = ("lenet", "two-conv", "dropout", "sgd", "batchnorm")

# Keys that inform people and do not affect the training.
EVIDENCE = ("summary", "source", "published", "measured")

# A larger number is a typing error, and could take all memory. Digits have 28 pixels: exporting
# `nano` took 0.6 GB with 64 pixels, 3 GB with 224, and minutes with 1,024.
LARGEST_VALUES = {"epochs": 10**9, "batch": 10**9, "size": 64, "members": 100}

# Keys of older versions, with the value that meant "off": config.json files still have them.
RETIRED_KEYS = {"test_rotation": 0.0, "test_zoom": 0.0, "reduced_precision": True}


@dataclass(frozen=True)
class Recipe:
    """A network and how to train it. Frozen: `dataclasses.replace` makes a variant."""

    name: str
    network: str  # a key of models.MODELS
    summary: str = ""  # one line for people
    source: str = ""  # where it comes from, and what we chose where the source says nothing
    options: Mapping[str, Any] = field(default_factory=dict)  # of the network, such as dropout
    base: str = ""  # a shipped recipe, whose values hold for the keys that are not given here
    members: int = 1  # networks, each with its own seed; the answer is their mean probabilities
    data: str = "mnist"  # the name or path of the dataset to learn from, unless another is given

    mean: float = 0.0  # subtracted from ink in [0, 1]
    sd: float = 1.0  # then divided by this
    size: int = 28  # pixels a side that the network sees

    epochs: int = 10
    batch: int = 64  # digits a step
    optimiser: str = "adam"  # a key of optimisers.OPTIMISERS
    learning_rate: float = 0.001
    momentum: float = 0.9  # of sgd
    beta1: float = 0.9  # of adam and adamw: how far back the mean of the gradients looks,
    beta2: float = 0.999  # and that of their squares; smaller ones suit a short training
    weight_decay: float = 0.0
    schedule: str = "constant"  # a key of schedules.SCHEDULES
    label_smoothing: float = 0.0
    unsmoothed_epochs: int = 0  # this many passes at the end have no label smoothing
    ema: float = 0.0  # decay per step of the moving average of the weights, which is the result

    rotation: float = 0.0  # the augmentation, in the units of augmentation.Augmentation
    shear: float = 0.0
    zoom: float = 0.0
    shift: float = 0.0
    elastic: float = 0.0
    erasing: float = 0.0
    clutter: float = 0.0
    filtering: float = 0.0
    noise: float = 0.0
    clean_epochs: int = 0  # this many passes at the end have no augmentation

    # Models to imitate: shipped names, run folders, .onnx files or folders of .onnx files.
    teacher: tuple[str, ...] = ()
    teacher_weight: float = 0.5  # their share of the loss; the labels have the rest
    teacher_temperature: float = 1.0  # above 1, what they think of the wrong digits counts more

    published: Mapping[str, Any] = field(default_factory=dict)  # the source's own figures
    measured: Mapping[str, Any] = field(default_factory=dict)  # ours, by `inkdigits reproduce`

    def __post_init__(self) -> None:
        for key, value in vars(self).items():
            is_finite = not isinstance(value, float) or math.isfinite(value)
            self._require(is_finite, key, "a finite number")

        for key, largest in LARGEST_VALUES.items():
            self._require(getattr(self, key) >= 1, key, "at least 1")
            self._require(getattr(self, key) <= largest, key, f"at most {largest:,}")

        for key in ("learning_rate", "sd", "teacher_temperature"):
            self._require(getattr(self, key) > 0, key, "above 0")

        amounts = ("weight_decay", "rotation", "shear", "shift", "elastic", "erasing", "noise")
        for key in (*amounts, "unsmoothed_epochs", "clean_epochs"):
            self._require(getattr(self, key) >= 0, key, "0 or more")

        for key in ("momentum", "beta1", "beta2", "label_smoothing", "ema", "zoom"):
            self._require(0 <= getattr(self, key) < 1, key, "from 0 to below 1")

        for key in ("clutter", "filtering", "teacher_weight"):
            self._require(0 <= getattr(self, key) <= 1, key, "from 0 to 1")

    def _require(self, holds: bool, key: str, expected: str) -> None:
        if not holds:
            raise BadValue(
                f"recipe {self.name!r}: {key} must be {expected}, not {getattr(self, key)}"
            )

    @property
    def total_epochs(self) -> int:
        """The epochs of all members together."""
        return self.epochs * self.members

    @property
    def member(self) -> "Recipe":
        """The recipe of one member."""
        return dataclasses.replace(self, name=self.base or self.name, base="", members=1)

    def member_seeds(self, seed: int) -> range:
        """Return the seeds of the members: with five members, seed 1 means 5 to 9.

        So ensembles with different seeds share no network.
        """
        return range(seed * self.members, (seed + 1) * self.members)

    @property
    def what_it_trains(self) -> dict[str, Any]:
        """All keys that affect the training, as JSON's types: equal means the same training."""
        not_trained = ("name", "base", *EVIDENCE)
        return {key: value for key, value in to_table(self).items() if key not in not_trained}


FIELDS = {item.name: item for item in dataclasses.fields(Recipe)}

# What `--set` may change.
SETTINGS = [name for name in FIELDS if name not in ("name", "base", "published", "measured")]

# The types of values in the words of error messages.
TYPE_WORDS: dict[Any, str] = {
    int: "a whole number",
    float: "a number",
    str: "text",
}


def shipped_recipes() -> list[str]:
    """Return the names of the recipes in the package: reference recipes first, the rest sorted."""
    names = {path.stem for path in SHIPPED.glob("*.toml")}
    return [*REFERENCE_RECIPES, *sorted(names - set(REFERENCE_RECIPES))]


def load_recipe(recipe: str | Path | Recipe, settings: Mapping[str, Any] | None = None) -> Recipe:
    """Load a recipe, and change some of its keys.

    Args:
        recipe: a shipped name, the path of a .toml file, or a recipe.
        settings: keys to change, such as {"epochs": 3}; `options` are changed one by one.

    Raises:
        UnknownName: there is no such recipe or key.
        BadValue: a value is out of range or of the wrong type.
        BadData: the file is not TOML.
    """
    if not isinstance(recipe, Recipe):
        recipe = _load_file(recipe)
    if not settings:
        return recipe

    _check_keys(settings, SETTINGS)
    values = {key: _typed(key, value) for key, value in settings.items()}
    if "options" in values:
        values["options"] = {**recipe.options, **values["options"]}

    return dataclasses.replace(recipe, **values)


def _load_file(name: str | Path) -> Recipe:
    """Load a shipped recipe or a user's file."""
    shipped = str(name) in shipped_recipes()
    path = SHIPPED / f"{name}.toml" if shipped else Path(name)
    if path.suffix != ".toml" or not path.is_file():
        raise UnknownName("recipe", name, [*shipped_recipes(), "or a .toml file of yours"])

    table = _read_toml(path)
    if "base" in table:
        table = _over_base(path.stem, table)

    return _make_recipe(path.stem, table)


def parse_settings(pairs: Iterable[str]) -> dict[str, Any]:
    """Parse settings such as `["epochs=3", "options.dropout=0.3"]`.

    A value is parsed as TOML; if that fails, it is text. `load_recipe` checks keys and values.

    Raises:
        BadValue: a pair is not key=value.
    """
    settings: dict[str, Any] = {}
    for pair in pairs:
        key, separator, text = pair.partition("=")
        if not separator or not key.strip():
            raise BadValue(f"a setting reads key=value, not {pair!r}; keys: {', '.join(SETTINGS)}")

        try:
            value = tomllib.loads(f"value = {text}")["value"]
            repr(value)  # as an error would print it
        except ValueError:
            value = text.strip()
        except RecursionError:
            raise BadValue(f"the value of {key.strip()} is nested too deeply") from None

        group, dot, option = key.strip().partition(".")
        if not dot:
            settings[group] = value
            continue

        before = settings.get(group)
        options = before if isinstance(before, dict) else {}
        settings[group] = {**options, option: value}

    return settings


def to_table(recipe: Recipe) -> dict[str, Any]:
    """Return a recipe as JSON's types, for config.json; `from_table` reverses it."""
    # A date of a .toml becomes text.
    return json.loads(json.dumps(vars(recipe), default=str))


def from_table(table: Mapping[str, Any]) -> Recipe:
    """Make a recipe from what `to_table` returned, with the same checks as for a file.

    Keys that only older versions had are dropped if they were off.

    Raises:
        UnknownName: a key does not exist.
        BadValue: a value is out of range or of the wrong type.
    """
    values = dict(table)
    name = str(values.pop("name", "unnamed"))
    for key, off in RETIRED_KEYS.items():
        if values.get(key) == off:
            del values[key]

    return _make_recipe(name, values)


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        table = tomllib.loads(read_small(path, MAX_CONFIG).decode("utf-8"))
        repr(table)  # as an error would print it
        return table
    except RecursionError:
        raise BadData(f"{path} is not a recipe: it is nested too deeply") from None
    except ValueError as error:  # not TOML, not UTF-8, or a number of a thousand digits
        raise BadData(f"{path} is not a recipe: {error}") from error
    except OSError as error:
        raise BadData(f"{path} cannot be read: {error.strerror}") from error


def _make_recipe(name: str, table: Mapping[str, Any]) -> Recipe:
    _check_keys(table, [*SETTINGS, "base", "published", "measured"])
    if "network" not in table:
        raise BadValue(f'recipe {name!r} names no network; add a line such as network = "lenet"')

    return Recipe(name=name, **{key: _typed(key, value) for key, value in table.items()})


def _over_base(name: str, table: Mapping[str, Any]) -> dict[str, Any]:
    """Complete a table with the keys of its base, a shipped recipe, except for its evidence."""
    base = table["base"]
    others = [other for other in shipped_recipes() if other != name]
    if base not in others:
        raise UnknownName("base recipe", base, others)

    below = _read_toml(SHIPPED / f"{base}.toml")
    if "base" in below:
        raise BadValue(
            f"{base!r} cannot be the base of {name!r}: it has a base itself, {below['base']!r}"
        )

    laid_over = {key: value for key, value in below.items() if key not in EVIDENCE} | dict(table)
    options = table.get("options", {})
    if isinstance(options, Mapping):
        options = {**below.get("options", {}), **options}

    return laid_over | {"options": options}


def _check_keys(table: Mapping[str, Any], known: list[str]) -> None:
    for key in table:
        if key not in known:
            raise UnknownName("recipe key", key, known)


def _typed(key: str, value: Any) -> Any:
    """Return a value in the type of its field.

    A float may be given as a whole number, and a list of texts as a single text.
    """
    expected = FIELDS[key].type
    if expected is float and isinstance(value, int) and not isinstance(value, bool):
        return float(str(value))  # inf where float(value) would raise OverflowError

    if expected == tuple[str, ...]:
        return _texts(key, value)

    if expected in TYPE_WORDS:
        if type(value) is not expected:
            raise BadValue(f"{key} must be {TYPE_WORDS[expected]}, not {value!r}")
    elif not isinstance(value, Mapping):
        raise BadValue(f"{key} must be a table of names and values, not {value!r}")

    return value


def _texts(key: str, value: Any) -> tuple[str, ...]:
    texts = [value] if isinstance(value, str) else value
    is_list = isinstance(texts, list | tuple)
    if not is_list or not all(isinstance(text, str) for text in texts):
        raise BadValue(f"{key} must be text or a list of texts, not {value!r}")

    return tuple(texts)
