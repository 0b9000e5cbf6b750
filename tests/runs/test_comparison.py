"""Runs are grouped by what defines them, and compared by the right test on the right digits."""

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import mean, stdev

import numpy as np
import pytest
from few_digits import few_digits
from scipy import stats

from inkdigits.command import cli
from inkdigits.core.digits import DIGITS
from inkdigits.core.errors import BadData, BadModel, BadValue, UnknownName
from inkdigits.data.catalogue import MISLABELLED
from inkdigits.data.datasets import Dataset, Split
from inkdigits.evaluation.measurement import evaluate
from inkdigits.evaluation.metrics import SMALLEST_PROBABILITY
from inkdigits.reading.recogniser import Recogniser
from inkdigits.runs import comparison
from inkdigits.runs.comparison import compare, describe_comparison
from inkdigits.training.recipe import load_recipe, to_table

N = 10_000
LABELS = (np.arange(N) % 10).astype(np.uint8)

MakeRun = Callable[..., Path]


class Answers:
    """A stand-in for the Recogniser; model.onnx holds the indexes of the digits it reads wrong."""

    def __init__(self, folder: Path) -> None:
        self.wrong = json.loads((folder / "model.onnx").read_text())

    def classify(self, images: np.ndarray) -> np.ndarray:
        read = LABELS[: len(images)].copy()
        read[self.wrong] = (read[self.wrong] + 1) % 10
        return np.eye(10, dtype=np.float32)[read]


@pytest.fixture
def _stand_ins(monkeypatch: pytest.MonkeyPatch) -> None:
    images = np.zeros((N, 28, 28), np.uint8)
    dataset = Dataset(
        "mnist",
        DIGITS,
        {"test": Split(images, LABELS), "validation": Split(images[:500], LABELS[:500])},
    )
    monkeypatch.setattr(
        comparison, "load_dataset", lambda name, **options: replace(dataset, name=name)
    )
    monkeypatch.setattr(comparison, "Recogniser", Answers)


@pytest.fixture
def make_run(tmp_path: Path, _stand_ins: None) -> MakeRun:
    """Make run folders, as far as a comparison looks. wrong: the indexes of a run's errors."""

    def make(
        name: str, seed: int, wrong: object, recipe: str = "lenet", **settings: object
    ) -> Path:
        folder = tmp_path / name
        folder.mkdir(parents=True)
        chosen = load_recipe(recipe, settings)
        config = {
            "recipe": to_table(chosen),
            "seed": seed,
            "data": {"name": "mnist"},
            "final": {"epochs": chosen.epochs},
        }
        (folder / "config.json").write_text(json.dumps(config))
        (folder / "model.onnx").write_text(json.dumps(list(wrong)))
        return folder

    return make


def test_a_recipe_has_mean_spread_and_interval_over_its_seeds(make_run):
    errors = {2: range(80), 0: range(20, 120), 1: range(40, 130)}
    found = compare([make_run(f"seed{seed}", seed, wrong) for seed, wrong in errors.items()])
    [group] = found.groups
    assert (group.recipe, group.seeds, found.differences) == ("lenet", (0, 1, 2), ())
    accuracies = [0.99, 0.991, 0.992]
    assert group.all_labels.accuracies == pytest.approx(accuracies)
    assert group.all_labels.mean == pytest.approx(mean(accuracies))
    assert group.all_labels.sd == pytest.approx(stdev(accuracies))
    assert group.nll == pytest.approx(
        [-math.log(SMALLEST_PROBABILITY) * (1 - accuracy) for accuracy in accuracies]
    )
    assert group.all_labels.ci95 == pytest.approx(
        stats.t.interval(0.95, 2, mean(accuracies), stats.sem(accuracies))
    )


def test_digits_with_a_wrong_label_are_left_out_for_a_second_figure(make_run):
    wrong = {*range(50), *MISLABELLED[:10]}  # none of which are among the first fifty
    [group] = compare([make_run("run", 0, wrong)]).groups
    assert group.all_labels.accuracies == pytest.approx([1 - 60 / 10_000])
    assert group.without_mislabelled.n == 9_985
    assert group.without_mislabelled.accuracies == pytest.approx([1 - 50 / 9_985])


def test_other_digits_have_no_known_wrong_labels(make_run):
    run = make_run("run", 0, range(5))
    for found in (compare([run], split="validation"), compare([run], data="usps")):
        assert found.groups[0].without_mislabelled is None
        assert "cleaned" not in describe_comparison(found)


def test_the_wrong_labels_are_those_of_the_vote():
    assert len(set(MISLABELLED)) == 15
    assert sorted(MISLABELLED) == list(MISLABELLED)


