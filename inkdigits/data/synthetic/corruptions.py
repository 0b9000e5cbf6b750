"""MNIST-C's fifteen corruptions, which show how a network does on what it has not learned from.

uint8 (N, 28, 28) comes in and goes out, paper 0 to ink 255. In between, ink is float32 (n, 28, 28),
paper 0 to ink 1; what leaves that range is clipped.

Source of the definitions: Mu & Gilmer 2019, "MNIST-C: a robustness benchmark for computer vision"
(arXiv 1906.02337), and the parameters of the program that made its files, at the one severity that
it uses. Where that program does something else than its names promise, so does this one, or figures
could not be compared; a comment says so. The draws of its files cannot be repeated: an accuracy on
these digits is another sample of the same thing.
"""

import math
from collections.abc import Callable
from functools import lru_cache
from itertools import pairwise

import cv2
import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.random import Generator
from numpy.typing import NDArray

from inkdigits.core.digits import PIXELS, SIDE, Array, Pixels
from inkdigits.core.errors import look_up

InkImages = NDArray[np.float32]

DIGITS_AT_A_TIME = 250  # digits at a time, so that memory does not grow with their number
IMAGE_CENTRE = (SIDE - 1) / 2  # of an image, in pixels
TRUNCATE = 4.0  # sigmas that a Gaussian reaches, as SciPy's does

PHOTONS = 3  # that a pixel full of ink catches on average
FLIPPED = 0.17  # share of pixels that impulse noise makes white or black, half of them each

GLASS_SIGMA = 0.7
GLASS_PASSES = 2
MOTION_REACH = 20  # pixels
MOTION_SIGMA = 3.0  # pixels
MOTION_ANGLE = 45.0  # degrees either way

ANGLE = 0.4  # radians that `rotate` turns and `shear` slants by, either way
ZOOM = 0.7
BRIGHTER = 0.5
MOVED = 3  # pixels along both axes, either way
STRIPES = (slice(0, 7), slice(21, 28))  # columns

FOG = 3.0  # amount
FOG_DECAY = 1.4  # what roughness is divided by from octave to octave
FOG_SIDE = 256  # pixels of a map
FOG_MAPS = 8  # at a time: 2 MB, which stay in the processor's cache

DROPS = 0.65  # mean of the normal noise that becomes drops where it exceeds this mean
DROP_SPREAD = 0.3
DROP_SIGMA = 1.0
MUD = 63 / 255  # grey
MUD_SIGMA = 1.5  # pixels that the border of a drop is blurred by
MUD_LEAST = 0.8  # of a drop that is seen

LINE_WIDTH = 2.3  # pixels from a line to where its ink would become minus infinity
ZIGZAG_COLUMNS = (2, 25)
# The corners of a zigzag: pixels along its axis, and off it.
ZIGZAG_TEETH = ((0, 0), (2, 2), (6, -2), (10, 2), (14, -2), (18, 2), (22, -2))

CANNY_SIGMA = 1.0
CANNY_LOW = 0.1  # thresholds of Sobel's unnormalised slopes of ink 0 to 1
CANNY_HIGH = 0.2


def corrupt(images: Pixels, corruption: str, seed: int = 0) -> Pixels:
    """Put each digit through its own draw of one corruption.

    The same digits, seed and version of NumPy give the same bits. What one corruption draws does
    not depend on the others.

    Args:
        images: uint8 (N, 28, 28).
        corruption: a name in CORRUPTIONS.
        seed: of the draws.

    Returns:
        uint8 (N, 28, 28).

    Raises:
        UnknownName: there is no such corruption.
    """
    change = look_up("corruption", corruption, CORRUPTIONS)
    generator = np.random.default_rng([seed, list(CORRUPTIONS).index(corruption)])
    corrupted = np.empty_like(images)
    for start in range(0, len(images), DIGITS_AT_A_TIME):
        block = slice(start, start + DIGITS_AT_A_TIME)
        ink = np.divide(images[block], 255, dtype=np.float32)
        changed = change(ink, generator)
        corrupted[block] = np.rint(255 * changed.clip(0, 1)).astype(np.uint8)

    return corrupted


# ---- noise


def shot_noise(ink: InkImages, generator: Generator) -> Array:
    """Return the digits in so little light that photons can be counted."""
    return generator.poisson(PHOTONS * ink) / PHOTONS


def impulse_noise(ink: InkImages, generator: Generator) -> Array:
    """Return the digits with salt and pepper on them."""
    draw = generator.random(ink.shape)
    return np.where(draw < FLIPPED / 2, 1, np.where(draw < FLIPPED, 0, ink))


# ---- blur


