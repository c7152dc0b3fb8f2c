"""The chart of the last blend that a model had a part in, on the Models tab."""

from collections.abc import Mapping
from typing import Any

import gradio as gr

from ui.plots_blend import blend_chart
from ui.services import Services
from workbench.recipes.merge import BlendRecipe
from workbench.records import JobStatus, Model

#: How many blends are looked through for one with the model.
RECENT = 50


def render() -> gr.Plot:
    return gr.Plot(show_label=False, visible=False, elem_id="model-blend")


def view(services: Services, model: Model | None) -> gr.Plot:
    """The update of the chart: hidden where no blend has the model in it."""
    found = newest(services, model.name) if model else None
    if found is None:
        return gr.Plot(value=None, visible=False)
    return gr.Plot(value=blend_chart(found), visible=True)


def newest(services: Services, name: str) -> Mapping[str, Any] | None:
    """The result of the last blend of the model, with it as its base, or that it was kept from."""
    for job in services.workspace.jobs.list(task=BlendRecipe.task, limit=RECENT):
        result = job.result or {}
        part = (result.get("tuned"), result.get("base"), result.get("model"))
        if job.status is JobStatus.SUCCEEDED and name in part:
            return result
    return None
