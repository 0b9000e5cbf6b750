"""What our reader misreads -> a page of HTML with the pictures, to look at.

It holds the pictures themselves, which may be other people's: it never belongs in the repository.
"""

import base64
import html
from pathlib import Path

from PIL import Image, ImageOps

from benchmarks.common import encoded
from benchmarks.handwriting.comparison import Comparison
from benchmarks.handwriting.readers import OURS, Answer
from benchmarks.handwriting.rows import Case
from benchmarks.handwriting.scores import misread
from inkdigits.core.files import write_whole
from inkdigits.evaluation.metrics import percent

THUMBNAIL = 320  # pixels of the longer side, at most
PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Misread</title>
<style>
  body {{ font: 15px system-ui, sans-serif; margin: 1rem; }}
  main {{ display: flex; flex-wrap: wrap; gap: 1rem; }}
  figure {{ margin: 0; width: 20rem; }}
  figcaption {{ overflow-wrap: anywhere; }}
  /* What is transparent in a picture looks light green. */
  img {{ width: 100%; max-height: 20rem; object-fit: contain; background: #d7f0d7; }}
</style>
<h1>{wrong} of {all} pictures misread</h1>
<main>
{figures}
</main>
</html>
"""
FIGURE = """<figure><img src="{source}" alt=""><figcaption><b>{content}</b>: {said}<br>{row}<br>\
{file}</figcaption></figure>"""


def write_gallery(folder: Path, compared: Comparison) -> None:
    """Write gallery.html with each picture that we misread, what is written and what we read.

    A picture of several rows is shown once, with the first row in which it is misread.

    Raises:
        CannotWrite: it cannot be written.
    """
    answers = compared.answers[OURS]
    wrong: dict[Case, str] = {}
    for row in compared.rows:
        for case in misread(row, answers):
            wrong.setdefault(case, row.name)

    figures = "\n".join(_figure(case, answers[case], name) for case, name in wrong.items())
    page = PAGE.format(wrong=len(wrong), all=len(answers), figures=figures)
    write_whole(folder / "gallery.html", page)


def _figure(case: Case, answer: Answer, row: str) -> str:
    return FIGURE.format(
        source=thumbnail(case.path),
        content=html.escape(case.content or "no digit"),
        said=html.escape(said(answer)),
        row=row,
        file=html.escape(case.path.name),
    )


def said(answer: Answer) -> str:
    """Say in words what was made of a picture."""
    if answer.error:
        return f"not read: {answer.error}"

    if answer.text:
        least = min(sure for _, sure in answer.digits)
        return f"read {answer.text}, its least sure digit with {percent(least)}"

    return "nothing found" if answer.guess is None else f"refused, at best {answer.guess}"


def thumbnail(path: Path) -> str:
    """Return the picture as a data: address, upright and small; empty where it cannot be read."""
    try:
        with Image.open(path) as image:
            upright = ImageOps.exif_transpose(image).convert("RGBA")
    except OSError:
        return ""

    upright.thumbnail((THUMBNAIL, THUMBNAIL))
    return "data:image/png;base64," + base64.b64encode(encoded(upright)).decode()
