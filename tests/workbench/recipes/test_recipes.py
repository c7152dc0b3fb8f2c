"""Every recipe says all there is to say about its fields, and the reference page repeats it."""

from pathlib import Path

import pytest

from workbench.errors import BadRecipe, NotFound
from workbench.recipes.base import Recipe
from workbench.recipes.decided import ALL, decidable
from workbench.recipes.describe import describe
from workbench.recipes.train import TrainEmbeddingRecipe
from workbench.reference import reference
from workbench.tasks import all_tasks, get_task, read_recipe

ROOT = Path(__file__).resolve().parents[3]
RECIPES = [task.recipe for task in all_tasks().values()]


@pytest.mark.parametrize("recipe", RECIPES)
def test_every_field_has_one_sentence_of_help(recipe: type[Recipe]) -> None:
    for spec in describe(recipe):
        assert spec.help.endswith("."), spec.name
        assert len(spec.help) > 15, spec.name


@pytest.mark.parametrize("recipe", RECIPES)
def test_presets_are_valid_values(recipe: type[Recipe]) -> None:
    required = {s.name: "x" if s.kind != "list" else ["x"] for s in describe(recipe) if s.required}
    for values in recipe.presets.values():
        built = recipe.read({**required, **values})
        as_read = values | (
            {"auto": ",".join(decidable(recipe))} if values.get("auto") == ALL else {}
        )
        assert {name: getattr(built, name) for name in values} == as_read


def test_the_reference_page_equals_what_the_recipes_generate() -> None:
    page = (ROOT / "docs" / "reference.md").read_text(encoding="utf-8")
    assert page == reference(), "run: make docs"


def test_a_bad_value_is_a_sentence_at_its_field() -> None:
    with pytest.raises(BadRecipe) as caught:
        TrainEmbeddingRecipe.read({"dataset": "d", "epochs": -1, "batch_size": "many"})
    assert set(caught.value.details["fields"]) == {"epochs", "batch_size"}
    assert "greater than 0" in caught.value.details["fields"]["epochs"]


def test_an_unknown_field_is_refused_with_the_known_ones() -> None:
    with pytest.raises(BadRecipe, match=r"Known fields: .*epochs"):
        TrainEmbeddingRecipe.read({"dataset": "d", "epoch": 1})


def test_numbers_typed_as_text_are_read() -> None:
    built = TrainEmbeddingRecipe.read({"dataset": "d", "epochs": "2", "learning_rate": "1e-4"})
    assert (built.epochs, built.learning_rate) == (2.0, 1e-4)


def test_a_recipe_survives_its_json() -> None:
    built = TrainEmbeddingRecipe.read({"dataset": "d", "epochs": 3})
    again = read_recipe("train-embedding", built.model_dump(mode="json"))
    assert again == built


def test_an_unknown_task_says_which_was_meant() -> None:
    with pytest.raises(NotFound, match="Did you mean 'train-embedding'"):
        get_task("train-embeding")


def test_describe_reads_bounds_choices_and_options() -> None:
    specs = {spec.name: spec for spec in describe(TrainEmbeddingRecipe)}
    assert specs["epochs"].minimum == 0
    assert specs["precision"].choices == ("auto", "fp32", "bf16", "fp16")
    assert specs["max_steps"].optional
    assert specs["dataset"].required
    assert specs["dataset"].widget == "dataset"
