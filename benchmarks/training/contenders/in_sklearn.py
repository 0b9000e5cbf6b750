"""scikit-learn's multilayer perceptron on the pixels."""

import time
import warnings

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier

from benchmarks.training.contenders import Pixels, Trained, Training
from inkdigits.data.datasets import Split

EPOCHS, HIDDEN, BATCH = 10, 256, 200


def flat(images: Pixels) -> NDArray[np.float32]:
    """Return (N, 784) float32, paper 0 to ink 1."""
    return images.reshape(len(images), -1).astype(np.float32) / np.float32(255)


def prepare(train: Split, option: str) -> Training:
    """Bring the digits into rows. option: not used."""
    del option
    ink = flat(train.images)

    def run(seed: int) -> Trained:
        network = MLPClassifier((HIDDEN,), batch_size=BATCH, max_iter=EPOCHS, random_state=seed)
        started = time.perf_counter()
        with warnings.catch_warnings():
            # It ends when its epochs are over, as we asked.
            warnings.simplefilter("ignore", ConvergenceWarning)
            network.fit(ink, train.labels)

        seconds = time.perf_counter() - started
        return Trained(seconds, lambda images: network.predict(flat(images)))

    return run
