"""Exact search: every query against every document, a tile of the score matrix at a time.

No more than a block of document vectors and a few tiles of scores is in memory, however many
documents there are. Each tile is screened by rough scores (``screen``); only pairs that may reach
the query's k-th place, a few in a thousand after the first block, are scored exactly.
"""

import os
import sys
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from workbench.models.precision import cpu_multiplies_bf16

# Which documents may reach a query's k-th place: a rough score of every pair, and how rough it is.
#
# The rough scores are matrix products in bf16 where the processor multiplies bf16 itself, eight
# times as fast as in fp32 (measured: 0.25 against 2.0 s of CPU for 5,000 queries x 50,000
# documents in 384 dimensions). No document is lost by that: how far a rough score can be off is
# bounded, query by query, and what may reach the k-th place within that bound is scored again in
# fp32.

Vectors = NDArray[np.float32]
Rows = NDArray[np.int64]

#: Vectors that are held twice at a time to see what rounding took.
STEP = 1_000
#: Groups of documents for each place among the best: of so many, few have two of the best.
GROUPS = 10
#: A number rounded to bf16 (8 significant bits) is off by this much of itself at most, and one
#: rounded to fp32 (24 bits) by this much.
BF16 = 2.0**-9
FP32 = 2.0**-24


class Screen(Protocol):
    """Rough scores of some queries with a block of documents."""

    def take(self, vectors: Vectors) -> None:
        """The block (m, d) that the following calls are about."""
        ...

    def reaching(self, part: slice, least: Vectors, k: int) -> tuple[Rows, Rows]:
        """Pairs (query of ``part``, document of the block) whose score may be at least the query's
        ``least`` (n,) and among its best k of the block; sorted by query."""
        ...


def screen_for(queries: Vectors) -> Screen:
    """The fastest one here. Torch is used where it is loaded already, as in every process that
    encodes; it is not worth loading for this."""
    return (
        Bf16Screen(queries) if "torch" in sys.modules and cpu_multiplies_bf16() else Fp32(queries)
    )


class Fp32:
    """Products in fp32: rough only in that the order of summing is not fixed."""

    def __init__(self, queries: Vectors) -> None:
        self.queries = queries
        self.norms = _norms(queries)

    def take(self, vectors: Vectors) -> None:
        self.vectors = vectors
        self.off = vectors.shape[1] * 2 * FP32 * _longest(vectors) * self.norms

    def reaching(self, part: slice, least: Vectors, k: int) -> tuple[Rows, Rows]:
        rough = self.queries[part] @ self.vectors.T
        size, groups = _groups(rough.shape[1], k)
        best = rough[:, :groups]
        if _unknown(least, rough.shape[1], k):
            for start in range(groups, size * groups, groups):
                best = np.maximum(best, rough[:, start : start + groups])
        lowest = lower(best, least, self.off[part], k)
        return _pairs(rough >= lowest[:, None])


class Bf16Screen:
    """Products of vectors rounded to bf16, added up in fp32, and rounded to bf16."""

    def __init__(self, queries: Vectors) -> None:
        self.queries, self.lost = _rounded(queries)
        self.norms = _norms(queries)

    def take(self, vectors: Vectors) -> None:
        self.vectors, lost = _rounded(vectors)
        longest = _longest(vectors)
        # q.d - q'.d' = (q - q').d + q'.(d - d'), each at most the product of the lengths; then the
        # rounding of the result, and of the sums on the way.
        summing = vectors.shape[1] * 2 * FP32
        each = self.lost * longest + (self.norms + self.lost) * lost.max(initial=0.0)
        self.off = (each + (2 * BF16 + summing) * self.norms * longest).astype(np.float32)

    def reaching(self, part: slice, least: Vectors, k: int) -> tuple[Rows, Rows]:
        import torch

        rough = self.queries[part] @ self.vectors.T
        if _unknown(least, rough.shape[1], k):
            size, groups = _groups(rough.shape[1], k)
            best = rough[:, : size * groups].unflatten(1, (size, groups)).amax(dim=1)
            lowest = lower(best.float().numpy(), least, self.off[part], k)
        else:
            lowest = least - self.off[part]
        # Downwards to bf16, so that comparing needs no wider copy of the scores.
        lowest = torch.from_numpy(lowest - 2 * BF16 * np.abs(lowest)).bfloat16()
        return _pairs((rough >= lowest[:, None]).numpy())


def lower(rough: Vectors, least: Vectors, off: Vectors, k: int) -> Vectors:
    """What a rough score must have for the exact one to be among the query's best k: (n,).

    ``rough`` (n, m): those of more than k documents. k documents whose rough scores are at least
    the k-th have exact ones of at least that, less ``off``: a lower bound of the k-th place, where
    ``least`` does not say it yet.
    """
    if _unknown(least, rough.shape[1], k):
        place = rough.shape[1] - k
        least = np.maximum(least, np.partition(rough, place, axis=1)[:, place] - off)
    return least - off


def _groups(documents: int, k: int) -> tuple[int, int]:
    """So many documents (whole groups of them; a rest is left out) in so many groups.

    The k-th best of the groups' best is at most the k-th best of all, and hardly less where there
    are many groups; it is found in a twentieth of the time.
    """
    size = max(1, documents // (GROUPS * k))
    return size, documents // size


def _unknown(least: Vectors, documents: int, k: int) -> bool:
    """Whether some query has fewer than k so far, and the block could give it more."""
    return documents > k and not bool(np.isfinite(least).all())


def _pairs(mask: NDArray[np.bool_]) -> tuple[Rows, Rows]:
    at, column = np.divmod(np.flatnonzero(mask), mask.shape[1])
    return at, column


def _rounded(vectors: Vectors) -> tuple[Any, Vectors]:
    """As bf16, and what each vector lost by it (the length of the difference)."""
    import torch

    rounded = torch.from_numpy(np.ascontiguousarray(vectors)).bfloat16()
    lost = np.empty(len(vectors), np.float32)
    for start in range(0, len(vectors), STEP):
        some = slice(start, start + STEP)
        lost[some] = _norms(vectors[some] - rounded[some].float().numpy())
    return rounded, lost


def _norms(vectors: Vectors) -> Vectors:
    """Lengths of the vectors (n,), rounded upwards."""
    return (np.linalg.norm(vectors, axis=1) * (1 + 1e-5)).astype(np.float32)


def _longest(vectors: Vectors) -> float:
    return float(_norms(vectors).max(initial=0.0))


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
