"""Kept scores of pairs: what is found again, what must not be, and what a stopped job leaves."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.workbench.models import tiny
from tests.workbench.models.fakes import located
from workbench.errors import JobCancelled
from workbench.evaluation import cached
from workbench.evaluation.cached import PAIR, CachedScorer, contract_key, with_cache
from workbench.evaluation.encoding_cache import EncodingCache
from workbench.models.contract import Contract
from workbench.workspace import Workspace

HOW = {"weights": "w", "precision": "fp32", "device": "cpu"}
QUERIES = [f"query {number}" for number in range(5)]
DOCUMENTS = [f"document {number}" * (1 + number % 3) for number in range(8)]
PAIRS = np.array([(query, document) for query in range(5) for document in range(8)], np.int64)
BIG = 10**9


class Counting:
    """Scores a pair by its texts, and remembers what it was asked."""

    def __init__(self, contract: Contract | None = None, stop_after: int | None = None) -> None:
        self.contract = contract or Contract(kind="reranker")
        self.asked: list[tuple[str, str]] = []
        self.stop_after = stop_after

    def score(
        self, queries: Any, documents: Any, pairs: Any, *, progress: Any = None, stop: Any = None
    ) -> Any:
        if self.stop_after is not None and len(self.asked) >= self.stop_after:
            raise JobCancelled("stopped")
        shown = [(queries[query], documents[document]) for query, document in pairs]
        assert {one for one, _ in shown} == set(queries)
        assert {one for _, one in shown} == set(documents)
        self.asked += shown
        if progress:
            progress(len(pairs), len(pairs))
        return np.array([value(*both) for both in shown], np.float32)


def value(query: str, document: str) -> float:
    return int(query.split()[1]) + len(document) / 100


def scorer(home: Path, inner: Counting | None = None, limit: int = BIG, **how: Any) -> Any:
    cache = EncodingCache(home, limit=limit)
    return CachedScorer(inner or Counting(), cache, "tiny", HOW | how)


def test_a_second_use_scores_only_what_is_new(tmp_path: Path) -> None:
    first = scorer(tmp_path).score(QUERIES, DOCUMENTS, PAIRS)
    assert first == pytest.approx([value(QUERIES[q], DOCUMENTS[d]) for q, d in PAIRS])
    # Other places, another order, and one pair more; a pair turned round is another pair.
    inner, seen = Counting(), list[tuple[int, int]]()
    documents = [*DOCUMENTS[::-1], "query 0"]
    pairs = np.array([(4, 0), (0, 7), (0, 8), (0, 3)], np.int64)
    again = scorer(tmp_path, inner).score(
        QUERIES, documents, pairs, progress=lambda *counts: seen.append(counts)
    )
    assert again == pytest.approx([value(QUERIES[q], documents[d]) for q, d in pairs])
    assert inner.asked == [("query 0", "query 0")]
    assert seen == [(3, 4), (4, 4)]


@pytest.mark.parametrize(
    "change",
    [
        {"prompt_template": "Is this right? {query} {document}"},
        {"query_prompt": "query: "},
        {"document_prompt": "passage: "},
        {"query_max_len": 16},
        {"passage_max_len": 16},
        {"title_separator": " | "},
    ],
)
def test_a_model_used_otherwise_is_asked_anew(tmp_path: Path, change: dict[str, Any]) -> None:
    scorer(tmp_path).score(QUERIES, DOCUMENTS, PAIRS)
    inner = Counting(Contract(kind="reranker", **change))
    scorer(tmp_path, inner).score(QUERIES, DOCUMENTS, PAIRS)
    assert len(inner.asked) == len(PAIRS)


@pytest.mark.parametrize("how", [{"weights": "x"}, {"precision": "bf16"}, {"device": "cuda"}])
def test_other_weights_or_numbers_are_another_model(tmp_path: Path, how: dict[str, str]) -> None:
    scorer(tmp_path).score(QUERIES, DOCUMENTS, PAIRS)
    inner = Counting()
    scorer(tmp_path, inner, **how).score(QUERIES, DOCUMENTS, PAIRS)
    assert len(inner.asked) == len(PAIRS)


contracts = st.fixed_dictionaries(
    {
        "kind": st.sampled_from(["reranker", "late-interaction"]),
        "prompt_template": st.sampled_from(["", "{query} {document}"]),
        "query_prompt": st.sampled_from(["", "query: "]),
        "document_prompt": st.sampled_from(["", "passage: "]),
        "query_max_len": st.sampled_from([32, 64]),
        "passage_max_len": st.sampled_from([32, 64]),
    }
)


@settings(max_examples=100, deadline=None)
@given(contracts, contracts, st.sampled_from(["a", "b"]), st.sampled_from(["a", "b"]))
def test_a_key_is_the_same_only_where_everything_is(
    one: dict[str, Any], other: dict[str, Any], weights: str, others: str
) -> None:
    keys = [
        contract_key(Contract(**about), PAIR, HOW | {"weights": digest})
        for about, digest in ((one, weights), (other, others))
    ]
    assert (keys[0] == keys[1]) == ((one, weights) == (other, others))
    # And no vector is ever taken for a score.
    assert contract_key(Contract(**one), "document", HOW | {"weights": weights}) not in keys


def test_a_stopped_job_goes_on_from_the_pieces_that_are_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cached, "PAIRS", 7)
    with pytest.raises(JobCancelled):
        scorer(tmp_path, Counting(stop_after=21)).score(QUERIES, DOCUMENTS, PAIRS)
    inner = Counting()
    found = scorer(tmp_path, inner).score(QUERIES, DOCUMENTS, PAIRS)
    assert len(inner.asked) == len(PAIRS) - 21
    assert found == pytest.approx([value(QUERIES[q], DOCUMENTS[d]) for q, d in PAIRS])


def test_late_interaction_is_asked_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In pieces, a document of two of them would be encoded twice."""
    monkeypatch.setattr(cached, "PAIRS", 7)
    inner = Counting(Contract(kind="late-interaction"), stop_after=1)
    scorer(tmp_path, inner).score(QUERIES, DOCUMENTS, PAIRS)
    assert len(inner.asked) == len(PAIRS)


