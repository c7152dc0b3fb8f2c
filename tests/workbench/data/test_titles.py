"""Whose title a row's title is, and what passages say of themselves and their query together."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.workbench.data.fakes import bring, codes, lines
from workbench.data.preview import preview
from workbench.recipes.data import ImportRecipe
from workbench.workspace import Workspace

MAP = ["query=frage", "positive=antwort", "negative=falsch", "title=titel"]


def held(
    workspace: Workspace, tmp_path: Path, *rows: dict[str, Any], **more: Any
) -> tuple[dict[str, str], dict[str, Any], dict[str, Any]]:
    """Text -> title; the first query's own columns; the import's result."""
    result, reader = bring(workspace, lines(tmp_path / "a.jsonl", list(rows)), **more)
    table = reader.documents()
    titles = dict(zip(table["text"].to_pylist(), table["title"].to_pylist(), strict=True))
    return titles, json.loads(reader.queries()["fields"][0].as_py() or "{}"), result


@pytest.mark.parametrize("text", ["text", "passage", "positive", "pos", "answer"])
def test_the_title_of_a_row_with_one_document_is_that_documents(
    workspace: Workspace, tmp_path: Path, text: str
) -> None:
    row = {"query": "q", text: "p", "title": "T", "date": "2024"}
    titles, own, result = held(workspace, tmp_path, row)
    assert (titles, own) == ({"p": "T"}, {"date": "2024"})
    assert result["problems"] == []
    assert not [note for note in result["notes"] if "'title'" in note]


@pytest.mark.parametrize(
    "row",
    [
        {"query": "q", "pos": ["p", "r"], "title": "T"},
        {"query": "q", "pos": ["p"], "title": "T"},
        {"query": "q", "positive": "p", "negative": "n", "title": "T"},
        {"query": "q", "hits": [{"content": "p", "label": 1}], "title": "T"},
    ],
)
def test_where_nothing_says_whose_it_is_it_stays_the_querys(
    workspace: Workspace, tmp_path: Path, row: dict[str, Any]
) -> None:
    titles, own, result = held(workspace, tmp_path, row)
    assert set(titles.values()) == {""} and own == {"title": "T"}
    assert [note for note in result["notes"] if "'title'" in note]


def test_rows_of_one_file_are_told_apart(workspace: Workspace, tmp_path: Path) -> None:
    rows = [
        {"query": "q", "positive": "p", "negative": "", "title": "T"},
        {"query": "r", "positive": "s", "negative": "n", "title": "U"},
    ]
    titles, own, _ = held(workspace, tmp_path, *rows)
    assert titles == {"p": "T", "s": "", "n": ""} and own == {}


def test_a_column_of_that_name_is_the_relevant_texts(workspace: Workspace, tmp_path: Path) -> None:
    row = {"query": "q", "positive": "p", "negative": "n", "positive_title": "T"}
    titles, own, result = held(workspace, tmp_path, row)
    assert (titles, own, result["problems"]) == ({"p": "T", "n": ""}, {}, [])


def test_it_is_said_by_hand(workspace: Workspace, tmp_path: Path) -> None:
    row = {"frage": "q", "antwort": "p", "falsch": "n", "titel": "T", "title": "of the row"}
    titles, own, _ = held(workspace, tmp_path, row, mapping=MAP)
    assert titles == {"p": "T", "n": ""} and own == {"title": "of the row"}
    # And by hand it is said that it is not: a column without a role is the query's own.
    titles, own, _ = held(workspace, tmp_path, row, mapping=MAP[:3])
    assert titles == {"p": "", "n": ""} and own == {"titel": "T", "title": "of the row"}
    recipe = ImportRecipe(paths=[str(tmp_path / "a.jsonl")], name="-", mapping=MAP)
    assert ("positive", "T p") in preview(workspace, recipe).rows[0].texts


def test_a_title_of_graded_rows_is_said_by_hand_too(workspace: Workspace, tmp_path: Path) -> None:
    rows = [{"f": "q", "a": f"p{n}", "t": f"T{n}", "note": n} for n in range(2)]
    named = ["query=f", "positive=a", "title=t", "label=note"]
    titles, _, _ = held(workspace, tmp_path, *rows, mapping=named)
    assert titles == {"p0": "T0", "p1": "T1"}


def test_a_passages_score_is_kept_and_the_rest_told(workspace: Workspace, tmp_path: Path) -> None:
    good = {"title": "T", "text": "p", "score": 1000, "title_score": 1, "passage_id": "1"}
    bad = {"title": "U", "text": "n", "score": "14.5", "title_score": 0, "passage_id": "2"}
    odd = {"title": "V", "text": "m", "score": "high"}
    row = {"question": "q", "positive_ctxs": [good], "hard_negative_ctxs": [bad, odd]}
    result, reader = bring(workspace, lines(tmp_path / "a.jsonl", [row, {**row, "question": "r"}]))
    scores = reader.candidates()["score"].to_pylist()
    assert sorted(scores, key=str) == [1000.0, 1000.0, 14.5, 14.5, None, None]
    assert [one for one in codes(result) if one[0] == "passage-key-dropped"] == [
        ("passage-key-dropped", 1, "warning")
    ]
    assert result["problem_counts"]["bad-score"] == 2


def test_a_run_of_dpr_is_read(workspace: Workspace, tmp_path: Path) -> None:
    found = [
        {"id": f"d{n}", "title": "T", "text": f"p{n}", "score": f"{9 - n}.5", "has_answer": n == 1}
        for n in range(3)
    ]
    row = {"question": "q", "answers": ["a"], "ctxs": found}
    result, reader = bring(workspace, lines(tmp_path / "a.json", [row]))
    assert reader.judgments()["document"].to_pylist() == [1]
    assert sorted(reader.candidates()["score"].to_pylist()) == [7.5, 8.5, 9.5]
    assert result["problems"] == []


def test_what_equal_texts_say_differently_is_counted(workspace: Workspace, tmp_path: Path) -> None:
    passage = {"docid": "a", "text": "p", "year": 1}
    other = {"docid": "b", "text": "p", "year": 2}
    rows = [
        {"query": "q", "query_id": "1", "positive_passages": [passage]},
        {"query": "r", "query_id": "2", "positive_passages": [passage]},
        {"query": "s", "query_id": "3", "positive_passages": [other]},
        {"query": "s", "query_id": "4", "positive_passages": [{"text": "t"}]},
    ]
    _, _, result = held(workspace, tmp_path, *rows)
    assert {note for note in result["notes"] if " came again " in note} == {
        "Documents that came again with other columns of their own: 1. The first ones stay.",
        "Texts that came again under another id: 2. The first ids stay.",
    }


def test_own_columns_of_one_name_stay_two(workspace: Workspace, tmp_path: Path) -> None:
    row = {"query": "q", "pos": ["p"], "a": 1, "metadata": {"a": 2}}
    assert held(workspace, tmp_path, row)[1] == {"a": 1, "metadata": {"a": 2}}
    row = {"query": "q", "pos": ["p"], "a": 1, "metadata": {"b": 2}}
    assert held(workspace, tmp_path, row)[1] == {"a": 1, "b": 2}
