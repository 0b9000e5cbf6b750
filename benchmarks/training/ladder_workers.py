"""The contenders of the ladder, each in a process of its own that waits between its trainings."""

import importlib
import importlib.util
import multiprocessing
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache

from benchmarks.training.contenders import Pixels, Said, Trained
from inkdigits.data.datasets import Dataset, Split, load_dataset


@dataclass(frozen=True)
class Contender:
    """Who trains.

    Attributes:
        name: in the tables.
        module: of `contenders`.
        option: what that module's `prepare` takes.
        needs: packages.
    """

    name: str
    module: str
    option: str
    needs: tuple[str, ...] = ()

    @property
    def is_ours(self) -> bool:
        """Tell whether it is one of our recipes."""
        return self.module == "ours"

    @property
    def missing(self) -> list[str]:
        """Return what it needs and is not installed."""
        return [name for name in self.needs if importlib.util.find_spec(name) is None]


@dataclass(frozen=True)
class Outcome:
    """One training.

    Attributes:
        seconds: on the warm clock.
        compiling: seconds, besides.
        test: accuracy.
        validation: likewise.
    """

    seconds: float
    compiling: float
    test: float
    validation: float


class Worker:
    """A contender's process, which starts and prepares with the first training.

    Args:
        contender: who trains there.
        digits: that it learns from, None for all.
        threads: that it may use.
    """

    def __init__(self, contender: Contender, digits: int | None, threads: int) -> None:
        self.job = contender, digits, threads
        self.process = ProcessPoolExecutor(1, multiprocessing.get_context("spawn"))

    def train(self, seed: int) -> Outcome:
        """Train once. Raises what is raised there."""
        return self.process.submit(train, *self.job, seed).result()

    def stop(self) -> None:
        """End the process."""
        self.process.shutdown()


def train(contender: Contender, digits: int | None, threads: int, seed: int) -> Outcome:
    """Train once, in the contender's own process; read all digits where all were learned from."""
    dataset, run = prepared(contender, digits, threads)
    trained = run(seed)
    splits = [dataset[name][:digits] for name in ("test", "validation")]
    accuracies = [accuracy(trained.read, split) for split in splits]
    return Outcome(trained.seconds, trained.compiling, *accuracies)


@cache
def prepared(
    contender: Contender, digits: int | None, threads: int
) -> tuple[Dataset, Callable[[int], Trained]]:
    """Load the digits and get the contender ready, once a process."""
    import torch  # whose threads are limited; other frameworks go by the environment

    torch.set_num_threads(threads)
    dataset = load_dataset("mnist", download=False)
    module = importlib.import_module(f"benchmarks.training.contenders.{contender.module}")
    return dataset, module.prepare(dataset.train[:digits], contender.option)


def accuracy(read: Callable[[Pixels], Said], split: Split) -> float:
    """Return the share of the digits that are read as they are labelled."""
    return float((read(split.images) == split.labels).mean())
