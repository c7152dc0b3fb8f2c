"""The Compare tab: one comparison, and that nothing is measured again without being asked."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import gradio as gr
import pytest

from storage.records import JobStatus
from tests.storage import make
from tests.ui.tabs.conftest import EVALUATED, evaluated, put
from tests.ui.visitor import drawn
from ui.services import Services
from ui.tabs.compare import tab
from ui.tabs.compare.tab import CompareTab
from workbench.recipes.describe import describe
from workbench.recipes.evaluate import EvaluateRecipe


@pytest.fixture
def compare(services: Services) -> CompareTab:
    return drawn(CompareTab, services)


def test_a_finished_comparison_is_shown_whole(services: Services, compare: CompareTab) -> None:
    job = evaluated(services)
    found = compare.view(job)
    assert found[compare.job.card] == '<div data-job="ev1"></div>'
    assert found[compare.job.shown] == "ev1"
    assert "0.683" in found[compare.table]
    assert found[compare.actions].visible
    assert found[compare.plot].visible
    assert "| tuned |" in found[compare.copy.text]
    assert found[compare.csv].startswith("model,queries,map@100")


def test_one_that_runs_says_so_and_can_be_stopped(services: Services, compare: CompareTab) -> None:
    job = put(
        services,
        "ev2",
        task="evaluate",
        status=JobStatus.RUNNING,
        recipe={"dataset": "tea", "models": ["a"], "split": "test"},
        progress={"done": 5, "total": 10, "unit": "texts", "message": "Model 1 of 2"},
    )
    found = compare.view(job)
    assert "5 of 10 texts" in found[compare.job.card]
    assert found[compare.job.stop].visible
    assert found[compare.table] == ""


def test_earlier_ones_of_the_same_data_set_can_be_chosen(services: Services) -> None:
    evaluated(services, "old", created_at=1.0)
    evaluated(services, "new", created_at=2.0)
    other = {"dataset": "coffee", "models": ["a"], "split": "dev"}
    evaluated(services, "other", recipe=other)
    menu = tab.past_menu(services, "tea", "old")
    assert [id for _, id in menu["choices"]] == ["new", "old"]
    assert menu["value"] == "old"
    assert not tab.past_menu(services, "none", None)["visible"]


def test_every_setting_of_the_command_line_is_on_the_page(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    with gr.Blocks() as blocks, gr.Tabs():
        compare = CompareTab(services)
        compare.listen()
    fields = {spec.name for spec in describe(EvaluateRecipe)}
    assert fields == {*tab.DRAWN, *compare.form.components}
    assert compare.form.components["metric"].elem_id == "compare-metric"
    start = next(one for one in blocks.fns.values() if compare.form.inputs[0] in one.inputs)
    assert start.fn is not None
    known = ["tea", "test", ["bm25"], [], "", "", "auto"]
    form = compare.form
    values = {one.name: cast(Any, form.components[one.name]).value for one in form.specs}
    submitted: list[Any] = []
    monkeypatch.setattr(
        services.workspace.jobs, "submit", lambda one: submitted.append(one) or evaluated(services)
    )
    bad = {**values, "candidates": 1}
    with pytest.warns(UserWarning, match="Candidates"):
        refused = start.fn(*known, *bad.values())
    assert "2" in refused[form.components["candidates"]]["info"] and not submitted
    chosen = {**values, "candidates": 7, "metric": "ndcg@10", "max_queries": "30", "top_k": 20}
    start.fn(*known, *chosen.values())
    (recipe,) = submitted
    assert (recipe.candidates, recipe.metric) == (7, "ndcg@10")
    assert (recipe.max_queries, recipe.top_k) == (30, 20)


def test_looking_measures_nothing(services: Services, compare: CompareTab) -> None:
    evaluated(services)
    compare.refresh({"job": "ev1", "dataset": "tea"}, "tea", [], [], "")
    compare.refresh({}, None, [], [], "")
    assert len(services.workspace.jobs.list()) == 1


def test_models_to_compare_can_be_handed_over(compare: CompareTab) -> None:
    handed = {"dataset": "tea", "models": ["base", "tuned"]}
    filled = compare.refresh(handed, None, ["x"], [], "")
    assert filled[compare.models]["value"] == ["base", "tuned", "bm25"]
    assert filled[compare.chosen] == {**handed, "taken": True}


def test_the_humble_baseline_is_there_until_it_is_taken_out(
    services: Services, compare: CompareTab
) -> None:
    def offered(picked: list[str]) -> list[str]:
        chosen: list[str] = compare.refresh({}, None, picked, [], "")[compare.models]["value"]
        return chosen

    assert offered([]) == ["all-MiniLM-L6-v2", "bm25"]
    assert offered(["base"]) == ["base"]
    evaluated(services)
    assert offered([]) == ["base", "tuned"]  # As it was measured.


def test_models_that_were_compared_before_show_how(services: Services, compare: CompareTab) -> None:
    evaluated(services)

    def table(*models: str) -> str:
        state = {"dataset": "tea", "models": list(models)}
        return str(compare.refresh(state, None, [], [], "")[compare.table])

    assert "0.683" in table("tuned", "base")
    assert "rw-empty" in table("base", "new")


def test_with_nothing_to_show_it_says_what_to_do(compare: CompareTab) -> None:
    table = compare.view(None)[compare.table]
    assert "rw-empty" in table
    assert "run the sample" in table


def test_bm25_and_second_stages_are_offered(
    services: Services, compare: CompareTab, home: Path
) -> None:
    store = services.workspace.store
    for at, kind in enumerate(("embedding", "reranker", "late-interaction")):
        store.models.insert(make.model(f"m{at}", name=f"my-{kind}", kind=kind))
    found = compare.refresh({}, None, [], ["typed"], "")
    models, second = found[compare.models], found[compare.rerankers]
    offered = [value for _, value in models["choices"]]
    assert {"bm25", "my-embedding", "my-reranker"} <= set(offered)
    assert {value for _, value in second["choices"]} == {"my-reranker", "my-late-interaction"}
    assert second["value"] == ["typed"]


def test_the_base_at_the_same_length_is_one_click(
    services: Services, compare: CompareTab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same comparison once more, with one row added."""
    rows = [{**row, "query_max_len": 64, "passage_max_len": 128} for row in EVALUATED["rows"]]
    job = evaluated(services, result={**EVALUATED, "rows": rows})
    beside = "base at 128 tokens"
    monkeypatch.setattr(tab, "offers", lambda *_: {"tuned": beside})
    assert f">Measure {beside}</button>" in compare.view(job)[compare.table]
    taken: list[Any] = []
    monkeypatch.setattr(
        type(services.workspace.jobs), "submit", lambda _self, one: taken.append(one) or job
    )
    compare._add_base(job.id, "tea", cast(Any, SimpleNamespace(value="tuned")))
    (recipe,) = taken
    assert recipe.models == ["base", "tuned"] and recipe.bases_at_length_of == ["tuned"]
