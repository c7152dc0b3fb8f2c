"""The comparison: the table, the chart, and that nothing is measured again without being asked."""

from pathlib import Path
from typing import Any, cast

import gradio as gr
import pytest

from storage.records import JobStatus
from tests.storage import make
from tests.ui.tabs.conftest import BAD, EVALUATED, evaluated, put
from ui.services import Services
from ui.tabs.compare import shown, tab
from workbench.comparison.table import build_table
from workbench.recipes.describe import describe
from workbench.recipes.evaluate import EvaluateRecipe


def test_the_best_of_each_column_is_bold_and_the_verdict_is_in_words() -> None:
    drawn = shown.table_html(build_table(EVALUATED), EVALUATED)
    assert "<strong>0.683</strong>" in drawn
    assert "<strong>0.600</strong>" in drawn
    assert "<strong>0.589</strong>" not in drawn
    assert "+0.094 [+0.050, +0.130], p &lt; 0.001" in drawn
    assert "300 test queries over 1,500 documents" in drawn
    assert 'class="rw-badge good"' in drawn


def test_a_difference_that_may_be_luck_is_not_green() -> None:
    one = {**EVALUATED["comparisons"][0], "p_value": 0.4}
    result = {**EVALUATED, "comparisons": [one]}
    assert "rw-badge good" not in shown.table_html(build_table(result), result)


def test_names_are_text() -> None:
    rows = [{**row, "model": BAD + row["model"]} for row in EVALUATED["rows"]]
    result = {**EVALUATED, "dataset": BAD, "rows": rows, "comparisons": []}
    for drawn in (
        shown.table_html(build_table(result), result),
        shown.short_table(result),
    ):
        assert "<script" not in drawn
        assert "<img" not in drawn


def test_a_finished_comparison_is_shown_whole(services: Services) -> None:
    job = evaluated(services)
    card, *slot, table, actions, plot, markdown, csv = shown.view(services, job)
    assert card == '<div data-job="ev1"></div>' and slot[-1] == "ev1"
    assert "0.683" in table
    assert actions.visible
    assert plot.visible
    assert "| tuned |" in markdown
    assert csv.startswith("model,queries,map@100")


def test_the_chart_has_a_bar_for_each_model_in_each_metric() -> None:
    figure = shown.chart(build_table(EVALUATED))
    assert [bar.name for bar in figure.data] == ["base", "tuned"]
    assert list(figure.data[0].x) == ["MAP@100", "MRR@10"]


def test_one_that_runs_says_so_and_can_be_stopped(services: Services) -> None:
    job = put(
        services,
        "ev2",
        task="evaluate",
        status=JobStatus.RUNNING,
        recipe={"dataset": "tea", "models": ["a"], "split": "test"},
        progress={"done": 5, "total": 10, "unit": "texts", "message": "Model 1 of 2"},
    )
    card, cancel, _resume, _shown, table, *_ = shown.view(services, job)
    assert "5 of 10 texts" in card
    assert cancel.visible
    assert table == ""


def test_earlier_ones_of_the_same_data_set_can_be_chosen(services: Services) -> None:
    evaluated(services, "old", created_at=1.0)
    evaluated(services, "new", created_at=2.0)
    other = {"dataset": "coffee", "models": ["a"], "split": "dev"}
    evaluated(services, "other", recipe=other)
    menu = shown.past_menu(services, "tea", "old")
    assert [id for _, id in menu["choices"]] == ["new", "old"]
    assert menu["value"] == "old"
    assert not shown.past_menu(services, "none", None)["visible"]


