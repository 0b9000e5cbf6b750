"""The progress of long work: a bar on a terminal, plain lines in a log file.

Records and counts come in as they arise; bars and lines go to standard error. The bar is drawn by
rich; without rich a terminal gets the lines of a log.
"""

import sys
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from itertools import groupby
from typing import TYPE_CHECKING

from inkdigits.command.text import format_stage_record, print_line, wrap_for
from inkdigits.core.progress import ProgressCallback

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress
    from rich.progress import Task

    from inkdigits.runs.artifacts import FinalFigures, RunRecord
    from inkdigits.runs.page_reader.records import PageReaderFigures, PageRunRecord, StageRecord
    from inkdigits.runs.reproduction import ReproductionRecord
    from inkdigits.runs.sweep.space import Space
    from inkdigits.runs.sweep.trials import TrialResult
    from inkdigits.runs.sweep.workers import SweepRecord
    from inkdigits.training.figures import Epoch, TrainingProgress
    from inkdigits.training.recipe import Recipe

# Columns that a bar leaves free: a terminal writes ^C there, and a line that is broken by it cannot
# be taken away again.
BESIDE_BAR = 2
SHORTEST_BAR = 8  # columns, with the blank on either side


class Bar:
    """A bar at the bottom of the terminal, with a name before it and figures behind it.

    It appears with the first `show` and is gone after the `with`. What is printed on standard error
    meanwhile appears above it; call `hide` before printing on standard output. Where standard error
    is no terminal, nothing is drawn.
    """

    def __init__(self) -> None:
        self._progress: RichProgress | None = None

    def __enter__(self) -> "Bar":
        return self

    def __exit__(self, *error: object) -> None:
        self.hide()

    def begin(self, title: str) -> None:
        """Print what begins now, and measure anew how fast it goes."""
        self.hide()
        self._progress = None
        print_line(title)

    def show(self, name: str, done: float, total: float | None, *figures: str) -> None:
        """Draw the bar, and beside it the time that is left.

        Args:
            name: what stands before the bar.
            done: how much is done, of `total`.
            total: how much there is to do; None where that is unknown.
            figures: what stands behind the bar, the most important first. Those that do not fit
                into the terminal are left out.
        """
        if self._progress is None:
            self._progress = _create_progress()
            if self._progress is None:
                return

        progress = self._progress
        progress.console.width = _terminal_width() - BESIDE_BAR
        task = progress.tasks[0]
        task.total = total  # `update` takes None for "as it was"
        progress.update(task.id, completed=done, description=name)

        room = progress.console.width - len(name) - SHORTEST_BAR
        progress.update(task.id, figures=fit_figures([*figures, _time_left(task)], room))
        progress.start()

    def hide(self) -> None:
        """Take the bar away until it is shown again."""
        if self._progress:
            self._progress.stop()


def _create_progress() -> "RichProgress | None":
    """Return what draws a bar; None without rich or without a terminal that it can draw on."""
    if not sys.stderr.isatty():
        return None

    try:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn
        from rich.table import Column
    except ImportError:
        return None

    console = Console(stderr=True)
    if not console.is_interactive:  # it cannot move its cursor, as with TERM=dumb
        return None

    progress = Progress(
        TextColumn("{task.description}", markup=False, table_column=Column(no_wrap=True)),
        BarColumn(bar_width=None),
        TextColumn("{task.fields[figures]}", markup=False, table_column=Column(no_wrap=True)),
        console=console,
        transient=True,
        expand=True,
        redirect_stdout=False,  # it may be a file, which has nothing to do with the terminal
    )
    progress.add_task("", total=None, figures="")
    return progress


def _terminal_width() -> int:
    """Return the columns of the terminal as it is at the moment."""
    from rich.console import Console

    return Console(stderr=True).width


def _time_left(task: "Task") -> str:
    """Return the time that the rest will take, in words; nothing as long as that is unknown."""
    seconds = task.time_remaining
    return f"{timedelta(seconds=round(seconds))} left" if seconds else ""


def fit_figures(figures: Iterable[str], columns: int) -> str:
    """Join as many of the figures as fit into so many columns, from the first on."""
    shown = ""
    for figure in filter(None, figures):
        longer = f"{shown}  {figure}" if shown else figure
        if len(longer) > columns:
            break
        shown = longer

    return shown


def follow(
    records: Iterable["RunRecord"], epochs: int, title: str = ""
) -> "Generator[Epoch | FinalFigures, None, None]":
    """Show how a run is getting on: a bar for the whole run, and a line for each finished epoch.

    Args:
        records: what the run yields.
        epochs: how many epochs the run has.
        title: a line above the others; it is left out where the run has nothing to do any more.

    Yields:
        The records of finished epochs, and the final figures.
    """
    # Not above: downloads are shown without torch, too.
    from inkdigits.training.figures import Epoch, TrainingProgress

    with Bar() as bar:
        for record in records:
            if title and isinstance(record, TrainingProgress | Epoch):
                bar.begin(title)
                title = ""

            if isinstance(record, TrainingProgress):
                done = record.epoch - 1 + record.fraction
                name = f"epoch {_of(record.epoch, epochs)}"
                bar.show(name, done, epochs, *progress_figures(record))
                continue

            bar.hide()
            if isinstance(record, Epoch):
                print_line(format_epoch(record, epochs))
            yield record

            if isinstance(record, Epoch) and record.epoch == epochs:
                bar.show("measuring and writing", 0, None)


