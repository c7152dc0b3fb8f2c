"""Every shape of row that is accepted, each as its own tool writes it."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.workbench.data.fakes import bring, codes, everything, lines
from workbench.workspace import Workspace

PASSAGES = {
    "query_id": "7",
    "query": "q",
    "positive_passages": [{"docid": "d1", "title": "T", "text": "good"}],
    "negative_passages": [{"docid": "d2", "title": "", "text": "bad"}],
}
# columns of the row -> positives and negatives expected
ROWS: list[tuple[str, dict[str, Any], list[str], list[str]]] = [
    (
        "FlagEmbedding",
        {"query": "q", "pos": ["good"], "neg": ["bad", "worse"]},
        ["good"],
        ["bad", "worse"],
    ),
    (
        "texts instead of lists",
        {"query": "q", "positive": "good", "negative": "bad"},
        ["good"],
        ["bad"],
    ),
    (
        "open-retrievals",
        {"query": "q", "positives": ["good", "fine"], "negatives": []},
        ["good", "fine"],
        [],
    ),
    ("no negatives", {"query": "q", "pos": ["good"]}, ["good"], []),
    ("null negatives", {"query": "q", "pos": ["good"], "neg": None}, ["good"], []),
    (
        "passages inside",
        {"query": "q", "pos": [{"text": "good"}], "neg": ["bad"]},
        ["good"],
        ["bad"],
    ),
    ("Tevatron", PASSAGES, ["T\ngood"], ["bad"]),
    (
        "DPR",
        {
            "question": "q",
            "answers": ["a"],
            "positive_ctxs": [{"title": "T", "text": "good"}],
            "negative_ctxs": [],
            "hard_negative_ctxs": [{"title": "U", "text": "bad"}],
        },
        ["T\ngood"],
        ["U\nbad"],
    ),
    (
        "RAG-Retrieval",
        {
            "query": "q",
            "hits": [
                {"content": "good", "label": 2},
                {"content": "bad", "label": 0},
                {"content": "fine", "label": 1},
            ],
        },
        ["good", "fine"],
        ["bad"],
    ),
    ("anchor", {"anchor": "q", "positive": "good"}, ["good"], []),
    (
        "numbered negatives",
        {"anchor": "q", "positive": "good", "negative_1": "bad", "negative_2": "worse"},
        ["good"],
        ["bad", "worse"],
    ),
    ("question and answer", {"question": "q", "answer": "good"}, ["good"], []),
    ("sentence1", {"sentence1": "q", "sentence2": "good"}, ["good"], []),
    ("names in capitals", {"Query": "q", "Positive": "good"}, ["good"], []),
]


@pytest.mark.parametrize(
    ("row", "positives", "negatives"), [r[1:] for r in ROWS], ids=[r[0] for r in ROWS]
)
def test_rows(
    row: dict[str, Any],
    positives: list[str],
    negatives: list[str],
    workspace: Workspace,
    tmp_path: Path,
) -> None:
    result, reader = bring(workspace, lines(tmp_path / "rows.jsonl", [row]))
    assert everything(reader) == {"q": ("train", positives, negatives)}
    assert result["problems"] == []
    assert (result["queries"], result["judgments"]) == (1, len(positives))
    assert result["documents"] == len(positives) + len(negatives)


def test_two_columns_of_any_name_are_a_guess_that_is_said(
    workspace: Workspace, tmp_path: Path
) -> None:
    rows = [{"utterance": f"u{i}", "intent": f"i{i % 2}"} for i in range(4)]
    result, reader = bring(workspace, lines(tmp_path / "rows.jsonl", rows))
    assert result["documents"] == 2
    assert {query: found[1] for query, found in everything(reader).items()}["u3"] == ["i1"]
    assert [one["field"] for one in result["problems"]] == ["utterance", "intent"]
    assert "taken for the query" in result["problems"][0]["message"]


def test_names_decide_which_of_two_columns_is_the_query(
    workspace: Workspace, tmp_path: Path
) -> None:
    rows = [{"antwort": "an answer", "frage": "a question?"}]
    _, reader = bring(workspace, lines(tmp_path / "rows.jsonl", rows))
    assert everything(reader) == {"a question?": ("train", ["an answer"], [])}


def test_teacher_scores_and_prompt(workspace: Workspace, tmp_path: Path) -> None:
    row = {
        "query": "q", "pos": ["good"], "neg": ["bad", "worse"], "pos_scores": [9.5],
        "neg_scores": [1.25, -3], "prompt": "Find it.", "type": "normal",
    }  # fmt: skip
    result, reader = bring(workspace, lines(tmp_path / "rows.jsonl", [row]))
    assert result["problems"] == []
    assert reader.queries()["prompt"].to_pylist() == ["Find it."]
    table = reader.candidates().to_pylist()
    texts = reader.documents_at([one["document"] for one in table])["text"].to_pylist()
    assert dict(zip(texts, [one["score"] for one in table], strict=True)) == {
        "good": 9.5,
        "bad": 1.25,
        "worse": -3.0,
    }
    assert [one["rank"] for one in table] == [1, 2, 3]
    # A positive with a score is a candidate, but never a negative.
    assert everything(reader)["q"][2] == ["bad", "worse"]
    negatives = reader.training_rows(5, 0)["negatives"].to_pylist()[0]
    assert "good" not in reader.documents_at(negatives)["text"].to_pylist()


def test_ids_and_titles_are_kept(workspace: Workspace, tmp_path: Path) -> None:
    _, reader = bring(workspace, lines(tmp_path / "rows.jsonl", [PASSAGES]))
    assert reader.queries()["id"].to_pylist() == ["7"]
    documents = reader.documents().select(["id", "title", "text"]).to_pylist()
    assert documents == [
        {"id": "d1", "title": "T", "text": "good"},
        {"id": "d2", "title": "", "text": "bad"},
    ]


def test_grades_are_kept(workspace: Workspace, tmp_path: Path) -> None:
    row = {
        "query": "q",
        "hits": [{"content": c, "label": g} for c, g in zip("abc", (2, 1, 0), strict=True)],
    }
    _, reader = bring(workspace, lines(tmp_path / "rows.jsonl", [row]))
    assert reader.judgments()["grade"].to_pylist() == [2, 1]
    assert reader.counts["candidates"] == 1


def test_llamaindex(workspace: Workspace, tmp_path: Path) -> None:
    file = tmp_path / "pairs.json"
    value = {
        "queries": {"q1": "first?", "q2": "second?"},
        "corpus": {"n1": "one", "n2": "two", "n3": "alone"},
        "relevant_docs": {"q1": ["n1"], "q2": ["n1", "n2"]},
        "mode": "text",
    }
    for indent in (None, 1):
        file.write_text(json.dumps(value, indent=indent))
        result, reader = bring(workspace, file)
        assert result["format"] == "llamaindex"
        assert result["documents"] == 3  # A document nobody asked for still belongs to the corpus.
        found = {query: positives for query, (_, positives, _) in everything(reader).items()}
        assert found == {"first?": ["one"], "second?": ["one", "two"]}
        assert result["problems"] == []


def test_llamaindex_in_another_order(workspace: Workspace, tmp_path: Path) -> None:
    file = tmp_path / "pairs.json"
    file.write_text(
        '{"relevant_docs": {"q": ["n"]}, "corpus": {"n": "text"}, "queries": {"q": "query"}}'
    )
    _, reader = bring(workspace, file)
    assert everything(reader)["query"][1] == ["text"]


def beir(folder: Path) -> Path:
    lines(
        folder / "corpus.jsonl",
        [{"_id": f"d{i}", "title": f"T{i}", "text": f"text {i}"} for i in range(5)],
    )
    lines(folder / "queries.jsonl", [{"_id": f"q{i}", "text": f"query {i}"} for i in range(5)])
    (folder / "qrels").mkdir()
    head = "query-id\tcorpus-id\tscore\n"
    (folder / "qrels/train.tsv").write_text(head + "q0\td0\t1\nq1\td1\t2\nq1\td0\t0\n")
    (folder / "qrels/dev.tsv").write_text(head + "q2\td2\t1\n")
    (folder / "qrels/test.tsv").write_text(head + "q3\td3\t1\n")
    return folder


def test_beir_folder(workspace: Workspace, tmp_path: Path) -> None:
    result, reader = bring(workspace, beir(tmp_path / "set"))
    assert result["format"] == "beir"
    assert result["splits"] == {"train": 2, "dev": 1, "test": 1}
    assert result["documents"] == 5
    assert reader.documents()["id"].to_pylist() == ["d0", "d1", "d2", "d3", "d4"]
    assert reader.queries("test")["id"].to_pylist() == ["q3"]
    assert reader.judgments("train")["grade"].to_pylist() == [1, 2, 0]
    assert "1 query was left out" in " ".join(result["notes"])
    assert result["problems"] == []


def test_beir_files_dropped_together(workspace: Workspace, tmp_path: Path) -> None:
    folder = beir(tmp_path / "set")
    for name in ("train", "dev", "test"):
        (folder / f"qrels/{name}.tsv").rename(folder / f"{name}.tsv")
    (folder / "qrels").rmdir()
    result, _ = bring(workspace, *sorted(folder.iterdir()))
    assert result["splits"] == {"train": 2, "dev": 1, "test": 1}


def test_beir_as_trec_qrels(workspace: Workspace, tmp_path: Path) -> None:
    folder = beir(tmp_path / "set")
    for name in ("train", "dev", "test"):
        (folder / f"qrels/{name}.tsv").unlink()
    (folder / "qrels/test.tsv").write_text("q0 0 d0 1\nq1 0 d1 1\n")
    result, _ = bring(workspace, folder)
    assert result["splits"] == {"train": 0, "dev": 0, "test": 2}
    assert "no training queries" in " ".join(result["notes"])


def test_beir_keeps_queries_of_one_text_apart_but_in_one_split(
    workspace: Workspace, tmp_path: Path
) -> None:
    folder = beir(tmp_path / "set")
    lines(folder / "queries.jsonl", [{"_id": f"q{i}", "text": "same"} for i in range(4)])
    result, reader = bring(workspace, folder)
    # q3 is test's; the others have its text and leave train and dev.
    assert reader.queries()["id"].to_pylist() == ["q3"]
    assert result["problem_counts"] == {"leaked-test-query": 4}


def test_json_array_and_pretty_objects(workspace: Workspace, tmp_path: Path) -> None:
    rows = [{"query": f"q{i}", "pos": [f"p{i}"]} for i in range(3)]
    for number, text in enumerate(
        (
            json.dumps(rows),
            json.dumps(rows, indent=2),
            "\n".join(json.dumps(row, indent=2) for row in rows),
            "[\n" + ",\n".join(json.dumps(row) for row in rows) + "\n]\n",
        )
    ):
        for suffix in (".json", ".jsonl") if number != 2 else (".json",):
            file = tmp_path / f"rows{number}{suffix}"
            file.write_text(text)
            result, _ = bring(workspace, file)
            assert (result["queries"], result["problems"]) == (3, [])


def test_json_lines_in_a_json_file(workspace: Workspace, tmp_path: Path) -> None:
    file = lines(tmp_path / "rows.json", [{"query": f"q{i}", "pos": [f"p{i}"]} for i in range(3)])
    assert bring(workspace, file)[0]["queries"] == 3


@pytest.mark.parametrize(
    ("mark", "suffix"), [(",", ".csv"), (";", ".csv"), ("\t", ".tsv"), ("\t", ".txt")]
)
def test_tables(mark: str, suffix: str, workspace: Workspace, tmp_path: Path) -> None:
    file = tmp_path / f"rows{suffix}"
    cells = [["query", "pos", "neg"], ["q1", '"line one\nline ""two"""', "n1"], ["q2", "p2", ""]]
    file.write_text("".join(mark.join(row) + "\r\n" for row in cells), newline="")
    result, reader = bring(workspace, file)
    found = everything(reader)
    assert found["q1"][1:] == (['line one\nline "two"'], ["n1"])
    assert found["q2"][1:] == (["p2"], [])
    assert result["problems"] == []


