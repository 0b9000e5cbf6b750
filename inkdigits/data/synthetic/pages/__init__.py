"""Pages of handwriting with known content, as people scan, photograph and draw them.

They test and measure how pages are read. The page reader learns from pages that another program
draws (`training_pages`), so that these are new to it. The path of a page through the modules:

    ../glyphs -> writing (symbols -> ink) -> layout (rows on a sheet) -> paper -> camera
    scene says how a page looks; generator calls them all, for one page or for a folder of pages

They are written with MNIST's training digits and our own strokes. No code of `reading` is used.
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
