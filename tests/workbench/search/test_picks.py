"""Blind tests: the count, its exact interval and test, and picks that become judgments."""

from collections.abc import Iterator
from dataclasses import replace
from math import comb
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.storage import make
from tests.workbench.data.fakes import context
from workbench.data.job import run_sample
from workbench.errors import BadInput, NotFound
from workbench.recipes.data import SampleRecipe
from workbench.search.picks import judge_pick, keep, tallies, tally, winner_top
from workbench.search.protocol import Hit, SearchResult
from workbench.workspace import Workspace


def result(
    index: str, *ids: str, query: str = "a question", reranker: str | None = None
) -> SearchResult:
    hits = [Hit(id, at, 1.0, "", "text") for at, id in enumerate(ids)]
    return SearchResult(hits, {"total": 1.0}, "model", index, query, reranker=reranker)


@settings(deadline=None)  # The first example imports scipy.
@given(st.integers(0, 30), st.integers(0, 30), st.integers(0, 5))
def test_the_test_is_the_exact_two_sided_one(wins: int, losses: int, ties: int) -> None:
    one = tally("a", "b", ["first"] * wins + ["second"] * losses + ["tie"] * ties)
    assert (one.wins, one.losses, one.ties) == (wins, losses, ties)
    n = wins + losses
    if not n:
        assert (one.share, one.p_value, one.preferred) == (None, None, "")
        return
    least = comb(n, wins)
    chance = sum(comb(n, k) for k in range(n + 1) if comb(n, k) <= least) / 2**n
    assert one.p_value == pytest.approx(chance)
    assert one.low is not None and one.high is not None and one.share is not None
    assert one.low <= one.share <= one.high
    assert one.preferred == ("" if chance >= 0.05 else "a" if wins > losses else "b")


def test_the_interval_is_clopper_and_pearsons() -> None:
    one = tally("a", "b", ["first"] * 8 + ["second"] * 2)
    # Tabulated: 8 of 10, 95 %.
    assert (one.low, one.high) == (pytest.approx(0.4439, abs=1e-4), pytest.approx(0.9748, abs=1e-4))
    assert one.p_value == pytest.approx(0.109375)


@pytest.fixture
def opened(home: Path) -> Iterator[Workspace]:
    workspace = Workspace.open(home)
    recipe = SampleRecipe(name="code", train_pairs=60, dev_pairs=20, test_pairs=50)
    run_sample(recipe, context(workspace))
    yield workspace
    workspace.close()


def test_answers_are_counted_however_the_sides_were_shown(opened: Workspace) -> None:
    index = make.index("i1", "one")
    a, b = result("a", "x"), result("b", "y", reranker="r")
    assert keep(opened, index, a, b, "left").winner == "first"
    assert keep(opened, index, b, a, "left").winner == "second"
    kept = keep(opened, index, b, a, "right")
    assert (kept.first, kept.second, kept.winner, kept.detail["left"]) == (
        "a",
        "b + r",
        "first",
        "b + r",
    )
    assert winner_top(kept) == "x"
    assert winner_top(keep(opened, index, a, b, "tie")) == ""
    (one,) = tallies(opened)
    assert (one.first, one.second, one.wins, one.losses, one.ties) == ("a", "b + r", 2, 1, 1)
    with pytest.raises(BadInput, match="the same"):
        keep(opened, index, a, a, "left")


def test_an_index_that_was_built_anew_begins_a_tally_of_its_own(opened: Workspace) -> None:
    one, other = make.index("i1", "a"), make.index("i2", "b")
    for record in (one, other):
        opened.store.indexes.insert(record)
    a, b = (replace(result(x.name, "x"), build=x.path) for x in (one, other))
    before = keep(opened, one, replace(a, build="indexes/old"), b, "left")
    for winner in ("left", "left", "tie"):
        keep(opened, one, a, b, winner)
    found = [(tally.wins, tally.ties, tally.earlier) for tally in tallies(opened)]
    assert found == [(2, 1, False), (1, 0, True)]
    # From before builds were kept.
    detail = {name: value for name, value in before.detail.items() if name != "builds"}
    opened.store.picks.insert(replace(before, id="older", detail=detail))
    found = [(tally.wins, tally.ties, tally.earlier) for tally in tallies(opened)]
    assert found == [(2, 1, False), (1, 0, True), (1, 0, True)]


def test_a_pick_becomes_a_judgment_of_a_new_version(opened: Workspace) -> None:
    dataset = opened.datasets.get("code")
    index = replace(make.index("i1", "one"), dataset_id=dataset.id)
    reader = opened.datasets.read("code")
    document = reader.documents_at([3])["id"][0].as_py()
    known = reader.queries("test")["text"][0].as_py()
    for query, more in ((known, 0), ("a question of my own", 1)):
        before = opened.datasets.read("code")
        made = keep(
            opened, index, result("a", document, query=query), result("b", "y", query=query), "left"
        )
        name, version = judge_pick(opened, made.id)
        now = opened.datasets.read(name)
        assert (name, version) == ("code", before.version + 1)
        assert now.counts["judgments"] == before.counts["judgments"] + 1
        assert now.counts["queries"] == before.counts["queries"] + more
        rows = (
            now.queries()
            .filter([text == query for text in now.queries()["text"].to_pylist()])["row"]
            .to_pylist()
        )
        judged = now.edges("judgments", rows[0], rows[0] + 1)["document"].to_pylist()
        assert 3 in judged
        with pytest.raises(BadInput, match="already"):
            judge_pick(opened, made.id)
    tied = keep(opened, index, result("a", document), result("b", "y"), "tie")
    with pytest.raises(BadInput, match="No side was picked"):
        judge_pick(opened, tied.id)
    with pytest.raises(BadInput, match="does not have the document"):
        judge_pick(opened, tied.id, "nobody")
    with pytest.raises(NotFound):
        judge_pick(opened, "unknown")
