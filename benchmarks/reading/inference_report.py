"""The figures of `inference.py` as sections of docs/benchmarks.md."""

from collections.abc import Iterator, Mapping
from statistics import median
from typing import Any

from benchmarks.common import in_words, ratios, spread, table
from benchmarks.reading.inference import MODELS, THREADS, TOGETHER, Figures, Timing
from inkdigits.reading.cascade import SURE_ENOUGH

FASTER = "ours is faster"
HEAD = (
    "",
    "",
    "one image, us",
    "p99, us",
    FASTER,
    "bulk, images/s",
    FASTER,
    "setting",
    "differs by",
)
SPLITS = ("validation", "test")
JUDGED = ("validation errors", "NLL", "test errors", "NLL")


def ratio(values: list[float], by: list[float]) -> str:
    """Divide round by round."""
    return spread(ratios(values, by), ".2f")


def threads_of(count: int) -> str:
    """Return `1 thread` or `2 threads`."""
    return f"{count} thread{'s' * (count > 1)}"


def row(timing: Timing, reference: Timing) -> list[str]:
    """Return the cells of a timing."""
    return [
        f"`{timing.group}`",
        timing.side,
        spread(timing.one),
        f"{median(timing.one_p99):,.0f}",
        ratio(timing.one, reference.one),
        spread(timing.bulk),
        ratio(reference.bulk, timing.bulk),
        timing.setting,
        f"{timing.difference:.0e}",
    ]


def timing_tables(figures: Figures) -> Iterator[str]:
    """Yield a table for each number of threads."""
    for threads in THREADS:
        rows = []
        for model in MODELS:
            found = figures.of(model, threads)
            rows += [row(timing, found[0]) for timing in found]

        yield from ("", f"### {threads_of(threads)}", "", *table(HEAD, rows))


def runtimes_section(figures: Figures) -> list[str]:
    """Return the shipped models in several runtimes."""
    rounds = len(figures.timings[0].bulk)
    return [
        "## Reading: against other runtimes",
        "",
        f"Medians of {rounds} rounds in turn (lowest-highest); ratios round by round. uint8 images "
        "in, probabilities out.",
        "One image: a call with one image, the median of a round's calls; p99 likewise. Bulk: one "
        "call with many images.",
        "Differs by: the largest difference of a probability from ours. OpenVINO's own precision "
        "is bfloat16 where the",
        "processor has it, which is faster and less exact.",
        f"Measured by `benchmarks/reading/inference.py`, {in_words(figures.machine)}.",
        *timing_tables(figures),
    ]


def int8_section(figures: Figures) -> list[str]:
    """Return what a model loses in eight bits."""
    rows = []
    for facts in figures.int8:
        rows.append([f"`{facts['model']}`", "", *judged(facts)])
        rows.append(["in eight bits", f"{facts['bytes']:,}", *judged(facts["int8"])])

    return [
        "## Reading: in eight bits",
        "",
        "What a model loses when `inkdigits export MODEL --int8` makes it, and the bytes of the "
        "file. Its speed is in the",
        "tables above; OpenVINO's int8 is the same file.",
        "",
        *table(["model", "bytes", *JUDGED], rows),
    ]


def judged(facts: Mapping[str, Any]) -> list[str]:
    """Return a model's errors and loss on each split."""
    cells = []
    for split in SPLITS:
        seen = facts[split]
        cells += [f"{seen['errors']} of {seen['n']:,}", f"{seen['nll']:.4f}"]

    return cells


def cascades_section(figures: Figures) -> list[str]:
    """Return speed and accuracy of cascades beside the last of their networks."""
    head = ["model"]
    for threads in THREADS:
        head += [f"bulk, {threads_of(threads)}", "times `best`"]

    rows = []
    for facts in figures.cascades:
        cells = [f"`{facts['model']}`"]
        for threads in THREADS:
            by_side = {timing.side: timing.bulk for timing in figures.of(TOGETHER, threads)}
            own = by_side[facts["model"]]
            cells += [spread(own), ratio(own, by_side["best"])]

        handed_on = ", ".join(f"{share:.1%}" for share in facts["handed_on"]) or "-"
        rows.append([*cells, handed_on, *judged(facts)])

    return [
        "## Cascades",
        "",
        "Models joined by `+`: a digit goes on to the next where the one before gives no digit a "
        f"probability of {SURE_ENOUGH}.",
        "That was chosen on the validation digits; the test digits were read afterwards. Handed "
        "on: the share of the",
        "validation digits that reaches each network after the first. Bulk: images a second of "
        "validation digits, as above.",
        "",
        *table([*head, "handed on", *JUDGED], rows),
    ]


def sections(figures: Figures) -> list[str]:
    """Return all that is written."""
    made = (runtimes_section, int8_section, cascades_section)
    return ["\n".join([*section(figures), ""]) for section in made]
