"""The sections of the Compare tab: curves, slices, published rows, history, recipes, reports."""

from pathlib import Path
from typing import Any

import gradio as gr
import pytest
from fastapi.testclient import TestClient

from storage.records import Job
from tests.storage import make
from tests.ui.tabs.conftest import BAD, evaluated, put
from tests.ui.visitor import drawn
from tests.workbench.comparison.exploring import evaluation, grounds
from tests.workbench.data.fakes import bring, lines
from tests.workbench.reports.conftest import NAMES, Reader, kept, result
from ui.services import Services
from ui.tabs.compare.dimensions import DimensionsSection
from ui.tabs.compare.explorer import ExplorerSection
from ui.tabs.compare.history import ROWS, HistorySection, diff_html, filtered, history_html
from ui.tabs.compare.published import published_html
from ui.tabs.compare.slices import slices_html
from ui.tabs.compare.tab import CompareTab
from ui.web.server import ServerOptions, create_app
from workbench.reports.gather import PublishedRow, slices_of
from workbench.reports.history import history


@pytest.fixture
def measured(services: Services, monkeypatch: pytest.MonkeyPatch) -> Job:
    """A comparison whose values per query are on disk."""
    workspace = services.workspace
    workspace.store.datasets.insert(*make.dataset("set1", name="tea"))
    monkeypatch.setattr(type(workspace.datasets), "read", lambda *_args, **_more: Reader())
    return evaluated(services, result=result(workspace))


@pytest.fixture
def compare(services: Services) -> CompareTab:
    return drawn(CompareTab, services)


def test_every_section_answers_with_the_table(
    services: Services, compare: CompareTab, measured: Job
) -> None:
    for job in (measured, None, put(services, "run1", task="evaluate")):
        assert set(compare.view(job)) <= set(compare.result)
    filled = compare.refresh({"job": measured.id}, "tea", [], [], "gone")
    assert set(filled) <= set(compare.outputs)
    second = filled[compare.second_dataset]
    assert second["value"] == "" and "tea" in dict(second["choices"])


def test_what_was_measured_on_data_that_is_gone_is_still_shown(
    services: Services, compare: CompareTab, tmp_path: Path
) -> None:
    """And where other data has its name by now, nothing of that is taken for what was measured."""
    workspace = services.workspace
    reader = grounds(workspace, tmp_path)
    evaluation(workspace, reader, done=True)

    def filled() -> dict[Any, Any]:
        return compare.refresh({"job": "ev1", "dataset": reader.name}, None, [], [], "")

    explorer = compare.section(ExplorerSection).explorer.box
    assert filled()[explorer].visible
    workspace.datasets.remove(reader.name)
    gone = filled()
    assert "0.978" in gone[compare.table] and gone[compare.models]["choices"]
    assert not gone[explorer].visible
    other = [{"query": "什么 " * 30, "pos": [f"green {n}"], "neg": ["red"]} for n in range(3)]
    bring(workspace, lines(tmp_path / "other.jsonl", other), name=reader.name)
    assert slices_of(workspace, workspace.jobs.get("ev1").result or {}) == []
    assert not filled()[explorer].visible


def test_the_curve_is_there_where_it_was_measured(
    services: Services, compare: CompareTab, measured: Job
) -> None:
    section = compare.section(DimensionsSection)
    shown = [
        section.view(job, False)[section.plot].visible
        for job in (measured, evaluated(services, "other"), None)
    ]
    assert shown == [True, False, False]


def test_slices_are_tables_of_text(services: Services, measured: Job) -> None:
    found = slices_of(services.workspace, measured.result or {})
    drawn = slices_html(found)
    assert "Chinese characters" in drawn and "<b>" not in drawn and "tuned &lt;b&gt;" in drawn
    assert "no longer exist" in slices_html([])


