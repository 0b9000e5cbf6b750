"""Errors that a user can fix: an exception for each kind, with a sentence as its message.

The sentence says what arrived and what would work. The command prints it and exits; the service
answers with a status 4xx. Any other exception is a bug in the package, and keeps its traceback.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TypeVar

MOST_LISTED = 6  # names in an error message
MOST_ECHOED = 200  # characters of somebody's input in an error message

_Entry = TypeVar("_Entry")


class InkdigitsError(Exception):
    """A problem that the user can fix.

    Attributes:
        code: the name of its kind in JSON, which never changes.
    """

    code = "error"


class UnknownName(InkdigitsError):
    """A recipe, dataset, model, key or device that does not exist."""

    code = "unknown_name"

    def __init__(self, kind: str, name: object, known: Iterable[str]) -> None:
        super().__init__(f"no {kind} {quoted(name)}; known: {', '.join(known)}")


def look_up(kind: str, name: str, table: Mapping[str, _Entry]) -> _Entry:
    """Return the entry of a table that has a name.

    Args:
        kind: of the entries, in the words of the error.
        name: as the user gave it.
        table: the entries by name.

    Raises:
        UnknownName: there is none; the error lists the names that there are.
    """
    if name not in table:
        raise UnknownName(kind, name, table)

    return table[name]


class BadValue(InkdigitsError):
    """A known option, key or argument with a value that makes no sense."""

    code = "bad_value"


class BadData(InkdigitsError):
    """A dataset file that is missing, damaged or not in the format that its name promises."""

    code = "bad_data"


class DownloadFailed(InkdigitsError):
    """No mirror delivered the right bytes."""

    code = "download_failed"


class BadPicture(InkdigitsError):
    """A picture that cannot be read.

    Attributes:
        code: the reason, such as not_found, empty, not_a_picture, truncated or too_large.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class BadModel(InkdigitsError):
    """A model file or run folder that is missing, damaged or made for something else."""

    code = "bad_model"


class CannotWrite(InkdigitsError):
    """A file or folder that exists already, is read-only, or has no free space."""

    code = "cannot_write"


class MissingExtra(InkdigitsError):
    """A library that only some commands need is not installed."""

    code = "missing_extra"

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(
            f"{what} needs more than the core install: pip install 'inkdigits[{extra}]'"
        )


@contextmanager
def needs_extra(what: str, extra: str) -> Iterator[None]:
    """Name the extra that has to be installed, if an import in the `with` fails.

    Args:
        what: what it is needed for, such as "training".
        extra: its name in pyproject.toml.

    Raises:
        MissingExtra: a library is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("inkdigits"):
            raise
        raise MissingExtra(what, extra) from error


def shortened(text: object) -> str:
    """Return what somebody gave, for an error message: at most MOST_ECHOED characters of it."""
    whole = str(text)
    return whole if len(whole) <= MOST_ECHOED else f"{whole[: MOST_ECHOED - 3]}..."


def quoted(text: object) -> str:
    """Return what somebody gave in quotes, with escapes for what cannot be printed."""
    return repr(shortened(text))


def listed(names: Iterable[str]) -> str:
    """Join the first few names for an error message: `a, b and 3 more`."""
    names = [shortened(name) for name in names]
    shown = ", ".join(names[:MOST_LISTED]) or "nothing"
    more = len(names) - MOST_LISTED
    return f"{shown} and {more} more" if more > 0 else shown
