"""A digit in any encoding is read as `classify` reads it; the benchmark for that can fail, too."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from drawn import GLYPHS, line
from numpy.typing import NDArray

from benchmarks.reading import pictures as benchmark_pictures
from benchmarks.reading import promises
from inkdigits.reading.preprocessing.fields import as_is, to_field
from inkdigits.reading.preprocessing.picture import open_picture
from inkdigits.reading.reading import Reading
from inkdigits.reading.recogniser import Recogniser
from inkdigits.reading.symbols import Digit

Fields = NDArray[np.uint8]


@pytest.fixture(scope="module")
def benchmark() -> Any:
    return promises


@pytest.fixture(scope="module")
def pictures() -> Any:
    """The module that makes the pictures."""
    return benchmark_pictures


@pytest.fixture(scope="module")
def recogniser() -> Recogniser:
    return Recogniser(threads=1)


@pytest.fixture(scope="module")
def drawn() -> Fields:
    """The ten digits, with a thin or a thick pen, in MNIST's geometry: (10, 28, 28)."""
    fields = np.array(
        [to_field(line(digit, (100, 76), 10, 10, pen=7 + 5 * (int(digit) % 2))) for digit in GLYPHS]
    )

    assert all(as_is(field) is not None for field in fields)

    return fields


def probabilities(recogniser: Recogniser, picture: Any) -> NDArray[np.float32]:
    (digit,) = recogniser.read(picture, single=True).digits
    return digit.probabilities


def test_every_lossless_encoding_leaves_the_probabilities_as_they_are(
    pictures: Any, recogniser: Recogniser, drawn: Fields
) -> None:
    assert len(pictures.LOSSLESS) > 25
    for name, way in pictures.LOSSLESS.items():
        for field in drawn:
            assert np.array_equal(
                probabilities(recogniser, way(field)), recogniser.classify(field)[0]
            ), name


def test_a_field_may_be_inverted(recogniser: Recogniser, drawn: Fields) -> None:
    for field in drawn:
        assert np.array_equal(probabilities(recogniser, 255 - field), recogniser.classify(field)[0])


def test_mnist_s_images_are_read_as_classify_reads_them(
    pictures: Any, recogniser: Recogniser, mnist: Any
) -> None:
    for image in mnist.validation.images[:20]:
        for name, way in pictures.LOSSLESS.items():
            assert np.array_equal(
                probabilities(recogniser, way(image)), recogniser.classify(image)[0]
            ), name


def test_sixteen_bits_are_rounded_to_eight(
    pictures: Any, recogniser: Recogniser, drawn: Fields
) -> None:
    for name, way in pictures.ROUNDED.items():
        for field in drawn:
            assert np.abs(open_picture(way(field)).pixels.astype(int) - field).max() <= 1, name
            assert probabilities(recogniser, way(field)) == pytest.approx(
                recogniser.classify(field)[0], abs=0.05
            ), name


@pytest.mark.slow
def test_a_drawing_of_a_digit_is_read_as_the_digit(
    pictures: Any, recogniser: Recogniser, mnist: Any
) -> None:
    """However it was enlarged, and wherever in the picture it is."""
    images = mnist.validation.images[:20]
    expected = recogniser.classify(images).argmax(axis=1)
    for name, way in pictures.DRAWINGS.items():
        read = [int(probabilities(recogniser, way(image)).argmax()) for image in images]
        assert np.sum(read != expected) <= 1, name


def test_lossy_encodings_change_little(
    pictures: Any, recogniser: Recogniser, drawn: Fields
) -> None:
    for name, way in pictures.LOSSY.items():
        same = [
            probabilities(recogniser, way(field)).argmax() == recogniser.classify(field).argmax()
            for field in drawn
        ]
        assert np.mean(same) >= 0.9, name


# ---- the pictures


