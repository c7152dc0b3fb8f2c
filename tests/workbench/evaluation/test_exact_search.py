"""Exact search in blocks equals a full sort, ties and all."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.evaluation import exact_search
from workbench.evaluation.exact_search import Bytes, Floats, Fp32, Rows, Run, Screen, cut, search


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


WAYS: dict[str, Callable[[Any], Screen]] = {
    "numpy": Fp32,
    "bytes": Bytes,
    "bf16": lambda queries: Floats(queries, "cpu", "bfloat16"),
    # What a GPU does.
    "fp32": lambda queries: Floats(queries, "cpu", "float32"),
}


@pytest.fixture(params=list(WAYS))
def screen(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Callable[[Any], Screen]:
    """Each way of screening, whatever this machine would choose."""
    if request.param != "numpy":
        pytest.importorskip("torch")
    chosen = WAYS[request.param]
    monkeypatch.setattr(exact_search, "screen_for", lambda queries, _device: chosen(queries))
    return chosen


@pytest.mark.slow  # Imports torch.
@pytest.mark.parametrize("spread", [1.0, 0.01, 0.0])
@pytest.mark.parametrize("k", [5, 100])
def test_rough_scores_lose_nothing(screen: Callable[[Any], Screen], spread: float, k: int) -> None:
    """Also where all documents are nearly, or exactly, the same, and of any length."""
    random = np.random.default_rng(k)
    middle = random.standard_normal(48)
    documents = middle + spread * random.standard_normal((3000, 48))
    documents *= random.uniform(0.1, 30, (3000, 1))
    documents[random.integers(0, 3000, 400)] = documents[7]
    documents = documents.astype(np.float32)
    queries = (middle + random.standard_normal((50, 48))).astype(np.float32)
    blocks = [(np.arange(at, at + 500), documents[at : at + 500]) for at in range(0, 3000, 500)]
    run = search(queries, blocks, k=k, order=lambda rows: rows)
    exact = queries.astype(np.float64) @ documents.astype(np.float64).T
    expected = np.sort(exact, axis=1)[:, ::-1][:, :k]
    found = np.take_along_axis(exact, run.documents, axis=1)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-4)
    assert all(len(set(row)) == k for row in run.documents.tolist())


@pytest.mark.slow  # Imports torch.
def test_equal_documents_tie_wherever_they_stand(screen: Callable[[Any], Screen]) -> None:
    random = np.random.default_rng(1)
    documents = random.standard_normal((2000, 100)).astype(np.float32)
    queries = random.standard_normal((30, 100)).astype(np.float32)
    same = np.sort(random.choice(2000, 40, replace=False))
    documents[same] = queries[0]
    blocks = [(np.arange(at, at + 400), documents[at : at + 400]) for at in range(0, 2000, 400)]
    run = search(queries, blocks, k=15, order=lambda rows: 1999 - rows)
    assert run.documents[0].tolist() == same[::-1][:15].tolist()
    assert len(set(run.scores[0].tolist())) == 1


def test_no_documents() -> None:
    run = search(np.zeros((2, 3), np.float32), [], k=5, order=lambda rows: rows)
    assert run.documents.shape == (2, 5) and (run.documents == -1).all()


@pytest.mark.parametrize("documents", [101, 999, 1000, 2000, 4321])
@pytest.mark.parametrize("k", [1, 100])
def test_the_best_of_groups_bound_the_kth_place(
    screen: Callable[[Any], Screen], documents: int, k: int
) -> None:
    random = np.random.default_rng(documents)
    queries, vectors = (random.standard_normal((n, 16)).astype(np.float32) for n in (7, documents))
    made = screen(queries)
    made.take(vectors)
    at, column = made.reaching(slice(0, 7), np.full(7, -np.inf, np.float32), k)
    exact = queries @ vectors.T
    for row in range(7):
        best = set(np.argsort(-exact[row])[:k].tolist())
        assert best <= set(column[at == row].tolist())
        # Little more than these passes: the groups tell nearly as well as all would.
        assert np.count_nonzero(at == row) < 2 * k + 60


def test_one_long_document_lets_no_more_pass(screen: Callable[[Any], Screen]) -> None:
    """The bound of its block is too wide for the others."""
    random = np.random.default_rng(5)
    queries, vectors = (random.standard_normal((n, 64)).astype(np.float32) for n in (7, 4000))
    vectors[11] *= 100
    made, exact = screen(queries), queries @ vectors.T
    made.take(vectors)
    tenth = np.sort(exact, axis=1)[:, -10]
    for least in (np.full(7, -np.inf, np.float32), tenth):
        at, column = made.reaching(slice(0, 7), least, 10)
        for row in range(7):
            assert set(np.argsort(-exact[row])[:10].tolist()) <= set(column[at == row].tolist())
        assert len(at) <= exact.size // exact_search.MANY


def test_cut_orders_by_score_then_place_with_empty_places_last() -> None:
    low = -np.inf
    scores = np.array([[0.0, -0.0, 2.5, low, -1.5, low, -2.5, 2.5]], np.float32)
    documents = np.array([[5, 3, 1, -1, 2, 4, 6, 0]])
    place = np.array([7, 2, 3, 1, 0, 6, 4])
    found = cut(Run(documents, scores), 8, lambda rows: place[rows])
    assert found.documents.tolist() == [[1, 0, 3, 5, 2, 6, 4, -1]]
    assert found.scores.tolist() == [[2.5, 2.5, 0, 0, -1.5, -2.5, low, low]]
