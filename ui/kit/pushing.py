"""Pushing something to the Hugging Face Hub from the page: where to, with which token, and the job
that does it."""

from collections.abc import Callable, Sequence
from typing import Any

import gradio as gr
from markupsafe import Markup

from ui.kit.events import answered, on_busy
from ui.kit.job_slot import JobSlot, card_html, succeeded
from ui.kit.markup import EMPTY, piece
from ui.services import Services
from ui.words import sentences, t
from workbench.recipes.base import Referent
from workbench.recipes.push import PushDataRecipe, PushModelRecipe
from workbench.records import Dataset, Job, Model
from workbench.references import is_about
from workbench.takeaway.push import submit

Pushed = type[PushModelRecipe] | type[PushDataRecipe]


class Pushing:
    """Drawn inside the current block; ``prefix`` begins the ids of its parts. ``recipe`` is what is
    pushed, and ``subject`` the field of it that names what."""

    def __init__(self, services: Services, prefix: str, recipe: Pushed, subject: Referent) -> None:
        self.services = services
        self.recipe = recipe
        self.subject = subject
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
        self.job = JobSlot(f"{prefix}-job")
        self.said = piece(elem_id=f"{prefix}-said")
        self.outputs = [*self.job.outputs, self.said]

    def listen(self, chosen: Any, get: Callable[[str], Model | Dataset]) -> None:
        """``get(value)`` is what is pushed, by the value of ``chosen``."""

        def send(picked: str, repo: str, token: str, private: bool) -> dict[Any, Any]:
            def act() -> dict[Any, Any]:
                what = get(picked)
                about = {self.subject: what.name, "repo": repo, "private": private}
                submit(self.services.workspace, self.recipe.read(about), token)
                return self.view(what)

            # The token leaves the page with the request that used it, whatever comes of it.
            return {**answered(act, {"repo": self.repo}, task=self.recipe.task), self.token: ""}

        on_busy(
            self.send,
            send,
            [chosen, self.repo, self.token, self.private],
            [self.repo, self.token, *self.outputs],
            says=t("take.sending"),
            then=t("take.send"),
        )

    def newest(self, what: Model | Dataset) -> Job | None:
        """Its last push; that of another one which had its name before is none of its."""
        jobs = self.services.workspace.jobs.list(task=self.recipe.task)
        return next((job for job in jobs if is_about(job, self.subject, what.name, what)), None)

    def view(self, what: Model | Dataset | None) -> dict[Any, Any]:
        """Updates by component: the last push of what is shown."""
        job = self.newest(what) if what else None
        done = succeeded(job)
        said = sent_html(done) if done else EMPTY
        return {**self.job.show(card_html(job), job), self.said: str(said)}


def sent_html(job: Job) -> Markup:
    """Where it is now, and what that place has no room for."""
    found = job.result or {}
    sent = Markup("<p>{}</p>").format(t("take.sent", address=found["address"]))
    return sent + stays(found.get("left_out", []))


def stays(left_out: Sequence[str]) -> Markup:
    """What a place elsewhere has no room for; nothing where it has room for all."""
    if not left_out:
        return EMPTY
    lines = [t("change.left_out"), *map(sentences.said, left_out)]
    return Markup('<p class="rw-quiet">{}</p>').format(Markup("<br>").join(lines))
