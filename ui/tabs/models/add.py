"""Adding a model: where it is, what it is called, how it is used; and the job that does it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import gradio as gr

from ui.kit.events import on, told_at_fields
from ui.kit.job_slot import JobSlot
from ui.kit.markup import heading, piece
from ui.services import Services
from ui.tabs.models import contract
from ui.words import sentences, t
from workbench.recipes.data import AddModelRecipe

#: Jobs that are started here.
TASKS = (AddModelRecipe.task,)
_PICTURES = str(AddModelRecipe.model_fields["pictures_by"].description)
HELPS = {"source": "", "name": "", "pictures_by": _PICTURES, **contract.HELPS}


@dataclass(frozen=True)
class Add:
    source: gr.Textbox
    name: gr.Textbox
    pictures: gr.Textbox
    fields: contract.Fields
    start: gr.Button
    job: JobSlot


def render() -> Add:
    piece(heading(t("models.add_title"), t("models.add_about")))
    with gr.Row(equal_height=False):
        source = _line(t("field.source"), t("models.source_hint"), "model-source")
        name = _line(t("models.name"), t("models.name_hint"), "model-name")
    with gr.Row(equal_height=False):
        about = sentences.said(_PICTURES)
        pictures = _line(
            t("models.pictures_by"), t("models.pictures_hint"), "model-pictures", about
        )
    with gr.Accordion(t("models.add_contract"), open=False, elem_id="model-contract"):
        gr.Markdown(t("models.add_contract_about"), elem_classes="rw-quiet")
        fields = contract.draw("add", t("contract.own"))
    with gr.Row(elem_classes="rw-actions"):
        start = gr.Button(t("models.add"), variant="primary", elem_id="model-add")
    return Add(source, name, pictures, fields, start, JobSlot("model-job"))


def _line(label: str, hint: str, id: str, info: str = "") -> gr.Textbox:
    return gr.Textbox(
        label=label,
        info=info or None,
        placeholder=hint,
        max_lines=1,
        interactive=True,
        min_width=220,
        elem_id=id,
    )


def listen(
    services: Services,
    add: Add,
    chosen: Any,
    outputs: list[Any],
    view: Callable[[str], list[Any]],
) -> None:
    """``chosen`` holds the shown model's name; ``view`` gives the updates of ``outputs``."""
    jobs = services.workspace.jobs

    def recipe(source: str, name: str, pictures: str, *raw: Any) -> AddModelRecipe:
        given = {"source": source.strip(), "name": name.strip(), "pictures_by": pictures.strip()}
        return AddModelRecipe.read(given | contract.read(raw, blank_is_own=True))

    def start(picked: str, *raw: Any) -> list[Any]:
        def act() -> list[Any]:
            jobs.submit(recipe(*raw))
            return view(picked)

        return told_at_fields(act, HELPS, len(outputs), cleared=("source", "name", "pictures_by"))

    contract.listen_kind(add.fields)
    fields = [add.source, add.name, add.pictures, *add.fields.inputs]
    on(add.start.click, start, [chosen, *fields], [*outputs, *fields])
