"""TensorBoard's event files, in the folder `tensorboard` of a run.

The records of a run come in, are written down, and go out again; the training is not affected.
Needs the extra `tensorboard`.
"""

import json
import logging
import shutil
from collections.abc import Generator, Mapping, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from inkdigits.core.digits import CLASSES
from inkdigits.core.errors import needs_extra
from inkdigits.core.files import refuse_link
from inkdigits.data.splits import Dataset
from inkdigits.evaluation.metrics import Evaluation, evaluate_probabilities
from inkdigits.evaluation.plots.galleries import error_gallery
from inkdigits.evaluation.plots.style import FIGURE_WIDTH, FONT, dress, figure_of, label_axes
from inkdigits.evaluation.sections import flatten
from inkdigits.reading.recogniser import Recogniser
from inkdigits.runs.artifacts import (
    MEMBERS_FOLDER,
    METRICS_FILE,
    FinalFigures,
    RunRecord,
    run_name,
    to_record,
)
from inkdigits.training.figures import Epoch
from inkdigits.training.recipe import Recipe, to_table
from inkdigits.training.schedules import SCHEDULES

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from torch.utils.tensorboard import SummaryWriter

log = logging.getLogger(__name__)

EVENTS_FOLDER = "tensorboard"
FINAL_SUFFIX = ".final"  # ends the name of the file that is written when the weights are final
MOST_ERRORS = 48  # that are shown as pictures
DOTS_PER_INCH = 110  # of figures


def track(
    records: Generator[RunRecord, None, None],
    recipe: Recipe,
    dataset: Dataset,
    out: Path,
    seed: int = 0,
) -> Generator[RunRecord, None, None]:
    """Write down what `run` yields, and pass it on.

    A network's curves are in `out`/tensorboard, those of an ensemble's members in a folder each
    below it. When a run is resumed, what was written of the pass that it begins with and of later
    ones is marked as void; if nothing was written, the passes before it come from metrics.jsonl. A
    full disk ends the tracking, but not the training.

    Args:
        records: of `run`.
        recipe: of the run.
        dataset: of the run.
        out: its folder.
        seed: of the run.

    Raises:
        CannotWrite: where the folder of its files should be, there is a link.
        MissingExtra: TensorBoard is not installed.
    """
    refuse_link(out / EVENTS_FOLDER)
    with needs_extra("writing TensorBoard's files", "tensorboard"):
        import torch.utils.tensorboard  # noqa: F401

    return _tracked(records, _Events(recipe, dataset, out, seed), out)


def _tracked(
    records: Generator[RunRecord, None, None], events: "_Events", out: Path
) -> Generator[RunRecord, None, None]:
    folder_was_there = out.is_dir()
    events_were_there = events.folder.exists()
    disk_works = True
    try:
        with closing(events), closing(records):
            for record in records:
                try:
                    if disk_works:
                        events.add(record)
                except OSError as error:
                    disk_works = False
                    log.warning(
                        "TensorBoard's files cannot be written: %s; the training goes on without",
                        error,
                    )
                yield record
    except BaseException:
        # Where the run has left nothing, neither should we.
        nothing_else = [path.name for path in out.glob("*")] == [EVENTS_FOLDER]
        if nothing_else and not events_were_there:
            ours = out / EVENTS_FOLDER if folder_was_there else out
            shutil.rmtree(ours, ignore_errors=True)
        raise


