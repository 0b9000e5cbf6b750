"""A lesson has its form, and its exercise an answer that is hidden. `test_notebooks` runs it."""

import ast
import re
from pathlib import Path
from statistics import fmean

import nbformat
import numpy as np
import pytest
from lessons import CHECKS, answers, exercise_cells, hidden_answers

ROOT = Path(__file__).parents[2]
A_SCREEN = 36  # lines of code, at the size in which JupyterLab shows them on a laptop
COLUMNS = 100

every_lesson = pytest.mark.parametrize("name", CHECKS)


def read(name):
    return nbformat.read(ROOT / "notebooks" / f"{name}.ipynb", as_version=4)


@every_lesson
def test_a_lesson_opens_with_a_question_and_says_what_it_costs(name):
    opening = read(name).cells[0].source
    assert opening.split("\n")[0].endswith("?")
    assert "**What it costs:** about " in opening


@every_lesson
def test_the_pages_say_what_a_lesson_asks_and_what_it_costs(name):
    opening = read(name).cells[0].source
    question = opening.split("\n")[0].removeprefix("# ")
    cost = re.search(r"\*\*What it costs:\*\* about (.+?) on two processor cores", opening)[1]

    lessons = (ROOT / "docs" / "notebooks" / "index.md").read_text()
    assert f"| [{question}](../../notebooks/{name}.ipynb) | {cost} |" in lessons

    course = " ".join((ROOT / "docs" / "course.md").read_text().split())
    assert re.search(rf"\(\.\./notebooks/{re.escape(name)}\.ipynb\)[ |(]*{cost}\b", course)


@every_lesson
def test_the_code_of_a_lesson_fits_on_a_screen(name):
    for cell in read(name).cells:
        if cell.cell_type == "code":
            lines = cell.source.split("\n")
            assert len(lines) <= A_SCREEN, cell.id
            assert max(map(len, lines)) <= COLUMNS, cell.id


@every_lesson
def test_a_lesson_ends_with_an_exercise_whose_answer_is_folded(name):
    notebook = read(name)
    last = notebook.cells[-1]
    assert last.cell_type == "markdown"
    assert last.source.endswith("</details>")

    (answer,) = hidden_answers(notebook)
    defined = [node.name for node in ast.parse(answer).body if isinstance(node, ast.FunctionDef)]
    before = last.source.split("<details", 1)[0]
    assert defined
    for function in defined:
        assert f"`{function}(" in before, f"the exercise does not ask for {function}"


def test_an_answer_is_found_only_where_it_is_folded():
    text = (
        "```python\nseen = 1\n```\n\n<details markdown>\n<summary>The answer</summary>\n\nSo:\n\n"
        "```python\nhidden = 2\n```\n\n</details>"
    )
    assert answers(text) == ["hidden = 2\n"]


def test_every_notebook_is_a_lesson():
    assert {path.stem for path in (ROOT / "notebooks").glob("*.ipynb")} == CHECKS.keys()


def test_a_notebook_without_exercises_gets_no_cells():
    cells = [nbformat.v4.new_markdown_cell("# How?"), nbformat.v4.new_code_cell("1 + 1")]
    assert exercise_cells("another", nbformat.v4.new_notebook(cells=cells)) == []


def test_a_wrong_gradient_is_noticed():
    """The check runs on a small network, with ReLU's derivative for that of tanh."""
    rng = np.random.default_rng(0)
    shapes = {"W1": (784, 5), "b1": (5,), "W2": (5, 10), "b2": (10,)}
    names = {
        "np": np,
        "weights": {name: rng.normal(size=shape) / 9 for name, shape in shapes.items()},
        "train_ink": rng.random((50, 784)),
        "train_labels": rng.integers(0, 10, 50),
        "tanh_right": 0.9,
    }
    exec(hidden_answers(read("from-scratch"))[0].split("\n\n\ntanh_weights")[0], names)
    exec(CHECKS["from-scratch"], dict(names))

    correct = names["tanh_backward"]
    names["tanh_backward"] = lambda *given: correct(*given) | {"b1": np.zeros(5)}
    with pytest.raises(AssertionError, match="b1"):
        exec(CHECKS["from-scratch"], names)


def test_a_wrong_count_of_changes_is_noticed():
    """What is wrong before and after, in two ways, was neither learned nor forgotten."""
    answer = hidden_answers(read("your-own-digits"))[0].split("\n\n\n")[0]
    names = {
        "np": np,
        "truth": np.arange(4),
        "before": np.arange(4),
        "after": np.array([0, 1, 3, 3]),
    }
    exec(answer, names)
    names["learned"], names["forgotten"] = names["changes"](
        names["before"], names["after"], names["truth"]
    )
    exec(CHECKS["your-own-digits"], dict(names))

    names["changes"] = lambda before, after, truth: (
        np.flatnonzero((before != truth) & (before != after)),
        np.flatnonzero(after != truth),
    )
    with pytest.raises(AssertionError):
        exec(CHECKS["your-own-digits"], names)


def test_points_instead_of_errors_are_noticed():
    rungs = {
        "plain": {"after": "", "runs": [{"accuracy": 0.97}, {"accuracy": 0.99}]},
        "wider": {"after": "plain", "runs": [{"accuracy": 0.99}]},
    }
    names = {
        "np": np,
        "fmean": fmean,
        "rungs": rungs,
        "ablation": {"held_out": 1000},
        "accuracies": lambda name: [run["accuracy"] for run in rungs[name]["runs"]],
    }
    exec(hidden_answers(read("from-99-to-99.8"))[0], names)
    exec(CHECKS["from-99-to-99.8"], dict(names))

    names["errors_removed"] = lambda name: 0.01
    with pytest.raises(AssertionError, match="wider"):
        exec(CHECKS["from-99-to-99.8"], names)
