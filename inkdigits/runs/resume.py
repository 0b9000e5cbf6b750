"""Saved states of a training, so that a kill or a full disk costs a minute and not the whole run.

A `TrainingState` goes into a file, and comes out again. `DIR/state/NUMBER-SHA256.safetensors` is
written atomically. The state's facts are JSON in safetensors' metadata. The name contains the hash
of the file's bytes, so that a damaged file is noticed.
"""

import hashlib
import json
import logging
import re
import reprlib
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from inkdigits.core.errors import MOST_LISTED, BadModel, BadValue, CannotWrite
from inkdigits.core.files import (
    is_regular,
    read_small,
    refuse_link,
    remove_file,
    report_write_errors,
    write_whole,
    written_name,
)
from inkdigits.core.signals import uninterrupted

if TYPE_CHECKING:
    from inkdigits.training.state import TrainingState

log = logging.getLogger(__name__)

STATE_FOLDER = "state"
MAX_STATE = 1 << 30  # bytes; a state of the largest networks that recipes can build fits in
LARGEST_GROWTH = 4  # times: beside the weights of a fresh training, a state may have two moments
MAX_FACTS = 1 << 26  # bytes, of facts and of the latest steps' logits; ours have some thousand
LAST_BITS = "the result may differ in its last bits, as this has changed: %s"
LONGEST_QUOTE = 120  # characters of a value in a message; a hash of 64 and some words fit in
# What a training raises that goes on from a state that is none of its own.
NOT_OURS = (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError)
STATE_NAME = re.compile(r"(\d+)-([0-9a-f]{64})\.safetensors")


class SavedStates:
    """The saved states of the run in a folder: the last two, in case the disk damages the last.

    Only one process at a time may save. Other files in their folder are left alone.

    Args:
        run: the folder of the run.

    Raises:
        CannotWrite: where their folder should be, there is a link.
    """

    def __init__(self, run: Path) -> None:
        self.folder = run / STATE_FOLDER
        refuse_link(self.folder)
        self._good: Path | None = None  # the last one saved or loaded

    def save(self, state: "TrainingState") -> None:
        """Write a state, then delete all others but the last good one.

        Raises:
            CannotWrite: the disk refuses; the last good state is still there.
        """
        content = _to_bytes(state)
        newest = max((_number(path) for path in self._paths()), default=0)
        digest = hashlib.sha256(content).hexdigest()
        path = self.folder / f"{newest + 1:06}-{digest}.safetensors"
        write_whole(path, content)

        with report_write_errors(self.folder):
            self._remove_all_but(path, self._good)

        self._good = path

    def load(self, most: int = MAX_STATE) -> "TrainingState | None":
        """Read the newest undamaged state, and warn about damaged ones.

        Args:
            most: bytes that it may have.

        Returns:
            The state, or None if there is no undamaged one.
        """
        for path in self._named():
            try:
                state = _read(path, most)
            except (OSError, ValueError) as error:
                log.warning("the state %s is damaged: %s", path, error)
            else:
                self._good = path
                return state

        return None

    def __bool__(self) -> bool:
        """Tell whether there are any states, damaged or not."""
        return bool(self._paths())

    def delete(self) -> None:
        """Delete all states, and their folder unless something else is in it."""
        with suppress(OSError):
            self._remove_all_but()
            self.folder.rmdir()

    def delete_with_run(self) -> None:
        """Delete all states, and the folder of the run unless something else is in it."""
        self.delete()
        with suppress(OSError):  # it is not empty
            self.folder.parent.rmdir()

    def _remove_all_but(self, *kept: Path | None) -> None:
        """Delete other states, and the half-written ones of processes that were killed."""
        for path in self.folder.iterdir():
            name = written_name(path) or path.name
            if path not in kept and STATE_NAME.fullmatch(name):
                remove_file(path)

    def _paths(self) -> list[Path]:
        """Return the files of the states, newest first."""
        return list(filter(is_regular, self._named()))

    def _named(self) -> list[Path]:
        """Return what has the name of a state, newest first; it may be no file."""
        named = [path for path in self.folder.glob("*") if STATE_NAME.fullmatch(path.name)]
        return sorted(named, key=_number, reverse=True)


def _number(path: Path) -> int:
    return int(path.name.partition("-")[0])


def _to_bytes(state: "TrainingState") -> bytes:
    from safetensors.torch import save

    return save(state.tensors, metadata={"facts": json.dumps(state.facts)})


