"""Importing costs nothing, reading needs no torch, and the modules keep to their rooms."""

import ast
import importlib
import json
import os
import re
import subprocess
import sys
import textwrap
import tomllib
from collections.abc import Iterable, Iterator
from graphlib import TopologicalSorter
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
import torch
from few_digits import few_digits
from PIL import Image

import inkdigits
from inkdigits.reading.model_files import quantised_models, shipped_models
from inkdigits.runs.export import ExportedNetwork, export_onnx
from inkdigits.training.loop import seeded_network
from inkdigits.training.recipe import from_table, load_recipe

PACKAGE = Path(inkdigits.__file__).parent
ASSETS = Path(__file__).parent / "assets"
DOTTED = {
    path: ".".join(path.relative_to(PACKAGE).with_suffix("").parts)
    for path in PACKAGE.rglob("*.py")
}
FILES = {name.removesuffix(".__init__"): path for path, name in DOTTED.items()}
MODULES = sorted(FILES.keys() - {"__init__", "__main__"})  # such as "training.loop" and "data"

# Each room may import from itself and from those to its left, and `service` not from `runs`.
ROOMS = ["core", "reading", "data", "evaluation", "training", "runs", "service", "command"]
NOT_IMPORTED = {("service", "runs"), ("service", "training")}

# These need torch, or Optuna. All others are imported without.
LEARNING = {
    *(name for name in MODULES if name.startswith("training.") and name != "training.recipe"),
    *(
        name
        for name in MODULES
        if name.startswith("runs.")
        and name not in {"runs.sweep", "runs.comparison", "runs.quantisation"}
    ),
} - {"runs.sweep.space", "runs.sweep.trials", "runs.resume"}
# These draw with OpenCV.
DRAWING = {name for name in MODULES if name.startswith("data.synthetic.")} - {
    "data.synthetic.glyphs",
    "data.synthetic.splines",
}
CORE = {"numpy", "pillow", "onnxruntime"}  # what `pip install inkdigits` brings along
EXTRAS = [
    "cv2",
    "torch",
    "sklearn",
    "scipy",
    "matplotlib",
    "rich",
    "filelock",
    "safetensors",
    "onnx",
]

PUBLIC = [
    "Dataset",
    "Digit",
    "Evaluation",
    "InkdigitsError",
    "Reading",
    "Recipe",
    "Recogniser",
    "Sign",
    "Split",
    "evaluate",
    "explain",
    "load_dataset",
    "load_recipe",
    "read",
    "train",
]


def alone(
    program: str, *arguments: object, without: Iterable[str] = (), warnings: str = "error"
) -> str:
    """Return what a fresh interpreter prints for a program, as if `without` were not installed."""
    blocked = f"import sys\nfor name in {list(without)!r}: sys.modules[name] = None\n"
    command = [
        sys.executable,
        "-W",
        warnings,
        "-c",
        blocked + textwrap.dedent(program),
        *map(str, arguments),
    ]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONIOENCODING": "utf-8"},
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def trees() -> Iterator[tuple[str, ast.Module]]:
    for name, path in sorted(FILES.items()):
        yield name, ast.parse(path.read_text(encoding="utf-8"))


def library_of(needed: str) -> str:
    """Return the name of the library in a requirement such as `numpy>=2.0`."""
    return re.split(r"[^\w-]", needed)[0]


def libraries(tree: ast.Module) -> set[str]:
    """Return the first names of all that a module imports, wherever the import stands."""
    named: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            named += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            named.append(str(node.module))

    return {name.split(".")[0] for name in named}


def imported_modules(node: ast.AST) -> set[str]:
    """The modules of ours that a statement imports."""
    named: list[str] = []
    if isinstance(node, ast.ImportFrom):
        assert node.level == 0, "imports are written out"
        named = [str(node.module), *(f"{node.module}.{alias.name}" for alias in node.names)]
    elif isinstance(node, ast.Import):
        named = [alias.name for alias in node.names]
    ours = {name.removeprefix("inkdigits.") for name in named} & set(MODULES)
    return ours - {
        name.rpartition(".")[0] for name in ours
    }  # not the package where one of its modules is meant


# ---- the public names


def test_the_public_names_are_these_and_each_can_be_had() -> None:
    assert inkdigits.__all__ == PUBLIC
    for name in PUBLIC:
        assert getattr(inkdigits, name).__name__ == name
        assert getattr(inkdigits, name).__doc__
    assert set(PUBLIC) <= set(dir(inkdigits))


def test_a_name_that_is_not_public_is_no_attribute() -> None:
    with pytest.raises(AttributeError, match="module 'inkdigits' has no attribute 'recognise'"):
        inkdigits.recognise  # noqa: B018


def test_the_version_is_the_installed_one_and_the_package_is_typed() -> None:
    assert inkdigits.__version__ == version("inkdigits")
    assert (PACKAGE / "py.typed").is_file()


# ---- what is loaded when


