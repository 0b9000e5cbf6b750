"""Digits stay the digits they were, in MNIST's geometry; other things are none; and the shipped
network knows them apart.
"""

import io
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from few_digits import few_digits
from numpy.random import PCG64, Generator
from PIL import Image
from scipy.interpolate import CubicHermiteSpline

from inkdigits.core.digits import NOT_A_DIGIT
from inkdigits.core.errors import BadValue
from inkdigits.data import named
from inkdigits.data.catalogue import DATASETS
from inkdigits.data.datasets import Dataset, Split, join_datasets
from inkdigits.data.synthetic.handwriting import hands, others, recording, simulate, strokes
from inkdigits.data.synthetic.handwriting.canvas import CANVAS, ink, paper
from inkdigits.data.synthetic.handwriting.others import Stock
from inkdigits.data.synthetic.splines import catmull_rom
from inkdigits.evaluation import measurement
from inkdigits.reading import recogniser
from inkdigits.reading.recogniser import Recogniser
from inkdigits.training.recipe import load_recipe

pytestmark = pytest.mark.slow  # hundreds of pages are drawn

KINDS = sorted(set(others.OTHER_THINGS), key=lambda kind: kind.__name__)


@pytest.fixture(scope="module")
def digits() -> Split:
    return few_digits(300)


@pytest.fixture(scope="module")
def simulated(digits: Split) -> tuple[np.ndarray, np.ndarray]:
    return simulate(digits.images, digits.labels, seed=0, copies=2, negatives=0.5)


@pytest.fixture
def rng() -> Generator:
    return Generator(PCG64(0))


def plain_seven() -> np.ndarray:
    return ink(paper(), [np.array([[30.0, 20.0], [80.0, 20.0], [50.0, 95.0]])], 8)


# ---- the promise of simulate


def test_same_seed_same_bits_and_another_seed_others(digits: Split) -> None:
    first, again, other = (
        simulate(digits.images[:40], digits.labels[:40], seed=seed) for seed in (5, 5, 6)
    )
    assert np.array_equal(first[0], again[0])
    assert np.array_equal(first[1], again[1])
    assert not np.array_equal(first[0], other[0])


def test_labels_are_those_of_the_digits_copy_by_copy_and_then_not_a_digit(
    digits: Split, simulated: tuple[np.ndarray, np.ndarray]
) -> None:
    fields, labels = simulated
    assert fields.shape == (900, 28, 28)
    assert (fields.dtype, labels.dtype) == (np.uint8, np.uint8)
    assert np.array_equal(labels[:300], digits.labels)
    assert np.array_equal(labels[300:600], digits.labels)
    assert (labels[600:] == NOT_A_DIGIT).all()


def test_a_seventh_of_the_digits_stays_as_it_was(
    digits: Split, simulated: tuple[np.ndarray, np.ndarray]
) -> None:
    fields = simulated[0][:600]
    same = (fields == np.concatenate([digits.images] * 2)).all(axis=(1, 2)).mean()
    assert 0.10 < same < 0.21  # 0.15 +- 4 standard errors


def test_the_nearest_original_of_most_digits_has_their_label(
    digits: Split, simulated: tuple[np.ndarray, np.ndarray]
) -> None:
    def unit(fields: np.ndarray) -> np.ndarray:
        blurred = np.array(
            [cv2.GaussianBlur(field, (0, 0), 1.5) for field in fields], np.float32
        ).reshape(len(fields), -1)
        return blurred / np.linalg.norm(blurred, axis=1, keepdims=True)

    likeness = unit(simulated[0][:300]) @ unit(digits.images).T
    np.fill_diagonal(likeness, 0)  # not the very image that it was made from
    right = digits.labels[likeness.argmax(axis=1)] == digits.labels
    assert right.mean() > 0.6  # chance is 0.1


def test_images_have_the_geometry_of_mnist(simulated: tuple[np.ndarray, np.ndarray]) -> None:
    fields = simulated[0][:600]
    assert (fields.max(axis=(1, 2)) >= 254).mean() > 0.98
    boxes = [cv2.boundingRect((field > 60).view(np.uint8)) for field in fields]
    sides = np.array([max(width, height) for _, _, width, height in boxes])
    assert (sides <= 20).mean() > 0.99  # a speck or a neighbour's end may lie outside
    assert (sides >= 18).mean() > 0.95
    rows, columns = np.indices((28, 28)) + 0.5
    weights = fields.astype(float) / fields.sum(axis=(1, 2), keepdims=True)
    for axis in (rows, columns):
        centres = (weights * axis).sum(axis=(1, 2))
        assert (
            (centres >= 11.9) & (centres < 17.1)
        ).all()  # MNIST's [14, 15), or up to two pixels off
        assert ((centres >= 14) & (centres < 15)).mean() > 0.7
    ink = (fields > 127).mean(axis=(1, 2))
    assert 0.049 < np.median(ink) < 0.258  # the range of MNIST's test images


