"""Numbers with signs in the hands of the page generator, and photos of the sheets they stand on.

A text and a place come in, ink goes onto a layer; a layer comes in, a photo as a phone takes it
goes out. Pens, papers, light and cameras are those of `inkdigits.data.synthetic.pages`, which the
page reader never learns from.
"""

from dataclasses import dataclass, replace
from itertools import zip_longest

import cv2
import numpy as np
from numpy.random import Generator

from inkdigits.data.splits import Split
from inkdigits.data.synthetic.glyphs import DIGIT_GLYPHS, Glyph, parse
from inkdigits.data.synthetic.pages import camera, paper, writing
from inkdigits.data.synthetic.pages.paper import Layer, Photo
from inkdigits.data.synthetic.pages.scene import PRINTS, Scene, random_scene
from inkdigits.data.synthetic.pages.writing import Hand

SMALLEST = 22  # pixels of a digit in the photo: a sheet of 30 rows in a picture of 1,500 pixels

# How signs are written, as digits are, in hundredths of a digit's height; y is 0 at its top and 100
# at its foot. A pen rests on a dot, which is half a millimetre wide beside digits of four.
SIGNS = {
    ".": "2,93 8,96 3,100 8,94",
    ",": "10,92 9,102 2,116",
    "-": "2,52 22,50 42,51",
    "/": "44,-6 24,48 2,106",
    ":": "3,34 9,37 4,41 9,35|2,79 8,82 3,86 8,80",
}
BESIDE_SIGN = 0.5  # of the gap between digits: a sign stands within it


@dataclass(frozen=True)
class Writer:
    """Who writes, with what, and how large.

    Attributes:
        hand: the person.
        scene: the pen, the paper, the light and the camera.
        digits: images that the person writes with, where the hand does; None for strokes alone.
    """

    hand: Hand
    scene: Scene
    digits: Split | None


def random_writer(rng: Generator, digits: Split | None, tall: tuple[int, int]) -> Writer:
    """Return a person with a pen, a sheet of paper and a phone.

    Args:
        rng: draws everything.
        digits: images of digits for half of the people, or None.
        tall: pixels of a digit on the sheet, from and to.
    """
    hand = writing.random_hand(rng, mnist=0.5 if digits else 0)
    scene = random_scene(rng)
    while not _is_photo_of_paper(scene):
        scene = random_scene(rng)

    height = int(rng.integers(*tall))
    scale = max(scene.scale, SMALLEST / height)
    return Writer(hand, replace(scene, height=height, scale=min(1.0, scale)), digits)


def _is_photo_of_paper(scene: Scene) -> bool:
    """Tell whether a scene is no canvas, board or scan, which are in full light."""
    return scene.ground == "sheet" and scene.glare is None and scene.brightness != 1


def write(
    ink: Layer, text: str, left: float, baseline: float, writer: Writer, rng: Generator
) -> float:
    """Write a number into a layer of ink, and return where it ends.

    Args:
        ink: bare 0 to covered 1; it is changed.
        text: digits and signs.
        left: where it begins, pixels.
        baseline: on which digits stand, pixels.
        writer: who writes.
        rng: draws everything that varies.
    """
    tall = writer.scene.height
    gap = max(writer.scene.gap, 0.12)
    for character, after in zip_longest(text, text[1:]):
        if character.isdigit():
            drawn, foot = _digit(int(character), writer, rng), 0.0
        else:
            drawn, foot = _sign(character, writer, rng)

        both_digits = character.isdigit() and (after or "").isdigit()
        uneven = rng.normal(0, writer.hand.unevenness / 2)
        lay(ink, drawn, round(left), round(baseline + (foot + uneven) * tall))
        aside = gap * tall * max(0.4, rng.normal(1, 0.25))
        left += drawn.shape[1] + (aside if both_digits else BESIDE_SIGN * aside)

    return left