def glass_blur(ink: InkImages, generator: Generator) -> Array:
    """Return the digits behind frosted glass: blurred, with pixels exchanged, and blurred again.

    From the lower right corner on, every second pixel changes places with its left, upper or upper
    left neighbour or itself. The benchmark's blur takes columns for colour channels, and so blurs
    each for itself, from top to bottom.
    """
    blur = _gaussian(GLASS_SIGMA, "edge")
    blurred = (blur @ ink).reshape(len(ink), PIXELS)
    pixels = np.ascontiguousarray(blurred.T)  # (784, n): one place of all digits side by side

    inner = range(SIDE - 1, 1, -1)
    places = [SIDE * row + column for row in inner for column in inner] * GLASS_PASSES
    draws = generator.integers(8, size=(len(places), len(ink)))

    steps = np.array([0, 0, 0, 0, 0, 1, SIDE, SIDE + 1])[draws]
    digits = np.arange(len(ink))
    for place, step in zip(places, steps, strict=True):
        there = (place - step, digits)
        pixels[place], pixels[there] = pixels[there], pixels[place].copy()

    return blur @ pixels.T.reshape(ink.shape)


def motion_blur(ink: InkImages, generator: Generator) -> Array:
    """Return the digits as a moving camera sees them: half a Gaussian along a line.

    The points of the line are rounded to pixels, as ImageMagick does it.
    """
    angle = np.radians(generator.uniform(-MOTION_ANGLE, MOTION_ANGLE, len(ink)))
    direction = np.stack([np.sin(angle), np.cos(angle)])
    taps = np.arange(MOTION_REACH + 1)
    weights = np.exp(-(taps**2) / (2 * MOTION_SIGMA**2))
    weights /= weights.sum()

    blurred = np.zeros_like(ink)

    for tap, weight in zip(taps, weights, strict=True):
        down, across = np.ceil(tap * direction - 0.5).astype(int)
        blurred += np.float32(weight) * _moved(ink, down, across, MOTION_REACH, "edge")

    return blurred


# ---- geometry


def shear(ink: InkImages, generator: Generator) -> Array:
    """Return the digits slanted.

    The benchmark's shear turns the vertical axis without stretching it, and so makes digits 8 %
    taller, too.
    """
    return _either_way(ink, generator, lambda angle: [[1, -math.sin(angle)], [0, math.cos(angle)]])


def scale(ink: InkImages, _: Generator) -> Array:
    """Return the digits smaller."""
    return _warped(ink, [[1 / ZOOM, 0], [0, 1 / ZOOM]])


def rotate(ink: InkImages, generator: Generator) -> Array:
    """Return the digits turned."""
    return _either_way(
        ink,
        generator,
        lambda angle: [[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]],
    )


def translate(ink: InkImages, generator: Generator) -> Array:
    """Return the digits moved along both axes."""
    down, across = generator.choice([-MOVED, MOVED], (2, len(ink)))
    return _moved(ink, down, across, MOVED, "constant")


# ---- light and weather


def brightness(ink: InkImages, _: Generator) -> Array:
    """Return the digits on grey paper."""
    return ink + BRIGHTER


def stripe(ink: InkImages, _: Generator) -> Array:
    """Return the digits with black and white exchanged, but for a vertical stripe in the middle."""
    striped = ink.copy()
    for columns in STRIPES:
        striped[:, :, columns] = 1 - striped[:, :, columns]
    return striped


def fog(ink: InkImages, generator: Generator) -> Array:
    """Return the digits behind a cloud that leaves a quarter of their contrast."""
    clouds = [
        plasma(min(FOG_MAPS, len(ink) - start), generator)[:, :SIDE, :SIDE]
        for start in range(0, len(ink), FOG_MAPS)
    ]
    darkest = ink.max(axis=(1, 2), keepdims=True)
    return (ink + FOG * np.concatenate(clouds)) * darkest / (darkest + FOG)


def spatter(ink: InkImages, generator: Generator) -> Array:
    """Return the digits under drops of mud."""
    wet = _blurred(generator.normal(DROPS, DROP_SPREAD, ink.shape), DROP_SIGMA) > DROPS
    mud = _blurred(wet.astype(float), MUD_SIGMA)
    mud[mud < MUD_LEAST] = 0
    return ink * (1 - mud) + MUD * mud


# ---- lines


