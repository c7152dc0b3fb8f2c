"""What can be done with a model is offered, and what would only be refused later is not."""

from typing import Any

import gradio as gr
import pytest

from tests.storage import make
from ui.services import Services
from ui.tabs.models import tab
from workbench.models.contract import Contract


@pytest.mark.parametrize(
    ("about", "offered"),
    [
        ({}, True),
        ({"kind": "image-text"}, True),
        ({"kind": "image-text", "pictures_by": "clip"}, False),
        ({"weights": "int8"}, False),
    ],
)
def test_train_further_is_there_for_what_can_be_trained(
    services: Services, about: dict[str, Any], offered: bool
) -> None:
    contract = Contract(**about).model_dump(mode="json")
    services.workspace.store.models.insert(
        make.model("m1", "one", kind=contract["kind"], contract=contract)
    )
    services.workspace.path("models/m1").mkdir(parents=True)
    assert _to_train(services, "one") is offered
    assert _to_train(services, "") is False


def _to_train(services: Services, picked: str) -> bool:
    """Whether the view shows the button, by its place among what the view updates."""
    page = models_of(services)
    updates = tab.view(services, picked)
    assert len(updates) == len(page.outputs)
    return bool(updates[page.outputs.index(page.to_train)].visible)


def models_of(services: Services) -> tab.Models:
    with gr.Blocks():
        return tab.render(services)
