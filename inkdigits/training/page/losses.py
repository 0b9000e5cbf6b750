"""How far the page network's maps are from their targets: one loss for each question."""

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from inkdigits.training.page.network import PageMaps
from inkdigits.training.page.targets import NO_KIND

# What each question counts. Set so that all losses are of like size after a thousand steps.
WEIGHTS = {
    "ink": 2.0,
    "overlap": 0.5,
    "centre": 0.3,
    "offset": 2.0,
    "size": 0.3,
    "kind": 0.3,
    "writing": 0.5,
    "height": 0.2,
}


def page_losses(maps: PageMaps, targets: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the weighted losses of a batch by name; their sum is what is minimised.

    Args:
        maps: of N pages.
        targets: what PageTargets describes, stacked.
    """
    is_ink = targets["ink"]
    largest = torch.exp2(targets["size"].amax(dim=1)).clamp(min=2.0)
    kind = targets["kind"]

    losses = {
        "ink": F.binary_cross_entropy_with_logits(maps.ink, is_ink),
        "overlap": dice_loss(maps.ink.sigmoid(), is_ink),
        "centre": heatmap_loss(maps.centre.sigmoid(), targets["centre"]),
        # An offset counts by the size of its symbol, and each symbol alike, not by its ink.
        "offset": mean_where(
            (maps.offset - targets["offset"]).abs().sum(dim=1) / largest, is_ink / largest
        ),
        "size": mean_where((maps.size - targets["size"]).abs().sum(dim=1), targets["core"]),
        "kind": F.cross_entropy(maps.kind, kind, ignore_index=NO_KIND, reduction="sum")
        / (kind != NO_KIND).sum().clamp(min=1),
        "writing": F.binary_cross_entropy_with_logits(maps.writing, targets["writing"]),
        "height": mean_where((maps.height - targets["height"]).abs(), targets["writing"]),
    }
    return {name: WEIGHTS[name] * loss for name, loss in losses.items()}


def mean_where(values: Tensor, weights: Tensor) -> Tensor:
    """Return the weighted mean, 0 where all weights are 0."""
    return (values * weights).sum() / weights.sum().clamp(min=1e-3)


def dice_loss(probability: Tensor, target: Tensor) -> Tensor:
    """Return 1 minus the soft Dice coefficient (Milletari et al. 2016), for thin strokes on much paper."""
    both = (probability * target).sum()
    return 1 - (2 * both + 1) / (probability.square().sum() + target.sum() + 1)


def heatmap_loss(heat: Tensor, target: Tensor) -> Tensor:
    """Return CenterNet's focal loss: cells near a centre are blamed less for being taken for it.

    Source: Zhou et al. 2019, "Objects as points", equation 1, with alpha 2 and beta 4.

    Args:
        heat: probabilities of a centre.
        target: Gaussians around the centres, 1 at each.
    """
    heat = heat.clamp(1e-4, 1 - 1e-4)
    is_centre = target > 0.999
    found = (1 - heat).square() * heat.log() * is_centre
    elsewhere = (1 - target) ** 4 * heat.square() * (1 - heat).log() * ~is_centre
    return -(found + elsewhere).sum() / is_centre.sum().clamp(min=1)