def test_parquet(workspace: Workspace, tmp_path: Path) -> None:
    file = tmp_path / "train-00000-of-00001.parquet"
    rows = [{"query": f"q{i}", "pos": [f"p{i}"], "neg": [f"n{i}"]} for i in range(2_500)]
    pq.write_table(pa.Table.from_pylist(rows), file)
    result, reader = bring(workspace, file)
    assert result["queries"] == 2_500
    assert result["splits"] == {"train": 2000, "dev": 250, "test": 250}
    assert everything(reader)["q2499"][1] == ["p2499"]


def test_several_files_of_several_shapes(workspace: Workspace, tmp_path: Path) -> None:
    one = lines(tmp_path / "a.jsonl", [{"query": "q1", "pos": ["p1"]}])
    two = tmp_path / "b.csv"
    two.write_text("anchor,positive\nq2,p1\n")
    result, _ = bring(workspace, one, two)
    assert (result["queries"], result["documents"]) == (2, 1)
    assert result["format"] == "anchor-positive + query-pos-neg"


def test_same_texts_are_merged(workspace: Workspace, tmp_path: Path) -> None:
    rows = [
        {"query": "q", "pos": ["a"], "neg": ["b"]},
        {"query": "q", "pos": ["c"], "neg": ["b", "d"]},
        {"query": "q", "pos": ["a"], "neg": ["b"]},
        {"query": "r", "pos": ["a"]},
    ]
    result, reader = bring(workspace, lines(tmp_path / "rows.jsonl", rows))
    assert (result["queries"], result["documents"]) == (2, 4)
    assert everything(reader)["q"][1:] == (["a", "c"], ["b", "d"])
    assert codes(result) == [("duplicate-query", 2, "warning"), ("duplicate-row", 3, "warning")]


