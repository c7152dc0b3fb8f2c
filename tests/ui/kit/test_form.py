"""A recipe becomes components and comes back as it was, whatever the field."""

import warnings
from typing import Any, Literal

import gradio as gr
import pytest

from ui.kit import form
from workbench.errors import BadRecipe
from workbench.recipes.base import Recipe, setting
from workbench.recipes.decided import DECISIONS
from workbench.recipes.describe import FieldSpec, describe
from workbench.recipes.evaluate import IndexRecipe
from workbench.recipes.train import TrainEmbeddingRecipe
from workbench.recipes.train_kinds import TrainRerankerRecipe
from workbench.tasks import all_tasks

#: Without those that hold another recipe's fields: nobody fills them in.
RECIPES = [
    task.recipe
    for task in all_tasks().values()
    if all(spec.kind != "fields" for spec in describe(task.recipe))
]
FIELDS = [(recipe, spec) for recipe in RECIPES for spec in describe(recipe)]


def drawn(recipe: type[Recipe], **start: Any) -> form.Form:
    with gr.Blocks():
        return form.render(recipe, start=start)


#: Texts of a form of their own. An endpoint and a local model exclude each other.
TEXTS: dict[str, Any] = {
    "methods": ["nf4"],
    "vectors": ["binary"],
    "endpoint": "http://localhost:8000/v1",
    "key_variable": "OTHER_KEY",
    "local_model": "",
    "template_en": "{n} of {passage}",
    "template_zh": "{passage}",
}


def other_value(spec: FieldSpec) -> Any:
    """A valid value that is not the field's default."""
    if spec.name in TEXTS:
        return TEXTS[spec.name]
    if spec.kind == "flag":
        return not spec.default
    if spec.kind == "choice":
        return next((one for one in spec.choices if one != spec.default), spec.choices[0])
    if spec.kind == "list":
        return ["one", "two words"]
    if spec.name == "devices":
        return "2"
    if spec.name == "ratios":
        return "0, 1"
    if spec.name == "repo":
        return "me/mine"
    if spec.name == "shares":
        return "30, 60"
    if spec.widget == "numbers":
        return "128, 64"
    if spec.kind == "text":
        return "query: \n" if form.is_prompt(spec) else "something else"
    low = spec.minimum if spec.minimum is not None else 0
    high = spec.maximum if spec.maximum is not None else low + 8
    value = low + (high - low) / 4
    return int(value) + 1 if spec.kind == "int" else value


def shown(one: form.Form) -> list[Any]:
    """What the browser sends for the form as it stands."""
    return [component.preprocess(component.value) for component in one.inputs]


@pytest.mark.parametrize(("recipe", "spec"), FIELDS, ids=lambda one: getattr(one, "name", ""))
def test_a_field_comes_back_as_it_was(recipe: type[Recipe], spec: FieldSpec) -> None:
    for value in (spec.default, other_value(spec), None if spec.optional else spec.default):
        if value is None and not spec.optional:
            continue
        assert form.from_component(spec, form.to_component(spec, value)) == value


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.task)
def test_a_whole_recipe_comes_back_as_it_was(recipe: type[Recipe]) -> None:
    wanted = recipe.read({spec.name: other_value(spec) for spec in describe(recipe)})
    one = drawn(recipe)
    raw = [form.to_component(spec, getattr(wanted, spec.name)) for spec in one.specs]
    assert one.read(*raw) == wanted


def test_the_form_as_drawn_is_the_preset() -> None:
    first = form.preset_values(TrainEmbeddingRecipe, "thorough")
    one = drawn(TrainEmbeddingRecipe, dataset="d", **first)
    read = one.read(*shown_but(one, dataset="d", model="m"))
    assert read == TrainEmbeddingRecipe(dataset="d", model="m", **first)


def shown_but(one: form.Form, **values: Any) -> list[Any]:
    """The form's values; menus are empty until the page fills them, so those are given."""
    fields = ((spec.name, one.components[spec.name]) for spec in one.specs)
    return [
        values[name] if name in values else component.preprocess(component.value)
        for name, component in fields
    ]


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.task)
def test_every_field_has_a_name_its_help_and_a_component(recipe: type[Recipe]) -> None:
    one = drawn(recipe)
    for spec in describe(recipe):
        component = one.components[spec.name]
        assert component.label == form.label(spec.name, recipe.task)
        assert component.info == form.help_of(spec, component.value)
        assert component.interactive


