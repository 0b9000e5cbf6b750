"""Draw training pages: pictures of handwritten numbers with the owner of every pixel of ink.

    glyphs -> writing (one hand) -> layouts | grounds | prints -> camera -> TrainingPage

A page depends on its seed, index, size and split alone, so any number of processes can draw any
pages in any order.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from inkdigits.core.digits import Pixels
from inkdigits.data.synthetic.training_pages import camera, grounds, prints
from inkdigits.data.synthetic.training_pages.boxes import Box, overlap, whole, window
from inkdigits.data.synthetic.training_pages.camera import random_lens
from inkdigits.data.synthetic.training_pages.composition import ground, inked
from inkdigits.data.synthetic.training_pages.draws import (
    chance,
    integer,
    log_normal,
    log_uniform,
    one_of,
    pick,
)
from inkdigits.data.synthetic.training_pages.glyphs import Bank, bank
from inkdigits.data.synthetic.training_pages.hands import random_hand
from inkdigits.data.synthetic.training_pages.layouts import LAYOUTS
from inkdigits.data.synthetic.training_pages.lines import Writer
from inkdigits.data.synthetic.training_pages.media import MEDIA, Medium, Style, style
from inkdigits.data.synthetic.training_pages.pixels import Picture, Plane, Size, clouds
from inkdigits.data.synthetic.training_pages.writing import Writing

SPLITS = ("train", "validation")
MEDIUM_SHARES = {place: medium.share for place, medium in enumerate(MEDIA)}
BLANK = 0.08  # share of pages without a symbol
TINY = 0.04  # share of pages whose writing is too small to read
TINY_EM = (3.0, 8.0)  # pixels
EM = (11.0, 96.0)  # pixels, of digits
EM_MEDIAN, EM_SPREAD = 46.0, 0.42  # pixels; deviation of the logarithm
ANY_EM = 0.25  # share of pages whose digits may have any height in EM, log-uniform
SINGLE_EM = (18.0, 170.0)  # pixels, of a digit that stands alone
SINGLE_EM_MEDIAN, SINGLE_EM_SPREAD = 64.0, 0.55  # pixels; deviation of the logarithm
CROPPED = 0.3  # share of pages of which a piece is seen on some other ground
CORNERED = 0.6  # share of these pieces that lie in a corner, so that the picture cuts them there
FAINTEST = 30.0  # of 255, contrast that no fading goes below
NEGATIVE = 0.04  # share of files that are turned negative
LEAST_BINARY_EM = 14  # pixels; smaller digits cannot be read in black and white
LEAST_RESAMPLED_EM = 12  # pixels; smaller digits cannot be read when they are resampled
GRAIN = (1.0, 14.0)  # of 255, deviation of a sensor's noise
AMONG_OTHERS = 0.2  # share of pages where letters and signs stand among digits
# How much of something a page has, and how many pages have so much.
OTHERS = {0.15: 0.4, 0.4: 0.35, 1.0: 0.25}  # share of symbols that are letters and signs
OTHERS_ALONE = {0: 0.5, 0.3: 0.3, 1: 0.2}  # the same where one symbol stands alone
WORDS = {0: 0.8, 0.2: 0.15, 0.6: 0.05}  # share of numbers with a word beside
PENS = {1: 0.9, 2: 0.1}


@dataclass(frozen=True)
class TrainingPage:
    """A picture and what is written on it.

    Attributes:
        picture: uint8 (H, W, 3), red, green, blue.
        owner: int16 (H, W), 0 where no symbol's ink is, k where ink of symbol k - 1 is on top.
        kinds: int8 (K,), indices into SYMBOLS.
        boxes: float32 (K, 4), left, top, right, bottom of each symbol's ink in pixels, clipped to
            the picture.
        strings: for each written line its symbols in reading order.
    """

    picture: NDArray[np.uint8]
    owner: NDArray[np.int16]
    kinds: NDArray[np.int8]
    boxes: NDArray[np.float32]
    strings: tuple[tuple[int, ...], ...]


def prepare(split: str = "train") -> None:
    """Build what all pages of a split share, so that processes forked afterwards need not.

    OpenCV keeps to one thread from here on: a fork copies its pool without the threads, and would
    wait for them for ever.
    """
    cv2.setNumThreads(1)
    bank(split)
    grounds.tiles()
    prints.labels()
    prints.words()
    prints.capitals()


def training_page(
    seed: int,
    index: int,
    *,
    size: Size = (192, 192),
    split: str = "train",
) -> TrainingPage:
    """Draw a page.

    Args:
        seed: of a training.
        index: of the page in it.
        size: height and width of the picture, pixels; digits are as high on large pages as on small
            ones.
        split: train or validation; no hand is in both.

    Returns:
        The page, the same one every time.

    Raises:
        ValueError: there is no such split.
        BadData: MNIST's files are not in the folder of datasets.
    """
    if split not in SPLITS:
        raise ValueError(f"no split {split!r}; splits: {', '.join(SPLITS)}")

    cv2.setNumThreads(1)
    place = SPLITS.index(split)
    rng = np.random.default_rng((seed, index, *size, place))

    medium = MEDIA[pick(MEDIUM_SHARES, rng)]
    look = style(medium, rng)
    lens = random_lens(size, rng, tilt=look.tilt, skew=look.skew)
    writing = Writing(size, lens, hard=look.hard)

    blank = chance(BLANK, rng)
    tiny = chance(TINY, rng)
    em = _em(rng, tiny=tiny)
    if not blank:
        em = _write(writing, medium, look, em, bank(split), rng, tiny=tiny)

    picture = ground(medium, look, writing, em, rng, blank=blank)
    picture = inked(picture, look, writing, rng)
    if not blank and chance(CROPPED, rng):
        picture = _cropped(picture, writing, em, rng)
        if chance(CORNERED, rng):
            picture = _cornered(picture, writing, rng)

    if chance(medium.photographed, rng):
        picture, contrast = _photographed(picture, look.contrast(), rng)
    else:
        picture, contrast = _scanned(picture, look.contrast(), rng)

    if chance(0.1 if medium.name == "canvas" else 0.5, rng):
        _add_grain(picture, contrast, rng)

    return _finished(_filed(picture, medium, em, rng), writing, tiny=tiny)


def _em(rng: Generator, *, tiny: bool) -> float:
    """Draw the height of digits, pixels."""
    if tiny:
        return rng.uniform(*TINY_EM)
    if chance(ANY_EM, rng):
        return log_uniform(*EM, rng)
    return float(np.clip(log_normal(EM_MEDIAN, EM_SPREAD, rng), *EM))


def _write(
    writing: Writing,
    medium: Medium,
    look: Style,
    em: float,
    glyphs: Bank,
    rng: Generator,
    *,
    tiny: bool,
) -> float:
    """Write something that suits the medium; return the height of digits that was used."""
    hand = random_hand(glyphs, rng, pen=look.pen)
    layout = pick(medium.layouts, rng)
    alone = layout == "single"
    if alone and not tiny:
        em = float(np.clip(log_normal(SINGLE_EM_MEDIAN, SINGLE_EM_SPREAD, rng), *SINGLE_EM))
        em = min(em, 0.9 * writing.size[0])

    noise = _pressure(writing.size, hand.pressure, em, rng) if hand.pressure else None
    others = pick(OTHERS, rng) if chance(AMONG_OTHERS, rng) else 0.0
    if alone:
        others = pick(OTHERS_ALONE, rng)

    writer = Writer(
        writing,
        hand,
        glyphs,
        rng,
        em=em,
        pitch=em * rng.uniform(1.25, 2.4),
        others=others,
        noise=noise,
        drift=rng.normal(0, 0.02),
        words=pick(WORDS, rng),
        pens=pick(PENS, rng),
    )
    writing.covers = [np.zeros(writing.size, np.uint8) for _ in range(writer.pens)]
    LAYOUTS[layout](writer)

    return em


def _pressure(
    size: Size,
    pressure: float,
    em: float,
    rng: Generator,
) -> Plane:
    """Draw how a pen's width varies over the page, about 1."""
    height, width = size
    cell = 0.5 * em
    down = max(2, int(height / cell))
    across = max(2, int(width / cell))

    return 1 + 0.6 * pressure * clouds(size, (down, across), rng)


