"""TensorBoard reads back what metrics.jsonl says, once each, and the training is not affected."""

import dataclasses
import io
import itertools
import json
import math
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from PIL import Image

from inkdigits.command import cli
from inkdigits.core.errors import InkdigitsError, MissingExtra
from inkdigits.data.datasets import Dataset, load_dataset
from inkdigits.reading.recogniser import Recogniser
from inkdigits.runs import tensorboard
from inkdigits.runs.artifacts import FinalFigures
from inkdigits.runs.run import run, train
from inkdigits.runs.tensorboard import EVENTS_FOLDER, track
from inkdigits.training.figures import Epoch, TrainingProgress
from inkdigits.training.recipe import Recipe, load_recipe

pytest.importorskip("tensorboard", reason="the extra `tensorboard` is not installed")
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.backend.event_processing.plugin_event_accumulator import (
    EventAccumulator as OfPages,
)
from tensorboard.summary.writer import event_file_writer

pytestmark = pytest.mark.slow  # networks are trained

CURVES = {
    "loss/train": "train_loss",
    "loss/validation": "validation_loss",
    "accuracy/train": "train_accuracy",
    "accuracy/validation": "validation_accuracy",
    "images_per_second": "images_per_second",
}


def read_back(folder: Path, **options: Any) -> EventAccumulator:
    return EventAccumulator(str(folder), **options).Reload()


def curve(folder: Path, tag: str, **options: Any) -> list[tuple[int, float]]:
    return [(event.step, event.value) for event in read_back(folder, **options).Scalars(tag)]


def steps(folder: Path, **options: Any) -> list[int]:
    """As both readers of TensorBoard find them: that for programs, and that behind its pages."""
    found = [step for step, _ in curve(folder, "loss/train", **options)]
    assert [
        event.step for event in OfPages(str(folder), **options).Reload().Tensors("loss/train")
    ] == found
    return found