def refused(one: form.Form, raw: list[Any]) -> dict[str, str]:
    """What stands at the fields that are marked, after what was typed was read."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the toast, which has no page here
        found = one.answer(lambda: {"done": one.read(*raw)})
    fields = {name: found[field] for name, field in one.components.items()}
    said = {name: field["info"] for name, field in fields.items() if field["elem_classes"]}
    assert ("done" in found) is not bool(said)
    return said


def test_a_bad_value_speaks_at_its_field_and_only_there() -> None:
    one = drawn(TrainEmbeddingRecipe)
    raw = shown_but(one, dataset="d", model="m", epochs=-1, batch_size=2.5)
    said = refused(one, raw)
    assert set(said) == {"epochs", "batch_size"}
    assert "greater than 0" in said["epochs"]
    with pytest.raises(BadRecipe):
        one.read(*raw)


def test_an_empty_number_that_is_needed_speaks_too() -> None:
    one = drawn(TrainEmbeddingRecipe)
    raw = shown_but(one, dataset=None, model="m", learning_rate=None)
    said = refused(one, raw)
    assert "learning_rate" in said and "max_steps" not in said


@pytest.mark.parametrize(("typed", "fine"), [("", True), ("12", True), ("0", False), ("x", False)])
def test_an_optional_number_is_typed_or_left_empty(typed: str, fine: bool) -> None:
    one = drawn(TrainEmbeddingRecipe)
    raw = shown_but(one, dataset="d", model="m", max_steps=typed)
    assert ("max_steps" not in refused(one, raw)) is fine


def test_about_eight_fields_are_in_sight() -> None:
    specs = [spec for spec in describe(TrainEmbeddingRecipe) if not spec.advanced]
    one = drawn(TrainEmbeddingRecipe)
    seen = [spec.name for spec in specs if one.components[spec.name].visible]
    assert 7 <= len(seen) <= 10


def test_a_choice_of_one_is_no_choice() -> None:
    class OneWay(IndexRecipe):
        type: Literal["exact"] = setting("exact", help="How it is searched, the one way.")

    assert drawn(IndexRecipe).components["type"].visible
    assert not drawn(OneWay).components["type"].visible


@pytest.mark.parametrize("preset", list(TrainEmbeddingRecipe.presets))
def test_a_preset_sets_its_fields_and_puts_back_those_of_the_others(preset: str) -> None:
    values = form.preset_values(TrainEmbeddingRecipe, preset)
    touched = {name for one in TrainEmbeddingRecipe.presets.values() for name in one}
    assert set(values) == touched
    assert TrainEmbeddingRecipe.presets[preset].items() <= values.items()


class Dependent(Recipe):
    """Only for this test."""

    task = "dependent"
    precision: bool = setting(False, help="A switch.")
    seed: int = setting(1, help="Shown with the switch.", depends_on=("precision", (True,)))


def test_a_field_that_depends_on_another_is_hidden_without_it() -> None:
    with gr.Blocks() as demo:
        one = form.render(Dependent)
        form.listen_depends(one)
    assert one.components["precision"].visible
    assert not one.components["seed"].visible
    event = next(iter(demo.fns.values()))
    assert event.fn is not None
    assert event.fn(True)[one.components["seed"]]["visible"] is True
    assert event.fn(False)[one.components["seed"]]["visible"] is False


def test_a_choice_asks_once_however_many_fields_depend_on_it() -> None:
    with gr.Blocks() as demo:
        one = form.render(TrainEmbeddingRecipe)
        form.listen_depends(one)
    shows = [event for event in demo.fns.values() if event.inputs != event.outputs]
    assert len(shows) == len({tuple(event.targets) for event in shows})
    assert max(len(event.outputs) for event in shows) > 5


def test_a_field_is_hidden_where_what_it_depends_on_is() -> None:
    def visible(**start: str) -> bool:
        with gr.Blocks() as demo:
            one = form.render(TrainEmbeddingRecipe, start=start)
            form.listen_depends(one)
        field = one.components["quantization_type"]
        chosen = {"quantization_bits": "4", "method": "full", **start}
        names = {component: name for name, component in one.components.items()}
        events = [
            block.fn(*(chosen.get(names[given]) for given in block.inputs))[field]["visible"]
            for block in demo.fns.values()
            if field in block.outputs and block.fn
        ]
        # Whichever of the two is changed, it is shown as at first.
        assert events == [field.visible] * 2
        return bool(field.visible)

    assert visible(method="qlora")
    assert not visible(method="qlora", quantization_bits="8")
    assert not visible()


@pytest.mark.parametrize(
    ("typed", "wanted"), [("", None), ("  ", None), ('""', ""), ("query: ", "query: ")]
)
def test_an_empty_prompt_field_keeps_the_base_models(typed: str, wanted: str | None) -> None:
    """Two quotation marks say that there shall be none, and are shown where there is none."""
    with gr.Blocks():
        one = form.render(TrainEmbeddingRecipe, skip=("dataset",))
    raw = [typed if spec.name == "query_prompt" else spec.default for spec in one.specs]
    values = {**one.values(raw), "dataset": "pets"}
    recipe = TrainEmbeddingRecipe.read(values)
    assert recipe.query_prompt == wanted and recipe.document_prompt is None
    spec = next(spec for spec in one.specs if spec.name == "query_prompt")
    again = form.from_component(spec, form.to_component(spec, wanted))
    assert TrainEmbeddingRecipe.read({**values, "query_prompt": again}).query_prompt == wanted


def test_a_prompt_may_break_lines() -> None:
    with gr.Blocks():
        one = form.render(TrainEmbeddingRecipe)
    prompt = one.components["query_prompt"]
    assert prompt.lines > 1 and prompt.max_lines > prompt.lines


@pytest.mark.parametrize("recipe", [TrainEmbeddingRecipe, TrainRerankerRecipe])
def test_each_objective_says_when_it_is_right(recipe: type[Recipe]) -> None:
    with gr.Blocks() as demo:
        one = form.render(recipe)
        form.listen_depends(one)
    field = one.components["objective"]
    event = next(e.fn for e in demo.fns.values() if e.outputs == [field] and e.inputs == [field])
    assert event is not None
    spec = next(spec for spec in one.specs if spec.name == "objective")
    choices = spec.choices
    said = {name: event(name)["info"] for name in choices}
    assert said[str(field.value)] == field.info
    assert len(set(said.values())) == len(choices)
    assert all(text.endswith(".") for text in said.values())
    assert form.choice_label(spec, "contrastive") == "contrastive"
    assert {form.choice_label(spec, name) for name in choices} & {"GIST", "ListNet"}


#: Fields that Auto decides, and epochs, which say how many steps there are.
DECIDED = {
    "passage_max_len", "max_steps", "batch_size", "learning_rate", "negatives", "temperature",
    "epochs",
}  # fmt: skip


def auto(preset: str | None = "auto") -> form.Form:
    """The form as Train draws it."""
    with gr.Blocks():
        presets = gr.Radio(list(TrainEmbeddingRecipe.presets), value=preset)
        start = form.preset_values(TrainEmbeddingRecipe, preset or "quick")
        return form.render(TrainEmbeddingRecipe, start=start, presets=presets)


def submitted(one: form.Form, **typed: Any) -> TrainEmbeddingRecipe:
    """What is read of the form with the preset that it was drawn with, and these fields typed."""
    assert one.presets is not None
    raw = [*shown_but(one, dataset="d", model="m", **typed), one.presets.value, ""]
    recipe = one.read(*raw)
    assert isinstance(recipe, TrainEmbeddingRecipe)
    return recipe


def test_what_auto_decides_stands_empty_and_is_decided() -> None:
    one = auto()
    empty = {name for name, field in one.components.items() if getattr(field, "placeholder", "")
             == "decided by Auto"}  # fmt: skip
    assert empty == DECIDED
    assert {one.components[name].value for name in empty} == {""}
    assert one.components["minutes"].visible
    recipe = submitted(one)
    assert recipe.decides == DECISIONS
    assert recipe == TrainEmbeddingRecipe.read(
        {"dataset": "d", "model": "m", **TrainEmbeddingRecipe.presets["auto"]}
    )


def test_what_a_person_types_beside_auto_is_theirs() -> None:
    """Also where it is the default: they typed it."""
    default = TrainEmbeddingRecipe.model_fields["learning_rate"].default
    for rate in (str(default), "0.001"):
        recipe = submitted(auto(), learning_rate=rate, minutes="20")
        assert recipe.learning_rate == float(rate) and recipe.minutes == 20
        assert set(recipe.decides) == {*DECISIONS} - {"learning_rate"}


@pytest.mark.parametrize("field", ["epochs", "max_steps", "batch_size"])
def test_who_says_how_long_to_train_has_it_trained_as_written(field: str) -> None:
    recipe = submitted(auto(), **{field: "3"})
    assert getattr(recipe, field) == 3 and recipe.decides == ()
    quick = submitted(auto("quick"), **{field: "3"})
    assert getattr(quick, field) == 3 and quick.decides == ()


def test_who_empties_auto_has_it_trained_as_written() -> None:
    recipe = submitted(auto(), auto="", negatives="2")
    fields = TrainEmbeddingRecipe.model_fields
    assert recipe.decides == () and recipe.negatives == 2
    assert all(getattr(recipe, name) == fields[name].default for name in DECIDED - {"negatives"})
    with pytest.raises(BadRecipe):
        submitted(auto("quick"), auto="", batch_size="")


@pytest.mark.parametrize("preset", ["quick", "balanced", "thorough"])
def test_the_other_presets_are_read_as_they_stand(preset: str) -> None:
    one = auto(preset)
    assert all(one.components[name].value for name in DECIDED - {"max_steps"})
    assert not one.components["minutes"].visible
    values = TrainEmbeddingRecipe.presets[preset]
    assert submitted(one) == TrainEmbeddingRecipe.read({"dataset": "d", "model": "m", **values})
    assert submitted(one, learning_rate="0.5").decides == ("serving_length",)


def test_choosing_another_preset_fills_and_empties_the_fields() -> None:
    with gr.Blocks() as demo:
        presets = gr.Radio(list(TrainEmbeddingRecipe.presets), value="auto")
        start = form.preset_values(TrainEmbeddingRecipe, "auto")
        one = form.render(TrainEmbeddingRecipe, start=start, presets=presets)
        form.listen_presets(one, presets)
    event = next(iter(demo.fns.values()))
    assert event.fn is not None
    typed = one.components["max_steps"]
    held = ["7" if field is typed else "" for field in event.inputs[1:]]
    quick, back = event.fn("quick", *held), event.fn("auto", *held)
    # No preset names it: what was typed stays, where it is not left to the run.
    rate = one.components["learning_rate"]
    assert typed not in quick and back[typed]["value"] == "" != quick[rate]["value"]
    size = one.components["batch_size"]
    assert (quick[size]["value"], back[size]["value"]) == ("32", "")
    assert back[size]["placeholder"] == "decided by Auto" != quick[size]["placeholder"]
    assert back[one.components["minutes"]]["visible"]
    assert not quick[one.components["minutes"]]["visible"]
    # A person's minutes stay, and count where they do something.
    assert all("value" not in found[one.components["minutes"]] for found in (quick, back))
    assert submitted(auto(), minutes="20").minutes == 20
    assert submitted(auto("quick"), minutes="20").minutes is None
    assert submitted(auto(), minutes="20", epochs="3").minutes is None
    assert back[presets]["info"].startswith("Looks at your data first")
    assert quick[presets]["info"].startswith("Fills in the fields")


def test_a_run_that_was_decided_is_shown_and_read_as_it_was() -> None:
    """Cloned, under no preset: what is changed then is no longer decided."""
    recipe = TrainEmbeddingRecipe.read(
        {"dataset": "d", "model": "m", "learning_rate": 1e-3,
         **TrainEmbeddingRecipe.presets["auto"]}
    )  # fmt: skip
    one = auto()
    assert one.presets is not None
    values = recipe.model_dump(mode="json")
    shown = form.filled_in(one, values, [spec.name for spec in one.specs])

    def raw(**typed: Any) -> list[Any]:
        found = (shown[one.components[spec.name]] for spec in one.specs)
        held = [two["value"] if isinstance(two, dict) else two for two in found]
        pairs = zip(one.specs, held, strict=True)
        filled = one.as_filled(values)
        return [*(typed.get(spec.name, value) for spec, value in pairs), None, filled]

    assert shown[one.components["batch_size"]]["value"] == ""
    assert shown[one.components["learning_rate"]]["value"] == "0.001"
    assert one.read(*raw()) == recipe
    changed = one.read(*raw(negatives="2"))
    assert isinstance(changed, TrainEmbeddingRecipe)
    assert set(changed.decides) == set(recipe.decides) - {"negatives"}


def test_after_a_clone_what_differs_from_the_run_is_given() -> None:
    """As with the command line's --clone."""
    recipe = TrainEmbeddingRecipe.read(
        {"dataset": "d", "model": "m", **TrainEmbeddingRecipe.presets["balanced"]}
    )
    assert recipe.decides == ("serving_length",)
    one = auto(None)
    values = recipe.model_dump(mode="json")

    def read(**typed: Any) -> Any:
        held = {**values, **typed}
        raw = [form.to_component(spec, held[spec.name]) for spec in one.specs]
        return one.read(*raw, None, one.as_filled(values))

    assert read() == recipe
    assert read(epochs="5").decides == ()
    # What stands there as it was shown is left to the run.
    assert read(auto="all").decides == DECISIONS
    assert set(read(auto="all", learning_rate="0.5").decides) == {*DECISIONS} - {"learning_rate"}
