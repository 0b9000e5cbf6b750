"""What the README shows is run, as it stands there.

A block of the README is run where the line before it is a mark: `<!-- test -->`, or `<!-- test: output -->`, which also compares
what is printed with what the README shows, where `...` stands for anything. Three kinds of blocks can be marked: ```console, where
commands begin with `$ ` and the rest is their output; ```sh, where every line is a command; and ```python, where the comments
behind a # are the output. Commands are `inkdigits` and its arguments.

All blocks run one after the other in one new folder, so that one may use what another made. There lie the things that the README
takes for granted (`photo.jpg`, `digit.png`, `scans/`, `my-digits/`, `mine.toml`, an IDX file), and everything in the repository.
To be quick and to need no network, every training has one epoch of few digits, and every dataset with a name is optdigits.
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
from inkdigits import cli

ROOT = Path(__file__).parent.parent
BLOCK = re.compile(r"^<!-- test(?:: (?P<mode>\w+))? -->\n+```(?P<kind>\w*)\n(?P<text>.*?)^```", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True)
class Block:
    kind: str
    text: str
    line: int
    compare: bool


def marked_blocks(markdown: str) -> list[Block]:
    """Every marked block. Raises ValueError for a mark without a block, or one that cannot be run."""
    found = [
        Block(match["kind"], match["text"], markdown[: match.start("text")].count("\n") + 1, match["mode"] == "output")
        for match in BLOCK.finditer(markdown)
    ]
    if len(found) != markdown.count("<!-- test"):
        raise ValueError(f"{markdown.count('<!-- test')} marks, but {len(found)} blocks of code right behind one")
    for block in found:
        if block.kind not in ("console", "sh", "python"):
            raise ValueError(f"line {block.line}: a block of {block.kind!r} cannot be run")
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
    """One epoch, of optdigits unless the data are the reader's own."""
    match arguments:
        case ["data", action, _, *rest]:
            return ["data", action, "optdigits", *rest]
        case ["train" | "evaluate" | "compare" as command, *rest]:
            own = "--data" in rest and Path(rest[rest.index("--data") + 1]).exists()
            return [*arguments, *([] if own else ["--data", "optdigits"]), *(["--epochs", "1"] if command == "train" else [])]
    return arguments


def run_commands(block: Block, command: Callable[[list[str]], int]) -> None:
    for words, expected in commands(block):
        assert words[0] == "inkdigits", f"README line {block.line}: {words[0]!r} is not what this test can run"
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            status = command(quick(words[1:]))
        assert status == 0, f"README line {block.line}: `{shlex.join(words)}` ends with status {status}"
        if block.compare:
            compare(expected, printed.getvalue(), shlex.join(words))


def compare(expected: str, printed: str, what: str) -> None:
    same = doctest.OutputChecker().check_output(expected, printed, doctest.ELLIPSIS)
    assert same, f"{what} prints\n{printed}and the README says\n{expected}"


def run_python(block: Block, variables: dict[str, object]) -> None:
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(block.text, f"README.md line {block.line}", "exec"), variables)
    if block.compare:
        compare("\n".join(re.findall(r"# (.*)", block.text)) + "\n", printed.getvalue(), "the block")


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with what the README takes for granted."""
    for entry in ROOT.iterdir():
        if entry.name not in ("runs", "README.md") and not entry.name.startswith("."):
            (tmp_path / entry.name).symlink_to(entry)
    sample = ROOT / "tests" / "assets" / "sample.jpg"
    digits = few_digits(60)
    (tmp_path / "scans").mkdir()
    for place in (tmp_path / "photo.jpg", tmp_path / "scans" / "page.jpg"):
        shutil.copy(sample, place)
    for number, (field, label) in enumerate(zip(digits.images, digits.labels, strict=True)):
        (tmp_path / "my-digits" / str(label)).mkdir(parents=True, exist_ok=True)
        Image.fromarray(255 - np.kron(field, np.ones((4, 4), np.uint8))).save(tmp_path / "my-digits" / str(label) / f"{number}.png")
    shutil.copy(next((tmp_path / "my-digits").rglob("*.png")), tmp_path / "digit.png")
    (tmp_path / "mine.toml").write_text('network = "lenet"\nbatch = 64\n')
    header = bytes([0, 0, 8, 3, 0, 0, 0, 60, 0, 0, 0, 28, 0, 0, 0, 28])
    (tmp_path / "t10k-images-idx3-ubyte.gz").write_bytes(header + digits.images.tobytes())  # gzipped or not
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(sample.read_bytes())))
    one_epoch = functools.partial(inkdigits.train, data="optdigits", settings={"epochs": 1, "batch": 64})
    monkeypatch.setattr(inkdigits, "train", one_epoch)
    return tmp_path


def test_what_the_readme_shows_works(stage):
    blocks = marked_blocks((ROOT / "README.md").read_text())
    assert blocks, "README.md marks no block with <!-- test -->, so nothing that it shows is run"
    variables: dict[str, object] = {}
    for block in blocks:
        if block.kind == "python":
            run_python(block, variables)
        else:
            run_commands(block, cli.main)


# ---- the test itself catches what it should


PAGE = """
```sh
rm -rf everything
```
<!-- test -->
```sh
inkdigits recipes # all

```
text
<!-- test: output -->

```console
$ a
b
$ c
```
"""


def test_only_marked_blocks_are_run():
    first, second = marked_blocks(PAGE)
    assert (first.line, first.compare, commands(first)) == (7, False, [(["inkdigits", "recipes"], "")])
    assert (second.line, second.compare, commands(second)) == (14, True, [(["a"], "b\n"), (["c"], "")])


@pytest.mark.parametrize("page", ["<!-- test -->\ntext\n", "<!-- test -->\n```text\nhello\n```\n", "<!-- test -->\n"])
def test_a_mark_that_marks_nothing_is_an_error(page):
    with pytest.raises(ValueError, match=r"marks, but 0 blocks|'text' cannot be run"):
        marked_blocks(page)


def shown(command_and_output: str) -> Block:
    (block,) = marked_blocks(f"<!-- test: output -->\n```console\n$ {command_and_output}```\n")
    return block


def test_a_command_that_fails_or_prints_something_else_is_noticed():
    def command(arguments: list[str]) -> int:
        print("99.31 % right in 3.2 s")  # noqa: T201
        return 0 if arguments == ["recipes"] else 1

    run_commands(shown("inkdigits recipes\n99.31 % right in ... s\n"), command)
    for bad, says in (
        ("inkdigits serve\n", "ends with status 1"),
        ("inkdigits recipes\n98 % right\n", "README says"),
        ("pip install\n", "'pip' is not what this test can run"),
    ):
        with pytest.raises(AssertionError, match=says):
            run_commands(shown(bad), command)


def test_python_that_prints_something_else_is_noticed():
    (block,) = marked_blocks("<!-- test: output -->\n```python\nx = 41\nprint(x + 1)  # 42\n```\n")
    run_python(block, {})
    (block,) = marked_blocks("<!-- test: output -->\n```python\nprint(41)  # 42\n```\n")
    with pytest.raises(AssertionError, match="README says"):
        run_python(block, {})
