"""The files of a data set's version, written and read: Parquet, and the manifest that names them.

Tables are written as rows arrive, in row groups small enough to page through.

Compression and writing happen in one thread beside the reader; the queue to it is short, so memory
stays bounded.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from workbench.data.splits import SPLITS

GROUP_ROWS = 10_000
GROUP_BYTES = 1 << 20
_WAITING = 1
_TRIM = 32

DOCUMENTS = pa.schema(
    [
        ("id", pa.string()),
        ("title", pa.string()),
        ("text", pa.string()),
        ("picture", pa.string()),
        ("fields", pa.string()),
    ]
)
#: ``fields`` are a query's other columns, as those of documents; older files have none.
QUERIES = pa.schema(
    [
        ("id", pa.string()),
        ("text", pa.string()),
        ("prompt", pa.string()),
        ("split", pa.string()),
        ("fields", pa.string()),
    ]
)
JUDGMENTS = pa.schema([("query", pa.int64()), ("document", pa.int64()), ("grade", pa.int32())])
CANDIDATES = pa.schema(
    [
        ("query", pa.int64()),
        ("document", pa.int64()),
        ("origin", pa.string()),
        ("rank", pa.int32()),
        ("score", pa.float32()),
    ]
)
#: Two texts and a score each. They name no documents: nobody searches among them.
PAIRS = pa.schema(
    [
        ("left", pa.string()),
        ("right", pa.string()),
        ("score", pa.float32()),
        ("split", pa.string()),
        ("fields", pa.string()),
    ]
)


class Background:
    """One thread that writes; :meth:`close` waits for it. An error there is raised here."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="parquet")
        self._open: list[Future[None]] = []

    def submit(self, work: Any, *arguments: Any) -> None:
        while len(self._open) >= _WAITING:
            self._open.pop(0).result()
        self._open.append(self._pool.submit(work, *arguments))

    def wait(self) -> None:
        while self._open:
            self._open.pop(0).result()

    def close(self) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)


class Inline:
    """Writes at once, where there is a thread already."""

    def submit(self, work: Any, *arguments: Any) -> None:
        work(*arguments)

    def wait(self) -> None:
        return None


