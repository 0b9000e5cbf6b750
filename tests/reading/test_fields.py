"""Pictures become fields with MNIST's geometry, on any paper; MNIST's own images stay the same."""

import io
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from inkdigits.reading.page.single import single
from inkdigits.reading.preprocessing import fields
from inkdigits.reading.preprocessing.fields import as_is, disc, stroke_width, to_field
from inkdigits.reading.recogniser import Recogniser

SAMPLE = Path(__file__).parents[1] / "assets" / "sample.jpg"
Field = NDArray[np.uint8]


def tight(field: Field) -> Field:
    """Return the digit without the paper around it."""
    rows, columns = np.flatnonzero(field.any(axis=1)), np.flatnonzero(field.any(axis=0))
    return field[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def enlarged(field: Field, side: int = 200) -> Field:
    """Return the digit as a drawing of `side` pixels, with a margin that MNIST does not have."""
    return cv2.copyMakeBorder(
        cv2.resize(field, (side, side), interpolation=cv2.INTER_CUBIC),
        30,
        10,
        5,
        45,
        cv2.BORDER_CONSTANT,
    )


def centre_of_mass(field: Field) -> tuple[float, float]:
    """Return (x, y) from the outer edge of the field, computed slowly."""
    total = field.sum(dtype=float)
    y = sum((row + 0.5) * float(field[row].sum()) for row in range(28)) / total
    x = sum((column + 0.5) * float(field[:, column].sum()) for column in range(28)) / total
    return x, y


def blots(seed: int) -> Field:
    """Return ink with holes, corners that touch and specks, cut off by the borders."""
    generator = np.random.default_rng(seed)
    height, width = generator.integers(1, 60, 2)
    noise = generator.normal(size=(height, width))
    noise = ndimage.gaussian_filter(noise, generator.choice([0, 0.7, 2]))
    return np.clip(128 + 100 * noise / (noise.std() + 1e-9), 0, 255).astype(np.uint8)


def png(pixels: Field) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


def test_fields_meet_the_figures_that_mnist_itself_meets(mnist):
    """Longest side 20 px, centre of mass in [14, 15), maximum 254 or more.

    MNIST's own digits do so in 99.97 to 100 %.
    """
    fields = [to_field(tight(enlarged(image))) for image in mnist.validation.images[:300]]
    sides = [max(tight(field).shape) for field in fields]
    centres = np.array([centre_of_mass(field) for field in fields])

    assert np.mean([side == 20 for side in sides]) > 0.98
    assert np.mean((centres >= 13.9) & (centres < 15.1)) > 0.98
    assert min(int(field.max()) for field in fields) >= 250


def test_mnist_s_own_images_come_back_unchanged_bit_for_bit(mnist):
    images = mnist.validation.images[:1000]
    assert all(np.array_equal(single(image), image) for image in images)


def test_dark_on_light_gives_the_same_field_as_light_on_dark(mnist):
    assert all(
        np.array_equal(single(255 - image), image) for image in mnist.validation.images[:300]
    )


def test_mnist_s_own_images_have_its_geometry_and_no_other_place_has(mnist):
    for image in mnist.validation.images[:300]:
        assert as_is(image) is image
        assert np.array_equal(as_is(255 - image), image)
        assert as_is(np.roll(image, 2, axis=1)) is None
        assert as_is(image // 2) is None


@pytest.mark.parametrize("shape", [(27, 28), (28, 28, 3), (1, 28)])
def test_pixels_of_other_shapes_have_not_mnist_s_geometry(shape):
    assert as_is(np.full(shape, 255, np.uint8)) is None


@pytest.mark.slow
def test_a_drawing_comes_back_close_to_the_digit_that_it_shows(mnist):
    """The mean grey of the field differs by a few levels, not by a shift or a stretch."""
    images = mnist.validation.images[:200]
    differences = [
        np.abs(single(255 - enlarged(image)).astype(int) - image).mean() for image in images
    ]
    others = [np.abs(np.roll(image, 2, axis=1).astype(int) - image).mean() for image in images]

    assert np.median(differences) < 12
    assert np.median(differences) < np.median(others) / 2


@pytest.mark.parametrize("seed", range(40))
def test_strokes_are_as_wide_as_opencv_s_outlines_say(seed):
    """Twice the area over the length of the outlines; a speck's is 2 pixels long."""
    digit = blots(seed)
    ink = (digit > 127).astype(np.uint8)
    outlines, _ = cv2.findContours(ink, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    length = sum(max(2.0, cv2.arcLength(outline, closed=True)) for outline in outlines)

    assert stroke_width(digit) == pytest.approx(2 * ink.sum() / max(1.0, length), abs=1e-5)


def test_a_pen_is_as_round_as_opencv_s():
    for diameter in range(1, 60):
        ellipse = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (diameter, diameter))
        assert np.array_equal(disc(diameter), ellipse)


@pytest.mark.parametrize("diameter", [1, 3, 5, 9, 21])
def test_strokes_grow_as_scipy_s_do(diameter):
    for seed in range(10):
        digit = blots(seed)
        grown = ndimage.grey_dilation(digit, footprint=disc(diameter), mode="constant", cval=0)
        assert np.array_equal(fields._grow(digit, diameter), grown)


def ring(pen: int) -> Field:
    """Return a circle, 200 pixels across."""
    drawing = np.zeros((220, 220), np.uint8)
    return cv2.circle(drawing, (110, 110), 100 - pen // 2, 255, pen)


@pytest.mark.parametrize("pen", [2, 6, 16, 24, 36, 50])
def test_a_pen_of_any_width_becomes_one_of_mnist_s_on_all_sides(pen):
    digit = tight(to_field(ring(pen))).astype(int)

    assert digit.shape == (20, 20)
    assert 1.5 <= digit[10].sum() / 2 / 255 <= 4.5  # pixels that a stroke is wide

    for mirrored in (digit[::-1], digit[:, ::-1], digit.T):
        assert np.abs(digit - mirrored).mean() < 10


@pytest.mark.parametrize("strength", [1, 2, 5, 40, 100, 127])
def test_faint_ink_makes_the_same_field(strength):
    full = to_field(ring(20))
    faint = to_field(np.where(ring(20) > 0, strength, 0).astype(np.uint8))
    assert np.abs(full.astype(int) - faint).mean() < 2


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 300), (300, 2), (9, 1500)])
def test_a_bar_of_any_size_is_as_long_as_a_digit(height, width):
    bar = tight(to_field(np.full((height, width), 255, np.uint8)))
    assert max(bar.shape) == 20
    assert (bar.shape[0] > bar.shape[1]) == (height > width)


