"""How well pictures of handwriting are read: digits, strings of digits, pictures without any, and how honest confidence is.

DIR is laid out as `inkdigits pages` writes it: truth.csv with file, kind and content, where kind is single or crop (one digit),
string (several, rows joined by "-") or reject (none); files are named WRITER-NUMBER. Everything goes through `Recogniser.read`, on
one thread, from the file on; single, crop and reject are read as pictures with one digit at most, reject without that, too.

    python -m benchmarks.handwriting.measure DIR --model default --plots ~/plots --gallery ~/gallery --write docs/handwriting.md
"""

import argparse
import csv
import json
import platform
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import cv2
import numpy as np
import onnxruntime
from numpy.typing import NDArray

from benchmarks.handwriting.figures import (
    COVERAGES,
    FALSE_REJECTS,
    KINDS,
    LOOKS,
    ONE_DIGIT,
    Figures,
    Outcome,
    digits_of,
    figures,
)
from benchmarks.handwriting.views import said, write_gallery, write_plots
from inkdigits.core.errors import BadData, BadPicture, InkdigitsError
from inkdigits.core.files import write_whole
from inkdigits.evaluation.metrics import BINS, percent
from inkdigits.reading.preprocessing.picture import open_picture
from inkdigits.reading.recogniser import Reading, Recogniser

WORK_SIDE = 400  # pixels; pictures are reduced to it before their look is named
DRAWN = (
    0.45  # share of the pixels that have one and the same grey: no camera or scanner leaves so many
)
UNEVEN = 0.2  # the paper's brightness may vary this much, relative to its brightest part
SMALL, LARGE = 32, 512  # pixels of the longer side
TITLE = """# Handwriting

Measured by `benchmarks/handwriting/measure.py`, which says how. `pictures` are real ones by many writers, which are not ours to hand on;
`pages` are what `inkdigits pages --count 200 --seed 1 --out pages` makes of digits that no recipe learns from.
"""


@dataclass(frozen=True)
class Case:
    """One picture and what is in it."""

    file: str
    kind: str
    content: str

    @property
    def writer(self) -> str:
        """Who wrote it."""
        return Path(self.file).name.partition("-")[0]

    @property
    def makes_sense(self) -> bool:
        """Whether the kind is known and the content fits it."""
        if self.kind in ONE_DIGIT:
            return len(self.content) == 1 and self.content.isdecimal()
        return self.kind == "reject" or (
            self.kind == "string" and digits_of(self.content).isdecimal()
        )


def cases(folder: Path) -> list[Case]:
    """The pictures that truth.csv lists, sorted by name. Raises BadData."""
    path = folder / "truth.csv"
    try:
        with path.open(newline="", encoding="utf-8") as file:
            found = [Case(row["file"], row["kind"], row["content"]) for row in csv.DictReader(file)]
    except OSError as error:
        raise BadData(
            f"cannot read {path}: {error.strerror}; `inkdigits pages` writes such a folder"
        ) from error
    except KeyError as error:
        raise BadData(f"{path} has no column {error}; wanted are file, kind and content") from error
    for case in found:
        if not case.makes_sense:
            raise BadData(
                f"{path} calls {case.content!r} a {case.kind!r}; kinds are {', '.join(KINDS)}, and their content digits"
            )
    if not found:
        raise BadData(f"{path} lists no pictures")
    return sorted(found, key=lambda case: case.file)


def measure(
    folder: Path, recogniser: Recogniser, progress: Callable[[str], None] = lambda _: None
) -> list[Outcome]:
    """Read every picture of the folder. The first is read once more before that, so that nothing is timed cold."""
    listed = cases(folder)
    read(recogniser, folder / listed[0].file, single=True)
    outcomes = []
    for number, case in enumerate(listed, start=1):
        outcomes.append(outcome(folder, case, recogniser))
        progress(f"\r{number} of {len(listed)}")
    return outcomes


