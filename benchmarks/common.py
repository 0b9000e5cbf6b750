"""What all benchmarks share: command lines, machine facts, interleaved rounds, tables, and pages.

Figures come in; Markdown goes out to the terminal and into docs pages. Nothing is measured here
except what a child process takes.
"""

import argparse
import io
import os
import platform
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from numpy.typing import NDArray
from PIL import Image

from inkdigits.core.files import write_whole

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ROOT = Path(__file__).resolve().parents[1]
SAMPLE = ROOT / "tests" / "assets" / "sample.jpg"
RESOLUTION = 160  # dots an inch of the figures in docs
Item = TypeVar("Item")

# Added to a program: the peak is what the process sees itself, because what a parent is told of a
# child counts what the parent held when it started the child. macOS counts in bytes.
TELL_PEAK = """
import resource, sys
try:
    peak = int(open("/proc/self/status").read().partition("VmHWM:")[2].split()[0]) << 10
except OSError:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(peak, file=sys.stderr)
"""


# ---- command lines


def command_line(
    documentation: str | None,
    *,
    rounds: int | None = None,
    quick: str = "",
    write: str = "put the section into this file, too",
) -> argparse.ArgumentParser:
    """Start a benchmark's command line with the options that most of them have.

    Args:
        documentation: the docstring of the module, printed by `--help`.
        rounds: the default of `--rounds`; None leaves the option out.
        quick: the help of `--quick`; empty leaves the option out.
        write: the help of `--write`.
    """
    parser = argparse.ArgumentParser(
        description=documentation, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    if rounds is not None:
        text = f"rounds that are counted (default: {rounds})"
        parser.add_argument("--rounds", type=int, default=rounds, metavar="N", help=text)

    if quick:
        parser.add_argument("--quick", action="store_true", help=quick)

    parser.add_argument("--write", type=Path, metavar="FILE", help=write)
    return parser


def tell(line: str) -> None:
    """Print a line of progress to standard error."""
    print(line, file=sys.stderr, flush=True)


# ---- the machine


def machine(*packages: str, **more: object) -> dict[str, str]:
    """Return when, where and with what something is measured.

    Args:
        packages: names of distributions whose versions belong to the figures.
        more: other facts, placed before the versions.
    """
    information = Path("/proc/cpuinfo")
    text = information.read_text() if information.is_file() else ""
    found = re.search(r"model name\s*: (.*)", text)
    facts = {
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "processor": found[1] if found else platform.processor() or platform.machine(),
        "cores": len(processors()) or os.cpu_count(),
        **more,
        "python": platform.python_version(),
        **{package: version(package) for package in packages},
    }
    return {name: str(fact) for name, fact in facts.items()}


def in_words(facts: Mapping[str, str]) -> str:
    """Join machine facts to one line."""
    return ", ".join(map(": ".join, facts.items()))


def processors() -> list[int]:
    """Return the numbers of the processors that this process may use, where the system tells."""
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []


@contextmanager
def on_processors(chosen: Collection[int]) -> Iterator[None]:
    """Run what follows, and what it starts, on these processors."""
    before = processors()
    os.sched_setaffinity(0, chosen)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def use_processors(count: int) -> None:
    """Use this many processors, and as many threads in all libraries, from now on."""
    if chosen := processors()[:count]:
        os.sched_setaffinity(0, chosen)

    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = str(count)

    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(count)


# ---- measuring


def turns(items: Sequence[Item], rounds: int) -> Iterator[tuple[int, Item]]:
    """Yield (round, item), every second round backwards; round 0 is the one that is not counted."""
    for number in range(rounds + 1):
        for item in items[:: -1 if number % 2 else 1]:
            yield number, item


def in_turn(sides: Mapping[str, Callable[[], float]], rounds: int) -> dict[str, list[float]]:
    """Return the figures of each side, one a round, after a round that is not counted."""
    found: dict[str, list[float]] = {name: [] for name in sides}
    for number, name in turns(list(sides), rounds):
        figure = sides[name]()
        if number:
            found[name].append(figure)

    return found


def run_measured(program: str, *arguments: object) -> tuple[float, int]:
    """Run a Python program in a process of its own.

    Returns:
        Its seconds from start to end, and its peak memory in bytes.
    """
    command = [sys.executable, "-c", program + TELL_PEAK, *map(str, arguments)]
    started = time.perf_counter()
    done = subprocess.run(
        command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    return time.perf_counter() - started, int(done.stderr.split()[-1])


def spread(values: Iterable[float], form: str = ",.0f", unit: float = 1.0) -> str:
    """Return the median, lowest and highest as `median (lowest-highest)`."""
    scaled = [value / unit for value in values]
    middle, low, high = statistics.median(scaled), min(scaled), max(scaled)
    return f"{middle:{form}} ({low:{form}}-{high:{form}})"


def ratios(values: Iterable[float], others: Iterable[float]) -> list[float]:
    """Divide round by round; what has no partner is left out."""
    return [value / other for value, other in zip(values, others, strict=False)]


# ---- pictures


def encoded(picture: Image.Image | NDArray[Any], kind: str = "PNG", **options: object) -> bytes:
    """Return the bytes of a picture's file. kind: Pillow's name of the format."""
    image = picture if isinstance(picture, Image.Image) else Image.fromarray(picture)
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


# ---- pages


def table(head: Sequence[object], rows: Iterable[Iterable[object]]) -> list[str]:
    """Return the lines of a Markdown table."""
    return [table_row(head), "|---" * len(head) + "|", *map(table_row, rows)]


def table_row(cells: Iterable[object]) -> str:
    """Return one line of a Markdown table."""
    escaped = (str(cell).replace("|", "\\|").replace("\n", " ") for cell in cells)
    return f"| {' | '.join(escaped)} |"


def publish(
    text: str, path: Path | None, figures: Mapping[str, "Figure"] | None = None, title: str = ""
) -> None:
    """Print a section and, where `--write` names a page, put it there, its figures beside it."""
    print(text)
    if path is None:
        return

    write_section(path, text, title)
    for name, figure in (figures or {}).items():
        save_figure(figure, path.parent / "images" / f"{name}.png")


def write_section(path: Path, text: str, title: str = "") -> None:
    """Replace the section that has the same heading, or add one at the end.

    Args:
        path: a Markdown page, which need not exist.
        text: the section, which starts with its heading.
        title: the beginning of a new page; the file's name by default.
    """
    heading = text.partition("\n")[0] + "\n"
    before, _, after = _page(path, title).partition(heading)
    _, following, rest = after.partition("\n## ")
    write_whole(path, f"{before.rstrip()}\n\n{text.rstrip()}\n{following}{rest}")


def write_between(path: Path, name: str, text: str) -> None:
    """Put a text between the markers `<!-- name -->` and `<!-- /name -->`, added at the end."""
    begin, end = _markers(name)
    before, found, rest = _page(path).partition(begin)
    after = rest.partition(end)[2] if found else "\n"
    write_whole(path, f"{before.rstrip()}\n\n{begin}\n{text.strip()}\n\n{end}{after}")


def read_between(path: Path, name: str) -> str:
    """Return the text between the two markers of that name, empty without them."""
    begin, end = _markers(name)
    return _page(path).partition(begin)[2].partition(end)[0].strip()


def save_figure(figure: "Figure", path: Path) -> None:
    """Write a figure as PNG, whole or not at all, and the folder around it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, lambda file: figure.savefig(file, format="png", dpi=RESOLUTION))


def _page(path: Path, title: str = "") -> str:
    if path.is_file():
        return path.read_text(encoding="utf-8")
    return title or f"# {path.stem.capitalize()}\n"


def _markers(name: str) -> tuple[str, str]:
    return f"<!-- {name} -->\n", f"<!-- /{name} -->"
