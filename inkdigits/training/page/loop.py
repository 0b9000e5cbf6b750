"""The loop that trains the page network: pages by number in, a record now and then out."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from inkdigits.core.errors import InkdigitsError
from inkdigits.data.synthetic.training_pages.generator import prepare
from inkdigits.training.device import choose_device
from inkdigits.training.page.losses import page_losses
from inkdigits.training.page.network import PageMaps, PageNetwork
from inkdigits.training.page.pages import VALIDATION_SEED, Pages, stack_pages
from inkdigits.training.page.recipe import PageRecipe
from inkdigits.training.page.resuming import average_into, restore_adam, save_adam
from inkdigits.training.page.targets import NO_KIND
from inkdigits.training.state import TrainingState, named, on_cpu, select

LARGEST_GRADIENT = 5.0  # norm; a page that is all texture may have a hundred times the usual one
RECORD_STEPS = 100  # between two records
MOMENTUM = (0.9, 0.99)  # AdamW's betas


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


@dataclass(frozen=True)
class PageFigures:
    """How well the averaged network does on validation pages.

    Attributes:
        loss: the sum of all losses.
        ink_overlap: intersection over union of ink, 0 to 1.
        votes: fraction of ink cells that point within 0.3 sizes of their symbol's centre.
        kinds: fraction of cells around centres whose kind is right.
    """

    loss: float
    ink_overlap: float
    votes: float
    kinds: float


class PageTraining:
    """A training of the page network, which can be saved between any two steps.

    Args:
        recipe: how it is trained.
        seed: of the weights and the pages.
        device: auto, cpu, cuda or mps.
        workers: processes that draw pages; the result does not depend on them.
    """

    def __init__(
        self, recipe: PageRecipe, seed: int = 0, *, device: str = "auto", workers: int = 1
    ) -> None:
        torch.manual_seed(seed)
        self.recipe = recipe
        self.seed = seed
        self.workers = workers
        self.device = choose_device(device)
        self.step = 0

        layout: Any = torch.channels_last
        self.network = PageNetwork().to(self.device, memory_format=layout)
        self.average = PageNetwork().to(self.device, memory_format=layout).eval()
        self.average.load_state_dict(self.network.state_dict())
        self.optimiser = torch.optim.AdamW(
            _groups(self.network, recipe.weight_decay), lr=recipe.learning_rate, betas=MOMENTUM
        )

    def records(self) -> Iterator[PageRecord | None]:
        """Train from here to the end.

        Yields:
            None after every step, and a record after every RECORD_STEPS and the last.

        Raises:
            InkdigitsError: the loss became infinite or not a number.
        """
        recipe = self.recipe
        totals: dict[str, float] = {}
        since = 0

        for pictures, targets in self._batches():
            for group in self.optimiser.param_groups:
                group["lr"] = recipe.rate(self.step, recipe.steps)

            self.network.train()
            with torch.autocast(self.device.type, torch.bfloat16, enabled=_has_bfloat16()):
                maps = self.network(pictures)
            losses = page_losses(maps, targets)
            loss = torch.stack(list(losses.values())).sum()
            if not math.isfinite(loss.item()):
                raise InkdigitsError(
                    f"the loss became {loss.item()} in step {self.step + 1}; "
                    "a smaller learning_rate would help"
                )

            self.optimiser.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(self.network.parameters(), LARGEST_GRADIENT)
            self.optimiser.step()
            self.step += 1
            # The average follows quickly at first, when the weights are still far from good.
            decay = min(recipe.ema, self.step / (10 + self.step))
            average_into(self.average, self.network, decay)

            since += 1
            for name, part in losses.items():
                totals[name] = totals.get(name, 0.0) + part.item()
            if self.step % RECORD_STEPS == 0 or self.step == recipe.steps:
                means = {name: total / since for name, total in totals.items()}
                yield PageRecord(self.step, recipe.steps, sum(means.values()), means)
                totals, since = {}, 0
            else:
                yield None

    def _batches(self) -> Iterator[tuple[Tensor, dict[str, Tensor]]]:
        """Yield the batches that are still to come, on the device."""
        prepare("train")  # once, before the workers are forked
        batch = self.recipe.batch
        numbers = range(self.step * batch, self.recipe.steps * batch)
        loader = DataLoader(
            Pages(self.seed, "train", self.recipe.mosaics),
            batch_size=batch,
            sampler=numbers,
            collate_fn=stack_pages,
            num_workers=self.workers,
            prefetch_factor=8 if self.workers else None,
        )
        for pictures, targets in loader:
            layout: Any = torch.channels_last
            yield (
                pictures.to(self.device, memory_format=layout),
                {name: target.to(self.device) for name, target in targets.items()},
            )

    def measure(self) -> PageFigures:
        """Measure the averaged network on validation pages."""
        pages = Pages(VALIDATION_SEED, "validation", self.recipe.mosaics)
        numbers = range(self.recipe.validation_pages)
        loader = DataLoader(
            pages, batch_size=self.recipe.batch, sampler=numbers, collate_fn=stack_pages
        )
        return measure_pages(self.average, loader, self.device)

    @property
    def steps_done(self) -> int:
        """Steps taken."""
        return self.step

    @property
    def can_be_saved(self) -> bool:
        """Whether nothing is half done: always between two records."""
        return True

    def state(self) -> TrainingState:
        """Copy all that the next step depends on."""
        tensors = named("network", self.network.state_dict())
        tensors |= named("average", self.average.state_dict())
        tensors |= save_adam(self.optimiser)

        return TrainingState(on_cpu(tensors), {"step": self.step})

    def restore(self, state: TrainingState) -> None:
        """Go on from a saved state, with the same recipe and seed."""
        self.step = state.facts["step"]
        self.network.load_state_dict(select("network", state.tensors))
        self.average.load_state_dict(select("average", state.tensors))
        restore_adam(self.optimiser, state)


@torch.no_grad()
def measure_pages(
    network: nn.Module, batches: DataLoader[Any], device: torch.device
) -> PageFigures:
    """Measure a page network on batches of pages."""
    loss = 0.0
    shared = joined = pointing = inked = right = told = 0
    for pictures, targets in batches:
        maps: PageMaps = network(pictures.to(device))
        targets = {name: target.to(device) for name, target in targets.items()}
        loss += sum(part.item() for part in page_losses(maps, targets).values())

        found = maps.ink > 0
        ink = targets["ink"] > 0.5
        shared += int((found & ink).sum())
        joined += int((found | ink).sum())

        error = torch.hypot(*(maps.offset - targets["offset"]).unbind(1))
        near = error < 0.3 * torch.exp2(targets["size"].amax(dim=1))
        pointing += int((near & ink).sum())
        inked += int(ink.sum())

        kinds = targets["kind"]
        right += int((maps.kind.argmax(dim=1) == kinds).sum())
        told += int((kinds != NO_KIND).sum())

    return PageFigures(
        loss=loss / max(1, len(batches)),
        ink_overlap=shared / max(1, joined),
        votes=pointing / max(1, inked),
        kinds=right / max(1, told),
    )


def _groups(network: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Return the optimiser's groups: kernels decay, biases and normalisation do not."""
    kernels = [weight for weight in network.parameters() if weight.ndim > 1]
    others = [weight for weight in network.parameters() if weight.ndim <= 1]
    return [
        {"params": kernels, "weight_decay": weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]


def _has_bfloat16() -> bool:
    """Tell whether bfloat16 is quick here: on GPUs, and on processors that multiply in it."""
    return torch.cuda.is_available() or torch.ops.mkldnn._is_mkldnn_bf16_supported()
