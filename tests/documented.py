"""Run the blocks of code that a page of documentation shows, for the tests of README.md and docs/.

A block is run if the line before it is a mark:

    <!-- test -->           run it
    <!-- test: output -->   also compare its output with the page; `...` stands for any text
    <!-- test: figures -->  the same, but any number stands for any other

Three kinds of blocks can be marked: ```console, where commands begin with `$ ` and the lines below
are their output; ```sh, where every line is a command; and ```python, where comments behind a
`print` and on lines of their own are the output. Commands are `inkdigits` and its arguments.

All blocks of a page run in order in one new folder, so that a block can use what an earlier one
made. The folder contains links to everything in the repository, and the files that pages mention
(`prepare` makes them). To be quick and work offline, trainings have one epoch of few digits unless
the page says how many, and all named datasets are optdigits.
"""

import contextlib
import doctest
import functools
import io
import re
import shlex
import shutil
import subprocess
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
MARK = re.compile(r"^<!-- test", re.MULTILINE)
NUMBER = re.compile(r"\d+(?:[.,]\d+)*(?:e-?\d+)?")
KINDS = ("console", "sh", "python")
MODES = (None, "output", "figures")


@dataclass(frozen=True)
class Block:
    """A marked block of code of a page."""

    kind: str
    text: str
    where: str  # page and line
    mode: str | None  # output, figures, or None if nothing is compared


def marked_blocks(markdown: str, page: str) -> list[Block]:
    """Return every marked block of a page.

    Raises:
        ValueError: there is a mark without a block, or with a block that cannot be run.
    """
    blocks = []
    for match in BLOCK.finditer(markdown):
        line = markdown.count("\n", 0, match.start("text")) + 1
        blocks.append(Block(match["kind"], match["text"], f"{page} line {line}", match["mode"]))

    marks = len(MARK.findall(markdown))
    if len(blocks) != marks:
        raise ValueError(
            f"{page}: {marks} marks, but {len(blocks)} blocks of code right behind one"
        )

    for block in blocks:
        if block.kind not in KINDS or block.mode not in MODES:
            raise ValueError(
                f"{block.where}: a block of {block.kind!r} cannot be run for its {block.mode!r}"
            )
    return blocks


def commands(block: Block) -> list[tuple[list[str], str]]:
    """Return the words of each command of a block, and the output shown below it."""
    if block.kind == "sh":
        shown = [(line, "") for line in block.text.splitlines()]
    else:
        shown = re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", block.text, re.MULTILINE)

    split = [(shlex.split(line, comments=True), output) for line, output in shown]
    return [(words, output) for words, output in split if words]


def quick(arguments: list[str]) -> list[str]:
    """Return a command's arguments with few epochs, and optdigits unless `--data` is a path."""
    match arguments:
        case ["data", action, _, *rest]:
            return ["data", action, "optdigits", *rest]

        case ["train" | "evaluate" | "compare" as command, *rest]:
            quicker = list(arguments)
            if "--data" not in rest or not Path(rest[rest.index("--data") + 1]).exists():
                quicker += ["--data", "optdigits"]
            if command == "train" and "--epochs" not in rest:
                quicker += ["--epochs", "1"]
            return quicker

    return arguments


def run(markdown: str, page: str) -> int:
    """Run all marked blocks of a page in the current folder, and return their number."""
    variables: dict[str, object] = {}
    blocks = marked_blocks(markdown, page)

    for block in blocks:
        if block.kind == "python":
            run_python(block, variables)
        else:
            run_commands(block, cli.main)

    return len(blocks)


def run_commands(block: Block, command: Callable[[list[str]], int]) -> None:
    """Run the commands of a block; each has to succeed, and to print what the page shows."""
    for words, expected in commands(block):
        assert words[0] == "inkdigits", f"{block.where}: {words[0]!r} is not what this test can run"

        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            status = command(quick(words[1:]))

        what = f"{block.where}: `{shlex.join(words)}`"
        assert status == 0, f"{what} ends with status {status}"
        compare(expected, printed.getvalue(), what, block.mode)