def test_importing_the_package_loads_nothing_but_the_standard_library() -> None:
    program = """
        before = set(sys.modules)
        import inkdigits
        loaded = {name.split(".")[0] for name in set(sys.modules) - before}
        print(*sorted(loaded - sys.stdlib_module_names))
    """
    assert alone(program).split() == ["inkdigits"]


def test_the_modules_that_do_not_learn_load_no_extra() -> None:
    assert set(MODULES) > LEARNING | DRAWING
    light = [name for name in MODULES if name not in LEARNING | DRAWING]
    assert {
        "reading.recogniser",
        "evaluation.metrics",
        "data.datasets",
        "evaluation.report",
        "command.cli",
        "service.model_file",
    } <= set(light)
    program = f"""
        import importlib
        for name in {light!r}:
            importlib.import_module(f"inkdigits.{{name}}")
        print(*sorted({{name.split(".")[0] for name in sys.modules}} & set({EXTRAS!r})))
    """
    assert alone(program).split() == []


@pytest.mark.slow
def test_the_modules_that_learn_are_imported_without_a_warning() -> None:
    program = f"""
        import importlib
        for name in {sorted(LEARNING)!r}:
            importlib.import_module(f"inkdigits.{{name}}")
    """
    assert alone(program) == ""


# ---- reading without torch


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Export a model, and save digits as an array and a picture, and what torch says of them."""
    folder = tmp_path_factory.mktemp("model")
    digits, network = few_digits(20), seeded_network(load_recipe("lenet"), 0)
    export_onnx(network, folder / "model.onnx", digits.images)
    with torch.no_grad():
        np.save(
            folder / "expected.npy",
            ExportedNetwork(network, 1.0).eval()(torch.from_numpy(digits.images)).numpy(),
        )
    np.save(folder / "images.npy", digits.images)
    Image.fromarray(255 - np.kron(digits.images[0], np.ones((4, 4), np.uint8))).save(
        folder / "digit.png"
    )
    return folder


def test_the_array_s_digits_are_read_as_torch_reads_them_without_torch(folder: Path) -> None:
    program = """
        import numpy as np
        import inkdigits
        folder = sys.argv[1]
        images, expected = np.load(folder + "/images.npy"), np.load(folder + "/expected.npy")
        print(np.abs(inkdigits.Recogniser(folder).classify(images) - expected).max())
    """
    assert float(alone(program, folder, without=EXTRAS)) < 1e-4


def test_a_picture_is_read_without_any_extra_from_python_and_from_the_command(folder: Path) -> None:
    program = """
        import inkdigits
        from inkdigits.command.cli import main
        picture, model = sys.argv[1:]
        print(inkdigits.read(picture, model=model).to_json(picture))
        raise SystemExit(main(["read", picture, "--model", model, "--json"]))
    """
    from_python, from_command = alone(
        program, folder / "digit.png", folder, without=EXTRAS
    ).splitlines()
    assert json.loads(from_python) == json.loads(from_command)
    assert len(json.loads(from_python)["digits"]) == 1


def test_the_core_install_is_three_libraries() -> None:
    project = tomllib.loads((PACKAGE.parent / "pyproject.toml").read_text())["project"]
    assert {library_of(needed) for needed in project["dependencies"]} == CORE

    extras = project["optional-dependencies"]
    with_opencv = {
        extra
        for extra, needed in extras.items()
        if "opencv-python-headless" in map(library_of, needed)
    }
    assert with_opencv == {"train"}


def test_a_picture_of_several_digits_is_read_by_the_core_install_alone() -> None:
    program = """
        import inkdigits
        print(inkdigits.read(sys.argv[1]).text)
        print(inkdigits.read(sys.argv[1], model="tiny").text)
    """
    assert alone(program, ASSETS / "sample.jpg", without=EXTRAS).split() == ["27354", "27354"]


@pytest.mark.slow
def test_no_module_that_reads_or_serves_imports_opencv_not_even_inside_functions() -> None:
    opencv = {name for name, tree in trees() if "cv2" in libraries(tree)}
    assert opencv <= DRAWING
    assert opencv

    drawing = {
        name: DRAWING & ours
        for name, ours in all_imports().items()
        if name.split(".")[0] in ("reading", "service")
    }
    assert {name: ours for name, ours in drawing.items() if ours} == {}


def test_a_command_that_needs_an_extra_names_it(folder: Path) -> None:
    program = """
        from inkdigits.command.cli import main
        print(main(["train", "lenet", "--data", sys.argv[1], "--out", sys.argv[2]]))
    """
    np.savez(folder / "digits.npz", images=few_digits(20).images, labels=few_digits(20).labels)
    command = [
        sys.executable,
        "-c",
        "import sys; sys.modules['torch'] = None\n" + textwrap.dedent(program),
    ]
    done = subprocess.run(
        [*command, folder / "digits.npz", folder / "run"],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.stdout == "2\n", done.stderr
    assert "pip install 'inkdigits[train]'" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (folder / "run").exists()


@pytest.mark.parametrize(
    "command",
    [
        ("pages", "--drawn", "--count", "1", "--out", "{folder}/pages"),
        ("evaluate", "tiny", "--data", "mnist-c/fog"),
        ("evaluate", "tiny", "--data", "mnist-c"),
    ],
)
def test_a_command_that_draws_names_the_extra_with_opencv(
    command: tuple[str, ...], tmp_path: Path
) -> None:
    program = """
        from contextlib import redirect_stderr
        from inkdigits.command.cli import main
        with redirect_stderr(sys.stdout):
            print(main(sys.argv[1:]))
    """
    arguments = [part.format(folder=tmp_path) for part in command]
    said, status = alone(program, *arguments, without=["cv2"]).splitlines()
    assert status == "2"
    assert said.startswith("inkdigits: ")
    assert said.endswith(" needs more than the core install: pip install 'inkdigits[train]'")
    assert not (tmp_path / "pages").exists()


def test_training_on_simulated_handwriting_names_the_extra_with_opencv() -> None:
    program = """
        import numpy as np
        from inkdigits.core.errors import MissingExtra
        from inkdigits.data.named import handwriting
        from inkdigits.data.splits import Split
        few = Split(np.zeros((3, 28, 28), np.uint8), np.zeros(3, np.uint8))
        try:
            handwriting({"train": few, "validation": few, "test": few}, None)
        except MissingExtra as error:
            print(error)
    """
    said = alone(program, without=["cv2"]).strip()
    assert said.startswith("the dataset handwriting needs more than the core install")
    assert said.endswith("pip install 'inkdigits[train]'")


# ---- the modules


@pytest.mark.parametrize("name", MODULES)
def test_a_module_says_what_it_is_for(name: str) -> None:
    docstring = importlib.import_module(f"inkdigits.{name}").__doc__
    assert docstring
    assert docstring.split("\n\n")[0].rstrip().endswith(".")


def wrong_way(name: str, imported: str) -> bool:
    """Tell whether a module of one room may not import a module of the other."""
    room, other = name.split(".")[0], imported.split(".")[0]
    return (room, other) in NOT_IMPORTED or ROOMS.index(other) > ROOMS.index(room)


def all_imports() -> dict[str, set[str]]:
    """Return what each module in a room imports of ours, wherever in the file the import stands."""
    return {
        name: set[str]().union(*(imported_modules(node) for node in ast.walk(tree)))
        for name, tree in trees()
        if name.split(".")[0] in ROOMS
    }


def test_imports_run_in_one_direction_from_room_to_room_those_inside_functions_too() -> None:
    imports = all_imports()
    assert "training.models" in imports["training.loop"]
    wrong = [
        f"{name} -> {one}" for name, ours in imports.items() for one in ours if wrong_way(name, one)
    ]
    assert sorted(wrong) == []


def test_the_order_of_the_rooms_is_really_checked() -> None:
    assert wrong_way("core.files", "reading.recogniser")
    assert wrong_way("service.server", "runs.run")
    assert not wrong_way("command.cli", "core.files")


def test_no_modules_import_each_other_in_a_circle() -> None:
    TopologicalSorter(all_imports()).prepare()  # raises CycleError where modules import each other


@pytest.mark.slow
def test_nothing_is_unpickled_anywhere() -> None:
    for name, tree in trees():
        for node in ast.walk(tree):
            imported = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            imported += [str(node.module)] if isinstance(node, ast.ImportFrom) else []
            assert not {"pickle", "shelve", "marshal", "dill", "joblib"} & {
                module.split(".")[0] for module in imported
            }, name
            if isinstance(node, ast.Call) and ast.unparse(node.func) in (
                "torch.load",
                "eval",
                "exec",
            ):
                pytest.fail(f"{name}.py calls {ast.unparse(node)}")
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "np.load":
                assert "allow_pickle=False" in ast.unparse(node), name
            if isinstance(node, ast.keyword) and node.arg == "allow_pickle":
                assert ast.unparse(node.value) == "False", name


def test_the_shipped_models_are_small_and_each_has_a_card_and_reads() -> None:
    names = shipped_models()
    assert names == ["best", "default", "fast-99.3", "nano", "tiny"]
    files = [path for path in (PACKAGE / "reading" / "weights").rglob("*") if path.is_file()]
    of_pages = sum(path.stat().st_size for path in files if path.parent.name == "page")
    assert sum(path.stat().st_size for path in files) - of_pages <= 8_000_000
    assert of_pages <= 6_000_000
    digits = few_digits(200)
    assert quantised_models() == ["best-int8", "default-int8", "fast-99.3-int8", "tiny-int8"]
    for name in names:
        assert (PACKAGE.parent / "docs" / "models" / f"{name}.md").is_file()
    for name in (*names, *quantised_models()):
        right = inkdigits.Recogniser(name).classify(digits.images).argmax(1) == digits.labels
        assert right.mean() > 0.75, name


def test_the_shipped_models_are_those_of_their_recipes_as_they_are_now() -> None:
    for name in ("best", "fast-99.3", "nano", "tiny"):
        config = json.loads((PACKAGE / "reading" / "weights" / name / "config.json").read_text())
        assert from_table(config["recipe"]).what_it_trains == load_recipe(name).what_it_trains
