"""The Models tab shows the chart of a blend to the models that had a part in it."""

from typing import Any

import numpy as np

from storage.records import JobStatus
from tests.ui.tabs.conftest import BAD, put
from ui.plots_blend import blend_chart
from ui.services import Services
from ui.tabs import models_blend
from workbench.models.registry import new_model

RESULT: dict[str, Any] = {
    "tuned": "mine",
    "base": "tiny",
    "metric": "map@100",
    "model": "half",
    "rows": [
        {"ratio": ratio, "dataset": name, "split": "test", "map@100": value}
        for ratio, name, value in ((0.0, "a", 0.1), (0.0, BAD, 0.9), (1.0, "a", 0.8))
    ],
}


def test_a_line_per_data_set() -> None:
    figure = blend_chart(RESULT)
    first, second = figure.data
    assert np.allclose(first.x, [0.0, 1.0])
    assert np.allclose(first.y, [0.1, 0.8])
    assert first.name == "a (test)"
    assert len(second.x) == 1
    assert "<script" not in figure.to_json()
    assert figure.layout.yaxis.title.text == "MAP@100"


def test_it_is_shown_to_models_with_a_part_in_it(services: Services) -> None:
    put(services, "b1", task="blend", status=JobStatus.SUCCEEDED, result=RESULT)
    put(services, "b2", task="blend", status=JobStatus.FAILED)
    models = services.workspace.models
    shown = {}
    for name in ("mine", "tiny", "half", "other"):
        id, _ = models.new_folder()
        model = models.add(new_model(id, name, contract={}, summary={}))
        shown[name] = models_blend.view(services, model).visible
    assert shown == {"mine": True, "tiny": True, "half": True, "other": False}
    assert models_blend.view(services, None).visible is False
