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

SMALLEST_SIZE = 2.0  # cells; offsets of smaller symbols count as if they were that large


def page_losses(maps: PageMaps, targets: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the weighted losses of a batch by name; their sum is what is minimised.

    Args:
        maps: of N pages.
        targets: what PageTargets describes, stacked: (N, ...) each.

    Returns:
        Scalars, under the names of WEIGHTS.
    """
    ink = targets["ink"]
    written = targets["writing"]
    size_error = (maps.size - targets["size"]).abs().sum(dim=1)
    height_error = (maps.height - targets["height"]).abs()

    losses = {
        "ink": F.binary_cross_entropy_with_logits(maps.ink, ink),
        "overlap": dice_loss(maps.ink.sigmoid(), ink),
        "centre": heatmap_loss(maps.centre.sigmoid(), targets["centre"]),
        "offset": offset_loss(maps.offset, targets),
        "size": mean_where(size_error, targets["core"]),
        "kind": kind_loss(maps.kind, targets["kind"]),
        "writing": F.binary_cross_entropy_with_logits(maps.writing, written),
        "height": mean_where(height_error, written),
    }
    return {name: WEIGHTS[name] * loss for name, loss in losses.items()}


def offset_loss(offset: Tensor, targets: Mapping[str, Tensor]) -> Tensor:
    """Return the mean error of the votes in sizes of the symbol, over the cells of ink.

    Large symbols have more cells but each counts less, so that they do not drown small ones.

    Args:
        offset: (N, 2, H/2, W/2), cells.
        targets: of the same pages.
    """
    larger_side = torch.exp2(targets["size"].amax(dim=1))
    size = larger_side.clamp(min=SMALLEST_SIZE)
    error = (offset - targets["offset"]).abs().sum(dim=1)
    return mean_where(error / size, targets["ink"] / size)


def kind_loss(logits: Tensor, kinds: Tensor) -> Tensor:
    """Return the mean cross-entropy over the cells around centres, 0 where there are none.

    Args:
        logits: (N, KINDS, H/4, W/4).
        kinds: (N, H/4, W/4) int64, NO_KIND where nothing is asked.
    """
    total = F.cross_entropy(logits, kinds, ignore_index=NO_KIND, reduction="sum")
    asked = (kinds != NO_KIND).sum()
    return total / asked.clamp(min=1)


def mean_where(values: Tensor, weights: Tensor) -> Tensor:
    """Return the weighted mean of values of the same shape as the weights, 0 where all are 0."""
    total = (values * weights).sum()
    return total / weights.sum().clamp(min=1e-3)


def dice_loss(probability: Tensor, target: Tensor) -> Tensor:
    """Return 1 minus the soft Dice coefficient, which suits thin strokes on much paper.

    Source: Milletari et al. 2016, "V-Net".

    Args:
        probability: of ink, 0 to 1.
        target: 0 or 1, of the same shape.
    """
    both = (probability * target).sum()
    either = probability.square().sum() + target.sum()
    return 1 - (2 * both + 1) / (either + 1)


def heatmap_loss(heat: Tensor, target: Tensor) -> Tensor:
    """Return CenterNet's focal loss: cells near a centre are blamed less for being taken for it.

    Source: Zhou et al. 2019, "Objects as points", equation 1, with alpha 2 and beta 4.

    Args:
        heat: probabilities of a centre.
        target: Gaussians around the centres, 1 at each; of the same shape.
    """
    heat = heat.clamp(1e-4, 1 - 1e-4)
    is_centre = target > 0.999
    blame = (1 - target) ** 4

    missed = (1 - heat).square() * heat.log() * is_centre
    invented = blame * heat.square() * (1 - heat).log() * ~is_centre
    return -(missed + invented).sum() / is_centre.sum().clamp(min=1)
