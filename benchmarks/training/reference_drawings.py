"""Drawings of the reference systems: a network from its input to its output, and how it learned.

A recipe or the epochs of runs come in, the text of an SVG file goes out. Shapes, operations and
parameters are those of the network that torch builds, recorded while it looks at a digit. The files
have their own light and dark colours, and text that a phone shows large enough.
"""

import math
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from inkdigits.core.digits import SIDE
from inkdigits.evaluation.plots import style
from inkdigits.training.figures import Epoch
from inkdigits.training.models import Dropout, count_parameters, recipe_network
from inkdigits.training.recipe import Recipe

WIDTH = 360  # units of a drawing; a phone is as many pixels wide, so text keeps its size
TOP = 36  # height of the line above the layers
ROW = 72  # height of a layer
LEFT = 56  # the middle of the column with what comes out of each layer
TEXT = 122  # where the column with words begins
BAR = WIDTH - TEXT - 12  # length of the bar of all parameters
SHEETS = 5  # feature maps that are drawn of a layer, at most
SHEET_SHIFT = 3  # from one of these to the next
MAP_UNIT = 1.5  # of a pixel of a feature map
VECTOR_UNIT = 4.3  # times the root of its units is the length of what leaves a linear layer
LINE = 32  # characters that fit beside it
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif"

# Okabe and Ito's colours once more, lighter where the ground is dark.
COLOURS = """
svg { --ground: #ffffff; --ink: #1b1d21; --muted: #5d636d; --grid: #d5d9df;
  --blue: #0072b2; --orange: #c85000; --sheet: #dbeaf4 }
@media (prefers-color-scheme: dark) {
  svg { --ground: #1d2027; --ink: #e8eaee; --muted: #a7aeb9; --grid: #3c424d;
    --blue: #56b4e9; --orange: #f5a04c; --sheet: #25435a }
}
"""

# What torch's functions are called in the drawing; pooling and resizing have a size as well.
NAMES = {"relu": "ReLU", "batch_norm": "normalised", "div": "standardised"}


@dataclass
class Layer:
    """A layer with weights, or the input, and what happens before the next one.

    Attributes:
        what: it is, in words.
        shape: of what leaves it for the next one, without the batch: (C, H, W) or (units,).
        parameters: numbers that training adjusts.
        then: what is done to its answers, in words.
    """

    what: str
    shape: tuple[int, ...]
    parameters: int = 0
    then: list[str] = field(default_factory=list)


