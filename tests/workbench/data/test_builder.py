"""What a builder holds in memory until it is written."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from workbench.data import builder as module
from workbench.data.batch import Batch, from_rows, joined
from workbench.data.builder import Builder
from workbench.data.problems import ProblemLog, Report
from workbench.data.shapes.row import Document, Row

MEGABYTE = 1_000_000


@pytest.fixture
def builder(tmp_path: Path) -> Iterator[Builder]:
    made = Builder(tmp_path)
    made.begin(Report(ProblemLog(tmp_path / "problems.parquet"), "rows.jsonl"), "train")
    yield made
    made.close()


def most_held(builder: Builder, rows: int, add: Callable[[int], None]) -> int:
    """The most bytes that columns took after each of so many calls."""
    before, most = pa.total_allocated_bytes(), 0
    for number in range(rows):
        add(number)
        builder.background.wait()
        most = max(most, pa.total_allocated_bytes() - before)
    return most


def wide(number: int) -> Row:
    return Row(f"q{number}", [f"d{number}"], [1], fields=f"{number} " + "x" * MEGABYTE)


def wide_document(number: int) -> Row:
    document = Document(f"d{number}", fields=f"{number} " + "x" * MEGABYTE)
    return Row(f"q{number}", [document], [1])


@pytest.mark.parametrize("row", [wide, wide_document])
@pytest.mark.parametrize("together", [True, False])
def test_other_columns_are_not_heaped_up(
    builder: Builder, row: Callable[[int], Row], together: bool
) -> None:
    def add(number: int) -> None:
        if together:
            builder.take(from_rows([row(number)], [number]))
        else:
            builder.add(number, row(number))

    assert most_held(builder, 40, add) < 16 * MEGABYTE
    assert builder.documents.rows > 35, "rows that were read wait nowhere else"
    builder.flush()
    assert (builder.documents.rows, builder.queries.rows) == (40, 40)


def test_a_large_batch_is_added_by_itself(
    builder: Builder, monkeypatch: pytest.MonkeyPatch
) -> None:
    added: list[int] = []

    def joined_and_told(batches: list[Batch]) -> Batch:
        added.append(len(batches))
        return joined(batches)

    monkeypatch.setattr(module, "joined", joined_and_told)
    for number, size in enumerate((1, 1, 3 * MEGABYTE, 1)):
        builder.take(from_rows([Row(f"q{number}", [str(number) * size], [1])], [number]))
    builder.flush()
    assert added == [2, 1, 1]
    assert builder.documents.rows == 4


@pytest.mark.parametrize("kind", ["document", "query"])
def test_few_new_texts_do_not_keep_the_others(builder: Builder, kind: str) -> None:
    known = [f"{number} " + "x" * 1_000 for number in range(1_000)]

    def add(number: int) -> None:
        fresh = [f"new {number}"]
        if kind == "document":
            row: Any = Row(f"q{number}", fresh + known, [1] * 1_001)
            builder.take(from_rows([row], [number]))
        else:
            rows = [Row(query, [f"d{number}"], [1]) for query in fresh + known]
            builder.take(from_rows(rows, list(range(len(rows)))))

    assert most_held(builder, 30, add) < 16 * MEGABYTE
    builder.flush()
    written = builder.documents if kind == "document" else builder.queries
    assert written.rows == 1_000 + 30
    written.close()
    if kind == "document":
        texts = pq.read_table(written.path)["text"].to_pylist()
    else:
        texts = pa.ipc.open_stream(written.path).read_all()["text"].to_pylist()
    assert texts == ["new 0", *known, *(f"new {number}" for number in range(1, 30))]
