"""Reading with the shipped models: one image and many, against other runtimes.

Sides take turns; the first round is not counted. Everybody gets uint8 images and gives out
probabilities. Latency: seconds of each call with one image, of many calls a round. Bulk: images a
second of one call with many. Threads are set here, for every library. What is not installed
(OpenVINO; a C++ compiler, for torch.compile) is left out, and that is said.

    python -m benchmarks.reading.inference --write docs/benchmarks.md    # ten quiet minutes
    python -m benchmarks.reading.inference --quick                       # a minute: does it work?
"""

import statistics
import tempfile
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.common import command_line, machine, publish, tell, turns
from benchmarks.reading.inference_opponents import Images, Side, ours, sides
from inkdigits.data.datasets import Dataset, load_dataset
from inkdigits.evaluation.metrics import evaluate_probabilities
from inkdigits.reading.cascade import SURE_ENOUGH
from inkdigits.reading.model_files import INT8, quantised_models, resolve_model
from inkdigits.reading.recogniser import Recogniser
from inkdigits.runs.export import export_run

# Images of one bulk call: multiples of all blocks, and no more than the validation split has.
MODELS = {"fast-99.3": 4096, "nano": 4096, "tiny": 2048, "default": 2048, "best": 512}
CASCADES = (
    "nano+best",
    "tiny+best",
    "fast-99.3+best",
    "nano+tiny+best",
    "fast-99.3+best-int8",
    "fast-99.3-int8+best-int8",
)
TOGETHER = "cascades"
THREADS = (1, 2)
SETTLE = 0.1  # seconds before each side, while the threads of the one before look for work


@dataclass(frozen=True)
class Plan:
    """How much is measured.

    Attributes:
        rounds: after one that is not counted.
        calls: with one image, a round.
        share: of the images of a bulk call.
        judged: digits, at most, of each split that cascades are judged by.
        models: that are compared.
        compiled: models that torch.compile takes, too: a minute each, with each number of threads.
    """

    rounds: int = 7
    calls: int = 300
    share: float = 1.0
    judged: int = 10_000
    models: tuple[str, ...] = tuple(MODELS)
    compiled: tuple[str, ...] = ("tiny", "default")


QUICK = Plan(rounds=2, calls=10, share=1 / 16, judged=500, models=("tiny",), compiled=())


@dataclass(frozen=True)
class Timing:
    """One side's rounds.

    Attributes:
        group: what it is compared within.
        threads: how many.
        side: its name.
        setting: how it is run.
        difference: the largest of a probability from the first side's.
        one: microseconds of a call with one image.
        one_p99: the 99th percentile of that.
        bulk: images a second.
    """

    group: str
    threads: int
    side: str
    setting: str
    difference: float
    one: list[float] = field(default_factory=list)
    one_p99: list[float] = field(default_factory=list)
    bulk: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class Figures:
    """All that is measured.

    Attributes:
        machine: facts.
        timings: in the order of measuring.
        cascades: what each is worth.
        int8: what each model is worth, and the same in eight bits.
    """

    machine: dict[str, str]
    timings: list[Timing]
    cascades: list[dict[str, Any]]
    int8: list[dict[str, Any]]

    def of(self, group: str, threads: int) -> list[Timing]:
        """Return the timings of a group, in the order of measuring."""
        return [each for each in self.timings if (each.group, each.threads) == (group, threads)]


def seconds_each(side: Side, image: Images, calls: int) -> list[float]:
    """Return the seconds of calls with one image."""
    taken = []
    for _ in range(calls):
        started = time.perf_counter()
        side.one(image)
        taken.append(time.perf_counter() - started)

    return taken


def measure(
    group: str, found: Iterable[Side], images: Images, threads: int, plan: Plan
) -> list[Timing]:
    """Run every side's rounds in turn."""
    contenders = list(found)
    reference = contenders[0].bulk(images)
    timings = []
    for side in contenders:
        difference = float(np.abs(_digits(side.bulk(images)) - reference).max())
        timings.append(Timing(group, threads, side.name, side.setting, difference))

    pairs = list(zip(contenders, timings, strict=True))
    for number, (side, timing) in turns(pairs, plan.rounds):
        time.sleep(SETTLE)
        calls = seconds_each(side, images[:1], plan.calls)
        started = time.perf_counter()
        side.bulk(images)
        rate = len(images) / (time.perf_counter() - started)
        if number:
            timing.one.append(1e6 * statistics.median(calls))
            timing.one_p99.append(1e6 * float(np.quantile(calls, 0.99)))
            timing.bulk.append(rate)

    for timing in timings:
        rate = statistics.median(timing.bulk)
        tell(f"{group}, {threads} threads, {timing.side}: {rate:,.0f} images/s")

    return timings