def _cropped(
    picture: Picture,
    writing: Writing,
    em: float,
    rng: Generator,
) -> Picture:
    """Keep a piece close around some lines, on one colour or with its edges drawn out."""
    if not writing.extents:
        return picture

    box = _around_lines(writing, em, rng)
    left, top, right, bottom = box.tolist()
    if right - left < em or bottom - top < em:
        return picture

    writing.crop(box)
    height, width = writing.size
    piece = picture[window(box)]
    edges = (top, height - bottom, left, width - right)

    ink = writing.owner[window(box)]
    ends = [0, -1]
    cut = ink[ends].any() or ink[:, ends].any()
    if not cut and chance(0.5, rng):
        return cv2.copyMakeBorder(piece, *edges, cv2.BORDER_REPLICATE)

    colour = [one_of((0, 128, 255), rng)] * 3
    if chance(0.4, rng):
        colour = piece.mean(axis=(0, 1)).tolist()

    return cv2.copyMakeBorder(piece, *edges, cv2.BORDER_CONSTANT, value=colour)


def _cornered(picture: Picture, writing: Writing, rng: Generator) -> Picture:
    """Move what a crop has kept into a corner of the picture."""
    left, top, right, bottom = writing.kept.tolist()
    height, width = writing.size
    across = one_of((-left, width - right), rng)
    down = one_of((-top, height - bottom), rng)
    writing.move(across, down)
    return np.roll(picture, (down, across), axis=(0, 1))


