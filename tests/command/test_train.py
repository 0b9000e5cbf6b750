"""`inkdigits train` as people and scripts meet it."""

import json
import os
import re
import signal
from pathlib import Path

import numpy as np
import pytest
from command_line import (
    QUICK,
    Outcome,
    assert_refused,
    closed_output,
    process,
    wait_for,
)
from few_digits import few_digits
from PIL import Image
from promised import EPOCH_KEYS, FILES, FINAL_KEYS, names

from inkdigits.evaluation.metrics import percent

pytestmark = pytest.mark.slow  # networks are trained

# ---- train


@pytest.mark.slow
def test_train_prints_what_it_reached_and_where_the_run_is(inkdigits_command, tmp_path):
    done = inkdigits_command("train", "lenet", "--out", tmp_path / "runs" / "one", *QUICK)
    assert done.status == 0
    assert names(tmp_path / "runs" / "one") == FILES
    assert re.search(
        r"lenet on optdigits, 1 epoch in \d+\.\d s on \w+\ntest accuracy \d+\.\d\d %", done.out
    )
    assert str(tmp_path / "runs" / "one" / "report.html") in done.out
    assert re.fullmatch(
        r"lenet on optdigits, seed 0: [^\n]+\nepoch 1/1  loss \d\.\d{4}  accuracy [^\n]+ s\n",
        done.err,
    )


def test_train_json_prints_only_records(quick, inkdigits_command, tmp_path):
    done = inkdigits_command(
        "train", "lenet", "--json", "--out", tmp_path / "run", "--set", "seed=1", *QUICK
    )
    assert_refused(done, "seed")  # which is no key of a recipe
    done = inkdigits_command(
        "train", "lenet", "--json", "--seed", 7, "--out", tmp_path / "run", *QUICK
    )
    epoch, final = done.objects
    assert (list(epoch), list(final)) == (EPOCH_KEYS, FINAL_KEYS)
    assert (final["recipe"], final["seed"], final["epochs"]) == ("lenet", 7, 1)
    assert done.out == (tmp_path / "run" / "metrics.jsonl").read_text()


@pytest.mark.slow
def test_settings_reach_the_recipe(quick, inkdigits_command, tmp_path):
    given = ("--set", "batch=512", "--set", "schedule=cosine", "--set", "options.dropout=0.3")
    done = inkdigits_command(
        "train",
        "batchnorm",
        "--out",
        tmp_path / "run",
        "--data",
        "optdigits",
        "--epochs",
        1,
        *given,
    )
    assert done.status == 0
    recipe = json.loads((tmp_path / "run" / "config.json").read_text())["recipe"]
    assert (recipe["batch"], recipe["schedule"], recipe["options"]) == (
        512,
        "cosine",
        {"dropout": 0.3},
    )


def test_a_recipe_of_one_s_own_works_like_a_shipped_one(quick, inkdigits_command, tmp_path):
    (tmp_path / "mine.toml").write_text('network = "lenet"\nbatch = 256\nepochs = 1\n')
    done = inkdigits_command(
        "train", tmp_path / "mine.toml", "--out", tmp_path / "run", "--data", "optdigits", "--json"
    )
    assert done.objects[-1]["recipe"] == "mine"


def class_folder(folder: Path, each: int) -> Path:
    """Write real digits as pictures sorted into folders: dark on white, as from a scanner."""
    digits = few_digits(200)
    for label in range(10):
        (folder / str(label)).mkdir(parents=True)
        for number, field in enumerate(digits.images[digits.labels == label][:each]):
            large = 255 - np.kron(field, np.ones((4, 4), np.uint8))
            Image.fromarray(large).save(folder / str(label) / f"{number}.png")

    return folder


