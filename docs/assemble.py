"""Assemble the documentation: the pages of docs/ and all they include, as Markdown and pictures.

    python docs/assemble.py            into build/docs, which is replaced
    python docs/assemble.py FOLDER     into a new folder

A comment on a line of its own is replaced by what it names, so that pages cannot fall behind the
code:

    <!-- source: inkdigits.training.augmentation.augment -->  code of a function, class or constant
    <!-- source: inkdigits.training.recipe.Recipe fields -->  code of a class up to its first method
    <!-- file: inkdigits/training/recipes/lenet.toml -->      a whole file
    <!-- help -->                                    the --help of every command
    <!-- endpoints -->                               the endpoints in /openapi.json
    <!-- notebooks -->                               links to the notebooks
    <!-- explain: tests/assets/sample.jpg faint -->  how the shipped model reads a picture; if a
                                                     word follows, one spoilt that way (SPOILT)

Notebooks become pages. A link to a file outside docs/ becomes a link to the repository, and a
picture from there is copied. mkdocs.yml says how the site looks.
"""

import argparse
import base64
import json
import os
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import griffe
from PIL import Image, ImageFilter

import inkdigits
from inkdigits.command import arguments
from inkdigits.service import openapi
from inkdigits.service.application import MAX_JSON
from inkdigits.service.connections import MAX_BODY

DOCS = Path(__file__).parent
FIGURES = DOCS / "figures"  # scripts, data and pictures of the live figures
ROOT = DOCS.parent
BUILT = ROOT / "build" / "docs"
REPOSITORY = "https://github.com/inkdigits/inkdigits/blob/main"
ROOT_PAGES = {"CHANGELOG.md": "changelog.md", "CONTRIBUTING.md": "contributing.md"}
LESSONS = [  # in this order
    *("mnist", "from-scratch", "your-own-digits", "how-a-page-is-read", "inside-the-network"),
    *("how-sure", "is-it-better", "from-99-to-99.8"),
]
PICTURE_SUFFIXES = (".png", ".jpg", ".svg")
HELP_COLUMNS = 92

INCLUDE = re.compile(
    r"^<!-- (source|file|help|endpoints|notebooks|explain)(?:: (.+))? -->$", re.MULTILINE
)
LINK = re.compile(r"(?<=\]\()(?![a-z]+:|#)([^)#\s]+)")
FENCED = re.compile(r"^(```+).*?^\1", re.DOTALL | re.MULTILINE)
METHOD = re.compile(r"\n+    (?:@|def )")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


def _tilted(picture: Image.Image) -> Image.Image:
    return picture.rotate(45, expand=True, fillcolor=picture.getpixel((3, 3)))


def _faint(picture: Image.Image) -> Image.Image:
    paper = Image.new("RGB", picture.size, picture.getpixel((3, 3)))
    return Image.blend(picture, paper, 0.9)


