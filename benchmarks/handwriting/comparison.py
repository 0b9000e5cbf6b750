"""Ask every reader for every picture, in turns, and keep what they said."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

from PIL import Image

from benchmarks.common import tell
from benchmarks.handwriting.readers import Answer, Reader
from benchmarks.handwriting.rows import Case, Row
from benchmarks.handwriting.scores import Answers

TOLD_EVERY = 50  # pictures, from one line of progress to the next
MEGAPIXELS = (0.1, 1.0, 4.0)  # where the classes of size end


@dataclass(frozen=True)
class Comparison:
    """What several readers said of the same pictures.

    Attributes:
        rows: of the table.
        answers: of each reader, by its title; ours comes first.
    """

    rows: Sequence[Row]
    answers: Mapping[str, Answers]

    @property
    def cases(self) -> list[Case]:
        """Every case once, as it comes first in the rows."""
        return every_case(self.rows)


def every_case(rows: Iterable[Row]) -> list[Case]:
    """Return every case once: several rows may judge the same answers."""
    return list(dict.fromkeys(chain.from_iterable(row.cases for row in rows)))


def compare(rows: Sequence[Row], readers: Sequence[Reader]) -> Comparison:
    """Show each picture to all readers before the next picture.

    The order of the readers changes from picture to picture, and the first picture is shown once
    more before, so that nobody is timed cold.
    """
    cases = every_case(rows)
    answers: dict[str, dict[Case, Answer]] = {reader.title: {} for reader in readers}
    for reader in readers:
        first = next(filter(reader.can_read, cases), None)
        if first:
            reader.read(first)

    for number, case in enumerate(cases):
        if number % TOLD_EVERY == 0:
            tell(f"{number} of {len(cases)} pictures")

        for reader in _from(number, readers):
            if reader.can_read(case):
                answers[reader.title][case] = reader.read(case)

    return Comparison(rows, answers)


def _from(number: int, readers: Sequence[Reader]) -> list[Reader]:
    """Return the readers in turn, another first each time."""
    start = number % len(readers)
    return [*readers[start:], *readers[:start]]


def by_megapixels(cases: Iterable[Case]) -> dict[str, list[Case]]:
    """Sort pictures into classes of size, the smallest first; a class without any is left out."""
    limits = [f"to {limit:g}" for limit in MEGAPIXELS]
    names = [*limits, f"over {MEGAPIXELS[-1]:g}"]
    classes: dict[str, list[Case]] = {name: [] for name in names}
    for case in cases:
        size = megapixels(case)
        if size is not None:
            classes[names[sum(size > limit for limit in MEGAPIXELS)]].append(case)

    return {name: found for name, found in classes.items() if found}


def megapixels(case: Case) -> float | None:
    """Return the size of a picture, None where it cannot be opened."""
    try:
        with Image.open(case.path) as image:
            return image.width * image.height / 1e6
    except OSError:
        return None
