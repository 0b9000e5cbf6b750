"""Fixtures that several test modules share: the real data, where it lies at hand."""

import os
from pathlib import Path

import pytest

from inkdigits.data.datasets import Dataset, load_dataset

# Test processes side by side that each use all cores wait for one another: training tests took
# 1.7 times as long on two cores. Torch reads this when it is imported, which no test has done yet.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")


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


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Train a small network on optdigits, four passes; read its folder, but do not write there."""
    from inkdigits.runs.run import train

    folder = tmp_path_factory.mktemp("trained") / "run"
    train("lenet", folder, data="optdigits", settings={"epochs": 4, "batch": 32})
    return folder


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark as slow what needs the trained network."""
    for item in items:
        if isinstance(item, pytest.Function) and "trained" in item.fixturenames:
            item.add_marker(pytest.mark.slow)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let runs leave empty files where exporting and reporting, tested elsewhere, take seconds."""
    from inkdigits.core.files import write_whole
    from inkdigits.runs import artifacts

    monkeypatch.setattr(
        artifacts, "export_onnx", lambda _, path, *args, **kwargs: write_whole(path, "")
    )
    monkeypatch.setattr(artifacts, "write_report", lambda path, **kwargs: write_whole(path, ""))
