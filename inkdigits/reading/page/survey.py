"""From a picture to the pieces of it in which something is written, each at its own scale.

A coarse pass over two thumbnails says where writing is and how tall: the smaller one, in a frame of
paper, sees digits that fill the picture, too large in the other one for the network to see whole.
Blank margins are cut off before, and where the smaller thumbnail has found all ink, the larger one
is not looked at: of drawings both together leave two fifths of the time. A fine pass looks at the
places that were found (places.py), each resized to its scale.
"""

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from PIL import Image

from inkdigits.reading.page.maps import (
    COARSE,
    Maps,
    PageSession,
    Pixels,
    coarse_maps,
    page_maps,
)
from inkdigits.reading.page.places import Box, Flags, Place, places_of

# Set by hand, and not measured one by one where no figure stands beside them.
THUMBNAIL = 640  # pixels of the longer side at the most, in the coarse pass
SMALL = 128  # pixels of the longer side at the least: smaller pictures are enlarged
ENLARGED = 4.0  # times at the most
SMALLER = 4  # times, the second thumbnail
# Pixels of paper around the second thumbnail, in whole cells of it. Of optdigits' digits, enlarged
# to 160 pixels and without a margin, 96 % are read with it and 69 % without (n 360).
FRAME = 8
# Pixels of blank paper that stay around ink. Of 300 drawings of enlarged validation digits 276 are
# read without a fault with 24 or 12, 273 with 16, 271 with 64, and 271 with all blank paper.
BLANK = 24
TALL = 20.0  # pixels in the second thumbnail from which writing is left to it: 80 in the first
# Pixels in the second thumbnail from which writing in a drawing is seen well enough to do without
# the first one. Of 400 drawings 376 are read without a fault with 20, 377 with 14, and 376 with 10
# or 7, in 82, 72, 63 and 66 ms. In photos, where no cell is blank, 10 made an amount of 160 wrong.
CLEAR = 10.0
LEAST_WRITING = 0.4  # probability from which a coarse cell is writing
# Of all pieces together, a third of a second of one core: room for 320 digits. More are made
# smaller, as on one of 170 real pages.
MOST_PIXELS = 1_000_000
REDUCING_GAP = 3.0  # Pillow's: how much of a reduction may be done by whole steps, for speed


@dataclass(frozen=True)
class Piece:
    """A part of a picture at its scale.

    Attributes:
        picture: (h, w, 3) uint8, resized.
        left: where it begins, in pixels of the whole picture.
        top: likewise.
        scale: pixels of the piece for one of the whole picture.
        maps: what the page network says of it.
    """

    picture: Pixels
    left: float
    top: float
    scale: float
    maps: Maps


class Survey(NamedTuple):
    """Where to look in a picture, (h, w, 3) uint8, which begins at left, top of the whole one."""

    picture: Pixels
    left: int
    top: int
    paper: Pixels
    places: tuple[Place, ...]

    @property
    def wanted(self) -> float:
        """How many pixels all places have at their scales."""
        return sum(place.pixels for place in self.places)

    @property
    def shrink(self) -> float:
        """How many times as large as they would like places are looked at."""
        return min(1.0, (MOST_PIXELS / max(self.wanted, 1.0)) ** 0.5)


def resized(picture: Pixels, scale: float) -> Pixels:
    """Return a picture resized by a factor, area-averaged where it shrinks.

    Args:
        picture: (H, W, 3) uint8.
        scale: more than 0.

    Returns:
        (H * scale, W * scale, 3) uint8, rounded to whole pixels, one at the least.
    """
    height, width = picture.shape[:2]
    new_width = max(1, round(width * scale))
    new_height = max(1, round(height * scale))
    if (new_width, new_height) == (width, height):
        return picture

    image = Image.fromarray(picture).resize(
        (new_width, new_height),
        Image.Resampling.BILINEAR,
        reducing_gap=REDUCING_GAP,
    )
    return np.asarray(image)


def survey(network: PageSession, picture: Pixels) -> Survey:
    """Find where to look in a picture, (H, W, 3) uint8 RGB: the coarse pass of `find_pieces`."""
    paper = _border_colour(picture)
    left, top, right, bottom = _inked_part(picture, paper)
    inked = picture[top:bottom, left:right]
    places = _find_places(network, inked, paper)
    return Survey(inked, left, top, paper, tuple(places))


def find_pieces(network: PageSession, picture: Pixels) -> list[Piece]:
    """Return the parts of a picture that hold writing, with their maps.

    Args:
        network: the page network.
        picture: (H, W, 3) uint8 RGB.
    """
    return look_at(network, survey(network, picture))


def look_at(network: PageSession, surveyed: Survey) -> list[Piece]:
    """Return the pieces of a surveyed picture, of MOST_PIXELS at the most: the fine pass."""
    picture, left, top, paper, places = surveyed
    pieces = [_piece(network, picture, place, surveyed.shrink, paper) for place in places]
    return [replace(piece, left=piece.left + left, top=piece.top + top) for piece in pieces]


def _inked_part(picture: Pixels, paper: Pixels) -> Box:
    """Return the box of all pixels that are not exactly paper, with BLANK more around it.

    Around drawings this is much smaller than the picture. In a photo, hardly any pixel is exactly
    paper.
    """
    height, width = picture.shape[:2]
    inked = _differs(picture, paper)
    rows = np.flatnonzero(inked.any(axis=1))
    columns = np.flatnonzero(inked.any(axis=0))
    if len(rows) == 0:
        return 0, 0, width, height

    return (
        max(0, int(columns[0]) - BLANK),
        max(0, int(rows[0]) - BLANK),
        min(width, int(columns[-1]) + 1 + BLANK),
        min(height, int(rows[-1]) + 1 + BLANK),
    )


