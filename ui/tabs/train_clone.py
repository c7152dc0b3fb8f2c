"""Clone: a run's recipe fills in the form, to be started again with one change."""

from typing import Any

import gradio as gr

from ui.services import Services
from ui.tabs import train_form
from ui.words import t
from workbench.records import Job
from workbench.takeaway.sweeps import recipe_of


def button() -> gr.Button:
    return gr.Button(t("clone.button"), size="sm", visible=False, elem_id="train-clone")


def seen(job: Job | None) -> gr.Button:
    """Shown beside a run that has ended, well or not."""
    return gr.Button(visible=job is not None and job.status.finished)


def fill(services: Services, forms: train_form.Forms, job: Job) -> list[Any]:
    """Updates for ``forms.filled``: everything as it was in that run, under a free name."""
    recipe = recipe_of(services.workspace, job.id)
    return train_form.fill_in(forms, recipe.kind, recipe.model_dump(mode="json"))
