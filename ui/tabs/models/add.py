"""Adding a model: where it is, what it is called, how it is used; and the job that does it."""

from collections.abc import Callable, Sequence
from typing import Any

import gradio as gr

from ui.kit.events import answered, on
from ui.kit.job_slot import JobSlot
from ui.kit.markup import heading, piece
from ui.services import Services
from ui.tabs.models.contract import Fields, read
from ui.words import sentences, t
from workbench.recipes.data import AddModelRecipe


class Add:
    """The form of a new model, and the job that adds it."""

    def __init__(self, services: Services) -> None:
        self.services = services
        piece(heading(t("models.add_title"), t("models.add_about")))
        with gr.Row(equal_height=False):
            self.source = _line(t("field.source"), t("models.source_hint"), "model-source")
            self.name = _line(t("models.name"), t("models.name_hint"), "model-name")
        with gr.Row(equal_height=False):
            about = sentences.said(str(AddModelRecipe.model_fields["pictures_by"].description))
            self.pictures = _line(
                t("models.pictures_by"), t("models.pictures_hint"), "model-pictures", about
            )
        with gr.Accordion(t("models.add_contract"), open=False, elem_id="model-contract"):
            gr.Markdown(t("models.add_contract_about"), elem_classes="rw-quiet")
            self.fields = Fields("add", t("contract.own"))
        with gr.Row(elem_classes="rw-actions"):
            self.start = gr.Button(t("models.add"), variant="primary", elem_id="model-add")
        self.job = JobSlot("model-job")
        self.named = {"source": self.source, "name": self.name, "pictures_by": self.pictures}

    def listen(
        self, chosen: Any, show: Callable[[str], dict[Any, Any]], outputs: Sequence[Any]
    ) -> None:
        """``chosen`` holds the shown model's name; ``show(name)`` gives updates for ``outputs``."""
        fields = {**self.named, **self.fields.components}

        def start(picked: str, *raw: Any) -> dict[Any, Any]:
            def act() -> dict[Any, Any]:
                self.services.workspace.jobs.submit(self._recipe(raw))
                return show(picked) | dict.fromkeys(self.named.values(), "")

            return answered(act, fields)

        self.fields.listen()
        on(self.start.click, start, [chosen, *fields.values()], [*outputs, *fields.values()])

    def _recipe(self, raw: Sequence[Any]) -> AddModelRecipe:
        typed = zip(self.named, raw, strict=False)
        given = {name: text.strip() for name, text in typed}
        return AddModelRecipe.read(given | read(raw[len(given) :], blank_is_own=True))


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
