"""Several seeds of a recipe become a table; nothing in it is typed by hand."""

import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from statistics import stdev
from types import SimpleNamespace

import pytest
import torch
from command_line import hear_ctrl_c
from promised import FILES, names

from inkdigits.core.errors import BadValue, InkdigitsError, UnknownName
from inkdigits.core.files import file_lock
from inkdigits.data.datasets import load_dataset
from inkdigits.runs import reproduction, results
from inkdigits.runs.engines import Failure, Underway
from inkdigits.runs.reproduction import PlannedRun, RunStep, reproduce, run_files, train_run
from inkdigits.runs.results import (
    as_markdown,
    as_short_table,
    between_marks,
    summarise_runs,
    write_evidence,
    write_measured,
)
from inkdigits.runs.run import run
from inkdigits.runs.run_folder import LOCK_NAME, is_finished
from inkdigits.training import recipe as recipe_module
from inkdigits.training.recipe import SHIPPED, Recipe, load_recipe


def config(seed: int, accuracy: float) -> dict:
    final = {
        "train_accuracy": 0.999,
        "validation_accuracy": 0.99,
        "test_accuracy": accuracy,
        "test_loss": 0.03,
        "test_f1_macro": accuracy,
        "train_seconds": 12.0,
        "epochs": 5,
    }
    versions = {"python": "3.11.7", "torch": "2.13.0"}
    return {
        "seed": seed,
        "final": final,
        "versions": versions,
        "machine": "a machine, 2 threads",
        "date": "2026-01-02T03:04:05",
    }


@pytest.fixture
def result() -> Recipe:
    return summarise_runs(load_recipe("lenet"), [config(0, 0.987), config(1, 0.989)])


def test_mean_and_spread_are_those_of_the_statistics_module(result):
    measured = result.measured
    assert measured["runs"] == 2
    assert measured["test_accuracy_mean"] == pytest.approx(0.988)
    assert measured["test_accuracy_sd"] == pytest.approx(stdev([0.987, 0.989]), abs=1e-6)


def test_the_page_names_published_and_measured_figures(result):
    page = as_markdown([result])
    assert "98.80% ± 0.14 (published 98.76%)" in page
    assert "`lenet`, test accuracy: published 98.76%, ours 98.80%: reached." in page
    assert "a machine, 2 threads" in page


@pytest.mark.parametrize(
    ("accuracies", "word"),
    [
        ((0.9880, 0.9882), "reached"),
        ((0.985, 0.990), "within two standard deviations"),
        ((0.9800, 0.9801), "missed"),
    ],
)
def test_a_missed_figure_is_called_missed(accuracies, word):
    configs = [config(seed, accuracy) for seed, accuracy in enumerate(accuracies)]
    page = as_markdown([summarise_runs(load_recipe("lenet"), configs)])
    (line,) = [line for line in page.splitlines() if "`lenet`, test accuracy" in line]
    assert line.endswith(f": {word}.")


def test_a_loss_above_the_published_one_is_not_called_reached():
    recipe = dataclasses.replace(load_recipe("lenet"), published={"test_loss": 0.02})
    result = summarise_runs(recipe, [config(0, 0.99), config(1, 0.99)])
    assert "published 0.0200, ours 0.0300: missed" in as_markdown([result])


def test_measured_figures_go_into_the_recipe_and_replace_older_ones(tmp_path, result):
    path = tmp_path / "mine.toml"
    path.write_text('network = "lenet"\n\n[published]\ntest_accuracy = 0.9\n')
    write_measured(path, {"runs": 1})
    write_measured(path, result.measured)
    table = tomllib.loads(path.read_text())
    assert table["published"] == {"test_accuracy": 0.9}
    assert table["measured"] == result.measured
    assert load_recipe(path).measured["runs"] == 2


