"""The checker on the page: findings as cards, a fix and what it changed, text that stays text."""

import json
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from storage.records import JobStatus
from tests.ui.tabs.conftest import BAD, put
from tests.ui.visitor import drawn
from tests.workbench.data.fakes import FakeContext, context
from ui.services import Services
from ui.tabs.data import check
from ui.tabs.data.check import CheckSection
from ui.tabs.data.tab import DataTab
from workbench.data.job import run_import
from workbench.data_check import fix
from workbench.data_check.check import run as run_check
from workbench.errors import JobNotFound
from workbench.recipes.data import DataCheckRecipe, DataFixRecipe, ImportRecipe


@pytest.fixture
def tea(services: Services, tmp_path: Path) -> str:
    rows = [{"query": f"how is tea number {n} made", "pos": [f"answer {n}"]} for n in range(20)]
    rows += [{"query": BAD, "pos": ["one"]}, {"query": BAD.upper(), "pos": ["two"]}]
    rows.append({"query": "?!", "pos": ["nothing"]})
    path = tmp_path / "train.jsonl"
    path.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    run_import(ImportRecipe(paths=[str(path)], name="tea"), context(services.workspace))
    return "tea"


def job(services: Services, id: str, task: str, recipe: Any, run: Any) -> dict[str, Any]:
    """The task run here, and on record as done."""
    folder = services.workspace.jobs.folder(id)
    folder.mkdir(parents=True)
    ours = FakeContext(services.workspace, folder, job=SimpleNamespace(id=id))
    result: dict[str, Any] = run(recipe, ours)
    values = {"recipe": recipe.model_dump(mode="json"), "result": result, "created_at": time.time()}
    put(services, id, task=task, status=JobStatus.SUCCEEDED, **values)
    return result


def run_data_check(services: Services, id: str = "d1") -> None:
    recipe = DataCheckRecipe(dataset="tea", checks=["queries", "duplicates"], tokenizer="")
    job(services, id, "data-check", recipe, run_check)


def test_what_was_not_checked_says_so(services: Services, tea: str) -> None:
    assert "not been checked" in check.report_html(services, tea)
    assert check.job_html([]) == '<div data-state=""></div>'


def test_findings_are_cards_with_examples_and_fixes(services: Services, tea: str) -> None:
    run_data_check(services)
    html = check.report_html(services, tea)
    assert html.count('class="rw-card"') == 2
    assert 'data-finding="empty-query"' in html
    assert 'data-pick="d1:drop-empty-queries"' in html
    assert 'data-pick="d1:join-queries"' in html
    assert "&lt;script&gt;" in html
    assert "<script" not in html


def part(services: Services) -> CheckSection:
    return drawn(DataTab, services).section(CheckSection)


def card(services: Services, name: str) -> str:
    return str(check.job_html(check._jobs(services, name)))


def test_a_look_tells_of_progress_and_leaves_an_end_to_the_whole_tab(
    services: Services, tea: str
) -> None:
    section = part(services)
    recipe = DataCheckRecipe(dataset="tea").model_dump(mode="json")
    about = {"task": "data-check", "recipe": recipe, "created_at": time.time()}
    put(services, "d1", status=JobStatus.RUNNING, progress={"done": 1, "total": 4}, **about)
    before = card(services, tea)
    assert section.changed(tea, [], before) == {}
    at = services.workspace.jobs.get("d1").attempt
    services.workspace.store.jobs.report("d1", at, progress={"done": 3, "total": 4})
    now = card(services, tea)
    assert now != before
    assert section.changed(tea, [], before)[section.job.card] == now
    job = services.workspace.jobs.get("d1")
    assert services.workspace.store.queue.finish(job, JobStatus.SUCCEEDED, result={})
    assert section.changed(tea, [], now) is None


def test_a_look_sends_the_card_that_it_compared(
    services: Services, tea: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Read twice, the second card could be of a job that has ended since: the report beside it
    # would stay the old one for good.
    cards = iter(['<div data-state="d1:running">half</div>', '<div data-state="d1:succeeded"/>'])
    monkeypatch.setattr(check, "job_html", lambda *_: next(cards))
    section = part(services)
    begun = '<div data-state="d1:running">begun</div>'
    sent = section.changed(tea, [], begun)
    assert sent is not None and sent[section.job.card] == '<div data-state="d1:running">half</div>'


def test_a_fix_is_shown_and_the_old_report_offers_no_more(services: Services, tea: str) -> None:
    run_data_check(services)
    recipe = DataFixRecipe(dataset=tea, report="d1", fixes=["drop-empty-queries"])
    job(services, "m1", "data-fix", recipe, fix.run)
    told = card(services, tea)
    assert "Fixed in version 2" in told
    assert "23 before, 22 now" in told
    html = check.report_html(services, tea)
    assert "now at version 2" in html
    assert "data-pick" not in html
    run_data_check(services, "d2")
    html = check.report_html(services, tea)
    assert "Version 2 was checked" in html
    assert "empty-query" not in html


def test_the_tab_shows_it_for_the_chosen_data_set(services: Services, tea: str) -> None:
    run_data_check(services)
    tab = drawn(DataTab, services)
    (found,) = reports(tab.refresh(tea))
    assert 'data-finding="empty-query"' in found
    assert reports(tab.refresh("")) == [found]


def test_without_data_there_is_no_data_check(services: Services) -> None:
    assert reports(drawn(DataTab, services).refresh("")) == []


def reports(shown: dict[Any, Any]) -> list[str]:
    """Of the tab's updates, those with a checker's finding."""
    return [one for one in shown.values() if isinstance(one, str) and "data-finding" in one]


def test_another_data_set_of_the_same_name_was_not_checked(
    services: Services, tea: str, tmp_path: Path
) -> None:
    run_data_check(services)
    workspace = services.workspace

    old = replace(workspace.jobs.get("d1"), started_at=time.time(), status=JobStatus.SUCCEEDED)
    workspace.store.jobs.delete("d1")
    workspace.store.jobs.insert(old)
    assert "data-pick" in check.report_html(services, tea)
    workspace.datasets.remove(tea)
    path = tmp_path / "other.jsonl"
    path.write_text('{"query": "one two three", "pos": ["four"]}\n', encoding="utf-8")
    run_import(ImportRecipe(paths=[str(path)], name=tea), context(workspace))
    assert "not been checked" in check.report_html(services, tea)
    with pytest.raises(JobNotFound):
        workspace.jobs.submit(DataFixRecipe(dataset=tea, report="d1", fixes=["join-queries"]))


def test_what_was_found_stays_with_a_renamed_data_set(services: Services, tea: str) -> None:
    run_data_check(services)
    services.workspace.datasets.rename(tea, "chai")
    assert "data-pick" in check.report_html(services, "chai")
    assert services.workspace.jobs.recipe("d1").dataset == "chai"  # type: ignore[attr-defined]
