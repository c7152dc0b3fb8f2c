"""How much data do I need: the learning curve of the data set and base model that are chosen."""

from typing import Any

import gradio as gr

from ui.kit.cards import job_card
from ui.kit.events import on
from ui.kit.job_slot import JobSlot, find
from ui.kit.learning_curve import curve_html
from ui.kit.markup import EMPTY
from ui.services import Services
from ui.tabs.train.forms import Forms, first_kind
from ui.words import t
from workbench.recipes.curve import LearningCurveRecipe
from workbench.records import Job, JobStatus

#: The kind of model whose curves are measured.
KIND = LearningCurveRecipe.model_fields["kind"].default


class Curve:
    """The button stands below the form's own, and the curve below it."""

    def __init__(self, services: Services) -> None:
        self.services = services
        #: The id of the job that was started last on this page.
        self.chosen = gr.BrowserState("", storage_key="workbench-curve", secret="workbench")
        with gr.Row(elem_classes="rw-actions"):
            self.start = gr.Button(
                t("curve.button"),
                size="sm",
                visible=first_kind() == KIND,
                elem_id="train-curve-start",
            )
        self.job = JobSlot("train-curve")

    def listen(self, forms: Forms) -> None:
        form = next(one for one in forms.each if one.kind == KIND)

        def show(kind: str) -> Any:
            return gr.Button(visible=kind == KIND)

        def start(dataset: str | None, model: str | None) -> dict[Any, Any]:
            values = {"dataset": dataset or "", "model": model or ""}
            job = self.services.workspace.jobs.submit(LearningCurveRecipe.read(values))
            return {self.chosen: job.id, **self.job.show(card_html(job), job)}

        def stopped(id: str) -> dict[Any, Any]:
            job = self.services.workspace.jobs.get(id)
            return self.job.show(card_html(job), job)

        on(forms.kind.change, show, forms.kind, self.start)
        on(self.start.click, start, [form.dataset, form.model], [self.chosen, *self.job.outputs])
        self.job.listen(self.services, stopped, [], self.job.outputs)

    def changed(self, id: str, html: str | None) -> dict[Any, Any]:
        """What a look after the job changes; ``html`` is what stands in its card."""
        job = find(self.services, id, [LearningCurveRecipe.task])
        return self.job.changed(html, card_html(job), job)


def card_html(job: Job | None) -> str:
    """The job while it runs or where it failed, or the curve that it measured."""
    if job is None:
        return str(EMPTY)
    done = job.status is JobStatus.SUCCEEDED and job.result
    return str(curve_html(job.result or {}) if done else job_card(job))
