"""Put the figures that a visitor asks for first on the first screens: README.md, docs/index.md.

    python -m benchmarks.first_screen --write

Nothing is measured here: the figures are those of docs/handwriting.md and docs/results.md, which
`make handwriting` and `make accuracy` write. Weak ones are among them.
"""

import argparse
from pathlib import Path

from benchmarks.common import ROOT, table, write_between

HANDWRITING = "docs/handwriting.md"
RESULTS = "docs/results.md"
SCREENS = {"README.md": "docs/", "docs/index.md": ""}  # and what leads to the pages from there
NAME = "how well"

# A row of docs/handwriting.md, and what it is about.
PICTURES = {
    "pictures: one digit": "photos and scans of one digit",
    "field: amounts": "amounts on cheques",
    "field: strings": "numbers of several digits",
    "field: lines, rows count": "whole pages, every row of them",
}
NETWORK = "best"


def main() -> None:
    """Print the section, and write it where asked."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--write", action="store_true", help="into the pages, too")
    options = parser.parse_args()

    for name, prefix in SCREENS.items():
        text = section(prefix)
        if options.write:
            write_between(ROOT / name, NAME, text)

    print(text)


def section(prefix: str) -> str:
    """Return the section with links that begin with `prefix`."""
    pages = rows_of(ROOT / HANDWRITING, "pictures")
    best = rows_of(ROOT / RESULTS, "recipe")[f"`{NETWORK}`"]
    lines = table(
        ["real handwriting, none of it learned from", "read without a mistake"],
        [
            [what, "{exact} of {n} ({95 %})".format_map(pages[row])]
            for row, what in PICTURES.items()
        ],
    )
    lines += [
        "",
        f"In brackets, 95 % intervals; [more of this, and other programs beside it]({prefix}"
        "handwriting.md). On MNIST's test digits the best single network reaches "
        f"{best['test accuracy']} over {best['runs']} trainings ([Results]({prefix}results.md)). "
        "Commands that you can run write all figures, with their spread, date and machine.",
    ]
    return "\n".join(lines)


def rows_of(page: Path, first: str) -> dict[str, dict[str, str]]:
    """Read a page's first table whose first column is called so: each row's cells by column."""
    rows: list[list[str]] = []
    for line in page.read_text(encoding="utf-8").splitlines():
        if rows and not line.startswith("|"):
            break
        if rows or line.startswith(f"| {first} |"):
            rows.append([cell.strip() for cell in line.strip().strip("|").split(" | ")])

    head, _, *others = rows
    return {cells[0]: dict(zip(head, cells, strict=True)) for cells in others}


if __name__ == "__main__":
    main()
