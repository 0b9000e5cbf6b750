"""The loop that trains the second network: looks are drawn, learnt a few times and forgotten."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import DataLoader

from inkdigits.data.synthetic.training_pages.generator import prepare
from inkdigits.reading.page.find import OTHER
from inkdigits.reading.page.look import PLANES
from inkdigits.reading.page.maps import PageSession
from inkdigits.training.device import choose_device, computes_bfloat16
from inkdigits.training.page.look_network import LookNetwork
from inkdigits.training.page.looks import LabelledLooks, LookPages
from inkdigits.training.page.network import CHANNELS_LAST, placed
from inkdigits.training.page.pages import VALIDATION_SEED
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
    global_random_state,
    named,
    on_cpu,
    records,
    refuse_other_tensors,
    select,
    set_global_random_state,
)

# Set by hand, not yet measured.
SMOOTHING = 0.02  # of the labels: generated ones are wrong now and then
TURN = 0.1  # standard deviation, radians; so are those below, of what their names say
STRETCH = 0.08  # of width, and of height beside it
SHEAR = 0.1
SHIFT = 0.05  # half sides of a look
GAMMA = 0.25  # of the logarithm

DIGITS = 10
MEASURED = 512  # looks that are measured at once
PREFETCHED = 16  # pages whose looks each worker takes ahead
SHARD_SEED = 100_003  # a prime, so that shards of different seeds are shuffled differently


@dataclass(frozen=True)
class LookRecord:
    """One shard learnt.

    Attributes:
        shard: counted from 1.
        shards: of all.
        looks: in this shard.
        loss: mean cross-entropy over its steps, nats; 0 where there were no looks.
    """

    shard: int
    shards: int
    looks: int
    loss: float


@dataclass(frozen=True)
class LookFigures:
    """How well the averaged network does on looks at validation pages; fractions of looks.

    Attributes:
        nll: mean cross-entropy, nats.
        digits: of digits, those that are given their kind.
        others: of what is neither digit nor sign, what is refused.
        n: looks. Fractions and means of none are 0.
    """

    nll: float
    digits: float
    others: float
    n: int


class LookTraining:
    """A training of the second network, which can be saved between any two shards.

    Args:
        recipe: how it is trained.
        page_network: the trained page network, which takes the looks.
        seed: of the weights and the pages.
        device: auto, cpu, cuda or mps.
        workers: processes that draw pages and take looks, each on one thread; the result does not
            depend on how many there are. With 0 this process does it, on all its threads, and the
            last bits may differ.

    Attributes:
        shard: shards learnt.
        network: the weights as the optimiser leaves them.
        average: the exponential moving average of the weights, which is the result.
        history: the records so far.
        can_be_saved: False while a shard is half learnt; after an exception meanwhile it stays so.
    """

    def __init__(
        self,
        recipe: PageRecipe,
        page_network: PageSession,
        seed: int = 0,
        *,
        device: str = "auto",
        workers: int = 0,
    ) -> None:
        torch.manual_seed(seed)
        self.recipe = recipe
        self.page_network = page_network
        self.seed = seed
        self.workers = workers
        self.device = choose_device(device)
        self.shard = 0
        self.history: list[LookRecord] = []
        self.can_be_saved = True
        self._pages_drawn = 0  # of the shard under way

        self.network = placed(LookNetwork(), self.device)
        self.average = placed(LookNetwork(), self.device).eval()
        self.average.load_state_dict(self.network.state_dict())
        self.optimiser = torch.optim.AdamW(
            self.network.parameters(),
            lr=recipe.learning_rate,
            weight_decay=recipe.weight_decay,
        )
        self._note_random_state()

    def _note_random_state(self) -> None:
        """Remember where torch's global generator is: drawing and dropout draw from it."""
        self._random_state = global_random_state(self.device)

    def start_from(self, weights: Mapping[str, Tensor]) -> None:
        """Start from the weights of another look network, float32, instead of fresh ones."""
        self.network.load_state_dict(weights)
        self.average.load_state_dict(weights)

    def records(self) -> Iterator[LookRecord]:
        """Train from here to the end; yield a record after every shard."""
        return filter(None, self.parts())

    def parts(self) -> Iterator[LookRecord | None]:
        """Train from here to the end, as `records` does, and also yield None after every page.

        A training that is stopped or saved after a page draws the whole shard again.
        """
        prepare("train")
        while self.shard < self.recipe.shards:
            self._note_random_state()
            shard: list[LabelledLooks] = []
            for labelled in self._draw_shard():
                shard.append(labelled)
                self._pages_drawn = len(shard)
                yield None

            self.can_be_saved = False
            images, _, kinds = joined(shard)
            loss = self._learn(images, kinds)
            self.shard += 1
            self._pages_drawn = 0
            self._note_random_state()
            record = LookRecord(self.shard, self.recipe.shards, len(kinds), loss)
            self.history.append(record)
            self.can_be_saved = True
            yield record

    def _draw_shard(self) -> Iterator[LabelledLooks]:
        """Take the looks of the next shard, page by page."""
        first = self.shard * self.recipe.pages
        numbers = range(first, first + self.recipe.pages)
        pages = LookPages(self.page_network, self.seed, "train")
        return gather(pages, numbers, self.workers)

    def _learn(self, images: Tensor, kinds: Tensor) -> float:
        """Learn a shard, and return the mean loss over its steps, 0 where there are none."""
        if len(kinds) == 0:
            return 0.0

        recipe = self.recipe
        chance = torch.Generator().manual_seed(self.seed * SHARD_SEED + self.shard)
        orders = [torch.randperm(len(kinds), generator=chance) for _ in range(recipe.passes)]
        batches = torch.cat(orders).split(recipe.look_batch)
        self.network.train()
        is_quick = computes_bfloat16(self.device)

        total = 0.0
        for number, picks in enumerate(batches):
            self._set_learning_rate(number / len(batches))

            looks = varied(images[picks].to(self.device), chance)
            with torch.autocast(self.device.type, torch.bfloat16, enabled=is_quick):
                logits = self.network(looks.to(memory_format=CHANNELS_LAST))

            target = kinds[picks].to(self.device)
            loss = F.cross_entropy(logits.float(), target, label_smoothing=SMOOTHING)

            self.optimiser.zero_grad()
            loss.backward()
            self.optimiser.step()
            average_into(self.average, self.network, recipe.ema)
            total += loss.item()

        return total / len(batches)

    def _set_learning_rate(self, fraction: float) -> None:
        """Set the rate for a place in the shard under way, 0 to 1."""
        done = (self.shard + fraction) / self.recipe.shards
        step = round(done * self.recipe.steps)
        rate = self.recipe.rate(step, self.recipe.steps)
        for group in self.optimiser.param_groups:
            group["lr"] = rate

    @property
    def steps_done(self) -> int:
        """Shards learnt."""
        return self.shard

    @property
    def fraction(self) -> float:
        """The share of the training that is done, 0 to 1: of a shard, the pages drawn."""
        drawn = self._pages_drawn / self.recipe.pages
        return (self.shard + drawn) / self.recipe.shards

    def state(self) -> TrainingState:
        """Copy all that the next shard depends on."""
        tensors = named("network", self.network.state_dict())
        tensors |= named("average", self.average.state_dict())
        tensors |= save_adam(self.optimiser)
        tensors |= named("random", {"global": self._random_state})

        facts = {
            "shard": self.shard,
            "history": [dataclasses.asdict(record) for record in self.history],
        }
        return TrainingState(on_cpu(tensors), facts)

    def restore(self, state: TrainingState) -> None:
        """Go on from a saved state of a training with the same recipe and seed.

        Raises:
            ValueError: it is none of such a training.
        """
        memory = adam_after_a_step(self.optimiser)
        refuse_other_tensors(state.tensors, self.state().tensors, memory)

        self.shard = fact(state.facts, "shard", int, self.recipe.shards)
        self.history = records(LookRecord, state.facts, "history")
        self.network.load_state_dict(select("network", state.tensors))
        self.average.load_state_dict(select("average", state.tensors))
        restore_adam(self.optimiser, state)
        set_global_random_state(self.device, state.tensors["random.global"])
        self._note_random_state()

    @torch.no_grad()
    def validation_logits(self) -> tuple[Tensor, Tensor, Tensor]:
        """Ask both networks about looks at validation pages.

        Returns:
            Logits (N, 16) float32 of the page network and of the averaged second network, and the
            true kinds (N,) int64, all on the CPU.
        """
        pages = LookPages(self.page_network, VALIDATION_SEED, "validation")
        numbers = range(self.recipe.validation_pages)
        images, page_logits, kinds = joined(list(gather(pages, numbers, workers=0)))
        parts = []
        for part in images.split(MEASURED):
            logits = self.average(part.to(self.device))
            parts.append(logits.cpu())

        return page_logits, torch.cat(parts), kinds

    def figures(self, logits: Tensor, kinds: Tensor) -> LookFigures:
        """Measure logits (N, 16) against the true kinds (N,)."""
        right = logits.argmax(dim=1) == kinds
        nll = F.cross_entropy(logits, kinds).item() if len(kinds) else 0.0
        return LookFigures(
            nll=nll,
            digits=_share(right[kinds < DIGITS]),
            others=_share(right[kinds == OTHER]),
            n=len(kinds),
        )


