"""Folders that a stranger has prepared, and files of the user's within: nothing is touched."""

import os
from pathlib import Path

import pytest
from small_runs import DIGITS, EVERY_STEP, small_recipe

from inkdigits.core.errors import CannotWrite, InkdigitsError
from inkdigits.runs.page_reader.run import train_page_reader
from inkdigits.runs.reproduction import PlannedRun, train_run
from inkdigits.runs.resume import SavedStates
from inkdigits.runs.run import run
from inkdigits.runs.run_folder import clear_run_folder
from inkdigits.runs.sweep.space import load_space
from inkdigits.runs.sweep.study import Search
from inkdigits.runs.sweep.trials import SeedFigures
from inkdigits.runs.sweep.workers import prepare_digits, train_seed
from inkdigits.runs.tensorboard import track

HASH = "0" * 64
TEMPTING = (
    "letter.txt",
    "metrics.jsonl",
    "model.safetensors",
    ".01234567.letter.txt",
    f"000001-{HASH}.safetensors",
    f".01234567.000001-{HASH}.safetensors",
    "state/letter.txt",
    f"state/000001-{HASH}.safetensors",
)

SPACE = """
recipe = "tiny"
trials = 2
seeds = 1
[space]
learning_rate = { low = 1e-4, high = 0.1 }
"""


@pytest.fixture
def precious(tmp_path: Path) -> Path:
    """A folder of the user's, with names that we use ourselves."""
    folder = tmp_path / "precious"
    for name in TEMPTING:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    return folder


@pytest.fixture
def out(tmp_path: Path) -> Path:
    folder = tmp_path / "out"
    folder.mkdir()
    return folder


def content(folder: Path) -> dict[str, str]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_text() for path in files}


def is_whole(precious: Path) -> bool:
    return content(precious) == {name: name for name in TEMPTING}


def train(out: Path, **options: object) -> None:
    recipe = small_recipe(epochs=1, **options.pop("settings", {}))
    list(run(recipe, out, DIGITS, device="cpu", interval=EVERY_STEP, **options))


# ---- links


@pytest.mark.parametrize("resume", [False, True])
@pytest.mark.parametrize("name", ["state", ".run.lock"])
def test_a_run_refuses_a_link_in_its_folder(
    name: str, resume: bool, quick: None, precious: Path, out: Path
) -> None:
    target = precious if name == "state" else precious / "letter.txt"
    (out / name).symlink_to(target)
    with pytest.raises(CannotWrite, match=f"{name} is a link, where a file or folder of our own"):
        train(out, resume=resume)

    assert is_whole(precious)


@pytest.mark.parametrize("name", ["members", "members/lenet-seed0"])
def test_an_ensemble_refuses_a_link_in_place_of_a_member(
    name: str, quick: None, precious: Path, out: Path
) -> None:
    (out / "members").mkdir()
    if name == "members":
        (out / name).rmdir()
    (out / name).symlink_to(precious)
    with pytest.raises(CannotWrite, match=f"{name} is a link"):
        train(out, resume=True, settings={"members": 2})

    assert is_whole(precious)


def test_a_reproduction_refuses_a_link_in_place_of_a_run(precious: Path, out: Path) -> None:
    (out / "lenet-seed0").symlink_to(precious)
    with pytest.raises(CannotWrite, match="lenet-seed0 is a link"):
        list(train_run(PlannedRun(small_recipe(), 0, out), DIGITS, wait=True))
    with pytest.raises(CannotWrite, match="lenet-seed0 is a link"):
        clear_run_folder(out / "lenet-seed0")

    assert is_whole(precious)


@pytest.mark.parametrize("name", ["page", "look", "page/state"])
def test_the_page_reader_refuses_a_link_in_place_of_a_network_s_states(
    name: str, precious: Path, out: Path
) -> None:
    (out / "page").mkdir()
    if name == "page":
        (out / name).rmdir()
    (out / name).symlink_to(precious)
    settings = {"steps": 2, "batch": 1, "validation_pages": 1}
    with pytest.raises(CannotWrite, match=f"{name} is a link"):
        list(train_page_reader(out, resume=True, settings=settings))

    assert is_whole(precious)


