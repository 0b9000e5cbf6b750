"""A model file from elsewhere is tried in a process of its own before it is used.

The bytes of an .onnx file come in; an error is raised if they are of no use. A file may hold an
endless loop, ask for all memory, or crash the runtime: then only that process ends. What it tries
is in model_trial.py.
"""

import contextlib
import hashlib
import subprocess
import sys
from pathlib import Path

from inkdigits.core.errors import BadModel

PACKAGE = Path(__file__).parents[2]  # where `inkdigits` is imported from

# Of waiting. The process itself may compute for a few (model_trial.py), and others may want the
# processor: beside ten other processes on two processors, a good model of 120 MB took more than 10.
MAX_SECONDS = 60.0
MAX_MESSAGE = 400  # characters

# `-P`: nothing is imported from the folder where the command was started.
TRIAL = (
    "import sys; sys.path.insert(0, sys.argv[1]); "
    "from inkdigits.reading import model_trial; sys.exit(model_trial.main(sys.argv[2]))"
)

_passed = set[bytes]()  # hashes of files that have been tried here
_running = set["subprocess.Popen[bytes]"]()


def trust(onnx: bytes) -> None:
    """Take a file for harmless, because this process has made it."""
    _passed.add(hashlib.sha256(onnx).digest())


def check_model(onnx: bytes, path: Path) -> None:
    """Try a model in a process of its own, unless this file has been tried before.

    Args:
        onnx: the bytes of the file.
        path: where they are from, for the error.

    Raises:
        BadModel: the model is damaged or made for something else, takes too long or too much
            memory, holds a loop or data of other files, or answers with no probabilities.
    """
    digest = hashlib.sha256(onnx).digest()
    if digest in _passed:
        return

    problem = _try(onnx, path)
    if problem:
        raise BadModel(problem)

    _passed.add(digest)


def stop_checks() -> None:
    """End the processes that are trying models, so that nothing waits for them."""
    for process in list(_running):
        process.kill()


def _try(onnx: bytes, path: Path) -> str | None:
    """Return what is wrong with a model, or None."""
    command = [sys.executable, "-P", "-c", TRIAL, str(PACKAGE), str(path)]
    pipe = subprocess.PIPE
    try:
        process = subprocess.Popen(  # noqa: S603
            command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL
        )
    except (OSError, ValueError) as error:
        return f"{str(path)!r} cannot be tried in a process of its own: {error}"

    _running.add(process)
    try:
        said, _ = process.communicate(onnx, timeout=MAX_SECONDS)
    except subprocess.TimeoutExpired:
        return f"{str(path)!r} took too long: it was tried for {MAX_SECONDS:g} s"
    finally:
        _running.discard(process)
        process.kill()
        with contextlib.suppress(OSError):
            process.communicate()

    if process.returncode == 0:
        return None

    message = said.decode(errors="replace")
    printable = "".join(letter if letter.isprintable() else " " for letter in message)
    sentence = " ".join(printable.split())[:MAX_MESSAGE]
    return sentence or f"{str(path)!r} took too long, or ended the process that tried it"
