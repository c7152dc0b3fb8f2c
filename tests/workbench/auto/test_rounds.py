"""Which queries train, and which judge."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from tests.workbench.training.fakes import FakeReader
from workbench.auto import folds
from workbench.auto.decisions import FEWEST_HELD
from workbench.auto.folds import Material, Round, dealt, groups_of, judges, room, rounds
from workbench.auto.look_pool import Ground, bm25_negatives, everywhere, judged
from workbench.evaluation.exact_search import Run
from workbench.evaluation.pool import dev_pool


def reader(train: int, dev: int, *, carved: bool, test: int | None = None) -> FakeReader:
    """Two queries to each document; no document is shared by two splits. Without a word of it there
    are half as many test queries as others."""
    test = (train + dev) // 2 if test is None else test

    def split(name: str, count: int) -> list[tuple[str, list[str], list[str]]]:
        return [(f"{name} {n}", [f"{name} answer {n // 2}"], []) for n in range(count)]

    made = FakeReader({name: split(name, n) for name, n in
                       (("train", train), ("dev", dev), ("test", test))})  # fmt: skip
    made.summary = {"carved": {"dev": dev}} if carved else {}
    return made


def material(train: int = 60, dev: int = 12, *, carved: bool = True) -> Material:
    return Material.of(reader(train, dev, carved=carved))  # type: ignore[arg-type]


def test_test_queries_are_no_material() -> None:
    assert material().queries.tolist() == list(range(72))
    assert len(np.unique(material().clusters)) == 36


@pytest.mark.parametrize("carved", [True, False])
def test_folds_judge_each_query_once_by_a_model_that_did_not_see_its_documents(
    carved: bool,
) -> None:
    data = material(carved=carved)
    found = rounds(data, 3, seed=0)
    assert sorted(np.concatenate([one.judge for one in found]).tolist()) == list(range(72))
    for one in found:
        assert not set(data.clusters[one.train]) & set(data.clusters[one.judge])
        assert (one.train.max() >= 60) == carved
    assert data.training == (72 if carved else 60)
    assert data.everything().counts["splits"] == {"train": data.training, "dev": 0, "test": 0}
    groups = groups_of(data, [one.judge for one in found], seed=0)
    assert np.bincount(groups).tolist() == [len(one.judge) for one in found]


def test_where_every_document_is_trained_on_a_fold_takes_queries_and_leaves_documents() -> None:
    """Labels: a third of them taken away tells nothing of queries to come, which ask for all."""
    data = Material.of(reader(60, 12, carved=True, test=0))  # type: ignore[arg-type]
    for one in rounds(data, 3, seed=0):
        unseen = set(data.clusters[one.judge]) - set(data.clusters[one.train])
        assert len(unseen) < 6
        assert len(one.judge) == 24
    assert len(np.unique(data.clusters)) == 36, "the test still draws them together"


def test_few_queries_judge_nothing() -> None:
    assert rounds(material(16, 2), 3, seed=0) == []
    assert rounds(material(), 0, seed=0) == []


def test_of_many_queries_one_part_is_held_out() -> None:
    data = material(3000, 0)
    (one,) = rounds(data, 1, seed=0)
    assert 270 <= len(one.judge) <= 330 and len(one.train) + len(one.judge) == 3000
    groups = groups_of(data, [one.judge], seed=0)
    assert np.bincount(groups).min() > 100


def test_a_dev_that_the_files_brought_is_the_part_where_it_is_large_enough() -> None:
    data = material(3000, FEWEST_HELD + 100, carved=False)
    (one,) = rounds(data, 1, seed=0)
    assert one.judge.min() >= 3000 and len(one.train) == 3000
    data = material(3000, 20, carved=False)
    (one,) = rounds(data, 1, seed=0)
    assert one.judge.min() < 3000


def test_a_round_searches_what_is_judged_and_then_the_hardest() -> None:
    data = material()
    one = rounds(data, 3, seed=0)[0]
    own = {document for place in one.judge.tolist() for document in data.relevant[place]}
    others = [row for row in range(39) if row not in own]
    hard = dict.fromkeys(data.queries[one.judge].tolist(), others)
    most = len(own) * 3 // 2
    view, documents = dealt(data, one, hard, most=most, seed=0)
    assert documents == most
    assert view.queries("dev")["row"].to_pylist() == data.queries[one.judge].tolist()
    found = set(view.candidates("dev")["document"].to_pylist())
    assert found == set(others[: most - len(own)])


def test_where_the_relevant_documents_are_too_many_fewer_queries_judge(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data = material()
    one = rounds(data, 3, seed=0)[0]
    monkeypatch.setattr(folds, "FEWEST_JUDGES", 1)
    view, documents = dealt(data, one, {}, most=6, seed=0)
    assert documents == 6 and 4 <= view.counts["splits"]["dev"] <= 8


def many_judged(each: int, queries: int, grade: int) -> Material:
    """Each query has one relevant document, and as many others of its own with this grade."""
    asked = [(f"ask {n}", [f"answer {n}.{m}" for m in range(each)], []) for n in range(queries)]
    data = FakeReader({"train": asked})
    for at, one in enumerate(data._judgments):
        one["grade"] = 1 if at % each == 0 else grade
    return Material.of(data)  # type: ignore[arg-type]


def test_documents_judged_wrong_take_no_judges_room() -> None:
    data = many_judged(30, 40, grade=0)
    view, documents = dealt(data, Round(np.arange(0), np.arange(40)), {}, most=200, seed=0)
    assert view.counts["splits"]["dev"] == 40 and documents == 200
    pool = dev_pool(view, max_queries=None, max_documents=documents, seed=0)
    assert (len(pool.queries), pool.documents) == (40, 200)


def test_where_queries_have_many_relevant_documents_more_are_searched() -> None:
    data = many_judged(100, 30, grade=1)
    one = Round(np.arange(0), np.arange(30))
    view, documents = dealt(data, one, {}, most=200, seed=0)
    assert view.counts["splits"]["dev"] == 20 and documents == 3000
    assert (
        len(
            judges(
                many_judged(2000, 3, grade=1), one=Round(one.train, np.arange(3)), most=200, seed=0
            )
        )
        == 1
    )


def test_measuring_is_kept_below_training() -> None:
    assert room(30, 16, 1.0, 2) == 30 * 16 * 3 / 2 / 2
    assert room(30, 16, 1.5, 2) < room(30, 16, 1.0, 2)
    assert room(1, 2, 1.0, 4) == 200 and room(10_000, 64, 1.0, 2) == 1000


# -- two equally good models ---------------------------------------------------------------------

QUERIES, DOCUMENTS, POOL, RUNS = 160, 1_500, 300, 25


def falsely_better(negatives: Callable[[Ground, Run], dict[int, np.ndarray]]) -> float:
    """The share of runs in which one of two equally good models is found better by a one-sided t
    test by query, among documents that are chosen so."""
    asked_of = [(f"ask {n}", [f"answer {n}"], []) for n in range(QUERIES)]
    others = [("nobody knows", [], [f"other {n}" for n in range(DOCUMENTS - QUERIES)])]
    data = FakeReader({"train": asked_of + others})
    material = Material.of(data)  # type: ignore[arg-type]
    asked = judged(data)  # type: ignore[arg-type]
    pool, places = everywhere(asked, 0), np.arange(QUERIES)
    random, found = np.random.default_rng(0), 0
    for _ in range(RUNS):
        shared, *own = random.normal(size=(4, QUERIES, DOCUMENTS)).astype(np.float32)
        base, other = (0.9**0.5 * shared + 0.1**0.5 * one for one in own[:2])
        words = 0.5**0.5 * shared + 0.5**0.5 * own[2]
        for one in (base, other, words):
            one[places, places] += 2.5
        ranked, bm25 = (Run(np.argsort(-one)[:, :100], one[:, :100]) for one in (base, words))
        ground = Ground(asked, places, pool, np.arange(DOCUMENTS), True, pool, bm25)
        hard = negatives(ground, ranked)
        view, most = dealt(material, Round(places[:0], places), hard, POOL, seed=0)
        few = dev_pool(view, max_queries=None, max_documents=most, seed=0)
        rows = np.sort(next(iter(few.blocks()))[0])
        assert len(rows) == POOL
        before, after = (
            1 / (1 + (one[:, rows] > one[places, places][:, None]).sum(axis=1))
            for one in (base, other)
        )
        gained = after - before
        found += gained.mean() > 1.645 * gained.std() / QUERIES**0.5
    return found / RUNS


def first_of_base(ground: Ground, ranked: Run) -> dict[int, np.ndarray]:
    queries = ground.asked.rows.tolist()
    return {n: line[line != n] for n, line in zip(queries, ranked.documents[:, :50], strict=True)}


def test_a_model_that_only_errs_elsewhere_is_no_better_among_what_words_find() -> None:
    assert falsely_better(first_of_base) > 0.5, "the base's own first documents are its errors"
    assert falsely_better(lambda ground, _: bm25_negatives(ground)) < 0.3


def test_what_was_mined_for_the_judging_queries_is_not_searched_for_it() -> None:
    data = reader(60, 12, carved=True)
    data._candidates = [{"query": 0, "document": 30}]
    for origin, there in (("given", True), ("mined:base", False)):
        data.origin = origin
        found = replace(material(), reader=data)  # type: ignore[arg-type]
        one = Round(np.arange(2, 60), np.arange(2))
        view, _ = dealt(found, one, {1: [31]}, most=20, seed=0)
        documents = view.candidates("dev")["document"].to_pylist()
        assert (30 in documents) == there and 31 in documents
