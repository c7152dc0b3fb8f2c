"""One Parquet file of a data set, read by row number or by query, and no more than that of it."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq


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
        for field in self._schema or ():
            if columns is None and field.name not in table.column_names:
                table = table.append_column(field, pa.nulls(table.num_rows, field.type))
        return table
