"""Documents without queries: rows of them, and texts cut into pieces."""

import json
import zipfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.workbench.data.fakes import bring, everything, lines, pdf
from workbench.data.pieces import Cutter, cutter_for, token_counter, tokenizer_file
from workbench.data.reader import DatasetReader
from workbench.data.shapes.row import Document
from workbench.errors import BadInput
from workbench.workspace import Workspace


def documents(reader: DatasetReader) -> list[dict[str, Any]]:
    return [dict(one) for one in reader.documents().to_pylist()]


ROWS = [
    {"_id": "a", "title": "One", "text": "first", "url": "http://x", "year": 2020, "empty": ""},
    {"_id": "b", "title": "", "text": "second"},
    {"_id": "c", "title": "", "text": "second"},
]


@pytest.mark.parametrize("form", ["jsonl", "csv", "zip"])
def test_rows_of_documents(form: str, workspace: Workspace, tmp_path: Path) -> None:
    file = lines(tmp_path / "docs.jsonl", ROWS)
    if form == "csv":
        file = tmp_path / "docs.csv"
        file.write_text(
            "_id,title,text,url,year\na,One,first,http://x,2020\nb,,second,,\nc,,second,,\n"
        )
    elif form == "zip":
        packed = tmp_path / "docs.zip"
        with zipfile.ZipFile(packed, "w") as archive:
            archive.write(file, "docs.jsonl")
        file = packed
    result, reader = bring(workspace, file)
    assert (result["format"], result["queries"], result["problems"]) == ("documents", 0, [])
    found = documents(reader)
    assert [(one["id"], one["title"], one["text"]) for one in found] == [
        ("a", "One", "first"),
        ("b", "", "second"),
        ("c", "", "second"),  # In a corpus with ids a text is known by its id.
    ]
    assert {name: str(value) for name, value in json.loads(found[0]["fields"]).items()} == {
        "url": "http://x",
        "year": "2020",
    }
    assert found[1]["fields"] is None
    assert "searched" in " ".join(result["notes"])
    assert not result["too_few"]
    assert reader.page(0, 5) == []


def test_texts_without_ids_are_kept_once(workspace: Workspace, tmp_path: Path) -> None:
    rows = [{"text": "same"}, {"text": "same"}, {"text": "other", "title": "T"}, {"text": " "}]
    result, reader = bring(workspace, lines(tmp_path / "a.jsonl", rows))
    assert [one["text"] for one in documents(reader)] == ["same", "other"]
    assert result["problem_counts"] == {"duplicate-row": 1, "empty-text": 1}


def test_a_row_finds_its_positive_among_the_documents(workspace: Workspace, tmp_path: Path) -> None:
    files = [
        lines(tmp_path / "train.jsonl", [{"query": "q", "pos": ["first"], "neg": ["new"]}]),
        lines(tmp_path / "more.jsonl", [{"id": "d1", "text": "first"}, {"id": "d2", "text": "x"}]),
    ]
    result, reader = bring(workspace, *files)
    assert result["documents"] == 3
    assert reader.documents_at(reader.judgments()["document"].to_pylist())["id"][0].as_py() == "d1"
    assert everything(reader)["q"][2] == ["new"]


MARKDOWN = (
    """# Guide

Intro.

## Install

```python
def f():
    return 1  # not a heading
# neither is this
```

## Use

"""
    + "One more sentence about its use, with a number {}. " * 3
)


def test_markdown_is_cut_by_its_headings(workspace: Workspace, tmp_path: Path) -> None:
    (tmp_path / "guide.md").write_text(MARKDOWN)
    result, reader = bring(workspace, tmp_path / "guide.md")
    found = documents(reader)
    assert result["format"] == "markdown"
    assert [(one["title"], json.loads(one["fields"])["heading"]) for one in found] == [
        ("Guide", "Guide"),
        ("Install", "Guide > Install"),
        ("Use", "Guide > Use"),
    ]
    assert json.loads(found[2]["fields"]) == {
        "file": "guide.md",
        "heading": "Guide > Use",
        "piece": 3,
    }
    assert "    return 1  # not a heading\n# neither is this" in found[1]["text"]


def test_a_pdf_is_cut_by_its_pages(workspace: Workspace, tmp_path: Path) -> None:
    (tmp_path / "m.pdf").write_bytes(pdf("First page.", "", "Third page.", title="Manual"))
    result, reader = bring(workspace, tmp_path / "m.pdf")
    found = documents(reader)
    assert [(one["title"], one["text"]) for one in found] == [
        ("Manual", "First page."),
        ("Manual", "Third page."),
    ]
    assert [json.loads(one["fields"])["page"] for one in found] == [1, 3]
    assert (result["format"], result["problems"]) == ("pdf", [])


def test_a_locked_pdf_is_said(workspace: Workspace, tmp_path: Path) -> None:
    (tmp_path / "locked.pdf").write_bytes(pdf("Secret.", password="x"))
    (tmp_path / "a.txt").write_text("A text beside it.")
    result, _ = bring(workspace, tmp_path / "locked.pdf", tmp_path / "a.txt")
    assert "password" in result["problems"][0]["message"]
    assert result["documents"] == 1