SPOILT: dict[str, Callable[[Image.Image], Image.Image]] = {
    "blurred": lambda picture: picture.filter(ImageFilter.GaussianBlur(8)),
    "cut": lambda picture: picture.crop((0, 0, picture.width, picture.height // 2)),
    "faint": _faint,
    "small": lambda picture: picture.resize((60, 60 * picture.height // picture.width)),
    "tilted": _tilted,
    "upside-down": lambda picture: picture.rotate(180),
}


def assemble(out: Path) -> None:
    """Write all pages and pictures into the new folder `out`.

    Raises:
        FileExistsError: `out` exists.
        KeyError: a comment names code, or a way to spoil a picture, that does not exist.
        FileNotFoundError: a comment or a link names a file that does not exist.
    """
    out.mkdir(parents=True)

    for path in sorted(DOCS.rglob("*")):
        place = out / path.relative_to(DOCS)
        if path.suffix == ".md":
            _write(place, build_page(path.read_text(), path, place, out))
        elif path.suffix in (*PICTURE_SUFFIXES, ".css") or path.parent == FIGURES:
            _copy(path, place)

    for name, page in ROOT_PAGES.items():
        path = ROOT / name
        _write(out / page, build_page(path.read_text(), path, out / page, out))

    for path in notebooks():
        place = out / "notebooks" / f"{path.stem}.md"
        _write(place, build_page(_notebook_page(path, place), path, place, out))


def notebooks() -> list[Path]:
    """Return the notebooks in the order of the lessons, new ones at the end."""
    paths = sorted((ROOT / "notebooks").glob("*.ipynb"))
    lessons = [path for name in LESSONS for path in paths if path.stem == name]
    return lessons + [path for path in paths if path not in lessons]


def build_page(text: str, path: Path, place: Path, out: Path) -> str:
    """Return a page with its links adapted and its includes filled in.

    Args:
        text: the page, in Markdown.
        path: the file that the text comes from.
        place: the file inside `out` that the page will be written to.
        out: the folder of the assembled documentation.

    Raises:
        KeyError, FileNotFoundError: as `assemble` does.
    """

    def adapted(prose: str) -> str:
        return LINK.sub(lambda link: _adapted_link(link[1], path, place, out), prose)

    text = _outside_code(text, adapted)
    return INCLUDE.sub(lambda found: "\n".join(_included(found[1], found[2] or "", place)), text)


def _outside_code(text: str, change: Callable[[str], str]) -> str:
    """Apply `change` to everything but fenced blocks of code."""
    parts = []
    end = 0

    for block in FENCED.finditer(text):
        parts += [change(text[end : block.start()]), block[0]]
        end = block.end()

    return "".join([*parts, change(text[end:])])


def _adapted_link(link: str, path: Path, place: Path, out: Path) -> str:
    """Return a relative link of the file `path` as the page `place` needs it."""
    if (place.parent / link).exists():
        return link  # a picture that was drawn for this page

    target = (path.parent / link).resolve()
    if not target.is_relative_to(ROOT):
        return link
    if not target.exists():
        raise FileNotFoundError(f"{path} links to {link}, which does not exist")

    name = target.relative_to(ROOT).as_posix()
    if target.is_relative_to(DOCS):
        there = out / target.relative_to(DOCS)
    elif name in ROOT_PAGES:
        there = out / ROOT_PAGES[name]
    elif target.suffix == ".ipynb":
        there = out / "notebooks" / f"{target.stem}.md"
    elif target.suffix in PICTURE_SUFFIXES:
        there = out / "repository" / name
        _copy(target, there)
    else:
        return f"{REPOSITORY}/{name}"

    return Path(os.path.relpath(there, place.parent)).as_posix()


# ---- what a page may include


def _included(kind: str, what: str, place: Path) -> Iterator[str]:
    match kind:
        case "source":
            yield from _source(what)
        case "file":
            yield from _code((ROOT / what).read_text(), Path(what).suffix[1:], what)
        case "help":
            yield from _help(arguments.build_parser())
        case "endpoints":
            yield from _endpoints()
        case "notebooks":
            yield from map(_announced, notebooks())
        case _:
            yield from _explained(what, place)


def _code(text: str, language: str, title: str = "") -> Iterator[str]:
    yield f'```{language} title="{title}"' if title else f"```{language}"
    yield text.strip("\n")
    yield "```"


@cache
def _package() -> Any:
    return griffe.load("inkdigits", search_paths=[ROOT])


def _source(what: str) -> Iterator[str]:
    name, _, only_fields = what.partition(" ")
    try:
        code = _package()[name.removeprefix("inkdigits.")]
    except KeyError:
        raise KeyError(f"there is no {name}, which a page includes") from None

    text = METHOD.split(code.source)[0] if only_fields else code.source
    yield from _code(text, "python", code.filepath.relative_to(ROOT).as_posix())


def _help(parser: argparse.ArgumentParser) -> Iterator[str]:
    """Yield the help of each command, or of each of its actions if it has some."""
    actions = [action.choices for action in parser._actions if isinstance(action.choices, dict)]
    if not actions:
        yield from ("", f"## {parser.prog}", "")
        yield from _code(parser.format_help(), "text")
        return

    for command in actions[0].values():
        yield from _help(command)


def _endpoints() -> Iterator[str]:
    """Yield a table with a row per endpoint, and one with a row per status of an error."""
    described = openapi.describe(inkdigits.__version__, MAX_BODY, MAX_JSON)
    yield from ("", "| endpoint | what it does | further errors |", "|---|---|---|")

    for path, methods in described["paths"].items():
        for method, operation in methods.items():
            cells = [
                f"`{method.upper()} {path}`",
                "<br>".join([operation["summary"], *_query_parameters(operation)]),
                ", ".join(_own_errors(operation)),
            ]
            yield f"| {' | '.join(cells)} |"

    always = ", ".join(map(str, openapi.ALWAYS))
    yield from ("", f"All may answer with {always}.", "", "| status | when |", "|---|---|")
    for status, response in described["components"]["responses"].items():
        yield f"| {status} | {response['description']} |"


def _query_parameters(operation: dict[str, Any]) -> list[str]:
    return [
        f"`{parameter['name']}`: {parameter['description']}"
        for parameter in operation["parameters"]
        if parameter.get("in") == "query"
    ]


def _own_errors(operation: dict[str, Any]) -> list[str]:
    common = {"200", *map(str, openapi.ALWAYS)}
    return [status for status in operation["responses"] if status not in common]


def _explained(what: str, place: Path) -> Iterator[str]:
    """Draw what `read --explain` draws next to the page, and yield a link to it."""
    name, _, fault = what.partition(" ")
    with Image.open(ROOT / name) as opened:
        picture = SPOILT[fault](opened.convert("RGB")) if fault else opened.copy()

    label = f"{Path(name).stem}-{fault}" if fault else Path(name).stem
    drawn = place.parent / "explained" / f"{label}.png"
    drawn.parent.mkdir(parents=True, exist_ok=True)
    inkdigits.explain(picture).save(drawn, optimize=True)

    link = drawn.relative_to(place.parent).as_posix()
    yield f"[![how {label} is read]({link})]({link})"


# ---- notebooks


def _notebook_page(path: Path, place: Path) -> str:
    """Return a notebook as Markdown, with its pictures written next to the page."""
    parts: list[str] = []
    for cell in json.loads(path.read_text())["cells"]:
        text = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            parts += ["", HEADING.sub(_with_anchor, text)]
        else:
            parts += ["", *_code(text, "python")]

        for number, output in enumerate(cell.get("outputs", [])):
            parts += ["", *_output(output, place, f"{cell['id']}-{number}")]

    url = f"{REPOSITORY}/notebooks/{path.name}"
    link = f"*This page is a notebook, to run and to change: [{path.name}]({url}).*"
    heading, _, rest = "\n".join(parts).strip().partition("\n")
    return f"{heading}\n\n{link}\n{rest}\n"


def _with_anchor(heading: re.Match[str]) -> str:
    """Return a heading with the anchor that Jupyter gives it."""
    return f"{heading[0]} {{ #{heading[1].replace(' ', '-')} }}"


def _announced(path: Path) -> str:
    """Return a notebook's first heading as a link, and its first paragraph."""
    first_cell = "".join(json.loads(path.read_text())["cells"][0]["source"])
    heading, paragraph, *_ = first_cell.split("\n\n")
    return f"\n## [{heading.lstrip('# ')}]({path.stem}.md)\n\n{paragraph}"


def _output(output: dict[str, Any], place: Path, name: str) -> Iterator[str]:
    data = output.get("data", {"text/plain": output.get("text", "")})

    for kind, suffix in {"png": "png", "jpeg": "jpeg", "svg+xml": "svg"}.items():
        if f"image/{kind}" in data:
            content = "".join(data[f"image/{kind}"])
            picture = place.parent / place.stem / f"{name}.{suffix}"
            _write(picture, content if suffix == "svg" else base64.b64decode(content))
            yield f"![what the cell draws]({place.stem}/{picture.name})"
            return

    for kind in ("text/markdown", "text/html"):
        if kind in data:
            yield "".join(data[kind])
            return

    yield from _code("".join(data["text/plain"]), "text")


def _write(path: Path, content: str | bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)


def _copy(path: Path, place: Path) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(path, place)


if __name__ == "__main__":
    os.environ["COLUMNS"] = str(HELP_COLUMNS)  # argparse asks for it
    if sys.argv[1:]:
        assemble(Path(sys.argv[1]).resolve())
    else:
        shutil.rmtree(BUILT, ignore_errors=True)
        assemble(BUILT)