class _Record(TorchFunctionMode):
    """Writes down what a network does, function by function."""

    def __init__(self, layers: list[Layer]) -> None:
        super().__init__()
        self.layers = layers

    def __torch_function__(
        self, function: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        out = function(*args, **(kwargs or {}))
        if isinstance(out, Tensor):
            self._add(function.__name__, args, tuple(out.shape[1:]))
        return out

    def _add(self, name: str, args: Sequence[Any], shape: tuple[int, ...]) -> None:
        if name == "conv2d":
            kernels, _, height, width = args[1].shape
            self.layers.append(Layer(f"{kernels} kernels of {height}x{width}", shape))
        elif name == "linear":
            self.layers.append(Layer(f"linear, {shape[0]} units", shape))
        elif name == "interpolate":
            self.layers[0].shape = shape
            self.layers[0].then.append(f"enlarged to {shape[1]}x{shape[2]}")
        elif name == "max_pool2d":
            self.layers[-1].shape = shape
            self.layers[-1].then.append(f"pooled to {shape[1]}x{shape[2]}")
        elif name in NAMES:
            self.layers[-1].then.append(NAMES[name])


def layers_of(recipe: Recipe) -> list[Layer]:
    """Return the input and the layers of a recipe's network, in the order in which they work."""
    network = recipe_network(recipe).eval()
    layers = [Layer("the digit", (1, SIDE, SIDE))]

    def seen(module: nn.Module, *_: Any) -> None:
        if isinstance(module, Dropout):
            if module.dropped:
                layers[-1].then.append(f"dropout {module.dropped / 256:g}")
        else:
            layers[-1].parameters += sum(each.numel() for each in module.parameters())

    for module in network.modules():
        if not list(module.children()):
            module.register_forward_hook(seen)

    # A function runs before the hook of the module that calls it. Of a normalised layer, the
    # normalisation's parameters are added to those of its convolution.
    with torch.no_grad(), _Record(layers):
        network(torch.zeros(1, 1, SIDE, SIDE))

    counted = sum(layer.parameters for layer in layers)
    assert counted == count_parameters(network), "a parameter is in no layer that is drawn"
    return layers


# ---- the network


def draw_network(recipe: Recipe) -> str:
    """Return the drawing of a recipe's network, an SVG file."""
    layers = layers_of(recipe)
    total = sum(layer.parameters for layer in layers)
    height = TOP + ROW * len(layers)
    parts = [_text(TEXT, 24, "parameters"), _text(TEXT + BAR, 24, f"{total:,}", "b end")]

    for number, layer in enumerate(layers):
        middle = TOP + ROW * (number + 0.5)
        if number:
            parts.append(_arrow(middle - ROW / 2 - 5))
        parts += _drawn(layer, middle)
        parts += _words(layer, middle, total)

    what = f"The network of {recipe.name}: {in_words(layers)}"
    return _file(WIDTH, height, what, "\n".join(parts))


def in_words(layers: Sequence[Layer]) -> str:
    """Describe a network in a sentence, for people who do not see its drawing."""
    steps = [", ".join([layer.what, *layer.then]) for layer in layers]
    return "; then ".join(steps)


def _drawn(layer: Layer, middle: float) -> list[str]:
    """Draw what leaves a layer: a stack of maps, or a bar of units."""
    if len(layer.shape) == 1:
        length = VECTOR_UNIT * math.sqrt(layer.shape[0])
        return [_box(LEFT - length / 2, middle - 5, length, 10)]

    count = min(SHEETS, layer.shape[0])
    side = MAP_UNIT * layer.shape[1]
    left = LEFT - (side + SHEET_SHIFT * (count - 1)) / 2
    top = middle - (side + SHEET_SHIFT * (count - 1)) / 2
    places = [SHEET_SHIFT * place for place in range(count)]
    return [_box(left + place, top + place, side, side) for place in places]


def _words(layer: Layer, middle: float, total: int) -> list[str]:
    """Say what a layer is, what happens then, and how many of the parameters it has."""
    then = ", ".join(layer.then) or "x".join(map(str, layer.shape[1:]))
    lines = textwrap.wrap(then, LINE)
    first = middle - 8 * len(lines)
    parts = [_text(TEXT, first, layer.what, "b")]
    parts += [_text(TEXT, first + 17 * (1 + place), line) for place, line in enumerate(lines)]
    if layer.parameters:
        y = first + 17 * len(lines) + 9
        parts += [
            _text(TEXT + BAR, first, f"{layer.parameters:,}", "end"),
            _bar(y, BAR, "grid"),
            _bar(y, max(1.0, BAR * layer.parameters / total), "orange"),
        ]
    return parts


def _bar(y: float, length: float, colour: str) -> str:
    return f'<rect x="{TEXT}" y="{y:g}" width="{length:.1f}" height="5" fill="var(--{colour})"/>'


def _box(x: float, y: float, width: float, height: float) -> str:
    return (
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" rx="1.5" '
        'fill="var(--sheet)" stroke="var(--blue)"/>'
    )


def _arrow(y: float) -> str:
    return f'<path d="M{LEFT} {y:g}v9m-4-5 4 5 4-5" fill="none" stroke="var(--muted)"/>'


def _text(x: float, y: float, words: str, kind: str = "") -> str:
    chosen = f' class="{kind}"' if kind else ""
    return f'<text x="{x:g}" y="{y:g}"{chosen}>{escape(words)}</text>' if words else ""


def _file(width: float, height: float, what: str, inside: str) -> str:
    """Return an SVG file with our colours and a ground of its own."""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" '
        f'width="{width:g}" height="{height:g}" role="img">\n<title>{escape(what)}</title>\n'
        f"<style>{COLOURS}text {{ font: 13px {FONT}; fill: var(--muted) }}\n"
        ".b { font-weight: 600; fill: var(--ink) } .end { text-anchor: end }</style>\n"
        f'<rect width="{width:g}" height="{height:g}" rx="8" fill="var(--ground)"/>\n'
        f"{inside}\n</svg>\n"
    )


