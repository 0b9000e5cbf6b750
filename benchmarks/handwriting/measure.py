"""How well pictures of handwriting are read: digits, strings of digits, and pictures without any.

DIR is laid out as `inkdigits pages` writes it: truth.csv with file, kind and content, where kind is
single or crop (one digit), string, amount or lines (several, rows joined by "-") or reject (none);
files are named WRITER-NUMBER. Everything goes through `Recogniser.read`, on one thread, from the
file on; single, crop and reject are read as pictures with one digit at most, reject without that,
too.

    python -m benchmarks.handwriting.measure DIR --gallery ~/gallery --write docs/handwriting.md
"""

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.common import command_line, in_words, machine, table, write_section
from benchmarks.handwriting.figures import (
    COVERAGES,
    FALSE_REJECTS,
    KINDS,
    LOOKS,
    ONE_DIGIT,
    SEVERAL_DIGITS,
    Figures,
    Outcome,
    digits_of,
    figures,
)
from benchmarks.handwriting.gallery import said, write_gallery
from benchmarks.handwriting.truth import read_truth
from inkdigits.core.errors import BadData, BadPicture, InkdigitsError
from inkdigits.evaluation.metrics import BINS, percent
from inkdigits.reading.preprocessing.picture import open_picture
from inkdigits.reading.recogniser import Reading, Recogniser

WORK_SIDE = 400  # pixels; pictures are reduced to it before their look is named
DRAWN = 0.45  # share of pixels with one and the same grey: no camera or scanner leaves so many
UNEVEN = 0.2  # the paper's brightness may vary this much, relative to its brightest part
SMALL, LARGE = 32, 512  # pixels of the longer side
TITLE = """# Handwriting

Measured by `benchmarks/handwriting/measure.py`, which says how. `pictures` are real ones by many
writers, which are not ours to hand on; `pages` are what `inkdigits pages --count 200 --seed 1 --out
pages` makes of digits that no recipe learns from.
"""


@dataclass(frozen=True)
class Case:
    """One picture and what is in it."""

    file: str
    kind: str
    content: str

    @property
    def writer(self) -> str:
        """Return who wrote it."""
        return Path(self.file).name.partition("-")[0]

    @property
    def makes_sense(self) -> bool:
        """Tell whether the kind is known and the content fits it."""
        if self.kind in ONE_DIGIT:
            return len(self.content) == 1 and self.content.isdecimal()

        is_string = self.kind in SEVERAL_DIGITS and digits_of(self.content).isdecimal()
        return is_string or self.kind == "reject"


def cases(folder: Path) -> list[Case]:
    """Return the pictures that truth.csv lists, sorted by name. Raises BadData."""
    rows = read_truth(folder)
    found = [Case(row["file"], row["kind"], row["content"]) for row in rows]
    for case in found:
        if not case.makes_sense:
            kinds = f"kinds are {', '.join(KINDS)}, and their content digits"
            path = folder / "truth.csv"
            raise BadData(f"{path} calls {case.content!r} a {case.kind!r}; {kinds}")

    return found


def measure(folder: Path, recogniser: Recogniser) -> list[Outcome]:
    """Read every picture of the folder, the first once more before, so that none is timed cold."""
    listed = cases(folder)
    read(recogniser, folder / listed[0].file, single=True)
    return [outcome(folder, case, recogniser) for case in listed]


def outcome(folder: Path, case: Case, recogniser: Recogniser) -> Outcome:
    """Read one picture as its kind asks for."""
    path = folder / case.file
    reading, milliseconds = read(recogniser, path, single=case.kind not in SEVERAL_DIGITS)
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
    """Return a reading, with an error where the picture cannot be read, and its milliseconds.

    These are of processor time, which all goes by on this thread: what else runs on the machine
    makes little difference.
    """
    start = time.thread_time()
    try:
        reading = recogniser.read(path, single=single)
    except BadPicture as error:
        reading = Reading(None, error=error)

    return reading, 1000 * (time.thread_time() - start)


