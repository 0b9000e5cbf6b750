"""Say what pages there are - forms, canvases, notebooks, boards, sheets - and how one looks.

Shares are probabilities, colours red, green, blue from 0 to 255.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from inkdigits.data.synthetic.training_pages.draws import chance, one_of, pick
from inkdigits.data.synthetic.training_pages.pixels import Colour


@dataclass(frozen=True)
class Medium:
    """A kind of page.

    Attributes:
        name: in words.
        share: of all pages.
        layouts: how often each is.
        rules: how often each is.
        ruled: how often lines are seen.
        secured: how often a security ground.
        worded: how often printed words.
        edged: how often the sheet's edges.
        photographed: how often a camera saw the page.
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
PAPERS: tuple[Colour, ...] = (
    (235, 225, 190),
    (250, 240, 130),
    (200, 225, 210),
    (190, 210, 230),
    (235, 200, 205),
    (150, 165, 165),
    (215, 195, 160),
)
WHITE: Colour = (255, 255, 255)
BLACK: Colour = (0, 0, 0)
BLACKBOARD: Colour = (35, 50, 42)
YELLOW_CHALK: Colour = (240, 220, 120)
BLUE_RULE: Colour = (120, 150, 205)
RED_RULE: Colour = (200, 110, 120)
GRAINS = {0: 0.55, 0.15: 0.3, 0.35: 0.15}  # of paper, and how often


@dataclass(frozen=True)
class Style:
    """How one page looks.

    Attributes:
        paper: colour.
        ink: colour.
        second: colour of another pen's ink.
        rule: colour.
        opacity: of ink, 0 to 1.
        grain: of ink that the paper's tooth leaves bare, 0 to 1.
        covering: whether ink covers or darkens.
        hard: whether a pixel is covered or not, nothing between.
        pen: between which widths, ems.
        tilt: deviation of the camera's turn, degrees.
        skew: how far from the side the camera sees, 0 to 1.
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
        """Return how far ink is from paper, 0 to 255, in the channel where it is farthest."""
        ink = np.array(self.ink)
        paper = np.array(self.paper)
        seen = ink if self.covering else paper * ink / 255
        farthest = np.abs(paper - seen).max()

        return max(1.0, self.opacity * float(farthest))


def style(medium: Medium, rng: Generator) -> Style:
    """Draw a look for a page of some kind."""
    if medium.name == "canvas":
        return _canvas(rng)
    if medium.name == "board":
        return _board(rng)
    return _sheet(medium, rng)


def _near(colour: Colour, spread: float, rng: Generator) -> Colour:
    shifted = np.array(colour) + rng.normal(0, spread, 3)
    red, green, blue = np.clip(shifted, 0, 255).tolist()
    return red, green, blue


def _grey(
    low: float,
    high: float,
    tint: float,
    rng: Generator,
) -> Colour:
    value = rng.uniform(low, high)
    return _near((value, value, value), tint, rng)


def _canvas(rng: Generator) -> Style:
    paper, ink = _canvas_colours(rng)
    faint = chance(0.12, rng)
    return Style(
        paper=paper,
        ink=ink,
        second=_near(ink, 60, rng),
        rule=_grey(60, 200, 30, rng),
        opacity=rng.uniform(0.15, 0.6) if faint else 1.0,
        grain=0.0,
        covering=True,
        hard=chance(0.4, rng),
        pen=(0.015, 0.26),
        tilt=1.0,
        skew=0.0,
    )


def _canvas_colours(rng: Generator) -> tuple[Colour, Colour]:
    """Draw the colours of paper and ink, which can be told apart."""
    kind = rng.random()
    if kind < 0.4:
        return WHITE, BLACK
    if kind < 0.7:
        return BLACK, WHITE
    if kind < 0.85:
        return _grey(200, 255, 10, rng), _grey(0, 90, 50, rng)

    paper = _grey(0, 255, 60, rng)
    ink = _grey(0, 255, 60, rng)
    if abs(sum(paper) - sum(ink)) < 200:
        ink = WHITE if sum(paper) < 380 else BLACK

    return paper, ink


def _board(rng: Generator) -> Style:
    chalk = chance(0.55, rng)
    ink = _grey(200, 255, 15, rng) if chalk else one_of(INKS, rng)
    return Style(
        paper=_near(BLACKBOARD, 18, rng) if chalk else _grey(190, 250, 6, rng),
        ink=_near(ink, 12, rng),
        second=_near(YELLOW_CHALK if chalk else one_of(INKS, rng), 20, rng),
        rule=_grey(80, 200, 20, rng),
        opacity=rng.uniform(0.6, 1),
        grain=rng.uniform(0, 0.45) if chalk else one_of((0, 0.2), rng),
        covering=True,
        hard=False,
        pen=(0.05, 0.18),
        tilt=3.0,
        skew=1.0,
    )


def _sheet(medium: Medium, rng: Generator) -> Style:
    scan = medium.name == "form"
    return Style(
        paper=_paper(rng),
        ink=_near(one_of(INKS, rng), 14, rng),
        second=_near(one_of(INKS, rng), 14, rng),
        rule=_rule(rng),
        opacity=rng.uniform(0.25, 0.8) if chance(0.3, rng) else rng.uniform(0.8, 1),
        grain=pick(GRAINS, rng),
        covering=chance(0.25, rng),
        hard=scan and chance(0.05, rng),
        pen=(0.03, 0.17),
        tilt=2.0 if scan else 4.5,
        skew=0.3 if scan else 1.0,
    )


def _paper(rng: Generator) -> Colour:
    kind = rng.random()
    if kind < 0.45:
        return _grey(210, 255, 5, rng)
    if kind < 0.75:
        return _grey(140, 215, 8, rng)
    return _near(one_of(PAPERS, rng), 14, rng)


def _rule(rng: Generator) -> Colour:
    kind = rng.random()
    if kind < 0.5:
        return _grey(30, 190, 12, rng)
    if kind < 0.8:
        return _near(BLUE_RULE, 25, rng)
    return _near(RED_RULE, 30, rng)
