"""Rows out of the record batches of Arrow, which Parquet and Arrow files are read as."""

from collections.abc import Iterator
from typing import Any

from workbench.data.formats.jsonlines import Record
from workbench.data.formats.tables import join, same_names
from workbench.data.report import Report


def rows_of(batch: Any, before: int, report: Report) -> Iterator[Record]:
    """The batch's rows with their numbers; ``before``: rows that came before it."""
    names = list(batch.schema.names)
    doubled = len(set(same_names(names))) < len(names)
    if doubled:
        batch = batch.rename_columns([str(place) for place in range(len(names))])
    for number, row in enumerate(_rows(batch, before, report), before + 1):
        if row is not None and doubled:
            yield number, join(same_names(names), list(row.values()), number, report)
        elif row is not None:
            yield number, row


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
