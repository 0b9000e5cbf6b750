"""The same picture in every lossless encoding, which has to be read the same."""

import asyncio
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks.common import encoded
from benchmarks.reading.pictures import FILES, STROKES
from benchmarks.soak.frame import Check, Outcome, Trial
from benchmarks.soak.service.faults import sixteen_bits_clipped
from benchmarks.soak.service.harness import Answer, Client, Server
from benchmarks.soak.service.samples import FORM, digits, form, read_request

TEXTS = ("27", "3", "0123456789", "61850", "49")


def lossless(trial: Trial) -> Outcome:
    """Send drawn digits as PNG, GIF, BMP, WebP, TIFF, PPM and in a form; compare with plain PNG.

    They are grey, RGB, RGBA or have a palette, with 1 to 16 bits, interlaced, turned, transparent.
    """
    texts = trial.choose(TEXTS, TEXTS[:1])
    with Server(trial) as server:
        names, failures = asyncio.run(_compare(server, texts))

    result = f"{len(names) - len(failures)} read as the plain PNG is"
    kinds = list(dict.fromkeys(names))
    details = f"Encodings of `lossless`: {'; '.join(kinds)}."
    return Outcome(f"{len(kinds)} encodings of {len(texts)} pictures", result, failures, details)


async def _compare(server: Server, texts: tuple[str, ...]) -> tuple[list[str], list[str]]:
    """Return the name of each encoding that was sent, and what was not read as the first."""
    names = []
    failures = []
    async with Client(server) as client:
        for text in texts:
            for family in (_grey_levels(digits(text)), _black_and_white(digits(text))):
                expected = b""
                for name, body in family:
                    kind = FORM if name == "form" else "application/octet-stream"
                    answer = await client.send(read_request(body, kind))
                    expected = expected or answer.body
                    names.append(name)
                    if answer.body != expected or _text(answer) != text:
                        told = f"{answer.status} {answer.body[:150]!r}"
                        failures.append(f"{text!r} as {name}: {told}")

    return names, failures


def _text(answer: Answer) -> str | None:
    found: str = answer.body.partition(b'"text": "')[2].partition(b'"')[0].decode()
    return found if answer.status == 200 else None


def _grey_levels(grey: NDArray[np.uint8]) -> Iterator[tuple[str, bytes]]:
    for name, way in FILES.items():
        yield name, way(grey)

    for name, way in STROKES.items():
        yield name, way(255 - grey)

    yield "form", form(('name="file"; filename="a.png"', encoded(grey)))


def _black_and_white(grey: NDArray[np.uint8]) -> Iterator[tuple[str, bytes]]:
    image = Image.fromarray(np.where(grey < 128, 0, 255).astype(np.uint8))
    two = image.convert("1", dither=Image.Dither.NONE)
    yield "PNG, black and white", encoded(image)
    yield "PNG, 1 bit", encoded(two)
    palette = Image.fromarray((grey >= 128).astype(np.uint8))
    palette.putpalette([0, 0, 0, 255, 255, 255])
    for bits in (1, 2, 4, 8):
        yield f"PNG, palette of {bits} bits", encoded(palette, bits=bits)

    clear = palette.copy()
    clear.info["transparency"] = 1
    yield "PNG, palette, transparent", encoded(clear)
    yield "GIF, transparent", encoded(clear, "GIF", transparency=1)
    for kind in ("BMP", "GIF", "PPM", "TIFF"):
        yield f"{kind}, 1 bit", encoded(two, kind)

    yield "TIFF, fax", encoded(two, "TIFF", compression="group4")


CHECKS = (Check(lossless, "all, to the byte", sixteen_bits_clipped),)