@pytest.mark.slow
def test_fine_tuning_on_a_folder_of_one_s_own_digits(inkdigits_command, trained, tmp_path):
    mine = class_folder(tmp_path / "mine", 3)
    arguments = (
        "--data",
        mine,
        "--init",
        trained,
        "--out",
        tmp_path / "run",
        "--epochs",
        1,
        "--set",
        "learning_rate=1e-9",
    )
    done = inkdigits_command("train", "lenet", "--json", *arguments)
    assert done.status == 0
    assert f"reading {mine}" in done.err
    assert done.objects[-1]["train_accuracy"] > 0.7  # where fresh weights would know nothing
    assert json.loads((tmp_path / "run" / "config.json").read_text())["data"] == {
        "name": str(mine),
        "train": 24,
        "validation": 3,
    }
    new = inkdigits_command("evaluate", tmp_path / "run", "--data", mine, "--json").objects[0]
    assert (new["split"], new["n"]) == ("test", 3)  # it has learned from the rest
    old = inkdigits_command("evaluate", trained, "--data", mine, "--json").objects[0]
    assert (old["split"], old["n"]) == ("all", 30)


@pytest.mark.slow
def test_fine_tuning_says_what_became_of_mnists_digits(
    quick, mnist, inkdigits_command, trained, tmp_path
):
    mine = class_folder(tmp_path / "mine", 3)
    arguments = (
        "--data",
        mine,
        "--init",
        trained,
        "--epochs",
        1,
        "--set",
        "learning_rate=1e-30",
        "--set",
        "optimiser=sgd",
    )
    done = inkdigits_command("train", "lenet", "--out", tmp_path / "run", *arguments)
    right = inkdigits_command("evaluate", trained, "--data", "mnist", "--json").objects[0][
        "accuracy"
    ]
    assert f"MNIST's test digits: {percent(right)} before, {percent(right)} after\n" in done.out
    done = inkdigits_command("train", "lenet", "--out", tmp_path / "again", "--json", *arguments)
    assert (
        done.objects[-1]["mnist_before"] == done.objects[-1]["mnist_after"] == pytest.approx(right)
    )


@pytest.mark.slow
def test_a_run_continues_when_its_output_is_closed(quick, inkdigits_command, tmp_path):
    with closed_output():
        done = inkdigits_command("train", "lenet", "--json", "--out", tmp_path / "run", *QUICK)
    assert done.status == 0
    assert names(tmp_path / "run") == FILES


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="signals are POSIX")
@pytest.mark.parametrize(
    ("number", "status", "says"),
    [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated")],
)
def test_a_signal_saves_and_resume_ends_with_the_same_bits(
    number, status, says, quick, tmp_path, inkdigits_command, caplog
):
    out, arguments = (
        tmp_path / "run",
        ("train", "lenet", "--json", *QUICK[:2], "--epochs", 12, "--set", "batch=100"),
    )
    running = process(*arguments, "--out", out)
    wait_for((out / "metrics.jsonl").exists, running)
    running.send_signal(number)
    printed, said = running.communicate(timeout=600)
    assert running.returncode == status
    assert re.search(
        rf"stopped in epoch \d+ of 12; --resume continues from there\ninkdigits: {says}\n$", said
    )
    assert "Traceback" not in said
    assert names(out) == {"metrics.jsonl", "state"}
    assert_refused(inkdigits_command(*arguments, "--out", out), "--resume")
    done = inkdigits_command(*arguments, "--out", out, "--resume")
    assert done.status == 0
    records = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    assert [record.get("epoch") for record in records] == [*range(1, 13), None]
    told = [*printed.splitlines(), *done.out.splitlines()]
    # The signal may come when an epoch is saved, but not yet printed.
    assert told == [line for line in map(json.dumps, records) if line in told]
    assert len(told) in (12, 13)
    assert names(out) == FILES
    whole = inkdigits_command(*arguments, "--out", tmp_path / "whole")
    assert (out / "model.safetensors").read_bytes() == (
        tmp_path / "whole" / "model.safetensors"
    ).read_bytes()
    unchanging = [key for key in EPOCH_KEYS if "second" not in key]
    for ours, theirs in zip(done.objects[-3:-1], whole.objects[-3:-1], strict=True):
        assert [ours[key] for key in unchanging] == [theirs[key] for key in unchanging]

    again = inkdigits_command(*arguments, "--out", out, "--resume")
    assert (again.status, again.objects) == (0, done.objects[-1:])
    assert caplog.messages[-1] == f"the run in {out} is already finished"


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="signals are POSIX")
def test_a_folder_takes_one_run_at_a_time_and_a_killed_run_leaves_it_free(
    tmp_path, inkdigits_command
):
    out = tmp_path / "run"
    arguments = (
        "train",
        "lenet",
        "--out",
        out,
        *QUICK[:2],
        "--epochs",
        9999,
        "--checkpoint-every",
        1,
    )
    running = process(*arguments)
    wait_for(lambda: any(out.glob("state/0*")), running)
    for given in (arguments, (*arguments, "--resume")):
        assert_refused(inkdigits_command(*given), f"another run is using {out}")

    running.kill()
    running.communicate(timeout=600)
    assert ".run.lock" in names(out)
    settings = (*arguments[:-4], "--epochs", 9998, "--resume")
    assert_refused(
        inkdigits_command(*settings), f"{out} holds another run, of epochs 9999, now 9998"
    )


