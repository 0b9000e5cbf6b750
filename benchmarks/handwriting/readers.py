"""The readers that are compared, each in a process of its own, on one thread.

A reader is a name, what it can read, and a function from a picture to what it read.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.common import ROOT
from benchmarks.handwriting.rows import Case
from inkdigits.core.errors import InkdigitsError

OURS = "inkdigits"
OPPONENTS = {
    "rapidocr": "RapidOCR",
    "rapidocr-line": "RapidOCR, its line recogniser",
    "tesseract": "Tesseract",
}
ONE_LINE_ONLY = frozenset({"rapidocr-line"})  # readers that cannot find lines in a page
THREAD_SETTINGS = (
    "OMP_NUM_THREADS",
    "OMP_THREAD_LIMIT",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENCV_FOR_THREADS_NUM",
)


class NotInstalled(InkdigitsError):
    """A reader is not there; the message says why."""


class ReaderEnded(InkdigitsError):
    """The process of a reader ended before it answered."""


@dataclass(frozen=True)
class Answer:
    """What a reader made of one picture.

    Attributes:
        text: digits, rows of writing joined by "-"; empty where it read none.
        digits: each digit of the text with its confidence, where the reader tells.
        guess: the surest candidate, accepted or not, where the reader tells.
        milliseconds: of processor time.
        error: why the picture could not be read.
    """

    text: str
    digits: tuple[tuple[int, float], ...] = ()
    guess: int | None = None
    milliseconds: float = 0.0
    error: str | None = None


@dataclass(frozen=True)
class Reader:
    """A reader that answers from a process of its own (worker.py).

    Attributes:
        name: as worker.py calls it.
        title: its name in tables.
        version: of what reads.
        process: which reads.
    """

    name: str
    title: str
    version: str
    process: "subprocess.Popen[str]"

    def can_read(self, case: Case) -> bool:
        """Tell whether it is meant for such pictures: some need one line of writing."""
        return case.one_line or self.name not in ONE_LINE_ONLY

    def read(self, case: Case) -> Answer:
        """Read one picture. Raises ReaderEnded."""
        question = {"path": str(case.path), "single": case.single, "line": case.one_line}
        assert self.process.stdin
        line = json.dumps(question) + "\n"
        try:
            # Past the buffer of stdin, which would fail again when the process is ended.
            os.write(self.process.stdin.fileno(), line.encode())
        except BrokenPipeError as error:
            raise ReaderEnded(f"{self.title} ended before {case.path}") from error

        told = _next_line(self.process, f"{self.title} at {case.path}")
        digits = tuple((int(digit), float(sure)) for digit, sure in told["digits"])
        return Answer(told["text"], digits, told["guess"], told["milliseconds"], told["error"])


@contextmanager
def started(name: str, python: Path, model: str = "default") -> Iterator[Reader]:
    """Start a reader and end it afterwards.

    Args:
        name: OURS or one of OPPONENTS.
        python: the interpreter in whose environment it is installed.
        model: of ours.

    Raises:
        NotInstalled: it is not there.
    """
    command = [os.fspath(python), "-m", "benchmarks.handwriting.worker", name, model]
    title = OPPONENTS.get(name, name)
    pipe = subprocess.PIPE
    environment = os.environ | dict.fromkeys(THREAD_SETTINGS, "1")
    try:
        process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdin=pipe, stdout=pipe, text=True
        )
    except OSError as error:
        raise NotInstalled(f"{title}: cannot start {python}: {error.strerror}") from error

    with process:
        try:
            told = _next_line(process, f"{title} at its start")
            if "missing" in told:
                raise NotInstalled(f"{title}: {told['missing']}")

            yield Reader(name, title, told["version"], process)
        finally:
            process.kill()


@contextmanager
def all_started(
    opponents: Sequence[str], opponent_python: Path, model: str
) -> Iterator[tuple[list[Reader], list[str]]]:
    """Start our reader and its opponents.

    Yields:
        Those that are there, ours first, and for each other a line that says why it is not.
    """
    with ExitStack() as stack:
        readers = [stack.enter_context(started(OURS, Path(sys.executable), model))]
        skipped = []
        for name in opponents:
            try:
                readers.append(stack.enter_context(started(name, opponent_python)))
            except NotInstalled as missing:
                skipped.append(str(missing))

        yield readers, skipped


def _next_line(process: "subprocess.Popen[str]", place: str) -> dict[str, Any]:
    """Return the next object that a process says. Raises ReaderEnded."""
    assert process.stdout
    line = process.stdout.readline()
    if not line:
        raise ReaderEnded(f"{place}: the process ended with status {process.wait()}")

    return json.loads(line)