def outcome(folder: Path, case: Case, recogniser: Recogniser) -> Outcome:
    """Read one picture as its kind asks for."""
    path = folder / case.file
    reading, milliseconds = read(recogniser, path, single=case.kind != "string")
    page = read(recogniser, path, single=False)[0] if case.kind == "reject" else reading
    best = max(reading.digits, key=lambda digit: digit.confidence, default=None)
    polarity, background, size = ("", "", "") if reading.error else look(open_picture(path).pixels)
    return Outcome(
        case.file,
        case.kind,
        case.content,
        case.writer,
        digit=best.digit if best else None,
        confidence=best.confidence if best else 0.0,
        text=(reading.text or "").replace("\n", "-"),
        accepted=any(digit.accepted for digit in reading.digits),
        as_page=any(digit.accepted for digit in page.digits),
        milliseconds=milliseconds,
        polarity=polarity,
        background=background,
        size=size,
        error=str(reading.error) if reading.error else None,
    )


def read(recogniser: Recogniser, path: Path, *, single: bool) -> tuple[Reading, float]:
    """A reading, with an error where the picture cannot be read, and the milliseconds that it took.

    These are of processor time, which all goes by on this thread: who else uses the machine makes little difference.
    """
    start = time.thread_time()
    try:
        reading = recogniser.read(path, single=single)
    except BadPicture as error:
        reading = Reading(None, error=error)
    return reading, 1000 * (time.thread_time() - start)


def look(pixels: NDArray[np.uint8]) -> tuple[str, str, str]:
    """(polarity, background, size) of a picture, from its pixels alone. pixels: (H, W) or (H, W, 3) uint8.

    polarity: "light on dark" where what stands out from its wider surroundings is lighter than they are. background: "drawn" where
    nearly half of the pixels have the same grey, as only a program paints them; else "even" or "uneven" by how much the paper's
    brightness varies over a grid of 4 by 4. size: the longer side.
    """
    grey = (
        pixels
        if pixels.ndim == 2
        else np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), np.uint8)
    )
    longest = max(grey.shape)
    size = (
        f"to {SMALL} px"
        if longest <= SMALL
        else f"to {LARGE} px"
        if longest <= LARGE
        else f"over {LARGE} px"
    )
    scale = min(1.0, WORK_SIDE / longest)
    small = np.asarray(
        cv2.resize(grey, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), np.float32
    )
    difference = small - cv2.GaussianBlur(small, (0, 0), max(small.shape) / 8)
    light = float((difference**3).mean()) > 0
    if np.bincount(grey.ravel()).max() > DRAWN * grey.size:
        background = "drawn"
    else:
        blocks = [
            block for row in np.array_split(small, 4) for block in np.array_split(row, 4, axis=1)
        ]
        tones = [float(np.percentile(block, 20 if light else 80)) for block in blocks if block.size]
        background = "uneven" if max(tones) - min(tones) > UNEVEN * max(1.0, *tones) else "even"
    return "light on dark" if light else "dark on light", background, size


def table(measured: Figures) -> list[tuple[str, str]]:
    """(figure, value) in the order in which they are printed."""
    groups = [(name, share) for group in LOOKS for name, share in measured.by[group].items()]
    edits = f"({measured.edits} of {measured.string_digits})"
    return [
        ("one digit, best guess right", str(measured.digits)),
        *((f"  {name}", str(share)) for name, share in groups),
        (
            "  mean over writers",
            f"{_number(measured.writers_mean, percent)} ({len(measured.by['writer'])} writers)",
        ),
        ("digits accepted", str(measured.accepted)),
        ("  of these right", str(measured.trusted)),
        ("strings read exactly", str(measured.strings)),
        ("  and in the same rows", str(measured.rows)),
        ("  character error rate", f"{_number(measured.character_error_rate, percent)} {edits}"),
        ("non-digits rejected", str(measured.rejected)),
        ("  read as a page", str(measured.rejected_as_page)),
        (
            f"  at {FALSE_REJECTS:.0%} false rejects",
            f"{measured.rejected_at}, below {_number(measured.threshold, _four)}",
        ),
        ("digit or not: AUROC", _number(measured.auroc, _four)),
        (f"calibration error ({BINS} bins)", _number(measured.ece, percent)),
        *(
            (
                f"  errors among the {coverage:.0%} surest",
                _number(measured.risk_at(coverage), percent),
            )
            for coverage in COVERAGES
        ),
        *(
            (f"milliseconds, {kind}", f"{median:.1f} (95 %: {high:.1f})")
            for kind, (median, high) in measured.milliseconds.items()
        ),
    ]


