"""Digits in, the same digits through one of MNIST-C's fifteen corruptions out: what a network meets
that it has not learned from.

Takes and returns uint8 (N, 28, 28), paper 0 to ink 255; knows nothing of labels, models or files.
Between, ink is float32 (n, 28, 28), paper 0 to ink 1, and whatever leaves that range is clipped.

Source of the definitions: Mu & Gilmer 2019, "MNIST-C: a robustness benchmark for computer vision"
(arXiv 1906.02337), and the parameters of the program that made its files, at the one severity that
it uses. Where that program does something else than its names promise, so does this, or figures
could not be compared; a comment says so. The files' own draws cannot be made again: an accuracy on
these digits is another sample of the same thing.
"""

import math
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.random import Generator
from numpy.typing import NDArray

from inkdigits.core.digits import PIXELS, SIDE, Pixels
from inkdigits.core.errors import UnknownName

Array = NDArray[Any]
Ink = NDArray[np.float32]

BLOCK = 250  # digits at a time, so that memory does not grow with their number
CENTRE = (SIDE - 1) / 2  # of the field, in pixels
TRUNCATE = 4.0  # sigmas that a Gaussian reaches, as SciPy's does

PHOTONS = 3  # that a pixel full of ink catches on average
FLIPPED = 0.17  # share of pixels that impulse noise makes white or black, half of them each
GLASS_SIGMA, GLASS_PASSES = 0.7, 2
MOTION_REACH, MOTION_SIGMA, MOTION_ANGLE = 20, 3.0, 45.0  # pixels, pixels, degrees either way
ANGLE = 0.4  # radians that `rotate` turns and `shear` slants by, either way
ZOOM = 0.7
BRIGHTER = 0.5
MOVED = 3  # pixels along both axes, either way
STRIPES = (slice(0, 7), slice(21, 28))  # columns
FOG, FOG_DECAY, FOG_SIDE = (
    3.0,
    1.4,
    256,
)  # amount; what roughness is divided by from octave to octave; pixels of a map
MAPS = 8  # at a time: 2 MB, which stay in the processor's cache
DROPS, DROP_SPREAD, DROP_SIGMA = (
    0.65,
    0.3,
    1.0,
)  # of the normal noise that becomes drops where it exceeds its own mean
MUD, MUD_SIGMA, MUD_LEAST = (
    63 / 255,
    1.5,
    0.8,
)  # its grey, the blur of a drop's border, the least of a drop that is seen
LINE_WIDTH = 2.3  # pixels from a line to where its ink would become minus infinity
ZIGZAG_COLUMNS = (2, 25)
TEETH = np.array(
    [(0, 0), (2, 2), (6, -2), (10, 2), (14, -2), (18, 2), (22, -2)]
)  # of a zigzag: pixels along its axis and off it
CANNY_SIGMA, CANNY_LOW, CANNY_HIGH = (
    1.0,
    0.1,
    0.2,
)  # thresholds for Sobel's unnormalised slopes of ink 0 to 1


def corrupt(images: Pixels, corruption: str, seed: int = 0) -> Pixels:
    """The digits, each through its own draw of one corruption. images, returns: uint8 (N, 28, 28).

    corruption: a name in CORRUPTIONS. Same digits, same seed and same version of numpy, same bits;
    what one corruption draws does not depend on the others. Raises UnknownName.
    """
    if corruption not in CORRUPTIONS:
        raise UnknownName("corruption", corruption, CORRUPTIONS)

    generator = np.random.default_rng([seed, list(CORRUPTIONS).index(corruption)])
    corrupted = np.empty_like(images)
    for start in range(0, len(images), BLOCK):
        block = slice(start, start + BLOCK)
        ink = CORRUPTIONS[corruption](np.divide(images[block], 255, dtype=np.float32), generator)
        corrupted[block] = np.rint(255 * ink.clip(0, 1)).astype(np.uint8)

    return corrupted


# ---- noise


def shot_noise(ink: Ink, generator: Generator) -> Array:
    """So little light that photons can be counted."""
    return generator.poisson(PHOTONS * ink) / PHOTONS


def impulse_noise(ink: Ink, generator: Generator) -> Array:
    """Salt and pepper."""
    draw = generator.random(ink.shape)
    return np.where(draw < FLIPPED / 2, 1, np.where(draw < FLIPPED, 0, ink))


# ---- blur


