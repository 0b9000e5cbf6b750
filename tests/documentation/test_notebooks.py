"""Every notebook runs from top to bottom and shows what it promises; so do hidden answers.

Its file keeps the outputs, without a trace of the machine that ran it.
"""

import ast
import json
import re
import runpy
import shutil
import sys
from pathlib import Path
from types import ModuleType

import nbformat
import pytest
from lessons import exercise_cells
from nbclient import NotebookClient

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
LARGEST_NOTEBOOK = 1_000_000  # bytes, which browsers and diffs still handle well
ABSOLUTE_PATH = re.compile(r"(?<![\w.~/:])/(?:[\w.-]+/)+|\b[A-Z]:\\")
FIGURES = ROOT / "docs" / "ablation.json"
# notebook -> the cells that show a picture, with any dataset
ILLUSTRATED = {
    "mnist": ["load", "one-digit", "confusion", "moved", "curves", "photo"],
    "your-own-digits": ["explain", "sheets", "plane"],
    "inside-the-network": [
        *("kernels", "maps", "where", "points", "mattered", "corruptions", "breaks"),
    ],
    "from-99-to-99.8": ["ladder", "steps", "branches", "taught", "live-curves", "time"],
    "from-scratch": ["curves", "weights"],
    "how-a-page-is-read": ["easy", "where", "ink", "sheet", "votes", "look", "zeros"],
    "how-sure": ["scribbles", "calibration", "no", "risk"],
    "is-it-better": ["record"],
}
# notebook -> cell -> a pattern that its output matches
SAID = {
    "mnist": {
        "load": r"train +[\d,]+ images\n.*validation +[\d,]+ images\n.*test +[\d,]+ images",
        "network-source": r"class LeNet\(nn\.Module\)",
        "shapes": r"60,074 numbers to learn",
        "train": r"epoch 1/\d+ [^$]*\nepoch 2/\d+ ",
        "predict": r"meant is 5; it reads \d, .*\nmeant is \d; it reads \d, ",
        "evaluate": r"\d wrong: 9\d\.\d\d % right\n95 % interval",
        "others": r"\| as they are \| 9\d% .*\n\| 4 px .*\n\| half .*\n\| paper ",
        "keep": r"to the last bit: True\nexported: largest difference .*: \de-\d\d",
        "photo": r"^squeezed: (?!27354)\d{5}\n[^$]*centred: \d{5}",
        "read": r"^read: 27354\ntorch loaded: False\n$",
    },
    "your-own-digits": {
        "read": r"^text: 27354\n2  99",
        "before": r"found [1-9]\d* to learn from, [1-9]\d* to measure on",
        "correct": r"[1-9]\d* pictures in 10 folders",
        "alone": r"nano .* others .*\ntaught this hand alone .* others ",
        "forgotten": r"\d+ of [\d,]+ were right and are wrong now",
    },
    "inside-the-network": {
        "kernels": r"\(30, 1, 5, 5\)",
        "probe": r"trained:( \d+%){7}\nrandom: ( \d+%){7}",
        "checked": r"that mattered most .* \d+% of .*\n.* at random +changes \d+% of ",
        "breaks": r"tiny .*\nbest .* mean of 15 corruptions",
    },
    "from-99-to-99.8": {
        "gains": r"schedule \| plain \| 60,074 \| 3 \| \d\d\.\d\d ± .* \| \d\.\d\d ± .* \| 0\.\d",
        "live": r"plain .* ± .*\n.*schedule .* ± ",
    },
    "from-scratch": {
        "check": r"largest difference: \de-1[4-9]",
        "forgotten": r"largest difference: \de[+-]0[01]",
        "learn": r"as they are .*right\nmoved .* validation digits 9\d\.\d\d% right",
        "failures": r"zero \| 2\.3.*\n.*forgotten.*\n.*rate of 5",
    },
    "how-a-page-is-read": {
        "where": r"a piece of \d+ x \d+ pixels",
        "which": r"( *\d+ cells of ink +\S+: \d+\.\d%.*\n){3}",
        "look": r"(\S+: \d+\.\d%, .*\n){3}",
        "spoilt": r"as it is \| 2749 / 8163 \|.*\n\| small",
    },
    "how-sure": {
        "scribbles": r"\d+% of \d+ scribbles: more than 99 % sure",
        "temperature": r"temperature \d\.\d\d: mean confidence \d\d\.\d%",
        "everything": r"\| plain \|.*\n\| plain, with temperature \|.*\n\| `best`",
        "no": r"of \d+ scribbles, \d\d\.\d% of [\d,]+ digits",
        "mixed": r"plain.*at 1 % risk\nbest.*at 1 % risk\ndefault.*at 1 % risk",
        "unseen": r"in a mirror.*\n.*upside down.*\n.*on top",
    },
    "is-it-better": {
        "twenty": r"from \d\d\.\d\d % to \d\d\.\d\d %, mean",
        "luck": r"sd \d+\.\d\d %, n \d+ runs",
        "fair": r"32 units: .*\n64 units: .*\nchance alone .* p = [01]\.\d{3}",
        "left": r"its gain: [+-]\d+\.\d\d points[^$]*new seeds: .*, n \d runs",
        "earnest": r"measured: +99\.\d\d %.*\nbest of",
        "apart": r"(same +people: .*\n.*other +people: .*)|is not known of optdigits",
    },
}

