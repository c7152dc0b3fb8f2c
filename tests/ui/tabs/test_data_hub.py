"""A look at a hub's data set, as the Data tab shows it."""

from typing import Any

import gradio as gr
import pytest

from storage.records import JobStatus
from tests.ui.tabs.conftest import put
from ui.services import Services
from ui.tabs import data_hub
from workbench.data import hub_look
from workbench.recipes.hub_look import HubLookRecipe

RECIPE = HubLookRecipe(dataset_id="owner/name").model_dump()


@pytest.fixture
def hub(services: Services) -> tuple[gr.Blocks, data_hub.Hub]:
    with gr.Blocks() as page:
        part = data_hub.render()
        data_hub.listen(services, part)
    return page, part


def cancel_of(page: gr.Blocks, part: data_hub.Hub) -> Any:
    clicked = (part.cancel._id, "click")
    return next(one.fn for one in page.fns.values() if clicked in one.targets)


def test_a_look_that_runs_can_be_stopped(
    services: Services, hub: tuple[gr.Blocks, data_hub.Hub]
) -> None:
    page, part = hub
    assert [one.visible for one in data_hub.view(services)[1:]] == [False]
    put(services, "look", status=JobStatus.QUEUED, task=HubLookRecipe.task, recipe=RECIPE)
    changed = data_hub.changed(services, part, "")
    assert changed[part.cancel].visible and 'data-job="look"' in changed[part.job]
    html, button = cancel_of(page, part)()
    job = hub_look.newest(services.workspace)
    assert job is not None and job.status is JobStatus.CANCELLED
    assert not button.visible and 'data-job="look"' in html


def test_one_that_is_over_stays_as_it_is(
    services: Services, hub: tuple[gr.Blocks, data_hub.Hub]
) -> None:
    about = {"task": HubLookRecipe.task, "recipe": RECIPE, "result": {}}
    put(services, "look", status=JobStatus.SUCCEEDED, **about)
    _, button = cancel_of(*hub)()
    job = hub_look.newest(services.workspace)
    assert job is not None and job.status is JobStatus.SUCCEEDED and not button.visible
