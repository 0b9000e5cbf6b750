"""Keep what a reader said in a file, so that a run can be stopped, and ours be measured again."""

import csv
from dataclasses import dataclass, fields, replace
from pathlib import Path

from benchmarks.handwriting.readers import Answer, Reader
from benchmarks.handwriting.rows import Case

COLUMNS = ("reader", "version", "file", "as one digit", "text", "milliseconds", "error")
Question = tuple[str, ...]  # the first four columns


class KeptAnswers:
    """Answers of readers by what they were asked, as a CSV file that grows.

    Args:
        path: of the file, which is made unless it is there.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.answers: dict[Question, Answer] = {}
        if not path.exists():
            self._append(COLUMNS)

        with path.open(newline="", encoding="utf-8") as file:
            for *question, text, milliseconds, error in list(csv.reader(file))[1:]:
                answer = Answer(text, milliseconds=float(milliseconds), error=error or None)
                self.answers[tuple(question)] = answer

    def add(self, question: Question, answer: Answer) -> None:
        """Keep an answer, in the file at once."""
        self.answers[question] = answer
        self._append((*question, answer.text, str(answer.milliseconds), answer.error or ""))

    def _append(self, cells: tuple[str, ...]) -> None:
        with self.path.open("a", newline="", encoding="utf-8") as file:
            csv.writer(file).writerow(cells)


@dataclass(frozen=True)
class KeptReader(Reader):
    """A reader that is asked only what it has not been asked before; it tells no confidence.

    Attributes:
        kept: what it and others said before.
    """

    kept: KeptAnswers

    def read(self, case: Case) -> Answer:
        """Read one picture, or look up what was read. Raises ReaderEnded."""
        question = (self.name, self.version, str(case.path), str(case.single))
        if question not in self.kept.answers:
            said = super().read(case)
            self.kept.add(question, replace(said, digits=(), guess=None))

        return self.kept.answers[question]


def keeping(reader: Reader, kept: KeptAnswers) -> KeptReader:
    """Make a reader keep its answers."""
    parts = {field.name: getattr(reader, field.name) for field in fields(Reader)}
    return KeptReader(**parts, kept=kept)
