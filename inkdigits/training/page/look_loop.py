"""The loop that trains the second network: looks are drawn, learnt a few times and forgotten."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader

from inkdigits.data.synthetic.training_pages.generator import prepare
from inkdigits.reading.page.maps import PageSession
from inkdigits.training.device import choose_device
from inkdigits.training.page.look_network import LookNetwork
from inkdigits.training.page.looks import OTHER, LookPages
from inkdigits.training.page.pages import VALIDATION_SEED
from inkdigits.training.page.recipe import PageRecipe
from inkdigits.training.page.resuming import average_into, restore_adam, save_adam
from inkdigits.training.state import TrainingState, named, on_cpu, select

SMOOTHING = 0.02  # of the labels: generated ones are wrong now and then
DIGITS = 10


@dataclass(frozen=True)
class LookRecord:
    """One shard learnt.

    Attributes:
        shard: counted from 1.
        shards: of all.
        looks: in this shard.
        loss: mean cross-entropy over its steps, nats.
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
        others: of what is neither digit nor separator, what is refused.
        n: looks.
    """

    nll: float
    digits: float
    others: float
    n: int


class LookTraining:
    """A training of the second network, which can be saved between any two shards.

    Args:
        recipe: how it is trained.
        page_network: which takes the looks, trained.
        seed: of the weights and the pages.
        device: auto, cpu, cuda or mps.
        workers: processes that draw pages and take looks.
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

        self.network = LookNetwork().to(self.device)
        self.average = LookNetwork().to(self.device).eval()
        self.average.load_state_dict(self.network.state_dict())
        self.optimiser = torch.optim.AdamW(
            self.network.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay
        )

    def records(self) -> Iterator[LookRecord]:
        """Train from here to the end; yield a record after every shard."""
        prepare("train")
        while self.shard < self.recipe.shards:
            images, kinds = self._draw_shard()
            loss = self._learn(images, kinds)
            self.shard += 1
            yield LookRecord(self.shard, self.recipe.shards, len(kinds), loss)

    def _draw_shard(self) -> tuple[Tensor, Tensor]:
        """Take the looks of the next shard: (K, 3, 32, 32) uint8 and (K,) int64."""
        first = self.shard * self.recipe.pages
        pages = LookPages(self.page_network, self.seed, "train")
        return gather(pages, range(first, first + self.recipe.pages), self.workers)

    def _learn(self, images: Tensor, kinds: Tensor) -> float:
        """Learn a shard, and return the mean loss."""
        recipe = self.recipe
        chance = torch.Generator().manual_seed(self.seed * 100_003 + self.shard)
        orders = [torch.randperm(len(kinds), generator=chance) for _ in range(recipe.passes)]
        batches = torch.cat(orders).split(recipe.look_batch)
        self.network.train()

        total = 0.0
        for number, picks in enumerate(batches):
            done = (self.shard + number / len(batches)) / recipe.shards
            rate = recipe.rate(round(done * recipe.steps), recipe.steps)
            for group in self.optimiser.param_groups:
                group["lr"] = rate

            seen = varied(images[picks].to(self.device), chance)
            logits = self.network(seen)
            target = kinds[picks].to(self.device)
            loss = F.cross_entropy(logits, target, label_smoothing=SMOOTHING)
            self.optimiser.zero_grad()
            loss.backward()
            self.optimiser.step()
            average_into(self.average, self.network, self.recipe.ema)
            total += loss.item()

        return total / len(batches)

    @property
    def steps_done(self) -> int:
        """Shards learnt."""
        return self.shard

    @property
    def can_be_saved(self) -> bool:
        """Whether nothing is half done: always between two records."""
        return True

    def state(self) -> TrainingState:
        """Copy all that the next shard depends on."""
        tensors = named("network", self.network.state_dict())
        tensors |= named("average", self.average.state_dict())
        tensors |= save_adam(self.optimiser)
        tensors |= named("random", {"global": torch.get_rng_state()})  # dropout draws from it

        return TrainingState(on_cpu(tensors), {"shard": self.shard})

    def restore(self, state: TrainingState) -> None:
        """Go on from a saved state, with the same recipe and seed."""
        self.shard = state.facts["shard"]
        self.network.load_state_dict(select("network", state.tensors))
        self.average.load_state_dict(select("average", state.tensors))
        restore_adam(self.optimiser, state)
        torch.set_rng_state(state.tensors["random.global"])

    @torch.no_grad()
    def validation_logits(self) -> tuple[Tensor, Tensor]:
        """Return the averaged network's logits of looks at validation pages, and their kinds."""
        pages = LookPages(self.page_network, VALIDATION_SEED, "validation")
        images, kinds = gather(pages, range(self.recipe.validation_pages), 0)
        parts = [self.average(part.to(self.device)).cpu() for part in images.split(512)]
        return torch.cat(parts), kinds

    def figures(self, logits: Tensor, kinds: Tensor) -> LookFigures:
        """Measure logits (N, 16) against the true kinds (N,)."""
        right = (logits.argmax(dim=1) == kinds).float()
        return LookFigures(
            nll=F.cross_entropy(logits, kinds).item(),
            digits=right[kinds < DIGITS].mean().item(),
            others=right[kinds == OTHER].mean().item(),
            n=len(kinds),
        )


def gather(pages: LookPages, numbers: range, workers: int) -> tuple[Tensor, Tensor]:
    """Take the looks at several pages: (K, 3, 32, 32) uint8 and (K,) int64."""
    loader: DataLoader[Any] = DataLoader(
        pages, batch_size=None, sampler=numbers, num_workers=workers, collate_fn=_as_arrays
    )
    images: list[NDArray[np.uint8]] = []
    kinds: list[NDArray[np.int64]] = []
    for some, their_kinds in loader:
        images.append(some)
        kinds.append(their_kinds)

    return torch.from_numpy(np.concatenate(images)), torch.from_numpy(np.concatenate(kinds))


def _as_arrays(sample: Any) -> Any:
    """Leave arrays as they are, where DataLoader would make tensors of them."""
    return sample


def varied(images: Tensor, chance: torch.Generator) -> Tensor:
    """Turn, stretch, shear and shift looks a little, and bend their greys.

    Args:
        images: (N, 3, 32, 32) uint8.
        chance: what to draw from, on the CPU.

    Returns:
        The same as float32, 0 to 255.
    """
    n = len(images)

    def normal(*shape: int) -> Tensor:
        return torch.randn(n, *shape, generator=chance).to(images.device)

    angle = 0.1 * normal()
    across = 1 + 0.08 * normal()
    down = across * (1 + 0.08 * normal())
    matrix = torch.zeros(n, 2, 3, device=images.device)
    matrix[:, 0, 0] = angle.cos() * across
    matrix[:, 0, 1] = 0.1 * normal() - angle.sin() * across
    matrix[:, 1, 0] = angle.sin() * across
    matrix[:, 1, 1] = angle.cos() * down
    matrix[:, :, 2] = 0.05 * normal(2)

    grid = F.affine_grid(matrix, list(images.shape), align_corners=False)
    moved = F.grid_sample(images.float(), grid, padding_mode="border", align_corners=False)
    gamma = torch.exp(0.25 * normal(1, 1, 1))
    greys = 255 * (moved[:, :1] / 255).clamp(0, 1) ** gamma
    return torch.cat([greys, moved[:, 1:]], dim=1)
