"""What a run and a download look like while they last: a bar on a terminal, plain lines in a log file, always on standard error.

Takes records and counts as they come, returns nothing of its own. A bar needs rich; without it a terminal gets the log's lines.
"""

import sys
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from inkdigits.evaluation import percent

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress

    from inkdigits.outcome import Final
    from inkdigits.run import Record
    from inkdigits.training import Epoch, Progress


class Bar:
    """One bar at the bottom of the terminal, from the first `show` to the end of the `with`; nothing where there is no terminal.

    What is printed to standard error meanwhile appears above it.
    """

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._progress: RichProgress | None = None

    def __enter__(self) -> "Bar":
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def show(self, name: str, fraction: float | None, figures: str) -> None:
        """Draw it: a name, the bar, figures. fraction: how much is done, 0 to 1; None where nobody knows."""
        if self._progress is None:
            progress = _rich_progress()
            if progress is None:
                return
            progress.add_task("", name=name, figures=figures)
            self._progress = self._stack.enter_context(progress)
        total = None if fraction is None else 1.0
        task = self._progress.task_ids[0]
        self._progress.update(task, total=total, completed=fraction or 0.0, name=name, figures=figures)


def _rich_progress() -> "RichProgress | None":
    if not sys.stderr.isatty():
        return None
    try:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn
    except ImportError:
        return None
    name, figures = (TextColumn(text, markup=False) for text in ("{task.fields[name]}", "{task.fields[figures]}"))
    return Progress(name, BarColumn(bar_width=None), figures, console=Console(stderr=True), transient=True, expand=True)


def follow(records: Iterable["Record"], epochs: int) -> "Generator[Epoch | Final, None, None]":
    """Pass the epochs and the final figures on; show the epoch under way as a bar and every finished one as a line."""
    from inkdigits.training import Epoch, Progress  # not above: downloads are shown without torch, too

    with Bar() as bar:
        for record in records:
            if isinstance(record, Progress):
                bar.show(f"epoch {_of(record.epoch, epochs)}", record.fraction, progress_figures(record))
                continue
            if isinstance(record, Epoch):
                _line(epoch_line(record, epochs))
                if record.epoch == epochs:
                    bar.show("measuring and writing", None, "")
            yield record


def progress_figures(progress: "Progress") -> str:
    """The epoch under way, beside its bar."""
    accuracy = percent(progress.train_accuracy)
    return f"loss {progress.train_loss:.4f}  accuracy {accuracy:>8}  {progress.images_per_second:,.0f} images/s"


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
    seen: set[str] = set()
    with Bar() as bar:

        def update(work: str, done: int, total: int | None) -> None:
            if work not in seen:
                seen.add(work)
                _line(work)
            bar.show("", done / total if total else None, f"{done:,} of {total:,}" if total else f"{done:,}")

        yield update


def _line(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
