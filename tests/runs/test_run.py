"""A run leaves one whole folder or none, and the test digits decide nothing."""

import dataclasses
import errno
import json
import math
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from few_digits import few_digits
from promised import EPOCH_KEYS, FILES, FINAL_KEYS, names
from sklearn.metrics import f1_score

from inkdigits.core.digits import DIGITS
from inkdigits.core.errors import (
    BadData,
    BadModel,
    BadValue,
    CannotWrite,
    InkdigitsError,
    MissingExtra,
    UnknownName,
)
from inkdigits.data.catalogue import DATASETS
from inkdigits.data.datasets import load_dataset
from inkdigits.data.splits import Dataset, Split
from inkdigits.reading.recogniser import Recogniser
from inkdigits.runs import artifacts, job
from inkdigits.runs.artifacts import FinalFigures, to_record
from inkdigits.runs.checkpoint import load_checkpoint
from inkdigits.runs.export import export_run
from inkdigits.runs.run import iter_train, run, train
from inkdigits.runs.run_folder import is_finished
from inkdigits.training import figures, loop, predictions
from inkdigits.training.distillation import load_teachers, teacher_files
from inkdigits.training.figures import Epoch, TrainingProgress
from inkdigits.training.loop import Training
from inkdigits.training.recipe import Recipe, load_recipe

pytestmark = pytest.mark.slow  # networks are trained


@pytest.fixture(scope="module")
def digits() -> Dataset:
    return load_dataset("optdigits")


def recipe(epochs: int = 1, **settings: object) -> Recipe:
    return load_recipe("lenet", {"epochs": epochs, "batch": 64, "schedule": "constant", **settings})


def interrupted_after(monkeypatch: pytest.MonkeyPatch, epochs: int) -> None:
    """Ctrl-C arrives in the middle of the pass after so many whole ones."""
    passes = Training.passes

    def interrupted(
        training: Training, validation: Split
    ) -> Iterator[TrainingProgress | Epoch | None]:
        for record in passes(training, validation):
            yield record
            if len(training.epochs) == epochs and training.step == 2:
                raise KeyboardInterrupt

    monkeypatch.setattr(Training, "passes", interrupted)


# ---- the folder and what it says


def test_a_run_leaves_five_files_and_nothing_else(trained):
    assert names(trained) == FILES


def test_metrics_hold_a_line_an_epoch_and_the_final_figures(trained):
    *epochs, final = [
        json.loads(line) for line in (trained / "metrics.jsonl").read_text().splitlines()
    ]
    assert [list(epoch) for epoch in epochs] == [EPOCH_KEYS] * len(epochs)
    assert [epoch["epoch"] for epoch in epochs] == list(range(1, len(epochs) + 1))
    assert list(final) == FINAL_KEYS
    assert final["final"] is True
    assert final["epochs"] == len(epochs)
    assert final["validation_accuracy"] == epochs[-1]["validation_accuracy"]


def test_the_config_says_what_made_the_weights(trained, digits):
    config = json.loads((trained / "config.json").read_text())
    assert config["recipe"]["name"] == "lenet"
    assert config["seed"] == 0
    assert config["classes"] == list("0123456789")
    assert config["data"] == {
        "name": "optdigits",
        "train": len(digits.train),
        "validation": len(digits.validation),
    }
    assert {"python", "inkdigits", "torch", "numpy"} <= set(config["versions"])
    assert {"mean", "sd", "size"} <= set(config["preprocessing"])
    assert config["final"] == json.loads((trained / "metrics.jsonl").read_text().splitlines()[-1])


def test_the_final_figures_are_those_of_the_kept_network(trained, digits):
    final = json.loads((trained / "config.json").read_text())["final"]
    network = load_checkpoint(trained).network.eval()
    with torch.no_grad():
        logits = {
            name: network(torch.from_numpy(split.images)[:, None] / 255)
            for name, split in digits.splits.items()
        }
    read = {name: values.argmax(1).numpy() for name, values in logits.items()}
    for name in ("train", "validation", "test"):
        assert final[f"{name}_accuracy"] == pytest.approx(
            (read[name] == digits[name].labels).mean(), abs=1e-6
        )
    assert final["test_f1_macro"] == pytest.approx(
        f1_score(digits.test.labels, read["test"], average="macro"), abs=1e-6
    )
    assert final["test_loss"] == pytest.approx(
        F.cross_entropy(logits["test"], torch.from_numpy(digits.test.labels).long()).item(),
        abs=1e-5,
    )
    assert (
        final["parameters"]
        == sum(parameter.numel() for parameter in network.parameters())
        == 60_074
    )


