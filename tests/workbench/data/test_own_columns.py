"""What a row says beside its texts: kept with its query or pair, split by, sent along, told of."""

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from tests.workbench.data.fakes import bring, context, lines
from workbench.data.export import run as export
from workbench.data.push import left_out, stage
from workbench.data.reader import DatasetReader
from workbench.data.resplit import resplit
from workbench.data.versions import Changes, new_version
from workbench.errors import BadInput
from workbench.recipes.data import ExportDataRecipe, ResplitRecipe
from workbench.workspace import Workspace


def own(reader: DatasetReader) -> dict[str, Any]:
    """Query -> its own columns."""
    table = reader.queries()
    texts = zip(table["text"].to_pylist(), table["fields"].to_pylist(), strict=True)
    return {text: json.loads(fields) if fields else {} for text, fields in texts}


def dated(number: int) -> dict[str, Any]:
    return {"date": f"2024-{number + 1:02}-01", "topic": {"id": number}, "empty": ""}


@pytest.mark.parametrize(
    "row",
    [
        {"query": "q", "pos": ["p"], "neg": ["n"]},
        {"anchor": "q", "positive": "p"},
        {"question": "q", "positive_ctxs": [{"title": "t", "text": "p"}], "answers": ["p"]},
        {"query": "q", "hits": [{"content": "p", "label": 1}]},
        {"query": "q", "passage": "p", "label": 1},
        {"query": ["Find:", "q"], "pos": ["Read:", "p"]},
        {"query": "q", "answer": "p", "type": "a", "task_name": "b", "dataset": "c"},
    ],
)
def test_every_shape_keeps_them(row: dict[str, Any], workspace: Workspace, tmp_path: Path) -> None:
    said = {"date": "2024-06-15", "nothing": None, **row}
    result, reader = bring(workspace, lines(tmp_path / "a.jsonl", [said]))
    kept = own(reader)["q"]
    extra = {"answers", "type", "task_name", "dataset"}
    assert kept == {name: said[name] for name in said if name in {"date", *extra}}
    assert result["problem_counts"].keys() <= {"instruction-dropped"}
    assert any("'date'" in note for note in result["notes"])


def test_one_that_is_nearly_known_is_told_of_and_kept(workspace: Workspace, tmp_path: Path) -> None:
    rows = [{"query": "q", "pos": ["p"], "date": "2024", "negatve": "n"}]
    result, reader = bring(workspace, lines(tmp_path / "a.jsonl", rows))
    [problem] = result["problems"]
    assert problem["field"] == "negatve"
    assert "Rename it to 'negative'" in problem["message"]
    assert own(reader)["q"] == {"date": "2024", "negatve": "n"}


def test_ids_of_documents_are_theirs(workspace: Workspace, tmp_path: Path) -> None:
    rows = [{"query": "q", "pos": ["p", "r"], "pos_id": ["a", 7], "neg": ["n"], "neg_id": ["b"]}]
    _, reader = bring(workspace, lines(tmp_path / "a.jsonl", rows))
    documents = reader.documents()
    ids = zip(documents["text"].to_pylist(), documents["id"].to_pylist(), strict=True)
    assert dict(ids) == {"p": "a", "r": "7", "n": "b"}
    assert own(reader)["q"] == {}


def test_passages_keep_theirs_as_documents(workspace: Workspace, tmp_path: Path) -> None:
    passage = {"docid": "d", "title": "t", "text": "p", "year": 1999, "score": 0.5}
    rows = [{"query": "q", "positive_passages": [passage], "negative_passages": []}]
    _, reader = bring(workspace, lines(tmp_path / "a.jsonl", rows))
    assert json.loads(reader.documents()["fields"][0].as_py()) == {"year": 1999}


def test_the_first_row_of_a_query_stays_and_the_others_are_told(
    workspace: Workspace, tmp_path: Path
) -> None:
    rows = [{"query": "q", "pos": [f"p{n}"], "date": f"202{n}"} for n in range(3)]
    same = [{"query": "q", "pos": ["p9"], "date": "2020"}]
    result, reader = bring(workspace, lines(tmp_path / "a.jsonl", [*rows, *same]))
    assert own(reader)["q"] == {"date": "2020"}
    assert [note for note in result["notes"] if note.startswith("2 rows say something else")]


