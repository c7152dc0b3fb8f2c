"""What can be done with a model is offered, and what would only be refused later is not."""

from typing import Any

import pytest

from tests.storage import make
from tests.ui.visitor import drawn
from ui.services import Services
from ui.tabs.models.tab import ModelsTab
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
    tab = drawn(ModelsTab, services)
    updates = tab.refresh(picked)
    assert updates.keys() <= set(tab.outputs)
    return bool(updates[tab.to_train].visible)