def test_the_onnx_file_is_the_network_with_its_temperature(trained, digits):
    checkpoint = load_checkpoint(trained)
    with torch.no_grad():
        logits = checkpoint.network.eval()(torch.from_numpy(digits.test.images)[:, None] / 255)
    ours = torch.softmax(logits / checkpoint.config["temperature"], 1).numpy()
    assert np.abs(Recogniser(trained).classify(digits.test.images) - ours).max() < 1e-4


def test_train_seconds_are_building_the_network_and_the_passes_alone(
    quick, monkeypatch, tmp_path, digits
):
    """Not the validation before an Epoch, and not what the caller does between two records."""
    now = 0.0
    seconds = SimpleNamespace(perf_counter=lambda: now)
    monkeypatch.setattr(job, "time", seconds)
    monkeypatch.setattr(figures, "time", seconds)

    def spends(function, duration):
        def spending(*args, **kwargs):
            nonlocal now
            now += duration
            return function(*args, **kwargs)

        return spending

    monkeypatch.setattr(job, "seeded_network", spends(job.seeded_network, 3))
    monkeypatch.setattr(loop, "augment", spends(loop.augment, 0.5))
    monkeypatch.setattr(loop, "measure", spends(loop.measure, 1000))
    records = []
    for record in run(recipe(2, batch=500), tmp_path / "run", digits):
        records.append(record)
        now += 1_000_000
    assert records[-1].train_seconds == 3 + 2 * 3 * 0.5


