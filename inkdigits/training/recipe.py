"""A recipe says what defines a system and nothing else: its network, its training, where it comes from and what it reached.

A .toml file in, a frozen `Recipe` out. A user's own file works as the shipped ones do; a misspelt key names the known ones.
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

SHIPPED = Path(__file__).with_name("recipes")
EVIDENCE = (
    "summary",
    "source",
    "published",
    "measured",
)  # what a recipe tells people, and what changes nothing in a run
LARGEST = {
    "epochs": 10**9,
    "batch": 10**9,
    "size": 1024,
    "members": 100,
}  # a larger number is a slip, and may take all memory


@dataclass(frozen=True)
class Recipe:
    """What defines a system. Frozen: `dataclasses.replace` makes a variant."""

    name: str
    network: str  # a key of models.MODELS
    summary: str = ""  # one line for people
    source: str = ""  # where the system comes from, and what we chose where the source is silent
    options: Mapping[str, Any] = field(
        default_factory=dict
    )  # arguments of the network, such as dropout
    base: str = ""  # a shipped recipe, whose keys hold where this one is silent
    members: int = 1  # networks, each from a seed of its own; above 1 the mean of their probabilities is the answer
    data: str = "mnist"  # what it learns from, unless told otherwise: a dataset's name or path

    mean: float = 0.0  # subtracted from ink in [0, 1]
    sd: float = 1.0  # then divided by this
    size: int = 28  # pixels a side that the network sees
    test_rotation: float = 0.0  # degrees; above 0 a digit is also read turned so far either way, and the mean is the answer
    test_zoom: float = 0.0  # fraction; above 0 it is also read larger and smaller by so much

    epochs: int = 10
    batch: int = 64  # digits a step
    optimiser: str = "adam"  # a key of optimisers.OPTIMISERS
    learning_rate: float = 0.001
    momentum: float = 0.9  # of sgd
    beta1: float = 0.9  # of adam, adamw and muon: how far back the mean of the gradients looks,
    beta2: float = 0.999  # and that of their squares; smaller ones suit a short training
    weight_decay: float = 0.0
    schedule: str = "constant"  # a key of training.SCHEDULES
    label_smoothing: float = 0.0
    unsmoothed_epochs: int = 0  # the last so many passes take the labels as they are
    ema: float = 0.0  # a step, of the average of the weights that is kept in their place; 0.999 looks back a thousand steps
    reduced_precision: bool = True  # bfloat16 where the processor computes it natively

    rotation: float = 0.0  # the augmentation, in the units of augmentation.Augmentation
    shear: float = 0.0
    zoom: float = 0.0
    shift: float = 0.0
    elastic: float = 0.0
    erasing: float = 0.0
    clutter: float = 0.0
    filtering: float = 0.0
    noise: float = 0.0
    clean_epochs: int = 0  # the last so many passes see the digits as they are

    teacher: tuple[
        str, ...
    ] = ()  # models that are imitated: shipped names, run folders, .onnx files or folders of them
    teacher_weight: float = 0.5  # of their opinion; the rest is the labels'
    teacher_temperature: float = 1.0  # above 1 also tells which wrong digits they find likely

    published: Mapping[str, Any] = field(default_factory=dict)  # the source's own figures
    measured: Mapping[str, Any] = field(
        default_factory=dict
    )  # ours, written by `inkdigits reproduce`

    def __post_init__(self) -> None:
        for key, value in vars(self).items():
            _require(
                self, key, not isinstance(value, float) or math.isfinite(value), "a finite number"
            )
        for key in LARGEST:
            _require(self, key, getattr(self, key) >= 1, "at least 1")
            _require(self, key, getattr(self, key) <= LARGEST[key], f"at most {LARGEST[key]:,}")
        for key in ("learning_rate", "sd", "teacher_temperature"):
            _require(self, key, getattr(self, key) > 0, "above 0")
        amounts = (
            "weight_decay",
            "rotation",
            "shear",
            "shift",
            "elastic",
            "erasing",
            "noise",
            "test_rotation",
        )
        for key in (*amounts, "unsmoothed_epochs", "clean_epochs"):
            _require(self, key, getattr(self, key) >= 0, "0 or more")
        for key in ("momentum", "beta1", "beta2", "label_smoothing", "ema", "zoom", "test_zoom"):
            _require(self, key, 0 <= getattr(self, key) < 1, "from 0 to below 1")
        for key in ("clutter", "filtering", "teacher_weight"):
            _require(self, key, 0 <= getattr(self, key) <= 1, "from 0 to 1")

    @property
    def total_epochs(self) -> int:
        """Of all members together."""
        return self.epochs * self.members

    @property
    def member(self) -> "Recipe":
        """What each of several networks is trained by."""
        return dataclasses.replace(self, name=self.base or self.name, base="", members=1)

    def member_seeds(self, seed: int) -> range:
        """The seeds of its networks: with five members, seed 1 has 5 to 9, so that no two ensembles share one."""
        return range(seed * self.members, (seed + 1) * self.members)

    @property
    def what_it_trains(self) -> dict[str, Any]:
        """All but the name and what it tells people, as JSON's types: two recipes that agree here make the same networks."""
        return {
            key: value
            for key, value in to_table(self).items()
            if key not in ("name", "base", *EVIDENCE)
        }


FIELDS = {item.name: item for item in dataclasses.fields(Recipe)}
SETTINGS = [
    name for name in FIELDS if name not in ("name", "base", "published", "measured")
]  # what `--set` may say


def _require(recipe: Recipe, key: str, holds: bool, wanted: str) -> None:
    if not holds:
        raise BadValue(
            f"recipe {recipe.name!r}: {key} must be {wanted}, not {getattr(recipe, key)}"
        )


