"""The second stage's order and its refusals, with a scorer made of a table."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from storage.records import Model
from tests.storage import make
from tests.workbench.models.fakes import write_plain
from workbench.errors import BadInput, ModelNotFound, ModelUnusable
from workbench.models.contract import Contract
from workbench.prepare import prepare
from workbench.recipes.evaluate import IndexRecipe
from workbench.search.client import SearchClient
from workbench.search.found import (
    Clock,
    Found,
    LruCache,
    check_candidates,
    check_kind,
    score_documents,
)
from workbench.search.protocol import SearchResult
from workbench.workspace import Workspace


class FakeScorer:
    """Knows each text's score by heart; keeps what it was asked."""

    def __init__(self, scores: dict[str, float]) -> None:
        self.contract = Contract(kind="reranker", title_separator=" - ")
        self.scores = scores
        self.asked: list[tuple[str, str]] = []

    def score(self, queries: Sequence[str], documents: Sequence[str], pairs: Any) -> Any:
        self.asked = [(queries[query], documents[document]) for query, document in pairs]
        return np.array([self.scores[text] for _, text in self.asked], np.float32)


def documents(*texts: str | None, titles: Sequence[str | None] | None = None) -> pa.Table:
    columns = {
        "id": [f"d{at}" for at in range(len(texts))],
        "title": titles or [None] * len(texts),
        "text": list(texts),
        "picture": [None] * len(texts),
        "fields": [None] * len(texts),
    }
    return pa.table({name: pa.array(values, pa.string()) for name, values in columns.items()})


def found(*texts: str) -> Found:
    rows = np.arange(10, 10 + len(texts))
    scores = np.linspace(0.9, 0.5, len(texts)).astype(np.float32)
    return Found(rows, scores, documents(*texts))


def test_documents_are_joined_as_the_scorers_contract_says() -> None:
    scorer = FakeScorer({"Tea - leaves": 1, "bare": 2, "": 3})
    table = documents("leaves", "bare", None, titles=["Tea", None, None])
    np.testing.assert_array_equal(score_documents(scorer, "r", "q", table), [1, 2, 3])
    assert scorer.asked == [("q", "Tea - leaves"), ("q", "bare"), ("q", "")]


def test_nothing_found_is_nothing_to_score() -> None:
    assert score_documents(FakeScorer({}), "r", "q", documents()).shape == (0,)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
def test_a_score_that_is_no_number_is_a_sentence(bad: float) -> None:
    scorer = FakeScorer({"a": 1, "b": bad})
    with pytest.raises(ModelUnusable, match="'r' gave 1 of 2 documents a score that is not"):
        score_documents(scorer, "r", "q", documents("a", "b"))


def test_the_new_order_is_by_score_then_id_and_remembers_the_old_one() -> None:
    again = found("a", "b", "c", "d").reordered(np.array([1, 3, 3, 2], np.float32), 3)
    hits = again.hits({12: 1})
    assert [(hit.id, hit.row, hit.score) for hit in hits] == [
        ("d1", 11, 3.0),
        ("d2", 12, 3.0),
        ("d3", 13, 2.0),
    ]
    assert [hit.first_rank for hit in hits] == [2, 3, 4]
    assert [hit.first_score for hit in hits] == pytest.approx([0.9 - 0.4 / 3, 0.9 - 0.8 / 3, 0.5])
    assert [hit.relevant for hit in hits] == [False, True, False]


def test_fewer_hits_than_asked_for_are_all_there() -> None:
    hits = found("a", "b").reordered(np.array([1, 2], np.float32), 10).hits(None)
    assert [hit.text for hit in hits] == ["b", "a"]
    assert {hit.relevant for hit in hits} == {None}


def test_a_filter_may_leave_nothing() -> None:
    assert found("a", "b").taken([]).hits(None) == []
    assert found().reordered(np.array([], np.float32), 3).hits({}) == []


def test_a_document_judged_wrong_is_not_an_unjudged_one() -> None:
    hits = found("a", "b", "c").hits({10: 2, 11: 0})
    assert [(hit.relevant, hit.grade) for hit in hits] == [(True, 2), (False, 0), (False, None)]


def test_without_a_second_stage_there_is_no_earlier_rank() -> None:
    (hit,) = found("a").hits(None)
    assert (hit.first_rank, hit.first_score) == (None, None)
    result = SearchResult([hit], {"total": 1.0}, "m", "i")
    assert SearchResult.from_dict(result.to_dict()) == result


def test_the_clock_adds_up() -> None:
    clock = Clock()
    clock.lap("encode")
    clock.lap("search")
    taken = clock.milliseconds()
    assert list(taken) == ["encode", "search", "total"]
    assert taken["total"] == pytest.approx(taken["encode"] + taken["search"])


def test_the_one_unused_for_longest_is_let_go() -> None:
    kept: LruCache[str] = LruCache(2)
    for key in ("a", "b", "a", "c"):
        kept.get(key, lambda key=key: key)  # type: ignore[misc]
    assert kept.keys() == ["a", "c"]


@pytest.mark.parametrize(
    ("candidates", "top_k", "sentence"),
    [(0, 1, "between 1 and 1000"), (1001, 10, "between"), (5, 10, "sees 5 documents, but 10")],
)
def test_too_few_or_too_many_candidates_are_refused(
    candidates: int, top_k: int, sentence: str
) -> None:
    with pytest.raises(BadInput, match=sentence):
        check_candidates(candidates, top_k, 1000)


def test_only_models_that_score_pairs_can_be_a_second_stage() -> None:
    check_kind("r", "reranker")
    check_kind("c", "late-interaction")
    with pytest.raises(ModelUnusable, match="'e' is an embedding model and cannot be"):
        check_kind("e", "embedding")


def put_model(workspace: Workspace, name: str, **config: Any) -> Model:
    model = make.model(f"id-{name}", name)
    write_plain(workspace.path(model.path), **config)
    return workspace.models.add(model)


def test_a_wrong_second_stage_is_refused_before_anything_starts(home: Path) -> None:
    workspace = Workspace.open(home)
    workspace.store.indexes.insert(make.index("i1", "one"))
    put_model(workspace, "encodes")
    client = SearchClient(workspace)
    with pytest.raises(ModelUnusable, match="cannot be a second stage"):
        client.search("one", "q", reranker="encodes")
    with pytest.raises(ModelUnusable, match="cannot be a second stage"):
        client.warm(["one"], reranker="encodes")
    with pytest.raises(ModelNotFound, match="no model named 'gone'"):
        client.search("one", "q", reranker="gone")
    with pytest.raises(BadInput, match="sees 5 documents"):
        client.search("one", "q", 10, reranker="encodes", candidates=5)
    assert not client.status()["running"]
    workspace.close()


def test_no_index_is_built_with_a_reranker(home: Path) -> None:
    workspace = Workspace.open(home)
    head = {"architectures": ["BertForSequenceClassification"], "id2label": {"0": "LABEL_0"}}
    put_model(workspace, "orders", **head)
    recipe = IndexRecipe(dataset="tea", dataset_version=1, model="orders")
    with pytest.raises(ModelUnusable, match="an index is built with an embedding"):
        prepare(recipe, workspace, False)
    workspace.close()
