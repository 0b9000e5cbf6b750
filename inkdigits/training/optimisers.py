"""How a gradient moves the weights: a recipe in, an optimiser over a network's one vector of weights out.

Each keeps what it knows of earlier steps in vectors of the same layout, which is how a training is saved.
"""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from inkdigits.training.flat_parameters import views
from inkdigits.training.recipe import Recipe

ITERATIONS = 5  # of Newton and Schulz, with which singular values above a hundredth of their norm end between 0.7 and 1.2
COEFFICIENTS = (
    3.4445,
    -4.7750,
    2.0315,
)  # of x, x^3 and x^5: the steepest odd quintic that still ends there (Jordan et al. 2024)
RMS = 0.2  # of AdamW's steps, in units of the learning rate


class Muon(torch.optim.AdamW):
    """AdamW, but the hidden layers' kernels move along their momentum with all of its singular values made alike.

    So no direction in which a layer can learn is drowned by those with large gradients. The kernels of a layer are the rows of a
    matrix. Steps are scaled to be as large as AdamW's, so that the two share learning rate and decay; biases, normalisation and
    the first and last layer keep AdamW itself. Sources: Jordan et al. 2024, "Muon: an optimizer for hidden layers"; the scale
    and the decay from Liu et al. 2025, "Muon is scalable for LLM training". torch.optim.Muon has matrices only, no kernels.
    """

    def __init__(self, network: nn.Module, weights: nn.Parameter, **options: Any) -> None:
        super().__init__([weights], **options)
        self.network, self.weights = network, weights
        self.hidden = [
            number for number, parameter in enumerate(network.parameters()) if parameter.dim() > 1
        ][1:-1]

    def kernels(self, vector: Tensor) -> list[Tensor]:
        """Those of the hidden layers, as views of a vector that is laid out as the weights are."""
        parts = views(self.network, vector)
        return [parts[number] for number in self.hidden]

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        """As AdamW, then the kernels' own step from where they were."""
        (group,) = self.param_groups
        rate, decay, beta = group["lr"], group["weight_decay"], group["betas"][0]
        hidden = self.kernels(self.weights.detach())
        before = [kernels.clone() for kernels in hidden]
        loss = super().step(closure)
        # Nesterov's momentum: what the mean of the gradients will be if the next one is like this one.
        assert self.weights.grad is not None
        ahead = self.weights.grad.lerp(self.state[self.weights]["exp_avg"], beta)
        for kernels, was, momentum in zip(hidden, before, self.kernels(ahead), strict=True):
            kernels.copy_(
                was * (1 - rate * decay) - rate * orthogonalised(momentum.flatten(1)).view_as(was)
            )
        return loss


def orthogonalised(matrix: Tensor) -> Tensor:
    """About the nearest matrix whose singular values are all one, times what makes its values' root mean square `RMS`. (M, N)."""
    wide = matrix.T if len(matrix) > len(matrix.T) else matrix
    a, b, c = COEFFICIENTS
    x = wide / wide.norm().clamp_min(1e-7)
    for _ in range(ITERATIONS):
        square = x @ x.T
        x = a * x + (b * square + c * square @ square) @ x
    return (x.T if wide is not matrix else x) * RMS * math.sqrt(max(matrix.shape))


def _adaptive(recipe: Recipe) -> dict[str, Any]:
    """What Adam and its kin are given."""
    betas = recipe.beta1, recipe.beta2
    return {
        "lr": recipe.learning_rate,
        "betas": betas,
        "weight_decay": recipe.weight_decay,
        "fused": True,
    }


def _sgd(_: nn.Module, weights: nn.Parameter, recipe: Recipe) -> torch.optim.Optimizer:
    decay, momentum = recipe.weight_decay, recipe.momentum
    return torch.optim.SGD(
        [weights], recipe.learning_rate, momentum=momentum, weight_decay=decay, fused=True
    )


# its name in a recipe -> an optimiser over the weights of a network, which `as_one_vector` has laid out
OPTIMISERS: dict[str, Callable[[nn.Module, nn.Parameter, Recipe], torch.optim.Optimizer]] = {
    "adam": lambda _, weights, recipe: torch.optim.Adam([weights], **_adaptive(recipe)),
    "adamw": lambda _, weights, recipe: torch.optim.AdamW([weights], **_adaptive(recipe)),
    "muon": lambda network, weights, recipe: Muon(network, weights, **_adaptive(recipe)),
    "sgd": _sgd,
}
