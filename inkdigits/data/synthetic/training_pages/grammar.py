"""Compose what people write where numbers are asked for: amounts, dates, times, numbers of all
sorts, sums.

A text is a list of digits, names of signs (`shapes`), "letter", "other" for anything, and " ".
"""

from numpy.random import Generator


def digits(count: int, rng: Generator) -> list[str]:
    """Draw digits; in one of three numbers the last ones are zeros."""
    text = [str(digit) for digit in rng.integers(0, 10, count)]
    if count > 2 and rng.random() < 0.35:
        zeros = int(rng.integers(2, count))
        text[-zeros:] = ["0"] * zeros
    if rng.random() < 0.25:
        text[0] = "1"
    return text


def amount(rng: Generator) -> list[str]:
    """Write an amount of money: 12.500.-  $ 45,00  =123=  #1.500#  110,000/-."""
    whole = digits(int(rng.choice([2, 3, 4, 5, 6, 7], p=[0.1, 0.22, 0.26, 0.22, 0.14, 0.06])), rng)
    point = str(rng.choice([".", ",", "", " "], p=[0.5, 0.15, 0.3, 0.05]))
    if point and len(whole) > 3:
        for place in range(len(whole) - 3, 0, -3):
            whole.insert(place, point)

    start: list[str] = []
    end: list[str] = []
    chance = rng.random()
    if chance < 0.3:
        end = [[".", "-"], [".", "="], ["="], ["-"], ["."], ["/", "-"], [",", "-"], ["r", "."]][
            int(rng.integers(8))
        ]
    elif chance < 0.4:
        end = [str(rng.choice([",", "."])), *digits(2, rng)]
    elif chance < 0.48:
        sign = str(rng.choice(["=", "#", "*", "-"]))
        start, end = [sign], [sign]
    if rng.random() < 0.15:
        start = [str(rng.choice(["$", "eur", "pound", "yen", "rupee", "-", "="])), *start]
    elif rng.random() < 0.06:
        end = [*end, str(rng.choice(["kr", "eur", "R", "tail"]))]
    return [*start, *whole, *end]


def date(rng: Generator) -> list[str]:
    """Write a date: 7.6.2017  07-06-17  17/04/2020."""
    sign = str(rng.choice(["/", "-", ".", " "], p=[0.4, 0.25, 0.3, 0.05]))
    day, month = int(rng.integers(1, 32)), int(rng.integers(1, 13))
    year = int(rng.integers(1950, 2030))
    form = "{:02d}" if rng.random() < 0.6 else "{}"
    last = str(year) if rng.random() < 0.6 else f"{year % 100:02d}"
    return [*form.format(day), sign, *form.format(month), sign, *last]


def other_number(rng: Generator) -> list[str]:
    """Write a time, a telephone number, a mark, a decimal, a number of a list, a negative
    number.
    """
    kind = int(rng.integers(7))
    if kind == 0:
        return [*f"{rng.integers(0, 24)}", ":", *f"{rng.integers(0, 60):02d}"]
    if kind == 1:
        text: list[str] = []
        for _ in range(int(rng.integers(2, 5))):
            text += [*digits(int(rng.integers(2, 5)), rng), str(rng.choice([" ", "-", "/"]))]
        return text[:-1]
    if kind == 2:
        return [*f"{rng.integers(0, 20)}", "/", *f"{rng.integers(5, 31)}"]
    if kind == 3:
        return [*digits(int(rng.integers(1, 4)), rng), ",", *digits(int(rng.integers(1, 3)), rng)]
    if kind == 4:
        return [*f"{rng.integers(1, 30)}", str(rng.choice([")", ".", ":"]))]
    if kind == 5:
        return ["-", *digits(int(rng.integers(1, 5)), rng)]
    return [*digits(int(rng.integers(1, 4)), rng), str(rng.choice(["%", "deg", "eur", "kr"]))]


def expression(rng: Generator) -> list[str]:
    """Write a sum: 56 + 2, (6+3)/5x3, 7 x 8 = 56."""
    text = digits(int(rng.integers(1, 4)), rng)
    for _ in range(int(rng.choice([1, 2, 4], p=[0.6, 0.25, 0.15]))):
        text += [
            str(rng.choice(["+", "-", "x", "/", ":", "div"])),
            *digits(int(rng.integers(1, 3)), rng),
        ]
    if rng.random() < 0.25:
        text = ["(", *text, ")"]
    if rng.random() < 0.3:
        text += ["=", *digits(int(rng.integers(1, 4)), rng)]
    return text


def number(rng: Generator) -> list[str]:
    """Write anything that has digits."""
    chance = rng.random()
    if chance < 0.42:
        return digits(int(rng.integers(1, 11)), rng)
    if chance < 0.7:
        return amount(rng)
    if chance < 0.8:
        return date(rng)
    if chance < 0.92:
        return other_number(rng)
    return expression(rng)


def with_words(text: list[str], rng: Generator) -> list[str]:
    """Write a word before or after."""
    word = ["letter"] * int(rng.integers(1, 8))
    return [*word, " ", *text] if rng.random() < 0.7 else [*text, " ", *word]


def corrected(text: list[str], rng: Generator) -> list[str]:
    """Strike a digit out somewhere, before the right one is written."""
    place = int(rng.integers(len(text) + 1))
    return [*text[:place], "struck", *text[place:]]


def amid_others(text: list[str], share: float, rng: Generator) -> list[str]:
    """Put letters and signs of all sorts in place of some symbols. share: of them."""
    return ["other" if name != " " and rng.random() < share else name for name in text]
