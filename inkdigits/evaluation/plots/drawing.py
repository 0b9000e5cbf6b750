"""Charts come in as panels with lines, bands, bars and words, and go out as the text of an SVG.

A report's charts are drawn here and not by matplotlib: its import and layout took thirty times as
long as a report takes now, for a training of a second (docs/decisions.md). Colours are those of
`style`.
"""

import html
import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from inkdigits.core.digits import Array
from inkdigits.evaluation.plots.style import FONT, GRID, INK, MUTED, THEME

WIDTH = 317.0  # units of a drawing, as wide as matplotlib's figures in points
PANEL_HEIGHT = 118.0  # without title and names
ROW = 14.0  # of a title, a legend or names
LETTER = 0.56  # of the font's size: how wide letters and digits are on average
EDGE = 8.0  # beside a panel
MOST_TICKS = 6
MARGIN = 0.05  # of the range of the values, above and below them

Tick = tuple[float, str]  # a place and its name


@dataclass(frozen=True)
class Line:
    """Points of (N,) values, joined by a line, with a gap where a value is nan.

    Attributes:
        x, y: their places.
        colour: of the line and of its points.
        width: of the line; 0 leaves the points alone.
        dash: lengths of dashes and gaps, as SVG has them; empty for a whole line.
        marker: "o" for round points, "D" for diamonds, empty for none.
        label: in the legend; empty for a line that is not in it.
    """

    x: Array
    y: Array
    colour: str
    width: float = 1.5
    dash: str = ""
    marker: str = ""
    label: str = ""


@dataclass(frozen=True)
class Band:
    """The area between two lines of (N,) values."""

    x: Array
    low: Array
    high: Array
    colour: str
    opacity: float = 0.16


@dataclass(frozen=True)
class Bar:
    """A rectangle between two corners."""

    x: tuple[float, float]
    y: tuple[float, float]
    colour: str
    opacity: float


@dataclass(frozen=True)
class Words:
    """A text that is centred at, or starts at, a place.

    Attributes:
        x, y: the place.
        text: any text; markup is escaped.
        shift: units to the right and down from the place.
        turn: degrees, against the clock.
    """

    x: float
    y: float
    text: str
    colour: str = MUTED
    size: float = FONT - 1
    starts: bool = False
    shift: tuple[float, float] = (0.0, 0.0)
    turn: float = 0.0


Shape = Line | Band | Bar | Words


@dataclass
class Panel:
    """One pair of axes with what is drawn on them.

    Attributes:
        title: above it.
        x, y: the values at the left and right, and at the bottom and top.
        shapes: what is drawn, the first at the back.
        x_ticks, y_ticks: places that are named beside the axes.
        grid: "y" for lines across at the ticks, "both" for upright ones too, "" for none.
        x_label, y_label: what the axes mean.
        height: in units; None for as high as wide.
        slanted: whether the names below it are.
        legend: what the legend says before its lines.
        clipped: whether what is outside the axes is left out.
    """

    title: str
    x: tuple[float, float]
    y: tuple[float, float]
    shapes: Sequence[Shape]
    x_ticks: Sequence[Tick] = ()
    y_ticks: Sequence[Tick] = ()
    grid: str = "y"
    x_label: str = ""
    y_label: str = ""
    height: float | None = PANEL_HEIGHT
    slanted: bool = False
    legend: str = ""
    clipped: bool = False

    @property
    def lines(self) -> list[Line]:
        """The lines among the shapes."""
        return [shape for shape in self.shapes if isinstance(shape, Line)]

    @property
    def words(self) -> list[str]:
        """The texts among the shapes."""
        return [shape.text for shape in self.shapes if isinstance(shape, Words)]


@dataclass(frozen=True)
class Drawing:
    """Panels above each other. A notebook shows it as it is."""

    panels: Sequence[Panel] = field(default_factory=tuple)

    def svg(self) -> str:
        """Return an <svg> element whose colours a page may change by CSS variables."""
        text = _element(self.panels)
        for colour, name in THEME.items():
            text = text.replace(f'"{colour}"', f'"var(--{name}, {colour})"')
        return text

    def _repr_svg_(self) -> str:
        """Return the drawing on white for a notebook."""
        head, rest = _element(self.panels).split(">", 1)
        namespace = 'xmlns="http://www.w3.org/2000/svg" font-family="system-ui, sans-serif"'
        return f'{head} {namespace} width="{1.4 * WIDTH:.0f}" style="background:white">{rest}'


def range_of(values: Array) -> tuple[float, float]:
    """Return the ends of an axis for values, with a margin; those that are not finite are left out.

    Args:
        values: of any shape.
    """
    finite = values[np.isfinite(values)]
    if not finite.size:
        return 0.0, 1.0

    low, high = float(finite.min()), float(finite.max())
    margin = MARGIN * (high - low or abs(high) or 1)
    return low - margin, high + margin


