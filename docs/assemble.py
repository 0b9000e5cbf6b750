"""The pages of docs/ with what they include -> a folder of plain Markdown and pictures, which any site generator can render.

    python docs/assemble.py            into build/docs, which is made anew
    python docs/assemble.py FOLDER     into a new folder

A comment on a line of its own is replaced by what it names, as that is at the moment, so that no page can fall behind the code:

    <!-- source: inkdigits.training.augmentation.augment -->  the code of a function, class or constant
    <!-- source: inkdigits.training.recipe.Recipe fields -->  that of a class up to its first method
    <!-- file: inkdigits/training/recipes/lenet.toml -->      a whole file
    <!-- help -->                                    what every command says of itself
    <!-- endpoints -->                               what /openapi.json says
    <!-- notebooks -->                               the notebooks that there are
    <!-- explain: tests/assets/sample.jpg faint -->  how the shipped model reads a picture, also spoilt in one of the ways of SPOILT

Notebooks become pages. A link to a file outside docs/ becomes one to the repository, a picture from there is copied along. Knows
nothing of how the site looks; mkdocs.yml does.
"""

import base64
import contextlib
import io
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
from inkdigits.service.connections import MAX_BODY
from inkdigits.service.server import MAX_JSON

DOCS = Path(__file__).parent
ROOT = DOCS.parent
BUILT = ROOT / "build" / "docs"
REPOSITORY = "https://github.com/inkdigits/inkdigits/blob/main"
ELSEWHERE = {
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
}  # pages that lie in the repository's root
INCLUDE = re.compile(
    r"^<!-- (source|file|help|endpoints|notebooks|explain)(?:: (.+))? -->$", re.MULTILINE
)
LINK = re.compile(r"(?<=\]\()(?![a-z]+:|#)([^)#\s]+)")
FENCED = re.compile(r"^(```+).*?^\1", re.DOTALL | re.MULTILINE)
METHOD = re.compile(r"\n+    (?:@|def )")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
PICTURES = (".png", ".jpg", ".svg")
LESSONS = ["mnist", "your-own-digits", "inside-the-network", "from-99-to-99.8"]
COLUMNS = 92  # of a command's help


def _tilted(picture: Image.Image) -> Image.Image:
    return picture.rotate(45, expand=True, fillcolor=picture.getpixel((3, 3)))


def _faint(picture: Image.Image) -> Image.Image:
    return Image.blend(picture, Image.new("RGB", picture.size, picture.getpixel((3, 3))), 0.9)


