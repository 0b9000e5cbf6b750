"""Compose a page's picture: ground, prints, the sheet's edges, ink.

Takes what is written and the look of the page; returns float32 (H, W, 3), 0 to 255.
"""

from collections.abc import Callable, Mapping

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from inkdigits.data.synthetic.training_pages import camera, grounds, prints
from inkdigits.data.synthetic.training_pages.media import Medium, Style
from inkdigits.data.synthetic.training_pages.pixels import Picture, covered, dyed, lit_by, part
from inkdigits.data.synthetic.training_pages.writing import Writing

COVERED_SHEET = 200  # of 255, below which what is on the sheet would be hidden
CAPTIONED = 0.15  # share of pages written in cells with printed letters below these
CELLS_SEEN = 0.85  # share of pages written in cells where these are printed
MANY = 24  # lines on a page; more are thin, or nothing written could be seen between them
BY_HAND = 0.12  # share of rules and boxes that are drawn by hand, with the same ink


def ground(
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
    picture = _bare(size, medium, look, rng)
    if blank and rng.random() < 0.2:
        picture = grounds.lettered(picture, rng)
    if segments := _segments(size, medium, writing, em, rng):
        width = max(0.6, em * float(np.exp(rng.uniform(np.log(0.012), np.log(0.08)))))
        if len(segments) > MANY:
            width = min(width, max(0.6, 0.03 * em))
        by_hand = rng.random() < BY_HAND
        if by_hand:
            segments = prints.wobbly(segments, 0.06 * em, rng)
        layer = prints.lines(size, writing.lens, segments, min(width, 5))
        same = by_hand or rng.random() < 0.25
        strength = 1.0 if rng.random() < 0.5 else rng.uniform(0.3, 1)
        picture = covered(picture, part(layer, strength), look.ink if same else look.rule)
    if writing.cells and rng.random() < CAPTIONED:
        height = em * float(rng.uniform(0.25, 0.5))
        layer = prints.captioned(size, writing.lens, writing.cells, max(6, height), rng)
        picture = covered(picture, part(layer, 0.9), look.rule)
    if rng.random() < medium.worded:
        height = em * float(np.exp(rng.uniform(np.log(0.25), np.log(0.8))))
        layer = prints.worded(size, writing.lens, writing.owner == 0, max(5, height), rng)
        picture = covered(picture, part(layer, 0.9), look.rule if rng.random() < 0.4 else look.ink)
    if rng.random() < medium.edged:
        picture = _on_table(picture, writing, rng)
    return picture


def _bare(size: tuple[int, int], medium: Medium, look: Style, rng: Generator) -> Picture:
    """Lay out a canvas, a board or a sheet with what is in its paper."""
    if medium.name == "canvas":
        return grounds.plain(size, look.paper)
    if medium.name == "board":
        return grounds.board(size, look.paper, float(rng.uniform(0, 1)), rng)
    picture = grounds.paper(size, look.paper, float(0.05 * rng.random() ** 2), rng)
    if rng.random() < medium.secured:
        picture = grounds.secured(picture, float(rng.uniform(0.06, 0.4)), rng)
    if rng.random() < 0.1:
        picture = grounds.shown_through(picture, float(rng.uniform(0.03, 0.18)), rng)
    if rng.random() < 0.1:
        picture = grounds.stained(picture, rng)
    return picture


def _segments(
    size: tuple[int, int], medium: Medium, writing: Writing, em: float, rng: Generator
) -> list[prints.Segment]:
    """Choose what is ruled on the page, and rule it to suit the writing."""
    if writing.cells and rng.random() < CELLS_SEEN:
        if rng.random() < 0.75:
            return prints.boxed(writing.cells) + prints.around(writing.cells, rng)
        return prints.combed(writing.cells, float(rng.uniform(0.15, 0.6)))
    if rng.random() >= medium.ruled:
        return []

    rows = writing.extents
    base = rows[0][3] if rows else float(rng.uniform(0, size[0]))
    foot = base + float(rng.normal(0.03, 0.12)) * em
    pitch = rows[1][3] - rows[0][3] if len(rows) > 1 else 0.0
    if pitch < 0.8 * em:
        pitch = em * float(rng.uniform(1.1, 2.5))
    side = max(5.0, em * float(np.exp(rng.uniform(np.log(0.3), np.log(2)))))

    kind = str(rng.choice(list(medium.rules), p=list(medium.rules.values())))
    upright = prints.upright(size, rng) if rng.random() < 0.3 else []
    rules: Mapping[str, Callable[[], list[prints.Segment]]] = {
        "ruled": lambda: prints.ruled(size, foot, pitch) + upright,
        "foot": lambda: [(-size[1], foot, 2.0 * size[1], foot), *upright],
        "squared": lambda: prints.squared(size, foot, side, float(rng.uniform(0, side))),
        "dotted": lambda: prints.dotted(size, max(6.0, 0.5 * side), rng),
        "underlined": lambda: prints.underlined(rows, rng),
        "fitted": lambda: prints.fitted(rows, rng),
        "circled": lambda: prints.circled(rows, rng),
        "frame": lambda: prints.framed(size, rng),
    }
    return rules[kind]()


def _on_table(picture: Picture, writing: Writing, rng: Generator) -> Picture:
    """Show the table beside the sheet, or a finger on it; nothing where that would hide ink."""
    size = writing.size
    if rng.random() < 0.75:
        sheet = _sheet(writing, rng)
        beside = grounds.table(size, rng)
        if rng.random() < 0.5:
            shadow = cv2.GaussianBlur(sheet, (0, 0), float(rng.uniform(1.5, 6)))
            beside = lit_by(beside, 1 - part(np.asarray(shadow, np.uint8), 0.5))
    else:
        sheet, beside = _finger(size, rng)

    if ((sheet < COVERED_SHEET) & (writing.owner > 0)).any():
        return picture
    return covered(beside, part(sheet), picture)


def _sheet(writing: Writing, rng: Generator) -> NDArray[np.uint8]:
    """Say where the sheet is, 255, whose edges are seen at some sides."""
    height, width = writing.size
    seen = rng.random(4) < 0.6
    left, top, right, bottom = np.where(seen, rng.uniform(-0.3, 0.35, 4), -1.0)
    corners = np.array([[left, top], [1 - right, top], [1 - right, 1 - bottom], [left, 1 - bottom]])
    places = writing.lens.seen(corners * (width, height) + rng.normal(0, 0.03 * width, (4, 2)))
    sheet = np.zeros((height, width), np.uint8)
    fixed = np.rint(np.clip(places, -3000, 3000) * 16).astype(np.int32)
    cv2.fillConvexPoly(sheet, fixed, 255, cv2.LINE_AA, 4)
    return sheet


def _finger(size: tuple[int, int], rng: Generator) -> tuple[NDArray[np.uint8], Picture]:
    """Hold the sheet with a finger: where the sheet is still seen, and skin."""
    height, width = size
    sheet = np.full(size, 255, np.uint8)
    centre = int(rng.choice([-0.05, 1.05]) * width), int(rng.uniform(0.1, 1.1) * height)
    axes = (int(rng.uniform(0.15, 0.5) * width), int(rng.uniform(0.06, 0.14) * width))
    cv2.ellipse(sheet, centre, axes, rng.normal(0, 35), 0, 360, 0, -1, cv2.LINE_AA)
    r, g, b = (rng.uniform(70, 240) * np.array([1, *rng.uniform(0.5, 0.85, 2)])).tolist()
    return sheet, camera.lit(grounds.paper(size, (r, max(g, b), min(g, b)), 0.03, rng), 0.4, rng)


def inked(picture: Picture, look: Style, writing: Writing, rng: Generator) -> Picture:
    """Put the ink on the page, as covering or as translucent as the pen's."""
    if not writing.symbols:
        return picture
    for cover, colour in zip(writing.covers, (look.ink, look.second), strict=False):
        share = part(cover, look.opacity)
        if look.grain:
            scale = float(rng.choice([1.3, 2.2, 4]))
            tooth = grounds.piece(grounds.tiles().grain, writing.size, rng, scale)
            share *= np.clip(1 - look.grain * (0.6 + tooth), 0, 1)
        blend = covered if look.covering else dyed
        picture = blend(picture, share, colour)
    return picture
