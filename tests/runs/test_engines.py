"""Processes for trainings run our code, whatever lies in the folder where they are started."""

from pathlib import Path

import pytest

from inkdigits.runs.engines import run_processes

PLANTED = "import pathlib; pathlib.Path('planted').touch()"


@pytest.mark.parametrize("module", ["inkdigits", "argparse"])
def test_modules_in_the_current_folder_are_not_run(
    module: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / f"{module}.py").write_text(PLANTED)
    for _ in run_processes(["recipes"], 1):
        pass

    assert [path.name for path in tmp_path.iterdir()] == [f"{module}.py"]
    assert caplog.text == ""
