"""Muon is checked against PyTorch's own, which knows matrices only, and against its definition."""

import pytest
import torch
from torch import Tensor, nn

from inkdigits.training.flat_parameters import as_one_vector, views
from inkdigits.training.optimisers import OPTIMISERS, RMS, Muon, orthogonalised
from inkdigits.training.recipe import Recipe

RECIPE = Recipe(name="small", network="strided", learning_rate=0.01, weight_decay=0.1, beta1=0.9)


def perceptron() -> nn.Module:
    torch.manual_seed(1)
    return nn.Sequential(
        nn.Linear(6, 12),
        nn.ReLU(),
        nn.Linear(12, 20),
        nn.ReLU(),
        nn.Linear(20, 8),
        nn.ReLU(),
        nn.Linear(8, 3),
    )


def convolutional() -> nn.Module:
    torch.manual_seed(1)
    layers = nn.Sequential(
        nn.Conv2d(1, 4, 3),
        nn.BatchNorm2d(4),
        nn.Conv2d(4, 6, 3),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(24, 3),
    )
    return layers.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def gradient(of: Tensor, step: int) -> Tensor:
    return torch.randn(of.shape, generator=torch.Generator().manual_seed(100 * step + of.numel()))


def taken(network: nn.Module, name: str, steps: int) -> dict[str, Tensor]:
    """The parameters after so many steps of our optimiser along made-up gradients."""
    weights, gradients = as_one_vector(network)
    optimiser = OPTIMISERS[name](network, weights, RECIPE)
    for step in range(steps):
        for view, parameter in zip(views(network, gradients), network.parameters(), strict=True):
            view.copy_(gradient(parameter, step))
        optimiser.step()
    return {key: value.detach().clone() for key, value in network.named_parameters()}


@pytest.mark.parametrize("shape", [(32, 288), (48, 96), (288, 32), (1, 5)])
def test_an_orthogonalised_matrix_has_the_singular_vectors_and_values_that_are_about_alike(
    shape: tuple[int, int],
) -> None:
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    u, _, v = torch.linalg.svd(matrix, full_matrices=False)
    made = u.T @ (orthogonalised(matrix) / (RMS * max(shape) ** 0.5)) @ v.T
    assert made.diag().min() > 0.65
    assert made.diag().max() < 1.25
    assert (made - made.diag().diag()).abs().max() < 1e-4


def test_its_steps_are_as_large_as_adamw_s_and_nothing_gives_nothing() -> None:
    matrix = torch.randn(32, 288, generator=torch.Generator().manual_seed(0))
    assert orthogonalised(1e6 * matrix).square().mean().sqrt().item() == pytest.approx(
        RMS, rel=0.15
    )
    assert not orthogonalised(torch.zeros(4, 6)).any()


def test_hidden_matrices_go_where_pytorch_s_muon_takes_them() -> None:
    ours, theirs = taken(perceptron(), "muon", 5), dict(perceptron().named_parameters())
    hidden = ["2.weight", "4.weight"]
    rate, decay, momentum = RECIPE.learning_rate, RECIPE.weight_decay, RECIPE.beta1
    options = {
        "lr": rate,
        "weight_decay": decay,
        "momentum": momentum,
        "adjust_lr_fn": "match_rms_adamw",
    }
    muon = torch.optim.Muon([theirs[name] for name in hidden], **options)
    begin = {name: theirs[name].detach().clone() for name in hidden}
    for step in range(5):
        for name in hidden:
            theirs[name].grad = gradient(theirs[name], step)
        muon.step()
    for name in hidden:
        moved, wanted = ours[name] - begin[name], theirs[name].detach() - begin[name]
        assert (moved - wanted).norm() < 0.02 * wanted.norm()  # theirs computes in bfloat16


@pytest.mark.parametrize("make", [perceptron, convolutional])
def test_all_but_the_hidden_kernels_move_as_with_adamw(make: type[nn.Module]) -> None:
    ours, adamw = taken(make(), "muon", 3), taken(make(), "adamw", 3)
    others = {name for name in ours if torch.equal(ours[name], adamw[name])}
    assert ours.keys() - others == (
        {"2.weight", "4.weight"} if make is perceptron else {"2.weight"}
    )


def test_a_kernel_is_a_row_however_it_lies_in_memory() -> None:
    network = convolutional()
    begin = network[2].weight.detach().clone()  # type: ignore[index]
    moved = taken(network, "muon", 1)["2.weight"] - begin * (
        1 - RECIPE.learning_rate * RECIPE.weight_decay
    )
    # After one step the momentum is along the gradient.
    direction = orthogonalised(gradient(begin, 0).flatten(1)).view_as(begin)
    torch.testing.assert_close(moved, -RECIPE.learning_rate * direction, rtol=1e-4, atol=1e-6)


def test_a_network_without_hidden_layers_is_adamw_s_alone() -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(4, 3))
    weights, _ = as_one_vector(network)
    assert Muon(network, weights).hidden == []
