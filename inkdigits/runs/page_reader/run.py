"""A run of the page reader: a recipe in, a folder with its two networks out.

The folder holds page.onnx and look.onnx (export.py), the same weights as page.safetensors and
look.safetensors (weights.py), metrics.jsonl with every record (records.py), report.html
(report.py), and config.json, which is written last.
"""

import copy
import json
import logging
import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from inkdigits.core.digits import CONFIG_FILE
from inkdigits.core.errors import BadModel, BadValue, CannotWrite
from inkdigits.core.files import (
    entries,
    read_config,
    refuse_link,
    remove_file,
    remove_leftovers,
    write_whole,
)
from inkdigits.data.synthetic.training_pages.generator import prepare
from inkdigits.runs.artifacts import LAST_FILE, METRICS_FILE
from inkdigits.runs.checkpoint import machine, versions
from inkdigits.runs.job import EVERY_MINUTE
from inkdigits.runs.page_reader.export import (
    LOOK_FILE,
    PAGE_FILE,
    export_look_network,
    export_page_network,
)
from inkdigits.runs.page_reader.job import PageJob, check_before_training
from inkdigits.runs.page_reader.records import (
    PageReaderFigures,
    PageRunRecord,
    StageProgress,
    StageRecord,
    from_final_record,
    to_page_record,
    write_page_metrics,
)
from inkdigits.runs.page_reader.report import write_page_report
from inkdigits.runs.page_reader.weights import (
    LOOK_WEIGHTS,
    PAGE_WEIGHTS,
    load_page_weights,
    save_page_weights,
)
from inkdigits.runs.resume import (
    LAST_BITS,
    STATE_FOLDER,
    Interval,
    SavedStates,
    StateSaver,
    differences,
)
from inkdigits.runs.run_folder import LOCK_FILE, locked_folder
from inkdigits.training.device import name_lack_of_memory
from inkdigits.training.page.look_loop import LookTraining
from inkdigits.training.page.loop import PageTraining
from inkdigits.training.page.recipe import load_page_recipe
from inkdigits.training.page.votes import fit_votes

log = logging.getLogger(__name__)

STAGES = {"page": "steps", "look": "shards"}  # the two networks, and what their training counts
FILES = (
    PAGE_FILE,
    LOOK_FILE,
    PAGE_WEIGHTS,
    LOOK_WEIGHTS,
    METRICS_FILE,
    LAST_FILE,
    CONFIG_FILE,
)
SHOWN_EVERY = 0.25  # seconds between two records of progress


def train_page_reader(
    out: Path,
    *,
    seed: int = 0,
    device: str = "auto",
    settings: Mapping[str, Any] | None = None,
    init: str | Path | None = None,
    resume: bool = False,
    workers: int | None = None,
    interval: Interval = EVERY_MINUTE,
) -> Generator[PageRunRecord, None, None]:
    """Train the page reader and leave it in a folder. Closing the generator stops the run.

    With `resume`, a stopped run continues from its saved state and ends with the same bits as if it
    had never stopped; a finished run only yields its figures; without any run the training starts.
    After an error no folder is left behind, unless it holds a saved state.

    Args:
        out: the folder; new, empty, or with a run to resume.
        seed: of weights and pages.
        device: auto, cpu, cuda or mps.
        settings: keys of the recipe to change, such as {"steps": 500}.
        init: what both networks start from instead of fresh weights: a folder made by training, or
            "page" for the shipped ones.
        resume: go on with the run that was stopped in `out`, if there is one.
        workers: processes that draw pages; None for one a processor. The result does not depend on
            how many there are, if there are any.
        interval: how often the state is saved.

    Yields:
        `StageProgress` now and then, records of the page network, then of the second network, and
        at last the figures.

    Raises:
        InkdigitsError: with a sentence for the user.
    """
    recipe = load_page_recipe(settings)
    check_before_training(seed, device)
    weights = None if init is None else load_page_weights(init)
    job = PageJob(recipe, seed, device, weights, workers, interval)

    with locked_folder(out), name_lack_of_memory():
        for name in STAGES:
            refuse_link(out / name)
            refuse_link(out / name / STATE_FOLDER)

        figures = _finished_before(job, out, resume=resume)
        if figures is None:
            figures = yield from _train(job, out)

    yield figures