@pytest.mark.slow
def test_progress_is_reported_until_all_is_done(digits: Split) -> None:
    told: list[tuple[str, int, int | None]] = []
    simulate(
        digits.images[:10],
        digits.labels[:10],
        seed=0,
        copies=120,
        progress=lambda *news: told.append(news),
    )
    assert told == [("making handwriting", 1000, 1500), ("making handwriting", 1500, 1500)]


# ---- what is drawn


def test_a_curve_goes_through_its_points_as_the_spline_of_their_differences_does() -> None:
    points = np.array([[1.0, 3], [4, 0], [7, 2], [5, 4], [1, 9]])
    padded = np.vstack([2 * points[0] - points[1], points, 2 * points[-1] - points[-2]])
    spline = CubicHermiteSpline(np.arange(5), points, (padded[2:] - padded[:-2]) / 2)
    assert np.allclose(catmull_rom(points, steps=10), spline(np.arange(41) / 10))


def test_a_crossed_seven_is_drawn(rng: Generator) -> None:
    for _ in range(20):
        before = plain_seven()
        after = hands.cross_seven(before, rng)
        added = (after > 127) & ~(before > 127)
        rows, columns = np.nonzero(added)
        assert rows.min() > 40
        assert rows.max() < 80  # the bar lies in the middle of the stem
        stem = np.flatnonzero(before[int(rows.mean())] > 127).mean()
        assert columns.min() < stem - 8
        assert stem + 8 < columns.max()  # and goes through it
        assert (after[before > 127] > 127).all()


def test_the_flag_of_a_one_falls_and_the_bar_of_a_seven_does_not(rng: Generator) -> None:
    flagged = 0
    for _ in range(200):
        stem = strokes.one(rng)[0]
        if len(stem) > 2:
            flagged += 1
            tip, top = stem[0], stem[:-1][stem[:-1, 1].argmin()]
            assert tip[1] - top[1] > 0.5 * (top[0] - tip[0]) > 0
        bar = strokes.seven(rng)[0]
        left, right = bar[bar[:, 0].argmin()], bar[bar[:, 0].argmax()]
        assert abs(left[1] - right[1]) < 0.5 * (right[0] - left[0])
    assert flagged > 140


@pytest.mark.parametrize("label", range(10))
def test_every_digit_can_be_drawn(label: int, rng: Generator) -> None:
    for _ in range(10):
        canvas = strokes.draw(strokes.digit_strokes(label, rng), rng)
        _, _, width, height = cv2.boundingRect((canvas > 127).view(np.uint8))
        assert 50 < max(width, height) <= CANVAS


@pytest.mark.parametrize("text", strokes.SIGN_STROKES)
def test_every_sign_can_be_drawn(text: str, rng: Generator) -> None:
    canvas = strokes.draw(strokes.parse(text, rng), rng)
    assert np.count_nonzero(canvas > 127) > 100


# ---- pens, accidents, devices


@pytest.mark.parametrize("face", strokes.FACES)
def test_every_face_has_every_letter(face: str) -> None:
    """A face without a letter shows the same box for all that it lacks."""
    missing = (
        strokes.load_face(face, 80).getmask("\U000f0000").getbbox(),
        bytes(strokes.load_face(face, 80).getmask("\U000f0000")),
    )
    for letter in strokes.LETTERS + "0123456789":
        mask = strokes.load_face(face, 80).getmask(letter)
        assert mask.getbbox() is not None, letter
        assert (mask.getbbox(), bytes(mask)) != missing, letter


def test_other_proportions_move_the_middle_of_a_digit_but_not_its_ends(rng: Generator) -> None:
    places = np.linspace(0, 28, 57)
    for power in (-0.5, -0.2, 0.3, 0.5):
        moved = hands.stretched(places, power)
        assert (np.diff(moved) >= 0).all()
        assert moved[places <= 4] == pytest.approx(places[places <= 4])
        assert moved[places >= 24] == pytest.approx(places[places >= 24])
        assert np.sign(moved[28] - places[28]) == -np.sign(power)


