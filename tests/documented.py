"""Runs the blocks of code that a page of documentation shows, for the tests of README.md and of docs/.

A block is run where the line before it is a mark: `<!-- test -->`; `<!-- test: output -->`, which also compares what is printed
with what the page shows, where `...` stands for anything; or `<!-- test: figures -->`, where besides any number stands for any
other. Three kinds of blocks can be marked: ```console, where commands begin with `$ ` and the rest is their output; ```sh, where
every line is a command; and ```python, where the comments behind a print and on lines of their own are the output. Commands are
`inkdigits` and its arguments.

All blocks of a page run one after the other in one new folder, so that one may use what another made. There lie the things that
a page takes for granted (`photo.jpg`, `digit.png`, `scans/`, `my-digits/`, `mine.toml`, an IDX file, Kaggle's `train.csv` and
`test.csv`), and everything in the repository. To be quick and to need no network, trainings have one epoch of few digits where
the page does not say how many, and every dataset with a name is optdigits.
"""

import contextlib
import doctest
import functools
import io
import re
import shlex
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from few_digits import few_digits
from PIL import Image

import inkdigits
from inkdigits.command import cli
from inkdigits.training import models

ROOT = Path(__file__).parent.parent
BLOCK = re.compile(
    r"^<!-- test(?:: (?P<mode>\w+))? -->\n+```(?P<kind>\w*)\n(?P<text>.*?)^```",
    re.DOTALL | re.MULTILINE,
)
NUMBER = re.compile(r"\d+(?:[.,]\d+)*(?:e-?\d+)?")


@dataclass(frozen=True)
class Block:
    kind: str
    text: str
    where: str  # page and line
    mode: str | None  # output, figures, or None where nothing is compared


def marked_blocks(markdown: str, page: str) -> list[Block]:
    """Every marked block. Raises ValueError for a mark without a block, or one that cannot be run."""
    found = [
        Block(
            match["kind"],
            match["text"],
            f"{page} line {markdown[: match.start('text')].count(chr(10)) + 1}",
            match["mode"],
        )
        for match in BLOCK.finditer(markdown)
    ]
    if len(found) != markdown.count("<!-- test"):
        raise ValueError(
            f"{page}: {markdown.count('<!-- test')} marks, but {len(found)} blocks of code right behind one"
        )
    for block in found:
        if block.kind not in ("console", "sh", "python") or block.mode not in (
            None,
            "output",
            "figures",
        ):
            raise ValueError(
                f"{block.where}: a block of {block.kind!r} cannot be run for its {block.mode!r}"
            )
    return found


def commands(block: Block) -> list[tuple[list[str], str]]:
    """The arguments of each command, and the output shown below it."""
    if block.kind == "sh":
        shown = [(line, "") for line in block.text.splitlines()]
    else:
        shown = re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", block.text, re.MULTILINE)
    split = [(shlex.split(line, comments=True), output) for line, output in shown]
    return [(words, output) for words, output in split if words]


def quick(arguments: list[str]) -> list[str]:
    """Few epochs, of optdigits unless the data are the reader's own."""
    match arguments:
        case ["data", action, _, *rest]:
            return ["data", action, "optdigits", *rest]
        case ["train" | "evaluate" | "compare" as command, *rest]:
            own = "--data" in rest and Path(rest[rest.index("--data") + 1]).exists()
            epochs = ["--epochs", "1"] if command == "train" and "--epochs" not in rest else []
            return [*arguments, *([] if own else ["--data", "optdigits"]), *epochs]
    return arguments


def run(markdown: str, page: str) -> int:
    """Run all marked blocks of a page in the current folder, and return how many there were."""
    variables: dict[str, object] = {}
    blocks = marked_blocks(markdown, page)
    for block in blocks:
        if block.kind == "python":
            run_python(block, variables)
        else:
            run_commands(block, cli.main)
    return len(blocks)


def run_commands(block: Block, command: Callable[[list[str]], int]) -> None:
    for words, expected in commands(block):
        assert words[0] == "inkdigits", f"{block.where}: {words[0]!r} is not what this test can run"
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            status = command(quick(words[1:]))
        assert status == 0, f"{block.where}: `{shlex.join(words)}` ends with status {status}"
        compare(expected, printed.getvalue(), f"{block.where}: `{shlex.join(words)}`", block.mode)


def compare(expected: str, printed: str, what: str, mode: str | None) -> None:
    if mode is None:
        return
    wanted, got = (
        NUMBER.sub("#", text) if mode == "figures" else text for text in (expected, printed)
    )
    flags = doctest.ELLIPSIS | (doctest.NORMALIZE_WHITESPACE if mode == "figures" else 0)
    assert doctest.OutputChecker().check_output(wanted, got, flags), (
        f"{what} prints\n{printed}and the page says\n{expected}"
    )


def run_python(block: Block, variables: dict[str, object]) -> None:
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(block.text, block.where, "exec"), variables)
    shown = re.findall(r"^(?:.*\bprint\(.*  )? *# (.*)", block.text, re.MULTILINE)
    compare("\n".join(shown) + "\n", printed.getvalue(), block.where, block.mode)


def prepare(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make `folder` the current one, with what a page takes for granted."""
    for entry in ROOT.iterdir():
        if entry.name not in ("runs", "README.md") and not entry.name.startswith("."):
            (folder / entry.name).symlink_to(entry)
    sample = ROOT / "tests" / "assets" / "sample.jpg"
    digits = few_digits(60)
    (folder / "scans").mkdir()
    for place in (folder / "photo.jpg", folder / "scans" / "page.jpg"):
        shutil.copy(sample, place)
    for number, (field, label) in enumerate(zip(digits.images, digits.labels, strict=True)):
        (folder / "my-digits" / str(label)).mkdir(parents=True, exist_ok=True)
        Image.fromarray(255 - np.kron(field, np.ones((4, 4), np.uint8))).save(
            folder / "my-digits" / str(label) / f"{number}.png"
        )
    shutil.copy(next((folder / "my-digits").rglob("*.png")), folder / "digit.png")
    (folder / "mine.toml").write_text('network = "lenet"\nbatch = 64\n')
    header = bytes([0, 0, 8, 3, 0, 0, 0, 60, 0, 0, 0, 28, 0, 0, 0, 28])
    (folder / "t10k-images-idx3-ubyte.gz").write_bytes(
        header + digits.images.tobytes()
    )  # gzipped or not
    pixels, names = (
        digits.images.reshape(-1, 784),
        ",".join(f"pixel{number}" for number in range(784)),
    )
    np.savetxt(folder / "test.csv", pixels, "%d", ",", header=names, comments="")
    np.savetxt(
        folder / "train.csv",
        np.c_[digits.labels, pixels],
        "%d",
        ",",
        header=f"label,{names}",
        comments="",
    )
    (folder / "train.csv").write_text(
        _table(np.column_stack([digits.labels, digits.images.reshape(-1, 784)]), "label")
    )
    (folder / "test.csv").write_text(_table(digits.images.reshape(-1, 784)))
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(sample.read_bytes())))
    monkeypatch.setattr(models, "MODELS", dict(models.MODELS))  # a page may add one
    one_epoch = functools.partial(
        inkdigits.train, data="optdigits", settings={"epochs": 1, "batch": 64}
    )
    monkeypatch.setattr(inkdigits, "train", one_epoch)


def _table(rows: np.ndarray, *names: str) -> str:
    header = ",".join([*names, *(f"pixel{number}" for number in range(784))])
    return "\n".join([header, *(",".join(map(str, row)) for row in rows), ""])
