"""Digits as a scanner would show them, for tests that need picture files."""

import io

import numpy as np
from PIL import Image


def scan(field: np.ndarray) -> bytes:
    """Return a PNG of a digit, (28, 28) with paper 0: dark on white, large, with a margin."""
    file = io.BytesIO()
    Image.fromarray(255 - np.kron(field, np.ones((6, 6), np.uint8))).save(file, "PNG")
    return file.getvalue()
