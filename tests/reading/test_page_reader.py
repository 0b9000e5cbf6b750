"""A page's symbols are found once each, in reading order, in a picture of any kind."""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from drawn import line, written
from hypothesis import given
from hypothesis import strategies as st
from perfect import perfect_piece
from PIL import Image

from inkdigits.reading import turning
from inkdigits.reading.page import reader
from inkdigits.reading.page.decoding import find_symbols, shared_areas
from inkdigits.reading.page.find import OTHER, SLASH, Box, Find
from inkdigits.reading.page.reader import (
    LEAST_DIGIT,
    LIKELIER_ALONE,
    SAME,
    PageReader,
    _distinct,
    _if_alone,
    _in_reading_order,
    _worth_a_look,
    page_reader,
)
from inkdigits.reading.preprocessing.picture import MAX_PIXELS, Picture, open_picture
from inkdigits.reading.recogniser import Recogniser
from inkdigits.reading.turning import MIDDLE, MOST_TRIED

ASSETS = Path(__file__).parents[1] / "assets"
SAMPLE, SAMPLE_SAYS = ASSETS / "sample.jpg", "27354"
DOT, COMMA, COLON = 10, 11, 14
TWO_ROWS = np.maximum(
    line("27354", (300, 500), 40, 30),
    line("48203", (300, 500), 40, 170),
)
PIECE = perfect_piece([(40, 30, 64, 70)])
(SYMBOL,) = find_symbols(PIECE.maps)


@pytest.fixture(scope="module")
def pages() -> PageReader:
    return page_reader(threads=1)


@pytest.fixture(scope="module")
def recogniser() -> Recogniser:
    return Recogniser(threads=1)


def find(box: Box, kind: int = 5, sure: float = 0.9, score: float = 0.5) -> Find:
    """Return a find whose likeliest kind has a probability of `sure`; all else is no symbol."""
    chances = np.zeros(16, np.float32)
    chances[OTHER] = 1 - sure
    chances[kind] = sure
    return Find(box, chances, PIECE, replace(SYMBOL, score=score))


def boxes_of(finds: Iterable[Find]) -> list[Box]:
    return [one.box for one in finds]


# ---- each symbol once


def test_no_finds_are_none() -> None:
    assert _distinct([]) == []


def test_of_two_finds_of_one_symbol_the_surer_stays() -> None:
    doubtful = find((10, 10, 30, 50), sure=0.6)
    sure = find((11, 12, 32, 50), sure=0.9)
    assert boxes_of(_distinct([doubtful, sure])) == [sure.box]
    assert boxes_of(_distinct([sure, doubtful])) == [sure.box]


def test_a_surely_found_symbol_counts_as_well_as_a_surely_known_one() -> None:
    known = find((10, 10, 30, 50), sure=0.8, score=0.4)
    found = find((11, 12, 32, 50), sure=0.7, score=0.9)
    assert boxes_of(_distinct([known, found])) == [found.box]


def test_a_ring_of_an_eight_is_a_part_of_it() -> None:
    eight = find((10, 10, 30, 50), kind=8)
    ring = find((11, 10, 29, 29), kind=0, sure=0.7)
    assert boxes_of(_distinct([ring, eight])) == [eight.box]


def test_an_eight_stays_also_where_its_ring_is_surer() -> None:
    eight = find((10, 10, 30, 50), kind=8, sure=0.7)
    ring = find((11, 10, 29, 29), kind=0, sure=0.9)
    assert boxes_of(_distinct([ring, eight])) == [eight.box]


def test_what_holds_several_digits_is_none() -> None:
    one, two = find((10, 10, 30, 50)), find((34, 10, 54, 50))
    both = find((10, 10, 54, 50), sure=0.7)
    assert set(boxes_of(_distinct([one, both, two]))) == {one.box, two.box}


def test_a_comma_below_a_long_tail_stays() -> None:
    nine = find((10, 10, 40, 80), kind=9)
    comma = find((30, 70, 38, 80), kind=COMMA)
    assert set(boxes_of(_distinct([nine, comma]))) == {nine.box, comma.box}


@pytest.mark.parametrize(("of_colon", "of_dot"), [(0.9, 0.8), (0.8, 0.9)])
def test_a_dot_of_a_colon_is_a_part_of_it(of_colon: float, of_dot: float) -> None:
    colon = find((40, 20, 50, 60), COLON, of_colon)
    dot = find((41, 50, 49, 60), DOT, of_dot)
    assert len(_distinct([colon, dot])) == 1


