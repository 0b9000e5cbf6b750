"""A model's file, looked at again and again: when it has changed, what is in it is loaded and tested.

Takes a path, gives recognisers that read what everybody can read, or says why not. Blocks; knows nothing of HTTP.
"""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from inkdigits.core.errors import BadModel
from inkdigits.reading.recogniser import Recogniser

KNOWN_ENOUGH = 8  # of ten drawn digits are read right by a model that is ready

State = (
    tuple[int, int, int] | None
)  # of a file: when it was written, its size, which one it is; None: there is none


@dataclass
class Watch:
    """A file from which a model was loaded."""

    path: Path
    _used: State = field(init=False)
    _seen: State = field(init=False)

    def __post_init__(self) -> None:
        self._used = self._seen = state_of(self.path)

    def look(self) -> Recogniser | None:
        """The model, where its file is another one than before and the same as at the last look; else None. Raises BadModel.

        A file that is refused is not loaded again until it changes.
        """
        before, self._seen = self._seen, state_of(self.path)
        if self._seen == self._used or self._seen != before:
            return None
        outcome = (
            loaded_and_tested(self.path) if self._seen else BadModel(f"{str(self.path)!r} is gone")
        )
        if state_of(self.path) != self._seen:  # it was written on meanwhile, and is looked at again
            return None
        self._used = self._seen
        if isinstance(outcome, BadModel):
            raise outcome
        return outcome


def state_of(path: Path) -> State:
    """What changes when a file is written, replaced or deleted."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def loaded_and_tested(path: Path) -> Recogniser | BadModel:
    """A recogniser that has passed the self-test, or why there is none."""
    try:
        recogniser = Recogniser(path, threads=1)
        refuse_unless_it_reads(recogniser)
    except BadModel as error:
        return error
    except Exception as error:  # a file may hold anything
        return BadModel(f"{str(path)!r} cannot be used: {error}")
    return recogniser


def refuse_unless_it_reads(recogniser: Recogniser) -> None:
    """The self-test: drawn digits that everybody can read. Raises BadModel."""
    right = known_digits_read(recogniser)
    if right < KNOWN_ENOUGH:
        raise BadModel(f"the model reads only {right} of 10 known digits")


def known_digits_read(recogniser: Recogniser) -> int:
    """How many of ten drawn digits a model reads right."""
    from inkdigits.data.synthetic.pages.writing import (  # not above: the first answer need not wait for it
        DIGITS,
        Pen,
        draw,
        parse,
    )

    rng, pen = np.random.default_rng(0), Pen("self-test", 0.1)
    right = 0
    for digit, ways in DIGITS.items():
        ink = draw(parse(next(iter(ways.values()))), 60.0, pen, rng)
        read = recogniser.read(np.rint(255 * (1 - np.pad(ink, 20))).astype(np.uint8), single=True)
        right += read.text == str(digit)
    return right
