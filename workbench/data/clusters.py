"""Which queries are one observation: those that share something relevant.

Two questions about one paragraph are not two looks at a model: what it makes of the paragraph
decides both. Tests and intervals that count them singly promise more than the data hold, so they
count clusters: queries that share a relevant document, directly or through others.

Where nearly everything hangs together in that way (many relevant documents for each query, or one
that answers most of them), one cluster would hold most queries and say nothing. There, chains are
cut: each query goes with the relevant document that it has in common with the most others, one that
is relevant to more than half of all queries only where there is no other. What is left of the
dependence is then not counted. A document that alone answers most queries still makes one cluster
of them, and a test on it finds nothing: those queries are one observation.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.int64]

#: A cluster with more than this share of the queries is cut; a document that is relevant to more
#: tells queries apart last.
MOST = 0.5


def query_clusters(queries: NDArray[Any], asked: NDArray[Any], documents: NDArray[Any]) -> Rows:
    """The cluster of each query row (n,), numbered from 0.

    ``asked`` and ``documents`` (m,): query and document rows of the relevant judgments; those of
    other queries do not count. A query without any is a cluster of its own.
    """
    if not len(queries):
        return np.zeros(0, np.int64)
    order = np.argsort(queries, kind="stable")
    place = np.searchsorted(queries, asked, sorter=order)
    left = order[np.minimum(place, len(order) - 1)]
    mine = queries[left] == asked
    left = left[mine]
    names, right = np.unique(documents[mine], return_inverse=True)
    found = components(left, right, len(queries), len(names))
    if np.bincount(found).max() <= max(1, MOST * len(found)):
        return found
    return _numbered(_by_main_document(len(queries), left, right))


def relevant_clusters(queries: NDArray[Any], judgments: Mapping[int, Mapping[int, int]]) -> Rows:
    """The same from query row -> {document row: grade}; grades from 1 on are relevant."""
    edges = [
        (query, document)
        for query in queries.tolist()
        for document, grade in judgments.get(query, {}).items()
        if grade >= 1
    ]
    both = np.array(edges, np.int64).reshape(-1, 2)
    return query_clusters(queries, both[:, 0], both[:, 1])


def components(left: NDArray[Any], right: NDArray[Any], lefts: int, rights: int) -> Rows:
    """The connected component of each left number, numbered from 0; an edge goes from each of
    ``left`` to that of ``right``, which are numbers of another kind.

    Each root is hung below the smallest one next to it, and paths are halved, until no edge
    connects two trees (Shiloach & Vishkin, Journal of Algorithms 1982).
    """
    parent = np.arange(lefts + rights, dtype=np.int64)
    one, other = left.astype(np.int64), right.astype(np.int64) + lefts
    while len(one):
        np.minimum.at(parent, np.maximum(one, other), np.minimum(one, other))
        while (above := parent[parent]).tobytes() != parent.tobytes():
            parent = above
        one, other = parent[one], parent[other]
        apart = one != other
        one, other = one[apart], other[apart]
    return _numbered(parent[:lefts])


def _by_main_document(count: int, left: Rows, right: Rows) -> Rows:
    """For each of so many queries the document that most others share, as a number above all
    queries'; its own number where it has none."""
    shared = np.bincount(right)
    # Documents of most queries come first, so that any other takes their place.
    weight = np.where(shared > MOST * count, 0, shared)[right]
    order = np.lexsort((right, weight))
    found = np.arange(count, dtype=np.int64)
    found[left[order]] = right[order] + count
    return found


def _numbered(names: NDArray[Any]) -> Rows:
    return np.unique(names, return_inverse=True)[1].astype(np.int64)
