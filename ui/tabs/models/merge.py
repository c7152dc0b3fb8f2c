"""Merging an adapter into its base at a click, and what the check of a merged model found."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import gradio as gr
from markupsafe import Markup

from ui.kit.events import on_busy
from ui.kit.markup import EMPTY, facts, piece
from ui.services import Services
from ui.words import t
from workbench.comparison.names import label
from workbench.merging.prepare import is_adapter
from workbench.recipes.merge import MergeRecipe
from workbench.records import Model


class Merge:
    """The button and the new model's name, for adapters only, and the facts of a merged model."""

    def __init__(self, services: Services) -> None:
        self.services = services
        self.name = gr.Textbox(
            label=t("field.name"),
            info=t("merge.name"),
            max_lines=1,
            visible=False,
            elem_id="model-merge-name",
        )
        self.start = gr.Button(
            t("merge.start"), size="sm", visible=False, elem_id="model-merge", elem_classes="rw-fit"
        )
        self.facts = piece(elem_id="model-merged")
        self.outputs = [self.name, self.start, self.facts]

    def listen(
        self, chosen: Any, show: Callable[[str], dict[Any, Any]], outputs: Sequence[Any]
    ) -> None:
        """``chosen`` holds the shown model's name; ``show(name)`` gives updates for ``outputs``."""

        def start(picked: str, name: str) -> dict[Any, Any]:
            recipe = MergeRecipe.read({"model": picked, "name": name.strip()})
            self.services.workspace.jobs.submit(recipe)
            return show(picked)

        on_busy(
            *(self.start, start, [chosen, self.name], outputs),
            says=t("merge.starting"),
            then=t("merge.start"),
        )

    def view(self, model: Model | None) -> dict[Any, Any]:
        """What a chosen model changes."""
        adapter = model is not None and is_adapter(self.services.workspace.models.folder(model.id))
        return {
            self.name: gr.Textbox(visible=adapter),
            self.start: gr.Button(visible=adapter),
            self.facts: html(model) if model else EMPTY,
        }


def html(model: Model) -> Markup:
    """How far a merged model is from its adapter, and its values on dev; nothing for others."""
    said = model.summary
    if said.get("origin") != "merged":
        return EMPTY
    return Markup(
        '<article class="rw-card"><h3>{}</h3><p class="rw-quiet">{}</p>{}</article>'
    ).format(t("merge.title"), t("merge.about"), facts(_facts(said)))


def _facts(said: Mapping[str, Any]) -> dict[str, str]:
    parity, drift, measured = said["parity"], said.get("drift"), said.get("metrics")
    found = {
        t("merge.adapter"): str(said.get("adapter")),
        t("merge.parity"): t(
            "merge.apart",
            texts=parity["texts"],
            largest=f"{parity['largest_difference']:.1e}",
            allowed=f"{parity['allowed']:g}",
        ),
    }
    if drift:
        found[t("merge.drift", against=drift["against"])] = _drift(drift)
    if measured:
        name = str(measured["metric"])
        before = measured["trained"].get(name)
        found[t("merge.measured", metric=label(name))] = t(
            "merge.values",
            trained="–" if before is None else f"{before:.3f}",
            merged=f"{measured['merged'][name]:.3f}",
        )
    return found


def _drift(drift: Mapping[str, Any]) -> str:
    largest = drift.get("largest_difference")
    if largest is None:
        return t("merge.not_measured")
    return t("merge.largest", largest=f"{largest:.1e}", mean=f"{drift['mean_difference']:.1e}")