def _digit(digit: int, writer: Writer, rng: Generator) -> Layer:
    """Return the ink of a digit."""
    hand, pen, digits = writer.hand, writer.scene.pen, writer.digits
    uneven = float(np.clip(rng.normal(1, hand.unevenness), 0.8, 1.2))
    tall = writer.scene.height * uneven
    if digits is not None and rng.random() < hand.mnist:
        image = digits.images[rng.choice(np.flatnonzero(digits.labels == digit))]
        return writing.from_mnist(image, tall, pen, rng)

    glyph = writing.varied(parse(DIGIT_GLYPHS[digit][hand.styles[digit]]), hand, rng)
    return writing.draw(glyph, tall * (1 - pen.width), pen, rng)


def _sign(sign: str, writer: Writer, rng: Generator) -> tuple[Layer, float]:
    """Return the ink of a sign, and how far below the baseline it reaches, in digit heights."""
    glyph: Glyph = writing.varied(parse(SIGNS[sign]), writer.hand, rng)
    lowest = max(stroke[:, 1].max() for stroke in glyph)
    ink = writing.draw(glyph, writer.scene.height, writer.scene.pen, rng)
    return ink, float(lowest - 1 + writer.scene.pen.width / 2)


def written_apart(text: str, writer: Writer, rng: Generator) -> Layer:
    """Return the ink of a number by itself, half a digit's height below its baseline included."""
    tall = writer.scene.height
    ink = np.zeros((2 * tall, round((1.7 * len(text) + 1) * tall)), np.float32)
    write(ink, text, 0, 1.5 * tall, writer, rng)
    across = np.flatnonzero(ink.any(axis=0))
    return ink[:, : across[-1] + 1] if len(across) else ink[:, :0]


def lay(ink: Layer, drawn: Layer, left: int, foot: int) -> None:
    """Lay ink onto a sheet, which is changed, as far as it is inside; its foot is at a pixel."""
    top = max(0, foot - drawn.shape[0])
    place = ink[top : top + drawn.shape[0], left : left + drawn.shape[1]]
    np.maximum(place, drawn[: place.shape[0], : place.shape[1]], out=place)


def photographed(
    ink: Layer, rules: Layer | None, writer: Writer, rng: Generator
) -> tuple[bytes, Photo]:
    """Return a phone's photo of a sheet: the file, and the picture that it shows.

    Args:
        ink: of the writing.
        rules: lines that are printed on the sheet, or None.
        writer: whose scene it is.
        rng: draws everything that varies.
    """
    scene = writer.scene
    sheet = paper.sheet(ink.shape, scene.paper, scene.texture, rng)
    if rules is not None:
        sheet = paper.printed(sheet, rules, PRINTS[rng.integers(len(PRINTS))])
    lay = paper.printed if sum(scene.ink) < sum(scene.paper) else paper.covered
    photo = _seen(lay(sheet, ink, scene.ink), scene, rng)

    if scene.uneven:
        photo = camera.uneven(photo, scene.uneven, rng)
    if scene.shadow:
        photo = camera.shaded(photo, scene.shadow, rng)
    photo = camera.exposed(photo, scene.brightness, scene.tint)

    size = [round(scene.scale * side) for side in (photo.shape[1], photo.shape[0])]
    photo = cv2.resize(photo, size, interpolation=cv2.INTER_AREA)
    if scene.blur:
        photo = camera.blurred(photo, scene.blur)
    if scene.grain:
        photo = camera.grainy(photo, scene.grain, rng)

    file = camera.encoded(camera.developed(photo), scene.quality, scene.orientation)
    return file, camera.decoded(file)


def _seen(sheet: Photo, scene: Scene, rng: Generator) -> Photo:
    """Return a sheet through a camera: on a table, or from so near that its edges are outside."""
    height, width = sheet.shape[:2]
    side = min(height, width)
    if scene.table is None:
        inset = min((scene.skew or 0) * side, scene.height)
        return camera.cornered(sheet, inset, scene.tilt, rng)[0]

    around = 2 * round(scene.table * side)
    table = paper.wood((height + around, width + around), scene.table_colour, rng)
    return camera.on_table(sheet, table, min(scene.skew or 0, scene.table) * side, rng)[0]
