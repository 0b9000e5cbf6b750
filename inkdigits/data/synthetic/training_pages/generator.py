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

from inkdigits.data.synthetic.training_pages import camera, grounds, layouts, prints
from inkdigits.data.synthetic.training_pages.camera import random_lens
from inkdigits.data.synthetic.training_pages.composition import ground, inked
from inkdigits.data.synthetic.training_pages.glyphs import bank
from inkdigits.data.synthetic.training_pages.hands import random_hand
from inkdigits.data.synthetic.training_pages.media import MEDIA, Medium, Style, style
from inkdigits.data.synthetic.training_pages.pixels import Picture, clouds, spread
from inkdigits.data.synthetic.training_pages.writing import Writing

SPLITS = ("train", "validation")
BLANK = 0.06  # share of pages without a symbol
TINY = 0.04  # share of pages whose writing is too small to read
TINY_EM = (3.0, 8.0)  # pixels
EM = (11.0, 96.0)  # pixels, of digits
EM_MEDIAN, EM_SPREAD = 46.0, 0.42  # pixels; deviation of the logarithm
ANY_EM = 0.25  # share of pages whose digits may have any height in EM, log-uniform
SINGLE_EM = (18.0, 170.0)  # pixels
CROPPED = 0.1  # share of pages of which a piece is seen on some other ground
FAINTEST = 30.0  # of 255, contrast that no fading goes below
AMONG_OTHERS = 0.2  # share of pages where letters and signs stand among digits


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
    """Build what all pages of a split share, so that processes forked afterwards need not."""
    bank(split)
    grounds.tiles()
    prints.labels()
    prints.capitals()


def training_page(
    seed: int, index: int, *, size: tuple[int, int] = (192, 192), split: str = "train"
) -> TrainingPage:
    """Draw a page.

    Args:
        seed: of a training.
        index: of the page in it.
        size: height and width of the picture, pixels; digits are as high on large pages as on small
            ones.
        split: train or validation; no hand is in both.

    Raises:
        ValueError: there is no such split.
        FileNotFoundError: MNIST's files are not in the folder of datasets.
    """
    if split not in SPLITS:
        raise ValueError(f"no split {split!r}; splits: {', '.join(SPLITS)}")
    cv2.setNumThreads(1)
    rng = np.random.default_rng((seed, index, *size, SPLITS.index(split)))

    medium = MEDIA[int(rng.choice(len(MEDIA), p=[medium.share for medium in MEDIA]))]
    look = style(medium, rng)
    lens = random_lens(size, rng, tilt=look.tilt, skew=look.skew)
    writing = Writing(size, lens, hard=look.hard)
    blank, tiny = rng.random() < BLANK, rng.random() < TINY
    em = _em(rng, tiny=tiny)
    if not blank:
        em = _write(writing, medium, look, em, split, rng, tiny=tiny)

    picture = ground(size, medium, look, writing, em, rng, blank=blank)
    picture = inked(picture, look, writing, rng)
    if not blank and rng.random() < CROPPED:
        picture = _cropped(picture, writing, em, rng)
    picture = _photographed(picture, medium, look.contrast(), rng)
    return _finished(_filed(picture, medium, em, rng), writing, tiny=tiny)


def _em(rng: Generator, *, tiny: bool) -> float:
    if tiny:
        return float(rng.uniform(*TINY_EM))
    if rng.random() < ANY_EM:
        return float(np.exp(rng.uniform(*np.log(EM))))
    return float(np.clip(np.exp(rng.normal(np.log(EM_MEDIAN), EM_SPREAD)), *EM))


def _write(
    writing: Writing,
    medium: Medium,
    look: Style,
    em: float,
    split: str,
    rng: Generator,
    *,
    tiny: bool,
) -> float:
    """Write something that suits the medium; return the height of digits that was used."""
    glyphs = bank(split)
    hand = random_hand(glyphs, rng, pen=look.pen)
    layout = str(rng.choice(list(medium.layouts), p=list(medium.layouts.values())))
    if layout == "single" and not tiny:
        em = float(np.clip(np.exp(rng.normal(np.log(64), 0.55)), *SINGLE_EM))
        em = min(em, 0.9 * writing.size[0])
    noise = None
    if hand.pressure:
        down, across = (max(2, int(side / (0.5 * em))) for side in writing.size)
        noise = 1 + np.float32(0.6 * hand.pressure) * clouds(writing.size, (down, across), rng)
    others = 0.0
    if rng.random() < AMONG_OTHERS:
        others = float(rng.choice([0.15, 0.4, 1.0], p=[0.4, 0.35, 0.25]))
    if layout == "single":
        others = float(rng.choice([0, 0.3, 1], p=[0.5, 0.3, 0.2]))

    task = layouts.Task(
        writing,
        hand,
        glyphs,
        rng,
        em=em,
        pitch=em * float(rng.uniform(1.25, 2.4)),
        others=others,
        noise=noise,
        drift=float(rng.normal(0, 0.02)),
        words=float(rng.choice([0, 0.2, 0.6], p=[0.8, 0.15, 0.05])),
        pens=int(rng.choice([1, 2], p=[0.9, 0.1])),
    )
    writing.covers += [np.zeros_like(writing.covers[0])] * (task.pens - 1)
    layouts.LAYOUTS[layout](task)
    return em


