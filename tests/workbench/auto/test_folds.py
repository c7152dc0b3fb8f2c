"""The same data set with its queries dealt in another way."""

import numpy as np
import pytest

from tests.workbench.training.fakes import FakeReader
from workbench.auto.folds import BY_LOOK, HARD, Dealt, deal, hold_out, judged_queries
from workbench.evaluation.pool import dev_pool

TRAIN = [(f"train {n}", [f"right {n}"], [f"wrong {n}"]) for n in range(8)]
DEV = [(f"dev {n}", [f"good {n}"], []) for n in range(4)]
TEST = [("test", ["secret"], ["hidden"])]


def reader() -> FakeReader:
    return FakeReader({"train": TRAIN, "dev": DEV, "test": TEST})


def rows(*numbers: int) -> np.ndarray:
    return np.array(numbers, np.int64)


def dealt(hard: dict[int, list[int]] | None = None) -> Dealt:
    """Two train queries and a dev one train, one of each judges."""
    return Dealt(reader(), rows(8, 0, 1), rows(2, 9), hard)  # type: ignore[arg-type]


def test_a_view_deals_queries_to_other_splits_and_keeps_their_rows() -> None:
    view = dealt()
    assert view.queries("train")["text"].to_pylist() == ["train 0", "train 1", "dev 0"]
    assert view.queries("train")["split"].to_pylist() == ["train"] * 3
    assert view.queries("dev")["row"].to_pylist() == [2, 9]
    assert view.judgments("train")["query"].to_pylist() == [0, 1, 8]
    assert view.counts["splits"] == {"train": 3, "dev": 2, "test": 0}
    assert view.version == 1 and view.counts["documents"] == reader().counts["documents"]


def test_a_view_trains_on_its_training_queries_alone() -> None:
    table = dealt().training_rows(negatives=1, seed=0)
    assert table["query"].to_pylist() == [0, 1, 8]
    assert [len(one) for one in table["negatives"].to_pylist()] == [1, 1, 0]


def test_test_is_never_read(monkeypatch: pytest.MonkeyPatch) -> None:
    source, read = reader(), []
    for name in ("queries", "judgments", "candidates"):
        original = getattr(source, name)
        monkeypatch.setattr(source, name, lambda s, o=original: read.append(s) or o(s))
    view = Dealt(source, rows(0), rows(1))  # type: ignore[arg-type]
    for split in ("test", None):
        assert "test" not in view.queries(split)["text"].to_pylist()
        assert view.judgments(split).num_rows == (0 if split else 2)
        assert view.candidates(split).num_rows == (0 if split else 2)
    assert set(read) == {"train", "dev"}


def test_hard_candidates_of_judging_queries_are_in_their_pool() -> None:
    view = dealt({2: [5, 7], 0: [6]})
    found = view.candidates("dev")
    assert found.filter(found["query"].to_numpy() == 2).num_rows == 3
    hard = [one for one in found.to_pylist() if one["origin"] == HARD]
    assert [(one["query"], one["document"], one["rank"]) for one in hard] == [(2, 5, 1), (2, 7, 2)]
    assert view.candidates("train")["origin"].to_pylist() == ["given", "given"]
    judged = 2  # of the two queries
    pool = dev_pool(view, max_queries=None, max_documents=judged + 3, seed=0)
    documents = next(pool.blocks())[0].tolist()
    assert {5, 7} < set(documents) and len(documents) == 5
    assert pool.texts == ["train 2", "dev 1"]


def test_mined_negatives_are_those_of_queries_that_train() -> None:
    source = FakeReader({"train": [(f"ask {n}", [f"right {n}"], []) for n in range(4)]})
    mined = {0: [1, 2], 1: [3], 3: [0]}
    view = Dealt(source, rows(0, 1, 2), rows(3), {3: [1]}, mined)  # type: ignore[arg-type]
    table = view.training_rows(negatives=2, seed=0)
    found = dict(zip(table["query"].to_pylist(), table["negatives"].to_pylist(), strict=True))
    assert {query: sorted(own) for query, own in found.items()} == {0: [1, 2], 1: [3], 2: []}
    assert set(view.candidates("train")["origin"].to_pylist()) == {BY_LOOK}
    judging = view.candidates("dev").to_pylist()
    assert [(one["query"], one["document"], one["origin"]) for one in judging] == [(3, 1, HARD)]


def test_only_queries_with_a_relevant_document_are_judged() -> None:
    data = FakeReader({"train": [("nobody knows", [], ["no"]), ("ask", ["answer"], [])]})
    assert judged_queries(data, "train").tolist() == [1]  # type: ignore[arg-type]


def test_clusters_stay_whole_and_folds_are_of_a_size() -> None:
    clusters = np.repeat(np.arange(30), np.tile([1, 2, 9], 10))
    fold = deal(clusters, 3, seed=1)
    assert all(len(set(fold[clusters == one])) == 1 for one in range(30))
    assert np.bincount(fold).tolist() == [40, 40, 40]
    assert not np.array_equal(fold, deal(clusters, 3, seed=2))
    assert np.array_equal(fold, deal(clusters, 3, seed=1))


@pytest.mark.parametrize(
    "clusters", [np.zeros(30, int), np.repeat([0, *range(1, 10)], [21] + [1] * 9)]
)
def test_few_or_lopsided_clusters_are_dealt_by_query(clusters: np.ndarray) -> None:
    assert np.bincount(deal(clusters, 3, seed=0)).tolist() == [10, 10, 10]


def test_one_split_holds_out_about_as_many_as_are_wanted() -> None:
    clusters = np.repeat(np.arange(1000), 5)
    judging = hold_out(clusters, 400, seed=0)
    assert 380 <= judging.sum() <= 420
    assert set(clusters[judging]).isdisjoint(clusters[~judging])


def test_the_judges_of_one_split_are_many_clusters_where_one_is_large() -> None:
    """360 of 3,000 queries about one document: they would be all judges, and one observation."""
    clusters = np.concatenate([np.zeros(360, int), np.arange(1, 2641)])
    judging = hold_out(clusters, 300, seed=0)
    assert judging.sum() == 300 and not judging[:360].any()
    assert not np.array_equal(judging, hold_out(clusters, 300, seed=1))


@pytest.mark.parametrize("sizes", [[1000] * 3, [100] * 30, [500] * 5 + [5] * 50])
def test_where_most_clusters_are_large_there_are_judges_all_the_same(sizes: list[int]) -> None:
    judging = hold_out(np.repeat(np.arange(len(sizes)), sizes), 300, seed=0)
    assert 200 <= judging.sum() <= 600
