"""One reader in a process of its own: it is asked on standard input and answers on standard output.

Questions and answers are lines of JSON. Before the first question it says which version it is, or
why it cannot read here. Only what a reader needs is imported, so that another project's reader
runs with the Python of that project's environment:

    question  {"path": "a.png", "single": false, "line": true}
    answer    {"text": "12-34", "digits": [[1, 0.99], ...], "guess": 1, "milliseconds": 20.5,
               "error": null}

`text` holds digits alone, rows of writing joined by "-". `digits` has each of them with its
confidence, and `guess` is the surest candidate, accepted or not, where the reader tells.
Milliseconds are processor time, also that of a program that is started for the picture: what else
runs on the machine makes little difference.

    python -m benchmarks.handwriting.worker tesseract
"""

import json
import os
import re
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from importlib import import_module
from importlib.metadata import version
from shutil import which
from typing import Any

Answer = dict[str, Any]  # text, and what else the reader tells
Read = Callable[[dict[str, Any]], Answer]  # from a question

# What RapidOCR is told with every call: it keeps what it was told the last time.
WHOLE = {"use_det": True, "use_cls": True, "use_rec": True}
LINE_ALONE = {"use_det": False, "use_cls": False, "use_rec": True}
ONE_THREAD = {
    "EngineConfig.onnxruntime.intra_op_num_threads": 1,
    "EngineConfig.onnxruntime.inter_op_num_threads": 1,
    "Global.log_level": "error",
}

# Tesseract's page segmentation modes.
ONE_BLOCK = "6"
ONE_LINE = "7"
ONE_CHARACTER = "10"


class Missing(Exception):
    """A reader that is not installed; the message says what to install."""


def digits_alone(text: str) -> str:
    """Return the digits of a text without everything else."""
    return re.sub("[^0-9]", "", text)


def joined(rows: Sequence[str]) -> str:
    """Join the digits of rows of writing; rows without any are left out."""
    return "-".join(filter(None, map(digits_alone, rows)))


# ---- readers


def ours(model: str = "default") -> tuple[str, Read]:
    """Read with this project. Returns its version and the function that reads."""
    from inkdigits.core.errors import BadPicture
    from inkdigits.reading.recogniser import Recogniser

    recogniser = Recogniser(model, threads=1)

    def read(question: dict[str, Any]) -> Answer:
        try:
            reading = recogniser.read(question["path"], single=question["single"])
        except BadPicture as error:
            raise OSError(str(error)) from error

        accepted = [digit for digit in reading.digits if digit.accepted]
        rows = list(dict.fromkeys(digit.line for digit in accepted))
        in_order = sorted(accepted, key=lambda digit: rows.index(digit.line))
        text = (reading.text or "").replace("\n", "-")
        digits = [(digit.digit, digit.confidence) for digit in in_order]
        surest = max(reading.digits, key=lambda digit: digit.confidence, default=None)
        return {"text": text, "digits": digits, "guess": surest.digit if surest else None}

    return f"{version('inkdigits')}, `{model}`", read


def rapidocr(manner: dict[str, bool]) -> tuple[str, Read]:
    """Read with RapidOCR, told the same with every call. Returns its version and the function."""
    try:
        package: Any = import_module("rapidocr")
    except ImportError as error:
        raise Missing(f"{error}; `make opponents` installs it") from error

    engine = package.RapidOCR(params=ONE_THREAD)

    def read(question: dict[str, Any]) -> Answer:
        found: Any = engine(question["path"], **manner)
        texts = found.txts or ()
        boxes = getattr(found, "boxes", None)
        return {"text": joined(list(texts) if boxes is None else in_rows(boxes, texts))}

    return version("rapidocr"), read


def in_rows(boxes: Sequence[Any], texts: Sequence[str]) -> list[str]:
    """Join texts that stand side by side, from left to right.

    Args:
        boxes: for each text its corners, (4, 2), in pixels.
        texts: as many.

    Returns:
        Rows from top to bottom. A text belongs to the row whose first text has its own centre
        within its height.
    """
    rows: list[list[tuple[float, str]]] = []
    lowest = float("-inf")
    for top, bottom, left, text in sorted(
        (min(y for _, y in box), max(y for _, y in box), min(x for x, _ in box), text)
        for box, text in zip(boxes, texts, strict=True)
    ):
        if (top + bottom) / 2 > lowest:
            rows.append([])
            lowest = bottom

        rows[-1].append((left, text))

    return ["".join(text for _, text in sorted(row)) for row in rows]


def tesseract() -> tuple[str, Read]:
    """Read with Tesseract's program, told what it looks at. Returns its version and the function.

    It is started for each picture, as its users do, from Python as well.
    """
    program = which("tesseract")
    if program is None:
        raise Missing("no program tesseract; apt-get install tesseract-ocr")

    def read(question: dict[str, Any]) -> Answer:
        allowed = ["-c", "tessedit_char_whitelist=0123456789"]
        command = [program, question["path"], "stdout", "--psm", mode_of(question), *allowed]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise OSError(done.stderr.strip().rpartition("\n")[2])

        return {"text": joined(done.stdout.splitlines())}

    told = subprocess.run([program, "--version"], capture_output=True, text=True, check=True)
    return told.stdout.split()[1], read


def mode_of(question: dict[str, Any]) -> str:
    """Return the page segmentation mode that suits a picture best."""
    if question["single"]:
        return ONE_CHARACTER

    return ONE_LINE if question["line"] else ONE_BLOCK


def start(name: str, model: str) -> tuple[str, Read]:
    """Start a reader by its name. Raises Missing, KeyError."""
    if name == "inkdigits":
        return ours(model)

    others = {
        "rapidocr": lambda: rapidocr(WHOLE),
        "rapidocr-line": lambda: rapidocr(LINE_ALONE),
        "tesseract": tesseract,
    }
    return others[name]()


# ---- questions and answers


def processor_seconds() -> float:
    """Return the processor time of this process and of all that it started and that has ended."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def answer(read: Read, question: dict[str, Any]) -> dict[str, Any]:
    """Read one picture; a picture that cannot be read has no text, but an error."""
    found: Answer = {"text": "", "digits": [], "guess": None, "error": None}
    began = processor_seconds()
    try:
        found |= read(question)
    except Exception as failed:  # other projects' readers raise all kinds
        found["error"] = f"{type(failed).__name__}: {failed}"

    took = 1000 * (processor_seconds() - began)
    return found | {"milliseconds": took}


def main(arguments: Sequence[str]) -> None:
    """Answer questions until there are no more. arguments: the reader's name, and our model's."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what readers print must not stand among the answers

    def say(told: dict[str, Any]) -> None:
        print(json.dumps(told), file=answers, flush=True)

    name, model = [*arguments, "default"][:2]
    try:
        told, read = start(name, model)
    except Missing as missing:
        say({"missing": str(missing)})
        return

    say({"version": told})
    for line in sys.stdin:
        say(answer(read, json.loads(line)))


if __name__ == "__main__":
    main(sys.argv[1:])