class TableWriter:
    """Appends tables to one Parquet file, or with ``spool`` to one of Arrow's own, which costs less
    and is read only from its beginning (:func:`spooled`). ``rows`` counts what was written."""

    def __init__(
        self,
        path: Path,
        schema: pa.Schema,
        background: Background | Inline,
        group_rows: int = GROUP_ROWS,
        spool: bool = False,
    ) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self.schema = schema
        self.rows = 0
        self._background = background
        self._group_rows = group_rows
        self._file = pa.ipc.new_stream(str(path), schema) if spool else _parquet(path, schema)
        self._tables: list[Callable[[], pa.Table]] = []
        self._bytes = 0
        self._waiting = 0
        self._groups = 0

    def write(self, table: pa.Table) -> None:
        self.write_later(lambda: table, table.num_rows, table.nbytes)

    def write_later(self, table: Callable[[], pa.Table], rows: int, size: int) -> None:
        """Append a table of so many rows, about so large, that is made in the writing thread."""
        if not rows:
            return
        self._tables.append(table)
        self._bytes += size
        self._waiting += rows
        self.rows += rows
        if self._waiting >= self._group_rows or self._bytes >= GROUP_BYTES:
            self._flush()

    def _flush(self) -> None:
        if self._tables:
            self._background.submit(self._put, self._tables)
        self._tables, self._bytes, self._waiting = [], 0, 0

    def _put(self, tables: list[Callable[[], pa.Table]]) -> None:
        table = pa.concat_tables([make() for make in tables])
        size = max(1, min(self._group_rows, table.num_rows * GROUP_BYTES // (table.nbytes + 1)))
        groups = -(-table.num_rows // size)
        self._file.write_table(table, -(-table.num_rows // groups))
        self._groups += groups
        if self._groups >= _TRIM:  # What was freed in between is given back to the system.
            self._groups = 0
            pa.default_memory_pool().release_unused()

    def close(self) -> None:
        """Write the rest, and wait until the file is whole."""
        self._flush()
        self._background.wait()
        self._file.close()


def _parquet(path: Path, schema: pa.Schema) -> pq.ParquetWriter:
    # Statistics on row numbers let a reader find the row groups of a query; on texts they would
    # only cost. Dictionaries help columns that say the same over and over.
    numbers = [field.name for field in schema if pa.types.is_integer(field.type)]
    repeated = [name for name in ("split", "origin", "prompt", "title") if name in schema.names]
    return pq.ParquetWriter(
        path,
        schema,
        compression="snappy",
        use_dictionary=repeated or False,
        write_statistics=numbers or False,
        store_schema=False,
    )


def spooled(path: Path) -> Iterator[pa.Table]:
    """The tables of a spool that is closed, one after the other."""
    with pa.OSFile(str(path)) as file, pa.ipc.open_stream(file) as stream:
        for batch in stream:
            yield pa.Table.from_batches([batch])


def along(tables: Iterable[pa.Table], rows: Any) -> Iterator[tuple[pa.Table, Any]]:
    """Each table with its part of an array that has an item for every row of them all."""
    start = 0
    for table in tables:
        yield table, rows[start : start + table.num_rows]
        start += table.num_rows


# One Parquet file of a data set, read by row number or by query, and no more than that of it.


class RowTable:
    """A Parquet file by row number. Its footer is read once; the file is open only while read.

    ``schema``: columns that the file lacks, as one written before they were thought of does, are
    read as empty.
    """

    def __init__(self, path: Path, schema: pa.Schema | None = None) -> None:
        self._path = path
        self._schema = schema
        self._footer = pq.read_metadata(path)
        groups = range(self._footer.num_row_groups)
        sizes = [self._footer.row_group(group).num_rows for group in groups]
        self._starts = np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)]).astype(np.int64)

    @property
    def rows(self) -> int:
        return int(self._starts[-1])

    def slice(self, start: int, stop: int) -> pa.Table:
        start, stop = max(0, min(start, self.rows)), max(0, min(stop, self.rows))
        groups = [
            group
            for group in range(len(self._starts) - 1)
            if self._starts[group] < stop and self._starts[group + 1] > start
        ]
        table = self._read(groups if start < stop else [])
        return table.slice(start - int(self._starts[groups[0]]), stop - start) if groups else table

    def at(self, rows: Sequence[int], columns: list[str] | None = None) -> pa.Table:
        """These rows in this order, reading only the row groups they lie in."""
        wanted = np.asarray(rows, np.int64)
        if len(wanted) and (wanted.min() < 0 or wanted.max() >= self.rows):
            raise IndexError(f"row numbers go from 0 to {self.rows - 1}")
        homes = np.searchsorted(self._starts, wanted, side="right") - 1
        groups = np.unique(homes)
        # Where each wanted row lies once the row groups' wanted rows are put one after another.
        places = np.empty(len(wanted), np.int64)
        parts, before = [], 0
        for group in groups.tolist():
            mine = np.flatnonzero(homes == group)
            parts.append(
                self._read([group], columns).take(pa.array(wanted[mine] - self._starts[group]))
            )
            places[mine] = before + np.arange(len(mine))
            before += len(mine)
        table = pa.concat_tables(parts) if parts else self._read([], columns)
        return table.take(pa.array(places))

    def between(self, first: int, stop: int) -> pa.Table:
        """Rows of an edge table whose query is in ``first`` to ``stop``; it is sorted by query."""
        groups = [
            group for group in range(len(self._starts) - 1) if self._touches(group, first, stop)
        ]
        table = self._read(groups)
        if not table.num_rows:
            return table
        queries = table["query"].to_numpy()
        low, high = np.searchsorted(queries, [first, stop])
        return table.slice(int(low), int(high - low))

    def groups(self) -> Iterator[pa.Table]:
        for group in range(len(self._starts) - 1):
            yield self._read([group])

    def _touches(self, group: int, first: int, stop: int) -> bool:
        known = self._footer.row_group(group).column(0).statistics
        return known is None or not known.has_min_max or (known.min < stop and known.max >= first)

    def _read(self, groups: list[int], columns: list[str] | None = None) -> pa.Table:
        with pq.ParquetFile(self._path, metadata=self._footer) as file:
            table = file.read_row_groups(groups, columns)
        for column in self._schema or ():
            if columns is None and column.name not in table.column_names:
                table = table.append_column(column, pa.nulls(table.num_rows, column.type))
        return table


# A version of a data set: which files make it up, and what was counted while reading them.

SCHEMA = 1


@dataclass(frozen=True, slots=True)
class Manifest:
    """Paths are relative to the data set's folder. ``queries`` has a file per split, in the order
    of their row numbers; ``splits`` the number of queries in each. ``pairs`` is empty where there
    are no scored pairs. ``lineage`` says, oldest first, what each version on the way here did."""

    version: int
    format: str
    documents: str
    queries: dict[str, str]
    judgments: str
    candidates: str
    problems: str
    rows: dict[str, int]
    splits: dict[str, int]
    histograms: dict[str, Any]
    problem_counts: dict[str, int]
    notes: list[str]
    sources: list[dict[str, Any]] = field(default_factory=list)
    pairs: str = ""
    lineage: list[dict[str, Any]] = field(default_factory=list)
    schema: int = SCHEMA

    def start(self, split: str) -> int:
        """The row number of a split's first query."""
        return sum(self.splits[name] for name in SPLITS[: SPLITS.index(split)])

    def write(self, path: Path) -> None:
        """Written beside and renamed: a manifest that is there is whole."""
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_suffix(".new")
        beside.write_text(json.dumps(asdict(self), ensure_ascii=False, indent=1), encoding="utf-8")
        beside.replace(path)

    @classmethod
    def read(cls, path: Path) -> "Manifest":
        return cls(**json.loads(path.read_text(encoding="utf-8")))
