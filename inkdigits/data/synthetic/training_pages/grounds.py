"""Lay out what is written on: papers, cheques with their security ground, canvases, boards, tables,
and things that are no page.

Textures are drawn once as large tiles; a ground takes a piece of one. Pictures are float32 (H, W,
3), 0 to 255.
"""

from dataclasses import dataclass
from functools import cache
from typing import Any

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from inkdigits.data.synthetic.training_pages.pixels import (
    Colour,
    Picture,
    Plane,
    clouds,
    dyed,
    lit_by,
    part,
    spread,
)

TILE = 512  # pixels, side of a tile
SECURITY = 48  # patterns
PAPERS = 16  # textures
TABLES = 12


@dataclass(frozen=True, slots=True)
class Tiles:
    """Textures, each (TILE, TILE).

    Attributes:
        grain: float32, white noise of deviation 1. papers: float32, fibres and unevenness of
            deviation 1.
        security: uint8, lines and dots of cheques, bare 0 to covered 255. tables: uint8 (TILE,
            TILE, 3).
    """

    grain: Plane
    papers: tuple[Plane, ...]
    security: tuple[NDArray[np.uint8], ...]
    tables: tuple[NDArray[np.uint8], ...]


@cache
def tiles() -> Tiles:
    """Draw the textures: a second or two."""
    rng = np.random.default_rng(29)
    return Tiles(
        grain=rng.standard_normal((TILE, TILE), np.float32),
        papers=tuple(_paper(rng) for _ in range(PAPERS)),
        security=tuple(_security(rng) for _ in range(SECURITY)),
        tables=tuple(_table(rng) for _ in range(TABLES)),
    )


def _paper(rng: Generator) -> Plane:
    """Mix noise of several sizes, some of it drawn out to fibres."""
    texture = np.zeros((TILE, TILE), np.float32)
    for size in (0.7, 1.5, 3, 8, 30):
        noise = rng.standard_normal((TILE, TILE), np.float32)
        stretch = rng.uniform(1, 3 if size < 2 else 1.5)
        layer = cv2.GaussianBlur(noise, (0, 0), size * stretch, sigmaY=size)
        texture += layer / layer.std() * np.float32(rng.uniform(0, 1) ** 2 / max(1, size / 4))
    return (texture - texture.mean()) / texture.std()


def _security(rng: Generator) -> NDArray[np.uint8]:
    """Draw one pattern such as cheques have below their writing."""
    tile = np.zeros((TILE, TILE), np.uint8)
    draw = (_guilloche, _screen, _rosettes, _hatching, _microprint, _weave)[int(rng.integers(6))]
    draw(tile, rng)
    return tile


def _guilloche(tile: NDArray[np.uint8], rng: Generator) -> None:
    """Let bundles of waves cross."""
    for _ in range(int(rng.integers(2, 4))):
        _waves(tile, rng)


def _screen(tile: NDArray[np.uint8], rng: Generator) -> None:
    """Print dots in rows, every other row shifted."""
    pitch = float(rng.uniform(3, 9))
    radius = pitch * float(rng.uniform(0.15, 0.32))
    for row, y in enumerate(np.arange(0, TILE, pitch * 0.8)):
        for x in np.arange((row % 2) * pitch / 2, TILE, pitch):
            centre = round(x * 16), round(y * 16)
            cv2.circle(tile, centre, round(radius * 16), 255, -1, cv2.LINE_AA, 4)


def _rosettes(tile: NDArray[np.uint8], rng: Generator) -> None:
    """Print flowers of fine lines."""
    turn = np.linspace(0, 2 * np.pi, 240)
    for _ in range(int(rng.integers(3, 7))):
        centre, petals = rng.uniform(0, TILE, 2), int(rng.integers(5, 14))
        for radius in np.arange(20, rng.uniform(80, 220), rng.uniform(6, 14)):
            r = radius * (1 + 0.2 * np.cos(petals * turn))
            points = centre + np.column_stack([r * np.cos(turn), r * np.sin(turn)])
            _curve(tile, points)


