"""Judgments and candidates on their way to disk: spooled as they come, then sorted by query.

Sorting is done in ranges of queries that fit in memory, each picked from the spool in one scan, so
that memory stays bounded however many edges there are.
"""

import array
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from workbench.data import digests
from workbench.data.problems import Report
from workbench.data.shapes.row import Pair
from workbench.data.splits import CODES, DEV, SPLITS, TRAIN, Shares, carve
from workbench.data.text_counts import bytes_of
from workbench.data.writer import PAIRS, Background, Inline, TableWriter, along, spooled

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
RANGE, SCANS = 30_000, 64
_SCAN = 30_000


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
    keys = _keys(picked)
    shared = _shared(keys)
    some = np.flatnonzero(shared)
    order = some[np.lexsort((-picked["grade"][some], keys[some]))]
    keep = ~shared
    keep[order[_first_of_each(keys[order])]] = True
    return picked[keep]


def offered(edges: Array, judgments: Array) -> tuple[Array, Array]:
    """The candidates among sorted edges and the rank of each within its query, from 1.

    A pair is kept once. One that is judged relevant is no negative: it stays only where it has a
    score, which a teacher gave to positives too.
    """
    picked = edges[(edges["grade"] < 0)]
    keys, relevant = _keys(picked), _keys(judgments[judgments["grade"] > 0])
    shared = _shared(np.concatenate([keys, relevant]))[: len(keys)]
    some = np.flatnonzero(shared)
    relevant = relevant[np.isin(relevant, keys[some])]  # Few, before each is looked for.
    some = some[~np.isin(keys[some], relevant) | ~np.isnan(picked["score"][some])]
    order = some[np.argsort(keys[some], kind="stable")]
    keep = ~shared
    keep[order[_first_of_each(keys[order])]] = True
    picked = picked[keep]
    begins = _first_of_each(picked["query"])
    starts = np.flatnonzero(begins)[np.cumsum(begins) - 1] if len(picked) else begins
    return picked, np.arange(len(picked)) - starts + 1


def disputed(edges: Array) -> tuple[Array, Array, Array]:
    """Among sorted edges: judgments whose document was judged before with another grade, that
    grade of each, and given negatives that another row calls relevant."""
    edges = edges[_shared(_keys(edges))]
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


def _shared(keys: Array) -> Array:
    """Where a key stands that stands more than once; few do."""
    ordered = np.sort(keys)
    more = ordered[1:][ordered[1:] == ordered[:-1]]
    if not len(more):
        return np.zeros(len(keys), bool)
    return np.asarray(more[np.minimum(np.searchsorted(more, keys), len(more) - 1)] == keys)


def _first_of_each(values: Array) -> Array:
    """True where a sorted array's value differs from the one before."""
    first = np.ones(len(values), bool)
    first[1:] = values[1:] != values[:-1]
    return first


# What equal texts say differently: they become one, and what only one can have is counted.
#
# A hash of each text's own columns is kept (8 bytes), and nothing of texts that never come again.


class Said:
    """Of the texts of one kind: what their first rows said, and how many others say otherwise."""

    def __init__(self) -> None:
        self._own = array.array("q")  # per text: a hash of its own columns; 0: none
        #: 'ids' and 'own': texts that come again with another id, or with other own columns.
        self.differing: Counter[str] = Counter()

    def extend(self, fields: pa.StringArray | None, count: int) -> None:
        """Texts come for the first time."""
        own = np.zeros(count, np.int64) if fields is None else _hashes(fields)
        self._own.frombytes(own.tobytes())

    def again(
        self,
        rows: Array,
        ids: pa.StringArray | None,
        fields: pa.StringArray | None,
        known: digests.DigestRows,
    ) -> None:
        """Texts come again: ``rows`` are theirs, ``known`` the rows of the ids that are taken."""
        if fields is not None:
            own = _hashes(fields)
            before = np.frombuffer(self._own, np.int64)[rows]
            self.differing["own"] += int(((own != 0) & (own != before)).sum())
        if ids is not None:
            given = np.flatnonzero(ids.is_valid())
            keys = digests.of_strings(ids.drop_null())
            self.differing["ids"] += int((known.find(keys) != rows[given]).sum())


def _hashes(texts: pa.StringArray) -> Array:
    """A number for each text, 0 for an empty one."""
    empty = np.diff(bytes_of(texts)[0]) == 0
    return np.where(empty, 0, digests.of_strings(texts)[:, 0].view(np.int64))


# Scored pairs on their way to disk: spooled as they come, written when their splits are known.
#
# Test is never touched: a pair stays out of the other splits when it stands in test, either way
# round, or when its left text does. Pairs of one left text always go into one split.

FILE = "files/pairs.parquet"
_SPOOLED = pa.schema([PAIRS.field(name) for name in ("left", "right", "score", "fields")])
_BATCH, _BATCH_CHARS = 5_000, 1 << 20
#: An odd number: it spreads a score's bits over a digest.
_ODD = np.uint64(0x9E3779B97F4A7C15)


