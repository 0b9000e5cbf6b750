"""What a run of the page reader reports: records of both networks, and the figures at the end."""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from inkdigits.core.digits import DIGITS_TO_KEEP
from inkdigits.core.files import write_whole
from inkdigits.runs.artifacts import METRICS_FILE
from inkdigits.training.page.look_loop import LookFigures, LookRecord
from inkdigits.training.page.loop import PageRecord
from inkdigits.training.page.measuring import PageFigures
from inkdigits.training.page.votes import Votes


@dataclass(frozen=True)
class StageProgress:
    """How far the training of one of the two networks is.

    Attributes:
        network: page or look.
        fraction: of its training, 0 to 1.
    """

    network: str
    fraction: float


@dataclass(frozen=True)
class PageReaderFigures:
    """What a run reached on validation pages, by hands that training never saw.

    Attributes:
        seed: of the run.
        validation_pages: how many both networks were measured on.
        page: of the page network.
        look: of the second network, on the looks that the page network takes.
        votes: how much each network's count, which calibrates what both say together.
    """

    seed: int
    validation_pages: int
    page: PageFigures
    look: LookFigures
    votes: Votes


StageRecord = PageRecord | LookRecord
PageRunRecord = StageProgress | StageRecord | PageReaderFigures


def to_page_record(record: StageRecord | PageReaderFigures) -> dict[str, Any]:
    """Return the object that `train page --json` prints for a record."""
    if isinstance(record, PageReaderFigures):
        first: dict[str, Any] = {"final": True, "recipe": "page"}
        values = dataclasses.asdict(record) | {"votes": record.votes._asdict()}
        return first | _rounded(values)

    network = "page" if isinstance(record, PageRecord) else "look"
    return {"network": network, **_rounded(dataclasses.asdict(record))}


def _rounded(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return values, also nested ones, with floats rounded to DIGITS_TO_KEEP decimals."""
    rounded: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            rounded[name] = _rounded(value)
        elif isinstance(value, float):
            rounded[name] = round(value, DIGITS_TO_KEEP)
        else:
            rounded[name] = value

    return rounded


def from_final_record(values: Mapping[str, Any]) -> PageReaderFigures:
    """Make the figures of what `to_page_record` returned for them."""
    return PageReaderFigures(
        seed=values["seed"],
        validation_pages=values["validation_pages"],
        page=PageFigures(**values["page"]),
        look=LookFigures(**values["look"]),
        votes=Votes(**values["votes"]),
    )


def write_page_metrics(folder: Path, records: Sequence[StageRecord | PageReaderFigures]) -> None:
    """Write metrics.jsonl atomically: a line a record.

    Raises:
        CannotWrite: the disk refuses.
    """
    lines = [json.dumps(to_page_record(record)) + "\n" for record in records]
    write_whole(folder / METRICS_FILE, "".join(lines))
