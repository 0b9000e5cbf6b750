"""The command with one defect planted, which a check of strangers' inputs must catch.

    python -m benchmarks.soak.stranger_faults NAME read --model model.onnx picture.png

Each function plants one before the command starts; its documentation goes into the table.
"""

import sys
from typing import Any

import numpy as np

from benchmarks.soak.frame import put
from inkdigits.command import cli


def any_model() -> None:
    """Use a model without a trial."""
    from inkdigits.reading import model_check

    put(model_check, "check_model", lambda *_: None)


def any_state() -> None:
    """Go on from a saved state without a look at its tensors and facts."""
    from inkdigits.runs import resume

    put(resume.StateSaver, "restore", lambda saver, state: saver.training.restore(state))


def followed_links() -> None:
    """Follow links in place of files and folders of our own."""
    from inkdigits.runs import resume

    put(resume, "refuse_link", lambda _: None)


def any_correction() -> None:
    """Take what is stored as a correction for one."""
    from inkdigits.service import feedback

    def taken(label: Any, field: Any) -> Any:
        return label, np.frombuffer(field, np.uint8).reshape(28, 28)

    put(feedback, "_check_correction", taken)


if __name__ == "__main__":
    name, *arguments = sys.argv[1:]
    globals()[name]()
    sys.exit(cli.main(arguments))