class PairSpool:
    """Collects the pairs of an import in ``folder``."""

    def __init__(self, folder: Path, background: Background) -> None:
        self.leaked: Counter[str] = Counter()
        self.carved: dict[str, int] = {}
        self._folder = folder
        self._background = background
        self._writer: TableWriter | None = None
        self._items: list[tuple[int, Pair]] = []
        self._chars = 0
        self._report: Report | None = None
        self._split = TRAIN
        self._splits = array.array("b")  # per pair: its split as the files say
        self._groups = array.array("i")  # per pair: the number of its left text
        self._homes = {"left": array.array("b"), "pair": array.array("b")}
        self._seen = {name: digests.DigestRows() for name in ("left", "pair", "row")}

    @property
    def rows(self) -> int:
        """How many were kept. Ask after :meth:`flush`."""
        return len(self._splits)

    def begin(self, report: Report, split: str | None) -> None:
        """The pairs that follow come from this file."""
        self.flush()
        self._report, self._split = report, CODES[split or "train"]

    def add(self, line: int, pair: Pair) -> None:
        self._items.append((line, pair))
        self._chars += len(pair.left) + len(pair.right) + len(pair.fields)
        if len(self._items) >= _BATCH or self._chars >= _BATCH_CHARS:
            self.flush()

    def flush(self) -> None:
        items, self._items, self._chars = self._items, [], 0
        if not items:
            return
        lines = [line for line, _ in items]
        table = pa.table(
            [
                pa.array([pair.left for _, pair in items], pa.string()),
                pa.array([pair.right for _, pair in items], pa.string()),
                pa.array([pair.score for _, pair in items], pa.float32()),
                pa.array([pair.fields or None for _, pair in items], pa.string()),
            ],
            schema=_SPOOLED,
        )
        groups, keep = self._judge(table, lines)
        if self._writer is None:
            spool = self._folder / "spool/pairs.arrow"
            self._writer = TableWriter(spool, _SPOOLED, self._background, spool=True)
        self._writer.write(table.filter(pa.array(keep)))
        self._splits.extend([self._split] * int(keep.sum()))
        self._groups.extend(groups[keep].tolist())

    def _judge(self, table: pa.Table, lines: list[int]) -> tuple[Array, Array]:
        """Each pair's group, and whether it stays."""
        left, right = (digests.of_strings(_whole(table[name])) for name in ("left", "right"))
        groups, home = self._home("left", left)
        # A sum knows no order: a pair is the same either way round.
        _, pair_home = self._home("pair", left + right)
        home = np.maximum(home, pair_home)  # Test counts more than dev, and dev more than train.
        same = home == self._split
        for place in np.flatnonzero(~same).tolist():
            other = "dev" if home[place] == DEV else "test"
            self.leaked[other] += 1
            self._tell(f"leaked-{other}-query", lines[place])
        scores = table["score"].to_numpy().view(np.uint32).astype(np.uint64)
        rows = left * _ODD + right + (scores * _ODD)[:, None]
        unseen = np.zeros(len(lines), bool)
        unseen[self._seen["row"].resolve(rows, 0)[1]] = True
        for place in np.flatnonzero(same & ~unseen).tolist():
            self._tell("duplicate-row", lines[place])
        return groups, same & unseen

    def _home(self, kind: str, keys: Array) -> tuple[Array, Array]:
        """The number of each text or pair, and the split it was first read in."""
        homes = self._homes[kind]
        numbers, first = self._seen[kind].resolve(keys, len(homes))
        homes.extend([self._split] * len(first))
        return numbers, np.frombuffer(homes, np.int8)[numbers]

    def _tell(self, code: str, line: int) -> None:
        if self._report is not None:
            self._report.add(code, line, None)

    def finish(self, shares: Shares, check: Callable[[], None]) -> dict[str, int]:
        """Write the table; returns how many pairs each split has. Nothing without pairs."""
        self.flush()
        if self._writer is None:
            return {}
        self._writer.close()
        said = np.frombuffer(self._splits, np.int8)
        splits = carve(said, np.frombuffer(self._groups, np.int32), shares)
        self.carved = {
            name: int((splits != said)[splits == CODES[name]].sum()) for name in ("test", "dev")
        }
        self._write(splits, check)
        return {name: int((splits == code).sum()) for name, code in CODES.items()}

    def _write(self, splits: Array, check: Callable[[], None]) -> None:
        assert self._writer is not None
        names = np.array(SPLITS)
        writer = TableWriter(self._folder / FILE, PAIRS, Inline())
        for table, codes in along(spooled(self._writer.path), splits):
            check()
            label = pa.array(names[codes].tolist(), pa.string())
            labelled = table.append_column("split", label)
            writer.write(labelled.select(PAIRS.names).cast(PAIRS))
        writer.close()


def _whole(column: Any) -> pa.StringArray:
    return pa.concat_arrays(column.chunks)
