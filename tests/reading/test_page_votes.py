"""Two networks' votes become one probability for each kind, whatever they say."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import special

from inkdigits.reading.page.votes import LOOK_WEIGHT, PAGE_WEIGHT, REFUSAL, pooled, softmax

KINDS = 16
FLAT = np.full((1, KINDS), 1 / KINDS, np.float32)
LOGITS = arrays(
    np.float32,
    st.tuples(st.integers(1, 5), st.just(KINDS)),
    elements=st.floats(-1e4, 1e4, width=32),
)


def votes_for(kind: int, probability: float) -> np.ndarray:
    """Return the probabilities of a network that is as sure of one kind, and of no other."""
    rest = (1 - probability) / (KINDS - 1)
    votes = np.full((1, KINDS), rest, np.float32)
    votes[0, kind] = probability
    return votes


@given(logits=LOGITS)
def test_softmax_is_scipy_s_and_never_overflows(logits: np.ndarray) -> None:
    np.testing.assert_allclose(
        softmax(logits), special.softmax(logits.astype(np.float64), axis=1), atol=1e-5
    )


@given(page=LOGITS, data=st.data())
def test_rows_add_up_to_one_however_sure_the_networks_are(
    page: np.ndarray, data: st.DataObject
) -> None:
    others = arrays(np.float32, page.shape, elements=st.floats(-1e4, 1e4, width=32))
    look = softmax(data.draw(others))
    together = pooled(page, look)

    assert together.dtype == np.float32
    assert together.min() >= 0
    np.testing.assert_allclose(together.sum(axis=1), 1, atol=1e-5)


def test_pooling_is_a_weighted_product_of_both_votes() -> None:
    rng = np.random.default_rng(0)
    page = rng.normal(0, 2, (6, KINDS)).astype(np.float32)
    look = softmax(rng.normal(0, 2, (6, KINDS)).astype(np.float32))

    product = special.softmax(page.astype(np.float64), axis=1) ** PAGE_WEIGHT * look**LOOK_WEIGHT
    product[:, 10:] *= np.exp(REFUSAL)
    expected = product / product.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(pooled(page, look), expected, atol=1e-4)


@pytest.mark.parametrize("kind", range(KINDS))
def test_what_both_are_sure_of_is_sure(kind: int) -> None:
    sure = votes_for(kind, 0.99)
    together = pooled(np.log(sure), sure)
    assert together.argmax() == kind
    assert together[0, kind] > 0.98


def test_the_second_look_outvotes_the_page_but_not_where_it_knows_nothing() -> None:
    three = np.log(votes_for(3, 0.9))
    assert pooled(three, votes_for(8, 0.9)).argmax() == 8
    assert pooled(three, FLAT)[:, :10].argmax() == 3


def test_a_certain_network_leaves_the_other_one_a_say() -> None:
    certain = np.zeros((1, KINDS), np.float32)
    certain[0, 4] = 1
    together = pooled(np.log(votes_for(9, 0.9)), certain)
    assert np.isfinite(together).all()
    assert 0 < together[0, 9] < 0.5 < together[0, 4]


def test_no_symbols_no_votes() -> None:
    nothing = np.zeros((0, KINDS), np.float32)
    assert pooled(nothing, nothing).shape == (0, KINDS)
