"""Run notebooks and keep their outputs.

    python docs/execute.py notebooks/*.ipynb

Unlike `jupyter execute`, it records neither the times of cells nor the version of Python, so that
running a notebook again changes only what has changed.
"""

import argparse
from pathlib import Path

import nbformat
from nbclient import NotebookClient

from inkdigits.core.files import write_whole


def execute(path: Path) -> None:
    """Run a notebook in its own folder and replace its outputs, unless a cell fails."""
    notebook = nbformat.read(path, as_version=4)
    resources = {"metadata": {"path": str(path.parent)}}
    NotebookClient(
        notebook,
        timeout=None,
        record_timing=False,
        coalesce_streams=True,  # lines that were printed one by one are one block
        resources=resources,
    ).execute()

    notebook.metadata.language_info.pop("version", None)
    write_whole(path, nbformat.writes(notebook) + "\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Run notebooks and keep their outputs.")
    parser.add_argument("notebooks", nargs="+", type=Path, metavar="FILE.ipynb")
    for path in parser.parse_args().notebooks:
        execute(path)
