"""Compose a page's picture: ground, prints, the sheet's edges, ink.

Takes what is written and the look of the page; returns float32 (H, W, 3), 0 to 255.
"""

import cv2
import numpy as np
from numpy.random import Generator

from inkdigits.data.synthetic.training_pages import camera, grounds, prints
from inkdigits.data.synthetic.training_pages.draws import chance, log_uniform, one_of, pick
from inkdigits.data.synthetic.training_pages.media import Medium, Style
from inkdigits.data.synthetic.training_pages.pixels import (
    FRACTION,
    Layer,
    Picture,
    Size,
    covered,
    dyed,
    ellipse,
    fixed_point,
    lit_by,
    part,
    soft,
)
from inkdigits.data.synthetic.training_pages.writing import Writing

COVERED_SHEET = 200  # of 255, below which what is on the sheet would be hidden
CAPTIONED = 0.15  # share of pages written in cells with printed letters below these
CELLS_SEEN = 0.85  # share of pages written in cells where these are printed
MANY = 24  # lines on a page; more are thin, or nothing written could be seen between them
BY_HAND = 0.12  # share of rules and boxes that are drawn by hand, with the same ink
PRINTED = 0.9  # opacity of printed words
LEAST_CAPTION = 6  # pixels, height of a letter
LEAST_WORD = 5  # pixels, the same of words
WIDEST_RULE = 5  # pixels


def ground(
    medium: Medium,
    look: Style,
    writing: Writing,
    em: float,
    rng: Generator,
    *,
    blank: bool,
) -> Picture:
    """Lay out the ground and print on it.

    Args:
        medium: what kind of page it is.
        look: colours, and how much of everything.
        writing: what is written, which prints avoid or surround.
        em: height of digits, pixels.
        rng: chance.
        blank: whether nothing is written, so that it may be no page at all.

    Returns:
        float32 (H, W, 3), 0 to 255, without the ink.
    """
    if blank and chance(0.3, rng):
        return grounds.things(writing.size, rng)

    picture = _bare(writing.size, medium, look, rng)
    if blank and chance(0.5, rng):
        picture = prints.poster(picture, rng) if chance(0.6, rng) else prints.text(picture, rng)

    segments = _cells(writing, rng)
    if segments is None:
        segments = _rules(medium, writing, em, rng)
    if segments:
        picture = _ruled(picture, segments, look, writing, em, rng)

    picture = _printed(picture, medium, look, writing, em, rng)
    if chance(medium.edged, rng):
        picture = _on_table(picture, writing, rng)

    return picture


def _bare(
    size: Size,
    medium: Medium,
    look: Style,
    rng: Generator,
) -> Picture:
    """Lay out a canvas, a board or a sheet with what is in its paper."""
    if medium.name == "canvas":
        return grounds.plain(size, look.paper)
    if medium.name == "board":
        return grounds.board(size, look.paper, rng.uniform(0, 1), rng)

    roughness = 0.05 * rng.random() ** 2
    picture = grounds.paper(size, look.paper, roughness, rng)
    if chance(medium.secured, rng):
        picture = grounds.secured(picture, rng.uniform(0.06, 0.4), rng)
    if chance(0.1, rng):
        picture = grounds.shown_through(picture, rng.uniform(0.03, 0.18), rng)
    if chance(0.1, rng):
        picture = grounds.stained(picture, rng)

    return picture


def _cells(writing: Writing, rng: Generator) -> list[prints.Segment] | None:
    """Print the cells in which symbols are written, if there are any and if they are seen."""
    cells = writing.cells
    if not cells or not chance(CELLS_SEEN, rng):
        return None
    if chance(0.75, rng):
        return prints.boxed(cells) + prints.around(cells, rng)
    return prints.combed(cells, rng.uniform(0.15, 0.6))


def _rules(
    medium: Medium,
    writing: Writing,
    em: float,
    rng: Generator,
) -> list[prints.Segment]:
    """Choose what is ruled on the page, and rule it to suit the writing."""
    if not chance(medium.ruled, rng):
        return []

    size = writing.size
    height, width = size
    rows = writing.extents
    base = rows[0][3] if rows else rng.uniform(0, height)
    foot = base + rng.normal(0.03, 0.12) * em
    pitch = rows[1][3] - base if len(rows) > 1 else 0.0
    if pitch < 0.8 * em:
        pitch = em * rng.uniform(1.1, 2.5)

    side = max(5.0, em * log_uniform(0.3, 2, rng))
    kind = pick(medium.rules, rng)
    margin = prints.upright(size, rng) if chance(0.3, rng) else []
    match kind:
        case "ruled":
            return prints.ruled(size, foot, pitch) + margin
        case "foot":
            return [(-width, foot, 2 * width, foot), *margin]
        case "squared":
            return prints.squared(size, foot, side, rng.uniform(0, side))
        case "dotted":
            return prints.dotted(size, max(6.0, 0.5 * side), rng)
        case "underlined":
            return prints.underlined(rows, rng)
        case "fitted":
            return prints.fitted(rows, rng)
        case "circled":
            return prints.circled(rows, rng)
        case _:
            return prints.framed(size, rng)


