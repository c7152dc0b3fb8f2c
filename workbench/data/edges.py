"""Judgments and candidates on their way to disk: spooled as they come, then sorted by query.

Sorting is done in ranges of queries that fit in memory, each picked from the spool in one scan, so
that memory stays bounded however many edges there are.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
EDGE = np.dtype(
    [
        *(("query", np.int32), ("document", np.int32), ("grade", np.int32), ("score", np.float32)),
        *(("file", np.int32), ("line", np.int32)),
    ]
)
#: Grades of what is no judgment: a negative that was given, one that a graded row says is
#: irrelevant, and a judged document that a teacher scored besides.
GIVEN, IRRELEVANT, SCORED = -1, -2, -3
#: Edges sorted at a time: this many, or so many that the spool is not read more often than that.
RANGE, SCANS = 60_000, 64
_SCAN = 100_000


class EdgeSpool:
    """Edges in the order they arrive. A ``grade`` below 0 marks a candidate; ``score`` NaN: none;
    ``file`` and ``line`` say where it stands."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        self._file = path.open("wb")
        self.count = 0

    def add(
        self,
        query: Array,
        document: Array,
        grade: Array,
        score: Array,
        file: int = -1,
        line: Array | int = 0,
    ) -> None:
        edges = np.empty(len(query), EDGE)
        edges["query"], edges["document"] = query, document
        edges["grade"], edges["score"] = grade, score
        edges["file"], edges["line"] = file, line
        edges.tofile(self._file)
        self.count += len(edges)

    def close(self) -> None:
        self._file.close()

    def ranges(self, new_row: Array) -> Iterator[Array]:
        """Edges with their queries renumbered by ``new_row`` (-1: left out), sorted by query, the
        edges of a query in the order they came. No query is in two ranges."""
        self.close()
        counts = np.zeros(int(new_row.max(initial=-1)) + 1, np.int64)
        for edges in self._scan():
            rows = new_row[edges["query"]]
            counts += np.bincount(rows[rows >= 0], minlength=len(counts))
        for start, end in cuts(counts, max(RANGE, self.count // SCANS)):
            picked = [self._pick(edges, new_row, start, end) for edges in self._scan()]
            merged = np.concatenate([np.zeros(0, EDGE), *picked])
            yield merged[np.argsort(merged["query"], kind="stable")]

    def _scan(self) -> Iterator[Array]:
        with self._path.open("rb") as file:
            while len(edges := np.fromfile(file, EDGE, _SCAN)):
                yield edges

    @staticmethod
    def _pick(edges: Array, new_row: Array, start: int, end: int) -> Array:
        rows = new_row[edges["query"]]
        mask = (rows >= start) & (rows < end)
        picked = edges[mask]
        picked["query"] = rows[mask]
        return picked


def cuts(counts: Array, most: int) -> Iterator[tuple[int, int]]:
    """Ranges of rows with at most so many edges each, where one row has not more by itself."""
    total = np.cumsum(counts)
    start = 0
    while start < len(counts):
        before = int(total[start - 1]) if start else 0
        end = max(start + 1, int(np.searchsorted(total, before + most, side="right")))
        yield start, end
        start = end


def judged(edges: Array) -> Array:
    """The judgments among sorted edges: one per query and document, of the highest grade."""
    picked = edges[edges["grade"] >= 0]
    order = np.lexsort((-picked["grade"], _keys(picked)))
    keys = _keys(picked)[order]
    best = order[_first_of_each(keys)]
    return picked[np.sort(best)]


def offered(edges: Array, judgments: Array) -> tuple[Array, Array]:
    """The candidates among sorted edges and the rank of each within its query, from 1.

    A pair is kept once. One that is judged relevant is no negative: it stays only where it has a
    score, which a teacher gave to positives too.
    """
    picked = edges[(edges["grade"] < 0)]
    relevant = _keys(judgments[judgments["grade"] > 0])
    picked = picked[~np.isin(_keys(picked), relevant) | ~np.isnan(picked["score"])]
    order = np.argsort(_keys(picked), kind="stable")
    picked = picked[np.sort(order[_first_of_each(_keys(picked)[order])])]
    begins = _first_of_each(picked["query"])
    starts = np.flatnonzero(begins)[np.cumsum(begins) - 1] if len(picked) else begins
    return picked, np.arange(len(picked)) - starts + 1


def disputed(edges: Array) -> tuple[Array, Array, Array]:
    """Among sorted edges: judgments whose document was judged before with another grade, that
    grade of each, and given negatives that another row calls relevant."""
    said = edges[(edges["grade"] >= 0) | (edges["grade"] == IRRELEVANT)]
    said["grade"] = np.maximum(said["grade"], 0)
    order = np.argsort(_keys(said), kind="stable")
    said = said[order]
    begins = _first_of_each(_keys(said))
    before = said["grade"][np.flatnonzero(begins)[np.cumsum(begins) - 1]] if len(said) else begins
    other = said["grade"] != before
    given = edges[edges["grade"] == GIVEN]
    relevant = _keys(edges[edges["grade"] > 0])
    return said[other], before[other], given[np.isin(_keys(given), relevant)]


def _keys(edges: Array) -> Array:
    return (edges["query"].astype(np.int64) << 32) | edges["document"]


def _first_of_each(values: Array) -> Array:
    """True where a sorted array's value differs from the one before."""
    first = np.ones(len(values), bool)
    first[1:] = values[1:] != values[:-1]
    return first