@pytest.mark.slow
def test_train_returns_what_the_last_record_says(quick, tmp_path):
    final = train(
        "lenet", tmp_path / "run", data="optdigits", seed=3, settings={"epochs": 1, "batch": 256}
    )
    assert isinstance(final, FinalFigures)
    assert to_record(final) == json.loads(
        (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()[-1]
    )


@pytest.mark.slow
def test_train_takes_a_dataset_in_memory_and_can_be_followed_record_by_record(
    quick, tmp_path, digits
):
    options = {"data": digits, "settings": {"epochs": 1, "batch": 256}}
    records = list(iter_train("lenet", tmp_path / "followed", **options))
    assert [type(record) for record in records if not isinstance(record, TrainingProgress)] == [
        Epoch,
        FinalFigures,
    ]

    final = train("lenet", tmp_path / "trained", **options)
    assert final.test_loss == records[-1].test_loss


# ---- same seed, same bits; the test digits decide nothing


def weights(out: Path, dataset: Dataset, seed: int = 0, **settings: object) -> bytes:
    assert len(list(run(recipe(**settings), out, dataset, seed=seed, device="cpu"))) > 2
    return (out / "model.safetensors").read_bytes()


@pytest.mark.slow
def test_same_seed_same_bytes_and_another_seed_others(quick, tmp_path, digits):
    first = weights(tmp_path / "first", digits, seed=5, rotation=10.0)
    assert first == weights(tmp_path / "second", digits, seed=5, rotation=10.0)
    assert first != weights(tmp_path / "third", digits, seed=6, rotation=10.0)


def poisoned(dataset: Dataset, split: str) -> Dataset:
    """One split replaced by noise that is labelled at random."""
    rng, size = np.random.default_rng(0), len(dataset[split])
    poison = Split(
        rng.integers(0, 256, (size, 28, 28), np.uint8), rng.integers(0, 10, size, np.uint8)
    )
    return dataclasses.replace(dataset, splits=dataset.splits | {split: poison})


@pytest.mark.slow
def test_the_test_digits_decide_nothing(quick, tmp_path, digits):
    def outcome(name: str, dataset: Dataset) -> tuple[bytes, float, float]:
        parts = weights(tmp_path / name, dataset, epochs=2)
        config = json.loads((tmp_path / name / "config.json").read_text())
        return parts, config["temperature"], config["final"]["test_accuracy"]

    clean, with_poison = outcome("clean", digits), outcome("poison", poisoned(digits, "test"))
    assert clean[:2] == with_poison[:2]
    assert with_poison[2] < 0.3 < clean[2]  # the poison works
    assert (
        outcome("validation", poisoned(digits, "validation"))[1] != clean[1]
    )  # and would have shown


# ---- leaving early


@pytest.mark.slow
@pytest.mark.parametrize("epochs", [0, 1])
@pytest.mark.parametrize("how", ["Ctrl-C", "close"])
def test_a_run_that_was_left_early_says_so_and_goes_on_to_the_same_bits(
    how, epochs, quick, monkeypatch, tmp_path, digits, caplog
):
    out, expected = tmp_path / "run", weights(tmp_path / "whole", digits, epochs=3)
    with monkeypatch.context() as patch:
        if how == "Ctrl-C":
            interrupted_after(patch, epochs)
            with pytest.raises(KeyboardInterrupt):
                list(run(recipe(3), out, digits, device="cpu"))
        else:
            running = run(recipe(3), out, digits, device="cpu")
            for _ in range(epochs):
                next(record for record in running if isinstance(record, Epoch))
            next(running)  # the next pass is under way
            running.close()
    assert f"stopped in epoch {epochs + 1} of 3; --resume continues from there" in caplog.text
    assert names(out) == ({"state", "metrics.jsonl"} if epochs else {"state"})
    with pytest.raises(CannotWrite, match="holds a run that was stopped; --resume continues it"):
        list(run(recipe(3), out, digits, device="cpu"))
    records = list(run(recipe(3), out, digits, device="cpu", resume=True))
    assert [record.epoch for record in records if isinstance(record, Epoch)] == list(
        range(epochs + 1, 4)
    )
    assert names(out) == FILES
    assert (out / "model.safetensors").read_bytes() == expected


@pytest.mark.parametrize("was_there", [False, True])
def test_ctrl_c_before_the_first_step_leaves_nothing(was_there, monkeypatch, tmp_path, digits):
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    if was_there:
        (tmp_path / "run").mkdir()
    monkeypatch.setattr(job, "seeded_network", interrupted)
    with pytest.raises(KeyboardInterrupt):
        list(run(recipe(), tmp_path / "run", digits))
    assert (tmp_path / "run").exists() == was_there
    assert list(tmp_path.rglob("*")) == [tmp_path / "run"] * was_there


def test_ctrl_c_while_the_files_are_written_loses_nothing(quick, monkeypatch, tmp_path, digits):
    def write_report(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(artifacts, "write_report", write_report)
        with pytest.raises(KeyboardInterrupt):
            list(run(recipe(), tmp_path / "run", digits))
    assert load_checkpoint(tmp_path / "run").recipe.name == "lenet"
    monkeypatch.setattr(loop, "augment", None)  # nothing is trained again
    assert [type(record) for record in run(recipe(), tmp_path / "run", digits, resume=True)] == [
        FinalFigures
    ]
    assert names(tmp_path / "run") == FILES


# ---- whole or not at all


@pytest.mark.slow
@pytest.mark.parametrize("call", range(1, 8))
def test_a_disk_that_fills_up_for_good_leaves_the_last_state_and_no_half_file(
    call, quick, monkeypatch, tmp_path, digits, caplog
):
    """Seven files are written, metrics.jsonl twice. From one of them on, every write fails."""
    calls, real, out = [], Path.replace, tmp_path / "run"

    def replace(path: Path, name: Path) -> Path:
        calls.append(name)
        if len(calls) >= call:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(path, name)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", replace)
        with pytest.raises(CannotWrite, match="No space left on device") as failure:
            list(run(recipe(), out, digits))
    assert caplog.text.count("the training goes on") == (call <= 2), "it warns once"
    if call <= 2:  # the metrics, the state
        assert not out.exists()
    else:
        assert names(out) == {
            "metrics.jsonl",
            "state",
            *("model.safetensors", "config.json", "model.onnx")[: call - 3],
        }
        assert str(out) in "".join(failure.value.__notes__)
        monkeypatch.setattr(loop, "augment", None)  # nothing is trained again
        list(run(recipe(), out, digits, resume=True))
        assert names(out) == FILES


def test_a_full_disk_is_noticed_before_the_training(monkeypatch, tmp_path, digits):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=1_000_000))
    with pytest.raises(CannotWrite, match=r"room for 1\.0 MiB, but a run takes 1\.5"):
        next(run(recipe(), tmp_path / "run", digits))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("library", job.NEEDED_LIBRARIES)
