"""What the data set knows of a query, and an index's documents by position."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from workbench.search.found import Found, Known
from workbench.search.texts import SCHEMA, OwnDocuments, write_documents


class FakeReader:
    """Queries and their judgments: (query row, document row, grade)."""

    def __init__(self, texts: list[str], judged: list[tuple[int, int, int]]) -> None:
        self.texts, self.judged = texts, judged

    def queries(self) -> pa.Table:
        rows = pa.array(range(len(self.texts)), pa.int64())
        return pa.table({"text": pa.array(self.texts, pa.string()), "row": rows})

    def judgments(self) -> pa.Table:
        columns = [list(one) for one in zip(*self.judged, strict=True)] or [[], [], []]
        names = ("query", "document", "grade")
        return pa.table(
            {name: pa.array(one, pa.int64()) for name, one in zip(names, columns, strict=True)}
        )


def test_what_is_judged_of_a_query_is_known_with_its_grade() -> None:
    known = Known(FakeReader(["tea", "two"], [(0, 7, 1), (0, 8, 0), (1, 9, 2)]))
    assert known.grades("  tea\n") == {7: 1, 8: 0}
    assert known.grades("two") == {9: 2}
    assert known.grades("Tea") is None


def test_without_queries_none_is_known() -> None:
    assert Known(FakeReader([], [])).grades("tea") is None


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=3), max_size=30))
def test_a_query_has_the_documents_of_all_its_rows(texts: list[str]) -> None:
    judged = [(row, 100 + row, 1) for row in range(len(texts))]
    known = Known(FakeReader([text.strip() for text in texts], judged))
    for text in texts:
        same = {100 + row: 1 for row, one in enumerate(texts) if one.strip() == text.strip()}
        assert known.grades(text) == same


def test_a_hit_has_its_documents_own_fields_and_picture() -> None:
    table = pa.table(
        {
            "row": [4, 5, 6],
            "id": ["d4", "d5", "d6"],
            "title": ["T", None, None],
            "text": ["a", "b", None],
            "picture": [None, None, "pictures/6.png"],
            "fields": ['{"year": 2020, "tags": ["x", {"y": 1}]}', None, ""],
        },
        SCHEMA,
    )
    found = Found(np.array([4, 5, 6]), np.array([0.5, 0.25, 0.125], np.float32), table)
    hits = found.hits(None)
    assert [hit.fields for hit in hits] == [{"year": 2020, "tags": ["x", {"y": 1}]}, {}, {}]
    assert [hit.picture for hit in hits] == ["", "", "pictures/6.png"]
    again = found.reordered(np.array([0.1, 0.2, 0.3], np.float32), 2).hits(None)
    assert [hit.id for hit in again] == ["d6", "d5"]


def test_documents_by_position_over_several_batches(tmp_path: Path) -> None:
    def part(start: int, count: int) -> pa.Table:
        columns: dict[str, Any] = {name: [None] * count for name in SCHEMA.names}
        columns["row"] = range(start, start + count)
        columns["id"] = [f"d{row}" for row in range(start, start + count)]
        return pa.table(columns, SCHEMA)

    write_documents(tmp_path, [part(0, 3), part(3, 1), part(4, 5)])
    documents = OwnDocuments(tmp_path)
    positions = np.array([8, 0, 3, 2, 4])
    assert documents.ids(positions) == ["d8", "d0", "d3", "d2", "d4"]
    assert documents.at(positions)["id"].to_pylist() == documents.ids(positions)
    assert documents.ids(np.empty(0, np.int64)) == []
