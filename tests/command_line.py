"""The command for tests: run it in this process or as its own, and look at what it printed."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from few_digits import few_digits
from PIL import Image

QUICK = ("--data", "optdigits", "--epochs", "1", "--set", "batch=256")


@dataclass(frozen=True)
class Outcome:
    """What a command has ended with."""

    status: int
    out: str
    err: str

    @property
    def objects(self) -> list[dict]:
        """The objects of JSON on standard output, one a line."""
        return [json.loads(line) for line in self.out.splitlines()]


Command = Callable[..., Outcome]


def process(*arguments: object, **options: object) -> subprocess.Popen[str]:
    """Start `python -m inkdigits ARGUMENTS` as a process of its own."""
    command = [sys.executable, "-W", "error", "-m", "inkdigits", *map(str, arguments)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(command, text=True, preexec_fn=hear_ctrl_c, **pipes | options)


def hear_ctrl_c() -> None:
    """Hear Ctrl-C also where the tests run in the background of a shell, which ignores it."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def assert_refused(outcome: Outcome, *says: str, status: int = 2) -> None:
    """Assert that a command has printed one sentence on standard error, which says this."""
    assert outcome.status == status, outcome
    assert outcome.out == ""
    assert re.fullmatch(r"inkdigits[ a-z]*: \S[^\n]*\n", outcome.err), outcome.err
    for word in says:
        assert word in outcome.err


@contextlib.contextmanager
def closed_output() -> Iterator[None]:
    """Make standard output a pipe whose other end is closed, as after `| head`."""
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as pipe, contextlib.redirect_stdout(pipe):
        yield


def wait_for(
    condition: Callable[[], bool], running: subprocess.Popen[str], seconds: float = 600
) -> None:
    """Wait until a condition holds; fail if the process ends or the time is over."""
    patience = time.monotonic() + seconds
    while not condition():
        assert running.poll() is None, running.communicate()
        assert time.monotonic() < patience, "nothing happened"
        time.sleep(0.01)


def save_digit(path: Path, index: int = 0) -> Path:
    """Save a picture of one large digit."""
    large = np.kron(few_digits(20).images[index], np.ones((6, 6), np.uint8))
    Image.fromarray(255 - large).save(path)
    return path
