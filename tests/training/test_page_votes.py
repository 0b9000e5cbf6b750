"""Two networks' votes become one probability for each kind, whatever they say."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from inkdigits.training.page.votes import (
    LOOK_ALONE,
    PooledLook,
    Votes,
    fit_votes,
    pooled,
)

KINDS = 16
FLAT = torch.zeros(1, KINDS)
USUAL = torch.tensor([0.2, 0.9, 0.3])


def logits_for(kind: int, probability: float) -> Tensor:
    """Return the logits of a network that is as sure of one kind, and of no other."""
    rest = (1 - probability) / (KINDS - 1)
    votes = torch.full((1, KINDS), rest)
    votes[0, kind] = probability
    return votes.log()


@settings(deadline=None)
@given(seed=st.integers(0, 2**32 - 1), scale=st.sampled_from([0.1, 3.0, 1e4]))
def test_rows_are_finite_however_sure_the_networks_are(seed: int, scale: float) -> None:
    chance = torch.Generator().manual_seed(seed)
    page, look = scale * torch.randn(2, 5, KINDS, generator=chance)
    together = pooled(page, look, USUAL).softmax(dim=1)
    torch.testing.assert_close(together.sum(dim=1), torch.ones(5))


def test_pooling_is_a_weighted_product_of_both_votes() -> None:
    chance = torch.Generator().manual_seed(0)
    page, look = 2 * torch.randn(2, 6, KINDS, generator=chance)
    product = page.softmax(1) ** 0.2 * look.softmax(1) ** 0.9
    product[:, 10:] *= math.exp(0.3)
    expected = product / product.sum(dim=1, keepdim=True)
    found = pooled(page, look, USUAL).softmax(dim=1)
    torch.testing.assert_close(found, expected, atol=1e-3, rtol=0)  # LEAST takes a little


@pytest.mark.parametrize("kind", range(KINDS))
def test_what_both_are_sure_of_is_sure(kind: int) -> None:
    sure = logits_for(kind, 0.99)
    together = pooled(sure, sure, USUAL).softmax(dim=1)
    assert together.argmax() == kind
    assert together[0, kind] > 0.98


def test_the_second_look_outvotes_the_page_but_not_where_it_knows_nothing() -> None:
    three = logits_for(3, 0.9)
    assert pooled(three, logits_for(8, 0.9), USUAL).argmax() == 8
    assert pooled(three, FLAT, USUAL)[:, :10].argmax() == 3


def test_a_certain_network_leaves_the_other_one_a_say() -> None:
    certain = torch.full((1, KINDS), -1e4)
    certain[0, 4] = 0
    together = pooled(logits_for(9, 0.9), certain, USUAL).softmax(dim=1)
    assert 0 < together[0, 9] < 0.5 < together[0, 4]


def test_the_fit_finds_the_votes_by_which_kinds_were_drawn() -> None:
    chance = torch.Generator().manual_seed(0)
    page, look = 2 * torch.randn(2, 40_000, KINDS, generator=chance)
    true = Votes(page=0.4, look=0.7, refusal=0.5)
    drawn_from = pooled(page, look, torch.tensor(true)).softmax(dim=1)
    kinds = torch.multinomial(drawn_from, 1, generator=chance)[:, 0]
    assert fit_votes(page, look, kinds) == pytest.approx(true, abs=0.03)


def test_what_reading_does_not_look_at_again_does_not_count() -> None:
    certain_refusals = torch.zeros(50, KINDS)
    certain_refusals[:, 15] = 20
    kinds = torch.zeros(50, dtype=torch.int64)
    assert fit_votes(certain_refusals, certain_refusals, kinds) == LOOK_ALONE
    assert fit_votes(FLAT[:0], FLAT[:0], kinds[:0]) == LOOK_ALONE


def test_the_pooled_network_takes_looks_and_the_page_network_s_logits() -> None:
    class Fixed(nn.Module):
        """Says the same of every look."""

        def forward(self, looks: Tensor) -> Tensor:
            return logits_for(8, 0.9).repeat(len(looks), 1)

    looks = torch.zeros(3, 6, 32, 32, dtype=torch.uint8)
    page = logits_for(3, 0.9).repeat(3, 1)
    together = PooledLook(Fixed(), Votes(0.2, 0.9, 0.3))(looks, page)
    expected = pooled(page, logits_for(8, 0.9).repeat(3, 1), USUAL).softmax(dim=1)
    torch.testing.assert_close(together, expected)
