"""Search: the hits of one or two indexes, and how a second stage moved them."""

from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import gradio as gr
import pytest

from tests.storage import make
from tests.ui.tabs.conftest import BAD
from tests.ui.visitor import Visitor, drawn
from ui.services import Services
from ui.tabs.search import blind, hits, indexes, options
from ui.tabs.search.build import encoders
from ui.tabs.search.options import Asked, Side, read
from ui.tabs.search.tab import SearchTab
from workbench.errors import BadInput, SearchUnavailable
from workbench.search.protocol import Hit, SearchResult


def found(model: str, **hit: Any) -> SearchResult:
    base = {"id": "d1", "row": 0, "score": 0.9, "title": "", "text": "text", "relevant": None}
    only = [Hit(**{**base, **hit})]
    return SearchResult(only, {"total": 12.4}, model, f"{model}-index", "q", 2)


def test_results_stand_side_by_side_with_scores_marks_and_milliseconds() -> None:
    html = hits.results_html([found("a", relevant=True), found("b", relevant=False)])
    assert html.count("<section") == 2
    assert html.count('<li class="relevant">') == 1
    assert "score 0.900" in html
    assert "12 ms" in html
    assert "1 of 2 known relevant documents found" in html


def test_a_script_in_a_document_is_text() -> None:
    html = hits.results_html([found(BAD, title=BAD, text=BAD * 30, id=BAD)])
    assert "<script" not in html
    assert "<img" not in html
    assert "&lt;script&gt;" in html


def test_asking_without_an_index_or_a_worker_says_so(services: Services) -> None:
    with pytest.raises(BadInput):
        hits.ask_html(services, "q", Asked([]))
    with pytest.raises(SearchUnavailable):
        hits.ask_html(services, "q", Asked([Side("x")]))


class FakeSearch:
    """Answers with the question."""

    def __init__(self) -> None:
        self.warmed: list[list[str]] = []
        self.rerankers: list[str | None] = []
        self.filters: list[str] = []
        self.amounts: list[tuple[int, int]] = []

    def search_many(
        self,
        indexes: list[str],
        query: str,
        top_k: int,
        *,
        reranker: str | None,
        candidates: int,
        where: str,
    ) -> list[SearchResult]:
        self.rerankers.append(reranker)
        self.amounts.append((top_k, candidates))
        self.filters.append(where)
        return [found(name, text=f"about {query}") for name in indexes]

    def warm(self, indexes: list[str], *, reranker: str | None) -> None:
        self.warmed.append(indexes)
        self.rerankers.append(reranker)


class SlowSearch(FakeSearch):
    """Has another question asked and answered before the first one is."""

    def __init__(self, meanwhile: Callable[[], Any]) -> None:
        super().__init__()
        self.meanwhile: list[Callable[[], Any]] = [meanwhile]

    def search_many(self, *asked: Any, **how: Any) -> list[SearchResult]:
        while self.meanwhile:
            self.meanwhile.pop()()
        return super().search_many(*asked, **how)


@pytest.mark.parametrize("later", ["example", "question", "blind"])
@pytest.mark.parametrize("earlier", ["example", "question", "blind"])
def test_an_earlier_question_s_answer_does_not_replace_a_later_one_s(
    earlier: str, later: str, services: Services
) -> None:
    for id, name in (("i1", "one"), ("i2", "two")):
        services.workspace.store.indexes.insert(make.index(id, name))

    def ask(how: str, query: str) -> None:
        if how == "example":
            page.fire(part.examples, "select", query)
            return
        field, button = (
            (part.query, part.ask) if how == "question" else (part.blind.query, part.blind.start)
        )
        page.type(field, query)
        page.fire(button, "click")

    slow = SlowSearch(lambda: ask(later, "the later one"))
    with gr.Blocks() as demo:
        part = SearchTab(replace(services, search=slow))
        part.listen()
    page = Visitor(SimpleNamespace(demo=demo))  # type: ignore[arg-type]
    for menu, name in ((part.options.index, "one"), (part.options.other, "two")):
        page.type(menu, name)
    ask(earlier, "the earlier one")
    shown = str(page.value(part.results))
    assert "about the earlier one" not in shown
    # To the question of a blind test an open answer would tell the sides.
    assert ("about the later one" in shown) == ("blind" not in (earlier, later))


def test_each_page_has_its_own_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hits.Order, "PAGES", 2)
    order = hits.Order()
    here, there, third = (SimpleNamespace(session_hash=name) for name in "abc")
    early, late = order.ask(), order.ask()
    assert order.shows(here, late) and not order.shows(here, early)  # type: ignore[arg-type]
    assert order.shows(there, early) and order.shows(third, early)  # type: ignore[arg-type]
    assert list(order._shown) == ["b", "c"]


def test_both_chosen_indexes_are_asked(services: Services) -> None:
    with_search = replace(services, search=FakeSearch())
    html = hits.ask_html(with_search, "tea", read("one", "two", "", None))
    assert html.count("about tea") == 2


