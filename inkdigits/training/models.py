"""The networks: standardised ink in, ten logits out, layers in reading order.

A network here knows nothing of files, training or probabilities. It takes float ink (N, 1, 28, 28), paper 0 to ink 1, and returns
logits (N, 10). `build` puts the recipe's standardising and resizing in front, so that whatever holds a network holds its
preprocessing.

To add one: write a class, add a line to `MODELS`, and name it in a recipe's `network`.
"""

import inspect
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from inkdigits.core.errors import BadValue, UnknownName
from inkdigits.training import fused
from inkdigits.training.augmentation import pixel_centres

if TYPE_CHECKING:
    from inkdigits.training.recipe import Recipe

# ReLU follows the pooling where tutorials have it in front. The largest of four rectified values is the rectified largest of four,
# so the outputs are the same, and a quarter of the values has to be rectified.


def convolve_and_pool(x: Tensor, conv: nn.Conv2d, norm: nn.BatchNorm2d | None = None) -> Tensor:
    """A convolution, batch normalisation where there is one, then 2x2 max-pooling with stride 2, each as PyTorch defines it.

    x: (N, C, H, W). All three as one operation where that is faster, while training on a CPU: see fused.py.
    """
    if norm is None:
        return F.max_pool2d(conv(x), 2)
    if fused.is_faster(x, conv, norm):
        return fused.convolve_and_pool(x, conv, norm)
    return F.max_pool2d(norm(conv(x)), 2)


class Dropout(nn.Module):
    """Drops each value with probability `p` while training and scales the rest by 1 / (1 - p).

    Source: Srivastava et al. 2014. The mask comes from random bytes, eight to each 64-bit draw, so `p` is rounded to 1/256;
    `nn.Dropout` draws a double for every value, which took a quarter of a training step on a CPU.
    """

    def __init__(self, p: float) -> None:
        super().__init__()
        self.dropped = round(p * 256)
        if not 0 <= self.dropped < 256:
            raise BadValue(f"dropout is a probability from 0 to below 1, not {p}")
        self.share, self.batch = (
            slice(0, None),
            0,
        )  # where other processes have the rest of the batch, which of it is ours

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.dropped == 0:
            return x
        each = math.prod(x.shape[1:])
        draws = torch.empty(
            ((self.batch or len(x)) * each + 7) // 8, dtype=torch.int64, device=x.device
        ).random_(-(2**63), None)
        kept = draws.view(torch.uint8)[self.share.start * each :][: x.numel()].ge_(
            self.dropped
        )  # 0 or 1
        # Any order of random bytes will do: lay them out as x lies in memory, so that the product runs straight through. And a
        # product of floats is several times as fast as one of floats and booleans.
        mask = torch.empty_like(x, dtype=torch.float32)
        mask.as_strided((x.numel(),), (1,)).copy_(kept).mul_(256 / (256 - self.dropped))
        return (x * mask).to(x.dtype)


