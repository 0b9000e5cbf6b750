"""Draw the pages of a PDF: a program of its own, which `pdf` starts, limits and stops.

    python pdf_renderer.py SIDE DPI PIXELS MEMORY SECONDS

The length of the PDF comes in on a line of standard input, then its bytes, then the index of a page
on each further line. For each of these a line of JSON goes out, and behind that of a page its
pixels, red, green, blue. A hostile file may crash PDFium or keep it busy for ever; it does so here,
where processor time and memory are limited. Nothing of our package is imported.
"""

import json
import sys
from typing import Any

import pypdfium2
import pypdfium2.raw

POINTS = 72  # of an inch, in which PDFs measure
ROUNDING = 1e-4  # of sizes as they are written in PDFs, as a share
DEEPEST = 8  # forms within forms whose pictures are counted


def main() -> None:
    """Answer for one document until standard input ends."""
    side, dpi, most_pixels, memory, seconds = map(int, sys.argv[1:])
    _limit("RLIMIT_AS", memory)
    _limit("RLIMIT_CPU", seconds)
    size = int(sys.stdin.buffer.readline())
    data = sys.stdin.buffer.read(size)
    try:
        document = pypdfium2.PdfDocument(data)
        document.init_forms()  # without it, what was typed into a form is not drawn
        _answer({"pages": len(document)})
    except pypdfium2.PdfiumError as error:
        is_locked = getattr(error, "err_code", None) == pypdfium2.raw.FPDF_ERR_PASSWORD
        _answer({"error": "locked" if is_locked else "damaged"})
        return

    for drawn, line in enumerate(sys.stdin.buffer, 1):
        _limit("RLIMIT_CPU", seconds + drawn)
        _draw(document, int(line), side, dpi, most_pixels)


def _limit(name: str, most: int) -> None:
    """Limit what this process may use, where the system can. Processor time adds up."""
    try:
        import resource
    except ModuleNotFoundError:  # Windows; there only the clock of our parent counts
        return

    resource.setrlimit(getattr(resource, name), (most, resource.RLIM_INFINITY))


def _answer(values: dict[str, Any], pixels: bytes = b"") -> None:
    sys.stdout.buffer.write(json.dumps(values).encode() + b"\n")
    sys.stdout.buffer.write(pixels)
    sys.stdout.buffer.flush()


def _draw(document: Any, index: int, side: int, dpi: int, most_pixels: int) -> None:
    """Answer with a page whose longer side has `side` pixels, or fewer at `dpi` pixels an inch."""
    try:
        page = document[index]
        longest = max(page.get_size())
        if not 0 < longest < 1e6:
            _answer({"error": "empty"})
            return

        pixels = _pixels_in_pictures(page)
        if pixels > most_pixels:
            _answer({"error": "large", "pixels": pixels, "most": most_pixels})
            return

        # A page of 1,200 pixels may say that it has 1,200.01, and would be stretched to 1,201.
        scale = min(side / longest, dpi / POINTS) * (1 - ROUNDING)
        bitmap = page.render(scale=scale, rev_byteorder=True)
        rows = bytes(bitmap.buffer)
        shape = {"height": bitmap.height, "width": bitmap.width, "stride": bitmap.stride}
        page.close()
    except pypdfium2.PdfiumError:
        _answer({"error": "damaged"})
        return

    _answer(shape, rows)


def _pixels_in_pictures(page: Any) -> int:
    """Return how many pixels the pictures on a page have together; none is decoded for it."""
    is_picture = [pypdfium2.raw.FPDF_PAGEOBJ_IMAGE]
    sizes = [one.get_px_size() for one in page.get_objects(is_picture, max_depth=DEEPEST)]
    return sum(width * height for width, height in sizes)


if __name__ == "__main__":
    main()
