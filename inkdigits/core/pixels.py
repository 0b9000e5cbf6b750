"""Arrays as users have them come in: tensors, tables, floats, batches. uint8 pixels go out.

What an array means is decided here and nowhere else: which axes are rows, columns, colours and
pictures, and in which range its numbers are. What may mean two things is refused, in a sentence
that says how to say which one is meant.
"""

import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inkdigits.core.digits import PIXELS, SIDE, Mask, Pixels
from inkdigits.core.errors import BadValue
from inkdigits.core.tables import LABEL_NAMES

Numbers = NDArray[Any]

GREY = 1
COLOURS = (3, 4)  # red, green, blue, and how opaque
HALF_A_LEVEL = 0.5 / 255  # by which rounding may leave a range
# The lightest pixel of 756 real pictures (docs/handwriting.md) has a level of 54 or more,
# and of each of MNIST's 70,000 digits 254: what stays below 32 is not in the range 0 to 255.
LEAST_LIGHT = 32
MOST_DEVIATIONS = 10  # beyond it, numbers below 0 are hardly those of a normalised picture
# The share of an image's border that is light if its paper is. Of MNIST's 70,000 digits, light on
# dark, none has more than 4 %.
LIGHT_BORDER = 0.9
HIGHEST = 65_535  # of 16 bits
LEVEL = HIGHEST / 255  # of 16 bits in 8


def is_frame(source: object) -> bool:
    """Tell whether something is a table with named columns, such as a pandas DataFrame."""
    return hasattr(source, "columns") and hasattr(source, "to_numpy")


def to_array(source: Any) -> Numbers:
    """Return what somebody has as a NumPy array of plain numbers.

    Args:
        source: an array, a torch tensor on any device, with a gradient or not, nested lists, or
            anything else that NumPy takes for an array.

    Raises:
        BadValue: it holds something else than numbers, or rows of several lengths.
    """
    torch = sys.modules.get("torch")  # where nobody has loaded it, nobody has a tensor
    if torch and isinstance(source, torch.Tensor):
        source = source.detach().cpu()
        source = (source.float() if source.is_floating_point() else source).numpy()

    try:
        array = np.asarray(source)
    except Exception:  # rows of several lengths; other libraries raise what they like
        raise BadValue(f"a {type(source).__name__} is no array of numbers") from None

    if array.dtype.kind in "US":
        raise BadValue(f"a {type(source).__name__} of names is no picture: say read_many(x)")
    if array.dtype.kind not in "buif":
        raise BadValue(
            f"a {type(source).__name__} of shape {array.shape} and type {array.dtype.name} is no "
            "picture; expected numbers"
        )

    return array


# ---- ranges


def to_uint8(array: Numbers, *, has_full_range: bool = False) -> Pixels:
    """Bring numbers to 0-255, by the range that they are evidently in.

    They are never stretched by their minimum or maximum. The ranges are 0 or 1, as in a mask; 0 to
    255; 0 to 65,535; and of floats also 0 to 1 and -1 to 1.

    Args:
        array: plain numbers of any shape.
        has_full_range: whether they may be dark in their range, as those of a file may be whose
            format says what white is.

    Returns:
        The same shape.

    Raises:
        BadValue: the numbers are not finite, or may be in several ranges or in none.
    """
    is_float = array.dtype.kind == "f"
    if is_float:
        _refuse_infinite(array)
    if array.size == 0:
        return array.astype(np.uint8)

    high = float(array.max())
    if array.dtype == np.uint8 and high > 1:
        return np.ascontiguousarray(array)

    low = float(array.min())
    if is_float and high <= 1 + HALF_A_LEVEL:
        levels = _levels_of_fractions(array, low)
    elif low >= 0 and high <= 1:
        levels = array * np.uint8(255)
    else:
        _refuse_unclear_range(low, high, has_full_range)
        levels = array / LEVEL if high > 255.5 else array

    return np.rint(levels).clip(0, 255).astype(np.uint8)


