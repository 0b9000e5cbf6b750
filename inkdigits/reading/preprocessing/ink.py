"""From pixels to ink: which pixels a pen has touched, and how strongly.

Takes upright 8-bit pixels, grey or colour, of any brightness and polarity; returns paper 0 to full ink 255, the greys of the
stroke's edge kept. Knows paper, light and pens; knows nothing of digits.
"""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from inkdigits.core.digits import Mask, Plane
from inkdigits.reading.preprocessing.sheet import find_sheet, steps

Floats = NDArray[np.float32]

OVERVIEW_SIDE = 512  # pixels; paper and light are judged on a picture reduced to this
POLARITY_SIDE = 256  # pixels; and whether the ink is dark or light, on one reduced to this
COLOUR_SIDE = 128  # pixels; and which colour shows the ink, on one reduced to this
TELLING = 3.0  # times the range of brightness that a colour must range
FAINTEST = 8.0  # grey levels of 255 by which ink must differ from its paper to be seen at all
WEAK = 50.0  # levels of strength, 255 is full ink: the edge of a stroke, and a stroke where the pen hardly wrote,
STRONG = 120.0  # belong to what somewhere is this strong
ALONG_BORDER = 0.3  # of its outline on the picture's border: more than any digit that a border cuts
CLOSE_UP = 200  # pixels; a picture so small may show a digit that fills it; a table would have a corner there
CRUMBS = 0.02  # of the picture's side: what touches the border so close to the table is more of it
SMALLEST_WRITING = 0.02  # of the picture's side
VERY_FAINT = 0.15  # contrast, below which users are told
MUCH_GRAIN = 0.12  # of the strongest contrast; from there on the grain is blurred before edges are looked for
SURROUNDED = 0.7  # of the outline of a thick stroke's inside
THICKEST = 0.3  # of the picture's shorter side; nobody's strokes are thicker
SOLID = 0.8  # of such a square must be ink; squared paper leaves holes
DIVIDED = 240  # grey level of paper after its light was divided out
SOFT_EDGE = 0.04  # of the picture's side; no stroke fades into the paper over a longer way
CLEAN = (
    1.5  # grey levels; paper that varies less is taken as flat, and its greys are left as they are
)


@dataclass(frozen=True)
class Ink:
    """What the pen left.

    strength: (H, W) uint8, paper 0 to the strongest ink 255. mask: (H, W) bool, the strokes.
    contrast: ink against paper, 0-1. noise: standard deviation of the paper's grain, in levels of strength.
    light_on_dark: whether the ink is the lighter of the two. outside: (H, W) bool, what is not the sheet; None where all of it is.
    """

    strength: Plane
    mask: Mask
    contrast: float
    noise: float
    light_on_dark: bool
    warnings: tuple[str, ...] = ()
    outside: Mask | None = None


def find_ink(pixels: Plane) -> Ink:
    """Separate ink from paper. pixels: (H, W) grey or (H, W, 3) colour, uint8, upright. Blank paper gives an empty mask."""
    pixels = _in_telling_colour(pixels)
    overview = overview_of(pixels, OVERVIEW_SIDE)
    sheet = find_sheet(overview_of(grey_of(overview), POLARITY_SIDE))
    outside = None
    if sheet is not None:
        pixels, overview, outside = (
            _on_sheet(pixels, sheet),
            _on_sheet(overview, sheet),
            ~_enlarged(sheet, pixels.shape),
        )
    light_on_dark = is_light_on_dark(overview_of(grey_of(overview), POLARITY_SIDE))
    if light_on_dark:
        pixels, overview = _plane(cv2.bitwise_not(pixels)), _plane(cv2.bitwise_not(overview))
    rough = _rough_in_any_light(grey_of(overview))
    strength = _strength(pixels, _paper(overview, rough), rough)
    table = _table(rough)
    if table is not None:
        rough &= ~table
        strength[_enlarged(_dilated(table, 7), strength.shape)] = 0
    near_ink = _enlarged(_dilated(rough, 5), strength.shape)
    if outside is not None:
        near_ink &= ~outside
    noise, peak = _levels(strength, near_ink)
    if peak < max(FAINTEST, 5 * noise):
        return Ink(
            np.zeros_like(strength), np.zeros(strength.shape, np.bool_), 0.0, 0.0, light_on_dark
        )
    strength = _plane(cv2.convertScaleAbs(strength, alpha=255 / peak))
    noise *= 255 / peak
    mask = _connected(strength, max(WEAK, 3 * noise), max(STRONG, 5 * noise)) & near_ink
    return Ink(
        strength,
        mask,
        peak / 255,
        noise,
        light_on_dark,
        _warnings(light_on_dark, peak / 255),
        outside,
    )


