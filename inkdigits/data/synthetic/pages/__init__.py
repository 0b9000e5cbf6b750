"""Pages of handwriting with known content, as people scan, photograph and draw them.

They are there to train on, to test and to measure with. The way of a page:

    glyphs -> writing (symbols -> ink) -> layout (rows on a sheet) -> paper -> camera
    scene says how a page looks; generator puts all together, page by page or in a folder

They are written with MNIST's training digits and strokes of our own, without anything of `reading`.
"""

from inkdigits.data.synthetic.pages.generator import SyntheticPage, generate, render, write_pages
from inkdigits.data.synthetic.pages.layout import Mark
from inkdigits.data.synthetic.pages.scene import Scene, random_scene
from inkdigits.data.synthetic.pages.writing import Hand, Pen, random_hand

__all__ = [
    "Hand",
    "Mark",
    "Pen",
    "Scene",
    "SyntheticPage",
    "generate",
    "random_hand",
    "random_scene",
    "render",
    "write_pages",
]
