"""Compose what people write where numbers are asked for: amounts, dates, times, sums and others.

A text is a list of digits, names of signs (`shapes`), "letter", "other" for anything, and " ".
"""

from numpy.random import Generator

from inkdigits.data.synthetic.training_pages.draws import chance, integer, one_of, pick

Text = list[str]

LENGTHS = {2: 0.1, 3: 0.22, 4: 0.26, 5: 0.22, 6: 0.14, 7: 0.06}  # digits of an amount
POINTS = {".": 0.5, ",": 0.15, "": 0.3, " ": 0.05}  # between thousands
ENDINGS: tuple[Text, ...] = (
    [".", "-"],
    [".", "="],
    ["="],
    ["-"],
    ["."],
    ["/", "-"],
    [",", "-"],
    ["r", "."],
)  # of an amount without cents
BRACKETS = ("=", "#", "*", "-")  # on both sides of an amount, so that nobody adds a digit
CURRENCIES_BEFORE = ("$", "eur", "pound", "yen", "rupee", "-", "=")
CURRENCIES_AFTER = ("kr", "eur", "R", "tail")
UNITS = ("%", "deg", "eur", "kr")
DATE_SIGNS = {"/": 0.25, "-": 0.35, ".": 0.35, " ": 0.05}
OPERATORS = (*("+", "-", "x") * 2, "/", ":", "div")
OPERATIONS = {1: 0.6, 2: 0.25, 4: 0.15}  # in a sum
PAIRS = (("(", ")"), ("(", ")"), ("[", "]"), ("{", "}"))  # brackets in a sum
BRACKETED = 0.4  # share of sums with brackets around a part


def digits(count: int, rng: Generator) -> Text:
    """Draw digits; in one of three numbers the last ones are zeros."""
    text = [str(digit) for digit in rng.integers(0, 10, count)]
    if count > 2 and chance(0.35, rng):
        zeros = integer(2, count, rng)
        text[-zeros:] = ["0"] * zeros

    if chance(0.25, rng):
        text[0] = "1"
    return text


def some_digits(fewest: int, most: int, rng: Generator) -> Text:
    """Draw digits, as many as chance says: from `fewest` to `most`."""
    return digits(integer(fewest, most + 1, rng), rng)


def short_number(rng: Generator) -> Text:
    """Draw one to four digits."""
    return some_digits(1, 4, rng)


def amount(rng: Generator) -> Text:
    """Write an amount of money: 12.500.-  $ 45,00  =123=  #1.500#  110,000/-."""
    text = digits(pick(LENGTHS, rng), rng)
    point = pick(POINTS, rng)
    if point:
        for place in range(len(text) - 3, 0, -3):
            text.insert(place, point)

    kind = rng.random()
    if kind < 0.3:
        text += one_of(ENDINGS, rng)
    elif kind < 0.4:
        text.append(one_of((",", "."), rng))
        text += digits(2, rng)
    elif kind < 0.48:
        sign = one_of(BRACKETS, rng)
        text = [sign, *text, sign]

    if chance(0.15, rng):
        return [one_of(CURRENCIES_BEFORE, rng), *text]
    if chance(0.06, rng):
        text.append(one_of(CURRENCIES_AFTER, rng))

    return text


def date(rng: Generator) -> Text:
    """Write a date: 7.6.2017  07-06-17  17/04/2020."""
    sign = pick(DATE_SIGNS, rng)
    day = rng.integers(1, 32)
    month = rng.integers(1, 13)
    year = rng.integers(1950, 2030)

    form = "02d" if chance(0.6, rng) else "d"
    last = str(year) if chance(0.6, rng) else f"{year % 100:02d}"

    return [*format(day, form), sign, *format(month, form), sign, *last]


def time(rng: Generator) -> Text:
    """Write a time: 7:05."""
    hour = rng.integers(0, 24)
    minute = rng.integers(0, 60)
    return [*f"{hour}:{minute:02d}"]


def telephone_number(rng: Generator) -> Text:
    """Write groups of digits: 030 123-45."""
    text: Text = []
    for _ in range(rng.integers(2, 5)):
        text += some_digits(2, 4, rng)
        text.append(one_of((" ", " ", "-", "-", "/"), rng))

    return text[:-1]


def mark(rng: Generator) -> Text:
    """Write how many of how many points were reached: 17/20."""
    reached = rng.integers(0, 20)
    possible = rng.integers(5, 31)
    return [*f"{reached}/{possible}"]


def decimal(rng: Generator) -> Text:
    """Write a number with a decimal comma: 12,5."""
    return [*some_digits(1, 3, rng), ",", *some_digits(1, 2, rng)]


def item(rng: Generator) -> Text:
    """Write the number of an item in a list: 3)."""
    place = rng.integers(1, 30)
    return [*f"{place}", one_of((")", ".", ":"), rng)]


def negative(rng: Generator) -> Text:
    """Write a number below zero: -12."""
    return ["-", *some_digits(1, 4, rng)]


def quantity(rng: Generator) -> Text:
    """Write a number with its unit: 45 %."""
    return [*some_digits(1, 3, rng), one_of(UNITS, rng)]


OTHER_NUMBERS = (time, telephone_number, mark, decimal, item, negative, quantity)


def expression(rng: Generator) -> Text:
    """Write a sum: 56 + 2, (6+3)/5x3, 7 x 8 = 56."""
    text = some_digits(1, 3, rng)
    for _ in range(pick(OPERATIONS, rng)):
        text.append(one_of(OPERATORS, rng))
        text += some_digits(1, 2, rng)

    if chance(BRACKETED, rng):
        text = _bracketed(text, rng)
    if chance(0.3, rng):
        text.append("=")
        text += some_digits(1, 3, rng)

    return text


def _bracketed(text: Text, rng: Generator) -> Text:
    """Put brackets around a part of a sum, or around all of it."""
    opening, closing = one_of(PAIRS, rng)
    start = one_of((0, integer(0, len(text), rng)), rng)
    end = integer(start + 1, len(text) + 1, rng)
    return [*text[:start], opening, *text[start:end], closing, *text[end:]]


def number(rng: Generator) -> Text:
    """Write anything that has digits."""
    kind = rng.random()
    if kind < 0.42:
        return some_digits(1, 10, rng)
    if kind < 0.7:
        return amount(rng)
    if kind < 0.8:
        return date(rng)
    if kind < 0.92:
        return one_of(OTHER_NUMBERS, rng)(rng)

    return expression(rng)


def with_word(text: Text, rng: Generator) -> Text:
    """Write a word before or after."""
    word = ["letter"] * integer(1, 8, rng)
    if chance(0.7, rng):
        return [*word, " ", *text]
    return [*text, " ", *word]


def corrected(text: Text, rng: Generator) -> Text:
    """Insert a digit that is struck out, before the right one is written."""
    place = integer(0, len(text) + 1, rng)
    return [*text[:place], "struck", *text[place:]]


def amid_others(text: Text, share: float, rng: Generator) -> Text:
    """Put letters and signs of all sorts in place of a share of the symbols."""
    return ["other" if name != " " and chance(share, rng) else name for name in text]


def with_gaps(text: Text, share: float, rng: Generator) -> Text:
    """Leave a share of the symbols out, and their places empty."""
    return [" " if chance(share, rng) else name for name in text]