def test_the_table_names_the_machine_of_those_that_were_measured_elsewhere(result):
    tiny = dataclasses.replace(result, name="tiny")
    elsewhere = {"machine": "another one", "train_seconds_median": 0.94, "date": "2026-02-03"}
    fast = dataclasses.replace(result, name="fast", measured=result.measured | elsewhere)
    table = as_short_table([result, fast, tiny])
    assert "| 98.76% | 98.80% ± 0.14 | 2 | 12 s |" in table
    assert "| 2 | 0.9 s |" in table
    where = "a machine, 2 threads, torch 2.13.0; `fast` on another one, torch 2.13.0; 2026-02-03."
    assert table.splitlines()[-1] == f"Test accuracy, mean ± standard deviation over seeds; {where}"


def test_the_table_goes_between_the_marks_and_nowhere_else(result):
    page = "before\n<!-- results -->\nold\n<!-- /results -->\nafter\n"
    written = between_marks(page, as_short_table([result]))
    assert written.startswith("before\n<!-- results -->\n| recipe")
    assert written.endswith("<!-- /results -->\nafter\n")
    assert "old" not in written
    with pytest.raises(BadValue, match="no place"):
        between_marks("no marks", "table")


def test_evidence_changes_the_recipes_it_is_about_and_both_pages(tmp_path, monkeypatch, result):
    shutil.copytree(SHIPPED, recipes := tmp_path / "recipes")
    for module in (results, recipe_module):
        monkeypatch.setattr(module, "SHIPPED", recipes)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "docs").mkdir()
    (tmp_path / "README.md").write_text("before\n<!-- results --><!-- /results -->")
    before = {path.stem: path.read_text() for path in recipes.iterdir()}
    write_evidence({"lenet": result.measured})
    assert {
        name for name, text in before.items() if (recipes / f"{name}.toml").read_text() != text
    } == {"lenet"}
    page = (tmp_path / "docs" / "results.md").read_text()
    train = "99.90% ± 0.00 (published 99.10%)"
    test = "98.80% ± 0.14 (published 98.76%)"
    assert f"| `lenet` | 5 | 2 | {train} | 99.00% ± 0.00 | {test} |" in page
    measured = {name for name, text in before.items() if "[measured]" in text}
    assert {line.split("`")[1] for line in page.splitlines() if line.startswith("| `")} == measured
    assert "98.80% ± 0.14 | 2 |" in (tmp_path / "README.md").read_text()


@pytest.fixture
def quick_lenet(monkeypatch) -> Recipe:
    """One pass over few digits, whatever recipe is asked for."""
    digits = load_dataset("optdigits")
    monkeypatch.setattr(reproduction, "load_dataset", lambda *_, **__: digits)
    recipe = load_recipe("lenet", {"epochs": 1, "batch": 100})
    monkeypatch.setattr(reproduction, "load_recipe", lambda _: recipe)
    return recipe


def table_of(*arguments, **options) -> str:
    """Make the runs, and return the table."""
    *_, measured = reproduce(*arguments, **options)
    return as_markdown(measured.recipes)


@pytest.mark.slow
def test_finished_runs_are_kept_and_missing_ones_made(tmp_path, quick_lenet, quick):
    table = table_of(["lenet"], 1, tmp_path)
    assert "| `lenet` | 1 | 1 |" in table
    first = (tmp_path / "lenet-seed0" / "model.onnx").stat().st_mtime_ns
    (tmp_path / "lenet-seed1").mkdir()
    (tmp_path / "lenet-seed1" / "metrics.jsonl").write_text("a killed run")
    assert "| `lenet` | 1 | 2 |" in table_of(["lenet"], 2, tmp_path)
    assert (tmp_path / "lenet-seed0" / "model.onnx").stat().st_mtime_ns == first
    assert json.loads((tmp_path / "lenet-seed1" / "config.json").read_text())["seed"] == 1


def test_wrong_wishes_are_refused_before_anything_is_trained(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BadValue, match="0 seeds"):
        table_of(["lenet"], 0, Path("runs"))
    with pytest.raises(BadValue, match="docs"):
        table_of(["lenet"], 1, Path("runs"), write=True)
    with pytest.raises(UnknownName, match="nix"):
        table_of(["nix"], 1, Path("runs"))
    with pytest.raises(BadValue, match="0 jobs"):
        table_of(["lenet"], 1, Path("runs"), jobs=0)
    assert list(tmp_path.iterdir()) == []


