"""What stands beside the comparison's table: pairs, a second data set, slices, history, recipes."""

from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from storage.records import Job
from tests.storage import make
from tests.ui.tabs.conftest import BAD, EVALUATED, evaluated, put
from tests.workbench.comparison.exploring import evaluation, grounds
from tests.workbench.comparison.test_table import PAIRS
from tests.workbench.data.fakes import bring, lines
from tests.workbench.reports.conftest import NAMES, Reader, kept, result
from ui.services import Services
from ui.tabs.compare import dimensions, history, published, shown, tab
from ui.tabs.compare.slices import slices_html
from ui.web.server import ServerOptions, create_app
from workbench.comparison.table import build_table, pair_table
from workbench.reports.gather import PublishedRow, slices_of
from workbench.reports.history import history as measurements


@pytest.fixture
def measured(services: Services, monkeypatch: pytest.MonkeyPatch) -> Job:
    """A comparison whose values per query are on disk."""
    workspace = services.workspace
    workspace.store.datasets.insert(*make.dataset("set1", name="tea"))
    monkeypatch.setattr(type(workspace.datasets), "read", lambda *_args, **_more: Reader())
    return evaluated(services, result=result(workspace))


def test_scored_pairs_are_shown_with_their_intervals_and_apart() -> None:
    drawn = shown.results_html(PAIRS)
    assert "200 test scored pairs" in drawn and "never by MAP" in drawn
    assert "<strong>0.800</strong>" in drawn and "[0.750, 0.850]" in drawn
    assert "not distinguishable on 200 pairs" in drawn and "MAP@100" not in drawn
    both = shown.results_html({**EVALUATED, "pairs": PAIRS["pairs"]})
    assert both.count("<table") == 2 and both.index("MAP@100") < both.index("Spearman")
    left_out = {**PAIRS["pairs"], "left_out": ["bm25"]}
    assert "need a model: bm25" in shown.results_html({**PAIRS, "pairs": left_out})


def test_a_chart_of_correlations_has_room_below_zero() -> None:
    rows = [{**row, "spearman": -0.4} for row in PAIRS["pairs"]["rows"]]
    table = pair_table({**PAIRS, "pairs": {**PAIRS["pairs"], "rows": rows}})
    assert table is not None
    assert shown.chart(table).layout.yaxis.range[0] < -0.4
    assert shown.chart(build_table(EVALUATED)).layout.yaxis.range[0] == 0


def test_a_second_data_set_is_a_check_against_forgetting() -> None:
    worse = {**EVALUATED["comparisons"][0], "delta": -0.05, "ci95": [-0.08, -0.02]}
    second = {**EVALUATED, "dataset": BAD, "comparisons": [worse]}
    drawn = shown.results_html({**EVALUATED, "second_dataset": second})
    assert drawn.count("<table") == 2 and "<script" not in drawn
    assert 'class="rw-badge bad">worse' in drawn
    assert "it has lost ground there." in drawn


def test_wins_and_losses_are_said_and_corrections_too() -> None:
    drawn = shown.results_html(EVALUATED)
    assert "150 won, 50 lost, 100 tied" in drawn and "Holm" not in drawn
    rows = [*EVALUATED["rows"], {**EVALUATED["rows"][1], "model": "third"}]
    more = [{**EVALUATED["comparisons"][0], "model": name} for name in ("tuned", "third")]
    assert "2 simultaneous comparisons" in shown.results_html(
        {**EVALUATED, "rows": rows, "comparisons": more}
    )


def test_every_section_answers_with_the_table(services: Services, measured: Job) -> None:
    import gradio as gr

    with gr.Blocks(), gr.Tabs():
        drawn = tab.render(services)
    for job in (measured, None, put(services, "run1", task="evaluate")):
        assert len(drawn.view(services, job)) == len(drawn.result)
    filled = drawn.refresh({"job": measured.id}, "tea", [], [], "gone")
    assert len(filled) == len(drawn.outputs)
    assert filled[-1]["value"] == "" and "tea" in dict(filled[-1]["choices"])


def test_what_was_measured_on_data_that_is_gone_is_still_shown(
    services: Services, tmp_path: Path
) -> None:
    """And where other data has its name by now, nothing of that is taken for what was measured."""
    import gradio as gr

    workspace = services.workspace
    reader = grounds(workspace, tmp_path)
    evaluation(workspace, reader, done=True)
    with gr.Blocks(), gr.Tabs():
        drawn = tab.render(services)

    def filled() -> dict[Any, Any]:
        state = {"job": "ev1", "dataset": reader.name}
        return dict(zip(drawn.outputs, drawn.refresh(state, None, [], [], ""), strict=True))

    explorer = drawn.beside[0].outputs[0]
    assert filled()[explorer].visible
    workspace.datasets.remove(reader.name)
    gone = filled()
    assert "0.978" in gone[drawn.table] and gone[drawn.models]["choices"]
    assert not gone[explorer].visible
    other = [{"query": "什么 " * 30, "pos": [f"green {n}"], "neg": ["red"]} for n in range(3)]
    bring(workspace, lines(tmp_path / "other.jsonl", other), name=reader.name)
    assert slices_of(workspace, workspace.jobs.get("ev1").result or {}) == []
    assert not filled()[explorer].visible


