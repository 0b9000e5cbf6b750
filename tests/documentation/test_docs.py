"""The documentation is true: its examples run, and its code is that of the files."""

import inspect
import json
import re
import runpy
from pathlib import Path

import pytest
from documented import ROOT, build_site, marked_blocks, prepare, run

import inkdigits
from inkdigits.command import cli
from inkdigits.service import openapi
from inkdigits.training import augmentation, models

pytest.importorskip("mkdocs", reason="the extra `docs`, which builds the site, is not installed")

PAGES = {
    path.relative_to(ROOT).as_posix(): path.read_text()
    for path in [*sorted((ROOT / "docs").rglob("*.md")), ROOT / "CONTRIBUTING.md"]
}
RUN = [name for name, text in PAGES.items() if marked_blocks(text, name)]
HISTORIES = ("docs/log.md",)  # they name files as they were

OUTPUT = re.compile(r"^(?P<before>.*)\n+```(?:console|python)$", re.MULTILINE)
NOT_RUN = re.compile(r"<!-- not run: .+ -->")
NAMED_PATH = re.compile(r"`((?:inkdigits|tests|benchmarks|docs|notebooks)/[\w./-]+)`")
INCLUDE = re.compile(r"^<!-- (source|file|help|endpoints|notebooks|explain)\b", re.MULTILINE)
FOREIGN = re.compile(
    r"""<(?:script|link|img|iframe|source|video)\b[^>]*\b(?:src|href)=["']?(?:https?:)?//[^>]*>"""
    r"""|url\(["']?https?:"""
)


@pytest.mark.slow
@pytest.mark.parametrize("name", RUN)
def test_what_a_page_shows_works(name, tmp_path, monkeypatch):
    prepare(tmp_path, monkeypatch)
    assert run(PAGES[name], name)


def unchecked_outputs(text: str) -> list[str]:
    """Return the blocks with output that are neither run nor marked with a reason not to be."""
    marks = ("<!-- test: output -->", "<!-- test: figures -->")
    return [
        found[0]
        for found in OUTPUT.finditer(text)
        if found["before"] not in marks and not NOT_RUN.fullmatch(found["before"])
    ]


@pytest.mark.parametrize("name", PAGES)
def test_every_output_on_a_page_is_checked(name):
    assert not unchecked_outputs(PAGES[name])


def test_an_output_that_is_not_checked_is_noticed():
    assert unchecked_outputs("text\n\n```console\n$ a\nb\n```\n") == ["text\n\n```console"]
    assert not unchecked_outputs("<!-- not run: it needs a phone -->\n```console\n$ a\nb\n```\n")


def missing_paths(text: str) -> list[str]:
    """Return the paths of files and folders that a page names and that do not exist."""
    return [path for path in NAMED_PATH.findall(text) if not (ROOT / path).exists()]


@pytest.mark.parametrize("name", [name for name in PAGES if name not in HISTORIES])
def test_every_file_that_a_page_names_exists(name):
    assert not missing_paths(PAGES[name])


def test_a_file_that_does_not_exist_is_noticed():
    assert missing_paths("`inkdigits/gone.py`, `docs/index.md`") == ["inkdigits/gone.py"]


def test_the_readme_has_a_row_for_every_room():
    package = Path(inkdigits.__file__).parent
    rooms = {path.parent.name for path in package.glob("*/__init__.py")}
    rows = re.findall(r"^\| `(\w+)/` \|.*\| (.+) \|$", (ROOT / "README.md").read_text(), re.M)

    assert {room for room, _ in rows} == rooms
    for room, files in rows:
        for name in re.findall(r"`([\w./]+)`", files):
            assert (package / room / name).exists(), f"{room}/{name}"


def test_the_answer_shown_for_the_service_is_the_real_one():
    block = re.search(r"```json\n(.*?)```", PAGES["docs/http-api.md"], re.DOTALL)
    shown = json.loads(block[1])
    read = inkdigits.read(ROOT / "tests" / "assets" / "touching.jpg").as_dict()

    shown_confidences = [digit.pop("confidence") for digit in shown["digits"]]
    confidences = [digit.pop("confidence") for digit in read["digits"]]
    assert shown_confidences == pytest.approx(confidences, abs=1e-4)
    assert shown == read


def test_every_public_name_is_described():
    for name in inkdigits.__all__:
        assert f"::: inkdigits.{name}\n" in PAGES["docs/python-api.md"], name


# ---- the site


@pytest.mark.slow
def test_pages_hold_the_code_of_the_files(assembled):
    augmentation_page = (assembled / "how-it-works" / "augmentation.md").read_text()
    network_page = (assembled / "how-it-works" / "network.md").read_text()
    assert inspect.getsource(augmentation.augment) in f"{augmentation_page}\n"
    assert inspect.getsource(augmentation.Augmentation).strip() in augmentation_page
    assert inspect.getsource(models.LeNet).strip() in network_page

    for page in assembled.rglob("*.md"):
        assert not INCLUDE.search(page.read_text()), page


@pytest.mark.slow
def test_every_command_and_endpoint_is_on_its_page(assembled):
    command_page = (assembled / "command-line.md").read_text()
    commands = re.findall(r"^## inkdigits (.+)$", command_page, re.MULTILINE)
    assert set(commands) == set(cli.COMMANDS)

    http_page = (assembled / "http-api.md").read_text()
    for path in openapi.describe("1", 1, 1)["paths"]:
        assert f" {path}`" in http_page


@pytest.mark.slow
def test_every_notebook_is_a_page_with_its_pictures(assembled):
    index = (assembled / "notebooks" / "index.md").read_text()
    for path in (ROOT / "notebooks").glob("*.ipynb"):
        page = (assembled / "notebooks" / f"{path.stem}.md").read_text()
        pictures = re.findall(r"!\[what the cell draws\]\((.+?)\)", page)
        outputs = [
            output.get("data", {})
            for cell in json.loads(path.read_text())["cells"]
            for output in cell.get("outputs", [])
        ]

        drawn = [data for data in outputs if any(kind.startswith("image/") for kind in data)]
        assert len(pictures) == len(drawn)
        assert all((assembled / "notebooks" / picture).stat().st_size for picture in pictures)
        assert f"({path.stem}.md)" in index


@pytest.mark.slow
def test_pages_need_no_other_site(site):
    pages = [*site.rglob("*.html"), *site.rglob("*.css")]
    assert len(pages) > 30
    for page in pages:
        found = FOREIGN.search(page.read_text())
        assert not found, f"{page.name}: {found and found[0]}"


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


@pytest.mark.slow
def test_dead_links_and_forgotten_pages_are_noticed(tmp_path):
    docs = tmp_path / "docs"
    docs.mkdir()
    (docs / "index.md").write_text("# A page\n\n[gone](gone.md), [no such place](#nowhere)\n")
    (docs / "forgotten.md").write_text("# Another\n")

    done = build_site(docs, tmp_path / "site")
    assert done.returncode == 1
    assert "'gone.md', but the target is not found" in done.stderr
    assert "'#nowhere', but there is no such anchor" in done.stderr
    assert "- forgotten.md" in done.stderr


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
    build_page = runpy.run_path(str(ROOT / "docs" / "assemble.py"))["build_page"]
    with pytest.raises(error):
        build_page(f"{text}\n", ROOT / "docs" / "page.md", tmp_path / "page.md", tmp_path)
