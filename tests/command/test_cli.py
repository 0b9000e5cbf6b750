"""The command as people and scripts meet it: results on standard output, one clear sentence on standard error, an honest status."""

import argparse
import contextlib
import errno
import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from few_digits import few_digits
from PIL import Image
from promised import EPOCH_KEYS, EVALUATION_KEYS, FILES, FINAL_KEYS, names

import inkdigits
from inkdigits.command import arguments, cli
from inkdigits.data import download
from inkdigits.data.datasets import load_dataset
from inkdigits.evaluation.metrics import percent
from inkdigits.reading.explanation import folder as explained

GOING_ON = ("--resume", "--checkpoint-every")
QUICK = ("--data", "optdigits", "--epochs", "1", "--set", "batch=256")


@dataclass(frozen=True)
class Outcome:
    status: int
    out: str
    err: str

    @property
    def objects(self) -> list[dict]:
        return [json.loads(line) for line in self.out.splitlines()]


Command = Callable[..., Outcome]


@pytest.fixture
def inkdigits_command(capsys: pytest.CaptureFixture[str]) -> Command:
    """Run `inkdigits ARGUMENTS` in this process."""

    def run(*arguments: object) -> Outcome:
        capsys.readouterr()
        try:
            status = cli.main([str(argument) for argument in arguments])
        except SystemExit as stopped:  # --help, --version and wrong usage
            status = int(stopped.code or 0)
        return Outcome(status, *capsys.readouterr())

    return run


