"""The page network at work: pixels come in, its maps go out, through ONNX Runtime."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

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


class CoarseMaps(NamedTuple):
    """Where there is writing in a picture of H x W pixels, and how tall, as `Maps` has it.

    Attributes:
        writing: (H/8, W/8) float32, the probability of writing of any size.
        height: (H/8, W/8) float32, its height in pixels.
    """

    writing: Floats
    height: Floats


class PageSession(Protocol):
    """Runs the page network: uint8 (N, 3, H, W) in, the seven maps as logits out.

    Without `fine` all but the last two are empty, and it takes two thirds of the time.
    """

    def __call__(self, pictures: Pixels, *, fine: bool = True) -> Sequence[Floats]: ...


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
    ink, centre, offset, size, kind, *coarse = network(_batch(picture))
    shape = picture.shape[:2]
    writing, height = _coarse_maps(coarse, shape)
    return Maps(
        ink=sigmoid(_cut(ink, FINE, shape)),
        centre=sigmoid(_cut(centre, FINE, shape)),
        offset=_cut(offset, FINE, shape),
        size=np.exp2(np.clip(_cut(size, FINE, shape), *SIZE_RANGE)),
        kind=_cut(kind, MIDDLE, shape),
        writing=writing,
        height=height,
    )


def coarse_maps(network: PageSession, picture: Pixels) -> CoarseMaps:
    """Do as `page_maps`, for the maps of writing alone."""
    *_, writing, height = network(_batch(picture), fine=False)
    return _coarse_maps((writing, height), picture.shape[:2])


def _batch(picture: Pixels) -> Pixels:
    """Return a picture (H, W, 3) as the network takes it, its edges drawn out: (1, 3, H', W')."""
    height, width = picture.shape[:2]
    beyond = ((0, -height % GRAIN), (0, -width % GRAIN), (0, 0))
    return np.pad(picture, beyond, mode="edge").transpose(2, 0, 1)[None]


def _coarse_maps(logits: Sequence[Floats], shape: tuple[int, ...]) -> CoarseMaps:
    """Return what the last two outputs say of a picture of some height and width."""
    writing, height = (_cut(maps, COARSE, shape) for maps in logits)
    return CoarseMaps(sigmoid(writing), np.exp2(np.clip(height, *HEIGHT_RANGE)))


def _cut(maps: Floats, cell: int, shape: tuple[int, ...]) -> Floats:
    """Return the one map of a batch without the cells that lie beside the picture."""
    rows, columns = (-(-side // cell) for side in shape)
    return maps[0][..., :rows, :columns]
