"""A model is loaded once and checked; its probabilities become the readings of the contract."""

import json
import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from toy_network import by_hand, save_toy_network

from inkdigits.core.errors import BadModel, BadPicture, BadValue, UnknownName
from inkdigits.reading import model_files
from inkdigits.reading.model_files import resolve_model
from inkdigits.reading.reading import Reading
from inkdigits.reading.recogniser import Recogniser, read
from inkdigits.reading.symbols import Digit

pytest.importorskip("onnx", reason="the toy networks are built with onnx")

SAMPLE = Path(__file__).parents[1] / "assets" / "sample.jpg"


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_toy_network(tmp_path_factory.mktemp("toy") / "toy.onnx")


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (2500, 28, 28), np.uint8)


def picture_of(digit: int) -> np.ndarray:
    """Return MNIST-like pixels that the toy network reads as the digit, or as no digit if it is 10.

    They are a spine, the digit's row, and the row that balances it.
    """
    field = np.zeros((28, 28), np.uint8)
    field[4:24, 14] = 255
    if digit < 10:
        field[[4 + digit, 23 - digit], 5:24] = 255
    else:
        field[4:24, [5, 23]] = 255
    return field


def test_sureness_is_that_of_the_best_digit_and_that_it_is_one(
    toy: Path, tmp_path: Path, images: np.ndarray
) -> None:
    assert Recogniser(toy, threads=1).sureness(images) == pytest.approx(
        by_hand(images).max(axis=1), abs=1e-5
    )

    eleven = by_hand(images, 11)
    expected = by_hand(images).max(axis=1) * (1 - eleven[:, 10])
    ours = Recogniser(save_toy_network(tmp_path / "eleven.onnx", 11), threads=1).sureness(images)

    assert ours == pytest.approx(expected, abs=1e-5)
    assert ours.shape == (len(images),)


def test_classify_computes_what_the_network_says_however_many_images(
    toy: Path, images: np.ndarray
) -> None:
    recogniser = Recogniser(toy, threads=1)
    for n in (0, 1, 7, 2500):
        probabilities = recogniser.classify(images[:n])
        assert probabilities.shape == (n, 10)
        assert probabilities.dtype == np.float32
        assert np.allclose(probabilities, by_hand(images[:n]), atol=1e-6)
    assert np.allclose(recogniser.classify(images[3]), by_hand(images[3:4]), atol=1e-6)