def test_neighbours_whose_boxes_overlap_stay() -> None:
    four, seven = find((10, 10, 34, 50)), find((28, 8, 50, 52))
    assert set(boxes_of(_distinct([four, seven]))) == {four.box, seven.box}


SIDES = st.tuples(st.integers(0, 60), st.integers(0, 60), st.integers(1, 40), st.integers(1, 40))
FINDS = st.lists(st.tuples(SIDES, st.integers(0, 15), st.floats(0.1, 1)), max_size=12)


@given(drawn=FINDS)
def test_what_is_left_are_finds_that_are_not_the_same_symbol(
    drawn: list[tuple[tuple[int, int, int, int], int, float]],
) -> None:
    finds = [
        find((left, top, left + width, top + height), kind, sure)
        for (left, top, width, height), kind, sure in drawn
    ]
    left = _distinct(finds)
    assert all(any(one is other for other in finds) for one in left)
    assert bool(left) == bool(finds)

    boxes = np.array(boxes_of(left), float).reshape(-1, 4)
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    for number, box in enumerate(boxes):
        shared = np.delete(shared_areas(box, boxes), number)
        joined = areas[number] + np.delete(areas, number) - shared
        assert (shared <= SAME * joined).all()


# ---- in reading order


def test_rows_are_read_from_the_top_and_each_from_the_left() -> None:
    rows = [[(x, y, x + 20, y + 30) for x in range(0, 200, 30)] for y in (0, 60, 120)]
    finds = [find(box) for row in rows for box in row]
    shuffled = [finds[place] for place in np.random.default_rng(0).permutation(len(finds))]

    placed = _in_reading_order(shuffled)
    assert boxes_of(placed) == boxes_of(finds)
    assert [one.line for one in placed] == [0] * 7 + [1] * 7 + [2] * 7


def test_what_is_no_digit_stands_in_the_line_of_the_nearest_digit() -> None:
    upper = [find((x, 0, x + 20, 30)) for x in (0, 30, 70)]
    lower = [find((x, 60, x + 20, 90)) for x in (0, 30, 70)]
    comma = find((52, 24, 58, 36), kind=COMMA)
    letter = find((100, 62, 120, 90), kind=OTHER)

    placed = _in_reading_order([letter, *lower, comma, *upper])
    assert [(one.line, one.box) for one in placed] == [
        *((0, box) for box in boxes_of([*upper[:2], comma, upper[2]])),
        *((1, box) for box in boxes_of([*lower, letter])),
    ]


def test_letters_without_any_digit_have_lines_too() -> None:
    letters = [find((x, y, x + 20, y + 30), kind=OTHER) for y in (0, 60) for x in (0, 30, 60)]
    placed = _in_reading_order(letters[::-1])
    assert [one.line for one in placed] == [0, 0, 0, 1, 1, 1]
    assert boxes_of(placed) == boxes_of(letters)


# ---- looked at again


def test_the_least_sure_symbols_are_looked_at_first() -> None:
    digit = np.random.default_rng(0).uniform(0.5, 1, 50)
    chances = np.zeros((len(digit), 16), np.float32)
    chances[:, 7] = digit
    chances[:, OTHER] = 1 - digit
    assert _worth_a_look(chances) == np.argsort(digit).tolist()


def test_symbols_that_are_no_digits_are_not_looked_at() -> None:
    chances = np.zeros((3, 16), np.float32)
    chances[0, OTHER] = 1
    chances[1, [2, 3, COMMA]] = (0.3, 0.3, 0.4)
    chances[2, [1, OTHER]] = (LEAST_DIGIT / 2, 1 - LEAST_DIGIT / 2)
    assert _worth_a_look(chances) == [1]
    assert _worth_a_look(chances[:0]) == []


