"""The command itself: help, wrong usage, output that is closed or full, recipes and datasets."""

import argparse
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from command_line import (
    Outcome,
    assert_refused,
    closed_output,
    process,
)
from few_digits import few_digits
from promised import names

import inkdigits
from inkdigits.command import arguments

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
    assert_refused(inkdigits_command(*arguments), says, "--help")


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


def test_a_closed_pipe_is_not_an_error(inkdigits_command, trained, tmp_path):
    np.save(tmp_path / "many.npy", few_digits(50).images)
    with closed_output():
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


def test_reading_and_measuring_need_no_torch_and_no_rich(trained, tmp_path):
    np.savez(tmp_path / "some.npz", images=few_digits(5).images, labels=few_digits(5).labels)
    program = f"""
import sys
for name in ("torch", "rich", "matplotlib", "safetensors", "onnx", "sklearn", "filelock"):
    sys.modules[name] = None
from inkdigits.command.cli import main
path, model = {str(tmp_path / "some.npz")!r}, {str(trained)!r}
sys.exit(
    main(["read", path, "--model", model])
    or main(["evaluate", model, "--data", path])
    or main(["data", "list"])
)
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
    program = f"""
import sys
sys.modules["torch"] = None
from inkdigits.command.cli import main
sys.exit(main({list(arguments)!r}))
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=tmp_path
    )
    assert done.returncode == 2
    assert re.fullmatch(
        r"inkdigits: \w+ needs more than the core install: pip install 'inkdigits\[train\]'\n",
        done.stderr,
    )
    assert names(tmp_path) == set()


# ---- recipes and data


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
        assert {"name", "source", "published", "measured", "summary", "network"} <= set(recipe)
        assert ("epochs" in recipe) == (recipe["name"] != "page")

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


def test_data_verify_and_fetch_leave_complete_datasets_alone(
    inkdigits_command, mnist, data_dir, offline
):
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
    assert_refused(inkdigits_command("data", action, "mnits"), "no dataset 'mnits'; known: mnist")


def test_a_download_that_fails_or_has_no_place_is_one_sentence(
    inkdigits_command, offline, tmp_path
):
    assert_refused(
        inkdigits_command("data", "fetch", "kmnist", "--data-dir", tmp_path),
        "no mirror delivered",
        "Network is unreachable",
    )
    (tmp_path / "file").touch()
    assert_refused(
        inkdigits_command("data", "fetch", "kmnist", "--data-dir", tmp_path / "file"),
        "cannot write",
    )
