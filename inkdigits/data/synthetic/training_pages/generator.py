"""Draw training pages: pictures of handwritten numbers with the owner of every pixel of ink.

    glyphs -> writing (one hand) -> layouts | grounds | prints -> camera -> TrainingPage

A page depends on its seed, index, size and split alone, so any number of processes can draw any pages in any order.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from inkdigits.data.synthetic.training_pages import camera, grammar, grounds, layouts, prints
from inkdigits.data.synthetic.training_pages.camera import Picture, random_lens
from inkdigits.data.synthetic.training_pages.glyphs import bank
from inkdigits.data.synthetic.training_pages.media import MEDIA, Medium, Style, style
from inkdigits.data.synthetic.training_pages.writing import Writing, random_hand

SPLITS = ("train", "validation")
BLANK = 0.06  # share of pages without a symbol
TINY = 0.05  # share of pages whose writing is too small to read
TINY_EM = (3.0, 8.0)  # pixels
EM = (11.0, 96.0)  # pixels, of digits
EM_MEDIAN, EM_SPREAD = 41.0, 0.42  # pixels; deviation of the logarithm
ANY_EM = 0.3  # share of pages whose digits may have any height in EM, log-uniform
SINGLE_EM = (18.0, 170.0)  # pixels
CROPPED = 0.1  # share of pages of which a piece is seen on some other ground
FAINTEST = 30.0  # of 255, contrast that no fading goes below
BY_HAND = 0.12  # share of rules and boxes that are drawn by hand, with the same ink
AMONG_OTHERS = 0.2  # share of pages where letters and signs stand among digits


@dataclass(frozen=True)
class TrainingPage:
    """A picture and what is written on it.

    Attributes:
        picture: uint8 (H, W, 3), red, green, blue.
        owner: int16 (H, W), 0 where no symbol's ink is, k where ink of symbol k - 1 is on top.
        kinds: int8 (K,), indices into SYMBOLS.
        boxes: float32 (K, 4), left, top, right, bottom of each symbol's ink in pixels, clipped to the picture.
        strings: for each written line its symbols in reading order.
    """

    picture: NDArray[np.uint8]
    owner: NDArray[np.int16]
    kinds: NDArray[np.int8]
    boxes: NDArray[np.float32]
    strings: tuple[tuple[int, ...], ...]


def training_page(
    seed: int, index: int, *, size: tuple[int, int] = (192, 192), split: str = "train"
) -> TrainingPage:
    """Draw a page.

    Args:
        seed: of a training. index: of the page in it.
        size: height and width of the picture, pixels; digits are as high on large pages as on small ones.
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

    picture = _ground(size, medium, look, writing, em, rng, blank=blank)
    picture = _inked(picture, look, writing, rng)
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
        cells = tuple(max(2, int(side / (0.5 * em))) for side in writing.size)
        noise = 1 + np.float32(0.6 * hand.pressure) * camera.clouds(writing.size, cells, rng)
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
        writing.size,
        em,
        em * float(rng.uniform(1.25, 2.4)),
        others,
        noise,
        float(rng.normal(0, 0.02)),
        words=float(rng.choice([0, 0.2, 0.6], p=[0.8, 0.15, 0.05])),
        pens=int(rng.choice([1, 2], p=[0.9, 0.1])),
    )
    writing.covers += [np.zeros_like(writing.covers[0])] * (task.pens - 1)
    text = {
        "amounts": grammar.amount,
        "expressions": grammar.expression,
    }.get(layout, grammar.number)
    if layout == "columns":
        layouts.rows(
            task,
            lambda rng: grammar.digits(int(rng.integers(1, 5)), rng),
            columns=int(rng.integers(2, 4)),
        )
    elif layout in {"rows", "expressions"}:
        layouts.rows(task, text, columns=int(rng.choice([1, 2], p=[0.75, 0.25])))
    elif layout == "boxes":
        layouts.boxes(task)
    elif layout == "grid":
        layouts.grid(task)
    elif layout == "single":
        layouts.single(task)
    elif layout == "scattered":
        layouts.scattered(task)
    else:
        layouts.one_number(task, text)
    return em


