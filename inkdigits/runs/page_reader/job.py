"""A job of training the page reader: everything that its result depends on."""

import dataclasses
import importlib.util
from dataclasses import dataclass
from typing import Any

from inkdigits.core.errors import BadValue, MissingExtra
from inkdigits.reading.network import processors
from inkdigits.runs.job import LARGEST_SEED, NEEDED_LIBRARIES
from inkdigits.runs.page_reader.weights import PageReaderWeights
from inkdigits.runs.resume import Interval
from inkdigits.training.device import choose_device
from inkdigits.training.page.recipe import NAME, PageRecipe


@dataclass(frozen=True)
class PageJob:
    """A recipe and options. The same job gives the same bits on the same machine.

    Attributes:
        recipe: of both networks.
        seed: of weights and pages.
        device: auto, cpu, cuda or mps.
        init: the weights to start from instead of fresh ones.
        workers: processes that draw pages; None for as many as there are processors for.
        interval: how often the state is saved.
    """

    recipe: PageRecipe
    seed: int
    device: str
    init: PageReaderWeights | None
    workers: int | None
    interval: Interval

    @property
    def identity(self) -> dict[str, Any]:
        """Everything that must be the same to continue a run, as JSON's types."""
        recipe = {"name": NAME, **dataclasses.asdict(self.recipe)}
        init = self.init.digest if self.init else None
        return {"recipe": recipe, "seed": self.seed, "init": init}

    @property
    def page_workers(self) -> int:
        """Processes that draw pages: one processor is left to the network that learns them."""
        if self.workers is None:
            return max(1, processors() - 1)

        return self.workers

    @property
    def look_workers(self) -> int:
        """Processes that take looks: this one waits for them meanwhile."""
        return processors() if self.workers is None else self.workers


def check_before_training(seed: int, device: str) -> None:
    """Refuse a job that would only fail later.

    Args:
        seed: of the run.
        device: auto, cpu, cuda or mps.

    Raises:
        UnknownName: there is no such device.
        BadValue: the device is not on this machine, or the seed is out of range.
        MissingExtra: a library is not installed.
    """
    choose_device(device)
    if not 0 <= seed <= LARGEST_SEED:
        raise BadValue(f"a seed is a whole number from 0 to {LARGEST_SEED}, not {seed}")

    for library in NEEDED_LIBRARIES:
        if importlib.util.find_spec(library) is None:
            raise MissingExtra("training", "train")
