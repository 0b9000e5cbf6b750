"""What a run and a download look like while they last: a bar on a terminal, plain lines in a log file, always on standard error.

Takes records and counts as they come, returns nothing of its own. A bar needs rich; without it a terminal gets the log's lines.
Long sentences and tables are fitted to the terminal here, too.
"""

import shutil
import sys
import textwrap
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

from inkdigits.evaluation.metrics import percent

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress

    from inkdigits.runs.artifacts import Final
    from inkdigits.runs.run import Record
    from inkdigits.runs.sweep.space import Space
    from inkdigits.runs.sweep.trials import Result
    from inkdigits.runs.sweep.workers import Underway
    from inkdigits.training.loop import Epoch, Progress

BESIDE = 2  # columns that a bar leaves free: a terminal writes ^C there, and a line that it breaks cannot be taken away
SHORTEST_BAR = (
    8  # columns, with the blank on either side; figures that leave less room are left out
)
NARROWEST = 30  # columns of text that are worth an indent
SOONEST = 2.0  # seconds that say something about the rest


class Bar:
    """One bar at the bottom of the terminal, from the first `show` to the end of the `with`; nothing where there is no terminal.

    What is printed to standard error meanwhile appears above it. Before anything goes to standard output, `hide` it.
    """

    def __init__(self) -> None:
        self._progress: RichProgress | None = None

    def __enter__(self) -> "Bar":
        return self

    def __exit__(self, *error: object) -> None:
        self.hide()

    def show(self, name: str, fraction: float | None, *figures: str) -> None:
        """Draw it: a name, the bar, and as many figures as fit. fraction: how much is done, 0 to 1; None where nobody knows."""
        if self._progress is None:
            self._progress = _rich_progress()
            if self._progress is None:
                return
            self._progress.add_task("", name="", figures="")
        console, task = self._progress.console, self._progress.task_ids[0]
        console.width = _columns() - BESIDE
        shown = fitting(figures, console.width - len(name) - SHORTEST_BAR)
        total = None if fraction is None else 1.0
        self._progress.update(
            task, total=total, completed=fraction or 0.0, name=name, figures=shown
        )
        if not self._progress.live.is_started:
            self._progress.start()

    def hide(self) -> None:
        """Take it away until it is shown again."""
        if self._progress:
            self._progress.stop()


def fitting(figures: Iterable[str], columns: int) -> str:
    """The first of the figures, as many as fit beside one another."""
    shown = ""
    for figure in filter(None, figures):
        longer = f"{shown}  {figure}" if shown else figure
        if len(longer) > columns:
            break
        shown = longer
    return shown


def _rich_progress() -> "RichProgress | None":
    if not sys.stderr.isatty():
        return None
    try:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn
        from rich.table import Column
    except ImportError:
        return None
    console = Console(stderr=True)
    if not console.is_interactive:  # one that cannot move its cursor, as TERM=dumb says
        return None
    name, figures = (
        TextColumn(text, markup=False, table_column=Column(no_wrap=True))
        for text in ("{task.fields[name]}", "{task.fields[figures]}")
    )
    # Standard output may be a file, and what goes there is none of the terminal's business.
    return Progress(
        name,
        BarColumn(bar_width=None),
        figures,
        console=console,
        transient=True,
        expand=True,
        redirect_stdout=False,
    )


def _columns() -> int:
    """Of the terminal as it is at the moment."""
    from rich.console import Console

    return Console(stderr=True).width