def _ground(
    size: tuple[int, int],
    medium: Medium,
    look: Style,
    writing: Writing,
    em: float,
    rng: Generator,
    *,
    blank: bool,
) -> Picture:
    """Lay out the ground and print on it."""
    if blank and rng.random() < 0.35:
        return grounds.things(size, rng)
    if medium.name == "canvas":
        picture = grounds.plain(size, look.paper)
    elif medium.name == "board":
        picture = grounds.board(size, look.paper, float(rng.uniform(0, 1)), rng)
    else:
        picture = grounds.paper(size, look.paper, float(0.05 * rng.random() ** 2), rng)
        if rng.random() < medium.secured:
            picture = grounds.secured(picture, float(rng.uniform(0.06, 0.4)), rng)
        if rng.random() < 0.1:
            picture = grounds.shown_through(picture, float(rng.uniform(0.03, 0.18)), rng)
        if rng.random() < 0.1:
            picture = grounds.stained(picture, rng)

    if blank and rng.random() < 0.2:
        picture = grounds.lettered(picture, rng)
    segments = _segments(size, medium, writing, em, rng)
    if segments:
        width = max(0.6, em * float(np.exp(rng.uniform(np.log(0.012), np.log(0.08)))))
        by_hand = rng.random() < BY_HAND
        if by_hand:
            segments = prints.wobbly(segments, 0.06 * em, rng)
        layer = prints.lines(size, writing.lens, segments, min(width, 5))
        same = by_hand or rng.random() < 0.25
        strength = 1.0 if rng.random() < 0.5 else rng.uniform(0.3, 1)
        picture = _laid(picture, layer, look.ink if same else look.rule, strength)
    if rng.random() < medium.worded:
        height = em * float(np.exp(rng.uniform(np.log(0.25), np.log(0.8))))
        layer = prints.worded(size, writing.lens, writing.owner == 0, max(5, height), rng)
        picture = _laid(picture, layer, look.rule if rng.random() < 0.4 else look.ink, 0.9)
    if rng.random() < medium.edged:
        picture = _on_table(picture, writing, rng)
    return picture


def _segments(
    size: tuple[int, int], medium: Medium, writing: Writing, em: float, rng: Generator
) -> list[prints.Segment]:
    """Choose what is ruled on the page."""
    segments: list[prints.Segment] = []
    if writing.cells and rng.random() < 0.85:
        if rng.random() < 0.75:
            return prints.boxed(writing.cells)
        return prints.combed(writing.cells, float(rng.uniform(0.15, 0.6)))
    if rng.random() >= medium.ruled:
        return segments

    rows = writing.extents
    base = rows[0][3] if rows else float(rng.uniform(0, size[0]))
    foot = base + float(rng.normal(0.03, 0.12)) * em
    pitch = rows[1][3] - rows[0][3] if len(rows) > 1 else 0.0
    if pitch < 0.8 * em:
        pitch = em * float(rng.uniform(1.1, 2.5))
    kind = str(rng.choice(list(medium.rules), p=list(medium.rules.values())))
    if kind == "ruled":
        segments = prints.ruled(size, foot, pitch)
        if rng.random() < 0.3:
            x = float(rng.uniform(0, size[1]))
            segments += [(x, -size[0], x, 2.0 * size[0])]
    elif kind == "squared":
        side = max(5.0, em * float(np.exp(rng.uniform(np.log(0.3), np.log(2)))))
        segments = prints.squared(size, foot, side, float(rng.uniform(0, side)))
    elif kind == "dotted":
        segments = prints.dotted(size, max(6.0, em * float(rng.uniform(0.3, 0.9))), rng)
    elif kind == "foot":
        segments = [(-size[1], foot, 2.0 * size[1], foot)]
        if rng.random() < 0.3:
            x = float(rng.uniform(-0.1, 1.1) * size[1])
            segments.append((x, -size[0], x, 2.0 * size[0]))
    elif kind == "underlined":
        segments = prints.underlined(rows, rng)
    elif kind == "circled":
        segments = prints.circled(rows, rng)
    else:
        segments = prints.framed(size, rng)
    return segments


def _laid(
    picture: Picture, layer: NDArray[np.uint8], colour: tuple[float, float, float], strength: float
) -> Picture:
    """Lay a colour over the picture where the layer covers it."""
    share = layer.astype(np.float32) * np.float32(strength / 255)
    bare = 1 - share
    return cv2.add(
        cv2.multiply(picture, cv2.merge([bare] * 3)),
        cv2.merge([share * np.float32(value) for value in colour]),
    )


def _on_table(picture: Picture, writing: Writing, rng: Generator) -> Picture:
    """Show the table beside the sheet, or a finger on it, where no ink is."""
    height, width = picture.shape[:2]
    sheet = np.zeros((height, width), np.uint8)
    if rng.random() < 0.75:
        room = rng.uniform(-0.3, 0.35, 4) * (rng.random(4) < 0.6)
        box = np.array(
            [
                [room[0] * width, room[1] * height],
                [(1 - room[2]) * width, room[1] * height],
                [(1 - room[2]) * width, (1 - room[3]) * height],
                [room[0] * width, (1 - room[3]) * height],
            ]
        )
        box[room[[0, 2, 2, 0]] == 0, 0] += np.array([-width, width, width, -width])[
            room[[0, 2, 2, 0]] == 0
        ]
        box[room[[1, 1, 3, 3]] == 0, 1] += np.array([-height, -height, height, height])[
            room[[1, 1, 3, 3]] == 0
        ]
        box += rng.normal(0, 0.03 * width, (4, 2))
        corners = np.rint(np.clip(writing.lens.seen(box), -3000, 3000) * 16).astype(np.int32)
        cv2.fillConvexPoly(sheet, corners, 255, cv2.LINE_AA, 4)
        beside = grounds.table((height, width), rng)
        if rng.random() < 0.5:
            shadow = cv2.GaussianBlur(sheet, (0, 0), float(rng.uniform(1.5, 6)))
            beside = cv2.multiply(beside, cv2.merge([1 - shadow * np.float32(0.5 / 255)] * 3))
    else:
        sheet[:] = 255
        x, y = rng.choice([-0.05, 1.05]) * width, rng.uniform(0.1, 1.1) * height
        axes = (int(rng.uniform(0.15, 0.5) * width), int(rng.uniform(0.06, 0.14) * width))
        cv2.ellipse(sheet, (int(x), int(y)), axes, rng.normal(0, 35), 0, 360, 0, -1, cv2.LINE_AA)
        skin = np.array([1, rng.uniform(0.65, 0.85), rng.uniform(0.5, 0.75)]) * rng.uniform(70, 240)
        beside = grounds.paper((height, width), tuple(skin), 0.03, rng)
        beside = camera.lit(beside, 0.4, rng)

    bare = cv2.countNonZero(((sheet < 200) & (writing.owner > 0)).view(np.uint8))
    if bare:
        return picture
    share = sheet.astype(np.float32) * np.float32(1 / 255)
    return cv2.add(
        cv2.multiply(picture, cv2.merge([share] * 3)),
        cv2.multiply(beside, cv2.merge([1 - share] * 3)),
    )


