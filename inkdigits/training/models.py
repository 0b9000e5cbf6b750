"""The networks, from small classics to our own, and `build`, which makes one of them.

Float ink (N, 1, 28, 28) comes in, paper 0 to ink 1; logits (N, 10) go out, or (N, 11) of which the
last says that it is no digit. `build` puts the recipe's standardising and resizing in front of the
network, so that both always go together.

To add one: write a class, add a line to `MODELS`, and name it in a recipe's `network`.
"""

import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from inkdigits.core.digits import SIDE
from inkdigits.core.errors import BadValue, UnknownName, look_up
from inkdigits.training import fused

MAX_PARAMETERS = 50_000_000  # a hundred times what the largest shipped network has, or more
MAX_WIDTH = 4096  # channels of one layer

if TYPE_CHECKING:
    from inkdigits.training.recipe import Recipe

# ReLU comes after the pooling here, where tutorials put it before. The outputs are the same, since
# the maximum of four rectified values is the rectified maximum; it is cheaper, since only a quarter
# of the values is left to be rectified.


def convolve_and_pool(x: Tensor, conv: nn.Conv2d, norm: nn.BatchNorm2d | None = None) -> Tensor:
    """Apply a convolution, batch normalisation if given, and 2x2 max-pooling with stride 2.

    In training on a CPU, all three are computed as one operation if that is faster: see fused.py.

    Args:
        x: (N, C, H, W).
        conv: the convolution.
        norm: the batch normalisation.
    """
    if norm is None:
        return F.max_pool2d(conv(x), 2)
    if fused.is_faster(x, conv, norm):
        return fused.convolve_and_pool(x, conv, norm)

    return F.max_pool2d(norm(conv(x)), 2)


