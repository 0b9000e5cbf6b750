"""Reading with the shipped models: one image at a time and in bulk, against other runtimes, networks and the machine's peak.

Sides take turns; the first round is not counted. Everybody gets uint8 images and gives out probabilities (scikit-learn: digits).
Latency: seconds of each call with one image, of many calls a round. Bulk: images a second of one call with many. Threads are set
here, for every library. What is not installed (OpenVINO; a C++ compiler, for torch.compile) is left out, and that is said.

    python -m benchmarks.reading.inference --write docs/benchmarks.md    # ten minutes; leave the machine alone meanwhile
    python -m benchmarks.reading.inference --quick                       # a minute, to see that it works; its figures say nothing
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from threadpoolctl import threadpool_limits

from benchmarks.reading.inference_opponents import (
    Images,
    Side,
    bare_onnxruntime,
    ours,
    sides,
    sklearn_sides,
)
from benchmarks.reading.peak import gemm_peak
from benchmarks.training.reference_style import machine, write_section
from inkdigits.data.datasets import Dataset, load_dataset
from inkdigits.evaluation.metrics import evaluate_probabilities
from inkdigits.reading.cascade import SURE_ENOUGH
from inkdigits.reading.model_files import INT8, quantised_models, resolve_model
from inkdigits.reading.recogniser import Recogniser
from inkdigits.runs.checkpoint import load_run
from inkdigits.runs.export import export_onnx, export_run
from inkdigits.training.loop import seeded_network
from inkdigits.training.models import count_multiplications
from inkdigits.training.recipe import load_recipe

# Images of one bulk call: multiples of all blocks, and no more than the validation split has.
MODELS = {"fast-99.3": 4096, "nano": 4096, "tiny": 2048, "default": 2048, "best": 512}
REFERENCES = (
    "lenet",
    "two-conv",
    "dropout",
    "sgd",
    "batchnorm",
)  # fresh weights: speed does not depend on them
CASCADES = (
    "nano+best",
    "tiny+best",
    "fast-99.3+best",
    "nano+tiny+best",
    "fast-99.3+best-int8",
    "fast-99.3-int8+best-int8",
)
OTHERS, TOGETHER = "others", "cascades"
THREADS = (1, 2)
SETTLE = 0.1  # seconds before each side: the threads of the one before go on looking for work for a while
LEARNED_FROM = 2000  # digits, scikit-learn's


@dataclass(frozen=True)
class Plan:
    """How much is measured. calls: with one image, a round. share: of the images of a bulk call.

    judged: digits, at most, of each split that cascades are judged by. compiled: models that torch.compile takes, too.
    """

    rounds: int = 7
    calls: int = 300
    share: float = 1.0
    judged: int = 10_000
    models: tuple[str, ...] = tuple(MODELS)
    compiled: tuple[str, ...] = ("tiny", "default")  # a minute each, on one thread and again on two
    references: tuple[str, ...] = REFERENCES


QUICK = Plan(
    rounds=2,
    calls=10,
    share=1 / 16,
    judged=500,
    models=("tiny",),
    compiled=(),
    references=("lenet",),
)


@dataclass(frozen=True)
class Timing:
    """One side's rounds. one, one_p99: microseconds of a call with one image; bulk: images a second.

    difference: the largest of a probability from ours; None where others answer another question.
    """

    group: str
    threads: int
    side: str
    setting: str
    difference: float | None
    one: list[float] = field(default_factory=list)
    one_p99: list[float] = field(default_factory=list)
    bulk: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class Figures:
    """All that is measured. peak: GFLOP/s of a float32 matrix product, by threads; multiplications: of a model, for one digit."""

    machine: dict[str, str]
    timings: list[Timing]
    peak: dict[int, list[float]]
    multiplications: dict[str, int]
    cascades: list[dict[str, Any]]
    int8: list[dict[str, Any]]  # of each model, and of the same in eight bits

    def of(self, group: str, threads: int, side: str | None = None) -> list[Timing]:
        """The timings of a group, in the order of measuring."""
        return [
            t
            for t in self.timings
            if (t.group, t.threads) == (group, threads) and side in (None, t.side)
        ]


def seconds_each(side: Side, image: Images, calls: int) -> list[float]:
    """Of calls with one image."""
    taken = []
    for _ in range(calls):
        started = time.perf_counter()
        side.one(image)
        taken.append(time.perf_counter() - started)
    return taken


def measure(
    group: str, found: Iterable[Side], images: Images, threads: int, plan: Plan, peak: list[float]
) -> list[Timing]:
    """Every side's rounds, in turn; the order is reversed from round to round. peak: gets a value a round."""
    contenders = list(found)
    reference = contenders[0].bulk(images)
    timings = []
    for side in contenders:
        said = side.bulk(images)
        comparable = group in MODELS and said.shape[0] == len(images)
        difference = float(np.abs(_digits(said) - reference).max()) if comparable else None
        timings.append(Timing(group, threads, side.name, side.setting, difference))
    for number in range(plan.rounds + 1):
        turn = list(zip(contenders, timings, strict=True))
        for side, timing in turn if number % 2 else reversed(turn):
            time.sleep(SETTLE)
            calls = seconds_each(side, images[:1], plan.calls)
            started = time.perf_counter()
            side.bulk(images)
            rate = len(images) / (time.perf_counter() - started)
            if number:
                timing.one.append(1e6 * statistics.median(calls))
                timing.one_p99.append(1e6 * float(np.quantile(calls, 0.99)))
                timing.bulk.append(rate)
        if number:
            peak.append(gemm_peak() / 1e9)
    for timing in timings:
        print(
            f"{group}, {threads} threads, {timing.side}: {statistics.median(timing.bulk):,.0f} images/s",
            file=sys.stderr,
        )
    return timings