def test_a_page_with_more_digits_than_looks_is_read_all_the_same(
    pages: PageReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    picture = open_picture(SAMPLE)
    look = pages._look
    asked: list[int] = []
    monkeypatch.setattr(
        pages, "_look", lambda looks, logits: asked.append(len(looks)) or look(looks, logits)
    )
    page = pages.read(picture)
    seen = page.candidates
    assert page.warnings == ()

    monkeypatch.setattr(reader, "MOST_LOOKS", 2)
    crowded = pages.read(picture)
    few = crowded.candidates
    assert asked == [asked[0], 2]
    assert crowded.warnings == (f"crowded: {asked[0] - 2} symbols were looked at once only",)
    assert len(few) == len(seen)
    assert asked[0] >= len(seen)
    assert all(one.chances.sum() == pytest.approx(1, abs=1e-4) for one in few)
    assert all(one.image.any() for one in few)


# ---- pages


def test_a_page_has_its_digits_in_boxes_that_fit() -> None:
    layer = line("20574")
    page = page_reader(threads=1).read(Picture(written(layer)))
    assert [int(one.chances.argmax()) for one in page.candidates] == [2, 0, 5, 7, 4]
    assert page.signs == ()
    for place, one in enumerate(page.candidates):
        left, top, right, bottom = one.box
        columns = np.flatnonzero(layer[:, 30 + 80 * place : 110 + 80 * place].any(axis=0))
        expected = columns[0] + 30 + 80 * place, columns[-1] + 31 + 80 * place
        assert (left, right) == pytest.approx(expected, abs=4)
        assert (top, bottom) == pytest.approx((56, 145), abs=4)


def test_boxes_are_in_pixels_of_the_picture_before_it_was_reduced(pages: PageReader) -> None:
    page = pages.read(Picture(written(line("27")), scale=(2.0, 3.0)))
    assert page.in_original((10, 20, 30, 40)) == (20, 60, 60, 120)


def test_single_keeps_the_likeliest_digit_alone(pages: PageReader) -> None:
    picture = Picture(written(line("27")))
    (only,) = pages.read(picture, single=True).candidates
    both = pages.read(picture).candidates
    likeliest = max(both, key=lambda one: float(one.chances[:10].max()))
    assert only.box == likeliest.box
    assert only.chances.argmax() == likeliest.chances.argmax()
    assert only.line == 0


@pytest.mark.parametrize(
    ("one", "slash", "expected"),
    [(0.1, 0.7, 0.1 / 0.3), (0.0, 1.0, 0.0), (0.4, 0.0, 0.4)],
)
def test_a_stroke_alone_is_no_slash(one: float, slash: float, expected: float) -> None:
    alone = _if_alone(of_chances(one, slash))
    assert alone.chances[1] == pytest.approx(expected)
    assert alone.chances.sum() == pytest.approx(1)


def test_a_digit_alone_is_a_digit_more_surely_but_no_other_one() -> None:
    alone = _if_alone(of_chances(one=0.6, slash=0.1))
    before = 0.6 / 0.9
    assert alone.chances[1] == pytest.approx(
        before * LIKELIER_ALONE / (before * LIKELIER_ALONE + 1 - before)
    )
    assert alone.chances.argmax() == 1
    assert alone.chances.sum() == pytest.approx(1)


def test_what_is_no_digit_is_none_alone() -> None:
    assert not _if_alone(of_chances(one=0.4, slash=0.1)).is_digit


def of_chances(one: float, slash: float) -> Find:
    """Return a find that is a 1, a slash, or else anything."""
    chances = np.zeros(16, np.float32)
    chances[[1, SLASH, OTHER]] = one, slash, 1 - one - slash
    return replace(find((0, 0, 10, 40)), chances=chances)


def test_a_blank_page_has_no_candidates_single_or_not(pages: PageReader) -> None:
    blank = Picture(np.full((200, 300), 255, np.uint8))
    for single in (False, True):
        page = pages.read(blank, single)
        assert page.candidates == page.signs == page.pieces == ()
        assert page.warnings == ()


def test_recognisers_share_the_networks_of_the_page() -> None:
    assert page_reader(1) is page_reader(1)
    assert Recogniser("tiny", threads=1)._pages is Recogniser("nano", threads=1)._pages


def test_several_threads_at_once_read_the_same(recogniser: Recogniser) -> None:
    pictures = [
        np.asarray(Image.open(SAMPLE)),
        written(TWO_ROWS),
        255 - written(line("907")),
        np.full((300, 200), 255, np.uint8),
    ] * 4
    expected = [recogniser.read(picture).to_json() for picture in pictures]
    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(lambda one: recogniser.read(one).to_json(), pictures)) == expected


# ---- pictures without writing


@pytest.mark.parametrize("single", [False, True])
@pytest.mark.parametrize("shape", [(1, 1), (3, 3), (1, 2000), (2000, 1), (28, 28), (7, 500)])
def test_a_picture_of_one_grey_reads_as_nothing(
    shape: tuple[int, int], single: bool, recogniser: Recogniser
) -> None:
    for grey in (0, 90, 255):
        reading = recogniser.read(np.full(shape, grey, np.uint8), single)
        assert (reading.text, reading.digits, reading.warnings) == ("", (), ())


