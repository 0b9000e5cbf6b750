"""An explanation shows what the network saw and what became of the ink; a folder keeps them."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from few_digits import few_digits
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw
from scipy import ndimage

import inkdigits
from inkdigits.core.errors import BadPicture, CannotWrite
from inkdigits.reading.explanation import cards, drawing, folder, views
from inkdigits.reading.explanation import text as words_in_image
from inkdigits.reading.explanation.drawing import draw
from inkdigits.reading.explanation.folder import Explanations
from inkdigits.reading.explanation.mark import is_explanation
from inkdigits.reading.page.decoding import Symbol
from inkdigits.reading.page.find import Find
from inkdigits.reading.page.lines import find_lines
from inkdigits.reading.page.look import looks
from inkdigits.reading.page.maps import Maps
from inkdigits.reading.page.reader import Page, page_reader
from inkdigits.reading.page.survey import Piece
from inkdigits.reading.preprocessing.picture import Picture, open_picture
from inkdigits.reading.reading import Reading
from inkdigits.reading.recogniser import Recogniser
from inkdigits.reading.symbols import Digit
from inkdigits.reading.trace import Trace

ASSETS = Path(__file__).parents[1] / "assets"


@pytest.fixture(scope="module")
def fields() -> np.ndarray:
    return few_digits(120).images


def page_of(fields: np.ndarray, columns: int = 6, size: int = 1) -> np.ndarray:
    """Return digits in rows, dark on white, far enough apart to be one candidate each."""
    cells = [np.pad(field, 8) for field in fields]
    cells += [np.zeros_like(cells[0])] * (-len(cells) % columns)
    rows = [
        np.concatenate(cells[start : start + columns], axis=1)
        for start in range(0, len(cells), columns)
    ]
    return 255 - np.kron(np.concatenate(rows), np.ones((size, size), np.uint8))


def page_with(picture: Picture) -> Page:
    """Return a page on which each dark blot is a candidate; no network is asked."""
    grey = picture.rgb.min(axis=2)
    height, width = grey.shape
    even = np.pad(grey, ((0, height % 2), (0, width % 2)), constant_values=255)
    cells = even.reshape(len(even) // 2, 2, -1, 2).min(axis=(1, 3))
    ink = 1 - cells.astype(np.float32) / 255
    ink[ink < 0.4] = 0

    none = np.zeros_like(ink)
    coarse = np.zeros((-(-height // 8), -(-width // 8)), np.float32)
    maps = Maps(ink, none, none, none, none, coarse, coarse + 20)
    piece = Piece(picture.rgb, 0, 0, 1.0, maps)

    blots, count = ndimage.label(ndimage.binary_dilation(ink > 0, iterations=2))
    symbols = [
        Symbol(1.0, _box_of(rows, columns), rows, columns, np.zeros(16, np.float32))
        for number in range(1, count + 1)
        for rows, columns in [np.nonzero((blots == number) & (ink > 0))]
        if len(rows) > 30  # less is a speck
    ]
    lines = find_lines(np.array([symbol.box for symbol in symbols]).reshape(-1, 4))
    ordered = [symbols[number] for line in lines for number in line]
    chances = np.full(16, 0.1 / 15, np.float32)
    chances[3] = 0.9
    seen = looks(piece, ordered)
    finds = tuple(
        Find(tuple(map(int, symbol.box)), chances, piece, symbol, look)
        for symbol, look in zip(ordered, seen, strict=True)
    )
    return Page(picture, (piece,) if finds else (), finds, (), picture.warnings)


def _box_of(rows: np.ndarray, columns: np.ndarray) -> tuple[float, float, float, float]:
    return (
        2.0 * columns.min(),
        2.0 * rows.min(),
        2.0 * (columns.max() + 1),
        2.0 * (rows.max() + 1),
    )


def traced(
    picture: object,
    refused: tuple[int, ...] = (),
    reason: str = "too doubtful",
    warnings: tuple[str, ...] = (),
) -> Trace:
    """Return the trace by networks that are 90 % sure of 3, and refuse some candidates."""
    opened = open_picture(picture)
    page = page_with(opened)
    chances = np.full(10, 0.1 / 9, np.float32)
    chances[3] = 0.9
    digits = tuple(
        Digit(
            3,
            0.9,
            number not in refused,
            find.box,
            reason if number in refused else None,
            0,
            chances,
            find.image,
        )
        for number, find in enumerate(page.candidates)
    )
    text = "3" * (len(digits) - len(refused))
    return Trace(Reading(text, digits, page.warnings + warnings), page, opened)


def places(image: Image.Image, patch: np.ndarray) -> list[tuple[int, int]]:
    """Return (left, top) of every place where an image has exactly this grey patch."""
    pixels, patch = np.asarray(image), np.repeat(patch[:, :, None], 3, axis=2)
    height, width = patch.shape[:2]
    busiest = max(range(height), key=lambda row: len(np.unique(patch[row])))
    found = []
    for y in range(pixels.shape[0] - height + 1):
        line, needle, start = pixels[y + busiest].tobytes(), patch[busiest].tobytes(), -1
        while (start := line.find(needle, start + 1)) >= 0:
            x = start // 3
            if start % 3 == 0 and np.array_equal(pixels[y : y + height, x : x + width], patch):
                found.append((x, y))
    return found


def enlarged(field: np.ndarray) -> np.ndarray:
    return np.kron(field, np.ones((5, 5), np.uint8))


def count(image: Image.Image, colour: tuple[int, int, int]) -> int:
    return int((np.asarray(image) == colour).all(axis=2).sum())


# ---- what is drawn


def test_every_candidate_is_shown_as_the_network_saw_it_in_reading_order(fields):
    trace = traced(page_of(fields[:6], columns=3))

    assert len(trace.page.candidates) == 6

    image = draw(trace)
    found = [places(image, enlarged(find.image)) for find in trace.page.candidates]

    assert [len(each) for each in found] == [1] * 6

    in_rows = [(y, x) for ((x, y),) in found]

    assert in_rows == sorted(in_rows)


def test_the_picture_has_a_box_around_each_candidate_blue_if_accepted_and_vermilion_if_not(fields):
    """A picture as wide as its panel is shown pixel by pixel."""
    picture = np.random.default_rng(0).integers(
        253, 256, (400, views.PANEL_WIDTH), np.uint8
    )  # to be found again
    picture[100:240, 60:200] = 255 - enlarged(fields[0])
    picture[110:250, 330:470] = 255 - enlarged(fields[1])
    trace = traced(picture, refused=(1,))
    image = draw(trace)
    ((x, y),) = places(image, picture[5:90, 5:500])
    pixels = np.asarray(image)[y - 5 :, x - 5 :]
    for candidate, colour in zip(
        trace.page.candidates, (views.ACCEPTED, views.REFUSED), strict=True
    ):
        left, top, right, bottom = candidate.box
        assert (pixels[top - 3, left : right + 2] == colour).all()
        assert (pixels[bottom + 2, left : right + 2] == colour).all()
        assert (pixels[top : bottom + 2, left - 3] == colour).all()
        assert (pixels[top : bottom + 2, right + 2] == colour).all()
        assert np.array_equal(
            pixels[top:bottom, left:right, 0], picture[top:bottom, left:right]
        )  # and nothing inside it
        assert (
            pixels[top:bottom, [left - 4, left - 1, right, right + 3]] == 255
        ).all()  # but white on both sides of its lines


def test_ink_has_the_colour_of_what_became_of_it(fields):
    picture = page_of(fields[:2], size=5)
    picture[5:14, 5:14] = 0  # a speck, which is no part of a candidate
    trace = traced(picture, refused=(1,))
    ink, legend = views.colour_ink(trace.page, trace.reading.digits)

    words = [words for _, words in legend]
    assert words == ["accepted", "refused", "no part of a symbol", "no writing seen"]

    pixels = np.asarray(ink).astype(int)
    colours = (views.ACCEPTED_SHADES[0], views.REFUSED_SHADES[1])
    for find, colour in zip(trace.page.candidates, colours, strict=True):
        left, top, right, bottom = find.box
        inside = picture[top:bottom, left:right] == 0
        inner = ndimage.binary_erosion(inside, iterations=3)
        assert inner.sum() > 100
        assert np.abs(pixels[top:bottom, left:right][inner] - colour).max() <= 2

    assert np.abs(pixels[9, 9] - views.UNUSED).max() <= 2
    assert (pixels[-1, -1] == 255).all()


def test_signs_and_what_was_not_looked_at_have_colours_of_their_own(fields):
    trace = traced(page_of(fields[:2], columns=2, size=5))
    first, second = trace.page.candidates
    page = replace(trace.page, candidates=(first,), signs=(second,))
    image, legend = views.colour_ink(page, trace.reading.digits[:1])

    assert [words for _, words in legend] == ["accepted", "a sign", "no writing seen"]

    left, top, right, bottom = second.box
    inside = np.asarray(image)[top:bottom, left:right].astype(int)
    assert (np.abs(inside - views.SIGN).max(axis=2) <= 2).sum() > 500

    unseen, _ = views.colour_ink(replace(page, pieces=()), trace.reading.digits[:1])
    assert count(unseen, views.OUTSIDE) > 0.5 * unseen.width * unseen.height


def test_a_real_page_is_explained_as_it_was_read():
    picture = open_picture(ASSETS / "sample.jpg")
    page = page_reader(1).read(picture)
    digits = Recogniser().trace(ASSETS / "sample.jpg").reading.digits
    image, legend = views.colour_ink(page, digits)

    assert image.size == (picture.pixels.shape[1], picture.pixels.shape[0])
    assert (views.ACCEPTED, "accepted") in legend


def test_small_writing_in_a_large_picture_is_shown_enlarged_below_the_whole(fields):
    picture = np.full((1200, 1600), 230, np.uint8)
    picture[600:628, 800:828] = np.minimum(230, 255 - fields[0])
    image = draw(traced(picture))
    blue = np.nonzero(
        (np.asarray(image) == views.ACCEPTED).all(axis=2)[:, : views.PANEL_WIDTH].any(axis=1)
    )[0]
    runs = np.split(blue, np.nonzero(np.diff(blue) > 1)[0] + 1)

    assert len(runs[0]) < 30  # the box in the whole picture,
    assert max(map(len, runs)) > 150  # and the same box again


@pytest.mark.parametrize("shape", [(300, 400), (1, 1), (2, 1500), (1500, 2)])
def test_an_empty_picture_is_shown_and_its_emptiness_is_said(shape, monkeypatch):
    said = []

    def write(image: ImageDraw.ImageDraw, place: object, words: str, *_: object, **__: object):
        said.append(words)

    monkeypatch.setattr(ImageDraw.ImageDraw, "text", write)
    image = draw(traced(np.full(shape, 235, np.uint8)))

    assert "There is nothing that could be a digit." in said
    assert "nothing read" in said

    if min(shape) > 2:
        assert count(image, (235, 235, 235)) > 200_000


def test_an_image_of_an_array_has_a_card_and_no_page(fields):
    reading, nothing = Recogniser("tiny").read_images(np.stack([fields[0], 0 * fields[0]]))
    image = draw(Trace(reading), "digits.npy[0]")

    assert len(places(image, enlarged(fields[0]))) == 1
    assert image.width < draw(traced(page_of(fields[:1]))).width
    assert draw(Trace(nothing)).height < image.height


def test_of_many_candidates_the_least_sure_are_shown(fields):
    trace = traced(page_of(fields[:110], columns=11))
    digits = trace.reading.digits

    assert len(digits) == 110 > cards.MOST_CARDS

    digits = tuple(
        replace(digit, confidence=0.99 if n < 30 else 0.8) for n, digit in enumerate(digits)
    )
    digits = (replace(digits[0], accepted=False, reason="a fragment"), *digits[1:])
    image = draw(Trace(replace(trace.reading, digits=digits), trace.page))
    shown = [bool(places(image, enlarged(digit.image))) for digit in (*digits[:40], digits[-1])]

    assert shown[0]  # refused
    assert shown[30:] == [True] * 11
    assert sum(shown[1:30]) == cards.MOST_CARDS - 80 - 1


def test_chances_are_of_the_digit_and_of_none():
    chances = np.array([0.5, 0.3, 0.2, 0, 0, 0, 0, 0, 0, 0], np.float32)
    drawn = cards.chances(Digit(0, 0.1, False, (0, 0, 1, 1), "not a digit", probabilities=chances))
    assert drawn == pytest.approx([0.1, 0.06, 0.04, 0, 0, 0, 0, 0, 0, 0, 0.8])


MANY_WORDS = (
    "a warning of many words that does not fit into one line of the picture, "
    "however small the letters of it " * 4
)


@pytest.mark.parametrize(
    ("columns", "size", "text", "warnings"),
    [
        (1, 4, "3\n" * 29 + "3", ()),
        (30, 2, "3" * 400, ()),
        (6, 1, "33", (MANY_WORDS, "x" * 400, "Größe 中", "", "touches the border")),
    ],
    ids=["very tall", "very wide", "long warnings"],
)
def test_nothing_reaches_into_the_margin(columns, size, text, warnings, fields):
    trace = traced(page_of(fields[:30], columns, size), refused=(0, 7), reason=MANY_WORDS)
    image = draw(
        Trace(replace(trace.reading, text=text, warnings=warnings), trace.page),
        "/some/folder" * 40 + "\n/Größe.jpg",
    )
    pixels, margin = np.asarray(image), drawing.MARGIN

    for edge in (pixels[:margin], pixels[-margin:], pixels[:, :margin], pixels[:, -margin:]):
        assert (edge == drawing.BACKGROUND).all()
    assert image.height < 6000


@pytest.mark.slow
def test_no_line_of_the_header_is_cut_off():
    reading = Reading("3" * 400, (), (MANY_WORDS, "x" * 400))
    for width in (500, 600, 700):
        header = np.asarray(drawing.draw_header(reading, "/some/folder" * 40, width))
        assert (header[:, -1] == drawing.BACKGROUND).all()
        assert (header != drawing.BACKGROUND).any(axis=2)[:, -40:].any()


@given(
    st.text(st.sampled_from("iW m…3"), max_size=80),
    st.sampled_from([12, 15, 44]),
    st.integers(60, 500),
)
def test_wrapped_words_fit_and_none_is_lost(text, size, width):
    lines = words_in_image.wrap(text, size, width)
    assert all(words_in_image.font(size).getlength(line) <= width for line in lines)
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")


@given(st.text(max_size=30))
def test_only_letters_are_drawn_that_the_font_has(text):
    font = words_in_image.font(20)
    missing = bytes(font.getmask("\U0001f600"))
    written = words_in_image.writable(text)

    assert len(written) == len(text)
    assert all(bytes(font.getmask(letter)) != missing for letter in written if letter != " ")


def test_a_picture_is_explained_from_python_with_any_model(fields):
    picture = page_of(fields[:3], size=4)
    expected = draw(Recogniser("tiny").trace(picture))

    assert np.array_equal(
        np.asarray(inkdigits.explain(picture, model="tiny")), np.asarray(expected)
    )
    with pytest.raises(BadPicture):
        inkdigits.explain(b"no picture", model="tiny")


def test_explaining_needs_nothing_of_what_training_needs(tmp_path, fields):
    Image.fromarray(page_of(fields[:2], size=4)).save(tmp_path / "digits.png")
    program = """