def _digits(said: np.ndarray) -> np.ndarray:
    """Ten probabilities of an answer that may have eleven, as `classify` gives them."""
    return said if said.shape[1] == 10 else said[:, :10] / said[:, :10].sum(axis=1, keepdims=True)


def groups(
    digits: Dataset, threads: int, plan: Plan, folder: Path
) -> Iterator[tuple[str, Iterable[Side], Images]]:
    """What is measured against each other, with the images of a bulk call."""
    images = digits.validation.images
    for model in plan.models:
        shown = images[: int(MODELS[model] * plan.share)]
        yield (
            model,
            sides(model, in_int8(model, folder), threads, shown, model in plan.compiled),
            shown,
        )
    shown = images[: int(MODELS["tiny"] * plan.share)]
    yield OTHERS, others(digits, threads, shown, folder, plan.references), shown
    yield (
        TOGETHER,
        (replace(ours(model, threads), name=model) for model in ("best", *CASCADES)),
        shown,
    )


def others(
    digits: Dataset, threads: int, shown: Images, folder: Path, references: Iterable[str]
) -> Iterator[Side]:
    """Other networks: the reference systems' in ONNX Runtime, and scikit-learn's. First ours, for the ratio."""
    yield ours("tiny", threads)
    for name in references:
        path = folder / f"{name}.onnx"
        if not path.is_file():
            export_onnx(seeded_network(load_recipe(name), 0), path, digits.validation.images)
        yield replace(bare_onnxruntime(path, threads, shown), name=f"`{name}` in ONNX Runtime")
    learned = digits.train[:LEARNED_FROM]
    yield from sklearn_sides(learned.images, learned.labels, shown)


def in_int8(model: str, folder: Path) -> str:
    """A shipped model in eight bits: as it came, or as a file that is made here, once."""
    if model + INT8 in quantised_models():
        return model + INT8
    path = folder / f"{model}{INT8}.onnx"
    if not path.is_file():
        export_run(model, path, int8=True)
    return str(path)


def accuracy(model: str, digits: Dataset, judged: int) -> dict[str, Any]:
    """What a model, or a cascade, is worth on validation and test digits, and what share goes on to each network of a cascade.

    model: as `--model` takes it.
    """
    facts: dict[str, Any] = {"model": model}
    recogniser = Recogniser(model)
    for split in ("validation", "test"):
        seen = digits[split][:judged]
        said = recogniser.classify(seen.images)
        figures = evaluate_probabilities(said, seen.labels)
        facts[split] = {
            "n": len(seen),
            "errors": int((said.argmax(axis=1) != seen.labels).sum()),
            "nll": figures.nll,
        }
    facts["handed_on"] = handed_on(model, digits.validation.images[:judged])
    return facts


def handed_on(model: str, images: Images) -> list[float]:
    """What share of the images each network of a cascade but the last hands on."""
    shares, left = [], images
    for part in model.split("+")[:-1]:
        left = left[Recogniser(part).classify(left).max(axis=1) < SURE_ENOUGH]
        shares.append(len(left) / len(images))
    return shares


def measure_all(plan: Plan) -> Figures:
    """Everything, on one thread and then on two."""
    digits = load_dataset("mnist")
    judge = cache(lambda model: accuracy(model, digits, plan.judged))  # `best` stands in two tables
    timings: list[Timing] = []
    peak: dict[int, list[float]] = {threads: [] for threads in THREADS}
    with tempfile.TemporaryDirectory() as folder:
        for threads in THREADS:
            torch.set_num_threads(threads)
            with threadpool_limits(threads):  # scikit-learn's
                for group, found, shown in groups(digits, threads, plan, Path(folder)):
                    timings += measure(group, found, shown, threads, plan, peak[threads])
        int8 = [
            judge(model) | {"int8": judge(other), "bytes": resolve_model(other).stat().st_size}
            for model in plan.models
            if (other := in_int8(model, Path(folder)))
        ]
    multiplications = {
        model: count_multiplications(load_run(model).network) for model in plan.models
    }
    cascades = [judge(model) for model in ("best", *CASCADES)]
    facts = machine(torch.device("cpu")) | {"threads": " and ".join(map(str, THREADS))}
    return Figures(facts, timings, peak, multiplications, cascades, int8)


def main() -> None:
    """Measure, print, and write where asked."""
    from benchmarks.reading.inference_report import sections, throughput_bars

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--rounds", type=int, default=Plan.rounds, metavar="N", help="after one that is not counted"
    )
    parser.add_argument(
        "--quick", action="store_true", help="few of everything, to see that it works"
    )
    parser.add_argument(
        "--json", action="store_true", help="print one JSON object instead of tables"
    )
    parser.add_argument(
        "--write",
        type=Path,
        metavar="FILE.md",
        help="put the tables into this file, too, and the figure beside",
    )
    options = parser.parse_args()
    figures = measure_all(QUICK if options.quick else Plan(rounds=options.rounds))
    written = sections(figures)
    if options.json:
        print(json.dumps(asdict(figures)))
    else:
        print("\n".join(written))
    if options.write:
        for text in written:
            write_section(options.write, text)
        throughput_bars(figures).savefig(options.write.parent / "images" / "inference.png", dpi=160)


if __name__ == "__main__":
    main()