def _hatching(tile: NDArray[np.uint8], rng: Generator) -> None:
    """Print slanted lines, maybe crossed."""
    for sign in (1, -1)[: int(rng.integers(1, 3))]:
        pitch, slope = float(rng.uniform(4, 14)), sign * float(rng.uniform(0.3, 2))
        for x in np.arange(-TILE * 2.0, TILE * 3.0, pitch):
            cv2.line(tile, (round(x), 0), (round(x + slope * TILE), TILE), 255, 1, cv2.LINE_AA)


def _microprint(tile: NDArray[np.uint8], rng: Generator) -> None:
    """Print tiny words over and over."""
    text = "".join(rng.choice(list("BANKCHEQUEPAYONLY VOID"), 12))
    size = float(rng.uniform(0.4, 0.65))
    pitch, apart = int(rng.integers(10, 18)), int(rng.integers(90, 120))
    for row, y in enumerate(range(8, TILE, pitch)):
        for x in range(-((row * 23) % 80), TILE, apart):
            cv2.putText(tile, text, (x, y), cv2.FONT_HERSHEY_PLAIN, size, 255, 1, cv2.LINE_AA)


def _weave(tile: NDArray[np.uint8], rng: Generator) -> None:
    """Print short strokes, lying and upright in turn."""
    pitch = int(rng.integers(4, 9))
    for i, y in enumerate(range(0, TILE, pitch)):
        for j, x in enumerate(range(0, TILE, pitch)):
            end = (x + pitch - 2, y) if (i + j) % 2 else (x, y + pitch - 2)
            cv2.line(tile, (x, y), end, 255, 1)


def _curve(tile: NDArray[np.uint8], points: NDArray[np.float64]) -> None:
    places = np.rint(points * 16).astype(np.int32)
    cv2.polylines(tile, [places], False, 255, 1, cv2.LINE_AA, 4)


def _waves(tile: NDArray[np.uint8], rng: Generator) -> None:
    """Draw a bundle of waving lines across the tile."""
    x = np.arange(-20, TILE + 20, 6.0)
    length, height = rng.uniform(60, 240), rng.uniform(10, 60)
    phase, turn = rng.uniform(0, 6), rng.uniform(-0.6, 0.6)
    second, drift = rng.uniform(30, 120), rng.uniform(0.0, 0.04)
    for i, y in enumerate(np.arange(-TILE, 2 * TILE, rng.uniform(5, 16))):
        wave = y + turn * x + height * np.sin(2 * np.pi * x / length + phase + drift * i * 5)
        wave += 0.3 * height * np.sin(2 * np.pi * x / second + 0.3 * i * drift)
        _curve(tile, np.column_stack([x, wave]))


def _table(rng: Generator) -> NDArray[np.uint8]:
    """Draw a table or floor: wood, cloth, stone, or plain."""
    kind = int(rng.integers(4))
    if kind == 0:
        noise = rng.standard_normal((TILE, TILE), np.float32)
        grain = cv2.GaussianBlur(noise, (0, 0), 60, sigmaY=1.5)
        wide = cv2.GaussianBlur(noise, (0, 0), 120, sigmaY=8)
        texture = grain / grain.std() + wide / wide.std()
    elif kind == 1:
        weave = np.sin(np.arange(TILE) * 2 * np.pi / rng.uniform(3, 9))
        texture = (weave[:, None] * np.roll(weave, 2)[None] * 2).astype(np.float32)
    else:
        texture = _paper(rng) * np.float32(0.4 if kind == 2 else 1.5)
    colour = rng.uniform(20, 200) + rng.normal(0, 30, 3)
    table = colour * (1 + 0.12 * texture[..., None])
    return np.clip(table, 0, 255).astype(np.uint8)


