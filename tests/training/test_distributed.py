"""Several processes train what one would; one of them writes; and when one dies, all can go on."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from few_digits import few_digits
from safetensors.numpy import load_file
from torch import nn

from inkdigits.core.errors import BadValue, InkdigitsError
from inkdigits.runs.resume import States
from inkdigits.training.distributed import ALONE, Group, SharedBatchNorm2d, share_statistics
from inkdigits.training.launch import place_in_group, restarts
from inkdigits.training.loop import Training, seeded_network
from inkdigits.training.models import Dropout
from inkdigits.training.recipe import load_recipe

ROOT = Path(__file__).parents[2]
# All that a step draws or shares: batch normalisation, dropout, augmentation, an average, a pass without augmentation, an uneven
# last batch. In small steps: max-pooling and ReLU make more and more of a rounding, as they choose.
SETTINGS = {
    "epochs": 2,
    "batch": 100,
    "optimiser": "sgd",
    "learning_rate": 0.002,
    "ema": 0.9,
    "clean_epochs": 1,
    "rotation": 10,
}
SETTINGS |= {"elastic": 1.0, "erasing": 4, "reduced_precision": "false"}
CLOSE = 2e-3  # of weights up to 1
COMMAND = [
    "-m",
    "inkdigits",
    "train",
    "batchnorm",
    "--data",
    "optdigits",
    "--json",
    "--device",
    "cpu",
]
COMMAND += [word for key, value in SETTINGS.items() for word in ("--set", f"{key}={value}")]


def environment(**more: str) -> dict[str, str]:
    clean = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith(("TORCHELASTIC", "RANK", "WORLD"))
    }
    return clean | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)} | more


def torchrun(processes: int, *options: str) -> list[str]:
    run = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc-per-node",
        str(processes),
    ]
    return [*run, *options, *COMMAND]


def output(command: list[str]) -> str:
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[dict[str, float]]]:
    """A run of one process, and what it said."""
    folder = tmp_path_factory.mktemp("alone") / "run"
    said = output([sys.executable, *COMMAND, "--out", str(folder)])
    return folder, [json.loads(line) for line in said.splitlines()]


def largest_difference(one: Path, other: Path) -> float:
    weights, others = (load_file(folder / "model.safetensors") for folder in (one, other))
    assert weights.keys() == others.keys()
    return max(
        float(np.abs(weights[name].astype(float) - others[name].astype(float)).max())
        for name in weights
    )


def test_two_processes_reach_what_one_reaches(
    alone: tuple[Path, list[dict[str, float]]], tmp_path: Path
) -> None:
    """And one of them speaks and writes."""
    said = [
        json.loads(line)
        for line in output([*torchrun(2), "--out", str(tmp_path / "run")]).splitlines()
    ]
    assert largest_difference(alone[0], tmp_path / "run") < CLOSE
    assert [record.keys() for record in said] == [record.keys() for record in alone[1]]
    for record, expected in zip(said, alone[1], strict=True):
        for key in (
            "train_loss",
            "train_accuracy",
            "validation_loss",
            "test_loss",
            "test_accuracy",
        ):
            assert record.get(key) == pytest.approx(expected.get(key), abs=CLOSE)
    written = {path.name for path in (tmp_path / "run").iterdir()}
    assert written == {
        "config.json",
        "metrics.jsonl",
        "model.onnx",
        "model.safetensors",
        "report.html",
    }


def wait_for(what, process: subprocess.Popen[str]) -> None:  # type: ignore[no-untyped-def]
    until = time.monotonic() + 120
    while not what():
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < until
        time.sleep(0.02)


def workers(parent: int) -> dict[int, int]:
    """The process of each rank."""
    found = {}
    for folder in Path("/proc").iterdir():
        with contextlib.suppress(OSError, ValueError, IndexError):
            if int((folder / "stat").read_text().rsplit(")", 1)[1].split()[1]) == parent:
                variables = dict(
                    pair.split("=", 1)
                    for pair in (folder / "environ").read_text().split("\0")
                    if "=" in pair
                )
                found[int(variables["RANK"])] = int(folder.name)
    return found


@pytest.mark.skipif(sys.platform != "linux", reason="finds the processes in /proc")
@pytest.mark.parametrize("rank", [0, 1])
def test_a_killed_process_is_started_again_and_all_go_on(
    alone: tuple[Path, list[dict[str, float]]], tmp_path: Path, rank: int
) -> None:
    run = tmp_path / "run"
    command = [*torchrun(2, "--max-restarts", "1"), "--checkpoint-every", "5", "--out", str(run)]
    process = subprocess.Popen(
        command, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    wait_for(lambda: bool(States(run)), process)
    os.kill(workers(process.pid)[rank], signal.SIGKILL)
    _, log = process.communicate(timeout=240)
    assert process.returncode == 0, log
    assert "going on in epoch" in log
    assert largest_difference(alone[0], run) < CLOSE


@pytest.mark.skipif(sys.platform != "linux", reason="finds the processes in /proc")
def test_a_signal_to_one_stops_all_after_the_same_step_and_one_process_can_go_on(
    alone: tuple[Path, list[dict[str, float]]], tmp_path: Path
) -> None:
    run = tmp_path / "run"
    command = [*torchrun(2), "--checkpoint-every", "5", "--out", str(run)]
    process = subprocess.Popen(
        command, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    wait_for(lambda: bool(States(run)), process)
    os.kill(workers(process.pid)[1], signal.SIGTERM)
    _, log = process.communicate(timeout=240)
    assert "inkdigits: terminated" in log
    assert "another process" not in log
    assert States(run)
    output([sys.executable, *COMMAND, "--out", str(run), "--resume"])
    assert largest_difference(alone[0], run) < CLOSE


def test_shares_cover_a_batch_once_and_differ_by_one_at_most() -> None:
    for size in (1, 2, 3, 7):
        for count in (7, 8, 100, 128):
            shares = [range(count)[Group(rank, size).share(count)] for rank in range(size)]
            assert [number for share in shares for number in share] == list(range(count))
            assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_shared_batch_normalisation_is_the_usual_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Alone, against PyTorch's: values, gradients and running statistics."""
    torch.manual_seed(0)
    x = torch.randn(20, 3, 5, 5, dtype=torch.float64).float() * 3 + 1
    usual, shared = nn.BatchNorm2d(3), nn.BatchNorm2d(3)
    share_statistics(nn.Sequential(shared), ALONE)
    assert isinstance(shared, SharedBatchNorm2d)
    seen = []
    for norm in (usual, shared):
        leaf = x.clone().requires_grad_()
        out = norm(leaf)
        (out * torch.linspace(-1, 1, x.numel()).view_as(out)).sum().backward()
        seen.append(
            (
                out,
                leaf.grad,
                norm.weight.grad,
                norm.bias.grad,
                norm.running_mean,
                norm.running_var,
                norm.eval()(x),
            )
        )
    for one, other in zip(*seen, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)


