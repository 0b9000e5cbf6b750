"""Training pages for a reader of handwritten numbers: drawn by seed and index, never stored.

    shapes, mnist -> fields -> glyphs -> writing <- grammar, layouts
                        media, grounds, prints, camera -> generator

Takes MNIST's training digits by writer and strokes of our own; needs nothing of reading, and no
torch.
"""

from inkdigits.data.synthetic.training_pages.generator import TrainingPage, prepare, training_page
from inkdigits.data.synthetic.training_pages.glyphs import SYMBOLS

__all__ = ["SYMBOLS", "TrainingPage", "prepare", "training_page"]