# ---- how it learned


def draw_learning(
    unchanged: Sequence[Sequence[Epoch]], changed: Mapping[str, Sequence[Sequence[Epoch]]]
) -> str:
    """Return the curves of a recipe and of its changed ones, an SVG file.

    Args:
        unchanged: the epochs of each run of the recipe as it is.
        changed: the same of each change, by its setting; a change without runs is not drawn.
    """
    figure = style.figure_of(5.6, width=WIDTH / 72)
    figure.set_layout_engine("constrained", w_pad=0.12, h_pad=0.12)  # inches
    accuracy, loss = figure.subplots(2, 1, sharex=True)
    colours = (style.BLUE, style.ORANGE, style.MUTED)
    lines = [("as it is", unchanged), *changed.items()]

    for (name, runs), colour in zip(lines, colours, strict=False):
        for number, epochs in enumerate(filter(None, runs)):  # one that stopped early has none
            label = name if number == 0 else None
            mark: dict[str, Any] = {"marker": "o" if len(epochs) < 15 else "", "markersize": 3}
            across = [epoch.epoch for epoch in epochs]
            wrong = [1 - epoch.validation_accuracy for epoch in epochs]
            accuracy.plot(across, wrong, "-", color=colour, label=label, linewidth=1.3, **mark)
            loss.plot(
                across,
                [epoch.validation_loss for epoch in epochs],
                "-",
                color=colour,
                linewidth=1.3,
                **mark,
            )
            loss.plot(across, [epoch.train_loss for epoch in epochs], "--", color=colour, lw=1)

    _dress(accuracy, "Validation accuracy", _accuracy_ticks(accuracy))
    accuracy.invert_yaxis()
    _dress(loss, "Loss: validation (line), training (dashes)", _loss_ticks(loss))
    style.label_axes(loss, "epoch")
    loss.xaxis.get_major_locator().set_params(integer=True)
    style.add_legend(accuracy, loc="lower right")
    return _own_colours(style.svg(figure), "Validation accuracy and loss after each epoch")


def _dress(axes: Any, title: str, ticks: dict[float, str]) -> None:
    """Give one panel its title and a logarithmic axis with few, readable ticks."""
    low, high = axes.get_ylim()
    axes.set_yscale("log")
    axes.set_yticks(list(ticks), list(ticks.values()))
    axes.set_yticks([], minor=True)
    axes.set_ylim(low, high)
    style.dress(axes, title, grid="y")


def _accuracy_ticks(axes: Any) -> dict[float, str]:
    """Choose shares of wrong answers to mark, named as accuracies, and the limits around them."""
    shares = (0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 0.005, 0.002)
    low, high = _limits(axes)
    return {share: f"{1 - share:.1%}".replace(".0%", "%") for share in shares if low < share < high}


def _loss_ticks(axes: Any) -> dict[float, str]:
    low, high = _limits(axes)
    marks = [float(f"{digit}e{power}") for power in range(-6, 2) for digit in (1, 3)]
    return {mark: f"{mark:g}" for mark in marks if low < mark < high}


def _limits(axes: Any) -> tuple[float, float]:
    """Set the limits a little around all lines, and return them."""
    values = [value for line in axes.lines for value in line.get_ydata() if value > 0]
    low, high = min(values) / 1.2, max(values) * 1.2
    axes.set_ylim(low, high)
    return low, high


def _own_colours(svg: str, what: str) -> str:
    """Make a file of an <svg> element: its own colours and ground."""
    head, _, rest = svg.partition(">")
    head = head.replace("<svg", '<svg xmlns="http://www.w3.org/2000/svg" role="img"', 1)
    return (
        f"{head}>\n<title>{escape(what)}</title>\n"
        f"<style>{COLOURS}text {{ font-family: {FONT} !important }}</style>\n"
        f'\n<rect width="100%" height="100%" rx="8" fill="var(--ground)"/>{rest}\n'
    )
