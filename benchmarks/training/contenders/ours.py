"""Ours: a recipe by name, through the loop that `inkdigits train` runs.

It goes from uint8 digits in memory to the trained network.
"""

import dataclasses
import time

from benchmarks.training.contenders import Pixels, Said, Trained, Training
from inkdigits.data.datasets import Split
from inkdigits.training.loop import fit, seeded_network
from inkdigits.training.predictions import predict_logits
from inkdigits.training.recipe import load_recipe


def prepare(train: Split, option: str) -> Training:
    """Warm up. option: a recipe's name."""
    recipe = load_recipe(option)

    def run(seed: int) -> Trained:
        started = time.perf_counter()
        network = seeded_network(recipe, seed)
        for _ in fit(
            network, recipe, train, train[:1], seed=seed, device="cpu"
        ):  # validates on one digit: nothing to subtract
            pass
        seconds = time.perf_counter() - started

        def read(images: Pixels) -> Said:
            answers: Said = (
                predict_logits(network, Split(images, train.labels[: len(images)]))
                .argmax(1)
                .numpy()
            )
            return answers

        return Trained(seconds, read)

    few = train[: 4 * recipe.batch]
    for _ in fit(
        seeded_network(recipe, 0), dataclasses.replace(recipe, epochs=1), few, few[:1], device="cpu"
    ):
        pass  # oneDNN makes its kernels at their first use
    return run
