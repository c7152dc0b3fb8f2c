"""Exact search: every query against every document, a tile of the score matrix at a time.

No more than a block of document vectors and a few tiles of scores is in memory, however many
documents there are. Each tile is screened by rough scores (``screen``); only pairs that may reach
the query's k-th place, a few in a thousand after the first block, are scored exactly.
"""

import os
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from workbench.models.precision import cpu_multiplies_bf16, cpu_multiplies_bytes

# Which documents may reach a query's k-th place: a rough score of every pair, and how rough it is.
#
# Rough scores are products of bytes where the processor adds those itself (measured for 192
# queries and 20,833 documents in 384 dimensions: 8 ms of CPU, where bf16 takes 20 and fp32 58), and
# floats on a GPU. No document is lost by that: how far a rough score can be off is bounded, query
# by query, and what may reach the k-th place within that bound is scored again in fp32.

Vectors = NDArray[np.float32]
Rows = NDArray[np.int64]
#: One number per query, (n,).
Bounds = NDArray[np.floating[Any]]

#: Vectors that are held twice at a time to see what rounding took.
STEP = 1_000
#: Groups of documents for each place among the best: of so many, few have two of the best.
GROUPS = 10
#: How much of itself a number is off by at most, rounded to fp32 (24 significant bits), to TF32,
#: in which a GPU may multiply what it is given in fp32 (11 bits), and to bf16 (8 bits).
FP32, TF32, BF16 = 2.0**-24, 2.0**-11, 2.0**-8
#: The largest whole number in a byte that has a negative.
BYTE = 127
#: Where more than one pair in so many passes, the bound is too wide (one vector much longer than
#: the others does that), and a product in fp32 takes less time than those pairs one by one.
MANY = 16


class Screen(Protocol):
    """Rough scores of some queries with a block of documents."""

    def take(self, vectors: Vectors) -> None:
        """The block (m, d) that the following calls are about."""
        ...

    def reaching(self, part: slice, least: Vectors, k: int) -> tuple[Rows, Rows]:
        """Pairs (query of ``part``, document of the block) whose score may be at least the query's
        ``least`` (n,) and among its best k of the block; sorted by query."""
        ...


def screen_for(queries: Vectors, device: str) -> Screen:
    """The fastest one on ``device``. Torch is used where it is loaded already, as in every process
    that encodes; it is not worth loading for this."""
    if "torch" not in sys.modules:
        return Fp32(queries)
    if device.startswith("cuda"):
        return Floats(queries, device, "float32")
    if cpu_multiplies_bytes():
        return Bytes(queries)
    return Floats(queries, "cpu", "bfloat16") if cpu_multiplies_bf16() else Fp32(queries)


class Fp32:
    """Products in fp32: rough only in that the order of summing is not fixed."""

    def __init__(self, queries: Vectors) -> None:
        self.queries = queries
        self.norms = _norms(queries)

    def take(self, vectors: Vectors) -> None:
        self.vectors = vectors
        self.longest = float(_norms(vectors).max(initial=0.0))
        # How far a sum of products can be off.
        self.summing: Bounds = vectors.shape[1] * 2 * FP32 * self.longest * self.norms

    def reaching(self, part: slice, least: Vectors, k: int) -> tuple[Rows, Rows]:
        rough = self.queries[part] @ self.vectors.T
        size, groups = _groups(rough.shape[1], k)
        best = rough[:, :groups]
        if _unknown(least, rough.shape[1], k):
            for start in range(groups, size * groups, groups):
                best = np.maximum(best, rough[:, start : start + groups])
        lowest = lower(best, least, self.summing[part], k)
        return _pairs(rough >= lowest[:, None])