def find_ink_in_few_pixels(pixels: Plane) -> Ink:
    """Separate ink from paper in a picture of so few pixels that a stroke is none or two of them wide, and so is its edge.

    There, whatever is darker than the paper is ink, however weak, and nothing can be known of light and grain.
    pixels: as for `find_ink`, enlarged smoothly.
    """
    grey = grey_of(_in_telling_colour(pixels))
    light_on_dark = is_light_on_dark(overview_of(grey, POLARITY_SIDE))
    if light_on_dark:
        grey = _plane(cv2.bitwise_not(grey))
    paper, darkest = (float(level) for level in np.percentile(grey, (90, 2)))
    contrast = (paper - darkest) / max(paper, 1.0)
    if paper - darkest < FAINTEST:
        return Ink(np.zeros_like(grey), np.zeros(grey.shape, np.bool_), 0.0, 0.0, light_on_dark)
    strength = np.clip(
        (paper - grey.astype(np.float32)) * (255 / (paper - darkest)), 0, 255
    ).astype(np.uint8)
    mask = _connected(strength, WEAK, STRONG)
    return Ink(strength, mask, contrast, 0.0, light_on_dark, _warnings(light_on_dark, contrast))


def _in_telling_colour(pixels: Plane) -> Plane:
    """The picture, or one of its colours alone where that shows far more than brightness does: a red pen on green paper."""
    if pixels.ndim == 2:
        return pixels
    small = overview_of(pixels, COLOUR_SIDE)
    ranges = [int(np.ptp(plane)) for plane in (grey_of(small), *cv2.split(small))]
    best = int(np.argmax(ranges[1:]))
    return (
        np.ascontiguousarray(pixels[:, :, best])
        if ranges[1 + best] > TELLING * max(FAINTEST, ranges[0])
        else pixels
    )


def _on_sheet(pixels: Plane, sheet: Mask) -> Plane:
    """The picture with all that is not the sheet replaced by the sheet's usual colour."""
    inside = _enlarged(sheet, pixels.shape)
    usual = np.median(pixels[inside][::16], axis=0).astype(np.uint8)
    return np.where(inside if pixels.ndim == 2 else inside[:, :, None], pixels, usual)


def _warnings(light_on_dark: bool, contrast: float) -> tuple[str, ...]:
    light = ("light ink on dark paper",) if light_on_dark else ()
    return light + (("very faint",) if contrast < VERY_FAINT else ())