@pytest.mark.parametrize(
    "colour", [(255, 0, 0), (0, 90, 0), (20, 30, 200), (240, 220, 120), (255, 255, 255)]
)
def test_a_picture_of_one_colour_reads_as_nothing(
    colour: tuple[int, int, int], recogniser: Recogniser
) -> None:
    assert recogniser.read(np.full((240, 320, 3), colour, np.uint8)).as_dict()["digits"] == []


def test_the_largest_picture_that_is_allowed_is_read(recogniser: Recogniser) -> None:
    side = int(MAX_PIXELS**0.5)
    assert side * side == MAX_PIXELS
    picture = np.full((side, side), 255, np.uint8)
    assert recogniser.read(picture).text == ""

    layer = line("274", (400, 800), 60, 40, 250, 25)
    picture[3000:3400, 2000:2800] = written(layer, 255)
    reading = recogniser.read(picture)
    assert reading.text == "274"
    left, top, right, bottom = reading.digits[0].box
    assert (top, bottom) == pytest.approx((3028, 3303), abs=25)
    assert 2030 < left < right < 2280


@pytest.mark.parametrize("deviation", [1, 6, 20])
def test_the_grain_of_blank_paper_is_no_digit(deviation: float, recogniser: Recogniser) -> None:
    for seed in range(3):
        grain = np.random.default_rng(seed).normal(200, deviation, (300, 400))
        assert recogniser.read(np.clip(np.rint(grain), 0, 255).astype(np.uint8)).text == ""


@pytest.mark.parametrize("shape", [(28, 28), (60, 60), (200, 300), (200, 300, 3)])
def test_noise_is_no_digit(shape: tuple[int, ...], recogniser: Recogniser) -> None:
    noise = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
    assert recogniser.read(noise).text == ""


# ---- pages that lie on their side or are upside down

# By quarters to the left.
TURNED = {1: "read turned to the right", 2: "read upside down", 3: "read turned to the left"}


@pytest.mark.parametrize("quarters", TURNED)
def test_a_turned_photo_is_read_and_told_and_its_boxes_are_where_the_digits_are(
    quarters: int, recogniser: Recogniser
) -> None:
    photo = np.asarray(Image.open(SAMPLE))
    upright = recogniser.read(photo)
    assert upright.text == SAMPLE_SAYS
    assert upright.warnings == ()

    turned = np.ascontiguousarray(np.rot90(photo, quarters))
    reading = recogniser.read(turned)
    assert reading.text == SAMPLE_SAYS
    assert reading.warnings == (TURNED[quarters],)

    for digit, other in zip(reading.digits, upright.digits, strict=True):
        mask = np.zeros(photo.shape[:2], bool)
        left, top, right, bottom = other.box
        mask[top:bottom, left:right] = True
        rows, columns = np.nonzero(np.rot90(mask, quarters))
        expected = columns.min(), rows.min(), columns.max() + 1, rows.max() + 1
        assert digit.box == pytest.approx(expected, abs=3)


