"""How a command ends: its exit status, and its result as text or as JSON."""

import argparse
import contextlib
import json

from inkdigits.command.text import print_result

OK = 0
SOME_FAILED = 1
INTERRUPTED = 130


def report(options: argparse.Namespace, record: object, text: str) -> None:
    """Print a result: the record as JSON if --json is given, else the text."""
    print_result(json.dumps(record) if options.json else text)


def print_while_read(result: str) -> None:
    """Print a result on the way. If its reader has gone, the work goes on nevertheless."""
    with contextlib.suppress(BrokenPipeError):
        print_result(result)
