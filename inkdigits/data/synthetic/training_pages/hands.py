"""Say how one person writes: digits, slant, pen, and what happens where symbols meet."""

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from inkdigits.data.synthetic.training_pages.glyphs import Bank, Digits

REAL = 0.65  # share of hands that are an MNIST writer's
OWN_PEN = 0.3  # share of these that write with the pen of their digits


@dataclass(frozen=True, slots=True)
class Hand:
    """How one person writes on one page. Lengths in ems of the page's digits.

    Attributes:
        digits: glyphs for each digit.
        slant: x per y; breadth: of symbols; zero: size of its zeros.
        pen: half its width, or None for the pen that belongs to the glyph; pressure: how much the
            pen's width varies.
        uneven: deviation of sizes, rise: of baselines, turn: of angles (radians).
        gap: between symbols; loose: deviation of gaps, as a share.
        touching, chained, joined: how often neighbours touch, zeros are one chain, a stroke leads
            to the next digit.
        overlap: how deep they touch.
        hanging: how far 4, 7 and 9 hang below the baseline.
        shrinking: size lost from one symbol to the next. retraced: how often a symbol is written
            twice over.
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
    gap: float
    loose: float
    touching: float
    chained: float
    joined: float
    overlap: float
    hanging: float
    shrinking: float
    retraced: float


def random_hand(bank: Bank, rng: Generator, *, pen: tuple[float, float] = (0.03, 0.2)) -> Hand:
    """Draw a person: in two of three cases an MNIST writer. pen: between which widths in ems."""
    real = rng.random() < REAL
    hands = bank.writers if real else bank.drawn
    digits = hands[int(rng.integers(len(hands)))]
    width = float(np.exp(rng.uniform(*np.log(pen))))
    tight = rng.random()
    gap = rng.uniform(-0.04, 0.1) if tight < 0.3 else rng.uniform(0.08, 0.35)
    return Hand(
        digits=digits,
        slant=float(np.clip(rng.normal(0.0 if real else 0.12, 0.14), -0.3, 0.6)),
        breadth=float(np.exp(rng.normal(0, 0.16))),
        zero=float(rng.choice([1.0, rng.uniform(0.6, 1.0)])),
        pen=None if real and rng.random() < OWN_PEN else width / 2,
        pressure=float(rng.choice([0, 0.15, 0.4])),
        uneven=float(rng.uniform(0.01, 0.09)),
        rise=float(rng.uniform(0.0, 0.06)),
        turn=float(rng.uniform(0, 0.05)),
        gap=float(gap if tight < 0.9 else rng.uniform(0.3, 1.2)),
        loose=float(rng.uniform(0.1, 0.5)),
        touching=float(rng.choice([0, 0.2, 0.7], p=[0.45, 0.3, 0.25])),
        chained=float(rng.choice([0, 0.9], p=[0.65, 0.35])),
        joined=float(rng.choice([0, 0.35], p=[0.75, 0.25])),
        overlap=float(rng.uniform(-0.01, 0.1)),
        hanging=float(rng.choice([0, rng.uniform(0.05, 0.3)])),
        shrinking=float(rng.choice([0, rng.uniform(0, 0.05)], p=[0.8, 0.2])),
        retraced=float(rng.choice([0, 0.05, 0.8], p=[0.85, 0.12, 0.03])),
    )
