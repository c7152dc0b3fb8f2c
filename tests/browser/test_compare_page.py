"""Compare on the real page: a dot opens its query, a head sorts, a matrix of the past is chosen and
explored, and the history is turned and filtered."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from storage.records import JobStatus
from tests.browser.app import open_tab, running
from tests.storage import make
from tests.ui.serving import wait_until
from tests.workbench.comparison.exploring import evaluation, grounds
from workbench.workspace import Workspace

# A browser and an app: half a minute on two cores.
pytestmark = pytest.mark.slow

#: Where the first dot of a colour is on the page: {x, y}.
DOT = """
(trace) => {
  const plot = document.querySelector('#explore-plot .js-plotly-plot');
  const {xaxis, yaxis} = plot._fullLayout;
  const box = plot.querySelector('.nsewdrag').getBoundingClientRect();
  const {x, y} = plot._fullData[trace];
  return {x: box.x + xaxis.l2p(x[0]), y: box.y + yaxis.l2p(y[0])};
}
"""
GAINED, LOST = 0, 1


def prepared(home: Path, folder: Path) -> None:
    """A comparison and two matrices of its rows, the newer one with a second top k."""
    workspace = Workspace.open(home)
    reader = grounds(workspace, folder)
    job = workspace.jobs.get(evaluation(workspace, reader, done=True))
    kept = (job.result or {})["evaluations"]
    for at, tops in enumerate(([1], [1, 2])):
        rows = [
            {
                "retriever": name,
                "reranker": "",
                "milliseconds": {"search": 1.0, "total": 1.0},
                "top": [
                    dict.fromkeys(("hit_rate", "mrr", "map", "ndcg"), 0.5) | {"k": k} for k in tops
                ],
                "evaluation": f"{id}{at}",
            }
            for name, id in zip(("base", "tuned"), kept, strict=True)
        ]
        ids = [row["evaluation"] for row in rows]
        result = {
            **(job.result or {}),
            "rows": rows,
            "evaluations": ids,
            "top_k": tops,
            "queries": 30,
            "candidates": 9,
        }
        recipe = {"dataset": reader.name, "split": "test", "retrievers": ["base", "tuned"]}
        about = {"task": "matrix", "recipe": recipe, "status": JobStatus.SUCCEEDED}
        workspace.store.jobs.insert(
            make.job(f"mx{at}", **about, result=result, created_at=job.created_at + at)
        )
        for id in kept:
            one = workspace.evaluations.get(id)
            workspace.evaluations.add(replace(one, id=f"{id}{at}", job_id=f"mx{at}"))
    for at in range(60):
        one = workspace.evaluations.get(kept[0])
        workspace.evaluations.add(
            replace(one, id=f"old{at}", job_id=None, dataset_id="gone", model=f"old {at % 2}")
        )
    workspace.close()


def test_queries_matrices_and_history_can_be_looked_through(page: Any, tmp_path: Path) -> None:
    prepared(tmp_path / "home", tmp_path)
    with running(tmp_path) as app:
        page.goto(app.url())
        page.get_by_role("tab", name="Compare", exact=True).first.wait_for()
        open_tab(page, "Compare")
        a_dot_opens_its_query(page)
        a_head_sorts_the_list(page)
        a_matrix_of_the_past_is_explored(page, app.url())
        the_history_is_turned_and_filtered(page)


def a_dot_opens_its_query(page: Any) -> None:
    page.locator("#compare-explorer button").first.click()
    page.locator("#explore-plot .scatterlayer .point").first.wait_for()
    page.locator("#explore-plot").scroll_into_view_if_needed()
    wanted = page.locator("#explore-rankings", has_text="which grey thing 29")

    def click() -> bool:
        """On the only query that lost, the last one. The chart may draw itself anew meanwhile."""
        at = page.evaluate(DOT, LOST)
        page.mouse.move(at["x"], at["y"])
        page.mouse.click(at["x"], at["y"])
        page.wait_for_timeout(500)
        return bool(wanted.is_visible())

    wait_until(click, "the query of the dot")
    assert page.locator("#explore-rankings li.relevant").count() == 2


def a_head_sorts_the_list(page: Any) -> None:
    listed = page.locator("#explore-list")
    listed.get_by_role("button", name=re.compile("^Query")).click()
    head = listed.locator("th[aria-sort=ascending]", has_text="Query")
    head.wait_for()
    first = listed.locator("tbody tr").first
    assert "which grey thing 0" in first.inner_text()
    head.get_by_role("button").click()
    listed.locator("th[aria-sort=descending]", has_text="Query").wait_for()
    assert "which grey thing 9" in first.inner_text()
    page.locator("#explore-order").get_by_label("all queries", exact=True).click()
    listed.locator("p", has_text="1 to 10 of 30").wait_for()


def a_matrix_of_the_past_is_explored(page: Any, url: str) -> None:
    page.locator("#compare-matrix button").first.click()
    table = page.locator("#matrix-table")
    table.locator("th", has_text="Hit rate@2").wait_for()
    page.locator("#matrix-past input").click()
    page.get_by_role("option").nth(1).click()
    table.locator("th", has_text="Hit rate@1").wait_for()
    link = page.locator("#matrix-takeaway a", has_text="HTML").get_attribute("href")
    assert "Pipelines on" in page.request.get(f"{url.rstrip('/')}{link}").text()
    page.locator("#matrix-explorer button").first.click()
    page.locator("#matrix-explore-list .rw-pick", has_text="which grey thing 3").first.click()
    page.locator("#matrix-explore-rankings", has_text="which grey thing 3").wait_for()


def the_history_is_turned_and_filtered(page: Any) -> None:
    page.locator("#compare-history button").first.click()
    rows = page.locator("#compare-history-rows")
    rows.locator("p", has_text="1 to 50 of 66").wait_for()
    page.locator("#compare-history-next").click()
    rows.locator("p", has_text="51 to 66 of 66").wait_for()
    page.locator("#compare-history-source input").click()
    page.get_by_role("option").filter(has_text="pipeline matrix").click()
    rows.locator("p", has_text="1 to 4 of 4").wait_for()
    assert "ms per query" in rows.inner_text()