def test_a_network_doubts_the_wrong_labels_far_more_than_others(mnist):
    wrong = (
        Recogniser().classify(mnist.test.images[list(MISLABELLED)]).argmax(axis=1)
        != mnist.test.labels[list(MISLABELLED)]
    )
    assert wrong.mean() > 0.25, "of all test digits it reads less than one in a hundred otherwise"


def test_two_recipes_are_compared_by_permuting_their_seeds(make_run):
    lenet = [make_run(f"lenet{seed}", seed, range(90 + seed)) for seed in range(4)]
    sgd = [make_run(f"sgd{seed}", seed, range(60 + 10 * seed), "sgd") for seed in range(4)]
    found = compare([*lenet, *sgd])
    assert [group.recipe for group in found.groups] == ["lenet", "sgd"]
    [difference] = found.differences
    expected = stats.permutation_test(
        ([90, 91, 92, 93], [60, 70, 80, 90]),
        lambda a, b: np.mean(a) - np.mean(b),
        vectorized=False,
        n_resamples=np.inf,
    )
    assert (difference.first, difference.second, difference.test) == ("lenet", "sgd", "permutation")
    assert difference.difference == pytest.approx(-0.00165)
    assert difference.p == pytest.approx(expected.pvalue)
    assert difference.smallest_p == pytest.approx(2 / 70)


def test_two_runs_are_compared_digit_by_digit(make_run):
    paths = [
        make_run("a", 0, range(30)),
        make_run("b", 0, range(10, 70)),
    ]  # of one recipe, and even of one seed
    [difference] = compare(paths).differences
    assert (difference.first, difference.second, difference.test) == (*map(str, paths), "mcnemar")
    assert (difference.only_first, difference.only_second) == (40, 10)
    assert difference.p == pytest.approx(stats.binomtest(10, 50, 0.5).pvalue)
    assert difference.difference == pytest.approx(0.003)


def test_all_pairs_are_compared_single_runs_among_them(make_run):
    paths = [
        make_run("a", 0, range(30)),
        make_run("b", 0, range(40), "sgd"),
        make_run("c", 0, range(50), "batchnorm"),
    ]
    found = compare([*paths, make_run("d", 1, range(35))])
    assert [group.recipe for group in found.groups] == ["lenet", "sgd", "batchnorm"]
    tests = {
        (difference.first, difference.second): difference.test for difference in found.differences
    }
    assert tests == {
        ("lenet", "sgd"): "permutation",
        ("lenet", "batchnorm"): "permutation",
        ("sgd", "batchnorm"): "mcnemar",
    }


def test_a_folder_of_runs_is_all_of_them_and_none_counts_twice(make_run, tmp_path):
    for seed in range(3):
        make_run(f"runs/lenet-seed{seed}", seed, range(seed))
    (tmp_path / "runs" / "notes").mkdir()
    for paths in ([tmp_path / "runs"], [tmp_path / "runs", tmp_path / "runs" / "lenet-seed1"]):
        [group] = compare(paths).groups
        assert group.seeds == (0, 1, 2)


def test_recipes_of_one_name_are_told_apart_by_what_differs(make_run):
    paths = [make_run(f"short{seed}", seed, range(9), epochs=3) for seed in range(2)]
    paths += [
        make_run(f"long{seed}", seed, range(5), epochs=20, rotation=10.0) for seed in range(2)
    ]
    assert [group.recipe for group in compare(paths).groups] == [
        "lenet (epochs 3, rotation 0.0)",
        "lenet (epochs 20, rotation 10.0)",
    ]


def test_a_run_that_was_cut_short_is_no_seed_of_its_recipe(make_run):
    paths = [make_run(f"run{seed}", seed, range(9)) for seed in range(3)]
    config = json.loads((paths[2] / "config.json").read_text())
    config["final"]["epochs"] = 1
    (paths[2] / "config.json").write_text(json.dumps(config))
    assert [(group.recipe, group.seeds) for group in compare(paths).groups] == [
        ("lenet (epochs 5)", (0, 1)),
        ("lenet (epochs 1)", (2,)),
    ]


def test_measured_figures_in_a_recipe_do_not_make_it_another(make_run):
    paths = [make_run(f"run{seed}", seed, range(9)) for seed in range(3)]
    config = json.loads((paths[2] / "config.json").read_text())
    config["recipe"]["measured"] = {"runs": 30}
    (paths[2] / "config.json").write_text(json.dumps(config))
    assert len(compare(paths).groups) == 1


