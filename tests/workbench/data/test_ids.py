"""Texts that are named by id: numbers written as floats, and rows that hold ids for texts."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.workbench.data.fakes import bring, codes, everything, lines
from workbench.errors import NoGoodRows
from workbench.workspace import Workspace


def collection(folder: Path, ids: list[Any], suffix: str = "jsonl") -> Path:
    """Documents and queries under these ids."""
    for name, key in (("corpus", "document"), ("queries", "topic")):
        rows = [{"_id": id, "text": f"{key} {n}"} for n, id in enumerate(ids)]
        if suffix == "jsonl":
            lines(folder / f"{name}.jsonl", rows)
        elif suffix == "tsv":
            folder.mkdir(parents=True, exist_ok=True)
            text = "".join(f"{row['_id']}\t{row['text']}\n" for row in rows)
            (folder / f"{name}.tsv").write_text("_id\ttext\n" + text)
        else:
            folder.mkdir(parents=True, exist_ok=True)
            pq.write_table(pa.Table.from_pylist(rows), folder / f"{name}.parquet")
    return folder


def qrels(folder: Path, text: str, suffix: str = "tsv") -> Path:
    (folder / "qrels").mkdir(exist_ok=True)
    (folder / f"qrels/test.{suffix}").write_text(text)
    return folder


HEAD = "query-id\tcorpus-id\tscore\n"


@pytest.mark.parametrize(
    "ids", [[0, 1, 2], ["0", "1", "2"], [0.0, 1.0, 2.0], ["0.0", "1.0", "2.0"]]
)
@pytest.mark.parametrize("suffix", ["jsonl", "tsv", "parquet"])
@pytest.mark.parametrize("form", ["{}", "{}.0", "{}e0"])
def test_whole_numbers_meet_however_they_are_written(
    ids: list[Any], suffix: str, form: str, workspace: Workspace, tmp_path: Path
) -> None:
    folder = collection(tmp_path / "set", ids, suffix)
    named = [form.format(n) for n in range(3)]
    qrels(folder, HEAD + "".join(f"{one}\t{one}\t1.0\n" for one in named))
    result, reader = bring(workspace, folder)
    assert everything(reader) == {f"topic {n}": ("test", [f"document {n}"], []) for n in range(3)}
    assert result["problem_counts"].keys() <= {"id-as-number"}


def test_floats_of_json(workspace: Workspace, tmp_path: Path) -> None:
    folder = collection(tmp_path / "set", ["0", "1"])
    rows = [{"query-id": float(n), "corpus-id": float(n), "score": 1.0} for n in range(2)]
    qrels(folder, "".join(json.dumps(row) + "\n" for row in rows), "jsonl")
    result, _ = bring(workspace, folder)
    assert (result["judgments"], result["problems"]) == (2, [])


def test_two_ids_are_never_taken_for_one(workspace: Workspace, tmp_path: Path) -> None:
    folder = collection(tmp_path / "set", ["1", "1.0", "2.0", "2.00"])
    text = "1\t1\t1\n1.0\t1.0\t1\n1.00\t1\t1\n1\t2\t1\n"
    result, reader = bring(workspace, qrels(folder, HEAD + text))
    assert everything(reader) == {
        "topic 0": ("test", ["document 0"], []),
        "topic 1": ("test", ["document 1"], []),
    }
    assert codes(result) == [("unknown-id", 4, "error"), ("unknown-id", 5, "error")]


@pytest.mark.parametrize("id", [1.5, 1e300, True, float("nan"), None, ""])
def test_what_is_no_id(id: Any, workspace: Workspace, tmp_path: Path) -> None:
    folder = collection(tmp_path / "set", ["1", "2"])
    rows = [{"query-id": id, "corpus-id": "1"}, {"query-id": "2", "corpus-id": "2"}]
    qrels(folder, "".join(json.dumps(row) + "\n" for row in rows), "jsonl")
    result, _ = bring(workspace, folder)
    assert result["judgments"] == 1
    assert [code for code, *_ in codes(result)] in (["wrong-type"], ["missing-field"])


# -- rows that name their documents ----------------------------------------------------------


def tevatron(folder: Path, **more: Any) -> Path:
    lines(folder / "corpus.jsonl", [{"docid": str(n), "text": f"document {n}"} for n in range(4)])
    rows = [
        {
            "query_id": f"q{n}", "query": f"topic {n}", "positive_document_ids": [str(n)],
            "negative_document_ids": [str(n + 1)], **more,
        }
        for n in range(3)
    ]  # fmt: skip
    lines(folder / "train.jsonl", rows)
    return folder


def test_ids_of_positives_and_negatives(workspace: Workspace, tmp_path: Path) -> None:
    result, reader = bring(workspace, tevatron(tmp_path / "set"), dev_share=0, test_share=0)
    assert (result["format"], result["problems"]) == ("document-ids", [])
    assert everything(reader) == {
        f"topic {n}": ("train", [f"document {n}"], [f"document {n + 1}"]) for n in range(3)
    }


def test_an_id_of_a_negative_that_is_not_there(workspace: Workspace, tmp_path: Path) -> None:
    folder = tevatron(tmp_path / "set", negative_document_ids=["9"])
    result, _ = bring(workspace, folder)
    assert result["judgments"] == 3
    assert {severity for _, _, severity in codes(result)} == {"warning"}


def test_ids_without_a_corpus_are_refused_in_words(workspace: Workspace, tmp_path: Path) -> None:
    file = tevatron(tmp_path / "set") / "train.jsonl"
    with pytest.raises(NoGoodRows, match="no corpus file next to them"):
        bring(workspace, file)


def pylate(folder: Path, listed: bool) -> Path:
    lines(folder / "documents.jsonl", [{"document_id": n, "text": f"d{n}"} for n in range(3)])
    lines(folder / "queries.jsonl", [{"query_id": n, "text": f"topic {n}"} for n in range(2)])
    ids, scores = [0, 1, 2], [0.5, 0.25, 0.125]
    row = {"document_ids": ids if listed else str(ids), "scores": scores if listed else str(scores)}
    lines(folder / "train.jsonl", [{"query_id": n, **row} for n in range(2)])
    return folder


@pytest.mark.parametrize("listed", [True, False])
def test_a_teachers_scores_by_id(listed: bool, workspace: Workspace, tmp_path: Path) -> None:
    folder = pylate(tmp_path / "set", listed)
    with pytest.raises(NoGoodRows, match="nothing says which documents are relevant"):
        bring(workspace, folder)
    (folder / "qrels").mkdir()
    (folder / "qrels/train.tsv").write_text(HEAD + "0\t0\t1\n1\t1\t1\n")
    result, reader = bring(workspace, folder, dev_share=0, test_share=0)
    assert result["problems"] == []
    assert reader.judgments()["document"].to_pylist() == [0, 1]
    assert reader.candidates()["score"].to_pylist() == [0.5, 0.25, 0.125] * 2


def test_a_judgment_whose_grade_is_missing_is_none(workspace: Workspace, tmp_path: Path) -> None:
    """Without the column each judgment is of grade 1; an empty cell in it says nothing."""
    folder = qrels(collection(tmp_path / "a", [0, 1]), HEAD + "0\t0\t\n1\t1\t1\n")
    result, reader = bring(workspace, folder)
    assert list(everything(reader)) == ["topic 1"]
    assert codes(result) == [("bad-score", 2, "error")]
    assert result["set_aside"]["queries_left_out"] == 1
    folder = qrels(collection(tmp_path / "b", [0, 1]), "query-id\tcorpus-id\n0\t0\n1\t1\n")
    assert len(everything(bring(workspace, folder)[1])) == 2
