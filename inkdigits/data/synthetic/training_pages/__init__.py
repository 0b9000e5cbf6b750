"""Training pages for a reader of handwritten numbers: drawn by seed and index, never stored.

    draws, pixels, boxes: chance, pictures and places, which all others use
    shapes, mnist -> fields -> glyphs: what can be written
    hands, writing, lines, grammar -> layouts: who writes what, where, and whose ink is whose
    media, grounds, prints -> composition, camera: on what, and how it is seen
    generator: a page of all that

Takes MNIST's training digits by writer and strokes of our own; needs no torch.
"""

from inkdigits.data.synthetic.training_pages.generator import TrainingPage, prepare, training_page
from inkdigits.data.synthetic.training_pages.glyphs import SYMBOLS

__all__ = ["SYMBOLS", "TrainingPage", "prepare", "training_page"]
