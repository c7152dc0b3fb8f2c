"""What was measured on Train of what is compared: the newest learning curve of the data set that is
chosen, and what the compared models are worth on a general data set."""

from collections.abc import Iterable
from typing import Any

import gradio as gr
from markupsafe import Markup

from ui.kit.events import on
from ui.kit.forgetting import forgotten_html
from ui.kit.job_slot import find, succeeded
from ui.kit.learning_curve import curve_html
from ui.kit.markup import heading, join, piece
from ui.tabs.compare.section import Section, Shown
from ui.words import t
from workbench.recipes.curve import LearningCurveRecipe
from workbench.records import Job, JobStatus
from workbench.workspace import Workspace


class CurveSection(Section):
    """Read when it is opened; they are measured on Train."""

    def __init__(self, shown: Shown) -> None:
        super().__init__(shown)
        with gr.Accordion(t("curve.button"), open=False, elem_id="compare-curve") as self.box:
            self.curve = piece(elem_id="compare-curve-shown")

    def listen(self) -> None:
        for listener in (self.box.expand, self.shown.dataset.change):
            on(listener, self._newest, self.shown.dataset, self.curve)

    def _newest(self, dataset: str | None) -> Markup:
        done = JobStatus.SUCCEEDED
        jobs = self.workspace.jobs.about(dataset or "", LearningCurveRecipe.task, done)
        job = next(filter(succeeded, jobs), None)
        if job is None:
            return Markup('<p class="rw-quiet rw-small">{}</p>').format(t("curve.none"))
        return curve_html(job.result or {})


class ForgettingSection(Section):
    """Read when it is opened, from the models' records."""

    def __init__(self, shown: Shown) -> None:
        super().__init__(shown)
        with gr.Accordion(
            t("forgetting.title"), open=False, visible=False, elem_id="compare-forgetting"
        ) as self.box:
            self.curves = piece(elem_id="compare-forgetting-shown")
        self.outputs = [self.box, self.curves]

    def listen(self) -> None:
        on(self.box.expand, self._draw, self.shown.id, self.curves)

    def view(self, job: Job | None, stays: bool) -> dict[Any, Any]:
        if stays:
            return {}
        box = gr.Accordion(visible=job is not None, open=False)
        return {self.box: box, self.curves: Markup("")}

    def _draw(self, id: str) -> Markup:
        job = find(self.services, id)
        return forgotten_of(self.workspace, job.recipe.get("models") or () if job else ())


def forgotten_of(workspace: Workspace, names: Iterable[str]) -> Markup:
    """What each of these models is worth on a general data set, where that is on record."""
    models = workspace.models
    found = (
        (name, forgotten_html(models.get(name).summary))
        for name in dict.fromkeys(names)
        if models.exists(name)
    )
    parts = [join([heading(name), drawn]) for name, drawn in found if drawn]
    if not parts:
        return Markup('<p class="rw-quiet rw-small">{}</p>').format(t("forgetting.none"))
    return join(parts)
