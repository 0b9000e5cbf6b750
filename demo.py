"""`make demo`: train a network, measure it and read a picture with it, and say where its report is.

The digits are MNIST's, from $INKDIGITS_DATA, the cache or a download. Where they cannot be had,
they are scikit-learn's optdigits.
"""

import os
import shutil
import sys
from pathlib import Path

from inkdigits import InkdigitsError, load_dataset
from inkdigits.command.cli import main

PICTURE = Path(os.path.relpath(Path(__file__).parent)) / "tests" / "assets" / "sample.jpg"


def demo(folder: Path) -> int:
    """Run the commands that a user would type, and show each one first.

    Args:
        folder: the folder for the network. What is in it is deleted.

    Returns:
        The first exit status that is not 0, else 0.
    """
    digits = ["--data", "mnist"]
    epochs = list[str]()
    try:
        load_dataset("mnist")
    except InkdigitsError as error:
        reason = str(error).partition(": http")[0]  # without that of each mirror
        print(f"MNIST cannot be had ({reason}), so this uses optdigits instead.", file=sys.stderr)
        digits = ["--data", "optdigits"]
        epochs = ["--epochs", "30"]

    shutil.rmtree(folder, ignore_errors=True)
    for command in (
        ["train", "fast-99.5", *digits, "--out", str(folder), *epochs],
        ["evaluate", str(folder), *digits, "--split", "test"],
        ["read", str(PICTURE), "--model", str(folder)],
        ["read", str(PICTURE)],
    ):
        print(f"\n$ inkdigits {' '.join(command)}", flush=True)
        status = main(command)
        if status:
            return status

    print(f"\nThe report, for any browser: {(folder / 'report.html').resolve()}")
    return 0


if __name__ == "__main__":
    sys.exit(demo(Path(sys.argv[1] if len(sys.argv) > 1 else "runs/demo")))
