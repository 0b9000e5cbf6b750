"""Run notebooks and keep their outputs.

    python docs/execute.py notebooks/*.ipynb

Unlike `jupyter execute`, it records neither the times of cells nor the version of Python, so that
running a notebook again changes only what has changed.
"""

import argparse
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode

from inkdigits.core.files import write_whole


def execute(path: Path) -> None:
    """Run a notebook in its own folder and replace its outputs, unless a cell fails."""
    notebook = nbformat.read(path, as_version=4)
    resources = {"metadata": {"path": str(path.parent)}}
    NotebookClient(notebook, timeout=None, record_timing=False, resources=resources).execute()
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = join_prints(cell.outputs)

    notebook.metadata.language_info.pop("version", None)
    write_whole(path, nbformat.writes(notebook) + "\n")


def join_prints(outputs: list[NotebookNode]) -> list[NotebookNode]:
    """Make one output of lines that were printed one after the other, with nothing in between.

    nbclient's `coalesce_streams` also moves lines that were printed after a picture before it.
    """
    joined: list[NotebookNode] = []
    for output in outputs:
        last = joined[-1] if joined else None
        if last and last.output_type == output.output_type == "stream" and last.name == output.name:
            last.text += output.text
        else:
            joined.append(output)

    return joined


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Run notebooks and keep their outputs.")
    parser.add_argument("notebooks", nargs="+", type=Path, metavar="FILE.ipynb")
    for path in parser.parse_args().notebooks:
        execute(path)