def _refuse_infinite(array: Numbers) -> None:
    """Refuse floats that are infinite or not a number."""
    if not np.isfinite(array).all():
        raise BadValue("the picture holds values that are not numbers (NaN or infinity)")


def _levels_of_fractions(array: Numbers, low: float) -> Numbers:
    """Return the levels, 0 to 255, of floats in 0 to 1 or in -1 to 1, the lowest of which is known.

    Raises:
        BadValue: they are in neither.
    """
    if low >= -HALF_A_LEVEL:
        return array * 255
    if -1 - HALF_A_LEVEL <= low <= -0.5:
        return (array + 1) * 127.5

    found = f"the picture holds values from {low:g} to {array.max():g}"
    if low < -1:
        raise BadValue(f"{found}; expected 0-1, -1-1, 0-255 or 0-65535")
    raise BadValue(f"{found}; if 0-1 is meant, clip them: np.clip(x, 0, 1)")


def _refuse_unclear_range(low: float, high: float, has_full_range: bool) -> None:
    """Refuse numbers that are neither clearly in 0 to 255 nor in 0 to 65,535."""
    found = f"the picture holds values from {low:g} to {high:g}"
    if -0.5 < low < 0 and high < 1.5:  # a resampling filter went beyond the range
        raise BadValue(f"{found}; if 0-1 is meant, clip them: np.clip(x, 0, 1)")
    if -MOST_DEVIATIONS < low < 0 and high < MOST_DEVIATIONS:
        raise BadValue(
            f"{found}; expected 0-1, -1-1, 0-255 or 0-65535. Undo what was done to them, such as "
            "x * 0.3081 + 0.1307 for digits normalised as MNIST's often are"
        )
    if low < -0.5 or high > HIGHEST:
        raise BadValue(f"{found}; expected 0-1, -1-1, 0-255 or 0-65535")

    white = 255 if high <= 255.5 else HIGHEST
    if high < LEAST_LIGHT * white / 255 and not has_full_range:
        raise BadValue(
            f"{found}, which is dark in 0-{white} and not in 0-1: divide by what is white, as in "
            f"x / {high:g}, or give uint8 if they are levels"
        )


# ---- shapes


def to_picture(array: Numbers) -> Numbers:
    """Return the one picture in an array as (H, W), (H, W, 3) or (H, W, 4).

    Args:
        array: that, or (H, W, 1), (3, H, W), or any of these behind axes of length 1.

    Raises:
        BadValue: it is several pictures, or may be, or none.
    """
    shape = array.shape
    while array.ndim > 2 and array.shape[0] == 1:
        array = array[0]
    if array.ndim == 3 and array.shape[-1] == GREY:
        array = array[:, :, 0]

    if array.ndim == 2:
        return array

    if array.ndim == 3:
        _refuse_unclear_colours(array.shape, shape)
        if array.shape[2] in COLOURS:
            return array
        if array.shape[0] == COLOURS[0]:
            return np.moveaxis(array, 0, 2)

    count = f"{shape[0]:,} pictures: say read_many(x)" if array.ndim in (3, 4) else "no picture"
    raise BadValue(
        f"an array of shape {shape} is {count}; one picture is (H, W), (H, W, 3), (H, W, 4) or "
        "(3, H, W)"
    )


def _refuse_unclear_colours(axes: tuple[int, ...], shape: tuple[int, ...]) -> None:
    """Refuse three axes that may be three pictures as well as one in colour."""
    is_first = axes[0] == COLOURS[0]
    if is_first and (axes[2] in COLOURS or axes[1:] == (SIDE, SIDE)):
        raise BadValue(
            f"an array of shape {shape} may be three pictures or one in colour: say "
            "read_many(x) for three, or read(np.moveaxis(x, 0, 2)) if colours come first"
        )


