"""Exact search: every query against every document (FAISS flat), a block of documents at a time.

No more than one block of document vectors is in memory, however many documents there are.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import faiss
import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]
Rows = NDArray[np.int64]

#: Fetched beyond k, so that a tie at the k-th place is seen whole (see _search_block).
MARGIN = 8


@dataclass(frozen=True, slots=True)
class Run:
    """The best k per query. ``documents`` (n, k) rows, -1 where there are fewer than k;
    ``scores`` (n, k), -inf there."""

    documents: Rows
    scores: Vectors


def search(
    queries: Vectors,
    blocks: Iterable[tuple[Rows, Vectors]],
    *,
    k: int,
    order: Callable[[Rows], Rows],
) -> Run:
    """The k documents of highest inner product per query; equal scores in ``order``.

    ``queries``: (n, d). ``blocks`` yields document rows (m,) and their vectors (m, d). ``order``
    maps document rows to their place among all ids: a smaller place comes first in a tie.
    """
    best = Run(
        np.full((len(queries), 0), -1, dtype=np.int64),
        np.full((len(queries), 0), -np.inf, dtype=np.float32),
    )
    for rows, vectors in blocks:
        if len(rows):
            best = merge(best, _search_block(queries, rows, vectors, k, order), k, order)
    return widen(best, k)


def _search_block(
    queries: Vectors, rows: Rows, vectors: Vectors, k: int, order: Callable[[Rows], Rows]
) -> Run:
    index = faiss.IndexFlatIP(vectors.shape[1])
    index.add(np.ascontiguousarray(vectors))
    queries = np.ascontiguousarray(queries)
    wanted = min(k + MARGIN, len(rows))
    scores, places = index.search(queries, wanted)
    # FAISS keeps some of the documents that tie at the last place, not those first by id. Where
    # the tie goes on past what was fetched, fetch more until its end is seen.
    while wanted < len(rows):
        tied = scores[:, min(k, wanted) - 1] == scores[:, wanted - 1]
        if not tied.any():
            break
        wanted = min(wanted * 4, len(rows))
        scores, places = _refetch(index, queries, wanted, tied, scores, places)
    found = np.where(places >= 0, rows[places], -1)
    return cut(Run(found, scores), k, order)


def _refetch(
    index: faiss.IndexFlatIP, queries: Vectors, wanted: int, again: Rows, scores: Vectors, at: Rows
) -> tuple[Vectors, Rows]:
    more, places = index.search(np.ascontiguousarray(queries[again]), wanted)
    grown_scores = np.full((len(queries), wanted), -np.inf, dtype=np.float32)
    grown_places = np.full((len(queries), wanted), -1, dtype=np.int64)
    grown_scores[:, : scores.shape[1]] = scores
    grown_places[:, : at.shape[1]] = at
    grown_scores[again], grown_places[again] = more, places
    return grown_scores, grown_places


def merge(first: Run, second: Run, k: int, order: Callable[[Rows], Rows]) -> Run:
    documents = np.concatenate([first.documents, second.documents], axis=1)
    scores = np.concatenate([first.scores, second.scores], axis=1)
    return cut(Run(documents, scores), k, order)


def cut(run: Run, k: int, order: Callable[[Rows], Rows]) -> Run:
    """The best k of each row, by score, then by the documents' order; empty places last."""
    place = np.where(
        run.documents >= 0, order(np.maximum(run.documents, 0)), np.iinfo(np.int64).max
    )
    ranking = np.lexsort((place, -run.scores), axis=1)[:, :k]
    return Run(
        np.take_along_axis(run.documents, ranking, axis=1),
        np.take_along_axis(run.scores, ranking, axis=1),
    )


def widen(run: Run, k: int) -> Run:
    missing = k - run.documents.shape[1]
    if missing <= 0:
        return run
    edge = ((0, 0), (0, missing))
    return Run(
        np.pad(run.documents, edge, constant_values=-1),
        np.pad(run.scores, edge, constant_values=-np.inf),
    )
