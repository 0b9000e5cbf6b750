"""From pixels to ink: which pixels a pen has touched, and how strongly.

Upright 8-bit pixels come in, grey or colour, of any brightness and polarity. Ink goes out, paper 0
to full ink 255, with the greys of the strokes' edges. This module is about paper, light and pens.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from inkdigits.core.digits import Mask, Plane
from inkdigits.reading.preprocessing.planes import (
    as_plane,
    dilate,
    find_components,
    fit_mask,
    grey_of,
    label_components,
    level_range,
    outline_length,
    overview_of,
    rectangle,
    rim_of,
    steps,
)
from inkdigits.reading.preprocessing.sheet import find_sheet

Floats = NDArray[np.float32]

OVERVIEW_SIDE = 512  # pixels; paper and light are judged on a picture reduced to this,
POLARITY_SIDE = 256  # whether the ink is dark or light, on one reduced to this,
COLOUR_SIDE = 128  # and which colour shows the ink, on one reduced to this
TELLING_COLOUR = 3.0  # times the range of brightness that a colour must range

# Grey levels of 255.
FAINTEST = 8.0  # by which ink must differ from its paper to be seen at all
WEAK = 50.0  # strength at a stroke's edge, and where the pen hardly wrote, which belongs to
STRONG = 120.0  # what somewhere is this strong
DIVIDED = 240  # of paper after its light was divided out
CLEAN = 1.5  # paper that varies less is taken as flat

ALONG_BORDER = 0.3  # of its outline on the picture's border: more than any digit that a border cuts
CLOSE_UP = 200  # pixels; so small a picture may show a digit that fills it; a table has a corner
CRUMBS = 0.02  # of the picture's side: what touches the border so close to the table is part of it
SMALLEST_WRITING = 0.02  # of the picture's side
VERY_FAINT = 0.15  # contrast, below which users are told
MUCH_GRAIN = 0.12  # of the strongest contrast, from which grain is blurred before finding edges
SURROUNDED = 0.7  # of the outline of a thick stroke's inside
THICKEST = 0.3  # of the picture's shorter side: thicker than any stroke
SOLID = 0.8  # of such a square must be ink; squared paper leaves holes
SOFT_EDGE = 0.04  # of the picture's side; no stroke fades into the paper over a longer way
PYRAMID_LEVELS = 7


@dataclass(frozen=True)
class Ink:
    """The ink of a picture.

    Attributes:
        strength: (H, W) uint8, paper 0 to the strongest ink 255.
        mask: (H, W) bool, the strokes.
        contrast: of ink and paper, 0 to 1.
        noise: standard deviation of the paper's grain, in levels of strength.
        light_on_dark: whether the ink is the lighter of the two.
        outside: (H, W) bool, what is not the sheet; None if all of the picture is.
    """

    strength: Plane
    mask: Mask
    contrast: float
    noise: float
    light_on_dark: bool
    warnings: tuple[str, ...] = ()
    outside: Mask | None = None


def _no_ink(shape: tuple[int, ...], light_on_dark: bool) -> Ink:
    blank = np.zeros(shape, np.uint8)
    return Ink(blank, blank > 0, 0.0, 0.0, light_on_dark)


def find_ink(pixels: Plane) -> Ink:
    """Separate ink from paper.

    Args:
        pixels: (H, W) grey or (H, W, 3) colour, uint8, upright.

    Returns:
        The ink; blank paper has an empty mask.
    """
    pixels = _in_telling_colour(pixels)
    overview = overview_of(pixels, OVERVIEW_SIDE)

    outside = None
    sheet = find_sheet(overview_of(grey_of(overview), POLARITY_SIDE))
    if sheet is not None:
        pixels = _on_sheet(pixels, sheet)
        overview = _on_sheet(overview, sheet)
        outside = ~fit_mask(sheet, pixels.shape)

    light_on_dark = is_light_on_dark(overview_of(grey_of(overview), POLARITY_SIDE))
    if light_on_dark:
        pixels = as_plane(cv2.bitwise_not(pixels))
        overview = as_plane(cv2.bitwise_not(overview))

    rough = _rough_in_any_light(grey_of(overview))
    strength = _strength(pixels, _paper(overview, rough), rough)
    table = _table(rough)
    if table is not None:
        rough &= ~table
        strength[fit_mask(dilate(table, 7), strength.shape)] = 0

    near_ink = fit_mask(dilate(rough, 5), strength.shape)
    if outside is not None:
        near_ink &= ~outside

    noise, peak = _levels(strength, near_ink)
    if peak < max(FAINTEST, 5 * noise):
        return _no_ink(strength.shape, light_on_dark)

    strength = as_plane(cv2.convertScaleAbs(strength, alpha=255 / peak))
    noise *= 255 / peak
    mask = _connected(strength, max(WEAK, 3 * noise), max(STRONG, 5 * noise)) & near_ink
    contrast = peak / 255
    warnings = _warnings(light_on_dark, contrast)
    return Ink(strength, mask, contrast, noise, light_on_dark, warnings, outside)


def find_ink_in_few_pixels(pixels: Plane) -> Ink:
    """Separate ink from paper in a tiny picture, whose strokes are one or two pixels wide.

    Everything that is darker than the paper is ink there, however weak, and nothing can be known of
    light and grain.

    Args:
        pixels: as for `find_ink`, enlarged smoothly.
    """
    grey = grey_of(_in_telling_colour(pixels))
    light_on_dark = is_light_on_dark(overview_of(grey, POLARITY_SIDE))
    if light_on_dark:
        grey = as_plane(cv2.bitwise_not(grey))

    paper, darkest = np.percentile(grey, (90, 2)).tolist()
    if paper - darkest < FAINTEST:
        return _no_ink(grey.shape, light_on_dark)

    levels = (paper - grey.astype(np.float32)) * (255 / (paper - darkest))
    strength = np.clip(levels, 0, 255).astype(np.uint8)
    contrast = (paper - darkest) / max(paper, 1.0)
    mask = _connected(strength, WEAK, STRONG)
    return Ink(strength, mask, contrast, 0.0, light_on_dark, _warnings(light_on_dark, contrast))


def _in_telling_colour(pixels: Plane) -> Plane:
    """Return one colour alone if it shows far more than brightness does: red on green paper."""
    if pixels.ndim == 2:
        return pixels

    small = overview_of(pixels, COLOUR_SIDE)
    ranges = [int(np.ptp(colour)) for colour in cv2.split(small)]
    best = int(np.argmax(ranges))
    if ranges[best] > TELLING_COLOUR * max(FAINTEST, int(np.ptp(grey_of(small)))):
        return np.ascontiguousarray(pixels[:, :, best])

    return pixels


def _on_sheet(pixels: Plane, sheet: Mask) -> Plane:
    """Replace everything that is not the sheet by the sheet's usual colour."""
    inside = fit_mask(sheet, pixels.shape)
    usual = np.median(pixels[inside][::16], axis=0).astype(np.uint8)
    return np.where(inside if pixels.ndim == 2 else inside[:, :, None], pixels, usual)


