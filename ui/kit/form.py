"""A recipe class becomes components; their values become a recipe.

All there is to say about a field is on the field (``workbench.recipes``): its type, bounds,
default, help, group, whether it is advanced, and on which other field it depends. The page adds a
label.
"""

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from ui.kit.choices import open_menu as menu
from ui.kit.events import answered, on
from ui.words import known, sentences, t
from workbench.recipes.base import NO_PROMPT, Recipe
from workbench.recipes.decided import ALL, AUTO, changed, decidable, given_by, left_to_decide
from workbench.recipes.describe import FieldSpec, describe


@dataclass(frozen=True)
class Form:
    """A drawn recipe: its fields in the recipe's order, and a component for each."""

    recipe: type[Recipe]
    specs: tuple[FieldSpec, ...]
    components: Mapping[str, gr.components.Component]
    #: The choice of a preset, where the recipe's fields can be decided by measuring: what a person
    #: gives is told by what the preset showed.
    presets: gr.Radio | None = None
    #: What :meth:`as_filled` says, where there are ``presets``; '' before anything was filled in.
    filled: gr.Textbox | None = None

    @property
    def inputs(self) -> list[gr.components.Component]:
        fields = [self.components[spec.name] for spec in self.specs]
        return [*fields, *(one for one in (self.presets, self.filled) if one)]

    def values(self, raw: Sequence[Any]) -> dict[str, Any]:
        """What the components hold, as the recipe's input."""
        pairs = zip(self.specs, raw[: len(self.specs)], strict=True)
        values = {spec.name: from_component(spec, value) for spec, value in pairs}
        if not self.presets:
            return values
        preset, filled = raw[-2:]
        return given(self.recipe, values, preset or "", json.loads(filled or "{}"))

    def as_filled(self, values: Mapping[str, Any]) -> str:
        """What the form shows of a recipe's fields that can be decided, once :func:`filled_in` has
        filled these values in, as JSON: a person gives what says something else."""
        empty = decided(self.recipe, values.get("auto"))
        shown = {"auto": values.get("auto", "")}
        for spec in self.specs:
            if spec.name in decided(self.recipe, ALL):
                value = values.get(spec.name, spec.default)
                stands_empty = spec.name in empty and value == spec.default
                shown[spec.name] = None if stands_empty else value
        return json.dumps(shown)

    def read(self, *raw: Any) -> Recipe:
        """The recipe; raises BadRecipe with a sentence per bad field."""
        return self.recipe.read(self.values(raw))

    def answer(
        self, act: Callable[[], Mapping[Any, Any]], more: Mapping[str, Any] | None = None
    ) -> dict[Any, Any]:
        """``act()``'s updates by component, and the help at the fields; what is refused of them
        stands there instead. ``more``: fields of the recipe that are drawn apart, by name."""
        helps = {spec.name: spec.help for spec in self.specs}
        return answered(act, {**self.components, **(more or {})}, helps, self.recipe.task)


def label(name: str, task: str = "") -> str:
    """What the page calls a field: of this task's recipe, where it has words of its own. A recipe
    from elsewhere may have fields that there are no words for."""
    for key in (f"field.{task}.{name}", f"field.{name}"):
        if known(key):
            return t(key)
    return sentences.said(name.replace("_", " ").capitalize())


def from_component(spec: FieldSpec, value: Any) -> Any:
    """A component's raw value as the recipe wants it: nothing typed is None where that may be."""
    if isinstance(value, str):
        # A prompt's trailing space is part of it ('query: '), so only short answers are trimmed.
        # One of spaces alone is none that anybody typed on purpose.
        value = value if is_prompt(spec) and value.strip() else value.strip()
    if spec.kind == "list":
        return [
            one for one in (value.splitlines() if isinstance(value, str) else value or []) if one
        ]
    if value in ("", None):
        return None if spec.optional else "" if spec.kind == "text" else None
    if isinstance(value, str) and spec.kind in ("int", "float"):
        return _typed(spec, value)
    return value


def is_prompt(spec: FieldSpec) -> bool:
    """Whether a field's text goes to a model as it is, spaces and line breaks included."""
    return spec.name.endswith(("_prompt", "prompt_template"))


def _typed(spec: FieldSpec, text: str) -> Any:
    """A typed number; what is none stays as it is, for the recipe to say so at the field."""
    try:
        return int(text) if spec.kind == "int" else float(text)
    except ValueError:
        return text


