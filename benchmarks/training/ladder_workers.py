"""The contenders of the ladder, each in a process of its own that waits between its trainings, and what they send back."""

import importlib
import importlib.util
import multiprocessing
import os
import shutil
import sys
import traceback
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cache
from multiprocessing.connection import Connection

from inkdigits.data.datasets import load_dataset


@dataclass(frozen=True)
class Contender:
    """Who trains. module, option: see `contenders`; needs: packages and programs; rounds, seeds: at most, None as many as asked."""

    name: str
    module: str
    option: str
    needs: tuple[str, ...] = ()
    seeds: int = 0  # trainings whose accuracy is measured
    rounds: int | None = None
    published: float | None = None  # accuracy, where it is not measured here

    @property
    def missing(self) -> list[str]:
        """What it needs and is not here."""
        return [
            name
            for name in self.needs
            if importlib.util.find_spec(name) is None and shutil.which(name) is None
        ]


@dataclass(frozen=True)
class Outcome:
    """One training: seconds on the warm clock, and with compiling; accuracies on splits, None where a part was trained."""

    seconds: float
    compiling: float
    part: float
    note: str
    test: float | None
    validation: float | None


class Worker:
    """A contender's process. It is started by `start`, and ended by `stop` or with ours."""

    def __init__(self, contender: Contender, digits: int | None, threads: int) -> None:
        self.contender = contender
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        arguments = (theirs, contender.module, contender.option, digits, threads)
        self.process = context.Process(target=serve, args=arguments, daemon=True)
        self.process.start()
        theirs.close()

    @cache  # noqa: B019
    def prepared(self) -> str | None:
        """Wait until it has. Returns what went wrong, None if nothing."""
        error, _ = self._answer()
        print(f"{self.contender.name}: {error or 'ready'}", file=sys.stderr)
        return error

    def train(self, seed: int, whole: bool) -> Outcome:
        """Raises RuntimeError where it fails."""
        self.connection.send((seed, whole))
        error, outcome = self._answer()
        if error is not None or outcome is None:
            raise RuntimeError(f"{self.contender.name}: {error}")
        return outcome

    def _answer(self) -> tuple[str | None, Outcome | None]:
        try:
            error, fields = self.connection.recv()
        except EOFError:
            self.process.join()
            return f"its process ended with status {self.process.exitcode}", None
        return error, fields and Outcome(**fields)

    def stop(self) -> None:
        """End the process."""
        self.connection.close()
        self.process.terminate()
        self.process.join()


def serve(
    connection: Connection, module: str, option: str, digits: int | None, threads: int
) -> None:
    """In the process: prepare, then train whenever a seed arrives. Sends (error, outcome)."""
    try:
        dataset = load_dataset("mnist", download=False)
        train, validation, test = (
            dataset[name][:digits] for name in ("train", "validation", "test")
        )
        limit_threads(threads)
        trainer = importlib.import_module(f"benchmarks.training.contenders.{module}").prepare(
            train, option
        )
        connection.send((None, None))
        while True:
            seed, whole = connection.recv()
            trained = trainer.train(seed, whole)
            accuracies: list[float | None] = [None, None]
            if (read := trained.read) is not None:
                accuracies = [
                    float((read(split.images) == split.labels).mean())
                    for split in (test, validation)
                ]
            outcome = Outcome(
                trained.seconds, trainer.compiling, trained.part, trained.note, *accuracies
            )
            connection.send((None, asdict(outcome)))
    except EOFError:
        pass
    except Exception as error:
        traceback.print_exc()
        connection.send((f"{type(error).__name__}: {error}".splitlines()[0], None))


def limit_threads(threads: int) -> None:
    """Of torch, where it is used; the other frameworks go by what processors the process may use and by the environment."""
    import torch

    torch.set_num_threads(threads)


def use_processors(count: int) -> None:
    """For us and those that we start: so many processors, and as many threads in all libraries."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:count])
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = str(count)
    limit_threads(count)


def start(
    contenders: Sequence[Contender], digits: int | None, threads: int, at_once: bool
) -> tuple[list[Worker], list[str]]:
    """Those that could be started, and a line for each that could not. at_once: not one after another, as timed compiling wants."""
    workers, left_out = list[Worker](), list[str]()
    for contender in contenders:
        if contender.missing:
            names = " and ".join(contender.missing)
            left_out.append(
                f"{contender.name}: left out, as it needs {names}, not here (make bench installs the packages)"
            )
        else:
            workers.append(Worker(contender, digits, threads))
            if not at_once:
                workers[-1].prepared()
    for worker in list(workers):
        if problem := worker.prepared():
            left_out.append(f"{worker.contender.name}: left out, {problem}")
            worker.stop()
            workers.remove(worker)
    for line in left_out:
        print(line, file=sys.stderr)
    return workers, left_out
