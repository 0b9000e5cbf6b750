"""Every notebook runs from top to bottom and shows what it promises; the file keeps its outputs, and no trace of a machine."""

import json
import re
import shutil
import sys
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
LARGEST = 1_500_000  # bytes: what a browser and a diff still handle well
ABSOLUTE_PATH = re.compile(r"(?<![\w.~/:])/(?:[\w.-]+/)+|\b[A-Z]:\\")
ILLUSTRATED = ["hands", "one-digit", "average-digits", "curves", "inside", "confusion", "reliability", "samples"]
ILLUSTRATED += ["blind", "augment", "boxes", "fields"]

every_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def texts(output):
    """Everything that a reader of one output can read."""
    return output.get("text", "") + "".join(text for kind, text in output.get("data", {}).items() if kind.startswith("text/"))


def shown(cell):
    return "".join(texts(output) for output in cell.get("outputs", []))


def pictures(cell):
    return [output for output in cell.get("outputs", []) if {"image/png", "image/jpeg"} & output.get("data", {}).keys()]


def code_cells(notebook):
    return {cell.id: cell for cell in notebook.cells if cell.cell_type == "code"}


def assert_ran(notebook):
    """Every cell, in order, without an error or a warning."""
    cells = code_cells(notebook).values()
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    for cell in cells:
        for output in cell.outputs:
            assert output.output_type != "error", f"{cell.id}: {output.evalue}"
            assert output.get("name") != "stderr", f"{cell.id} complains: {output.text}"


def assert_lesson_taught(notebook):
    """The parts that notebooks/mnist.ipynb promises, by the names of its cells."""
    cells = code_cells(notebook)
    for name in ILLUSTRATED:
        assert pictures(cells[name]), f"{name} shows no picture"
    assert pictures(cells["worst"]) or "No errors" in shown(cells["worst"])
    assert re.search(r"train +[\d,]+ images\n.*validation +[\d,]+ images\n.*test +[\d,]+ images", shown(cells["load"]))
    assert "class LeNet(nn.Module)" in shown(cells["network-source"])
    assert "60,074 numbers to learn" in shown(cells["shapes"])
    assert "loss.backward()" in shown(cells["loop-source"])
    assert len(re.findall(r"^epoch +\d+/\d+ ", shown(cells["train"]), re.MULTILINE)) > 1
    assert re.search(r"accuracy +9\d\.\d\d %   95 % interval", shown(cells["evaluate"]))
    for recipe in ("lenet", "two-conv", "dropout", "sgd", "batchnorm"):
        assert re.search(rf"^\| `{recipe}` \| [\d,]+ \| [\d.]+ % \| [\d.]+ \|", shown(cells["five-table"]), re.MULTILINE)
    assert "to the last bit: True" in shown(cells["same"])
    assert shown(cells["read"]) == "read: 27354\ntorch loaded: False\n"
    assert "".join(line[0] for line in shown(cells["shipped"]).splitlines()) == "27354"


@pytest.fixture
def kernel(tmp_path, monkeypatch):
    """A kernel called python3 that is this Python, whatever the user has installed under that name."""
    folder = tmp_path / "jupyter" / "kernels" / "python3"
    folder.mkdir(parents=True)
    arguments = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    (folder / "kernel.json").write_text(json.dumps({"argv": arguments, "display_name": "Python 3", "language": "python"}))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "jupyter"))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))


@every_notebook
@pytest.mark.usefixtures("kernel")
def test_runs_in_quick_mode(path, tmp_path, monkeypatch):
    monkeypatch.setenv("INKDIGITS_QUICK", "1")
    shutil.copytree(ROOT / "tests" / "assets", tmp_path / "tests" / "assets")
    (place := tmp_path / "notebooks").mkdir()
    notebook = nbformat.read(path, as_version=4)
    for cell in code_cells(notebook).values():
        cell.update(outputs=[], execution_count=None)
    NotebookClient(notebook, timeout=120, kernel_name="python3", resources={"metadata": {"path": str(place)}}).execute()
    assert_ran(notebook)
    if path.stem == "mnist":
        assert_lesson_taught(notebook)


@every_notebook
def test_keeps_its_outputs(path):
    notebook = nbformat.read(path, as_version=4)
    assert_ran(notebook)
    if path.stem == "mnist":
        assert_lesson_taught(notebook)
        assert "mnist train" in shown(code_cells(notebook)["load"]), "the outputs are those of another dataset"


@every_notebook
def test_holds_no_trace_of_the_machine_that_ran_it(path):
    notebook = nbformat.read(path, as_version=4)
    assert notebook.metadata.kernelspec == {"display_name": "Python 3", "language": "python", "name": "python3"}
    for cell in notebook.cells:
        found = ABSOLUTE_PATH.search(f"{cell.source}\n{shown(cell)}")
        assert not found, f"{cell.id} says {found and found[0]!r}"


@every_notebook
def test_is_small_enough_to_browse(path):
    assert path.stat().st_size < LARGEST


@pytest.mark.parametrize(
    "text", ["File /home/ada/inkdigits/run.py:3", "in '/tmp/x/model.onnx'", r"C:\Users\ada", "(/usr/lib/python3/a.py)"]
)
def test_a_trace_would_be_found(text):
    assert ABSOLUTE_PATH.search(text)


@pytest.mark.parametrize(
    "text", ["../tests/assets/sample.jpg", "https://example.org/a/b", "FOLDER / name", "runs/mine/report.html"]
)
def test_a_relative_path_is_no_trace(text):
    assert not ABSOLUTE_PATH.search(text)
