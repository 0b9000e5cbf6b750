"""scikit-learn's classics on the pixels: a multilayer perceptron, and a Gaussian SVM."""

import time
import warnings
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier
from sklearn.svm import SVC

from benchmarks.training.contenders import Pixels, Said, Trained, Trainer
from inkdigits.data.datasets import Split

Flat = NDArray[np.float32]  # (N, 784)
Training = Callable[[int, bool], Trained]

EPOCHS, HIDDEN, BATCH = 10, 256, 200  # of the perceptron
PENALTY = 10.0  # of the machine, C
PARTS = 22, 11  # of the digits, on each of which the machine's time is measured


def flat(images: Pixels) -> Flat:
    """Return (N, 784) float32, paper 0 to ink 1."""
    return images.reshape(len(images), -1).astype(np.float32) / np.float32(255)


def extrapolated(
    sizes: tuple[int, int], seconds: tuple[float, float], size: int
) -> tuple[float, float]:
    """Extrapolate from what two smaller sizes took.

    Returns:
        Seconds at a size, and the power of the size that they grow with.
    """
    power = float(np.log(seconds[1] / seconds[0]) / np.log(sizes[1] / sizes[0]))
    return seconds[1] * (size / sizes[1]) ** power, power


def prepare(train: Split, option: str) -> Trainer:
    """Choose a classic. option: MLP or SVC."""
    ink, labels = flat(train.images), train.labels
    return Trainer({"MLP": perceptron, "SVC": machine}[option](ink, labels))


def perceptron(ink: Flat, labels: Said) -> Training:
    """Train all of it each time."""

    def run(seed: int, whole: bool) -> Trained:
        del whole
        network = MLPClassifier((HIDDEN,), batch_size=BATCH, max_iter=EPOCHS, random_state=seed)
        started = time.perf_counter()
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore", ConvergenceWarning
            )  # it ends when its epochs are over, as we asked
            network.fit(ink, labels)
        return Trained(time.perf_counter() - started, lambda images: network.predict(flat(images)))

    return run


def machine(ink: Flat, labels: Said) -> Training:
    """Train parts of it for the time, all of it where its accuracy is asked for."""

    def fit(count: int) -> tuple[float, SVC]:
        vectors = SVC(C=PENALTY, kernel="rbf", gamma="scale", cache_size=2000)
        started = time.perf_counter()
        vectors.fit(ink[:count], labels[:count])
        return time.perf_counter() - started, vectors

    def run(seed: int, whole: bool) -> Trained:
        del seed  # nothing is drawn
        if whole:
            seconds, vectors = fit(len(labels))
            return Trained(seconds, lambda images: vectors.predict(flat(images)))
        small, large = (len(labels) // part for part in PARTS)
        seconds, power = extrapolated((small, large), (fit(small)[0], fit(large)[0]), len(labels))
        return Trained(
            seconds,
            None,
            large / len(labels),
            f"from {small:,} and {large:,} digits, growing as n^{power:.2f}",
        )

    return run