class Pace:
    """How long the rest will take, judged by what is done since the first question."""

    def __init__(self) -> None:
        self._began: tuple[float, float] | None = None

    def left(self, done: float) -> str:
        """In words, such as "2:31 left" for minutes and seconds; nothing as long as nobody can tell. done: 0 to 1."""
        now = time.monotonic()
        began, before = self._began = self._began or (now, done)
        if done <= before or now - began < SOONEST:
            return ""
        seconds = round((now - began) * (1 - done) / (done - before))
        hours, minutes = divmod(seconds // 60, 60)
        return (
            f"{hours}:{minutes:02}:{seconds % 60:02} left"
            if hours
            else f"{minutes}:{seconds % 60:02} left"
        )


def follow(
    records: Iterable["Record"], epochs: int, title: str = ""
) -> "Generator[Epoch | Final, None, None]":
    """Pass the epochs and the final figures on; show the epoch under way as a bar and every finished one as a line.

    title: the line above them, once there is anything to show.
    """
    from inkdigits.training.loop import (  # not above: downloads are shown without torch, too
        Epoch,
        Progress,
    )

    pace = Pace()
    with Bar() as bar:
        for record in records:
            if title and isinstance(record, Progress | Epoch):
                _line(title)
                title = ""
            if isinstance(record, Progress):
                left = pace.left((record.epoch - 1 + record.fraction) / epochs)
                bar.show(
                    f"epoch {_of(record.epoch, epochs)}",
                    record.fraction,
                    *progress_figures(record),
                    left,
                )
                continue
            bar.hide()
            if isinstance(record, Epoch):
                _line(epoch_line(record, epochs))
            yield record
            if isinstance(record, Epoch):
                last = record.epoch == epochs
                bar.show(
                    "measuring and writing" if last else f"epoch {_of(record.epoch + 1, epochs)}",
                    None if last else 0.0,
                )


def follow_sweep(
    records: "Iterable[Underway | Result]", space: "Space"
) -> "Generator[Result, None, None]":
    """Pass the results of a sweep on, showing what is running as a bar and each finished trial as a line.

    Args:
        records: what `runs.sweep.workers.sweep` yields.
        space: what is searched.

    Yields:
        Each trial that has come to its end.
    """
    from inkdigits.runs.sweep.trials import Result, line

    with Bar() as bar:
        for record in records:
            if isinstance(record, Result):
                bar.hide()
                sys.stderr.write(fitted(line(record, space), sys.stderr) + "\n")
                yield record
                continue

            training = record.training
            figures = progress_figures(training) if training else (record.best,)
            bar.show(record.name, record.fraction, *figures)


def progress_figures(progress: "Progress") -> tuple[str, str, str]:
    """The epoch under way, beside its bar, what counts most first."""
    accuracy = percent(progress.train_accuracy)
    return (
        f"loss {progress.train_loss:.4f}",
        f"accuracy {accuracy:>8}",
        f"{progress.images_per_second:,.0f} images/s",
    )


def epoch_line(epoch: "Epoch", epochs: int) -> str:
    """A finished epoch in one line of at most 80 columns."""
    train, validation = percent(epoch.train_accuracy), percent(epoch.validation_accuracy)
    return (
        f"epoch {_of(epoch.epoch, epochs)}  loss {epoch.train_loss:.4f}  accuracy {train:>8}  "
        f"validation {validation:>8}  {epoch.seconds:.1f} s"
    )


def _of(epoch: int, epochs: int) -> str:
    return f"{epoch:>{len(str(epochs))}}/{epochs}"


@contextmanager
def downloads() -> Iterator[Callable[[str, int, int | None], None]]:
    """What `load_dataset` and `fetch_dataset` take as `progress`: a line for each kind of work that they begin, and a bar."""
    paces: dict[str, Pace] = {}
    with Bar() as bar:

        def update(work: str, done: int, total: int | None) -> None:
            if work not in paces:
                bar.hide()
                _line(work)
                paces[work] = Pace()
            share = done / total if total else None
            bar.show(
                "",
                share,
                _amount(work, done, total),
                "" if share is None else paces[work].left(share),
            )

        yield update


def _amount(work: str, done: int, total: int | None) -> str:
    """What is done of what there is: bytes where something is downloaded, else things that are counted."""
    if work.startswith("downloading"):
        return f"{done / 1e6:.1f} of {total / 1e6:.1f} MB" if total else f"{done / 1e6:.1f} MB"
    return f"{done:,} of {total:,}" if total else f"{done:,}"


def fitted(text: str, stream: TextIO, indent: int = 2) -> str:
    """Text that breaks between words where the stream is a terminal; as it is in a log. indent: columns before all lines but one.

    A first line that is a row of a table keeps its blanks, and a terminal that has no room for so large an indent gets a small one.
    """
    if not stream.isatty():
        return text
    columns = shutil.get_terminal_size().columns
    blanks = " " * (indent if indent + NARROWEST <= columns else 2)
    return textwrap.fill(
        text, columns, subsequent_indent=blanks, break_long_words=False, break_on_hyphens=False
    )


def _line(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
