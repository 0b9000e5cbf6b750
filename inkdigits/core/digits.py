"""Constants that several rooms need: the digits and their classes, and the types of their arrays.

This module imports nothing but NumPy's types, so importing it costs nothing.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

DIGITS = tuple("0123456789")
CLASSES = len(DIGITS)
NOT_A_DIGIT = 10  # the eleventh label, and the eleventh output of a network that has one

SIDE = 28  # pixels of one side of an image, as in MNIST
PIXELS = SIDE * SIDE

CONFIG_FILE = "config.json"  # in a run's folder: recipe, preprocessing, versions and seed
DIGITS_TO_KEEP = 6  # decimals of the figures written to files: more would be noise

Array = NDArray[Any]
Pixels = NDArray[np.uint8]  # images (N, 28, 28), paper 0 to ink 255, or a colour picture (H, W, 3)
Labels = NDArray[np.uint8]  # (N,): 0 to 9, and 10 for things that are not digits
Plane = NDArray[np.uint8]  # one channel of a picture, (H, W)
Mask = NDArray[np.bool_]  # the pixels of a picture that belong to something, (H, W)