def test_the_published_table(services: Services) -> None:
    rows = [PublishedRow(BAD, 0.5, 0.6, "tuned", 2, 300, 1.0)]
    drawn = published_html(rows, "tea", "test")
    assert "<strong>0.600</strong>" in drawn and "<script" not in drawn
    assert "tuned, version 2, 300 queries" in drawn
    assert "together with the model" in published_html([], "tea", "test")


def test_history_and_recipes(services: Services, measured: Job) -> None:
    kept(services.workspace, BAD, settings={"cut_to": 32, "max_queries": 7})
    found = history(services.workspace)
    drawn = history_html(found, 0, len(found))
    assert (
        "truncated to 32 dimensions" in drawn
        and "max_queries=7" in drawn
        and "<script" not in drawn
    )
    assert drawn.count("<tr>") == 1 + 1 + len(NAMES)
    assert "Nothing has been measured" in history_html([], 0, 0)
    other = put(services, "tr1", recipe={"epochs": 2, "name": BAD}, task="train")
    third = put(services, "tr2", recipe={"epochs": 3, "name": BAD}, task="train")
    different = diff_html(other, third)
    assert "<td>epochs</td><td>2</td><td>3</td>" in different and "<td>name" not in different
    assert "identical" in diff_html(other, other)
    assert diff_html(None, third) == ""


def test_history_is_turned_page_by_page_and_filtered(
    services: Services, compare: CompareTab, measured: Job
) -> None:
    section = compare.section(HistorySection)
    for at in range(ROWS + 3):
        kept(services.workspace, f"model {at % 2}", created_at=float(at))
    kept(services.workspace, "bm25 + model 1", dataset_id="gone", settings={"dataset": "coffee"})
    everything = history(services.workspace)
    found = section.page(everything, 0)
    assert found[section.rows].count("<tr>") == 1 + ROWS
    assert found[section.pager.next].interactive and not found[section.pager.previous].interactive
    found = section.page(everything, ROWS)
    assert found[section.pager.previous].interactive and not found[section.pager.next].interactive
    assert f"{ROWS + 1} to {len(everything)} of {len(everything)}" in found[section.rows]
    # Beyond the end is the last page.
    assert section.page(everything, 10_000)[section.pager.start] == ROWS
    menus = section.menus(everything, None, "coffee (removed)", "")
    models, data, sources = menus[section.model], menus[section.dataset], menus[section.source]
    assert ("model 1", "model 1") in models["choices"]
    assert [value for _, value in data["choices"]] == ["", "coffee (removed)", "tea"]
    assert data["value"] == "coffee (removed)"
    assert [value for _, value in sources["choices"]] == ["", "comparison"]
    (one,) = filtered(everything, "model 1", "coffee (removed)", "")
    assert (one.model, one.removed) == ("bm25 + model 1", True)
    assert filtered(everything, None, "", "training") == []


def test_reports_are_downloads_never_pages(
    services: Services, compare: CompareTab, measured: Job
) -> None:
    app = create_app(services, ServerOptions(), gr.Blocks())
    client: Any = TestClient(app, base_url="http://127.0.0.1")
    for form, begins in (("html", "<!doctype html>"), ("md", "# Comparison"), ("tex", "%")):
        address = f"/api/download/comparisons/{measured.id}/report.{form}"
        answer = client.get(address)
        assert answer.status_code == 200 and answer.text.startswith(begins)
        assert answer.headers["content-disposition"].startswith("attachment")
        assert address in compare.view(measured)[compare.table]
    for path in ("ev1/report.exe", "none/report.md", "..%2f..%2fx/report.md"):
        assert client.get(f"/api/download/comparisons/{path}").status_code == 404


def test_the_report_of_a_run_that_failed_is_refused(services: Services, home: Path) -> None:
    put(services, "bad1", task="evaluate")
    app = create_app(services, ServerOptions(), gr.Blocks())
    client: Any = TestClient(app, base_url="http://127.0.0.1")
    answer = client.get("/api/download/comparisons/bad1/report.md")
    assert answer.status_code == 400 and "no result" in answer.json()["error"]
