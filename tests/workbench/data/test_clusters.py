"""Queries that share something relevant are one cluster."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from workbench.data.clusters import components, query_clusters, relevant_clusters


def test_queries_of_one_paragraph_are_one_cluster() -> None:
    queries = np.array([7, 3, 9, 4])
    asked, documents = np.array([3, 7, 4, 9, 11]), np.array([50, 50, 51, 52, 51])
    # The last judgment is of a query that was not asked.
    found = query_clusters(queries, asked, documents)
    assert found[0] == found[1] and len(set(found.tolist())) == 3


def test_also_through_others_and_only_by_what_is_relevant() -> None:
    judgments = {0: {1: 1}, 1: {1: 2, 2: 1}, 2: {2: 1, 3: 0}, 3: {3: 1}, 4: {}, 5: {9: 1}, 6: {}}
    found = relevant_clusters(np.arange(7), judgments).tolist()
    assert found[0] == found[1] == found[2]
    # Neither a document that is judged irrelevant nor having none connects.
    assert len(set(found)) == 5


edges = st.lists(st.tuples(st.integers(0, 29), st.integers(0, 19)), max_size=60)


@settings(max_examples=100, deadline=None)
@given(edges)
def test_components_are_those_of_scipy(found: list[tuple[int, int]]) -> None:
    left, right = np.array(found, np.int64).reshape(-1, 2).T
    graph = coo_array((np.ones(len(left)), (left, right + 30)), shape=(50, 50))
    theirs = connected_components(graph, directed=False)[1][:30]
    ours = components(left, right, 30, 20)
    assert len(set(zip(ours.tolist(), theirs.tolist(), strict=True))) == len(set(theirs.tolist()))
    assert len(set(ours.tolist())) == len(set(theirs.tolist())) == ours.max() + 1


@pytest.mark.parametrize("seed", [1, 2])
def test_a_long_chain_is_one_component(seed: int) -> None:
    size = 20_000
    names = np.random.default_rng(seed).permutation(size)
    left = np.concatenate([names, names[1:]])
    right = np.concatenate([np.arange(size), np.arange(size - 1)])
    assert components(left, right, size, size).max() == 0


def test_a_chain_through_most_queries_is_cut_at_the_document_most_share() -> None:
    """Each query has one document that ten share and one in common with the next query."""
    queries = np.arange(100)
    asked = np.concatenate([queries, queries, queries])
    documents = np.concatenate([queries // 10, 100 + queries, 101 + queries])
    found = query_clusters(queries, asked, documents)
    assert found.tolist() == (queries // 10).tolist()


def test_a_document_of_most_queries_tells_them_apart_last() -> None:
    """All have one document in common; those of the first half have another with their pair."""
    queries = np.arange(40)
    asked = np.concatenate([queries, queries[:20]])
    documents = np.concatenate([np.zeros(40, int), 1 + queries[:20] // 2])
    found = query_clusters(queries, asked, documents)
    assert sorted(np.bincount(found).tolist()) == [2] * 10 + [20]


def test_one_answer_to_nearly_all_is_one_observation() -> None:
    queries = np.arange(40)
    found = query_clusters(queries, queries, np.where(queries < 30, 0, queries))
    assert sorted(np.bincount(found).tolist()) == [1] * 10 + [30]


def test_nothing_asked_and_nothing_judged() -> None:
    none = np.zeros(0, np.int64)
    assert query_clusters(none, none, none).tolist() == []
    assert query_clusters(none, np.array([1]), np.array([2])).tolist() == []
    assert query_clusters(np.arange(3), none, none).tolist() == [0, 1, 2]
