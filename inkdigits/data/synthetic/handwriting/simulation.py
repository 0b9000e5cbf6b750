"""How many digits other hands write, how many are drawn or printed, and what is not a digit."""

from itertools import chain

import numpy as np
from numpy.random import PCG64, Generator

from inkdigits.core.digits import NOT_A_DIGIT, SIDE, Labels, Pixels, Plane
from inkdigits.core.progress import ProgressCallback
from inkdigits.data.synthetic.handwriting.hands import (
    cross_seven,
    in_another_hand,
    with_another_pen,
)
from inkdigits.data.synthetic.handwriting.others import other_things
from inkdigits.data.synthetic.handwriting.recording import damaged, framed, recorded
from inkdigits.data.synthetic.handwriting.strokes import digit_strokes, draw, printed

NEGATIVES = 0.25  # things that are not digits, to each digit
UNCHANGED_SHARE = 0.15  # share of the digits that stay as MNIST has them
PRINTED_SHARE = 0.02  # share that is replaced by print

# Share that is drawn by strokes, for 0 to 9; 1, 4 and 7 vary most.
DRAWN_SHARES = (0.04, 0.30, 0.04, 0.10, 0.26, 0.06, 0.04, 0.22, 0.04, 0.10)


def simulate(
    images: Pixels,
    labels: Labels,
    *,
    seed: int,
    copies: int = 1,
    negatives: float = NEGATIVES,
    progress: ProgressCallback | None = None,
) -> tuple[Pixels, Labels]:
    """Make digits as other people write and photograph them, then things that are not digits.

    Args:
        images: uint8 (N, 28, 28), paper 0 to ink 255.
        labels: uint8 (N,), 0 to 9.
        seed: of all draws.
        copies: of each digit, each in another hand.
        negatives: things that are not digits, to each digit.
        progress: called now and then.

    Returns:
        Images uint8 (M, 28, 28) and labels uint8 (M,), with M = N * copies * (1 + negatives): first
        the digits in the order of `labels`, `copies` times over; then the others, labelled
        NOT_A_DIGIT.
    """
    rng = Generator(PCG64(seed))
    digits = len(images) * copies
    others = round(digits * negatives)

    sources = np.arange(digits) % len(images)
    rewritten = (written(images[source], int(labels[source]), rng) for source in sources)
    all_images = chain(rewritten, other_things(images, labels, others, rng))

    made = np.empty((digits + others, SIDE, SIDE), np.uint8)
    for number, image in enumerate(all_images, start=1):
        made[number - 1] = image
        if progress and (number % 1000 == 0 or number == len(made)):
            progress("making handwriting", number, len(made))

    return made, np.concatenate([np.tile(labels, copies), np.full(others, NOT_A_DIGIT, np.uint8)])


def written(image: Plane, label: int, rng: Generator) -> Plane:
    """Write one digit in another hand, with another pen, on other paper.

    Some digits stay as they are, some are replaced by print or by strokes, in styles that MNIST
    hardly holds.

    Args:
        image: uint8 (28, 28), paper 0 to ink 255.
        label: 0 to 9.
        rng: draws everything.

    Returns:
        uint8 (28, 28), still the digit `label`.
    """
    chance = rng.random()
    if chance < UNCHANGED_SHARE:
        return image

    if chance < UNCHANGED_SHARE + DRAWN_SHARES[label]:
        canvas = draw(digit_strokes(label, rng), rng)
    elif chance > 1 - PRINTED_SHARE:
        canvas = printed(str(label), rng)
    else:
        canvas = in_another_hand(image, rng)
        if label == 7 and rng.random() < 0.15:
            canvas = cross_seven(canvas, rng)
        canvas = with_another_pen(canvas, rng)

    return framed(recorded(damaged(canvas, rng), rng), rng, otherwise=canvas)
