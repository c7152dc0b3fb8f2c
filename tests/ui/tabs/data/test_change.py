"""Versions, changes and exports of a data set, on the page."""

import json
from pathlib import Path

import gradio as gr
import pytest

from storage.records import Evaluation, JobStatus
from tests.storage import make
from tests.ui.tabs.conftest import BAD, put
from tests.ui.visitor import drawn
from tests.workbench.data.fakes import context
from ui.kit.pushing import sent_html, stays
from ui.services import Services
from ui.tabs.data.change import ChangeSection, VersionsSection, warning
from ui.tabs.data.tab import DataTab
from ui.words import speaking
from workbench.data.job import run_import
from workbench.data.registry import Dependents
from workbench.data.versions import Changes, new_version
from workbench.jobs.slots import environment
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


@pytest.fixture
def tab(services: Services) -> DataTab:
    return drawn(DataTab, services)


@pytest.fixture
def versions(tab: DataTab) -> VersionsSection:
    return tab.section(VersionsSection)


def test_versions_are_listed_newest_first(versions: VersionsSection, tea: Dataset) -> None:
    _, html, picked, shown, use = versions.view(tea, None).values()
    assert html.index('data-pick="2"') < html.index('data-pick="1"')
    assert "queries dropped: 1" in html and "imported from tea.jsonl" in html
    assert "<script" not in html and "&lt;script" in html
    assert (picked, shown, use.visible) == (0, "", False)


def test_a_version_is_looked_into(versions: VersionsSection, tea: Dataset) -> None:
    _, _, picked, shown, use = versions.view(tea, [1]).values()
    assert (picked, use.visible) == (1, True)
    assert "answer" in shown and "<script" not in shown
    assert not versions.view(tea, [2])[versions.use].visible


@pytest.mark.usefixtures("tea")
def test_the_tab_updates_its_outputs_only(services: Services, tab: DataTab) -> None:
    before = tab.refresh("tea").keys()
    assert before <= set(tab.outputs)
    services.workspace.datasets.remove("tea")
    after = tab.refresh("tea")
    assert after.keys() <= set(tab.outputs)
    assert not after[tab.section(ChangeSection).box].visible


def test_an_export_is_offered_with_what_it_leaves_out(
    services: Services, tab: DataTab, tea: Dataset
) -> None:
    section = tab.section(ChangeSection)
    recipe = ExportDataRecipe(dataset="tea", format="pairs")
    assert section.view(tea, None)[section.exported] == ""
    result = {
        "version": 2,
        "files": [{"file": "train.jsonl", "rows": 1}],
        "bytes": 10,
        "left_out": [BAD],
        "output": "",
    }
    about = {"task": recipe.task, "recipe": recipe.model_dump(), "result": result}
    job = put(services, "ex1", status=JobStatus.SUCCEEDED, **about)
    html = section.view(tea, None)[section.exported]
    assert f"/api/download/jobs/{job.id}/export.zip" in html
    assert "train.jsonl" in html and "<script" not in html


def test_what_depends_on_a_data_set_is_said() -> None:
    said = warning(Dependents([f"m{n}" for n in range(7)], ["i"], 3))
    assert "m4 +2" in said and "Indexes built from it: i" in said and "3 times" in said
    assert warning(Dependents([], [], 0)) == ""


def test_dependents_are_found(services: Services, tea: Dataset) -> None:
    services.workspace.store.evaluations.insert(
        Evaluation("e1", None, tea.id, 1, "test", "bm25", None, 1, 1, {}, {}, "evaluations/e1", 1.0)
    )
    assert services.workspace.datasets.dependents("tea").evaluations == 1


@pytest.mark.usefixtures("tea")
def test_a_fixed_version_says_in_words_what_was_done(
    services: Services, versions: VersionsSection
) -> None:
    how = {
        "what": "fixed: drop-empty-queries",
        "by": "data-fix",
        "counts": {"drop-empty-queries": {"drop_queries": 1}},
    }
    new_version(services.workspace, "tea", Changes(drop_queries=[0]), how)
    html = versions.view(services.workspace.datasets.get("tea"), None)[versions.table]
    assert "Fixed: empty queries removed (1) · from version" in html
    assert "drop-empty" not in html


def test_a_data_set_is_pushed_from_the_page(
    services: Services, tea: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The click queues a job; the token goes to its process alone, and leaves the page."""
    for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    with gr.Blocks() as page:
        part = DataTab(services).section(ChangeSection)
        part.listen()
    outputs = [part.push.repo, part.push.token, *part.push.outputs]
    send = next(one.fn for one in page.fns.values() if one.outputs == outputs)
    refused = send(tea.id, "tea", "hf_secret", True)
    assert "no repository" in refused[part.push.repo]["info"] and refused[part.push.token] == ""
    shown = send(tea.id, "me/tea", "hf_secret", True)
    assert shown[part.push.token] == "" and "me/tea" in shown[part.push.job.card]
    jobs = services.workspace.jobs
    (job,) = jobs.list(task="push-data")
    assert job.recipe == {
        "dataset": "tea", "repo": "me/tea", "private": True, "dataset_version": 2
    }  # fmt: skip
    written = (jobs.folder(job.id) / "recipe.json").read_text()
    assert "hf_secret" not in written + json.dumps(job.progress)
    assert environment(services.workspace, job)["HF_TOKEN"] == "hf_secret"
    assert "HF_TOKEN" not in environment(services.workspace, job)
    # Stopped, and gone with the card.
    assert part.changed("tea", (), str(shown[part.push.job.card])) == {}
    jobs.cancel(job.id)
    assert part.changed("tea", (), str(shown[part.push.job.card]))


def test_where_a_data_set_was_pushed_to_is_text() -> None:
    done = {"address": "https://hub.example/<b>", "left_out": [BAD, "pictures (2)"]}
    said = str(sent_html(make.job(result=done)))
    assert "<b>" not in said and "hub.example" in said
    # What the hub's layout has no place for is said, in the page's language.
    assert "Not included in this format" in said and "pictures (2)" in said
    assert "<script" not in said
    with speaking("zh"):
        assert "图片（2）" in stays(["pictures (2)"])


def test_the_own_columns_are_offered_to_split_by(services: Services, tmp_path: Path) -> None:
    rows = [{"query": f"q{n}", "pos": [f"p{n}"], "date": f"202{n}", BAD: "x"} for n in range(5)]
    path = tmp_path / "dated.jsonl"
    path.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    run_import(ImportRecipe(paths=[str(path)], name="dated"), context(services.workspace))
    section = drawn(DataTab, services).section(ChangeSection)
    shown = section.view(services.workspace.datasets.get("dated"), None)
    update = shown[section.resplit.form.components["field"]]
    assert update["choices"] == ["date", BAD]
    assert "value" not in update
