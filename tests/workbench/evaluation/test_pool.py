"""Which queries are asked and which documents are searched."""

import numpy as np
import pytest

from tests.workbench.training.fakes import FakeReader
from workbench.errors import BadInput, JobCancelled
from workbench.evaluation.measure import measure, ranking
from workbench.evaluation.pool import dev_pool, small_pool, whole_pool
from workbench.models.contract import Contract

DEV = [(f"ask {n}", [f"answer {n}"], [f"nearly {n}"]) for n in range(6)]
TRAIN = [(f"train {n}", [f"other {n}"], []) for n in range(30)]


def reader() -> FakeReader:
    return FakeReader({"train": TRAIN, "dev": DEV})


def texts(pool: object) -> list[str]:
    return [text for _rows, table in pool.blocks() for text in table["text"].to_pylist()]  # type: ignore[attr-defined]


def test_whole_pool_has_all_documents() -> None:
    pool = whole_pool(reader(), "dev")
    assert pool.texts == [query for query, _, _ in DEV]
    assert pool.documents == len(texts(pool)) == 42
    assert pool.order(np.arange(42)).tolist() == list(range(1, 43))  # ids are in order here


def test_dev_pool_takes_judged_then_candidates_then_others() -> None:
    small = dev_pool(reader(), max_queries=6, max_documents=12, seed=0)
    assert sorted(texts(small)) == sorted([t for _, p, n in DEV for t in p + n])
    large = dev_pool(reader(), max_queries=6, max_documents=20, seed=0)
    assert set(texts(small)) < set(texts(large)) and large.documents == 20
    everything = dev_pool(reader(), max_queries=6, max_documents=1000, seed=0)
    assert everything.documents == 42


def test_judged_documents_are_never_left_out() -> None:
    pool = dev_pool(reader(), max_queries=6, max_documents=3, seed=0)
    assert set(texts(pool)) == {f"answer {n}" for n in range(6)}


def test_the_pool_is_fixed_by_the_seed() -> None:
    def pool(seed: int) -> tuple[list[str], list[str]]:
        found = dev_pool(reader(), max_queries=3, max_documents=15, seed=seed)
        return found.texts, texts(found)

    assert pool(1) == pool(1) != pool(2)
    assert len(pool(1)[0]) == 3


def test_queries_without_judgments_are_not_asked() -> None:
    data = FakeReader({"dev": [("nobody knows", [], []), ("ask", ["answer"], [])]})
    assert whole_pool(data, "dev").texts == ["ask"]
    with pytest.raises(BadInput, match="no test queries"):
        whole_pool(data, "test")


class Letters:
    """Encodes a text as its letters' counts, so that what matches is known."""

    contract = Contract()

    def encode(self, texts: list[str], role: str, *, progress=None, stop=None) -> np.ndarray:  # type: ignore[no-untyped-def]
        if stop:
            stop()
        if progress:
            progress(len(texts), len(texts))
        found = np.array([[text.count(chr(97 + c)) for c in range(26)] for text in texts])
        return (found / np.linalg.norm(found, axis=1, keepdims=True)).astype(np.float32)


def test_measure_counts_all_texts_and_ranks_the_same_text_first() -> None:
    data = FakeReader({"dev": [("zebra", ["zebra"], []), ("quick", ["quick"], [])], "train": TRAIN})
    seen: list[tuple[int, int]] = []
    measured = measure(
        Letters(), whole_pool(data, "dev"), progress=lambda *counts: seen.append(counts)
    )
    assert measured.scores.means()["mrr@10"] == 1.0
    assert seen == [(2, 34), (34, 34)]
    assert measured.run.documents.shape == (2, 100)


def never() -> None:
    """Nobody asks to stop."""


def test_a_ranking_is_over_few_queries_and_documents_of_the_first_judged_split() -> None:
    data = reader()
    found = ranking(data)(Letters(), 12, never)
    small = dev_pool(data, max_queries=6, max_documents=12, seed=0)
    assert found == (measure(Letters(), small).scores.means()["map@100"], 12)
    assert ranking(data, "dev")(Letters(), 12, never) == found
    assert ranking(data, "test")(Letters(), 12, never) is None
    unjudged = FakeReader({"test": [("nobody knows", [], [])]})
    assert ranking(unjudged)(Letters(), 12, never) is None


def test_a_ranking_can_be_stopped_and_reads_the_data_once(monkeypatch: pytest.MonkeyPatch) -> None:
    data, read = reader(), []
    judgments = data.judgments
    monkeypatch.setattr(data, "judgments", lambda split: read.append(split) or judgments(split))
    rank = ranking(data)
    assert rank(Letters(), 12, never) == rank(Letters(), 12, never)
    assert read == ["dev"]

    def stop() -> None:
        raise JobCancelled("stopped")

    with pytest.raises(JobCancelled):
        rank(Letters(), 12, stop)


def judged(relevant: int, others: int) -> FakeReader:
    """Ten queries, each with so many documents judged relevant, and judged not to be."""
    asked = [
        (f"ask {n}", [f"yes {n} {m}" for m in range(relevant + others)], []) for n in range(10)
    ]
    data = FakeReader({"dev": asked})
    for at, one in enumerate(data._judgments):
        one["grade"] = int(at % (relevant + others) < relevant)
    return data


@pytest.mark.parametrize(
    ("relevant", "others", "expected"),
    [(40, 90, (2, 2)), (1, 90, (1, 3)), (90, 0, (4, 0)), (1, 1, (1, 1))],
)
def test_a_small_pool_stays_small_however_many_are_judged(
    relevant: int, others: int, expected: tuple[int, int]
) -> None:
    data = judged(relevant, others)
    pool = small_pool(data, "dev", queries=10, documents=40)
    assert pool.documents == len(texts(pool)) == min(40, data.counts["documents"])
    for query in pool.queries.tolist():
        grades = list(pool.judgments[query].values())
        assert (sum(grades), len(grades) - sum(grades)) == expected
    found = {one for query in pool.queries.tolist() for one in pool.judgments[query]}
    rows = [row for some, _ in pool.blocks() for row in some.tolist()]
    assert found <= set(rows), "what is not there is not judged"


def test_a_pool_of_another_split_has_that_splits_candidates() -> None:
    data = FakeReader({"dev": DEV, "test": [("ask", ["answer"], ["nearly"])], "train": TRAIN})
    pool = dev_pool(data, max_queries=1, max_documents=2, seed=0, split="test")
    assert sorted(texts(pool)) == ["answer", "nearly"]
