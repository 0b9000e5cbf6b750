"""What a training reports: figures of the current pass (epoch) and of every finished one.

Losses and logits of single steps come in; `TrainingProgress` and `Epoch` records go out.
"""

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

REPORTS_AN_EPOCH = 25  # how often a pass reports its progress

# Like what a state may have of steps that are not reported yet: losses (S,), logits (B, C) and
# labels (B,).
LATEST_STEPS = {
    "losses": torch.empty(0),
    "logits": torch.empty(0, 0),
    "labels": torch.empty(0, dtype=torch.int64),
}


@dataclass(frozen=True)
class TrainingProgress:
    """The figures of the current pass, over the digits seen so far."""

    epoch: int  # counted from 1
    fraction: float  # of this epoch, 0 to 1
    train_loss: float
    train_accuracy: float
    images_per_second: float


@dataclass(frozen=True)
class Epoch:
    """Figures of a finished pass. Losses are mean cross-entropies in nats, accuracies fractions.

    The training figures are means over the pass, while the weights changed and dropout was on; the
    validation figures are those of the network after the pass. `seconds` does not include the
    validation.
    """

    epoch: int  # counted from 1
    train_loss: float
    train_accuracy: float
    validation_loss: float
    validation_accuracy: float
    seconds: float
    images_per_second: float


class PassFigures:
    """The figures of one pass, step by step.

    Losses and logits stay on the device until there is something to report: fetching them at every
    step would make the processor wait.

    Args:
        epoch: the number of the pass, counted from 1.
        digits: how many digits the pass sees.
        batch: digits a step; the last step may have fewer.
        device: where losses and logits are.
    """

    def __init__(self, epoch: int, digits: int, batch: int, device: torch.device) -> None:
        self.epoch = epoch
        self.digits = digits
        self.batch = batch
        self.steps = math.ceil(digits / batch)

        self.step = 0  # steps taken
        self.seconds = 0.0
        self.totals = torch.zeros(2, device=device)  # sum of the losses, number of right answers
        # mean loss, logits and labels of the steps that are not in `totals` yet
        self.latest: list[tuple[Tensor, Tensor, Tensor]] = []
        self._started = 0.0

    def start_clock(self) -> None:
        """Count the time from now on."""
        self._started = time.perf_counter()

    def stop_clock(self) -> None:
        """Add the time since `start_clock` to `seconds`."""
        self.seconds += time.perf_counter() - self._started

    def add(self, loss: Tensor, logits: Tensor, labels: Tensor) -> TrainingProgress | None:
        """Add one step and stop the clock.

        Args:
            loss: mean loss of the batch, a scalar.
            logits: (B, C).
            labels: (B,) int64.

        Returns:
            The progress so far after about every 25th of the pass, else None.
        """
        self.latest.append((loss.detach(), logits.detach(), labels))
        self.step += 1
        reports = self.step * REPORTS_AN_EPOCH // self.steps
        reports_before = (self.step - 1) * REPORTS_AN_EPOCH // self.steps
        if reports == reports_before:
            self.stop_clock()
            return None

        self._add_up()
        self.stop_clock()
        mean_loss, accuracy = self._means()
        return TrainingProgress(
            epoch=self.epoch,
            fraction=self.step / self.steps,
            train_loss=mean_loss,
            train_accuracy=accuracy,
            images_per_second=self._seen / self.seconds,
        )

    def finish(self, validation_loss: float, validation_accuracy: float) -> Epoch:
        """Return the record of the pass, whose steps are all taken."""
        self._add_up()
        loss, accuracy = self._means()
        return Epoch(
            epoch=self.epoch,
            train_loss=loss,
            train_accuracy=accuracy,
            validation_loss=validation_loss,
            validation_accuracy=validation_accuracy,
            seconds=self.seconds,
            images_per_second=self.digits / self.seconds,
        )

    def tensors(self) -> dict[str, Tensor]:
        """Return what `restore` needs besides `step` and `seconds`."""
        if not self.latest:
            return {"totals": self.totals}

        losses, logits, labels = zip(*self.latest, strict=True)
        return {
            "totals": self.totals,
            "losses": torch.stack(losses),
            "logits": torch.cat(logits),
            "labels": torch.cat(labels),
        }

    def restore(self, tensors: Mapping[str, Tensor], step: int, seconds: float) -> None:
        """Restore figures that were saved after `step` steps and `seconds` of training.

        Raises:
            ValueError: these are not the losses, logits and labels of the same steps.
        """
        self.step = step
        self.seconds = seconds
        self.totals = tensors["totals"]
        if "losses" in tensors:
            losses, logits, labels = (tensors[name] for name in LATEST_STEPS)
            if len(logits) != len(labels):
                raise ValueError(f"it has {len(logits)} logits for {len(labels)} labels")

            parts = (losses.unbind(), logits.split(self.batch), labels.split(self.batch))
            self.latest = list(zip(*parts, strict=True))

    @property
    def _seen(self) -> int:
        return min(self.step * self.batch, self.digits)

    def _means(self) -> list[float]:
        """Return mean loss and accuracy over the steps in `totals`."""
        return (self.totals / self._seen).tolist()

    def _add_up(self) -> None:
        """Move the latest steps into `totals`."""
        if not self.latest:
            return

        latest = self.tensors()
        sizes = [len(labels) for *_, labels in self.latest]
        counts = torch.tensor(sizes, device=self.totals.device)
        loss = (latest["losses"] * counts).sum()
        right = (latest["logits"].argmax(1) == latest["labels"]).sum()
        self.totals = self.totals + torch.stack((loss, right))
        self.latest = []
