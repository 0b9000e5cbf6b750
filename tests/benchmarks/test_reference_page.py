"""The page of reference systems: what is drawn is what torch builds, what is told is what ran."""

import dataclasses
import json
import xml.etree.ElementTree as ET  # our own drawings
from pathlib import Path

import pytest
from few_digits import few_digits

from benchmarks.common import read_between
from benchmarks.training import reference_runs
from benchmarks.training.reference_drawings import draw_learning, draw_network, in_words, layers_of
from benchmarks.training.reference_page import changed_rows, published_and_ours, section
from benchmarks.training.reference_runs import (
    CHANGES,
    Trained,
    all_runs,
    load_run,
    planned,
    recipe_of,
    train_all,
)
from inkdigits.data.datasets import load_dataset
from inkdigits.data.splits import Dataset
from inkdigits.runs.reproduction import REFERENCE_SYSTEMS
from inkdigits.training.figures import Epoch
from inkdigits.training.models import count_parameters, recipe_network

RESULTS = """
| recipe | epochs | runs | train accuracy | test accuracy |
|---|---|---|---|---|
| `lenet` | 5 | 3 | 99.66% ± 0.02 (published 99.10%) | 99.07% ± 0.16 |
| `sgd` | 10 | 3 | 100.00% ± 0.00 | 99.31% ± 0.03 |
"""
DOCS = Path(__file__).parents[2] / "docs"


def ran(*accuracies: float, training: float = 0.99) -> Trained:
    """Return a run whose epochs have these validation accuracies."""
    epochs = [
        Epoch(number, 0.5 / number, 0.9, 0.4 / number, accuracy, 1.0, 1.0)
        for number, accuracy in enumerate(accuracies, 1)
    ]
    final = {"validation_accuracy": accuracies[-1], "train_accuracy": training}
    return Trained(
        epochs, final, {"date": "2026-01-02", "machine": "some, 1 threads", "torch": "2"}
    )


# ---- drawings


@pytest.mark.parametrize("system", REFERENCE_SYSTEMS)
def test_every_parameter_is_in_a_layer_that_is_drawn(system: str) -> None:
    network = recipe_network(recipe_of(system))
    layers = layers_of(recipe_of(system))
    assert sum(layer.parameters for layer in layers) == count_parameters(network)
    assert layers[-1].shape == (10,)

    drawn = ET.fromstring(draw_network(recipe_of(system)))  # our own
    words = [text.text for text in drawn.iter("{http://www.w3.org/2000/svg}text")]
    assert f"{count_parameters(network):,}" in words
    for layer in layers:
        assert layer.what in words


def test_layers_say_what_happens_in_their_order() -> None:
    assert in_words(layers_of(recipe_of("lenet"))) == (
        "the digit; then 6 kernels of 3x3, pooled to 13x13, ReLU; then 16 kernels of 3x3, "
        "pooled to 5x5, ReLU; then linear, 120 units, ReLU; then linear, 84 units, ReLU; "
        "then linear, 10 units"
    )
    changed = layers_of(recipe_of("dropout", "options.dropout=0"))
    assert "dropout" in in_words(layers_of(recipe_of("dropout")))
    assert "dropout" not in in_words(changed)


def test_curves_have_a_line_of_each_run_and_colours_for_the_dark() -> None:
    drawn = draw_learning(
        [ran(0.9, 0.95).epochs], {"epochs=3": [ran(0.8, 0.9).epochs], "x=1": [[]]}
    )
    ET.fromstring(drawn)  # our own
    assert "prefers-color-scheme: dark" in drawn
    assert "as it is" in drawn
    assert "epochs=3" in drawn
    assert "x=1" not in drawn
    both = draw_learning([ran(0.9, 0.95).epochs] * 2, {})
    assert both.count("<path") > draw_learning([ran(0.9, 0.95).epochs], {}).count("<path")


# ---- tables


def test_published_figures_and_ours_are_those_of_the_results() -> None:
    assert published_and_ours("lenet", RESULTS) == [
        ["train accuracy", "99.10%", "99.66% ± 0.02"],
        ["test accuracy", "-", "99.07% ± 0.16"],
    ]
    assert published_and_ours("sgd", RESULTS) == [["test accuracy", "-", "99.31% ± 0.03"]]


