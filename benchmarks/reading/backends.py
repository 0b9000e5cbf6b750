"""Thousands of images on either backend, ONNX Runtime and OpenVINO, with each shipped model.

Both take turns on the same validation digits of MNIST; the first round is not counted. The digits
that they answer differently are counted, too.

    python -m benchmarks.reading.backends --write docs/benchmarks.md
"""

import statistics
import time
from collections.abc import Iterator
from functools import partial

from benchmarks.common import (
    command_line,
    in_turn,
    in_words,
    machine,
    publish,
    ratios,
    spread,
    table,
    tell,
    use_processors,
)
from inkdigits.core.digits import Pixels
from inkdigits.data.datasets import load_dataset
from inkdigits.reading.backends import ONNXRUNTIME, OPENVINO, load_network
from inkdigits.reading.model_files import quantised_models, resolve_model, shipped_models
from inkdigits.reading.network import Network

IMAGES = 4096
THREADS = (1, 2)
HEADER = (
    *("model", "threads", "ONNX Runtime, images a second", "OpenVINO, images a second"),
    *("OpenVINO's time over ONNX Runtime's", "answered differently"),
)


def seconds(network: Network, images: Pixels) -> float:
    """Time one call with all images."""
    started = time.perf_counter()
    network.answer(images)
    return time.perf_counter() - started


def rows(images: Pixels, rounds: int) -> Iterator[tuple[object, ...]]:
    """Yield the row of each model, with one thread and with two."""
    for threads in THREADS:
        for model in (*shipped_models(), *quantised_models()):
            networks = {
                backend: load_network(resolve_model(model), threads, backend)
                for backend in (ONNXRUNTIME, OPENVINO)
            }
            guesses = [network.answer(images).argmax(axis=1) for network in networks.values()]
            sides = {name: partial(seconds, one, images) for name, one in networks.items()}
            taken = in_turn(sides, rounds)
            speeds = {name: [IMAGES / value for value in each] for name, each in taken.items()}
            found = ratios(taken[OPENVINO], taken[ONNXRUNTIME])
            tell(f"{model}, {threads} threads: {statistics.median(found):.2f}")
            yield (
                f"`{model}`",
                threads,
                spread(speeds[ONNXRUNTIME]),
                spread(speeds[OPENVINO]),
                spread(found, ".2f"),
                f"{(guesses[0] != guesses[1]).sum()} of {IMAGES:,}",
            )


def main() -> None:
    """Measure, print, and write where asked."""
    options = command_line(__doc__, rounds=7).parse_args()
    use_processors(max(THREADS))
    images = load_dataset("mnist").validation.images[:IMAGES]
    lines = [
        "## Reading: many images on OpenVINO",
        "",
        f"`--backend openvino` (extra `openvino`) against ONNX Runtime, {options.rounds} rounds in "
        f"turn, each a call with {IMAGES:,} images in memory. Worth it in eight bits; a processor "
        "with AVX-512 gains more, as the tables above show. Measured by "
        f"`benchmarks/reading/backends.py`, {in_words(machine('onnxruntime', 'openvino'))}.",
        "",
        *table(HEADER, list(rows(images, options.rounds))),
    ]
    publish("\n".join(lines) + "\n", options.write)


if __name__ == "__main__":
    main()
