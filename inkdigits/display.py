"""What a run and a download look like on a terminal: bars where there is one, plain lines in a log file, always on standard error."""

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from inkdigits.errors import MissingExtra
from inkdigits.run import Final, Record
from inkdigits.training import Epoch, Progress


def epoch_line(epoch: Epoch, epochs: int) -> str:
    """An epoch in one line of at most 80 columns."""
    return (
        f"epoch {epoch.epoch:>{len(str(epochs))}}/{epochs}  loss {epoch.train_loss:.4f}  accuracy {epoch.train_accuracy:7.2%}  "
        f"validation {epoch.validation_accuracy:7.2%}  {epoch.seconds:.1f} s"
    )


def follow(records: Iterable[Record], epochs: int) -> Iterator[Epoch | Final]:
    """Pass the epochs and the final figures on, drawing a bar of the epoch under way where standard error is a terminal."""
    try:
        from rich.console import Console
        from rich.progress import BarColumn, TextColumn
        from rich.progress import Progress as Bar
    except ImportError as error:
        raise MissingExtra("a progress bar", "train") from error
    columns = (
        TextColumn(f"epoch {{task.fields[epoch]:>{len(str(epochs))}}}/{epochs}"),
        BarColumn(bar_width=None),
        TextColumn("loss {task.fields[loss]:.4f}  accuracy {task.fields[accuracy]:.2%}  {task.fields[rate]:,.0f} images/s"),
    )
    bar = Bar(*columns, console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty())
    with bar:
        task = bar.add_task("", total=1.0, epoch=1, loss=0.0, accuracy=0.0, rate=0.0, visible=False)
        for record in records:
            if isinstance(record, Progress):
                figures = {"loss": record.train_loss, "accuracy": record.train_accuracy, "rate": record.images_per_second}
                bar.update(task, completed=record.fraction, epoch=record.epoch, visible=True, **figures)
                continue
            if isinstance(record, Epoch):
                bar.console.print(epoch_line(record, epochs), highlight=False, soft_wrap=True)
                bar.update(task, visible=record.epoch < epochs)
            yield record


@contextmanager
def downloads() -> Iterator[Callable[[str, int, int | None], None]]:
    """A bar for every file that arrives; in a log file, a line for each."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, TextColumn, TransferSpeedColumn
    from rich.progress import Progress as Bar
    from rich.progress import TaskID

    terminal = sys.stderr.isatty()
    columns = (TextColumn("{task.description}"), BarColumn(bar_width=None), DownloadColumn(), TransferSpeedColumn())
    bar = Bar(*columns, console=Console(stderr=True), disable=not terminal)
    tasks: dict[str, TaskID] = {}

    def update(name: str, arrived: int, expected: int | None) -> None:
        if name not in tasks:
            tasks[name] = bar.add_task(name, total=expected)
            if not terminal:
                print(f"fetching {name}", file=sys.stderr)
        bar.update(tasks[name], completed=arrived, total=expected)

    with bar:
        yield update
