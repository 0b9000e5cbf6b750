"""The command `inkdigits`: it parses, calls one function and prints what that returns.

Words of the command line come in. Results go to standard output, messages to standard error, and
the exit status is

    0    all well
    1    some input could not be processed; the rest was
    2    wrong usage, or nothing could be done
    130  stopped by Ctrl-C
    143  stopped by SIGTERM

Other rooms are imported where they are needed, so that each command starts as fast as it can.
"""

import argparse
import contextlib
import logging
import sys
import warnings
from collections.abc import Callable, Sequence
from io import TextIOWrapper

from inkdigits.command import digits, models, reading, serving, training
from inkdigits.command.arguments import NOTHING_DONE, build_parser
from inkdigits.command.results import INTERRUPTED, OK
from inkdigits.command.text import print_line, print_message, replace_control_characters
from inkdigits.core.errors import InkdigitsError, shortened
from inkdigits.core.signals import Interrupted, interruptible


class LogLines(logging.Handler):
    """Prints what is logged on standard error; a name in it may be a stranger's."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print a line."""
        print_line(replace_control_characters(record.getMessage()))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        arguments: the words after `inkdigits`; None means those of this process.

    Returns:
        The exit status.
    """
    options = build_parser().parse_args(arguments)
    command = COMMANDS[options.command]
    saves_its_work = command in (
        training.train,
        training.reproduce,
        training.challenge,
        training.sweep,
    )
    _accept_any_text(sys.stdout)
    _silence_pillow()
    logging.lastResort = LogLines(logging.WARNING)

    try:
        with interruptible() if saves_its_work else contextlib.nullcontext():
            return command(options)
    except InkdigitsError as error:
        print_message("; ".join([str(error), *getattr(error, "__notes__", [])]))
        return NOTHING_DONE
    except Interrupted as reason:
        print_message(str(reason))
        return reason.status
    except KeyboardInterrupt:
        print_message("interrupted")
        return INTERRUPTED
    except BrokenPipeError:  # the program that reads our output has seen enough
        return OK
    except OSError as error:  # the system's own sentence, such as for a name that is too long
        parts = (error.filename, error.strerror or error)
        print_message(": ".join(shortened(part) for part in parts if part))
        return NOTHING_DONE


def _accept_any_text(stream: object) -> None:
    """Let a stream print the names of files that are not valid Unicode.

    They are printed with escapes, which JSON reads back.
    """
    if isinstance(stream, TextIOWrapper):
        stream.reconfigure(errors="backslashreplace")


def _silence_pillow() -> None:
    """Keep what Pillow says of a picture from standard error: a small file may have 12 MB said.

    It is set for the whole process, because several threads open pictures.
    """
    logging.getLogger("PIL").setLevel(logging.CRITICAL)
    warnings.filterwarnings("ignore", module=r"PIL\.")


COMMANDS: dict[str, Callable[[argparse.Namespace], int]] = {
    "read": reading.read,
    "train": training.train,
    "evaluate": models.evaluate,
    "compare": models.compare,
    "recipes": models.recipes,
    "data list": digits.data_list,
    "data fetch": digits.data_fetch,
    "data verify": digits.data_verify,
    "data export-feedback": digits.data_export_feedback,
    "export": models.export,
    "reproduce": training.reproduce,
    "challenge": training.challenge,
    "sweep": training.sweep,
    "pages": digits.pages,
    "sheet": digits.sheet,
    "collect": digits.collect,
    "serve": serving.serve,
    "web": serving.web,
}