def test_a_row_has_mean_and_spread_and_says_when_a_run_stopped() -> None:
    rows = changed_rows(
        {
            "": [ran(0.90, 0.98), ran(0.90, 0.96)],
            "epochs=3": [ran(0.9)],
            "learning_rate=9": [Trained(stopped="the loss is nan")],
            "batch=1": [],
        }
    )
    assert rows[0][:3] == ["as it is", "2", "97.00% ± 1.41"]
    assert rows[1][:3] == ["`--set epochs=3`", "1", "90.00%"]
    assert rows[2] == ["`--set learning_rate=9`", "1", "stopped: the loss is nan", "-", "-"]
    assert len(rows) == 3  # what was not run has no row


def test_a_part_of_the_page_names_its_drawings_and_how_it_was_made() -> None:
    text = section("lenet", {"": [ran(0.9, 0.98)], "schedule=constant": [ran(0.97)]}, RESULTS)
    assert "(images/reference-lenet.svg)" in text
    assert "(images/reference-lenet-learning.svg)" in text
    assert "some, 1 threads, torch 2; 2026-01-02" in text
    assert "python -m benchmarks.training.reference_page" in text


@pytest.mark.parametrize("system", REFERENCE_SYSTEMS)
def test_the_page_has_the_network_of_today_and_the_figures_of_the_results(system: str) -> None:
    """If this fails, `python -m benchmarks.training.reference_page --no-training` mends it."""
    text = read_between(DOCS / "reference-systems.md", f"measured: {system}")
    assert f"(images/reference-{system}.svg)" in text
    drawing = DOCS / "images" / f"reference-{system}.svg"
    assert drawing.read_text() == draw_network(recipe_of(system))
    for row in published_and_ours(system, (DOCS / "results.md").read_text()):
        assert f"| {' | '.join(row)} |" in text


@pytest.mark.parametrize("system", REFERENCE_SYSTEMS)
def test_what_the_page_suggests_is_what_is_tried(system: str) -> None:
    _, _, part = (DOCS / "reference-systems.md").read_text().partition(f"\n## `{system}`")
    advice = part.partition("- **Change** ")[2].partition("<!--")[0]
    for change in CHANGES[system]:
        key, _, value = change.removeprefix("options.").partition("=")
        assert key in advice
        assert value in advice


# ---- runs


def test_a_seed_of_everything_comes_before_the_next() -> None:
    runs = all_runs(2)
    assert [seed for _, _, seed in runs] == sorted(seed for _, _, seed in runs)
    assert len(set(runs)) == len(runs) == 2 * (len(REFERENCE_SYSTEMS) + 6)


@pytest.fixture
def few() -> Dataset:
    """A dataset of which an epoch takes a moment."""
    digits = load_dataset("optdigits", download=False)
    splits = {name: few_digits(50, name) for name in ("train", "validation", "test")}
    return dataclasses.replace(digits, splits=splits)


def test_runs_are_kept_and_so_is_why_one_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, few: Dataset
) -> None:
    monkeypatch.setattr(reference_runs, "UNCHANGED", tmp_path / "same")
    monkeypatch.setattr(reference_runs, "CHANGED", tmp_path / "changed")
    runs = [("lenet", "epochs=1", 0), ("lenet", "learning_rate=1e30", 0)]
    assert load_run(*runs[0]) is None

    assert list(train_all(runs, few)) == [
        "lenet-epochs=1, seed 0",
        "lenet-learning_rate=1e30, seed 0",
    ]
    assert list(train_all(runs, few)) == []

    trained, stopped = (load_run(*run) for run in runs)
    assert len(trained.epochs) == 1
    assert 0 <= trained.final["validation_accuracy"] <= 1
    assert "nan in step" in stopped.stopped

    note = planned(*runs[1]).folder.with_name("lenet-learning_rate=1e30-seed0.stopped.json")
    written = json.loads(note.read_text())
    written["recipe"]["epochs"] = 99  # as if the recipe had been changed since
    note.write_text(json.dumps(written))
    assert load_run(*runs[1]) is None