def _finished_before(job: PageJob, out: Path, *, resume: bool) -> PageReaderFigures | None:
    """Return the figures of a run that is finished, or None if the folder is free to train in.

    Raises:
        CannotWrite: the folder holds something else, or holds a run although `resume` is off.
        BadValue: it holds a run of another job.
    """
    if (out / CONFIG_FILE).is_file() and resume:
        config = _own_config(out / CONFIG_FILE)
        _check_identity(out, config, job)
        try:
            figures = from_final_record(config["final"])
        except (KeyError, TypeError) as error:
            raise BadModel(f"{out / CONFIG_FILE} is damaged: {error!a:.200}") from error

        log.warning("the run in %s is already finished", out)
        return figures

    remove_leftovers(out, FILES)
    stopped = (out / "page" / STATE_FOLDER).is_dir() and not (out / CONFIG_FILE).is_file()
    if stopped and not resume:
        raise CannotWrite(f"{out} holds a run that was stopped; --resume continues it")

    others = [path.name for path in entries(out) if path.name != LOCK_FILE]
    if others and not stopped:
        raise CannotWrite(
            f"the folder {out} exists and is not empty; choose a new one, or delete it first"
        )

    return None


def _own_config(path: Path) -> dict[str, Any]:
    """Read what a finished run says of itself.

    Raises:
        BadModel: it is not what a run writes.
    """
    try:
        config = read_config(path)
    except (OSError, ValueError) as error:
        raise BadModel(f"{path} is damaged: {error}") from error

    return config if isinstance(config, dict) else {}


def _check_identity(out: Path, then: Any, job: PageJob) -> None:
    """Raise BadValue where a folder holds a run with another recipe, seed or start.

    Args:
        out: the folder.
        then: what is read there, which may be a stranger's.
        job: the run that is asked for.
    """
    now = job.identity
    then = then if isinstance(then, dict) else {}
    different = differences(then.get("recipe"), now["recipe"])
    different += differences(then, {"seed": now["seed"], "init": now["init"]})
    if different:
        raise BadValue(
            f"{out} holds another run, of {'; '.join(different)}; "
            "choose another folder, or the settings that it was started with"
        )


def _train(job: PageJob, out: Path) -> Generator[PageRunRecord, None, PageReaderFigures]:
    """Train both networks, and write the run's files.

    Returns:
        What they have reached.
    """
    yield StageProgress("page", 0.0)
    prepare("train")  # what is wrong with the data is said before there is anything to tidy up

    pages = PageTraining(
        job.recipe,
        job.seed,
        device=job.device,
        workers=job.page_workers,
    )
    if job.init:
        pages.start_from(job.init.page)

    yield from _train_stage(job, out, "page", pages, before=[])

    looks = LookTraining(
        job.recipe,
        # A copy, since the average is measured later, where it is.
        RunningNetwork(on_processor(pages.average)),
        job.seed,
        device=job.device,
        workers=job.look_workers,
    )
    if job.init:
        looks.start_from(job.init.look)

    yield from _train_stage(job, out, "look", looks, before=pages.history)

    figures = _finish(job, out, pages, looks)
    for name in STAGES:
        SavedStates(out / name).delete_with_run()

    return figures