def _cropped(picture: Picture, writing: Writing, em: float, rng: Generator) -> Picture:
    """Keep a piece close around some lines, on one colour or with its edges drawn out."""
    height, width = writing.size
    if not writing.extents:
        return picture
    chosen = np.array(writing.extents[int(rng.integers(len(writing.extents))) :])
    chosen = chosen[: int(rng.choice([1, 1, 2, 3]))]
    ends = np.array(
        [[chosen[:, 0].min(), chosen[:, 1].min()], [chosen[:, 2].max(), chosen[:, 3].max()]]
    )
    room = np.array([rng.uniform(-0.5, 0.1, 2), rng.uniform(-0.1, 0.5, 2)])
    (left, top), (right, bottom) = writing.lens.seen(ends) + room * em
    left, right = np.clip(np.rint([left, right]), 0, width).astype(int).tolist()
    top, bottom = np.clip(np.rint([top, bottom]), 0, height).astype(int).tolist()
    if right - left < em or bottom - top < em:
        return picture

    writing.crop(np.array([left, top, right, bottom]))
    piece = picture[top:bottom, left:right]
    edges = top, height - bottom, left, width - right
    ink = writing.owner[top:bottom, left:right]
    cut = ink[[0, -1]].any() or ink[:, [0, -1]].any()
    if not cut and rng.random() < 0.5:
        return np.asarray(cv2.copyMakeBorder(piece, *edges, cv2.BORDER_REPLICATE), np.float32)
    value = [float(rng.choice([0, 128, 255]))] * 3
    if rng.random() < 0.4:
        value = piece.mean(axis=(0, 1)).tolist()
    ground = cv2.copyMakeBorder(piece, *edges, cv2.BORDER_CONSTANT, value=value)
    return np.asarray(ground, np.float32)


def _photographed(picture: Picture, medium: Medium, contrast: float, rng: Generator) -> Picture:
    """Let light, shadow, focus and noise do to photos what they do; scans and canvases get less.

    The ink's contrast is 0 to 255; faint ink is spared what would make it invisible.
    """
    if rng.random() < medium.photographed:
        if rng.random() < 0.7:
            picture = camera.lit(picture, float(rng.uniform(0.05, 0.6)), rng)
        if rng.random() < 0.3:
            picture = camera.shaded(picture, float(rng.uniform(0.1, 0.55)), rng)
        if rng.random() < 0.7:
            picture = camera.blurred(picture, float(rng.uniform(0.35, 1.3)), rng)
        if rng.random() < 0.2:
            left = min(1.0, max(float(rng.uniform(0.35, 0.8)), FAINTEST / contrast))
            picture, contrast = camera.faded(picture, left, rng), contrast * left
    elif rng.random() < 0.3:
        picture = camera.blurred(picture, float(rng.uniform(0.3, 0.9)), rng)
    if rng.random() < (0.5 if medium.name != "canvas" else 0.1):
        grain = grounds.piece(grounds.tiles().grain, picture.shape[:2], rng)
        strength = np.float32(min(np.exp(rng.uniform(np.log(1), np.log(14))), contrast / 5))
        channels = [np.roll(grain, 7 * i * (rng.random() < 0.4)) * strength for i in range(3)]
        picture += cv2.merge(channels)
    return picture


def _filed(picture: Picture, medium: Medium, em: float, rng: Generator) -> NDArray[np.uint8]:
    """Make a file of the picture: grey or coloured, resampled, compressed, turned negative."""
    if rng.random() < 0.25:
        picture = spread(np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), np.float32))
    stored = np.clip(picture, 0, 255).astype(np.uint8)
    if rng.random() < 0.04:
        stored = 255 - stored
    if medium.name == "form" and em > 14 and rng.random() < 0.06:
        stored = camera.binary(stored, rng)
    if rng.random() < (0.2 if medium.name == "canvas" else 0.12) and em > 12:
        stored = camera.resampled(stored, float(rng.uniform(max(0.25, 10 / em), 1)), rng)
    if rng.random() < (0.2 if medium.name == "canvas" else 0.5):
        stored = camera.jpeg(stored, int(rng.integers(25, 95)))
    return np.ascontiguousarray(stored)


def _finished(picture: NDArray[np.uint8], writing: Writing, *, tiny: bool) -> TrainingPage:
    """Keep the symbols that can be seen; of writing that is too small, none."""
    seen = writing.visible()
    owner, symbols, lines = seen.owner, seen.symbols, seen.lines
    if tiny:
        owner, symbols, lines = np.zeros_like(owner), [], []
    return TrainingPage(
        picture,
        owner,
        np.array([symbol.kind for symbol in symbols], np.int8),
        np.array([symbol.box for symbol in symbols], np.float32).reshape(-1, 4),
        tuple(tuple(line) for line in lines),
    )
