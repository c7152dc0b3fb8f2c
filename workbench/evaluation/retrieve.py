"""Exact search: every query against every document, a tile of the score matrix at a time.

No more than a block of document vectors and a few tiles of scores is in memory, however many
documents there are. Each tile is screened by rough scores (``screen``); only pairs that may reach
the query's k-th place, a few in a thousand after the first block, are scored exactly.
"""

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from workbench.evaluation.screen import screen_for

Vectors = NDArray[np.float32]
Rows = NDArray[np.int64]
Order = Callable[[Rows], Rows]

#: Scores in memory at once: 16 MB in fp32.
TILE = 4_000_000
#: Vectors that lie before one another when pairs are scored: two times 400 kB stay in a core's own
#: cache (measured: three times as fast as with 12 MB).
NEAR = 400_000
#: Tiles worked on at once: all but the products, which use every core by themselves, is one
#: thread's work. Few, since each holds a tile.
THREADS = min(4, os.cpu_count() or 1)
#: Small blocks are joined up to this size: the more documents the first one has, the fewer pairs
#: reach a place among the best only to be pushed out later.
JOINED = 32_000_000
#: Where more than one pair in so many passes the screen (vectors that are nearly all the same, a
#: handful of documents), pair by pair would take too long.
CROWDED = 4


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
    order: Order,
) -> Run:
    """The k documents of highest inner product per query; equal scores in ``order``.

    ``queries``: (n, d). ``blocks`` yields document rows (m,) and their vectors (m, d). ``order``
    maps document rows to their place among all ids: a smaller place comes first in a tie.
    """
    best = widen(nothing(len(queries)), k)
    screen = screen_for(queries)

    def improve(rows: Rows, vectors: Vectors, part: slice) -> None:
        least = best.scores[part, k - 1]
        at, column = screen.reaching(part, least, k)
        at, column, scores = _scored(queries[part], vectors, at, column, least)
        so_far = Run(best.documents[part], best.scores[part])
        better = cut(_beside(so_far, at, rows[column], scores), k, order)
        best.documents[part], best.scores[part] = better.documents, better.scores

    with ThreadPoolExecutor(THREADS) as pool:
        for rows, vectors in _joined(blocks):
            screen.take(vectors)
            # Each part has its own queries; ``list`` waits for all, and raises what one raised.
            list(pool.map(partial(improve, rows, vectors), _parts(len(queries), len(rows))))
    return best


def nothing(queries: int) -> Run:
    """A run that has found nothing yet."""
    return Run(
        np.full((queries, 0), -1, dtype=np.int64),
        np.full((queries, 0), -np.inf, dtype=np.float32),
    )


def _joined(blocks: Iterable[tuple[Rows, Vectors]]) -> Iterator[tuple[Rows, Vectors]]:
    """Blocks one after another in larger ones, in a place that is used again; none is empty."""
    some_rows, some = np.zeros(0, np.int64), np.zeros((0, 0), np.float32)
    filled = 0
    for rows, vectors in blocks:
        if filled + len(rows) > len(some):
            if filled:
                yield some_rows[:filled], some[:filled]
            filled = 0
        if len(rows) > len(some):
            size = max(len(rows), JOINED // (4 * vectors.shape[1]))
            some_rows = np.empty(size, np.int64)
            some = np.empty((size, vectors.shape[1]), np.float32)
        some_rows[filled : filled + len(rows)] = rows
        some[filled : filled + len(rows)] = vectors
        filled += len(rows)
    if filled:
        yield some_rows[:filled], some[:filled]


def _parts(queries: int, documents: int) -> Iterator[slice]:
    """The queries in parts whose scores with a block make one tile."""
    step = max(1, TILE // documents)
    for start in range(0, queries, step):
        yield slice(start, start + step)


def _scored(
    queries: Vectors, vectors: Vectors, at: Rows, column: Rows, least: Vectors
) -> tuple[Rows, Rows, Vectors]:
    """The pairs that reach ``least`` (n,), and their scores.

    Pair by pair a score depends on nothing but its two vectors, so that equal documents tie
    wherever they stand; in a product it may depend, in its last bit, on their place.
    """
    if CROWDED * len(at) > len(queries) * len(vectors):
        scores = (queries @ vectors.T)[at, column]
    else:
        scores = np.empty(len(at), np.float32)
        step = max(1, NEAR // (4 * vectors.shape[1]))
        for start in range(0, len(at), step):
            some = slice(start, start + step)
            np.einsum("ij,ij->i", queries[at[some]], vectors[column[some]], out=scores[some])
    enough = scores >= least[at]
    return at[enough], column[enough], scores[enough]


def _beside(best: Run, at: Rows, documents: Rows, scores: Vectors) -> Run:
    """``best`` (n, k) and beside it the pairs found for each query: (n, k + the most of any)."""
    k = best.documents.shape[1]
    counts = np.bincount(at, minlength=len(best.documents))
    wider = widen(best, k + int(counts.max(initial=0)))
    # Where each one stands among those of its query, in the columns beside the best.
    place = k + np.arange(len(at)) - (np.cumsum(counts) - counts)[at]
    wider.documents[at, place] = documents
    wider.scores[at, place] = scores
    return wider


def merge(first: Run, second: Run, k: int, order: Order) -> Run:
    documents = np.concatenate([first.documents, second.documents], axis=1)
    scores = np.concatenate([first.scores, second.scores], axis=1)
    return cut(Run(documents, scores), k, order)


def cut(run: Run, k: int, order: Order) -> Run:
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
    """A run with at least k places; the new ones are empty."""
    missing = k - run.documents.shape[1]
    if missing <= 0:
        return run
    edge = ((0, 0), (0, missing))
    return Run(
        np.pad(run.documents, edge, constant_values=-1),
        np.pad(run.scores, edge, constant_values=-np.inf),
    )


def to_the_left(run: Run, most: int) -> Run:
    """Each line without its empty places, cut at ``most``."""
    order = np.argsort(run.documents < 0, axis=1, kind="stable")[:, :most]
    documents = np.take_along_axis(run.documents, order, axis=1)
    scores = np.take_along_axis(run.scores, order, axis=1)
    return Run(documents, np.where(documents >= 0, scores, np.float32(-np.inf)))