@pytest.mark.parametrize("name", ["sweep.db", "sweep.db-wal", "sweep.db-shm", "sweep.db-journal"])
def test_a_sweep_refuses_a_link_in_place_of_its_database(
    name: str, precious: Path, out: Path, tmp_path: Path
) -> None:
    (tmp_path / "space.toml").write_text(SPACE)
    (out / "sweep.db").touch()
    (out / name).unlink(missing_ok=True)
    (out / name).symlink_to(precious / "letter.txt")
    with pytest.raises(CannotWrite, match="is a link"):
        Search(load_space(tmp_path / "space.toml"), out, "digits")

    assert is_whole(precious)


@pytest.mark.parametrize("name", ["trial-1", "trial-1/seed-0", "trial-1/seed-0/state"])
def test_a_sweep_refuses_a_link_in_place_of_a_trial_s_states(
    name: str, precious: Path, out: Path, tmp_path: Path
) -> None:
    (out / name).parent.mkdir(parents=True, exist_ok=True)
    (out / name).symlink_to(precious)
    (tmp_path / "space.toml").write_text(SPACE)
    digits = prepare_digits(load_space(tmp_path / "space.toml"), DIGITS)
    with pytest.raises(CannotWrite, match=f"{name} is a link"):
        list(train_seed(small_recipe(), 0, digits, out / "trial-1"))

    assert is_whole(precious)


def test_events_are_not_written_through_a_link(precious: Path, out: Path) -> None:
    (out / "tensorboard").symlink_to(precious)
    recipe = small_recipe()
    with pytest.raises(CannotWrite, match="tensorboard is a link"):
        track(run(recipe, out, DIGITS), recipe, DIGITS, out)


# ---- files of the user's in our folders


def test_files_beside_the_states_of_a_run_stay(quick: None, out: Path) -> None:
    (out / "state" / "folder").mkdir(parents=True)
    (out / "state" / "letter.txt").write_text("mine")
    (out / "state" / ".01234567.letter.txt").write_text("mine")
    train(out, resume=True)

    kept = {name: text for name, text in content(out / "state").items() if text == "mine"}
    assert set(kept) == {"letter.txt", ".01234567.letter.txt"}
    assert not SavedStates(out)
    assert (out / "report.html").is_file()


def test_a_run_that_fails_leaves_the_metrics_that_were_there(quick: None, out: Path) -> None:
    (out / "state").mkdir()
    (out / "metrics.jsonl").write_text("mine")
    with pytest.raises(InkdigitsError, match="smaller learning_rate"):
        train(out, resume=True, settings={"learning_rate": 1e30, "optimiser": "sgd"})

    assert (out / "metrics.jsonl").is_file()


def test_making_a_run_anew_deletes_the_files_of_a_run_and_no_others(precious: Path) -> None:
    clear_run_folder(precious)
    ours = {"metrics.jsonl", "model.safetensors", f"state/000001-{HASH}.safetensors"}
    assert content(precious) == {name: name for name in TEMPTING if name not in ours}


def test_events_that_were_there_before_a_run_stay(out: Path) -> None:
    pytest.importorskip("tensorboard")
    (out / "tensorboard").mkdir()
    (out / "tensorboard" / "events.out").write_text("mine")
    recipe = small_recipe()
    with pytest.raises(CannotWrite, match="exists and is not empty"):
        list(track(run(recipe, out, DIGITS), recipe, DIGITS, out))

    assert content(out / "tensorboard") == {"events.out": "mine"}


def test_files_in_the_folder_of_a_trial_stay(precious: Path, out: Path, tmp_path: Path) -> None:
    (tmp_path / "space.toml").write_text(SPACE)
    search = Search(load_space(tmp_path / "space.toml"), out, "digits")
    trial = out / "trial-1"
    (trial / "seed-0" / "state").mkdir(parents=True)
    (trial / "seed-0" / "state" / f"000001-{HASH}.safetensors").touch()
    (trial / "letter.txt").write_text("mine")
    (trial / "seed-1").symlink_to(precious)

    with search.claim() as attempt:
        attempt.advance(SeedFigures(0.9, 0.1, 1.0))
        assert attempt.over

    assert {path.name for path in trial.iterdir()} == {"letter.txt", "seed-1"}
    assert is_whole(precious)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no FIFOs")
def test_a_state_that_is_no_file_is_passed_over(out: Path) -> None:
    (out / "state").mkdir()
    os.mkfifo(out / "state" / f"000001-{HASH}.safetensors")
    assert SavedStates(out).load() is None
