"""Exact search in blocks equals a full sort, ties and all."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.evaluation.retrieve import Rows, search


def by_sorting(scores: np.ndarray, place: np.ndarray, k: int) -> Rows:
    return np.stack([np.lexsort((place, -row))[:k] for row in scores])


@settings(max_examples=100, deadline=None)
@given(
    documents=st.integers(1, 200),
    queries=st.integers(1, 30),
    k=st.integers(1, 60),
    block=st.integers(1, 200),
    seed=st.integers(0, 2**16),
)
def test_equals_a_full_sort_with_many_ties(
    documents: int, queries: int, k: int, block: int, seed: int
) -> None:
    random = np.random.default_rng(seed)
    # Three small whole numbers per vector: almost every score is tied.
    vectors = random.integers(-1, 2, (documents, 3)).astype(np.float32)
    asked = random.integers(-1, 2, (queries, 3)).astype(np.float32)
    place = random.permutation(documents)
    starts = range(0, documents, block)
    blocks = [(np.arange(s, min(s + block, documents)), vectors[s : s + block]) for s in starts]
    run = search(asked, blocks, k=k, order=lambda rows: place[rows])
    expected = by_sorting(asked @ vectors.T, place, k)
    found = min(k, documents)
    assert (run.documents[:, :found] == expected).all()
    assert (run.documents[:, found:] == -1).all() and run.documents.shape == (queries, k)
    assert (np.diff(run.scores[:, :found]) <= 0).all()


def test_no_documents() -> None:
    run = search(np.zeros((2, 3), np.float32), [], k=5, order=lambda rows: rows)
    assert run.documents.shape == (2, 5) and (run.documents == -1).all()