def _inked(picture: Picture, look: Style, writing: Writing, rng: Generator) -> Picture:
    """Put the ink on the page, as covering or as translucent as the pen's."""
    if not writing.symbols:
        return picture
    for cover, colour in zip(writing.covers, (look.ink, look.second), strict=False):
        share = cover.astype(np.float32) * np.float32(look.opacity / 255)
        if look.grain:
            scale = float(rng.choice([1.3, 2.2]))
            tooth = grounds.piece(grounds.tiles().grain, writing.size, rng, scale)
            share *= np.clip(1 - look.grain * (0.6 + tooth), 0, 1)
        if look.covering:
            picture = cv2.add(
                cv2.multiply(picture, cv2.merge([1 - share] * 3)),
                cv2.merge([share * np.float32(value) for value in colour]),
            )
        else:
            layers = [1 - share * np.float32(1 - value / 255) for value in colour]
            picture = cv2.multiply(picture, cv2.merge(layers))
    return picture


def _cropped(picture: Picture, writing: Writing, em: float, rng: Generator) -> Picture:
    """Keep a piece close around one or several lines, on a ground of one colour or with its edges drawn out."""
    height, width = writing.size
    if not writing.extents:
        return picture
    chosen = np.array(writing.extents[int(rng.integers(len(writing.extents))) :])
    chosen = chosen[: int(rng.choice([1, 1, 2, 3]))]
    ends = np.array(
        [[chosen[:, 0].min(), chosen[:, 1].min()], [chosen[:, 2].max(), chosen[:, 3].max()]]
    )
    (left, top), (right, bottom) = writing.lens.seen(ends) + [
        rng.uniform(-0.5, 0.1, 2) * em,
        rng.uniform(-0.1, 0.5, 2) * em,
    ]
    left, right = np.clip(np.rint([left, right]), 0, width).astype(int).tolist()
    top, bottom = np.clip(np.rint([top, bottom]), 0, height).astype(int).tolist()
    if right - left < em or bottom - top < em:
        return picture

    writing.cropped(left, top, right, bottom)
    piece = picture[top:bottom, left:right]
    edges = top, height - bottom, left, width - right
    if rng.random() < 0.35:
        return cv2.copyMakeBorder(piece, *edges, cv2.BORDER_REPLICATE)
    value = float(rng.choice([0, 128, 255, rng.uniform(0, 255)]))
    return cv2.copyMakeBorder(piece, *edges, cv2.BORDER_CONSTANT, value=(value,) * 3)


def _photographed(picture: Picture, medium: Medium, contrast: float, rng: Generator) -> Picture:
    """Let light, shadow, noise and focus do what they do to photos; scans and canvases get less of it.

    Args:
        contrast: of the ink, 0 to 255; faint ink is spared what would make it invisible.
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
        if rng.random() < 0.6:
            picture = picture + (grain * strength)[..., None]
        else:
            picture = picture + cv2.merge([np.roll(grain, 7 * i) * strength for i in range(3)])
    return picture


def _filed(picture: Picture, medium: Medium, em: float, rng: Generator) -> NDArray[np.uint8]:
    """Make a file of the picture: grey or coloured, resampled, compressed, turned negative."""
    if rng.random() < 0.25:
        grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
        picture = cv2.merge([grey] * 3)
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
    owner, kept, lines = writing.finished()
    if tiny:
        owner, kept, lines = np.zeros_like(owner), [], []
    symbols = [writing.symbols[number - 1] for number in kept]
    return TrainingPage(
        picture,
        owner,
        np.array([symbol.kind for symbol in symbols], np.int8),
        np.array([symbol.box for symbol in symbols], np.float32).reshape(-1, 4),
        tuple(tuple(line) for line in lines),
    )
