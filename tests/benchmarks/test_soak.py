"""The soak's own promises: the same mutants in every run, tables that keep what they hold, and faults that do not go unnoticed."""

import importlib
import subprocess
import sys
from functools import partial
from pathlib import Path
from types import ModuleType

import pytest

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the soak reads /proc")
ROOT = Path(__file__).parents[2]
SERVICE = ROOT / "benchmarks" / "soak" / "service"


def module(name: str) -> ModuleType:
    return importlib.import_module(f"benchmarks.soak.service.{name}")


def test_a_mutant_is_the_same_whenever_it_is_made_and_unlike_the_others() -> None:
    hostile = module("hostile")
    mutants = [hostile.mutant(number) for number in range(200)]
    assert [hostile.mutant(number) for number in range(200)] == mutants
    assert len({mutant.sent for mutant in mutants}) > 190
    originals = {original.body for original in hostile.originals()}
    assert sum(mutant.body not in originals for mutant in mutants) > 150


def test_named_inputs_are_many_and_each_name_is_there_once() -> None:
    bad_inputs, named = module("bad_inputs"), module("named")
    names = [bad.name for bad in bad_inputs.bad_inputs()]
    assert len(set(names)) == len(names) >= named.LEAST


def test_a_planted_fault_makes_the_check_fail() -> None:
    named, harness = module("named"), module("harness")
    outcome = named.named(partial(harness.Server, fault=named.CHECKS["named"].fault), quick=True)
    assert not outcome.passed
    assert "answers.py" in outcome.failures[0]


@pytest.mark.parametrize(
    ("values", "share", "expected"),
    [([3, 1, 2], 0.5, 2), ([1, 2], 0.5, 1), (range(1, 101), 0.99, 99), ([7], 0.0, 7)],
)
def test_percentiles_are_values_that_were_measured(
    values: list[int], share: float, expected: int
) -> None:
    assert module("harness").percentile(values, share) == expected


def test_a_text_takes_the_place_of_the_one_before_and_leaves_the_rest(tmp_path: Path) -> None:
    harness, path = module("harness"), tmp_path / "page.md"
    harness.write_between(path, "one", "first")
    path.write_text(path.read_text() + "\nby hand\n")
    harness.write_between(path, "two", "second")
    before = path.read_text()
    harness.write_between(path, "one", "third")
    assert path.read_text() == before.replace("first", "third")
    assert (harness.read_between(path, "one"), harness.read_between(path, "two")) == (
        "third",
        "second",
    )
    assert (
        harness.read_between(path, "three") == harness.read_between(tmp_path / "none", "one") == ""
    )


def test_every_check_has_a_fault_that_exists() -> None:
    faults = module("faults").FAULTS
    for path in SERVICE.glob("*.py"):
        if "\nCHECKS = {" in path.read_text():
            assert {check.fault for check in module(path.stem).CHECKS.values()} <= faults.keys()


@pytest.mark.parametrize(
    "command", [("inputs", "--quick"), ("downloads", "damage", "crowd", "--quick")]
)
def test_hostile_files_and_mirrors_are_borne_and_planted_faults_noticed(
    command: tuple[str, ...], tmp_path: Path
) -> None:
    name, *options = command
    page = tmp_path / "page.md"
    whole = [sys.executable, "-m", f"benchmarks.soak.{name}", *options, "--write", str(page)]
    done = subprocess.run(whole, cwd=ROOT, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    assert list(tmp_path.iterdir()) == [page]
    rows = [line for line in page.read_text().splitlines() if line.startswith("| ")]
    assert len(rows) == 1 + done.stdout.count("passed |")
