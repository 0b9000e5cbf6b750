"""A training goes on from its saved state to the same bits; a damaged state is noticed."""

import contextlib
import dataclasses
import errno
import json
import os
import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from few_digits import TRAINED
from promised import FILES, names
from small_runs import DIGITS, EVERY_STEP, bits, small_recipe
from torch import Tensor, nn

from inkdigits.core.errors import BadValue, CannotWrite, InkdigitsError
from inkdigits.runs import job
from inkdigits.runs.job import EVERY_MINUTE
from inkdigits.runs.resume import Interval, SavedStates
from inkdigits.runs.run import run
from inkdigits.training import loop
from inkdigits.training.augmentation import Augmentation
from inkdigits.training.figures import Epoch, PassFigures, TrainingProgress
from inkdigits.training.loop import Training, seeded_network
from inkdigits.training.recipe import Recipe, load_recipe
from inkdigits.training.state import TrainingState

pytestmark = pytest.mark.slow  # networks are trained

# Dropout, an average, augmentation, passes without it, a learning rate that changes, and BatchNorm.
ALL = Recipe(
    name="all",
    network="batchnorm",
    epochs=4,
    batch=30,
    optimiser="adamw",
    weight_decay=0.01,
    schedule="one-cycle",
    ema=0.9,
    rotation=10.0,
    elastic=1.0,
    erasing=4.0,
    clutter=0.5,
    filtering=0.5,
    noise=0.2,
    clean_epochs=1,
)


def unsure(images: np.ndarray) -> np.ndarray:
    """A teacher whose opinion follows from the pixels in some way."""
    chances = 1.0 + images.reshape(len(images), -1)[:, 300:310]
    return (chances / chances.sum(1, keepdims=True)).astype(np.float32)


def training(recipe: Recipe, teacher: Callable[[np.ndarray], np.ndarray] | None = None) -> Training:
    return Training(
        seeded_network(recipe, 1),
        recipe,
        DIGITS.train,
        seed=1,
        device="cpu",
        teachers=[teacher] if teacher else [],
    )


def figures(epochs: list[Epoch]) -> list[tuple[float, ...]]:
    return [
        (e.epoch, e.train_loss, e.train_accuracy, e.validation_loss, e.validation_accuracy)
        for e in epochs
    ]


# ---- the same bits


@pytest.mark.slow
@pytest.mark.parametrize("teacher", [None, unsure])
def test_from_every_step_it_goes_on_to_the_same_bits(teacher, tmp_path: Path) -> None:
    whole = training(ALL, teacher)
    states = [whole.state() for _ in whole.passes(DIGITS.validation)]

    undisturbed = training(ALL, teacher)  # by saving
    list(undisturbed.passes(DIGITS.validation))
    assert bits(undisturbed.network) == bits(whole.network)
    assert len(states) == 4 * (4 + 1)
    for number, state in enumerate(states):
        torch.rand(number)  # whatever a new process may have drawn
        resumed, saved = training(ALL, teacher), SavedStates(tmp_path / str(number))
        saved.folder.mkdir(parents=True)
        saved.save(state)
        resumed.restore(saved.load())
        list(resumed.passes(DIGITS.validation))
        assert bits(resumed.network) == bits(whole.network), f"after {number}"
        assert figures(resumed.epochs) == figures(whole.epochs), f"after {number}"


@pytest.mark.slow
@pytest.mark.parametrize("name", TRAINED)
def test_shipped_recipes_go_on_to_the_same_bits(name: str) -> None:
    recipe = load_recipe(name, {"epochs": 2, "batch": min(25, load_recipe(name).batch)})
    whole, kept = training(recipe), {}
    for _ in whole.passes(DIGITS.validation):
        kept[whole.steps_done] = whole.state()
    for done in random.Random(name).sample(sorted(kept), 2):
        resumed = training(recipe)
        resumed.restore(kept[done])
        list(resumed.passes(DIGITS.validation))
        assert bits(resumed.network) == bits(whole.network)
        assert figures(resumed.epochs) == figures(whole.epochs)


