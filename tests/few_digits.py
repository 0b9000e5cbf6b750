"""A few real digits that need no download, for tests that train or export something."""

from functools import lru_cache

from inkdigits.data.datasets import Dataset, Split, load_dataset
from inkdigits.training.recipe import load_recipe, shipped_recipes

# The members of an ensemble are trained one by one, and as the recipe says that it starts from.
TRAINED = [name for name in shipped_recipes() if load_recipe(name).members == 1]


def few_digits(count: int, split: str = "train") -> Split:
    """Return the first digits of scikit-learn's own, in MNIST's geometry.

    Images are uint8 (count, 28, 28), labels (count,).
    """
    digits = _optdigits()[split][:count]
    assert len(digits) == count
    return digits


@lru_cache
def _optdigits() -> Dataset:
    return load_dataset("optdigits", download=False)