@pytest.mark.parametrize("every", ["-1", "often", "1.5s", "60m", "s", ""])
def test_malformed_checkpoint_intervals_are_refused(every, inkdigits_command, tmp_path):
    done = inkdigits_command(
        "train", "lenet", "--out", tmp_path / "run", *QUICK, f"--checkpoint-every={every}"
    )
    assert_refused(done, "steps (500) or seconds (60s), or never (off)", repr(every))


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="limits are POSIX")
@pytest.mark.parametrize("bytes_", [100_000, 242_000])
def test_a_file_that_does_not_fit_leaves_nothing_half_written(bytes_, inkdigits_command, tmp_path):
    # The system really refuses here: at first the weights, then what comes after them.
    import resource

    out, before = tmp_path / "run", resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (bytes_, before[1]))
    try:
        done = inkdigits_command("train", "lenet", "--out", out, *QUICK)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)

    assert done.status == 2
    assert done.err.splitlines()[-1].startswith(f"inkdigits: cannot write {out}")
    assert "File too large" in done.err
    assert done.out == ""
    assert (
        not out.exists()
        if bytes_ < 241_128
        else names(out) == {"model.safetensors", "config.json", "metrics.jsonl", "state"}
    )


# ---- train: bad input


@pytest.mark.parametrize(
    ("recipe", "says"),
    [
        ("lenet5", "no recipe 'lenet5'; known: lenet, two-conv, dropout, sgd, batchnorm"),
        ("", "known: lenet"),
        ("../inkdigits/recipes/lenet", "known: lenet"),
        ("{place}/missing.toml", "no recipe"),
        ("{place}/folder.toml", "no recipe"),
        ("{place}/broken.toml", "is not a recipe"),
        ("{place}/binary.toml", "is not a recipe"),
        ("{place}/empty.toml", "names no network"),
        ("{place}/misspelt.toml", "no recipe key 'epohcs'; known: network"),
        ("{place}/wrong-type.toml", "epochs must be a whole number, not 'three'"),
        ("{place}/other-network.toml", "no network 'resnet'; known: lenet"),
        ("x" * 5000, "lenet"),
        ("x" * 5000 + ".toml", "xxx"),
    ],
)
def test_unusable_recipes_are_refused(recipe, says, place, inkdigits_command):
    out = place / "run"
    assert_refused(
        inkdigits_command("train", recipe.format(place=place), "--out", out, "--data", "optdigits"),
        says,
    )
    assert not out.exists()


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ("mnits", "no dataset 'mnits'; known: mnist, fashion-mnist"),
        ("{place}/missing", "no file or folder"),
        ("{place}/missing.npz", "no file or folder"),
        ("{place}/empty", "holds nothing"),
        ("{place}/without-classes", "expected pictures in folders called 0 to 9"),
        ("{place}/classes", "no pictures in folders called 0 to 9"),
        ("{place}/with-a-bad-picture", "is not a picture"),
        ("{place}/with-an-empty-picture", "0 bytes"),
        ("{place}/empty-file", "is empty"),
        ("{place}/text.txt", "neither IDX, .npz, .npy nor CSV"),
        ("{place}/wrong-magic-idx3-ubyte", "neither IDX, .npz, .npy nor CSV"),
        ("{place}/truncated-images-idx3-ubyte", "cut short"),
        ("{place}/narrow.csv", "line 1: 3 values; expected 784 pixels"),
        ("{place}/uneven.csv", "line 2: 784 values; line 1 has 785"),
        ("{place}/unlabelled.csv", "no labels"),
        ("{place}/words.csv", "line 2, column 1: 'many' is not a number"),
        ("{place}/no-zip.npz", "damaged or unusual zip"),
        ("{place}/two.npz", "too few digits to train on"),
        ("optdigits+mnits", "no dataset 'mnits'"),
        ("optdigits+fashion", "no dataset 'fashion'"),
        ("x" * 5000, "xxx"),
    ],
)
def test_unusable_data_are_refused(data, says, place, inkdigits_command):
    out, data = place / "run", data.format(place=place)
    done = inkdigits_command("train", "lenet", "--out", out, "--data", data)
    said = "".join(
        line for line in done.err.splitlines(keepends=True) if not line.startswith("reading ")
    )
    assert_refused(Outcome(done.status, done.out, said), says)
    assert not out.exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("option", "value", "says"),
    [
        ("--set", "epochs", "key=value, not 'epochs'; keys: network"),
        ("--set", "=3", "key=value"),
        ("--set", "", "key=value"),
        ("--set", "epohcs=3", "no recipe key 'epohcs'; known: network"),
        ("--set", "name=mine", "no recipe key 'name'"),
        ("--set", "epochs=three", "epochs must be a whole number, not 'three'"),
        ("--set", "epochs=2.5", "epochs must be a whole number"),
        ("--set", "batch=0", "batch must be at least 1, not 0"),
        ("--set", "learning_rate=0", "learning_rate must be above 0"),
        ("--set", "learning_rate=-1e-3", "learning_rate must be above 0"),
        ("--set", "learning_rate=inf", "learning_rate must be a finite number"),
        ("--set", "learning_rate=1e999", "learning_rate must be a finite number"),
        ("--set", "mean=nan", "mean must be a finite number"),
        ("--set", "sd=0", "sd must be above 0"),
        ("--set", "learning_rate=1" + "0" * 400, "learning_rate must be a finite number"),
        ("--set", "size=3", "cannot take digits of 3x3 pixels"),
        ("--set", "size=1000000", "size must be at most 64"),
        ("--set", "batch=" + "9" * 30, "batch must be at most 1,000,000,000"),
        ("--set", "epochs=" + "9" * 30, "epochs must be at most 1,000,000,000"),
        ("--set", "rotation=-1", "rotation"),
        ("--set", "network=resnet", "no network 'resnet'; known: lenet"),
        ("--set", "optimiser=lbfgs", "no optimiser 'lbfgs'; known: adam, adamw, sgd"),
        ("--set", "schedule=sine", "no schedule 'sine'; known: constant, cosine"),
        ("--set", "options.dropout=0.5", "no 'lenet' option 'dropout'"),
        ("--set", "options=3", "options must be a table"),
        ("--epochs", "0", "epochs must be at least 1, not 0"),
        ("--epochs", "-3", "epochs must be at least 1, not -3"),
        ("--seed", "-1", "a seed is a whole number from 0"),
        ("--seed", "9" * 30, "a seed is a whole number from 0"),
        ("--device", "tpu", "no device 'tpu'; known: auto, cpu, cuda, mps"),
        ("--init", "lenet5", "no model 'lenet5'; known:"),
        ("--init", "{place}/missing", "no model"),
        ("--init", "{place}/empty", "holds no config.json"),
        ("--init", "{place}/model.onnx", "is a file, and no network can be trained"),
        ("--out", "{place}/full", "exists and is not empty"),
        ("--out", "{place}/text.txt", "cannot write into"),
        ("--out", "{place}/text.txt/run", "cannot write into"),
        ("--out", "/proc/run", "cannot write into"),
        ("--out", "x" * 5000, "File name too long"),
    ],
)
def test_settings_that_make_no_sense_are_refused(option, value, says, place, inkdigits_command):
    before = sorted(place.rglob("*"))
    given = ("--out", place / "run", "--data", "optdigits", option, value.format(place=place))
    assert_refused(inkdigits_command("train", "lenet", *given), says)
    assert sorted(place.rglob("*")) == before
    assert (place / "full" / "thesis.txt").read_text() == "years of work"


