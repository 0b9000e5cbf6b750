"""Does the service survive everything? Hostile, slow, vanishing and far too many clients.

    python -m benchmarks.soak.service                                # half an hour
    python -m benchmarks.soak.service named hostile --quick          # some checks, in short
    python -m benchmarks.soak.service --write docs/reliability.md    # between markers

Each check runs twice: against the service, where it must pass, and in short against one with a
fault planted, where it must fail. Exit status 1 where either is not so. Everything stays on this
machine; the service has one processor to itself, the load another one.
"""

import os
import sys

from benchmarks.soak.frame import Suite, main
from benchmarks.soak.service import (
    aborts,
    earlier,
    hostile,
    lifecycle,
    lossless,
    memory,
    named,
    neighbours,
    pressure,
    schema,
    slow,
)
from benchmarks.soak.service.harness import PROCESSORS

MODULES = (
    named,
    hostile,
    schema,
    lossless,
    pressure,
    lifecycle,
    slow,
    neighbours,
    aborts,
    memory,
    earlier,
)
LIBRARIES = "uvicorn httptools uvloop starlette python-multipart pillow numpy onnxruntime"
SUITE = Suite(
    "Service",
    "Clients on this machine; the service has one processor to itself, the load another one.",
    [check for module in MODULES for check in module.CHECKS],
    LIBRARIES.split(),
)

if __name__ == "__main__":
    os.sched_setaffinity(0, PROCESSORS[-1:])
    sys.exit(main(SUITE, __doc__))
