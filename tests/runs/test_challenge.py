"""A recipe is placed among the shipped ones by the rules, and what it reached is left behind."""

import dataclasses
import json
import re
import tomllib
from pathlib import Path

import pytest
from documented import ROOT
from PIL import Image

from benchmarks.training.frontier import section
from inkdigits.command import cli
from inkdigits.core.errors import BadValue
from inkdigits.data.datasets import load_dataset
from inkdigits.runs import reproduction
from inkdigits.runs.challenge import (
    SECONDS,
    SIZE,
    Contender,
    Standing,
    challenge,
    describe_standing,
    shipped_contenders,
    standings,
)
from inkdigits.training.recipe import Recipe, load_recipe

SMALL = Contender("small", 1_000, 0.99)
LARGE = Contender("large", 100_000, 0.997)


def measured(name: str, accuracy: float, seconds: float) -> Recipe:
    figures = {"test_accuracy_mean": accuracy, "train_seconds_median": seconds, "runs": 3}
    return dataclasses.replace(load_recipe(name), name="mine", measured=figures)


@pytest.mark.parametrize(
    ("mine", "better"),
    [
        (Contender("mine", 10_000, 0.995), []),
        (Contender("mine", 10_000, 0.985), ["small"]),
        (Contender("mine", 200_000, 0.997), ["large"]),
        (Contender("mine", 1_000, 0.99), ["small"]),
        (Contender("mine", 500, 0.5), []),
    ],
)
def test_a_recipe_is_beaten_by_what_costs_no_more_and_reads_as_well(
    mine: Contender, better: list[str]
) -> None:
    standing = Standing(SIZE, mine, (SMALL, LARGE))
    assert standing.to_record()["beaten_by"] == better
    assert describe_standing(standing).endswith(": unbeaten") == (not better)


def test_parameters_are_those_of_the_network_and_of_all_members() -> None:
    sizes = {each.name: each.cost for each in shipped_contenders(SIZE)}
    assert sizes["lenet"] == 60_074
    assert sizes["nano"] == 1_894
    recipe = load_recipe("ensemble")
    assert sizes["ensemble"] == recipe.members * sizes["best"]


def test_a_recipe_with_teachers_has_no_place_by_seconds() -> None:
    assert [each.cost for each in standings(measured("tiny", 0.996, 600.0))] == [SIZE]
    assert [each.cost for each in standings(measured("lenet", 0.99, 30.0))] == [SIZE, SECONDS]
    assert not {"tiny", "best"} & {each.name for each in shipped_contenders(SECONDS)}


def test_a_recipe_takes_the_place_of_a_shipped_one_with_its_name() -> None:
    mine = Contender("small", 900, 0.98)
    assert Standing(SIZE, mine, (SMALL, LARGE)).everybody == (LARGE, mine)


def test_other_data_and_too_few_seeds_are_refused(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text('network = "lenet"\ndata = "fashion-mnist"\n')
    with pytest.raises(BadValue, match="the challenge is on mnist, and mine learns from fashion"):
        next(challenge(str(tmp_path / "mine.toml"), 3, tmp_path))
    with pytest.raises(BadValue, match="3 seeds or more, not 2"):
        next(challenge("lenet", 2, tmp_path))


def test_the_page_shows_the_figures_that_are_measured_and_its_recipe_loads(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "challenge.md").read_text()
    assert section() in page
    (text,) = re.findall(r"```toml[^\n]*\n(.*?)```", page, re.S)
    (tmp_path / "mine.toml").write_text(text)
    recipe = load_recipe(tmp_path / "mine.toml")
    assert recipe.options == tomllib.loads(text)["options"]
    assert not recipe.teacher


@pytest.mark.slow
def test_the_command_trains_measures_and_places_a_recipe(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    digits = load_dataset("optdigits")
    monkeypatch.setattr(reproduction, "load_dataset", lambda *_, **__: digits)
    (tmp_path / "mine.toml").write_text('network = "lenet"\nepochs = 1\nbatch = 100\n')
    out = tmp_path / "runs"
    command = ["challenge", str(tmp_path / "mine.toml"), "--out", str(out)]

    assert cli.main(command) == 0
    by_size, by_seconds = capsys.readouterr().out.splitlines()
    assert re.match(r"mine: [\d.]+% ± [\d.]+ with 60,074 parameters: beaten by ", by_size)
    assert "seconds of training: " in by_seconds

    assert cli.main([*command, "--json"]) == 0  # the runs are kept, so that this is quick
    printed = json.loads(capsys.readouterr().out)
    assert printed == json.loads((out / "challenge.json").read_text())
    assert printed["runs"] == 3
    for name in ("parameters", "seconds"):
        with Image.open(out / f"challenge-{name}.png") as plot:
            assert plot.width > 500