@pytest.mark.parametrize("value", ["abc", "2", "-0.1", "[1]", "9" * 400])
def test_options_of_networks_that_make_no_sense_are_refused(value, place, inkdigits_command):
    given = ("--out", place / "run", "--data", "optdigits", "--set", f"options.dropout={value}")
    assert_refused(inkdigits_command("train", "batchnorm", *given), "dropout", value)


def test_a_device_that_is_not_here_is_refused_and_names_what_is(inkdigits_command, tmp_path):
    import torch

    absent = "mps" if torch.cuda.is_available() else "cuda"
    done = inkdigits_command(
        "train", "lenet", "--out", tmp_path / "run", "--data", "optdigits", "--device", absent
    )
    assert_refused(done, f"no {absent} device on this machine; here: cpu")
    assert not (tmp_path / "run").exists()


def test_init_with_another_network_names_both(trained, inkdigits_command, tmp_path):
    done = inkdigits_command(
        "train", "sgd", "--out", tmp_path / "run", "--data", "optdigits", "--init", trained
    )
    assert_refused(done, "the network 'lenet'", "trains 'classic'")


def test_data_that_cannot_be_downloaded_are_refused(offline, inkdigits_command, tmp_path):
    done = inkdigits_command(
        "train", "lenet", "--out", tmp_path / "run", "--data-dir", tmp_path / "data"
    )
    assert_refused(done, "no mirror delivered train-images-idx3-ubyte.gz", "Network is unreachable")
    assert not (tmp_path / "run").exists()
    assert [path for path in (tmp_path / "data").rglob("*") if path.is_file()] == []


@pytest.mark.slow
def test_pictures_that_cannot_be_used_are_listed_in_the_run_s_folder(tmp_path, inkdigits_command):
    digits = few_digits(200)
    for index, (image, label) in enumerate(zip(digits.images, digits.labels, strict=True)):
        place = tmp_path / "mine" / str(label)
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(place / f"{index:03}.png")
    bad = tmp_path / "mine" / "3" / "bad.png"
    bad.write_bytes(b"no picture")

    start = ("train", "lenet", "--epochs", "1", "--data", tmp_path / "mine", "--out")
    done = inkdigits_command(*start, tmp_path / "run")
    assert done.status == 1
    assert f"1 picture was left out, as {tmp_path / 'run' / 'unusable.csv'} says" in done.err
    header, row = (tmp_path / "run" / "unusable.csv").read_text().splitlines()
    assert header == "file,reason"
    assert row.startswith(f"{bad},")

    strict = inkdigits_command(*start, tmp_path / "other", "--strict")
    assert strict.status == 2
    assert "bad.png" in strict.err
    assert not (tmp_path / "other").exists()
