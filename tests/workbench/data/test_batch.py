"""Rows as columns: several batches in one."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from workbench.data.batch import Batch, Details, from_rows, joined
from workbench.data.shapes.row import Document, Row

PLAIN = Row("q1", ["a", "b"], [1, 0])
FULL = Row(
    "q2",
    [Document("c", "title", "id-c", '{"x": 1}', "picture.png"), "d"],
    [2, 0],
    [0.5, None],
    "find",
    "id-q2",
    '{"year": 1999}',
    "pos",
)


def columns(batch: Batch) -> dict[str, object]:
    """What a batch says, with what is said nowhere as it is read: null, '' or NaN."""
    details = batch.details or Details()
    texts = {name: getattr(details, name) for name in ("ids", "titles", "fields", "pictures")}
    rows = {name: getattr(batch, name) for name in ("prompts", "ids", "fields")}
    found: dict[str, object] = {f"document {name}": _listed(one) for name, one in texts.items()}
    found |= {f"row {name}": _listed(one) for name, one in rows.items()}
    for name in ("lines", "owner", "place", "grades"):
        found[name] = getattr(batch, name).tolist()
    found["texts"], found["queries"] = batch.texts.to_pylist(), batch.queries.to_pylist()
    found["scores"] = None if batch.scores is None else np.nan_to_num(batch.scores, nan=-1).tolist()
    found["lacks"] = batch.lacks
    return found


def _listed(column: pa.StringArray | None) -> list[str | None] | None:
    return None if column is None else column.to_pylist()


def test_batches_in_one_are_their_rows_in_one() -> None:
    for rows in ([PLAIN, FULL], [FULL, PLAIN], [PLAIN, PLAIN], [FULL, FULL]):
        lines = [3, 7]
        whole = from_rows(rows, lines)
        parts = [from_rows([row], [line]) for row, line in zip(rows, lines, strict=True)]
        assert columns(joined(parts)) == columns(whole)


LONG = "x" * 10_000
DOCUMENT = Document("c", "title", "id-c", '{"x": 1}', "picture.png")


@pytest.mark.parametrize(
    "row",
    [
        replace(FULL, query=LONG),
        replace(FULL, prompt=LONG),
        replace(FULL, query_id=LONG),
        replace(FULL, fields=LONG),
        *(
            replace(FULL, documents=[replace(DOCUMENT, **{name: LONG}), "d"])
            for name in ("text", "title", "id", "fields", "picture")
        ),
    ],
)
def test_all_that_a_batch_holds_is_counted(row: Row) -> None:
    assert from_rows([row], [1]).bytes >= from_rows([FULL], [1]).bytes + 9_900


def test_one_batch_is_itself() -> None:
    batch = from_rows([FULL], [1])
    assert joined([batch]) is batch
