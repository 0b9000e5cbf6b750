"""Validation pages with what a trained page reader finds on them: found, judged and drawn.

The networks are those that a run leaves, on ONNX Runtime; they are asked as in reading.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from inkdigits.core.digits import Pixels
from inkdigits.data.synthetic.training_pages.generator import TrainingPage, training_page
from inkdigits.data.synthetic.training_pages.glyphs import OTHER, SYMBOLS
from inkdigits.reading.explanation.text import ACCEPTED, REFUSED, UNUSED, write
from inkdigits.reading.page.decoding import find_symbols
from inkdigits.reading.page.look import looks
from inkdigits.reading.page.networks import PixelNetwork
from inkdigits.reading.page.survey import find_pieces
from inkdigits.runs.page_reader.export import LOOK_FILE, PAGE_FILE
from inkdigits.training.page.looks import SIZES, box_overlap, label
from inkdigits.training.page.pages import VALIDATION_SEED

FOUND = 0.5  # intersection over union from which a true find is that of a symbol
ENLARGED = 2  # times, so that there is room for the words
LETTERS = 17  # pixels, of what a find is read as
COLOURS = {True: ACCEPTED, False: REFUSED, None: UNUSED}

Box = NDArray[np.floating]  # (4,) left, top, right, bottom, in pixels of the page


@dataclass(frozen=True)
class JudgedFind:
    """A digit or sign that was found on a page.

    Attributes:
        box: around its ink.
        kind: that it is read as, an index of SYMBOLS.
        is_true: whether the page has that there; None for part of a symbol that is too large to be
            wrong and too small to be right.
    """

    box: Box
    kind: int
    is_true: bool | None


@dataclass(frozen=True)
class Example:
    """A page and what was found on it.

    Attributes:
        picture: (H, W, 3) uint8 RGB.
        finds: in no particular order.
        missed: boxes of digits and signs that were not found, or read as something else.
        symbols: how many digits and signs the page has.
    """

    picture: Pixels
    finds: tuple[JudgedFind, ...]
    missed: tuple[Box, ...]
    symbols: int

    @property
    def caption(self) -> str:
        """How much was found, in words."""
        wrong = sum(find.is_true is False for find in self.finds)
        if not self.symbols:
            return f"nothing to find, {wrong} wrong"

        found = self.symbols - len(self.missed)
        return f"{found} of {self.symbols} found, {wrong} wrong"


def validation_examples(run: Path, count: int) -> Iterator[Example]:
    """Yield the first validation pages and what a run's networks find on them.

    Args:
        run: a folder with page.onnx and look.onnx.
        count: of the pages.
    """
    page_network = PixelNetwork(run / PAGE_FILE)
    look_network = PixelNetwork(run / LOOK_FILE)

    for index in range(count):
        page = training_page(
            VALIDATION_SEED,
            index,
            size=SIZES[index % len(SIZES)],
            split="validation",
        )
        finds = tuple(_finds(page, page_network, look_network))
        yield judge(page, finds)


def _finds(
    page: TrainingPage, page_network: PixelNetwork, look_network: PixelNetwork
) -> Iterator[JudgedFind]:
    """Yield the digits and signs found on a page."""
    for piece in find_pieces(page_network, page.picture):
        symbols = find_symbols(piece.maps)
        if not symbols:
            continue

        page_logits = np.stack([symbol.kind for symbol in symbols])
        (probabilities,) = look_network(looks(piece, symbols), page_logits)
        kinds = probabilities.argmax(axis=1)
        corner = np.array([piece.left, piece.top] * 2)

        for symbol, kind in zip(symbols, kinds.tolist(), strict=True):
            if kind == OTHER:
                continue

            truth = label(page, piece, symbol)
            box = np.array(symbol.box) / piece.scale + corner
            is_true = None if truth is None else truth == kind
            yield JudgedFind(box, kind, is_true)


def judge(page: TrainingPage, finds: tuple[JudgedFind, ...]) -> Example:
    """Tell which symbols of a page were missed.

    Args:
        page: with its true symbols.
        finds: on it.
    """
    symbols = 0
    missed = []
    for kind, box in zip(page.kinds.tolist(), page.boxes, strict=True):
        if kind == OTHER:
            continue

        symbols += 1
        if not any(_is_of(find, kind, box) for find in finds):
            missed.append(box)

    return Example(page.picture, finds, tuple(missed), symbols)


def _is_of(find: JudgedFind, kind: int, box: Box) -> bool:
    """Tell whether a find is a symbol of this kind in this box."""
    return find.kind == kind and box_overlap(find.box, box) >= FOUND


def draw_example(example: Example) -> Image.Image:
    """Draw a page with its finds: true ones blue, wrong ones vermilion, missed ones underlined.

    Args:
        example: a page of H x W pixels.

    Returns:
        An RGB image, ENLARGED times as large.
    """
    height, width = example.picture.shape[:2]
    image = Image.fromarray(example.picture).resize(
        (ENLARGED * width, ENLARGED * height), Image.Resampling.BICUBIC
    )
    draw = ImageDraw.Draw(image)

    for box in example.missed:
        left, _, right, bottom = (ENLARGED * box).tolist()
        draw.line((left, bottom + 3, right, bottom + 3), REFUSED, width=3)

    for find in example.finds:
        colour = COLOURS[find.is_true]
        left, top, right, bottom = (ENLARGED * find.box).tolist()
        draw.rectangle((left - 1, top - 1, right, bottom), outline=colour, width=2)

        # On a light ground of its own, above the box or, at the edge of the page, inside it.
        words = SYMBOLS[find.kind]
        baseline = max(top - 4, LETTERS - 3)
        ground = (left - 1, baseline - LETTERS + 3, left + LETTERS - 5, baseline + 3)
        draw.rectangle(ground, fill=colour)
        write(draw, (round(left) + 2, round(baseline)), words, (255, 255, 255), LETTERS)

    return image
