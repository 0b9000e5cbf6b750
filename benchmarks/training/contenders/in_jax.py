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

from benchmarks.training.contenders import (
    Pixels,
    Said,
    Trained,
    Trainer,
    normalised,
    one_cycle,
    timed,
)
from benchmarks.training.contenders.train_mnist_fast import BATCH, BETAS, HIGHEST
from inkdigits.data.datasets import Split

Weights = dict[str, tuple[Any, Any]]
SHAPES = {"conv1": (24, 1, 5, 5), "conv2": (32, 24, 3, 3), "full1": (256, 800), "full2": (10, 256)}


def fresh(key: Any) -> Weights:
    """Draw weights and biases as PyTorch does: evenly, up to one over the root of the inputs."""
    weights: Weights = {}
    for number, (name, shape) in enumerate(SHAPES.items()):
        one, other = jax.random.split(jax.random.fold_in(key, number))
        bound = float(np.prod(shape[1:])) ** -0.5
        weights[name] = (
            jax.random.uniform(one, shape, minval=-bound, maxval=bound),
            jax.random.uniform(other, shape[:1], minval=-bound, maxval=bound),
        )
    return weights


def forward(weights: Weights, ink: Any, layout: str) -> Any:
    """Return logits (N, 10).

    Args:
        weights: of the network.
        ink: normalised float32 (N, 28, 28).
        layout: "NCHW" or "NHWC".
    """
    channels = layout.index("C")
    x = jnp.expand_dims(ink, channels)
    for name in ("conv1", "conv2"):
        kernel, bias = weights[name]
        x = lax.conv_general_dilated(
            x, kernel, (1, 1), "VALID", dimension_numbers=(layout, "OIHW", layout)
        )
        x = x + (bias[:, None, None] if channels == 1 else bias)
        x = jax.nn.relu(pool(x, channels))
    x = x.reshape(len(x), -1)
    x = jax.nn.relu(x @ weights["full1"][0].T + weights["full1"][1])
    return x @ weights["full2"][0].T + weights["full2"][1]


def pool(x: Any, channels: int) -> Any:
    """Take the largest of each 2x2 pixels; of an odd side the last is left out.

    By slices: the gradient of reduce_window is slow on a CPU.
    """
    high, wide = (2, 3) if channels == 1 else (1, 2)
    for axis in (high, wide):
        even = x.shape[axis] // 2 * 2
        x = jnp.maximum(
            lax.slice_in_dim(x, 0, even, 2, axis), lax.slice_in_dim(x, 1, even, 2, axis)
        )
    return x


def prepare(train: Split, option: str) -> Trainer:
    """Compile the step. option: the layout."""
    steps = -(-len(train) // BATCH)
    ink, labels = normalised(train.images), train.labels.astype(np.int32)
    rates = [np.float32(one_cycle(step, steps, HIGHEST)) for step in range(steps)]
    adam = optax.scale_by_adam(*BETAS)

    @partial(jax.jit, donate_argnums=0)
    def step(state: Any, x: Any, y: Any, rate: Any) -> Any:
        weights, moments = state

        def loss(weights: Weights) -> Any:
            return optax.softmax_cross_entropy_with_integer_labels(
                forward(weights, x, option), y
            ).mean()

        updates, moments = adam.update(jax.grad(loss)(weights), moments)
        return jax.tree.map(lambda w, u: w - rate * u, weights, updates), moments

    def begin(seed: int) -> Any:
        weights = fresh(jax.random.key(seed))
        return weights, adam.init(weights)

    def epoch(seed: int, ink: Any, labels: Any) -> Weights:
        state = begin(seed)
        for number, rate in enumerate(rates):
            batch = slice(number * BATCH, (number + 1) * BATCH)
            state = step(state, ink[batch], labels[batch], rate)
        weights: Weights = jax.block_until_ready(state[0])
        return weights

    def compile_for(count: int) -> None:
        jax.block_until_ready(step(begin(0), ink[:count], labels[:count], rates[0]))

    # The whole batch and the last, smaller one are two programs.
    compiling = sum(
        timed(partial(compile_for, count)) for count in {BATCH, len(train) % BATCH or BATCH}
    )
    answer = jax.jit(lambda weights, x: forward(weights, x, option).argmax(1))

    def run(seed: int, whole: bool) -> Trained:
        del whole
        order = np.random.default_rng(seed).permutation(len(labels))
        shuffled = ink[order], labels[order]
        started = time.perf_counter()
        weights = epoch(seed, *shuffled)
        seconds = time.perf_counter() - started

        def read(images: Pixels) -> Said:
            batches = np.array_split(normalised(images), max(1, len(images) // 1000))
            return np.concatenate([np.asarray(answer(weights, batch)) for batch in batches])

        return Trained(seconds, read)

    return Trainer(run, compiling)
