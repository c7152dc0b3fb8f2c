"""Take it away: the lines that use a model elsewhere, its run as a script, a push to a hub."""

from typing import Any
from urllib.parse import quote

import gradio as gr
from markupsafe import Markup

from ui.kit.markup import EMPTY, piece
from ui.kit.pushing import Pushing
from ui.services import Services
from ui.words import t
from workbench.model_kinds import MODEL_KINDS
from workbench.records import Model
from workbench.takeaway.push import push
from workbench.takeaway.snippet import missing_base, use_lines


class Take:
    """How a model is used elsewhere; below, what sends it to a hub."""

    def __init__(self, services: Services) -> None:
        self.services = services
        with gr.Accordion(t("take.title"), open=False, elem_id="model-take"):
            self.use = piece(elem_id="model-use")
            self.push = Pushing("push")

    def listen(self, chosen: Any) -> None:
        """``chosen`` holds the name of the model that is shown."""
        workspace = self.services.workspace

        def send(picked: str, repo: str, **more: Any) -> dict[str, Any]:
            return push(workspace, workspace.models.get(picked), repo, **more)

        self.push.listen(chosen, send)

    def view(self, model: Model | None) -> dict[Any, Any]:
        """What a chosen model changes."""
        return {self.use: html(self.services, model) if model else EMPTY}


def _repeatable(kind: str) -> bool:
    """Whether a script can be written that repeats a run of this kind."""
    return kind in MODEL_KINDS and MODEL_KINDS.get(kind).scripted


def html(services: Services, model: Model) -> Markup:
    """The lines that use the model, what else to take along, and its run as a script."""
    workspace = services.workspace
    base = missing_base(workspace, model)
    along = Markup("<p>{}</p>").format(t("take.base", base=base)) if base else EMPTY
    script = EMPTY
    if model.job_id and _repeatable(model.kind):
        where = services.url(f"/api/download/models/{quote(model.name, safe='')}/script.zip")
        script = Markup('<p>{} <a href="{}" download>{}</a></p>').format(
            t("take.script"), where, t("take.script_get")
        )
    return Markup('<p>{}</p><pre class="rw-mono" tabindex="0"><code>{}</code></pre>{}{}').format(
        t("take.use"), use_lines(workspace, model, model.name), along, script
    )
