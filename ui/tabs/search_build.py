"""The form of an index: data set, model, name, one of three presets, and the rest folded away."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from ui.choices import open_menu
from ui.form import choice_label, draw, from_component, label
from ui.words import sentences, t
from workbench.recipes.describe import describe
from workbench.recipes.evaluate import IndexRecipe

SPECS = {spec.name: spec for spec in describe(IndexRecipe)}
EXTRA = ("structure", "truncate_dim", "rescore", "probes", "code_bytes", "precision", "device")


@dataclass(frozen=True)
class Build:
    dataset: gr.Dropdown
    model: gr.Dropdown
    name: gr.Textbox
    type: gr.Radio
    extra: Mapping[str, Any]

    @property
    def inputs(self) -> list[Any]:
        return [self.dataset, self.model, self.name, self.type, *self.extra.values()]

    def read(self, raw: Sequence[Any]) -> IndexRecipe:
        """The recipe; raises BadRecipe with a sentence per bad field."""
        dataset, model, name, type, *more = raw
        values = {"dataset": dataset or "", "model": model or "", "name": name.strip()}
        extra = {
            field: from_component(SPECS[field], value)
            for field, value in zip(self.extra, more, strict=True)
        }
        return IndexRecipe.read({**values, "type": type, **extra})


def render() -> Build:
    with gr.Row(equal_height=False):
        dataset = open_menu(label=t("search.dataset"), min_width=200, elem_id="index-dataset")
        model = open_menu(label=t("search.model"), min_width=200, elem_id="index-model")
        name = gr.Textbox(
            label=t("search.name"),
            placeholder=t("search.name_hint"),
            max_lines=1,
            interactive=True,
            min_width=200,
            elem_id="index-name",
        )
    type = gr.Radio(
        [(choice_label(SPECS["type"], one), one) for one in SPECS["type"].choices],
        value="exact",
        label=label("type"),
        info=sentences.said(SPECS["type"].help),
        interactive=True,
        elem_id="index-type",
    )
    with gr.Accordion(t("indexes.more"), open=False), gr.Row(equal_height=False):
        extra = {field: draw(SPECS[field], SPECS[field].default, prefix="index") for field in EXTRA}
    return Build(dataset, model, name, type, extra)
