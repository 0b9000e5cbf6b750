"""The state of a training under way, on disk: saved so that a kill, a full disk or a flipped bit costs a minute and not the run.

Tensors and facts in, a file out, and back. Knows nothing of networks or recipes. `DIR/state/NUMBER-SHA256.safetensors` is written
whole or not at all; its facts are JSON in safetensors' metadata, and its name is the hash of its bytes: nothing can come apart.
"""

import hashlib
import json
import logging
import re
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from inkdigits.core.errors import BadValue, CannotWrite
from inkdigits.core.files import write_whole, writing

if TYPE_CHECKING:
    from torch import Tensor

log = logging.getLogger(__name__)

FOLDER = "state"
NAME = re.compile(r"(\d+)-([0-9a-f]{64})\.safetensors")


@dataclass(frozen=True)
class State:
    """Everything that the next step depends on. tensors: on the CPU, contiguous; facts: as JSON's types."""

    tensors: "dict[str, Tensor]"
    facts: dict[str, Any]

    def to_bytes(self) -> bytes:
        """A safetensors file."""
        from safetensors.torch import save

        return save(self.tensors, metadata={"facts": json.dumps(self.facts)})

    @classmethod
    def from_bytes(cls, content: bytes) -> "State":
        """Of what `to_bytes` gave."""
        from safetensors.torch import load

        header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
        return cls(load(content), json.loads(header["__metadata__"]["facts"]))


class States:
    """The saved states of the run in a folder: two, for the day when the disk has hurt the last. Be alone when you save."""

    def __init__(self, run: Path) -> None:
        self.folder = run / FOLDER
        self._good: Path | None = None  # the last one saved or loaded

    def save(self, state: State) -> None:
        """Write it, and delete all others but the last good one. Raises CannotWrite; then the last good one is there still."""
        content = state.to_bytes()
        newest = max((_number(path) for path in self._paths()), default=0)
        path = self.folder / f"{newest + 1:06}-{hashlib.sha256(content).hexdigest()}.safetensors"
        write_whole(path, content)
        with writing(self.folder):
            for (
                other
            ) in self.folder.iterdir():  # half-written files of processes that were killed, too
                if other not in (path, self._good):
                    other.unlink()
        self._good = path

    def load(self) -> State | None:
        """The newest one that is whole; None without any. Says which ones are damaged."""
        for path in self._paths():
            try:
                state = _read(path)
            except (OSError, ValueError) as error:
                log.warning("the state %s is damaged: %s", path, error)
            else:
                self._good = path
                return state
        return None

    def __bool__(self) -> bool:
        """Whether there are any, whole or not."""
        return bool(self._paths())

    def delete(self) -> None:
        """All of them, and their folder."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _paths(self) -> list[Path]:
        """Newest first."""
        named = [path for path in self.folder.glob("*") if NAME.fullmatch(path.name)]
        return sorted(named, key=_number, reverse=True)


def _number(path: Path) -> int:
    return int(path.name.partition("-")[0])


def _read(path: Path) -> State:
    """Raises ValueError where the bytes are not those that were written."""
    content = path.read_bytes()
    found = NAME.fullmatch(path.name)
    if not found or hashlib.sha256(content).hexdigest() != found[2]:
        raise ValueError("its SHA-256 is another")
    return State.from_bytes(content)


@dataclass(frozen=True)
class Interval:
    """How often a state is saved: every so many steps, or seconds; neither is never."""

    steps: int = 0
    seconds: float = 0.0

    @classmethod
    def parse(cls, text: str) -> "Interval":
        """500 is steps, 30s is seconds, 0 and off are never. Raises BadValue."""
        if text == "off":
            return cls()
        found = re.fullmatch(r"(\d{1,9})(s?)", text)
        if not found:
            raise BadValue(
                f"a state is saved every so many steps (500) or seconds (60s), or never (off), not {text!r}"
            )
        return cls(seconds=float(found[1])) if found[2] else cls(steps=int(found[1]))


class Saving:
    """Saves states when they are due, and says only once that it cannot. done: the steps taken when it begins."""

    def __init__(self, states: States, interval: Interval, done: int) -> None:
        self.states, self.interval = states, interval
        self._done, self._time, self._warned = done, time.monotonic(), False

    def due(self, done: int) -> bool:
        """Whether it is time to save, after so many steps."""
        if self.interval.steps:
            return done - self._done >= self.interval.steps
        return (
            bool(self.interval.seconds) and time.monotonic() - self._time >= self.interval.seconds
        )

    def save(self, state: State, done: int) -> None:
        """Save the state after so many steps."""
        self._done, self._time = done, time.monotonic()
        self.attempt(lambda: self.states.save(state))

    def attempt(self, write: Callable[[], None]) -> None:
        """A training does not end because something does not fit on the disk that is not needed before its end."""
        try:
            write()
        except CannotWrite as error:
            if not self._warned:
                log.warning("%s; the training goes on, and what was saved before stays", error)
            self._warned = True


def differences(then: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """In words, what is not as it was: each key with its value then and now."""
    return [
        f"{key} {then.get(key)!r}, now {value!r}"
        for key, value in now.items()
        if then.get(key) != value
    ]
