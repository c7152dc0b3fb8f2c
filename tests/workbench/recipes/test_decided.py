"""What a run decides, and what a person decides instead."""

import pytest

from workbench.errors import BadRecipe
from workbench.recipes.decided import (
    ALL,
    DECISIONS,
    SERVING,
    as_decided,
    as_written,
    decidable,
    given_by,
    started_from,
    with_preset,
)
from workbench.recipes.describe import describe
from workbench.recipes.train import KINDS, TrainEmbeddingRecipe
from workbench.recipes.train_kinds import TrainRerankerRecipe


def read(**values: object) -> TrainEmbeddingRecipe:
    return TrainEmbeddingRecipe.read({"dataset": "d", **values})


def started(preset: str, **given: object) -> TrainEmbeddingRecipe:
    values = started_from(TrainEmbeddingRecipe, TrainEmbeddingRecipe.presets[preset], given)
    return read(**values)


def test_a_recipe_of_its_own_decides_nothing() -> None:
    assert read().auto == "" and read().decides == ()


def test_the_preset_auto_is_the_first_and_decides_all_that_is_not_given() -> None:
    assert next(iter(TrainEmbeddingRecipe.presets)) == "auto"
    assert started("auto").decides == DECISIONS
    assert started("auto").average_weights > 0 and started("auto").scheduler == "cosine"
    made = started("auto", learning_rate="1e-4")
    assert made.learning_rate == 1e-4
    assert made.decides == tuple(one for one in DECISIONS if one != "learning_rate")
    assert read(auto=ALL, negatives=3).decides == tuple(o for o in DECISIONS if o != "negatives")


@pytest.mark.parametrize("name", ["epochs", "max_steps", "batch_size"])
@pytest.mark.parametrize("preset", list(TrainEmbeddingRecipe.presets))
def test_how_long_to_train_given_by_a_person_runs_as_written(preset: str, name: str) -> None:
    made = started(preset, **{name: 7})
    assert made.auto == "" and getattr(made, name) == 7


@pytest.mark.parametrize("preset", ["quick", "balanced", "thorough"])
def test_the_other_presets_look_for_the_serving_length_alone(preset: str) -> None:
    assert started(preset).decides == ("serving_length",)
    assert started(preset, learning_rate=1e-4).decides == ("serving_length",)


def test_what_was_decided_once_is_given_by_a_later_word() -> None:
    before = read(auto="serving_length,learning_rate,blend").model_dump(mode="json")
    values = started_from(TrainEmbeddingRecipe, before, {"learning_rate": 1e-4})
    assert read(**values).decides == ("serving_length", "blend")
    assert read(**started_from(TrainEmbeddingRecipe, before, {"auto": ""})).decides == ()


@pytest.mark.parametrize("how", [{"objective": "cosent"}, {"devices": 2}, {"devices": "all"}])
def test_scored_pairs_and_several_devices_run_as_written(how: dict[str, object]) -> None:
    made = started("auto", **how)
    assert made.auto == "" and made.epochs == 2.0
    assert started("quick", **how).auto == "" and started("quick", **how).epochs == 1.0
    assert started("auto", epochs=5, **how).epochs == 5


def test_what_a_file_says_beside_all_is_given() -> None:
    said = {"auto": ALL, "learning_rate": 1e-5}
    made = read(**started_from(TrainEmbeddingRecipe, said, {"negatives": 3}))
    assert made.decides == tuple(o for o in DECISIONS if o not in ("learning_rate", "negatives"))
    said = {"auto": ALL, "epochs": 3}
    assert read(**started_from(TrainEmbeddingRecipe, said, {})).auto == ""


def test_a_preset_decides_anew_what_an_earlier_run_had() -> None:
    earlier = read(epochs=3.0, learning_rate=1e-5, seed=7).model_dump(mode="json")
    start = with_preset(TrainEmbeddingRecipe, earlier, "auto")
    made = read(**started_from(TrainEmbeddingRecipe, start, {}))
    assert made.decides == DECISIONS and made.seed == 7
    quick = with_preset(TrainEmbeddingRecipe, earlier, "quick")
    assert quick == {**earlier, **TrainEmbeddingRecipe.presets["quick"]}


