"""Trainings side by side: in several processes on this machine, or as tasks on a Ray cluster.

Commands or a function come in; what they return, or why they failed, goes out. `reproduction` and
`sweep` decide what is to be trained.
"""

import contextlib
import logging
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import torch

from inkdigits.core.errors import BadValue, InkdigitsError, needs_extra
from inkdigits.reading.network import processors
from inkdigits.training.figures import TrainingProgress

log = logging.getLogger(__name__)

PACKAGE = Path(__file__).parents[2]  # where `inkdigits` is imported from
GLANCE_SECONDS = 0.5  # between two looks at what other processes have finished

# These end one training, not all of them.
TRAINING_ERRORS = (InkdigitsError, torch.OutOfMemoryError)


@dataclass(frozen=True)
class Underway:
    """Progress of several trainings: what is running, and the fraction done (0 to 1).

    Attributes:
        name: what is running, such as "3/20 trials".
        fraction: how much of it is done.
        training: how the network under way is learning; None if there are several.
        best: the best result so far, in words.
    """

    name: str
    fraction: float
    training: TrainingProgress | None = None
    best: str = ""


@dataclass(frozen=True)
class Failure:
    """Why a training could not be finished, in a sentence."""

    reason: str


def check_jobs(jobs: int | None) -> None:
    """Refuse a number of jobs that would do nothing.

    Raises:
        BadValue: it is below 1.
    """
    if jobs is not None and jobs < 1:
        raise BadValue(f"{jobs} jobs do nothing; 1 or more do")


def run_processes(arguments: Sequence[object], jobs: int) -> Generator[None, None, None]:
    """Run `inkdigits ARGUMENTS` in several processes, which share the work among themselves.

    Each process has its share of the processors as threads, unless OMP_NUM_THREADS is set: the bits
    of a training may depend on the number of its threads. No process imports modules from
    the folder where it is started, which may be a stranger's. A process that fails is logged.
    Closing the generator sends each process SIGTERM and waits until it has saved its work.

    Args:
        arguments: of the command.
        jobs: how many processes.

    Yields:
        None, twice a second, until all processes have ended.
    """
    threads = max(1, processors() // jobs)
    environment = {"OMP_NUM_THREADS": str(threads), **os.environ, "PYTHONSAFEPATH": "1"}
    command = [sys.executable, "-P", "-m", "inkdigits", *map(str, arguments)]
    quiet = subprocess.DEVNULL

    with ExitStack() as stack:
        messages: list[IO[str]] = []
        processes: list[subprocess.Popen[bytes]] = []
        stack.callback(_stop, processes)
        for _ in range(jobs):
            said: IO[str] = stack.enter_context(tempfile.TemporaryFile("w+"))
            messages.append(said)
            processes.append(
                subprocess.Popen(  # noqa: S603
                    command, stdin=quiet, stdout=quiet, stderr=said, env=environment
                )
            )

        while any(process.poll() is None for process in processes):
            time.sleep(GLANCE_SECONDS)
            yield

        for process, said in zip(processes, messages, strict=True):
            if process.returncode:
                said.seek(0)
                last_words = (said.read().splitlines() or ["no word"])[-1]
                log.warning(
                    "one of %d processes ended with status %d: %s",
                    jobs,
                    process.returncode,
                    last_words,
                )


def _stop(processes: Sequence[subprocess.Popen[bytes]]) -> None:
    """Have processes save their work and leave."""
    for process in processes:
        process.terminate()
    for process in processes:
        process.wait()


def _call_in(folder: str, work: Callable[..., Any], *arguments: Any) -> Any:
    """Call a function in a folder, if this machine has it; names of files may be relative to it."""
    with contextlib.suppress(OSError):
        os.chdir(folder)

    return work(*arguments)


class RayTasks:
    """Calls of one function as tasks on the cluster that Ray finds, else on this machine.

    As a context manager it cancels the tasks that are under way when it is left.

    Args:
        work: the function. It runs on a machine that may have no files of ours.
        jobs: the most tasks at a time; None for one a processor of the cluster.
        device: of each task: a GPU is reserved for "cuda".

    Raises:
        MissingExtra: Ray is not installed.
    """

    def __init__(self, work: Callable[..., Any], jobs: int | None, device: str = "auto") -> None:
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # or Ray tells its makers
        with needs_extra("--engine ray", "scale"):
            import ray

        # Workers import from the folder where Ray is started, which may be a stranger's.
        self._folder = str(Path.cwd())
        with contextlib.chdir(PACKAGE):
            ray.init(ignore_reinit_error=True, log_to_driver=False, logging_level=logging.ERROR)

        self._ray = ray
        self._work = work
        self._task = ray.remote(num_gpus=int(device == "cuda"))(_call_in)
        self._slots = jobs or int(ray.cluster_resources()["CPU"])
        self._owners: dict[Any, Any] = {}

    def __enter__(self) -> "RayTasks":
        return self

    def __exit__(self, *error: object) -> None:
        for task in self._owners:
            self._ray.cancel(task, force=True)

    def __bool__(self) -> bool:
        """Tell whether any task is under way."""
        return bool(self._owners)

    @property
    def has_room(self) -> bool:
        """Whether another task may be started."""
        return len(self._owners) < self._slots

    def share(self, value: object) -> Any:
        """Return a reference to a large argument, which is sent to each machine only once."""
        return self._ray.put(value)

    def start(self, owner: Any, *arguments: object) -> None:
        """Start a task. `wait` returns `owner` with its result."""
        self._owners[self._task.remote(self._folder, self._work, *arguments)] = owner

    def wait(self) -> tuple[Any, Any]:
        """Wait for a task to finish.

        Returns:
            Its owner and its result: a Failure if its machine is gone or out of memory, after as
            many tries as Ray makes.
        """
        (done, *_), _ = self._ray.wait(list(self._owners))
        owner = self._owners.pop(done)
        try:
            return owner, self._ray.get(done)
        except self._ray.exceptions.RayError as error:
            return owner, Failure(str(error).splitlines()[0])
