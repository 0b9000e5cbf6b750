"""What users hand over, and what it gives: `python -m benchmarks.reading.inputs --write FILE`.

One photo and its digits come in every way that people have them: as files, arrays and tables, right
ones and wrong ones. Each is read, and a table says what came out. `tests/reading/test_inputs.py`
holds each row to what is promised here.
"""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.common import command_line, table, tell, write_between
from benchmarks.reading.input_materials import (
    DIGITS_TO_ADD,
    REFUSED,
    TEXT,
    Materials,
    Outcome,
    at_end,
    data_url,
    frame,
    npy,
    pickled,
    png,
    tensor,
)
from inkdigits.core.errors import shortened


@dataclass(frozen=True)
class Input:
    """Something that is handed over.

    Attributes:
        name: in words.
        way: where it is handed in.
        gives: what must come out.
        hand_over: does it.
    """

    name: str
    way: str
    gives: str
    hand_over: Callable[[Materials], Outcome]


MANY = TEXT * DIGITS_TO_ADD
FILES = [
    Input(
        "JPEG, by its path", "`read`", TEXT, lambda m: m.read(m.file("a.jpg", m.encoded("JPEG")))
    ),
    Input("PNG, its bytes", "`read`", TEXT, lambda m: m.read(m.encoded("PNG"))),
    Input("PNG of 1 bit", "`read`", TEXT, lambda m: m.read(png(m.grey > 110))),
    Input(
        "PNG of 16 bits",
        "`read`",
        TEXT,
        lambda m: m.read(png(m.grey.astype(np.uint16) * 257)),
    ),
    Input("JPEG in CMYK", "`read`", TEXT, lambda m: m.read(m.encoded("JPEG", mode="CMYK"))),
    Input("WebP", "`read`", TEXT, lambda m: m.read(m.encoded("WEBP"))),
    Input("AVIF", "`read`", TEXT, lambda m: m.read(m.encoded("AVIF"))),
    Input("BMP", "`read`", TEXT, lambda m: m.read(m.encoded("BMP"))),
    Input("HEIC (extra `heic`)", "`read`", TEXT, lambda m: m.read(m.heic())),
    Input("HEIC, cut short", "`read`", REFUSED, lambda m: m.read(m.heic()[:200])),
    Input(
        "GIF of two frames",
        "`read`",
        TEXT,
        lambda m: m.read(m.encoded("GIF", 2)),
    ),
    Input(
        "TIFF of two pages",
        "command",
        f"{TEXT}, {TEXT}",
        lambda m: m.command(m.file("two.tif", m.encoded("TIFF", 2))),
    ),
    Input(
        "`two.tif[1]`, its second page",
        "`read`",
        TEXT,
        lambda m: m.read(m.file("two.tif", m.encoded("TIFF", 2)) + "[1]"),
    ),
    Input(
        "`two.tif[2]`",
        "`read`",
        REFUSED,
        lambda m: m.read(m.file("two.tif", m.encoded("TIFF", 2)) + "[2]"),
    ),
    Input(
        "PDF of one page (extra `pdf`)",
        "command",
        TEXT,
        lambda m: m.command(m.file("one.pdf", m.encoded("PDF"))),
    ),
    Input(
        "PDF of three pages",
        "command",
        f"{TEXT}, {TEXT}, {TEXT}",
        lambda m: m.command(m.file("three.pdf", m.encoded("PDF", 3))),
    ),
    Input("PDF of three pages, its bytes", "`read`", TEXT, lambda m: m.read(m.encoded("PDF", 3))),
    Input(
        "`three.pdf[2]`",
        "command",
        TEXT,
        lambda m: m.command(m.file("three.pdf", m.encoded("PDF", 3)) + "[2]"),
    ),
    Input(
        "`three.pdf[3]`",
        "command",
        REFUSED,
        lambda m: m.command(m.file("three.pdf", m.encoded("PDF", 3)) + "[3]"),
    ),
    Input("PDF, cut short", "`read`", REFUSED, lambda m: m.read(m.encoded("PDF")[:300])),
    Input("data URL", "`read`", TEXT, lambda m: m.read(data_url(m.encoded("PNG")))),
    Input(
        "data URL, damaged",
        "`read`",
        REFUSED,
        lambda m: m.read(data_url(b"") + "@" * 999),
    ),
    Input("`BytesIO`, just written to", "`read`", TEXT, lambda m: m.read(at_end(m.encoded("PNG")))),
    Input("base64 without a data URL", "`read`", REFUSED, lambda m: m.read("iVBORw0KGgo" * 999)),
    Input("empty file", "`read`", REFUSED, lambda m: m.read(m.file("empty.png", b""))),
    Input("no such file", "`read`", REFUSED, lambda m: m.read("no-such.png")),
    Input("SVG", "`read`", REFUSED, lambda m: m.read(b"<svg xmlns='http://www.w3.org/2000/svg'/>")),
    Input("web page", "`read`", REFUSED, lambda m: m.read(b"<!doctype html><title>404</title>")),
    Input(
        "`.npy` of digits, (N, 28, 28)",
        "command",
        TEXT,
        lambda m: m.command(m.file("digits.npy", npy(m.digits))),
    ),
    Input(
        "`digits.npy[3]`, the fourth",
        "command",
        TEXT[3],
        lambda m: m.command(m.file("digits.npy", npy(m.digits)) + "[3]"),
    ),
    Input(
        "`.npy` with a pickle",
        "command",
        REFUSED,
        lambda m: m.command(m.file("pickle.npy", pickled())),
    ),
]
ARRAYS = [
    Input("(H, W) uint8", "`read`", TEXT, lambda m: m.read(m.grey)),
    Input("(H, W, 1)", "`read`", TEXT, lambda m: m.read(m.grey[:, :, None])),
    Input("(1, 1, H, W)", "`read`", TEXT, lambda m: m.read(m.grey[None, None])),
    Input("(H, W, 3)", "`read`", TEXT, lambda m: m.read(m.rgb)),
    Input("(3, H, W)", "`read`", TEXT, lambda m: m.read(np.moveaxis(m.rgb, 2, 0))),
    Input(
        "(H, W, 4)",
        "`read`",
        TEXT,
        lambda m: m.read(np.dstack([m.rgb, np.full_like(m.grey, 255)])),
    ),
    Input("bool", "`read`", TEXT, lambda m: m.read(m.grey > 110)),
    Input("0 and 1, int64", "`read`", TEXT, lambda m: m.read((m.grey > 110).astype(np.int64))),
    Input("uint16, 0 to 65,535", "`read`", TEXT, lambda m: m.read(m.grey.astype(np.uint16) * 257)),
    Input("floats, 0 to 1", "`read`", TEXT, lambda m: m.read(m.rgb / 255)),
    Input("floats, -1 to 1", "`read`", TEXT, lambda m: m.read(m.rgb / 127.5 - 1)),
    Input("floats, 0 to 255", "`read`", TEXT, lambda m: m.read(m.rgb.astype(np.float32))),
    Input(
        "torch tensor (3, H, W), with gradient",
        "`read`",
        TEXT,
        lambda m: m.read(tensor(np.moveaxis(m.rgb, 2, 0), gradient=True)),
    ),
    Input("nested lists", "`read`", TEXT, lambda m: m.read(m.grey.tolist())),
    Input("row of 784 pixels", "`read`", TEXT[0], lambda m: m.read(m.digits[0].ravel())),
    Input("(2, H, W)", "`read`", REFUSED, lambda m: m.read(np.stack([m.grey] * 2))),
    Input("(3, 28, 28)", "`read`", REFUSED, lambda m: m.read(m.digits[:3])),
    Input("(5, 784)", "`read`", REFUSED, lambda m: m.read(m.rows)),
    Input("(2, 2, 2, 2, 2)", "`read`", REFUSED, lambda m: m.read(np.zeros((2, 2, 2, 2, 2)))),
    Input("floats, 0 to 16", "`read`", REFUSED, lambda m: m.read(m.grey / 16)),
    Input("normalised floats", "`read`", REFUSED, lambda m: m.read((m.grey / 255 - 0.13) / 0.31)),
    Input("floats with NaN", "`read`", REFUSED, lambda m: m.read(np.full((99, 99), np.nan))),
    Input("lists of several lengths", "`read`", REFUSED, lambda m: m.read([[1, 2], [3]])),
    Input("two names in a list", "`read`", REFUSED, lambda m: m.read(["a.png", "b.png"])),
    Input("`None`", "`read`", REFUSED, lambda m: m.read(None)),
    Input(
        "(2, H, W)", "`read_many`", f"{TEXT}, {TEXT}", lambda m: m.read_many(np.stack([m.grey] * 2))
    ),
    Input(
        "(2, 3, H, W)",
        "`read_many`",
        f"{TEXT}, {TEXT}",
        lambda m: m.read_many(np.moveaxis(np.stack([m.rgb] * 2), 3, 1)),
    ),
    Input(
        "array, tensor and path in a list",
        "`read_many`",
        f"{TEXT}, {TEXT}, {REFUSED}",
        lambda m: m.read_many([m.grey, tensor(m.rgb), "no-such.png"]),
    ),
    Input("(5, 784)", "`read_many`", TEXT, lambda m: m.read_many(m.rows)),
    Input("data frame of 784 columns", "`read_many`", TEXT, lambda m: m.read_many(frame(m.digits))),
    Input(
        "data frame with `label`",
        "`read_many`",
        TEXT,
        lambda m: m.read_many(frame(m.digits, "label")),
    ),
    Input(
        "data frame of 786 columns",
        "`read_many`",
        REFUSED,
        lambda m: m.read_many(frame(m.digits, "label", "Unnamed: 0")),
    ),
    Input("(H, W, 3)", "`read_many`", REFUSED, lambda m: m.read_many(m.rgb)),
    Input("one name", "`read_many`", REFUSED, lambda m: m.read_many("photo.jpg")),
    Input("(N, 28, 28) uint8", "`classify`", TEXT, lambda m: m.classify(m.digits)),
    Input(
        "(N, 784), floats 0 to 1",
        "`classify`",
        TEXT,
        lambda m: m.classify(m.digits.reshape(5, -1) / 255),
    ),
    Input(
        "torch tensor (N, 1, 28, 28), -1 to 1",
        "`classify`",
        TEXT,
        lambda m: m.classify(tensor(m.digits[:, None]).float() / 127.5 - 1),
    ),
    Input(
        "(N, 28, 28), normalised",
        "`classify`",
        REFUSED,
        lambda m: m.classify((m.digits / 255 - 0.13) / 0.31),
    ),
    Input("(N, 32, 32)", "`classify`", REFUSED, lambda m: m.classify(np.zeros((5, 32, 32)))),
]
TABLES = [
    Input("commas, as Kaggle has it", "command", MANY, lambda m: m.csv()),
    Input("semicolons", "command", MANY, lambda m: m.csv(";")),
    Input("tabs, without a header", "command", MANY, lambda m: m.csv("\t", header=False)),
    Input("without labels", "command", MANY, lambda m: m.csv(label=False)),
    Input("fractions, 0 to 1", "command", MANY, lambda m: m.csv(digits=m.many / 255)),
    Input(
        "semicolons and decimal commas",
        "command",
        MANY,
        lambda m: m.csv(";", digits=m.many / 255, point=","),
    ),
    Input(
        "`numpy.savetxt`: spaces, 2.55e+02",
        "command",
        MANY,
        lambda m: m.csv(" ", header=False, label=False, form="{:.18e}"),
    ),
    Input("dark on light", "command", MANY, lambda m: m.csv(digits=255 - m.many)),
    Input(
        "256 among the pixels",
        "command",
        REFUSED,
        lambda m: m.csv(digits=np.where(m.many == 255, 256, m.many)),
    ),
    Input(
        "the label last, without a header",
        "command",
        REFUSED,
        lambda m: m.csv(header=False, label_last=True),
    ),
    Input(
        "other things",
        "command",
        REFUSED,
        lambda m: m.command(m.file("a.csv", "name;marks\nAnn;17\n")),
    ),
]
GROUPS = {"Files": FILES, "Arrays": ARRAYS, "Tables of pixels": TABLES}
INPUTS = [(group, one) for group, several in GROUPS.items() for one in several]


def markdown() -> str:
    """Return the tables of what came out when everything was handed over."""
    with tempfile.TemporaryDirectory() as folder:
        materials = Materials(Path(folder))
        parts = [_group(name, several, materials) for name, several in GROUPS.items()]

    return f"{len(INPUTS)} inputs; the photo says {TEXT}.\n\n" + "\n\n".join(parts)


def _group(name: str, inputs: list[Input], materials: Materials) -> str:
    """Return the section of a group, and say on standard error what an input does not give."""
    rows = []
    for one in inputs:
        outcome = one.hand_over(materials)
        if outcome.gives != one.gives:
            tell(f"{name}, {one.name}: {outcome.gives!r}, not {one.gives!r}: {outcome.says}")

        says = outcome.says.replace(f"{materials.folder}/", "")
        rows.append((one.name, one.way, shortened(outcome.gives), says))

    return "\n".join([f"### {name}", "", *table(("what", "handed to", "gives", "says"), rows)])


def main() -> None:
    """Print the section of docs/inputs.md, or write it."""
    options = command_line(__doc__).parse_args()
    text = markdown()
    if options.write:
        write_between(options.write, "inputs", text)
    else:
        print(text)


if __name__ == "__main__":
    main()
