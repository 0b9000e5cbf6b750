"""MNIST's digits as other people write and record them, and things that are not digits.

The model `default` learns from these. The path of a digit through the modules:

    hands (image -> canvas) or strokes -> recording (canvas -> image)
    others draws things that are not digits; simulation decides how many of each there are

Digits like MNIST's come in with their labels. Every image that goes out is brought to MNIST's
geometry by the function that reading uses. Same seed and same libraries: same bits.
"""

from inkdigits.data.synthetic.handwriting.simulation import simulate, written

__all__ = ["simulate", "written"]