def test_a_library_that_will_be_missing_is_missed_before_the_training(
    library, monkeypatch, tmp_path, digits
):
    monkeypatch.setitem(__import__("sys").modules, library, None)
    with pytest.raises(MissingExtra, match=r"inkdigits\[train\]"):
        next(run(recipe(), tmp_path / "run", digits))
    assert not (tmp_path / "run").exists()


def test_a_folder_that_holds_something_is_left_alone(tmp_path, digits):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(CannotWrite, match="not empty"):
        next(run(recipe(), tmp_path, digits))
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


@pytest.mark.parametrize("place", ["file", "file/run", "/proc/run"])
def test_a_place_that_cannot_be_written_to(place, tmp_path, digits):
    (tmp_path / "file").touch()
    with pytest.raises(CannotWrite, match=str(tmp_path / place)):
        next(run(recipe(), tmp_path / place, digits))
    assert names(tmp_path) == {"file"}


# ---- what cannot be trained


@pytest.mark.parametrize("seed", [-1, 2**63, 10**30])
def test_seeds_that_torch_does_not_take(seed, tmp_path, digits):
    with pytest.raises(BadValue, match="seed"):
        next(run(recipe(), tmp_path / "run", digits, seed=seed))


def test_the_largest_seed_works(quick, tmp_path, digits):
    assert weights(tmp_path / "run", digits, seed=2**63 - 1)


def test_an_unknown_device_is_refused_before_anything_is_written(tmp_path, digits):
    with pytest.raises(UnknownName, match="auto, cpu, cuda, mps"):
        next(run(recipe(), tmp_path / "run", digits, device="tpu"))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("count", [2, 3, 11])
def test_too_few_digits_are_refused_or_trained_on(count, quick, tmp_path, digits):
    few = tmp_path / "few.npz"
    np.savez(few, images=digits.train.images[:count], labels=digits.train.labels[:count])
    dataset = load_dataset(few)
    if count < 3:
        with pytest.raises(BadData, match=r"too few digits to train on \(2 in 'all'\)"):
            next(run(recipe(), tmp_path / "run", dataset))
    else:
        assert isinstance(list(run(recipe(), tmp_path / "run", dataset))[-1], FinalFigures)


def test_an_empty_validation_split_is_refused(tmp_path, digits):
    nothing = Split(digits.train.images[:0], digits.train.labels[:0])
    dataset = dataclasses.replace(digits, splits=digits.splits | {"validation": nothing})
    with pytest.raises(BadData, match="validation"):
        next(run(recipe(), tmp_path / "run", dataset))


def test_more_classes_than_outputs_are_refused(tmp_path, digits):
    eleven = dataclasses.replace(digits, classes=(*digits.classes, "not a digit"))
    with pytest.raises(BadValue, match="10 outputs, too few for the 11 classes of optdigits"):
        next(run(recipe(), tmp_path / "run", eleven))


@pytest.mark.parametrize("rate", [1e9, 1e30, 1e300])
def test_a_loss_that_is_no_number_ends_the_run_and_leaves_nothing(rate, tmp_path, digits):
    with pytest.raises(InkdigitsError, match="smaller learning_rate"):
        list(run(recipe(3, learning_rate=rate, optimiser="sgd"), tmp_path / "run", digits))
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_a_validation_loss_that_is_no_number_is_noticed(quick, monkeypatch, tmp_path, digits):
    monkeypatch.setattr(loop, "measure", lambda network, split: (math.nan, 0.1))
    with pytest.raises(InkdigitsError, match="validation loss became nan in epoch 1"):
        list(run(recipe(), tmp_path / "run", digits))
    assert not (tmp_path / "run").exists()


# ---- fine-tuning


@pytest.mark.slow
def test_init_starts_from_the_other_weights(quick, trained, tmp_path, digits):
    """With a learning rate of next to nothing the weights stay where they started."""
    settled = recipe(learning_rate=1e-30, optimiser="sgd")
    list(run(settled, tmp_path / "run", digits, seed=9, init=trained))
    before, after = (
        load_checkpoint(folder).network.state_dict() for folder in (trained, tmp_path / "run")
    )
    assert all(torch.equal(before[name], after[name]) for name in before)


