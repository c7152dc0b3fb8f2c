"""Options made from recipes, and read back."""

import argparse
import json
from pathlib import Path

import pytest

from workbench.cli.running import add_fields, add_settings, read_values
from workbench.errors import BadInput, BadRecipe
from workbench.recipes.describe import describe
from workbench.recipes.train import TrainEmbeddingRecipe


def parse(*argv: str) -> dict[str, object]:
    parser = argparse.ArgumentParser()
    add_fields(parser, TrainEmbeddingRecipe, skip=("dataset",))
    add_settings(parser, TrainEmbeddingRecipe)
    return read_values(parser.parse_args(argv), TrainEmbeddingRecipe)


def test_only_what_was_typed_is_handed_on() -> None:
    assert parse() == {}
    assert parse("--batch-size", "8") == {"batch_size": "8"}


def test_every_field_is_an_option() -> None:
    parser = argparse.ArgumentParser()
    add_fields(parser, TrainEmbeddingRecipe)
    options = {option for action in parser._actions for option in action.option_strings}
    for spec in describe(TrainEmbeddingRecipe):
        assert "--" + spec.name.replace("_", "-") in options


def test_set_wins_over_option_over_preset_over_file(tmp_path: Path) -> None:
    file = tmp_path / "recipe.json"
    file.write_text(json.dumps({"epochs": 9, "seed": 9, "batch_size": 9, "negatives": 9}))
    values = parse(
        "--recipe", str(file), "--preset", "quick", "--batch-size", "5", "--set", "batch-size=6"
    )
    assert values["seed"] == 9
    assert values["epochs"] == TrainEmbeddingRecipe.presets["quick"]["epochs"]
    assert values["batch_size"] == "6"


def test_none_typed_for_an_optional_field_is_no_value() -> None:
    assert parse("--max-steps", "none") == {"max_steps": None}
    assert parse("--name", "none") == {"name": "none"}


def test_an_empty_prompt_wants_none_and_an_absent_one_the_base_models() -> None:
    said = {
        (): None,
        ("--set", "query_prompt="): "",
        ("--set", 'query_prompt=""'): "",
        ("--query-prompt", ""): "",
        ("--query-prompt", "query: "): "query: ",
    }
    for argv, wanted in said.items():
        recipe = TrainEmbeddingRecipe.read({"dataset": "pets", **parse(*argv)})
        assert recipe.query_prompt == wanted, argv


def test_a_setting_without_equals_or_of_no_field_is_a_sentence() -> None:
    with pytest.raises(BadInput, match="has no '='"):
        parse("--set", "epochs")
    with pytest.raises(BadRecipe, match="no field named 'epoch'"):
        parse("--set", "epoch=2")


def test_a_recipe_file_that_is_missing_or_no_json(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="cannot be read"):
        parse("--recipe", str(tmp_path / "no.json"))
    bad = tmp_path / "bad.json"
    bad.write_text("{")
    with pytest.raises(BadInput, match="is not JSON"):
        parse("--recipe", str(bad))
