"""The loop that trains the page network: pages by number in, a record now and then out."""

import dataclasses
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from inkdigits.core.errors import InkdigitsError
from inkdigits.core.signals import uninterrupted
from inkdigits.data.synthetic.training_pages.generator import prepare
from inkdigits.training.device import choose_device, computes_bfloat16
from inkdigits.training.page.losses import page_losses
from inkdigits.training.page.measuring import PageFigures, measure_pages
from inkdigits.training.page.network import CHANNELS_LAST, PageNetwork, placed
from inkdigits.training.page.pages import VALIDATION_SEED, Pages, stack_pages
from inkdigits.training.page.recipe import PageRecipe
from inkdigits.training.page.resuming import (
    adam_after_a_step,
    average_into,
    restore_adam,
    save_adam,
)
from inkdigits.training.page.workers import worker_options
from inkdigits.training.state import (
    TrainingState,
    fact,
    floats,
    named,
    on_cpu,
    records,
    refuse_other_tensors,
    select,
)

# Set by hand, not yet measured.
LARGEST_GRADIENT = 5.0  # norm; a page that is all texture may have a hundred times the usual one
MOMENTUM = (0.9, 0.99)  # AdamW's betas
AVERAGING_DELAY = 10  # steps; the average keeps n / (n + 10) of itself after n steps, until `ema`

RECORD_STEPS = 100  # between two records
PREFETCHED = 8  # batches that each worker draws ahead

Batch = tuple[Tensor, dict[str, Tensor]]


@dataclass(frozen=True)
class PageRecord:
    """Where the training of the page network is.

    Attributes:
        step: steps taken.
        steps: of all.
        loss: mean over the steps since the last record.
        losses: the parts of it by name.
    """

    step: int
    steps: int
    loss: float
    losses: dict[str, float]


