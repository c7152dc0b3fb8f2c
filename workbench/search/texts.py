"""An index's own documents, by position: an Arrow file beside it, mapped into memory.

A hit's text is then a look into memory; a Parquet file would have to unpack a row group for each.
``row`` is the document's row in the data set version the index belongs to. Torch-free.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

DOCUMENTS_FILE = "documents.arrow"
SCHEMA = pa.schema(
    [
        ("row", pa.int64()),
        ("id", pa.string()),
        ("title", pa.string()),
        ("text", pa.string()),
        ("picture", pa.string()),
        ("fields", pa.string()),
    ]
)


def write_documents(folder: Path, tables: Iterable[pa.Table]) -> int:
    """Write tables with the schema's columns, in the order of the index; the file's bytes."""
    path = folder / DOCUMENTS_FILE
    partial = folder / f"{DOCUMENTS_FILE}.partial"
    with pa.OSFile(str(partial), "wb") as sink, pa.ipc.new_file(sink, SCHEMA) as writer:
        for table in tables:
            writer.write_table(table.select(SCHEMA.names).cast(SCHEMA))
    return partial.rename(path).stat().st_size


def numbered(table: pa.Table, rows: NDArray[np.int64]) -> pa.Table:
    """A data set's documents with the rows they have there (n,)."""
    return table.add_column(0, "row", pa.array(rows, pa.int64()))


class OwnDocuments:
    """The documents of an index, by position."""

    def __init__(self, folder: Path) -> None:
        with pa.memory_map(str(folder / DOCUMENTS_FILE), "r") as source:
            reader = pa.ipc.open_file(source)
            self._batches = [
                reader.get_batch(number) for number in range(reader.num_record_batches)
            ]
        self._ids = [batch.column("id") for batch in self._batches]
        sizes = [batch.num_rows for batch in self._batches]
        self._starts = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)

    @property
    def count(self) -> int:
        return int(self._starts[-1])

    def at(self, positions: NDArray[np.int64]) -> pa.Table:
        """The documents at these positions (n,), in this order."""
        parts = [self._batches[home].slice(place, 1) for home, place in self._places(positions)]
        return pa.Table.from_batches(parts, SCHEMA)

    def ids(self, positions: NDArray[np.int64]) -> list[str]:
        """Their ids alone: a tenth of the work."""
        return [self._ids[home][place].as_py() for home, place in self._places(positions)]

    def _places(self, positions: NDArray[np.int64]) -> list[tuple[int, int]]:
        """Batches, and the places in them."""
        homes = np.searchsorted(self._starts, positions, side="right") - 1
        places = np.asarray(positions) - self._starts[homes]
        return list(zip(homes.tolist(), places.tolist(), strict=True))

    def batches(self) -> list[pa.RecordBatch]:
        return self._batches

    def column(self, name: str) -> Any:
        """One column whole, as a chunked array."""
        columns = [batch.column(name) for batch in self._batches]
        return pa.chunked_array(columns, SCHEMA.field(name).type)


class ReadDocuments:
    """As :class:`OwnDocuments`, for an index from before there was such a file: position is row."""

    def __init__(self, reader: Any) -> None:
        self._reader = reader

    @property
    def count(self) -> int:
        return int(self._reader.counts["documents"])

    def at(self, positions: NDArray[np.int64]) -> pa.Table:
        rows = np.asarray(positions, np.int64)
        return numbered(self._reader.documents_at(rows.tolist()), rows)

    def ids(self, positions: NDArray[np.int64]) -> list[str]:
        found: list[str] = self._reader.documents_at(positions.tolist(), ["id"])["id"].to_pylist()
        return found

    def batches(self) -> list[Any]:
        return list(self._reader.iter_documents())

    def column(self, name: str) -> Any:
        return pa.chunked_array(
            [chunk for table in self._reader.iter_documents() for chunk in table[name].chunks],
            pa.string(),
        )


Documents = OwnDocuments | ReadDocuments


def open_documents(folder: Path, reader: Any) -> Documents:
    """The index's own file, or its data set's where it has none."""
    return OwnDocuments(folder) if (folder / DOCUMENTS_FILE).is_file() else ReadDocuments(reader)


def as_rows(table: pa.Table) -> NDArray[np.int64]:
    """The data set's rows of some documents."""
    rows: NDArray[np.int64] = pc.cast(table["row"], pa.int64()).to_numpy()
    return rows
