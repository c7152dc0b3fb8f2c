"""Take it away, and clone: what the page offers for a model and for a run."""

import json
from pathlib import Path
from typing import Any

from storage.records import JobStatus
from tests.storage import make
from tests.ui.tabs.conftest import put
from tests.ui.visitor import drawn
from ui.services import Services
from ui.tabs.models import details
from ui.tabs.train.forms import Forms
from ui.tabs.train.sweep import Sweep
from ui.tabs.train.tab import TrainTab
from workbench.models.contract import Contract
from workbench.recipes.train import TrainEmbeddingRecipe
from workbench.recipes.train_kinds import TrainRerankerRecipe
from workbench.takeaway.sweeps import Started, remember

PROMPT = "query: <b>"


def model_in(services: Services, **values: Any) -> Any:
    contract = Contract(query_prompt=PROMPT, pooling="cls", query_max_len=48).model_dump()
    made = make.model("m1", name="tuned", contract=contract, path="models/m1", **values)
    services.workspace.path("models/m1").mkdir(parents=True)
    return services.workspace.store.models.insert(made)


def test_the_lines_that_use_a_model_are_shown_as_text(services: Services) -> None:
    model = model_in(services, job_id="run1")
    html = str(details.html(services, model))
    assert "query: &lt;b&gt;" in html and "<b>" not in html
    assert "cls" in html and "48" in html
    assert 'href="/api/download/models/tuned/script.zip"' in html
    assert str(services.workspace.home) not in html


def test_an_adapter_says_what_else_to_take_along(services: Services) -> None:
    model = model_in(services)
    folder = Path(services.workspace.path("models/m1"))
    about = '{"base_model_name_or_path": "/gone/tea-model", "peft_type": "LORA"}'
    (folder / "adapter_config.json").write_text(about)
    html = str(details.html(services, model))
    assert "tea-model" in html and "/gone" not in html


def test_clone_fills_the_form_of_the_run_s_kind(services: Services) -> None:
    recipe = TrainRerankerRecipe(dataset="tea", name="tuned", objective="listnet", negatives=7)
    about = {"recipe": recipe.model_dump(mode="json"), "name": "tuned"}
    job = put(services, "run1", task=recipe.task, status=JobStatus.FAILED, **about)
    forms = drawn(Forms, services)
    filled = forms.clone(job.id)
    assert filled.keys() < set(forms.filled) and filled[forms.kind] == "reranker"
    kind = next(one for one in forms.each if one.kind == "reranker")
    form = kind.form
    assert filled.keys() == {forms.kind, kind.presets, *form.inputs}
    found = {name: filled[field] for name, field in form.components.items()}
    assert (found["objective"], found["name"]) == ("listnet", "tuned")
    # What a run may decide is a field that may stand empty.
    assert found["negatives"]["value"] == "7"
    assert found["dataset"] == "tea"


def test_clone_keeps_what_it_filled_in(services: Services) -> None:
    """A person gives what differs from it."""
    recipe = TrainEmbeddingRecipe.read(
        {"dataset": "tea", "model": "base", **TrainEmbeddingRecipe.presets["balanced"]}
    )
    about = {"recipe": recipe.model_dump(mode="json"), "name": "tuned"}
    job = put(services, "run1", task=recipe.task, status=JobStatus.FAILED, **about)
    forms = drawn(Forms, services)
    form = next(one.form for one in forms.each if one.kind == "embedding")
    filled = forms.clone(job.id)
    assert form.filled in forms.filled and form.filled in form.inputs
    kept = json.loads(filled[form.filled])
    assert (kept["auto"], kept["epochs"]) == ("serving_length", recipe.epochs)


def test_clone_leaves_what_was_removed_to_be_chosen(services: Services) -> None:
    """Another data set has its name by now."""
    services.workspace.store.datasets.insert(*make.dataset("d2", "tea"))
    recipe = TrainRerankerRecipe(dataset="tea", objective="listnet")
    about = {"recipe": recipe.model_dump(mode="json"), "references": {"dataset": "removed"}}
    job = put(services, "run1", task=recipe.task, status=JobStatus.FAILED, **about)
    forms = drawn(Forms, services)
    form = next(one.form for one in forms.each if one.kind == "reranker")
    filled = forms.clone(job.id)
    assert filled[form.components["dataset"]] is None
    assert filled[form.components["objective"]] == "listnet"


def test_clone_is_offered_once_a_run_has_ended(services: Services) -> None:
    recipe = {"dataset": "tea", "model": "base", "name": "tuned"}
    about = {"task": "train-embedding", "recipe": recipe}
    part = drawn(TrainTab, services)
    for status, shown in [(JobStatus.RUNNING, False), (JobStatus.FAILED, True)]:
        job = put(services, status.value, status=status, **about)
        assert part.view(job)[part.clone].visible is shown
    assert part.view(None).keys() == part.view(job).keys() < set(part.shown)


def swept(services: Services, id: str, rate: str, best: float | None, **values: Any) -> str:
    recipe = {"dataset": "tea", "model": "base", "metric": "map@100", "learning_rate": rate}
    about: dict[str, Any] = {"task": "train-embedding", "recipe": recipe, "name": f"run {id}"}
    if best is not None:
        result = {"baseline": {"map@100": 0.5}, "best": {"map@100": best}}
        about |= {"status": JobStatus.SUCCEEDED, "result": result}
    job = put(services, id, **{**about, **values})
    return str(job.id)


def test_a_sweep_is_one_table_and_one_chart(services: Services) -> None:
    jobs = (
        swept(services, "a", "1e-5", 0.55),
        swept(services, "b", "5e-5", 0.61),
        swept(services, "c", "1e-4", None, status=JobStatus.QUEUED),
    )
    values = tuple({"learning_rate": rate} for rate in ("1e-5", "5e-5", "1e-4"))
    remember(services.workspace, Started(("learning_rate",), values, jobs))
    part = drawn(Sweep, services)
    html, chart = part.view("b").values()
    assert html.count("<tr") == 4 and html.count("highest") == 1
    assert "0.610" in html and "waiting" in html
    # The chart is that of the sweep, whichever of its runs is shown.
    assert chart == part.view("c")[part.chart] == "a"
    assert list(part.view("elsewhere").values()) == ["", ""]