@pytest.mark.parametrize(
    "forgotten",
    [
        "vector.average",
        "vector.exp_avg",
        "random.drawing.cpu",
        "random.cpu",
        "random.shuffling",
        "losses",
    ],
)
def test_each_part_of_a_state_is_needed(forgotten: str) -> None:
    """The tests above would notice if it were not there."""
    whole = training(ALL)
    steps = whole.passes(DIGITS.validation)
    while whole.steps_done < 6:  # of four a pass
        next(steps)
    whole.figures.latest = [
        (loss + 1, logits, labels) for loss, logits, labels in whole.figures.latest
    ] or [
        (
            torch.tensor(1.0),
            torch.eye(10)[:1],
            torch.tensor([0]),
        )  # as if the last report had been some steps ago
    ]
    state = whole.state()
    list(steps)
    resumed = training(ALL)
    del state.tensors[forgotten]
    torch.manual_seed(99)
    with contextlib.suppress(TypeError, KeyError, RuntimeError, ValueError):
        resumed.restore(state)
        list(resumed.passes(DIGITS.validation))
    assert (bits(resumed.network), figures(resumed.epochs)) != (
        bits(whole.network),
        figures(whole.epochs),
    )


def test_between_two_reports_the_losses_of_the_steps_are_kept() -> None:
    recipe = dataclasses.replace(ALL, batch=1, epochs=1, ema=0.0)  # 100 steps, 25 reports
    whole, kept = training(recipe), []
    for _ in whole.passes(DIGITS.validation):
        if whole.steps_done in (1, 2, 47):
            assert len(whole.figures.latest) == whole.steps_done % 4
            kept.append(whole.state())
    for state in kept:
        resumed = training(recipe)
        resumed.restore(state)
        list(resumed.passes(DIGITS.validation))
        assert figures(resumed.epochs) == figures(whole.epochs)


def test_a_state_fits_every_layout_of_the_weights() -> None:
    """Small batches lie in memory otherwise than large ones do: what is saved is the same."""
    large, small = (
        training(dataclasses.replace(ALL, batch=batch, network="two-conv")) for batch in (40, 10)
    )
    next(iter(large.passes(DIGITS.validation)))
    small.restore(large.state())
    assert not torch.equal(small.weights, large.weights), "they do lie otherwise"
    for ours, theirs in zip(small.network.parameters(), large.network.parameters(), strict=True):
        assert torch.equal(ours, theirs)
    saved, expected = small.state().tensors, large.state().tensors
    for name in ("vector.average", "vector.exp_avg", "vector.exp_avg_sq", "vector.step"):
        assert torch.equal(saved[name], expected[name])


# ---- a run


def stopped(out: Path, recipe: Recipe, after: int, **options: object) -> None:
    """A run that is left after so many steps: there are so few that each is reported."""
    running = run(recipe, out, DIGITS, device="cpu", **options)
    for _ in range(after):
        next(running)
    running.close()


def finished(out: Path, recipe: Recipe, **options: object) -> bytes:
    list(run(recipe, out, DIGITS, device="cpu", **options))
    assert names(out) == FILES
    return (out / "model.safetensors").read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize("after", [1, 5, 6, 7, 17])
def test_a_stopped_run_goes_on_and_its_metrics_have_each_epoch_once(
    after: int, quick, tmp_path: Path
) -> None:
    whole = finished(tmp_path / "whole", small_recipe())
    stopped(tmp_path / "run", small_recipe(), after)
    if after < 15:
        for _ in range(2):  # and again, and again
            stopped(tmp_path / "run", small_recipe(), 1, resume=True)
    assert finished(tmp_path / "run", small_recipe(), resume=True) == whole
    written = (
        (tmp_path / name / "metrics.jsonl").read_text().splitlines() for name in ("run", "whole")
    )
    ours, theirs = ([json.loads(line) for line in lines] for lines in written)
    unchanging = ("epoch", "train_loss", "train_accuracy", "validation_loss", "test_loss", "final")
    assert [[line.get(key) for key in unchanging] for line in ours] == [
        [line.get(key) for key in unchanging] for line in theirs
    ]
    assert ours[-1]["train_seconds"] >= sum(line["seconds"] for line in ours[:-1]) - 1e-5


def test_resume_starts_what_is_not_there_and_leaves_what_is_finished(
    quick, tmp_path: Path, caplog
) -> None:
    finished(tmp_path / "run", small_recipe(), resume=True)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "run").iterdir()}
    (final,) = run(small_recipe(), tmp_path / "run", DIGITS, resume=True)
    assert final.epochs == 3
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "run").iterdir()} == before
    assert "is already finished" in caplog.text


@pytest.mark.parametrize("done", [False, True])
@pytest.mark.parametrize(
    ("changes", "options", "says"),
    [
        ({"learning_rate": 0.5}, {}, r"learning_rate \S+, now 0\.5"),
        ({"epochs": 4}, {}, "epochs 3, now 4"),
        ({}, {"seed": 7}, "seed 0, now 7"),
    ],
)
def test_another_recipe_or_seed_is_refused_by_name(
    done: bool, changes, options, says: str, quick, tmp_path: Path
) -> None:
    if done:
        finished(tmp_path / "run", small_recipe())
    else:
        stopped(tmp_path / "run", small_recipe(), 3)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(BadValue, match=f"holds another run, of {says};"):
        list(run(small_recipe(**changes), tmp_path / "run", DIGITS, resume=True, **options))
    assert sorted(tmp_path.rglob("*")) == before