def test_a_felt_pen_adds_ink_and_a_thin_pen_leaves_some(digits: Split, rng: Generator) -> None:
    for image in digits.images[:50]:
        canvas = hands.in_another_hand(image, rng)
        thin = hands.thinned(canvas, 7)
        assert (thin <= canvas).all()
        assert thin.sum() > 0.25 * canvas.sum()


@pytest.mark.parametrize(
    "change",
    [*recording.ACCIDENTS, *recording.RECORDING_DEVICES],
    ids=lambda change: change.__name__,
)
def test_accidents_and_devices_change_a_digit_and_leave_it_on_the_canvas(
    change: Callable[[np.ndarray, Generator], np.ndarray], rng: Generator
) -> None:
    for _ in range(20):
        canvas = change(plain_seven(), rng)
        assert (canvas.shape, canvas.dtype) == ((112, 112), np.uint8)
        assert not np.array_equal(canvas, plain_seven())
        assert np.count_nonzero((canvas > 60) & (plain_seven() > 127)) > 0.5 * np.count_nonzero(
            plain_seven() > 127
        )


def test_a_digit_that_lost_its_ink_is_taken_as_it_was_before(rng: Generator) -> None:
    lost = recording.framed(paper(), rng, otherwise=plain_seven())
    assert lost.max() >= 254


# ---- what is no digit


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_kind_of_other_thing_shows_something(
    kind: Callable[[Stock], np.ndarray], digits: Split, rng: Generator
) -> None:
    stock = Stock(digits.images, digits.labels, rng)
    canvases = [kind(stock) for _ in range(30)]
    assert all(canvas.shape == (112, 112) and canvas.dtype == np.uint8 for canvas in canvases)
    assert (
        np.mean([np.count_nonzero(canvas > 100) >= others.LEAST_INK for canvas in canvases]) > 0.8
    )
    assert len({canvas.tobytes() for canvas in canvases}) == 30


def test_no_image_is_empty(simulated: tuple[np.ndarray, np.ndarray]) -> None:
    assert simulated[0].any(axis=(1, 2)).all()


def test_other_things_are_made_even_where_there_are_digits_of_one_kind_only(digits: Split) -> None:
    ones = digits.images[digits.labels == 1]
    fields, _ = simulate(ones, np.ones(len(ones), np.uint8), seed=0, negatives=3)
    assert fields.any(axis=(1, 2)).all()


# ---- the dataset


@pytest.mark.slow
def test_each_split_is_made_of_its_own_images_and_the_test_images_stay_as_they_are() -> None:
    def made(train: int, validation: int, test: int) -> dict[str, Split]:
        def planted(seed: int) -> Split:
            order = np.random.default_rng(seed).permutation(60)
            return few_digits(60)[order]

        return named.handwriting(
            {"train": planted(train), "validation": planted(validation), "test": planted(test)},
            None,
        )

    first, other_test, other_validation, other_train = (
        made(0, 1, 2),
        made(0, 1, 3),
        made(0, 4, 2),
        made(5, 1, 2),
    )
    for split in ("train", "validation"):
        assert np.array_equal(first[split].images, other_test[split].images)
    assert np.array_equal(first["train"].images, other_validation["train"].images)
    assert np.array_equal(first["validation"].images, other_train["validation"].images)
    assert not np.array_equal(first["train"].images, other_train["train"].images)
    assert len(first["test"]) == 60
    assert first["test"].labels.max() < NOT_A_DIGIT


def test_the_dataset_has_an_eleventh_class_and_uses_mnists_files() -> None:
    entry = DATASETS["handwriting"]
    assert entry.classes[NOT_A_DIGIT] == "not a digit"
    assert (entry.folder, entry.files) == ("mnist", DATASETS["mnist"].files)
    assert NOT_A_DIGIT == recogniser.NOT_A_DIGIT


def test_other_digits_can_be_joined_to_it_but_other_classes_cannot(digits: Split) -> None:
    def dataset(name: str) -> Dataset:
        return Dataset(name, DATASETS[name].classes, {"train": digits})

    for order in (["handwriting", "mnist"], ["mnist", "handwriting"]):
        joined = join_datasets([dataset(name) for name in order])
        assert len(joined.classes) == 11
        assert len(joined.train) == 600
    with pytest.raises(BadValue, match="cannot be joined"):
        join_datasets([dataset("handwriting"), dataset("kmnist")])


# ---- the weights in the package


@pytest.fixture(scope="module")
def shipped() -> Recogniser:
    return Recogniser(threads=1)


