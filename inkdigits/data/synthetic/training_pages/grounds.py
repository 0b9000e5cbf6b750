"""Lay out what is written on: papers, cheques, canvases, boards, tables, and what is no page.

Textures are drawn once as large tiles; a ground takes a piece of one. Pictures are float32 (H, W,
3), 0 to 255.
"""

from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
from numpy.random import Generator

from inkdigits.core.digits import Array
from inkdigits.data.synthetic.training_pages.draws import (
    chance,
    integer,
    log_uniform,
    one_of,
    pick,
)
from inkdigits.data.synthetic.training_pages.pixels import (
    FRACTION,
    Colour,
    Layer,
    Picture,
    Plane,
    Size,
    clouds,
    dyed,
    ellipse,
    fixed_point,
    lit_by,
    part,
    resized,
    soft,
    spread,
)

TILE = 512  # pixels, side of a tile
SECURITY = 48  # patterns
PAPERS = 16  # textures
TABLES = 12
FIBRES = (0.7, 1.5, 3, 8, 30)  # pixels, sizes of what a paper is mixed of
TURN = np.linspace(0, 2 * np.pi, 240)  # radians: a curve once around
PATTERNS = {1: 0.75, 2: 0.25}  # on a cheque
SPECKS = {0: 0.6, 1: 0.3, 2: 0.1}  # their radius, pixels
BANK_LETTERS = list("BANKCHEQUEPAYONLY VOID")


@dataclass(frozen=True, slots=True)
class Tiles:
    """Textures, each (TILE, TILE).

    Attributes:
        grain: float32, white noise of deviation 1.
        papers: float32, fibres and unevenness of deviation 1.
        security: uint8, lines and dots of cheques, bare 0 to covered 255.
        tables: uint8 (TILE, TILE, 3).
    """

    grain: Plane
    papers: tuple[Plane, ...]
    security: tuple[Layer, ...]
    tables: tuple[Array, ...]


@cache
def tiles() -> Tiles:
    """Draw the textures: a second or two."""
    rng = np.random.default_rng(29)
    return Tiles(
        grain=_noise(rng),
        papers=tuple(_paper(rng) for _ in range(PAPERS)),
        security=tuple(_security(rng) for _ in range(SECURITY)),
        tables=tuple(_table(rng) for _ in range(TABLES)),
    )


def _noise(rng: Generator) -> Plane:
    return rng.standard_normal((TILE, TILE), np.float32)


def _paper(rng: Generator) -> Plane:
    """Mix noise of several sizes, some of it drawn out to fibres."""
    texture = np.zeros((TILE, TILE), np.float32)
    for size in FIBRES:
        noise = _noise(rng)
        stretch = rng.uniform(1, 3 if size < 2 else 1.5)
        strength = rng.uniform(0, 1) ** 2 / max(1, size / 4)
        texture += _stretched(noise, size * stretch, size) * strength

    return (texture - texture.mean()) / texture.std()


def _stretched(noise: Plane, across: float, down: float) -> Plane:
    """Blur noise to grains of some size, of deviation 1."""
    layer = cv2.GaussianBlur(noise, (0, 0), across, sigmaY=down)
    return layer / layer.std()


def _security(rng: Generator) -> Layer:
    """Draw one pattern such as cheques have below their writing."""
    tile = np.zeros((TILE, TILE), np.uint8)
    draw = one_of(SECURITY_PATTERNS, rng)
    draw(tile, rng)
    return tile


def _guilloche(tile: Layer, rng: Generator) -> None:
    """Let bundles of waves cross."""
    for _ in range(integer(2, 4, rng)):
        _waves(tile, rng)


def _screen(tile: Layer, rng: Generator) -> None:
    """Print dots in rows, every other row shifted."""
    pitch = rng.uniform(3, 9)
    radius = pitch * rng.uniform(0.15, 0.32)
    size = round(radius * 2**FRACTION)
    for row, y in enumerate(np.arange(0, TILE, pitch * 0.8)):
        for x in np.arange((row % 2) * pitch / 2, TILE, pitch):
            centre = fixed_point(np.array([x, y])).tolist()
            cv2.circle(tile, centre, size, 255, cv2.FILLED, cv2.LINE_AA, FRACTION)