def test_a_run_that_another_process_is_at_is_left_to_it(tmp_path, quick_lenet):
    with file_lock(tmp_path / "lenet-seed0" / LOCK_NAME):
        planned = PlannedRun(quick_lenet, 0, tmp_path)
        assert list(train_run(planned, load_dataset("optdigits"), wait=False)) == []
    assert list((tmp_path / "lenet-seed0").iterdir()) == []


@pytest.mark.slow
def test_a_stopped_run_is_gone_on_with_and_one_of_another_recipe_made_anew(
    tmp_path, quick_lenet, quick, caplog
):
    digits, folder = load_dataset("optdigits"), tmp_path / "lenet-seed0"
    for recipe in (quick_lenet, dataclasses.replace(quick_lenet, learning_rate=0.5)):
        running = run(recipe, folder, digits)
        next(running)
        running.close()
        caplog.clear()
        for _ in train_run(PlannedRun(quick_lenet, 0, tmp_path), digits, wait=True):
            pass
        assert ("continuing in epoch 1 of 1" in caplog.text) == (recipe is quick_lenet)
        assert names(folder) == FILES
        assert is_finished(folder, quick_lenet, 0)
        shutil.rmtree(folder)


def test_two_that_run_at_once_share_the_work(tmp_path, quick_lenet, quick):
    with ThreadPoolExecutor(2) as pool:
        tables = list(pool.map(lambda _: table_of(["lenet"], 2, tmp_path), range(2)))
    assert tables[0] == tables[1]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["lenet-seed0", "lenet-seed1"]


@pytest.mark.slow
def test_an_ensemble_takes_the_runs_of_its_members(tmp_path, quick_lenet, quick, monkeypatch):
    table_of(["lenet"], 3, tmp_path)
    made = {path: path.stat().st_mtime_ns for path in tmp_path.glob("*/model.onnx")}
    pair = dataclasses.replace(quick_lenet, name="pair", base="lenet", members=2)
    monkeypatch.setattr(reproduction, "load_recipe", lambda _: pair)
    assert "| `pair` | 2 | 2 |" in table_of(["pair"], 2, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        *(f"lenet-seed{seed}" for seed in range(4)),
        "pair-seed0",
        "pair-seed1",
    ]
    assert {path: path.stat().st_mtime_ns for path in made} == made


# ---- side by side


