"""Chromium for tests that need a real browser: where it is, and what it is started with."""

import shutil

import pytest

CHROMIUM = (
    shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
)
BROWSER_MARKS = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed"),
]
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
)

# Before its first picture Chromium drops what a pen, a finger or a mouse does on a new page.
FIRST_PAINT = "performance.getEntriesByName('first-contentful-paint').length > 0"
