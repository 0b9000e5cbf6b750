"""How a gradient moves the weights.

A network's one vector of weights and a recipe come in; an optimiser of torch goes out. What it
remembers of earlier steps are vectors of the same layout, which is how a training is saved.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from inkdigits.training.recipe import Recipe


def adam(weights: nn.Parameter, recipe: Recipe) -> torch.optim.Optimizer:
    """Build Adam. Source: Kingma & Ba 2015."""
    return torch.optim.Adam([weights], **_adaptive_options(recipe))


def adamw(weights: nn.Parameter, recipe: Recipe) -> torch.optim.Optimizer:
    """Build AdamW: decay is apart from the gradient. Source: Loshchilov & Hutter 2019."""
    return torch.optim.AdamW([weights], **_adaptive_options(recipe))


def sgd(weights: nn.Parameter, recipe: Recipe) -> torch.optim.Optimizer:
    """Build stochastic gradient descent with momentum."""
    return torch.optim.SGD(
        [weights],
        recipe.learning_rate,
        momentum=recipe.momentum,
        weight_decay=recipe.weight_decay,
        fused=True,
    )


def _adaptive_options(recipe: Recipe) -> dict[str, Any]:
    return {
        "lr": recipe.learning_rate,
        "betas": (recipe.beta1, recipe.beta2),
        "weight_decay": recipe.weight_decay,
        "fused": True,
    }


# the `optimiser` of a recipe -> its optimiser over weights that `as_one_vector` has laid out
OPTIMISERS: dict[str, Callable[[nn.Parameter, Recipe], torch.optim.Optimizer]] = {
    "adam": adam,
    "adamw": adamw,
    "sgd": sgd,
}
