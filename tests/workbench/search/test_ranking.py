"""The order is by score, then by document id, also where ties cross the last place."""

from typing import Any

import numpy as np
import pytest

from workbench.search.found import contenders, order

# faiss, without torch: light enough for the fast tests.
faiss = pytest.importorskip("faiss")


class Plain:
    """A bare FAISS index, asked as a searcher is."""

    def __init__(self, index: Any) -> None:
        self._index = index

    def __len__(self) -> int:
        return int(self._index.ntotal)

    def search(self, vector: Any, want: int, mask: Any = None) -> tuple[Any, Any]:
        assert mask is None
        scores, positions = self._index.search(vector[None, :], want)
        return scores[0], positions[0]


def build(vectors: np.ndarray) -> object:
    index = faiss.IndexFlatIP(vectors.shape[1])
    index.add(vectors.astype(np.float32))
    return index


def best(index: object, query: np.ndarray, top_k: int) -> list[tuple[int, str, float]]:
    rows, scores = contenders(Plain(index), query, top_k)
    ids = [f"d{row}" for row in rows]
    return [(int(rows[at]), ids[at], float(scores[at])) for at in order(ids, scores, top_k)]


def test_it_equals_a_plain_matrix_product() -> None:
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(500, 16)).astype(np.float32)
    query = rng.normal(size=16).astype(np.float32)
    found = best(build(vectors), query, 20)
    scores = vectors @ query
    wanted = sorted(range(500), key=lambda row: (-scores[row], f"d{row}"))[:20]
    assert [row for row, _, _ in found] == wanted
    np.testing.assert_allclose([score for _, _, score in found], scores[wanted], rtol=1e-5)


@pytest.mark.parametrize("copies", [3, 30, 500])
def test_equal_scores_are_ordered_by_id(copies: int) -> None:
    rng = np.random.default_rng(1)
    vectors = np.vstack([np.tile(np.eye(4)[:1], (copies, 1)), -np.ones((100, 4))])
    vectors = vectors[rng.permutation(len(vectors))]
    found = best(build(vectors), np.eye(4)[0].astype(np.float32), 2)
    tied = sorted(f"d{row}" for row in np.flatnonzero(vectors[:, 0] == 1))
    assert [id for _, id, _ in found] == tied[:2]


def test_fewer_documents_than_asked_for() -> None:
    found = best(build(np.eye(3)), np.array([0.1, 0.3, 0.2], dtype=np.float32), 10)
    assert [row for row, _, _ in found] == [1, 2, 0]
