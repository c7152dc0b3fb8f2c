"""The query explorer and the pipeline matrix on the Compare tab."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
import pytest

from storage.records import JobStatus
from tests.storage import make
from tests.ui.tabs.conftest import BAD, put
from tests.workbench.comparison.exploring import evaluation, grounds
from ui.kit.charts import matrix_chart, scatter
from ui.kit.hits import rankings_html
from ui.services import Services
from ui.tabs.compare import explorer, matrix, shown
from workbench.comparison.explore import Pairing, changes, pairing, rankings
from workbench.comparison.order import ordered
from workbench.comparison.table import COLUMNS, UNCHANGED, build_table
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
def pair(services: Services, tmp_path: Path) -> Pairing:
    reader = grounds(services.workspace, tmp_path)
    return pairing(services.workspace, evaluation(services.workspace, reader), "tuned", "base")


def test_both_rankings_are_text_whatever_is_in_them(services: Services, pair: Pairing) -> None:
    found = rankings(services.workspace, pair, int(pair.queries[0]))
    drawn = rankings_html(found, "base", BAD)
    assert "<script" not in drawn and "<img" not in drawn and "<b>" not in drawn
    # Marks stand inside what was escaped, piece by piece.
    assert "&lt;b&gt;<mark>grey</mark>&lt;/b&gt;" in drawn
    assert "<mark>Grey</mark> it is" in drawn
    assert drawn.count('class="relevant"') == 2
    assert drawn.count("Mark this unjudged hit as relevant") == 4


def test_the_list_is_sorted_and_paged(services: Services, pair: Pairing) -> None:
    found = changes(services.workspace, pair, pair.sorted()[:10].tolist())
    drawn = explorer.list_html(pair, found, 0, 29, int(found[1].query))
    assert f"{len(pair.queries) - 1} of {len(pair.queries)} queries gained, 1 lost" in drawn
    assert drawn.count('class="rw-pick"') == len(found) and drawn.count('aria-pressed="true"') == 1
    assert "1 to" in drawn and "of 29" in drawn
    assert "No such queries" in explorer.list_html(pair, [], 0, 0, -1)


def test_a_comparison_with_rankings_can_be_explored(services: Services, pair: Pairing) -> None:
    store = services.workspace.store
    with gr.Blocks():
        section = explorer.section(services)
    job = store.jobs.get("ev1")
    assert job is not None
    hidden = section.show(job)  # It still runs.
    assert not hidden[0].visible and len(hidden) == len(section.outputs)
    done = put(
        services, "ev2", task="evaluate", status=JobStatus.SUCCEEDED, result={"evaluations": []}
    )
    assert not section.show(done)[0].visible
    assert not section.show(None)[0].visible


def test_the_scatter_has_every_query_once(pair: Pairing) -> None:
    names = [BAD] * len(pair.queries)
    figure = scatter(pair.against, pair.values, names, ("base", BAD))
    assert [one.name.split()[-1] for one in figure.data] == [
        f"({len(pair.queries) - 1})",
        "(1)",
        "(0)",
    ]
    assert "<script" not in figure.to_json().replace("\\u003c", "<")


def test_queries_of_the_same_values_are_one_larger_dot() -> None:
    before, after = np.array([0.1, 0.1, 0.1, 0.5]), np.array([1.0, 1.0, 0.9, 1.0])
    gained = scatter(before, after, ["a", "b", "c", BAD], ("base", "tuned")).data[0]
    assert list(zip(gained.x.tolist(), gained.y.tolist(), strict=True)) == [
        (pytest.approx(0.1), pytest.approx(0.9)),
        (pytest.approx(0.1), 1.0),
        (0.5, 1.0),
    ]
    assert gained.marker.size[1] > gained.marker.size[0] == gained.marker.size[2]
    assert gained.text[0] == "c" and gained.text[1] == "2 queries: a, …"
    assert "<script" not in gained.text[2]


def test_a_dot_carries_its_query(pair: Pairing) -> None:
    figure = explorer.scatter(
        pair.against, pair.values, [""] * len(pair.queries), ("a", "b"), pair.queries.tolist()
    )
    (lost,) = figure.data[1].customdata
    assert lost == pair.queries[-1] and figure.data[0].customdata[0] in pair.queries[:-1]


def test_unchanged_queries_can_be_looked_at(services: Services, pair: Pairing) -> None:
    same = replace(pair, values=pair.against.copy())
    every = changes(services.workspace, same, list(range(len(same.queries))))
    places = ordered(same, every, UNCHANGED)
    assert sorted(places) == list(range(len(pair.queries)))
    found = [every[at] for at in places[:10]]
    drawn = explorer.list_html(same, found, 0, len(same.queries), -1)
    assert drawn.count('class="rw-pick"') == 10
    assert "+0.000" in drawn and "rw-badge bad" not in drawn


def test_a_head_of_the_list_sorts_by_it(services: Services, pair: Pairing) -> None:
    """And the second click on it turns the order over."""
    assert explorer.turned_over("gained", "", "before") == "before:down"
    assert explorer.turned_over("gained", "before:down", "before") == "before:up"
    assert explorer.turned_over("gained", "", "change") == "change:up"
    assert explorer.turned_over("all", "change:up", "query") == "query:up"
    found = changes(services.workspace, pair, [0])
    drawn = explorer.list_html(pair, found, 0, 1, -1, ("length", False))
    assert drawn.count("aria-sort") == 1
    assert 'scope="col" aria-sort="ascending"><button' in drawn
    heads = re.findall('data-pick="sort:([a-z]+)"', drawn)
    assert heads == list(COLUMNS)


def test_a_click_sorts_opens_and_turns_the_page(services: Services, tmp_path: Path) -> None:
    reader = grounds(services.workspace, tmp_path)
    evaluation(services.workspace, reader, done=True)
    with gr.Blocks():
        one = explorer.Explorer(services, "x", "x-box")
    shown = dict(zip(one.outputs, one.show(services.workspace.jobs.get("ev1")), strict=True))
    assert shown[one.box].visible and shown[one.sort] == "change:down"
    state = ("ev1", "base", "tuned", "all")
    ids = [int(found) for found in re.findall('rw-pick" data-pick="([0-9]+)"', shown[one.listed])]
    assert ids == list(range(10))
    clicked = gr.EventData(None, _data={"value": "sort:change"})
    listed, _, later, start, sort, *_ = one._pick(*state, "change:down", 0, -1, clicked)
    # The only one that lost is first now.
    assert 'data-pick="29"' in listed and sort == "change:up" and start == 0 and later.visible
    clicked = gr.EventData(None, _data={"value": "29"})
    *_, query, said, sides = one._pick(*state, "change:up", 0, -1, clicked)
    assert query == 29 and "which grey thing" in sides and said == ""
    turned = one._turn(10)(*state, "change:up", 0, 29)
    assert turned[3] == 10 and turned[1].visible and turned[5] == 29


def test_the_matrix_has_an_explorer_of_its_own(services: Services, tmp_path: Path) -> None:
    reader = grounds(services.workspace, tmp_path)
    job = services.workspace.jobs.get(evaluation(services.workspace, reader, done=True))
    result = {**MATRIX, "evaluations": (job.result or {})["evaluations"]}
    services.workspace.store.jobs.rewrite(replace(job, result=result))
    with gr.Blocks():
        section = matrix.section(services)
    one = {getattr(part, "elem_id", None): part for part in section.changes}
    updates = section.look("ev1", "a card of a job that ran")
    assert updates[one["matrix-explorer"]].visible
    assert updates[one["matrix-explore-before"]]["value"] == "base"
    assert "which grey thing" in updates[one["matrix-explore-list"]]
    assert "report.html" in updates[one["matrix-takeaway"]]
    ids = ",".join(result["evaluations"])
    assert f"evaluations.trec.zip?id={ids}" in updates[one["matrix-takeaway"]]
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


def test_the_newest_matrix_of_the_data_set_is_shown(services: Services) -> None:
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
    view = matrix.matrix_view(services, found)
    assert [value for _, value in view[5]["choices"]] == [1, 2, 3, 0] and view[5]["value"] == 3
    assert "0.900" in view[6] and view[3] == "m1"
    put(
        services,
        "m2",
        task=MatrixRecipe.task,
        recipe=recipe,
        status=JobStatus.RUNNING,
        progress={"done": 5, "total": 10, "unit": "texts", "message": "1 of 2: bm25"},
    )
    running = services.workspace.jobs.get("m2")
    goes_on = matrix.matrix_view(services, running)
    assert "5 of 10 texts" in goes_on[0] and goes_on[1].visible
    nothing = matrix.matrix_view(services, None)
    assert "rw-empty" in nothing[6]
    assert len(nothing) == len(goes_on) == len(view)


def test_bm25_is_always_offered(services: Services) -> None:
    for at, kind in enumerate(("embedding", "reranker", "late-interaction")):
        services.workspace.store.models.insert(make.model(f"m{at}", name=f"my-{kind}", kind=kind))
    first, second = matrix.menu_updates(services, [], [])
    assert first["value"][0] == "bm25"
    assert {value for _, value in first["choices"]} == {
        "bm25",
        "all-MiniLM-L6-v2",
        "my-embedding",
    }
    assert {value for _, value in second["choices"]} == {"my-reranker", "my-late-interaction"}


def test_rows_of_different_ways_stand_in_tables_of_their_own() -> None:
    rows = [
        {"model": "bm25", "queries": 60, "searched": "all documents", "map@100": 0.4},
        {"model": "bm25 + x", "queries": 60, "searched": "top 50 of bm25", "map@100": 0.3},
    ]
    result = {"dataset": "tea", "split": "test", "rows": rows, "comparisons": []}
    drawn = shown.table_html(build_table(result), result)
    assert drawn.count("<table") == 2 and "Pipeline: over what" in drawn
    assert "<strong>0.400</strong>" in drawn and "<strong>0.300</strong>" in drawn
