"""Parquet: batches of rows as objects. The 'line' of a problem is the row's number."""

from collections.abc import Callable, Iterator
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from workbench.data.formats.jsonlines import Record
from workbench.data.problems import shorten
from workbench.data.report import Report

#: Rows in memory at a time.
BATCH = 1_000


def read(
    file: Any, report: Report, done: Callable[[float], None], rows: int = BATCH
) -> Iterator[Record]:
    """Rows of a seekable file; ``done`` hears the share that has been read."""
    number = 0
    try:
        with pq.ParquetFile(file) as table:
            total = max(1, table.metadata.num_rows)
            for batch in table.iter_batches(batch_size=rows):
                for row in _rows(batch, number, report):
                    number += 1
                    if row is not None:
                        yield number, row
                done(number / total)
    except (pa.ArrowException, OSError, ValueError) as error:
        report.add("unreadable", 0, detail=shorten(str(error), 200))


def _rows(batch: Any, before: int, report: Report) -> Iterator[dict[str, Any] | None]:
    try:
        yield from batch.to_pylist()
        return
    except (UnicodeDecodeError, ValueError, OverflowError):
        pass  # A value in it is beyond Python: find the row, and keep the others.
    for position in range(batch.num_rows):
        try:
            yield batch.slice(position, 1).to_pylist()[0]
        except (ValueError, OverflowError) as error:
            code = "not-utf8" if isinstance(error, UnicodeDecodeError) else "wrong-type"
            detail = "UTF-8" if code == "not-utf8" else "a value out of range"
            report.add(code, before + position + 1, detail=detail)
            yield None
