"""Candidates are frozen, put in order, measured and mined."""

import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.workbench.training.fakes import FakeReader
from workbench.errors import BadInput, WorkbenchError
from workbench.evaluation import candidates
from workbench.evaluation.candidates import Bm25Scorer, CandidateSet, EmbeddingScorer, mine, rerank
from workbench.evaluation.measure import score
from workbench.evaluation.pool import whole_pool
from workbench.models.contract import Contract

ASKED = 8
#: Each query's relevant document shares one word with it, the wrong ones two.
DEV = [
    (
        f"which pet{n} is old",
        [f"pet{n} and so it says yes"],
        [f"pet{n} old no{m}" for m in range(4)],
    )
    for n in range(ASKED)
]
PLAIN = [(query, right, []) for query, right, _ in DEV]
TRAIN = [("unrelated", [text for _, _, wrong in DEV for text in wrong], [])]


class Right:
    """Scores by whether the text says yes; ``flip`` the other way round."""

    contract = Contract(kind="reranker")

    def __init__(self, flip: bool = False, value: float | None = None) -> None:
        self.flip, self.value = flip, value
        self.pairs: list[tuple[str, str]] = []

    def score(self, queries, documents, pairs, *, progress=None, stop=None) -> NDArray[np.float32]:  # type: ignore[no-untyped-def]
        if stop:
            stop()
        self.pairs = [(queries[query], documents[document]) for query, document in pairs]
        if progress:
            progress(len(pairs), len(pairs))
        right = np.array([("yes" in text) != self.flip for _, text in self.pairs], np.float32)
        return right if self.value is None else np.full_like(right, self.value)


def freeze(
    reader: FakeReader,
    split: str,
    *,
    max_queries: int | None = None,
    seed: int = 0,
    **more: Any,
) -> CandidateSet:
    data: Any = reader
    pool = whole_pool(data, split, max_queries=max_queries, seed=seed)
    return candidates.freeze(data, split, pool, **more)


def test_bm25_is_taken_where_the_data_brings_nothing() -> None:
    frozen = freeze(FakeReader({"train": TRAIN, "dev": PLAIN}), "dev", k=5)
    assert frozen.origin == "bm25" and frozen.run.documents.shape == (ASKED, 5)
    assert (np.diff(frozen.rows) > 0).all() and frozen.read(frozen.rows).num_rows == len(
        frozen.rows
    )
    before = score(frozen.pool, frozen.run).scores.means()
    assert 0 < before["map@100"] < 0.5
    scorer, seen = Right(), []
    after = rerank(scorer, frozen, progress=lambda *one: seen.append(one))
    assert after.scores.means()["map@100"] == 1.0
    assert seen == [(len(scorer.pairs), len(scorer.pairs))]
    assert ("which pet0 is old", "pet0 and so it says yes") in scorer.pairs
    assert rerank(Right(flip=True), frozen).scores.means()["map@100"] == 0.2


def test_texts_are_read_by_blocks_and_each_pair_is_scored_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    frozen = freeze(FakeReader({"train": TRAIN, "dev": PLAIN}), "dev", k=5)
    whole = Right(flip=True)
    before = rerank(whole, frozen)
    monkeypatch.setattr(candidates, "BLOCK", 3)
    asked: list[tuple[str, str]] = []
    longest = 0

    class Watched(Right):
        def score(self, queries, documents, pairs, **options) -> NDArray[np.float32]:  # type: ignore[no-untyped-def]
            nonlocal longest
            longest = max(longest, len(documents))
            found = super().score(queries, documents, pairs, **options)
            asked.extend(self.pairs)
            return found

    seen: list[tuple[int, int]] = []
    after = rerank(Watched(flip=True), frozen, progress=lambda *one: seen.append(one))
    assert longest == 3 and sorted(asked) == sorted(whole.pairs)
    assert (after.run.documents == before.run.documents).all()
    assert (after.run.scores == before.run.scores).all()
    assert seen == sorted(seen) and seen[-1] == (len(asked), len(asked))


