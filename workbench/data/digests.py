"""Which texts have been seen, in sixteen bytes each: 96 bits of a digest, and a row number.

Sorted numpy levels, as in a log-structured merge tree: a batch is looked up and added with a few
vectorised calls, and nothing is kept per text in Python. The digest is XXH3 (xxhash.com); with 96
bits the chance that any two of a hundred million texts are confused is about 1e-13.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import xxhash

Array = np.ndarray[Any, Any]
#: Sorted by digest a batch falls into this many slices, so that a merge only copies one of them.
_SHARDS = 2
_SHARD_STARTS = (np.arange(1, _SHARDS, dtype=np.uint64) << np.uint64(63)).astype(np.uint64)


def of_strings(texts: pa.StringArray) -> Array:
    """(n, 2) uint64 digests of the texts' UTF-8 bytes."""
    count = len(texts)
    if not count:
        return np.zeros((0, 2), np.uint64)
    _, offsets, data = texts.buffers()
    ends = np.frombuffer(offsets, np.int32, count + 1, texts.offset * 4).tolist()
    view = memoryview(data) if data is not None else memoryview(b"")
    digest = xxhash.xxh3_128_digest
    joined = b"".join([digest(view[start:end]) for start, end in pairwise(ends)])
    return np.frombuffer(joined, np.uint64).reshape(count, 2)


def of_bytes(items: Sequence[bytes]) -> Array:
    """The same for plain bytes."""
    joined = b"".join([xxhash.xxh3_128_digest(item) for item in items])
    return np.frombuffer(joined, np.uint64).reshape(len(items), 2)


class DigestRows:
    """Digest -> row number."""

    def __init__(self) -> None:
        self._shards = [_Shard() for _ in range(_SHARDS)]

    def resolve(self, digests: Array, start: int) -> tuple[Array, Array]:
        """The row of each digest; new ones get rows from ``start`` on, in the order they first
        appear. Also where in the batch new ones appear first, in the order of their rows."""
        rows, found, firsts, order, groups, known = self._look(digests)
        missing = np.flatnonzero(~known)
        appear = firsts[missing]
        rank = np.argsort(appear, kind="stable")
        rows[missing[rank]] = start + np.arange(len(missing))
        self._insert(found[missing], rows[missing])
        out = np.empty(len(digests), np.int64)
        out[order] = rows[groups]
        return out, appear[rank]

    def assign(self, digests: Array, rows: Array) -> Array:
        """Give digests rows from outside; True where a digest was new and took its row."""
        _, found, firsts, _, _, known = self._look(digests)
        fresh = np.zeros(len(digests), bool)
        fresh[firsts[~known]] = True
        self._insert(found[~known], rows[firsts[~known]])
        return fresh

    def fresh(self, digests: Array) -> Array:
        """Where in the batch digests that are not known appear first, ascending. Adds nothing."""
        _, _, firsts, _, _, known = self._look(digests)
        return np.sort(firsts[~known])

    def find(self, digests: Array) -> Array:
        """The row of each digest, -1 for one not seen."""
        rows, _, _, order, groups, _ = self._look(digests)
        out = np.empty(len(digests), np.int64)
        out[order] = rows[groups]
        return out

    def _look(self, digests: Array) -> tuple[Array, Array, Array, Array, Array, Array]:
        """Distinct digests in sorted order with their rows (-1: unknown), the place each first
        appears, the sorting order, each sorted place's group, and which are known."""
        high, low = digests[:, 0], (digests[:, 1] & np.uint64(0xFFFFFFFF)).astype(np.uint32)
        order = np.argsort(high, kind="stable")
        high, low = high[order], low[order]
        begins = np.ones(len(order), bool)
        begins[1:] = (high[1:] != high[:-1]) | (low[1:] != low[:-1])
        starts = np.flatnonzero(begins)
        found = np.empty(len(starts), _KEY)
        found["high"], found["low"] = high[starts], low[starts]
        rows = np.full(len(starts), -1, np.int64)
        for shard, part in self._slices(found["high"]):
            shard.find(found["high"][part], found["low"][part], rows[part])
        return rows, found, order[starts], order, np.cumsum(begins) - 1, rows >= 0

    def _insert(self, found: Array, rows: Array) -> None:
        for shard, part in self._slices(found["high"]):
            shard.insert(found["high"][part].copy(), found["low"][part].copy(), rows[part])

    def _slices(self, high: Array) -> list[tuple["_Shard", slice]]:
        bounds = [0, *np.searchsorted(high, _SHARD_STARTS).tolist(), len(high)]
        return [
            (shard, slice(start, end))
            for shard, start, end in zip(self._shards, bounds[:-1], bounds[1:], strict=True)
            if end > start
        ]


#: Few levels make looking up cheap, many make adding cheap; texts are looked up more often.
_GROWTH = 12
_KEY = np.dtype([("high", np.uint64), ("low", np.uint32)])


class _Shard:
    """Sorted levels, each many times as long as the one after it."""

    def __init__(self) -> None:
        self._levels: list[tuple[Array, Array, Array]] = []

    def find(self, high: Array, low: Array, rows: Array) -> None:
        """Write the row of each known digest into ``rows``."""
        for keys, lows, values in self._levels:
            at = np.searchsorted(keys, high)
            # Equal high halves stand side by side: step along until none is left to compare.
            open_ = np.flatnonzero(at < len(keys))
            while len(open_):
                open_ = open_[keys[at[open_]] == high[open_]]
                hit = lows[at[open_]] == low[open_]
                rows[open_[hit]] = values[at[open_[hit]]]
                open_ = open_[~hit]
                at[open_] += 1
                open_ = open_[at[open_] < len(keys)]

    def insert(self, high: Array, low: Array, rows: Array) -> None:
        level = (high, low, rows.astype(np.uint32))
        while self._levels and len(self._levels[-1][0]) < _GROWTH * len(level[0]):
            level = _merge(self._levels.pop(), level)
        self._levels.append(level)


def _merge(
    one: tuple[Array, Array, Array], other: tuple[Array, Array, Array]
) -> tuple[Array, Array, Array]:
    high = np.concatenate([one[0], other[0]])
    order = np.argsort(high, kind="stable")  # Two sorted runs: the stable sort merges them.
    return (
        high[order],
        np.concatenate([one[1], other[1]])[order],
        np.concatenate([one[2], other[2]])[order],
    )
