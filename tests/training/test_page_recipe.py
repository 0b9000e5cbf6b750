"""The page reader's recipe is in the package, and its errors name the key."""

import dataclasses
import tomllib
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest

from inkdigits.core.errors import BadValue, UnknownName
from inkdigits.training.page import recipe as module
from inkdigits.training.page.recipe import PageRecipe, load_page_recipe, parse_page_settings


def test_the_shipped_recipe_has_every_key_and_settings_change_it() -> None:
    keys = tomllib.loads(module.SHIPPED.read_text())
    assert list(keys) == [field.name for field in dataclasses.fields(PageRecipe)]
    assert dataclasses.asdict(load_page_recipe()) == keys
    assert load_page_recipe({"steps": 5}) == dataclasses.replace(load_page_recipe(), steps=5)


def test_the_shipped_recipe_is_installed_with_the_package() -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())
    patterns = project["tool"]["setuptools"]["package-data"]["inkdigits"]
    assert any(fnmatch("training/page/page.toml", pattern) for pattern in patterns)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"steps": 0}, "steps = 0; expected a whole number from 1 to 1,000,000,000"),
        ({"batch": 2.0}, "batch = 2.0; expected a whole number from 1 to 1,000,000,000"),
        ({"pages": True}, "pages = True; expected a whole number from 1 to 1,000,000,000"),
        (
            {"learning_rate": "fast"},
            "learning_rate = 'fast'; expected a number above 0, at most 1,000,000,000",
        ),
        (
            {"learning_rate": float("inf")},
            "learning_rate = inf; expected a number above 0, at most 1,000,000,000",
        ),
        (
            {"steps": 10**30},
            "steps = 1" + "0" * 30 + "; expected a whole number from 1 to 1,000,000,000",
        ),
        (
            {"learning_rate": float("nan")},
            "learning_rate = nan; expected a number above 0, at most 1,000,000,000",
        ),
        ({"ema": 1.5}, "ema = 1.5; expected a number from 0 to 1"),
        ({"mosaics": -0.1}, "mosaics = -0.1; expected a number from 0 to 1"),
        ({"summary": 3}, "summary = 3; expected text"),
    ],
)
def test_a_wrong_value_is_refused_by_its_key(settings: dict[str, Any], expected: str) -> None:
    with pytest.raises(BadValue) as error:
        load_page_recipe(settings)
    assert str(error.value) == expected


def test_a_misspelt_key_is_refused_and_the_known_ones_are_named() -> None:
    with pytest.raises(UnknownName, match=r"no recipe key 'step'; known: .*steps"):
        load_page_recipe({"step": 5})


def test_settings_are_parsed_and_a_pair_without_a_value_names_the_keys_there_are() -> None:
    assert parse_page_settings(["steps=5", "ema = 0.5"]) == {"steps": 5, "ema": 0.5}
    for pair in ("steps", "=5", ""):
        with pytest.raises(BadValue, match=r"reads key=value, not '.*'; keys: summary, steps"):
            parse_page_settings([pair])


def test_mosaics_can_be_off() -> None:
    assert load_page_recipe({"mosaics": 0}).mosaics == 0


def test_the_learning_rate_warms_up_stays_and_falls_to_nothing() -> None:
    recipe = load_page_recipe({"warm_up": 10, "decay": 0.25, "learning_rate": 0.5})
    rates = [recipe.rate(step, 100) for step in range(100)]
    assert rates[0] == pytest.approx(0.05)
    assert rates[9:76] == [0.5] * 67
    assert rates[76:] == pytest.approx([0.5 * (100 - step) / 25 for step in range(76, 100)])
