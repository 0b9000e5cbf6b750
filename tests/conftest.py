"""Fixtures that several test modules share: the real data, where it lies at hand."""

import os
from pathlib import Path

import pytest

from inkdigits.data import Dataset, load_dataset


@pytest.fixture(scope="session")
def data_dir() -> Path:
    folder = os.environ.get("INKDIGITS_DATA")
    if not folder:
        pytest.skip("INKDIGITS_DATA is not set")
    return Path(folder)


@pytest.fixture(scope="session")
def mnist(data_dir: Path) -> Dataset:
    if not (data_dir / "mnist").is_dir():
        pytest.skip("no mnist folder in INKDIGITS_DATA")
    return load_dataset("mnist", data_dir=data_dir, download=False)
