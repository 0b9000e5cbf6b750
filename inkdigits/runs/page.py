"""A run of the page reader: a recipe in, a folder with its two networks out.

The folder holds page.onnx and look.onnx (page_export.py), the same weights as page.safetensors and
look.safetensors, metrics.jsonl with the figures of validation pages, and config.json, which is
written last.
"""

import copy
import dataclasses
import json
import logging
import shutil
from collections.abc import Generator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from inkdigits import __version__
from inkdigits.core.digits import CONFIG_FILE
from inkdigits.core.errors import BadValue, CannotWrite
from inkdigits.core.files import entries, file_lock, remove_leftovers, writable_folder, write_whole
from inkdigits.runs.artifacts import METRICS_FILE
from inkdigits.runs.job import EVERY_MINUTE
from inkdigits.runs.page_export import (
    LOOK_FILE,
    PAGE_FILE,
    export_look_network,
    export_page_network,
)
from inkdigits.runs.resume import (
    STATE_FOLDER,
    Interval,
    SavedStates,
    StateSaver,
    differences,
)
from inkdigits.runs.run import LOCK_FILE, LOCK_NAME
from inkdigits.training.page.look_loop import LookFigures, LookRecord, LookTraining
from inkdigits.training.page.loop import PageRecord, PageTraining
from inkdigits.training.page.measuring import PageFigures
from inkdigits.training.page.recipe import load_page_recipe
from inkdigits.training.state import on_cpu

log = logging.getLogger(__name__)

PAGE_WEIGHTS = "page.safetensors"
LOOK_WEIGHTS = "look.safetensors"
TEMPERATURES = np.geomspace(0.5, 3.0, 61)  # tried for the second network; steps of 3 %


@dataclasses.dataclass(frozen=True)
class PageReaderFigures:
    """What a run reached on validation pages, by hands that training never saw.

    Attributes:
        page: of the page network.
        look: of the second network, on the looks that the page network takes.
        temperature: that calibrates the second network.
    """

    page: PageFigures
    look: LookFigures
    temperature: float


PageRunRecord = PageRecord | LookRecord | PageReaderFigures


def train_page_reader(
    out: Path,
    *,
    seed: int = 0,
    device: str = "auto",
    settings: Mapping[str, Any] | None = None,
    resume: bool = False,
    workers: int = 1,
    interval: Interval = EVERY_MINUTE,
) -> Generator[PageRunRecord, None, None]:
    """Train the page reader and leave it in a folder. Closing the generator stops the run.

    Args:
        out: the folder; new, empty, or with a run to resume.
        seed: of weights and pages.
        device: auto, cpu, cuda or mps.
        settings: keys of the recipe to change, such as {"steps": 500}.
        resume: go on with the run that was stopped in `out`, if there is one.
        workers: processes that draw pages; the result does not depend on them.
        interval: how often the state is saved.

    Yields:
        Records of the page network, then of the second network, and at last the figures.

    Raises:
        InkdigitsError: with a sentence for the user.
    """
    recipe = load_page_recipe(settings)
    with file_lock(writable_folder(out) / LOCK_NAME, wait=False) as ours:
        if not ours:
            raise CannotWrite(f"another run is at work in {out}; choose another folder, or wait")

        _check_folder(out, resume=resume)
        identity = {"recipe": dataclasses.asdict(recipe), "seed": seed}
        pages = PageTraining(recipe, seed, device=device, workers=workers)
        yield from _stage(out, "page", pages, identity, interval)

        # A copy, since the average is measured later, where it is.
        reader = RunningNetwork(on_processor(pages.average))
        looks = LookTraining(recipe, reader, seed, device=device)
        yield from _stage(out, "look", looks, identity, interval)

        figures = _finish(out, pages, looks, identity)
        for stage in ("page", "look"):
            shutil.rmtree(out / stage, ignore_errors=True)

    yield figures


def on_processor(network: nn.Module) -> nn.Module:
    """Copy a network to the CPU, in evaluation mode; the network itself stays where it is."""
    return copy.deepcopy(network).cpu().eval()


