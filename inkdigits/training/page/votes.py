"""Both networks say what a symbol may be; their votes become one probability for each kind.

The votes are weighted, as logarithms, and what is no digit gets a bonus of its own: three numbers,
fitted on validation pages, which calibrate the probabilities at the same time.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from inkdigits.core.digits import CLASSES
from inkdigits.reading.page.reader import LEAST_DIGIT

LEAST = 1e-6  # probability; a network that is certain leaves the other one this much
FITTING_STEPS = 100  # of L-BFGS, at most


class Votes(NamedTuple):
    """How much the votes of the two networks count.

    Attributes:
        page: weight of the page network's logarithms.
        look: weight of the second network's.
        refusal: added to the logits of all that is no digit.
    """

    page: float
    look: float
    refusal: float


LOOK_ALONE = Votes(page=0.0, look=1.0, refusal=0.0)


class PooledLook(nn.Module):
    """The second network with both networks' votes pooled as its output.

    Args:
        network: the second one.
        votes: how much each counts.
    """

    def __init__(self, network: nn.Module, votes: Votes) -> None:
        super().__init__()
        self.network = network
        self.votes = votes

    def forward(self, looks: Tensor, page_logits: Tensor) -> Tensor:
        """Return probabilities (N, 16) for looks (N, 6, 32, 32) uint8 and logits (N, 16)."""
        logits = pooled(page_logits, self.network(looks), torch.tensor(self.votes))
        return torch.softmax(logits, dim=1)


def pooled(page_logits: Tensor, look_logits: Tensor, weights: Tensor) -> Tensor:
    """Pool votes.

    Args:
        page_logits: (N, 16) of the page network.
        look_logits: (N, 16) of the second network.
        weights: (3,), as `Votes` has them.

    Returns:
        Logits (N, 16).
    """
    page_weight, look_weight, refusal = weights
    page = torch.log(page_logits.softmax(dim=1) + LEAST)
    look = torch.log(look_logits.softmax(dim=1) + LEAST)
    logits = page_weight * page + look_weight * look
    return torch.cat([logits[:, :CLASSES], logits[:, CLASSES:] + refusal], dim=1)


def fit_votes(page_logits: Tensor, look_logits: Tensor, kinds: Tensor) -> Votes:
    """Return the votes that make the true kinds most likely.

    Args:
        page_logits: (N, 16) of the page network.
        look_logits: (N, 16) of the second network.
        kinds: (N,) int64, the true ones. Those count that reading would look at again.

    Returns:
        The votes; LOOK_ALONE where there is nothing to fit them to.
    """
    digit_chances = page_logits.softmax(dim=1)[:, :CLASSES].sum(dim=1)
    asked = digit_chances > LEAST_DIGIT
    if not asked.any():
        return LOOK_ALONE

    page = page_logits[asked].double()
    look = look_logits[asked].double()
    true = kinds[asked]
    weights = torch.tensor(LOOK_ALONE, dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.LBFGS(
        [weights],
        max_iter=FITTING_STEPS,
        line_search_fn="strong_wolfe",
    )

    def loss() -> Tensor:
        optimiser.zero_grad()
        value = F.cross_entropy(pooled(page, look, weights), true)
        value.backward()
        return value

    optimiser.step(loss)
    return Votes(*weights.tolist())
