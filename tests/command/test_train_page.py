"""`inkdigits train page` as people and scripts meet it."""

import json
import re

import pytest
from command_line import assert_refused

from inkdigits.data.store import default_data_dir

TINY = {"steps": 3, "batch": 2, "shards": 1, "pages": 2, "validation_pages": 2, "warm_up": 1}
SETTINGS = [word for key, value in TINY.items() for word in ("--set", f"{key}={value}")]
has_mnist = (default_data_dir() / "mnist" / "train-images-idx3-ubyte.gz").exists()
pytestmark = pytest.mark.xdist_group("glyphs")  # one process builds the bank of glyphs
needs_mnist = pytest.mark.skipif(not has_mnist, reason="MNIST is not in the folder of datasets")


@needs_mnist
@pytest.mark.slow
def test_the_page_reader_is_trained_like_any_other_recipe(inkdigits_command, tmp_path):
    arguments = ("train", "page", "--out", tmp_path / "run", "--init", "page", *SETTINGS)
    done = inkdigits_command(*arguments, "--json")
    assert done.status == 0
    page, look, final = done.objects
    assert (page["network"], page["step"], page["steps"]) == ("page", 3, 3)
    assert (look["network"], look["shard"], look["shards"]) == ("look", 1, 1)
    assert (final["final"], final["recipe"], final["seed"]) == (True, "page", 0)
    assert done.out == (tmp_path / "run" / "metrics.jsonl").read_text()
    assert re.fullmatch(
        r"page, seed 0: 3 steps of 2 pages\npage network  step 3/3  loss \d+\.\d{4}\n"
        r"a second look: 1 shards of 2 pages\n"
        r"look network  shard 1/1  loss \d+\.\d{4}  \d+ looks\n",
        done.err,
    )

    assert_refused(inkdigits_command(*arguments), "exists and is not empty")
    again = inkdigits_command(*arguments, "--resume")
    assert again.status == 0
    assert re.fullmatch(
        r"page network on 2 validation pages: .*\nlook network on \d+ looks: .*\n"
        r"networks and report: \S+run, \S+report.html\n",
        again.out,
    )
    assert_refused(inkdigits_command(*arguments, "--resume", "--seed", 1), "of seed 0, now 1")


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (("--data", "mnist"), "draws its own pages to learn from; leave out --data"),
        (("--data-dir", "x"), "$INKDIGITS_DATA; set that instead"),
        (("--epochs", 0), "counts steps and shards, not epochs"),
        (("--tensorboard",), "writes nothing for TensorBoard"),
        (("--set", "steps"), "key=value, not 'steps'; keys: summary, steps"),
        (("--set", "members=3"), "no recipe key 'members'; known: summary, steps"),
        (("--set", "options.dropout=0.3"), "no recipe key 'options'"),
        (("--set", "steps=0"), "steps = 0; expected a whole number from 1"),
        (("--checkpoint-every", "often"), "never (off), not 'often'"),
    ],
)
def test_what_makes_no_sense_for_pages_is_refused(given, says, inkdigits_command, tmp_path):
    assert_refused(inkdigits_command("train", "page", "--out", tmp_path / "run", *given), says)
    assert not (tmp_path / "run").exists()


@needs_mnist
@pytest.mark.parametrize(
    ("given", "says"),
    [
        (("--seed", -1), "a seed is a whole number from 0"),
        (("--device", "tpu"), "no device 'tpu'"),
        (("--init", "default"), "no page reader 'default'; known: page, a folder made by"),
        (("--init", "{empty}"), "page.safetensors cannot be read"),
        (("--out", "{full}"), "exists and is not empty"),
    ],
)
def test_pages_are_not_trained_from_nothing_or_into_anything(
    given, says, inkdigits_command, tmp_path
):
    (tmp_path / "empty").mkdir()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").write_text("years of work")
    places = {"empty": tmp_path / "empty", "full": tmp_path / "full"}
    given = [str(word).format(**places) for word in given]
    done = inkdigits_command("train", "page", "--out", tmp_path / "run", *given)
    assert_refused(done, says)
    assert not (tmp_path / "run").exists()


def test_the_recipe_is_listed_without_invented_figures(inkdigits_command):
    page = json.loads(inkdigits_command("recipes", "--json").out)[-1]
    assert (page["name"], page["published"], page["measured"]) == ("page", {}, {})
    row = inkdigits_command("recipes").out.splitlines()[-1]
    assert re.fullmatch(r"page +- +-  finds the symbols .*", row)
