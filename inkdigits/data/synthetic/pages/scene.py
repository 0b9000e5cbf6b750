"""How a page looks: the pen, the sheet, the light and the camera, as numbers, and pages as one
might come across them.

A Scene says everything about a page but what is written on it. Knows what goes together (chalk and
boards, phones and shadows); does nothing itself.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from inkdigits.data.synthetic.pages.paper import Colour
from inkdigits.data.synthetic.pages.writing import Pen

MEDIA = {
    "canvas": 0.25,
    "scan": 0.15,
    "photo": 0.4,
    "board": 0.12,
    "whiteboard": 0.08,
}  # shares of the pages
PRINTED = {
    "blank": 0.45,
    "ruled": 0.15,
    "squared": 0.15,
    "boxed": 0.1,
    "combed": 0.05,
    "underlined": 0.1,
}  # of the sheets
LONGEST_SIDE = 1800  # pixels; a page that would be larger gets smaller writing

WHITE, BLACK = (1.0, 1.0, 1.0), (0.0, 0.0, 0.0)
PAPERS: tuple[Colour, ...] = (
    (0.97, 0.97, 0.96),
    (0.93, 0.93, 0.92),
    (0.96, 0.93, 0.85),
    (0.85, 0.84, 0.8),
)
COLOURED: tuple[Colour, ...] = (
    (0.98, 0.92, 0.5),
    (0.98, 0.75, 0.8),
    (0.7, 0.9, 0.97),
    (0.75, 0.93, 0.7),
    (0.76, 0.62, 0.45),
)
INKS: tuple[Colour, ...] = (
    (0.08, 0.08, 0.1),
    (0.08, 0.12, 0.5),
    (0.1, 0.2, 0.65),
    (0.65, 0.08, 0.1),
    (0.05, 0.35, 0.2),
)
GRAPHITE: Colour = (0.28, 0.28, 0.3)
PRINTS: tuple[Colour, ...] = (
    (0.6, 0.7, 0.88),
    (0.72, 0.72, 0.74),
    (0.75, 0.65, 0.8),
    (0.9, 0.65, 0.6),
    (0.35, 0.35, 0.38),
)
BOARDS: tuple[Colour, ...] = ((0.13, 0.24, 0.18), (0.12, 0.12, 0.13), (0.16, 0.2, 0.24))
CHALKS: tuple[Colour, ...] = ((0.93, 0.93, 0.9), (0.95, 0.9, 0.55), (0.9, 0.65, 0.7))
TABLES: tuple[Colour, ...] = (
    (0.3, 0.18, 0.1),
    (0.12, 0.1, 0.09),
    (0.22, 0.22, 0.24),
    (0.42, 0.28, 0.17),
)


@dataclass(frozen=True)
class Scene:
    """Everything about a page but what is written on it. What is None is not there.

    Lengths in px are of the sheet before it is photographed; those in heights are relative to the
    writing's.
    """

    pen: Pen
    height: int = 60  # px; of a digit
    margins: tuple[float, float, float, float] = (
        1.0,
        1.0,
        1.0,
        1.0,
    )  # heights; left, top, right, bottom
    gap: float = 0.3  # heights; between digits
    pitch: float = 1.8  # heights; from one baseline to the next
    slope: float = 0.0  # of the baselines; positive falls
    ground: str = "plain"  # or "sheet", "board"
    paper: Colour = WHITE
    ink: Colour = BLACK
    texture: float = 0.02  # standard deviation of the paper's brightness
    print: str | None = None  # "ruled", "squared", "boxed", "combed" or "underlined" by hand
    print_colour: Colour = (0.6, 0.7, 0.88)
    print_width: float = 0.025  # heights
    squares: int = 1  # of squared paper, to a digit's height and the space above it
    show_through: float | None = None  # darkness of the other side's print, 0-1
    fold: float | None = None  # light lost at a crease, 0-1
    tilt: float = 0.0  # degrees; of the camera
    skew: float | None = None  # of the shorter side; how far corners move by perspective
    table: float | None = None  # of the shorter side; what is seen around the sheet
    table_colour: Colour = (0.3, 0.18, 0.1)
    uneven: float | None = None  # light missing at the darkest place, 0-1
    shadow: float | None = None  # light that it takes, 0-1
    glare: float | None = None  # light added, 0-1
    brightness: float = 1.0  # of white in the photo; above 1 it is overexposed
    tint: Colour = WHITE  # the light's colour, factors
    scale: float = 1.0  # of the photo; below 1 it has fewer pixels than the sheet was drawn with
    blur: float | None = None  # px of the photo; standard deviation
    shake: float | None = None  # px of the photo; length of the way
    grain: float | None = None  # standard deviation of a pixel, 0-1
    quality: int | None = None  # of the JPEG, 1-95; None is a PNG
    orientation: int = 1  # EXIF: how the camera was held; 1, 3, 6 or 8


def random_scene(rng: np.random.Generator, *, single: bool = False, columns: int = 8) -> Scene:
    """A page as one might come across it. single: for one symbol, which may fill it. columns:
    symbols in the longest row.
    """
    medium = str(rng.choice(list(MEDIA), p=list(MEDIA.values())))
    scene = {"canvas": _canvas, "board": _board, "whiteboard": _whiteboard}.get(medium, _sheet)(
        rng, single
    )
    if medium in ("photo", "board", "whiteboard"):
        scene = _photographed(scene, rng)
    elif medium == "scan":
        scene = replace(
            scene,
            grain=_maybe(rng, 0.5, 0.002, 0.015),
            tilt=rng.normal(0, 1),
            skew=_maybe(rng, 0.4, 0.005, 0.02),
        )
        scene = replace(scene, quality=_quality(rng, 0.6), blur=_maybe(rng, 0.5, 0.4, 0.9))

    margins = scene.margins[0] + scene.margins[2]
    return replace(
        scene,
        height=min(scene.height, int(LONGEST_SIDE / (columns * (0.75 + scene.gap) + margins))),
    )


def _maybe(rng: np.random.Generator, chance: float, low: float, high: float) -> float | None:
    """A number between low and high, or None: each always takes the same draws, so that scenes stay
    comparable.
    """
    happens, value = rng.random() < chance, float(rng.uniform(low, high))
    return value if happens else None


def _one(rng: np.random.Generator, colours: Sequence[Colour]) -> Colour:
    """One of the colours, a little different each time."""
    red, green, blue = np.clip(
        np.array(colours[int(rng.integers(len(colours)))]) + rng.normal(0, 0.02, 3), 0, 1
    )
    return float(red), float(green), float(blue)


def _quality(rng: np.random.Generator, chance: float) -> int | None:
    quality = int(rng.integers(35, 95))
    return quality if rng.random() < chance else None


def _margins(rng: np.random.Generator, single: bool) -> tuple[float, float, float, float]:
    low, high = (0.15, 1.2) if single else (0.4, 2.5)
    left, top, right, bottom = rng.uniform(low, high, 4)
    return float(left), float(top), float(right), float(bottom)


def _canvas(rng: np.random.Generator, single: bool) -> Scene:
    """A paint program: pure colours and hard or smooth edges, on very few to very many pixels."""
    height = (
        int(rng.choice([18, 22, 40, 90, 160, 300], p=[0.15, 0.15, 0.2, 0.25, 0.15, 0.1]))
        if single
        else int(rng.integers(30, 160))
    )
    pen = Pen("brush", float(rng.uniform(0.03, 0.16)), hard=bool(rng.random() < 0.4))
    scene = Scene(
        pen,
        height,
        _margins(rng, single),
        gap=float(rng.uniform(0.15, 0.6)),
        pitch=float(rng.uniform(1.4, 2)),
    )
    look = rng.random()
    if look < 0.35:
        return replace(scene, paper=BLACK, ink=WHITE)
    if look < 0.5:
        return replace(scene, paper=_one(rng, COLOURED), ink=_one(rng, INKS))

    return replace(
        scene, ink=_one(rng, INKS) if look < 0.65 else BLACK, quality=_quality(rng, 0.25)
    )


def _sheet(rng: np.random.Generator, single: bool) -> Scene:
    """Paper, blank or printed, and a pen or pencil."""
    pens = (
        Pen(
            "ballpoint",
            float(rng.uniform(0.03, 0.06)),
            0.25,
            grain=float(rng.uniform(0, 0.2)),
            opacity=0.95,
        ),
        Pen(
            "pencil",
            float(rng.uniform(0.03, 0.07)),
            0.35,
            grain=float(rng.uniform(0.15, 0.4)),
            opacity=float(rng.uniform(0.5, 0.9)),
        ),
        Pen("felt tip", float(rng.uniform(0.07, 0.15)), 0.2, opacity=0.97),
        Pen("fountain pen", float(rng.uniform(0.04, 0.09)), 0.7, opacity=0.95),
    )
    pen = pens[rng.integers(len(pens))]
    kind = str(rng.choice(list(PRINTED), p=list(PRINTED.values())))
    ink = GRAPHITE if pen.name == "pencil" else _one(rng, INKS)

    return Scene(
        pen,
        height=int(rng.integers(36, 130)) * (2 if single else 1),
        margins=_margins(rng, single),
        gap=float(rng.uniform(0.15, 0.55)),
        pitch=float(rng.uniform(1.4, 2.1)),
        slope=float(rng.normal(0, 0.012)),
        ground="sheet",
        paper=_one(rng, COLOURED if rng.random() < 0.15 else PAPERS),
        ink=ink,
        texture=float(rng.uniform(0.004, 0.025)),
        print=None if kind == "blank" else kind,
        print_colour=ink if kind == "underlined" else _one(rng, PRINTS),
        print_width=float(rng.uniform(0.012, 0.04)),
        squares=int(rng.integers(1, 4)),
        show_through=_maybe(rng, 0.2, 0.03, 0.12),
        fold=_maybe(rng, 0.15, 0.05, 0.2),
    )


def _board(rng: np.random.Generator, single: bool) -> Scene:
    """Chalk on a blackboard."""
    pen = Pen(
        "chalk",
        float(rng.uniform(0.06, 0.14)),
        0.3,
        grain=float(rng.uniform(0.1, 0.35)),
        opacity=float(rng.uniform(0.75, 0.95)),
    )
    return Scene(
        pen,
        height=int(rng.integers(50, 130)) * (2 if single else 1),
        margins=_margins(rng, single),
        gap=float(rng.uniform(0.2, 0.6)),
        slope=float(rng.normal(0, 0.02)),
        ground="board",
        paper=_one(rng, BOARDS),
        ink=_one(rng, CHALKS),
        texture=float(rng.uniform(0.01, 0.06)),
    )


def _whiteboard(rng: np.random.Generator, single: bool) -> Scene:
    """A marker on something smooth that mirrors the lamp."""
    pen = Pen(
        "marker",
        float(rng.uniform(0.07, 0.14)),
        0.2,
        grain=float(rng.uniform(0, 0.1)),
        opacity=float(rng.uniform(0.8, 0.97)),
    )
    scene = _sheet(rng, single)
    return replace(
        scene, pen=pen, ink=_one(rng, INKS), paper=PAPERS[0], texture=0.004, print=None, show_through=None, fold=None,
        glare=_maybe(rng, 0.7, 0.1, 0.4),
    )  # fmt: skip


def _photographed(scene: Scene, rng: np.random.Generator) -> Scene:
    """With a phone: at an angle, in whatever light there is."""
    sheet = scene.ground == "sheet" and scene.glare is None
    return replace(
        scene,
        tilt=float(rng.normal(0, 2.5)),
        skew=float(rng.uniform(0.005, 0.06)),
        table=_maybe(rng, 0.25, 0.04, 0.2) if sheet else None,
        table_colour=_one(rng, TABLES),
        uneven=_maybe(rng, 0.7, 0.05, 0.5),
        shadow=_maybe(rng, 0.3, 0.1, 0.45),
        brightness=float(rng.uniform(0.5, 1))
        if scene.ground == "sheet"
        else float(rng.uniform(0.8, 1.3)),
        tint=tuple(np.clip(rng.normal(1, 0.04, 3), 0.85, 1.1).tolist()),
        scale=float(rng.choice([1.0, 1.0, 0.6, 0.4])),
        blur=_maybe(rng, 0.7, 0.4, 1.3),
        shake=_maybe(rng, 0.1, 2, 4),
        grain=_maybe(rng, 0.8, 0.003, 0.022),
        quality=int(rng.integers(45, 95)),
        orientation=int(rng.choice([1, 3, 6, 8], p=[0.85, 0.05, 0.05, 0.05])),
    )
