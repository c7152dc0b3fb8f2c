"""What several rows say of one query: negatives here and positives there, two grades."""

from pathlib import Path
from typing import Any

import pytest

from tests.workbench.data.fakes import bring, codes, everything, lines
from workbench.cli.data import report
from workbench.errors import NoGoodRows, StrictRefused
from workbench.workspace import Workspace


@pytest.mark.parametrize(
    "alone",
    [
        {"query": "q", "neg": ["n"]},
        {"query": "q", "pos": [], "neg": ["n"]},
        {"query": "q", "positive": "", "negative": "n"},
        {"query": "q", "positive": None, "rejected": "n"},
        {"query": "q", "hits": [{"content": "n", "label": 0}]},
    ],
)
def test_negatives_alone_belong_to_the_query_that_has_positives(
    alone: dict[str, Any], workspace: Workspace, tmp_path: Path
) -> None:
    rows = [alone, {"query": "q", "pos": ["p"]}]
    for order in (rows, rows[::-1]):
        result, reader = bring(workspace, lines(tmp_path / "a.jsonl", order))
        assert everything(reader) == {"q": ("train", ["p"], ["n"])}
        assert result["problem_counts"] == {"duplicate-query": 1}
    files = [lines(tmp_path / f"{n}.jsonl", [row]) for n, row in enumerate(rows)]
    _, reader = bring(workspace, *files)
    assert everything(reader) == {"q": ("train", ["p"], ["n"])}


def test_without_positives_anywhere_the_row_is_told_of(
    workspace: Workspace, tmp_path: Path
) -> None:
    rows = [{"query": "q", "pos": ["p"]}, {"query": "r", "neg": ["n"]}]
    result, _ = bring(workspace, lines(tmp_path / "a.jsonl", rows))
    assert codes(result) == [("no-positive", 2, "error")]
    assert result["set_aside"]["rows_refused"] == 1
    assert result["set_aside"]["queries_left_out"] == 0  # It is counted once.
    with pytest.raises(NoGoodRows, match="here or in another row"):
        bring(workspace, lines(tmp_path / "b.jsonl", rows[1:]))


def test_a_negative_that_another_row_calls_relevant(workspace: Workspace, tmp_path: Path) -> None:
    rows = [{"query": "q", "pos": ["a"], "neg": ["b"]}, {"query": "q", "pos": ["b"], "neg": ["c"]}]
    result, reader = bring(workspace, lines(tmp_path / "a.jsonl", rows))
    assert everything(reader)["q"][1:] == (["a", "b"], ["c"])
    assert ("positive-equals-negative", 1, "warning") in codes(result)


@pytest.mark.parametrize(
    ("name", "text", "grades"),
    [
        ("a.csv", "query,passage,label\nq,a,1\nq,a,0\nq,b,1\n", [1, 1]),
        ("b.csv", "query,passage,label\nq,a,1\nq,a,2\nq,b,1\n", [2, 1]),
        ("c.csv", "query,passage,label\nq,a,3\nq,a,1\nq,b,1\n", [3, 1]),
    ],
)
def test_two_grades_of_one_pair(
    name: str, text: str, grades: list[int], workspace: Workspace, tmp_path: Path
) -> None:
    (tmp_path / name).write_text(text)
    result, reader = bring(workspace, tmp_path / name)
    assert codes(result) == [("two-grades", 3, "warning")]
    assert "higher one was kept" in result["problems"][0]["message"]
    assert reader.judgments()["grade"].to_pylist() == grades
    with pytest.raises(StrictRefused):
        bring(workspace, tmp_path / name, strict=True)


def test_two_grades_in_files_of_judgments(workspace: Workspace, tmp_path: Path) -> None:
    folder = tmp_path / "set"
    lines(folder / "corpus.jsonl", [{"_id": "d", "text": "t"}])
    lines(folder / "queries.jsonl", [{"_id": "q", "text": "question"}])
    head = "query-id\tcorpus-id\tscore\n"
    (folder / "qrels").mkdir()
    (folder / "qrels/test.tsv").write_text(f"{head}q\td\t1\nq\td\t1\nq\td\t0\nq\td\t2\n")
    result, reader = bring(workspace, folder)
    assert codes(result) == [("two-grades", 4, "warning"), ("two-grades", 5, "warning")]
    assert reader.judgments()["grade"].to_pylist() == [2]


def test_a_query_that_only_irrelevant_rows_have_is_counted(
    workspace: Workspace, tmp_path: Path
) -> None:
    (tmp_path / "a.csv").write_text("query,passage,label\nq,a,1\nr,b,0\n")
    result, reader = bring(workspace, tmp_path / "a.csv")
    assert list(everything(reader)) == ["q"]
    assert result["set_aside"]["queries_left_out"] == 1
    assert "; 1 query left out" in report(result).split("\n")[0]