def ticks(low: float, high: float, *, whole: bool = False) -> list[Tick]:
    """Return at most MOST_TICKS round numbers within an axis, with their names.

    Args:
        low: the least value of the axis.
        high: the largest.
        whole: whether only whole numbers will do.
    """
    rough = (high - low) / MOST_TICKS
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(size * power for size in (1, 2, 5, 10) if size * power >= rough)
    if whole:
        step = max(1.0, step)

    decimals = max(0, -math.floor(math.log10(step)))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [(number * step, f"{number * step:.{decimals}f}") for number in range(first, last + 1)]


def nameless(places: Sequence[Tick]) -> list[Tick]:
    """Return the same ticks without their names, for a panel above one that has them."""
    return [(place, "") for place, _ in places]


# ---- from a drawing to text


def _element(panels: Sequence[Panel]) -> str:
    left = max(map(_room_at_the_left, panels))
    parts, top = [], 0.0
    for panel in panels:
        text, height = _panel(panel, left, top)
        parts.append(text)
        top += height + 4

    return f'<svg viewBox="0 0 {WIDTH:g} {top:.1f}" font-size="{FONT}">{"".join(parts)}</svg>'


def _room_at_the_left(panel: Panel) -> float:
    """Return the width of the names at the y axis, and of what it means."""
    longest = max((len(name) for _, name in panel.y_ticks), default=0)
    return EDGE + LETTER * FONT * longest + (ROW if panel.y_label else 0)


class _Scale:
    """Where values are on the page."""

    def __init__(self, panel: Panel, box: tuple[float, float, float, float]) -> None:
        self.left, self.top, self.width, self.height = box
        self.x_ends, self.y_ends = panel.x, panel.y

    def x(self, value: float) -> float:
        start, end = self.x_ends
        return self.left + self.width * (value - start) / (end - start)

    def y(self, value: float) -> float:
        bottom, top = self.y_ends
        return self.top + self.height * (top - value) / (top - bottom)


def _panel(panel: Panel, left: float, top: float) -> tuple[str, float]:
    """Return a panel's elements, and the height that it takes."""
    above = ROW * bool(panel.title) + _legend_height(panel) + 4
    width = WIDTH - left - EDGE
    height = width if panel.height is None else panel.height
    scale = _Scale(panel, (left, top + above, width, height))

    parts = [_heading(panel, left, top)]
    parts += _grid(panel, scale)
    drawn = "".join(_draw(shape, scale) for shape in panel.shapes)
    if panel.clipped:
        box = f'x="{left:.1f}" y="{scale.top:.1f}" width="{width:.1f}" height="{height:.1f}"'
        inside = f"{left:.1f} {scale.top:.1f} {width:.1f} {height:.1f}"
        drawn = f'<svg {box} viewBox="{inside}">{drawn}</svg>'

    below = _room_below(panel)
    return "".join([*parts, drawn, *_names(panel, scale, below)]), above + height + below


def _heading(panel: Panel, left: float, top: float) -> str:
    """Write the title and the legend."""
    parts = []
    if panel.title:
        title = f'font-size="{FONT + 1}" font-weight="bold" fill="{INK}"'
        parts.append(_text(left, top + ROW - 3, panel.title, title))
        top += ROW

    x = left
    y = top + ROW - 4
    if panel.legend:
        parts.append(_text(x, y, panel.legend, f'fill="{MUTED}"'))
        x += LETTER * FONT * len(panel.legend) + 12

    for line in panel.lines:
        if line.label:
            middle = y - 3.5
            parts.append(_line([(x, middle), (x + 16, middle)], line))
            parts.append(_markers([(x + 8, middle)], line))
            parts.append(_text(x + 21, y, line.label, f'fill="{INK}"'))
            x += 21 + LETTER * FONT * len(line.label) + 12

    return "".join(parts)


def _legend_height(panel: Panel) -> float:
    return ROW if panel.legend or any(line.label for line in panel.lines) else 0.0


def _room_below(panel: Panel) -> float:
    """Return the height of the names at the x axis, and of what it means."""
    longest = max((len(name) for _, name in panel.x_ticks), default=0)
    names = ROW * bool(longest)
    if panel.slanted:
        names += 0.85 * LETTER * FONT * longest
    return names + ROW * bool(panel.x_label) + 4


