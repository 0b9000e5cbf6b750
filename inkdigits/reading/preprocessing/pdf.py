"""The pages of a PDF: bytes come in, the pixels of one page after the other go out.

PDFium draws them, in a process of its own (pdf_renderer.py), so that a hostile file cannot take
more time and memory than a hostile picture, and cannot crash this one. Needs the extra `pdf`.
"""

import importlib.util
import json
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from inkdigits.core.digits import Pixels
from inkdigits.core.errors import BadPicture, MissingExtra

PDF_HEAD = b"%PDF"
RENDERER = Path(__file__).with_name("pdf_renderer.py")
DPI = 300  # as scanners have it; small pages are not drawn larger
MEMORY = 1 << 30  # bytes of the process: the file, a page's pictures as decoded, and PDFium itself
SECONDS = 3  # of processor time, and one for each page; usual pages take 0.02 to 0.3
LONGEST = 60  # seconds by the clock for a page, where the system does not limit processor time


class PdfPages:
    """The pages of an open PDF, which are drawn when they are asked for. For one thread.

    Args:
        data: the file's bytes.
        name: what errors call it.
        side: pixels of the longer side of a drawn page.
        most_pixels: that the pictures on one page may have together.

    Raises:
        BadPicture: the file is damaged or has a password, or the extra `pdf` is not installed.
    """

    def __init__(self, data: bytes, name: str, side: int, most_pixels: int) -> None:
        if importlib.util.find_spec("pypdfium2") is None:
            missing = MissingExtra(f"{name} is a PDF, and reading its pages", "pdf")
            raise BadPicture(missing.code, str(missing))

        self.name = name
        limits = map(str, (side, DPI, most_pixels, MEMORY, SECONDS))
        self._process = subprocess.Popen(  # noqa: S603 (our own program, with numbers)
            [sys.executable, "-P", str(RENDERER), *limits],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        try:
            self.count = int(self._ask(b"%d\n" % len(data) + data, name)["pages"])
            if not self.count:
                raise BadPicture("empty", f"{name} is a PDF without pages")
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> "PdfPages":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def is_usable(self) -> bool:
        """Whether further pages can be drawn. False after a page that took too much."""
        return self._process.poll() is None

    def draw(self, index: int) -> Pixels:
        """Return a page as (H, W, 3) uint8: red, green, blue.

        Args:
            index: from 0.

        Raises:
            BadPicture: there is no such page, or it is damaged, or would take too much time or
                memory.
        """
        if index >= self.count:
            count = "1 page" if self.count == 1 else f"{self.count:,} pages"
            raise BadPicture("not_found", f"{self.name}: it has {count}, counted from 0")

        name = self.name if self.count == 1 else f"page {index} of {self.name}"
        answer = self._ask(b"%d\n" % index, name)
        height, stride = answer["height"], answer["stride"]
        assert self._process.stdout, "it is a pipe"
        rows = self._process.stdout.read(height * stride)
        if len(rows) < height * stride:
            raise self._stopped(name)

        pixels = np.frombuffer(rows, np.uint8).reshape(height, stride)
        return pixels[:, : 3 * answer["width"]].reshape(height, -1, 3)

    def close(self) -> None:
        """Stop the process."""
        self._process.kill()
        self._process.communicate()

    def _ask(self, question: bytes, name: str) -> dict[str, Any]:
        """Return the answer of the process, or raise BadPicture if it says what is wrong."""
        process = self._process
        assert process.stdin, "it is a pipe"
        assert process.stdout, "it is a pipe"
        alarm = threading.Timer(LONGEST, process.kill)
        alarm.start()
        try:
            with suppress(BrokenPipeError):
                process.stdin.write(question)
                process.stdin.flush()
            line = process.stdout.readline()
        finally:
            alarm.cancel()

        if not line.endswith(b"\n"):
            raise self._stopped(name)

        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise _refused(answer, name)

        return answer

    def _stopped(self, name: str) -> BadPicture:
        """Return the error of a process that was ended by its limits, or by the file."""
        self._process.kill()
        self._process.wait()
        return BadPicture(
            "too_large",
            f"{name} takes too much time or memory to draw, or is damaged; "
            "print the page into a new PDF, or save it as PNG",
        )


def _refused(answer: dict[str, Any], name: str) -> BadPicture:
    """Return the error that says what the process found in what is called `name`."""
    match answer["error"]:
        case "locked":
            return BadPicture("unsupported", f"{name} is a PDF with a password")
        case "large":
            found = f"{answer['pixels']:,} pixels in the pictures on a page"
            return BadPicture(
                "too_large", f"{name} has {found}; at most {answer['most']:,} are read"
            )
        case "empty":
            return BadPicture("empty", f"{name} has a page of no size, or of a huge one")
        case _:
            return BadPicture("truncated", f"{name} is cut short or damaged")
