"""The ladder's arithmetic agrees with slow versions; finished seeds are not trained again."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from benchmarks.training import ladder, ladder_figures, ladder_workers, reference_style
from benchmarks.training.contenders import train_mnist_fast
from inkdigits.training.models import count_multiplications, count_parameters, recipe_network
from inkdigits.training.recipe import load_recipe

pytestmark = pytest.mark.slow  # networks are trained

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def outcome(seconds: float = 1.0, test: float = 0.99, **changes: Any) -> Any:
    fields = {"compiling": 0.0, "validation": test}
    return ladder_workers.Outcome(seconds=seconds, test=test, **fields | changes)


def contender(name: str = "fast-99.0", **changes: Any) -> Any:
    return ladder_workers.Contender(**{"name": name, "module": "ours", "option": "lenet"} | changes)


def test_what_seeds_amount_to() -> None:
    values = [0.9899, 0.99, 0.9901, 0.9912]
    found = ladder_figures.Accuracies(values)
    assert found.mean == pytest.approx(sum(values) / 4)
    assert found.deviation == pytest.approx(np.std(values, ddof=1))
    assert found.share_from(0.99) == 3 / 4


def test_one_seed_has_no_deviation() -> None:
    assert ladder_figures.Accuracies([0.99]).deviation is None


@pytest.mark.parametrize(("name", "mark"), [("fast-99.0", 0.99), ("fast-99.7", 0.997)])
def test_a_recipes_mark_is_in_its_name(name: str, mark: float) -> None:
    assert ladder_figures.mark_of(name) == pytest.approx(mark)


def test_ratios_are_made_round_by_round_against_the_fastest_manner() -> None:
    times = {"fast-99.0": [1.0, 2.0, 4.0], "a": [9.0, 9.0, 9.0], "b": [3.0, 8.0, 20.0]}
    rows = [
        ladder_figures.Row(contender(name), rounds=[outcome(value) for value in values])
        for name, values in times.items()
    ]
    *_, line = ladder_figures.ratios(rows, [("fast-99.0", ("a", "b")), ("fast-99.3", ("a",))])
    assert line == "| `fast-99.0` | b, the fastest of its manners | 4.0 (3.0-5.0) | 3 |"


def test_accuracy_is_that_of_reproduced_runs_where_there_are_some(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ladder, "RUNS", tmp_path)
    monkeypatch.setattr(ladder, "finished_runs", lambda recipe, out: sorted(out.glob("*")))
    row = ladder_figures.Row(contender(), ladder.reproduced(contender()), [outcome(test=0.5)])
    assert row.accuracies("test").values == [0.5]

    for seed, accuracy in enumerate((0.9, 0.91)):
        folder = tmp_path / f"seed{seed}"
        folder.mkdir()
        final = {"test_accuracy": accuracy, "validation_accuracy": accuracy + 0.05}
        (folder / "config.json").write_text(json.dumps({"final": final}))

    row = ladder_figures.Row(contender(), ladder.reproduced(contender()), [outcome(test=0.5)])
    assert row.accuracies("test").values == [0.9, 0.91]
    assert row.accuracies("validation").values == pytest.approx([0.95, 0.96])


def test_the_opponents_network_is_as_its_source_says() -> None:
    network = train_mnist_fast.Net()
    shapes = {
        name: tuple(values.shape) for name, values in network.named_parameters() if "weight" in name
    }
    assert list(shapes.values()) == [(24, 1, 5, 5), (32, 24, 3, 3), (256, 800), (10, 256)]
    assert (
        count_parameters(network) == 24 * 25 + 24 + 32 * 24 * 9 + 32 + 800 * 256 + 256 + 2560 + 10
    )
    assert (
        count_multiplications(network)
        == 24 * 25 * 24 * 24 + 32 * 24 * 9 * 10 * 10 + 800 * 256 + 2560
    )


def test_who_needs_what_is_not_here_is_left_out_with_a_line() -> None:
    (line,) = ladder.left_out([contender("x", needs=("no_such_package",)), contender("y")])
    assert line.startswith("- x: left out, as it needs no_such_package")


@pytest.mark.usefixtures("mnist")
def test_a_contender_trains_in_a_process_of_its_own_and_its_reading_is_measured() -> None:
    worker = ladder_workers.Worker(contender("MLP", module="in_sklearn", option=""), 300, 1)
    found = worker.train(0)
    worker.stop()
    assert found.seconds > 0
    assert 0.5 < found.test < 1  # of 300 digits, after 300 were learned from
    assert 0.5 < found.validation < 1


def test_every_contender_takes_its_time_from_a_known_module() -> None:
    for each in ladder.OTHERS:
        assert (BENCHMARKS / "training" / "contenders" / f"{each.module}.py").is_file()


@pytest.mark.parametrize("name", ["lenet", "two-conv", "dropout", "sgd", "batchnorm"])
def test_tutorials_train_what_our_recipes_train(name: str) -> None:
    reference, recipe = reference_style.REFERENCES[name], load_recipe(name)
    network, ours = reference.build(), recipe_network(recipe)
    assert reference.batch == recipe.batch
    assert [each.shape for each in network.parameters()] == [
        each.shape for each in ours.parameters()
    ]
    ink = np.random.default_rng(0).integers(0, 256, (28, 28), dtype=np.uint8)
    sample = reference.transform(Image.fromarray(ink))[None]
    expected = F.interpolate(
        torch.from_numpy(ink / 255).float()[None, None], size=(recipe.size,) * 2, mode="bilinear"
    )
    assert torch.allclose(
        sample * recipe.sd + recipe.mean, expected, atol=1 / 255
    )  # Pillow rounds to whole shades
    assert network(sample).shape == (1, 10)
    (group,) = reference.optimiser(network).param_groups
    assert group["lr"] == recipe.learning_rate
    assert group.get("betas") == (
        None if recipe.optimiser == "sgd" else (recipe.beta1, recipe.beta2)
    )
    assert group.get("momentum") == (recipe.momentum if recipe.optimiser == "sgd" else None)