@pytest.mark.parametrize("learning_rate", [1e-30, 0.05])
def test_fine_tuning_tells_how_many_of_mnists_digits_are_read_before_and_after(
    quick, trained, tmp_path, digits, learning_rate
):
    mnist = few_digits(150)

    def read_right(folder):
        network = load_checkpoint(folder).network.eval()
        with torch.no_grad():
            said = (
                network(torch.from_numpy(mnist.images / np.float32(255))[:, None]).argmax(1).numpy()
            )
        return (said == mnist.labels).mean()

    settled = recipe(learning_rate=learning_rate, optimiser="sgd")
    *_, final = run(settled, tmp_path / "run", digits, seed=9, init=trained, mnist=mnist)
    assert final.mnist_before == pytest.approx(read_right(trained))
    assert final.mnist_after == pytest.approx(read_right(tmp_path / "run"))
    assert (final.mnist_before == final.mnist_after) == (learning_rate < 1e-9)
    kept = json.loads((tmp_path / "run" / "config.json").read_text())["final"]
    assert (kept["mnist_before"], kept["mnist_after"]) == pytest.approx(
        (final.mnist_before, final.mnist_after), abs=1e-6
    )


def test_without_init_there_is_nothing_to_compare_with(quick, tmp_path, digits):
    *_, final = run(recipe(), tmp_path / "run", digits, mnist=few_digits(20))
    assert (final.mnist_before, final.mnist_after) == (None, None)
    assert list(to_record(final)) == FINAL_KEYS


def test_init_from_another_network_is_refused(trained, tmp_path, digits):
    with pytest.raises(
        BadModel, match="holds the network 'lenet', but the recipe 'batchnorm' trains 'batchnorm'"
    ):
        next(run(load_recipe("batchnorm"), tmp_path / "run", digits, init=trained))
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_init_from_the_same_network_with_other_options_is_refused(quick, tmp_path, digits):
    half = load_recipe("batchnorm", {"epochs": 1, "batch": 512, "options": {"dropout": 0.5}})
    list(run(half, tmp_path / "half", digits))
    with pytest.raises(BadModel, match=r"'batchnorm' with dropout 0\.5"):
        next(run(load_recipe("batchnorm"), tmp_path / "run", digits, init=tmp_path / "half"))


def test_init_from_what_is_no_run(trained, tmp_path, digits):
    for init, error, says in (
        (trained / "model.onnx", BadModel, "no network can be trained"),
        (tmp_path / "missing", UnknownName, "a folder made by `inkdigits train`"),
        (tmp_path, BadModel, r"holds no config\.json"),
    ):
        with pytest.raises(error, match=says):
            next(run(recipe(), tmp_path / "run", digits, init=init))
    assert not (tmp_path / "run").exists()


# ---- a teacher


def test_teachers_are_shipped_names_run_folders_files_and_folders_of_files(
    trained, tmp_path, digits
):
    for name in ("a", "b"):
        shutil.copyfile(trained / "model.onnx", tmp_path / f"{name}.onnx")
    teachers = load_teachers(
        (str(trained), str(trained / "model.onnx"), str(tmp_path), "default"), digits.classes
    )
    ours, default = (
        Recogniser(model).classify(digits.test.images) for model in (trained, "default")
    )
    assert len(teachers) == 5
    for teacher, expected in zip(teachers, [ours] * 4 + [default], strict=True):
        assert np.array_equal(teacher(digits.test.images), expected)
    assert load_teachers((), digits.classes) == []


def test_a_run_folder_is_one_teacher_whatever_else_was_exported_into_it(tmp_path):
    for name in ("model.onnx", "int8.onnx"):
        (tmp_path / name).touch()
    assert teacher_files([str(tmp_path)]) == [tmp_path / "model.onnx"]


def test_the_shipped_teachers_read_and_a_folder_of_that_name_is_not_asked(tmp_path, monkeypatch):
    (tmp_path / "default").mkdir()
    for name in ("teachers.onnx", "default/model.onnx"):
        (tmp_path / name).write_bytes(b"no model")
    monkeypatch.chdir(tmp_path)
    some = few_digits(200)
    teachers = load_teachers(("teachers", "default"), DIGITS)
    assert len(teachers) == 6
    assert min(np.mean(teacher(some.images).argmax(1) == some.labels) for teacher in teachers) > 0.9