def _number(value: float | None, form: Callable[[float], str]) -> str:
    return "-" if value is None else form(value)


def _four(value: float) -> str:
    return f"{value:.4f}"


def text(measured: Figures, outcomes: Sequence[Outcome]) -> str:
    """For a terminal: the figures, the writers with errors, and what is wrong."""
    rows = table(measured)
    width = max(len(name) for name, _ in rows)
    writers = [
        f"  {name}: {share.count} of {share.n}"
        for name, share in measured.by["writer"].items()
        if share.count < share.n
    ]
    wrong = [f"  {item.file}: {item.content}, {said(item)}" for item in outcomes if not item.right]
    return "\n".join(
        [
            *(f"{name:<{width}}  {value}" for name, value in rows),
            "",
            "writers with errors",
            *writers,
            "",
            "wrong",
            *wrong,
        ]
    )


def section(name: str, model: str, measured: Figures, facts: Mapping[str, str]) -> str:
    """The figures as a section of docs/handwriting.md. name: of the folder."""
    lines = [
        f"## {name}",
        "",
        f"Model `{model}`. " + ", ".join(map(": ".join, facts.items())) + ".",
        "",
    ]
    lines += ["| figure | value (count; 95 % interval) |", "|---|---|"]
    lines += [
        f"| {figure.replace('  ', '&nbsp;&nbsp;')} | {value} |" for figure, value in table(measured)
    ]
    return "\n".join(lines) + "\n"


def write_section(path: Path, added: str) -> None:
    """Put the section in the place of its last version, or at the end."""
    heading = added.partition("\n")[0] + "\n"
    before, _, after = (path.read_text(encoding="utf-8") if path.is_file() else TITLE).partition(
        heading
    )
    _, following, rest = after.partition("\n## ")
    write_whole(path, before.rstrip() + "\n\n" + added + following + rest)


def machine() -> dict[str, str]:
    """Where and with what the figures were measured."""
    information = Path("/proc/cpuinfo")
    lines = information.read_text().splitlines() if information.is_file() else []
    names = [line.partition(": ")[2] for line in lines if line.startswith("model name")]
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "processor": names[0] if names else platform.processor() or platform.machine(),
        "threads": "1",
        "python": platform.python_version(),
        "onnxruntime": onnxruntime.__version__,
        "opencv": cv2.__version__,
        "numpy": np.__version__,
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, and write where asked. Returns the exit status."""
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("folder", type=Path, metavar="DIR", help="the pictures, with truth.csv")
    parser.add_argument(
        "--model",
        default="default",
        metavar="M",
        help="a shipped model's name, a run folder, or an .onnx file",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of text")
    parser.add_argument(
        "--plots", type=Path, metavar="OUTDIR", help="draw figures into this folder"
    )
    parser.add_argument(
        "--gallery",
        type=Path,
        metavar="OUTDIR",
        help="show everything wrong in OUTDIR/gallery.html",
    )
    parser.add_argument(
        "--write", type=Path, metavar="FILE.md", help="put the figures into this file, too"
    )
    options = parser.parse_args(arguments)
    try:
        run(options)
    except InkdigitsError as error:
        print(f"handwriting.py: {error}", file=sys.stderr)
        return 2
    return 0


def run(options: argparse.Namespace) -> None:
    """Everything that the options ask for."""
    cv2.setNumThreads(1)
    outcomes = measure(options.folder, Recogniser(options.model, threads=1), _show)
    measured, facts = figures(outcomes), machine()
    if options.json:
        about = {"folder": str(options.folder), "model": options.model, "machine": facts}
        print(
            json.dumps(
                about
                | measured.record()
                | {"wrong": [asdict(item) for item in outcomes if not item.right]}
            )
        )
    else:
        print(text(measured, outcomes))
    if options.plots:
        write_plots(options.plots, measured, outcomes)
    if options.gallery:
        write_gallery(options.gallery / "gallery.html", options.folder, outcomes)
    if options.write:
        write_section(
            options.write, section(options.folder.resolve().name, options.model, measured, facts)
        )


def _show(line: str) -> None:
    if sys.stderr.isatty():
        print(line, end="", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