def _rosettes(tile: Layer, rng: Generator) -> None:
    """Print flowers of fine lines."""
    for _ in range(integer(3, 7, rng)):
        centre = rng.uniform(0, TILE, 2)
        petals = integer(5, 14, rng)
        widest = rng.uniform(80, 220)
        for radius in np.arange(20, widest, rng.uniform(6, 14)):
            reach = radius * (1 + 0.2 * np.cos(petals * TURN))
            flower = reach * (np.cos(TURN), np.sin(TURN))
            _curve(tile, centre + flower.T)


def _hatching(tile: Layer, rng: Generator) -> None:
    """Print slanted lines, maybe crossed."""
    for sign in (1, -1)[: integer(1, 3, rng)]:
        pitch = rng.uniform(4, 14)
        slope = sign * rng.uniform(0.3, 2)
        for x in np.arange(-TILE * 2.0, TILE * 3.0, pitch):
            start = (round(x), 0)
            end = (round(x + slope * TILE), TILE)
            cv2.line(tile, start, end, 255, 1, cv2.LINE_AA)


def _microprint(tile: Layer, rng: Generator) -> None:
    """Print tiny words over and over."""
    text = "".join(rng.choice(BANK_LETTERS, 12))
    size = rng.uniform(0.4, 0.65)
    pitch = integer(10, 18, rng)
    apart = integer(90, 120, rng)
    for row, y in enumerate(range(8, TILE, pitch)):
        for x in range(-((row * 23) % 80), TILE, apart):
            cv2.putText(tile, text, (x, y), cv2.FONT_HERSHEY_PLAIN, size, 255, 1, cv2.LINE_AA)


def _weave(tile: Layer, rng: Generator) -> None:
    """Print short strokes, lying and upright in turn."""
    pitch = integer(4, 9, rng)
    length = pitch - 2
    for row, y in enumerate(range(0, TILE, pitch)):
        for column, x in enumerate(range(0, TILE, pitch)):
            lying = (row + column) % 2
            end = (x + length, y) if lying else (x, y + length)
            cv2.line(tile, (x, y), end, 255, 1)


SECURITY_PATTERNS = (_guilloche, _screen, _rosettes, _hatching, _microprint, _weave)


def _curve(tile: Layer, points: Array) -> None:
    cv2.polylines(tile, [fixed_point(points)], False, 255, 1, cv2.LINE_AA, FRACTION)


def _waves(tile: Layer, rng: Generator) -> None:
    """Draw a bundle of waving lines across the tile."""
    length = rng.uniform(60, 240)
    height = rng.uniform(10, 60)
    phase = rng.uniform(0, 6)
    turn = rng.uniform(-0.6, 0.6)
    second = rng.uniform(30, 120)
    drift = rng.uniform(0.0, 0.04)

    x = np.arange(-20, TILE + 20, 6.0)
    for row, y in enumerate(np.arange(-TILE, 2 * TILE, rng.uniform(5, 16))):
        angle = 2 * np.pi * x / length + phase + drift * row * 5
        second_angle = 2 * np.pi * x / second + 0.3 * row * drift
        wave = y + turn * x + height * np.sin(angle)
        wave += 0.3 * height * np.sin(second_angle)
        _curve(tile, np.column_stack([x, wave]))


def _table(rng: Generator) -> Array:
    """Draw a table or floor."""
    draw = one_of(MATERIALS, rng)
    texture = draw(rng)
    colour = rng.uniform(20, 200) + rng.normal(0, 30, 3)
    table = colour * (1 + 0.12 * texture[..., None])

    return np.clip(table, 0, 255).astype(np.uint8)


def _wood(rng: Generator) -> Plane:
    noise = _noise(rng)
    return _stretched(noise, 60, 1.5) + _stretched(noise, 120, 8)