def test_opening_the_page_does_not_load_a_model(services: Services) -> None:
    fake = FakeSearch()
    services.workspace.store.indexes.insert(make.index("i1", "one"))
    part = drawn(SearchTab, replace(services, search=fake))
    assert part.refresh(["one"])[part.options.index]["value"] == "one"
    assert fake.warmed == []


def test_with_no_index_it_says_what_to_do(services: Services) -> None:
    part = drawn(SearchTab, services)
    filled = part.refresh(["gone"])
    assert filled.keys() == set(part.outputs)
    nothing = filled[part.nothing]
    assert nothing.visible and not filled[part.asking].visible
    assert "rw-empty" in nothing.value


def moved(*before: int) -> SearchResult:
    """Hits that were at these places before the second stage."""
    hits = [
        Hit(f"d{rank}", rank, 3.0 - at, "", "text", None, rank, 0.9 - rank / 100)
        for at, rank in enumerate(before)
    ]
    took = {"encode": 12.0, "search": 1.0, "rerank": 399.0, "total": 412.0}
    return SearchResult(hits, took, "base", "i", "q", None, f"reranker{BAD}", 50)


def test_a_second_stage_shows_how_each_hit_moved_in_signs_and_words() -> None:
    html = hits.results_html([moved(3, 2, 1)])
    assert 'aria-label="up from rank 3 to rank 1"' in html
    assert ">3 → 1<" in html
    assert ">same rank<" in html
    assert 'aria-label="down from rank 1 to rank 3"' in html
    assert "score 3.000, first stage 0.870" in html


def test_a_second_stage_says_what_it_did_and_what_each_stage_took() -> None:
    html = hits.results_html([moved(1)])
    assert "base, then reranker" in html
    assert "<script" not in html
    assert "412 ms (encode 12, search 1, rerank 399)" in html
    assert "50 documents reranked" in html


def test_without_a_second_stage_nothing_is_said_of_one() -> None:
    html = hits.results_html([found("a")])
    assert "→" not in html and "stage" not in html and "place" not in html


@pytest.mark.parametrize(("chosen", "asked"), [("", None), (None, None), ("orders", "orders")])
def test_the_second_stage_is_asked_for(
    services: Services, chosen: str | None, asked: str | None
) -> None:
    fake = FakeSearch()
    asked_of = replace(services, search=fake)
    hits.ask_html(asked_of, "tea", read("one", "", chosen, ""))
    options.warm(asked_of, ["one"], chosen)
    assert fake.rerankers == [asked, asked]


def test_the_menu_has_none_first_and_then_what_can_order(services: Services) -> None:
    assert not options.second_menu(services, "")["visible"]
    store = services.workspace.store.models
    store.insert(make.model("m1", "encodes"))
    store.insert(make.model("m2", "orders", kind="reranker"))
    store.insert(make.model("m3", "colbert", kind="late-interaction"))
    menu = options.second_menu(services, "orders")
    assert menu["visible"]
    assert menu["choices"][0] == ("None", "")
    assert dict(menu["choices"][1:]) == {
        "orders · reranker": "orders",
        "colbert · late-interaction model": "colbert",
    }
    assert menu["value"] == "orders"
    assert options.second_menu(services, "gone")["value"] == ""
    assert options.second_menu(services, "BAAI/bge-reranker-base")["value"].startswith("BAAI")
    assert "orders" not in encoders(services)
    assert "encodes" in encoders(services)


def test_a_reranker_is_led_to_as_the_second_stage(services: Services) -> None:
    store = services.workspace.store
    store.models.insert(make.model("m2", "orders", kind="reranker"))
    part = drawn(SearchTab, services)
    assert part.lead_to("orders") == {part.options.second: "orders"}
    store.indexes.insert(make.index("i1", "one"))
    made = store.indexes.list()[0]
    assert part.lead_to(made.model) == {part.chosen: ["one"]}
    found = part.lead_to("other", "tea")
    assert (found[part.build.dataset], found[part.build.model]) == ("tea", "other")
    assert found.keys() < set(part.led_by)


def test_each_side_has_its_own_second_stage_and_both_the_filter(services: Services) -> None:
    fake = FakeSearch()
    asked = replace(services, search=fake)
    html = hits.ask_html(asked, "tea", read("one", "two", "", "orders", "year > 3"))
    assert html.count("<section") == 2
    assert (fake.rerankers, fake.filters) == ([None, "orders"], ["year > 3", "year > 3"])


def side(model: str, *ids: str) -> SearchResult:
    hits = [Hit(id, at, 1.0 - at / 10, "", f"a text of {id}") for at, id in enumerate(ids)]
    return SearchResult(hits, {"total": 1.0}, model, f"{model}-index", "a text")


def test_moves_between_the_sides_are_drawn_and_words_in_common_marked() -> None:
    html = hits.results_html([side("a", "x", "y", "z"), side("b", "y", "x", "w")])
    assert "2 documents are on both sides: from left to right, 1 move up and 1 down" in html
    assert html.count('class="up"') == html.count('class="down"') == 1
    assert "rank 2 on the left, rank 1 here" in html
    assert ">not on the right<" in html and ">not on the left<" in html
    assert "<mark>text</mark>" in html


