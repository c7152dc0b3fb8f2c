"""Take it away: the lines that use a model elsewhere, its run as a script, a push to a hub."""

from dataclasses import dataclass
from typing import Any

import gradio as gr
from markupsafe import Markup

from ui.confirm import sentence
from ui.feedback import on_busy
from ui.markup import EMPTY, piece
from ui.services import Services
from ui.words import t
from workbench.errors import WorkbenchError
from workbench.records import Model
from workbench.takeaway.portable import missing_base
from workbench.takeaway.push import push
from workbench.takeaway.snippet import use_lines


@dataclass(frozen=True)
class Take:
    """``shown`` is what a chosen model changes; the rest sends it to a hub."""

    shown: gr.HTML
    repo: gr.Textbox
    token: gr.Textbox
    private: gr.Checkbox
    send: gr.Button
    said: gr.HTML


def render() -> Take:
    with gr.Accordion(t("take.title"), open=False, elem_id="model-take"):
        shown = piece(elem_id="model-use")
        with gr.Row(equal_height=False):
            repo = gr.Textbox(
                label=t("take.repo"),
                placeholder=t("take.repo_hint"),
                max_lines=1,
                interactive=True,
                min_width=220,
                elem_id="push-repo",
            )
            token = gr.Textbox(
                label=t("take.token"),
                info=t("take.token_help"),
                type="password",
                max_lines=1,
                interactive=True,
                min_width=220,
                elem_id="push-token",
            )
            private = gr.Checkbox(label=t("take.private"), value=True, interactive=True)
        send = gr.Button(t("take.send"), size="sm", elem_id="push-send")
        said = piece(elem_id="push-said")
    return Take(shown, repo, token, private, send, said)


def listen(services: Services, take: Take, chosen: Any) -> None:
    """``chosen`` holds the name of the model that is shown."""
    workspace = services.workspace

    def send(picked: str, repo: str, token: str, private: bool) -> list[Any]:
        # The token leaves the page with the request that used it, whatever comes of it.
        try:
            model = workspace.models.get(picked)
            done = push(workspace, model, repo, token=token, private=private)
        except WorkbenchError as error:
            # Said here, not in a toast: uploads take long, and nobody watches the corner.
            return ["", sentence(str(error))]
        return ["", Markup("<p>{}</p>").format(t("take.sent", address=done["address"]))]

    on_busy(
        take.send,
        send,
        [chosen, take.repo, take.token, take.private],
        [take.token, take.said],
        says=t("take.sending"),
        then=t("take.send"),
    )


def html(services: Services, model: Model) -> Markup:
    """The lines that use the model, what else to take along, and the command for its script."""
    workspace = services.workspace
    base = missing_base(workspace, model)
    along = Markup("<p>{}</p>").format(t("take.base", base=base)) if base else EMPTY
    script = EMPTY
    if model.job_id:
        command = f'python -m workbench models script "{model.name}" --output FOLDER'
        script = Markup("<p>{}</p><pre><code>{}</code></pre>").format(t("take.script"), command)
    return Markup('<p>{}</p><pre class="rw-mono" tabindex="0"><code>{}</code></pre>{}{}').format(
        t("take.use"), use_lines(workspace, model, model.name), along, script
    )
