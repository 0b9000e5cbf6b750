"""Keras's own "Simple MNIST convnet" with `model.fit`, on JAX.

It has 32 and 64 kernels of 3x3, pooled, dropout 0.5, and one linear layer; Adam 0.001, batches of
128, 15 epochs, as its documentation has it; compiled. Tried, and slower on a CPU: several steps a
call, channels first, and PyTorch below it. One epoch is timed and multiplied; where accuracy is
asked for, all are run.
"""

import os

os.environ.setdefault("KERAS_BACKEND", "jax")  # read when Keras is imported

import time

import keras
import numpy as np
from keras import layers

from benchmarks.training.contenders import Pixels, Said, Trained, Trainer, timed
from inkdigits.data.datasets import Split

EPOCHS, BATCH = 15, 128


def build() -> keras.Model:
    """Build 34,826 numbers, with fresh weights."""
    return keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Conv2D(32, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Conv2D(64, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dropout(0.5),
            layers.Dense(10, activation="softmax"),
        ]
    )


def prepare(train: Split, option: str) -> Trainer:
    """Compile the network. option: not used."""
    del option
    ink = train.images[..., None].astype(np.float32) / 255
    labels = train.labels.astype(np.int32)
    network = build()
    network.compile("adam", "sparse_categorical_crossentropy", jit_compile=True)
    last = len(train) % BATCH or BATCH  # a smaller batch is a program of its own
    few = np.r_[: min(len(train), BATCH + last)]
    compiling = timed(lambda: network.fit(ink[few], labels[few], batch_size=BATCH, verbose=0))

    def run(seed: int, whole: bool) -> Trained:
        keras.utils.set_random_seed(seed)
        epochs = EPOCHS if whole else 1
        begin_anew(network)
        started = time.perf_counter()
        network.fit(ink, labels, batch_size=BATCH, epochs=epochs, verbose=0)
        seconds = time.perf_counter() - started

        def read(images: Pixels) -> Said:
            said: Said = network.predict(
                images[..., None].astype(np.float32) / 255, batch_size=1000, verbose=0
            ).argmax(1)
            return said

        return Trained(seconds * EPOCHS / epochs, read if whole else None, epochs / EPOCHS)

    return Trainer(run, compiling)


def begin_anew(network: keras.Model) -> None:
    """Put fresh weights into the compiled network, and let its optimiser forget."""
    network.set_weights(build().get_weights())
    for variable in network.optimizer.variables:
        if not variable.path.endswith("learning_rate"):
            variable.assign(np.zeros(variable.shape, variable.dtype))
