"""The house style of all figures: colours, sizes, the look of axes, and figures as SVG that a page may recolour.

Colours are Okabe and Ito's, which colour-blind readers tell apart, and no distinction rests on colour alone. matplotlib is imported
where it is needed. Needs the extra `report`.
"""

import io
import re
import threading
import warnings
import zlib
from typing import TYPE_CHECKING

from inkdigits.core.errors import MissingExtra

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, MUTED, GRID, BLUE, ORANGE = "#1b1d21", "#656b75", "#d5d9df", "#0072b2", "#d55e00"
THEME = {
    INK: "ink",
    MUTED: "muted",
    GRID: "grid",
    BLUE: "blue",
    ORANGE: "orange",
}  # a page's CSS variables may recolour them
WIDTH = (
    4.4  # inches: text of 9.5 points stays readable when a phone shows the figure 350 pixels wide
)
FONT = 9.5  # points
_SVG = threading.Lock()  # matplotlib takes its SVG options from global settings only


def figure_of(height: float, width: float = WIDTH) -> "Figure":
    """An empty figure, width by height inches, that no global state knows."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise MissingExtra("drawing figures", "report") from None
    return Figure(figsize=(width, height), layout="constrained", facecolor="white")


def dress(axes: "Axes", title: str, *, grid: str = "y") -> None:
    """The house style: a title at the left, a faint grid, no frame, no ticks. grid: "x", "y", "both" or "" for none."""
    axes.set_title(title, loc="left", fontsize=FONT + 1, color=INK, fontweight="bold")
    axes.tick_params(which="both", length=0, labelsize=FONT, labelcolor=MUTED)
    axes.set_facecolor("none")
    axes.set_axisbelow(True)
    for spine in axes.spines.values():
        spine.set_visible(False)
    if grid:
        axes.grid(visible=True, axis=grid, color=GRID, linewidth=0.8)  # type: ignore[arg-type]


def svg(figure: "Figure") -> str:
    """The figure as an <svg> element for a page: text stays text, the ground is transparent, nothing outside is referred to.

    Colours of the house style become CSS variables (--ink, --muted, --grid, --blue, --orange), so that a page can show the
    figure in its own light or dark.
    """
    import matplotlib as mpl

    buffer = io.StringIO()
    with (
        _SVG,
        mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "inkdigits"}),
        warnings.catch_warnings(),
    ):
        warnings.filterwarnings(
            "ignore", "Glyph .* missing"
        )  # the reader's browser draws the text, with fonts of its own
        figure.savefig(
            buffer,
            format="svg",
            facecolor="none",
            metadata=dict.fromkeys(("Creator", "Date", "Format", "Type")),
        )
    text = buffer.getvalue()
    text = re.sub(r' xmlns(:xlink)?="[^"]*"', "", text[text.index("<svg") :]).replace(
        "xlink:href", "href"
    )
    referred = set(re.findall(r"#([\w-]+)", text))
    text = re.sub(r' id="([^"]*)"', lambda match: match[0] if match[1] in referred else "", text)
    own = f"{zlib.crc32(text.encode()):08x}"  # the same marker in two figures of a page needs two names
    text = re.sub(r'( id="|href="#|url\(#)([\w-]+)', rf"\1\2-{own}", text)
    for colour, name in THEME.items():
        text = text.replace(colour, f"var(--{name}, {colour})")
    return text