def run_python(block: Block, variables: dict[str, object]) -> None:
    """Run a block of Python; it has to print what its comments show."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(block.text, block.where, "exec"), variables)

    shown = re.findall(r"^(?:.*\bprint\(.*  )? *# (.*)", block.text, re.MULTILINE)
    compare("\n".join(shown) + "\n", printed.getvalue(), block.where, block.mode)


def compare(expected: str, printed: str, what: str, mode: str | None) -> None:
    """Assert that the printed output is the expected one, as the block's mode demands."""
    if mode is None:
        return

    flags = doctest.ELLIPSIS
    texts = (expected, printed)
    if mode == "figures":
        flags |= doctest.NORMALIZE_WHITESPACE
        texts = (NUMBER.sub("#", expected), NUMBER.sub("#", printed))

    assert doctest.OutputChecker().check_output(*texts, flags), (
        f"{what} prints\n{printed}and the page says\n{expected}"
    )


def prepare(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make `folder` the current folder, with the files that pages mention."""
    _link_repository(folder)
    _write_pictures(folder)
    _write_arrays(folder)
    (folder / "mine.toml").write_text('network = "lenet"\nbatch = 64\n')

    monkeypatch.chdir(folder)
    picture = io.BytesIO((folder / "photo.jpg").read_bytes())
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(picture))
    monkeypatch.setattr(models, "MODELS", dict(models.MODELS))  # a page may add one

    settings = {"epochs": 1, "batch": 64}
    one_epoch = functools.partial(inkdigits.train, data="optdigits", settings=settings)
    monkeypatch.setattr(inkdigits, "train", one_epoch)


def _link_repository(folder: Path) -> None:
    for entry in ROOT.iterdir():
        if entry.name not in ("runs", "README.md") and not entry.name.startswith("."):
            (folder / entry.name).symlink_to(entry)


def _write_pictures(folder: Path) -> None:
    """Write photo.jpg, scans/, digit.png, and the class folders my-digits/0 to 9."""
    sample = ROOT / "tests" / "assets" / "sample.jpg"
    shutil.copy(sample, folder / "photo.jpg")
    (folder / "scans").mkdir()
    shutil.copy(sample, folder / "scans" / "page.jpg")

    digits = few_digits(60)
    for number, (image, label) in enumerate(zip(digits.images, digits.labels, strict=True)):
        place = folder / "my-digits" / str(label) / f"{number}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        enlarged = 255 - np.kron(image, np.ones((4, 4), np.uint8))
        Image.fromarray(enlarged).save(place)

    shutil.copy(next((folder / "my-digits").rglob("*.png")), folder / "digit.png")


def _write_arrays(folder: Path) -> None:
    """Write an IDX file, and Kaggle's train.csv and test.csv."""
    digits = few_digits(60)
    header = bytes([0, 0, 8, 3, 0, 0, 0, 60, 0, 0, 0, 28, 0, 0, 0, 28])
    not_gzipped = folder / "t10k-images-idx3-ubyte.gz"
    not_gzipped.write_bytes(header + digits.images.tobytes())

    pixels = digits.images.reshape(60, 784)
    names = ",".join(f"pixel{number}" for number in range(784))
    _write_csv(folder / "test.csv", names, pixels)
    _write_csv(folder / "train.csv", f"label,{names}", np.c_[digits.labels, pixels])


def _write_csv(path: Path, header: str, rows: np.ndarray) -> None:
    np.savetxt(path, rows, "%d", ",", header=header, comments="")


# ---- the site

BUILD = """
import logging, sys
from mkdocs.commands.build import build
from mkdocs.config import load_config

logging.basicConfig()
build(load_config("mkdocs.yml", docs_dir=sys.argv[1], site_dir=sys.argv[2]))
"""


def build_site(docs: Path, site: Path) -> subprocess.CompletedProcess[str]:
    """Build assembled pages into a site, as `make docs` does."""
    command = [sys.executable, "-c", BUILD, str(docs), str(site)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600)