def to_component(spec: FieldSpec, value: Any) -> Any:
    """A recipe's value as its component shows it."""
    if spec.kind == "list" and spec.widget != "models":
        return "\n".join(str(one) for one in value or [])
    if spec.kind in ("int", "float") and spec.optional:
        return "" if value is None else str(value)
    if value == "" and spec.optional and is_prompt(spec):
        return NO_PROMPT  # An empty field means another thing: the base model's own.
    if value is None and spec.kind == "text" and spec.widget not in ("dataset", "model"):
        return ""
    return value


def render(
    recipe: type[Recipe],
    skip: Sequence[str] = (),
    start: Mapping[str, Any] | None = None,
    prefix: str = "field",
    presets: gr.Radio | None = None,
) -> Form:
    """Draw the form inside the current block: plain fields first, the rest folded away by group.

    ``skip`` leaves out fields that the tab draws itself or that keep their default; ``start``
    gives other first values than the recipe's defaults; ``prefix`` begins the fields' ids, so that
    two forms on one page have different ones. ``presets``: the choice of one, which the form reads.
    """
    specs = tuple(spec for spec in describe(recipe) if spec.name not in skip)
    first = {spec.name: (start or {}).get(spec.name, spec.default) for spec in specs}
    by_name = {spec.name: spec for spec in specs}
    shown = {spec.name: _matters(spec, by_name, first) for spec in specs}
    shown |= {name: bool(decided(recipe, first.get("auto"))) for name in IN_SIGHT if name in shown}
    components: dict[str, gr.components.Component] = {}
    plain = [spec for spec in specs if not spec.advanced or spec.name in IN_SIGHT]
    _draw(recipe, plain, first, shown, components, prefix)
    advanced = [spec for spec in specs if spec not in plain]
    if advanced:
        with gr.Accordion(t("form.advanced"), open=False):
            for group in dict.fromkeys(spec.group for spec in advanced):
                gr.Markdown(f"**{t(f'group.{group}')}**", elem_classes="rw-group")
                chosen = [spec for spec in advanced if spec.group == group]
                _draw(recipe, chosen, first, shown, components, prefix)
    if not decidable(recipe):
        return Form(recipe, specs, components)
    filled = gr.Textbox("", visible=False, label=t("train.presets"))
    return Form(recipe, specs, components, presets, filled if presets else None)


def _draw(
    recipe: type[Recipe],
    specs: Sequence[FieldSpec],
    first: Mapping[str, Any],
    shown: Mapping[str, bool],
    components: dict[str, gr.components.Component],
    prefix: str,
) -> None:
    can_be_decided = decided(recipe, ALL)
    empty = decided(recipe, first.get("auto"))

    def one(spec: FieldSpec) -> gr.components.Component:
        value, matters = first[spec.name], shown[spec.name]
        if spec.name not in can_be_decided:
            return draw(spec, value, matters, prefix, recipe.task)
        about = _common(spec, value, matters, prefix, recipe.task)
        return gr.Textbox(max_lines=1, min_width=180, **{**about, **_decided(spec, value, empty)})

    wide = [spec for spec in specs if _is_wide(spec)]
    for spec in wide:
        components[spec.name] = one(spec)
    with gr.Row(equal_height=False):
        for spec in specs:
            if spec not in wide:
                components[spec.name] = one(spec)


def _is_wide(spec: FieldSpec) -> bool:
    return spec.widget in ("dataset", "model", "models", "files", "lines") or spec.kind in (
        "text",
        "list",
    )


def _matters(spec: FieldSpec, specs: Mapping[str, FieldSpec], values: Mapping[str, Any]) -> bool:
    """Whether the fields it depends on, if any, have values with which this one matters."""
    return all(values[source] in wanted for source, wanted in _chain(spec, specs))


def _chain(spec: FieldSpec, specs: Mapping[str, FieldSpec]) -> list[tuple[str, tuple[Any, ...]]]:
    """The fields among ``specs`` that this one depends on, with the values at which it matters: the
    format of 4-bit weights depends on the bits, which depend on the method."""
    found: list[tuple[str, tuple[Any, ...]]] = []
    while spec.depends_on is not None and spec.depends_on[0] in specs:
        found.append(spec.depends_on)
        spec = specs[spec.depends_on[0]]
    return found


def draw(
    spec: FieldSpec, value: Any, matters: bool = True, prefix: str = "field", task: str = ""
) -> gr.components.Component:
    """One field as one component, with its help under its name."""
    common = _common(spec, value, matters, prefix, task)
    if spec.widget in ("dataset", "model", "models", "column", "endpoint_key"):
        return menu(multiselect=spec.widget == "models", **common)
    return _DRAW[spec.kind](spec, common)