def test_the_shares_of_a_mask_are_the_whole_mask() -> None:
    """Dropout over a third of the batch each drops what it would drop of the whole."""
    x = torch.ones(10, 4, 3, 3).contiguous(memory_format=torch.channels_last)
    dropout = Dropout(0.5)
    torch.manual_seed(0)
    whole = dropout(x)
    parts = []
    for rank in range(3):
        share = Group(rank, 3).share(10)
        dropout.share, dropout.batch = share, 10
        torch.manual_seed(0)
        parts.append(dropout(x[share].contiguous(memory_format=torch.channels_last)))
    assert torch.equal(torch.cat(parts), whole)
    assert 0 < whole.eq(0).sum() < whole.numel()


def test_a_batch_with_fewer_digits_than_processes_is_refused_before_the_first_step() -> None:
    recipe = load_recipe("lenet", {"batch": 10})
    with pytest.raises(
        BadValue,
        match=r"^the last batch of a pass has 1 digits, too few for 2 processes; .* batch=11, may do$",
    ):
        Training(seeded_network(recipe, 0), recipe, few_digits(21), device="cpu", group=Group(0, 2))


def test_a_lost_connection_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(_: torch.Tensor) -> None:
        raise RuntimeError("Connection closed by peer [127.0.0.1]:1\nand where that was noticed")

    monkeypatch.setattr("torch.distributed.all_reduce", gone)
    with pytest.raises(
        InkdigitsError,
        match=r"^another process of this training has gone: Connection closed by peer \S+$",
    ):
        Group(0, 2).sum(torch.zeros(1))


def test_only_torchrun_makes_a_group(monkeypatch: pytest.MonkeyPatch) -> None:
    """Other launchers set RANK and WORLD_SIZE for purposes of their own."""
    for name in ("TORCHELASTIC_RUN_ID", "TORCHELASTIC_RESTART_COUNT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("RANK", "3")
    monkeypatch.setenv("WORLD_SIZE", "4")
    assert (place_in_group(), restarts()) == ((0, 1), 0)
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "none")
    monkeypatch.setenv("TORCHELASTIC_RESTART_COUNT", "2")
    assert (place_in_group(), restarts()) == ((3, 4), 2)


def test_an_ensemble_is_not_shared(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "inkdigits",
        "train",
        "ensemble",
        "--data",
        "optdigits",
        "--out",
        str(tmp_path / "run"),
    ]
    group = {"TORCHELASTIC_RUN_ID": "none", "RANK": "0", "WORLD_SIZE": "2"}
    done = subprocess.run(
        command, env=environment(**group), capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 2
    assert (
        done.stderr
        == "inkdigits: 'ensemble' trains 5 networks one after another; torchrun shares the work of one\n"
    )
    assert not (tmp_path / "run").exists()