def _cloth(rng: Generator) -> Plane:
    apart = rng.uniform(3, 9)
    thread = np.sin(np.arange(TILE) * 2 * np.pi / apart)
    across = np.roll(thread, 2)
    return (np.outer(thread, across) * 2).astype(np.float32)


def _plain(rng: Generator) -> Plane:
    return _paper(rng) * 0.4


def _stone(rng: Generator) -> Plane:
    return _paper(rng) * 1.5


MATERIALS = (_wood, _cloth, _plain, _stone)


def piece(
    tile: Array,
    size: Size,
    rng: Generator,
    scale: float = 1.0,
) -> Array:
    """Cut a piece of a tile, mirrored at random.

    Args:
        tile: (TILE, TILE) or (TILE, TILE, 3).
        size: of the piece, pixels.
        rng: chance.
        scale: how much larger the texture is seen; more, if the tile is too small otherwise.

    Returns:
        The piece, in the tile's type.
    """
    height, width = size
    scale = max(scale, height / TILE, width / TILE)
    tall = int(height / scale)
    wide = int(width / scale)
    y = integer(0, TILE - tall + 1, rng)
    x = integer(0, TILE - wide + 1, rng)

    cut = tile[y : y + tall, x : x + wide]
    if chance(0.5, rng):
        cut = cut[::-1]
    if chance(0.5, rng):
        cut = cut[:, ::-1]

    return cut if scale == 1 else resized(np.ascontiguousarray(cut), size)


def plain(size: Size, colour: Colour) -> Picture:
    """Fill a picture with a colour."""
    return np.full((*size, 3), colour, np.float32)


def paper(
    size: Size,
    colour: Colour,
    roughness: float,
    rng: Generator,
) -> Picture:
    """Lay out a sheet.

    Args:
        size: pixels.
        colour: of the sheet.
        roughness: deviation of its texture, 0 to 1.
        rng: chance.

    Returns:
        The sheet.
    """
    fibres = one_of(tiles().papers, rng)
    texture = piece(fibres, size, rng, log_uniform(0.6, 2.5, rng))
    return spread(1 + texture * roughness, colour)


def secured(picture: Picture, depth: float, rng: Generator) -> Picture:
    """Print a cheque's security ground, as dark as `depth`, 0 to 1."""
    for _ in range(pick(PATTERNS, rng)):
        pattern = one_of(tiles().security, rng)
        scale = log_uniform(0.7, 2.2, rng)
        layer = part(piece(pattern, picture.shape[:2], rng, scale))
        tint = rng.uniform(0, 1, 3) if chance(0.5, rng) else np.full(3, rng.random())
        colour = 255 * (1 - depth * (1 - 0.8 * tint))
        picture = dyed(picture, layer, colour.tolist())

    return picture


def board(
    size: Size,
    colour: Colour,
    smear: float,
    rng: Generator,
) -> Picture:
    """Lay out a blackboard or whiteboard.

    Args:
        size: pixels.
        colour: of the board.
        smear: strength of what a sponge left, 0 to 1.
        rng: chance.

    Returns:
        The board.
    """
    cells = integer(2, 16, rng), integer(2, 6, rng)
    wiped = clouds(size, cells, rng)
    fine = piece(one_of(tiles().papers, rng), size, rng)
    grey = np.clip(wiped, -1, 3) * 30 + fine * 10

    return spread(grey * smear) + np.array(colour, np.float32)


def table(size: Size, rng: Generator) -> Picture:
    """Lay out a table."""
    tile = one_of(tiles().tables, rng)
    cut = piece(tile, size, rng, log_uniform(0.6, 2.5, rng))
    if chance(0.3, rng):
        cut = cut[:, :, rng.permutation(3)]
    brightness = rng.uniform(0.4, 1.2)

    return np.ascontiguousarray(cut, np.float32) * brightness


