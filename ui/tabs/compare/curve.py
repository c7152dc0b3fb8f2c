"""How much data do I need: the newest learning curve of the data set that is chosen."""

import gradio as gr
from markupsafe import Markup

from ui.kit.events import on
from ui.kit.job_slot import succeeded
from ui.kit.learning_curve import curve_html
from ui.kit.markup import piece
from ui.tabs.compare.section import Section, Shown
from ui.words import t
from workbench.recipes.curve import LearningCurveRecipe
from workbench.records import JobStatus


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
