"""What several readers said -> the section of docs/handwriting.md and its figure."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.common import in_words, table, write_section
from benchmarks.handwriting.comparison import Comparison, by_megapixels, every_case
from benchmarks.handwriting.readers import OURS
from benchmarks.handwriting.rows import Row
from benchmarks.handwriting.scores import (
    Score,
    Share,
    accepted_digits,
    by_fault,
    calibration_error,
    median_milliseconds,
    score,
    share_of,
    wrong_among_surest,
)
from inkdigits.evaluation.metrics import percent, wilson_interval
from inkdigits.evaluation.plots.style import (
    BLUE,
    FONT,
    INK,
    MUTED,
    ORANGE,
    add_legend,
    dress,
    figure_of,
    label_axes,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

HEADING = "## Side by side"
FAIR_HEADING = "## Where each is better"
FAIR = f"""{FAIR_HEADING}

<!-- A person writes this section; no program changes it. -->
"""
ABOUT = """Every picture is shown to all readers, one after the other, each in a process of its
own, on one thread. **Exact**: all digits are right, in reading order, and nothing else is read; the
rows of writing must be right only where the row says so. *One digit* is read as a picture with one
digit at most, everything else as a page. **CER**, the character error rate: digits to insert,
delete or change, for each that is written; ends of rows are characters where rows count. **Too
many**, **too few**: digits read more or fewer than are written, summed over pictures. **Wrong if
read**: of pictures with anything read, those that are not exact. Milliseconds are of processor
time, the median. Intervals are Wilson's, 95 %."""
OTHERS = """Exact (its interval), then CER. Of the others' text only digits count. They are told
what helps them: RapidOCR's line recogniser gets pictures with one line only, Tesseract is told to
expect digits alone, and whether these are one, one line, or a block of lines. "of 7": that reader
got 7 of the pictures; `-`: it got none."""
CONFIDENCE = """Our accepted digits in pictures where as many are read as are written: only there
it is known which digit is which. The calibration error is the expected one, in 15 bins. The other
columns say what a threshold gains: how many are wrong among those that are surest. Equally sure
digits are taken together."""
SUREST = (99, 95, 90, 80)  # per cent of the digits
# In this order for readers; marks as well as colours tell them apart.
STYLES = ((BLUE, "o"), (ORANGE, "s"), (INK, "^"), (MUTED, "D"))
ROW_INCHES = 0.42
DODGE = 0.17  # of a row, from one reader to the next


def section(
    compared: Comparison, facts: Mapping[str, str], skipped: Sequence[str], picture: str = ""
) -> str:
    """Return the section.

    Args:
        compared: what was read, also by us.
        facts: when, where and with what.
        skipped: why readers or pictures are not there, a line each.
        picture: the address of the figure, relative to the page; empty without one.
    """
    lines = [HEADING, "", f"{in_words(facts)}.", "", *ABOUT.splitlines(), ""]
    if skipped:
        lines += ["Left out:", "", *(f"- {line}" for line in skipped), ""]

    lines += [f"### What {OURS} reads", "", *own_table(compared), ""]
    lines += [*best_guesses(compared), ""]
    lines += ["### Beside others", "", *OTHERS.splitlines(), "", *others_table(compared), ""]
    if picture:
        lines += [f"![Exactly read pictures, by row and reader]({picture})", ""]

    lines += ["### Milliseconds by size", "", *cost_table(compared), ""]
    lines += ["### Confidence", "", *CONFIDENCE.splitlines(), "", *confidence_table(compared), ""]
    faults = fault_table(compared)
    if faults:
        lines += ["### Drawn faults, by kind", "", *faults, ""]

    return "\n".join(lines)


def own_table(compared: Comparison) -> list[str]:
    """Return all figures of our reader, row by row."""
    head = ["pictures", "n", "exact", "95 %", "CER", "too many", "too few", "wrong if read", "ms"]
    rows = []
    for row, scores in _scored(compared):
        found = scores[OURS]
        if found:
            cells = [exact(found.exact), interval(found.exact), error_rate(found)]
            cells += [str(found.oversegmented), str(found.undersegmented), of(found.wrong)]
            rows.append([row.name, str(found.exact.n), *cells, f"{found.milliseconds:.0f}"])

    return table(head, rows)


def best_guesses(compared: Comparison) -> list[str]:
    """Say of how many pictures with one digit our best guess is right, accepted or not."""
    answers = compared.answers[OURS]
    told = []
    for row in compared.rows:
        guesses = [
            str(answers[case].guess) == case.content
            for case in row.cases
            if case.single and case in answers
        ]
        if guesses:
            told.append(f"{row.name}: {sum(guesses)} of {len(guesses)}")

    return [f"The best guess, accepted or not, is right of {'; '.join(told)}."] if told else []


def others_table(compared: Comparison) -> list[str]:
    """Return exact and CER of every reader, row by row."""
    rows = []
    for row, scores in _scored(compared):
        cells = [briefly(scores[reader], len(row.cases)) for reader in compared.answers]
        rows.append([row.name, len(row.cases), *cells])

    return table(["pictures", "n", *compared.answers], rows)


def cost_table(compared: Comparison) -> list[str]:
    """Return the milliseconds of every reader by the size of pictures."""
    rows = []
    for name, cases in by_megapixels(compared.cases).items():
        cells = []
        for answers in compared.answers.values():
            median = median_milliseconds(cases, answers)
            cells.append("-" if median is None else f"{median:,.0f}")

        rows.append([name, len(cases), *cells])

    return table(["megapixels", "n", *compared.answers], rows)


