"""Say what pages there are - forms, canvases, notebooks, boards, sheets on tables - and how one of
them looks.

Shares are probabilities, colours red, green, blue from 0 to 255.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

Colour = tuple[float, float, float]


@dataclass(frozen=True)
class Medium:
    """A kind of page.

    Attributes:
        name; share: of all pages. layouts, rules: how often each.
        ruled, secured, worded, edged, photographed: how often lines, a security ground, printed
            words, the sheet's edges
            and a camera are seen.
    """

    name: str
    share: float
    layouts: Mapping[str, float]
    rules: Mapping[str, float]
    ruled: float
    secured: float
    worded: float
    edged: float
    photographed: float


MEDIA = (
    Medium(
        "form",
        0.45,
        {
            "amounts": 0.42,
            "number": 0.2,
            "boxes": 0.13,
            "columns": 0.1,
            "rows": 0.07,
            "grid": 0.05,
            "single": 0.03,
        },
        {
            "foot": 0.42,
            "ruled": 0.15,
            "frame": 0.2,
            "squared": 0.05,
            "underlined": 0.07,
            "circled": 0.03,
            "fitted": 0.08,
        },
        ruled=0.6,
        secured=0.5,
        worded=0.25,
        edged=0.06,
        photographed=0.4,
    ),
    Medium(
        "canvas",
        0.2,
        {"single": 0.42, "number": 0.28, "rows": 0.1, "scattered": 0.12, "expressions": 0.08},
        {"frame": 0.4, "squared": 0.2, "ruled": 0.2, "underlined": 0.2},
        ruled=0.12,
        secured=0.0,
        worded=0.06,
        edged=0.0,
        photographed=0.04,
    ),
    Medium(
        "notebook",
        0.2,
        {
            "rows": 0.3,
            "expressions": 0.22,
            "number": 0.16,
            "grid": 0.14,
            "columns": 0.1,
            "single": 0.08,
        },
        {
            "ruled": 0.43,
            "squared": 0.32,
            "dotted": 0.07,
            "underlined": 0.07,
            "circled": 0.06,
            "frame": 0.05,
        },
        ruled=0.75,
        secured=0.0,
        worded=0.08,
        edged=0.1,
        photographed=0.75,
    ),
    Medium(
        "board",
        0.1,
        {"number": 0.4, "rows": 0.25, "expressions": 0.2, "single": 0.15},
        {"frame": 0.3, "underlined": 0.5, "squared": 0.2},
        ruled=0.15,
        secured=0.0,
        worded=0.02,
        edged=0.05,
        photographed=0.8,
    ),
    Medium(
        "table",
        0.05,
        {"rows": 0.4, "number": 0.3, "single": 0.2, "columns": 0.1},
        {"ruled": 0.6, "squared": 0.4},
        ruled=0.5,
        secured=0.0,
        worded=0.05,
        edged=1.0,
        photographed=0.95,
    ),
)

INKS: tuple[Colour, ...] = (
    (20, 20, 24),
    (45, 45, 50),
    (24, 36, 120),
    (40, 64, 170),
    (70, 80, 150),
    (150, 30, 45),
    (90, 20, 40),
    (20, 100, 60),
    (100, 100, 104),
)


@dataclass(frozen=True)
class Style:
    """How one page looks.

    Attributes:
        paper, ink, second, rule: colours; `second` is the ink of another pen. opacity: of ink, 0-1.
            grain: of it that the paper's tooth leaves bare, 0-1.
        covering: whether ink covers or darkens. hard: whether a pixel is covered or not, nothing
            between.
        pen: between which widths, ems. tilt: deviation of the camera's turn, degrees. skew: how far
            from the side, 0-1.
    """

    paper: Colour
    ink: Colour
    second: Colour
    rule: Colour
    opacity: float
    grain: float
    covering: bool
    hard: bool
    pen: tuple[float, float]
    tilt: float
    skew: float

    def contrast(self) -> float:
        """Say how far ink is from paper, 0 to 255, in the channel where it is farthest."""
        ink, paper = np.array(self.ink), np.array(self.paper)
        seen = ink if self.covering else paper * ink / 255
        return max(1.0, self.opacity * float(np.abs(paper - seen).max()))


def style(medium: Medium, rng: Generator) -> Style:
    """Draw a look for a page of some kind."""
    if medium.name == "canvas":
        return _canvas(rng)
    if medium.name == "board":
        return _board(rng)
    return _sheet(medium, rng)


def _near(colour: Colour, spread: float, rng: Generator) -> Colour:
    r, g, b = np.clip(np.asarray(colour) + rng.normal(0, spread, 3), 0, 255).tolist()
    return r, g, b


def _grey(low: float, high: float, tint: float, rng: Generator) -> Colour:
    value = float(rng.uniform(low, high))
    return _near((value, value, value), tint, rng)


def _canvas(rng: Generator) -> Style:
    chance = rng.random()
    if chance < 0.4:
        paper, ink = (255.0, 255.0, 255.0), (0.0, 0.0, 0.0)
    elif chance < 0.7:
        paper, ink = (0.0, 0.0, 0.0), (255.0, 255.0, 255.0)
    elif chance < 0.85:
        paper, ink = _grey(200, 255, 10, rng), _grey(0, 90, 50, rng)
    else:
        paper, ink = _grey(0, 255, 60, rng), _grey(0, 255, 60, rng)
        if abs(sum(paper) - sum(ink)) < 200:
            ink = (255.0, 255.0, 255.0) if sum(paper) < 380 else (0.0, 0.0, 0.0)
    faint = rng.random() < 0.12
    return Style(
        paper=paper,
        ink=ink,
        second=_near(ink, 60, rng),
        rule=_grey(60, 200, 30, rng),
        opacity=float(rng.uniform(0.15, 0.6)) if faint else 1.0,
        grain=0.0,
        covering=True,
        hard=bool(rng.random() < 0.4),
        pen=(0.015, 0.26),
        tilt=1.0,
        skew=0.0,
    )


def _board(rng: Generator) -> Style:
    chalk = rng.random() < 0.55
    ink = _grey(200, 255, 15, rng) if chalk else INKS[rng.integers(len(INKS))]
    return Style(
        paper=_near((35, 50, 42), 18, rng) if chalk else _grey(190, 250, 6, rng),
        ink=_near(ink, 12, rng),
        second=_near((240, 220, 120) if chalk else INKS[rng.integers(len(INKS))], 20, rng),
        rule=_grey(80, 200, 20, rng),
        opacity=float(rng.uniform(0.6, 1)),
        grain=float(rng.uniform(0, 0.45)) if chalk else float(rng.choice([0, 0.2])),
        covering=True,
        hard=False,
        pen=(0.05, 0.18),
        tilt=3.0,
        skew=1.0,
    )


def _sheet(medium: Medium, rng: Generator) -> Style:
    chance = rng.random()
    if chance < 0.45:
        paper = _grey(210, 255, 5, rng)
    elif chance < 0.75:
        paper = _grey(140, 215, 8, rng)
    else:
        base = (
            (235, 225, 190),
            (250, 240, 130),
            (200, 225, 210),
            (190, 210, 230),
            (235, 200, 205),
            (150, 165, 165),
            (215, 195, 160),
        )[int(rng.integers(7))]
        paper = _near(base, 14, rng)
    scan = medium.name == "form"
    return Style(
        paper=paper,
        ink=_near(INKS[rng.integers(len(INKS))], 14, rng),
        second=_near(INKS[rng.integers(len(INKS))], 14, rng),
        rule=_rule(rng),
        opacity=float(rng.uniform(0.25, 0.8) if rng.random() < 0.3 else rng.uniform(0.8, 1)),
        grain=float(rng.choice([0, 0.15, 0.35], p=[0.55, 0.3, 0.15])),
        covering=bool(rng.random() < 0.25),
        hard=bool(scan and rng.random() < 0.05),
        pen=(0.03, 0.17),
        tilt=2.0 if scan else 4.5,
        skew=0.3 if scan else 1.0,
    )


def _rule(rng: Generator) -> Colour:
    chance = rng.random()
    if chance < 0.5:
        return _grey(30, 190, 12, rng)
    if chance < 0.8:
        return _near((120, 150, 205), 25, rng)
    return _near((200, 110, 120), 30, rng)
