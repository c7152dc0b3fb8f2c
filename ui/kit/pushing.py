"""Sending something to a hub from the page: where to, with which token, and what came of it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr
from markupsafe import Markup

from ui.kit.confirm import sentence
from ui.kit.events import on_busy
from ui.kit.markup import EMPTY, piece
from ui.words import sentences, t
from workbench.errors import WorkbenchError


@dataclass(frozen=True)
class Pushing:
    repo: gr.Textbox
    token: gr.Textbox
    private: gr.Checkbox
    send: gr.Button
    said: gr.HTML


def render(prefix: str) -> Pushing:
    """Draw it inside the current block; ``prefix`` begins the ids of its parts."""
    with gr.Row(equal_height=False):
        repo = gr.Textbox(
            label=t("take.repo"),
            placeholder=t("take.repo_hint"),
            max_lines=1,
            interactive=True,
            min_width=220,
            elem_id=f"{prefix}-repo",
        )
        token = gr.Textbox(
            label=t("take.token"),
            info=t("take.token_help"),
            type="password",
            max_lines=1,
            interactive=True,
            min_width=220,
            elem_id=f"{prefix}-token",
        )
        private = gr.Checkbox(label=t("take.private"), value=True, interactive=True)
    send = gr.Button(t("take.send"), size="sm", elem_id=f"{prefix}-send", elem_classes="rw-fit")
    return Pushing(repo, token, private, send, piece(elem_id=f"{prefix}-said"))


def listen(pushing: Pushing, chosen: Any, push: Callable[..., dict[str, Any]]) -> None:
    """``push`` is called with what ``chosen`` holds, the repository, ``token`` and ``private``."""

    def send(picked: str, repo: str, token: str, private: bool) -> list[Any]:
        # The token leaves the page with the request that used it, whatever comes of it.
        try:
            done = push(picked, repo, token=token, private=private)
        except WorkbenchError as error:
            # Said here, not in a toast: uploads take long, and nobody watches the corner.
            return ["", sentence(str(error))]
        sent = Markup("<p>{}</p>").format(t("take.sent", address=done["address"]))
        return ["", sent + stays(done.get("left_out", []))]

    on_busy(
        pushing.send,
        send,
        [chosen, pushing.repo, pushing.token, pushing.private],
        [pushing.token, pushing.said],
        says=t("take.sending"),
        then=t("take.send"),
    )


def stays(left_out: Sequence[str]) -> Markup:
    """What a place elsewhere has no room for; nothing where it has room for all."""
    if not left_out:
        return EMPTY
    lines = [t("change.left_out"), *map(sentences.said, left_out)]
    return Markup('<p class="rw-quiet">{}</p>').format(Markup("<br>").join(lines))
