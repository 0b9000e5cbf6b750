"""A saved state of a stranger ends in one sentence, and a good one goes on to the same bits."""

import shutil
import sys
from pathlib import Path

import pytest
import torch
from small_runs import DIGITS, EVERY_STEP, small_recipe

from benchmarks.soak.stranger_states import HARMLESS, STATES
from inkdigits.core.errors import BadModel, InkdigitsError
from inkdigits.runs.resume import SavedStates, StateSaver
from inkdigits.runs.run import run
from inkdigits.training.page.look_loop import LookTraining
from inkdigits.training.page.loop import PageTraining
from inkdigits.training.page.recipe import load_page_recipe
from inkdigits.training.state import memory_after_a_step

pytestmark = [
    pytest.mark.slow,  # networks are trained
    pytest.mark.skipif(sys.platform == "win32", reason="there are no FIFOs"),
]
RECIPE = small_recipe(ema=0.9)


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with one saved state, after three steps."""
    folder = tmp_path_factory.mktemp("runs") / "run"
    running = run(RECIPE, folder, DIGITS, device="cpu")
    for _ in range(3):
        next(running)
    running.close()
    return folder


@pytest.mark.parametrize("name", sorted(STATES.keys() - HARMLESS))
def test_a_state_of_a_stranger_ends_in_a_sentence(name: str, stopped: Path, tmp_path: Path) -> None:
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "letter.txt").write_text("mine")
    folder = tmp_path / "work" / "run"
    shutil.copytree(stopped, folder)
    STATES[name](folder)
    with pytest.raises(InkdigitsError) as error:
        list(run(RECIPE, folder, DIGITS, device="cpu", resume=True, interval=EVERY_STEP))

    assert str(error.value).isprintable()
    assert len(str(error.value)) < 1000
    assert [path.name for path in (tmp_path / "precious").iterdir()] == ["letter.txt"]
    assert (tmp_path / "precious" / "letter.txt").read_text() == "mine"


@pytest.mark.parametrize("name", sorted(HARMLESS))
def test_what_is_no_state_is_said_to_be_damaged(
    name: str, stopped: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "run"
    shutil.copytree(stopped, folder)
    STATES[name](folder)
    if "circumstances" not in name:
        assert SavedStates(folder).load(most=1 << 24) is None
        assert "is damaged: " in caplog.text


PAGE = load_page_recipe({"steps": 4, "shards": 2})


def page_training() -> PageTraining:
    return PageTraining(PAGE, device="cpu", workers=0)


def look_training() -> LookTraining:
    return LookTraining(PAGE, lambda pictures: [], device="cpu")


def with_fact(name: str, value: object):
    return lambda state: state.facts.update({name: value})


@pytest.mark.parametrize(
    ("make", "change", "says"),
    [
        (page_training, with_fact("step", 5), "'step' is 5, where a whole number from 0 to 4"),
        (page_training, with_fact("history", 7), "'history' is 7, where a list should be"),
        (page_training, with_fact("history", [{"step": 1}]), "one of its records is {'step': 1}"),
        (page_training, with_fact("since_record", {"\x1b": 1.0}), "has strange names"),
        (look_training, with_fact("shard", -1), "'shard' is -1, where a whole number"),
        (look_training, with_fact("shard", 10**30), "'shard' is 1000.*, where a whole number"),
        (
            look_training,
            lambda state: state.tensors.pop("random.global"),
            "it has no tensor 'random.global'",
        ),
        (
            look_training,
            lambda state: state.tensors.update({"adam.0.step": torch.zeros(1)}),
            r"has no tensor 'adam.0.exp_avg'",
        ),
    ],
)
def test_a_page_reader_goes_on_from_no_other_state(make, change, says: str, tmp_path: Path) -> None:
    state = make().state()
    change(state)
    saver = StateSaver(make(), SavedStates(tmp_path), EVERY_STEP)
    with pytest.raises(BadModel, match=f"holds a state that is none of this training: .*{says}"):
        saver.restore(state)


def test_a_page_reader_goes_on_from_its_own_state() -> None:
    for training, other in ((page_training(), page_training()), (look_training(), look_training())):
        for weight in training.network.parameters():
            weight.grad = torch.ones_like(weight)
        training.optimiser.step()
        state = training.state()
        other.restore(state)
        restored = other.state()
        assert restored.facts == state.facts
        assert restored.tensors.keys() == state.tensors.keys()
        for name, tensor in state.tensors.items():
            assert torch.equal(restored.tensors[name], tensor), name


def test_a_look_at_what_an_optimiser_remembers_changes_nothing() -> None:
    weight = torch.nn.Parameter(torch.ones(3))
    optimiser = torch.optim.AdamW([weight], lr=0.1)
    assert memory_after_a_step(optimiser)[0].keys() == {"step", "exp_avg", "exp_avg_sq"}
    assert weight.tolist() == [1, 1, 1]
    assert not optimiser.state
