"""The query explorer on the Compare tab."""

import re
from dataclasses import replace
from pathlib import Path

import gradio as gr
import numpy as np
import pytest

from storage.records import JobStatus
from tests.ui.tabs.conftest import BAD, put
from tests.ui.visitor import drawn
from tests.workbench.comparison.exploring import evaluation, grounds
from ui.kit.hits import rankings_html
from ui.kit.job_slot import succeeded
from ui.services import Services
from ui.tabs.compare import explorer
from ui.tabs.compare.explorer import scatter
from workbench.comparison.explore import Pairing, changes, ordered, pairing, rankings
from workbench.comparison.names import COLUMNS, UNCHANGED


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
    one = drawn(explorer.Explorer, services, "x", "x-box")
    running = store.jobs.get("ev1")
    hidden = one.show(succeeded(running))
    assert not hidden[one.box].visible and set(hidden) == set(one.outputs)
    done = put(
        services, "ev2", task="evaluate", status=JobStatus.SUCCEEDED, result={"evaluations": []}
    )
    assert not one.show(done)[one.box].visible
    assert not one.show(None)[one.box].visible


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
    figure = scatter(
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
    one = drawn(explorer.Explorer, services, "x", "x-box")
    shown = one.show(services.workspace.jobs.get("ev1"))
    assert shown[one.box].visible and shown[one.sort] == "change:down"
    state = ("ev1", "base", "tuned", "all")
    ids = [int(found) for found in re.findall('rw-pick" data-pick="([0-9]+)"', shown[one.listed])]
    assert ids == list(range(10))
    clicked = gr.EventData(None, _data={"value": "sort:change"})
    shown = one._pick(*state, "change:down", -1, 0, clicked)
    # The only one that lost is first now.
    assert 'data-pick="29"' in shown[one.listed] and shown[one.sort] == "change:up"
    assert shown[one.pager.start] == 0 and shown[one.pager.next].interactive
    clicked = gr.EventData(None, _data={"value": "29"})
    shown = one._pick(*state, "change:up", -1, 0, clicked)
    assert shown[one.query] == 29 and shown[one.said] == ""
    assert "which grey thing" in shown[one.sides]
    turned = one._turn(*state, "change:up", 29, 10)
    assert turned[one.pager.start] == 10 and turned[one.pager.previous].interactive
    assert turned[one.query] == 29
