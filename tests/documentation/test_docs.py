"""The documentation says what is true: what its pages show is run, their code is that of the files, and the site is built whole."""

import inspect
import json
import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
from documented import ROOT, marked_blocks, prepare, run

import inkdigits
from inkdigits.command import cli
from inkdigits.service import openapi
from inkdigits.training import augmentation, models

pytest.importorskip("mkdocs", reason="the extra `docs`, which builds the site, is not installed")

PAGES = {
    path.relative_to(ROOT).as_posix(): path.read_text()
    for path in sorted((ROOT / "docs").rglob("*.md"))
}
CHECKED = [name for name, text in PAGES.items() if marked_blocks(text, name)]
CLAIM = re.compile(r"^(?P<before>.*)\n+```(?:console|python)$", re.MULTILINE)
NOT_RUN = re.compile(r"<!-- not run: .+ -->")
FOREIGN = re.compile(
    r"""<(?:script|link|img|iframe|source|video)\b[^>]*\b(?:src|href)=["']?(?:https?:)?//[^>]*>|url\(["']?https?:"""
)
BUILD = (
    "import logging, sys; logging.basicConfig(); from mkdocs.config import load_config; from mkdocs.commands.build import build; "
    "build(load_config('mkdocs.yml', docs_dir=sys.argv[1], site_dir=sys.argv[2]))"
)


@pytest.mark.parametrize("name", CHECKED)
def test_what_a_page_shows_works(name, tmp_path, monkeypatch):
    prepare(tmp_path, monkeypatch)
    assert run(PAGES[name], name)


def unchecked(text: str) -> list[str]:
    """The blocks that show what is printed, and whose line before is neither a mark nor says why there is none."""
    marks = ("<!-- test: output -->", "<!-- test: figures -->")
    return [
        found[0]
        for found in CLAIM.finditer(text)
        if found["before"] not in marks and not NOT_RUN.fullmatch(found["before"])
    ]


@pytest.mark.parametrize("name", PAGES)
def test_no_page_shows_an_output_that_nothing_checks(name):
    assert not unchecked(PAGES[name])


def test_an_output_that_nothing_checks_is_noticed():
    assert unchecked("text\n\n```console\n$ a\nb\n```\n") == ["text\n\n```console"]
    assert not unchecked("<!-- not run: it needs a phone -->\n```console\n$ a\nb\n```\n")


def test_the_answer_shown_for_the_service_is_the_real_one():
    block = re.search(r"```json\n(.*?)```", PAGES["docs/http-api.md"], re.DOTALL)
    shown, read = (
        json.loads(block[1]),
        inkdigits.read(ROOT / "tests" / "assets" / "touching.jpg").as_dict(),
    )
    assert [digit.pop("confidence") for digit in shown["digits"]] == pytest.approx(
        [digit.pop("confidence") for digit in read["digits"]], abs=1e-4
    )
    assert shown == read


def test_every_public_name_is_described():
    for name in inkdigits.__all__:
        assert f"::: inkdigits.{name}\n" in PAGES["docs/python-api.md"], name


# ---- the site


@pytest.fixture(scope="module")
def assembled(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("assembled")
    subprocess.run(
        [sys.executable, "docs/assemble.py", folder / "docs"], check=True, cwd=ROOT, timeout=120
    )
    return folder / "docs"


def built(docs: Path, site: Path) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-c", BUILD, docs, site],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.fixture(scope="module")
def site(assembled) -> Path:
    """Built strictly: a link or anchor that leads nowhere, or a page that the navigation lacks, ends it."""
    done = built(assembled, folder := assembled.parent / "site")
    assert done.returncode == 0, done.stderr
    return folder


def test_pages_hold_the_code_of_the_files(assembled):
    text = (assembled / "how-it-works" / "augmentation.md").read_text()
    assert inspect.getsource(augmentation.augment) in f"{text}\n"
    assert inspect.getsource(augmentation.Augmentation).strip() in text
    assert (
        inspect.getsource(models.LeNet).strip()
        in (assembled / "how-it-works" / "network.md").read_text()
    )
    for page in assembled.rglob("*.md"):
        assert not re.search(
            r"^<!-- (source|file|help|endpoints|notebooks|explain)\b",
            page.read_text(),
            re.MULTILINE,
        ), page


def test_every_command_and_endpoint_is_on_its_page(assembled):
    commands = re.findall(
        r"^## inkdigits (.+)$", (assembled / "command-line.md").read_text(), re.MULTILINE
    )
    assert set(commands) == set(cli.COMMANDS)
    for path in openapi.describe("1", 1, 1)["paths"]:
        assert f" {path}`" in (assembled / "http-api.md").read_text()


def test_every_notebook_is_a_page_with_its_pictures(assembled):
    for path in (ROOT / "notebooks").glob("*.ipynb"):
        text = (assembled / "notebooks" / f"{path.stem}.md").read_text()
        pictures = re.findall(r"!\[what the cell draws\]\((.+?)\)", text)
        outputs = [
            output
            for cell in json.loads(path.read_text())["cells"]
            for output in cell.get("outputs", [])
        ]
        assert len(pictures) == sum(
            bool({"image/png", "image/jpeg"} & output.get("data", {}).keys()) for output in outputs
        )
        assert all((assembled / "notebooks" / picture).stat().st_size for picture in pictures)
        assert f"({path.stem}.md)" in (assembled / "notebooks" / "index.md").read_text()


def test_pages_need_no_other_site(site):
    pages = [*site.rglob("*.html"), *site.rglob("*.css")]
    assert len(pages) > 30
    for page in pages:
        assert not (found := FOREIGN.search(page.read_text())), f"{page.name}: {found and found[0]}"


@pytest.mark.parametrize(
    "text",
    [
        '<script src="https://cdn.example/a.js">',
        "<img alt=x src=//cdn.example/a>",
        "url(https://a.b)",
    ],
)
def test_what_comes_from_another_site_is_noticed(text):
    assert FOREIGN.search(text)


def test_links_that_lead_nowhere_and_forgotten_pages_are_noticed(tmp_path):
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "index.md").write_text(
        "# A page\n\n[gone](gone.md), [no such place](#nowhere)\n"
    )
    (tmp_path / "docs" / "forgotten.md").write_text("# Another\n")
    done = built(tmp_path / "docs", tmp_path / "site")
    assert done.returncode == 1
    for complaint in (
        "'gone.md', but the target is not found",
        "'#nowhere', but there is no such anchor",
        "- forgotten.md",
    ):
        assert complaint in done.stderr


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("<!-- source: inkdigits.training.augmentation.no_such -->", KeyError),
        ("<!-- file: inkdigits/recipes/no-such.toml -->", FileNotFoundError),
        ("<!-- explain: tests/assets/sample.jpg torn -->", KeyError),
        ("[gone](../inkdigits/gone.py)", FileNotFoundError),
    ],
)
def test_a_name_that_does_not_exist_ends_the_assembly(text, error, tmp_path):
    page = runpy.run_path(str(ROOT / "docs" / "assemble.py"))["build_page"]
    with pytest.raises(error):
        page(f"{text}\n", ROOT / "docs" / "page.md", tmp_path / "page.md", tmp_path)