def test_one_named_device_is_one() -> None:
    assert started("auto", devices="gpu:1").decides == DECISIONS
    assert started("auto", devices="gpu:0,gpu:1").auto == ""


def test_a_run_that_is_repeated_has_what_was_decided_and_decides_nothing() -> None:
    made = started("auto", learning_rate=1e-4)
    decided = {"max_steps": 70, "batch_size": 16, "learning_rate": 9.0, "blend": 0.5}
    again = as_decided(made, decided)
    assert (again.auto, again.max_steps, again.batch_size) == ("", 70, 16)
    assert again.learning_rate == 1e-4
    assert as_decided(read(epochs=3.0), decided) == read(epochs=3.0)


def test_runs_that_are_compared_decide_nothing() -> None:
    assert (as_written(started("auto")).auto, as_written(started("auto")).epochs) == ("", 2.0)
    quick = as_written(started("quick"))
    assert (quick.auto, quick.epochs) == ("", 1.0)


def test_an_unknown_decision_is_refused() -> None:
    with pytest.raises(BadRecipe, match="'weather' is none of serving_length"):
        read(auto="weather")


def test_what_a_form_shows_unchanged_does_not_count_as_given() -> None:
    shown = {spec.name: spec.default for spec in describe(TrainEmbeddingRecipe)}
    typed = {**shown, "dataset": "d", "learning_rate": "0.00005", "max_steps": "", "seed": 42.0}
    assert given_by(typed, TrainEmbeddingRecipe) == {"dataset": "d"}
    assert given_by({**typed, "learning_rate": 1e-4}, TrainEmbeddingRecipe) == {
        "dataset": "d",
        "learning_rate": 1e-4,
    }


def test_what_a_preset_filled_in_does_not_count_as_given() -> None:
    quick = {**TrainEmbeddingRecipe.presets["quick"], "dataset": "d"}
    assert given_by(quick, TrainEmbeddingRecipe, "quick") == {"dataset": "d"}
    assert given_by({**quick, "epochs": 3}, TrainEmbeddingRecipe, "quick")["epochs"] == 3


def test_kinds_that_nothing_is_decided_for_keep_their_presets() -> None:
    for recipe in KINDS.values():
        assert ("auto" in recipe.presets) == bool(decidable(recipe))
        assert bool(decidable(recipe)) == ("auto" in recipe.model_fields)
    assert SERVING.items() <= TrainEmbeddingRecipe.presets["quick"].items()


@pytest.mark.parametrize("kind", ["reranker", "late-interaction"])
def test_kinds_that_order_candidates_decide_no_serving_length_and_no_temperature(
    kind: str,
) -> None:
    recipe = KINDS[kind]
    decided = tuple(one for one in DECISIONS if one not in ("serving_length", "temperature"))
    assert next(iter(recipe.presets)) == "auto"
    assert decidable(recipe) == decided
    values = started_from(recipe, recipe.presets["auto"], {"negatives": 2})
    made = recipe.read({"dataset": "d", **values})
    assert made.decides == tuple(one for one in decided if one != "negatives")
    earlier = {"temperature": 0.3, "learning_rate": 1e-5}
    assert with_preset(recipe, earlier, "auto") == {"temperature": 0.3, **recipe.presets["auto"]}
    assert recipe.read({"dataset": "d", **recipe.presets["balanced"]}).decides == ()
    with pytest.raises(BadRecipe, match="'serving_length' is none of passage_max_len"):
        recipe.read({"dataset": "d", "auto": "serving_length"})


def test_a_teacher_is_a_model_or_none() -> None:
    assert TrainRerankerRecipe(dataset="d", teacher="none").teacher == ""
    assert TrainRerankerRecipe(dataset="d").teacher == "auto"
    with pytest.raises(BadRecipe, match="choose 'auto', 'none'"):
        TrainRerankerRecipe.read({"dataset": "d", "teacher": "bm25"})