def _around_lines(writing: Writing, em: float, rng: Generator) -> Box:
    """Return a box of the picture close around some lines that follow each other."""
    first = integer(0, len(writing.extents), rng)
    count = one_of((1, 1, 2, 3), rng)
    lines = np.array(writing.extents[first : first + count])
    low = lines[:, :2].min(axis=0)
    high = lines[:, 2:].max(axis=0)

    low = writing.lens.seen(low) + rng.uniform(-0.5, 0.1, 2) * em
    high = writing.lens.seen(high) + rng.uniform(-0.1, 0.5, 2) * em
    box = np.rint(np.append(low, high)).astype(int)

    return overlap(box, whole(writing.size))


def _photographed(picture: Picture, contrast: float, rng: Generator) -> tuple[Picture, float]:
    """Let light, shadow, focus and fading do to a photo what they do.

    Args:
        picture: float32 (H, W, 3), 0 to 255.
        contrast: of the ink, 0 to 255; faint ink is spared what would make it invisible.
        rng: chance.

    Returns:
        The photo, and the ink's contrast in it.
    """
    if chance(0.7, rng):
        picture = camera.lit(picture, rng.uniform(0.05, 0.6), rng)
    if chance(0.3, rng):
        picture = camera.shaded(picture, rng.uniform(0.1, 0.55), rng)
    if chance(0.7, rng):
        picture = camera.blurred(picture, rng.uniform(0.35, 1.3), rng)
    if chance(0.2, rng):
        left = min(1.0, max(rng.uniform(0.35, 0.8), FAINTEST / contrast))
        picture = camera.faded(picture, left, rng)
        contrast *= left

    return picture, contrast


def _scanned(picture: Picture, contrast: float, rng: Generator) -> tuple[Picture, float]:
    """Blur some scans and canvases; return them, and the ink's contrast in them."""
    if chance(0.3, rng):
        picture = camera.blurred(picture, rng.uniform(0.3, 0.9), rng)
    return picture, contrast


def _add_grain(picture: Picture, contrast: float, rng: Generator) -> None:
    """Add a sensor's noise to a picture, alike in all channels or not."""
    size = picture.shape[:2]
    grain = grounds.piece(grounds.tiles().grain, size, rng)
    strength = min(log_uniform(*GRAIN, rng), contrast / 5)
    for channel in range(3):
        shift = 7 * channel * chance(0.4, rng)
        picture[..., channel] += np.roll(grain, shift) * strength


def _filed(
    picture: Picture,
    medium: Medium,
    em: float,
    rng: Generator,
) -> Pixels:
    """Make a file of the picture: grey or coloured, resampled, compressed, turned negative."""
    if chance(0.25, rng):
        picture = camera.grey(picture)

    stored = np.clip(picture, 0, 255).astype(np.uint8)
    if chance(NEGATIVE, rng):
        stored = 255 - stored
    if medium.name == "form" and em > LEAST_BINARY_EM and chance(0.06, rng):
        stored = camera.binary(stored, rng)

    return _stored(stored, medium, em, rng)


def _stored(
    stored: Pixels,
    medium: Medium,
    em: float,
    rng: Generator,
) -> Pixels:
    """Resample and compress some files."""
    on_canvas = medium.name == "canvas"
    if chance(0.2 if on_canvas else 0.12, rng) and em > LEAST_RESAMPLED_EM:
        factor = rng.uniform(max(0.25, 10 / em), 1)
        stored = camera.resampled(stored, factor, rng)
    if chance(0.2 if on_canvas else 0.5, rng):
        stored = camera.jpeg(stored, integer(25, 95, rng))
    return np.ascontiguousarray(stored)


def _finished(picture: Pixels, writing: Writing, *, tiny: bool) -> TrainingPage:
    """Keep the symbols that can be seen; of writing that is too small, none."""
    if tiny:
        writing.owner[:] = 0

    seen = writing.visible()
    kinds = [symbol.kind for symbol in seen.symbols]
    boxes = [symbol.box for symbol in seen.symbols]

    return TrainingPage(
        picture,
        owner=seen.owner,
        kinds=np.array(kinds, np.int8),
        boxes=np.array(boxes, np.float32).reshape(-1, 4),
        strings=tuple(map(tuple, seen.lines)),
    )