def as_png(ink: np.ndarray, side: int = 200) -> bytes:
    """Dark on white, as a paint program would save it."""
    large = cv2.resize(ink, (side, side), interpolation=cv2.INTER_CUBIC)
    file = io.BytesIO()
    Image.fromarray(255 - large).save(file, "PNG")
    return file.getvalue()


@pytest.mark.parametrize("label", range(10))
def test_the_shipped_network_reads_drawn_digits(label: int, shipped: Recogniser) -> None:
    rng = Generator(PCG64(100 + label))
    right = 0
    for _ in range(10):
        (digit,) = shipped.read(
            as_png(strokes.draw(strokes.digit_strokes(label, rng), rng)), single=True
        ).digits
        right += digit.accepted and digit.digit == label
    assert right >= 9


@pytest.mark.slow
def test_the_shipped_network_reads_mnists_training_digits_drawn_large_and_dark(
    shipped: Recogniser, mnist: Dataset
) -> None:
    some = mnist.train[np.arange(0, 20_000, 100)]
    read = [shipped.read(as_png(image), single=True).text for image in some.images]
    assert (
        np.mean([text == str(label) for text, label in zip(read, some.labels, strict=True)]) >= 0.98
    )


def test_the_shipped_network_refuses_things_that_are_not_digits(
    shipped: Recogniser, rng: Generator
) -> None:
    stock = Stock(np.empty((0, 28, 28), np.uint8), np.empty(0, np.uint8), rng)
    things = [
        kind(stock)
        for kind in (others.scribble, others.crossed_out, others.texture)
        for _ in range(10)
    ]
    noise = [rng.integers(0, 256, (side, side), np.uint8) for side in (28, 64, 200)]
    blank = [np.full((side, side), grey, np.uint8) for side in (28, 300) for grey in (0, 128, 255)]
    accepted = [
        any(digit.accepted for digit in shipped.read(as_png(thing), single=True).digits)
        for thing in things
    ]
    assert np.mean(accepted) <= 0.1
    assert not any(
        digit.accepted
        for picture in (*noise, *blank)
        for digit in shipped.read(picture, single=True).digits
    )


# ---- eleven outputs from training to reading


@pytest.fixture(scope="module")
def eleven() -> Dataset:
    """A handwriting dataset in small: digits, things that are none, and a test split of digits
    alone.
    """
    splits = {
        "train": few_digits(200),
        "validation": few_digits(100, "validation"),
        "test": few_digits(100, "test"),
    }
    return Dataset("handwriting", DATASETS["handwriting"].classes, named.handwriting(splits, None))


@pytest.mark.slow
def test_a_run_with_eleven_classes_makes_a_model_that_reads_ten_digits_or_none(
    eleven: Dataset, tmp_path: Path
) -> None:
    run = pytest.importorskip("inkdigits.runs.run", reason="training needs torch")
    recipe = load_recipe("default", {"epochs": 1})
    *_, final = run.run(recipe, tmp_path / "run", eleven, device="cpu")
    model = Recogniser(tmp_path / "run", threads=1)
    probabilities = model.classify(eleven.test.images)
    assert probabilities.shape == (len(eleven.test), 10)
    assert np.allclose(probabilities.sum(axis=1), 1, atol=1e-5)
    assert final.test_accuracy == pytest.approx(
        (probabilities.argmax(axis=1) == eleven.test.labels).mean(), abs=1e-9
    )
    assert (tmp_path / "run" / "report.html").is_file()


def test_a_network_with_ten_outputs_cannot_learn_eleven_classes(
    eleven: Dataset, tmp_path: Path
) -> None:
    run = pytest.importorskip("inkdigits.runs.run", reason="training needs torch")
    with pytest.raises(BadValue, match=r"11.*10|10.*11"):
        next(run.run(load_recipe("lenet"), tmp_path / "run", eleven, device="cpu"))
    assert not (tmp_path / "run").exists()


def test_figures_are_about_digits_and_leave_other_things_out(
    eleven: Dataset, shipped: Recogniser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measurement, "load_dataset", lambda *_, **__: eleven)
    seen = measurement.predict("default", "handwriting", "validation")
    digits = eleven.validation.labels < NOT_A_DIGIT
    assert 0 < len(seen.labels) == digits.sum() < len(eleven.validation)
    assert np.array_equal(seen.images, eleven.validation.images[digits])
    assert len(seen.classes) == 10
    everything = shipped.sureness(eleven.validation.images)
    assert seen.sureness is not None
    assert [list(each) for each in seen.sureness] == [
        pytest.approx(everything[kind]) for kind in (digits, ~digits)
    ]