def test_a_positive_of_another_row_is_no_negative(workspace: Workspace, tmp_path: Path) -> None:
    rows = [
        {"query": "q", "pos": ["a"], "neg": ["b"]},
        {"query": "q", "pos": ["b"], "neg": ["a", "c"]},
    ]
    _, reader = bring(workspace, lines(tmp_path / "rows.jsonl", rows))
    assert everything(reader)["q"][1:] == (["a", "b"], ["c"])


def test_title_and_text_together_make_a_document(workspace: Workspace, tmp_path: Path) -> None:
    row = {
        "query": "q",
        "positive_passages": [{"title": t, "text": "x"} for t in ("A", "B", "", "A")],
    }
    result, _ = bring(workspace, lines(tmp_path / "rows.jsonl", [row]))
    assert result["documents"] == 3


def test_texts_are_kept_as_they_were_sent(workspace: Workspace, tmp_path: Path) -> None:
    odd = "  \ttwo  spaces\u2028\x85\x00 <script>alert(1)</script>\r\n=1+1 "
    file = tmp_path / "rows.jsonl"
    file.write_text(json.dumps({"query": odd, "pos": [odd + "x"]}) + "\n")
    _, reader = bring(workspace, file)
    assert everything(reader) == {odd: ("train", [odd + "x"], [])}


def test_rows_beside_a_broken_one_in_one_long_line(workspace: Workspace, tmp_path: Path) -> None:
    rows = [json.dumps({"query": f"q{i}", "pos": [f"p{i}"]}) for i in range(4)]
    file = tmp_path / "rows.json"
    file.write_text(f"[{rows[0]}, {{bad}}, {rows[1]}][{rows[2]}]\n7\n{rows[3]}")
    result, reader = bring(workspace, file)
    assert len(everything(reader)) == 4
    assert [code for code, *_ in codes(result)] == ["not-json", "not-object"]


def test_a_table_with_old_line_ends(workspace: Workspace, tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    file.write_bytes(b"query,pos\rq1,p1\rq2,p2\r")
    _, reader = bring(workspace, file)
    assert sorted(everything(reader)) == ["q1", "q2"]
