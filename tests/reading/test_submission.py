"""Kaggle's test.csv becomes a table with a digit for every row; its train.csv trains."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from few_digits import few_digits
from numpy.typing import NDArray

from inkdigits.command import cli
from inkdigits.reading import submission
from inkdigits.reading.recogniser import Recogniser

ROWS = 40
HEADER = [f"pixel{number}" for number in range(784)]


def table(path: Path, images: NDArray[np.uint8], labels: NDArray[np.uint8] | None = None) -> Path:
    """Write a table as Kaggle's: a header, and the label, if any, before the pixels."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([*(["label"] if labels is not None else []), *HEADER])
        for number, image in enumerate(images):
            writer.writerow([*([] if labels is None else [labels[number]]), *image.ravel()])
    return path


@pytest.fixture
def images() -> NDArray[np.uint8]:
    """Digits; then noise, which is none, and a field without ink."""
    noise = np.random.default_rng(0).integers(0, 256, (1, 28, 28), np.uint8)
    return np.concatenate([few_digits(ROWS).images, noise, np.zeros((1, 28, 28), np.uint8)])


def test_every_row_gets_its_most_likely_digit(images, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    table(Path("test.csv"), images)

    assert cli.main(["read", "test.csv", "--submission", "submission.csv"]) == 0

    with Path("submission.csv").open(newline="") as file:
        rows = list(csv.reader(file))

    assert rows[0] == ["ImageId", "Label"]
    assert [int(number) for number, _ in rows[1:]] == list(range(1, len(images) + 1))

    recogniser = Recogniser()

    assert [int(digit) for _, digit in rows[1:]] == recogniser.classify(images).argmax(1).tolist()

    out, err = capsys.readouterr()

    assert out == f"submission.csv: {len(images)} images\n"

    doubtful = sum(
        not (reading.digits and reading.digits[0].accepted)
        for reading in recogniser.read_images(images)
    )

    assert doubtful >= 2
    assert f"{doubtful} of {len(images)} are doubtful" in err


def test_labels_are_ignored(images, tmp_path, capsys):
    digits = few_digits(ROWS)
    wrong = table(tmp_path / "train.csv", digits.images, (digits.labels + 1) % 10)

    assert cli.main(["read", str(wrong), "--submission", str(tmp_path / "a.csv"), "--json"]) == 0
    assert (
        cli.main(
            [
                "read",
                str(table(tmp_path / "test.csv", digits.images)),
                "--submission",
                str(tmp_path / "b.csv"),
            ]
        )
        == 0
    )
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()

    said = json.loads(capsys.readouterr().out.splitlines()[0])

    assert list(said) == ["path", "images", "doubtful"]
    assert (said["path"], said["images"]) == (str(tmp_path / "a.csv"), ROWS)


def test_the_table_does_not_depend_on_blocks(images, tmp_path, monkeypatch):
    source, recogniser = str(table(tmp_path / "test.csv", images)), Recogniser()
    submission.write_submission(recogniser, [source], tmp_path / "one.csv")
    monkeypatch.setattr(
        submission, "iter_images", lambda _: iter([images[:1], images[1:30], images[30:]])
    )
    done = []
    submission.write_submission(
        recogniser, [source], tmp_path / "three.csv", lambda *progress: done.append(progress)
    )

    assert (tmp_path / "one.csv").read_bytes() == (tmp_path / "three.csv").read_bytes()
    assert [number for _, number, _ in done] == [1, 30, len(images)]


def test_a_damaged_row_leaves_what_was_there(images, tmp_path, capsys):
    source = table(tmp_path / "test.csv", images)
    source.write_text(source.read_text() + "1,2,3\n")
    target = tmp_path / "submission.csv"

    assert cli.main(["read", str(source), "--submission", str(target)]) == 2
    assert f"line {len(images) + 2}" in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["test.csv"]

    target.write_text("yesterday's")

    assert cli.main(["read", str(source), "--submission", str(target)]) == 2
    assert target.read_text() == "yesterday's"

    table(source, images)

    assert cli.main(["read", str(source), "--submission", str(target)]) == 0
    assert target.read_text().startswith("ImageId,Label\n1,")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (
            ["folder"],
            "one file of 28x28 images, such as Kaggle's test.csv, not of the folder folder",
        ),
        (["test.csv", "test.csv"], "not of 2 things"),
        (["picture.png"], "is neither IDX, .npz, .npy nor CSV"),
        (["nowhere.csv"], "no file nowhere.csv"),
        (["-"], "no file -"),
        (["test.csv", "--explain", "why"], "choose one of them"),
        (["test.csv", "--submission", "test.csv"], "take the place of what is read"),
        (
            ["test.csv", "--submission", "nowhere/submission.csv"],
            "cannot write nowhere/submission.csv",
        ),
    ],
)
def test_sources_that_make_no_submission_get_a_sentence(
    arguments, says, images, tmp_path, capsys, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    table(Path("test.csv"), images)
    before = Path("test.csv").read_bytes()
    Path("folder").mkdir()
    Path("picture.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    given = (
        arguments if "--submission" in arguments else [*arguments, "--submission", "submission.csv"]
    )

    assert cli.main(["read", *given]) == 2

    out, err = capsys.readouterr()

    assert (out, len(err.splitlines())) == ("", 1), err
    assert says in err
    assert Path("test.csv").read_bytes() == before
    assert not Path("submission.csv").exists()


@pytest.mark.slow
def test_kaggle_s_train_csv_trains_a_model(quick, images, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    digits = few_digits(200)
    table(Path("train.csv"), digits.images, digits.labels)

    assert (
        cli.main(
            ["train", "lenet", "--data", "train.csv", "--out", "mine", "--epochs", "1", "--json"]
        )
        == 0
    )

    epoch, final = map(json.loads, capsys.readouterr().out.splitlines())

    assert (epoch["epoch"], final["recipe"]) == (1, "lenet")
    assert json.loads(Path("mine/config.json").read_text())["data"] == {
        "name": "train.csv",
        "train": 160,
        "validation": 20,
    }