def glass_blur(ink: Ink, generator: Generator) -> Array:
    """Seen through frosted glass: blurred, neighbouring pixels exchanged at random, blurred again.

    From the lower right corner on, every second pixel changes places with its left, upper or upper
    left neighbour or itself. The benchmark's blur takes columns for colour channels, and so blurs
    each for itself, from top to bottom.
    """
    columns = _gaussian(GLASS_SIGMA, "edge")
    pixels = np.ascontiguousarray(
        (columns @ ink).reshape(len(ink), PIXELS).T
    )  # (784, n): one place of all digits side by side
    places = [
        SIDE * row + column for row in range(27, 1, -1) for column in range(27, 1, -1)
    ] * GLASS_PASSES
    steps = np.array([0, 0, 0, 0, 0, 1, SIDE, SIDE + 1])[
        generator.integers(8, size=(len(places), len(ink)))
    ]
    digits = np.arange(len(ink))

    for place, step in zip(places, steps, strict=True):
        there = (place - step, digits)
        pixels[place], pixels[there] = pixels[there], pixels[place].copy()

    return columns @ pixels.T.reshape(ink.shape)


def motion_blur(ink: Ink, generator: Generator) -> Array:
    """The camera moved: half a Gaussian along a line, whose points are rounded to pixels. As
    ImageMagick does it.
    """
    angle = np.radians(generator.uniform(-MOTION_ANGLE, MOTION_ANGLE, len(ink)))
    taps = np.arange(MOTION_REACH + 1)
    weights = np.exp(-(taps**2) / (2 * MOTION_SIGMA**2))
    blurred = np.zeros_like(ink)

    for tap, weight in zip(taps, weights / weights.sum(), strict=True):
        down, across = (
            np.ceil(tap * part - 0.5).astype(int) for part in (np.sin(angle), np.cos(angle))
        )
        blurred += np.float32(weight) * _moved(ink, down, across, MOTION_REACH, "edge")

    return blurred


# ---- geometry


def shear(ink: Ink, generator: Generator) -> Array:
    """Slanted. The benchmark's shear turns the vertical axis without stretching it, and so makes
    digits 8 % taller, too.
    """
    return _either_way(ink, generator, lambda angle: [[1, -math.sin(angle)], [0, math.cos(angle)]])


def scale(ink: Ink, _: Generator) -> Array:
    """Smaller."""
    return _warped(ink, [[1 / ZOOM, 0], [0, 1 / ZOOM]])


def rotate(ink: Ink, generator: Generator) -> Array:
    """Turned."""
    return _either_way(
        ink,
        generator,
        lambda angle: [[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]],
    )


def translate(ink: Ink, generator: Generator) -> Array:
    """Moved along both axes."""
    down, across = generator.choice([-MOVED, MOVED], (2, len(ink)))
    return _moved(ink, down, across, MOVED, "constant")


# ---- light and weather


def brightness(ink: Ink, _: Generator) -> Array:
    """Grey paper."""
    return ink + BRIGHTER


def stripe(ink: Ink, _: Generator) -> Array:
    """Black and white exchanged, but for a vertical stripe in the middle."""
    striped = ink.copy()
    for columns in STRIPES:
        striped[:, :, columns] = 1 - striped[:, :, columns]
    return striped


def fog(ink: Ink, generator: Generator) -> Array:
    """A cloud before a digit that keeps a quarter of its contrast."""
    darkest = ink.max(axis=(1, 2), keepdims=True)
    clouds = [
        _plasma(min(MAPS, len(ink) - start), generator)[:, :SIDE, :SIDE]
        for start in range(0, len(ink), MAPS)
    ]
    return (ink + FOG * np.concatenate(clouds)) * darkest / (darkest + FOG)


def spatter(ink: Ink, generator: Generator) -> Array:
    """Drops of mud."""
    wet = _blurred(generator.normal(DROPS, DROP_SPREAD, ink.shape), DROP_SIGMA) > DROPS
    mud = _blurred(wet.astype(float), MUD_SIGMA)
    mud[mud < MUD_LEAST] = 0
    return ink * (1 - mud) + MUD * mud


# ---- lines