def test_scores_that_are_no_numbers_are_not_kept(tmp_path: Path) -> None:
    class Broken(Counting):
        def score(self, queries: Any, documents: Any, pairs: Any, **options: Any) -> Any:
            return np.full(len(pairs), np.nan, np.float32)

    assert np.isnan(scorer(tmp_path, Broken()).score(QUERIES, DOCUMENTS, PAIRS)).all()
    assert EncodingCache(tmp_path).show() == []


def test_they_share_the_encodings_limit_and_are_shown_and_cleared_with_them(tmp_path: Path) -> None:
    scorer(tmp_path).score(QUERIES, DOCUMENTS, PAIRS)
    cache = EncodingCache(tmp_path)
    (kept,) = cache.show()
    assert (kept.about["model"], kept.about["role"], kept.texts) == ("tiny", PAIR, len(PAIRS))
    assert cache.clear("tiny") == kept.bytes > 0
    scorer(tmp_path, limit=100).score(QUERIES, DOCUMENTS, PAIRS)
    assert cache.bytes() == 0


@pytest.mark.slow  # loads torch and two small models
@pytest.mark.parametrize("kind", ["reranker", "late-interaction"])
def test_a_real_model_gives_the_scores_that_it_gave(tmp_path: Path, kind: str) -> None:
    from workbench.models.load import load_model

    folder = tiny.bert(tmp_path / "model", num_labels=1)
    contract = Contract(kind=kind, query_max_len=8, passage_max_len=16)
    local = located(folder, contract)
    model = load_model(local, device="cpu", precision="fp32")
    workspace = Workspace.open(tmp_path / "home")
    queries, documents = ["quick brown fox", "lazy dog"], ["the fox jumps", "a dog", "the cat"]
    pairs = np.array([(0, 0), (0, 2), (1, 1), (1, 0)], np.int64)
    plain = model.score(queries, documents, pairs)
    for _ in range(2):
        kept = with_cache(model, local, workspace)
        assert isinstance(kept, CachedScorer)
        assert kept.score(queries, documents, pairs) == pytest.approx(plain, abs=1e-5)
    assert [one.texts for one in EncodingCache(workspace.home).show()] == [4]
    assert with_cache(model, local, workspace, use=False) is model
    workspace.close()