SMALL = """
base = "lenet"
data = "optdigits"
epochs = 1
batch = 256
"""


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A recipe of one pass over few digits, which other processes can read as well."""
    path = tmp_path / "small.toml"
    path.write_text(SMALL)
    return path


@pytest.fixture
def one_thread(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Train with one thread, here and in processes that are started from here."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    yield
    torch.set_num_threads(threads)


def weights(out: Path) -> dict[str, bytes]:
    return {path.parent.name: path.read_bytes() for path in out.glob("*/model.safetensors")}


@pytest.mark.slow
@pytest.mark.usefixtures("one_thread")
def test_two_processes_make_the_same_bits_as_one(tmp_path, small):
    one, two = tmp_path / "one", tmp_path / "two"
    table_of([str(small)], 2, one)
    records = list(reproduce([str(small)], 2, two, jobs=2))
    assert [record for record in records if isinstance(record, RunStep)] == []
    assert all(record.name.endswith("/2 runs") for record in records[:-1])
    assert len(weights(one)) == 2
    assert weights(two) == weights(one)


@pytest.mark.slow
@pytest.mark.usefixtures("one_thread")
def test_members_of_an_ensemble_are_trained_side_by_side_and_then_joined(tmp_path, small):
    pair = tmp_path / "pair.toml"
    pair.write_text(SMALL + "members = 2\n")
    table_of([str(pair)], 1, tmp_path / "one")
    table_of([str(pair)], 1, tmp_path / "two", jobs=2)
    assert len(weights(tmp_path / "one")) == 3
    assert weights(tmp_path / "two") == weights(tmp_path / "one")


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="SIGINT is sent as a terminal does")
def test_ctrl_c_stops_all_processes_and_the_same_command_goes_on(tmp_path, small):
    small.write_text(SMALL.replace("epochs = 1", "epochs = 400"))
    out = tmp_path / "runs"
    command = [sys.executable, "-m", "inkdigits", "reproduce", str(small), "--seeds", "2"]
    process = subprocess.Popen(
        [*command, "--jobs", "2", "--out", str(out)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
        preexec_fn=hear_ctrl_c,
        text=True,
    )
    try:
        while len(list(out.glob("*/metrics.jsonl"))) < 2:
            assert process.poll() is None
            time.sleep(0.1)
        os.killpg(process.pid, signal.SIGINT)
        _, said = process.communicate(timeout=120)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode == 130
    assert "Traceback" not in said
    states = list(out.glob("*/state/*.safetensors"))
    assert {path.parent.parent.name for path in states} == {"small-seed0", "small-seed1"}
    assert list(out.glob("*/.run.lock")) == []


class Task:
    """A task of a stand-in for Ray, done at once."""

    def __init__(self, work: Callable[..., object], *arguments: object) -> None:
        self.found = work(*arguments)


@pytest.fixture
def ray(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A stand-in for Ray with two processors; what is cancelled is in `cancelled`."""
    stand_in = SimpleNamespace(
        cancelled=[],
        init=lambda **_: None,
        cluster_resources=lambda: {"CPU": 2.0},
        put=lambda value: value,
        remote=lambda **_: lambda work: SimpleNamespace(remote=partial(Task, work)),
        wait=lambda tasks: (tasks[-1:], tasks[:-1]),
        get=lambda task: task.found,
        cancel=lambda task, force: stand_in.cancelled.append(task),
        exceptions=SimpleNamespace(RayError=ZeroDivisionError),
    )
    monkeypatch.setitem(sys.modules, "ray", stand_in)
    return stand_in


@pytest.mark.slow
def test_ray_makes_the_runs_that_one_process_makes(tmp_path, small, ray, quick):
    table_of([str(small)], 2, tmp_path / "here")
    records = list(reproduce([str(small)], 2, tmp_path / "ray", engine="ray"))
    standing = [record.name for record in records if isinstance(record, Underway)]
    assert standing == ["0/2 runs", "1/2 runs"]
    assert weights(tmp_path / "ray") == weights(tmp_path / "here")
    for folder in (tmp_path / "ray").iterdir():
        assert names(folder) == FILES
    assert ray.cancelled == []


def test_a_run_that_fails_on_ray_ends_the_rest_with_its_reason(tmp_path, small, ray, monkeypatch):
    monkeypatch.setattr(reproduction, "run_files", lambda *_: Failure("no memory"))
    with pytest.raises(InkdigitsError, match="small, seed 1: no memory"):
        table_of([str(small)], 2, tmp_path / "runs", engine="ray")
    assert len(ray.cancelled) == 1
    assert list((tmp_path / "runs").glob("*/*")) == []


@pytest.mark.slow
def test_a_run_elsewhere_leaves_files_that_name_the_folder_here(tmp_path, quick_lenet):
    planned = PlannedRun(quick_lenet, 0, tmp_path)
    files = run_files(planned, load_dataset("optdigits"))
    assert set(files) == FILES
    assert str(planned.folder) in files["report.html"].decode()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.usefixtures("one_thread")
def test_ray_itself_makes_the_same_bits(tmp_path, small):
    pytest.importorskip("ray")
    table_of([str(small)], 2, tmp_path / "here")
    table_of([str(small)], 2, tmp_path / "ray", engine="ray", jobs=2)
    assert len(weights(tmp_path / "here")) == 2
    assert weights(tmp_path / "ray") == weights(tmp_path / "here")
