"""Every shape in, every shape out: what was written is read, and what an export drops is told."""

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from tests.workbench.data.drawn import SHAPES, WORDS, Asked, Facts, asked, expected, facts
from tests.workbench.data.fakes import bring, context, lines
from workbench.data import export
from workbench.data.export_held import SAID
from workbench.data.reader import DatasetReader
from workbench.recipes.data import ExportDataRecipe
from workbench.workspace import Workspace

#: Each example is written and read several times: making a failing one smaller takes minutes.
UNSHRUNK = [Phase.explicit, Phase.reuse, Phase.generate]
FORMATS = ("flagembedding", "pairs", "triplets", "beir", "llamaindex", "reranker-csv", "scored")
#: What may be lacking after a way out and in -> of what an export must then have told.
TOLD_AS = {
    "queries": ("queries", "bare"),
    "splits": ("queries", "bare"),
    "positives": ("queries", "bare"),
    "negatives": ("queries", "candidates", "bare"),
    "grades": ("queries", "grades", "bare"),
    "scores": ("queries", "scores", "partial_scores", "candidates"),
    "prompts": ("queries", "prompts"),
    "query_ids": ("queries", "query_ids"),
    "query_fields": ("queries", "query_fields"),
    "documents": ("queries", "unlinked", "candidates", "bare"),
    "titles": ("queries", "titles"),
    "document_ids": ("queries", "document_ids"),
    "fields": ("queries", "fields"),
    "pairs": ("pairs",),
    "pair_fields": ("pairs", "pair_fields"),
}


@contextmanager
def brought(workspace: Workspace, *files: tuple[str, Any]) -> Iterator[DatasetReader]:
    """The data set that comes of (name, rows): JSON lines, a JSON array or Parquet by the name."""
    with tempfile.TemporaryDirectory() as folder:
        for name, rows in files:
            path = Path(folder) / name
            if path.suffix == ".parquet":
                pq.write_table(pa.Table.from_pylist(rows), path)
            elif path.suffix == ".json":
                path.write_text(json.dumps(rows, ensure_ascii=False), encoding="utf-8")
            else:
                lines(path, rows)
        result, reader = bring(workspace, Path(folder), dev_share=0, test_share=0)
    lost = set(result["problem_counts"]) - {"instruction-dropped"}
    assert not lost, result["problems"]
    yield reader
    workspace.datasets.remove(reader.name)


def nothing_untold(workspace: Workspace, reader: DatasetReader) -> None:
    """Export in every format, import again, compare."""
    before = facts(reader)
    for format in FORMATS:
        if format == "triplets" and not before["negatives"]:
            continue  # It refuses, and says why.
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder) / "out"
            recipe = ExportDataRecipe(dataset=reader.name, format=format, output=str(out))
            left_out = export.run(recipe, context(workspace))["left_out"]
            scores = "pairs" if format == "scored" else "auto"
            made = bring(workspace, out, dev_share=0, test_share=0, scores=scores)[1]
        after = facts(made)
        workspace.datasets.remove(made.name)
        told = {what for what, said in SAID.items() if _starts(said, left_out)}
        if format == "scored" and not before["pairs"]:  # It made pairs of the queries.
            assert {pair[0] for pair in after["pairs"]} <= before["queries"]
            continue
        for kind, known in before.items():
            lacking = known - after[kind]
            assert not lacking or told & set(TOLD_AS[kind]), (format, kind, lacking, left_out)
        _nothing_new(before, after, format)


def _starts(said: str, left_out: list[str]) -> bool:
    return any(line.startswith(said.removesuffix("{})")) for line in left_out)


def _nothing_new(before: Facts, after: Facts, format: str) -> None:
    kinds = ("queries", "positives", "negatives", "documents", "prompts", "grades", "scores")
    for kind in kinds:
        assert after[kind] <= before[kind], (format, kind)


@settings(max_examples=25)
@given(rows=asked(), kind=st.sampled_from(["train.jsonl", "test.json", "dev.parquet"]))
@pytest.mark.parametrize("shape", SHAPES)
def test_what_was_written_is_read(
    workspace: Workspace, rows: list[Asked], kind: str, shape: str
) -> None:
    sent = [SHAPES[shape].write(row) for row in rows]
    if shape == "instructed" and kind.endswith("parquet"):
        kind = "dev.jsonl"  # A column of texts and of lists of texts is none in Parquet.
    with brought(workspace, (kind, sent)) as reader:
        wanted = expected(rows, SHAPES[shape])
        wanted["splits"] = {(row.text, kind.partition(".")[0]) for row in rows}
        assert facts(reader) == wanted


@settings(max_examples=6, phases=UNSHRUNK)
@given(rows=asked())
@pytest.mark.parametrize("shape", SHAPES)
def test_and_nothing_is_lost_on_the_way_out(
    workspace: Workspace, rows: list[Asked], shape: str
) -> None:
    with brought(workspace, ("train.jsonl", [SHAPES[shape].write(row) for row in rows])) as reader:
        nothing_untold(workspace, reader)


@settings(max_examples=8, phases=UNSHRUNK)
@given(rows=asked(), texts=st.lists(st.tuples(WORDS, WORDS), min_size=1, max_size=4))
def test_queries_and_scored_pairs_in_one_data_set(
    workspace: Workspace, rows: list[Asked], texts: list[tuple[str, str]]
) -> None:
    pairs = [
        {"sentence1": f"{a} l{n}", "sentence2": f"{b} r{n}", "score": n / 8, "topic": b, "x": ""}
        for n, (a, b) in enumerate(texts)
    ]
    sent = [SHAPES["hits"].write(row) for row in rows]
    with brought(workspace, ("train.jsonl", sent), ("test.jsonl", pairs)) as reader:
        found = facts(reader)
        assert found["queries"] == {row.text for row in rows}
        assert found["pairs"] == {
            (one["sentence1"], one["sentence2"], one["score"], "test") for one in pairs
        }
        assert len(found["pair_fields"]) == sum(bool(one["topic"]) for one in pairs)
        nothing_untold(workspace, reader)
