"""Parquet: batches of rows as objects. The 'line' of a problem is the row's number."""

from collections.abc import Iterator

import pyarrow as pa
import pyarrow.parquet as pq

from workbench.data.formats.columnar import rows_of
from workbench.data.formats.fileformat import FileFormat, Head, Look, OpenFile
from workbench.data.formats.jsonlines import Record
from workbench.data.problems import shorten


def read(file: OpenFile) -> Iterator[Record]:
    """The rows, some in memory at a time."""
    number = 0
    try:
        with file.whole() as stream, file.sharing() as done, pq.ParquetFile(stream) as table:
            total = max(1, table.metadata.num_rows)
            for batch in table.iter_batches(batch_size=file.rows_at_once):
                yield from rows_of(batch, number, file.report)
                number += batch.num_rows
                done(number / total)
    except (pa.ArrowException, OSError, ValueError) as error:
        file.report.add("unreadable", 0, detail=shorten(str(error), 200))


def _look(head: Head, format: FileFormat) -> Look | None:
    if head.suffix not in format.suffixes and not head.data.startswith(b"PAR1"):
        return None
    try:
        with head.open() as stream:
            # In a zip it can be read from its end only once it is copied out.
            return Look(dict.fromkeys(pq.read_schema(stream).names) if stream.seekable() else {})
    except (pa.ArrowException, OSError, ValueError):
        return Look()  # The reader says what is wrong with it.


FORMAT = FileFormat(
    "parquet", "Parquet", (".parquet",), read, order=10, first_bytes=(b"PAR1",), look=_look
)
