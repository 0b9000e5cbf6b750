"""Run notebooks and keep their outputs, but not when each cell ran nor with which Python: a rerun changes what has changed.

    python docs/execute.py notebooks/*.ipynb

`jupyter execute` would write both into the file.
"""

import argparse
from pathlib import Path

import nbformat
from nbclient import NotebookClient

from inkdigits.core.files import write_whole


def main() -> None:
    """Each in turn, in its own folder; a notebook that fails stays as it was."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("notebooks", nargs="+", type=Path, metavar="FILE.ipynb")
    for path in parser.parse_args().notebooks:
        notebook = nbformat.read(path, as_version=4)
        where = {"metadata": {"path": str(path.parent)}}
        NotebookClient(notebook, timeout=None, record_timing=False, resources=where).execute()
        notebook.metadata.language_info.pop("version", None)
        write_whole(path, nbformat.writes(notebook) + "\n")


if __name__ == "__main__":
    main()