def piece(tile: NDArray[Any], size: tuple[int, int], rng: Generator, scale: float = 1.0) -> Any:
    """Cut a piece of a tile, mirrored at random; larger by `scale`."""
    height, width = size
    if scale == 1.0 and height <= TILE and width <= TILE:
        y, x = int(rng.integers(0, TILE - height + 1)), int(rng.integers(0, TILE - width + 1))
        cut = tile[y : y + height, x : x + width]
        if rng.random() < 0.5:
            cut = cut[::-1]
        return cut[:, ::-1] if rng.random() < 0.5 else cut
    scale = max(scale, height / TILE, width / TILE)
    cut = piece(tile, (int(height / scale), int(width / scale)), rng)
    return cv2.resize(np.ascontiguousarray(cut), (width, height), interpolation=cv2.INTER_LINEAR)


def plain(size: tuple[int, int], colour: Colour) -> Picture:
    """Fill a picture with a colour."""
    picture = np.empty((*size, 3), np.float32)
    picture[:] = colour
    return picture


def paper(size: tuple[int, int], colour: Colour, roughness: float, rng: Generator) -> Picture:
    """Lay out a sheet. roughness: deviation of its texture, 0-1."""
    all_papers = tiles().papers
    texture = piece(all_papers[rng.integers(len(all_papers))], size, rng, _log(rng, 0.6, 2.5))
    sheet = 1 + texture * np.float32(roughness)
    return spread(sheet, colour)


def secured(picture: Picture, depth: float, rng: Generator) -> Picture:
    """Print a cheque's security ground. depth: how dark, 0-1."""
    patterns = tiles().security
    for _ in range(int(rng.choice([1, 2], p=[0.75, 0.25]))):
        pattern = patterns[rng.integers(len(patterns))]
        layer = part(piece(pattern, picture.shape[:2], rng, _log(rng, 0.7, 2.2)))
        tint = rng.uniform(0, 1, 3) if rng.random() < 0.5 else np.full(3, rng.random())
        picture = dyed(picture, layer, (255 * (1 - depth * (1 - 0.8 * tint))).tolist())
    return picture


def board(size: tuple[int, int], colour: Colour, smear: float, rng: Generator) -> Picture:
    """Lay out a blackboard or whiteboard with what a sponge left. smear: its strength, 0-1."""
    wiped = clouds(size, (int(rng.integers(2, 16)), int(rng.integers(2, 6))), rng)
    fine = piece(tiles().papers[rng.integers(PAPERS)], size, rng)
    grey = (np.clip(wiped, -1, 3) * np.float32(30) + fine * np.float32(10)) * np.float32(smear)
    return spread(grey) + np.array(colour, np.float32)


def table(size: tuple[int, int], rng: Generator) -> Picture:
    """Lay out a table."""
    every = tiles().tables
    cut = piece(every[rng.integers(len(every))], size, rng, _log(rng, 0.6, 2.5))
    if rng.random() < 0.3:
        cut = cut[:, :, [int(c) for c in rng.permutation(3)]]
    return np.ascontiguousarray(cut, np.float32) * np.float32(rng.uniform(0.4, 1.2))


def things(size: tuple[int, int], rng: Generator) -> Picture:
    """Show no page at all: coloured shapes, edges and textures, as in a photograph of anything."""
    height, width = size
    picture = table(size, rng)
    for _ in range(int(rng.integers(2, 14))):
        colour = rng.uniform(0, 255, 3).tolist()
        if rng.random() < 0.5:
            corners = (
                rng.uniform(-0.2, 1.2, (int(rng.integers(3, 7)), 2)) * (width, height)
            ).astype(np.int32)
            cv2.fillPoly(picture, [corners], colour, cv2.LINE_AA)
        else:
            centre = (rng.uniform(0, 1, 2) * (width, height)).astype(int).tolist()
            axes = (rng.uniform(0.02, 0.5, 2) * width).astype(int).tolist()
            thick = -1 if rng.random() < 0.7 else int(rng.integers(1, 12))
            cv2.ellipse(picture, centre, axes, rng.uniform(0, 180), 0, 360, colour, thick, 16)
    texture = piece(tiles().papers[rng.integers(PAPERS)], size, rng, _log(rng, 0.5, 4))
    return picture * (1 + np.float32(rng.uniform(0.02, 0.2)) * texture)[..., None]


