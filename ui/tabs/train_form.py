"""The forms of Train: one for each kind of model, of which one is seen."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import gradio as gr

from ui import form
from ui.feedback import on
from ui.services import Services
from ui.words import t
from workbench.checks import run_facts
from workbench.recipes.kinds import KINDS

FIRST_KIND = next(iter(KINDS))
FIRST_PRESET = "balanced"


@dataclass(frozen=True)
class KindForm:
    """What a person fills in to train one kind of model."""

    kind: str
    box: gr.Column
    presets: gr.Radio
    form: form.Form
    start: gr.Button
    check: gr.Button
    measure: gr.Button

    @property
    def dataset(self) -> Any:
        return self.form.components["dataset"]

    @property
    def model(self) -> Any:
        return self.form.components["model"]


@dataclass(frozen=True)
class Forms:
    """The choice of a kind and a form for each."""

    kind: gr.Radio
    about: gr.Markdown
    each: tuple[KindForm, ...]

    @property
    def menus(self) -> list[Any]:
        """Data set and model menu of each form, in turn."""
        return [menu for one in self.each for menu in (one.dataset, one.model)]

    @property
    def filled(self) -> list[Any]:
        """What :func:`fill_in` gives updates for."""
        return [self.kind, *(part for one in self.each for part in one.form.inputs)]


def fill_in(forms: Forms, kind: str, values: Mapping[str, Any]) -> list[Any]:
    """Updates for ``Forms.filled``: the form of ``kind`` shows a recipe's values, and the defaults
    of fields that ``values`` leaves out; the other forms stay as they are."""
    found: list[Any] = [kind]
    for one in forms.each:
        for spec in one.form.specs:
            if one.kind == kind:
                found.append(form.to_component(spec, values.get(spec.name, spec.default)))
            else:
                found.append(gr.skip())
    return found


def render() -> Forms:
    kind = gr.Radio(
        [(t(f"choice.kind.{name}"), name) for name in KINDS],
        value=FIRST_KIND,
        label=t("train.kind"),
        interactive=True,
        elem_id="train-kind",
    )
    about = gr.Markdown(t(f"train.kind_{FIRST_KIND}"), elem_classes="rw-quiet")
    return Forms(kind, about, tuple(_one(name) for name in KINDS))


def listen(services: Services, forms: Forms) -> None:
    """A form is seen while its kind is chosen; presets fill in its fields, and the data set decides
    which objectives are offered."""

    def show(kind: str) -> list[Any]:
        boxes = [gr.Column(visible=one.kind == kind) for one in forms.each]
        return [t(f"train.kind_{kind}"), *boxes]

    on(forms.kind.change, show, forms.kind, [forms.about, *(one.box for one in forms.each)])
    for one in forms.each:
        form.listen_presets(one.form, one.presets)
        form.listen_depends(one.form)
        if "objective" in one.form.components:
            _listen_objectives(services, one.form)


def _listen_objectives(services: Services, drawn: form.Form) -> None:
    objective = drawn.components["objective"]
    spec = next(one for one in drawn.specs if one.name == "objective")

    def offer(dataset: str | None, chosen: str) -> Any:
        if not dataset or not services.workspace.datasets.exists(dataset):
            return gr.skip()
        found = run_facts.objectives(services.workspace.datasets.read(dataset), spec.choices)
        choices = [(form.choice_label(spec, name), name) for name in found]
        return gr.Dropdown(choices=choices, value=chosen if chosen in found else found[0])

    on(
        drawn.components["dataset"].change,
        offer,
        [drawn.components["dataset"], objective],
        objective,
    )


def _one(kind: str) -> KindForm:
    recipe = KINDS[kind]
    # The first kind's ids are the short ones: links and tests know them.
    prefix = "field" if kind == FIRST_KIND else f"field-{kind}"
    name = "train" if kind == FIRST_KIND else f"train-{kind}"
    with gr.Column(visible=kind == FIRST_KIND) as box:
        presets = gr.Radio(
            [(t(f"preset.{one}"), one) for one in recipe.presets],
            value=FIRST_PRESET,
            label=t("train.presets"),
            info=t("train.presets_help"),
            interactive=True,
            elem_id=f"{name}-presets",
        )
        first = form.preset_values(recipe, FIRST_PRESET)
        drawn = form.render(recipe, skip=("dataset_version",), start=first, prefix=prefix)
        start = gr.Button(t("train.start"), variant="primary", elem_id=f"{name}-start")
        with gr.Row(elem_classes="rw-actions"):
            check = gr.Button(t("check.button"), size="sm", elem_id=f"{name}-check")
            measure = gr.Button(t("check.measure"), size="sm", elem_id=f"{name}-measure")
    return KindForm(kind, box, presets, drawn, start, check, measure)