def _grid(panel: Panel, scale: _Scale) -> list[str]:
    stroke = f'stroke="{GRID}" stroke-width="0.8"'
    parts = []
    if panel.grid:
        right = scale.left + scale.width
        for place, _ in panel.y_ticks:
            y = scale.y(place)
            parts.append(f'<path d="M{scale.left:.1f} {y:.1f}H{right:.1f}" {stroke}/>')
    if panel.grid == "both":
        bottom = scale.top + scale.height
        for place, _ in panel.x_ticks:
            x = scale.x(place)
            parts.append(f'<path d="M{x:.1f} {scale.top:.1f}V{bottom:.1f}" {stroke}/>')

    return parts


def _names(panel: Panel, scale: _Scale, below: float) -> list[str]:
    """Write the names of the ticks, and what the axes mean."""
    bottom = scale.top + scale.height
    muted = f'fill="{MUTED}"'
    parts = []
    for place, name in panel.y_ticks:
        end = f'{muted} text-anchor="end"'
        parts.append(_text(scale.left - 4, scale.y(place) + 3.3, name, end))

    for place, name in filter(lambda tick: tick[1], panel.x_ticks):
        x, y = scale.x(place), bottom + ROW - 2
        where = 'text-anchor="middle"'
        if panel.slanted:
            where = f'text-anchor="end" transform="rotate(-55 {x + 3:.1f} {y - 2:.1f})"'
        parts.append(_text(x, y, name, f"{muted} {where}"))

    if panel.x_label:
        centre = scale.left + scale.width / 2
        middle = f'{muted} text-anchor="middle"'
        parts.append(_text(centre, bottom + below - 5, panel.x_label, middle))
    if panel.y_label:
        x, y = FONT, scale.top + scale.height / 2
        upright = f'{muted} text-anchor="middle" transform="rotate(-90 {x:.1f} {y:.1f})"'
        parts.append(_text(x, y, panel.y_label, upright))

    return parts


def _draw(shape: Shape, scale: _Scale) -> str:
    match shape:
        case Line():
            pairs = zip(shape.x, shape.y, strict=True)
            points = [(scale.x(x), scale.y(y)) for x, y in pairs]
            return _line(points, shape) + _markers(points, shape)
        case Band():
            there = [(scale.x(x), scale.y(y)) for x, y in zip(shape.x, shape.low, strict=True)]
            back = [(scale.x(x), scale.y(y)) for x, y in zip(shape.x, shape.high, strict=True)]
            finite = [point for point in [*there, *back[::-1]] if np.isfinite(point).all()]
            around = " ".join(f"{x:.1f},{y:.1f}" for x, y in finite)
            return (
                f'<polygon points="{around}" fill="{shape.colour}" opacity="{shape.opacity:.2f}"/>'
            )
        case Bar():
            (left, right), (bottom, top) = map(scale.x, shape.x), map(scale.y, shape.y)
            size = f'width="{abs(right - left):.1f}" height="{abs(bottom - top):.1f}"'
            corner = f'x="{min(left, right):.1f}" y="{min(bottom, top):.1f}"'
            return f'<rect {corner} {size} fill="{shape.colour}" opacity="{shape.opacity:.2f}"/>'
        case Words():
            x, y = scale.x(shape.x) + shape.shift[0], scale.y(shape.y) + shape.shift[1]
            how = f'fill="{shape.colour}" font-size="{shape.size:g}"'
            if not shape.starts:
                how += ' text-anchor="middle"'
            if shape.turn:
                how += f' transform="rotate({-shape.turn:.1f} {x:.1f} {y:.1f})"'
            return _text(x, y, shape.text, how)


def _line(points: Sequence[tuple[float, float]], line: Line) -> str:
    """Return a path through points, which begins anew after a gap."""
    if not line.width:
        return ""

    path, pen = "", "M"
    for x, y in points:
        if math.isfinite(y):
            path += f"{pen}{x:.1f} {y:.1f}"
            pen = "L"
        else:
            pen = "M"

    dash = f' stroke-dasharray="{line.dash}"' if line.dash else ""
    stroke = f'fill="none" stroke="{line.colour}" stroke-width="{line.width:g}"{dash}'
    return f'<path d="{path}" {stroke}/>' if path else ""


def _markers(points: Sequence[tuple[float, float]], line: Line) -> str:
    """Return the points of a line that has any."""
    shown = [(x, y) for x, y in points if line.marker and math.isfinite(y)]
    fill = f'fill="{line.colour}"'
    if line.marker == "D":
        return "".join(
            f'<path d="M{x:.1f} {y - 3.4:.1f}l3.4 3.4l-3.4 3.4l-3.4 -3.4z" {fill}/>'
            for x, y in shown
        )

    return "".join(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.2" {fill}/>' for x, y in shown)


def _text(x: float, y: float, text: str, attributes: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" {attributes}>{html.escape(text)}</text>'
