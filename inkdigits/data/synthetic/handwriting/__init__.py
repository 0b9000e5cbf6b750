"""MNIST's digits as other people would have written and recorded them, and things that are no
digits: what `default` learns from.

    hands (fields -> canvas) / strokes -> recording (canvas -> field)      others: what is no digit
                                          simulation: so many of each

Takes MNIST-like digits with their labels; every field is brought to MNIST's geometry by the
function that reading uses. Knows nothing of files, datasets or networks. Same seed and same
libraries: same bits.
"""

from inkdigits.core.digits import NOT_A_DIGIT
from inkdigits.data.synthetic.handwriting.simulation import simulate, written

__all__ = ["NOT_A_DIGIT", "simulate", "written"]
