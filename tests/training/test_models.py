"""Each network computes what its recipe's source describes, and its docstring is true."""

import math
import re
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from few_digits import few_digits
from torch import Tensor, nn

from inkdigits.core.errors import BadValue, UnknownName
from inkdigits.training.models import (
    MODELS,
    Dropout,
    build,
    count_multiplications,
    count_parameters,
    mean_opinion,
)
from inkdigits.training.predictions import to_ink
from inkdigits.training.recipe import load_recipe, shipped_recipes

# The networks as their sources write them: convolution, ReLU, pooling, in that order, from torch's
# own parts.


def lenet() -> nn.Sequential:
    return nn.Sequential(
        *(nn.Conv2d(1, 6, 3), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(6, 16, 3), nn.ReLU(), nn.MaxPool2d(2)),
        *(
            nn.Flatten(),
            nn.Linear(400, 120),
            nn.ReLU(),
            nn.Linear(120, 84),
            nn.ReLU(),
            nn.Linear(84, 10),
        ),
    )


def two_conv() -> nn.Sequential:
    return nn.Sequential(
        *(nn.Conv2d(1, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Flatten(), nn.Linear(3136, 128), nn.ReLU(), nn.Linear(128, 10)),
    )


def dropout(p: float) -> nn.Sequential:
    return nn.Sequential(
        *(nn.Conv2d(1, 32, 5), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(32, 64, 5), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Flatten(), nn.Linear(1024, 512), nn.ReLU(), nn.Dropout(p), nn.Linear(512, 10)),
    )


def classic() -> nn.Sequential:
    return nn.Sequential(
        *(nn.Conv2d(1, 20, 5), nn.MaxPool2d(2)),
        *(nn.Conv2d(20, 50, 5), nn.MaxPool2d(2)),
        *(nn.Flatten(), nn.Linear(1250, 500), nn.ReLU(), nn.Linear(500, 10)),
    )


def batchnorm(p: float) -> nn.Sequential:
    return nn.Sequential(
        *(nn.Conv2d(1, 32, 3), nn.BatchNorm2d(32), nn.ReLU(), nn.MaxPool2d(2), nn.Dropout(p)),
        *(nn.Conv2d(32, 32, 3), nn.BatchNorm2d(32), nn.ReLU(), nn.MaxPool2d(2), nn.Dropout(p)),
        *(nn.Flatten(), nn.Linear(800, 10)),
    )


# recipe: network, mean, sd, size, as the sources describe them
SOURCES: dict[str, tuple[Callable[..., nn.Sequential], float, float, int]] = {
    "lenet": (lenet, 0.0, 1.0, 28),
    "two-conv": (two_conv, 0.1307, 0.3081, 28),
    "dropout": (dropout, 0.1307, 0.3081, 28),
    "sgd": (classic, 0.1307, 0.3081, 32),
    "batchnorm": (batchnorm, 0.0, 1.0, 28),
}


def ours_and_the_source_s(name: str, count: int) -> tuple[nn.Module, nn.Module, Tensor, Tensor]:
    """Two networks with the same weights and dropout off, the second behind the source's
    preprocessing; digits and labels.

    The digits are faintly noisy, so that no two pixels under a pooling window are equal and it is
    clear which one wins.
    """
    recipe = load_recipe(name)
    source, mean, sd, size = SOURCES[name]
    torch.manual_seed(3)
    options = dict.fromkeys(recipe.options, 0.0)
    ours = build(recipe.network, options, mean=recipe.mean, sd=recipe.sd, size=recipe.size)
    theirs = source(**({"p": 0.0} if options else {}))
    pairs = list(zip(ours.state_dict().values(), theirs.state_dict(), strict=True))
    theirs.load_state_dict({name: tensor for tensor, name in pairs})
    digits = few_digits(count)
    pixels = torch.from_numpy(digits.images).float()[:, None] / 255
    return (
        ours,
        Seen(theirs, mean, sd, size),
        pixels + 0.05 * torch.rand(pixels.shape),
        torch.from_numpy(digits.labels).long(),
    )


class Seen(nn.Module):
    """A network behind its source's preprocessing."""

    def __init__(self, network: nn.Module, mean: float, sd: float, size: int) -> None:
        super().__init__()
        self.network, self.mean, self.sd, self.size = network, mean, sd, size

    def forward(self, pixels: Tensor) -> Tensor:
        logits: Tensor = self.network(
            (F.interpolate(pixels, size=(self.size, self.size), mode="bilinear") - self.mean)
            / self.sd
        )
        return logits


@pytest.mark.parametrize("name", SOURCES)
@pytest.mark.parametrize("count", [1, 8, 48])
def test_a_network_gives_the_logits_of_the_one_its_source_describes(name: str, count: int) -> None:
    ours, theirs, ink, _ = ours_and_the_source_s(name, count)
    with torch.no_grad():
        expected = theirs.eval()(ink)
        assert expected.std() > 0.01, "logits that are all alike would prove nothing"
        assert torch.allclose(ours.eval()(ink), expected, atol=1e-5)


@pytest.mark.parametrize("name", SOURCES)
@pytest.mark.parametrize(
    "count", [1, 8, 48]
)  # small batches take other ways through the processor than large ones
@pytest.mark.parametrize(
    "ink_too", [False, True]
)  # the gradient of the picture shows what the network looks at
def test_a_network_learns_from_the_gradients_of_the_one_its_source_describes(
    name: str, count: int, ink_too: bool
) -> None:
    ours, theirs, ink, labels = ours_and_the_source_s(name, count)
    # In double precision, since rounding decides now and then which side of a ReLU a value is on.
    ours.double().train()
    theirs.double().train()
    pictures = [ink.double().requires_grad_(ink_too) for _ in range(2)]
    logits, expected = ours(pictures[0]), theirs(pictures[1])
    assert torch.allclose(logits, expected, atol=1e-5)
    F.cross_entropy(logits, labels).backward()
    F.cross_entropy(expected, labels).backward()
    learned = [parameter.grad for parameter in theirs.parameters() if parameter.grad is not None]
    scale = max(gradient.abs().max().item() for gradient in learned)
    assert scale > 0.01
    for mine, yours in zip(
        [*ours.parameters(), pictures[0]], [*theirs.parameters(), pictures[1]], strict=True
    ):
        if yours.requires_grad:
            assert mine.grad is not None
            assert yours.grad is not None
            assert torch.allclose(mine.grad, yours.grad, rtol=1e-5, atol=1e-6 * scale)
    for mine, yours in zip(ours.buffers(), theirs.buffers(), strict=True):
        assert torch.allclose(mine, yours, rtol=1e-5, atol=1e-7), (
            "BatchNorm's statistics move alike"
        )


@pytest.mark.parametrize("name", ["dropout", "batchnorm"])
def test_the_recipe_s_dropout_is_in_the_network(name: str) -> None:
    recipe = load_recipe(name)
    network = build(recipe.network, recipe.options).train()
    ink = to_ink(torch.from_numpy(few_digits(8).images))
    with torch.no_grad():
        assert not torch.equal(network(ink), network(ink))
        network.eval()
        assert torch.equal(network(ink), network(ink))


@pytest.mark.parametrize("name", shipped_recipes())
def test_a_network_s_docstring_counts_the_parameters_that_its_recipe_gives_it(name: str) -> None:
    recipe = load_recipe(name)
    said = re.findall(r"([\d,]+) parameters", MODELS[recipe.network].__doc__ or "")
    counted = count_parameters(build(recipe.network, recipe.options, size=recipe.size))
    assert f"{counted:,}" in said


@pytest.mark.parametrize(("name", "most"), [("nano", 2_000), ("tiny", 10_000)])
def test_a_recipe_for_a_small_network_stays_within_its_name(name: str, most: int) -> None:
    recipe = load_recipe(name)
    assert count_parameters(build(recipe.network, recipe.options, size=recipe.size)) <= most


def test_multiplications_are_those_of_every_use_of_a_kernel() -> None:
    first, second, linear1 = 26 * 26 * 6 * 9, 11 * 11 * 16 * 6 * 9, 400 * 120
    assert (
        count_multiplications(build("lenet", {})) == first + second + linear1 + 120 * 84 + 84 * 10
    )
    stem = 14 * 14 * 12 * 25
    uses = (
        2 * 14 * 14 + 2 * 7 * 7 + 2 * 4 * 4
    )  # two at each scale, the first of which halves it, from the second scale on
    assert (
        count_multiplications(build("shared", {"channels": 12}))
        == stem + uses * 12 * 12 * 9 + 12 * 10
    )


def test_the_shared_kernels_are_the_same_ones_at_every_use() -> None:
    """The network as ten layers that each have a copy of the kernels gives the same.

    The gradients of the copies add up to the shared one's.
    """
    torch.manual_seed(0)
    network = build("shared", {"channels": 6}).network.train()
    digits = few_digits(16)
    ink, labels = to_ink(torch.from_numpy(digits.images)), torch.from_numpy(digits.labels).long()
    copies = [network.shared.weight.detach().clone().requires_grad_() for _ in range(6)]
    (stem, stem_norm, _), norms = network.stem, network.norms

    def normalised(x: Tensor, norm: nn.BatchNorm2d) -> Tensor:
        return F.batch_norm(x, None, None, norm.weight, norm.bias, training=True)

    x = F.relu(normalised(F.conv2d(ink, stem.weight, stride=2, padding=2), stem_norm))
    for copy, norm, side in zip(copies, norms, (14, 14, 7, 7, 4, 4), strict=True):
        stride = math.ceil(x.shape[-1] / side)
        y = normalised(F.conv2d(x, copy, stride=stride, padding=1), norm)
        x = F.relu(x + y) if y.shape == x.shape else F.relu(y)
        assert x.shape == (16, 6, side, side)
    expected = network.linear(x.flatten(2).max(2).values)
    logits = network(ink)
    assert torch.allclose(logits, expected, atol=1e-5)
    F.cross_entropy(logits, labels).backward()
    F.cross_entropy(expected, labels).backward()
    total = sum(copy.grad for copy in copies if copy.grad is not None)
    assert network.shared.weight.grad.abs().max() > 1e-3
    assert torch.allclose(network.shared.weight.grad, total, rtol=1e-3, atol=1e-5)


def test_every_network_has_a_recipe() -> None:
    assert {load_recipe(name).network for name in shipped_recipes()} == set(MODELS)


@pytest.mark.parametrize("name", shipped_recipes())
@pytest.mark.parametrize("training", [False, True])
def test_a_recipe_s_network_gives_a_logit_a_class_in_any_memory_format(
    name: str, training: bool
) -> None:
    recipe = load_recipe(name)
    classes = recipe.options.get("classes", 10)
    network = build(
        recipe.network, recipe.options, mean=recipe.mean, sd=recipe.sd, size=recipe.size
    ).train(training)
    for count in (1, 3):
        ink = torch.rand(count, 1, 28, 28)
        assert network(ink).shape == (count, classes)
        assert network(ink.contiguous(memory_format=torch.channels_last)).shape == (count, classes)
        assert network(ink).dtype == torch.float32


def test_a_quick_network_learns_from_a_digit_alone_by_the_statistics_that_it_has() -> None:
    network = build("quick", {})
    ink = to_ink(torch.from_numpy(few_digits(64).images))
    network(ink)
    before = network.get_submodule("network.norm").running_mean.clone()
    alone = network(ink[:1])
    alone.sum().backward()
    assert torch.equal(network.get_submodule("network.norm").running_mean, before)
    assert torch.allclose(alone, network.eval()(ink[:1]), atol=1e-5)


def test_a_quick_network_wants_as_many_sides_as_channels() -> None:
    with pytest.raises(BadValue, match=r"cannot be built with channels = \[8, 8, 8\]"):
        build("quick", {"channels": [8, 8, 8]})
    assert build("quick", {"channels": [8], "sides": [5], "strides": [2]})(
        torch.zeros(2, 1, 28, 28)
    ).shape == (2, 10)


@pytest.mark.parametrize("sides", [[29], [8, 7], [0]])
def test_a_quick_network_s_kernels_must_fit_what_is_left_of_a_digit(sides: list[int]) -> None:
    options = {"channels": [8] * len(sides), "sides": sides, "strides": [4] * len(sides)}
    with pytest.raises(BadValue, match="do not fit feature maps of"):
        build("quick", options)


def test_without_training_a_digit_s_logits_do_not_depend_on_its_neighbours() -> None:
    for name in shipped_recipes():
        recipe = load_recipe(name)
        network = build(
            recipe.network, recipe.options, mean=recipe.mean, sd=recipe.sd, size=recipe.size
        ).eval()
        ink = torch.rand(5, 1, 28, 28)
        with torch.no_grad():
            assert torch.allclose(network(ink)[2:3], network(ink[2:3]), atol=1e-5)


def test_build_draws_from_torch_s_global_generator() -> None:
    def weights(seed: int) -> Tensor:
        torch.manual_seed(seed)
        return torch.cat([parameter.flatten() for parameter in build("lenet", {}).parameters()])

    assert torch.equal(weights(1), weights(1))
    assert not torch.equal(weights(1), weights(2))


def test_an_unknown_network_or_option_names_the_known_ones() -> None:
    with pytest.raises(UnknownName, match=f"^no network 'lenet5'; known: {', '.join(MODELS)}$"):
        build("lenet5", {})
    with pytest.raises(UnknownName, match=r"^no 'dropout' option 'p'; known: dropout$"):
        build("dropout", {"p": 0.5})
    with pytest.raises(UnknownName, match=r"^no 'lenet' option 'dropout'; known: none$"):
        build("lenet", {"dropout": 0.5})


@pytest.mark.parametrize(
    ("name", "option"), [("dropout", {"dropout": "half"}), ("batchnorm", {"dropout": [0.5]})]
)
def test_an_option_of_the_wrong_type_is_told(name: str, option: dict[str, object]) -> None:
    with pytest.raises(BadValue, match=f"^network '{name}' cannot be built with dropout = "):
        build(name, option)


@pytest.mark.parametrize("size", [1, 20, 56])
def test_a_size_that_the_network_cannot_take_is_told(size: int) -> None:
    with pytest.raises(
        BadValue, match=f"^network 'lenet' cannot take digits of {size}x{size} pixels"
    ):
        build("lenet", {}, size=size)


@pytest.mark.parametrize("p", [0.1, 0.25, 0.5, 0.9])
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_dropout_drops_its_share_and_scales_the_rest(
    p: float, memory_format: torch.memory_format
) -> None:
    torch.manual_seed(0)
    x = (torch.rand(64, 10, 21, 19) + 0.5).contiguous(memory_format=memory_format)
    y = Dropout(p).train()(x)
    assert y.is_contiguous(memory_format=memory_format)
    dropped = y == 0
    sigma = (p * (1 - p) / x.numel()) ** 0.5
    assert dropped.double().mean().item() == pytest.approx(p, abs=1 / 512 + 5 * sigma)
    # Every kept value is scaled alike, by what keeps the mean where it was.
    scale = (y / x)[~dropped]
    assert torch.allclose(scale, scale[0])
    assert scale[0].item() == pytest.approx(1 / (1 - p), rel=1 / 512 / (1 - p))
    assert y.mean().item() == pytest.approx(
        x.mean().item(), abs=6 * (p / (1 - p) / x.numel()) ** 0.5 * 1.1
    )


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_dropout_treats_images_channels_and_pixels_alike(
    memory_format: torch.memory_format,
) -> None:
    torch.manual_seed(0)
    x = torch.ones(32, 16, 24, 24).contiguous(memory_format=memory_format)
    dropped = (Dropout(0.25).train()(x) == 0).double()
    for axis in range(4):
        others = [other for other in range(4) if other != axis]
        shares = dropped.mean(dim=others)
        sigma = (0.25 * 0.75 * len(shares) / x.numel()) ** 0.5
        assert ((shares - 0.25).abs() < 5 * sigma).all()
        # Neighbours along the axis fall together no more often than chance.
        ahead, behind = (
            dropped.narrow(axis, 1, x.shape[axis] - 1),
            dropped.narrow(axis, 0, x.shape[axis] - 1),
        )
        assert (ahead * behind).mean().item() == pytest.approx(1 / 16, abs=0.004)


def test_dropout_is_out_of_the_way_outside_training_and_at_zero() -> None:
    x = torch.randn(5, 7)
    assert torch.equal(Dropout(0.5).eval()(x), x)
    assert torch.equal(Dropout(0.0).train()(x), x)


def test_dropout_hands_the_gradient_to_what_it_kept() -> None:
    torch.manual_seed(0)
    x = torch.rand(40, 50, requires_grad=True)
    y = Dropout(0.5).train()(x)
    y.sum().backward()
    assert x.grad is not None
    assert torch.allclose(x.grad, (y / x).detach())
    assert 0.4 < (x.grad == 0).double().mean() < 0.6


def test_dropout_follows_torch_s_seed() -> None:
    def draw(seed: int) -> Tensor:
        torch.manual_seed(seed)
        return Dropout(0.5).train()(torch.ones(1000))

    assert torch.equal(draw(1), draw(1))
    assert not torch.equal(draw(1), draw(2))


@pytest.mark.parametrize("count", [0, 1, 7, 8, 9])
def test_dropout_takes_any_number_of_values(count: int) -> None:
    assert Dropout(0.5).train()(torch.ones(count)).shape == (count,)


def test_dropout_takes_bfloat16_and_a_strided_view() -> None:
    assert Dropout(0.5).train()(torch.ones(8, 8, dtype=torch.bfloat16)).dtype == torch.bfloat16
    y = Dropout(0.5).train()(torch.ones(64, 64).T[::2])
    assert y.shape == (32, 64)
    assert 0.3 < (y == 0).double().mean() < 0.7
    assert set(y.unique().tolist()) == {0.0, 2.0}


@pytest.mark.parametrize("p", [-0.1, 1.0, 2.0])
def test_a_dropout_that_is_no_share_is_refused(p: float) -> None:
    with pytest.raises(BadValue, match=f"from 0 to below 1, not {p}"):
        build("dropout", {"dropout": p})


# ---- several opinions


def test_an_ensemble_gives_the_logarithms_of_the_mean_probabilities() -> None:
    torch.manual_seed(0)
    ensemble = build("batchnorm", {}, members=3).eval()
    ink = torch.rand(5, 1, 28, 28)
    with torch.no_grad():
        each = torch.stack([member(ink).softmax(1) for member in ensemble.members])
        assert torch.allclose(ensemble(ink).exp(), each.mean(0), atol=1e-6)
        assert not torch.allclose(each[0], each[1], atol=1e-3), "each member has weights of its own"


def test_hopeless_logits_have_a_mean_all_the_same() -> None:
    logits = torch.tensor([[[0.0, -2000.0]], [[0.0, -3000.0]]])
    assert mean_opinion(logits).isfinite().all()
