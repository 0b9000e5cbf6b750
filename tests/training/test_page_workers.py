"""Processes that draw pages: where they are not forked, they import nothing of a stranger's."""

import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2]
PROGRAM = f"""
import multiprocessing, sys
sys.path.insert(0, {str(PACKAGE)!r})
from torch.utils.data import DataLoader
from inkdigits.training.page.workers import worker_options

if __name__ == "__main__":
    sys.platform = "darwin"
    multiprocessing.set_start_method("spawn")
    print(list(DataLoader(range(3), batch_size=None, **worker_options(1, 2))))
"""


@pytest.mark.slow
def test_a_worker_that_is_spawned_imports_nothing_from_the_folder_where_it_is_started(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "strangers"
    folder.mkdir()
    for name in ("multiprocessing", "numpy", "pickle", "signal", "socket", "torch"):
        (folder / f"{name}.py").write_text("open('ran', 'w')")

    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    done = subprocess.run(
        [sys.executable, program], cwd=folder, capture_output=True, text=True, timeout=300
    )
    assert done.stdout == "[0, 1, 2]\n", done.stderr
    assert not (folder / "ran").exists()