def _share(right: Tensor) -> float:
    """Return the share of True, 0 of none."""
    return right.float().mean().item() if len(right) else 0.0


def gather(pages: LookPages, numbers: range, workers: int) -> Iterator[LabelledLooks]:
    """Take the looks at several pages, and yield those at each page.

    Args:
        pages: labelled looks by the number of the page.
        numbers: of the pages.
        workers: processes that do it; with 0 it is done here. The order is the same.
    """
    loader: DataLoader[Any] = DataLoader(
        pages,
        batch_size=None,
        sampler=numbers,
        collate_fn=_as_arrays,
        **worker_options(workers, PREFETCHED),
    )
    return iter(loader)


def joined(parts: Sequence[LabelledLooks]) -> tuple[Tensor, Tensor, Tensor]:
    """Join the looks at several pages, one at the least, as LabelledLooks describes them."""
    looks, page_logits, kinds = map(np.concatenate, zip(*parts, strict=True))
    return torch.from_numpy(looks), torch.from_numpy(page_logits), torch.from_numpy(kinds)


def _as_arrays(sample: Any) -> Any:
    """Leave arrays as they are, where DataLoader would make tensors of them."""
    return sample


def varied(images: Tensor, chance: torch.Generator) -> Tensor:
    """Turn, stretch, shear and shift looks a little, and bend their greys.

    Args:
        images: (N, 6, 32, 32) uint8.
        chance: what to draw from, on the CPU.

    Returns:
        The same as float32, 0 to 255.
    """
    matrix = _random_matrices(len(images), chance).to(images.device)
    grid = F.affine_grid(matrix, list(images.shape), align_corners=False)
    moved = F.grid_sample(
        images.float(),
        grid,
        padding_mode="border",
        align_corners=False,
    )

    bend = torch.randn(len(images), 1, 1, 1, generator=chance).to(images.device)
    gamma = torch.exp(GAMMA * bend)
    greys = (moved[:, ::PLANES] / 255).clamp(0, 1)
    moved[:, ::PLANES] = 255 * greys**gamma
    return moved


def _random_matrices(n: int, chance: torch.Generator) -> Tensor:
    """Draw affine maps (N, 2, 3) float32 from a result's half sides to an image's."""
    angle = TURN * torch.randn(n, generator=chance)
    across = 1 + STRETCH * torch.randn(n, generator=chance)
    down = across * (1 + STRETCH * torch.randn(n, generator=chance))
    shear = SHEAR * torch.randn(n, generator=chance)
    shift = SHIFT * torch.randn(n, 2, generator=chance)

    matrix = torch.zeros(n, 2, 3)
    matrix[:, 0, 0] = angle.cos() * across
    matrix[:, 0, 1] = shear - angle.sin() * across
    matrix[:, 1, 0] = angle.sin() * across
    matrix[:, 1, 1] = angle.cos() * down
    matrix[:, :, 2] = shift
    return matrix