def _ruled(
    picture: Picture,
    segments: list[prints.Segment],
    look: Style,
    writing: Writing,
    em: float,
    rng: Generator,
) -> Picture:
    """Draw lines on the ground, in type or by hand."""
    width = max(0.6, em * log_uniform(0.012, 0.08, rng))
    if len(segments) > MANY:
        width = min(width, max(0.6, 0.03 * em))

    by_hand = chance(BY_HAND, rng)
    if by_hand:
        segments = prints.wobbly(segments, 0.06 * em, rng)

    width = min(width, WIDEST_RULE)
    layer = prints.lines(writing.size, writing.lens, segments, width)
    in_ink = by_hand or chance(0.25, rng)
    strength = 1.0 if chance(0.5, rng) else rng.uniform(0.3, 1)
    colour = look.ink if in_ink else look.rule

    return covered(picture, part(layer, strength), colour)


def _printed(
    picture: Picture,
    medium: Medium,
    look: Style,
    writing: Writing,
    em: float,
    rng: Generator,
) -> Picture:
    """Print letters below cells, and words."""
    size, lens = writing.size, writing.lens
    if writing.cells and chance(CAPTIONED, rng):
        height = max(LEAST_CAPTION, em * rng.uniform(0.25, 0.5))
        layer = prints.captioned(size, lens, writing.cells, height, rng)
        picture = covered(picture, part(layer, PRINTED), look.rule)

    if chance(medium.worded, rng):
        height = max(LEAST_WORD, em * log_uniform(0.25, 0.8, rng))
        layer = prints.worded(size, lens, writing.owner == 0, height, rng)
        colour = look.rule if chance(0.4, rng) else look.ink
        picture = covered(picture, part(layer, PRINTED), colour)

    return picture


def _on_table(picture: Picture, writing: Writing, rng: Generator) -> Picture:
    """Show the table beside the sheet, or a finger on it; nothing where that would hide ink."""
    size = writing.size
    if chance(0.75, rng):
        sheet = _sheet(writing, rng)
        beside = grounds.table(size, rng)
        if chance(0.5, rng):
            shadow = soft(sheet, rng.uniform(1.5, 6))
            beside = lit_by(beside, 1 - part(shadow, 0.5))
    else:
        sheet = _free_of_finger(size, rng)
        beside = _skin(size, rng)

    hides = (sheet < COVERED_SHEET) & (writing.owner > 0)
    return picture if hides.any() else covered(beside, part(sheet), picture)


def _sheet(writing: Writing, rng: Generator) -> Layer:
    """Return where the sheet is, 255, whose edges are seen at some sides."""
    height, width = writing.size
    is_seen = rng.random(4) < 0.6
    edges = rng.uniform(-0.3, 0.35, 4)
    left, top, right, bottom = np.where(is_seen, edges, -1.0)
    right = 1 - right
    bottom = 1 - bottom
    corners = np.array(
        [
            [left, top],
            [right, top],
            [right, bottom],
            [left, bottom],
        ]
    )
    shifts = rng.normal(0, 0.03 * width, (4, 2))
    places = writing.lens.seen(corners * (width, height) + shifts)

    sheet = np.zeros((height, width), np.uint8)
    cv2.fillConvexPoly(sheet, fixed_point(places), 255, cv2.LINE_AA, FRACTION)

    return sheet


def _free_of_finger(size: Size, rng: Generator) -> Layer:
    """Hold the sheet with a finger; return where it is still seen, 255."""
    height, width = size
    x = one_of((-0.05, 1.05), rng) * width
    y = rng.uniform(0.1, 1.1) * height
    length = rng.uniform(0.15, 0.5) * width
    breadth = rng.uniform(0.06, 0.14) * width
    sheet = np.full(size, 255, np.uint8)
    turn = rng.normal(0, 35)
    ellipse(sheet, (x, y), (length, breadth), turn, 0, edge=cv2.LINE_AA)

    return sheet


def _skin(size: Size, rng: Generator) -> Picture:
    brightness = rng.uniform(70, 240)
    blue, green = sorted(rng.uniform(0.5, 0.85, 2).tolist())
    colour = (brightness, brightness * green, brightness * blue)
    return camera.lit(grounds.paper(size, colour, 0.03, rng), 0.4, rng)


def inked(
    picture: Picture,
    look: Style,
    writing: Writing,
    rng: Generator,
) -> Picture:
    """Put the ink on the page, as covering or as translucent as the pen's.

    Args:
        picture: the ground, float32 (H, W, 3), 0 to 255.
        look: colours of the inks, and how they cover.
        writing: the ink.
        rng: chance.

    Returns:
        The picture with the ink.
    """
    if not writing.symbols:
        return picture

    lay = covered if look.covering else dyed
    for cover, colour in zip(writing.covers, (look.ink, look.second), strict=False):
        share = part(cover, look.opacity)
        if look.grain:
            scale = one_of((1.3, 2.2, 4), rng)
            tooth = grounds.piece(grounds.tiles().grain, writing.size, rng, scale)
            covering = 1 - look.grain * (0.6 + tooth)
            share *= np.clip(covering, 0, 1)

        picture = lay(picture, share, colour)

    return picture