def test_other_digits_another_teacher_and_another_start_are_refused(
    trained, quick, tmp_path: Path
) -> None:
    taught = small_recipe(teacher=(str(trained),))
    stopped(tmp_path / "run", taught, 3, init=trained)
    flipped = dataclasses.replace(DIGITS.train, images=DIGITS.train.images.copy())
    flipped.images[50, 14, 14] ^= 1
    others = dataclasses.replace(DIGITS, splits=DIGITS.splits | {"train": flipped})
    for changed, digits, init, says in (
        (taught, others, trained, r"digits '100 \+ 20 \+ 20, SHA-256 \w+', now"),
        (small_recipe(teacher=("tiny",)), DIGITS, trained, r"teachers \['\w+'\], now"),
        (taught, DIGITS, None, r"init '\w+', now None"),
    ):
        with pytest.raises(BadValue, match=says):
            list(run(changed, tmp_path / "run", digits, device="cpu", init=init, resume=True))


@pytest.mark.slow
def test_another_machine_or_torch_is_named_and_gone_on_with(
    quick, tmp_path: Path, monkeypatch, caplog
) -> None:
    stopped(tmp_path / "run", small_recipe(), 3)
    monkeypatch.setattr(job, "machine", lambda: "an abacus, 10 threads")
    monkeypatch.setattr(job, "versions", lambda: {"torch": "0.1", "python": "2.7"})
    finished(tmp_path / "run", small_recipe(), resume=True)
    assert "may differ in its last bits, as this has changed: torch" in caplog.text
    assert "now 'an abacus, 10 threads'" in caplog.text