def process(*arguments: object, **options: object) -> subprocess.Popen[str]:
    """`python -m inkdigits ARGUMENTS` as a process of its own."""
    command = [sys.executable, "-W", "error", "-m", "inkdigits", *map(str, arguments)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(command, text=True, preexec_fn=_hear_ctrl_c, **pipes | options)


def _hear_ctrl_c() -> None:
    """Where the tests run in the background of a shell, SIGINT is ignored, and children inherit that."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_network(trusts: object) -> None:
        raise OSError(errno.ENETUNREACH, "Network is unreachable")

    monkeypatch.setattr(download, "opener", no_network)


def refused(outcome: Outcome, *says: str, status: int = 2) -> None:
    """Nothing but one sentence on standard error, which says so."""
    assert outcome.status == status, outcome
    assert outcome.out == ""
    assert re.fullmatch(r"inkdigits[ a-z]*: \S[^\n]*\n", outcome.err), outcome.err
    for word in says:
        assert word in outcome.err


# ---- the command itself


def parsers(parser: argparse.ArgumentParser) -> list[argparse.ArgumentParser]:
    below = [
        action.choices.values()
        for action in parser._actions
        if isinstance(action, argparse._SubParsersAction)
    ]
    return [parser, *(each for group in below for child in group for each in parsers(child))]


COMMANDS = parsers(arguments.build_parser())


@pytest.mark.parametrize(
    "parser", COMMANDS, ids=lambda parser: parser.prog.replace("inkdigits", "").strip() or "itself"
)
def test_help_explains_every_option(parser, inkdigits_command):
    helped = inkdigits_command(*parser.prog.split()[1:], "--help")
    assert (helped.status, helped.err) == (0, "")
    for action in parser._actions:
        for name in action.option_strings or ([action.metavar] if action.metavar else []):
            assert name in helped.out
        commands = isinstance(action, argparse._SubParsersAction)
        assert commands or (action.help and action.help != argparse.SUPPRESS), (
            f"{parser.prog} {action.dest} is not explained"
        )


def test_the_commands_and_options_are_those_that_others_rely_on():
    promised = {
        "inkdigits read": {"--single", "--json", "--model", "--explain"},
        "inkdigits train": {
            "--out",
            "--data",
            "--seed",
            "--epochs",
            "--device",
            "--set",
            "--init",
            "--json",
            "--data-dir",
            "--resume",
            "--checkpoint-every",
        },
        "inkdigits evaluate": {"--data", "--split", "--json", "--report", "--data-dir"},
        "inkdigits recipes": {"--json"},
        "inkdigits data list": {"--json", "--data-dir"},
        "inkdigits data fetch": {"--json", "--data-dir"},
        "inkdigits data verify": {"--json", "--data-dir"},
        "inkdigits export": {"-o", "--json", "--data-dir"},
        "inkdigits data export-feedback": {"--json"},
        "inkdigits serve": {"--host", "--port", "--model", "--collect"},
        "inkdigits sweep": {
            "--out",
            "--trials",
            "--jobs",
            "--engine",
            "--data",
            "--device",
            "--json",
            "--data-dir",
        },
    }
    offered = {
        parser.prog: {name for action in parser._actions for name in action.option_strings}
        for parser in COMMANDS
    }
    assert {prog: options - offered[prog] for prog, options in promised.items()} == {
        prog: set() for prog in promised
    }


def test_python_m_inkdigits_is_the_command():
    running = process("--version")
    assert running.communicate() == (f"inkdigits {inkdigits.__version__}\n", "")
    assert running.returncode == 0


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((), "COMMAND"),
        (("raed", "x.png"), "choose from"),
        (("read",), "PATH"),
        (("read", "--modle", "x", "y.png"), "--modle"),
        (("train", "lenet"), "--out"),
        (("train", "lenet", "--out", "x", "--epochs", "many"), "'many'"),
        (("train", "lenet", "--out", "x", "--seed", "1.5"), "'1.5'"),
        (("export", "default"), "-o"),
        (("data",), "ACTION"),
        (("data", "delete", "mnist"), "choose from"),
        (("recipes", "--jso"), "--jso"),
    ],
)
def test_wrong_usage_is_a_sentence_and_status_2(arguments, says, inkdigits_command):
    refused(inkdigits_command(*arguments), says, "--help")


def test_a_full_disk_behind_standard_output_gives_one_sentence():
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full here")
    with open("/dev/full", "w") as full:  # noqa: PTH123 (a device)
        running = process("recipes", stdout=full)
        assert (
            running.communicate()[1]
            == "inkdigits: cannot write to standard output: No space left on device\n"
        )
    assert running.returncode == 2


@contextlib.contextmanager
def nobody_reads():
    """Standard output is a pipe whose other end is closed, as behind `| head`."""
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as pipe, contextlib.redirect_stdout(pipe):
        yield


def test_a_closed_pipe_is_not_an_error(inkdigits_command, trained, tmp_path):
    np.save(tmp_path / "many.npy", few_digits(50).images)
    with nobody_reads():
        assert inkdigits_command(
            "read", "--json", "--model", trained, tmp_path / "many.npy"
        ) == Outcome(0, "", "")


def test_head_in_a_shell_gets_its_lines_and_no_error(trained, tmp_path):
    np.save(tmp_path / "many.npy", np.tile(few_digits(50).images, (100, 1, 1)))
    running = process("read", "--json", "--model", trained, tmp_path / "many.npy")
    assert json.loads(running.stdout.readline())["path"].endswith("many.npy[0]")
    running.stdout.close()
    assert running.stderr.read() == ""
    assert running.wait() == 0
    running.stderr.close()


# ---- read --explain


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder with two pictures, of which the second is damaged."""
    (tmp_path / "photos").mkdir()
    digits = np.concatenate([np.pad(field, 8) for field in few_digits(3).images], axis=1)
    Image.fromarray(255 - np.kron(digits, np.ones((3, 3), np.uint8))).save(
        tmp_path / "photos" / "good.png"
    )
    (tmp_path / "photos" / "wrong.png").write_bytes(b"no picture")
    return tmp_path / "photos"


@pytest.mark.parametrize("json_option", [(), ("--json",)])
def test_explaining_leaves_a_picture_of_each_picture_and_changes_nothing_else(
    json_option, photos, trained, inkdigits_command
):
    without = inkdigits_command("read", photos, "--model", trained, *json_option)
    why = photos / "why"  # inside what is read: explanations are no pictures of it
    for _ in range(2):
        done = inkdigits_command("read", photos, "--model", trained, *json_option, "--explain", why)
        assert (done.status, done.out) == (without.status, without.out) == (1, without.out)
        assert done.err == without.err + f"inkdigits: 1 explanation in {why}\n"
        assert names(why) == {"good.png.png"}
    with Image.open(why / "good.png.png") as image:
        image.load()


def test_a_folder_that_cannot_be_written_is_reported_before_anything_is_read(
    photos, trained, inkdigits_command, monkeypatch
):
    given = io.TextIOWrapper(io.BytesIO((photos / "good.png").read_bytes()))
    monkeypatch.setattr(sys, "stdin", given)
    refused(
        inkdigits_command("read", "-", "--model", trained, "--explain", photos / "good.png"),
        "cannot write into",
        "good.png",
    )
    assert given.buffer.tell() == 0


def test_an_unknown_model_leaves_no_folder_for_explanations(
    photos, inkdigits_command, tmp_path
):
    refused(
        inkdigits_command("read", photos, "--model", "none-such", "--explain", tmp_path / "why"),
        "none-such",
    )
    assert not (tmp_path / "why").exists()


def test_only_the_first_images_of_a_large_array_are_explained(
    trained, inkdigits_command, tmp_path, monkeypatch
):
    monkeypatch.setattr(explained, "MOST_OF_A_FILE", 3)
    np.save(tmp_path / "many.npy", few_digits(20).images)
    done = inkdigits_command(
        "read", tmp_path / "many.npy", "--json", "--model", trained, "--explain", tmp_path / "why"
    )
    assert (done.status, len(done.objects)) == (0, 20)
    assert names(tmp_path / "why") == {f"many.npy[{index}].png" for index in range(3)}
    assert "3 explanations" in done.err
    assert "only the first 3" in done.err


# ---- train


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
    refused(done, "seed")  # which is no key of a recipe
    done = inkdigits_command(
        "train", "lenet", "--json", "--seed", 7, "--out", tmp_path / "run", *QUICK
    )
    epoch, final = done.objects
    assert (list(epoch), list(final)) == (EPOCH_KEYS, FINAL_KEYS)
    assert (final["recipe"], final["seed"], final["epochs"]) == ("lenet", 7, 1)
    assert done.out == (tmp_path / "run" / "metrics.jsonl").read_text()


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
    """Real digits as pictures, sorted into folders: dark on white, as a scanner gives them."""
    digits = few_digits(200)
    for label in range(10):
        (folder / str(label)).mkdir(parents=True)
        for number, field in enumerate(digits.images[digits.labels == label][:each]):
            large = 255 - np.kron(field, np.ones((4, 4), np.uint8))
            Image.fromarray(large).save(folder / str(label) / f"{number}.png")
    return folder


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


def test_a_run_continues_when_its_output_is_closed(quick, inkdigits_command, tmp_path):
    with nobody_reads():
        done = inkdigits_command("train", "lenet", "--json", "--out", tmp_path / "run", *QUICK)
    assert done.status == 0
    assert names(tmp_path / "run") == FILES


def wait_for(
    condition: Callable[[], bool], running: subprocess.Popen[str], seconds: float = 600
) -> None:
    patience = time.monotonic() + seconds
    while not condition():
        assert running.poll() is None, running.communicate()
        assert time.monotonic() < patience, "nothing happened"
        time.sleep(0.01)


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
    sent = time.monotonic()
    running.send_signal(number)
    printed, said = running.communicate(timeout=600)
    assert running.returncode == status
    assert time.monotonic() - sent < 30  # 5 seconds where nothing else runs
    assert re.search(
        rf"stopped in epoch \d+ of 12; --resume goes on from there\ninkdigits: {says}\n$", said
    )
    assert "Traceback" not in said
    assert names(out) == {"metrics.jsonl", "state"}
    refused(inkdigits_command(*arguments, "--out", out), "--resume")
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
    assert caplog.messages[-1] == f"the run in {out} is finished"


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
        refused(inkdigits_command(*given), f"another run is at work in {out}")
    running.kill()
    running.communicate(timeout=600)
    assert ".run.lock" in names(out)
    settings = (*arguments[:-4], "--epochs", 9998, "--resume")
    refused(inkdigits_command(*settings), f"{out} holds another run, of epochs 9999, now 9998")


@pytest.mark.parametrize("every", ["-1", "often", "1.5s", "60m", "s", ""])
def test_malformed_checkpoint_intervals_are_refused(every, inkdigits_command, tmp_path):
    done = inkdigits_command(
        "train", "lenet", "--out", tmp_path / "run", *QUICK, f"--checkpoint-every={every}"
    )
    refused(done, "steps (500) or seconds (60s), or never (off)", repr(every))


@pytest.mark.skipif(os.name != "posix", reason="limits are POSIX")
@pytest.mark.parametrize("bytes_", [100_000, 242_000])
def test_a_file_that_does_not_fit_leaves_nothing_half_written(bytes_, inkdigits_command, tmp_path):
    """The system really refuses here: at first the weights, then what comes after them."""
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


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder full of things that cannot be trained with."""
    files: dict[str, str | bytes] = {
        "broken.toml": "network = ",
        "empty.toml": "",
        "misspelt.toml": 'network = "lenet"\nepohcs = 3\n',
        "wrong-type.toml": 'network = "lenet"\nepochs = "three"\n',
        "binary.toml": b"\xff\xfe\x00",
        "other-network.toml": 'network = "resnet"\n',
        "empty-file": b"",
        "wrong-magic-idx3-ubyte": bytes([0, 0, 0x77, 3]) + bytes(100),
        "truncated-images-idx3-ubyte": bytes([0, 0, 8, 3, 0, 0, 0, 9, 0, 0, 0, 28, 0, 0, 0, 28])
        + bytes(784),
        "narrow.csv": "label,pixel0,pixel1\n1,2,3\n",
        "uneven.csv": "\n".join([",".join(["0"] * 785), ",".join(["0"] * 784)]),
        "unlabelled.csv": ",".join(["0"] * 784) + "\n",
        "words.csv": ",".join(["label", *(f"pixel{i}" for i in range(784))])
        + "\n"
        + ",".join(["many"] * 785)
        + "\n",
        "no-zip.npz": b"PK\x03\x04",
        "text.txt": "once upon a time",
        "with-a-bad-picture/3/bad.png": "no picture",
        "with-an-empty-picture/3/bad.png": b"",
        "model.onnx": "no network",
        "full/thesis.txt": "years of work",
    }
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    np.savez(tmp_path / "two.npz", images=few_digits(2).images, labels=few_digits(2).labels)
    for name in ("folder.toml", "empty", "without-classes", "classes/0"):
        (tmp_path / name).mkdir(parents=True)
    Image.new("L", (50, 50), 255).save(tmp_path / "without-classes" / "a.png")
    return tmp_path


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
        ("{place}/misspelt.toml", "no key of a recipe 'epohcs'; known: network"),
        ("{place}/wrong-type.toml", "epochs must be a whole number, not 'three'"),
        ("{place}/other-network.toml", "no network 'resnet'; known: lenet"),
        ("x" * 5000, "lenet"),
        ("x" * 5000 + ".toml", "xxx"),
    ],
)
def test_unusable_recipes_are_refused(recipe, says, place, inkdigits_command):
    out = place / "run"
    refused(
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
        ("{place}/words.csv", "line 2: 'many' is not a whole number"),
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
    refused(Outcome(done.status, done.out, said), says)
    assert not out.exists()


@pytest.mark.parametrize(
    ("option", "value", "says"),
    [
        ("--set", "epochs", "key=value, not 'epochs'; keys: network"),
        ("--set", "=3", "key=value"),
        ("--set", "", "key=value"),
        ("--set", "epohcs=3", "no key of a recipe 'epohcs'; known: network"),
        ("--set", "name=mine", "no key of a recipe 'name'"),
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
        ("--set", "size=1000000", "size must be at most 1,024"),
        ("--set", "batch=" + "9" * 30, "batch must be at most 1,000,000,000"),
        ("--set", "epochs=" + "9" * 30, "epochs must be at most 1,000,000,000"),
        ("--set", "rotation=-1", "rotation"),
        ("--set", "network=resnet", "no network 'resnet'; known: lenet"),
        ("--set", "optimiser=lbfgs", "no optimiser 'lbfgs'; known: adam, adamw, sgd"),
        ("--set", "schedule=sine", "no schedule 'sine'; known: constant, cosine"),
        ("--set", "options.dropout=0.5", "no option of network 'lenet' 'dropout'"),
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
    refused(inkdigits_command("train", "lenet", *given), says)
    assert sorted(place.rglob("*")) == before
    assert (place / "full" / "thesis.txt").read_text() == "years of work"


@pytest.mark.parametrize("value", ["abc", "2", "-0.1", "[1]", "9" * 400])
def test_options_of_networks_that_make_no_sense_are_refused(value, place, inkdigits_command):
    given = ("--out", place / "run", "--data", "optdigits", "--set", f"options.dropout={value}")
    refused(inkdigits_command("train", "batchnorm", *given), "dropout", value)


def test_a_device_that_is_not_here_is_refused_and_names_what_is(inkdigits_command, tmp_path):
    import torch

    absent = "mps" if torch.cuda.is_available() else "cuda"
    done = inkdigits_command(
        "train", "lenet", "--out", tmp_path / "run", "--data", "optdigits", "--device", absent
    )
    refused(done, f"no {absent} device on this machine; here: cpu")
    assert not (tmp_path / "run").exists()


def test_init_with_another_network_names_both(trained, inkdigits_command, tmp_path):
    done = inkdigits_command(
        "train", "sgd", "--out", tmp_path / "run", "--data", "optdigits", "--init", trained
    )
    refused(done, "the network 'lenet'", "trains 'classic'")


def test_data_that_cannot_be_downloaded_are_refused(offline, inkdigits_command, tmp_path):
    done = inkdigits_command(
        "train", "lenet", "--out", tmp_path / "run", "--data-dir", tmp_path / "data"
    )
    refused(done, "no mirror delivered train-images-idx3-ubyte.gz", "Network is unreachable")
    assert not (tmp_path / "run").exists()
    assert [path for path in (tmp_path / "data").rglob("*") if path.is_file()] == []


# ---- evaluate


def test_evaluate_json_is_one_object_that_agrees_with_the_training(inkdigits_command, trained):
    done = inkdigits_command(
        "evaluate", trained, "--data", "optdigits", "--split", "test", "--json"
    )
    (figures,) = done.objects
    final = json.loads((trained / "config.json").read_text())["final"]
    assert (done.status, done.err) == (0, "")
    assert list(figures) == EVALUATION_KEYS
    assert figures["accuracy"] == pytest.approx(final["test_accuracy"], abs=1e-6)
    assert figures["f1_macro"] == pytest.approx(final["test_f1_macro"], abs=1e-6)
    assert (
        figures["n"] == sum(map(sum, figures["confusion"])) == len(load_dataset("optdigits").test)
    )
    assert list(figures["per_class"][0]) == ["digit", "precision", "recall", "f1", "support"]


def test_evaluate_says_the_same_to_people(inkdigits_command, trained):
    figures = inkdigits_command("evaluate", trained, "--data", "optdigits", "--json").objects[0]
    said = inkdigits_command("evaluate", trained, "--data", "optdigits")
    assert f"{100 * figures['accuracy']:.2f} %" in said.out
    assert max(map(len, said.out.splitlines()[1:])) <= 80  # the first holds the model's path


def test_data_that_a_model_has_not_learned_from_are_measured_in_full(
    inkdigits_command, trained, tmp_path
):
    seen = inkdigits_command("evaluate", trained, "--data", "optdigits", "--json").objects[0]
    assert seen["split"] == "test"
    np.savez(tmp_path / "mine.npz", images=few_digits(40).images, labels=few_digits(40).labels)
    new = inkdigits_command("evaluate", trained, "--data", tmp_path / "mine.npz", "--json").objects[
        0
    ]
    assert (new["split"], new["n"]) == ("all", 40)


def test_evaluate_writes_a_report(inkdigits_command, trained, tmp_path):
    done = inkdigits_command(
        "evaluate", trained, "--data", "optdigits", "--report", tmp_path / "report.html", "--json"
    )
    assert done.status == 0
    assert len(done.objects) == 1
    assert str(tmp_path / "report.html") in done.err
    assert "<html" in (tmp_path / "report.html").read_text()


@pytest.mark.parametrize("name", ["text.txt/report.html", "full", "/proc/report.html"])
def test_a_report_that_cannot_be_written_is_one_sentence(name, inkdigits_command, trained, place):
    done = inkdigits_command(
        "evaluate", trained, "--data", "optdigits", "--report", place / name, "--json"
    )
    assert done.status == 2
    assert len(done.objects) == 1  # what was measured is not lost
    assert done.err.startswith(f"inkdigits: cannot write {place / name}")


@pytest.mark.parametrize(
    ("model", "says"),
    [
        ("lenet5", "no model 'lenet5'; known:"),
        ("{place}/missing.onnx", "no model"),
        ("{place}/empty", "holds no model.onnx"),
        ("{place}/model.onnx", "damaged or no ONNX model"),
        ("{place}/text.txt", "is no .onnx file"),
        ("{place}/empty-file", "is no .onnx file"),
        ("x" * 5000, "xxx"),
    ],
)
def test_unusable_models_are_refused(model, says, place, inkdigits_command):
    Image.new("L", (50, 50), 255).save(place / "a.png")
    model = model.format(place=place)
    refused(inkdigits_command("evaluate", model, "--data", "optdigits"), says)
    refused(inkdigits_command("read", place / "a.png", "--model", model), says)


def test_an_unknown_split_is_refused_with_the_known_ones(trained, inkdigits_command):
    done = inkdigits_command("evaluate", trained, "--data", "optdigits", "--split", "trian")
    refused(done, "no split in optdigits: 'trian'; known: train, validation, test, all")


# ---- read


def picture(path: Path, index: int = 0) -> Path:
    Image.fromarray(255 - np.kron(few_digits(20).images[index], np.ones((6, 6), np.uint8))).save(
        path
    )
    return path


def test_read_json_is_one_object_a_picture_in_input_order(inkdigits_command, trained, tmp_path):
    good, other = picture(tmp_path / "b.png"), picture(tmp_path / "a.png", 1)
    done = inkdigits_command(
        "read", "--json", "--model", trained, good, tmp_path / "missing.png", other
    )
    assert done.status == 1
    assert [found["path"] for found in done.objects] == [
        str(good),
        str(tmp_path / "missing.png"),
        str(other),
    ]
    assert [list(found) for found in done.objects] == [
        ["path", "text", "digits", "warnings", "error"]
    ] * 3
    first, missing, last = done.objects
    assert missing["text"] is None
    assert missing["digits"] == []
    assert missing["error"]["code"] == "not_found"
    assert done.err == f"inkdigits: {missing['error']['message']}\n"
    for found in (first, last):
        assert found["error"] is None
        assert set(found["digits"][0]) - {"reason"} == {"digit", "confidence", "accepted", "box"}


def test_read_prints_what_it_found_for_people(inkdigits_command, trained, tmp_path):
    good = picture(tmp_path / "good.png")
    done = inkdigits_command("read", "--single", "--model", trained, good)
    assert (done.status, done.err) == (0, "")
    assert re.fullmatch(
        re.escape(str(good)) + r": (\d  \d+\.\d% sure|no digit  \(.*\)).*\n", done.out
    )
    done = inkdigits_command("read", "--model", trained, tmp_path / "missing.png", good)
    assert done.status == 1
    assert done.out.splitlines()[0] == f"{tmp_path / 'missing.png'}: could not be read"
    assert len(done.out.splitlines()) == 2


def test_read_numbers_the_images_of_a_file(inkdigits_command, trained, tmp_path):
    np.savez(tmp_path / "some.npz", images=few_digits(3).images)
    done = inkdigits_command("read", "--json", "--model", trained, tmp_path / "some.npz")
    assert [found["path"] for found in done.objects] == [
        f"{tmp_path / 'some.npz'}[{index}]" for index in range(3)
    ]


def test_read_takes_a_picture_on_standard_input(inkdigits_command, trained, tmp_path, monkeypatch):
    for data, status in ((picture(tmp_path / "good.png").read_bytes(), 0), (b"", 1)):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
        done = inkdigits_command("read", "-", "--json", "--model", trained)
        assert done.status == status
        assert done.objects[0]["path"] == "-"


def test_an_empty_folder_is_status_1(inkdigits_command, trained, tmp_path):
    done = inkdigits_command("read", "--json", "--model", trained, tmp_path)
    assert done.status == 1
    assert done.objects[0]["error"]["code"] == "empty"


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such names")
def test_file_names_that_are_not_unicode_can_be_printed_and_read_back(inkdigits_command, trained, tmp_path):
    name = os.fsencode(tmp_path) + b"/\xff\xfe.png"
    picture(tmp_path / "good.png").rename(os.fsdecode(name))
    done = inkdigits_command("read", "--json", "--model", trained, os.fsdecode(name))
    assert os.fsencode(done.objects[0]["path"]) == name
    assert inkdigits_command("read", "--model", trained, os.fsdecode(name)).status == 0


def test_file_names_cannot_control_the_terminal(inkdigits_command, trained, tmp_path):
    name = tmp_path / "\x1b]0;owned\x07\n\r.png"
    done = inkdigits_command("read", "--model", trained, picture(name), tmp_path / "\x1b[2J.png")
    assert re.search(r"[^\n -~]", done.out + done.err) is None
    assert len(done.out.splitlines()) == 2


def test_reading_and_measuring_need_no_torch_and_no_rich(trained, tmp_path):
    np.savez(tmp_path / "some.npz", images=few_digits(5).images, labels=few_digits(5).labels)
    program = f"""
import sys
for name in ("torch", "rich", "matplotlib", "safetensors", "onnx", "sklearn", "filelock"):
    sys.modules[name] = None
from inkdigits.command.cli import main
path, model = {str(tmp_path / "some.npz")!r}, {str(trained)!r}
sys.exit(main(["read", path, "--model", model]) or main(["evaluate", model, "--data", path]) or main(["data", "list"]))
"""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    "arguments",
    [("train", "lenet", "--out", "run"), ("export", "x", "-o", "x.onnx"), ("reproduce",)],
)
def test_without_torch_the_extra_is_named(arguments, tmp_path):
    program = f"import sys; sys.modules['torch'] = None; from inkdigits.command.cli import main; sys.exit(main({list(arguments)!r}))"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=tmp_path
    )
    assert done.returncode == 2
    assert re.fullmatch(
        r"inkdigits: \w+ needs more than the core install: pip install 'inkdigits\[train\]'\n",
        done.stderr,
    )
    assert names(tmp_path) == set()


# ---- recipes, data, export


def test_recipes_are_listed_with_their_evidence(inkdigits_command):
    shipped = json.loads(inkdigits_command("recipes", "--json").out)
    assert [recipe["name"] for recipe in shipped[:5]] == [
        "lenet",
        "two-conv",
        "dropout",
        "sgd",
        "batchnorm",
    ]
    for recipe in shipped:
        assert {"source", "published", "measured", "summary", "network", "epochs"} <= set(recipe)
    said = inkdigits_command("recipes").out
    assert all(recipe["name"] in said and recipe["summary"] in said for recipe in shipped)
    assert "98.76 %" in said


def test_data_list_tells_what_is_here(inkdigits_command, tmp_path):
    listed = json.loads(inkdigits_command("data", "list", "--json", "--data-dir", tmp_path).out)
    here = {dataset["name"]: dataset["present"] for dataset in listed}
    assert here["optdigits"]
    assert not here["mnist"]
    assert all(
        name in inkdigits_command("data", "list", "--data-dir", tmp_path).out for name in here
    )


def test_data_verify_is_status_1_where_files_are_missing(inkdigits_command, tmp_path):
    done = inkdigits_command("data", "verify", "mnist", "--data-dir", tmp_path, "--json")
    assert done.status == 1
    assert [finding["right"] for finding in json.loads(done.out)] == [False] * 4
    assert "missing" in inkdigits_command("data", "verify", "mnist", "--data-dir", tmp_path).out
    assert inkdigits_command("data", "verify", "optdigits").status == 0


def test_data_verify_and_fetch_leave_complete_datasets_alone(inkdigits_command, mnist, data_dir, offline):
    assert inkdigits_command("data", "verify", "mnist", "--data-dir", data_dir).status == 0
    done = inkdigits_command("data", "fetch", "mnist", "--data-dir", data_dir, "--json")
    assert json.loads(done.out) == {"name": "mnist", "folder": str(data_dir / "mnist")}
    assert done.err == ""  # the network is not touched


def test_data_fetch_says_when_there_is_nothing_to_fetch(inkdigits_command, tmp_path):
    assert (
        json.loads(
            inkdigits_command("data", "fetch", "optdigits", "--json", "--data-dir", tmp_path).out
        )["folder"]
        is None
    )
    assert (
        "nothing to fetch"
        in inkdigits_command("data", "fetch", "optdigits", "--data-dir", tmp_path).out
    )


@pytest.mark.parametrize("action", ["fetch", "verify"])
def test_unknown_datasets_are_refused_with_the_known_ones(action, inkdigits_command):
    refused(inkdigits_command("data", action, "mnits"), "no dataset 'mnits'; known: mnist")


def test_a_download_that_fails_or_has_no_place_is_one_sentence(inkdigits_command, offline, tmp_path):
    refused(
        inkdigits_command("data", "fetch", "kmnist", "--data-dir", tmp_path),
        "no mirror delivered",
        "Network is unreachable",
    )
    (tmp_path / "file").touch()
    refused(
        inkdigits_command("data", "fetch", "kmnist", "--data-dir", tmp_path / "file"),
        "cannot write",
    )


def test_export_writes_a_file_that_reads(inkdigits_command, trained, tmp_path):
    done = inkdigits_command(
        "export", trained, "-o", tmp_path / "digits.onnx", "--json", "--data-dir", tmp_path
    )
    (written,) = done.objects
    assert (done.status, written["path"]) == (0, str(tmp_path / "digits.onnx"))
    assert written["bytes"] == (tmp_path / "digits.onnx").stat().st_size
    assert written["largest_difference"] < 1e-4
    assert (
        inkdigits_command("evaluate", tmp_path / "digits.onnx", "--data", "optdigits").status == 0
    )
    assert (
        "differ"
        in inkdigits_command(
            "export", trained, "-o", tmp_path / "digits.onnx", "--data-dir", tmp_path
        ).out
    )


@pytest.mark.parametrize(
    ("model", "output", "says"),
    [
        ("lenet5", "x.onnx", "no model 'lenet5'"),
        ("{place}/empty", "x.onnx", "holds no config.json"),
        ("{place}/model.onnx", "x.onnx", "is a file"),
        ("{trained}", "full", "cannot write"),
        ("{trained}", "text.txt/x.onnx", "cannot write"),
        ("{trained}", "nowhere/x.onnx", "cannot write"),
    ],
)
def test_impossible_exports_are_refused(model, output, says, place, trained, inkdigits_command):
    before, model = sorted(place.rglob("*")), model.format(place=place, trained=trained)
    refused(inkdigits_command("export", model, "-o", place / output, "--data-dir", place), says)
    assert sorted(place.rglob("*")) == before