def shipped_recipes() -> list[str]:
    """The names of the recipes in the package, in the order in which a reader should meet them."""
    names = {path.stem for path in SHIPPED.glob("*.toml")}
    reference = ["lenet", "two-conv", "dropout", "sgd", "batchnorm"]
    return [*reference, *sorted(names - set(reference))]


def load_recipe(recipe: str | Path | Recipe, settings: Mapping[str, Any] | None = None) -> Recipe:
    """A shipped recipe by name, or a user's own .toml by path, with `settings` laid over it.

    Raises UnknownName for a recipe or key that does not exist, BadValue for a value out of range or of the wrong type, BadData
    for a file that is not TOML.
    """
    if not isinstance(recipe, Recipe):
        path = SHIPPED / f"{recipe}.toml" if str(recipe) in shipped_recipes() else Path(recipe)
        if path.suffix != ".toml" or not path.is_file():
            raise UnknownName("recipe", recipe, [*shipped_recipes(), "or a .toml file of yours"])
        table = _read_toml(path)
        recipe = _from_table(path.stem, _laid_over(path.stem, table) if "base" in table else table)
    if settings:
        _check_keys(settings, SETTINGS)
        values = {key: _typed(key, value) for key, value in settings.items()}
        if "options" in values:
            values["options"] = {**recipe.options, **values["options"]}
        recipe = dataclasses.replace(recipe, **values)
    return recipe


def parse_settings(pairs: Iterable[str]) -> dict[str, Any]:
    """`["epochs=3", "options.dropout=0.3"]` as settings. A value is read as TOML would read it, else it is text.

    Raises BadValue for what is not key=value. Whether keys and values make sense is for `load_recipe` to say.
    """
    settings: dict[str, Any] = {}
    for pair in pairs:
        key, separator, text = pair.partition("=")
        if not separator or not key.strip():
            raise BadValue(f"a setting reads key=value, not {pair!r}; keys: {', '.join(SETTINGS)}")
        try:
            value = tomllib.loads(f"value = {text}")["value"]
        except ValueError:
            value = text.strip()
        group, dot, option = key.strip().partition(".")
        if dot:
            before = settings.get(group)
            settings[group] = {**(before if isinstance(before, dict) else {}), option: value}
        else:
            settings[group] = value
    return settings


def to_table(recipe: Recipe) -> dict[str, Any]:
    """The recipe as JSON's types, for config.json: a date of a .toml becomes text. `from_table` takes it back."""
    plain = {
        name: dict(value) if isinstance(value, Mapping) else value
        for name, value in vars(recipe).items()
    }
    table: dict[str, Any] = json.loads(json.dumps(plain, default=str))
    return table


def from_table(table: Mapping[str, Any]) -> Recipe:
    """A recipe from what `to_table` gave, checked as a file is."""
    values = dict(table)
    return _from_table(str(values.pop("name", "unnamed")), values)


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            return tomllib.load(file)
    except ValueError as error:  # not TOML, not UTF-8, a number of a thousand digits
        raise BadData(f"{path} is not a recipe: {error}") from error
    except OSError as error:
        raise BadData(f"{path} cannot be read: {error.strerror}") from error


def _from_table(name: str, table: Mapping[str, Any]) -> Recipe:
    _check_keys(table, [*SETTINGS, "base", "published", "measured"])
    if "network" not in table:
        raise BadValue(f'recipe {name!r} names no network; add a line such as network = "lenet"')
    return Recipe(name=name, **{key: _typed(key, value) for key, value in table.items()})


def _laid_over(name: str, table: Mapping[str, Any]) -> dict[str, Any]:
    """The keys of the shipped recipe that is the table's base, but for what it tells people, and over them those of the table."""
    base, options = table["base"], table.get("options", {})
    if base == name or base not in shipped_recipes():
        raise UnknownName(
            "base of a recipe", base, [other for other in shipped_recipes() if other != name]
        )
    below = _read_toml(SHIPPED / f"{base}.toml")
    if "base" in below:
        raise BadValue(f"{base!r} is no base for {name!r}, as it has one itself: {below['base']!r}")
    if isinstance(options, Mapping):
        options = {**below.get("options", {}), **options}
    return (
        {key: value for key, value in below.items() if key not in EVIDENCE}
        | dict(table)
        | {"options": options}
    )


def _check_keys(table: Mapping[str, Any], known: list[str]) -> None:
    for key in table:
        if key not in known:
            raise UnknownName("key of a recipe", key, known)


def _typed(key: str, value: Any) -> Any:
    """`value` as the type of the field `key`: a whole number will do for a float, and one text for several."""
    wanted = FIELDS[key].type
    if wanted is float and isinstance(value, int) and not isinstance(value, bool):
        return float(str(value))  # inf, where float(value) would raise OverflowError
    if wanted == tuple[str, ...]:
        texts = [value] if isinstance(value, str) else value
        if not isinstance(texts, list | tuple) or not all(isinstance(text, str) for text in texts):
            raise BadValue(f"{key} must be text or a list of texts, not {value!r}")
        return tuple(texts)
    if wanted in (int, float, str, bool):
        if type(value) is not wanted:
            raise BadValue(f"{key} must be {_WORDS[wanted]}, not {value!r}")
    elif not isinstance(value, Mapping):
        raise BadValue(f"{key} must be a table of names and values, not {value!r}")
    return value


_WORDS: dict[Any, str] = {
    int: "a whole number",
    float: "a number",
    str: "text",
    bool: "true or false",
}