class RunningNetwork:
    """A page network in torch, called as reading calls an ONNX file."""

    def __init__(self, network: nn.Module) -> None:
        self.network = network

    def __call__(self, pictures: NDArray[np.uint8]) -> Sequence[NDArray[np.float32]]:
        """Return the seven maps of pictures, uint8 (N, 3, H, W)."""
        contiguous = np.ascontiguousarray(pictures)
        with torch.no_grad():
            maps = self.network(torch.from_numpy(contiguous))

        return [one.numpy() for one in maps]


def _check_folder(out: Path, *, resume: bool) -> None:
    """Raise CannotWrite where a folder holds something else than a run to go on with."""
    if (out / CONFIG_FILE).is_file():
        raise CannotWrite(f"the run in {out} is finished; choose a new folder")

    remove_leftovers(out)
    others = [path.name for path in entries(out) if path.name != LOCK_FILE]
    stopped = (out / "page" / STATE_FOLDER).is_dir()
    if stopped and not resume:
        raise CannotWrite(f"{out} holds a run that was stopped; --resume goes on with it")
    if others and not stopped:
        raise CannotWrite(
            f"the folder {out} exists and is not empty; choose a new one, or delete it first"
        )


def _stage(
    out: Path,
    name: str,
    training: PageTraining | LookTraining,
    identity: dict[str, Any],
    interval: Interval,
) -> Generator[PageRecord | LookRecord, None, None]:
    """Train one of the two networks from its saved state, or from the beginning."""
    states = SavedStates(out / name)
    saver = StateSaver(training, states, interval)
    saver.facts["identity"] = identity
    state = states.load()
    if state:
        _check_identity(out, state.facts["identity"], identity)
        saver.restore(state)
        log.warning("going on with the %s network after %d steps", name, training.steps_done)

    with saver.when_stopped():
        for record in training.records():
            saver.save_if_due()
            if record:
                yield record
        saver.save()


def _check_identity(out: Path, then: dict[str, Any], now: dict[str, Any]) -> None:
    """Raise BadValue where a folder holds a run with another recipe or seed."""
    different = differences(then["recipe"], now["recipe"])
    different += differences({"seed": then["seed"]}, {"seed": now["seed"]})
    if different:
        raise BadValue(
            f"{out} holds another run: {'; '.join(different)}; choose another folder, or train "
            "with what it was started with"
        )


def _finish(
    out: Path, pages: PageTraining, looks: LookTraining, identity: dict[str, Any]
) -> PageReaderFigures:
    """Calibrate and measure both networks, and write them."""
    from safetensors.torch import save

    logits, kinds = looks.validation_logits()
    temperature = fit_temperature(logits, kinds)
    figures = PageReaderFigures(
        pages.measure(),
        looks.figures(logits, kinds),
        temperature,
    )

    page_network = on_processor(pages.average)
    look_network = on_processor(looks.average)
    export_page_network(page_network, out / PAGE_FILE)
    export_look_network(look_network, out / LOOK_FILE, temperature)
    write_whole(out / PAGE_WEIGHTS, save(on_cpu(page_network.state_dict())))
    write_whole(out / LOOK_WEIGHTS, save(on_cpu(look_network.state_dict())))

    reached = dataclasses.asdict(figures)
    write_whole(out / METRICS_FILE, json.dumps({"final": True, **reached}) + "\n")
    config = {**identity, "final": reached, "versions": {"inkdigits": __version__}}
    write_whole(out / CONFIG_FILE, json.dumps(config, indent=2) + "\n")
    return figures


def fit_temperature(logits: Tensor, kinds: Tensor) -> float:
    """Return the temperature that makes the true kinds most likely (Guo et al. 2017).

    Args:
        logits: (N, C) float32.
        kinds: (N,) int64, the true ones.

    Returns:
        One of TEMPERATURES; 1 where there is nothing to fit it to.
    """
    if len(kinds) == 0:
        return 1.0

    losses = []
    for temperature in TEMPERATURES:
        loss = F.cross_entropy(logits / float(temperature), kinds)
        losses.append(loss.item())

    best = int(np.argmin(losses))
    return float(TEMPERATURES[best])