def dotted_line(ink: InkImages, generator: Generator) -> Array:
    """Return the digits with a line from border to border, two columns of every four."""
    left, right = generator.integers(27, size=(2, len(ink)))
    line = _line(np.zeros(len(ink)), left, np.full(len(ink), 27), right)
    return ink + line * (np.arange(SIDE) // 2 % 2)


def zigzag(ink: InkImages, generator: Generator) -> Array:
    """Return the digits with a line of six teeth, which rises by up to 4 pixels or falls by 5.

    The ink of its parts adds up where they meet.
    """
    begin, end = ZIGZAG_COLUMNS
    top = generator.integers(27, size=len(ink))
    rise = generator.integers(-5, 5, size=len(ink))
    length = np.hypot(end - begin, rise)
    cos = (end - begin) / length
    sin = rise / length

    last = (length, -1 / (length - 20))  # the benchmark's way to end near the axis
    corners = [
        (begin + cos * along - sin * off, top + sin * along + cos * off)
        for along, off in (*ZIGZAG_TEETH, last)
    ]
    return ink + sum(_line(*corner, *other) for corner, other in pairwise(corners))


def canny_edges(ink: InkImages, _: Generator) -> Array:
    """Return the outlines, one pixel wide: ridges of the slope, steep somewhere and nowhere flat.

    Source: Canny 1986, as scikit-image has it: beyond the image there is nothing to blur with, and
    its border has no edges.
    """
    blur = _gaussian(CANNY_SIGMA, "constant")
    padded = np.pad(blur @ ink.astype(float) @ blur.T, ((0, 0), (1, 1), (1, 1)), "symmetric")
    down = _sobel(padded)
    across = _sobel(padded.swapaxes(1, 2)).swapaxes(1, 2)
    steepness = np.hypot(down, across)

    inside = (slice(None), slice(1, -1), slice(1, -1))

    ridge = np.zeros(ink.shape, bool)
    ridge[inside] = _is_ridge(steepness, down[inside], across[inside])
    weak = ridge & (steepness >= CANNY_LOW)
    strong = weak & (steepness >= CANNY_HIGH)

    # No edge touches the border: digits stacked to one tall picture share no connected component.
    stacked = weak.reshape(-1, SIDE).astype(np.uint8)
    count, labels = cv2.connectedComponents(stacked, connectivity=8)

    kept = np.zeros(count, bool)
    kept[labels[strong.reshape(-1, SIDE)]] = True
    return kept[labels].reshape(ink.shape)


CORRUPTIONS: dict[str, Callable[[InkImages, Generator], Array]] = {
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


# ---- what they are made of


@lru_cache
def _gaussian(sigma: float, border: str) -> Array:
    """Return the matrix that blurs along an axis: `_gaussian @ ink` along columns.

    Args:
        sigma: in pixels.
        border: as for np.pad; with "constant", pixels beyond count for nothing, not for paper.

    Returns:
        (28, 28) float64.
    """
    reach = int(TRUNCATE * sigma + 0.5)
    distance = np.arange(SIDE)[:, None] - np.arange(-reach, SIDE + reach)
    weights = np.where(abs(distance) <= reach, np.exp(-(distance**2) / (2 * sigma**2)), 0)
    beyond = np.pad(np.eye(SIDE), ((reach, reach), (0, 0)), border)  # type: ignore[call-overload]
    inside = weights @ beyond

    return inside / inside.sum(axis=1, keepdims=True)


def _blurred(ink: Array, sigma: float) -> Array:
    blur = _gaussian(sigma, "edge")
    return blur @ ink @ blur.T


def _moved(ink: InkImages, down: Array, across: Array, reach: int, border: str) -> InkImages:
    """Return each digit as seen by a window that moved by whole pixels.

    Args:
        ink: (n, 28, 28).
        down: int (n,), at most `reach` either way.
        across: likewise.
        reach: in pixels.
        border: as for np.pad.
    """
    around = ((0, 0), (reach, reach), (reach, reach))
    padded = np.pad(ink, around, border)  # type: ignore[call-overload]
    windows = sliding_window_view(padded, (SIDE, SIDE), axis=(1, 2))
    return windows[np.arange(len(ink)), reach + down, reach + across]


def _either_way(
    ink: InkImages, generator: Generator, matrix: Callable[[float], list[list[float]]]
) -> InkImages:
    """Return each digit warped by the matrix of ANGLE or of -ANGLE."""
    turned = generator.choice([False, True], len(ink))
    warped = np.empty_like(ink)
    warped[turned] = _warped(ink[turned], matrix(ANGLE))
    warped[~turned] = _warped(ink[~turned], matrix(-ANGLE))
    return warped


def _warped(ink: InkImages, matrix: list[list[float]]) -> InkImages:
    """Return the digits resampled bilinearly; (x, y) from the centre comes from matrix @ (x, y).

    Beyond the image there is paper.
    """
    from_centre = np.arange(SIDE) - IMAGE_CENTRE
    across, down = IMAGE_CENTRE + np.tensordot(
        matrix, np.meshgrid(from_centre, from_centre), axes=1
    )
    left = np.floor(across)
    top = np.floor(down)
    padded = np.pad(ink, ((0, 0), (1, 1), (1, 1)))

    warped = np.zeros_like(ink)

    for row, column in ((top, left), (top, left + 1), (top + 1, left), (top + 1, left + 1)):
        weights = (1 - abs(down - row)) * (1 - abs(across - column))
        rows = np.clip(row + 1, 0, SIDE + 1).astype(int)
        columns = np.clip(column + 1, 0, SIDE + 1).astype(int)
        warped += weights.astype(np.float32) * padded[:, rows, columns]

    return warped


def plasma(count: int, generator: Generator) -> InkImages:
    """Return clouds: octave after octave, a point between four others is their mean plus noise.

    Edges are joined, left to right and top to bottom. Source: Fournier, Fussell & Carpenter 1982
    (the diamond-square algorithm).

    Returns:
        (count, 256, 256), each cloud from 0 to 1.
    """
    heights = np.zeros((count, 1, 1), np.float32)
    roughness = 1.0

    def displaced(around: InkImages) -> InkImages:
        noise = 2 * generator.random(around.shape, np.float32) - 1
        return around / 4 + np.float32(roughness) * noise

    while heights.shape[1] < FOG_SIDE:
        below = np.roll(heights, -1, axis=1)
        right = np.roll(heights, -1, axis=2)
        centres = displaced(heights + below + right + np.roll(below, -1, axis=2))

        finer = np.empty((count, 2 * heights.shape[1], 2 * heights.shape[1]), np.float32)
        finer[:, ::2, ::2] = heights
        finer[:, 1::2, 1::2] = centres

        finer[:, ::2, 1::2] = displaced(heights + right + centres + np.roll(centres, 1, axis=1))
        finer[:, 1::2, ::2] = displaced(heights + below + centres + np.roll(centres, 1, axis=2))
        heights = finer
        roughness /= FOG_DECAY**2  # the benchmark multiplies by it twice

    heights -= heights.min(axis=(1, 2), keepdims=True)
    return heights / heights.max(axis=(1, 2), keepdims=True)


def _line(left: Array, top: Array, right: Array, bottom: Array) -> Array:
    """Return the ink of one line for each digit: (n, 28, 28), 1 at its middle.

    Distance is measured along the column. The last column, unless it is a fraction, gets none.

    Args:
        left: (n,), the column where it begins.
        top: (n,), the row where it begins.
        right: (n,), the column where it ends.
        bottom: (n,), the row where it ends.
    """
    x = np.arange(SIDE)
    y = np.arange(SIDE)[:, None]
    left, top, right, bottom = (place[:, None, None] for place in (left, top, right, bottom))
    distance = abs(y - top - (x - left) * (bottom - top) / (right - left))
    ink = 1 + np.log(np.maximum(1 - distance / LINE_WIDTH, 1 / math.e))

    return np.where((x >= np.floor(left)) & (x < np.ceil(right)), ink, 0)


def _sobel(padded: Array) -> Array:
    """Return the slope from top to bottom, eight times too steep: (n, 30, 30) -> (n, 28, 28)."""
    slope = padded[:, 2:] - padded[:, :-2]
    return slope[:, :, :-2] + 2 * slope[:, :, 1:-1] + slope[:, :, 2:]


def _is_ridge(steepness: Array, down: Array, across: Array) -> Array:
    """Tell where it is nowhere steeper ahead and behind, in the direction of the slope.

    Ahead is where the ring of the eight neighbours is met, between a neighbour that shares a side
    and one that shares a corner.

    Args:
        steepness: (n, 28, 28).
        down: (n, 26, 26), the slope from top to bottom, without the border.
        across: (n, 26, 26), the slope from left to right.

    Returns:
        bool (n, 26, 26).
    """
    step_down = SIDE * np.sign(down).astype(int)
    step_across = np.sign(across).astype(int)
    straight = np.where(abs(down) >= abs(across), step_down, step_across)
    smaller = np.minimum(abs(down), abs(across))
    larger = np.maximum(abs(down), abs(across))
    askew = np.divide(smaller, larger, out=np.zeros_like(larger), where=larger > 0)

    flat = steepness.ravel()
    places = np.arange(steepness.size).reshape(steepness.shape)[:, 1:-1, 1:-1]

    def beside(way: int) -> Array:
        corner = flat[places + way * (step_down + step_across)]
        side = flat[places + way * straight]
        return askew * corner + (1 - askew) * side

    return (beside(1) <= flat[places]) & (beside(-1) <= flat[places])