def test_words_are_counted_among_all_candidates_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    frozen = freeze(FakeReader({"train": TRAIN, "dev": PLAIN}), "dev", k=5)
    before = rerank(Bm25Scorer(), frozen)
    monkeypatch.setattr(candidates, "BLOCK", 3)
    assert (rerank(Bm25Scorer(), frozen).run.scores == before.run.scores).all()


def test_what_the_first_stage_missed_counts_as_missed() -> None:
    asked = [("red", ["red one", "another word"], [])]
    frozen = freeze(FakeReader({"dev": asked}), "dev", first_stage="bm25", k=5)
    assert rerank(Right(), frozen).scores.means()["map@100"] == 0.5


def test_given_candidates_are_taken_where_most_have_some() -> None:
    data = FakeReader({"dev": [*DEV, ("alone", ["only the right one"], [])]})
    frozen = freeze(data, "dev", k=5)
    assert (frozen.origin, frozen.left_out, len(frozen.pool.queries)) == ("given", 1, ASKED)
    for query, row in zip(frozen.pool.queries, frozen.run.documents, strict=True):
        assert len(set(row.tolist())) == 5 and set(frozen.pool.judgments[int(query)]) <= set(row)
    few = freeze(FakeReader({"dev": [DEV[0], *PLAIN[1:4]]}), "dev", k=5)
    assert few.origin == "bm25"
    with pytest.raises(BadInput, match="have no candidates in the data"):
        freeze(FakeReader({"dev": PLAIN}), "dev", first_stage="given")


def test_the_given_order_is_fixed_and_does_not_reveal_the_judgments() -> None:
    many = [(f"q{n}", [f"right {n}"], [f"wrong {n} {m}" for m in range(3)]) for n in range(400)]
    frozen, again = (freeze(FakeReader({"dev": many}), "dev", seed=seed) for seed in (0, 1))
    assert (frozen.run.documents == again.run.documents).all()
    # One right among four in any order: the mean of 1, 1/2, 1/3 and 1/4.
    assert score(frozen.pool, frozen.run).scores.means()["map@100"] == pytest.approx(0.52, abs=0.05)


def test_more_candidates_than_k_keep_the_judged_ones() -> None:
    frozen = freeze(FakeReader({"dev": DEV}), "dev", k=3)
    assert frozen.run.documents.shape == (ASKED, 3)
    assert all(
        set(frozen.pool.judgments[int(query)]) < set(row)
        for query, row in zip(frozen.pool.queries, frozen.run.documents.tolist(), strict=True)
    )


def test_whole_lists_keep_every_wrong_one() -> None:
    """Cut, a list loses wrong documents only, and average precision rises with no merit."""
    worst = Right(flip=True)
    cut, whole = (freeze(FakeReader({"dev": DEV}), "dev", k=2, whole=all) for all in (False, True))
    assert rerank(worst, cut).scores.means()["map@100"] == 1 / 2
    assert rerank(worst, whole).scores.means()["map@100"] == 1 / 5


def test_what_was_mined_here_is_not_the_datas_own() -> None:
    data = FakeReader({"train": TRAIN, "dev": DEV})
    data.origin = "mined:some model"
    assert freeze(data, "dev", k=5).origin == "bm25"
    with pytest.raises(BadInput, match="have no candidates in the data"):
        freeze(data, "dev", first_stage="given", k=5)
    # To train against they are as good as any.
    assert mine(data, "dev", k=4, seed=0, first_stage="given")[1] == "given"


def test_equal_scores_go_by_document_id() -> None:
    frozen = freeze(FakeReader({"dev": DEV}), "dev", k=5)
    run = rerank(Right(value=0.0), frozen).run
    assert (np.diff(run.documents, axis=1) > 0).all()  # ids are in order here


def test_scores_that_are_no_numbers_are_refused() -> None:
    frozen = freeze(FakeReader({"dev": DEV}), "dev", k=5)
    with pytest.raises(WorkbenchError, match="not numbers"):
        rerank(Right(value=float("nan")), frozen)


