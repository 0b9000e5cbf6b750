"""The file of a model: when it has changed, the new model is loaded and tested.

A path comes in; recognisers that have passed a self-test go out. Everything here blocks.
"""

from pathlib import Path

from inkdigits.core.errors import BadModel
from inkdigits.reading.recogniser import Recogniser
from inkdigits.service.known_digits import known_digits

KNOWN_ENOUGH = 8  # of ten drawn digits, which a model has to read right

# When a file was written, its size, and which file it is; None where it does not exist.
Stamp = tuple[int, int, int] | None


class ModelFile:
    """The file from which a model was loaded."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._used = read_stamp(path)
        self._seen = self._used

    def load_if_changed(self) -> Recogniser | None:
        """Load the model anew, if its file has changed since, and is the same as at the last call.

        The second condition leaves files alone that are being written.

        Returns:
            The new model; None if there is none.

        Raises:
            BadModel: the file is gone, or what is in it is of no use. That is raised once: the file
                is not loaded again until it changes.
        """
        before = self._seen
        self._seen = read_stamp(self.path)
        if self._seen == self._used or self._seen != before:
            return None

        outcome: Recogniser | BadModel = BadModel(f"{str(self.path)!r} is gone")
        if self._seen:
            outcome = load_tested(self.path)
        if read_stamp(self.path) != self._seen:
            return None  # it was written on meanwhile, and is loaded at another call

        self._used = self._seen
        if isinstance(outcome, BadModel):
            raise outcome
        return outcome


def read_stamp(path: Path) -> Stamp:
    """Return what changes when a file is written, replaced or deleted."""
    try:
        found = path.stat()
    except OSError:
        return None

    return found.st_mtime_ns, found.st_size, found.st_ino


def load_tested(path: Path) -> Recogniser | BadModel:
    """Load a model and test it. Return the error where it is of no use."""
    try:
        recogniser = Recogniser(path, threads=1)
        refuse_unless_it_reads(recogniser)
    except BadModel as error:
        return error
    except Exception as error:  # a file may hold anything
        return BadModel(f"{str(path)!r} cannot be used: {error}")

    return recogniser


def refuse_unless_it_reads(recogniser: Recogniser) -> None:
    """Test a model on clearly drawn digits.

    Raises:
        BadModel: it reads too few of them right.
    """
    right = count_known_digits_read(recogniser)
    if right < KNOWN_ENOUGH:
        raise BadModel(f"the model reads only {right} of 10 known digits")


def count_known_digits_read(recogniser: Recogniser) -> int:
    """Count how many of ten drawn digits a model reads right."""
    return sum(
        recogniser.read(picture, single=True).text == str(digit)
        for digit, picture in known_digits()
    )