def test_a_recogniser_answers_several_threads_alike(toy: Path, images: np.ndarray) -> None:
    recogniser = Recogniser(toy, threads=1)
    expected, answers = recogniser.classify(images[:200]), []
    threads = [
        threading.Thread(target=lambda: answers.append(recogniser.classify(images[:200])))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(answers) == 8
    assert all(np.array_equal(answer, expected) for answer in answers)


@pytest.mark.parametrize(
    "wrong",
    [
        np.zeros((28, 27), np.uint8),
        np.zeros((2, 3, 28, 28), np.uint8),
        np.zeros(783, np.uint8),
    ],
)
def test_images_of_another_shape_or_type_are_refused(toy: Path, wrong: np.ndarray) -> None:
    with pytest.raises(BadValue, match=r"uint8 \(N, 28, 28\)"):
        Recogniser(toy).classify(wrong)


def test_the_threshold_travels_in_the_model(tmp_path: Path) -> None:
    recogniser = Recogniser(save_toy_network(tmp_path / "m.onnx", metadata={"threshold": "0.9"}))
    assert recogniser.threshold == 0.9
    for wrong in ("high", "0", "nan"):
        with pytest.raises(BadModel, match=f"threshold '{wrong}'"):
            Recogniser(save_toy_network(tmp_path / "m.onnx", metadata={"threshold": wrong}))


def test_the_network_s_probabilities_are_final_and_no_metadata_change_them(
    tmp_path: Path, images: np.ndarray
) -> None:
    path = save_toy_network(
        tmp_path / "m.onnx", metadata={"temperature": "2.5", "softmax_temperature": "2.5"}
    )
    assert np.allclose(Recogniser(path).classify(images[:50]), by_hand(images[:50]), atol=1e-6)


def test_an_eleventh_output_is_the_doubt_that_it_is_a_digit(tmp_path: Path) -> None:
    recogniser = Recogniser(save_toy_network(tmp_path / "eleven.onnx", outputs=11))
    images = np.stack([picture_of(3), picture_of(10)])
    eleven = by_hand(images, 11)
    expected = eleven[:, :10] / eleven[:, :10].sum(axis=1, keepdims=True)

    assert np.allclose(recogniser.classify(images), expected, atol=1e-6)

    digit, other = (recogniser.read(image, single=True).digits[0] for image in images)

    assert digit.accepted
    assert digit.digit == 3
    assert digit.confidence == pytest.approx(eleven[0, 3], abs=1e-5)
    assert not other.accepted
    assert other.reason == "not a digit"


def test_json_is_what_the_contract_says(toy: Path, tmp_path: Path) -> None:
    path = tmp_path / "seven.png"
    Image.fromarray(255 - picture_of(7)).save(path)
    reading = Recogniser(toy).read(path)
    confidence = by_hand(picture_of(7)[None])[0, 7]
    said = json.loads(reading.to_json(str(path)))

    promised = ["path", "text", "digits", "warnings", "error", "written", "signs", "confidence"]
    assert list(said) == promised
    assert said["path"] == str(path)
    assert said["text"] == "7"
    assert said["digits"][0].keys() == {"digit", "confidence", "accepted", "box"}
    assert said["digits"][0]["confidence"] == pytest.approx(confidence, abs=1e-5)
    assert said["digits"][0]["box"] == [5, 4, 24, 24]
    assert said["warnings"] == []
    assert said["error"] is None
    assert "path" not in json.loads(reading.to_json())


def test_a_doubtful_digit_is_listed_with_its_reason_but_not_in_the_text(tmp_path: Path) -> None:
    reading = Recogniser(
        save_toy_network(tmp_path / "m.onnx", metadata={"threshold": "0.9999999"})
    ).read(picture_of(5))

    assert reading.text == ""
    assert reading.digits[0].digit == 5
    assert "sure of 5" in json.loads(reading.to_json())["digits"][0]["reason"]


def test_a_picture_that_cannot_be_read_leaves_the_others_readable(
    toy: Path, tmp_path: Path
) -> None:
    recogniser = Recogniser(toy)
    readings = list(
        recogniser.read_many([picture_of(1), tmp_path / "none.png", b"junk", picture_of(2)])
    )

    assert [reading.text for reading in readings] == ["1", None, None, "2"]

    said = json.loads(readings[1].to_json("none.png"))

    assert said["text"] is None
    assert said["digits"] == []
    assert said["error"] == {"code": "not_found", "message": str(readings[1].error)}
    with pytest.raises(BadPicture):
        recogniser.read(b"junk")


def test_the_module_reads_with_a_model_that_stays_loaded(
    toy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert read(picture_of(4), model=toy, single=True).text == "4"
    monkeypatch.setattr("inkdigits.reading.recogniser.load_network", None)
    assert read(picture_of(6), model=toy).text == "6"


def test_a_model_is_found_by_name_folder_or_path(
    toy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model_files, "WEIGHTS", tmp_path / "weights")
    for folder in (tmp_path / "run", tmp_path / "weights" / "toy"):
        folder.mkdir(parents=True)
        (folder / "model.onnx").write_bytes(toy.read_bytes())

    assert resolve_model("toy") == tmp_path / "weights" / "toy" / "model.onnx"
    assert resolve_model(toy) == toy
    assert resolve_model(str(tmp_path / "run")) == tmp_path / "run" / "model.onnx"
    with pytest.raises(UnknownName, match=r"'toi'.*toy"):
        resolve_model("toi")


def test_the_default_model_reads_alike_by_name_folder_and_path(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = resolve_model("default")
    expected = Recogniser().read(SAMPLE).to_json()
    assert Recogniser(path).read(SAMPLE).to_json() == expected
    assert Recogniser(path.parent).read(SAMPLE).to_json() == expected

    monkeypatch.chdir(path.parents[1])
    assert Recogniser(Path("default", "model.onnx")).read(SAMPLE).to_json() == expected
    assert Recogniser("tiny").read(SAMPLE).to_json() != expected


def test_a_file_that_is_no_model_of_ours_is_refused(tmp_path: Path) -> None:
    (tmp_path / "damaged.onnx").write_bytes(b"not a protobuf")
    (tmp_path / "model.pt").write_bytes(b"pickle")
    (tmp_path / "run").mkdir()

    with pytest.raises(BadModel, match="damaged"):
        Recogniser(tmp_path / "damaged.onnx")
    with pytest.raises(BadModel, match=r"not an \.onnx file"):
        Recogniser(tmp_path / "model.pt")
    with pytest.raises(BadModel, match=r"holds no model\.onnx"):
        Recogniser(tmp_path / "run")
    for wrong in ({"outputs": 12}, {"name": "logits"}, {"size": 32}):
        with pytest.raises(BadModel, match="something else"):
            Recogniser(save_toy_network(tmp_path / "other.onnx", **wrong))


def test_threads_are_at_least_one(toy: Path) -> None:
    with pytest.raises(BadValue, match="threads"):
        Recogniser(toy, threads=0)


def test_a_blank_reading_is_an_empty_text() -> None:
    assert json.loads(Reading("").to_json()) == {
        "text": "",
        "digits": [],
        "warnings": [],
        "error": None,
        "written": "",
        "signs": [],
        "confidence": None,
    }


@pytest.mark.parametrize(
    ("confidence", "words"), [(0.5, "50.0%"), (0.9986, "99.9%"), (0.99996, "99.9%"), (1.0, "99.9%")]
)
def test_nothing_is_said_to_be_certain(confidence: float, words: str) -> None:
    assert Digit(3, confidence, True, (0, 0, 1, 1)).confidence_text == words