@pytest.mark.parametrize(
    "text",
    ["Just words, with a comma.\nAnd a line.", "[1] In brackets.", '"Quoted" it began.', "{odd}"],
)
def test_plain_text_is_a_document(text: str, workspace: Workspace, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text(text)
    result, reader = bring(workspace, tmp_path / "a.txt")
    assert [one["text"] for one in documents(reader)] == [text]
    assert result["format"] == "text"


def test_a_readme_beside_tables_is_about_them(workspace: Workspace, tmp_path: Path) -> None:
    lines(tmp_path / "set/rows.jsonl", [{"query": "q", "pos": ["p"]}])
    (tmp_path / "set/README.md").write_text("# About")
    result, _ = bring(workspace, tmp_path / "set")
    assert result["documents"] == 1
    assert "README.md" in " ".join(result["notes"])
    (tmp_path / "set/rows.jsonl").unlink()
    assert bring(workspace, tmp_path / "set")[0]["format"] == "markdown"


LONG = "A sentence of some words. Another one follows it! 中文也有句子。" * 40


@pytest.mark.parametrize(("pieces", "many"), [("files", False), ("all", True), ("none", False)])
def test_which_documents_are_cut(
    pieces: str, many: bool, workspace: Workspace, tmp_path: Path
) -> None:
    rows = lines(tmp_path / "a.jsonl", [{"id": "d", "title": "T", "text": LONG, "by": "me"}])
    more = {"pieces": pieces, "piece_size": 64, "piece_overlap": 8}
    found = documents(bring(workspace, rows, **more)[1])
    assert (len(found) > 1) is many
    assert {one["title"] for one in found} == {"T"}
    assert json.loads(found[0]["fields"])["by"] == "me"
    assert found[0]["id"] == ("d#1" if many else "d")
    (tmp_path / "a.txt").write_text(LONG)
    cut = documents(bring(workspace, tmp_path / "a.txt", **more)[1])
    assert (len(cut) > 1) is (pieces != "none")


@pytest.fixture(scope="module")
def count(workspace: Workspace) -> Any:
    return token_counter(tokenizer_file(workspace, "all-MiniLM-L6-v2"))


WORDS = st.lists(
    st.sampled_from(["word", "tea,", "end.", "句子。", "\n\n", "# Head\n"]), max_size=400
)


@settings(max_examples=40)
@given(words=WORDS, size=st.integers(16, 64), overlap=st.integers(0, 8))
def test_pieces_are_short_enough_and_hold_everything(
    words: list[str], size: int, overlap: int, count: Any
) -> None:
    text = " ".join(words)
    cutter = Cutter(size, overlap, count)
    pieces = cutter.text(text)
    assert all(count(piece) <= size for piece in pieces)
    assert all(piece in text for piece in pieces)
    joined, whole = "".join("".join(pieces).split()), "".join(text.split())
    assert joined == whole if not overlap else len(joined) >= len(whole)


def test_what_cannot_be_cut_that_way(workspace: Workspace, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="overlap"):
        cutter_for(workspace, 64, 64, "all-MiniLM-L6-v2")
    (tmp_path / "model").mkdir()
    (tmp_path / "model/config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(BadInput):
        cutter_for(workspace, 64, 8, str(tmp_path / "model"))
    whole = Document("x", "T", "d")
    assert list(cutter_for(workspace, 0, 0, "").document(whole)) == [whole]


def test_a_corpus_keeps_its_own_fields_and_queries_their_prompts(
    workspace: Workspace, tmp_path: Path
) -> None:
    corpus = [
        {"_id": "d", "title": "T", "text": "text", "metadata": {"year": 2020}, "by": "me"},
        {"_id": "e", "title": "", "text": "other", "metadata": {}},
    ]
    lines(tmp_path / "set/corpus.jsonl", corpus)
    lines(tmp_path / "set/queries.jsonl", [{"_id": "q", "text": "question", "prompt": "Find: "}])
    (tmp_path / "set/qrels").mkdir()
    (tmp_path / "set/qrels/test.tsv").write_text("query-id\tcorpus-id\tscore\nq\td\t2\n")
    _, reader = bring(workspace, tmp_path / "set")
    found = documents(reader)
    assert json.loads(found[0]["fields"]) == {"year": 2020, "by": "me"}
    assert found[1]["fields"] is None
    assert reader.queries()["prompt"].to_pylist() == ["Find: "]


PLAIN = st.text(st.characters(codec="utf-8"), min_size=1, max_size=20).filter(
    lambda text: not text.isspace()
)


@settings(max_examples=40)
@given(
    rows=st.lists(st.tuples(PLAIN, st.one_of(st.just(""), PLAIN), PLAIN), min_size=1, max_size=8),
    parquet=st.booleans(),
)
def test_every_document_arrives_as_it_is(
    rows: list[tuple[str, str, str]],
    parquet: bool,
    workspace: Workspace,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    sent = [
        {"_id": str(n), "title": title, "text": text, "note": note}
        for n, (text, title, note) in enumerate(rows)
    ]
    folder = tmp_path_factory.mktemp("documents")
    if parquet:
        pq.write_table(pa.Table.from_pylist(sent), folder / "a.parquet")
    else:
        lines(folder / "a.jsonl", sent)
    _, reader = bring(workspace, *folder.iterdir())
    found = documents(reader)
    assert [(one["id"], one["title"], one["text"]) for one in found] == [
        (one["_id"], one["title"], one["text"]) for one in sent
    ]
    assert [json.loads(one["fields"])["note"] for one in found] == [one["note"] for one in sent]
