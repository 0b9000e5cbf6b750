"""The page network at work: pixels come in, its maps go out, through ONNX Runtime."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

GRAIN = 16  # the network takes pictures whose sides are multiples of this, pixels
FINE = 2  # pixels a cell of the maps of symbols
MIDDLE = 4  # pixels a cell of the maps of kinds
COARSE = 8  # pixels a cell of the maps of writing

# Logarithms to base 2 between which sizes are believed, so that a wild output cannot overflow.
SIZE_RANGE = (-1, 9)  # of cells: half a cell to 512
HEIGHT_RANGE = (0, 10)  # of pixels: 1 to 1024

Floats = NDArray[np.float32]
Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Maps:
    """What the network says of one picture of H x W pixels; H/2 and the like are rounded up.

    Attributes:
        ink: (H/2, W/2) float32, the probability of being ink of a symbol.
        centre: (H/2, W/2) float32, the probability of being the centre of a symbol.
        offset: (2, H/2, W/2) float32, x and y from here to the centre of the own symbol, cells.
        size: (2, H/2, W/2) float32, width and height of the own symbol, cells.
        kind: (16, H/4, W/4) float32, logits of the kind of the symbol centred here.
        writing: (H/8, W/8) float32, the probability of writing of any size.
        height: (H/8, W/8) float32, its height in pixels.
    """

    ink: Floats
    centre: Floats
    offset: Floats
    size: Floats
    kind: Floats
    writing: Floats
    height: Floats


class PageSession(Protocol):
    """Runs the page network: uint8 (N, 3, H, W) in, the seven maps as logits out."""

    def __call__(self, pictures: Pixels) -> Sequence[Floats]: ...


def sigmoid(logits: Floats) -> Floats:
    """Return probabilities for logits, without overflow.

    Args:
        logits: float32 of any shape.

    Returns:
        The same shape, float32, 0 to 1.
    """
    half_angle = np.tanh(0.5 * logits)
    probability = 0.5 * (1 + half_angle)

    return probability.astype(np.float32)


def softmax(logits: Floats) -> Floats:
    """Return probabilities (N, C) for logits (N, C), without overflow."""
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def page_maps(network: PageSession, picture: Pixels) -> Maps:
    """Run the network on one picture.

    Args:
        network: the page network.
        picture: (H, W, 3) uint8 RGB of any size.

    Returns:
        The maps, cut to the cells that the picture touches.
    """
    height, width = picture.shape[:2]
    below = -height % GRAIN
    beside = -width % GRAIN
    padded = np.pad(picture, ((0, below), (0, beside), (0, 0)), mode="edge")

    batch = padded.transpose(2, 0, 1)[None]  # (1, 3, H, W)
    ink, centre, offset, size, kind, writing, tall = network(batch)

    def cut(maps: Floats, cell: int) -> Floats:
        """Return the one map of a batch without the cells that lie beside the picture."""
        rows = -(-height // cell)
        columns = -(-width // cell)
        return maps[0][..., :rows, :columns]

    return Maps(
        ink=sigmoid(cut(ink, FINE)),
        centre=sigmoid(cut(centre, FINE)),
        offset=cut(offset, FINE),
        size=np.exp2(np.clip(cut(size, FINE), *SIZE_RANGE)),
        kind=cut(kind, MIDDLE),
        writing=sigmoid(cut(writing, COARSE)),
        height=np.exp2(np.clip(cut(tall, COARSE), *HEIGHT_RANGE)),
    )