def follow_page_reader(
    records: "Iterable[PageRunRecord]", titles: Mapping[str, str]
) -> "Generator[StageRecord | PageReaderFigures, None, None]":
    """Show how a run of the page reader is getting on: a bar for each network, a line a record.

    Args:
        records: what the run yields.
        titles: a line above those of each network, by its name.

    Yields:
        The records of both networks, and the final figures.
    """
    from inkdigits.runs.page_reader.records import PageReaderFigures, StageProgress

    begun = set[str]()
    loss = ""
    with Bar() as bar:
        for record in records:
            if isinstance(record, StageProgress):
                network = record.network
                if network not in begun:
                    begun.add(network)
                    bar.begin(titles[network])
                    loss = ""

                bar.show(f"{network} network", record.fraction, 1, loss)
                continue

            bar.hide()
            if isinstance(record, PageReaderFigures):
                yield record
                continue

            print_line(format_stage_record(record))
            loss = f"loss {record.loss:.4f}"
            yield record
            bar.show("measuring and writing", 0, None)


def follow_reproduction(records: "Iterable[ReproductionRecord]") -> "Sequence[Recipe]":
    """Show how the runs of several recipes are getting on.

    Args:
        records: what `runs.reproduction.reproduce` yields.

    Returns:
        The recipes, with what their runs reached.
    """
    from inkdigits.runs.engines import Underway
    from inkdigits.runs.reproduction import Measured, RunStep

    recipes: Sequence[Recipe] = ()
    with Bar() as bar:
        for planned, steps in groupby(records, key=lambda record: getattr(record, "run", None)):
            if planned:
                reported = (step.record for step in steps if isinstance(step, RunStep))
                for _ in follow(reported, planned.recipe.total_epochs, planned.title):
                    pass
                continue

            for record in steps:
                if isinstance(record, Underway):
                    bar.show(record.name, record.fraction, 1)
                elif isinstance(record, Measured):
                    recipes = record.recipes
            bar.hide()

    return recipes


def follow_sweep(
    records: "Iterable[SweepRecord]", space: "Space"
) -> "Generator[TrialResult, None, None]":
    """Show how a sweep is getting on: a bar for what is running, and a line for each trial.

    Args:
        records: what `runs.sweep.workers.sweep` yields.
        space: what is searched.

    Yields:
        Each trial that has come to its end.
    """
    from inkdigits.runs.sweep.trials import TrialResult, describe_trial

    with Bar() as bar:
        for record in records:
            if isinstance(record, TrialResult):
                bar.hide()
                print_line(wrap_for(sys.stderr, describe_trial(record, space)))
                yield record
                continue

            training = record.training
            figures = progress_figures(training) if training else (record.best,)
            bar.show(record.name, record.fraction, 1, *figures)


@contextmanager
def show_progress() -> Iterator[ProgressCallback]:
    """Show how long work is getting on: a line for each kind of work that begins, and a bar.

    Yields:
        What functions such as `load_dataset` take as `progress`.
    """
    begun = set[str]()
    with Bar() as bar:

        def update(work: str, done: int, total: int | None) -> None:
            if work not in begun:
                begun.add(work)
                bar.begin(work)
            bar.show("", done, total, _format_amount(work, done, total))

        yield update


def _format_amount(work: str, done: int, total: int | None) -> str:
    """Format how much is done: megabytes of a download, else things that are counted."""
    if work.startswith("downloading"):
        megabytes = f"{done / 1e6:.1f}"
        return f"{megabytes} of {total / 1e6:.1f} MB" if total else f"{megabytes} MB"

    return f"{done:,} of {total:,}" if total else f"{done:,}"


def progress_figures(progress: "TrainingProgress") -> tuple[str, str, str]:
    """Return the figures of the epoch under way, the most important first."""
    from inkdigits.evaluation.metrics import percent  # not above: `read` starts without it

    accuracy = percent(progress.train_accuracy)
    return (
        f"loss {progress.train_loss:.4f}",
        f"accuracy {accuracy:>8}",
        f"{progress.images_per_second:,.0f} images/s",
    )


def format_epoch(epoch: "Epoch", epochs: int) -> str:
    """Format a finished epoch as a line of at most 80 columns.

    Args:
        epoch: its figures.
        epochs: how many epochs the run has.
    """
    from inkdigits.evaluation.metrics import percent

    train = percent(epoch.train_accuracy)
    validation = percent(epoch.validation_accuracy)
    return (
        f"epoch {_of(epoch.epoch, epochs)}  loss {epoch.train_loss:.4f}  accuracy {train:>8}  "
        f"validation {validation:>8}  {epoch.seconds:.1f} s"
    )


def _of(epoch: int, epochs: int) -> str:
    """Format the number of an epoch as one of so many."""
    return f"{epoch:>{len(str(epochs))}}/{epochs}"