import sys
for name in ("torch", "sklearn", "scipy", "matplotlib", "rich", "filelock", "safetensors", "onnx"):
    sys.modules[name] = None
from inkdigits.command.cli import main
raise SystemExit(main(["read", "digits.png", "--model", sys.argv[1], "--explain", "why"]))
"""
    command = [sys.executable, "-W", "error", "-c", program, "tiny"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=120)

    assert (done.returncode, done.stderr) == (0, "inkdigits: 1 explanation in why\n")
    assert (tmp_path / "why" / "digits.png.png").exists()


# ---- the folder


@pytest.fixture(scope="module")
def trace(fields) -> Trace:
    return traced(page_of(fields[:1], size=2))


def written(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


@pytest.mark.parametrize(
    ("paths", "names"),
    [
        (["a/x.jpg", "b/x.png"], ["x.jpg.png", "x.png.png"]),
        (
            ["a/x.jpg", "b/x.jpg", "c/X.JPG", "x.jpg"],
            ["x.jpg.png", "x.jpg-2.png", "X.JPG-3.png", "x.jpg-4.png"],
        ),
        (["x.jpg", "x.jpg-2", "x.jpg"], ["x.jpg.png", "x.jpg-2.png", "x.jpg-3.png"]),
        (["-", "-"], ["standard-input.png", "standard-input-2.png"]),
        (["some/digits.npz[3]", "digits.npz[4]"], ["digits.npz[3].png", "digits.npz[4].png"]),
        (
            [".hidden.jpg", "...", "a\nb.jpg", "not unicode \udcff.jpg"],
            ["hidden.jpg.png", "picture.png", "a_b.jpg.png", "not unicode _.jpg.png"],
        ),
        (["n" * 255, "n" * 254], ["n" * 200 + ".png", "n" * 200 + "-2.png"]),
        (["ä" * 120 + ".jpg"], ["ä" * 100 + ".png"]),
    ],
)
def test_an_explanation_is_named_after_its_picture_and_no_two_have_one_name(
    paths, names, trace, tmp_path
):
    explanations = Explanations(tmp_path)
    for number, path in enumerate(paths):
        explanations.add(path, trace)
        assert written(tmp_path) == set(names[: number + 1])
    assert all(is_explanation(path) for path in tmp_path.iterdir())


def test_the_folder_is_made_and_what_is_written_there_is_what_is_drawn(trace, tmp_path):
    explanations = Explanations(tmp_path / "new" / "why")
    explanations.add("photos/x.jpg", trace)
    with Image.open(tmp_path / "new" / "why" / "x.jpg.png") as image:
        assert np.array_equal(np.asarray(image), np.asarray(draw(trace, "photos/x.jpg")))

    assert str(explanations) == f"1 explanation in {tmp_path / 'new' / 'why'}"


def test_explanations_of_an_earlier_run_are_replaced_and_other_files_are_not(
    trace, fields, tmp_path
):
    Image.fromarray(page_of(fields[:1])).save(tmp_path / "mine.jpg.png")
    (tmp_path / "dangling.jpg.png").symlink_to(tmp_path / "nowhere")
    before = (tmp_path / "mine.jpg.png").read_bytes()
    for shown in (traced(page_of(fields[1:2])), trace):
        explanations = Explanations(tmp_path)
        for path in ("mine.jpg", "dangling.jpg", "new.jpg"):
            explanations.add(path, shown)
    expected = {
        "mine.jpg.png",
        "mine.jpg-2.png",
        "dangling.jpg.png",
        "dangling.jpg-2.png",
        "new.jpg.png",
    }

    assert written(tmp_path) == expected
    assert (tmp_path / "mine.jpg.png").read_bytes() == before
    assert not (tmp_path / "nowhere").exists()

    with Image.open(tmp_path / "new.jpg.png") as image:
        assert np.array_equal(np.asarray(image), np.asarray(draw(trace, "new.jpg")))


def test_a_picture_that_could_not_be_read_has_no_explanation(tmp_path):
    explanations = Explanations(tmp_path)
    explanations.add("x.jpg", Trace(Reading(None, error=BadPicture("empty", "x.jpg is empty"))))

    assert written(tmp_path) == set()
    assert str(explanations) == f"0 explanations in {tmp_path}"


def test_only_the_first_images_of_an_array_are_explained_and_it_is_said(
    fields, tmp_path, monkeypatch
):
    monkeypatch.setattr(folder, "MOST_OF_A_FILE", 2)
    explanations = Explanations(tmp_path)
    drawn = Trace(Reading("", (), ("nothing is drawn in it",)))
    for path in ("a.npy", "b.npy"):
        for index in range(4 if path == "a.npy" else 2):
            explanations.add(f"{path}[{index}]", drawn)

    assert written(tmp_path) == {"a.npy[0].png", "a.npy[1].png", "b.npy[0].png", "b.npy[1].png"}
    assert str(explanations).startswith(
        f"4 explanations in {tmp_path}; of the images in a.npy only the first 2"
    )
    assert "b.npy" not in str(explanations)


@pytest.mark.parametrize("below", ["", "deeper"])
def test_a_folder_that_cannot_be_made_is_refused(below, tmp_path):
    (tmp_path / "file.png").write_bytes(b"kept")
    with pytest.raises(CannotWrite, match=r"cannot write into .*file\.png"):
        Explanations(tmp_path / "file.png" / below)
    assert (tmp_path / "file.png").read_bytes() == b"kept"
