"""Sending something to a hub from the page: where to, with which token, and what came of it."""

from collections.abc import Callable, Sequence
from typing import Any

import gradio as gr
from markupsafe import Markup

from ui.kit.confirm import sentence
from ui.kit.events import on_busy
from ui.kit.markup import EMPTY, piece
from ui.words import sentences, t
from workbench.errors import WorkbenchError


class Pushing:
    """Drawn inside the current block; ``prefix`` begins the ids of its parts."""

    def __init__(self, prefix: str) -> None:
        with gr.Row(equal_height=False):
            self.repo = gr.Textbox(
                label=t("take.repo"),
                placeholder=t("take.repo_hint"),
                max_lines=1,
                interactive=True,
                min_width=220,
                elem_id=f"{prefix}-repo",
            )
            self.token = gr.Textbox(
                label=t("take.token"),
                info=t("take.token_help"),
                type="password",
                max_lines=1,
                interactive=True,
                min_width=220,
                elem_id=f"{prefix}-token",
            )
            self.private = gr.Checkbox(label=t("take.private"), value=True, interactive=True)
        self.send = gr.Button(
            t("take.send"), size="sm", elem_id=f"{prefix}-send", elem_classes="rw-fit"
        )
        self.said = piece(elem_id=f"{prefix}-said")

    def listen(self, chosen: Any, push: Callable[..., dict[str, Any]]) -> None:
        """``push`` is called with what ``chosen`` holds, the repository, ``token`` and
        ``private``."""

        def send(picked: str, repo: str, token: str, private: bool) -> dict[Any, Any]:
            # The token leaves the page with the request that used it, whatever comes of it.
            try:
                done = push(picked, repo, token=token, private=private)
            except WorkbenchError as error:
                # Said here, not in a toast: uploads take long, and nobody watches the corner.
                return {self.token: "", self.said: sentence(str(error))}
            sent = Markup("<p>{}</p>").format(t("take.sent", address=done["address"]))
            return {self.token: "", self.said: sent + stays(done.get("left_out", []))}

        on_busy(
            self.send,
            send,
            [chosen, self.repo, self.token, self.private],
            [self.token, self.said],
            says=t("take.sending"),
            then=t("take.send"),
        )


def stays(left_out: Sequence[str]) -> Markup:
    """What a place elsewhere has no room for; nothing where it has room for all."""
    if not left_out:
        return EMPTY
    lines = [t("change.left_out"), *map(sentences.said, left_out)]
    return Markup('<p class="rw-quiet">{}</p>').format(Markup("<br>").join(lines))