def dotted_line(ink: Ink, generator: Generator) -> Array:
    """A line from the left to the right border, two columns of every four."""
    left, right = generator.integers(27, size=(2, len(ink)))
    drawn = _line(np.zeros(len(ink)), left, np.full(len(ink), 27), right)
    return ink + drawn * (np.arange(SIDE) // 2 % 2)


def zigzag(ink: Ink, generator: Generator) -> Array:
    """A line of six teeth, which rises by up to 4 pixels or falls by up to 5. Its lines' ink adds
    up where they meet.
    """
    begin, end = ZIGZAG_COLUMNS
    top, rise = generator.integers(27, size=len(ink)), generator.integers(-5, 5, size=len(ink))
    length = np.hypot(end - begin, rise)
    cos, sin = (end - begin) / length, rise / length
    along, off = (np.outer(places, np.ones(len(ink))) for places in TEETH.T)  # (7, n) each
    along, off = (
        np.vstack([along, length]),
        np.vstack([off, -1 / (length - 20)]),
    )  # the benchmark's way to end near the axis

    x, y = begin + cos * along - sin * off, top + sin * along + cos * off
    return ink + sum(_line(x[i], y[i], x[i + 1], y[i + 1]) for i in range(len(TEETH)))


def canny_edges(ink: Ink, _: Generator) -> Array:
    """Outlines, one pixel wide: ridges of the slope that are steep somewhere and nowhere flat.
    Source: Canny 1986.

    As scikit-image has it: beyond the field there is nothing to blur with, and its border has no
    edges.
    """
    blur = _gaussian(CANNY_SIGMA, "constant")
    padded = np.pad(blur @ ink.astype(float) @ blur.T, ((0, 0), (1, 1), (1, 1)), "symmetric")
    down, across = _sobel(padded), _sobel(padded.swapaxes(1, 2)).swapaxes(1, 2)
    steepness = np.hypot(down, across)
    inside = (slice(None), slice(1, -1), slice(1, -1))
    ridge = np.zeros(ink.shape, bool)

    ridge[inside] = _is_ridge(steepness, down[inside], across[inside])
    # No edge touches the border, so that digits stacked to one tall picture share none, and are
    # labelled in one go.
    weak = ridge & (steepness >= CANNY_LOW)
    count, labels = cv2.connectedComponents(weak.reshape(-1, SIDE).astype(np.uint8), connectivity=8)
    kept = np.zeros(count, bool)
    kept[labels[(weak & (steepness >= CANNY_HIGH)).reshape(-1, SIDE)]] = True

    return kept[labels].reshape(ink.shape)


CORRUPTIONS: dict[str, Callable[[Ink, Generator], Array]] = {
    change.__name__: change
    for change in (  # in the paper's order
        shot_noise,
        impulse_noise,
        glass_blur,
        motion_blur,
        shear,
        scale,
        rotate,
        brightness,
        translate,
        stripe,
        fog,
        spatter,
        dotted_line,
        zigzag,
        canny_edges,
    )
}
AFFINE = (
    "shear",
    "scale",
    "rotate",
    "translate",
)  # what the usual augmentation of a network covers


# ---- what they are made of


@lru_cache
def _gaussian(sigma: float, border: str) -> Array:
    """(28, 28) float64 that blurs along an axis: `_gaussian @ ink` along columns, `ink @
    _gaussian.T` along rows.

    border: as for np.pad; with "constant" what lies beyond counts for nothing, not for paper.
    """
    reach = int(TRUNCATE * sigma + 0.5)
    distance = np.arange(SIDE)[:, None] - np.arange(-reach, SIDE + reach)
    weights = np.where(abs(distance) <= reach, np.exp(-(distance**2) / (2 * sigma**2)), 0)
    inside = weights @ np.pad(np.eye(SIDE), ((reach, reach), (0, 0)), border)  # type: ignore[call-overload] # border is a mode
    return inside / inside.sum(axis=1, keepdims=True)


def _blurred(ink: Array, sigma: float) -> Array:
    blur = _gaussian(sigma, "edge")
    return blur @ ink @ blur.T


def _moved(ink: Ink, down: Array, across: Array, reach: int, border: str) -> Ink:
    """Each digit as seen by a field that moved by whole pixels. down, across: int (n,), at most
    `reach` either way.
    """
    padded = np.pad(ink, ((0, 0), (reach, reach), (reach, reach)), border)  # type: ignore[call-overload] # border is a mode
    fields = sliding_window_view(padded, (SIDE, SIDE), axis=(1, 2))
    return fields[np.arange(len(ink)), reach + down, reach + across]


def _either_way(
    ink: Ink, generator: Generator, matrix: Callable[[float], list[list[float]]]
) -> Ink:
    """Each digit warped by the matrix of ANGLE or of -ANGLE."""
    turned = generator.choice([False, True], len(ink))
    warped = np.empty_like(ink)
    for chosen, angle in ((turned, ANGLE), (~turned, -ANGLE)):
        warped[chosen] = _warped(ink[chosen], matrix(angle))
    return warped


def _warped(ink: Ink, matrix: list[list[float]]) -> Ink:
    """Resampled: what lies at (x, y) from the centre comes from matrix @ (x, y), bilinearly; beyond
    the field there is paper.
    """
    from_centre = np.arange(SIDE) - CENTRE
    across, down = CENTRE + np.tensordot(matrix, np.meshgrid(from_centre, from_centre), axes=1)
    left, top = np.floor(across), np.floor(down)
    padded = np.pad(ink, ((0, 0), (1, 1), (1, 1)))
    warped = np.zeros_like(ink)

    for row, column in ((top, left), (top, left + 1), (top + 1, left), (top + 1, left + 1)):
        weights = (1 - abs(down - row)) * (1 - abs(across - column))
        rows, columns = (np.clip(place + 1, 0, SIDE + 1).astype(int) for place in (row, column))
        warped += weights.astype(np.float32) * padded[:, rows, columns]

    return warped


def _plasma(count: int, generator: Generator) -> Ink:
    """Clouds: (count, 256, 256), each from 0 to 1. Octave after octave, a point between four others
    is their mean plus noise.

    Edges are joined, left to right and top to bottom. Source: Fournier, Fussell & Carpenter 1982
    (diamond-square).
    """
    heights = np.zeros((count, 1, 1), np.float32)
    roughness = 1.0

    def mean(around: Ink) -> Ink:
        return around / 4 + np.float32(roughness) * (
            2 * generator.random(around.shape, np.float32) - 1
        )

    while heights.shape[1] < FOG_SIDE:
        below, right = np.roll(heights, -1, axis=1), np.roll(heights, -1, axis=2)
        centres = mean(heights + below + right + np.roll(below, -1, axis=2))
        finer = np.empty((count, 2 * heights.shape[1], 2 * heights.shape[1]), np.float32)
        finer[:, ::2, ::2], finer[:, 1::2, 1::2] = heights, centres
        finer[:, ::2, 1::2] = mean(heights + right + centres + np.roll(centres, 1, axis=1))
        finer[:, 1::2, ::2] = mean(heights + below + centres + np.roll(centres, 1, axis=2))

        heights = finer
        roughness /= FOG_DECAY**2  # the benchmark multiplies by it twice

    heights -= heights.min(axis=(1, 2), keepdims=True)
    return heights / heights.max(axis=(1, 2), keepdims=True)


def _line(left: Array, top: Array, right: Array, bottom: Array) -> Array:
    """The ink of a line a digit, from column `left` (n,) at row `top` to `right` at `bottom`: (n,
    28, 28), 1 at its middle.

    Distance is measured along the column. The last column, unless it is a fraction, gets none.
    """
    x, y = np.arange(SIDE), np.arange(SIDE)[:, None]
    left, top, right, bottom = (place[:, None, None] for place in (left, top, right, bottom))
    distance = abs(y - top - (x - left) * (bottom - top) / (right - left))
    ink = 1 + np.log(np.maximum(1 - distance / LINE_WIDTH, 1 / math.e))
    return np.where((x >= np.floor(left)) & (x < np.ceil(right)), ink, 0)


def _sobel(padded: Array) -> Array:
    """The slope from top to bottom, eight times too steep: (n, 30, 30) -> (n, 28, 28)."""
    slope = padded[:, 2:] - padded[:, :-2]
    return slope[:, :, :-2] + 2 * slope[:, :, 1:-1] + slope[:, :, 2:]


def _is_ridge(steepness: Array, down: Array, across: Array) -> Array:
    """Where it is nowhere steeper ahead and behind, in the direction of the slope: bool (n, 26,
    26), without the border.

    Ahead is where the ring of the eight neighbours is met, between a neighbour that shares a side
    and one that shares a corner.
    """
    places = np.arange(steepness.size).reshape(steepness.shape)[:, 1:-1, 1:-1]
    steep = abs(down) >= abs(across)
    step_down, step_across = SIDE * np.sign(down).astype(int), np.sign(across).astype(int)
    straight = np.where(steep, step_down, step_across)
    smaller, larger = np.minimum(abs(down), abs(across)), np.maximum(abs(down), abs(across))
    askew = np.divide(smaller, larger, out=np.zeros_like(larger), where=larger > 0)

    flat = steepness.ravel()

    def beside(way: int) -> Array:
        return (
            askew * flat[places + way * (step_down + step_across)]
            + (1 - askew) * flat[places + way * straight]
        )

    return (beside(1) <= flat[places]) & (beside(-1) <= flat[places])
