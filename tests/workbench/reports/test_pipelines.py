"""A pipeline matrix's report, from its result."""

import re
from typing import Any

import pytest

from storage.records import Job, JobStatus
from tests.storage import make
from tests.workbench.reports.test_reports import Page
from workbench.errors import BadInput
from workbench.reports.pipelines import shown_cutoffs
from workbench.reports.write import report
from workbench.workspace import Workspace

BAD = "cross <b>|_&"
HEADS = ["Pipelines on tea", "The best 3 documents of each pipeline", "By top k", "How"]


def row(reranker: str, hit_rate: float) -> dict[str, Any]:
    took = {"search": 0.25, "total": 0.25}
    if reranker:
        took = {"search": 0.25, "rerank": 1200.0, "total": 1200.25}
    return {
        "retriever": "bm25",
        "reranker": reranker,
        "milliseconds": took,
        "top": [
            {"k": k, "hit_rate": hit_rate + k / 100, "mrr": 0.5, "map": 0.4, "ndcg": 0.45}
            for k in (1, 2, 3)
        ],
    }


@pytest.fixture
def measured(workspace: Workspace) -> Job:
    result = {
        "dataset": "tea",
        "dataset_version": 3,
        "split": "test",
        "queries": 60,
        "documents": 1500,
        "candidates": 50,
        "top_k": [1, 2, 3],
        "rows": [row("", 0.5), row(BAD, 0.8)],
        "evaluations": ["e1", "e2"],
    }
    recipe = {"dataset": "tea", "retrievers": ["bm25"], "rerankers": [BAD], "top_k": 3, "seed": 7}
    about = {"task": "matrix", "recipe": recipe, "status": JobStatus.SUCCEEDED}
    found: Job = workspace.store.jobs.insert(
        make.job("mx1", **about, result=result, finished_at=1_700_000_000.0)
    )
    return found


def test_html_is_one_file_with_its_charts(workspace: Workspace, measured: Job) -> None:
    text = report(workspace, measured.id, "html")
    page = Page(text)
    names = [tag for tag, _ in page.tags]
    assert page.stack == []
    # A chart a measure, and the legend; a line and its points per pipeline in each.
    assert names.count("svg") == 5 and names.count("polyline") == 5 * 2
    assert "script" not in names and "link" not in names
    assert set(re.findall(r"https?://[^\"' <]+", text)) == {"http://www.w3.org/2000/svg"}
    assert "cross &lt;b&gt;|_&amp;" in text and "<b>" not in text
    assert "<strong>0.830</strong>" in text and "1,200.2" in text
    assert text.count("@media print") == 1


def test_markdown_has_each_measure_at_each_top_k(workspace: Workspace, measured: Job) -> None:
    text = report(workspace, measured.id, "md")
    assert re.findall(r"^#+ (.*)$", text, flags=re.M) == HEADS
    assert "| bm25 | none | 0.530 | **0.500** | **0.400** | **0.450** | 0.2 |  | 0.2 |" in text
    assert "| bm25 | none | Hit rate | 0.510 | 0.520 | 0.530 |" in text
    assert "- Documents: 1,500" in text and "`top_k` = 3" in text and "`seed`" not in text
    for table in re.findall(r"(?:^\|.*\n)+", text, flags=re.M):
        widths = {line.replace("\\|", "").count("|") for line in table.splitlines()}
        assert len(widths) == 1


def test_latex_rows_are_whole(workspace: Workspace, measured: Job) -> None:
    text = report(workspace, measured.id, "tex")
    assert text.count(r"\begin{table}") == text.count(r"\end{table}") == 2
    assert r"cross $<$b$>$\textbar{}\_\&" in text and r"\textbf{0.830}" in text
    tables = re.findall(r"\\begin\{tabular\}\{(\w+)\}(.*?)\\end", text, flags=re.S)
    assert [columns for columns, _ in tables] == ["llrrrrrrr", "lllrrr"]
    for columns, body in tables:
        rows = [line for line in body.splitlines() if line.endswith(r"\\")]
        assert rows and all(line.count(" & ") == len(columns) - 1 for line in rows)


def test_of_many_cutoffs_the_round_ones_have_columns() -> None:
    assert shown_cutoffs(range(1, 11)) == list(range(1, 11))
    assert shown_cutoffs(range(1, 24)) == [1, 2, 3, 5, 10, 15, 20, 23]


def test_a_matrix_that_was_not_measured_has_no_report(workspace: Workspace) -> None:
    workspace.store.jobs.insert(make.job("mx2", task="matrix", status=JobStatus.CANCELLED))
    with pytest.raises(BadInput, match="it is cancelled"):
        report(workspace, "mx2", "html")
