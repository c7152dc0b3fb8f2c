"""The merge button is there for adapters, and a merged model says how it was checked."""

from pathlib import Path
from typing import Any

import pytest

from tests.ui.tabs.conftest import put
from tests.ui.visitor import drawn
from ui.kit.job_slot import card_html, newest
from ui.services import Services
from ui.tabs.models import blend, tab
from workbench.models.registry import new_model

SUMMARY: dict[str, Any] = {
    "origin": "merged",
    "adapter": "mine",
    "parity": {"texts": 64, "largest_difference": 3.2e-7, "allowed": 1e-4},
    "drift": {"against": "nf4", "largest_difference": 0.021, "mean_difference": 0.002},
    "metrics": {
        "metric": "map@100",
        "trained": {"map@100": 0.61},
        "merged": {"map@100": 0.615},
    },
}


def add(services: Services, name: str, *, adapter: bool = False, **summary: Any) -> Any:
    id, folder = services.workspace.models.new_folder()
    if adapter:
        Path(folder / "adapter_config.json").write_text("{}")
    return services.workspace.models.add(new_model(id, name, contract={}, summary=summary))


@pytest.mark.parametrize("adapter", [True, False])
def test_the_button_is_there_for_adapters_only(services: Services, adapter: bool) -> None:
    model = add(services, "one", adapter=adapter)
    part = drawn(blend.Merge, services)
    shown = part.view(model)
    assert shown[part.start].visible is shown[part.name].visible is adapter
    assert shown[part.facts] == ""


def test_no_model_no_button(services: Services) -> None:
    part = drawn(blend.Merge, services)
    shown = part.view(None)
    assert (shown[part.start].visible, shown[part.facts]) == (False, "")


def test_a_merged_model_says_how_it_was_checked(services: Services) -> None:
    said = blend.html(add(services, "whole", **SUMMARY))
    assert "max difference 3.2e-07 on 64 texts (allowed: 0.0001)" in said
    assert "as trained (nf4)" in said
    assert "0.610 as trained, 0.615 merged" in said


def test_drift_that_could_not_be_measured_is_said(services: Services) -> None:
    drift = {"against": "nf4", "not_measured": "bitsandbytes is not installed."}
    said = blend.html(add(services, "whole", **{**SUMMARY, "drift": drift}))
    assert "not measured: bitsandbytes is not installed" in said


def test_the_models_page_shows_the_job_of_a_merge(services: Services) -> None:
    put(services, "add1", task="add-model", name="other", created_at=1.0)
    put(services, "mer1", task="merge", name="whole", created_at=2.0)
    job = newest(services, tab.TASKS)
    assert job is not None
    assert job.id == "mer1"
    assert "Merging: whole" in card_html(job)