def look(pixels: NDArray[np.uint8]) -> tuple[str, str, str]:
    """Name the polarity, background and size of a picture from its pixels alone.

    Args:
        pixels: (H, W) or (H, W, 3) uint8.

    Returns:
        "light on dark" where what stands out from its wider surroundings is lighter than they are,
        else "dark on light". "drawn" where nearly half of the pixels have the same grey, as only a
        program paints them; else "even" or "uneven" by how much the paper's brightness varies over
        a grid of 4 by 4. The size of the longer side.
    """
    grey = pixels if pixels.ndim == 2 else cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    longest = max(grey.shape)
    scale = min(1.0, WORK_SIDE / longest)
    reduced = cv2.resize(grey, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    small = np.asarray(reduced, np.float32)
    difference = small - cv2.GaussianBlur(small, (0, 0), max(small.shape) / 8)
    is_light = float((difference**3).mean()) > 0
    if np.bincount(grey.ravel()).max() > DRAWN * grey.size:
        background = "drawn"
    else:
        background = "uneven" if _varies(small, 20 if is_light else 80) else "even"

    return "light on dark" if is_light else "dark on light", background, _size(longest)


def _varies(grey: NDArray[np.float32], percentile: int) -> bool:
    """Tell whether the paper's brightness varies over a grid of 4 by 4."""
    blocks = [block for row in np.array_split(grey, 4) for block in np.array_split(row, 4, axis=1)]
    tones = [float(np.percentile(block, percentile)) for block in blocks if block.size]
    return max(tones) - min(tones) > UNEVEN * max(1.0, *tones)


def _size(longest: int) -> str:
    if longest <= SMALL:
        return f"to {SMALL} px"

    return f"to {LARGE} px" if longest <= LARGE else f"over {LARGE} px"


def rows_of(measured: Figures) -> Iterator[tuple[str, object]]:
    """Yield (figure, value) in the order in which they are printed."""
    writers = len(measured.by["writer"])
    edits = f"({measured.edits} of {measured.string_digits})"
    yield "one digit, best guess right", measured.digits
    for group in LOOKS:
        for name, share in measured.by[group].items():
            yield f"  {name}", share

    yield "  mean over writers", f"{_number(measured.writers_mean)} ({writers} writers)"
    yield "digits accepted", measured.accepted
    yield "  of these right", measured.trusted
    yield "strings read exactly", measured.strings
    yield "  and in the same rows", measured.rows
    yield "  character error rate", f"{_number(measured.character_error_rate)} {edits}"
    yield "non-digits rejected", measured.rejected
    yield "  read as a page", measured.rejected_as_page
    threshold = _number(measured.threshold, "{:.4f}".format)
    yield f"  at {FALSE_REJECTS:.0%} false rejects", f"{measured.rejected_at}, below {threshold}"
    yield "digit or not: AUROC", _number(measured.auroc, "{:.4f}".format)
    yield f"calibration error ({BINS} bins)", _number(measured.ece)
    for coverage in COVERAGES:
        yield f"  errors among the {coverage:.0%} surest", _number(measured.risk_at(coverage))

    for kind, (median, high) in measured.milliseconds.items():
        yield f"milliseconds, {kind}", f"{median:.1f} (95 %: {high:.1f})"


def _number(value: float | None, form: Callable[[float], str] = percent) -> str:
    return "-" if value is None else form(value)


def text(measured: Figures, outcomes: Sequence[Outcome]) -> str:
    """Return the figures, the writers with errors, and what is wrong, for a terminal."""
    lines = [f"{name:<36}  {value}" for name, value in rows_of(measured)]
    lines += ["", "writers with errors"]
    for name, share in measured.by["writer"].items():
        if share.count < share.n:
            lines.append(f"  {name}: {share.count} of {share.n}")

    lines += ["", "wrong"]
    for each in outcomes:
        if not each.right:
            lines.append(f"  {each.file}: {each.content}, {said(each)}")

    return "\n".join(lines)


def section(name: str, model: str, measured: Figures) -> str:
    """Return the figures as a section of docs/handwriting.md. name: of the folder."""
    facts = machine("onnxruntime", "opencv-python-headless", "numpy", threads=1)
    rows = [(figure.replace("  ", "&nbsp;&nbsp;"), value) for figure, value in rows_of(measured)]
    lines = table(("figure", "value (count; 95 % interval)"), rows)
    return "\n".join([f"## {name}", "", f"Model `{model}`. {in_words(facts)}.", "", *lines, ""])


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, and write where asked; return the exit status."""
    parser = command_line(__doc__)
    parser.add_argument("folder", type=Path, metavar="DIR", help="the pictures, with truth.csv")
    help_text = "a shipped model's name, a run folder, or an .onnx file"
    parser.add_argument("--model", default="default", metavar="M", help=help_text)
    help_text = "show everything wrong in OUTDIR/gallery.html"
    parser.add_argument("--gallery", type=Path, metavar="OUTDIR", help=help_text)
    options = parser.parse_args(arguments)
    cv2.setNumThreads(1)
    try:
        outcomes = measure(options.folder, Recogniser(options.model, threads=1))
        if options.gallery:
            write_gallery(options.gallery / "gallery.html", options.folder, outcomes)
    except InkdigitsError as error:
        print(f"handwriting: {error}", file=sys.stderr)
        return 2

    measured = figures(outcomes)
    print(text(measured, outcomes))
    if options.write:
        name = options.folder.resolve().name
        write_section(options.write, section(name, options.model, measured), TITLE)

    return 0


if __name__ == "__main__":
    sys.exit(main())