def extent(image: Fields) -> tuple[int, int]:
    """(width, height) of the ink."""
    rows, columns = np.flatnonzero(image.any(axis=1)), np.flatnonzero(image.any(axis=0))
    return int(np.ptp(columns)) + 1, int(np.ptp(rows)) + 1


def test_digits_like_usps_s_fill_their_picture(pictures: Any, drawn: Fields) -> None:
    for field in drawn:
        small, stretched = pictures.like_usps(field), pictures.like_usps(field, stretched=True)
        assert small.shape == stretched.shape == (16, 16)
        (width, height), (wider, as_high) = extent(small), extent(stretched)
        assert max(width, height) == max(wider, as_high) == 16
        assert width <= wider <= 1.5 * width + 1
        assert height == as_high


def test_pictures_of_nothing_come_in_all_sizes_and_are_reproducible(pictures: Any) -> None:
    for kind in pictures.NOTHING:
        made = [pictures.nothing(kind, number) for number in range(24)]
        sides = [side for pixels in made for side in pixels.shape[:2]]
        assert min(sides) < 20
        assert max(sides) > 500
        assert pictures.SMALLEST <= min(sides) <= max(sides) <= pictures.LARGEST
        assert all(pixels.dtype == np.uint8 for pixels in made)
        assert np.array_equal(made[7], pictures.nothing(kind, 7))


# ---- the benchmark


class Guesser:
    """Reads a seven in everything, and is sure of it or not."""

    def __init__(self, accepted: bool) -> None:
        self.digits = (
            Digit(7, 0.9, accepted, (0, 0, 1, 1), probabilities=np.eye(10, dtype=np.float32)[7]),
        )

    def read(self, picture: Any, single: bool = False) -> Reading:
        return Reading("7", self.digits)

    def classify(self, images: Fields) -> NDArray[np.float32]:
        return np.eye(10, dtype=np.float32)[np.full(images.size // 784, 7)]


@pytest.mark.parametrize(("accepted", "status", "verdict"), [(True, 1, "MISS"), (False, 0, "PASS")])
def test_a_recogniser_that_sees_digits_in_nothing_misses_the_promise(
    benchmark: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    accepted: bool,
    status: int,
    verdict: str,
) -> None:
    monkeypatch.setattr(benchmark, "Recogniser", lambda model, threads: Guesser(accepted))
    monkeypatch.setattr(benchmark, "use_processors", lambda count: None)
    page = tmp_path / "reading.md"

    assert (
        benchmark.main(["--quick", "--only", "pictures of nothing", "--write", str(page)]) == status
    )

    printed = capsys.readouterr().out.splitlines()

    assert len(printed) == 1 + len(benchmark.NOTHING)
    assert all(row.startswith(verdict) for row in printed[:-1])
    assert page.read_text().startswith("# Reading\n")
    assert page.read_text().count(f" {verdict} |\n") == len(benchmark.NOTHING)


def test_a_recogniser_that_misreads_misses_the_promise(
    benchmark: Any, mnist: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Worse(Guesser):
        def classify(self, images: Fields) -> NDArray[np.float32]:
            return Recogniser(threads=1).classify(images)

    monkeypatch.setattr(benchmark, "Recogniser", lambda model, threads: Worse(accepted=True))
    monkeypatch.setattr(benchmark, "use_processors", lambda count: None)
    arguments = ["--quick", "--only", "MNIST as pictures", "other sets of digits"]

    assert benchmark.main(arguments) == 1

    *printed, last = capsys.readouterr().out.splitlines()
    missed = sum(line.startswith("MISS") for line in printed)

    assert missed > 40
    assert last == f"{missed} of {missed} promises missed"


@pytest.mark.slow
def test_a_quick_run_over_mnist_keeps_the_promises(
    benchmark: Any, mnist: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(benchmark, "use_processors", lambda count: None)
    assert benchmark.main(["--quick", "--only", "MNIST as pictures"]) == 0
    assert "\n0 of " in capsys.readouterr().out
