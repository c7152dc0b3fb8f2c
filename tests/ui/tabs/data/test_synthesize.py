"""Queries from documents, on the page."""

from pathlib import Path
from typing import Any

import pytest

from storage.records import JobStatus
from tests.ui.tabs.conftest import BAD, put
from tests.ui.visitor import drawn
from tests.workbench.data.fakes import bring, lines
from ui.services import Services
from ui.tabs.data import synthesize
from ui.tabs.data.synthesize import SynthesizeSection
from ui.tabs.data.tab import DataTab
from workbench.recipes.synthesize import SynthesizeRecipe
from workbench.records import Dataset

RESULT: dict[str, Any] = {
    "dataset": "tea",
    "from_version": 1,
    "version": 2,
    "writer": BAD,
    "endpoint": "http://localhost/v1",
    "passages": 9,
    "answered": 7,
    "without": 1,
    "failed": 2,
    "failures": {BAD: 2},
    "written": 20,
    "kept": 15,
    "dropped": 4,
    "known": 1,
    "repeated": 0,
    "round_trip": "bm25",
    "round_trip_k": 10,
    "tokens": {"prompt": 1234, "completion": 56, "told": True},
    "examples": [{"passage": BAD, "questions": [BAD]}, {"passage": "p", "questions": []}],
}


@pytest.fixture
def tea(services: Services, tmp_path: Path) -> Dataset:
    rows = [{"id": f"d{n}", "text": f"leaf {n}"} for n in range(3)]
    bring(services.workspace, lines(tmp_path / "corpus.jsonl", rows), name="tea")
    return services.workspace.datasets.get("tea")


def job(services: Services, **about: Any) -> Any:
    recipe = SynthesizeRecipe(dataset="tea", endpoint="http://localhost/v1", endpoint_model="m")
    more = {"task": recipe.task, "recipe": recipe.model_dump(), "status": JobStatus.SUCCEEDED}
    return put(services, "syn1", **{**more, **about})


@pytest.fixture
def section(services: Services) -> SynthesizeSection:
    return drawn(DataTab, services).section(SynthesizeSection)


def test_it_comes_next_where_there_are_documents_only(
    section: SynthesizeSection, tea: Dataset
) -> None:
    shown = section.view(tea, None)
    box, local, trip, card, cancel, _resume, _shown, report = shown.values()
    assert box.visible and box.open
    assert local["choices"] == [("none", "")] and ("bm25", "bm25") in trip["choices"]
    assert (cancel.visible, card, report) == (False, "", "")
    assert not section.view(None, None)[section.box].visible


def test_what_was_written_is_told(
    services: Services, section: SynthesizeSection, tea: Dataset
) -> None:
    done = job(services, result=RESULT)
    card, *_, html = list(section.view(tea, None).values())[3:]
    assert done.id in card and "<article" not in card
    for said in ("Version 2", "7 of 9", "1,234 + 56", ">15<", ">4<", "no question"):
        assert said in html
    assert f"/api/download/jobs/{done.id}/dropped.jsonl" in html
    assert "2 passages remain without questions" in html and "1 answer contains no" in html
    assert "<script" not in html and "<img" not in html


def test_a_preview_and_unknown_costs_are_said(services: Services, tea: Dataset) -> None:
    tokens = {"prompt": 0, "completion": 0, "told": False}
    result = {**RESULT, "version": None, "tokens": tokens}
    html = str(synthesize.report_html(services, job(services, result=result)))
    assert "Preview: nothing was changed" in html and "not reported" in html
    assert "Kept as queries" not in html
    some = {"prompt": 10, "completion": 5, "told": False}
    assert "at least" in synthesize._tokens(some)


def test_a_failed_job_shows_its_sentence(
    services: Services, section: SynthesizeSection, tea: Dataset
) -> None:
    error = {"code": "endpoint-failed", "message": "refused", "hint": "Set it", "bad_input": False}
    job(services, status=JobStatus.FAILED, error=error)
    card, *_, html = list(section.view(tea, None).values())[3:]
    assert "refused Set it" in card and html == ""
