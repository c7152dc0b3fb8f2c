"""Reading back: whole tables, single rows, pages, searches, and rows to train on."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.workbench.data.fakes import bring, lines
from workbench.data import writer
from workbench.data.reader import DatasetReader
from workbench.errors import BadInput
from workbench.workspace import Workspace

QUERIES = 1_000


@pytest.fixture(scope="module")
def reader(workspace: Workspace, tmp_path_factory: pytest.TempPathFactory) -> DatasetReader:
    """A set of many row groups."""
    folder = tmp_path_factory.mktemp("rows")
    rows = [
        {"query": f"query {i}", "pos": [f"pos {i}"], "neg": [f"neg {i} {j}" for j in range(i % 4)]}
        for i in range(QUERIES)
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(writer, "GROUP_BYTES", 2_000)
        return bring(workspace, lines(folder / "rows.jsonl", rows))[1]


def test_counts(reader: DatasetReader) -> None:
    counts = reader.counts
    assert counts["splits"] == {"train": 800, "dev": 100, "test": 100}
    assert counts["queries"] == counts["judgments"] == QUERIES
    assert counts["candidates"] == sum(i % 4 for i in range(QUERIES))
    assert counts["documents"] == QUERIES + counts["candidates"]
    path = reader._folder / reader.manifest.documents
    assert pq.read_metadata(path).num_row_groups > 5


def test_documents_by_row_and_in_order(reader: DatasetReader) -> None:
    whole = reader.documents()["text"].to_pylist()
    assert whole[:3] == ["pos 0", "pos 1", "neg 1 0"]
    assert [
        row for table in reader.iter_documents(333) for row in table["text"].to_pylist()
    ] == whole
    rows = [2_000, 0, 1_234, 0, 7]
    assert reader.documents_at(rows)["text"].to_pylist() == [whole[row] for row in rows]
    assert reader.documents_at([]).num_rows == 0
    ids = reader.documents_at(rows, ["id"])
    assert ids.column_names == ["id"] == reader.documents_at([], ["id"]).column_names
    assert ids["id"].to_pylist() == reader.documents_at(rows)["id"].to_pylist()
    assert reader.documents(10, 12)["text"].to_pylist() == whole[10:12]
    with pytest.raises(IndexError):
        reader.documents_at([len(whole)])


def test_queries_are_numbered_through_all_splits(reader: DatasetReader) -> None:
    table = reader.queries()
    assert table["row"].to_pylist() == list(range(QUERIES))
    test = reader.queries("test")
    assert set(test["split"].to_pylist()) == {"test"}
    assert test["row"].to_pylist() == list(range(900, 1_000))
    with pytest.raises(BadInput):
        reader.queries("everything")


def test_edges_name_the_right_rows(reader: DatasetReader) -> None:
    for split in ("train", "dev", "test", None):
        queries = dict(
            zip(*(reader.queries(split)[n].to_pylist() for n in ("row", "text")), strict=True)
        )
        judgments = reader.judgments(split)
        texts = reader.documents_at(judgments["document"].to_pylist())["text"].to_pylist()
        pairs = zip(judgments["query"].to_pylist(), texts, strict=True)
        assert {queries[row]: text for row, text in pairs} == {
            text: text.replace("query", "pos") for text in queries.values()
        }
        asked = reader.candidates(split)["query"].to_pylist()
        assert asked == sorted(asked)
        assert set(asked) <= set(queries)


def test_pages(reader: DatasetReader) -> None:
    every = reader.page(0, QUERIES)
    assert len(every) == QUERIES
    for row in every:
        number = int(row.query.split()[1])
        assert row.positives == [f"pos {number}"]
        assert row.negatives == [f"neg {number} {j}" for j in range(number % 4)]
    assert reader.page(795, 10) == every[795:805]  # Over the border of two splits.
    assert reader.page(5, 10, split="dev") == every[805:815]
    assert reader.page(95, 10, split="dev") == every[895:900]
    assert reader.page(QUERIES, 10) == []


def test_a_page_reads_only_the_row_groups_it_lies_in(
    reader: DatasetReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[int] = []
    original = pq.ParquetFile.read_row_groups

    def counted(self: pq.ParquetFile, groups: list[int], *more: object) -> pa.Table:
        read.extend(groups)
        return original(self, groups, *more)

    monkeypatch.setattr(pq.ParquetFile, "read_row_groups", counted)
    reader.page(500, 5)
    assert 0 < len(read) <= 12


def test_search(reader: DatasetReader) -> None:
    found = reader.page(0, 50, search="QUERY 99")
    assert {row.query for row in found} == {"query 99", *(f"query 99{i}" for i in range(10))}
    assert reader.page(4, 3, search="query 99") == found[4:7]
    assert reader.page(0, 5, search="not there") == []
    in_test = {row.query for row in reader.page(0, QUERIES, split="test", search="1")}
    assert in_test == {q for q in reader.queries("test")["text"].to_pylist() if "1" in q}


def test_training_rows(reader: DatasetReader) -> None:
    table = reader.training_rows(2, seed=5)
    assert table.num_rows == 800
    texts = reader.documents()["text"].to_pylist()
    queries = reader.queries("train")["text"].to_pylist()
    for row in table.to_pylist():
        number = int(queries[row["query"]].split()[1])
        assert texts[row["positive"]] == f"pos {number}"
        assert len(set(row["negatives"])) == min(2, number % 4)
        assert all(texts[one].startswith(f"neg {number} ") for one in row["negatives"])
    assert reader.training_rows(2, seed=5).equals(table)
    assert not reader.training_rows(2, seed=6).equals(table)
    assert reader.training_rows(0, seed=5)["negatives"].to_pylist() == [[]] * 800


def test_histograms(reader: DatasetReader) -> None:
    lengths = reader.histograms["query"]
    assert sum(lengths["counts"]) == QUERIES
    assert len(lengths["counts"]) == len(lengths["edges"])
    assert lengths["counts"][0] == QUERIES  # None has ten characters.
    assert lengths["longest"] == len("query 999")
    assert lengths["unit"] == "characters"


def test_lengths_are_those_of_characters(workspace: Workspace, tmp_path: Path) -> None:
    row = {"query": "中" * 50, "pos": ["a" * 200_000]}
    _, found = bring(workspace, lines(tmp_path / "rows.jsonl", [row]))
    assert found.histograms["query"]["longest"] == 50
    assert found.histograms["document"]["counts"][-1] == 1