@pytest.mark.slow
def test_the_recipe_s_teacher_teaches(quick, trained, tmp_path, digits):
    alone = weights(tmp_path / "alone", digits)
    taught = weights(tmp_path / "taught", digits, teacher=str(trained), teacher_weight=0.5)
    ignored = weights(tmp_path / "ignored", digits, teacher=str(trained), teacher_weight=0.0)
    assert alone == ignored
    assert alone != taught
    assert load_checkpoint(tmp_path / "taught").recipe.teacher == (str(trained),)


def test_a_teacher_that_is_not_there_is_missed_before_the_training(tmp_path, digits):
    with pytest.raises(UnknownName, match="no model 'nobody'"):
        next(run(recipe(teacher="nobody"), tmp_path / "run", digits))
    assert not (tmp_path / "run").exists()


def test_a_teacher_of_digits_cannot_teach_clothes(tmp_path, digits):
    clothes = dataclasses.replace(digits, name="clothes", classes=DATASETS["fashion-mnist"].classes)
    says = (
        r"learned from mnist knows 0, 1 and so on, not T-shirt/top, Trouser and so on; "
        r"--set teacher=\[\] trains without$"
    )
    with pytest.raises(BadValue, match=says):
        next(run(recipe(teacher="teachers"), tmp_path / "run", clothes))
    assert not (tmp_path / "run").exists()
    next(run(recipe(teacher=[]), tmp_path / "run", clothes))


def test_a_teacher_of_ten_digits_cannot_teach_eleven_classes(trained, tmp_path, digits):
    with pytest.raises(BadValue, match="11 outputs, but a teacher knows only the 10 digits"):
        next(run(load_recipe("default", {"teacher": str(trained)}), tmp_path / "run", digits))


# ---- averaged weights


@pytest.mark.slow
def test_the_kept_folder_holds_the_averaged_network(quick, tmp_path, digits):
    averaged = load_recipe("batchnorm", {"epochs": 2, "batch": 256, "ema": 0.9})
    *_, final = run(averaged, tmp_path / "run", digits, device="cpu")
    kept = load_checkpoint(tmp_path / "run").network
    assert predictions.measure(kept, digits.validation)[1] == pytest.approx(
        final.validation_accuracy, abs=1e-6
    )


# ---- exporting


@pytest.mark.slow
def test_export_gives_the_run_s_own_onnx_file_again(trained, tmp_path, digits):
    written = export_run(trained, tmp_path / "digits.onnx", data_dir=tmp_path)
    assert written.bytes == (tmp_path / "digits.onnx").stat().st_size
    assert written.compared_on == "optdigits"  # as there is no MNIST in that folder
    assert 0 <= written.largest_difference < 1e-4
    ours, theirs = (
        Recogniser(path).classify(digits.test.images)
        for path in (tmp_path / "digits.onnx", trained)
    )
    assert np.array_equal(ours, theirs)


