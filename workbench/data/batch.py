"""Some hundred rows as columns: what the builder works on, a few calls for all of them."""

from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
import pyarrow as pa

from workbench.data.shapes.row import Document, Row

Array = np.ndarray[Any, Any]


@dataclass(slots=True)
class Batch:
    """``queries``, ``lines``, ``prompts``, ``ids`` and ``fields`` have an item per row. The others
    have one per document: its row (``owner``), its place in the row, its grade (0: given, not
    judged relevant) and score (NaN: none). ``details`` has titles and ids; it is empty where no
    document has any."""

    lines: Array
    queries: pa.StringArray
    texts: pa.StringArray
    owner: Array
    place: Array
    grades: Array
    scores: Array | None = None
    details: list[Document | None] | None = None
    prompts: list[str | None] | None = None
    ids: list[str | None] | None = None
    fields: list[str] | None = None
    #: Per row: the column that has no relevant text, '' where one is there.
    lacks: list[str] | None = None

    def __len__(self) -> int:
        return len(self.queries)


def from_rows(rows: list[Row], lines: list[int]) -> Batch:
    """Rows that were read one by one."""
    counts = np.fromiter((len(row.documents) for row in rows), np.int64, len(rows))
    flat = list(chain.from_iterable(row.documents for row in rows))
    details, texts = None, flat
    if set(map(type, flat)) != {str}:
        details = [one if type(one) is Document else None for one in flat]
        texts = [one.text if type(one) is Document else one for one in flat]
    return Batch(
        lines=np.array(lines, np.int64),
        queries=pa.array([row.query for row in rows], pa.string()),
        texts=pa.array(texts, pa.string()),
        owner=np.repeat(np.arange(len(rows)), counts),
        place=np.arange(len(flat)) - np.repeat(np.cumsum(counts) - counts, counts),
        grades=np.array(list(chain.from_iterable(row.grades for row in rows)), np.int32),
        scores=_scores(rows, counts) if any(row.scores for row in rows) else None,
        details=details,
        prompts=[row.prompt for row in rows] if any(row.prompt for row in rows) else None,
        ids=[row.query_id for row in rows] if any(row.query_id for row in rows) else None,
        fields=[row.fields for row in rows] if any(row.fields for row in rows) else None,
        lacks=[row.lacks for row in rows] if any(row.lacks for row in rows) else None,
    )


def _scores(rows: list[Row], counts: Array) -> Array:
    scores = np.full(int(counts.sum()), np.nan, np.float32)
    at = 0
    for row in rows:
        if row.scores is not None:
            given = [np.nan if score is None else score for score in row.scores]
            scores[at : at + len(given)] = given
        at += len(row.documents)
    return scores