def test_a_folder_of_somebody_else_is_not_gone_on_with(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").touch()
    with pytest.raises(CannotWrite, match="not empty"):
        next(run(small_recipe(), tmp_path, DIGITS, resume=True))
    assert names(tmp_path) == {"thesis.txt"}


def test_where_no_state_is_whole_it_begins_again_and_says_so(quick, tmp_path: Path, caplog) -> None:
    stopped(tmp_path / "run", small_recipe(), 3)
    for path in (tmp_path / "run" / "state").iterdir():
        path.write_bytes(b"")
    whole = finished(tmp_path / "whole", small_recipe())
    assert finished(tmp_path / "run", small_recipe(), resume=True) == whole
    assert "is damaged" in caplog.text


def test_a_loss_that_is_no_number_is_never_saved(quick, tmp_path: Path, monkeypatch) -> None:
    batches: list[Tensor] = []

    def poisoned(ink: Tensor, amount: Augmentation, generator: torch.Generator) -> Tensor:
        batches.append(ink)
        return ink * float("nan") if len(batches) == 8 else ink

    monkeypatch.setattr(loop, "augment", poisoned)
    with pytest.raises(InkdigitsError, match="became nan in step 3 of epoch 2") as failure:
        list(run(small_recipe(), tmp_path / "run", DIGITS, interval=EVERY_STEP))
    assert "last good state stays" in "".join(failure.value.__notes__)
    state = SavedStates(tmp_path / "run").load()
    assert state is not None
    assert (len(state.facts["epochs"]), state.facts["step"]) == (1, 2)
    assert all(tensor.isfinite().all() for tensor in state.tensors.values())


@pytest.mark.parametrize("value", [float("inf"), float("nan")])
def test_a_gradient_that_is_no_number_stops_before_the_step(value: float) -> None:
    hurt = training(ALL)
    before = bits(nn.ParameterList(hurt.network.parameters()))
    next(hurt.network.parameters()).register_hook(
        lambda gradient: gradient.index_fill(0, torch.tensor([0]), value)
    )
    with pytest.raises(InkdigitsError, match="in step 1 of epoch 1; a smaller learning_rate"):
        next(iter(hurt.passes(DIGITS.validation)))
    assert bits(nn.ParameterList(hurt.network.parameters())) == before
    assert not hurt.can_be_saved


@pytest.mark.parametrize("interval", [Interval(), EVERY_STEP])
def test_an_exception_within_a_step_leaves_the_state_before_it(
    interval: Interval, quick, tmp_path: Path, monkeypatch, caplog
) -> None:
    """As Ctrl-C does where nobody has installed a handler for it."""
    add = PassFigures.add

    def interrupted(figures: PassFigures, *step: Tensor) -> TrainingProgress | None:
        if (figures.epoch, figures.step) == (2, 2):
            raise KeyboardInterrupt  # the weights have moved, and the step is not counted
        return add(figures, *step)

    with monkeypatch.context() as patch:
        patch.setattr(PassFigures, "add", interrupted)
        with pytest.raises(KeyboardInterrupt):
            list(run(small_recipe(), tmp_path / "run", DIGITS, device="cpu", interval=interval))
    assert (
        ("--resume continues" in caplog.text)
        == (tmp_path / "run").exists()
        == (interval == EVERY_STEP)
    )
    assert finished(tmp_path / "run", small_recipe(), resume=True) == finished(
        tmp_path / "whole", small_recipe()
    )


def test_a_weight_that_is_no_number_is_not_saved() -> None:
    hurt = training(ALL)
    next(hurt.network.parameters()).data[0] = float("inf")
    with pytest.raises(InkdigitsError, match="a weight became infinite or not a number in epoch 1"):
        hurt.state()


# ---- a state


def state(number: int = 0) -> TrainingState:
    return TrainingState(
        {"weights": torch.full((50,), float(number)), "step": torch.tensor(3)},
        {"step": number, "name": "Größe"},
    )


@pytest.fixture
def states(tmp_path: Path) -> SavedStates:
    found = SavedStates(tmp_path)
    found.folder.mkdir()
    return found


def number_of(found: TrainingState | None) -> int:
    assert found is not None
    return found.facts["step"]


def test_the_newest_two_are_kept_and_the_newest_is_loaded(states: SavedStates) -> None:
    assert states.load() is None
    for number in range(12):
        states.save(state(number))
    assert len(names(states.folder)) == 2
    loaded = SavedStates(states.folder.parent).load()
    assert number_of(loaded) == 11
    assert loaded.facts == state(11).facts
    assert torch.equal(loaded.tensors["weights"], state(11).tensors["weights"])
    states.delete()
    assert not states.folder.exists()


def test_every_flipped_bit_and_every_truncation_is_noticed_and_the_one_before_is_used(
    states: SavedStates, caplog
) -> None:
    states.save(state(1))
    states.save(state(2))
    newest = max(states.folder.iterdir())
    content = newest.read_bytes()
    hurt = [content[:length] for length in range(0, len(content), 7)] + [
        content + b"\0",
        b"\0" * len(content),
    ]
    for bit in range(0, 8 * len(content), 13):
        flipped = bytearray(content)
        flipped[bit // 8] ^= 1 << bit % 8
        hurt.append(bytes(flipped))
    assert len(hurt) > 300
    for damaged in hurt:
        newest.write_bytes(damaged)
        caplog.clear()
        assert number_of(states.load()) == 1
        assert f"{newest} is damaged" in caplog.text
    newest.write_bytes(content)
    assert number_of(states.load()) == 2


def test_a_damaged_state_does_not_push_a_good_one_out(states: SavedStates) -> None:
    states.save(state(1))
    states.save(state(2))
    newest = max(states.folder.iterdir())
    newest.write_bytes(b"hurt")
    again = SavedStates(states.folder.parent)
    assert number_of(again.load()) == 1
    again.save(state(3))
    assert not newest.exists()
    max(states.folder.iterdir()).write_bytes(b"hurt, too")
    assert number_of(again.load()) == 1


@contextlib.contextmanager
def failing(monkeypatch: pytest.MonkeyPatch, call: int, number: int) -> Iterator[list[str]]:
    """Make the call-th writing call to the system fail, after half of its work."""
    calls: list[str] = []

    def fails(name: str, function: Callable[..., object]) -> Callable[..., object]:
        def calling(*args: object, **kwargs: object) -> object:
            calls.append(name)
            if len(calls) == call:
                if name == "write_bytes":
                    function(args[0], args[1][: len(args[1]) // 2])
                raise OSError(number, os.strerror(number))
            return function(*args, **kwargs)

        return calling

    with monkeypatch.context() as patch:
        for owner, name in (
            (Path, "write_bytes"),
            (Path, "open"),
            (Path, "replace"),
            (Path, "unlink"),
            (os, "fsync"),
            (os, "open"),
        ):
            patch.setattr(owner, name, fails(name, getattr(owner, name)))
        yield calls


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO])
def test_whichever_call_fails_the_last_good_state_stays(
    number: int, states: SavedStates, monkeypatch: pytest.MonkeyPatch
) -> None:
    states.save(state(1))
    states.save(state(2))
    with failing(monkeypatch, 0, number) as calls:
        states.save(state(3))
    assert {"write_bytes", "fsync", "replace", "unlink"} <= set(calls)
    for call in range(1, len(calls) + 1):
        with failing(monkeypatch, call, number), contextlib.suppress(CannotWrite):
            states.save(state(3 + call))
        assert number_of(SavedStates(states.folder.parent).load()) in (2 + call, 3 + call)
        states.save(state(3 + call))
        assert len(names(states.folder)) == 2


def test_a_state_that_cannot_be_saved_is_said_once_and_stops_nothing(
    quick, monkeypatch, tmp_path: Path, caplog
) -> None:
    def refuse(*_: object) -> None:
        raise CannotWrite("No space left on device")

    whole = finished(tmp_path / "whole", small_recipe())
    monkeypatch.setattr(SavedStates, "save", refuse)
    assert finished(tmp_path / "run", small_recipe(), interval=EVERY_STEP) == whole
    assert caplog.text.count("No space left on device; the training goes on") == 1


@pytest.mark.parametrize(
    ("text", "steps", "seconds"),
    [("500", 500, 0), ("30s", 0, 30), ("0", 0, 0), ("0s", 0, 0), ("off", 0, 0), ("60s", 0, 60)],
)
def test_an_interval_is_steps_or_seconds_or_never(text: str, steps: int, seconds: float) -> None:
    assert Interval.parse(text) == Interval(steps, seconds)


@pytest.mark.slow
def test_an_interval_of_steps_saves_as_often_as_it_says(quick, monkeypatch, tmp_path: Path) -> None:
    assert Interval.parse("60s") == EVERY_MINUTE
    for interval, expected in ((Interval(steps=4), [4, 8, 12, 15]), (Interval(), [15])):
        saved: list[int] = []
        monkeypatch.setattr(
            SavedStates, "save", lambda _, state, saved=saved: saved.append(done(state))
        )
        finished(tmp_path / str(interval.steps), small_recipe(), interval=interval)
        assert saved == expected


def done(state: TrainingState) -> int:
    return len(state.facts["epochs"]) * 5 + state.facts["step"]


# ---- killed

KILLED = """
import json, os, signal, sys
from pathlib import Path

sys.path.insert(0, sys.argv[1])
from small_runs import DIGITS, EVERY_STEP, small_recipe
from inkdigits.runs import artifacts
from inkdigits.core.files import write_whole
from inkdigits.runs.run import run


def kill(*_):
    os.kill(os.getpid(), signal.SIGKILL)


def kill_at(call):  # fsync or renaming, before it where the number is even, else after it
    calls = []

    def counting(function):
        def called(*args):
            calls.append(function)
            if (len(calls) - 1) * 2 == call:
                kill()
            result = function(*args)
            if (len(calls) - 1) * 2 + 1 == call:
                kill()
            return result
        return called

    os.fsync, Path.replace = counting(os.fsync), counting(Path.replace)


artifacts.export_onnx = lambda _, path, *args, **kwargs: write_whole(path, "")
artifacts.write_report = lambda path, **kwargs: write_whole(path, "")
endings = []
for plan in json.loads(sys.argv[3]):
    child = os.fork()
    if child == 0:
        if isinstance(plan, int):
            kill_at(plan)
        elif plan:
            signal.signal(signal.SIGALRM, kill)
            signal.setitimer(signal.ITIMER_REAL, plan)
        options = {"device": "cpu", "resume": True, "interval": EVERY_STEP}
        list(run(small_recipe(), Path(sys.argv[2]), DIGITS, **options))
        os._exit(0)
    endings.append(os.waitpid(child, 0)[1])
print(endings)
"""


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="forks")
def test_killed_at_any_moment_it_goes_on_to_the_same_bits(quick, tmp_path: Path) -> None:
    """Aimed inside saves first, then whenever the clock says, by which it may have finished."""
    chance = random.Random(0)
    plans: list[object] = [
        *range(12),
        *(round(chance.uniform(0.005, 0.15), 4) for _ in range(8)),
        None,
    ]
    helpers = str(Path(__file__).parents[1])
    command = [sys.executable, "-c", KILLED, helpers, str(tmp_path / "run"), json.dumps(plans)]
    killed = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert killed.returncode == 0, killed.stderr
    endings = json.loads(killed.stdout)
    assert endings[:12] == [9] * 12
    assert endings[-1] == 0
    assert names(tmp_path / "run") == FILES
    assert (tmp_path / "run" / "model.safetensors").read_bytes() == finished(
        tmp_path / "whole", small_recipe()
    )
