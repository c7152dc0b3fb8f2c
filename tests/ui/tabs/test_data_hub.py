"""A look at a hub's data set, as the Data tab shows it."""

import gradio as gr

from storage.records import JobStatus
from tests.ui.tabs.conftest import put
from ui.services import Services
from ui.tabs import data_hub
from workbench.recipes.data import HubLookRecipe

RECIPE = HubLookRecipe(dataset_id="owner/name").model_dump()


def test_a_look_that_runs_can_be_stopped(services: Services) -> None:
    with gr.Blocks():
        part = data_hub.render()
    assert [one.visible for one in data_hub.view(services)[1:3]] == [False, False]
    put(services, "look", status=JobStatus.QUEUED, task=HubLookRecipe.task, recipe=RECIPE)
    changed = data_hub.changed(services, part, "")
    assert changed[part.job.stop].visible and 'data-job="look"' in changed[part.job.card]
    services.workspace.jobs.cancel("look")
    html, stop, *_ = data_hub.view(services)
    assert not stop.visible and 'data-job="look"' in html


def test_one_that_is_over_leaves_a_mark(services: Services) -> None:
    about = {"task": HubLookRecipe.task, "recipe": RECIPE, "result": {}}
    put(services, "look", status=JobStatus.SUCCEEDED, **about)
    html, stop, *_ = data_hub.view(services)
    assert html == '<div data-job="look"></div>' and not stop.visible
