"""Rows of too many columns: refused one by one, so that no file is worked on for hours."""

from collections.abc import Iterator
from itertools import islice
from typing import Any

from workbench.data.formats.jsonlines import Record
from workbench.data.report import Report

#: Whoever drops a table of measurements with a text in it has some thousand; each is looked at for
#: what it may mean, and kept with each row.
MOST_COLUMNS = 10_000


def narrow(records: Iterator[Record], report: Report) -> Iterator[Record]:
    """The rows that have no more columns than are read; the others go to the report."""
    for line, row in records:
        if len(row) > MOST_COLUMNS:
            report.add("too-many-columns", line, detail=f"{len(row):,}")
        else:
            yield line, row


def first_columns(sample: dict[str, Any]) -> dict[str, Any]:
    """The columns of a row by which a file is recognised: as many as are read."""
    if len(sample) <= MOST_COLUMNS:
        return sample
    return dict(islice(sample.items(), MOST_COLUMNS))
