"""A recipe is a .toml file; an error in one is a sentence that names what would work."""

import dataclasses
import json
import os
from pathlib import Path

import pytest

from inkdigits.core.errors import BadData, BadValue, UnknownName, quoted
from inkdigits.training.recipe import (
    SETTINGS,
    Recipe,
    from_table,
    load_recipe,
    parse_settings,
    shipped_recipes,
    to_table,
)

REFERENCE = ["lenet", "two-conv", "dropout", "sgd", "batchnorm"]


def write_toml(folder: Path, text: str, name: str = "mine.toml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_the_reference_recipes_are_shipped_first_and_in_the_order_of_reading() -> None:
    assert shipped_recipes()[:5] == REFERENCE
    assert len(set(shipped_recipes())) == len(shipped_recipes())


@pytest.mark.parametrize("name", shipped_recipes())
def test_a_shipped_recipe_loads_by_name_with_its_evidence(name: str) -> None:
    recipe = load_recipe(name)
    assert recipe.name == name
    assert recipe.summary
    assert recipe.source.strip()


@pytest.mark.parametrize("name", shipped_recipes())
def test_a_recipe_survives_the_way_through_json(name: str) -> None:
    recipe = load_recipe(name)
    assert from_table(json.loads(json.dumps(to_table(recipe)))) == recipe


def test_keys_of_older_versions_are_dropped_where_they_were_off_and_else_refused() -> None:
    old = {"test_rotation": 0.0, "test_zoom": 0.0, "reduced_precision": True}
    recipe = load_recipe("lenet")
    assert from_table(to_table(recipe) | old) == recipe

    for key, value in (("test_rotation", 8.0), ("test_zoom", 0.1), ("reduced_precision", False)):
        with pytest.raises(UnknownName, match=f"no recipe key '{key}'"):
            from_table(to_table(recipe) | old | {key: value})


def test_a_date_in_a_recipe_of_the_user_s_does_not_keep_it_out_of_json(tmp_path: Path) -> None:
    recipe = load_recipe(
        write_toml(tmp_path, 'network = "lenet"\n[published]\nread = 2024-05-06\nrates = [1, 2.5]')
    )
    assert json.loads(json.dumps(to_table(recipe)))["published"] == {
        "read": "2024-05-06",
        "rates": [1, 2.5],
    }


def test_a_toml_of_the_user_s_works_as_ours_do(tmp_path: Path) -> None:
    path = write_toml(
        tmp_path, 'network = "dropout"\nepochs = 3\nlearning_rate = 1\n[options]\ndropout = 0.25\n'
    )
    expected = Recipe(
        name="mine", network="dropout", epochs=3, learning_rate=1.0, options={"dropout": 0.25}
    )
    for way_to_say_it in (path, str(path)):
        recipe = load_recipe(way_to_say_it)
        assert recipe == expected
        assert isinstance(recipe.learning_rate, float), "a whole number will do for a float"


def test_a_recipe_with_a_base_says_only_what_differs(tmp_path: Path) -> None:
    ours = load_recipe("dropout")
    recipe = load_recipe(
        write_toml(tmp_path, 'base = "dropout"\nepochs = 3\n[options]\ndropout = 0.25\n')
    )
    silent = {
        "name": "mine",
        "base": "dropout",
        "summary": "",
        "source": "",
        "published": {},
        "measured": {},
    }
    assert recipe == dataclasses.replace(
        ours, epochs=3, options={**ours.options, "dropout": 0.25}, **silent
    )
    assert from_table(json.loads(json.dumps(to_table(recipe)))) == recipe


def test_a_recipe_that_is_no_base_is_told(tmp_path: Path) -> None:
    with pytest.raises(UnknownName, match=r"'nix'.*lenet"):
        load_recipe(write_toml(tmp_path, 'base = "nix"'))
    with pytest.raises(BadValue, match="'ensemble' cannot be the base of 'mine'"):
        load_recipe(write_toml(tmp_path, 'base = "ensemble"'))
    with pytest.raises(UnknownName, match="recipe key 'base'"):
        load_recipe("lenet", {"base": "best"})


def test_the_members_of_an_ensemble_are_trained_as_its_base_says_each_with_its_own_seed() -> None:
    ensemble, best = load_recipe("ensemble"), load_recipe("best")
    assert ensemble.members > 1
    assert ensemble.member.name == "best"
    assert ensemble.member.what_it_trains == best.what_it_trains != ensemble.what_it_trains
    seeds = [each for seed in range(3) for each in ensemble.member_seeds(seed)]
    assert seeds == list(range(3 * ensemble.members))


def test_a_recipe_that_is_loaded_already_is_taken_as_it_is() -> None:
    recipe = Recipe(name="own", network="lenet")
    assert load_recipe(recipe) is recipe
    assert load_recipe(recipe, {"epochs": 2}) == dataclasses.replace(recipe, epochs=2)


def test_a_recipe_cannot_be_changed_behind_one_s_back() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        load_recipe("lenet").epochs = 1  # type: ignore[misc]


@pytest.mark.parametrize(
    "name", ["lenet5", "", "../recipes/lenet", "missing.toml", "x" * 5000, "null\0.toml"]
)
def test_an_unknown_recipe_names_the_known_ones(name: str) -> None:
    with pytest.raises(UnknownName) as caught:
        load_recipe(name)
    known = ", ".join(shipped_recipes())
    expected = f"no recipe {quoted(name)}; known: {known}, or a .toml file of yours"
    assert str(caught.value) == expected


def test_a_folder_that_is_called_like_a_recipe_is_none(tmp_path: Path) -> None:
    (tmp_path / "folder.toml").mkdir()
    with pytest.raises(UnknownName, match="no recipe"):
        load_recipe(tmp_path / "folder.toml")


@pytest.mark.parametrize(
    "content",
    [
        b"network = ",
        b"\xff\xfe\x00",
        b'network = "lenet"\nnetwork = "sgd"',
        b"epochs = " + b"9" * 5000,
    ],
)
def test_a_file_that_is_not_toml_is_bad_data(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "mine.toml"
    path.write_bytes(content)
    with pytest.raises(BadData, match=r"mine.toml is not a recipe: "):
        load_recipe(path)


def test_a_file_that_cannot_be_read_is_bad_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_toml(tmp_path, 'network = "lenet"')

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(BadData, match=r"mine.toml cannot be read: Permission denied"):
        load_recipe(path)


@pytest.mark.parametrize("key", ["epoch", "Epochs", "lr", "name"])
def test_a_misspelt_key_names_the_known_ones_in_a_file_and_in_settings(
    tmp_path: Path, key: str
) -> None:
    with pytest.raises(UnknownName) as in_file:
        load_recipe(write_toml(tmp_path, f'network = "lenet"\n{key} = 3'))
    with pytest.raises(UnknownName) as in_settings:
        load_recipe("lenet", {key: 3})
    for caught in (in_file, in_settings):
        assert str(caught.value).startswith(f"no recipe key {key!r}; known: network, ")
        assert ", ".join(SETTINGS) in str(caught.value)


@pytest.mark.parametrize("key", ["published", "measured"])
def test_evidence_is_not_a_setting(key: str) -> None:
    with pytest.raises(UnknownName, match=f"no recipe key '{key}'"):
        load_recipe("lenet", {key: {"test_accuracy": 1.0}})


def test_a_recipe_without_a_network_says_what_to_add(tmp_path: Path) -> None:
    with pytest.raises(
        BadValue, match="'mine' names no network; add a line such as network = \"lenet\""
    ):
        load_recipe(write_toml(tmp_path, "epochs = 3"))


@pytest.mark.parametrize(
    ("key", "toml", "sentence"),
    [
        ("epochs", "2.5", "epochs must be a whole number, not 2.5"),
        ("epochs", "true", "epochs must be a whole number, not True"),
        ("learning_rate", '"fast"', "learning_rate must be a number, not 'fast'"),
        ("learning_rate", "true", "learning_rate must be a number, not True"),
        ("schedule", "3", "schedule must be text, not 3"),
        ("teacher", "3", "teacher must be text or a list of texts, not 3"),
        ("teacher", '["a", 3]', r"teacher must be text or a list of texts, not \['a', 3\]"),
        ("options", "[1]", r"options must be a table of names and values, not \[1\]"),
    ],
)
def test_a_value_of_the_wrong_type_says_which_is_right(
    tmp_path: Path, key: str, toml: str, sentence: str
) -> None:
    with pytest.raises(BadValue, match=f"^{sentence}$"):
        load_recipe(write_toml(tmp_path, f'network = "lenet"\n{key} = {toml}'))
    with pytest.raises(BadValue, match=f"^{sentence}$"):
        load_recipe("lenet", parse_settings([f"{key}={toml}"]))


@pytest.mark.parametrize(
    ("key", "value", "wanted"),
    [
        ("epochs", 0, "at least 1"),
        ("batch", -1, "at least 1"),
        ("size", 0, "at least 1"),
        ("learning_rate", 0.0, "above 0"),
        ("sd", 0.0, "above 0"),
        ("weight_decay", -0.1, "0 or more"),
        ("rotation", -1.0, "0 or more"),
        ("shear", -1.0, "0 or more"),
        ("shift", -1.0, "0 or more"),
        ("elastic", -1.0, "0 or more"),
        ("erasing", -1.0, "0 or more"),
        ("noise", -0.1, "0 or more"),
        ("clutter", 1.1, "from 0 to 1"),
        ("filtering", -0.1, "from 0 to 1"),
        ("members", 0, "at least 1"),
        ("members", 101, "at most 100"),
        ("clean_epochs", -1, "0 or more"),
        ("unsmoothed_epochs", -1, "0 or more"),
        ("ema", 1.0, "from 0 to below 1"),
        ("ema", -0.1, "from 0 to below 1"),
        ("teacher_weight", 1.1, "from 0 to 1"),
        ("teacher_weight", -0.1, "from 0 to 1"),
        ("teacher_temperature", 0.0, "above 0"),
        ("momentum", 1.0, "from 0 to below 1"),
        ("label_smoothing", 1.0, "from 0 to below 1"),
        ("zoom", 1.0, "from 0 to below 1"),
        ("zoom", -0.1, "from 0 to below 1"),
        ("mean", float("nan"), "a finite number"),
        ("learning_rate", float("inf"), "a finite number"),
    ],
)
def test_a_value_out_of_range_says_what_the_range_is(key: str, value: float, wanted: str) -> None:
    with pytest.raises(BadValue, match=f"^recipe 'lenet': {key} must be {wanted}, not {value}$"):
        load_recipe("lenet", {key: value})


def test_settings_read_as_toml_would_read_them() -> None:
    pairs = [
        "epochs=3",
        "learning_rate = 1e-2",
        "schedule=cosine",
        'summary="x = y"',
        "teacher=false",
        "batch=0x10",
    ]
    assert parse_settings(pairs) == {
        "epochs": 3,
        "learning_rate": 0.01,
        "schedule": "cosine",
        "summary": "x = y",
        "teacher": False,
        "batch": 16,
    }


def test_a_teacher_is_one_name_or_several() -> None:
    for pair, names in (
        ("teacher=best", ("best",)),
        ('teacher=["runs/a", "runs/b"]', ("runs/a", "runs/b")),
        ("teacher=[]", ()),
    ):
        recipe = load_recipe("lenet", parse_settings([pair]))
        assert recipe.teacher == names
        assert from_table(json.loads(json.dumps(to_table(recipe)))) == recipe


def test_of_two_settings_of_one_key_the_later_one_holds() -> None:
    assert parse_settings(["epochs=3", "epochs=4"]) == {"epochs": 4}
    assert parse_settings(["options=3", "options.dropout=0.5"]) == {"options": {"dropout": 0.5}}
    assert parse_settings(["options.dropout=0.5", "options=3"]) == {"options": 3}


def test_what_follows_the_first_equals_sign_is_the_value() -> None:
    assert parse_settings(["source=a=b", "summary="]) == {"source": "a=b", "summary": ""}


def test_a_number_too_long_to_read_is_text() -> None:
    with pytest.raises(BadValue, match="epochs must be a whole number"):
        load_recipe("lenet", parse_settings(["epochs=" + "9" * 5000]))


@pytest.mark.parametrize("pair", ["epochs", "=3", " =3", ""])
def test_a_setting_without_key_or_value_names_the_keys(pair: str) -> None:
    with pytest.raises(BadValue) as caught:
        parse_settings([pair])
    assert (
        str(caught.value) == f"a setting reads key=value, not {pair!r}; keys: {', '.join(SETTINGS)}"
    )


def test_an_option_of_the_network_is_set_beside_the_others() -> None:
    recipe = Recipe(name="own", network="x", options={"dropout": 0.5, "width": 8})
    changed = load_recipe(recipe, parse_settings(["options.dropout=0.25", "options.depth=2"]))
    assert changed.options == {"dropout": 0.25, "width": 8, "depth": 2}
    assert recipe.options == {"dropout": 0.5, "width": 8}


def test_a_dot_after_a_key_that_is_no_table_is_told() -> None:
    with pytest.raises(BadValue, match=r"epochs must be a whole number, not {'x': 3}"):
        load_recipe("lenet", parse_settings(["epochs.x=3"]))
    with pytest.raises(UnknownName, match="no recipe key 'option'"):
        load_recipe("lenet", parse_settings(["option.dropout=3"]))


@pytest.mark.parametrize(
    "text",
    [
        "options = " + "[" * 2000 + "]" * 2000,
        "options = " + "{a = " * 2000 + "1" + "}" * 2000,
        "options" + ".a" * 2000 + " = 1",
        "[options" + ".a" * 2000 + "]",
    ],
)
def test_what_is_nested_too_deeply_is_refused_in_a_sentence(text: str, tmp_path: Path) -> None:
    path = tmp_path / "deep.toml"
    path.write_text(f'network = "lenet"\n{text}\n')
    with pytest.raises(BadData, match="nested too deeply"):
        load_recipe(path)

    key, _, value = text.partition(" = ")
    if key == "options":
        with pytest.raises(BadValue, match="the value of options is nested too deeply"):
            parse_settings([f"{key}={value}"])
