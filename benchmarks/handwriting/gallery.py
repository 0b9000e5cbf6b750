"""A gallery of everything that was read wrong, as one page of HTML.

It holds the pictures themselves, which may be other people's, so it is never written into the
repository.
"""

import base64
import html
from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageOps

from benchmarks.common import ROOT, encoded
from benchmarks.handwriting.figures import SEVERAL_DIGITS, Outcome
from inkdigits.core.errors import BadValue
from inkdigits.core.files import write_whole

THUMBNAIL = 320  # pixels of the longer side
PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Read wrong</title>
<style>
  body {{ font: 15px system-ui, sans-serif; margin: 1rem; }}
  main {{ display: flex; flex-wrap: wrap; gap: 1rem; }}
  figure {{ margin: 0; width: 20rem; }}
  img {{ max-width: 100%; border: 1px solid #bbb; }}
</style>
<h1>{wrong} of {all} pictures read wrong</h1>
<main>
{figures}
</main>
</html>
"""
FIGURE = """<figure><img src="{source}" alt=""><figcaption><b>{content}</b>: {said}<br>{file}<br>\
{look}</figcaption></figure>"""


def write_gallery(path: Path, folder: Path, outcomes: Sequence[Outcome]) -> None:
    """Write a page with everything that is wrong: the picture, the truth and what was read.

    Args:
        path: the page.
        folder: the pictures' folder.
        outcomes: what was read.

    Raises:
        BadValue: the place is inside the repository.
        CannotWrite: it cannot be written.
    """
    if ROOT in path.resolve().parents:
        raise BadValue(
            f"{path} is in the repository, and the gallery holds other people's pictures; choose a "
            "folder elsewhere"
        )

    path.parent.mkdir(parents=True, exist_ok=True)
    wrong = [outcome for outcome in outcomes if not outcome.right]
    figures = "\n".join(_figure(folder, outcome) for outcome in wrong)
    write_whole(path, PAGE.format(wrong=len(wrong), all=len(outcomes), figures=figures))


def _figure(folder: Path, outcome: Outcome) -> str:
    return FIGURE.format(
        source=thumbnail(folder / outcome.file),
        content=html.escape(outcome.content),
        said=html.escape(said(outcome)),
        file=html.escape(outcome.file),
        look=f"{outcome.polarity}, {outcome.background}",
    )


def said(outcome: Outcome) -> str:
    """Say in words what was made of a picture."""
    if outcome.error:
        return f"not read: {outcome.error}"

    if outcome.kind in SEVERAL_DIGITS:
        return f"read {outcome.text or 'nothing'}"

    page = ", accepted as a page" if outcome.kind == "reject" and outcome.as_page else ""
    if outcome.digit is None:
        return f"nothing found{page}"

    refused = "" if outcome.accepted else ", refused"
    return f"read {outcome.digit}, {outcome.confidence:.1%} sure{refused}{page}"


def thumbnail(path: Path) -> str:
    """Return the picture as a data: address, upright and small, transparent parts light green.

    It is empty where the picture cannot be read.
    """
    try:
        with Image.open(path) as image:
            upright = ImageOps.exif_transpose(image).convert("RGBA")
    except OSError:
        return ""

    scale = THUMBNAIL / max(upright.size)
    size = max(1, round(upright.width * scale)), max(1, round(upright.height * scale))
    ground = Image.new("RGBA", size, (215, 240, 215, 255))
    way = Image.Resampling.LANCZOS if scale < 1 else Image.Resampling.NEAREST
    ground.alpha_composite(upright.resize(size, way))
    return "data:image/png;base64," + base64.b64encode(encoded(ground.convert("RGB"))).decode()
