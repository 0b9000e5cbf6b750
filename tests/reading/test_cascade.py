"""A cascade answers as a loop over its networks would: by the first that is sure, or the last."""

from pathlib import Path

import numpy as np
import pytest
from few_digits import few_digits
from toy_network import save_toy_network

from inkdigits.core.errors import BadModel, UnknownName
from inkdigits.evaluation.measurement import evaluate
from inkdigits.reading.cascade import SURE_ENOUGH
from inkdigits.reading.layers import look_inside
from inkdigits.reading.model_files import resolve_model
from inkdigits.reading.recogniser import Recogniser, cached_recogniser

IMAGES = few_digits(300).images


def one_after_the_other(names: list[str], images: np.ndarray) -> np.ndarray:
    answers = [cached_recogniser(name).classify(images) for name in names]
    picked = [
        next((row for row in rows[:-1] if row.max() >= SURE_ENOUGH), rows[-1])
        for rows in zip(*answers, strict=True)
    ]
    return np.stack(picked)


@pytest.mark.parametrize("names", [["nano", "tiny"], ["nano", "tiny", "best"]])
def test_the_first_that_is_sure_answers_else_the_last(names: list[str]) -> None:
    expected = one_after_the_other(names, IMAGES)

    assert np.allclose(Recogniser("+".join(names)).classify(IMAGES), expected, atol=1e-5)

    alone = cached_recogniser(names[0]).classify(IMAGES).max(axis=1) >= SURE_ENOUGH

    assert 0 < alone.mean() < 1, "digits that all go one way would prove nothing"


@pytest.mark.parametrize("count", [0, 1, 2])
def test_few_images_are_answered_too(count: int) -> None:
    assert Recogniser("nano+tiny").classify(IMAGES[:count]).shape == (count, 10)


def test_a_cascade_reads_and_is_measured_like_any_model() -> None:
    recogniser = Recogniser("nano+best")

    assert recogniser.threshold == cached_recogniser("best").threshold
    assert recogniser.trained_on == "mnist"
    assert recogniser.read(Path(__file__).parents[1] / "assets" / "sample.jpg").text
    assert recogniser.sureness(IMAGES) == pytest.approx(recogniser.classify(IMAGES).max(axis=1))
    assert evaluate("nano+tiny", "optdigits").accuracy > 0.5


def test_a_file_may_have_a_plus_in_its_name(tmp_path: Path) -> None:
    model = save_toy_network(tmp_path / "a+b.onnx")
    assert resolve_model(model) == model
    assert Recogniser(model).classify(IMAGES).shape == (len(IMAGES), 10)


def test_networks_that_know_other_classes_are_not_joined() -> None:
    with pytest.raises(BadModel, match=r"has 10 classes and .* has 11;"):
        Recogniser("tiny+default")
    with pytest.raises(UnknownName, match="none"):
        Recogniser("tiny+none")


def test_a_cascade_is_refused_where_one_network_is_needed() -> None:
    with pytest.raises(BadModel, match="2 models; expected one"):
        resolve_model("nano+best")
    with pytest.raises(BadModel, match="several networks; expected one"):
        look_inside(Recogniser("nano+tiny"), IMAGES[0])