class Dropout(nn.Module):
    """Dropout: in training, each value is zeroed with probability `p`, the rest divided by 1 - p.

    The mask comes from random bytes, eight to each 64-bit draw, so `p` is rounded to 1/256.
    `nn.Dropout` draws a double for every value, which took a quarter of a training step on a CPU.

    Source: Srivastava et al. 2014.
    """

    def __init__(self, p: float) -> None:
        super().__init__()
        self.dropped = round(p * 256)  # of the 256 values that a byte can have
        if not 0 <= self.dropped < 256:
            raise BadValue(f"dropout is a probability from 0 to below 1, not {p}")

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.dropped == 0:
            return x

        draws = torch.empty((x.numel() + 7) // 8, dtype=torch.int64, device=x.device)
        random_bytes = draws.random_(-(2**63), None).view(torch.uint8)[: x.numel()]
        kept = random_bytes.ge_(self.dropped)  # 0 or 1

        # Any order of random bytes will do: lay them out in the memory order of x, so that the
        # product runs straight through. And a product of floats is several times as fast as one of
        # floats and booleans.
        mask = torch.empty_like(x, dtype=torch.float32)
        mask.as_strided((x.numel(),), (1,)).copy_(kept).mul_(256 / (256 - self.dropped))
        return (x * mask).to(x.dtype)


class LeNet(nn.Module):
    """Two small convolutions and three linear layers; 60,074 parameters.

    Source: after LeCun et al. 1998, with 3x3 kernels.
    """

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
    """The tutorial network: 32 and 64 padded kernels, 128 hidden units; 421,642 parameters."""

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
    """Two 5x5 convolutions and a wide hidden layer with dropout; 582,026 parameters.

    Without the dropout, the hidden layer would learn the training digits by heart.
    """

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
    """LeNet-5 with wider layers, on its input size of 32x32 pixels; 656,080 parameters."""

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
    """Two blocks of convolution, batch normalisation, ReLU, pooling and dropout, then a linear
    layer.

    17,706 parameters.
    """

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
    """Six convolutions with batch normalisation, three of which halve the size by striding.

    140,538 parameters, or 142,075 parameters with eleven classes.

    Args:
        classes: 10, or 11 where the last one is "not a digit".
        dropout: probability in front of the linear layer.
        own_contrast: standardise each digit by its own mean and standard deviation.
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
    """Unpadded convolutions that stride instead of pooling, and one normalised hidden layer.

    Made to learn in a second: 110,154 parameters and 0.28 million multiplications a digit by
    default, 167,530 parameters with 48 kernels a layer. The first convolution has stride 4 and
    leaves feature maps of 6x6, so that the rest is dense matrix products, which processors are good
    at. Normalising the 128 hidden numbers helps as much as normalising every feature map, and costs
    next to nothing (docs/log.md).

    Args:
        channels: the output channels of each convolution.
        sides: the side of each convolution's kernels.
        strides: the stride of each convolution.
        hidden: units of the hidden layer.
        norms: whether to normalise the feature maps as well, which pays off over several passes.
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
        width = _width_after(sides, strides)
        sizes = zip((1, *channels[:-1]), channels, sides, strides, strict=True)
        self.convs = nn.ModuleList(nn.Conv2d(*size) for size in sizes)
        self.norms = nn.ModuleList(
            nn.BatchNorm2d(channel) if norms else nn.Identity() for channel in channels
        )
        self.linear1 = nn.Linear(channels[-1] * width**2, hidden, bias=False)
        self.norm = nn.BatchNorm2d(hidden)
        self.linear2 = nn.Linear(hidden, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.linear1(self._features(x))[:, :, None, None]  # (N, 128, 1, 1)
        x = F.relu(self._normalised(x))
        return self.linear2(x.flatten(1))

    def _features(self, x: Tensor) -> Tensor:
        for conv, norm in zip(self.convs, self.norms, strict=True):
            x = F.relu(norm(conv(x)))  # (N, 32, 6, 6), then (N, 32, 5, 5)

        # This is the memory order, channels last; any other order would have to be copied.
        return x.permute(0, 2, 3, 1).flatten(1)

    def _normalised(self, x: Tensor) -> Tensor:
        norm = self.norm
        if not self.training or len(x) > 1:
            return norm(x)

        # A digit alone has no variance to be normalised by: take the stored statistics.
        mean, variance = norm.running_mean, norm.running_var
        return F.batch_norm(x, mean, variance, norm.weight, norm.bias, eps=norm.eps)


def _width_after(sides: Sequence[int], strides: Sequence[int]) -> int:
    """Return the pixels a side that unpadded convolutions leave of a digit.

    It is reckoned, not tried with shapes alone: torch would import its compiler for that, which
    takes about as long as importing torch itself.

    Raises:
        ValueError: a kernel does not fit what those before it leave.
    """
    width = SIDE
    for side, stride in zip(sides, strides, strict=True):
        if not (1 <= side <= width and stride >= 1):
            raise ValueError(
                f"kernels of {side}x{side} pixels with stride {stride} do not fit feature maps of "
                f"{width}x{width}"
            )
        width = (width - side) // stride + 1

    return width


class SharedNet(nn.Module):
    """One set of 3x3 kernels used six times, so that few parameters make a deep network.

    Each use has its own normalisation. The feature maps shrink from 14x14 to 7x7 and 4x4; the
    maximum of each goes into the linear layer. With 12 channels the network has 1,894 parameters
    and takes 0.7 million multiplications a digit, with 20 it has 4,590 parameters and takes 2
    million, with 30 it has 9,580 parameters and takes 4.4 million.

    Source of the idea: Liang & Hu 2015, who let one convolution run several times at one scale;
    here it runs at three.

    Args:
        channels: kernels of every layer.
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
    """Two scales, 14x14 and 7x7, each with a residual block; then the mean of each feature map.

    With 64 and 160 channels it has 631,242 parameters and takes 42 million multiplications a digit,
    with 32 and 96 it has 214,506 parameters and takes 13 million. The first convolution already
    halves width and height: at 28x28, its normalisation and ReLU alone took a third of a training
    step on a CPU.

    Source of the blocks: He et al. 2016.

    Args:
        channels: of each scale.
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
    """Build a padded convolution, normalisation and ReLU, without a bias, which the norm undoes."""
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
    """A network with its preprocessing in front: resizing and standardising.

    Args:
        network: its input is standardised ink (N, 1, size, size).
        mean: subtracted from the ink.
        sd: then divided by this.
        size: pixels a side that the network sees.
    """

    def __init__(self, network: nn.Module, mean: float, sd: float, size: int) -> None:
        super().__init__()
        self.network = network
        self.mean = mean
        self.sd = sd
        self.size = size

    def forward(self, ink: Tensor) -> Tensor:
        """Return logits (N, 10) for ink (N, 1, 28, 28) float, paper 0 to ink 1."""
        if self.size != ink.shape[-1]:
            size = (self.size, self.size)
            ink = F.interpolate(ink, size=size, mode="bilinear", align_corners=False)
        if (self.mean, self.sd) != (0, 1):
            ink = (ink - self.mean) / self.sd

        return self.network(ink)


class Ensemble(nn.Module):
    """Networks that answer with their mean probabilities. runs/run.py trains them one by one."""

    def __init__(self, members: Sequence[nn.Module]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)

    def forward(self, ink: Tensor) -> Tensor:
        """Return the logarithms of the mean probabilities (N, 10) for ink (N, 1, 28, 28)."""
        return mean_opinion(torch.stack([member(ink) for member in self.members]))


def mean_opinion(logits: Tensor) -> Tensor:
    """Average the probabilities that several networks give each digit.

    Args:
        logits: (K, N, C), of K networks.

    Returns:
        The logarithms of the mean probabilities, (N, C).
    """
    return torch.logsumexp(torch.log_softmax(logits, dim=2), dim=0) - math.log(len(logits))


def build(
    name: str,
    options: Mapping[str, Any],
    *,
    mean: float = 0.0,
    sd: float = 1.0,
    size: int = 28,
    members: int = 1,
) -> nn.Module:
    """Build a network with its preprocessing in front, or an ensemble of such networks.

    Args:
        name: a key of `MODELS`.
        options: arguments of the network's class.
        mean: subtracted from ink in [0, 1].
        sd: then divided by this.
        size: pixels a side that the network sees.
        members: how many networks answer together.

    Returns:
        A network from ink (N, 1, 28, 28) to logits (N, 10), in training mode, with fresh weights
        from torch's global generator.

    Raises:
        UnknownName: the network or an option does not exist.
        BadValue: an option makes no sense, or the network cannot take this size.
    """
    network_class = look_up("network", name, MODELS)
    known = list(inspect.signature(network_class).parameters)
    for option in options:
        if option not in known:
            raise UnknownName(f"{name!r} option", option, known or ["none"])

    try:
        refuse_huge(network_class, options, members)
        networks = [Standardised(network_class(**options), mean, sd, size) for _ in range(members)]
    except (TypeError, ValueError, RuntimeError) as error:
        given = ", ".join(f"{option} = {value!r}" for option, value in options.items())
        reason = str(error).splitlines()[0]
        raise BadValue(f"network {name!r} cannot be built with {given}: {reason}") from error

    try:
        with torch.no_grad():
            networks[0].eval()(torch.zeros(1, 1, 28, 28))
    except RuntimeError as error:
        raise BadValue(
            f"network {name!r} cannot take digits of {size}x{size} pixels; "
            "its shipped recipe has a size that it can take"
        ) from error

    network = networks[0] if members == 1 else Ensemble(networks)
    return network.train()


def refuse_huge(
    network_class: Callable[..., nn.Module], options: Mapping[str, Any], members: int
) -> None:
    """Refuse a network of a size that reads no digits better, before it takes memory.

    A recipe may be a stranger's, and a few bytes of it ask for gigabytes.

    Raises:
        ValueError: it has too many parameters, or too many channels in one layer.
    """
    with torch.device("meta"):  # only shapes
        network = network_class(**options)

    widest = max((len(parameter) for parameter in network.parameters()), default=0)
    if widest > MAX_WIDTH:
        raise ValueError(f"a layer has {widest:,} channels; at most {MAX_WIDTH:,} are allowed")

    parameters = members * count_parameters(network)
    if parameters > MAX_PARAMETERS:
        allowed = f"at most {MAX_PARAMETERS:,} are allowed"
        raise ValueError(f"it has {parameters:,} parameters; {allowed}")


def recipe_network(recipe: "Recipe") -> nn.Module:
    """Build the network that a recipe describes."""
    return build(
        recipe.network,
        recipe.options,
        mean=recipe.mean,
        sd=recipe.sd,
        size=recipe.size,
        members=recipe.members,
    )


def count_parameters(network: nn.Module) -> int:
    """Count the parameters of a network, the numbers that training adjusts."""
    return sum(parameter.numel() for parameter in network.parameters())


@torch.no_grad()
def count_multiplications(network: nn.Module) -> int:
    """Count the multiplications of the convolutions and linear layers for one digit.

    The rest is too little to matter.
    """
    from torch.utils.flop_counter import FlopCounterMode  # takes a while to import

    was_training = network.training
    network.eval()
    with FlopCounterMode(display=False) as counter:
        network(torch.zeros(1, 1, 28, 28))

    network.train(was_training)
    return counter.get_total_flops() // 2