every_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def texts(output):
    """Return everything that a person can read in one output."""
    data = output.get("data", {})
    return "".join(
        [output.get("text", ""), *(data[kind] for kind in data if kind.startswith("text/"))]
    )


def shown(cell):
    return "".join(texts(output) for output in cell.get("outputs", []))


def pictures(cell):
    return [
        output
        for output in cell.get("outputs", [])
        if {"image/png", "image/jpeg", "image/svg+xml"} & output.get("data", {}).keys()
    ]


def code_cells(notebook):
    return {cell.id: cell for cell in notebook.cells if cell.cell_type == "code"}


def assert_ran(notebook):
    """Assert that every cell ran, in order, without an error or a warning."""
    cells = code_cells(notebook).values()
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    for cell in cells:
        for output in cell.outputs:
            assert output.output_type != "error", f"{cell.id}: {output.evalue}"
            assert output.get("name") != "stderr", f"{cell.id} complains: {output.text}"


def assert_promises_kept(name, notebook):
    """Assert that a notebook shows the pictures and texts that are listed above."""
    cells = code_cells(notebook)
    for cell in ILLUSTRATED[name]:
        assert pictures(cells[cell]), f"{cell} shows no picture"
    for cell, pattern in SAID[name].items():
        assert re.search(pattern, shown(cells[cell])), f"{cell} says {shown(cells[cell])!r}"


@pytest.fixture
def kernel(tmp_path, monkeypatch):
    """Make the kernel called python3 this Python, and not one that the user has installed."""
    folder = tmp_path / "jupyter" / "kernels" / "python3"
    folder.mkdir(parents=True)
    arguments = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    (folder / "kernel.json").write_text(
        json.dumps({"argv": arguments, "display_name": "Python 3", "language": "python"})
    )
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "jupyter"))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))


@pytest.mark.slow
@every_notebook
@pytest.mark.usefixtures("kernel")
def test_a_notebook_runs_in_quick_mode(path, tmp_path, monkeypatch):
    monkeypatch.setenv("INKDIGITS_QUICK", "1")
    shutil.copytree(ROOT / "tests" / "assets", tmp_path / "tests" / "assets")
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "docs").mkdir()
    shutil.copy(FIGURES, tmp_path / "docs")

    notebook = nbformat.read(path, as_version=4)
    notebook.cells += exercise_cells(path.stem, notebook)
    for cell in code_cells(notebook).values():
        cell.update(outputs=[], execution_count=None)

    resources = {"metadata": {"path": str(tmp_path / "notebooks")}}
    client = NotebookClient(notebook, timeout=120, kernel_name="python3", resources=resources)
    client.execute()
    assert_ran(notebook)
    assert_promises_kept(path.stem, notebook)