def test_a_hidden_side_says_nothing_of_itself() -> None:
    html = hits.results_html([side("secret", "x"), side("other", "y")], hidden=True)
    assert "secret" not in html and "other" not in html and "score" not in html
    assert "ms" not in html
    assert "Left" in html and "Right" in html


def test_a_value_pressed_becomes_a_condition_and_leaves_again() -> None:
    assert options.with_condition("", "lang = en") == "lang = en"
    both = options.with_condition("year >= 2020", 'place = "New York"')
    assert both == 'year >= 2020 and place = "New York"'
    assert options.with_condition(both, "year >= 2020") == 'place = "New York"'
    html = options.fields_html({BAD: [("en", 3)]})
    assert "<script" not in html and "en (3)" in html


def test_a_blind_test_needs_two_sides_over_the_same_documents(services: Services) -> None:
    store = services.workspace.store.indexes
    store.insert(make.index("i1", "one"))
    store.insert(replace(make.index("i2", "two"), dataset_id="another"))
    with pytest.raises(BadInput, match="two different sides"):
        blind.check(services, [Side("one")])
    with pytest.raises(BadInput, match="different data sets"):
        blind.check(services, [Side("one"), Side("two")])
    blind.check(services, [Side("one"), Side("one", "orders")])


def test_as_many_are_asked_for_as_the_fields_say(services: Services) -> None:
    fake = FakeSearch()
    asked = replace(services, search=fake)
    hits.ask_html(asked, "tea", read("one", "", "orders", "", "", 25, 200))
    hits.ask_html(asked, "tea", read("one", "", "orders", "", None, None, None))
    assert fake.amounts == [(25, 200), (10, 50)]
    with pytest.raises(BadInput, match="Hits: a number from 1 to 1000"):
        read("one", "", "", "", "", 0, 50)
    with pytest.raises(BadInput, match="Candidates to rerank: a number"):
        read("one", "", "", "", "", 10, 1001)


@pytest.mark.parametrize(("other", "joined"), [("ds1", True), ("ds2", False)])
def test_sides_are_joined_only_over_one_data_set(other: str, joined: bool) -> None:
    """'1' here and '1' there are two documents."""
    left = replace(side("a", "1", "2"), dataset_id="ds1")
    right = replace(side("b", "2", "1"), dataset_id=other)
    html = hits.results_html([left, right])
    assert ("on both sides" in html) == joined
    assert ("rank 2 on the left" in html) == joined
    assert ("not on the" in html) is False


def test_a_document_judged_not_relevant_is_told_from_an_unjudged_one() -> None:
    judged = hits.results_html([found("a", relevant=False, grade=0)])
    assert ">judged not relevant<" in judged
    assert "judged" not in hits.results_html([found("a", relevant=False)])
    assert "judged" not in hits.results_html([found("a", relevant=True, grade=1)])
    hidden = hits.results_html([found("a", relevant=False, grade=0)], hidden=True)
    assert "judged" not in hidden


@pytest.mark.parametrize(
    ("summary", "mend"),
    [
        ({"recall@10": 0.899, "structure": "ivf"}, "more probes"),
        ({"recall@10": 0.5, "structure": "binary"}, "larger rescore"),
        ({"recall@10": 0.5, "structure": "binary", "plan": {"cut": 100}}, "more dimensions"),
        ({"recall@10": 0.5, "structure": "of an extension that is gone"}, "more dimensions"),
        ({"recall@10": 0.9, "structure": "ivf"}, ""),
        ({"structure": "flat"}, ""),
    ],
)
def test_an_index_that_misses_much_says_what_would_find_more(
    services: Services, summary: dict[str, Any], mend: str
) -> None:
    record = replace(make.index("i1", "one"), summary={"dimensions": 100, **summary})
    services.workspace.store.indexes.insert(record)
    html = indexes.list_html(services)
    assert ("is missed" in html) == bool(mend)
    assert mend in html


def test_a_blind_test_takes_the_open_answers_away(services: Services) -> None:
    """To the same question they would tell which side is which."""
    store = services.workspace.store.indexes
    for id, name in (("i1", "one"), ("i2", "two")):
        store.insert(make.index(id, name))
    with gr.Blocks() as page:
        part = SearchTab(replace(services, search=FakeSearch()))
        part.blind.listen(part.options, part.order, part.results)
    begin = [one for one in page.fns.values() if one.outputs[-1:] == [part.results] and one.fn]
    assert len(begin) == 2  # the button, and Enter in the field
    for one in begin:
        shown = one.fn(SimpleNamespace(session_hash="a"), "tea", "one", "two", "", "", "", 10, 50)
        assert shown[part.results] == ""
        assert shown[part.blind.shown].count("about tea") == 2
        assert "one" not in shown[part.blind.shown]
