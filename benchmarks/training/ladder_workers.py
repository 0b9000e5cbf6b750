"""The contenders of the ladder, each in a process of its own that waits between its trainings."""

import importlib
import importlib.util
import multiprocessing
import shutil
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from multiprocessing.connection import Connection

from benchmarks.common import tell
from inkdigits.data.datasets import load_dataset


@dataclass(frozen=True)
class Contender:
    """Who trains.

    Attributes:
        name: in the tables.
        module: of `contenders`.
        option: what that module's `prepare` takes.
        needs: packages and programs.
        seeds: trainings whose accuracy is measured.
        rounds: timed ones at most; None for as many as asked.
        published: accuracy, where it is not measured here.
    """

    name: str
    module: str
    option: str
    needs: tuple[str, ...] = ()
    seeds: int = 0
    rounds: int | None = None
    published: float | None = None

    @property
    def is_ours(self) -> bool:
        """Tell whether it is one of our recipes."""
        return self.module == "ours"

    @property
    def missing(self) -> list[str]:
        """Return what it needs and is not installed."""
        return [name for name in self.needs if not _is_installed(name)]


def _is_installed(name: str) -> bool:
    return importlib.util.find_spec(name) is not None or shutil.which(name) is not None


@dataclass(frozen=True)
class Outcome:
    """One training.

    Attributes:
        seconds: on the warm clock.
        compiling: seconds, besides.
        part: the fraction of it that was timed.
        note: how.
        test: accuracy; None where a part was trained.
        validation: likewise.
    """

    seconds: float
    compiling: float
    part: float
    note: str
    test: float | None
    validation: float | None


class Worker:
    """A contender's process. `start` starts it; `stop` ends it, or our own end does."""

    def __init__(self, contender: Contender, digits: int | None, threads: int) -> None:
        self.contender = contender
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        arguments = theirs, contender, digits, threads
        self.process = context.Process(target=serve, args=arguments, daemon=True)
        self.process.start()
        theirs.close()

    @cache  # noqa: B019
    def prepared(self) -> str | None:
        """Wait until it has prepared; return what went wrong, None if nothing."""
        error, _ = self._answer()
        tell(f"{self.contender.name}: {error or 'ready'}")
        return error

    def train(self, seed: int, whole: bool) -> Outcome:
        """Train once. Raises RuntimeError where that fails."""
        self.connection.send((seed, whole))
        error, outcome = self._answer()
        if outcome is None:
            raise RuntimeError(f"{self.contender.name}: {error}")

        return outcome

    def _answer(self) -> tuple[str | None, Outcome | None]:
        try:
            answer: tuple[str | None, Outcome | None] = self.connection.recv()
        except EOFError:
            self.process.join()
            return f"its process ended with status {self.process.exitcode}", None

        return answer

    def stop(self) -> None:
        """End the process."""
        self.connection.close()
        self.process.terminate()
        self.process.join()


def serve(connection: Connection, contender: Contender, digits: int | None, threads: int) -> None:
    """Prepare, then train whenever a seed arrives, and send (error, outcome)."""
    try:
        import torch  # whose threads are limited; other frameworks go by the environment

        dataset = load_dataset("mnist", download=False)
        splits = {name: dataset[name][:digits] for name in ("train", "test", "validation")}
        torch.set_num_threads(threads)
        module = importlib.import_module(f"benchmarks.training.contenders.{contender.module}")
        trainer = module.prepare(splits["train"], contender.option)
        connection.send((None, None))
        while True:
            seed, whole = connection.recv()
            trained = trainer.train(seed, whole)
            accuracies: list[float | None] = [None, None]
            if trained.read is not None:
                tested = splits["test"], splits["validation"]
                accuracies = [
                    float((trained.read(split.images) == split.labels).mean()) for split in tested
                ]

            facts = trained.seconds, trainer.compiling, trained.part, trained.note
            connection.send((None, Outcome(*facts, *accuracies)))
    except EOFError:
        pass
    except Exception as error:
        traceback.print_exc()
        connection.send((f"{type(error).__name__}: {error}".splitlines()[0], None))


def start(
    contenders: Sequence[Contender], digits: int | None, threads: int, at_once: bool
) -> tuple[list[Worker], list[str]]:
    """Start contenders.

    Args:
        contenders: to start.
        digits: that each learns from, None for all.
        threads: that each may use.
        at_once: do not wait for one after the other, as timed compiling needs.

    Returns:
        The workers, and a line for each contender that could not be started.
    """
    workers: list[Worker] = []
    left_out: list[str] = []
    for contender in contenders:
        if contender.missing:
            names = " and ".join(contender.missing)
            told = f"left out, as it needs {names}, not here (make bench installs the packages)"
            left_out.append(f"{contender.name}: {told}")
            continue

        workers.append(Worker(contender, digits, threads))
        if not at_once:
            workers[-1].prepared()

    for worker in list(workers):
        if problem := worker.prepared():
            left_out.append(f"{worker.contender.name}: left out, {problem}")
            worker.stop()
            workers.remove(worker)

    for line in left_out:
        tell(line)

    return workers, left_out