SPOILT: dict[str, Callable[[Image.Image], Image.Image]] = {
    "blurred": lambda picture: picture.filter(ImageFilter.GaussianBlur(8)),
    "cut": lambda picture: picture.crop((0, 0, picture.width, picture.height // 2)),
    "faint": _faint,
    "small": lambda picture: picture.resize((60, 60 * picture.height // picture.width)),
    "tilted": _tilted,
    "upside-down": lambda picture: picture.rotate(180),
}


def assemble(out: Path) -> None:
    """Make the folder. Raises FileExistsError, and what a wrong name in a comment deserves: KeyError or FileNotFoundError."""
    out.mkdir(parents=True)
    for path in sorted(DOCS.rglob("*")):
        place = out / path.relative_to(DOCS)
        if path.suffix == ".md":
            _write(place, _page(path.read_text(), path, place, out))
        elif path.suffix in (*PICTURES, ".css"):
            _copy(path, place)
    for name, page in ELSEWHERE.items():
        _write(out / page, _page((ROOT / name).read_text(), ROOT / name, out / page, out))
    for path in notebooks():
        place = out / "notebooks" / f"{path.stem}.md"
        _write(place, _page(_notebook(path, place), path, place, out))


def notebooks() -> list[Path]:
    """Those that there are, in the order in which they teach."""
    paths = sorted((ROOT / "notebooks").glob("*.ipynb"))
    return sorted(
        paths, key=lambda path: LESSONS.index(path.stem) if path.stem in LESSONS else len(LESSONS)
    )


def _page(text: str, path: Path, place: Path, out: Path) -> str:
    """A page's text, complete. path: where it comes from. place: where in `out` it goes to."""
    text = _outside_code(
        text, lambda part: LINK.sub(lambda link: _mended(link[1], path, place, out), part)
    )
    return INCLUDE.sub(lambda found: "\n".join(_included(found[1], found[2] or "", place)), text)


def _outside_code(text: str, change: Callable[[str], str]) -> str:
    parts, end = [], 0
    for block in FENCED.finditer(text):
        parts += [change(text[end : block.start()]), block[0]]
        end = block.end()
    return "".join([*parts, change(text[end:])])


def _mended(link: str, path: Path, place: Path, out: Path) -> str:
    """A relative link of the file `path`, as the page `place` needs it."""
    target = (path.parent / link).resolve()
    if (place.parent / link).exists() or not target.is_relative_to(ROOT):
        return link  # it was made beside the page
    name = target.relative_to(ROOT).as_posix()
    if not target.exists():
        raise FileNotFoundError(f"{path} links to {link}, which does not exist")
    if target.is_relative_to(DOCS):
        there = out / target.relative_to(DOCS)
    elif name in ELSEWHERE:
        there = out / ELSEWHERE[name]
    elif target.suffix == ".ipynb":
        there = out / "notebooks" / f"{target.stem}.md"
    elif target.suffix in PICTURES:
        there = out / "repository" / name
        _copy(target, there)
    else:
        return f"{REPOSITORY}/{name}"
    return Path(os.path.relpath(there, place.parent)).as_posix()


def _included(kind: str, what: str, place: Path) -> Iterator[str]:
    match kind:
        case "source":
            yield from _source(what)
        case "file":
            yield from _code((ROOT / what).read_text(), Path(what).suffix[1:], what)
        case "help":
            yield from _help()
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
    """Raises KeyError for a name that does not exist."""
    name, _, fields = what.partition(" ")
    code = _package()[name.removeprefix("inkdigits.")]
    text = METHOD.split(code.source)[0] if fields else code.source
    yield from _code(text, "python", code.filepath.relative_to(ROOT).as_posix())


def _help() -> Iterator[str]:
    for words in commands():
        yield from ("", f"## inkdigits {' '.join(words)}", "")
        yield from _code(printed_help(words), "text")


def commands() -> Iterator[tuple[str, ...]]:
    """Every command's words, in the order in which `inkdigits --help` lists them."""
    for name, command in _actions(arguments.build_parser()).items():
        actions = _actions(command)
        yield from ((name, action) for action in actions)
        if not actions:
            yield (name,)


def _actions(parser: Any) -> dict[str, Any]:
    return next(
        (action.choices for action in parser._actions if hasattr(action.choices, "items")), {}
    )


def printed_help(words: tuple[str, ...]) -> str:
    """What `inkdigits WORDS --help` prints."""
    before, printed = os.environ.get("COLUMNS"), io.StringIO()
    os.environ["COLUMNS"] = str(COLUMNS)
    with contextlib.redirect_stdout(printed), contextlib.suppress(SystemExit):
        arguments.build_parser().parse_args([*words, "--help"])
    os.environ.pop("COLUMNS")
    if before is not None:
        os.environ["COLUMNS"] = before
    return printed.getvalue()


def _endpoints() -> Iterator[str]:
    """A row for each of the endpoints, then the statuses of refusals."""
    described = openapi.describe(inkdigits.__version__, MAX_BODY, MAX_JSON)
    yield from ("", "| endpoint | what it does | may also refuse with |", "|---|---|---|")
    for path, methods in described["paths"].items():
        for method, operation in methods.items():
            parameters = [
                f"`{each['name']}`: {each['description']}"
                for each in operation["parameters"]
                if each["in"] == "query"
            ]
            refusals = [
                status
                for status in operation["responses"]
                if int(status) not in (200, *openapi.ALWAYS)
            ]
            yield f"| `{method.upper()} {path}` | {'<br>'.join([operation['summary'], *parameters])} | {', '.join(refusals)} |"
    yield from (
        "",
        f"All may refuse with {', '.join(map(str, openapi.ALWAYS))}.",
        "",
        "| status | when |",
        "|---|---|",
    )
    yield from (f"| {status} | {text} |" for status, text in openapi.ERRORS.items())


def _explained(what: str, place: Path) -> Iterator[str]:
    """The picture that `read --explain` draws, beside the page; what = path and, where it is spoilt, how."""
    name, _, fault = what.partition(" ")
    with Image.open(ROOT / name) as opened:
        picture = SPOILT[fault](opened.convert("RGB")) if fault else opened.copy()
    drawn = place.parent / "explained" / f"{Path(name).stem}{'-' if fault else ''}{fault}.png"
    drawn.parent.mkdir(parents=True, exist_ok=True)
    inkdigits.explain(picture).save(drawn, optimize=True)
    link = drawn.relative_to(place.parent).as_posix()
    yield f"[![how {f'{fault} {Path(name).stem}'.strip()} is read]({link})]({link})"


def _notebook(path: Path, place: Path) -> str:
    """A notebook as Markdown, its pictures beside it. Raises KeyError for a cell without a name."""
    parts: list[str] = []
    for cell in json.loads(path.read_text())["cells"]:
        text = "".join(cell["source"])
        parts += [
            "",
            HEADING.sub(_anchored, text)
            if cell["cell_type"] == "markdown"
            else "\n".join(_code(text, "python")),
        ]
        for number, output in enumerate(cell.get("outputs", [])):
            parts += ["", *_output(output, place, f"{cell['id']}-{number}")]
    link = f"*This page is a notebook, to run and to change: [{path.name}]({REPOSITORY}/notebooks/{path.name}).*"
    heading, _, rest = "\n".join(parts).strip().partition("\n")
    return f"{heading}\n\n{link}\n{rest}\n"


def _anchored(heading: re.Match[str]) -> str:
    """With the name that Jupyter gives it."""
    return f"{heading[0]} {{ #{heading[1].replace(' ', '-')} }}"


def _announced(path: Path) -> str:
    """A notebook's first heading as a link, and its first paragraph."""
    heading, paragraph, *_ = "".join(json.loads(path.read_text())["cells"][0]["source"]).split(
        "\n\n"
    )
    return f"\n## [{heading.lstrip('# ')}]({path.stem}.md)\n\n{paragraph}"


def _output(output: dict[str, Any], place: Path, name: str) -> Iterator[str]:
    data = output.get("data", {"text/plain": output.get("text", "")})
    if kind := next((kind for kind in ("png", "jpeg") if f"image/{kind}" in data), None):
        picture = place.parent / place.stem / f"{name}.{kind}"
        _write(picture, base64.b64decode("".join(data[f"image/{kind}"])))
        yield f"![what the cell draws]({place.stem}/{picture.name})"
    elif "text/markdown" in data:
        yield "".join(data["text/markdown"])
    elif "text/html" in data:
        yield "".join(data["text/html"])
    else:
        yield from _code("".join(data["text/plain"]), "text")


def _write(path: Path, content: str | bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)


def _copy(path: Path, place: Path) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(path, place)


if __name__ == "__main__":
    if not sys.argv[1:]:
        shutil.rmtree(BUILT, ignore_errors=True)
    assemble(Path(sys.argv[1]).resolve() if sys.argv[1:] else BUILT)
