"""Augmentation: the same digits, written a little differently.

Batches of ink come in and go out, float (N, 1, H, W), paper 0 to ink 1, before the network
standardises it; positions outside the field count as paper. Every function draws from the generator
that it is given, on the device of the ink.
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

ELASTIC_SIGMA = 4.0  # pixels; Simard et al. 2003 found 4 best for 29x29 digits
FILTER_SIDES = (1, 3, 5)  # pixels, of random filters
MASK_STEEPNESS = 6.0  # of the mask between two filters: most pixels see one of them


@dataclass(frozen=True)
class Augmentation:
    """How much each digit may change. Zero is off."""

    rotation: float = 0.0  # degrees either way
    shear: float = 0.0  # degrees of slant either way
    zoom: float = 0.0  # fraction either way: 0.1 is 90 to 110 %
    shift: float = 0.0  # pixels either way, both axes
    elastic: float = 0.0  # pixels of root-mean-square displacement
    erasing: float = 0.0  # pixels a side of the square that is blotted out
    clutter: float = 0.0  # share of the digits that get a piece of another digit
    filtering: float = 0.0  # share of the digits that are seen through a random filter
    noise: float = 0.0  # largest standard deviation of the noise on half of the digits, in ink

    @property
    def bends(self) -> bool:
        """True where digits are resampled, not only erased and shifted by whole pixels."""
        moves_between_pixels = self.shift % 1
        return any((self.rotation, self.shear, self.zoom, moves_between_pixels, self.elastic))


def augment(ink: Tensor, amount: Augmentation, generator: Generator) -> Tensor:
    """Change each digit by its own draw, in the order of the fields of `Augmentation`.

    A shift of whole pixels alone copies where resampling would compute: a tenth of the time.

    Args:
        ink: (N, 1, H, W) float, paper 0 to ink 1.
        amount: how much each digit may change.
        generator: on the device of the ink.

    Returns:
        The same shape.
    """
    if amount.bends:
        grid = affine_grid(ink, amount, generator)  # (N, H, W, 2)
        if amount.elastic:
            grid = grid + elastic_field(ink, amount.elastic, generator)
        ink = F.grid_sample(ink, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
    elif amount.shift:
        ink = shift_by_pixels(ink, int(amount.shift), generator)

    if amount.erasing:
        ink = erase(ink, round(amount.erasing), generator)
    if amount.clutter:
        ink = clutter(ink, amount.clutter, generator)
    if amount.filtering:
        ink = filter_at_random(ink, amount.filtering, generator)
    if amount.noise:
        ink = add_noise(ink, amount.noise, generator)

    return ink


def affine_grid(ink: Tensor, amount: Augmentation, generator: Generator) -> Tensor:
    """Draw a rotation, slant, zoom and shift for each digit, uniformly.

    Built by broadcasting: `F.affine_grid` takes ten times as long on a CPU (pytorch issue 174045).

    Args:
        ink: (N, 1, H, W).
        amount: how much each digit may change.
        generator: on the device of the ink.

    Returns:
        Where each pixel of the result comes from: (N, H, W, 2) of (x, y) in [-1, 1], as
        `F.grid_sample` takes it.
    """
    n, _, height, width = ink.shape

    def draw(limit: float) -> Tensor:
        return (torch.rand(n, 1, 1, generator=generator, device=ink.device) * 2 - 1) * limit

    angle = draw(math.radians(amount.rotation))
    slant = draw(math.radians(amount.shear))
    zoom = 1 + draw(amount.zoom)
    cos = torch.cos(angle) / zoom
    sin = torch.sin(angle) / zoom
    tan = torch.tan(slant)

    x = pixel_centres(width, ink).view(1, 1, width)
    y = pixel_centres(height, ink).view(1, height, 1)
    slanted = x + tan * y
    across = slanted * cos - y * sin + draw(2 * amount.shift / width)
    down = slanted * sin + y * cos + draw(2 * amount.shift / height)
    return torch.stack((across, down), dim=-1)


def shift_by_pixels(ink: Tensor, limit: int, generator: Generator) -> Tensor:
    """Move each digit by up to `limit` whole pixels either way on both axes.

    Paper comes in from outside.

    Args:
        ink: (N, 1, H, W).
        limit: in pixels.
        generator: on the device of the ink.

    Returns:
        The same shape.
    """
    n, _, height, width = ink.shape
    padded = F.pad(ink, (limit,) * 4)
    # A view: (N, 1, 2 limit + 1, 2 limit + 1, H, W).
    places = padded.unfold(2, height, 1).unfold(3, width, 1)
    down, across = torch.randint(2 * limit + 1, (2, n), generator=generator, device=ink.device)
    return places[torch.arange(n, device=ink.device), :, down, across]


def elastic_field(ink: Tensor, displacement: float, generator: Generator) -> Tensor:
    """Draw a smooth random displacement of every pixel, as hands and paper make it.

    Source: Simard et al. 2003, section 2.

    Args:
        ink: (N, 1, H, W).
        displacement: root-mean-square length in pixels, the same everywhere.
        generator: on the device of the ink.

    Returns:
        (N, H, W, 2) in the units of `affine_grid`.
    """
    n, _, height, width = ink.shape
    noise = torch.randn(2 * n, 1, height, width, generator=generator, device=ink.device)
    kernel = _gaussian(ELASTIC_SIGMA, like=noise)

    # A weighted sum of independent draws has the sum of the squared weights as its variance, which
    # is less near the border.
    spread = _blur(torch.ones_like(noise[:1]), kernel**2).sqrt()
    smooth = _blur(noise, kernel) / spread * (displacement / math.sqrt(2))
    across, down = smooth.view(n, 2, height, width).unbind(1)
    return torch.stack((across * (2 / width), down * (2 / height)), dim=-1)


def erase(ink: Tensor, side: int, generator: Generator) -> Tensor:
    """Paint a square of paper over each digit, its centre anywhere in the field.

    Source: DeVries & Taylor 2017 (Cutout).

    Args:
        ink: (N, 1, H, W).
        side: of the square, in pixels.
        generator: on the device of the ink.

    Returns:
        The same shape.
    """
    n, _, height, width = ink.shape

    def span(size: int) -> Tensor:
        centre = torch.randint(size, (n, 1), generator=generator, device=ink.device)
        distance = torch.arange(size, device=ink.device) - centre + side // 2
        return (distance >= 0) & (distance < side)  # (N, size)

    return ink.masked_fill(_rectangle(span(height), span(width)), 0.0)


def clutter(ink: Tensor, share: float, generator: Generator) -> Tensor:
    """Put a rectangle of the digit before, moved by up to half of the field, over some digits.

    Where both have ink, the darker one stays.

    Args:
        ink: (N, 1, H, W).
        share: of the digits, 0 to 1.
        generator: on the device of the ink.

    Returns:
        The same shape.
    """
    n, _, height, width = ink.shape
    farthest = height // 2
    moves = torch.randint(
        -farthest, farthest + 1, (2,), generator=generator, device=ink.device
    ).tolist()

    def span(size: int) -> Tensor:
        centre = _draw(ink, generator) * size
        reach = _draw(ink, generator) * size / 2
        pixels = torch.arange(size, dtype=ink.dtype, device=ink.device)
        return ((pixels >= centre - reach) & (pixels < centre + reach)).view(n, size)

    window = _rectangle(span(height), span(width))
    chosen = _draw(ink, generator) < share
    strength = (1 + _draw(ink, generator)) / 2
    other = ink.roll(1, 0).roll(moves, (2, 3))
    return torch.maximum(ink, other * window * chosen * strength)


def _rectangle(rows: Tensor, columns: Tensor) -> Tensor:
    """Return where chosen rows (N, H) and columns (N, W) cross: (N, 1, H, W)."""
    return rows[:, None, :, None] & columns[:, None, None, :]


def filter_at_random(ink: Tensor, share: float, generator: Generator) -> Tensor:
    """Show some digits through a random filter, and a part of half of all digits through another.

    Source: random convolutions (Xu et al. 2021), which keep shapes and change everything else. New
    here is that two of them are blended along a smooth random mask.

    Args:
        ink: (N, 1, H, W).
        share: of the digits, 0 to 1.
        generator: on the device of the ink.

    Returns:
        The same shape; what was filtered is stretched to [0, 1].
    """
    n = len(ink)
    seen = torch.where(_draw(ink, generator) < share, _filtered(ink, generator), ink)

    coarse = torch.randn(n, 1, 4, 4, generator=generator, device=ink.device)
    field = F.interpolate(coarse, ink.shape[2:], mode="bicubic", align_corners=True)
    field = field + torch.randn(n, 1, 1, 1, generator=generator, device=ink.device) / 2
    mask = torch.sigmoid(MASK_STEEPNESS * field) * (_draw(ink, generator) < 0.5)
    return seen + mask * (_filtered(ink, generator) - seen)


def _filtered(ink: Tensor, generator: Generator) -> Tensor:
    """Filter each digit once or twice, and mix it with itself in a random proportion, in [0, 1]."""
    once = _convolved(ink, generator)
    filtered = torch.where(_draw(ink, generator) < 0.3, _convolved(once, generator), once)
    return _stretched(filtered + _draw(ink, generator) * (ink - filtered))


def _convolved(ink: Tensor, generator: Generator) -> Tensor:
    """Convolve each digit with a random kernel of 1x1, 3x3 or 5x5.

    Half of the kernels answer to edges only, and half of the answers are made positive.
    """
    n, _, height, width = ink.shape
    choice = torch.randint(len(FILTER_SIDES), (1,), generator=generator, device=ink.device)
    side = FILTER_SIDES[int(choice)]
    kernels = torch.randn(n, 1, side, side, generator=generator, device=ink.device) / side
    if side > 1:
        edges_only = _draw(ink, generator) < 0.5
        kernels = kernels - kernels.mean((2, 3), keepdim=True) * edges_only

    as_channels = ink.view(1, n, height, width)
    answers = F.conv2d(as_channels, kernels, padding=side // 2, groups=n).view(n, 1, height, width)
    return _stretched(torch.where(_draw(ink, generator) < 0.5, answers.abs(), answers))


def add_noise(ink: Tensor, largest: float, generator: Generator) -> Tensor:
    """Add Gaussian noise to half of the digits.

    Args:
        ink: (N, 1, H, W).
        largest: the standard deviation of a digit's noise is drawn from 0 to this.
        generator: on the device of the ink.

    Returns:
        The same shape, in [0, 1].
    """
    strength = _draw(ink, generator) * largest * (_draw(ink, generator) < 0.5)
    noise = torch.randn(ink.shape, generator=generator, device=ink.device)
    return (ink + strength * noise).clamp(0, 1)


def _draw(like: Tensor, generator: Generator) -> Tensor:
    """Draw a number in [0, 1) for each digit, (N, 1, 1, 1)."""
    return torch.rand(len(like), 1, 1, 1, generator=generator, device=like.device)


def _stretched(ink: Tensor) -> Tensor:
    """Stretch each digit so that its darkest pixel becomes 1 and its lightest 0."""
    low = ink.amin((2, 3), keepdim=True)
    high = ink.amax((2, 3), keepdim=True)
    return (ink - low) / (high - low + 1e-4)


def pixel_centres(size: int, like: Tensor) -> Tensor:
    """Return the centres of `size` pixels on an axis from -1 to 1."""
    return (torch.arange(size, dtype=like.dtype, device=like.device) * 2 + 1) / size - 1


def _gaussian(sigma: float, like: Tensor) -> Tensor:
    """Return weights that sum to 1, one a pixel, as far as three sigma either way."""
    reach = math.ceil(3 * sigma)
    distance = torch.arange(-reach, reach + 1, dtype=like.dtype, device=like.device)
    weights = torch.exp(-(distance**2) / (2 * sigma**2))
    return weights / weights.sum()


def _blur(field: Tensor, kernel: Tensor) -> Tensor:
    """Blur (N, 1, H, W) along both axes by the same odd kernel, with zeros beyond the border.

    A matrix product a side: a convolution of one channel took four times as long on a CPU.
    """
    return _bands(kernel, field.shape[2]) @ field @ _bands(kernel, field.shape[3])


def _bands(kernel: Tensor, size: int) -> Tensor:
    """Put a symmetric kernel in every row of a matrix (size, size), its middle on the diagonal."""
    places = torch.arange(size, device=kernel.device)
    distance = places - places.view(-1, 1) + len(kernel) // 2
    inside = (distance >= 0) & (distance < len(kernel))
    return kernel[distance.clamp(0, len(kernel) - 1)] * inside