def _common(spec: FieldSpec, value: Any, matters: bool, prefix: str, task: str) -> dict[str, Any]:
    return {
        "value": to_component(spec, value),
        "label": label(spec.name, task),
        "info": help_of(spec, value),
        "interactive": True,
        # A choice of one is no choice: it is kept, and not shown.
        "visible": matters and not (spec.kind == "choice" and len(spec.choices) < 2),
        "elem_id": f"{prefix}-{spec.name}",
    }


def _choice(spec: FieldSpec, common: dict[str, Any]) -> gr.components.Component:
    choices = [(choice_label(spec, one), one) for one in spec.choices]
    return gr.Dropdown(choices=choices, filterable=False, min_width=180, **common)


def help_of(spec: FieldSpec, value: Any) -> str:
    """A field's help: when the chosen one is right, where there are words for each choice."""
    described = spec.described.get(str(value))
    return sentences.said(getattr(described, "help", spec.help))


def choice_label(spec: FieldSpec, choice: str) -> str:
    if choice in spec.described:
        return sentences.said(spec.described[choice].label)
    key = f"choice.{spec.name}.{choice}"
    return t(key) if known(key) else choice


def _number(spec: FieldSpec, common: dict[str, Any]) -> gr.components.Component:
    # No bounds and no rounding here: the recipe checks them, with a sentence at the field.
    if spec.optional:
        # Gradio's number field, once unfolded, turns 'nothing' into 0.
        empty = t("form.no_limit" if spec.name in IN_SIGHT else "form.automatic")
        return gr.Textbox(max_lines=1, placeholder=empty, min_width=180, **common)
    return gr.Number(step=1 if spec.kind == "int" else 0.000001, min_width=180, **common)


def _text(spec: FieldSpec, common: dict[str, Any]) -> gr.components.Component:
    if is_prompt(spec):
        # Two lines, so that the Enter key breaks a line.
        return gr.Textbox(lines=2, max_lines=12, **common)
    return gr.Textbox(max_lines=1, **common)


_DRAW: dict[str, Callable[[FieldSpec, dict[str, Any]], gr.components.Component]] = {
    "flag": lambda _spec, common: gr.Checkbox(min_width=180, **common),
    "choice": _choice,
    "int": _number,
    "float": _number,
    "text": _text,
    "list": lambda _spec, common: gr.Textbox(lines=3, **common),
}


def preset_values(recipe: type[Recipe], preset: str) -> dict[str, Any]:
    """A preset's values for every field that any preset touches: its own, else the default."""
    touched = {name for values in recipe.presets.values() for name in values}
    defaults = {spec.name: spec.default for spec in describe(recipe) if spec.name in touched}
    return defaults | recipe.presets[preset]


def listen_presets(form: Form, presets: gr.Radio) -> None:
    """Choosing a preset fills in its fields, and says what it does."""
    touched = set(preset_values(form.recipe, next(iter(form.recipe.presets))))
    # No preset names these: what was typed there stays where it is not decided.
    typed = [spec.name for spec in form.specs if spec.name in decided(form.recipe, ALL) - touched]
    if decidable(form.recipe):
        touched |= {*typed, *IN_SIGHT}

    def fill(preset: str, *held: Any) -> dict[Any, Any]:
        values = preset_values(form.recipe, preset)
        empty = decided(form.recipe, values.get("auto"))
        kept = {
            name
            for name, value in zip(typed, held, strict=True)
            if name not in empty and value not in ("", None)
        }
        about = gr.update(info=about_preset(preset))
        # No preset names these either: they are hidden where they do nothing, and stay typed.
        sight = {
            form.components[name]: gr.update(visible=bool(empty))
            for name in IN_SIGHT
            if name in form.components
        }
        return {presets: about, **filled_in(form, values, touched - kept), **sight}

    outputs = [form.components[spec.name] for spec in form.specs if spec.name in touched]
    inputs = [presets, *(form.components[name] for name in typed)]
    on(presets.input, fill, inputs, [presets, *outputs])


def about_preset(preset: str) -> str:
    """What a preset does, in words."""
    return t("train.presets_auto" if preset == AUTO else "train.presets_help")


# Fields that a run decides by measuring: they stand empty, and what a person types there is theirs.

#: Fields that are shown although they are advanced elsewhere.
IN_SIGHT = ("minutes",)


