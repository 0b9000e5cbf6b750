"""Pages of handwriting with known content, as people scan, photograph and draw them: to train on,
to test and to measure with.

    writing (symbols -> ink) -> layout (rows on a sheet) -> paper -> camera -> generator (pages,
    folders)
                                                            scene: how a page looks

Takes MNIST's training digits and strokes of our own; needs nothing of reading, and no torch.
"""

from inkdigits.data.synthetic.pages.generator import Page, generate, render, write_pages
from inkdigits.data.synthetic.pages.layout import Mark
from inkdigits.data.synthetic.pages.scene import Scene, random_scene
from inkdigits.data.synthetic.pages.writing import Hand, Pen, random_hand

__all__ = [
    "Hand",
    "Mark",
    "Page",
    "Pen",
    "Scene",
    "generate",
    "random_hand",
    "random_scene",
    "render",
    "write_pages",
]
