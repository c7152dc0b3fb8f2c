"""The Models tab shows the chart of a blend to the models that had a part in it."""

from typing import Any

import numpy as np

from storage.records import JobStatus
from tests.storage import make
from tests.ui.tabs.conftest import BAD, put
from tests.ui.visitor import drawn
from ui.services import Services
from ui.tabs.models import blend
from ui.tabs.models.blend import blend_chart
from workbench.models.registry import new_model
from workbench.recipes.merge import BlendRecipe

RESULT: dict[str, Any] = {
    "tuned": "mine",
    "base": "tiny",
    "metric": "map@100",
    "model": "half",
    "rows": [
        {"ratio": ratio, "dataset": name, "split": "dev", "map@100": value}
        for ratio, name, value in ((0.0, "a", 0.1), (0.0, BAD, 0.9), (1.0, "a", 0.8))
    ],
}


def test_a_line_per_data_set() -> None:
    figure = blend_chart(RESULT)
    first, second = figure.data
    assert np.allclose(first.x, [0.0, 1.0])
    assert np.allclose(first.y, [0.1, 0.8])
    assert first.name == "a (dev)"
    assert len(second.x) == 1
    assert "<script" not in figure.to_json()
    assert figure.layout.yaxis.title.text == "MAP@100"


def test_it_is_shown_to_models_with_a_part_in_it(services: Services) -> None:
    put(services, "b1", task="blend", status=JobStatus.SUCCEEDED, result=RESULT)
    put(services, "b2", task="blend", status=JobStatus.FAILED)
    models = services.workspace.models
    part = drawn(blend.Blend, services)
    shown = {}
    for name in ("mine", "tiny", "half", "other"):
        id, _ = models.new_folder()
        model = models.add(new_model(id, name, contract={}, summary={}))
        shown[name] = part.view(model)[part.plot].visible
    assert shown == {"mine": True, "tiny": True, "half": True, "other": False}
    assert part.view(None)[part.plot].visible is False


def test_the_form_begins_with_the_models_base_and_data_set(services: Services) -> None:
    models = services.workspace.models
    id, _ = models.new_folder()
    about = {"dataset": "tea", "base": "tiny"}
    tuned = models.add(new_model(id, "mine", contract={"base_model": "tiny"}, summary=about))
    for at, name in enumerate(("banking", "tea")):
        services.workspace.store.datasets.insert(*make.dataset(f"d{at}", name, float(at)))
    part = drawn(blend.Blend, services)
    base, first, second = part.first_values("mine").values()
    assert (base["value"], first["value"], second["value"]) == ("tiny", "tea", "banking")
    assert "mine" not in [value for _, value in base["choices"]]
    assert part.view(tuned)[part.open].visible is True


def test_a_point_is_kept_by_measuring_it_once_more(services: Services) -> None:
    recipe = {"model": "mine", "base": "tiny", "dataset": "a", "second_dataset": BAD}
    done = {"task": "blend", "status": JobStatus.SUCCEEDED, "recipe": recipe}
    put(services, "b1", **done, result=RESULT, created_at=1.0)
    point = {**RESULT, "rows": RESULT["rows"][:1], "model": "kept"}
    put(services, "b2", **done, result=point, created_at=2.0)
    # The job that only kept a point has no curve to show.
    for name in ("mine", "kept", "tiny"):
        found = blend.newest(services, name)
        assert found is not None and found.id == "b1"
    wanted = BlendRecipe.read(blend.keeping(BlendRecipe.read(recipe), "0.25", " quarter "))
    assert (wanted.keep, wanted.ratios, wanted.name, wanted.second_dataset) == (
        0.25,
        "0.25",
        "quarter",
        BAD,
    )
    shown = blend.points(RESULT)
    assert shown == [("0: MAP@100 0.100, 0.900", "0"), ("1: MAP@100 0.800", "1")]
    flat = [{"ratio": ratio, "dataset": "a", "map@100": 1.0} for ratio in (0.0, 0.25, 1.0)]
    assert blend.best_point({**RESULT, "rows": flat}) == "0.25"
    # Blends of before were measured by test queries: nothing is chosen by these.
    assert blend.best_point({**RESULT, "rows": [{**flat[0], "split": "test"}]}) is None
