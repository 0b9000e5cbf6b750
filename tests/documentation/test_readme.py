"""The commands and programs in README.md run as they are shown; documented.py says how."""

import pytest
from documented import ROOT, Block, commands, marked_blocks, prepare, run, run_commands, run_python


@pytest.mark.slow
def test_what_the_readme_shows_works(tmp_path, monkeypatch):
    prepare(tmp_path, monkeypatch)
    ran = run((ROOT / "README.md").read_text(), "README.md")
    assert ran, "README.md marks no block with <!-- test -->, so nothing that it shows is run"


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
    first, second = marked_blocks(PAGE, "page")

    assert first.where == "page line 7"
    assert first.mode is None
    assert commands(first) == [(["inkdigits", "recipes"], "")]

    assert second.where == "page line 14"
    assert second.mode == "output"
    assert commands(second) == [(["a"], "b\n"), (["c"], "")]


@pytest.mark.parametrize(
    "page", ["<!-- test -->\ntext\n", "<!-- test -->\n```text\nhello\n```\n", "<!-- test -->\n"]
)
def test_a_mark_that_marks_nothing_is_an_error(page):
    with pytest.raises(ValueError, match=r"marks, but 0 blocks|'text' cannot be run"):
        marked_blocks(page, "page")


def shown(command_and_output: str, mode: str = "output") -> Block:
    (block,) = marked_blocks(
        f"<!-- test: {mode} -->\n```console\n$ {command_and_output}```\n", "page"
    )
    return block


def test_a_command_that_fails_or_prints_something_else_is_noticed():
    def command(arguments: list[str]) -> int:
        print("99.31 % right in 3.2 s")  # noqa: T201
        return 0 if arguments == ["recipes"] else 1

    run_commands(shown("inkdigits recipes\n99.31 % right in ... s\n"), command)
    run_commands(shown("inkdigits recipes\n98 % right in 0.5 s\n", "figures"), command)
    with pytest.raises(AssertionError, match="page says"):
        run_commands(shown("inkdigits recipes\n98 % wrong in 0.5 s\n", "figures"), command)
    for bad, says in (
        ("inkdigits serve\n", "ends with status 1"),
        ("inkdigits recipes\n98 % right\n", "page says"),
        ("pip install\n", "'pip' is not what this test can run"),
    ):
        with pytest.raises(AssertionError, match=says):
            run_commands(shown(bad), command)


def test_python_that_prints_something_else_is_noticed():
    def run_program(program: str) -> None:
        page = f"<!-- test: output -->\n```python\n{program}```\n"
        (block,) = marked_blocks(page, "page")
        run_python(block, {})

    run_program("x = 41\nprint(x + 1)  # 42\n")
    with pytest.raises(AssertionError, match="page says"):
        run_program("print(41)  # 42\n")
