"""Fixtures of the tests of the command."""

import errno
from pathlib import Path

import numpy as np
import pytest
from command_line import (
    Command,
    Outcome,
)
from few_digits import few_digits
from PIL import Image

from inkdigits.command import cli
from inkdigits.data import download


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


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_network(trusts: object) -> None:
        raise OSError(errno.ENETUNREACH, "Network is unreachable")

    monkeypatch.setattr(download, "opener", no_network)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Return a folder full of things that cannot be used for training."""
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