def test_columns_without_a_role_go_along_whatever_they_are_called(
    workspace: Workspace, tmp_path: Path
) -> None:
    rows = [{"frage": "q", "antwort": "p", "label": 0.5, "text": "no document", "datum": "2024"}]
    mapping = ["query=frage", "positive=antwort"]
    _, reader = bring(workspace, lines(tmp_path / "a.jsonl", rows), mapping=mapping)
    assert own(reader)["q"] == {"label": 0.5, "text": "no document", "datum": "2024"}


def test_queries_and_pairs_are_split_by_time(workspace: Workspace, tmp_path: Path) -> None:
    rows = [{"query": f"q{n}", "pos": [f"p{n % 3}"], **dated(n)} for n in range(10)]
    pairs = [{"text1": f"l{n}", "text2": f"r{n}", "score": 0.5, **dated(n)} for n in range(10)]
    files = lines(tmp_path / "a.jsonl", rows), lines(tmp_path / "b.jsonl", pairs)
    _, reader = bring(workspace, *files)
    assert reader.own_columns() == ["date", "topic"]
    recipe = ResplitRecipe(dataset=reader.name, by="field", field="date", test_share=0.2)
    changes = resplit(reader, recipe, lambda: None)
    how = {"what": "split", "by": "test"}
    number = new_version(workspace, reader.name, changes, how, context(workspace), reader.version)
    made = workspace.datasets.read(reader.name, number)
    assert set(made.queries("test")["text"].to_pylist()) == {"q8", "q9"}
    assert set(made.pairs("test")["left"].to_pylist()) == {"l8", "l9"}
    assert made.pairs("dev")["left"].to_pylist() == ["l7"]
    assert own(made) == own(reader)
    with pytest.raises(BadInput, match="has a value in 'day'") as refused:
        resplit(reader, recipe.model_copy(update={"field": "day"}), lambda: None)
    assert "date, topic" in refused.value.hint


def test_files_from_before_have_none(workspace: Workspace, tmp_path: Path) -> None:
    rows = [{"query": f"q{n}", "pos": [f"p{n}"], "date": "2024"} for n in range(9)]
    pairs = [{"text1": "l", "text2": "r", "score": 0.5}]
    files = lines(tmp_path / "a.jsonl", rows), lines(tmp_path / "b.jsonl", pairs)
    _, reader = bring(workspace, *files)
    for path in [*reader.manifest.queries.values(), reader.manifest.pairs]:
        table = pq.read_table(reader.folder / path)
        pq.write_table(table.drop_columns("fields"), reader.folder / path)
    old = workspace.datasets.read(reader.name)
    assert own(old) == {f"q{n}": {} for n in range(9)}
    assert old.pairs()["fields"].to_pylist() == [None]
    # A version that writes some of the files anew is read together with those.
    changes = Changes(drop_queries=[0], move_queries={1: "test"})
    how = {"what": "moved", "by": "test"}
    number = new_version(workspace, old.name, changes, how, context(workspace), old.version)
    assert len(own(workspace.datasets.read(old.name, number))) == 8


def test_they_go_out_where_there_is_a_place_and_are_told_where_not(
    workspace: Workspace, tmp_path: Path
) -> None:
    rows = [{"query": f"q{n}", "pos": [f"p{n}"], "neg": ["n"], **dated(n)} for n in range(5)]
    _, reader = bring(workspace, lines(tmp_path / "a.jsonl", rows))
    for format in ("beir", "flagembedding"):
        out = tmp_path / format
        recipe = ExportDataRecipe(dataset=reader.name, format=format, output=str(out))
        said = export(recipe, context(workspace))["left_out"]
        _, again = bring(workspace, out)
        assert ("the queries' own columns (5)" in said) == (format == "flagembedding")
        assert own(again) == (own(reader) if format == "beir" else {f"q{n}": {} for n in range(5)})
    folder = tmp_path / "sent"
    folder.mkdir()
    stage(reader, folder)
    _, again = bring(workspace, folder)
    assert own(again) == own(reader)
    assert left_out(reader) == ["candidates (negatives) (5)"]