@pytest.mark.slow
def test_a_failed_export_leaves_the_old_file(trained, tmp_path, monkeypatch):
    (tmp_path / "digits.onnx").write_text("the old one")

    def refuse(*args: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(CannotWrite, match="No space left"):
        export_run(trained, tmp_path / "digits.onnx", data_dir=tmp_path)
    assert (tmp_path / "digits.onnx").read_text() == "the old one"
    assert names(tmp_path) == {"digits.onnx"}


@pytest.mark.parametrize("key", ["temperature", "data", "seed"])
def test_a_config_without_what_an_export_needs(key, trained, tmp_path):
    run_folder = shutil.copytree(trained, tmp_path / "run")
    config = json.loads((run_folder / "config.json").read_text())
    del config[key]
    (run_folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(BadModel, match=f"damaged.*{key}"):
        export_run(run_folder, tmp_path / "digits.onnx", data_dir=tmp_path)
    assert not (tmp_path / "digits.onnx").exists()


@pytest.mark.slow
def test_a_recipe_learns_from_its_own_data_unless_told_otherwise(tmp_path: Path) -> None:
    recipe = dataclasses.replace(load_recipe("lenet", {"epochs": 1}), data="optdigits")
    for name, data in (("own", None), ("told", "optdigits")):
        train(recipe, tmp_path / name, data=data)
        assert (
            json.loads((tmp_path / name / "config.json").read_text())["data"]["name"] == "optdigits"
        )
    assert load_recipe("default").data == "handwriting"
    assert load_recipe("lenet").data == "mnist"


# ---- several networks as one


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory, digits: Dataset) -> Path:
    folder = tmp_path_factory.mktemp("pair") / "run"
    list(run(recipe(epochs=2, members=2), folder, digits, seed=1))
    return folder


@pytest.mark.slow
def test_an_ensemble_answers_with_the_mean_of_its_members_probabilities(pair, digits):
    members = [
        load_checkpoint(pair / "members" / f"lenet-seed{seed}").network.eval() for seed in (2, 3)
    ]
    ink = torch.from_numpy(digits.test.images)[:, None] / 255
    with torch.no_grad():
        mean = torch.stack([member(ink).softmax(1) for member in members]).mean(0)
        ours = load_checkpoint(pair).network.eval()(ink).softmax(1)
    assert torch.allclose(ours, mean, atol=1e-6)
    final = json.loads((pair / "config.json").read_text())["final"]
    assert final["test_accuracy"] == pytest.approx(
        (mean.argmax(1).numpy() == digits.test.labels).mean(), abs=1e-6
    )
    temperature = json.loads((pair / "config.json").read_text())["temperature"]
    read = Recogniser(pair).classify(digits.test.images)
    assert np.allclose(read, (mean.log() / temperature).softmax(1), atol=1e-4)


@pytest.mark.slow
def test_the_passes_of_an_ensemble_are_counted_on(pair):
    *epochs, final = [
        json.loads(line) for line in (pair / "metrics.jsonl").read_text().splitlines()
    ]
    assert [epoch["epoch"] for epoch in epochs] == [1, 2, 3, 4]
    assert (final["epochs"], final["parameters"]) == (4, 2 * 60_074)
    seconds = [
        json.loads((folder / "config.json").read_text())["final"]["train_seconds"]
        for folder in (pair / "members").iterdir()
    ]
    assert final["train_seconds"] == pytest.approx(sum(seconds))


@pytest.mark.slow
def test_an_ensemble_goes_on_where_it_was_stopped(quick, monkeypatch, tmp_path, digits, pair):
    out, both = tmp_path / "run", recipe(epochs=2, members=2)
    running = run(both, out, digits, seed=1)
    next(record for record in running if record.epoch == 3)  # the second member is at work
    running.close()
    kept = out / "members" / "lenet-seed2" / "config.json"
    before = kept.stat().st_mtime_ns
    with pytest.raises(CannotWrite, match="--resume continues it"):
        list(run(both, out, digits, seed=1))
    records = list(run(both, out, digits, seed=1, resume=True))
    assert [record.epoch for record in records if isinstance(record, Epoch)] == [3, 4]
    assert kept.stat().st_mtime_ns == before
    assert names(out) == {*FILES, "members"}
    assert (out / "model.safetensors").read_bytes() == (pair / "model.safetensors").read_bytes()
    with pytest.raises(CannotWrite, match="not empty"):
        list(run(both, out, digits, seed=1))
    assert list(map(to_record, run(both, out, digits, seed=1, resume=True))) == [
        to_record(records[-1])
    ]


def test_an_ensemble_cannot_start_from_one_model(trained, tmp_path, digits):
    with pytest.raises(BadValue, match="2 networks"):
        list(run(recipe(members=2), tmp_path / "run", digits, init=trained))
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_a_run_is_finished_when_it_is_whole_and_of_the_recipe_as_it_is_now(trained, pair, tmp_path):
    now = load_recipe("lenet", {"epochs": 4, "batch": 32})
    assert is_finished(trained, now, seed=0)
    assert is_finished(
        trained, dataclasses.replace(now, name="other", summary="says nothing of weights"), seed=0
    )
    assert not is_finished(tmp_path, now, seed=0)
    assert not is_finished(trained, now, seed=1)
    assert not is_finished(trained, dataclasses.replace(now, epochs=5), seed=0)
    assert not is_finished(trained, dataclasses.replace(now, learning_rate=0.5), seed=0)
    assert is_finished(pair, recipe(epochs=2, members=2), seed=1)


@pytest.mark.parametrize(
    "config", ["", "{", "[]", "{}", '{"recipe": {"network": "nix", "epochs": "many"}, "seed": 0}']
)
def test_a_run_with_a_damaged_config_is_not_finished(config, tmp_path):
    (tmp_path / "report.html").touch()
    (tmp_path / "config.json").write_text(config)
    assert not is_finished(tmp_path, recipe(), seed=0)