def test_reading_a_picture_agrees_with_classifying_its_field(mnist):
    recogniser, images = Recogniser(), mnist.validation.images[:200]
    expected = recogniser.classify(images)
    for image, chances in zip(images, expected, strict=True):
        reading = recogniser.read(png(image), single=True)
        assert reading.digits[0].probabilities == pytest.approx(chances, abs=1e-6)


@pytest.mark.parametrize("level", [0, 17, 128, 255])
def test_solid_pictures_hold_no_digit(level):
    recogniser = Recogniser()
    for size in ((28, 28), (300, 200)):
        for alone in (True, False):
            reading = recogniser.read(np.full(size, level, np.uint8), single=alone)
            assert reading.text == ""
            assert not any(digit.accepted for digit in reading.digits)


@pytest.mark.parametrize("size", [28, 64, 200])
def test_pure_noise_is_never_an_accepted_digit(size):
    recogniser, generator = Recogniser(), np.random.default_rng(size)
    for _ in range(10):
        noise = generator.integers(0, 256, (size, size), dtype=np.uint8)
        assert not any(digit.accepted for digit in recogniser.read(noise, single=True).digits)


@pytest.mark.parametrize(
    "change", ["as it is", "inverted", "grey", "transparent", "half the size", "dim"]
)
def test_a_row_of_digits_is_read_on_any_paper(change):
    picture = Image.open(SAMPLE).convert("RGB")
    pixels = np.asarray(picture)
    if change == "inverted":
        picture = Image.fromarray(255 - pixels)
    elif change == "grey":
        picture = picture.convert("L")
    elif change == "transparent":
        darkness = 255 - np.asarray(picture.convert("L"))
        alpha = np.where(darkness > 110, darkness, 0).astype(np.uint8)
        picture = Image.fromarray(np.dstack([np.zeros_like(pixels), alpha]))
    elif change == "half the size":
        picture = picture.resize((picture.width // 2, picture.height // 2))
    elif change == "dim":
        picture = Image.fromarray((pixels * 0.45).astype(np.uint8))
    reading = Recogniser().read(picture)

    assert reading.text == "27354"

    lefts = [digit.box[0] for digit in reading.digits]

    assert lefts == sorted(lefts)
    assert all(0 <= digit.box[0] < digit.box[2] <= picture.width for digit in reading.digits)


def test_lines_of_writing_are_read_from_top_to_bottom():
    line = np.asarray(Image.open(SAMPLE).convert("RGB"))
    assert Recogniser().read(np.vstack([line, line])).text == "27354\n27354"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("blackboard.jpg", "3085"),
        ("form.png", "50614"),
        ("touching.jpg", "352"),
        ("transparent.png", "4"),
        ("squared-paper.jpg", "2749\n8163"),
        ("turned-phone.jpg", "7"),
    ],
)
def test_pictures_of_other_papers_and_pens_are_read(name, text):
    assert Recogniser().read(SAMPLE.with_name(name)).text == text


@pytest.mark.parametrize(
    ("quarters", "words"), [(1, "read turned to the right"), (3, "read turned to the left")]
)
def test_a_page_on_its_side_is_read_with_boxes_in_the_given_picture(quarters, words):
    pixels = np.asarray(Image.open(SAMPLE).convert("RGB"))
    upright, turned = Recogniser().read(pixels), Recogniser().read(np.rot90(pixels, quarters))

    assert turned.text == upright.text == "27354"
    assert words in turned.warnings

    for before, after in zip(upright.digits, turned.digits, strict=True):
        left, top, right, bottom = before.box
        marked = np.zeros(pixels.shape[:2], np.bool_)
        marked[top:bottom, left:right] = True
        rows, columns = np.nonzero(np.rot90(marked, quarters))
        assert after.box == pytest.approx(
            (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1), abs=2
        )


def test_a_page_that_makes_sense_is_not_turned():
    assert Recogniser().read(SAMPLE).warnings == ()
