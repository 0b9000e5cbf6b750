"""The network and recipe of train_mnist_fast in JAX: a compiled step with optax's Adam.

Its buffers are given back to it. A loop in Python over a compiled step, not one compiled scan over
all steps: on a CPU, XLA runs convolutions within its own loops on one thread and without its fast
kernels, and an epoch took more than ten times as long.
"""

import time
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax

from benchmarks.training.contenders import Pixels, Said, Trained, Training, normalised
from benchmarks.training.contenders.train_mnist_fast import BATCH, BETAS, HIGHEST
from inkdigits.data.datasets import Split

Weights = dict[str, tuple[Any, Any]]
SHAPES = {"conv1": (24, 1, 5, 5), "conv2": (32, 24, 3, 3), "full1": (256, 800), "full2": (10, 256)}
LAYOUT = ("NHWC", "OIHW", "NHWC")


def fresh(key: Any) -> Weights:
    """Draw weights and biases as PyTorch does: evenly, up to one over the root of the inputs."""
    weights: Weights = {}
    for number, (name, shape) in enumerate(SHAPES.items()):
        one, other = jax.random.split(jax.random.fold_in(key, number))
        bound = float(np.prod(shape[1:])) ** -0.5
        draw = partial(jax.random.uniform, minval=-bound, maxval=bound)
        weights[name] = draw(one, shape), draw(other, shape[:1])

    return weights


def forward(weights: Weights, ink: Any) -> Any:
    """Return logits (N, 10).

    ink: normalised float32 (N, 28, 28).
    """
    x = jnp.expand_dims(ink, 3)
    for name in ("conv1", "conv2"):
        kernel, bias = weights[name]
        x = lax.conv_general_dilated(x, kernel, (1, 1), "VALID", dimension_numbers=LAYOUT)
        x = jax.nn.relu(pool(x + bias))

    x = x.reshape(len(x), -1)
    x = jax.nn.relu(x @ weights["full1"][0].T + weights["full1"][1])
    return x @ weights["full2"][0].T + weights["full2"][1]


def pool(x: Any) -> Any:
    """Take the largest of each 2x2 pixels; of an odd side the last is left out.

    By slices: the gradient of reduce_window is slow on a CPU.
    """
    for axis in (1, 2):
        even = x.shape[axis] // 2 * 2
        first, second = (lax.slice_in_dim(x, begin, even, 2, axis) for begin in (0, 1))
        x = jnp.maximum(first, second)

    return x


def loss(weights: Weights, ink: Any, labels: Any) -> Any:
    """Return the mean cross-entropy of a batch."""
    logits = forward(weights, ink)
    return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()


def prepare(train: Split, option: str) -> Training:
    """Compile the step. option: not used."""
    del option
    ink, labels = normalised(train.images), train.labels.astype(np.int32)
    steps = -(-len(train) // BATCH)
    adam = optax.adam(optax.cosine_onecycle_schedule(steps, HIGHEST), *BETAS)

    @partial(jax.jit, donate_argnums=0)
    def step(state: Any, x: Any, y: Any) -> Any:
        weights, moments = state
        updates, moments = adam.update(jax.grad(loss)(weights, x, y), moments)
        return optax.apply_updates(weights, updates), moments

    def epoch(seed: int, order: Said) -> tuple[Weights, float]:
        """Train once through the digits in this order; return also the seconds."""
        shuffled = ink[order], labels[order]
        started = time.perf_counter()
        weights = fresh(jax.random.key(seed))
        state = weights, adam.init(weights)
        for begin in range(0, len(order), BATCH):
            state = step(state, *(part[begin : begin + BATCH] for part in shuffled))

        trained: Weights = jax.block_until_ready(state[0])
        return trained, time.perf_counter() - started

    # The whole batch and the last, smaller one are two programs.
    last = len(train) % BATCH or BATCH
    compiling = epoch(0, np.arange(min(BATCH + last, len(train))))[1]
    answer = jax.jit(lambda weights, x: forward(weights, x).argmax(1))

    def run(seed: int) -> Trained:
        weights, seconds = epoch(seed, np.random.default_rng(seed).permutation(len(labels)))

        def read(images: Pixels) -> Said:
            batches = np.array_split(normalised(images), max(1, len(images) // 1000))
            return np.concatenate([np.asarray(answer(weights, batch)) for batch in batches])

        return Trained(seconds, read, compiling=compiling)

    return run