def decided(recipe: type[Recipe], auto: str | None) -> frozenset[str]:
    """The recipe's fields that a run with this value of ``auto`` decides, and that therefore stand
    empty in a form. With the steps, epochs are decided."""
    can = decidable(recipe)
    names = set(can if auto == ALL else (auto or "").split(",")) if can else set()
    names |= {"epochs"} if "max_steps" in names else set()
    return frozenset(names & recipe.model_fields.keys())


def _decided(spec: FieldSpec, value: Any, empty: Collection[str]) -> dict[str, Any]:
    """How the component of a field that can be decided shows its value."""
    if spec.name in empty and value == spec.default:
        return {"value": "", "placeholder": t("form.decided")}
    placeholder = t("form.automatic") if spec.optional else ""
    return {"value": "" if value is None else str(value), "placeholder": placeholder}


def filled_in(form: Form, values: Mapping[str, Any], names: Collection[str]) -> dict[Any, Any]:
    """Updates of the components of these fields, to show ``values``; others their defaults."""
    can_be_decided = decided(form.recipe, ALL)
    empty = decided(form.recipe, values.get("auto"))
    found: dict[Any, Any] = {}
    for spec in form.specs:
        value = values.get(spec.name, spec.default)
        if spec.name not in names:
            continue
        if spec.name in can_be_decided:
            update: Any = gr.update(**_decided(spec, value, empty))
        elif spec.name in IN_SIGHT:
            update = gr.update(value=to_component(spec, value), visible=bool(empty))
        else:
            update = to_component(spec, value)
        found[form.components[spec.name]] = update
    return found


def given(
    recipe: type[Recipe],
    values: Mapping[str, Any],
    preset: str,
    filled: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The recipe's input from what stands in its form: fields that were left empty are decided,
    those that a person gave are not (:mod:`workbench.recipes.decided`).

    ``preset``: the one that is chosen, '' for none. A field that it filled in is a person's once it
    says something else; one that it left empty, once it says anything. Without one the same holds
    of what a clone ``filled`` in (:meth:`Form.as_filled`).
    """
    asked = str(values.get("auto") or "")
    if not asked:
        # What stood empty is not typed in: the recipe's defaults hold.
        before = recipe.presets[preset].get("auto") if preset else (filled or {}).get("auto", ALL)
        stood = decided(recipe, before)
        return {
            name: value
            for name, value in values.items()
            if name not in IN_SIGHT and (name not in stood or value is not None)
        }
    names = decidable(recipe) if asked == ALL else [name.strip() for name in asked.split(",")]
    empty = decided(recipe, recipe.presets[preset].get("auto") if preset else asked)
    if filled and not preset:
        empty = frozenset(name for name, value in filled.items() if value is None)
        theirs = set(changed({name: values.get(name) for name in filled}, filled))
    else:
        theirs = {name for name in empty if values.get(name) is not None}
    if preset:
        theirs |= given_by(values, recipe, preset).keys() - empty
    left = left_to_decide(names, theirs)
    # What is hidden since it would do nothing is still there for the preset where it does.
    empty = empty if "max_steps" in left else empty | {*IN_SIGHT}
    read = {
        name: value
        for name, value in values.items()
        if name not in empty or (name in theirs and name not in IN_SIGHT)
    }
    return {**read, "auto": ",".join(left)}


def listen_depends(form: Form) -> None:
    """Fields that only matter for some value of another are hidden while it has a different one;
    a choice says when it is the right one."""
    by_name = {spec.name: spec for spec in form.specs}
    for spec in form.specs:
        if any(hasattr(one, "help") for one in spec.described.values()):
            field = form.components[spec.name]
            on(
                field.change,
                lambda one, spec=spec: gr.update(info=help_of(spec, one)),
                field,
                field,
            )
    chains = {spec.name: _chain(spec, by_name) for spec in form.specs}
    for source in form.specs:
        followers = {name: chain for name, chain in chains.items() if source.name in dict(chain)}
        if followers:
            _listen_source(form, source.name, followers)


def _listen_source(
    form: Form, source: str, followers: Mapping[str, Sequence[tuple[str, tuple[Any, ...]]]]
) -> None:
    """One event for all fields that depend on this one: each is a request of the page's."""
    names = list(dict.fromkeys(name for chain in followers.values() for name, _ in chain))

    def show(*values: Any) -> dict[Any, Any]:
        chosen = dict(zip(names, values, strict=True))
        return {
            form.components[name]: gr.update(visible=all(chosen[one] in at for one, at in chain))
            for name, chain in followers.items()
        }

    changed = form.components[source].change
    on(
        changed,
        show,
        [form.components[name] for name in names],
        [form.components[name] for name in followers],
    )
