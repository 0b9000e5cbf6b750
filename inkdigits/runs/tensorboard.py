"""The records of a run -> TensorBoard's event files, in the folder `tensorboard` of the run.

Listens to what `run` yields and passes all of it on; the training does not know that anybody does. Needs the extra `tensorboard`.
"""

import io
import json
import logging
import shutil
from collections.abc import Generator, Mapping
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from inkdigits.core.digits import CLASSES
from inkdigits.core.errors import MissingExtra
from inkdigits.data.datasets import Dataset
from inkdigits.evaluation.metrics import evaluate_probabilities
from inkdigits.evaluation.plots.curves import confusion_matrix, error_gallery
from inkdigits.reading.recogniser import Recogniser
from inkdigits.runs.artifacts import METRICS_FILE, Final, to_record
from inkdigits.runs.run import Record, run_name
from inkdigits.training.launch import place_in_group
from inkdigits.training.loop import SCHEDULES, Epoch
from inkdigits.training.recipe import Recipe, to_table

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from torch.utils.tensorboard import SummaryWriter

log = logging.getLogger(__name__)

FOLDER = "tensorboard"
LAST = ".final"  # how the name of the file ends that holds what is known when the weights are final
MOST = 48  # errors that are shown
DOTS = 110  # an inch of a figure


def track(
    records: Generator[Record, None, None],
    recipe: Recipe,
    dataset: Dataset,
    out: Path,
    seed: int = 0,
) -> Generator[Record, None, None]:
    """What `run` yields, written down and passed on. recipe, dataset, out, seed: what `run` was given.

    A network's curves lie in `out`/tensorboard, those of an ensemble's members in a folder each below it. Where a run is gone on
    with, what was written of the pass that it begins with and of later ones is void; where nothing was written, the passes before
    it come from metrics.jsonl. A full disk ends the tracking and not the training. Raises MissingExtra.
    """
    try:
        import torch.utils.tensorboard  # noqa: F401
    except ImportError:
        raise MissingExtra("writing TensorBoard's files", "tensorboard") from None
    leads = place_in_group()[0] == 0
    return _tracked(records, _Events(recipe, dataset, out, seed), out) if leads else records


def _tracked(
    records: Generator[Record, None, None], events: "_Events", out: Path
) -> Generator[Record, None, None]:
    was_there, works = out.is_dir(), True
    try:
        with closing(events), closing(records):
            for record in records:
                try:
                    if works:
                        events.take(record)
                except OSError as error:
                    works = False
                    log.warning(
                        "TensorBoard's files cannot be written: %s; the training goes on without",
                        error,
                    )
                yield record
    except BaseException:
        if [path.name for path in out.glob("*")] == [
            FOLDER
        ]:  # the run has left nothing, and so do we
            shutil.rmtree(out / FOLDER if was_there else out, ignore_errors=True)
        raise


