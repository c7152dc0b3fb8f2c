"""A look at a hub's data set, as the Data tab shows it."""

from storage.records import JobStatus
from tests.ui.tabs.conftest import put
from tests.ui.visitor import drawn
from ui.services import Services
from ui.tabs.data.bring import Hub
from workbench.recipes.data import HubLookRecipe

RECIPE = HubLookRecipe(dataset_id="owner/name").model_dump()


def test_a_look_that_runs_can_be_stopped(services: Services) -> None:
    part = drawn(Hub, services)
    assert not part.view()[part.job.stop].visible and not part.view()[part.job.resume].visible
    put(services, "look", status=JobStatus.QUEUED, task=HubLookRecipe.task, recipe=RECIPE)
    changed = part.changed("")
    assert changed[part.job.stop].visible and 'data-job="look"' in changed[part.job.card]
    services.workspace.jobs.cancel("look")
    html, stop, *_ = drawn(Hub, services).view().values()
    assert not stop.visible and 'data-job="look"' in html


def test_one_that_is_over_leaves_a_mark(services: Services) -> None:
    about = {"task": HubLookRecipe.task, "recipe": RECIPE, "result": {}}
    put(services, "look", status=JobStatus.SUCCEEDED, **about)
    html, stop, *_ = drawn(Hub, services).view().values()
    assert html == '<div data-job="look"></div>' and not stop.visible
