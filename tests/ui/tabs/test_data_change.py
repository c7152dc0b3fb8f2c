"""Versions, changes and exports of a data set, on the page."""

import json
from pathlib import Path
from typing import Any

import gradio as gr
import pytest

from storage.records import Evaluation, JobStatus
from tests.ui.tabs.conftest import BAD, put
from tests.workbench.data.fakes import context
from ui import pushing
from ui.services import Services
from ui.tabs import data, data_change, data_versions
from ui.words import speaking
from workbench.data.job import run_import
from workbench.data.registry import Dependents
from workbench.data.versions import Changes, new_version
from workbench.recipes.data import ExportDataRecipe, ImportRecipe
from workbench.records import Dataset


@pytest.fixture
def tea(services: Services, tmp_path: Path) -> Dataset:
    rows = [{"query": f"question {n}", "pos": [f"answer {n}"]} for n in range(5)]
    rows.append({"query": BAD, "pos": [BAD + " answer"]})
    path = tmp_path / "tea.jsonl"
    path.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    run_import(ImportRecipe(paths=[str(path)], name="tea"), context(services.workspace))
    how = {"what": BAD, "counts": {"queries_dropped": 1}}
    new_version(services.workspace, "tea", Changes(drop_queries=[0]), how)
    return services.workspace.datasets.get("tea")


def test_versions_are_listed_newest_first(services: Services, tea: Dataset) -> None:
    _, html, picked, shown, use = data_versions.view(services, tea)
    assert html.index('data-pick="2"') < html.index('data-pick="1"')
    assert "queries dropped: 1" in html and "imported from tea.jsonl" in html
    assert "<script" not in html and "&lt;script" in html
    assert (picked, shown, use.visible) == (0, "", False)


def test_a_version_is_looked_into(services: Services, tea: Dataset) -> None:
    _, _, picked, shown, use = data_versions.view(services, tea, 1)
    assert (picked, use.visible) == (1, True)
    assert "answer" in shown and "<script" not in shown
    assert not data_versions.view(services, tea, 2)[4].visible


def test_the_tab_holds_an_update_for_each_output(services: Services, tea: Dataset) -> None:
    before = len(data.view(services, "tea"))
    services.workspace.datasets.remove("tea")
    assert len(data.view(services, "tea")) == before


def test_an_export_is_offered_with_what_it_leaves_out(services: Services, tea: Dataset) -> None:
    recipe = ExportDataRecipe(dataset="tea", format="pairs")
    assert data_change.view(services, tea)[3] == ""
    result = {
        "version": 2,
        "files": [{"file": "train.jsonl", "rows": 1}],
        "bytes": 10,
        "left_out": [BAD],
        "output": "",
    }
    about = {"task": recipe.task, "recipe": recipe.model_dump(), "result": result}
    job = put(services, "ex1", status=JobStatus.SUCCEEDED, **about)
    html = data_change.view(services, tea)[3]
    assert f"/api/download/jobs/{job.id}/export.zip" in html
    assert "train.jsonl" in html and "<script" not in html


def test_what_depends_on_a_data_set_is_said() -> None:
    said = data_change.warning(Dependents([f"m{n}" for n in range(7)], ["i"], 3))
    assert "m4 +2" in said and "Indexes of it: i" in said and "3 times" in said
    assert data_change.warning(Dependents([], [], 0)) == ""


def test_dependents_are_found(services: Services, tea: Dataset) -> None:
    services.workspace.store.evaluations.insert(
        Evaluation("e1", None, tea.id, 1, "test", "bm25", None, 1, 1, {}, {}, "evaluations/e1", 1.0)
    )
    assert services.workspace.datasets.dependents("tea").evaluations == 1


def test_a_mended_version_says_in_words_what_was_done(services: Services, tea: Dataset) -> None:
    how = {
        "what": "mended: drop-empty-queries",
        "by": "doctor-mend",
        "counts": {"drop-empty-queries": {"drop_queries": 1}},
    }
    new_version(services.workspace, "tea", Changes(drop_queries=[0]), how)
    html = data_versions.view(services, services.workspace.datasets.get("tea"))[1]
    assert "Mended: empty queries left out (1) · from version" in html
    assert "drop-empty" not in html


def test_a_data_set_is_sent_to_a_hub_from_the_page(
    services: Services, tea: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[Any] = []

    def push(_workspace: Any, name: str, repo: str, **more: Any) -> dict[str, Any]:
        sent.append((name, repo, more))
        left_out = [BAD, "pictures (2)"]
        return {"address": "https://hub.example/<b>", "left_out": left_out}

    monkeypatch.setattr(data_change, "push_dataset", push)
    with gr.Blocks() as page:
        chosen = gr.BrowserState("")
        part = data_change.render()
        shown = gr.Textbox(tea.id)
        data_change.listen(services, part, chosen, shown, gr.Number(0), lambda _done: None)
    send = next(
        one.fn for one in page.fns.values() if one.outputs == [part.push.token, part.push.said]
    )
    token, said = send(tea.id, "me/tea", "secret", True)
    assert sent == [("tea", "me/tea", {"token": "secret", "private": True})]
    # The token leaves the page, and what the hub answers stays text.
    assert token == "" and "<b>" not in said and "hub.example" in said
    # What the hub's layout has no place for is said, in the page's language.
    assert "has no place for" in said and "pictures (2)" in said and "<script" not in said
    with speaking("zh"):
        assert "图片（2）" in pushing.stays(["pictures (2)"])


def test_the_own_columns_are_offered_to_split_by(services: Services, tmp_path: Path) -> None:
    rows = [{"query": f"q{n}", "pos": [f"p{n}"], "date": f"202{n}", BAD: "x"} for n in range(5)]
    path = tmp_path / "dated.jsonl"
    path.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    run_import(ImportRecipe(paths=[str(path)], name="dated"), context(services.workspace))
    update = data_change.view(services, services.workspace.datasets.get("dated"))[4]
    assert update["choices"] == ["date", BAD]
    assert "value" not in update