def _digits(said: np.ndarray) -> np.ndarray:
    """Return ten probabilities of an answer that may have eleven, as `classify` does."""
    return said if said.shape[1] == 10 else said[:, :10] / said[:, :10].sum(axis=1, keepdims=True)


def groups(
    digits: Dataset, threads: int, plan: Plan, folder: Path
) -> Iterator[tuple[str, Iterable[Side], Images]]:
    """Yield what is measured against each other, with the images of a bulk call."""
    images = digits.validation.images
    for model in plan.models:
        shown = images[: int(MODELS[model] * plan.share)]
        compiled = model in plan.compiled
        yield model, sides(model, in_int8(model, folder), threads, shown, compiled), shown

    shown = images[: int(MODELS["tiny"] * plan.share)]
    models = ("best", *CASCADES)
    yield TOGETHER, (replace(ours(model, threads), name=model) for model in models), shown


def in_int8(model: str, folder: Path) -> str:
    """Return a shipped model in eight bits: as it came, or as a file that is made here, once."""
    if model + INT8 in quantised_models():
        return model + INT8
    path = folder / f"{model}{INT8}.onnx"
    if not path.is_file():
        export_run(model, path, int8=True)
    return str(path)


def accuracy(model: str, digits: Dataset, judged: int) -> dict[str, Any]:
    """Return what a model or a cascade is worth, and what it hands on to each network.

    Args:
        model: as `--model` takes it.
        digits: MNIST.
        judged: digits of each split.
    """
    shown = digits.validation.images[:judged]
    facts: dict[str, Any] = {"model": model, "handed_on": handed_on(model, shown)}
    recogniser = Recogniser(model)
    for split in ("validation", "test"):
        seen = digits[split][:judged]
        said = recogniser.classify(seen.images)
        errors = int((said.argmax(axis=1) != seen.labels).sum())
        loss = evaluate_probabilities(said, seen.labels).nll
        facts[split] = {"n": len(seen), "errors": errors, "nll": loss}

    return facts


def handed_on(model: str, images: Images) -> list[float]:
    """Return the shares of the images that each network of a cascade but the last hands on."""
    shares, left = [], images
    for part in model.split("+")[:-1]:
        left = left[Recogniser(part).classify(left).max(axis=1) < SURE_ENOUGH]
        shares.append(len(left) / len(images))
    return shares


def measure_all(plan: Plan) -> Figures:
    """Measure everything, on one thread and then on two."""
    digits = load_dataset("mnist")
    judge = cache(lambda model: accuracy(model, digits, plan.judged))  # `best` is in two tables
    timings: list[Timing] = []
    int8 = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for threads in THREADS:
            torch.set_num_threads(threads)
            for group, found, shown in groups(digits, threads, plan, folder):
                timings += measure(group, found, shown, threads, plan)

        for model in plan.models:
            other = in_int8(model, folder)
            size = resolve_model(other).stat().st_size
            int8.append(judge(model) | {"int8": judge(other), "bytes": size})

    cascades = [judge(model) for model in ("best", *CASCADES)]
    threads_used = " and ".join(map(str, THREADS))
    facts = machine("torch", "numpy", threads=threads_used, device="cpu")
    return Figures(facts, timings, cascades, int8)


def main() -> None:
    """Measure, print, and write where asked."""
    from benchmarks.reading.inference_report import sections

    parser = command_line(__doc__, rounds=Plan.rounds, quick="few of everything: does it work?")
    options = parser.parse_args()
    figures = measure_all(QUICK if options.quick else Plan(rounds=options.rounds))
    for text in sections(figures):
        publish(text, options.write)


if __name__ == "__main__":
    main()