def shown_through(picture: Picture, depth: float, rng: Generator) -> Picture:
    """Let the writing of the other side show. depth: how dark, 0-1."""
    size = picture.shape[:2]
    line = float(rng.uniform(8, 30))
    cells = max(2, int(size[0] * 4 / line)), max(2, int(size[1] * 5 / line))
    letters = (clouds(size, cells, rng) > 0.3).astype(np.float32)
    rows = ((np.arange(size[0]) + rng.uniform(0, line)) % line < 0.5 * line).astype(np.float32)
    layer = cv2.GaussianBlur(letters * rows[:, None], (0, 0), max(0.8, line / 14))
    return lit_by(picture, 1 - np.asarray(layer * np.float32(depth), np.float32))


def lettered(picture: Picture, rng: Generator) -> Picture:
    """Print coloured letters all over: a word cloud, a poster, a cover. No symbol of a person's
    hand.
    """
    height, width = picture.shape[:2]
    poster = np.clip(picture, 0, 255).astype(np.uint8)
    fonts = (cv2.FONT_HERSHEY_SIMPLEX, cv2.FONT_HERSHEY_DUPLEX, cv2.FONT_HERSHEY_TRIPLEX)
    for _ in range(int(rng.integers(3, 25))):
        word = "".join(rng.choice(list("aeinrtmhvwcEKARNMTHFW"), int(rng.integers(3, 10))))
        place = int(rng.uniform(-0.2, 0.9) * width), int(rng.uniform(0, 1.1) * height)
        scale = _log(rng, 0.3, 1.8)
        thick = max(1, round(scale * rng.uniform(1, 2.5)))
        colour = rng.uniform(0, 255, 3).tolist()
        cv2.putText(poster, word, place, fonts[rng.integers(3)], scale, colour, thick, cv2.LINE_AA)
    return poster.astype(np.float32)


def stained(picture: Picture, rng: Generator) -> Picture:
    """Leave a stain, or a ring of a cup, or specks; or punch holes."""
    size = picture.shape[:2]
    layer = np.zeros(size, np.uint8)
    chance = rng.random()
    if chance < 0.15:
        x, radius = int(rng.uniform(0.02, 0.15) * size[1]), int(rng.integers(5, 16))
        for y in range(int(rng.integers(0, 120)), size[0], int(rng.integers(90, 240))):
            cv2.circle(picture, (x, y), radius, rng.uniform(0, 255, 3).tolist(), -1, cv2.LINE_AA)
    if chance < 0.5:
        centre = (rng.uniform(0, 1, 2) * (size[1], size[0])).astype(int).tolist()
        axes = rng.integers(8, 80, 2).tolist()
        thick = -1 if rng.random() < 0.6 else int(rng.integers(2, 7))
        cv2.ellipse(layer, centre, axes, rng.uniform(0, 180), 0, 360, 255, thick, 16)
        layer = np.asarray(cv2.GaussianBlur(layer, (0, 0), float(rng.uniform(1, 6))), np.uint8)
    else:
        for x, y in rng.uniform(0, 1, (int(rng.integers(1, 25)), 2)) * (size[1], size[0]):
            cv2.circle(
                layer, (int(x), int(y)), int(rng.choice([0, 1, 2], p=[0.6, 0.3, 0.1])), 255, -1
            )
    tint = rng.uniform(0.05, 0.5) * rng.uniform(0.5, 1, 3)
    return dyed(picture, part(layer), (255 * (1 - tint)).tolist())


def _log(rng: Generator, low: float, high: float) -> float:
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))