class Bytes(Fp32):
    """Products of vectors in whole numbers from -127 to 127, which are added up exactly. A query
    has a unit of its own, the documents of a block have one in common."""

    def __init__(self, queries: Vectors) -> None:
        super().__init__(queries)
        most = np.maximum(queries.max(axis=1, initial=0.0), -queries.min(axis=1, initial=0.0))
        self.units = _unit(most)
        self.asked, self.lost = _in_bytes(queries, self.units[:, None])

    def take(self, vectors: Vectors) -> None:
        super().take(vectors)
        self.unit = _unit(np.array(max(vectors.max(initial=0.0), -vectors.min(initial=0.0))))
        self.shown, lost = _in_bytes(vectors, self.unit)
        # q.d - q'.d' = (q - q').d + q'.(d - d'), each at most the product of the lengths.
        each = self.lost * self.longest + (self.norms + self.lost) * lost.max(initial=0.0)
        self.off = each + self.summing

    def reaching(self, part: slice, least: Vectors, k: int) -> tuple[Rows, Rows]:
        import torch

        rough = torch._int_mm(self.asked[part], self.shown.T)
        units = self.units[part].astype(np.float64) * self.unit
        if _unknown(least, rough.shape[1], k):
            best = _best_of_groups(rough, k).numpy() * units[:, None]
            lowest = lower(best, least, self.off[part], k)
        else:
            lowest = least - self.off[part]
        whole = np.iinfo(np.int32)
        lowest = np.floor(np.clip(lowest / units, whole.min, whole.max)).astype(np.int32)
        enough = rough.numpy() >= lowest[:, None]
        if _too_many(int(np.count_nonzero(enough)), enough.shape, k):
            return super().reaching(part, least, k)
        return _pairs(enough)


class Floats(Fp32):
    """Products on ``device`` of vectors in the torch type ``format``: rounded before they are
    multiplied, and after."""

    def __init__(self, queries: Vectors, device: str, format: str) -> None:
        import torch

        super().__init__(queries)
        self.to: dict[str, Any] = {"device": device, "dtype": getattr(torch, format)}
        self.asked = torch.from_numpy(np.ascontiguousarray(queries)).to(**self.to)
        self.rounding = BF16 if format == "bfloat16" else TF32

    def take(self, vectors: Vectors) -> None:
        import torch

        super().take(vectors)
        self.shown = torch.from_numpy(np.ascontiguousarray(vectors)).to(**self.to)
        rounded = 3 * self.rounding * (1 + self.rounding) * self.longest
        self.off = rounded * self.norms + self.summing

    def reaching(self, part: slice, least: Vectors, k: int) -> tuple[Rows, Rows]:
        import torch

        rough = self.asked[part] @ self.shown.T
        if _unknown(least, rough.shape[1], k):
            best = _best_of_groups(rough, k).float().cpu().numpy()
            lowest = lower(best, least, self.off[part], k)
        else:
            lowest = least - self.off[part]
        # Downwards, so that comparing needs no wider copy of the scores.
        lowest = lowest - 2 * self.rounding * np.abs(lowest)
        enough = rough >= torch.from_numpy(lowest).to(**self.to)[:, None]
        at, column = enough.nonzero(as_tuple=True)
        if _too_many(len(at), rough.shape, k):
            return super().reaching(part, least, k)
        return at.cpu().numpy(), column.cpu().numpy()


def lower(rough: Bounds, least: Vectors, off: Bounds, k: int) -> Bounds:
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


def _best_of_groups(rough: Any, k: int) -> Any:
    """Scores (n, m) as a tensor -> the best of each group of documents (n, groups)."""
    size, groups = _groups(rough.shape[1], k)
    return rough[:, : size * groups].unflatten(1, (size, groups)).amax(dim=1)


def _unknown(least: Vectors, documents: int, k: int) -> bool:
    """Whether some query has fewer than k so far, and the block could give it more."""
    return documents > k and not bool(np.isfinite(least).all())