class LeNet(nn.Module):
    """Two small convolutions and three linear layers; 60,074 parameters. After LeCun et al. 1998, with 3x3 kernels."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 6, 3)
        self.conv2 = nn.Conv2d(6, 16, 3)
        self.linear1 = nn.Linear(16 * 5 * 5, 120)
        self.linear2 = nn.Linear(120, 84)
        self.linear3 = nn.Linear(84, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(convolve_and_pool(x, self.conv1))  # (N, 6, 13, 13)
        x = F.relu(convolve_and_pool(x, self.conv2))  # (N, 16, 5, 5)
        x = F.relu(self.linear1(x.flatten(1)))
        x = F.relu(self.linear2(x))
        return self.linear3(x)


class TwoConv(nn.Module):
    """The tutorial network: 32 and 64 padded 3x3 kernels, then 128 hidden units; 421,642 parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 32, 3, padding=1)
        self.conv2 = nn.Conv2d(32, 64, 3, padding=1)
        self.linear1 = nn.Linear(64 * 7 * 7, 128)
        self.linear2 = nn.Linear(128, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(convolve_and_pool(x, self.conv1))  # (N, 32, 14, 14)
        x = F.relu(convolve_and_pool(x, self.conv2))  # (N, 64, 7, 7)
        x = F.relu(self.linear1(x.flatten(1)))
        return self.linear2(x)


class DropoutNet(nn.Module):
    """Two 5x5 convolutions and a wide hidden layer that only dropout keeps from learning by heart; 582,026 parameters."""

    def __init__(self, dropout: float = 0.5) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 32, 5)
        self.conv2 = nn.Conv2d(32, 64, 5)
        self.linear1 = nn.Linear(64 * 4 * 4, 512)
        self.dropout = Dropout(dropout)
        self.linear2 = nn.Linear(512, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(convolve_and_pool(x, self.conv1))  # (N, 32, 12, 12)
        x = F.relu(convolve_and_pool(x, self.conv2))  # (N, 64, 4, 4)
        x = F.relu(self.linear1(x.flatten(1)))
        return self.linear2(self.dropout(x))


class ClassicNet(nn.Module):
    """LeNet-5's plan with wider layers, on a field of 32x32 as LeNet-5 had it; 656,080 parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 20, 5)
        self.conv2 = nn.Conv2d(20, 50, 5)
        self.linear1 = nn.Linear(50 * 5 * 5, 500)
        self.linear2 = nn.Linear(500, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = convolve_and_pool(x, self.conv1)  # (N, 20, 14, 14)
        x = convolve_and_pool(x, self.conv2)  # (N, 50, 5, 5)
        x = F.relu(self.linear1(x.flatten(1)))
        return self.linear2(x)


class BatchNormNet(nn.Module):
    """Two blocks of convolution, batch normalisation, ReLU, pooling and dropout, then one linear layer; 17,706 parameters."""

    def __init__(self, dropout: float = 0.25) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 32, 3)
        self.norm1 = nn.BatchNorm2d(32)
        self.conv2 = nn.Conv2d(32, 32, 3)
        self.norm2 = nn.BatchNorm2d(32)
        self.dropout = Dropout(dropout)
        self.linear = nn.Linear(32 * 5 * 5, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.dropout(F.relu(convolve_and_pool(x, self.conv1, self.norm1)))  # (N, 32, 13, 13)
        x = self.dropout(F.relu(convolve_and_pool(x, self.conv2, self.norm2)))  # (N, 32, 5, 5)
        return self.linear(x.flatten(1))


class StridedNet(nn.Module):
    """Six convolutions with batch normalisation, three of which halve the field by striding instead of pooling.

    classes: 10, or 11 where the last one means that it is no digit; 140,538 parameters or 142,075 parameters. own_contrast: each
    digit is standardised by its own mean and standard deviation, whatever its paper and ink.
    """

    def __init__(self, classes: int = 10, dropout: float = 0.2, own_contrast: bool = False) -> None:
        super().__init__()
        self.contrast = nn.InstanceNorm2d(1, eps=0.01) if own_contrast else nn.Identity()
        self.block1 = _convolution(1, 16)
        self.block2 = _convolution(16, 32, stride=2)
        self.block3 = _convolution(32, 32)
        self.block4 = _convolution(32, 64, stride=2)
        self.block5 = _convolution(64, 64)
        self.block6 = _convolution(64, 96, stride=2)
        self.dropout = Dropout(dropout)
        self.linear = nn.Linear(96 * 4 * 4, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.block2(self.block1(self.contrast(x)))  # (N, 32, 14, 14)
        x = self.block4(self.block3(x))  # (N, 64, 7, 7)
        x = self.block6(self.block5(x))  # (N, 96, 4, 4)
        return self.linear(self.dropout(x.flatten(1)))


class QuickNet(nn.Module):
    """Unpadded convolutions that stride instead of pooling, one hidden layer, and normalisation in that layer alone.

    Made to learn in a second: 110,154 parameters and 0.28 million multiplications a digit as it is, 167,530 parameters with 48
    kernels a layer. A first convolution of stride 4 leaves a field of 6x6, so that what follows are dense products, which a
    processor is good at. Normalising 128 numbers a digit teaches as much as normalising every field, for next to no time
    (docs/log.md).

    channels, sides, strides: of the convolutions, one number each. hidden: units of the hidden layer. norms: whether the fields are
    normalised too, which pays where there are several passes.
    """

    def __init__(
        self,
        channels: Sequence[int] = (32, 32),
        sides: Sequence[int] = (8, 2),
        strides: Sequence[int] = (4, 1),
        hidden: int = 128,
        norms: bool = False,
    ) -> None:
        super().__init__()
        sizes = zip((1, *channels[:-1]), channels, sides, strides, strict=True)
        self.convs = nn.ModuleList(nn.Conv2d(*each) for each in sizes)
        self.norms = nn.ModuleList(
            nn.BatchNorm2d(channel) if norms else nn.Identity() for channel in channels
        )
        with torch.no_grad():
            self.linear1 = nn.Linear(
                self._features(torch.zeros(1, 1, 28, 28)).shape[1], hidden, bias=False
            )
        self.norm = nn.BatchNorm2d(hidden)
        self.linear2 = nn.Linear(hidden, 10)

    def _features(self, x: Tensor) -> Tensor:
        for conv, norm in zip(self.convs, self.norms, strict=True):
            x = F.relu(norm(conv(x)))  # (N, 32, 6, 6), then (N, 32, 5, 5)
        return x.permute(0, 2, 3, 1).flatten(
            1
        )  # as it lies in memory, channels last; any other order would have to be copied

    def forward(self, x: Tensor) -> Tensor:
        x = self.linear1(self._features(x))[:, :, None, None]  # (N, 128, 1, 1)
        if (
            self.training and len(x) == 1
        ):  # a digit alone, which has no variance to be normalised by
            x = F.batch_norm(
                x,
                self.norm.running_mean,
                self.norm.running_var,
                self.norm.weight,
                self.norm.bias,
                eps=self.norm.eps,
            )
        else:
            x = self.norm(x)
        return self.linear2(F.relu(x).flatten(1))


class SharedNet(nn.Module):
    """One set of 3x3 kernels used six times, so that few numbers make a deep network; what each use owns is its normalisation.

    The field halves three times, from 14x14 to 4x4, and the strongest answer of each kernel decides. channels: with 12 it has
    1,894 parameters and takes 0.7 million multiplications a digit, with 30 it has 9,580 parameters and takes 4.4 million.
    Source of the idea: Liang & Hu 2015, who let one convolution run several times at one scale; here it runs at three.
    """

    STRIDES = (1, 1, 2, 1, 2, 1)

    def __init__(self, channels: int = 12) -> None:
        super().__init__()
        self.stem = _convolution(1, channels, stride=2, side=5)
        self.shared = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norms = nn.ModuleList(nn.BatchNorm2d(channels) for _ in self.STRIDES)
        self.linear = nn.Linear(channels, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)  # (N, C, 14, 14)
        for stride, norm in zip(self.STRIDES, self.norms, strict=True):
            y = norm(F.conv2d(x, self.shared.weight, stride=stride, padding=1))
            x = F.relu(x + y if stride == 1 else y)  # (N, C, 14, 14), then 7x7, then 4x4
        return self.linear(x.amax((2, 3)))


class ResidualNet(nn.Module):
    """Two scales, 14x14 and 7x7, each with a residual block.

    channels: of each scale. With 64 and 160 it has 631,242 parameters and takes 42 million multiplications a digit, with 32 and 96
    it has 214,506 parameters and takes 13 million. Source of the blocks: He et al. 2016. The first convolution halves the field at
    once: at 28x28 its normalisation and rectification alone took a third of a training step on a CPU. The mean over the smallest
    field makes the answer.
    """

    def __init__(self, channels: Sequence[int] = (64, 160)) -> None:
        super().__init__()
        large, small = channels
        self.stem = _convolution(1, large, stride=2, side=5)
        self.residual1 = _Residual(large)
        self.halve = _convolution(large, small, stride=2)
        self.residual2 = _Residual(small)
        self.linear = nn.Linear(small, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.residual1(self.stem(x))  # (N, 64, 14, 14)
        x = self.residual2(self.halve(x))  # (N, 160, 7, 7)
        return self.linear(x.mean((2, 3)))


class _Residual(nn.Module):
    """Two convolutions that learn what to add to their input."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = _convolution(channels, channels)
        self.second = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x + self.norm(self.second(self.first(x))))


