"""The words for people: results on standard output, messages on standard error.

Results come in as the dataclasses of the other rooms and leave as a few lines of plain text.
Programs get JSON instead, which `cli` prints.
"""

import os
import re
import shutil
import sys
import textwrap
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from inkdigits.core.errors import CannotWrite

if TYPE_CHECKING:
    from inkdigits.data.sheets.collecting import Collected
    from inkdigits.data.store import Listing
    from inkdigits.reading.reading import Reading
    from inkdigits.runs.artifacts import FinalFigures
    from inkdigits.runs.page_reader.records import PageReaderFigures, StageRecord
    from inkdigits.training.page.recipe import PageRecipe
    from inkdigits.training.recipe import Recipe

# A file's name may hold any of them, and a terminal obeys them; a line feed would forge a line.
CONTROL_CHARACTERS = re.compile(r"[\x00-\x1f\x7f-\x9f]")
NARROWEST_TEXT = 30  # columns that have to be left for the text where lines are indented


def print_result(result: str) -> None:
    """Print a result on standard output, at once. A name in it may be a stranger's.

    Raises:
        CannotWrite: standard output is a file on a full disk.
        BrokenPipeError: the program that reads standard output has ended.
    """
    try:
        print("\n".join(map(replace_control_characters, result.split("\n"))), flush=True)
    except OSError as error:
        # Python flushes once more when it ends, and would complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if isinstance(error, BrokenPipeError):
            raise
        raise CannotWrite(f"cannot write to standard output: {error.strerror}") from error


def print_message(message: str) -> None:
    """Print a message to the user on standard error, wrapped where that is a terminal."""
    print_line(wrap_for(sys.stderr, f"inkdigits: {replace_control_characters(message)}"))


def print_line(text: str) -> None:
    """Print a line on standard error, at once."""
    print(text, file=sys.stderr, flush=True)


def replace_control_characters(text: str) -> str:
    """Replace the characters that would move a terminal's cursor, or worse, with question marks."""
    return CONTROL_CHARACTERS.sub("?", text)


def wrap_for(stream: TextIO, text: str, indent: int = 2) -> str:
    """Break a line between words where it is printed on a terminal; in a file it stays whole.

    Args:
        stream: where the text will be printed.
        text: one line. The blanks between the columns of a table's row stay.
        indent: columns before each line but the first; fewer on a narrow terminal.
    """
    if not stream.isatty():
        return text

    columns = shutil.get_terminal_size().columns
    if indent + NARROWEST_TEXT > columns:
        indent = 2

    return textwrap.fill(
        text,
        columns,
        subsequent_indent=" " * indent,
        break_long_words=False,
        break_on_hyphens=False,
    )


def format_reading(path: str, reading: "Reading", written: bool = False) -> str:
    """Format what was read in a picture as a line.

    The line holds the accepted digits, how sure the least sure of them is, why others were not
    accepted, and warnings.

    Args:
        path: of the picture.
        reading: what was read in it.
        written: whether the digits are shown with their signs and spaces.
    """
    name = replace_control_characters(path)
    if reading.error:
        return f"{name}: could not be read"

    sure = ""
    if reading.accepted:
        least = min(reading.accepted, key=lambda digit: digit.confidence)
        sure = f"  {least.confidence_text} sure"

    refused = Counter(digit.reason for digit in reading.digits if not digit.accepted)
    reasons = "".join(
        f"  ({reason}, {count} times)" if count > 1 else f"  ({reason})"
        for reason, count in refused.items()
    )
    shown, told = _as_written(reading) if written else _as_digits(reading)
    warnings = "".join(f"  [{warning}]" for warning in told)
    return f"{name}: {shown or 'no digit'}{sure}{reasons}{warnings}"


def _as_digits(reading: "Reading") -> tuple[str, Sequence[str]]:
    """Return the digits on one line, and the warnings."""
    return (reading.text or "").replace("\n", "/"), reading.warnings


def _as_written(reading: "Reading") -> tuple[str, Sequence[str]]:
    """Return the digits with their signs on one line, and the warnings but that of their loss."""
    told = [warning for warning in reading.warnings if not warning.startswith("signs left out")]
    return (reading.written or "").replace("\n", " | "), told


