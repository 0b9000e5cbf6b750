"""The description of the service names what the reader really gives."""

import re

from inkdigits.reading.page.find import SIGNS
from inkdigits.service.openapi import describe
from inkdigits.service.site import PAGE


def test_the_signs_are_those_that_are_read() -> None:
    schemas = describe("1.0", 1, 1)["components"]["schemas"]
    assert schemas["Sign"]["properties"]["sign"]["enum"] == list(SIGNS)


def test_the_types_of_the_library_have_the_same_signs() -> None:
    types = (PAGE / "reading" / "inkdigits.d.ts").read_text()
    line = next(line for line in types.splitlines() if line.startswith("  sign: "))
    assert re.findall(r'"(.)"', line) == list(SIGNS)
