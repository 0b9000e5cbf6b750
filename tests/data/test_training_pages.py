"""Training pages are the same ones for the same seed, and say truly whose every pixel of ink is."""

import subprocess
import sys

import numpy as np
import pytest

from inkdigits.data.store import default_data_dir
from inkdigits.data.synthetic.training_pages import SYMBOLS, TrainingPage, training_page
from inkdigits.data.synthetic.training_pages import __main__ as sheet
from inkdigits.data.synthetic.training_pages.camera import random_lens
from inkdigits.data.synthetic.training_pages.fields import from_strokes
from inkdigits.data.synthetic.training_pages.generator import SPLITS
from inkdigits.data.synthetic.training_pages.glyphs import bank
from inkdigits.data.synthetic.training_pages.mnist import thinned, writers
from inkdigits.data.synthetic.training_pages.writing import Bend, Writing

PAGES = 120
SIZE = (192, 192)

pytestmark = [
    pytest.mark.slow,  # hundreds of pages are drawn
    pytest.mark.skipif(
        not (default_data_dir() / "mnist" / "train-images-idx3-ubyte.gz").exists(),
        reason="MNIST is not in the folder of datasets",
    ),
    pytest.mark.xdist_group("glyphs"),  # one process builds the bank of glyphs
]


@pytest.fixture(scope="module")
def pages() -> list[TrainingPage]:
    return [training_page(5, index, split="validation") for index in range(PAGES)]


def test_a_page_has_its_shapes_and_types(pages: list[TrainingPage]) -> None:
    for page in pages:
        symbols = len(page.kinds)
        assert page.picture.shape == (*SIZE, 3)
        assert page.picture.dtype == np.uint8
        assert page.owner.shape == SIZE
        assert page.owner.dtype == np.int16
        assert page.kinds.dtype == np.int8
        assert page.boxes.shape == (symbols, 4)
        assert page.boxes.dtype == np.float32


def test_any_size_will_do() -> None:
    page = training_page(0, 3, size=(640, 900), split="validation")

    assert page.picture.shape == (640, 900, 3)
    assert page.owner.shape == (640, 900)


def test_same_seed_and_index_same_page_whatever_was_drawn_before() -> None:
    first = training_page(7, 11, split="validation")
    training_page(7, 12, split="validation")
    second = training_page(7, 11, split="validation")

    np.testing.assert_array_equal(first.picture, second.picture)
    np.testing.assert_array_equal(first.owner, second.owner)
    np.testing.assert_array_equal(first.boxes, second.boxes)
    assert first.strings == second.strings

    other = training_page(8, 11, split="validation")
    assert not np.array_equal(first.picture, other.picture)


def test_every_symbol_has_ink_and_all_of_it_lies_in_its_box(pages: list[TrainingPage]) -> None:
    for page in pages:
        assert set(np.unique(page.owner)) <= set(range(len(page.kinds) + 1))
        for number, (left, top, right, bottom) in enumerate(page.boxes, start=1):
            ys, xs = np.nonzero(page.owner == number)
            assert len(ys) >= 6
            assert left <= xs.min() <= xs.max() < right
            assert top <= ys.min() <= ys.max() < bottom
            assert 0 <= left < right <= SIZE[1]
            assert 0 <= top < bottom <= SIZE[0]


def test_kinds_are_symbols_and_most_are_digits(pages: list[TrainingPage]) -> None:
    kinds = np.concatenate([page.kinds for page in pages])
    assert kinds.min() >= 0
    assert kinds.max() < len(SYMBOLS)
    assert set(range(10)) <= set(kinds.tolist())
    assert 0.55 < (kinds < 10).mean() < 0.9


def test_strings_hold_each_symbol_at_most_once(pages: list[TrainingPage]) -> None:
    for page in pages:
        listed = [symbol for string in page.strings for symbol in string]
        assert len(listed) == len(set(listed))
        assert set(listed) <= set(range(len(page.kinds)))


