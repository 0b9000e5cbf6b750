"""Say how one person writes: digits, slant, pen, and what happens where symbols meet."""

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from inkdigits.data.synthetic.training_pages.draws import (
    chance,
    log_normal,
    log_uniform,
    one_of,
    pick,
)
from inkdigits.data.synthetic.training_pages.glyphs import Bank, Digits

REAL = 0.65  # share of hands that are an MNIST writer's
MIXED = 0.4  # share of these that write some digits as another school teaches them
CHANGED = {1: 0.5, 7: 0.7, 4: 0.5, 9: 0.25, 5: 0.2}  # how often a mixed hand does so, by digit
OWN_PEN = 0.3  # share of these that write with the pen of their digits
CLOSE_GAP = (-0.04, 0.1)  # ems between symbols
USUAL_GAP = (0.08, 0.35)
TIGHT = 0.3  # share of hands whose symbols stand close
BENT = 0.6  # share of hands that bend their digits
UPRIGHT = 0.2  # share of hands that hardly lean
PLAIN = 0.2  # share of hands whose 1 is a straight stroke, as walls and edges are
BEND = (0.01, 0.06)  # ems, deviation of a bend
WIDE = 0.9  # from here on, hands whose symbols stand far apart

# How often a thing happens in a hand, and how many hands are so.
TOUCHING = {0: 0.45, 0.2: 0.3, 0.7: 0.25}
CHAINED = {0: 0.65, 0.9: 0.35}
JOINED = {0: 0.75, 0.35: 0.25}
RETRACED = {0: 0.85, 0.05: 0.12, 0.8: 0.03}


@dataclass(frozen=True, slots=True)
class Hand:
    """How one person writes on one page. Lengths in ems of the page's digits.

    Attributes:
        digits: glyphs for each digit.
        slant: x per y.
        breadth: of symbols, as a share of the usual one.
        zero: size of zeros, as a share of other digits'.
        pen: half its width, or None for the pen that belongs to the glyph.
        pressure: how much the pen's width varies.
        uneven: deviation of sizes.
        rise: deviation of baselines.
        turn: deviation of angles, radians.
        bend: (2, 3), how all symbols are bent, as `writing.Bend` says; None where they are not.
        gap: between symbols.
        loose: deviation of gaps, as a share.
        touching: how often neighbours touch.
        chained: how often zeros are one chain.
        joined: how often a stroke leads to the next digit.
        overlap: how deep neighbours touch.
        hanging: how far 4, 7 and 9 hang below the baseline.
        shrinking: size lost from one symbol to the next.
        retraced: how often a symbol is written twice over.
    """

    digits: Digits
    slant: float
    breadth: float
    zero: float
    pen: float | None
    pressure: float
    uneven: float
    rise: float
    turn: float
    bend: NDArray[np.float64] | None
    gap: float
    loose: float
    touching: float
    chained: float
    joined: float
    overlap: float
    hanging: float
    shrinking: float
    retraced: float


def random_hand(bank: Bank, rng: Generator, *, pen: tuple[float, float]) -> Hand:
    """Draw a person: in two of three cases an MNIST writer, many of them with some digits changed.

    MNIST's writers went to American schools: hardly one writes a 1 with an upstroke, or crosses
    a 7.

    Args:
        bank: of glyphs to choose from.
        rng: chance.
        pen: between which widths its pen is, ems.

    Returns:
        The hand.
    """
    real = chance(REAL, rng)
    mixed = real and chance(MIXED, rng)
    digits = _digits(bank, rng, real=real, mixed=mixed)
    width = log_uniform(*pen, rng)
    spacing = rng.random()
    low, high = CLOSE_GAP if spacing < TIGHT else USUAL_GAP
    gap = rng.uniform(low, high)

    return Hand(
        digits=digits,
        slant=_slant(rng, real=real),
        breadth=log_normal(1, 0.16, rng),
        zero=one_of((1.0, rng.uniform(0.6, 1.0)), rng),
        pen=None if real and not mixed and chance(OWN_PEN, rng) else width / 2,
        pressure=one_of((0, 0.15, 0.4), rng),
        uneven=rng.uniform(0.01, 0.09),
        rise=rng.uniform(0.0, 0.06),
        turn=rng.uniform(0, 0.05),
        bend=_bend(rng),
        gap=gap if spacing < WIDE else rng.uniform(0.3, 1.2),
        loose=rng.uniform(0.1, 0.5),
        touching=pick(TOUCHING, rng),
        chained=pick(CHAINED, rng),
        joined=pick(JOINED, rng),
        overlap=rng.uniform(-0.01, 0.1),
        hanging=one_of((0, rng.uniform(0.05, 0.3)), rng),
        shrinking=pick({0: 0.8, rng.uniform(0, 0.05): 0.2}, rng),
        retraced=pick(RETRACED, rng),
    )


def _digits(bank: Bank, rng: Generator, *, real: bool, mixed: bool) -> Digits:
    """Draw how a hand writes each digit."""
    digits = one_of(bank.writers if real else bank.drawn, rng)
    if mixed:
        digits = _with_other_ways(digits, one_of(bank.drawn, rng), rng)
    if chance(PLAIN, rng):
        digits = {**digits, 1: bank.plain_ones}

    return digits


def _slant(rng: Generator, *, real: bool) -> float:
    """Draw how far a hand leans, x per y; glyphs of MNIST's writers lean already."""
    if chance(UPRIGHT, rng):
        return rng.normal(0, 0.01)
    return float(np.clip(rng.normal(0.0 if real else 0.12, 0.14), -0.3, 0.6))


def _bend(rng: Generator) -> NDArray[np.float64] | None:
    """Draw how a hand bends its digits, (2, 3) ems; None where it does not."""
    if not chance(BENT, rng):
        return None
    return rng.normal(0, rng.uniform(*BEND), (2, 3))


def _with_other_ways(digits: Digits, other: Digits, rng: Generator) -> Digits:
    """Return a hand's digits with some of them written as another hand does."""
    changed = [digit for digit, share in CHANGED.items() if chance(share, rng)]
    return {**digits, **{digit: other[digit] for digit in changed}}
