"""Processes for trainings run our code, whatever lies in the folder where they are started."""

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from inkdigits.runs.engines import PACKAGE, RayTasks, run_processes

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


def test_ray_is_not_started_in_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its workers import from where it is started. They work in the current folder nevertheless."""
    started = []
    ray = SimpleNamespace(
        init=lambda **_: started.append(Path.cwd()),
        remote=lambda **_: lambda work: SimpleNamespace(remote=work),
    )
    monkeypatch.setitem(sys.modules, "ray", ray)
    monkeypatch.chdir(tmp_path)
    tasks = RayTasks(Path.cwd, 1)
    assert (started, Path.cwd()) == ([PACKAGE], tmp_path)

    monkeypatch.chdir(PACKAGE)
    tasks.start("owner")
    assert list(tasks._owners) == [tmp_path]