def metrics(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def digits() -> Dataset:
    return load_dataset("optdigits")


@pytest.fixture(scope="module")
def tracked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("tracked") / "run"
    train(
        "lenet",
        out,
        data="optdigits",
        settings={"epochs": 3, "schedule": "cosine"},
        tensorboard=True,
    )
    return out


@pytest.fixture
def stand_in(quick: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Quick runs leave no model to ask at the end; a shipped one stands in for it.

    Event files are read in the order of the seconds in their names, and runs as quick as these may
    share one.
    """
    seconds = itertools.count(1_700_000_000)
    monkeypatch.setattr(event_file_writer, "time", SimpleNamespace(time=lambda: next(seconds)))
    monkeypatch.setattr(tensorboard, "Recogniser", lambda _: Recogniser("nano"))


def recipe(epochs: int = 3, **settings: object) -> Recipe:
    return load_recipe(
        "lenet", {"epochs": epochs, "batch": 128, "schedule": "constant", **settings}
    )


def track_until(
    stop: Callable[[TrainingProgress | Epoch | FinalFigures], bool],
    recipe: Recipe,
    out: Path,
    dataset: Dataset,
    **options: Any,
) -> None:
    """Ctrl-C after the first record of which `stop` is true."""
    records = track(run(recipe, out, dataset, device="cpu", **options), recipe, dataset, out)
    for record in records:
        if stop(record):
            records.close()


def never(_: object) -> bool:
    return False


def in_the_middle_of(epoch: int) -> Callable[[object], bool]:
    return lambda record: (
        isinstance(record, TrainingProgress) and record.epoch == epoch and record.fraction > 0.4
    )


@pytest.mark.slow
def test_the_curves_are_those_of_metrics_jsonl(tracked):
    *epochs, final = metrics(tracked)
    for tag, key in CURVES.items():
        assert curve(tracked / EVENTS_FOLDER, tag) == [
            (epoch["epoch"], pytest.approx(epoch[key], rel=1e-6)) for epoch in epochs
        ], tag
    for key in (
        "test_accuracy",
        "test_loss",
        "test_f1_macro",
        "validation_accuracy",
        "train_accuracy",
        "train_seconds",
    ):
        assert curve(tracked / EVENTS_FOLDER, f"final/{key}") == [
            (3, pytest.approx(final[key], rel=1e-6))
        ]


@pytest.mark.slow
def test_the_learning_rate_is_that_of_the_middle_of_a_pass(tracked):
    halves = [0.001 * (1 + math.cos(math.pi * done)) / 2 for done in (1 / 6, 1 / 2, 5 / 6)]
    assert [rate for _, rate in curve(tracked / EVENTS_FOLDER, "learning_rate")] == pytest.approx(
        halves, rel=1e-5
    )


@pytest.mark.slow
def test_recipe_and_pictures_come_with_them(tracked, digits):
    read = read_back(tracked / EVENTS_FOLDER)
    (text,) = read.Tensors("recipe/text_summary")
    said = text.tensor_proto.string_val[0].decode()
    assert json.loads(said.removeprefix("```json\n").removesuffix("\n```"))["schedule"] == "cosine"
    hparams = read.PluginTagToContent("hparams")["_hparams_/session_start_info"]
    for name in (b"learning_rate", b"schedule", b"cosine", b"seed"):
        assert name in hparams
    for tag in ("validation/confusion", "validation/errors"):
        (shown,) = read.Images(tag)
        picture = Image.open(io.BytesIO(shown.encoded_image_string))
        assert picture.size == (shown.width, shown.height)
        assert picture.convert("L").getextrema() == (pytest.approx(0, abs=60), 255)


@pytest.mark.slow
def test_the_pictures_are_of_validation_digits(stand_in, monkeypatch, tmp_path, digits):
    """Whoever chooses by what is shown does not choose by the test digits."""
    asked = []

    class Listening(Recogniser):
        def classify(self, images):
            asked.append(images)
            return super().classify(images)

    monkeypatch.setattr(tensorboard, "Recogniser", lambda _: Listening("nano"))
    track_until(never, recipe(1), tmp_path / "run", digits)
    assert [(images == digits.validation.images).all() for images in asked] == [True]


@pytest.mark.slow
def test_the_bits_are_the_same_with_and_without(stand_in, tmp_path, digits):
    for name in ("without", "with"):
        records = run(recipe(2, rotation=10.0), tmp_path / name, digits, device="cpu")
        list(track(records, recipe(2), digits, tmp_path / name) if name == "with" else records)
    assert (tmp_path / "with" / EVENTS_FOLDER).is_dir()
    first, second = (
        (tmp_path / name / "model.safetensors").read_bytes() for name in ("without", "with")
    )
    assert first == second


# ---- going on


@pytest.mark.slow
def test_a_run_that_was_killed_and_goes_on_has_no_step_twice(stand_in, tmp_path, digits):
    """It goes on from the state of its second pass, and its third is on disk already."""
    out, kept = tmp_path / "run", tmp_path / "kept"
    track_until(in_the_middle_of(2), recipe(), out, digits)
    shutil.copytree(out / "state", kept)
    track_until(in_the_middle_of(3), recipe(), out, digits, resume=True)
    assert steps(out / EVENTS_FOLDER) == [1, 2]
    shutil.rmtree(out / "state")
    shutil.copytree(kept, out / "state")
    track_until(never, recipe(), out, digits, resume=True)
    assert steps(out / EVENTS_FOLDER) == [1, 2, 3]
    assert steps(out / EVENTS_FOLDER, purge_orphaned_data=False) == [1, 2, 2, 3], (
        "they were there, but void"
    )
    assert [value for _, value in curve(out / EVENTS_FOLDER, "loss/train")] == pytest.approx(
        [epoch["train_loss"] for epoch in metrics(out)[:-1]], rel=1e-6
    )


@pytest.mark.slow
def test_who_listens_later_hears_of_what_was_before(stand_in, tmp_path, digits):
    out = tmp_path / "run"
    running = run(recipe(), out, digits, device="cpu")
    next(record for record in running if in_the_middle_of(3)(record))
    running.close()
    track_until(in_the_middle_of(3), recipe(), out, digits, resume=True)
    assert steps(out / EVENTS_FOLDER) == [1, 2]
    track_until(never, recipe(), out, digits, resume=True)
    assert steps(out / EVENTS_FOLDER) == [1, 2, 3]


@pytest.mark.slow
def test_a_finished_run_is_written_down_once(stand_in, tmp_path, digits):
    out = tmp_path / "run"
    list(run(recipe(2), out, digits))
    for _ in range(2):
        track_until(never, recipe(2), out, digits, resume=True)
        assert steps(out / EVENTS_FOLDER) == [1, 2]
        assert [step for step, _ in curve(out / EVENTS_FOLDER, "final/test_accuracy")] == [2]
    assert len(list((out / EVENTS_FOLDER).glob("*.final"))) == 1


@pytest.mark.slow
def test_each_member_of_an_ensemble_has_curves_of_its_own(stand_in, tmp_path, digits):
    pair, out = recipe(2, members=2), tmp_path / "run"
    track_until(in_the_middle_of(4), pair, out, digits)
    shutil.rmtree(out / EVENTS_FOLDER / "lenet-seed0")
    track_until(never, pair, out, digits, resume=True)
    for seed in (0, 1):
        assert steps(out / EVENTS_FOLDER / f"lenet-seed{seed}") == [1, 2]
    first, second = (
        curve(out / EVENTS_FOLDER / f"lenet-seed{seed}", "loss/train") for seed in (0, 1)
    )
    assert first != second
    assert [value for _, value in [*first, *second]] == pytest.approx(
        [epoch["train_loss"] for epoch in metrics(out)[:-1]], rel=1e-6
    )
    assert set(read_back(out / EVENTS_FOLDER).Tags()["scalars"]) >= {"final/test_accuracy"}


# ---- what can go wrong


def test_a_full_disk_ends_the_tracking_and_not_the_training(
    stand_in, tmp_path, digits, monkeypatch, caplog
):
    from torch.utils.tensorboard import SummaryWriter

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(SummaryWriter, "flush", full)
    records = list(
        track(run(recipe(2), tmp_path / "run", digits), recipe(2), digits, tmp_path / "run")
    )
    assert isinstance(records[-1], FinalFigures)
    assert (
        caplog.text.count(
            "TensorBoard's files cannot be written: [Errno 28] No space left on device"
        )
        == 1
    )


@pytest.mark.parametrize("was_there", [False, True])
def test_a_run_that_leaves_nothing_leaves_no_events_either(was_there, tmp_path, digits):
    if was_there:
        (tmp_path / "run").mkdir()
    wild = recipe(learning_rate=1e30, optimiser="sgd")
    with pytest.raises(InkdigitsError, match="smaller learning_rate"):
        track_until(never, wild, tmp_path / "run", digits)
    assert list(tmp_path.rglob("*")) == [tmp_path / "run"] * was_there


@pytest.mark.slow
def test_without_the_extra_it_is_named_before_the_training(monkeypatch, tmp_path, capsys):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    command = [
        "train",
        "lenet",
        "--data",
        "optdigits",
        "--out",
        str(tmp_path / "run"),
        "--epochs",
        "1",
    ]
    assert cli.main([*command, "--tensorboard"]) == 2
    assert "pip install 'inkdigits[tensorboard]'" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
    with pytest.raises(MissingExtra):
        train("lenet", tmp_path / "run", data="optdigits", tensorboard=True)


@pytest.mark.slow
def test_the_command_asks_for_it(stand_in, monkeypatch, tmp_path):
    command = ["train", "lenet", "--data", "optdigits", "--epochs", "1", "--set", "batch=256"]
    assert cli.main([*command, "--out", str(tmp_path / "with"), "--tensorboard"]) == 0
    assert steps(tmp_path / "with" / EVENTS_FOLDER) == [1]
    monkeypatch.setitem(
        sys.modules, "torch.utils.tensorboard", None
    )  # nor is it needed where nobody asks for it
    assert cli.main([*command, "--out", str(tmp_path / "without")]) == 0
    assert not (tmp_path / "without" / EVENTS_FOLDER).exists()


def test_what_the_hparams_are_is_flat():
    taught = dataclasses.replace(recipe(), options={"dropout": 0.5}, teacher=("best", "tiny"))
    flat = tensorboard._hyperparameters(taught)
    assert (flat["options.dropout"], flat["teacher"], flat["epochs"]) == (
        0.5,
        '["best", "tiny"]',
        3,
    )
    assert all(isinstance(value, str | int | float) for value in flat.values())


# ---- the page about it

PAGE = (Path(__file__).parents[2] / "docs" / "tracking.md").read_text()


def test_the_page_names_every_key_of_metrics_jsonl():
    passes, last = PAGE.split("| key | in the line of an epoch |")[1].split(
        "| key | in the last line |"
    )
    last = last.partition("```")[0]
    for text, record, more in ((passes, Epoch, set()), (last, FinalFigures, {"final"})):
        keys = re.findall(r"`(\w+)`", "".join(re.findall(r"^\| (.*?) \|", text, re.MULTILINE)))
        assert sorted(keys) == sorted({field.name for field in dataclasses.fields(record)} | more)


@pytest.mark.slow
def test_the_page_names_every_tag(tracked):
    tags = read_back(tracked / EVENTS_FOLDER).Tags()
    for tag in [*tags["scalars"], *tags["images"]]:
        assert tag.startswith("final/") or f"`{tag}`" in PAGE, tag


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of mlflow's libraries
def test_the_recipe_for_mlflow(tracked, tmp_path, monkeypatch):
    mlflow = pytest.importorskip("mlflow", reason="mlflow is not installed")
    monkeypatch.chdir(tmp_path)
    Path("runs").mkdir()
    Path("runs/lenet").symlink_to(tracked)
    block = re.search(r"<!-- not run: it needs mlflow.*?```python\n(.*?)```", PAGE, re.DOTALL)
    exec(compile(block[1], "docs/tracking.md", "exec"), {})
    (found,) = mlflow.search_runs(experiment_names=["optdigits"], output_format="list")
    *epochs, final = metrics(tracked)
    assert found.data.metrics["final_test_accuracy"] == final["test_accuracy"]
    assert found.data.params["schedule"] == "cosine"
    curve = mlflow.MlflowClient().get_metric_history(found.info.run_id, "train_loss")
    assert [(point.step, point.value) for point in curve] == [
        (epoch["epoch"], epoch["train_loss"]) for epoch in epochs
    ]
