"""`inkdigits evaluate` and `inkdigits export` as people and scripts meet them."""

import json

import numpy as np
import pytest
from command_line import (
    assert_refused,
)
from few_digits import few_digits
from PIL import Image
from promised import EVALUATION_KEYS

from inkdigits.data.datasets import load_dataset

# ---- evaluate


def test_evaluate_json_is_one_object_that_agrees_with_the_training(inkdigits_command, trained):
    done = inkdigits_command(
        "evaluate", trained, "--data", "optdigits", "--split", "test", "--json"
    )
    (figures,) = done.objects
    final = json.loads((trained / "config.json").read_text())["final"]
    assert (done.status, done.err) == (0, "")
    assert list(figures) == EVALUATION_KEYS
    assert figures["accuracy"] == pytest.approx(final["test_accuracy"], abs=1e-6)
    assert figures["f1_macro"] == pytest.approx(final["test_f1_macro"], abs=1e-6)
    assert (
        figures["n"] == sum(map(sum, figures["confusion"])) == len(load_dataset("optdigits").test)
    )
    assert list(figures["per_class"][0]) == ["digit", "precision", "recall", "f1", "support"]


def test_evaluate_says_the_same_to_people(inkdigits_command, trained):
    figures = inkdigits_command("evaluate", trained, "--data", "optdigits", "--json").objects[0]
    said = inkdigits_command("evaluate", trained, "--data", "optdigits")
    assert f"{100 * figures['accuracy']:.2f} %" in said.out
    assert max(map(len, said.out.splitlines()[1:])) <= 80  # the first holds the model's path


def test_data_that_a_model_has_not_learned_from_are_measured_in_full(
    inkdigits_command, trained, tmp_path
):
    seen = inkdigits_command("evaluate", trained, "--data", "optdigits", "--json").objects[0]
    assert seen["split"] == "test"
    np.savez(tmp_path / "mine.npz", images=few_digits(40).images, labels=few_digits(40).labels)
    new = inkdigits_command("evaluate", trained, "--data", tmp_path / "mine.npz", "--json").objects[
        0
    ]
    assert (new["split"], new["n"]) == ("all", 40)


def test_evaluate_writes_a_report(inkdigits_command, trained, tmp_path):
    done = inkdigits_command(
        "evaluate", trained, "--data", "optdigits", "--report", tmp_path / "report.html", "--json"
    )
    assert done.status == 0
    assert len(done.objects) == 1
    assert str(tmp_path / "report.html") in done.err
    assert "<html" in (tmp_path / "report.html").read_text()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["text.txt/report.html", "full", "/proc/report.html"])
def test_a_report_that_cannot_be_written_is_one_sentence(name, inkdigits_command, trained, place):
    done = inkdigits_command(
        "evaluate", trained, "--data", "optdigits", "--report", place / name, "--json"
    )
    assert done.status == 2
    assert len(done.objects) == 1  # what was measured is not lost
    assert done.err.startswith(f"inkdigits: cannot write {place / name}")


@pytest.mark.parametrize(
    ("model", "says"),
    [
        ("lenet5", "no model 'lenet5'; known:"),
        ("{place}/missing.onnx", "no model"),
        ("{place}/empty", "holds no model.onnx"),
        ("{place}/model.onnx", "damaged or not an ONNX model"),
        ("{place}/text.txt", "is not an .onnx file"),
        ("{place}/empty-file", "is not an .onnx file"),
        ("x" * 5000, "xxx"),
    ],
)
def test_unusable_models_are_refused(model, says, place, inkdigits_command):
    Image.new("L", (50, 50), 255).save(place / "a.png")
    model = model.format(place=place)
    assert_refused(inkdigits_command("evaluate", model, "--data", "optdigits"), says)
    assert_refused(inkdigits_command("read", place / "a.png", "--model", model), says)


@pytest.mark.slow
def test_an_unknown_split_is_refused_with_the_known_ones(trained, inkdigits_command):
    done = inkdigits_command("evaluate", trained, "--data", "optdigits", "--split", "trian")
    assert_refused(done, "no split in optdigits: 'trian'; known: train, validation, test, all")


# ---- export


@pytest.mark.slow
def test_export_writes_a_file_that_reads(inkdigits_command, trained, tmp_path):
    done = inkdigits_command(
        "export", trained, "-o", tmp_path / "digits.onnx", "--json", "--data-dir", tmp_path
    )
    (written,) = done.objects
    assert (done.status, written["path"]) == (0, str(tmp_path / "digits.onnx"))
    assert written["bytes"] == (tmp_path / "digits.onnx").stat().st_size
    assert written["largest_difference"] < 1e-4
    assert (
        inkdigits_command("evaluate", tmp_path / "digits.onnx", "--data", "optdigits").status == 0
    )
    assert (
        "differ"
        in inkdigits_command(
            "export", trained, "-o", tmp_path / "digits.onnx", "--data-dir", tmp_path
        ).out
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "output", "says"),
    [
        ("lenet5", "x.onnx", "no model 'lenet5'"),
        ("{place}/empty", "x.onnx", "holds no config.json"),
        ("{place}/model.onnx", "x.onnx", "is a file"),
        ("{trained}", "full", "cannot write"),
        ("{trained}", "text.txt/x.onnx", "cannot write"),
        ("{trained}", "nowhere/x.onnx", "cannot write"),
    ],
)
def test_impossible_exports_are_refused(model, output, says, place, trained, inkdigits_command):
    before, model = sorted(place.rglob("*")), model.format(place=place, trained=trained)
    assert_refused(
        inkdigits_command("export", model, "-o", place / output, "--data-dir", place), says
    )
    assert sorted(place.rglob("*")) == before
