"""The reference systems as tutorials train them (`reference_style.py`): a part of an epoch.

Its time is multiplied. What accuracy their sources reach by it is their own figure; it is not
measured again.
"""

import torch

from benchmarks.training.contenders import Trained, Training
from benchmarks.training.reference_style import train_reference
from inkdigits.data.datasets import Split
from inkdigits.training.recipe import load_recipe

PART = 10.0  # seconds, about


def prepare(train: Split, option: str) -> Training:
    """Look the system up. option: a key of REFERENCES."""
    epochs = load_recipe(option).epochs

    def run(seed: int) -> Trained:
        torch.manual_seed(seed)
        few = train_reference(option, train[:1000])  # images/s
        digits = min(len(train), max(1000, int(few * PART)))
        rate = train_reference(option, train[:digits])
        return Trained(epochs * len(train) / rate, part=digits / len(train) / epochs)

    return run
