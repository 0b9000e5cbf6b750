"""The soak's own promises: mutants that repeat, faults that are noticed, tables that stay."""

import importlib
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="the soak reads /proc and forks"
)
pytest.importorskip("uvicorn")
ROOT = Path(__file__).parents[2]


def module(name: str) -> ModuleType:
    return importlib.import_module(f"benchmarks.soak.{name}")


def test_a_mutant_is_the_same_whenever_it_is_made_and_unlike_the_others() -> None:
    hostile = module("service.hostile")
    mutants = [hostile.mutant(number) for number in range(200)]
    assert [hostile.mutant(number) for number in range(200)] == mutants
    assert len({mutant.sent for mutant in mutants}) > 190
    originals = {original.body for original in hostile.originals()}
    assert sum(mutant.body not in originals for mutant in mutants) > 150


def test_named_inputs_are_many_and_each_name_is_there_once() -> None:
    bad_inputs, named = module("service.bad_inputs"), module("service.named")
    names = [bad.name for bad in bad_inputs.bad_inputs()]
    assert len(set(names)) == len(names) >= named.LEAST


@pytest.mark.slow
def test_a_planted_fault_makes_the_check_fail(tmp_path: Path) -> None:
    named, frame = module("service.named"), module("frame")
    check = named.CHECKS[0]
    outcome = check.run(frame.Trial(quick=True, folder=tmp_path, fault=check.faults[0]))
    assert not outcome.passed
    assert "responses.py" in outcome.failures[0]


@pytest.mark.parametrize(
    ("values", "share", "expected"),
    [([3, 1, 2], 0.5, 2), ([1, 2], 0.5, 1), (range(1, 101), 0.99, 99), ([7], 0.0, 7)],
)
def test_percentiles_are_values_that_were_measured(
    values: list[int], share: float, expected: int
) -> None:
    assert module("service.harness").percentile(values, share) == expected


SUITES = ("service.__main__", "dear", "downloads", "inputs", "strangers", "training")


@pytest.mark.slow
@pytest.mark.parametrize("suite", SUITES)
def test_every_check_has_faults_that_can_be_planted(suite: str) -> None:
    program = f"""
from benchmarks.soak import frame
from benchmarks.soak.{suite} import SUITE
for check in SUITE.checks:
    assert check.faults, check.name
    for fault in check.faults:
        assert frame.ending(frame.child(fault)) == frame.WHOLE, fault
"""
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr


def suite_of(*outcomes: object) -> object:
    """A suite of checks a, b, ... with these outcomes, which notice that nothing is read."""
    frame = module("frame")

    def unread() -> None:
        """Read nothing."""

    def check_of(name: str, outcome: object) -> object:
        def run(trial: object) -> object:
            return frame.outcome_of("1", {"unread": 1}) if trial.fault else outcome

        run.__name__, run.__doc__ = name, f"Read {name}."
        return frame.Check(run, "all", unread)

    checks = [check_of(name, outcome) for name, outcome in zip("abcdef", outcomes, strict=False)]
    return frame.Suite("Reading", "All in turn.", checks, ["numpy"])


def test_a_check_that_misses_its_fault_or_breaks_off_has_failed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    frame = module("frame")
    monkeypatch.setattr(sys, "argv", ["soak"])
    good = frame.Outcome("3", "all read")
    assert frame.main(suite_of(good), "") == 0

    blind = suite_of(good)
    blind.checks[0].run = lambda trial: good
    assert frame.main(blind, "") == 1
    assert "went unnoticed: Read nothing" in capsys.readouterr().out

    broken = suite_of(good)
    broken.checks[0].run = lambda trial: 1 / 0
    assert frame.main(broken, "") == 1
    assert "went unnoticed" in capsys.readouterr().out


def test_a_row_takes_the_place_of_the_one_before_and_leaves_the_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frame, page = module("frame"), tmp_path / "page.md"
    good = frame.Outcome("3", "first", details="more of a")
    for argv, outcomes in (
        (["soak"], (good, frame.Outcome("4", "second"))),
        (["soak", "b"], (good, frame.Outcome("4", "third", ["one was not read"]))),
    ):
        monkeypatch.setattr(sys, "argv", [*argv, "--write", str(page)])
        frame.main(suite_of(*outcomes), "")
        page.write_text(page.read_text() + "\nby hand\n")

    text = page.read_text()
    assert "| `a` | Read a | 3 | first | all | Read nothing |" in text
    assert "| `b` | Read b | 4 | **failed:** third | all | Read nothing |" in text
    assert "second" not in text
    assert text.count("## Reading") == text.count("### `a`\n\nmore of a") == 1
    assert text.count("by hand") == 2


@pytest.mark.slow
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