class PageTraining:
    """A training of the page network, which can be saved between any two steps.

    Args:
        recipe: how it is trained.
        seed: of the weights and the pages.
        device: auto, cpu, cuda or mps.
        workers: processes that draw pages; the result does not depend on them.

    Attributes:
        step: steps taken.
        network: the weights as the optimiser leaves them.
        average: the exponential moving average of the weights, which is the result.
        history: the records so far.
        can_be_saved: False while a step is half done. Signals wait until it is over; after another
            exception within a step it stays False.
    """

    def __init__(
        self,
        recipe: PageRecipe,
        seed: int = 0,
        *,
        device: str = "auto",
        workers: int = 1,
    ) -> None:
        torch.manual_seed(seed)
        self.recipe = recipe
        self.seed = seed
        self.workers = workers
        self.device = choose_device(device)
        self.step = 0
        self.history: list[PageRecord] = []
        self.can_be_saved = True
        self._since_record: dict[str, float] = {}  # the sum of each loss
        self._steps_since_record = 0

        self.network = placed(PageNetwork(), self.device)
        self.average = placed(PageNetwork(), self.device).eval()
        self.average.load_state_dict(self.network.state_dict())
        self.optimiser = torch.optim.AdamW(
            _groups(self.network, recipe.weight_decay),
            lr=recipe.learning_rate,
            betas=MOMENTUM,
        )

    def start_from(self, weights: Mapping[str, Tensor]) -> None:
        """Start from the weights of another page network, float32, instead of fresh ones."""
        self.network.load_state_dict(weights)
        self.average.load_state_dict(weights)

    def records(self) -> Iterator[PageRecord]:
        """Train from here to the end; yield a record after every RECORD_STEPS and the last step.

        Raises:
            InkdigitsError: the loss became infinite or not a number.
        """
        return filter(None, self.parts())

    def parts(self) -> Iterator[PageRecord | None]:
        """Train from here to the end, as `records` does, and also yield None after other steps."""
        for pictures, targets in self._batches():
            with uninterrupted:
                self.can_be_saved = False
                losses = self._take_step(pictures, targets)
                record = self._count(losses)
                self.can_be_saved = True

            yield record

    def _count(self, losses: Mapping[str, float]) -> PageRecord | None:
        """Add up the losses of a step, and make a record if one is due."""
        self._steps_since_record += 1
        for name, loss in losses.items():
            self._since_record[name] = self._since_record.get(name, 0.0) + loss

        steps = self.recipe.steps
        is_due = self.step % RECORD_STEPS == 0 or self.step == steps
        if not is_due:
            return None

        counted = self._steps_since_record
        means = {name: total / counted for name, total in self._since_record.items()}
        record = PageRecord(self.step, steps, sum(means.values()), means)
        self.history.append(record)
        self._since_record = {}
        self._steps_since_record = 0
        return record

    def _take_step(self, pictures: Tensor, targets: Mapping[str, Tensor]) -> dict[str, float]:
        """Learn one batch, and return the losses by name."""
        recipe = self.recipe
        rate = recipe.rate(self.step, recipe.steps)
        for group in self.optimiser.param_groups:
            group["lr"] = rate

        self.network.train()
        is_quick = computes_bfloat16(self.device)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=is_quick):
            maps = self.network(pictures)

        losses = page_losses(maps, targets)
        loss = torch.stack(list(losses.values())).sum()
        self._refuse_unless_finite(loss.item())

        self.optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), LARGEST_GRADIENT)
        self.optimiser.step()
        self.step += 1

        # The average follows quickly at first, when the weights are still far from good.
        early = self.step / (AVERAGING_DELAY + self.step)
        average_into(self.average, self.network, min(recipe.ema, early))
        return {name: part.item() for name, part in losses.items()}

    def _refuse_unless_finite(self, loss: float) -> None:
        if not math.isfinite(loss):
            raise InkdigitsError(
                f"the loss became {loss} in step {self.step + 1}; "
                "a smaller learning_rate would help"
            )

    def _batches(self) -> Iterator[Batch]:
        """Yield the batches that are still to come, on the device."""
        prepare("train")  # once, before the workers are forked
        batch = self.recipe.batch
        numbers = range(self.step * batch, self.recipe.steps * batch)
        loader: DataLoader[Any] = DataLoader(
            Pages(self.seed, "train", self.recipe.mosaics),
            batch_size=batch,
            sampler=numbers,
            collate_fn=stack_pages,
            **worker_options(self.workers, PREFETCHED),
        )

        for pictures, targets in loader:
            moved = {name: target.to(self.device) for name, target in targets.items()}
            yield pictures.to(self.device, memory_format=CHANNELS_LAST), moved

    def measure(self) -> PageFigures:
        """Measure the averaged network on validation pages."""
        loader: DataLoader[Any] = DataLoader(
            Pages(VALIDATION_SEED, "validation", self.recipe.mosaics),
            batch_size=self.recipe.batch,
            sampler=range(self.recipe.validation_pages),
            collate_fn=stack_pages,
        )
        return measure_pages(self.average, loader, self.device)

    @property
    def steps_done(self) -> int:
        """Steps taken."""
        return self.step

    @property
    def fraction(self) -> float:
        """The share of the training that is done, 0 to 1."""
        return self.step / self.recipe.steps

    def state(self) -> TrainingState:
        """Copy all that the next step depends on."""
        tensors = named("network", self.network.state_dict())
        tensors |= named("average", self.average.state_dict())
        tensors |= save_adam(self.optimiser)

        facts = {
            "step": self.step,
            "history": [dataclasses.asdict(record) for record in self.history],
            "since_record": self._since_record,
            "steps_since_record": self._steps_since_record,
        }
        return TrainingState(on_cpu(tensors), facts)

    def restore(self, state: TrainingState) -> None:
        """Go on from a saved state of a training with the same recipe and seed.

        Raises:
            ValueError: it is none of such a training.
        """
        memory = adam_after_a_step(self.optimiser)
        refuse_other_tensors(state.tensors, self.state().tensors, memory)

        facts = state.facts
        self.step = fact(facts, "step", int, self.recipe.steps)
        self.history = records(PageRecord, facts, "history")
        self._since_record = floats(facts, "since_record")
        self._steps_since_record = fact(facts, "steps_since_record", int)

        self.network.load_state_dict(select("network", state.tensors))
        self.average.load_state_dict(select("average", state.tensors))
        restore_adam(self.optimiser, state)


def _groups(network: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Return the optimiser's groups: kernels decay, biases and normalisation do not."""
    kernels = [weight for weight in network.parameters() if weight.ndim > 1]
    others = [weight for weight in network.parameters() if weight.ndim <= 1]
    return [
        {"params": kernels, "weight_decay": weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
