"""How a page looks: the pen, the sheet, the light and the camera as numbers, and random pages.

A Scene says everything about a page but what is written on it. Here it is decided what goes
together, such as chalk and boards, or phones and shadows.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.random import Generator

from inkdigits.data.synthetic.pages.paper import RGB
from inkdigits.data.synthetic.pages.writing import Pen

Margins = tuple[float, float, float, float]  # left, top, right, bottom

# Shares of the pages.
MEDIUM_SHARES = {"canvas": 0.25, "scan": 0.15, "photo": 0.4, "board": 0.12, "whiteboard": 0.08}
# Shares of the sheets.
PRINT_SHARES = {
    "blank": 0.45,
    "ruled": 0.15,
    "squared": 0.15,
    "boxed": 0.1,
    "combed": 0.05,
    "underlined": 0.1,
}
LONGEST_SIDE = 1800  # pixels; a page that would be larger gets smaller writing

WHITE = (1.0, 1.0, 1.0)
BLACK = (0.0, 0.0, 0.0)
PAPERS = ((0.97, 0.97, 0.96), (0.93, 0.93, 0.92), (0.96, 0.93, 0.85), (0.85, 0.84, 0.8))
COLOURED = (
    (0.98, 0.92, 0.5),
    (0.98, 0.75, 0.8),
    (0.7, 0.9, 0.97),
    (0.75, 0.93, 0.7),
    (0.76, 0.62, 0.45),
)
INKS = (
    (0.08, 0.08, 0.1),
    (0.08, 0.12, 0.5),
    (0.1, 0.2, 0.65),
    (0.65, 0.08, 0.1),
    (0.05, 0.35, 0.2),
)
GRAPHITE = (0.28, 0.28, 0.3)
PRINTS = (
    (0.6, 0.7, 0.88),
    (0.72, 0.72, 0.74),
    (0.75, 0.65, 0.8),
    (0.9, 0.65, 0.6),
    (0.35, 0.35, 0.38),
)
BOARDS = ((0.13, 0.24, 0.18), (0.12, 0.12, 0.13), (0.16, 0.2, 0.24))
CHALKS = ((0.93, 0.93, 0.9), (0.95, 0.9, 0.55), (0.9, 0.65, 0.7))
TABLES = ((0.3, 0.18, 0.1), (0.12, 0.1, 0.09), (0.22, 0.22, 0.24), (0.42, 0.28, 0.17))


@dataclass(frozen=True)
class Scene:
    """Everything about a page but what is written on it. What is None is left out.

    Lengths in px are of the sheet before it is photographed; those in heights are relative to the
    writing's.
    """

    pen: Pen
    height: int = 60  # px; of a digit
    margins: Margins = (1.0, 1.0, 1.0, 1.0)  # heights
    gap: float = 0.3  # heights; between digits
    pitch: float = 1.8  # heights; from one baseline to the next
    slope: float = 0.0  # of the baselines; positive falls
    ground: str = "plain"  # or "sheet", "board"
    paper: RGB = WHITE
    ink: RGB = BLACK
    texture: float = 0.02  # standard deviation of the paper's brightness
    print: str | None = None  # "ruled", "squared", "boxed", "combed" or "underlined" by hand
    print_colour: RGB = PRINTS[0]
    print_width: float = 0.025  # heights
    squares: int = 1  # of squared paper, to a digit's height and the space above it
    show_through: float | None = None  # darkness of the other side's print, 0-1
    fold: float | None = None  # light lost at a crease, 0-1
    tilt: float = 0.0  # degrees; of the camera
    skew: float | None = None  # of the shorter side; how far corners move by perspective
    table: float | None = None  # of the shorter side; what is seen around the sheet
    table_colour: RGB = TABLES[0]
    uneven: float | None = None  # light missing at the darkest place, 0-1
    shadow: float | None = None  # light that it takes, 0-1
    glare: float | None = None  # light added, 0-1
    brightness: float = 1.0  # of white in the photo; above 1 it is overexposed
    tint: RGB = WHITE  # the light's colour, factors
    scale: float = 1.0  # of the photo; below 1 it has fewer pixels than the sheet was drawn with
    blur: float | None = None  # px of the photo; standard deviation
    shake: float | None = None  # px of the photo; length of the way
    grain: float | None = None  # standard deviation of a pixel, 0-1
    quality: int | None = None  # of the JPEG, 1-95; None is a PNG
    orientation: int = 1  # EXIF: how the camera was held; 1, 3, 6 or 8


def random_scene(rng: Generator, *, single: bool = False, columns: int = 8) -> Scene:
    """Return how a page looks that one might come across.

    Args:
        rng: draws everything.
        single: the page is for one symbol, which may fill it.
        columns: symbols in the longest row.
    """
    medium = choice(MEDIUM_SHARES, rng)
    if medium == "canvas":
        scene = _canvas(rng, single)
    elif medium == "board":
        scene = _photographed(_board(rng, single), rng)
    elif medium == "whiteboard":
        scene = _photographed(_whiteboard(rng, single), rng)
    elif medium == "photo":
        scene = _photographed(_sheet(rng, single), rng)
    else:
        scene = _scanned(_sheet(rng, single), rng)

    margins = scene.margins[0] + scene.margins[2]
    highest = int(LONGEST_SIDE / (columns * (0.75 + scene.gap) + margins))
    return replace(scene, height=min(scene.height, highest))


# ---- draws


def choice(shares: Mapping[Any, float], rng: Generator) -> str:
    """Draw one of the names, each with its share of the chances."""
    return str(rng.choice(list(shares), p=list(shares.values())))


def _maybe(rng: Generator, chance: float, low: float, high: float) -> float | None:
    """Draw a number between low and high, or None. Both always take the same draws."""
    happens = rng.random() < chance
    value = rng.uniform(low, high)
    return value if happens else None


def _colour(rng: Generator, colours: Sequence[RGB]) -> RGB:
    """Draw one of the colours, a little different each time."""
    colour = np.array(colours[int(rng.integers(len(colours)))])
    return tuple(np.clip(colour + rng.normal(0, 0.02, 3), 0, 1).tolist())


def _quality(rng: Generator, chance: float) -> int | None:
    quality = int(rng.integers(35, 95))
    return quality if rng.random() < chance else None


def _margins(rng: Generator, single: bool) -> Margins:
    low, high = (0.15, 1.2) if single else (0.4, 2.5)
    return tuple(rng.uniform(low, high, 4).tolist())


# ---- what is written on, and with


def _canvas(rng: Generator, single: bool) -> Scene:
    """Draw a paint program: pure colours, hard or smooth edges, on very few to very many pixels."""
    if single:
        heights = {18: 0.15, 22: 0.15, 40: 0.2, 90: 0.25, 160: 0.15, 300: 0.1}
        height = int(choice(heights, rng))
    else:
        height = int(rng.integers(30, 160))

    width = rng.uniform(0.03, 0.16)
    hard = bool(rng.random() < 0.4)
    scene = Scene(
        Pen("brush", width, hard=hard),
        height,
        _margins(rng, single),
        gap=rng.uniform(0.15, 0.6),
        pitch=rng.uniform(1.4, 2),
    )

    look = rng.random()
    if look < 0.35:
        return replace(scene, paper=BLACK, ink=WHITE)
    if look < 0.5:
        return replace(scene, paper=_colour(rng, COLOURED), ink=_colour(rng, INKS))

    ink = _colour(rng, INKS) if look < 0.65 else BLACK
    return replace(scene, ink=ink, quality=_quality(rng, 0.25))


def _sheet(rng: Generator, single: bool) -> Scene:
    """Draw paper, blank or printed, and a pen or pencil."""
    pens = (
        Pen("ballpoint", rng.uniform(0.03, 0.06), 0.25, rng.uniform(0, 0.2), 0.95),
        Pen("pencil", rng.uniform(0.03, 0.07), 0.35, rng.uniform(0.15, 0.4), rng.uniform(0.5, 0.9)),
        Pen("felt tip", rng.uniform(0.07, 0.15), 0.2, opacity=0.97),
        Pen("fountain pen", rng.uniform(0.04, 0.09), 0.7, opacity=0.95),
    )
    pen = pens[rng.integers(len(pens))]
    kind = choice(PRINT_SHARES, rng)
    ink = GRAPHITE if pen.name == "pencil" else _colour(rng, INKS)

    return Scene(
        pen,
        height=int(rng.integers(36, 130)) * (2 if single else 1),
        margins=_margins(rng, single),
        gap=rng.uniform(0.15, 0.55),
        pitch=rng.uniform(1.4, 2.1),
        slope=rng.normal(0, 0.012),
        ground="sheet",
        paper=_colour(rng, COLOURED if rng.random() < 0.15 else PAPERS),
        ink=ink,
        texture=rng.uniform(0.004, 0.025),
        print=None if kind == "blank" else kind,
        print_colour=ink if kind == "underlined" else _colour(rng, PRINTS),
        print_width=rng.uniform(0.012, 0.04),
        squares=int(rng.integers(1, 4)),
        show_through=_maybe(rng, 0.2, 0.03, 0.12),
        fold=_maybe(rng, 0.15, 0.05, 0.2),
    )


def _board(rng: Generator, single: bool) -> Scene:
    """Draw chalk on a blackboard."""
    pen = Pen(
        "chalk", rng.uniform(0.06, 0.14), 0.3, rng.uniform(0.1, 0.35), rng.uniform(0.75, 0.95)
    )
    return Scene(
        pen,
        height=int(rng.integers(50, 130)) * (2 if single else 1),
        margins=_margins(rng, single),
        gap=rng.uniform(0.2, 0.6),
        slope=rng.normal(0, 0.02),
        ground="board",
        paper=_colour(rng, BOARDS),
        ink=_colour(rng, CHALKS),
        texture=rng.uniform(0.01, 0.06),
    )


def _whiteboard(rng: Generator, single: bool) -> Scene:
    """Draw a marker on something smooth that mirrors the lamp."""
    pen = Pen("marker", rng.uniform(0.07, 0.14), 0.2, rng.uniform(0, 0.1), rng.uniform(0.8, 0.97))
    return replace(
        _sheet(rng, single),
        pen=pen,
        ink=_colour(rng, INKS),
        paper=PAPERS[0],
        texture=0.004,
        print=None,
        show_through=None,
        fold=None,
        glare=_maybe(rng, 0.7, 0.1, 0.4),
    )


# ---- how it is recorded


def _scanned(scene: Scene, rng: Generator) -> Scene:
    """Draw a scanner: flat and sharp, a little askew."""
    return replace(
        scene,
        grain=_maybe(rng, 0.5, 0.002, 0.015),
        tilt=rng.normal(0, 1),
        skew=_maybe(rng, 0.4, 0.005, 0.02),
        quality=_quality(rng, 0.6),
        blur=_maybe(rng, 0.5, 0.4, 0.9),
    )


def _photographed(scene: Scene, rng: Generator) -> Scene:
    """Draw a phone: at an angle, in any light."""
    on_paper = scene.ground == "sheet"
    on_table = on_paper and scene.glare is None
    return replace(
        scene,
        tilt=rng.normal(0, 2.5),
        skew=rng.uniform(0.005, 0.06),
        table=_maybe(rng, 0.25, 0.04, 0.2) if on_table else None,
        table_colour=_colour(rng, TABLES),
        uneven=_maybe(rng, 0.7, 0.05, 0.5),
        shadow=_maybe(rng, 0.3, 0.1, 0.45),
        brightness=rng.uniform(0.5, 1) if on_paper else rng.uniform(0.8, 1.3),
        tint=tuple(np.clip(rng.normal(1, 0.04, 3), 0.85, 1.1).tolist()),
        scale=float(rng.choice([1.0, 1.0, 0.6, 0.4])),
        blur=_maybe(rng, 0.7, 0.4, 1.3),
        shake=_maybe(rng, 0.1, 2, 4),
        grain=_maybe(rng, 0.8, 0.003, 0.022),
        quality=int(rng.integers(45, 95)),
        orientation=int(rng.choice([1, 3, 6, 8], p=[0.85, 0.05, 0.05, 0.05])),
    )