class _Events:
    """The event files of one run: curves for each network, and the final figures once."""

    def __init__(self, recipe: Recipe, dataset: Dataset, out: Path, seed: int) -> None:
        self.recipe = recipe
        self.dataset = dataset
        self.out = out
        self.folder = out / EVENTS_FOLDER

        # Of each network: the folder of its events, and that of its run.
        self.folders = [(self.folder, out)]
        if recipe.members > 1:
            names = [run_name(recipe.member, each) for each in recipe.member_seeds(seed)]
            self.folders = [(self.folder / each, out / MEMBERS_FOLDER / each) for each in names]
        self._writers: dict[int, SummaryWriter] = {}  # of each network, by its number

    def close(self) -> None:
        """Close all files."""
        for writer in self._writers.values():
            with suppress(OSError):  # the disk is full, which was said already
                writer.close()

    def add(self, record: RunRecord) -> None:
        """Write a record down. Raises OSError."""
        if isinstance(record, FinalFigures):
            for network in range(self.recipe.members):
                if not self._has_events(network):
                    self._writer(network, self.recipe.epochs + 1)
            if not list(self.folder.glob(f"*{FINAL_SUFFIX}")):
                self._add_final(record)
            return

        network, epochs_before = divmod(record.epoch - 1, self.recipe.epochs)
        epoch = epochs_before + 1
        writer = self._writer(network, epoch)
        if isinstance(record, Epoch):
            self._add_epoch(writer, to_record(record) | {"epoch": epoch})

    def _has_events(self, network: int) -> bool:
        events, _ = self.folders[network]
        return any(events.glob("events.*"))

    def _writer(self, network: int, epoch: int) -> "SummaryWriter":
        """Return the writer of a network whose next pass is `epoch`, after all passes before it."""
        if network in self._writers:
            return self._writers[network]

        from torch.utils.tensorboard import SummaryWriter

        had_events = self._has_events(network)
        # A first file says where it begins, too: TensorBoard takes the first that does for the
        # beginning of all.
        purge_step = epoch if had_events else 1
        writer = SummaryWriter(self.folders[network][0], purge_step=purge_step)
        self._writers[network] = writer

        if not had_events:
            for line in self._metrics(network):
                if line.get("epoch", epoch) < epoch:
                    self._add_epoch(writer, line)

        return writer

    def _metrics(self, network: int) -> list[dict[str, Any]]:
        """Return the lines of a network's metrics.jsonl, which is written before an Epoch."""
        _, run = self.folders[network]
        path = run / METRICS_FILE
        if not path.is_file():
            return []

        return [json.loads(line) for line in path.read_text().splitlines()]

    def _add_epoch(self, writer: "SummaryWriter", epoch: Mapping[str, Any]) -> None:
        """Add a point to each curve, from an epoch's line of metrics.jsonl."""
        step = epoch["epoch"]
        for figure in ("loss", "accuracy"):
            for split in ("train", "validation"):
                writer.add_scalar(f"{figure}/{split}", epoch[f"{split}_{figure}"], step)

        middle_of_pass = (step - 0.5) / self.recipe.epochs
        factor = SCHEDULES[self.recipe.schedule](middle_of_pass)
        writer.add_scalar("learning_rate", self.recipe.learning_rate * factor, step)
        writer.add_scalar("images_per_second", epoch["images_per_second"], step)
        writer.flush()

    def _add_final(self, final: FinalFigures) -> None:
        """Write the figures beside the recipe, and pictures of the validation digits' errors."""
        from torch.utils.tensorboard import SummaryWriter

        figures = {
            f"final/{key}": value
            for key, value in to_record(final).items()
            if isinstance(value, float)
        }
        recipe = json.dumps(to_table(self.recipe), indent=2, ensure_ascii=False)
        digits = self.dataset.validation[self.dataset.validation.labels < CLASSES]
        probabilities = Recogniser(self.out).classify(digits.images)
        evaluation = evaluate_probabilities(probabilities, digits.labels)
        pictures = {"confusion": confusion_picture(evaluation, self.dataset.classes[:CLASSES])}
        if evaluation.errors:
            pictures["errors"] = error_gallery(
                digits.images, digits.labels, probabilities, most=MOST_ERRORS
            )

        with closing(SummaryWriter(self.folder, filename_suffix=FINAL_SUFFIX)) as writer:
            writer.add_hparams(
                {"seed": final.seed, **_hyperparameters(self.recipe)},
                figures,
                run_name=".",
                global_step=final.epochs,
            )
            writer.add_text("recipe", f"```json\n{recipe}\n```")
            for name, figure in pictures.items():
                figure.set_dpi(DOTS_PER_INCH)
                writer.add_figure(f"validation/{name}", figure, final.epochs)


def confusion_picture(evaluation: Evaluation, classes: Sequence[str]) -> "Figure":
    """Draw the confusion matrix for TensorBoard, which shows no SVG, in the colours of counts.

    Args:
        evaluation: the figures.
        classes: the names of the ten classes.
    """
    figure = figure_of(FIGURE_WIDTH)
    axes = figure.subplots()
    counts = np.array(evaluation.confusion)
    axes.imshow(np.log1p(counts), cmap="Blues", vmax=2 * np.log1p(counts.max()))
    for (label, read), count in np.ndenumerate(counts):
        if count:
            axes.text(read, label, f"{count:,}", ha="center", va="center", fontsize=FONT - 2)

    dress(axes, "", grid="")
    axes.set_xticks(range(CLASSES), classes, rotation=55, parse_math=False)
    axes.set_yticks(range(CLASSES), classes, parse_math=False)
    label_axes(axes, "read as", "label")
    return figure


def _hyperparameters(recipe: Recipe) -> dict[str, str | int | float]:
    """Return the keys of a recipe, with values that are neither numbers nor text as JSON."""
    return {
        key: value if isinstance(value, str | int | float) else json.dumps(value)
        for key, value in flatten(recipe.what_it_trains)
    }