def format_final(final: "FinalFigures", data: str, folder: Path) -> str:
    """Format the final figures of a training run as a few lines.

    Args:
        final: the figures.
        data: the name of the dataset that the network has learned from.
        folder: the folder of the run.
    """
    from inkdigits.evaluation.metrics import percent  # not above: `read` starts without it

    epochs = f"{final.epochs} epoch{'s' if final.epochs > 1 else ''}"
    lines = [
        f"{final.recipe} on {data}, {epochs} in {final.train_seconds:.1f} s on {final.device}",
        f"test accuracy {percent(final.test_accuracy)}, loss {final.test_loss:.4f}, "
        f"F1 {final.test_f1_macro:.4f}; validation accuracy {percent(final.validation_accuracy)}",
    ]
    if final.mnist_before is not None and final.mnist_after is not None:
        before = percent(final.mnist_before)
        lines.append(f"MNIST's test digits: {before} before, {percent(final.mnist_after)} after")

    lines.append(f"model and report: {folder}, {folder / 'report.html'}")
    return "\n".join(lines)


def format_stage_record(record: "StageRecord") -> str:
    """Format a record of one of the page reader's networks as a line of at most 80 columns."""
    from inkdigits.training.page.loop import PageRecord

    if isinstance(record, PageRecord):
        place = f"page network  step {_of(record.step, record.steps)}"
        return f"{place}  loss {record.loss:.4f}"

    place = f"look network  shard {_of(record.shard, record.shards)}"
    return f"{place}  loss {record.loss:.4f}  {record.looks:,} looks"


def _of(number: int, total: int) -> str:
    """Format a number as one of so many, in as many columns as the last one."""
    last = f"{total:,}"
    return f"{number:>{len(last)},}/{last}"


def format_page_reader(final: "PageReaderFigures", folder: Path) -> str:
    """Format the final figures of a page reader as a few lines.

    Args:
        final: the figures.
        folder: the folder of the run.
    """
    from inkdigits.evaluation.metrics import percent

    page = final.page
    look = final.look
    return "\n".join(
        [
            f"page network on {final.validation_pages:,} validation pages: {percent(page.votes)} "
            f"of ink points to its own symbol, {percent(page.ink_overlap)} of ink overlaps, "
            f"{percent(page.kinds)} of kinds are right",
            f"look network on {look.n:,} looks: {percent(look.digits)} of digits are given their "
            f"kind, {percent(look.others)} of what is no symbol is refused, loss {look.nll:.4f}",
            f"networks and report: {folder}, {folder / 'report.html'}",
        ]
    )


def format_page_recipe(name: str, recipe: "PageRecipe") -> str:
    """Format the page reader's recipe as a row like others; it has no test accuracy."""
    return f"{name:<11}{'-':>9}  {'-':>16}  {recipe.summary}"


def format_recipe(recipe: "Recipe") -> str:
    """Format a recipe as a row: its name, published and measured test accuracy, and what it is."""
    from inkdigits.evaluation.metrics import percent

    published = recipe.published.get("test_accuracy")
    mean = recipe.measured.get("test_accuracy_mean")
    deviation = recipe.measured.get("test_accuracy_sd")

    theirs = percent(published) if published else "-"
    ours = "-" if mean is None else percent(mean)
    if mean is not None and deviation is not None:
        ours += f" ± {100 * deviation:.2f}"

    return f"{recipe.name:<11}{theirs:>9}  {ours:>16}  {recipe.summary}"


def format_dataset(listing: "Listing") -> str:
    """Format a dataset as a row: its name, whether it is on this machine, and what it is."""
    here = "-"
    if listing.present:
        here = f"{listing.nbytes / 1e6:.1f} MB here" if listing.nbytes else "here"

    return f"{listing.name:<15}{here:>14}  {listing.description}"


def format_collected(collected: "Collected", folder: Path) -> str:
    """Format what was collected: a line for each sheet, then how much there is."""
    lines = []
    for sheet in collected.sheets:
        name = replace_control_characters(sheet.path)
        writer = replace_control_characters(sheet.writer)
        who = f"writer {writer}" if sheet.has_number else f"{writer} (no number was read)"
        lines.append(f"{name}: {sheet.digits} digits by {who}, {sheet.empty} boxes are empty")

    writers = "1 writer" if collected.writers == 1 else f"{collected.writers} writers"
    return "\n".join([*lines, f"{folder}: {collected.digits:,} digits by {writers}"])
