"""Scored pairs: kept as they are, split without leaks, and told apart from grades."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.workbench.data.fakes import bring, codes, everything, lines
from workbench.data.writer import Manifest
from workbench.errors import BadInput, NoGoodRows
from workbench.workspace import Workspace


def sts(count: int, **more: Any) -> list[dict[str, Any]]:
    return [
        {"sentence1": f"left {n}", "sentence2": f"right {n}", "score": n / 10, **more}
        for n in range(count)
    ]


def test_two_sentences_with_a_score_are_a_pair(workspace: Workspace, tmp_path: Path) -> None:
    result, reader = bring(workspace, lines(tmp_path / "sts.jsonl", sts(100)))
    assert (result["format"], result["pairs"], result["queries"]) == ("scored-pairs", 100, 0)
    assert result["pair_splits"] == {"train": 80, "dev": 10, "test": 10}
    table = reader.pairs()
    assert table.column_names == ["left", "right", "score", "split", "fields"]
    assert sorted(table["score"].to_pylist()) == pytest.approx([n / 10 for n in range(100)])
    assert reader.pairs("test").num_rows == 10
    assert set(reader.pairs("dev")["split"].to_pylist()) == {"dev"}
    assert reader.pair_page(95, 105).num_rows == 5
    assert reader.counts["pairs"] == 100
    assert reader.queries().num_rows == reader.documents().num_rows == 0
    with pytest.raises(BadInput):
        reader.pairs("none such")


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.csv", "sentence1,sentence2,score\na,b,0.5\n"),
        ("a.csv", 'text1;text2;label\na;b;"0,5"\n'),
        ("a.tsv", "query\tpassage\tscore\na\tb\t0.5\n"),
        ("a.jsonl", json.dumps({"query": "a", "positive": "b", "score": 0.5})),
        ("a.json", json.dumps([{"left": "a", "right": {"text": "b"}, "similarity": "0.5"}])),
    ],
)
def test_names_and_formats(name: str, data: str, workspace: Workspace, tmp_path: Path) -> None:
    (tmp_path / name).write_text(data)
    result, reader = bring(workspace, tmp_path / name)
    assert result["problems"] == []
    assert reader.pairs().drop_columns("fields").to_pylist() == [
        {"left": "a", "right": "b", "score": 0.5, "split": "train"}
    ]


def test_a_pair_of_test_stands_nowhere_else(workspace: Workspace, tmp_path: Path) -> None:
    rows = sts(3)
    turned = {"sentence1": "right 1", "sentence2": "left 1", "score": 0.1}
    same_left = {"sentence1": "left 2", "sentence2": "another", "score": 0.9}
    files = [
        lines(tmp_path / "train.jsonl", [*rows, turned, same_left, *sts(1, extra=1)]),
        lines(tmp_path / "test.jsonl", rows[1:]),
    ]
    result, reader = bring(workspace, *files)
    assert reader.pairs("test")["left"].to_pylist() == ["left 1", "left 2"]
    assert "left 0" in reader.pairs()["left"].to_pylist()
    assert result["pairs"] == 3
    assert result["problem_counts"]["leaked-test-query"] == 4
    assert result["problem_counts"]["duplicate-row"] == 1


def test_pairs_of_one_left_text_go_together(workspace: Workspace, tmp_path: Path) -> None:
    rows = [
        {"sentence1": f"left {n % 20}", "sentence2": f"right {n}", "score": 1.5} for n in range(200)
    ]
    _, reader = bring(workspace, lines(tmp_path / "a.jsonl", rows))
    homes: dict[str, set[str]] = {}
    for one in reader.pairs().to_pylist():
        homes.setdefault(one["left"], set()).add(one["split"])
    assert all(len(splits) == 1 for splits in homes.values())
    assert {next(iter(splits)) for splits in homes.values()} == {"train", "dev", "test"}


def test_pairs_and_queries_in_one_data_set(workspace: Workspace, tmp_path: Path) -> None:
    files = [
        lines(tmp_path / "sts.jsonl", sts(4)),
        lines(tmp_path / "rows.jsonl", [{"query": "q", "pos": ["p"]}]),
    ]
    result, reader = bring(workspace, *files)
    assert (result["queries"], result["pairs"]) == (1, 4)
    assert result["format"] == "query-pos-neg + scored-pairs"
    assert everything(reader)["q"][1] == ["p"]


def test_an_old_manifest_has_no_pairs(workspace: Workspace, tmp_path: Path) -> None:
    _, reader = bring(workspace, lines(tmp_path / "a.jsonl", [{"query": "q", "pos": ["p"]}]))
    path = reader.folder / "v1/manifest.json"
    old = json.loads(path.read_text())
    del old["pairs"], old["rows"]["pairs"]
    path.write_text(json.dumps(old))
    again = workspace.datasets.read(reader.name)
    assert again.counts["pairs"] == 0
    assert again.pairs().schema.names == ["left", "right", "score", "split", "fields"]
    assert Manifest.read(path).pairs == ""


TEXTS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=12).filter(
    lambda text: not text.isspace()
)


@settings(max_examples=40)
@given(
    pairs=st.lists(
        st.tuples(TEXTS, TEXTS, st.floats(-5, 5, width=32)),
        min_size=1,
        max_size=12,
        unique_by=lambda pair: frozenset(pair[:2]),
    ),
    parquet=st.booleans(),
)
def test_every_pair_arrives(
    pairs: list[tuple[str, str, float]],
    parquet: bool,
    workspace: Workspace,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    rows = [{"sentence1": a, "sentence2": b, "score": score} for a, b, score in pairs]
    file = tmp_path_factory.mktemp("pairs") / ("a.parquet" if parquet else "a.jsonl")
    if parquet:
        pq.write_table(pa.Table.from_pylist(rows), file)
    else:
        lines(file, rows)
    _, reader = bring(workspace, file)
    table = reader.pairs()
    found = zip(*(table[name].to_pylist() for name in ("left", "right", "score")), strict=True)
    assert sorted(found) == sorted(pairs)


# -- grades ----------------------------------------------------------------------------------

RERANKER = (
    "query_id,queries,passages,labels\n"
    "7,first?,good,2\n7,first?,fair,1\n7,first?,bad,0\n8,second?,good,1\n"
)


def test_a_rerankers_csv_is_graded(workspace: Workspace, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(RERANKER)
    result, reader = bring(workspace, tmp_path / "a.csv")
    assert (result["format"], result["problems"]) == ("graded-pairs", [])
    assert (result["queries"], result["documents"], result["judgments"]) == (2, 3, 3)
    found = everything(reader)
    assert found["first?"][1:] == (["good", "fair"], ["bad"])
    assert sorted(reader.queries()["id"].to_pylist()) == ["7", "8"]
    assert sorted(reader.judgments()["grade"].to_pylist()) == [1, 1, 2]


def test_a_fraction_anywhere_makes_pairs_of_a_file(workspace: Workspace, tmp_path: Path) -> None:
    text = "query,passage,score\n" + "".join(f"q{n},p{n},1\n" for n in range(9)) + "q,p,0.25\n"
    (tmp_path / "a.csv").write_text(text)
    result, _ = bring(workspace, tmp_path / "a.csv")
    assert (result["pairs"], result["queries"]) == (10, 0)


@pytest.mark.parametrize(("scores", "pairs", "queries"), [("pairs", 4, 0), ("grades", 0, 2)])
def test_the_person_may_say_what_numbers_mean(
    scores: str, pairs: int, queries: int, workspace: Workspace, tmp_path: Path
) -> None:
    (tmp_path / "a.csv").write_text(RERANKER)
    result, _ = bring(workspace, tmp_path / "a.csv", scores=scores)
    assert (result["pairs"], result["queries"]) == (pairs, queries)


def test_lists_of_passages_and_labels(workspace: Workspace, tmp_path: Path) -> None:
    rows = [
        {"query": "q", "passages": ["a", "b", "c"], "labels": [0, 2, 1]},
        {"query": "r", "passages": ["a", "b"], "labels": [1]},
    ]
    result, reader = bring(workspace, lines(tmp_path / "a.jsonl", rows))
    assert everything(reader) == {"q": ("train", ["b", "c"], ["a"])}
    assert codes(result) == [("bad-score", 2, "error")]


def test_only_zeros_are_no_judgments(workspace: Workspace, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("query,passage,label\nq,p,0\n")
    with pytest.raises(NoGoodRows):
        bring(workspace, tmp_path / "a.csv")


@settings(max_examples=40)
@given(
    groups=st.dictionaries(
        TEXTS,
        st.dictionaries(TEXTS, st.integers(0, 3), min_size=1, max_size=4).filter(
            lambda documents: any(documents.values())
        ),
        min_size=1,
        max_size=5,
    ),
    chance=st.randoms(use_true_random=False),
)
def test_one_by_one_is_the_same_as_grouped(
    groups: dict[str, dict[str, int]],
    chance: Any,
    workspace: Workspace,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    singles = [
        {"query": query, "content": text, "label": grade}
        for query, documents in groups.items()
        for text, grade in documents.items()
    ]
    chance.shuffle(singles)
    file = lines(tmp_path_factory.mktemp("graded") / "a.jsonl", singles)
    result, reader = bring(workspace, file)
    assert result["problems"] == []
    queries = dict(
        zip(*(reader.queries()[name].to_pylist() for name in ("row", "text")), strict=True)
    )
    judged = reader.judgments()
    texts = reader.documents_at(judged["document"].to_pylist())["text"].to_pylist()
    pairs = zip(judged["query"].to_pylist(), texts, judged["grade"].to_pylist(), strict=True)
    assert sorted((queries[row], text, grade) for row, text, grade in pairs) == sorted(
        (query, text, grade)
        for query, documents in groups.items()
        for text, grade in documents.items()
        if grade
    )


def test_lists_in_cells(workspace: Workspace, tmp_path: Path) -> None:
    """As a spreadsheet of Python's lists has them."""
    (tmp_path / "a.csv").write_text("query,pos,neg\nq,\"['a', 'b']\",\"['c']\"\nr,['d,e]\n")
    _, reader = bring(workspace, tmp_path / "a.csv")
    found = everything(reader)
    assert found["q"][1:] == (["a", "b"], ["c"])
    assert found["r"][1:] == (["['d"], ["e]"])  # Only begins like a list.
