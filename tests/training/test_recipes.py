"""Every shipped recipe builds, takes a step and learns 128 digits by heart.

The five reference recipes are what their sources say.
"""

from typing import Any

import pytest
import torch
from few_digits import TRAINED, few_digits

from inkdigits.training.figures import Epoch
from inkdigits.training.loop import fit, seeded_network
from inkdigits.training.optimisers import OPTIMISERS
from inkdigits.training.predictions import measure
from inkdigits.training.recipe import load_recipe, shipped_recipes
from inkdigits.training.schedules import SCHEDULES

# What the sources state, and nothing that they leave open.
STATED: dict[str, dict[str, Any]] = {
    "lenet": {
        "batch": 10,
        "epochs": 5,
        "optimiser": "adam",
        "learning_rate": 0.001,
        "mean": 0.0,
        "sd": 1.0,
        "size": 28,
    },
    "two-conv": {
        "batch": 64,
        "epochs": 10,
        "optimiser": "adam",
        "mean": 0.1307,
        "sd": 0.3081,
        "size": 28,
    },
    "dropout": {"size": 28},
    "sgd": {"optimiser": "sgd"},
    "batchnorm": {
        "batch": 128,
        "epochs": 45,
        "optimiser": "adam",
        "learning_rate": 0.001,
        "options": {"dropout": 0.25},
    },
}
PUBLISHED: dict[str, dict[str, Any]] = {
    "lenet": {"train_accuracy": 0.991, "test_accuracy": 0.9876, "time": "about 1 minute"},
    "two-conv": {},
    "dropout": {
        "train_loss": 0.17,
        "validation_loss": 0.03,
        "validation_accuracy": 0.985,
        "validation_f1_macro": 0.985,
        "test_accuracy": 0.993,
        "test_f1_macro": 0.993,
    },
    "sgd": {},
    "batchnorm": {"test_accuracy": 0.9931, "test_loss": 0.0214},
}


@pytest.mark.parametrize("name", STATED)
def test_a_reference_recipe_is_what_its_source_states(name: str) -> None:
    recipe = load_recipe(name)
    assert {key: getattr(recipe, key) for key in STATED[name]} == STATED[name]
    assert recipe.published == PUBLISHED[name]


def test_the_sgd_recipe_has_momentum_and_the_dropout_recipe_dropout() -> None:
    assert load_recipe("sgd").momentum > 0
    assert load_recipe("dropout").options["dropout"] > 0


@pytest.mark.parametrize("name", shipped_recipes())
def test_a_recipe_names_a_schedule_and_an_optimiser_that_exist(name: str) -> None:
    recipe = load_recipe(name)
    assert recipe.schedule in SCHEDULES
    assert recipe.optimiser in OPTIMISERS


@pytest.mark.parametrize("name", TRAINED)
def test_steps_move_every_layer(name: str) -> None:
    recipe = load_recipe(
        name, {"epochs": 2, "batch": 16}
    )  # two steps: some schedules begin with a rate of 0
    network, before = seeded_network(recipe, 0), seeded_network(recipe, 0)
    for _ in fit(network, recipe, few_digits(16), few_digits(4), device="cpu"):
        pass
    for (layer, moved), still in zip(network.named_parameters(), before.parameters(), strict=True):
        assert moved.isfinite().all()
        if moved.ndim > 1:  # a bias that BatchNorm takes out again has no reason to move
            assert not torch.equal(moved, still), layer


@pytest.mark.slow
@pytest.mark.parametrize("name", TRAINED)
def test_a_recipe_learns_128_digits_by_heart(name: str) -> None:
    # The digits as they are, and small batches, so that a large network is there after a few
    # passes.
    settings = {"epochs": 40, "clean_epochs": 40, "batch": min(load_recipe(name).batch, 32)}
    recipe, digits = load_recipe(name, settings), few_digits(128)
    network, accuracy = seeded_network(recipe, 0), 0.0
    for record in fit(network, recipe, digits, few_digits(10), device="cpu"):
        if isinstance(record, Epoch) and (accuracy := measure(network, digits)[1]) == 1:
            break
    assert accuracy == 1