def _convolution(channels: int, kernels: int, stride: int = 1, side: int = 3) -> nn.Sequential:
    """Kernels of `side` x `side`, padded; no bias, which batch normalisation would take out again."""
    conv = nn.Conv2d(channels, kernels, side, stride, padding=side // 2, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(kernels), nn.ReLU())


MODELS: dict[str, type[nn.Module]] = {
    "lenet": LeNet,
    "two-conv": TwoConv,
    "dropout": DropoutNet,
    "classic": ClassicNet,
    "batchnorm": BatchNormNet,
    "strided": StridedNet,
    "shared": SharedNet,
    "residual": ResidualNet,
    "quick": QuickNet,
}


class Standardised(nn.Module):
    """A network with what it needs in front: ink standardised by `mean` and `sd`, enlarged to `size` pixels a side.

    test_rotation, test_zoom: degrees and a fraction. Above 0 a digit is read several times, as it is, turned so far either way, and
    larger and smaller by so much, and the mean of the probabilities is the answer; not while training.
    """

    def __init__(
        self,
        network: nn.Module,
        mean: float,
        sd: float,
        size: int,
        test_rotation: float = 0.0,
        test_zoom: float = 0.0,
    ) -> None:
        super().__init__()
        self.network = network
        self.mean, self.sd, self.size = mean, sd, size
        self.test_rotation, self.test_zoom = test_rotation, test_zoom

    def forward(self, ink: Tensor) -> Tensor:
        """ink: (N, 1, 28, 28) float, paper 0 to ink 1. Returns logits (N, 10)."""
        if self.training or not (self.test_rotation or self.test_zoom):
            return self._logits(ink)
        seen = views(ink, self.test_rotation, self.test_zoom)
        return mean_opinion(self._logits(seen.flatten(0, 1)).unflatten(0, (len(seen), -1)))

    def _logits(self, ink: Tensor) -> Tensor:
        if self.size != ink.shape[-1]:
            ink = F.interpolate(
                ink, size=(self.size, self.size), mode="bilinear", align_corners=False
            )
        if (self.mean, self.sd) != (0, 1):
            ink = (ink - self.mean) / self.sd
        logits: Tensor = self.network(ink)
        return logits


class Ensemble(nn.Module):
    """Networks whose mean probabilities are the answer. Trained one by one; see run.py."""

    def __init__(self, members: Sequence[nn.Module]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)

    def forward(self, ink: Tensor) -> Tensor:
        """ink: (N, 1, 28, 28) float, paper 0 to ink 1. Returns the logarithms of the mean probabilities, (N, 10)."""
        return mean_opinion(torch.stack([member(ink) for member in self.members]))


def mean_opinion(logits: Tensor) -> Tensor:
    """Of several logits a digit, (K, N, 10), the logarithms of their mean probabilities, (N, 10)."""
    return torch.logsumexp(torch.log_softmax(logits, dim=2), dim=0) - math.log(len(logits))


def views(ink: Tensor, rotation: float, zoom: float) -> Tensor:
    """(N, 1, H, W) as it is, turned by so many degrees either way, larger and smaller by so much: (K, N, 1, H, W), K 1 to 5."""
    turned = [(math.radians(angle), 1.0) for angle in (rotation, -rotation) if rotation]
    zoomed = [(0.0, 1 + change) for change in (zoom, -zoom) if zoom]
    others = [
        F.grid_sample(ink, _grid(ink, angle, scale), align_corners=False)
        for angle, scale in turned + zoomed
    ]
    return torch.stack([ink, *others])


def _grid(ink: Tensor, angle: float, scale: float) -> Tensor:
    """Where each pixel of a turned and enlarged field comes from, (N, H, W, 2), as `F.grid_sample` takes it. angle: in radians."""
    height, width = ink.shape[2:]
    y, x = pixel_centres(height, ink).view(-1, 1), pixel_centres(width, ink).view(1, -1)
    cos, sin = math.cos(angle) / scale, math.sin(angle) / scale
    grid = torch.stack((cos * x - sin * y, sin * x + cos * y), dim=-1)
    return grid.expand(
        ink.shape[0], height, width, 2
    )  # len(ink) would become a constant of the exported network


def build(
    name: str,
    options: Mapping[str, Any],
    *,
    mean: float = 0.0,
    sd: float = 1.0,
    size: int = 28,
    test_rotation: float = 0.0,
    test_zoom: float = 0.0,
    members: int = 1,
) -> nn.Module:
    """The network `name` with fresh weights from torch's global generator, behind its preprocessing; an Ensemble of several.

    Raises UnknownName for a network or an option that does not exist, BadValue for an option that makes no sense, and where the
    network cannot take `size`.
    """
    if name not in MODELS:
        raise UnknownName("network", name, MODELS)
    known = list(inspect.signature(MODELS[name]).parameters)
    for option in options:
        if option not in known:
            raise UnknownName(f"option of network {name!r}", option, known or ["none"])
    try:
        networks = [
            Standardised(MODELS[name](**options), mean, sd, size, test_rotation, test_zoom)
            for _ in range(members)
        ]
    except (TypeError, ValueError, RuntimeError) as error:
        given = ", ".join(f"{option} = {value!r}" for option, value in options.items())
        raise BadValue(
            f"network {name!r} cannot be built with {given}: {str(error).splitlines()[0]}"
        ) from error
    try:
        with torch.no_grad():
            networks[0].eval()(torch.zeros(1, 1, 28, 28))
    except RuntimeError as error:
        raise BadValue(
            f"network {name!r} cannot take digits of {size}x{size} pixels; its shipped recipe says what it can"
        ) from error
    return (networks[0] if members == 1 else Ensemble(networks)).train()


def recipe_network(recipe: "Recipe") -> nn.Module:
    """The network that a recipe describes, as `build` makes it."""
    said = {
        key: getattr(recipe, key)
        for key in ("mean", "sd", "size", "test_rotation", "test_zoom", "members")
    }
    return build(recipe.network, recipe.options, **said)


def count_parameters(network: nn.Module) -> int:
    """How many numbers training adjusts."""
    return sum(parameter.numel() for parameter in network.parameters())


@torch.no_grad()
def count_multiplications(network: nn.Module) -> int:
    """Multiply-accumulates of the convolutions and linear layers for one digit; what else there is does not weigh."""
    from torch.utils.flop_counter import FlopCounterMode  # takes a while to import

    was_training = network.training
    network.eval()
    with FlopCounterMode(display=False) as counter:
        network(torch.zeros(1, 1, 28, 28))
    network.train(was_training)
    return counter.get_total_flops() // 2