def test_some_pages_are_blank_and_some_full(pages: list[TrainingPage]) -> None:
    counts = np.array([len(page.kinds) for page in pages])
    assert 0.03 < (counts == 0).mean() < 0.25
    assert (counts > 8).mean() > 0.15


def test_ink_can_be_told_from_what_is_around_it(pages: list[TrainingPage]) -> None:
    differences = []
    for page in pages:
        ink = page.owner > 0
        if ink.sum() > 50:
            grey = page.picture.mean(axis=2)
            differences.append(abs(grey[ink].mean() - grey[~ink].mean()))

    assert np.median(differences) > 40


def test_no_writer_writes_for_both_splits() -> None:
    train, validation = (set(writers(split)) for split in SPLITS)
    assert not train & validation
    assert len(validation) > 40
    assert len(train) > 5 * len(validation)


@pytest.mark.slow  # builds the bank of both splits
def test_validation_draws_hands_that_training_does_not() -> None:
    train, validation = (fields_of_hands(split) for split in SPLITS)
    assert len(train & validation) <= 2  # two straight ones can be alike


def fields_of_hands(split: str) -> set[bytes]:
    glyphs = bank(split)
    fields = set()
    for hand in [*glyphs.writers, *glyphs.drawn]:
        for ways in hand.values():
            fields |= {glyph.field.tobytes() for glyph in ways}

    return fields


def test_an_unknown_split_names_the_known_ones() -> None:
    with pytest.raises(ValueError, match="splits: train, validation"):
        training_page(0, 0, split="test")


def test_thinning_keeps_a_ring_a_ring() -> None:
    y, x = np.mgrid[:40, :40]
    away = np.hypot(y - 20, x - 20)
    ring = thinned(((away > 8) & (away < 14))[None])[0]
    assert 40 < ring.sum() < 90
    assert (away[ring] > 8).all()


def test_drawing_pages_never_imports_torch() -> None:
    code = "import sys, inkdigits.data.synthetic.training_pages; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_contact_sheet_shows_pages_beside_their_owners(tmp_path, monkeypatch) -> None:
    out = tmp_path / "sheet.png"
    options = ["--count", "3", "--out", str(out), "--owner", "--split", "validation"]
    monkeypatch.setattr(sys, "argv", ["x", *options])
    sheet.main()
    assert out.exists()


def test_slashes_lean_to_the_right_whoever_writes_them(pages: list[TrainingPage]) -> None:
    leans = []
    for page in pages:
        for number in np.flatnonzero(page.kinds == SYMBOLS.index("/")):
            rows, columns = np.nonzero(page.owner == number + 1)
            if len(rows) > 30 and np.ptp(rows) > 10:
                slope, _ = np.polyfit(rows, columns, 1)
                leans.append(-slope)

    assert len(leans) > 2
    assert min(leans) > 0


def drawn_stroke(bend: Bend | None) -> np.ndarray:
    """Return where the ink of an upright stroke is: for each row of 100 pixels its mean column."""
    lens = random_lens((160, 160), np.random.default_rng(0), tilt=0, skew=0)
    writing = Writing((160, 160), lens)
    stroke = from_strokes([np.array([(0.0, -1.0), (0.0, 0.0)])], 1)
    writing.put(stroke, (80.0, 130.0), 100 * np.eye(2), 4.0, bend=bend)
    rows, columns = np.nonzero(writing.owner)
    counts = np.bincount(rows, minlength=160)
    means = np.bincount(rows, columns, minlength=160) / np.maximum(counts, 1)
    return means[counts > 0]


def test_a_bend_of_nothing_changes_nothing() -> None:
    assert np.abs(drawn_stroke(None) - drawn_stroke(np.zeros((2, 3)))).max() < 0.1


def test_a_bow_moves_the_middle_of_a_stroke_and_leaves_its_ends() -> None:
    straight = drawn_stroke(None)
    bow = drawn_stroke(np.array([[0.1, 0, 0], [0, 0, 0]]))
    assert len(bow) == len(straight)

    moved = np.abs(bow - straight)
    assert moved[len(moved) // 2] > 8
    assert max(moved[3], moved[-4]) < 2