def test_the_curve_is_there_where_it_was_measured(services: Services, measured: Job) -> None:
    (plot,) = dimensions.show(measured)
    assert plot.visible
    assert not dimensions.show(evaluated(services, "other"))[0].visible
    assert not dimensions.show(None)[0].visible


def test_slices_are_tables_of_text(services: Services, measured: Job) -> None:
    found = slices_of(services.workspace, measured.result or {})
    drawn = slices_html(found)
    assert "Chinese characters" in drawn and "<b>" not in drawn and "tuned &lt;b&gt;" in drawn
    assert "no longer exist" in slices_html([])


def test_the_published_table(services: Services) -> None:
    rows = [PublishedRow(BAD, 0.5, 0.6, "tuned", 2, 300, 1.0)]
    drawn = published.published_html(rows, "tea", "test")
    assert "<strong>0.600</strong>" in drawn and "<script" not in drawn
    assert "tuned, version 2, 300 queries" in drawn
    assert "together with the model" in published.published_html([], "tea", "test")


def test_history_and_recipes(services: Services, measured: Job) -> None:
    kept(services.workspace, BAD, settings={"cut_to": 32, "max_queries": 7})
    found = measurements(services.workspace)
    drawn = history.history_html(found, 0, len(found))
    assert (
        "truncated to 32 dimensions" in drawn
        and "max_queries=7" in drawn
        and "<script" not in drawn
    )
    assert drawn.count("<tr>") == 1 + 1 + len(NAMES)
    assert "Nothing has been measured" in history.history_html([], 0, 0)
    other = put(services, "tr1", recipe={"epochs": 2, "name": BAD}, task="train")
    third = put(services, "tr2", recipe={"epochs": 3, "name": BAD}, task="train")
    different = history.diff_html(other, third)
    assert "<td>epochs</td><td>2</td><td>3</td>" in different and "<td>name" not in different
    assert "identical" in history.diff_html(other, other)
    assert history.diff_html(None, third) == ""


def test_history_is_turned_page_by_page_and_filtered(services: Services, measured: Job) -> None:
    for at in range(history.ROWS + 3):
        kept(services.workspace, f"model {at % 2}", created_at=float(at))
    kept(services.workspace, "bm25 + model 1", dataset_id="gone", settings={"dataset": "coffee"})
    everything = measurements(services.workspace)
    rows, newer, older, start = history.page_of(everything, 0)
    assert rows.count("<tr>") == 1 + history.ROWS
    assert (newer.visible, older.visible, start) == (False, True, 0)
    rows, newer, older, start = history.page_of(everything, history.ROWS)
    assert (newer.visible, older.visible, start) == (True, False, history.ROWS)
    assert f"{history.ROWS + 1} to {len(everything)} of {len(everything)}" in rows
    # Beyond the end is the last page.
    assert history.page_of(everything, 10_000)[3] == history.ROWS
    models, data, sources = history.filter_menus(everything, None, "coffee (removed)", "")
    assert ("model 1", "model 1") in models["choices"]
    assert [value for _, value in data["choices"]] == ["", "coffee (removed)", "tea"]
    assert data["value"] == "coffee (removed)"
    assert [value for _, value in sources["choices"]] == ["", "comparison"]
    (one,) = history._kept(everything, "model 1", "coffee (removed)", "")
    assert (one.model, one.removed) == ("bm25 + model 1", True)
    assert history._kept(everything, None, "", "training") == []


def test_reports_are_downloads_never_pages(services: Services, measured: Job) -> None:
    import gradio as gr

    app = create_app(services, ServerOptions(), gr.Blocks())
    client: Any = TestClient(app, base_url="http://127.0.0.1")
    for form, begins in (("html", "<!doctype html>"), ("md", "# Comparison"), ("tex", "%")):
        address = f"/api/download/comparisons/{measured.id}/report.{form}"
        answer = client.get(address)
        assert answer.status_code == 200 and answer.text.startswith(begins)
        assert answer.headers["content-disposition"].startswith("attachment")
        assert address in shown.view(services, measured)[4]
    for path in ("ev1/report.exe", "none/report.md", "..%2f..%2fx/report.md"):
        assert client.get(f"/api/download/comparisons/{path}").status_code == 404


def test_the_report_of_a_run_that_failed_is_refused(services: Services, home: Path) -> None:
    import gradio as gr

    put(services, "bad1", task="evaluate")
    app = create_app(services, ServerOptions(), gr.Blocks())
    client: Any = TestClient(app, base_url="http://127.0.0.1")
    answer = client.get("/api/download/comparisons/bad1/report.md")
    assert answer.status_code == 400 and "no result" in answer.json()["error"]