def is_light_on_dark(grey: Plane) -> bool:
    """Whether the ink is lighter than its paper, by three votes.

    What differs most from its surroundings is ink (the third moment, where edges are sharp: soft shadows have no vote); and where
    the picture has just two tones, its border and most of it are paper. grey: (H, W) uint8, an overview suffices.
    """
    lightest, darkest = _range(grey)
    side = max(3, min(grey.shape) // 2) | 1
    cubes = (
        np.where(_sharp(lightest - darkest), grey - _median(grey, side).astype(np.float32), 0) ** 3
    )
    stands_out = float(cubes.sum()) / max(1.0, float(np.abs(cubes).sum()))
    _, binary = cv2.threshold(grey, 0, 1, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    border = np.concatenate([binary[0], binary[-1], binary[1:-1, 0], binary[1:-1, -1]])
    two_tones = min(1.0, max(0.0, (_separability(grey, _plane(binary)) - 0.7) / 0.2))
    return (
        stands_out
        - two_tones * float(2 * border.mean() - 1)
        - two_tones * float(2 * binary.mean() - 1)
        > 0
    )


def _range(grey: Plane) -> tuple[Floats, Floats]:
    """(lightest, darkest) of the 3x3 pixels around each."""
    element = np.ones((3, 3), np.uint8)
    return cv2.dilate(grey, element).astype(np.float32), cv2.erode(grey, element).astype(np.float32)


def _median(grey: Plane, side: int) -> Plane:
    """Median filter that mirrors at the border: a strip of table beside the sheet stays a strip there."""
    height, width = grey.shape
    margin = min(side // 2, height, width)
    mirrored = cv2.copyMakeBorder(grey, margin, margin, margin, margin, cv2.BORDER_REFLECT)
    return _plane(cv2.medianBlur(mirrored, side))[margin : margin + height, margin : margin + width]


def _separability(grey: Plane, binary: Plane) -> float:
    """Share of the variance that lies between the two classes: about 0.64 for one bell curve, 1 for two pure tones."""
    share = float(binary.mean())
    if share in (0.0, 1.0):
        return 0.0
    between = (
        share
        * (1 - share)
        * (float(grey[binary > 0].mean()) - float(grey[binary == 0].mean())) ** 2
    )
    return between / max(float(grey.var()), 1e-6)


def _rough_in_any_light(grey: Plane) -> Mask:
    """The rough mask; where that has a soft region, thicker than any stroke, which leaves the picture, look through the shadow."""
    rough = rough_mask(grey)
    side = max(1, round(THICKEST * min(grey.shape)))
    covered = (
        cv2.blur(rough.astype(np.float32), (side, side), borderType=cv2.BORDER_REFLECT) > SOLID
    )
    leaves = covered[0].any() or covered[-1].any() or covered[:, 0].any() or covered[:, -1].any()
    if not leaves or _ends_sharply(covered, grey):
        return rough
    light = cv2.morphologyEx(_without_grain(grey), cv2.MORPH_CLOSE, np.ones((side, side), np.uint8))
    return rough_mask(_plane(cv2.divide(grey, light, scale=DIVIDED)))


def _ends_sharply(covered: Mask, grey: Plane) -> bool:
    """Whether the grey falls within few pixels around a dark region, as at a table's edge; in a shadow it does so slowly."""
    dark, paper = float(np.median(grey[covered])), float(np.percentile(grey, 90))
    _, labels = cv2.connectedComponents((grey < (dark + paper) / 2).view(np.uint8), connectivity=4)
    region = np.isin(labels, np.unique(labels[covered & (labels > 0)]))
    edge = region & _dilated(~region, 3)
    return not edge.any() or float((steps(grey, 7)[edge] > 0.5 * (paper - dark)).mean()) > 0.5


def rough_mask(grey: Plane) -> Mask:
    """Dark strokes whatever the light: darker than a surface drawn through the middles of all sharp edges, with sharp edges around.

    Soft shadows have no sharp edges, so the surface follows them; strokes of any width have.
    Source: Yanowitz and Bruckstein 1989, "A new method for image segmentation", with 3x3 ranges for gradients.
    """
    grey = _without_grain(grey)
    lightest, darkest = _range(grey)
    contrast = lightest - darkest
    sharp = _sharp(contrast)
    if not sharp.any():
        return np.zeros(grey.shape, np.bool_)
    weights = np.where(sharp, contrast**2, np.float32(0))
    below = grey < _interpolated((lightest + darkest) * np.float32(0.5), weights, levels=7)
    return _validated(below, sharp)


def _without_grain(grey: Plane) -> Plane:
    """Blurred as far as the grain asks for, which is not at all on clean paper."""
    for _ in range(2):
        lightest, darkest = _range(grey)
        grain, strongest = float(np.median(lightest - darkest)), float((lightest - darkest).max())
        if grain < MUCH_GRAIN * strongest:
            break
        grey = _plane(cv2.GaussianBlur(grey, (0, 0), 1))
    return grey


def _sharp(contrast: Floats) -> Mask:
    """Where the grey changes more, within 3 px, than the paper's grain does."""
    grain, strongest = float(np.median(contrast)), float(contrast.max())
    return contrast > max(2 * FAINTEST, 0.15 * strongest, min(3 * grain, 0.3 * strongest))


def _interpolated(values: Floats, weights: Floats, levels: int) -> Floats:
    """Fill the plane from weighted values: each place by the finest scale that has values near it (pull, then push)."""
    products = [(values * weights, weights)]
    while len(products) <= levels and min(products[-1][1].shape) >= 2:
        total, weight = products[-1]
        products.append(
            (
                np.asarray(cv2.pyrDown(total), np.float32),
                np.asarray(cv2.pyrDown(weight), np.float32),
            )
        )
    total, weight = products[-1]
    filled = np.full_like(total, float(total.sum()) / max(float(weight.sum()), 1e-12))
    strong = float(weights.max()) * 0.02
    for total, weight in reversed(products):
        filled = np.asarray(
            cv2.resize(filled, (weight.shape[1], weight.shape[0]), interpolation=cv2.INTER_LINEAR),
            np.float32,
        )
        trust = weight / (weight + strong)
        filled = np.where(
            weight > 0, trust * total / np.maximum(weight, 1e-12) + (1 - trust) * filled, filled
        )
    return filled


def _validated(mask: Mask, sharp: Mask) -> Mask:
    """Keep what lies at sharp edges, and the insides of thick strokes, which such strips surround; nothing surrounds a shadow."""
    strips = mask & _dilated(sharp, 5)
    insides = mask & ~strips
    count, labels = cv2.connectedComponents(insides.view(np.uint8), connectivity=4)
    rim = insides & (
        cv2.erode(
            insides.view(np.uint8),
            np.ones((3, 3), np.uint8),
            borderType=cv2.BORDER_CONSTANT,
            borderValue=1,
        )
        == 0
    )
    surrounded = rim & _dilated(strips, 3)
    lengths = np.bincount(labels[rim], minlength=count)
    keep = np.bincount(labels[surrounded], minlength=count) > SURROUNDED * np.maximum(lengths, 1)
    keep[0] = False
    return strips | keep[labels]


def _paper(overview: Plane, rough: Mask) -> Floats:
    """The paper's colour everywhere, ink and light included: (h, w) or (h, w, 3), from what lies around the strokes."""
    blank = ~_dilated(rough, 5)
    if not blank.any():
        blank = ~rough
    if not blank.any():
        return np.full(overview.shape, 255, np.float32)
    far = ~_dilated(
        rough, 2 * round(SOFT_EDGE * max(rough.shape)) + 1
    )  # where no soft edge of a stroke reaches
    colours = overview[far if far.any() else blank].astype(np.float32)
    usual = np.median(colours, axis=0)
    if float(np.abs(colours - usual).mean()) <= CLEAN:
        return np.broadcast_to(usual.astype(np.float32), overview.shape)
    weights = blank.astype(np.float32)
    channels = [overview] if overview.ndim == 2 else list(cv2.split(overview))
    smooth = [
        cv2.GaussianBlur(_interpolated(c.astype(np.float32), weights, levels=7), (0, 0), 2)
        for c in channels
    ]
    return np.asarray(smooth[0] if overview.ndim == 2 else cv2.merge(smooth), np.float32)


def _strength(pixels: Plane, paper: Floats, rough: Mask) -> Plane:
    """Ink, 255 x (1 - pixel / paper), in the colour that shows it best; dark ink on light paper comes in."""
    if paper.strides[0] == 0:  # one colour, broadcast
        full = np.full_like(pixels, paper[0, 0].astype(np.uint8))
    else:
        size = pixels.shape[1], pixels.shape[0]
        full = _plane(
            cv2.resize(np.rint(paper).astype(np.uint8), size, interpolation=cv2.INTER_LINEAR)
        )
    channels = _plane(cv2.bitwise_not(cv2.divide(pixels, full, scale=255)))
    if channels.ndim == 2:
        return channels
    inked = channels[_enlarged(rough, channels.shape)]
    weights = inked.mean(axis=0) if len(inked) else np.ones(3)
    weights = weights / max(float(weights.sum()), 1e-9)
    return _plane(cv2.transform(channels, weights[None].astype(np.float32)))


def _connected(strength: Plane, weak: float, strong: float) -> Mask:
    """Everything above weak that hangs together with something above strong."""
    faint = (strength > weak).view(np.uint8)
    count, labels = cv2.connectedComponents(faint, connectivity=8)
    keep = np.zeros(count, np.bool_)
    keep[labels[strength > strong]] = True
    keep[0] = False
    return keep[labels]


def _table(mask: Mask) -> Mask | None:
    """What lies along the picture's border, with its crumbs: the table beside the sheet. None where that is all there is."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask.view(np.uint8), connectivity=8)
    height, width = mask.shape
    left, top, wide, high = stats[:, : cv2.CC_STAT_AREA].T
    at_border = (left == 0) | (top == 0) | (left + wide == width) | (top + high == height)
    at_border[0] = False
    along = np.zeros(count, np.bool_)
    for label in np.nonzero(at_border)[0]:
        x, y, right, bottom = (
            left[label],
            top[label],
            left[label] + wide[label],
            top[label] + high[label],
        )
        along[label] = (
            _contact(labels[y:bottom, x:right] == label, (int(x), int(y)), mask.shape)
            > ALONG_BORDER
        )
    if max(mask.shape) <= CLOSE_UP:
        along &= np.isin(np.arange(count), labels[[0, 0, -1, -1], [0, -1, 0, -1]])
    if not along.any():
        return None
    reach = 2 * round(CRUMBS * max(mask.shape)) + 1
    near = np.unique(labels[_dilated(along[labels], reach) & mask])
    along[near[at_border[near]]] = True
    along[0] = False
    rest = np.maximum(wide, high)[~along][1:]
    return along[labels] if rest.size and rest.max() >= SMALLEST_WRITING * max(mask.shape) else None


def _contact(own: Mask, corner: tuple[int, int], shape: tuple[int, ...]) -> float:
    """Share of a component's outline that lies on the picture's border. corner: left and upper edge of its box."""
    (left, top), (height, width) = corner, own.shape
    sides = (
        (left == 0, own[:, 0]),
        (top == 0, own[0]),
        (left + width == shape[1], own[:, -1]),
        (top + height == shape[0], own[-1]),
    )
    touching = sum(int(edge.sum()) for touches, edge in sides if touches)
    contours, _ = cv2.findContours(own.view(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    return touching / max(1, sum(len(contour) for contour in contours))


def _levels(strength: Plane, near_ink: Mask) -> tuple[float, float]:
    """(standard deviation of the paper's grain, strength of full ink), in grey levels; (0, 0) where there is no ink."""
    paper = strength[::3, ::3][~near_ink[::3, ::3]]
    noise = (
        float(np.percentile(paper, 84)) if paper.size else 0.0
    )  # what is lighter than paper has been cut to 0
    inked = strength[near_ink & (strength > max(FAINTEST, 3 * noise))]
    if inked.size < 3:
        return noise, 0.0
    otsu, _ = cv2.threshold(inked.reshape(-1, 1), 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    return noise, float(np.percentile(inked[inked >= otsu], 75))


def overview_of(pixels: Plane, side: int) -> Plane:
    """The picture, reduced by area where its longer side is more than `side` pixels."""
    height, width = pixels.shape[:2]
    scale = side / max(height, width)
    if scale >= 1:
        return pixels
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return _plane(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA))


def _enlarged(mask: Mask, shape: tuple[int, ...]) -> Mask:
    if mask.shape == shape[:2]:
        return mask
    return (
        cv2.resize(mask.view(np.uint8), (shape[1], shape[0]), interpolation=cv2.INTER_NEAREST) > 0
    )


def grey_of(pixels: Plane) -> Plane:
    """(H, W) uint8, of (H, W) or (H, W, 3)."""
    return pixels if pixels.ndim == 2 else _plane(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY))


def _dilated(mask: Mask, side: int) -> Mask:
    return cv2.dilate(mask.view(np.uint8), np.ones((side, side), np.uint8)) > 0


def _plane(image: NDArray[Any]) -> Plane:
    """What OpenCV returns for uint8, with its type told."""
    return np.asarray(image, np.uint8)