def _train_stage(
    job: PageJob,
    out: Path,
    name: str,
    training: PageTraining | LookTraining,
    before: Sequence[StageRecord],
) -> Generator[PageRunRecord, None, None]:
    """Train one of the two networks from its saved state, or from the beginning.

    Args:
        job: of the run.
        out: its folder.
        name: of the network.
        training: ready for its first step.
        before: the records of the other network, if that was trained before.
    """
    states = SavedStates(out / name)
    saver = StateSaver(training, states, job.interval)
    saver.facts["identity"] = job.identity
    saver.facts["machine"] = machine()

    def write_metrics() -> None:
        write_page_metrics(out, [*before, *training.history])

    state = saver.load()
    if state:
        _check_identity(out, state.facts.get("identity"), job)
        saver.restore(state)
        saver.attempt(write_metrics)
        if training.fraction < 1:
            counted = f"{training.steps_done:,} {STAGES[name]}"
            log.warning("continuing with the %s network after %s", name, counted)
            changed = differences(state.facts, {"machine": machine()})
            if changed and "machine" in state.facts:
                log.warning(LAST_BITS, "; ".join(changed))

    shown = 0.0
    with _left_tidy(out, name, saver), saver.when_stopped():
        for record in training.parts():
            if record:
                saver.attempt(write_metrics)

            saver.save_if_due()
            if record:
                yield record
            elif time.monotonic() - shown > SHOWN_EVERY:
                shown = time.monotonic()
                yield StageProgress(name, training.fraction)

        saver.save()


@contextmanager
def _left_tidy(out: Path, name: str, saver: StateSaver) -> Iterator[None]:
    """After a stop or an error, say what stays in the folder; delete what is of no use."""
    was_there = (out / name).is_dir()
    try:
        yield
    except (KeyboardInterrupt, GeneratorExit):
        counted = f"{saver.training.steps_done:,} {STAGES[name]}"
        log.warning("stopped the %s network after %s; --resume continues from there", name, counted)
        raise
    except Exception as error:
        if any(SavedStates(out / stage) for stage in STAGES):
            error.add_note(f"its last good state stays in {out}")
        elif not was_there:
            SavedStates(out / name).delete_with_run()
            remove_file(out / METRICS_FILE)
        raise


def on_processor(network: nn.Module) -> nn.Module:
    """Copy a network to the CPU, in evaluation mode; the network itself stays where it is."""
    return copy.deepcopy(network).cpu().eval()


class RunningNetwork:
    """A page network in torch, called as reading calls an ONNX file."""

    def __init__(self, network: nn.Module) -> None:
        self.network = network

    def __call__(
        self,
        pictures: NDArray[np.uint8],
        *,
        fine: bool = True,  # noqa: ARG002 - it takes longer without, and answers the same
    ) -> Sequence[NDArray[np.float32]]:
        """Return the seven maps of pictures, uint8 (N, 3, H, W)."""
        contiguous = np.ascontiguousarray(pictures)
        with torch.no_grad():
            maps = self.network(torch.from_numpy(contiguous))

        return [one.numpy() for one in maps]


def _finish(job: PageJob, out: Path, pages: PageTraining, looks: LookTraining) -> PageReaderFigures:
    """Calibrate and measure both networks, and write the run's files; config.json is the last."""
    page_logits, logits, kinds = looks.validation_logits()
    figures = PageReaderFigures(
        seed=job.seed,
        validation_pages=job.recipe.validation_pages,
        page=pages.measure(),
        look=looks.figures(logits, kinds),
        votes=fit_votes(page_logits, logits, kinds),
    )

    page_network = on_processor(pages.average)
    look_network = on_processor(looks.average)
    export_page_network(page_network, out / PAGE_FILE)
    export_look_network(look_network, out / LOOK_FILE, figures.votes)
    save_page_weights(out, page_network, look_network)

    records: list[StageRecord] = [*pages.history, *looks.history]
    write_page_metrics(out, [*records, figures])
    making = {
        **job.identity,
        "device": str(pages.device),
        "versions": versions(),
        "machine": machine(),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    write_page_report(out / LAST_FILE, records=records, figures=figures, making=making)

    config = {**making, "final": to_page_record(figures)}
    write_whole(out / CONFIG_FILE, json.dumps(config, indent=2) + "\n")
    return figures
