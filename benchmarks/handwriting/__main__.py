"""Read real and generated pages of handwriting, side by side with what others would use instead.

DATA holds `field` and `pictures`, real ones by many writers, which are not ours to publish; what is
not there is left out, as are readers that are not installed. Generated pages are made for each
run, with digits and settings that no recipe learns from, always the same ones. Others:

    rapidocr        RapidOCR, which finds text and reads it
    rapidocr-line   its line recogniser alone, for pictures with one line
    tesseract       Tesseract's program: apt-get install tesseract-ocr

`make opponents` puts RapidOCR into an environment of its own.

    python -m benchmarks.handwriting --data DATA --limit 10       # minutes: does it work?
    python -m benchmarks.handwriting --data DATA --write docs/handwriting.md       # an hour
    python -m benchmarks.handwriting --data DATA --opponents --gallery OUT    # what we misread
"""

import argparse
import csv
import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.common import ROOT, command_line, machine, publish, tell
from benchmarks.handwriting import page
from benchmarks.handwriting.comparison import Comparison, compare
from benchmarks.handwriting.gallery import write_gallery
from benchmarks.handwriting.kept import KeptAnswers, keeping
from benchmarks.handwriting.readers import OPPONENTS, Reader, all_started
from benchmarks.handwriting.rows import (
    Row,
    drawn_rows,
    field_rows,
    limited,
    page_rows,
    picture_rows,
)
from inkdigits.core.errors import BadData, InkdigitsError
from inkdigits.data.synthetic.pages import write_pages

OPPONENT_PYTHON = ROOT / "runs" / "opponents" / "bin" / "python"
PAGES, SEED = 200, 1
FIGURE = "handwriting"


def every_row(data: Path | None, pages: Path) -> tuple[list[Row], list[str]]:
    """Return the rows of all folders that are there, and a line for each that is not.

    Args:
        data: with `field` and `pictures`; None where no such folder is given.
        pages: what `inkdigits pages` wrote.
    """
    sources: dict[str, Callable[[Path], list[Row]]] = {}
    if data:
        sources = {"field": field_rows, "field/drawn": drawn_rows, "pictures": picture_rows}

    rows: list[Row] = []
    missing = [] if data else ["real pictures: no folder is given with --data"]
    for name, make_rows in sources.items():
        try:
            rows += make_rows(data / name) if data else []
        except BadData as error:
            missing.append(f"real pictures: {error}")

    return rows + page_rows(pages), missing


def save_answers(compared: Comparison, path: Path) -> None:
    """Write what every reader said of every picture, as CSV."""
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(page.answers_as_table(compared))


def read_options(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line, and refuse what does not make sense."""
    parser = command_line(__doc__)
    given = os.environ.get("INKDIGITS_DATA")
    help_text = "the folder with field and pictures (default: $INKDIGITS_DATA)"
    parser.add_argument(
        "--data", type=Path, default=given and Path(given), metavar="DATA", help=help_text
    )
    help_text = "at most N pictures a row, evenly spread"
    parser.add_argument("--limit", type=int, metavar="N", help=help_text)
    help_text = "a shipped model's name, a run folder, or an .onnx file"
    parser.add_argument("--model", default="default", metavar="M", help=help_text)
    help_text = "readers beside ours (default: all); without any name: none"
    parser.add_argument(
        "--opponents", nargs="*", choices=OPPONENTS, default=list(OPPONENTS), help=help_text
    )
    help_text = "keep what the others say of --pages and real pictures, and do not ask them again"
    parser.add_argument("--keep", type=Path, metavar="FILE", help=help_text)
    help_text = "the Python of the environment that holds RapidOCR"
    parser.add_argument("--opponent-python", type=Path, default=OPPONENT_PYTHON, help=help_text)
    help_text = f"generated pages that are there already (default: {PAGES} of seed {SEED} are made)"
    parser.add_argument("--pages", type=Path, metavar="DIR", help=help_text)
    help_text = "write what every reader said of every picture, as CSV"
    parser.add_argument("--answers", type=Path, metavar="FILE", help=help_text)
    help_text = "show the pictures that we misread in DIR/gallery.html"
    parser.add_argument("--gallery", type=Path, metavar="DIR", help=help_text)

    options = parser.parse_args(arguments)
    if options.limit is not None and options.limit < 1:
        parser.error(f"--limit {options.limit}: expected 1 or more")

    if options.keep and not options.pages:
        parser.error("--keep needs --pages: pages that are made for one run have no lasting names")

    if options.gallery and options.gallery.resolve().is_relative_to(ROOT):
        parser.error(
            f"--gallery {options.gallery} is in the repository, and the gallery holds other "
            "people's pictures; choose a folder elsewhere"
        )

    return options


def with_kept(readers: list[Reader], path: Path | None) -> list[Reader]:
    """Make all readers but the first, which is ours, keep their answers in a file."""
    if path is None:
        return readers

    kept = KeptAnswers(path)
    return [readers[0], *(keeping(reader, kept) for reader in readers[1:])]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, and write where asked; return the exit status."""
    options = read_options(arguments)
    for path in filter(None, (options.write, options.answers, options.keep)):
        path.parent.mkdir(parents=True, exist_ok=True)

    if options.gallery:
        options.gallery.mkdir(parents=True, exist_ok=True)

    try:
        with (
            tempfile.TemporaryDirectory() as folder,
            all_started(options.opponents, options.opponent_python, options.model) as started,
        ):
            readers, skipped = started
            readers = with_kept(readers, options.keep)
            pages = options.pages or Path(folder) / "pages"
            if options.pages is None:
                tell(f"making {PAGES} pages")
                write_pages(pages, PAGES, SEED)

            rows, missing = every_row(options.data, pages)
            compared = compare(limited(rows, options.limit), readers)
            versions = {reader.title: reader.version for reader in readers}
            if options.answers:
                save_answers(compared, options.answers)

            publish_page(compared, versions, [*missing, *skipped], options.limit, options.write)
            if options.gallery:
                write_gallery(options.gallery, compared)
    except InkdigitsError as error:
        print(f"handwriting: {error}", file=sys.stderr)
        return 2

    return 0


def publish_page(
    compared: Comparison,
    versions: dict[str, str],
    left_out: Sequence[str],
    limit: int | None,
    path: Path | None,
) -> None:
    """Print the section and, where a page is named, write it and its figure there."""
    extent = {} if limit is None else {"a limited run, pictures a row": f"at most {limit}"}
    facts = machine("onnxruntime", "numpy", "pillow", threads="1 each", **versions, **extent)
    figures = {FIGURE: page.exact_chart(compared)} if path else {}
    picture = f"images/{FIGURE}.png" if path else ""
    publish(page.section(compared, facts, left_out, picture), path, figures)
    if path:
        page.write_fair_word(path)


if __name__ == "__main__":
    sys.exit(main())
