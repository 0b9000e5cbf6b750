"""What `make demo` runs once everything is installed: train, measure, read a picture, and say where the report lies.

The digits are MNIST's, from $INKDIGITS_DATA, the cache or a download; where none of these can be had, scikit-learn's optdigits.
"""

import os
import shutil
import sys
from pathlib import Path

from inkdigits import InkdigitsError, load_dataset
from inkdigits.command.cli import main

PICTURE = Path(os.path.relpath(Path(__file__).parent)) / "tests" / "assets" / "sample.jpg"


def demo(folder: Path) -> int:
    """Run the commands that a user would type, and show each one first. Returns the first exit status that is not 0."""
    try:
        load_dataset("mnist")
        data, settings = "mnist", list[str]()
    except InkdigitsError as error:
        reason = str(error).partition(": http")[0]  # not each mirror's
        print(f"MNIST cannot be had ({reason}), so this goes on with optdigits.", file=sys.stderr)
        data, settings = "optdigits", ["--epochs", "30"]
    shutil.rmtree(folder, ignore_errors=True)
    for command in (
        ["train", "fast-99.5", "--data", data, "--out", str(folder), *settings],
        ["evaluate", str(folder), "--data", data, "--split", "test"],
        ["read", str(PICTURE), "--model", str(folder)],
        ["read", str(PICTURE)],
    ):
        print(f"\n$ inkdigits {' '.join(command)}", flush=True)
        if status := main(command):
            return status
    print(f"\nThe report, for any browser: {(folder / 'report.html').resolve()}")
    return 0


if __name__ == "__main__":
    sys.exit(demo(Path(sys.argv[1] if len(sys.argv) > 1 else "runs/demo")))
