"""The pipeline matrix on the Compare tab."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from storage.records import JobStatus
from tests.storage import make
from tests.ui.tabs.conftest import BAD, put
from tests.ui.visitor import drawn
from tests.workbench.comparison.exploring import evaluation, grounds
from ui.services import Services
from ui.tabs.compare import matrix
from ui.tabs.compare.matrix import MatrixSection, matrix_chart
from ui.tabs.compare.tab import CompareTab
from workbench.recipes.evaluate import MatrixRecipe

TOPS = [
    {"k": k, "hit_rate": 0.5 + k / 10, "mrr": 0.5, "map": 0.5, "ndcg": 0.5 + k / 20}
    for k in (1, 2, 3)
]
BETTER = [{**one, "hit_rate": 0.9} for one in TOPS]
MATRIX: dict[str, Any] = {
    "dataset": "tea",
    "split": "test",
    "queries": 60,
    "documents": 1500,
    "candidates": 50,
    "top_k": [1, 2, 3],
    "rows": [
        {
            "retriever": "bm25",
            "reranker": "",
            "evaluation_mode": "retrieval",
            "milliseconds": {"search": 0.2, "total": 0.2},
            "top": TOPS,
        },
        {
            "retriever": "bm25",
            "reranker": BAD,
            "evaluation_mode": "pipeline",
            "milliseconds": {"search": 0.2, "rerank": 120.0, "total": 120.2},
            "top": BETTER,
        },
    ],
}


@pytest.fixture
def section(services: Services) -> MatrixSection:
    return drawn(CompareTab, services).section(MatrixSection)


def test_the_matrix_has_an_explorer_of_its_own(
    services: Services, section: MatrixSection, tmp_path: Path
) -> None:
    reader = grounds(services.workspace, tmp_path)
    job = services.workspace.jobs.get(evaluation(services.workspace, reader, done=True))
    result = {**MATRIX, "evaluations": (job.result or {})["evaluations"]}
    services.workspace.store.jobs.rewrite(replace(job, result=result), job)
    updates = section.look("ev1", "a card of a job that ran")
    assert updates[section.explorer.box].visible
    assert updates[section.explorer.before]["value"] == "base"
    assert "which grey thing" in updates[section.explorer.listed]
    assert "report.html" in updates[section.takeaway]
    ids = ",".join(result["evaluations"])
    assert f"evaluations.trec.zip?id={ids}" in updates[section.takeaway]
    assert section.look("ev1", '<div data-job="ev1"></div>') == {}  # As it was: nothing changes.


def test_earlier_matrices_can_be_chosen(services: Services) -> None:
    for at, rerankers in enumerate(([], ["cross"])):
        recipe = {"dataset": "tea", "split": "test", "retrievers": ["bm25"], "rerankers": rerankers}
        about = {"task": MatrixRecipe.task, "recipe": recipe, "status": JobStatus.SUCCEEDED}
        put(services, f"m{at}", **about, result=MATRIX, created_at=float(at))
    menu = matrix.past_menu(services, "tea", "m0")
    assert [id for _, id in menu["choices"]] == ["m1", "m0"] and menu["value"] == "m0"
    words = [words for words, _ in menu["choices"]]
    assert words[0].startswith("bm25 × cross · test") and words[1].startswith("bm25 · test")
    assert menu["visible"]
    assert not matrix.past_menu(services, "coffee", None)["visible"]
    newest = matrix.chosen(services, "tea", "gone")
    assert newest is not None and newest.id == "m1"
    shown = matrix.chosen(services, "tea", "m0")
    assert shown is not None and shown.id == "m0"


def test_the_matrix_as_table_chart_and_markdown() -> None:
    drawn = matrix.table_html(MATRIX, 3)
    assert "<strong>0.900</strong>" in drawn and "0.800" in drawn
    assert "<strong>0.800</strong>" not in drawn
    assert "rerank 120" in drawn and "<script" not in drawn and "<img" not in drawn
    published = matrix.table_html(MATRIX, matrix.AS_PUBLISHED)
    assert "top_1" in published and "top_3" in published and "hit_rate" in published
    assert matrix.markdown_at(MATRIX, 0).startswith("| Retriever | Reranker | Metric |")
    figure = matrix_chart(MATRIX, "hit_rate")
    assert [list(one.x) for one in figure.data] == [[1, 2, 3]] * 2
    assert figure.data[0].line.dash != figure.data[1].line.dash


def test_the_newest_matrix_of_the_data_set_is_shown(
    services: Services, section: MatrixSection
) -> None:
    recipe = {"dataset": "tea", "split": "test", "retrievers": ["bm25"]}
    put(
        services,
        "m1",
        task=MatrixRecipe.task,
        recipe=recipe,
        status=JobStatus.SUCCEEDED,
        result=MATRIX,
        created_at=1.0,
    )
    found = matrix.chosen(services, "tea", None)
    assert found is not None and found.id == "m1"
    assert matrix.chosen(services, "coffee", None) is None
    view = section.show(found)
    assert [value for _, value in view[section.at]["choices"]] == [1, 2, 3, 0]
    assert view[section.at]["value"] == 3
    assert "0.900" in view[section.table] and view[section.job.shown] == "m1"
    put(
        services,
        "m2",
        task=MatrixRecipe.task,
        recipe=recipe,
        status=JobStatus.RUNNING,
        progress={"done": 5, "total": 10, "unit": "texts", "message": "1 of 2: bm25"},
    )
    running = services.workspace.jobs.get("m2")
    goes_on = section.show(running)
    assert "5 of 10 texts" in goes_on[section.job.card] and goes_on[section.job.stop].visible
    assert not goes_on[section.plot].visible
    assert "rw-empty" in section.show(None)[section.table]


def test_bm25_is_always_offered(services: Services, section: MatrixSection) -> None:
    for at, kind in enumerate(("embedding", "reranker", "late-interaction")):
        services.workspace.store.models.insert(make.model(f"m{at}", name=f"my-{kind}", kind=kind))
    menus = section.menus([], [])
    first, second = menus[section.retrievers], menus[section.rerankers]
    assert first["value"][0] == "bm25"
    assert {value for _, value in first["choices"]} == {
        "bm25",
        "all-MiniLM-L6-v2",
        "my-embedding",
    }
    assert {value for _, value in second["choices"]} == {"my-reranker", "my-late-interaction"}