def things(size: Size, rng: Generator) -> Picture:
    """Show no page at all: coloured shapes, edges and textures, as in a photograph of anything."""
    picture = table(size, rng)
    for _ in range(integer(2, 14, rng)):
        colour = rng.uniform(0, 255, 3).tolist()
        draw = _polygon if chance(0.5, rng) else _oval
        draw(picture, colour, rng)

    fibres = one_of(tiles().papers, rng)
    texture = piece(fibres, size, rng, log_uniform(0.5, 4, rng))
    depth = rng.uniform(0.02, 0.2)

    return picture * (1 + depth * texture)[..., None]


def _polygon(picture: Picture, colour: list[float], rng: Generator) -> None:
    count = integer(3, 7, rng)
    corners = rng.uniform(-0.2, 1.2, (count, 2)) * _extent(picture)
    cv2.fillPoly(picture, [corners.astype(np.int32)], colour, cv2.LINE_AA)


def _oval(picture: Picture, colour: list[float], rng: Generator) -> None:
    extent = _extent(picture)
    centre = rng.uniform(0, 1, 2) * extent
    axes = rng.uniform(0.02, 0.5, 2) * extent[0]
    thickness = cv2.FILLED if chance(0.7, rng) else integer(1, 12, rng)
    turn = rng.uniform(0, 180)
    ellipse(picture, centre, axes, turn, colour, thickness=thickness, edge=cv2.LINE_AA)


def _extent(picture: Array) -> Array:
    """Return a picture's width and height, (2,)."""
    height, width = picture.shape[:2]
    return np.array([width, height])


def shown_through(picture: Picture, depth: float, rng: Generator) -> Picture:
    """Let the writing of the other side show, as dark as `depth`, 0 to 1."""
    height, width = picture.shape[:2]
    line = rng.uniform(8, 30)
    down = max(2, int(height * 4 / line))
    across = max(2, int(width * 5 / line))
    letters = clouds((height, width), (down, across), rng) > 0.3

    y = np.arange(height) + rng.uniform(0, line)
    is_written = y % line < 0.5 * line
    writing = (letters & is_written[:, None]).astype(np.float32)
    layer = soft(writing, max(0.8, line / 14))

    return lit_by(picture, 1 - layer * depth)


def stained(picture: Picture, rng: Generator) -> Picture:
    """Leave a stain, or a ring of a cup, or specks; or punch holes."""
    kind = rng.random()
    if kind < 0.15:
        _punch(picture, rng)

    layer = np.zeros(picture.shape[:2], np.uint8)
    if kind < 0.5:
        layer = _stain(layer, rng)
    else:
        _sprinkle(layer, rng)

    tint = rng.uniform(0.05, 0.5) * rng.uniform(0.5, 1, 3)
    colour = 255 * (1 - tint)

    return dyed(picture, part(layer), colour.tolist())


def _punch(picture: Picture, rng: Generator) -> None:
    """Punch holes into a picture, one above the other."""
    height, width = picture.shape[:2]
    x = int(rng.uniform(0.02, 0.15) * width)
    radius = integer(5, 16, rng)
    for y in range(integer(0, 120, rng), height, integer(90, 240, rng)):
        colour = rng.uniform(0, 255, 3).tolist()
        cv2.circle(picture, (x, y), radius, colour, cv2.FILLED, cv2.LINE_AA)


def _stain(layer: Layer, rng: Generator) -> Layer:
    """Leave a stain or a ring."""
    centre = rng.uniform(0, 1, 2) * _extent(layer)
    axes = rng.integers(8, 80, 2)
    thickness = cv2.FILLED if chance(0.6, rng) else integer(2, 7, rng)
    turn = rng.uniform(0, 180)
    ellipse(layer, centre, axes, turn, thickness=thickness, edge=cv2.LINE_AA)

    return soft(layer, rng.uniform(1, 6))


def _sprinkle(layer: Layer, rng: Generator) -> None:
    """Leave specks on a layer."""
    count = integer(1, 25, rng)
    places = rng.uniform(0, 1, (count, 2)) * _extent(layer)
    for place in places.astype(int).tolist():
        cv2.circle(layer, place, pick(SPECKS, rng), 255, cv2.FILLED)