def test_of_a_turned_page_with_many_digits_only_a_part_is_tried_each_way(
    recogniser: Recogniser, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [written(line(text)) for text in ("27354", "47253", "35472") * 3]
    page = np.vstack(rows)
    upright = recogniser.read(page)
    assert len(upright.digits) > MOST_TRIED

    read = noted_reads(recogniser, monkeypatch)
    turned = recogniser.read(np.rot90(page, 2))
    assert turned.text == upright.text
    assert "read upside down" in turned.warnings
    first = turned_box(upright.digits[0].box, page.shape)
    assert turned.digits[0].box == pytest.approx(first, abs=4)
    assert len(read) == 5
    assert max(one.pixels.size for one in read[1:4]) < page.size


def crowded_page() -> np.ndarray:
    """Return fifteen lines of ten digits."""
    half = np.vstack([written(line(text)) for text in ("27354", "47253", "35472") * 5])
    return np.hstack([half, half])


def noted_reads(recogniser: Recogniser, monkeypatch: pytest.MonkeyPatch) -> list[Picture]:
    """Return the list of pictures that are read whole from now on."""
    read: list[Picture] = []
    whole = recogniser._pages.read
    monkeypatch.setattr(
        recogniser._pages,
        "read",
        lambda picture, *rest: read.append(picture) or whole(picture, *rest),
    )
    return read


@pytest.mark.parametrize("quarters", [0, 2, 3])
def test_the_middle_of_a_crowded_page_tells_which_way_up_it_is_read_once(
    quarters: int, recogniser: Recogniser, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = crowded_page()
    read = noted_reads(recogniser, monkeypatch)
    parts: list[int] = []
    part = recogniser._pages.read_part
    monkeypatch.setattr(
        recogniser._pages,
        "read_part",
        lambda pixels, most: parts.append(pixels.size) or part(pixels, most),
    )
    reading = recogniser.read(np.rot90(page, quarters))

    assert reading.text.split() == ["27354" * 2, "47253" * 2, "35472" * 2] * 5
    assert [one for one in reading.warnings if one.startswith("read ")] == [
        TURNED[turned] for turned in TURNED if turned == quarters
    ]
    assert len(read) == 1
    assert len(parts) == (4 if quarters else 1)
    assert max(parts) <= 3 * (MIDDLE + 1) ** 2


def test_a_crowded_page_whose_middle_makes_no_sense_is_read_once_as_it_stands(
    recogniser: Recogniser, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = crowded_page()
    read = noted_reads(recogniser, monkeypatch)
    part = recogniser._pages.read_part
    monkeypatch.setattr(recogniser._pages, "read_part", lambda pixels, _: part(pixels, 0))
    reading = recogniser.read(np.rot90(page, 2))

    assert len(read) == 1
    assert not [one for one in reading.warnings if one.startswith("read ")]


def test_what_is_crowded_only_on_its_side_is_tried_by_its_middle_and_read_whole_once(
    recogniser: Recogniser, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = crowded_page()
    upright = recogniser.read(page)
    read = noted_reads(recogniser, monkeypatch)
    survey = recogniser._pages.survey
    monkeypatch.setattr(
        recogniser._pages,
        "survey",
        lambda picture: survey(picture) if picture.pixels.shape[0] > 1000 else None,
    )
    monkeypatch.setattr(turning, "looks_turned", lambda _: True)
    reading = recogniser.read(np.rot90(page))

    assert reading.text == upright.text
    assert "read turned to the right" in reading.warnings
    is_upright = [height > width for height, width in (one.pixels.shape for one in read)]
    assert is_upright == [False, False, True]  # as it stands, upside down, and what makes sense


def turned_box(box: tuple[int, int, int, int], shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return where a box is in a picture of (height, width) that was turned upside down."""
    left, top, right, bottom = box
    height, width = shape[:2]
    return width - right, height - bottom, width - left, height - top


@pytest.mark.parametrize("text", ["27354", "25038", "3748"])
def test_a_number_upside_down_is_read_and_told(text: str, recogniser: Recogniser) -> None:
    reading = recogniser.read(np.rot90(written(line(text)), 2))
    assert (reading.text, reading.warnings) == (text, ("read upside down",))


@pytest.mark.parametrize("quarters", [1, 3])
@pytest.mark.parametrize("text", ["27354", "4713", "4477"])
def test_a_number_on_its_side_is_read_even_where_no_symbol_is_found_in_it(
    text: str, quarters: int, recogniser: Recogniser
) -> None:
    reading = recogniser.read(np.rot90(written(line(text)), quarters))
    assert (reading.text, reading.warnings) == (text, (TURNED[quarters],))


@pytest.mark.parametrize("quarters", TURNED)
def test_turned_rows_are_read_in_their_order(quarters: int, recogniser: Recogniser) -> None:
    reading = recogniser.read(np.rot90(written(TWO_ROWS), quarters))
    assert (reading.text, reading.warnings) == ("27354\n48203", (TURNED[quarters],))
    assert [digit.line for digit in reading.digits] == [0] * 5 + [1] * 5


@pytest.mark.parametrize("quarters", TURNED)
def test_a_page_read_as_one_digit_is_never_turned(quarters: int, recogniser: Recogniser) -> None:
    picture = np.rot90(np.asarray(Image.open(SAMPLE)), quarters)
    assert not any("read " in warning for warning in recogniser.read(picture, True).warnings)


def test_a_page_that_makes_sense_is_not_turned(recogniser: Recogniser) -> None:
    """Upside down, these are digits as well."""
    assert recogniser.read(written(line("6809"))).as_dict()["text"] == "6809"
    assert recogniser.read(np.rot90(written(line("6809")), 2)).as_dict()["text"] == "6089"
