"""How well a page network does on pages with known truth: batches come in, figures go out."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from inkdigits.training.page.losses import page_losses
from inkdigits.training.page.network import PageMaps
from inkdigits.training.page.targets import NO_KIND

NEAR = 0.3  # sizes of the symbol within which a vote counts as right


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


@dataclass
class _Counts:
    """What is counted over all batches; cells, except for the batches."""

    batches: int = 0
    loss: float = 0.0
    shared: int = 0  # found and ink
    joined: int = 0  # found or ink
    ink: int = 0
    pointing: int = 0  # of the ink, votes near their symbol's centre
    told: int = 0  # cells with a kind
    right: int = 0  # of these

    def add(self, maps: PageMaps, targets: Mapping[str, Tensor]) -> None:
        """Count one batch."""
        self.batches += 1
        self.loss += sum(part.item() for part in page_losses(maps, targets).values())

        found = maps.ink > 0
        ink = targets["ink"] > 0.5
        self.shared += _count(found & ink)
        self.joined += _count(found | ink)

        x_error, y_error = (maps.offset - targets["offset"]).unbind(1)
        error = torch.hypot(x_error, y_error)
        size = torch.exp2(targets["size"].amax(dim=1))
        self.pointing += _count((error < NEAR * size) & ink)
        self.ink += _count(ink)

        kinds = targets["kind"]
        self.right += _count(maps.kind.argmax(dim=1) == kinds)
        self.told += _count(kinds != NO_KIND)

    def figures(self) -> PageFigures:
        """Return the fractions, 0 where there was nothing to count."""
        return PageFigures(
            loss=self.loss / max(1, self.batches),
            ink_overlap=self.shared / max(1, self.joined),
            votes=self.pointing / max(1, self.ink),
            kinds=self.right / max(1, self.told),
        )


@torch.no_grad()
def measure_pages(
    network: nn.Module,
    batches: Iterable[tuple[Tensor, Mapping[str, Tensor]]],
    device: torch.device,
) -> PageFigures:
    """Measure a page network on batches of pages.

    Args:
        network: in evaluation mode, on the device.
        batches: pictures (N, 3, H, W) uint8 with their targets, as `stack_pages` makes them.
        device: of the network.
    """
    counts = _Counts()
    for pictures, targets in batches:
        moved = {name: target.to(device) for name, target in targets.items()}
        maps: PageMaps = network(pictures.to(device))
        counts.add(maps, moved)

    return counts.figures()


def _count(cells: Tensor) -> int:
    return int(cells.sum())