def _find_places(network: PageSession, picture: Pixels, paper: Pixels) -> list[Place]:
    """Return the places of a picture to look at: the coarse pass."""
    height, width = picture.shape[:2]
    scale = _thumbnail_scale(height, width)
    thumbnail = resized(picture, scale)
    small = _framed(resized(thumbnail, 1 / SMALLER), paper)
    small_maps = coarse_maps(network, small)

    is_writing = small_maps.writing > LEAST_WRITING
    inked = _inked_cells(thumbnail, paper)
    is_clear = is_writing & (small_maps.height >= (TALL if inked.all() else CLEAR))
    suffices = not (inked & ~_covered(is_clear, inked.shape)).any()
    found = is_clear if suffices else is_writing & (small_maps.height >= TALL)
    frame = round(FRAME * SMALLER / scale)
    places = places_of(small_maps, found, scale / SMALLER, frame, (height, width))
    if suffices:
        return places

    covered = _covered(found, inked.shape)
    maps = coarse_maps(network, thumbnail)
    writing = maps.writing > LEAST_WRITING
    is_part = maps.height > TALL * SMALLER / 2  # smaller writing is not part of anything tall
    writing &= ~(is_part & covered)
    return places + places_of(maps, writing, scale, 0, (height, width))


def _inked_cells(thumbnail: Pixels, paper: Pixels) -> Flags:
    """Return the coarse cells (H/8, W/8) of a thumbnail that are not exactly paper."""
    inked = _differs(thumbnail, paper)
    below, beside = (-side % COARSE for side in inked.shape)
    whole = np.pad(inked, ((0, below), (0, beside)))
    rows, columns = (side // COARSE for side in whole.shape)
    cells: Flags = whole.reshape(rows, COARSE, columns, COARSE).max(axis=(1, 3))
    return cells


def _differs(picture: Pixels, colour: Pixels) -> Flags:
    """Tell which pixels (H, W) of a picture (H, W, 3) are not exactly of a colour (3,).

    Channel by channel: `any` over an axis of three takes nine times as long.
    """
    red, green, blue = (picture[:, :, channel] != colour[channel] for channel in range(3))
    differs: Flags = red | green | blue
    return differs


def _thumbnail_scale(height: int, width: int) -> float:
    """Return by how much to resize a picture for the first thumbnail."""
    longest = max(height, width)
    largest = THUMBNAIL / longest
    enlarging = min(ENLARGED, SMALL / longest)
    return min(largest, max(1.0, enlarging))


def _border_colour(picture: Pixels) -> Pixels:
    """Return the median colour (3,) of a picture's outermost pixels, which are mostly paper."""
    border = [picture[0], picture[-1], picture[:, 0], picture[:, -1]]
    return np.median(np.concatenate(border), axis=0).astype(np.uint8)


def _framed(thumbnail: Pixels, paper: Pixels) -> Pixels:
    """Return a thumbnail with FRAME pixels of paper around it."""
    height, width = thumbnail.shape[:2]
    whole = Place(-FRAME, -FRAME, width + FRAME, height + FRAME, zoom=1.0)
    return _window(thumbnail, whole, paper)


def _grown(cells: Flags) -> Flags:
    """Return cells with the eight around each, so that no rim of tall writing is left over."""
    padded = np.pad(cells, 1)
    height, width = cells.shape
    grown = np.zeros_like(cells)
    for down in range(3):
        for across in range(3):
            grown |= padded[down : down + height, across : across + width]

    return grown


def _covered(found: Flags, shape: tuple[int, ...]) -> Flags:
    """Return which cells of the first thumbnail, (rows, columns), were found in the second one."""
    cells = _grown(found[FRAME // COARSE :, FRAME // COARSE :])
    larger = cells.repeat(SMALLER, axis=0).repeat(SMALLER, axis=1)
    below = max(0, shape[0] - larger.shape[0])
    beside = max(0, shape[1] - larger.shape[1])
    padded = np.pad(larger, ((0, below), (0, beside)), mode="edge")
    return padded[: shape[0], : shape[1]]


def _piece(
    network: PageSession,
    picture: Pixels,
    place: Place,
    shrink: float,
    paper: Pixels,
) -> Piece:
    """Look at one place, `shrink` times as large as it would like."""
    part = resized(_window(picture, place, paper), place.zoom * shrink)

    # Rounding to whole pixels moves the scale a little, and the longer side the least.
    height, width = part.shape[:2]
    is_upright = place.height > place.width
    scale = height / place.height if is_upright else width / place.width

    maps = page_maps(network, part)
    return Piece(part, place.left, place.top, scale, maps)


def _window(picture: Pixels, place: Place, paper: Pixels) -> Pixels:
    """Return a part of a picture; what lies beyond the picture is paper."""
    height, width = picture.shape[:2]
    above, left = max(0, -place.top), max(0, -place.left)
    below, right = max(0, place.bottom - height), max(0, place.right - width)
    inside = picture[
        place.top + above : place.bottom - below,
        place.left + left : place.right - right,
    ]
    if not (above or left or below or right):
        return inside

    window = np.empty((place.height, place.width, 3), np.uint8)
    upper, lower = above, place.height - below
    first, last = left, place.width - right
    window[upper:lower, first:last] = inside
    for beyond in (np.s_[:upper], np.s_[lower:], np.s_[:, :first], np.s_[:, last:]):
        window[beyond] = paper

    return window
