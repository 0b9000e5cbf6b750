"""The command that reads: options come in, a line for each picture is printed."""

import argparse
from dataclasses import asdict
from itertools import islice
from typing import TYPE_CHECKING

from inkdigits.command.display import show_progress
from inkdigits.command.results import OK, SOME_FAILED, report
from inkdigits.command.text import format_reading, print_message, print_result
from inkdigits.core.errors import BadValue

if TYPE_CHECKING:
    from pathlib import Path

    from inkdigits.reading.explanation.folder import Explanations
    from inkdigits.reading.reading import Reading


def read(options: argparse.Namespace) -> int:
    """Run `inkdigits read`: print a line for each picture."""
    _check_probability(options.below)
    if options.submission:
        return _write_submission(options)
    if options.table:
        return _write_table(options)

    from inkdigits.reading.network import processors
    from inkdigits.reading.paths import read_paths
    from inkdigits.reading.recogniser import Recogniser

    # Several pictures at once gain more than several threads for one.
    recogniser = Recogniser(options.model, threads=1, backend=options.backend)
    explanations = _explanations_in(options.explain)
    jobs = processors() if options.jobs is None else options.jobs
    count = unread = doubtful = 0
    for path, trace in read_paths(recogniser, options.paths, single=options.single, jobs=jobs):
        _print_reading(path, trace.reading, options)
        count += 1
        unread += trace.reading.error is not None
        doubtful += trace.reading.is_less_sure_than(options.below)
        if explanations:
            explanations.add(path, trace)

    if options.below is not None:
        print_message(f"{doubtful:,} of {count:,} pictures are less sure than {options.below:g}")
    if explanations:
        print_message(str(explanations))

    return SOME_FAILED if unread else OK


def _check_probability(below: float | None) -> None:
    """Refuse a --below that is none."""
    if below is not None and not 0 < below <= 1:
        raise BadValue(f"--below is a probability above 0, at most 1, not {below:g}")


def _explanations_in(folder: "Path | None") -> "Explanations | None":
    """Return what draws explanations into a folder, if there is one."""
    if folder is None:
        return None

    from inkdigits.reading.explanation.folder import Explanations

    return Explanations(folder)


def _print_reading(path: str, reading: "Reading", options: argparse.Namespace) -> None:
    """Print what was read in a picture, unless it is surer than asked for, and what went wrong."""
    if options.below is None or reading.is_less_sure_than(options.below):
        line = format_reading(path, reading, options.written)
        print_result(reading.to_json(path) if options.json else line)

    if reading.error:
        print_message(str(reading.error))


def _write_table(options: argparse.Namespace) -> int:
    """Run `inkdigits read --table`: write the numbers of one picture into rows and columns."""
    if options.explain:
        raise BadValue("--explain and --table do not go together: choose one of them")

    from inkdigits.reading.paths import read_paths
    from inkdigits.reading.recogniser import Recogniser
    from inkdigits.reading.tables import write_table

    recogniser = Recogniser(options.model, backend=options.backend)
    read_pictures = read_paths(recogniser, options.paths, single=options.single)
    (path, trace), *others = islice(read_pictures, 2)
    if others:
        raise BadValue("--table takes one picture; give them one after the other")
    if trace.reading.error:
        print_message(str(trace.reading.error))
        return SOME_FAILED

    table = trace.reading.table()
    below = options.below or 0.0
    beside = write_table(table, options.table, below)
    written = {
        "path": path,
        "table": str(options.table),
        "confidences": str(beside),
        "rows": len(table.rows),
        "columns": table.width,
        "doubtful": sum(cell.confidence < below for row in table.rows for cell in row if cell),
    }
    text = f"{options.table}: {table.width} columns, {len(table.rows)} rows"
    doubts = f", {written['doubtful']} numbers to look at" if below else ""
    report(options, written, text + doubts)
    return OK


def _write_submission(options: argparse.Namespace) -> int:
    """Run `inkdigits read --submission`: write a digit for every image into one table."""
    from inkdigits.reading.recogniser import Recogniser
    from inkdigits.reading.submission import write_submission

    if options.explain:
        raise BadValue(
            "--explain draws what is read, and --submission writes it into a table: choose one of "
            "them"
        )

    recogniser = Recogniser(options.model, backend=options.backend)
    with show_progress() as progress:
        written = write_submission(recogniser, options.paths, options.submission, progress)

    images = f"{written.images:,}"
    report(options, asdict(written), f"{written.path}: {images} images")
    if written.doubtful:
        print_message(
            f"{written.doubtful:,} of {images} are doubtful; the table has the most likely digit "
            "for these, too"
        )
    return OK