def test_every_setting_of_the_command_line_is_on_the_page(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    with gr.Blocks() as blocks, gr.Tabs():
        drawn = tab.render(services)
        tab.listen(services, drawn)
    fields = {spec.name for spec in describe(EvaluateRecipe)}
    assert fields == {*tab.DRAWN, *drawn.settings.components}
    assert drawn.settings.components["metric"].elem_id == "compare-metric"
    start = next(one for one in blocks.fns.values() if drawn.settings.inputs[0] in one.inputs)
    assert start.fn is not None
    known = ["tea", "test", ["bm25"], [], "", "", "auto"]
    form = drawn.settings
    values = {one.name: cast(Any, form.components[one.name]).value for one in form.specs}
    submitted: list[Any] = []
    monkeypatch.setattr(
        services.workspace.jobs, "submit", lambda one: submitted.append(one) or evaluated(services)
    )
    bad = {**values, "candidates": 1}
    with pytest.warns(UserWarning, match="Candidates"):
        refused = dict(zip(start.outputs, start.fn(*known, *bad.values()), strict=True))
    assert "2" in refused[form.components["candidates"]]["info"] and not submitted
    chosen = {**values, "candidates": 7, "metric": "ndcg@10", "max_queries": "30", "top_k": 20}
    start.fn(*known, *chosen.values())
    (recipe,) = submitted
    assert (recipe.candidates, recipe.metric) == (7, "ndcg@10")
    assert (recipe.max_queries, recipe.top_k) == (30, 20)


def test_looking_measures_nothing(services: Services) -> None:
    evaluated(services)
    tab.fill(services, {"job": "ev1", "dataset": "tea"}, "tea", [], [])
    tab.fill(services, {}, None, [], [])
    assert len(services.workspace.jobs.list()) == 1


def test_models_to_compare_can_be_handed_over(services: Services) -> None:
    filled = tab.fill(services, {"dataset": "tea", "models": ["base", "tuned"]}, None, ["x"], [])
    assert filled[1]["value"] == ["base", "tuned", "bm25"]


def test_the_humble_baseline_is_there_until_it_is_taken_out(services: Services) -> None:
    def offered(picked: list[str]) -> list[str]:
        chosen: list[str] = tab.fill(services, {}, None, picked, [])[1]["value"]
        return chosen

    assert offered([]) == ["all-MiniLM-L6-v2", "bm25"]
    assert offered(["base"]) == ["base"]
    evaluated(services)
    assert offered([]) == ["base", "tuned"]  # As it was measured.


def test_models_that_were_compared_before_show_how(services: Services) -> None:
    evaluated(services)
    shown = tab.fill(services, {"dataset": "tea", "models": ["tuned", "base"]}, None, [], [])
    assert "0.683" in shown[8]
    other = tab.fill(services, {"dataset": "tea", "models": ["base", "new"]}, None, [], [])
    assert "rw-empty" in other[8]


def test_with_nothing_to_show_it_says_what_to_do(services: Services) -> None:
    table = shown.view(services, None)[4]
    assert "rw-empty" in table
    assert "run the sample" in table


STAGED: dict[str, Any] = {
    "dataset": "tea",
    "split": "test",
    "documents": 1500,
    "rows": [
        {"model": "bm25", "queries": 300, "searched": "all documents", "map@100": 0.4},
        {
            "model": "bm25, first 50",
            "queries": 300,
            "searched": "top 50 of bm25",
            "kind": "first-stage",
            "map@100": 0.389,
        },
        {
            "model": "bm25 + cross",
            "queries": 300,
            "searched": "top 50 of bm25",
            "kind": "reranker",
            "map@100": 0.161,
        },
    ],
    "comparisons": [
        {
            **EVALUATED["comparisons"][0],
            "model": "bm25 + cross",
            "against": "bm25, first 50",
            "delta": -0.228,
            "ci95": [-0.26, -0.2],
            "second_stage": True,
        }
    ],
}


def test_a_second_stage_says_what_it_searched_and_whether_it_earned_its_time() -> None:
    drawn = shown.table_html(build_table(STAGED), STAGED)
    assert "what it searched</th>" in drawn and "all documents" in drawn
    assert "the top 50 of bm25" in drawn and "first-stage order" in drawn
    assert 'class="rw-badge bad">worse than the first stage' in drawn
    assert "vs. bm25, first 50" in drawn and "only move up" in drawn
    own = {**STAGED["rows"][2], "searched": "the query's own candidates"}
    result = {**STAGED, "rows": [*STAGED["rows"][:2], own]}
    assert "the query’s own candidates" in shown.table_html(build_table(result), result)


def test_where_all_documents_were_searched_the_rows_do_not_say_so() -> None:
    rows = [{**row, "searched": "all documents"} for row in EVALUATED["rows"]]
    result = {**EVALUATED, "rows": rows}
    assert "searched" not in shown.table_html(build_table(result), result)


def test_bm25_and_second_stages_are_offered(services: Services, home: Path) -> None:
    store = services.workspace.store
    for at, kind in enumerate(("embedding", "reranker", "late-interaction")):
        store.models.insert(make.model(f"m{at}", name=f"my-{kind}", kind=kind))
    models, second = tab.fill(services, {}, None, [], ["typed"])[1:3]
    offered = [value for _, value in models["choices"]]
    assert {"bm25", "my-embedding", "my-reranker"} <= set(offered)
    assert {value for _, value in second["choices"]} == {"my-reranker", "my-late-interaction"}
    assert second["value"] == ["typed"]
