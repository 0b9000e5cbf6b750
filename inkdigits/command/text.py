"""What the command line says to people: results in, a line or a few of plain text out. Programs get JSON, see cli.py."""

import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from inkdigits.data.store import Listing
    from inkdigits.reading.recogniser import Reading
    from inkdigits.runs.artifacts import Final
    from inkdigits.training.recipe import Recipe

CONTROL = re.compile(
    r"[\x00-\x09\x0b-\x1f\x7f-\x9f]"
)  # but for line feeds; a file's name may hold any of them


def printable(text: str) -> str:
    """Without what would move a terminal's cursor, or worse."""
    return CONTROL.sub("?", text)


def reading_line(path: str, reading: "Reading") -> str:
    """For people: what is read, how sure the least sure digit is, and what else they should know."""
    name = printable(path.replace("\n", "?"))
    if reading.error:
        return f"{name}: could not be read"
    accepted = [digit for digit in reading.digits if digit.accepted]
    lines = "/".join((reading.text or "").split("\n")) or "no digit"
    sure = (
        f"  {min(accepted, key=lambda digit: digit.confidence).sureness} sure" if accepted else ""
    )
    refused = "".join(f"  ({digit.reason})" for digit in reading.digits if not digit.accepted)
    warnings = "".join(f"  [{warning}]" for warning in reading.warnings)
    return f"{name}: {lines}{sure}{refused}{warnings}"


def outcome_lines(final: "Final", data: str, folder: Path) -> str:
    """What a run reached, and where it lies."""
    from inkdigits.evaluation.metrics import percent  # not above: `read` starts without it

    epochs = f"{final.epochs} epoch{'s' if final.epochs > 1 else ''}"
    mnist = ""
    if final.mnist_before is not None and final.mnist_after is not None:
        mnist = f"MNIST's test digits: {percent(final.mnist_before)} before, {percent(final.mnist_after)} after\n"
    return (
        f"{final.recipe} on {data}, {epochs} in {final.train_seconds:.1f} s on {final.device}\n"
        f"test accuracy {percent(final.test_accuracy)}, loss {final.test_loss:.4f}, F1 {final.test_f1_macro:.4f}; "
        f"validation accuracy {percent(final.validation_accuracy)}\n"
        f"{mnist}model and report: {folder}, {folder / 'report.html'}"
    )


def recipe_line(recipe: "Recipe") -> str:
    """A shipped recipe: its name, published and measured test accuracy, and what it is."""
    from inkdigits.evaluation.metrics import percent

    published = recipe.published.get("test_accuracy")
    mean, sd = recipe.measured.get("test_accuracy_mean"), recipe.measured.get("test_accuracy_sd")
    ours = (
        "-"
        if mean is None
        else percent(mean)
        if sd is None
        else f"{percent(mean)} ± {100 * sd:.2f}"
    )
    return f"{recipe.name:<11}{percent(published) if published else '-':>9}  {ours:>16}  {recipe.summary}"


def listing_line(listing: "Listing") -> str:
    """A dataset that has a name: whether it is here, and what it is."""
    here = f"{listing.nbytes / 1e6:.1f} MB here" if listing.nbytes else "here"
    return f"{listing.name:<15}{here if listing.present else '-':>14}  {listing.description}"