def to_pictures(array: Numbers) -> Numbers:
    """Return the pictures in an array as (N, H, W), (N, H, W, 3) or (N, H, W, 4).

    Args:
        array: that, or (N, H, W, 1), (N, 1, H, W) or (N, 3, H, W).

    Raises:
        BadValue: it is one picture, or none.
    """
    shape = array.shape
    if array.ndim == 4:
        is_last = shape[3] in (GREY, *COLOURS)
        is_first = shape[1] in (GREY, COLOURS[0])
        if is_first and not is_last:
            array = np.moveaxis(array, 1, 3)
        if is_first or is_last:
            return array[:, :, :, 0] if array.shape[3] == GREY else array

    if array.ndim == 3 and shape[2] not in (GREY, *COLOURS):
        return array

    raise BadValue(
        f"an array of shape {shape} is not several pictures, which are (N, H, W), (N, H, W, 3) or "
        "(N, 3, H, W); say read(x) for one"
    )


def to_digits(source: Any) -> Pixels:
    """Return images of one digit each.

    Args:
        source: an array of the shape (N, 28, 28), (28, 28), (N, 784) or (784,), also with axes of
            length 1; a data frame of 784 columns, and perhaps one of labels, which is left out.

    Returns:
        uint8 (N, 28, 28), paper 0 to ink 255 if they were so.

    Raises:
        BadValue: it has another shape, or numbers in an unclear range.
    """
    if _are_digits(source):
        return source

    array = _frame_values(source) if is_frame(source) else to_array(source)
    shape = array.shape
    accepted = ((SIDE, SIDE), (PIXELS,))
    is_batch = tuple(size for size in shape[1:] if size != 1) in accepted
    is_one = tuple(size for size in shape if size != 1) in accepted
    if not (is_batch or is_one):
        raise BadValue(
            f"images of shape {shape} and type {array.dtype} cannot be classified; expected "
            f"uint8 (N, {SIDE}, {SIDE}), ({SIDE}, {SIDE}) or (N, {PIXELS}), ink 255 on paper 0"
        )

    return to_uint8(np.ascontiguousarray(array)).reshape(-1, SIDE, SIDE)


def _are_digits(source: Any) -> bool:
    """Tell whether something is what `to_digits` returns: most are, and all else takes longer."""
    if not (type(source) is np.ndarray and source.dtype == np.uint8):
        return False

    is_stack = source.shape[1:] == (SIDE, SIDE) and source.flags.c_contiguous
    return is_stack and bool(np.maximum.reduce(source, axis=None, initial=0) > 1)


def rows_of_digits(source: Any) -> Pixels | None:
    """Return digits, (N, 28, 28) uint8, if they come as rows of 784 pixels; else None.

    Raises:
        BadValue: a data frame has other columns, or numbers in an unclear range.
    """
    if is_frame(source):
        return to_digits(source)

    shape = tuple(getattr(source, "shape", ()))
    return to_digits(source) if 1 <= len(shape) <= 2 and shape[-1] == PIXELS else None


def _frame_values(frame: Any) -> Numbers:
    """Return the pixels in a data frame, (N, 784)."""
    is_pixel = [str(name).strip().lower() not in LABEL_NAMES for name in frame.columns]
    if sum(is_pixel) != PIXELS:
        raise BadValue(
            f"a table of {len(is_pixel):,} columns is no table of digits; expected {PIXELS} "
            "pixels in each row, and perhaps a column called label"
        )

    return to_array(frame.to_numpy()[:, is_pixel])


def on_light_paper(images: Pixels) -> Mask:
    """Tell which images of digits are dark on light, other than MNIST's.

    Args:
        images: (N, 28, 28) uint8.

    Returns:
        (N,) bool: true where the border is light nearly all around, and something inside is dark.
    """
    is_light = images >= 128
    inside = is_light[:, 1:-1, 1:-1]
    in_border = is_light.sum(axis=(1, 2)) - inside.sum(axis=(1, 2))
    return (in_border > LIGHT_BORDER * 4 * (SIDE - 1)) & ~inside.all(axis=(1, 2))