class First:
    """An embedding model whose vectors say the pet's number."""

    contract = Contract()

    def encode(self, texts, role, *, progress=None, stop=None) -> NDArray[np.float32]:  # type: ignore[no-untyped-def]
        return np.array([[f"pet{n}" in text for n in range(ASKED)] for text in texts], np.float32)


def test_queries_are_encoded_once_however_many_blocks_of_documents_there_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[str] = []

    class Counting(First):
        def encode(self, texts, role, *, progress=None, stop=None) -> NDArray[np.float32]:  # type: ignore[no-untyped-def]
            asked.extend(texts if role == "query" else [])
            return super().encode(texts, role)

    frozen = freeze(FakeReader({"train": TRAIN, "dev": PLAIN}), "dev", k=5)
    before = rerank(EmbeddingScorer(First()), frozen)
    monkeypatch.setattr(candidates, "BLOCK", 3)
    after = rerank(EmbeddingScorer(Counting()), frozen)
    assert sorted(asked) == sorted(frozen.pool.texts)
    assert (after.run.documents == before.run.documents).all()
    assert (after.run.scores == before.run.scores).all()


def test_an_embedding_model_as_first_stage() -> None:
    data = FakeReader({"train": TRAIN, "dev": PLAIN})
    frozen = freeze(data, "dev", first_stage="tiny", encoder=First(), k=5, max_queries=3)
    assert frozen.origin == "tiny" and frozen.run.documents.shape == (3, 5)
    assert score(frozen.pool, frozen.run).scores.means()["recall@10"] == 1.0
    with pytest.raises(BadInput, match="not loaded"):
        freeze(data, "dev", first_stage="tiny")


def test_mining_takes_the_datas_own_and_fills_up() -> None:
    data = FakeReader({"train": [*DEV[:2], *PLAIN[2:]], "dev": TRAIN})
    found, origin = mine(data, "train", k=4, seed=0)
    own = {one["query"]: [] for one in data.candidates("train").to_pylist()}
    for one in data.candidates("train").to_pylist():
        own[one["query"]].append(one["document"])
    assert found[0] == own[0] and found[1] == own[1]
    assert set(found) == set(range(ASKED)) and all(len(one) == 4 for one in found.values())
    assert origin == "given + bm25"
    relevant = {(one["query"], one["document"]) for one in data.judgments().to_pylist()}
    assert not {(q, d) for q, ds in found.items() for d in ds} & relevant
    texts = data.documents_at(found[5])["text"].to_pylist()
    assert all(text.startswith("pet5 old") for text in texts)
    assert mine(data, "train", k=4, seed=0)[0] == found


def test_mining_by_name() -> None:
    data = FakeReader({"train": DEV, "dev": TRAIN})
    assert mine(data, "train", k=2, seed=0)[1] == "given"
    found, origin = mine(data, "train", k=9, seed=0, first_stage="given")
    assert origin == "given" and all(len(one) == 4 for one in found.values())
    assert mine(data, "train", k=2, seed=0, first_stage="bm25")[1] == "bm25"
    assert mine(data, "train", k=2, seed=0, first_stage="tiny", encoder=First())[1] == "tiny"
    with pytest.raises(BadInput, match="no candidates"):
        mine(FakeReader({"train": PLAIN}), "train", k=2, seed=0, first_stage="given")


def test_mining_ends_with_documents_by_chance() -> None:
    data = FakeReader({"train": [("nothing alike", ["something else"], [])], "dev": DEV})
    found, origin = mine(data, "train", k=6, seed=0)
    assert origin == "chance" and len(set(found[0])) == 6 and 0 not in found[0]
    assert mine(data, "train", k=6, seed=1)[0] != found
    small, _ = mine(FakeReader({"train": [("a", ["b"], ["c"])]}), "train", k=6, seed=0)
    assert small == {0: [1]}


def test_no_torch() -> None:
    code = "import sys, workbench.evaluation.bm25 as b; b.tokenize('上海'); b.Bm25().fit(['ab']);"
    subprocess.run([sys.executable, "-c", code + "assert 'torch' not in sys.modules"], check=True)