@every_notebook
def test_a_notebook_keeps_its_outputs(path):
    notebook = nbformat.read(path, as_version=4)
    assert_ran(notebook)
    assert_promises_kept(path.stem, notebook)

    everything = "".join(shown(cell) for cell in code_cells(notebook).values())
    assert "optdigits" not in everything, "the outputs are those of another dataset"


def test_printed_lines_are_joined_but_stay_between_the_pictures():
    join_prints = runpy.run_path(str(ROOT / "docs" / "execute.py"))["join_prints"]

    def printed(text):
        return nbformat.v4.new_output("stream", text=text)

    picture = nbformat.v4.new_output("display_data", {"image/png": ""})
    outputs = [printed("a\n"), printed("b\n"), picture, printed("c\n")]
    assert [output.get("text") for output in join_prints(outputs)] == ["a\nb\n", None, "c\n"]


def test_every_notebook_has_promises():
    assert {path.stem for path in NOTEBOOKS} == ILLUSTRATED.keys() == SAID.keys()


def test_the_ladder_is_what_its_benchmark_trains():
    """The file has the benchmark's rungs and settings, and its figures are those of whole runs."""
    from benchmarks.training import ablation

    found = json.loads(FIGURES.read_text())
    assert [(rung["name"], rung["after"], rung["settings"]) for rung in found["rungs"]] == [
        (rung.name, ablation.before(rung), dict(rung.settings)) for rung in ablation.LADDER
    ]
    for rung in found["rungs"]:
        recipe = ablation.recipe_of(rung["name"])
        for run in rung["runs"]:
            right = run["accuracy"] * found["held_out"]
            assert right == pytest.approx(round(right)), "so many digits cannot be right"
            assert rung["ensemble"] or len(run["epochs"]) == recipe.epochs


@every_notebook
def test_every_name_of_the_package_that_a_notebook_uses_exists(path):
    notebook = nbformat.read(path, as_version=4)
    code = "\n".join(cell.source for cell in code_cells(notebook).values())
    tree = ast.parse(re.sub(r"^%.*", "", code, flags=re.MULTILINE))

    imported: dict[str, object] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom) and "inkdigits" in ast.unparse(node):
            exec(ast.unparse(node), imported)

    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            module = imported.get(node.value.id)
            if isinstance(module, ModuleType):
                assert hasattr(module, node.attr), f"{module.__name__} has no {node.attr}"


@every_notebook
def test_a_notebook_holds_no_trace_of_the_machine_that_ran_it(path):
    notebook = nbformat.read(path, as_version=4)
    assert notebook.metadata.kernelspec == {
        "display_name": "Python 3",
        "language": "python",
        "name": "python3",
    }
    for cell in notebook.cells:
        found = ABSOLUTE_PATH.search(f"{cell.source}\n{shown(cell)}")
        assert not found, f"{cell.id} says {found and found[0]!r}"


@every_notebook
def test_a_notebook_is_small_enough_to_browse(path):
    assert path.stat().st_size < LARGEST_NOTEBOOK


@pytest.mark.parametrize(
    "text",
    [
        "File /home/ada/inkdigits/runs/run.py:3",
        "in '/tmp/x/model.onnx'",
        r"C:\Users\ada",
        "(/usr/lib/python3/a.py)",
    ],
)
def test_a_trace_would_be_found(text):
    assert ABSOLUTE_PATH.search(text)


@pytest.mark.parametrize(
    "text",
    [
        "../tests/assets/sample.jpg",
        "https://example.org/a/b",
        "FOLDER / name",
        "runs/mine/report.html",
    ],
)
def test_a_relative_path_is_no_trace(text):
    assert not ABSOLUTE_PATH.search(text)