def _too_many(found: int, shape: tuple[int, ...], k: int) -> bool:
    """Whether so many pairs pass by the bound's width, and not because so many are wanted."""
    queries, documents = shape
    return found > queries * max(4 * k, documents // MANY)


def _pairs(mask: NDArray[np.bool_]) -> tuple[Rows, Rows]:
    at, column = np.divmod(np.flatnonzero(mask), mask.shape[1])
    return at, column


def _unit(most: Bounds) -> Bounds:
    """What 1 stands for where the largest number is ``most``; 1 where all are 0."""
    return np.where(most > 0, most / BYTE, 1.0).astype(np.float32)


def _in_bytes(vectors: Vectors, unit: Bounds) -> tuple[Any, Vectors]:
    """In whole units, and what each vector lost by it (the length of the difference)."""
    import torch

    rounded = np.empty(vectors.shape, np.int8)
    lost = np.empty(len(vectors), np.float32)
    units = np.broadcast_to(unit, (len(vectors), 1))
    for start in range(0, len(vectors), STEP):
        some = slice(start, start + STEP)
        whole = np.rint(vectors[some] / units[some])
        rounded[some] = whole
        lost[some] = _norms(vectors[some] - whole * units[some])
    return torch.from_numpy(rounded), lost


def _norms(vectors: Bounds) -> Vectors:
    """Lengths of the vectors (n,), rounded upwards."""
    return (np.sqrt(np.einsum("ij,ij->i", vectors, vectors)) * (1 + 1e-5)).astype(np.float32)


Order = Callable[[Rows], Rows]

#: Scores in memory at once: 8 MB. Twice as many are a tenth faster, and cost 40 MB, because the
#: system's allocator keeps what such blocks leave between them.
TILE = 2_000_000
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
#: After every document's place, of which there are fewer than 2**32.
_LAST = np.uint64(2**32 - 1)


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
    device: str = "cpu",
) -> Run:
    """The k documents of highest inner product per query; equal scores in ``order``.

    ``queries``: (n, d). ``blocks`` yields document rows (m,) and their vectors (m, d). ``order``
    maps document rows to their place among all ids, from 0: a smaller one comes first in a tie.
    ``device`` screens; what it lets pass is scored here, so that a GPU changes no digit.
    """
    # Of :func:`_sampled`. Here, once: what is ignored is the whole process's, and not a thread's.
    warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta")
    best = widen(nothing(len(queries)), k)
    screen = screen_for(queries, device)

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
    elif "torch" in sys.modules:
        scores = _sampled(queries, vectors, at, column)
    else:
        scores = np.empty(len(at), np.float32)
        step = max(1, NEAR // (4 * vectors.shape[1]))
        for start in range(0, len(at), step):
            some = slice(start, start + step)
            np.einsum("ij,ij->i", queries[at[some]], vectors[column[some]], out=scores[some])
    enough = scores >= least[at]
    return at[enough], column[enough], scores[enough]


def _sampled(queries: Vectors, vectors: Vectors, at: Rows, column: Rows) -> Vectors:
    """Pair by pair without copies of the vectors, in half the time."""
    import torch

    shape = len(queries), len(vectors)
    ends = torch.from_numpy(np.searchsorted(at, np.arange(shape[0] + 1)))
    pairs = torch.sparse_csr_tensor(
        ends,
        torch.from_numpy(column),
        torch.zeros(len(column)),
        size=shape,
        check_invariants=False,
    )
    asked, shown = (torch.from_numpy(np.ascontiguousarray(one)) for one in (queries, vectors))
    scores: Vectors = torch.sparse.sampled_addmm(pairs, asked, shown.T, beta=0.0).values().numpy()
    return scores


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
    # Both in one whole number: it is sorted in a fifth of the time that two take. Of floats read as
    # whole numbers, those below 0 count downwards; adding 0.0 makes both zeros one.
    bits = (run.scores + np.float32(0.0)).view(np.uint32)
    ascending = np.where(bits >> 31, ~bits, bits | np.uint32(1 << 31))
    empty = run.documents < 0
    place = np.where(empty, _LAST, order(np.where(empty, 0, run.documents)).astype(np.uint64))
    key = (~ascending).astype(np.uint64) << np.uint64(32) | place
    ranking = np.argsort(key, axis=1)[:, :k]
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
