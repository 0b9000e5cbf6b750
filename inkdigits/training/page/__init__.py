"""Generated pages come in, trained networks go out: where writing is, whose it is, what it says.

The page network learns from whole pages (pages.py, targets.py, losses.py, loop.py), the second
network from the looks that the page network takes of them (looks.py, look_loop.py).
"""