class _Events:
    """The event files of one run: for each network its curves, and once what is known at the end."""

    def __init__(self, recipe: Recipe, dataset: Dataset, out: Path, seed: int) -> None:
        self.recipe, self.dataset, self.out, self.folder = recipe, dataset, out, out / FOLDER
        self.members = (
            [run_name(recipe.member, each) for each in recipe.member_seeds(seed)]
            if recipe.members > 1
            else []
        )
        self._writers: dict[int, SummaryWriter] = {}  # of each network

    def close(self) -> None:
        """Have the files whole."""
        for writer in self._writers.values():
            with suppress(OSError):  # the disk is full, and that was said
                writer.close()

    def take(self, record: Record) -> None:
        """Write it down. Raises OSError."""
        if isinstance(record, Final):
            for network in range(self.recipe.members):
                if not self._written(network):
                    self._writer(network, self.recipe.epochs + 1)
            if not list(self.folder.glob(f"*{LAST}")):
                self._finish(record)
            return
        network, before = divmod(record.epoch - 1, self.recipe.epochs)
        writer = self._writer(network, before + 1)
        if isinstance(record, Epoch):
            self._add(writer, to_record(record) | {"epoch": before + 1})

    def _home(self, network: int) -> Path:
        return self.folder / self.members[network] if self.members else self.folder

    def _written(self, network: int) -> bool:
        return any(self._home(network).glob("events.*"))

    def _writer(self, network: int, epoch: int) -> "SummaryWriter":
        """That of a network whose next pass is `epoch`, with all passes before it."""
        from torch.utils.tensorboard import SummaryWriter

        if network not in self._writers:
            written = self._written(network)
            # A first file says where it begins, too: TensorBoard takes the first that does for the beginning of all.
            writer = self._writers[network] = SummaryWriter(
                self._home(network), purge_step=epoch if written else 1
            )
            for line in [] if written else self._metrics(network):
                if line.get("epoch", epoch) < epoch:
                    self._add(writer, line)
        return self._writers[network]

    def _metrics(self, network: int) -> list[dict[str, Any]]:
        """The lines of its metrics.jsonl, which is written before an Epoch is yielded."""
        run = self.out / "members" / self.members[network] if self.members else self.out
        path = run / METRICS_FILE
        return (
            [json.loads(line) for line in path.read_text().splitlines()] if path.is_file() else []
        )

    def _add(self, writer: "SummaryWriter", epoch: Mapping[str, Any]) -> None:
        """The curves' next points, from an epoch's line of metrics.jsonl. The learning rate is that of the middle of the pass."""
        step = epoch["epoch"]
        for figure in ("loss", "accuracy"):
            for split in ("train", "validation"):
                writer.add_scalar(f"{figure}/{split}", epoch[f"{split}_{figure}"], step)
        factor = SCHEDULES[self.recipe.schedule]((step - 0.5) / self.recipe.epochs)
        writer.add_scalar("learning_rate", self.recipe.learning_rate * factor, step)
        writer.add_scalar("images_per_second", epoch["images_per_second"], step)
        writer.flush()

    def _finish(self, final: Final) -> None:
        """The figures beside the recipe that led to them, and what the model makes of the validation digits."""
        from torch.utils.tensorboard import SummaryWriter

        figures = {
            f"final/{key}": value
            for key, value in to_record(final).items()
            if isinstance(value, float)
        }
        with closing(SummaryWriter(self.folder, filename_suffix=LAST)) as writer:
            writer.add_hparams(
                {"seed": final.seed, **_flat(self.recipe.what_it_trains)},
                figures,
                run_name=".",
                global_step=final.epochs,
            )
            writer.add_text(
                "recipe",
                f"```json\n{json.dumps(to_table(self.recipe), indent=2, ensure_ascii=False)}\n```",
            )
            digits = self.dataset.validation[self.dataset.validation.labels < CLASSES]
            said = Recogniser(self.out).classify(digits.images)
            evaluation, classes = (
                evaluate_probabilities(said, digits.labels),
                self.dataset.classes[:CLASSES],
            )
            writer.add_image(
                "validation/confusion",
                _pixels(confusion_matrix(evaluation, classes)),
                final.epochs,
                dataformats="HWC",
            )
            if evaluation.errors:
                gallery = error_gallery(digits.images, digits.labels, said, most=MOST)
                writer.add_image(
                    "validation/errors", _pixels(gallery), final.epochs, dataformats="HWC"
                )


def _flat(table: Mapping[str, Any]) -> dict[str, str | int | float | bool]:
    """Nested keys joined by dots; what is neither a number nor text, as text."""
    flat: dict[str, str | int | float | bool] = {}
    for key, value in table.items():
        if isinstance(value, Mapping):
            flat |= {f"{key}.{name}": inner for name, inner in _flat(value).items()}
        else:
            flat[key] = value if isinstance(value, str | int | float) else json.dumps(value)
    return flat


def _pixels(figure: "Figure") -> Any:
    """uint8 (H, W, 3)."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=DOTS)
    return np.asarray(Image.open(buffer).convert("RGB"))