def test_copies_of_a_seed_are_refused(make_run):
    paths = [make_run(name, seed, range(9)) for name, seed in (("a", 0), ("b", 1), ("copy", 0))]
    with pytest.raises(BadValue, match=r"a and .*copy are the same recipe with the same seed"):
        compare(paths)


@pytest.mark.parametrize("name", ["empty", "absent"])
def test_what_is_no_run_is_refused(name, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(
        BadModel, match=rf"{name}' is no run; expected a folder made by `inkdigits train`"
    ):
        compare([tmp_path / name])


@pytest.mark.parametrize(
    "config", ["{", "[]", "{}", '{"recipe": {"name": "x", "network": "lenet", "new": 1}}']
)
def test_a_damaged_run_is_refused(config, tmp_path):
    (tmp_path / "config.json").write_text(config)
    with pytest.raises(BadModel, match=r"config\.json is damaged, or of another version"):
        compare([tmp_path])


def test_an_unknown_or_empty_split_is_refused(make_run, monkeypatch):
    run = make_run("run", 0, range(9))
    with pytest.raises(UnknownName, match="tset"):
        compare([run], split="tset")
    empty = Dataset(
        "mnist", DIGITS, {"test": Split(np.zeros((0, 28, 28), np.uint8), np.zeros(0, np.uint8))}
    )
    monkeypatch.setattr(comparison, "load_dataset", lambda *args, **options: empty)
    with pytest.raises(BadData, match="no digits in its split 'test'"):
        compare([run])


def test_predictions_are_those_of_evaluate(monkeypatch):
    digits = Dataset("mnist", DIGITS, {"validation": few_digits(150)})
    monkeypatch.setattr(comparison, "load_dataset", lambda *args, **options: digits)
    monkeypatch.setattr(
        "inkdigits.evaluation.measurement.load_dataset", lambda *args, **options: digits
    )
    [group] = compare(["default"], split="validation").groups
    assert group.all_labels.accuracies == (evaluate("default", split="validation").accuracy,)


# ---- the command


@pytest.fixture
def two_recipes(make_run: MakeRun, tmp_path: Path) -> Path:
    for seed in range(3):
        make_run(f"runs/lenet{seed}", seed, range(90 + seed))
        make_run(f"runs/sgd{seed}", seed, range(60 + 10 * seed), "sgd")
    return tmp_path / "runs"


def test_compare_prints_json(capsys, two_recipes):
    assert cli.main(["compare", str(two_recipes), "--json"]) == 0
    seen = json.loads(capsys.readouterr().out)
    assert list(seen) == ["data", "split", "recipes", "differences"]
    figures = ["n", "accuracy_mean", "accuracy_sd", "accuracy_ci95", "accuracies"]
    for group in seen["recipes"]:
        assert list(group) == [
            "recipe",
            "runs",
            "seeds",
            *figures,
            "without_mislabelled",
            "nll_mean",
            "nll_sd",
        ]
        assert list(group["without_mislabelled"]) == figures
        low, high = group["accuracy_ci95"]
        assert low < group["accuracy_mean"] < high
    assert [list(difference) for difference in seen["differences"]] == [
        ["first", "second", "difference", "test", "p", "smallest_p"]
    ]


def test_compare_prints_json_for_single_runs(capsys, make_run):
    paths = [str(make_run("a", 0, range(30))), str(make_run("b", 1, range(10, 70)))]
    assert cli.main(["compare", *paths, "--json", "--split", "validation"]) == 0
    seen = json.loads(capsys.readouterr().out)
    assert seen["split"] == "validation"
    for group in seen["recipes"]:
        assert (
            group["n"],
            group["accuracy_sd"],
            group["accuracy_ci95"],
            group["without_mislabelled"],
        ) == (500, None, None, None)
    keys = ["first", "second", "difference", "test", "p", "only_first", "only_second"]
    assert [list(difference) for difference in seen["differences"]] == [keys]


def test_compare_prints_a_table_for_people(capsys, two_recipes):
    assert cli.main(["compare", str(two_recipes)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "mnist, test: 10,000 digits"
    assert lines[3].split()[:5] == ["lenet", "3", "99.09", "%", "0.01"]
    assert lines[4].split()[:5] == ["sgd", "3", "99.30", "%", "0.10"]
    assert lines[2].split()[-1] == "cleaned*"
    assert " ".join(lines[-3].split()) == "lenet - sgd -0.21 0.1 permutation, at least 0.1"
    assert lines[-1].startswith("permutation: of the seeds")
    assert max(map(len, lines)) <= 80


def test_compare_refuses_with_a_sentence(capsys, tmp_path):
    assert cli.main(["compare", str(tmp_path)]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "is no run" in err
    assert err.count("\n") == 1