def confidence_table(compared: Comparison) -> list[str]:
    """Return what our confidence is worth, for one digit and for digits of strings."""
    real = every_case(row for row in compared.rows if row.real)
    made = every_case(row for row in compared.rows if not row.real)
    groups = {
        "real single digits": [case for case in real if case.single],
        "characters of real strings": [case for case in real if len(case.content) > 1],
        "characters of generated strings": [case for case in made if not case.fault],
    }
    rows = []
    for name, group in groups.items():
        confidence, right = accepted_digits(group, compared.answers[OURS])
        error = calibration_error(confidence, right)
        cells = [of(share_of(right)), "-" if error is None else percent(error)]
        cells += [of(wrong_among_surest(confidence, right, surest)) for surest in SUREST]
        rows.append([name, len(right), *cells])

    wrong = [f"wrong of the {surest} % surest" for surest in SUREST]
    return table(["accepted digits", "n", "right", "calibration error", *wrong], rows)


def fault_table(compared: Comparison) -> list[str]:
    """Return how many drawn pictures of each kind of fault are read; empty without any."""
    rows = []
    for row in compared.rows:
        counts = [by_fault(row, answers) for answers in compared.answers.values()]
        for fault in counts[0]:
            said = [count.get(fault) for count in counts]
            cells = [f"{each.exact.count} of {each.exact.n}" if each else "-" for each in said]
            rows.append([fault, *cells])

    return table(["fault of the rules of 2026-11", *compared.answers], rows) if rows else []


def exact_chart(compared: Comparison) -> "Figure":
    """Draw the share that is read exactly, a band for each row and a mark for each reader.

    Lines are 95 % intervals.
    """
    rows = list(_scored(compared))
    readers = list(compared.answers)
    figure = figure_of(1.2 + ROW_INCHES * len(rows), 7.2)
    axes = figure.subplots()
    for number, reader in enumerate(readers):
        shift = DODGE * (number - (len(readers) - 1) / 2)
        shares = {}
        for place, (_, scores) in enumerate(rows):
            found = scores[reader]
            if found:
                shares[place + shift] = found.exact

        _mark(axes, shares, reader, *STYLES[number % len(STYLES)])

    for place in range(0, len(rows), 2):
        axes.axhspan(place - 0.5, place + 0.5, color=MUTED, alpha=0.07, linewidth=0)

    axes.set_yticks(range(len(rows)), [f"{row.name} ({len(row.cases)})" for row, _ in rows])
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_xlim(-2, 102)
    dress(axes, "Pictures read exactly", grid="x")
    label_axes(axes, "% of the pictures, with 95 % intervals")
    add_legend(figure, loc="outside lower center", ncols=2, fontsize=FONT)
    return figure


def _mark(
    axes: "Axes", shares: Mapping[float, Share], label: str, colour: str, marker: str
) -> None:
    """Draw per cent with their intervals. shares: by height."""
    values = [100 * share.count / share.n for share in shares.values()]
    bounds = [wilson_interval(share.count, share.n) for share in shares.values()]
    below = [value - 100 * low for value, (low, _) in zip(values, bounds, strict=True)]
    above = [100 * high - value for value, (_, high) in zip(values, bounds, strict=True)]
    axes.errorbar(
        values,
        list(shares),
        xerr=[below, above],
        linestyle="none",
        marker=marker,
        markersize=5,
        linewidth=1.2,
        color=colour,
        label=label,
    )


def write_fair_word(path: Path) -> None:
    """Add the section that a person writes to a page that does not have it yet."""
    if FAIR_HEADING not in path.read_text(encoding="utf-8"):
        write_section(path, FAIR)


# ---- cells


def exact(share: Share) -> str:
    """Return per cent, e.g. "88.3 %"."""
    return "-" if share.value is None else f"{100 * share.value:.1f} %"


def interval(share: Share) -> str:
    """Return the 95 % interval in per cent, e.g. "81.6-92.8"."""
    low, high = wilson_interval(share.count, share.n)
    return f"{100 * low:.1f}-{100 * high:.1f}"


def of(share: Share) -> str:
    """Return a share with its counts, e.g. "5.0 % (2 of 40)"."""
    return f"{exact(share)} ({share.count} of {share.n})" if share.n else "-"


def error_rate(found: Score) -> str:
    """Return the character error rate in per cent, "-" where nothing is written."""
    rate = found.character_error_rate
    return "-" if rate is None else f"{100 * rate:.1f} %"


def briefly(found: Score | None, pictures: int) -> str:
    """Return exact with its interval, and CER; how many pictures, where these are not all."""
    if found is None:
        return "-"

    n = found.exact.n
    some = "" if n == pictures else f" of {n}"
    told = f"{exact(found.exact)}{some} ({interval(found.exact)})"
    return told if not found.written else f"{told}, {error_rate(found)}"


def _scored(compared: Comparison) -> Iterator[tuple[Row, Mapping[str, Score | None]]]:
    """Yield each row with the score of each reader."""
    for row in compared.rows:
        yield row, {title: score(row, said) for title, said in compared.answers.items()}


def answers_as_table(compared: Comparison) -> Iterable[list[str]]:
    """Yield the head and then, for each picture and reader, what is written and what was read."""
    yield ["file", "as one digit", "content", "reader", "text", "milliseconds", "error"]
    for case in compared.cases:
        for title, answers in compared.answers.items():
            if case in answers:
                said = answers[case]
                told = [str(case.path), str(case.single), case.content, title, said.text]
                yield [*told, f"{said.milliseconds:.1f}", said.error or ""]