def _read(path: Path, most: int = MAX_STATE) -> "TrainingState":
    """Read a file of so many bytes at most.

    Raises:
        OSError: it has more, or cannot be read.
        ValueError: its bytes are not those that were written.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load

    from inkdigits.training.state import TrainingState

    if not is_regular(path):
        raise ValueError("it is not a regular file")

    content = read_small(path, most)
    found = STATE_NAME.fullmatch(path.name)
    if not found or hashlib.sha256(content).hexdigest() != found[2]:
        raise ValueError("its SHA-256 does not match its name")

    header_length = int.from_bytes(content[:8], "little")
    try:
        header = json.loads(content[8 : 8 + header_length])
        facts = json.loads(header["__metadata__"]["facts"])
        if not isinstance(facts, dict):
            raise TypeError("its facts are no object")
        return TrainingState(load(content), facts)
    except (SafetensorError, KeyError, TypeError, RecursionError) as error:
        raise ValueError(f"it is no state of a training: {error}") from None


@dataclass(frozen=True)
class Interval:
    """How often a state is saved: every so many steps, or so many seconds; never if both are 0."""

    steps: int = 0
    seconds: float = 0.0

    @classmethod
    def parse(cls, text: str) -> "Interval":
        """Parse an interval: `500` is steps, `30s` is seconds, `0` and `off` are never.

        Raises:
            BadValue: the text is none of these.
        """
        if text == "off":
            return cls()

        found = re.fullmatch(r"(\d{1,9})(s?)", text)
        if not found:
            raise BadValue(
                "a state is saved every so many steps (500) or seconds (60s), or never (off), "
                f"not {text!r}"
            )
        if found[2]:
            return cls(seconds=float(found[1]))

        return cls(steps=int(found[1]))


class Resumable(Protocol):
    """A training whose state can be saved, and that can go on from a saved state."""

    @property
    def steps_done(self) -> int:
        """Steps taken, or other parts of the work that an interval counts."""

    @property
    def can_be_saved(self) -> bool:
        """Whether nothing is half done."""

    def state(self) -> "TrainingState":
        """Copy all that the next step depends on."""

    def restore(self, state: "TrainingState") -> None:
        """Go on from a saved state."""


class StateSaver:
    """Saves the state of a training when it is due, and warns only once if that fails.

    Args:
        training: the training under way.
        states: where its states are saved.
        interval: how often.

    Attributes:
        facts: what is saved besides the training's own facts, as JSON's types.
    """

    def __init__(self, training: Resumable, states: SavedStates, interval: Interval) -> None:
        self.training: Any = training  # any resumable one; those who know which ask it for more
        self.states = states
        self.interval = interval
        self.facts: dict[str, Any] = {}
        self._warned = False
        self._begin_interval()

    def load(self) -> "TrainingState | None":
        """Read the newest undamaged state of a size that those of this training may have."""
        fresh = sum(tensor.nbytes for tensor in self.training.state().tensors.values())
        return self.states.load(most=LARGEST_GROWTH * fresh + MAX_FACTS)

    def restore(self, state: "TrainingState") -> None:
        """Restore the training to a saved state, which may be a stranger's.

        Raises:
            BadModel: it is no state of such a training.
        """
        with self.refusing_others():
            self.training.restore(state)

        self._begin_interval()

    @contextmanager
    def refusing_others(self) -> Iterator[None]:
        """Say in a sentence that a state is of something else, if going on from it fails.

        Raises:
            BadModel: it is.
        """
        try:
            yield
        except NOT_OURS as error:
            problem, *_ = str(error).splitlines() or [type(error).__name__]
            raise BadModel(
                f"{self.states.folder} holds a state that is none of this training: {problem}; "
                "delete that folder to start again"
            ) from error

    def _begin_interval(self) -> None:
        self._saved_after = self.training.steps_done
        self._saved_at = time.monotonic()

    def save_if_due(self) -> None:
        """Save the state, or warn, if it is time to."""
        steps = self.training.steps_done - self._saved_after
        seconds = time.monotonic() - self._saved_at
        steps_are_due = 0 < self.interval.steps <= steps
        if steps_are_due or 0 < self.interval.seconds <= seconds:
            self.save()

    def save(self) -> None:
        """Save the state, or warn."""
        with uninterrupted:
            self._begin_interval()
            state = self.training.state()
            state = replace(state, facts=state.facts | self.facts)
            self.attempt(lambda: self.states.save(state))

    @contextmanager
    def when_stopped(self) -> Iterator[None]:
        """Make the folder of states, and save the last state if the training is stopped."""
        try:
            self.states.folder.mkdir(parents=True, exist_ok=True)
            yield
        except (KeyboardInterrupt, GeneratorExit):
            if self.training.can_be_saved:
                self.save()
            raise

    def attempt(self, write: Callable[[], None]) -> None:
        """Call a function that writes, and let the training go on if the disk refuses."""
        try:
            write()
        except CannotWrite as error:
            if not self._warned:
                log.warning("%s; the training goes on, and what was saved before stays", error)
            self._warned = True


def differences(then: object, now: Mapping[str, Any]) -> list[str]:
    """Describe each key whose value has changed: `seed 0, now 1`.

    Args:
        then: what a file says, which may be a stranger's; no names and values are as none.
        now: what holds.
    """
    found = then if isinstance(then, Mapping) else {}
    different = [
        f"{key} {_shorten(found.get(key))}, now {_shorten(value)}"
        for key, value in now.items()
        if found.get(key) != value
    ]
    more = len(different) - MOST_LISTED
    return different if more <= 0 else [*different[:MOST_LISTED], f"{more} more"]


def _shorten(value: object) -> str:
    """Return a value as Python writes it, unless that is very long."""
    short = reprlib.Repr()
    short.maxstring = short.maxother = LONGEST_QUOTE
    return short.repr(value)
