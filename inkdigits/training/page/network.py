"""The page network: a picture comes in, maps of what is written where go out.

A U-Net of residual blocks. Its encoder halves the picture four times, its decoder climbs back to
half the picture's size by addition, as in a feature pyramid (Lin et al. 2017). Three sets of maps
are read off on the way up:

    stride 8   is there writing here, however small, and how tall is it?
    stride 4   which symbol has its centre here? (an opinion; the second look decides)
    stride 2   is this ink of a symbol, how far is it to the symbol's centre, how large is it?

Centres as peaks of a heatmap follow CenterNet (Zhou et al. 2019); pixels that vote for their
centre follow Neven et al. 2019.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from inkdigits.reading.page.find import KINDS

Network = TypeVar("Network", bound=nn.Module)

CHANNELS_LAST: Any = torch.channels_last  # of weights and pictures: quicker; torch's types lack it

# Not yet measured against other widths and depths.
WIDTHS = (16, 40, 80, 96)  # channels at strides 2, 4, 8, 16
BLOCKS = (1, 2, 2)  # residual blocks at strides 4, 8, 16
SYMBOL_WIDTH = 24  # channels from which ink, centre, offset and size are read
KIND_WIDTH = 64  # channels from which the kind is read
OFFSET_UNIT = 8.0  # cells of stride 2 that one unit of the offset outputs stands for


class PageMaps(NamedTuple):
    """What the network says of N pictures of H x W pixels, as logits and numbers in float32.

    Attributes:
        ink: (N, H/2, W/2), the logit of being ink of a symbol.
        centre: (N, H/2, W/2), the logit of being the centre of a symbol.
        offset: (N, 2, H/2, W/2), x and y from here to the centre of the own symbol, in cells.
        size: (N, 2, H/2, W/2), log2 of the width and height of the own symbol in cells.
        kind: (N, KINDS, H/4, W/4), logits of the kind of the symbol centred here.
        writing: (N, H/8, W/8), the logit of there being writing of any size.
        height: (N, H/8, W/8), log2 of the height of that writing in pixels.
    """

    ink: Tensor
    centre: Tensor
    offset: Tensor
    size: Tensor
    kind: Tensor
    writing: Tensor
    height: Tensor


def convolution(inputs: int, outputs: int, *, kernel: int = 3, stride: int = 1) -> nn.Sequential:
    """Make a convolution with batch normalisation and ReLU.

    Args:
        inputs: channels.
        outputs: channels.
        kernel: height and width, odd.
        stride: the result is that much smaller.
    """
    return nn.Sequential(
        nn.Conv2d(
            inputs,
            outputs,
            kernel,
            stride,
            padding=kernel // 2,
            bias=False,
        ),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


class Residual(nn.Module):
    """Two convolutions around a shortcut (He et al. 2016)."""

    def __init__(self, width: int) -> None:
        super().__init__()

        self.first = convolution(width, width)
        self.second = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1, bias=False),
            nn.BatchNorm2d(width),
        )

    def forward(self, x: Tensor) -> Tensor:
        change = self.first(x)
        change = self.second(change)
        return F.relu(x + change)


def stage(inputs: int, outputs: int, blocks: int) -> nn.Sequential:
    """Make a strided convolution and the residual blocks that follow it.

    Args:
        inputs: channels.
        outputs: channels.
        blocks: how many.
    """
    down = convolution(inputs, outputs, stride=2)
    residuals = [Residual(outputs) for _ in range(blocks)]
    return nn.Sequential(down, *residuals)


class PageNetwork(nn.Module):
    """Finds symbols in pictures: uint8 or float (N, 3, H, W) RGB, sides multiples of GRAIN."""

    def __init__(self) -> None:
        super().__init__()

        fine, quarter, eighth, coarse = WIDTHS
        self.stem = convolution(3, fine, stride=2)
        self.down4 = stage(fine, quarter, BLOCKS[0])
        self.down8 = stage(quarter, eighth, BLOCKS[1])
        self.down16 = stage(eighth, coarse, BLOCKS[2])

        self.up8 = nn.Conv2d(coarse, eighth, 1)
        self.up4 = nn.Conv2d(eighth, quarter, 1)
        self.up2 = nn.Conv2d(quarter, fine, 1)
        self.merge8 = convolution(eighth, eighth)
        self.merge4 = convolution(quarter, quarter)
        self.merge2 = convolution(fine, SYMBOL_WIDTH)

        self.writing = nn.Conv2d(eighth, 2, 1)
        self.kind = nn.Sequential(
            convolution(quarter, KIND_WIDTH),
            nn.Conv2d(KIND_WIDTH, KINDS, 1),
        )
        self.symbol = nn.Conv2d(SYMBOL_WIDTH, 6, 1)

        # At the start nearly everything is paper (Lin et al. 2017, "focal loss", section 3.3).
        start_at(self.symbol, [-2.0, -4.0, 0.0, 0.0, 3.5, 4.0])
        start_at(self.writing, [-1.0, 4.0])

    def forward(self, pictures: Tensor) -> PageMaps:
        x = (pictures.float() - 127.5) / 64

        at2 = self.stem(x)
        at4 = self.down4(at2)
        at8 = self.down8(at4)
        at16 = self.down16(at8)

        from16 = enlarged(self.up8(at16))
        at8 = self.merge8(at8 + from16)
        from8 = enlarged(self.up4(at8))
        at4 = self.merge4(at4 + from8)
        from4 = enlarged(self.up2(at4))
        at2 = self.merge2(at2 + from4)

        writing = self.writing(at8).float()
        symbol = self.symbol(at2).float()

        return PageMaps(
            ink=symbol[:, 0],
            centre=symbol[:, 1],
            offset=symbol[:, 2:4] * OFFSET_UNIT,
            size=symbol[:, 4:6],
            kind=self.kind(at4).float(),
            writing=writing[:, 0],
            height=writing[:, 1],
        )


def placed(network: Network, device: torch.device) -> Network:
    """Move a network to a device, its kernels in the order in which convolutions are quickest."""
    network.to(device, memory_format=CHANNELS_LAST)  # type: ignore[call-overload]
    return network


def enlarged(x: Tensor) -> Tensor:
    """Return (N, C, H, W) at twice the height and width, every cell repeated."""
    return F.interpolate(x, scale_factor=2.0, mode="nearest")


@torch.no_grad()
def start_at(convolution: nn.Conv2d, biases: Sequence[float]) -> None:
    """Set what a convolution says before it has learnt anything, one number a channel."""
    assert convolution.bias is not None, "it is made with one"
    convolution.bias.copy_(torch.tensor(biases))
