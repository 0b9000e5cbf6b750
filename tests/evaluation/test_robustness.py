"""MNIST-C's figures are those of each corruption by itself, and their means."""

import json
from dataclasses import replace

import numpy as np
import pytest
from few_digits import few_digits

from inkdigits.command import cli
from inkdigits.core.digits import DIGITS
from inkdigits.core.errors import UnknownName
from inkdigits.data.datasets import Dataset
from inkdigits.data.synthetic.corruptions import CORRUPTIONS, corrupt
from inkdigits.evaluation import measurement
from inkdigits.evaluation.measurement import corruption_in, predict
from inkdigits.evaluation.metrics import evaluate_probabilities
from inkdigits.evaluation.robustness import AFFINE, describe_robustness, evaluate_corrupted
from inkdigits.reading.recogniser import Recogniser


@pytest.fixture(autouse=True)
def _small_mnist(monkeypatch: pytest.MonkeyPatch) -> None:
    """A dataset called mnist with 200 test and 100 validation digits, which need no download."""
    digits = few_digits(300)
    small = Dataset("mnist", DIGITS, {"test": digits[:200], "validation": digits[200:]})
    monkeypatch.setattr(
        measurement, "load_dataset", lambda name, **options: replace(small, name=name)
    )


@pytest.fixture(scope="module")
def accuracies() -> dict[str, float]:
    """Of the shipped model, one corruption after the other."""
    digits, recogniser = few_digits(200), Recogniser()
    return {
        name: float(
            np.mean(
                recogniser.classify(corrupt(digits.images, name, seed=0)).argmax(axis=1)
                == digits.labels
            )
        )
        for name in CORRUPTIONS
    }


def test_the_corruptions_that_resemble_augmentation_are_four_of_the_fifteen():
    assert set(AFFINE) == {"shear", "scale", "rotate", "translate"}
    assert set(AFFINE) < set(CORRUPTIONS)


def test_every_corruption_has_its_figures_and_all_of_them_a_mean(accuracies):
    seen = evaluate_corrupted("default")
    assert {name: each.accuracy for name, each in seen.corrupted.items()} == pytest.approx(
        accuracies
    )
    assert len(set(accuracies.values())) > 8, "or mixing them up would not show"
    assert seen.accuracy == pytest.approx(sum(accuracies.values()) / 15)
    others = [accuracy for name, accuracy in accuracies.items() if name not in AFFINE]
    assert len(others) == 11
    assert seen.accuracy_without_affine == pytest.approx(sum(others) / 11)
    assert seen.identity.accuracy > seen.accuracy
    assert (seen.split, seen.identity.n) == ("test", 200)


def test_the_split_can_be_chosen_and_the_seed():
    seen = evaluate_corrupted("default", "validation", seed=3)
    assert (seen.split, seen.identity.n, seen.seed) == ("validation", 100, 3)
    assert evaluate_corrupted("default", "validation").corrupted["fog"] != seen.corrupted["fog"]


def test_one_corruption_is_a_dataset_like_others(accuracies):
    seen = predict("default", "mnist-c/zigzag")
    assert (seen.data, seen.split) == ("mnist-c/zigzag", "test")
    assert np.array_equal(seen.images, corrupt(few_digits(200).images, "zigzag"))
    assert evaluate_probabilities(seen.probabilities, seen.labels).accuracy == pytest.approx(
        accuracies["zigzag"]
    )


@pytest.mark.parametrize("data", ["mnist-c/frog", "mnist-c/", "mnist-c/identity"])
def test_an_unknown_corruption_is_refused(data):
    with pytest.raises(UnknownName, match=r"known: shot_noise, .*, canny_edges"):
        predict("default", data)


def test_names_of_files_and_other_sets_are_not_ours():
    assert corruption_in("mnist-c/fog") == "fog"
    assert not any(map(corruption_in, ("mnist", "./mnist-c", "mnist-c.npz", "my/mnist-c")))


def test_the_summary_has_a_line_a_corruption_and_fits_a_terminal():
    seen = evaluate_corrupted("default")
    lines = describe_robustness(seen).splitlines()
    assert max(map(len, lines)) <= 80
    assert [line.split()[0] for line in lines[3:19]] == ["identity", *CORRUPTIONS]
    for line, each in zip(lines[4:19], seen.corrupted.values(), strict=True):
        assert line.split()[1:4] == [f"{100 * each.accuracy:.2f}", "%", f"{each.errors}"]
    assert " ".join(lines[-2].split()) == f"mean of 15 {100 * seen.accuracy:.2f} %"
    without = "without shear, scale, rotate, translate"
    assert (
        " ".join(lines[-1].split())
        == f"mean of 11 {100 * seen.accuracy_without_affine:.2f} % {without}"
    )


# ---- the command


def test_evaluate_prints_an_object_of_objects(capsys, accuracies):
    assert cli.main(["evaluate", "default", "--data", "mnist-c", "--json"]) == 0
    seen = json.loads(capsys.readouterr().out)
    assert list(seen) == [
        *(
            "model",
            "data",
            "split",
            "seed",
            "n",
            "accuracy",
            "accuracy_without_affine",
            "nll",
            "ece",
            "identity",
            "corruptions",
        ),
    ]
    assert (seen["model"], seen["data"], seen["split"], seen["seed"], seen["n"]) == (
        "default",
        "mnist-c",
        "test",
        0,
        200,
    )
    assert cli.main(["evaluate", "default", "--json"]) == 0
    assert seen["identity"] == json.loads(capsys.readouterr().out), (
        "what evaluate prints for the digits as they are"
    )
    for name, each in seen["corruptions"].items():
        assert list(each) == list(seen["identity"])
        assert (each["data"], each["accuracy"]) == (
            f"mnist-c/{name}",
            pytest.approx(accuracies[name]),
        )
    for figure in ("accuracy", "nll", "ece"):
        assert seen[figure] == pytest.approx(
            np.mean([each[figure] for each in seen["corruptions"].values()])
        )


def test_evaluate_prints_a_table_for_people(capsys):
    assert cli.main(["evaluate", "default", "--data", "mnist-c"]) == 0
    assert capsys.readouterr().out == describe_robustness(evaluate_corrupted("default")) + "\n"


@pytest.mark.slow
def test_evaluate_measures_one_corruption_as_any_dataset(capsys, tmp_path):
    page = tmp_path / "fog.html"
    assert (
        cli.main(["evaluate", "default", "--data", "mnist-c/fog", "--json", "--report", str(page)])
        == 0
    )
    printed = capsys.readouterr().out
    assert json.loads(printed) == json.loads(
        json.dumps(evaluate_corrupted("default").corrupted["fog"].to_json())
    )
    assert page.is_file()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--data", "mnist-c/frog"], "no corruption in mnist-c: 'frog'; known: shot_noise"),
        (["--data", "mnist-c", "--report", "page.html"], "--data mnist-c/fog"),
        (["--data", "mnist-c", "--split", "tset"], "'tset'"),
    ],
)
def test_evaluate_refuses_with_a_sentence(capsys, arguments, says):
    assert cli.main(["evaluate", "default", *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert says in err
    assert err.count("\n") == 1
