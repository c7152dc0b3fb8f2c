"""Which files of a folder belong together: a corpus, its queries and what is judged of them."""

import json
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.workbench.data.fakes import bring, everything
from workbench.workspace import Workspace

TABLES = {
    "corpus": pa.table({"_id": ["d1", "d2"], "title": ["", ""], "text": ["one", "two"]}),
    "queries": pa.table({"_id": ["1", "2"], "text": ["first", "second"]}),
    "test": pa.table({"query-id": ["1"], "corpus-id": ["d1"], "score": [1]}),
    "dev": pa.table({"query-id": ["2"], "corpus-id": ["d2"], "score": [1]}),
}


def clone(folder: Path, *places: str) -> Path:
    """A retrieval set as a hub has it; ``places``: where each table lies."""
    for place in places:
        name = next(name for name in TABLES if name in place.rsplit("/", 1)[-1] or name in place)
        (folder / place).parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(TABLES[name], folder / place)
    return folder


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize(
    "places",
    [
        (
            "corpus/corpus-00000-of-00001.parquet",
            "queries/queries-00000-of-00001.parquet",
            "data/test-00000-of-00001.parquet",
            "data/dev-00000-of-00001.parquet",
        ),
        (
            "corpus/train-00000-of-00001.parquet",
            "queries/train-00000-of-00001.parquet",
            "default/test/0000.parquet",
            "default/dev/0000.parquet",
        ),
        ("corpus.parquet", "queries.parquet", "qrels/test.parquet", "qrels/dev.parquet"),
        ("corpus.parquet", "queries.parquet", "test.parquet", "dev.parquet"),
    ],
)
def test_a_cloned_hub_folder(
    places: tuple[str, ...], zipped: bool, workspace: Workspace, tmp_path: Path
) -> None:
    folder = clone(tmp_path / "set", *places)
    (folder / "README.md").write_text("# About it")
    (folder / "dataset_infos.json").write_text('{"default": {}}')
    path = Path(shutil.make_archive(str(tmp_path / "in"), "zip", folder)) if zipped else folder
    result, reader = bring(workspace, path)
    assert (result["format"], result["documents"]) == ("beir", 2)
    assert everything(reader) == {"first": ("test", ["one"], []), "second": ("dev", ["two"], [])}
    assert result["problems"] == []


@pytest.mark.parametrize("name", ["train", "test", "dev", "corpus", "queries", "qrels", "docs"])
def test_a_folder_of_any_name(name: str, workspace: Workspace, tmp_path: Path) -> None:
    folder = clone(tmp_path / name, "corpus.parquet", "queries.parquet", "qrels/test.parquet")
    result, reader = bring(workspace, folder)
    assert everything(reader) == {"first": ("test", ["one"], [])}
    assert result["documents"] == 2


def test_rows_in_a_folder_called_train(workspace: Workspace, tmp_path: Path) -> None:
    (tmp_path / "train").mkdir()
    for name, query in (("part.jsonl", "a"), ("test.jsonl", "b"), ("valid.jsonl", "c")):
        row = json.dumps({"query": query, "pos": ["p"]})
        (tmp_path / "train" / name).write_text(row)
    _, reader = bring(workspace, tmp_path / "train")
    found = {query: row[0] for query, row in everything(reader).items()}
    assert found == {"a": "train", "b": "test", "c": "dev"}


def test_two_sets_in_one_folder_stay_apart(workspace: Workspace, tmp_path: Path) -> None:
    clone(tmp_path / "in/a", "corpus.parquet", "queries.parquet", "qrels/test.parquet")
    (tmp_path / "in/b/qrels").mkdir(parents=True)
    (tmp_path / "in/b/corpus.jsonl").write_text('{"_id": "d1", "text": "of b"}\n')
    (tmp_path / "in/b/queries.jsonl").write_text('{"_id": "1", "text": "asked of b"}\n')
    (tmp_path / "in/b/qrels/test.tsv").write_text("query-id\tcorpus-id\tscore\n1\td1\t1\n")
    result, reader = bring(workspace, tmp_path / "in")
    assert {query: row[1] for query, row in everything(reader).items()} == {
        "first": ["one"],
        "asked of b": ["of b"],
    }
    assert set(result["problem_counts"]) <= {"duplicate-id"}


def test_parts_as_folders_of_their_own(workspace: Workspace, tmp_path: Path) -> None:
    clone(tmp_path, "corpus/0.parquet", "queries/0.parquet", "qrels/test.parquet")
    paths = [tmp_path / name for name in ("corpus", "queries", "qrels")]
    _, reader = bring(workspace, *paths)
    assert everything(reader) == {"first": ("test", ["one"], [])}
