"""The house style of all figures: colours, sizes, labels, and figures as SVG for a page.

Colours are Okabe and Ito's, which colour-blind readers tell apart, and no distinction rests on
colour alone. matplotlib is imported inside the functions, so that importing this costs nothing.
Needs the extra `report`.
"""

import io
import math
import re
import threading
import warnings
import zlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from inkdigits.core.errors import needs_extra

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK = "#1b1d21"
MUTED = "#656b75"
GRID = "#d5d9df"
BLUE = "#0072b2"
ORANGE = "#d55e00"

# A page's CSS variables may recolour these.
THEME = {INK: "ink", MUTED: "muted", GRID: "grid", BLUE: "blue", ORANGE: "orange"}

FIGURE_WIDTH = 4.4  # inches: text stays readable when a phone shows it 350 pixels wide
FONT = 9.5  # points

_SVG_SETTINGS = threading.Lock()  # matplotlib takes its SVG options from global settings only


def figure_of(height: float, width: float = FIGURE_WIDTH) -> "Figure":
    """Create an empty figure that pyplot does not hold, so there is nothing to close.

    Args:
        height: in inches.
        width: in inches.

    Raises:
        MissingExtra: matplotlib is not installed.
    """
    with needs_extra("drawing figures", "report"):
        from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained", facecolor="white")


def grid_of(
    count: int, columns: int, height: float, width: float, below: float = 0
) -> "tuple[Figure, Any]":
    """Create a figure with a grid of empty places.

    Args:
        count: how many places are needed.
        columns: the most in a row.
        height: of a place, in inches.
        width: of a place, in inches.
        below: inches that stay free.

    Returns:
        The figure, and an array (rows, columns) of its axes.

    Raises:
        MissingExtra: matplotlib is not installed.
    """
    columns = min(columns, count)
    rows = math.ceil(count / columns)
    figure = figure_of(below + rows * height, columns * width)

    places = figure.subplots(rows, columns, squeeze=False)
    for axes in places.flat:
        axes.set_axis_off()
    return figure, places


def write_captions(places: Any, captions: Sequence[str], y: float | None = None) -> None:
    """Write a caption at each place of a grid, as far as there are any, at a height of its axes."""
    for axes, caption in zip(places.flat, captions, strict=False):
        axes.set_title(caption, fontsize=FONT, color=INK, y=y, parse_math=False)


def dress(axes: "Axes", title: str, *, grid: str = "y") -> None:
    """Give axes the house style: a title at the left, a faint grid, no frame, no ticks.

    Args:
        axes: to change.
        title: above them.
        grid: "x", "y", "both", or "" for none.
    """
    axes.set_title(title, loc="left", fontsize=FONT + 1, color=INK, fontweight="bold")
    axes.tick_params(which="both", length=0, labelsize=FONT, labelcolor=MUTED)
    axes.set_facecolor("none")
    axes.set_axisbelow(True)
    axes.spines[:].set_visible(False)
    if grid:
        axes.grid(visible=True, axis=grid, color=GRID, linewidth=0.8)  # type: ignore[arg-type]


def label_axes(axes: "Axes", x: str, y: str = "") -> None:
    """Write what the axes mean, beside them."""
    axes.set_xlabel(x, fontsize=FONT, color=MUTED)
    if y:
        axes.set_ylabel(y, fontsize=FONT, color=MUTED)


def add_legend(place: "Figure | Axes", **options: Any) -> None:
    """Add a legend without a frame. `options` are matplotlib's."""
    place.legend(**{"frameon": False, "fontsize": FONT, "labelcolor": INK, **options})


def show_map(axes: "Axes", values: Any, highest: float, **options: Any) -> None:
    """Show a (H, W) array in grey, 0 white and `highest` black. `options` are matplotlib's."""
    axes.imshow(values, cmap="gray_r", vmin=0, vmax=highest, interpolation="nearest", **options)


def svg(figure: "Figure") -> str:
    """Return the figure as an <svg> element for a page.

    Text stays text, the ground is transparent, and nothing outside is referred to. Colours of the
    house style become CSS variables (--ink, --muted, --grid, --blue, --orange), so that a page can
    show the figure in its own light or dark.
    """
    text = _saved(figure)
    text = re.sub(r' xmlns(:xlink)?="[^"]*"', "", text[text.index("<svg") :])
    text = text.replace("xlink:href", "href")

    referred = set(re.findall(r"#([\w-]+)", text))
    text = re.sub(r' id="([^"]*)"', lambda match: match[0] if match[1] in referred else "", text)

    # The same marker in two figures of a page needs two names.
    own = f"{zlib.crc32(text.encode()):08x}"
    text = re.sub(r'( id="|href="#|url\(#)([\w-]+)', rf"\1\2-{own}", text)

    for colour, name in THEME.items():
        text = text.replace(colour, f"var(--{name}, {colour})")
    return text


def _saved(figure: "Figure") -> str:
    """Return the SVG file that matplotlib makes, without facts about its making."""
    import matplotlib as mpl

    buffer = io.StringIO()
    settings: Any = {"svg.fonttype": "none", "svg.hashsalt": "inkdigits"}
    with _SVG_SETTINGS, mpl.rc_context(settings), warnings.catch_warnings():
        # The reader's browser draws the text, with fonts of its own.
        warnings.filterwarnings("ignore", "Glyph .* missing")
        no_facts = dict.fromkeys(("Creator", "Date", "Format", "Type"))
        figure.savefig(buffer, format="svg", facecolor="none", metadata=no_facts)

    return buffer.getvalue()