def _warnings(light_on_dark: bool, contrast: float) -> tuple[str, ...]:
    warnings = []
    if light_on_dark:
        warnings.append("light ink on dark paper")
    if contrast < VERY_FAINT:
        warnings.append("very faint")

    return tuple(warnings)


def is_light_on_dark(grey: Plane) -> bool:
    """Tell whether the ink is lighter than its paper, by three votes.

    What differs most from its surroundings is ink: the third moment votes, where edges are sharp,
    so that soft shadows have no vote. Where the picture has just two tones, its border and most of
    it are paper.

    Args:
        grey: (H, W) uint8; an overview suffices.
    """
    side = max(3, min(grey.shape) // 2) | 1
    deviations = np.where(_sharp(_contrast(grey)), grey - _median(grey, side), np.float32(0))
    cubes = deviations**3
    stands_out = float(cubes.sum()) / max(1.0, float(np.abs(cubes).sum()))

    _, binary = cv2.threshold(grey, 0, 1, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    border = np.concatenate([binary[0], binary[-1], binary[1:-1, 0], binary[1:-1, -1]])
    two_tones = min(1.0, max(0.0, (_separability(grey, binary > 0) - 0.7) / 0.2))
    vote_of_border = two_tones * float(2 * border.mean() - 1)
    vote_of_most = two_tones * float(2 * binary.mean() - 1)
    return stands_out - vote_of_border - vote_of_most > 0


def _range(grey: Plane) -> tuple[Floats, Floats]:
    """Return the lightest and darkest of the 3x3 pixels around each pixel."""
    lightest, darkest = level_range(grey, 3)
    return lightest.astype(np.float32), darkest.astype(np.float32)


def _contrast(grey: Plane) -> Floats:
    return steps(grey, 3).astype(np.float32)


def _median(grey: Plane, side: int) -> Floats:
    """Filter by the median, mirrored at the border: a strip of table at the border stays there."""
    height, width = grey.shape
    margin = min(side // 2, height, width)
    mirrored = cv2.copyMakeBorder(grey, margin, margin, margin, margin, cv2.BORDER_REFLECT)
    filtered = as_plane(cv2.medianBlur(mirrored, side))
    return filtered[margin : margin + height, margin : margin + width].astype(np.float32)


def _separability(grey: Plane, light: Mask) -> float:
    """Return the share of the variance that is between the two classes.

    It is about 0.64 for one bell curve, and 1 for two pure tones.
    """
    share = float(light.mean())
    if share in (0.0, 1.0):
        return 0.0

    difference = float(grey[light].mean()) - float(grey[~light].mean())
    between = share * (1 - share) * difference**2
    return between / max(float(grey.var()), 1e-6)


def _rough_in_any_light(grey: Plane) -> Mask:
    """Return the rough mask, with a shadow removed.

    A shadow is a soft region in it, thicker than any stroke, which leaves the picture.
    """
    rough = rough_mask(grey)
    side = max(1, round(THICKEST * min(grey.shape)))
    density = cv2.blur(rough.astype(np.float32), (side, side), borderType=cv2.BORDER_REFLECT)
    covered = density > SOLID
    leaves = covered[[0, -1]].any() or covered[:, [0, -1]].any()
    if not leaves or _ends_sharply(covered, grey):
        return rough

    light = cv2.morphologyEx(_without_grain(grey), cv2.MORPH_CLOSE, rectangle(side, side))
    return rough_mask(as_plane(cv2.divide(grey, light, scale=DIVIDED)))


def _ends_sharply(covered: Mask, grey: Plane) -> bool:
    """Tell whether a dark region ends within few pixels, as a table does; a shadow ends slowly."""
    dark = float(np.median(grey[covered]))
    paper = float(np.percentile(grey, 90))
    _, labels = label_components(grey < (dark + paper) / 2, connectivity=4)
    region = np.isin(labels, np.unique(labels[covered & (labels > 0)]))
    edge = region & dilate(~region, 3)
    if not edge.any():
        return True

    is_steep = steps(grey, 7)[edge] > 0.5 * (paper - dark)
    return float(is_steep.mean()) > 0.5


def rough_mask(grey: Plane) -> Mask:
    """Find dark strokes in any light.

    They are darker than a surface drawn through the middles of all sharp edges, and have sharp
    edges around them. Soft shadows have no sharp edges, so the surface follows them; strokes of any
    width have. Source: Yanowitz and Bruckstein 1989, "A new method for image segmentation", with
    3x3 ranges for gradients.

    Args:
        grey: (H, W) uint8.
    """
    grey = _without_grain(grey)
    lightest, darkest = _range(grey)
    contrast = lightest - darkest
    sharp = _sharp(contrast)
    if not sharp.any():
        return np.zeros(grey.shape, np.bool_)

    weights = np.where(sharp, contrast**2, np.float32(0))
    surface = _interpolated((lightest + darkest) * np.float32(0.5), weights)
    return _validated(grey < surface, sharp)


def _without_grain(grey: Plane) -> Plane:
    """Blur as far as the grain asks for, which is not at all on clean paper."""
    for _ in range(2):
        contrast = _contrast(grey)
        if float(np.median(contrast)) < MUCH_GRAIN * float(contrast.max()):
            break
        grey = as_plane(cv2.GaussianBlur(grey, (0, 0), 1))

    return grey


def _sharp(contrast: Floats) -> Mask:
    """Tell where the grey changes more, within 3 px, than the paper's grain does."""
    grain = float(np.median(contrast))
    strongest = float(contrast.max())
    return contrast > max(2 * FAINTEST, 0.15 * strongest, min(3 * grain, 0.3 * strongest))


def _interpolated(values: Floats, weights: Floats) -> Floats:
    """Fill the plane from weighted values: each place by the finest scale that has values near it.

    This is pull-push interpolation on an image pyramid.
    """
    pyramid = [(values * weights, weights)]
    while len(pyramid) <= PYRAMID_LEVELS and min(pyramid[-1][1].shape) >= 2:
        total, weight = (np.asarray(cv2.pyrDown(level), np.float32) for level in pyramid[-1])
        pyramid.append((total, weight))

    total, weight = pyramid[-1]
    filled = np.full_like(total, float(total.sum()) / max(float(weight.sum()), 1e-12))
    strong = float(weights.max()) * 0.02
    for total, weight in reversed(pyramid):
        size = weight.shape[1], weight.shape[0]
        resized = cv2.resize(filled, size, interpolation=cv2.INTER_LINEAR)
        filled = np.asarray(resized, np.float32)
        trust = weight / (weight + strong)
        mixed = trust * total / np.maximum(weight, 1e-12) + (1 - trust) * filled
        filled = np.where(weight > 0, mixed, filled)

    return filled


def _validated(mask: Mask, sharp: Mask) -> Mask:
    """Keep what is at sharp edges, and the insides of thick strokes, which such strips surround.

    Nothing surrounds a shadow.
    """
    strips = mask & dilate(sharp, 5)
    insides = mask & ~strips
    count, labels = label_components(insides, connectivity=4)
    rim = rim_of(insides)
    lengths = np.bincount(labels[rim], minlength=count)
    surrounded = np.bincount(labels[rim & dilate(strips, 3)], minlength=count)
    keep = surrounded > SURROUNDED * np.maximum(lengths, 1)
    keep[0] = False
    return strips | keep[labels]


def _paper(overview: Plane, rough: Mask) -> Floats:
    """Return the paper's colour under the light that falls on it, everywhere, ink included.

    Args:
        overview: (h, w) or (h, w, 3).
        rough: (h, w), the strokes, around which the paper is looked at.
    """
    blank = ~dilate(rough, 5)
    if not blank.any():
        blank = ~rough
    if not blank.any():
        return np.full(overview.shape, 255, np.float32)

    reach = 2 * round(SOFT_EDGE * max(rough.shape)) + 1  # of the soft edge of a stroke
    far = ~dilate(rough, reach)
    colours = overview[far if far.any() else blank].astype(np.float32)
    usual = np.median(colours, axis=0)
    if float(np.abs(colours - usual).mean()) <= CLEAN:
        return np.broadcast_to(usual.astype(np.float32), overview.shape)

    weights = blank.astype(np.float32)
    smooth = [
        cv2.GaussianBlur(_interpolated(channel.astype(np.float32), weights), (0, 0), 2)
        for channel in cv2.split(overview)
    ]
    return np.asarray(smooth[0] if overview.ndim == 2 else cv2.merge(smooth), np.float32)


def _strength(pixels: Plane, paper: Floats, rough: Mask) -> Plane:
    """Return dark ink, 255 x (1 - pixel / paper), in the colour that shows it best."""
    if paper.strides[0] == 0:  # one colour, broadcast
        full = np.full_like(pixels, paper[0, 0].astype(np.uint8))
    else:
        size = pixels.shape[1], pixels.shape[0]
        levels = np.rint(paper).astype(np.uint8)
        full = as_plane(cv2.resize(levels, size, interpolation=cv2.INTER_LINEAR))

    channels = as_plane(cv2.bitwise_not(cv2.divide(pixels, full, scale=255)))
    if channels.ndim == 2:
        return channels

    inked = channels[fit_mask(rough, channels.shape)]
    weights = inked.mean(axis=0) if len(inked) else np.ones(3)
    weights = weights / max(float(weights.sum()), 1e-9)
    return as_plane(cv2.transform(channels, weights[None].astype(np.float32)))


def _connected(strength: Plane, weak: float, strong: float) -> Mask:
    """Return everything above weak that is connected with something above strong (hysteresis)."""
    count, labels = label_components(strength > weak)
    keep = np.zeros(count, np.bool_)
    keep[labels[strength > strong]] = True
    keep[0] = False
    return keep[labels]


def _table(mask: Mask) -> Mask | None:
    """Return the table beside the sheet, which is along the picture's border, with its crumbs.

    None if nothing else is in the picture.
    """
    labels, stats = find_components(mask)
    height, width = mask.shape
    left, top, wide, high = stats[:, : cv2.CC_STAT_AREA].T
    right = left + wide
    bottom = top + high
    at_border = (left == 0) | (top == 0) | (right == width) | (bottom == height)
    at_border[0] = False

    along = np.zeros(len(stats), np.bool_)
    for label in np.nonzero(at_border)[0]:
        own = labels[top[label] : bottom[label], left[label] : right[label]] == label
        on_border = _pixels_on_border(own, int(left[label]), int(top[label]), mask.shape)
        along[label] = on_border / outline_length(own) > ALONG_BORDER

    if max(mask.shape) <= CLOSE_UP:
        along &= np.isin(np.arange(len(stats)), labels[[0, 0, -1, -1], [0, -1, 0, -1]])
    if not along.any():
        return None

    reach = 2 * round(CRUMBS * max(mask.shape)) + 1
    near = np.unique(labels[dilate(along[labels], reach) & mask])
    along[near[at_border[near]]] = True
    along[0] = False
    rest = np.maximum(wide, high)[~along][1:]
    if rest.size and rest.max() >= SMALLEST_WRITING * max(mask.shape):
        return along[labels]

    return None


def _pixels_on_border(own: Mask, left: int, top: int, shape: tuple[int, ...]) -> int:
    """Count a component's pixels on the picture's border, corners twice.

    Args:
        own: the component's mask in its bounding box,
        left: whose left edge
        top: and upper edge these are.
        shape: of the picture.
    """
    height, width = own.shape
    sides = [
        (left == 0, own[:, 0]),
        (top == 0, own[0]),
        (left + width == shape[1], own[:, -1]),
        (top + height == shape[0], own[-1]),
    ]
    return sum(int(edge.sum()) for touches, edge in sides if touches)


def _levels(strength: Plane, near_ink: Mask) -> tuple[float, float]:
    """Return the standard deviation of the paper's grain and the strength of full ink.

    Both are in grey levels; full ink is 0 without any.
    """
    noise = 0.0
    paper = strength[::3, ::3][~near_ink[::3, ::3]]
    if paper.size:  # what is lighter than paper has been cut to 0
        noise = float(np.percentile(paper, 84))

    inked = strength[near_ink & (strength > max(FAINTEST, 3 * noise))]
    if inked.size < 3:
        return noise, 0.0

    otsu, _ = cv2.threshold(inked.reshape(-1, 1), 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    return noise, float(np.percentile(inked[inked >= otsu], 75))
