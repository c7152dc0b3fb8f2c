"""Out and in again loses nothing that the shape can hold, and what it cannot hold is said."""

import csv
import json
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from tests.workbench.data.fakes import bring, context, lines
from workbench.data import export
from workbench.data.export_held import joined
from workbench.data.reader import DatasetReader
from workbench.data.splits import SPLITS
from workbench.data.versions import Changes, new_version
from workbench.errors import BadInput, JobCancelled
from workbench.recipes.data import KEPT, ExportDataRecipe
from workbench.workspace import Workspace


@dataclass
class Query:
    """What is known of a query: judged and offered documents by their joined text."""

    id: str
    split: str
    prompt: str | None
    grades: dict[str, int] = field(default_factory=dict)
    scores: dict[str, float | None] = field(default_factory=dict)

    @property
    def right(self) -> set[str]:
        return {text for text, grade in self.grades.items() if grade > 0}

    @property
    def wrong(self) -> set[str]:
        """What a shape without grades calls negative."""
        return (self.scores.keys() | self.grades.keys()) - self.right

    @property
    def complete(self) -> bool:
        every = self.right | self.wrong
        return all(self.scores.get(text) is not None for text in every)


def known(reader: DatasetReader) -> tuple[dict[str, Query], dict[str, tuple[str, str, str, Any]]]:
    """Queries by text; documents by joined text: id, title, text, fields."""
    documents = reader.documents().to_pylist()
    texts = [joined(one["title"], one["text"]) for one in documents]
    queries = reader.queries().to_pylist()
    found = {one["text"]: Query(one["id"], one["split"], one["prompt"]) for one in queries}
    names = [one["text"] for one in queries]
    for one in reader.judgments().to_pylist():
        found[names[one["query"]]].grades[texts[one["document"]]] = one["grade"]
    for one in reader.candidates().to_pylist():
        found[names[one["query"]]].scores[texts[one["document"]]] = one["score"]
    return found, {
        text: (one["id"], one["title"], one["text"], json.loads(one["fields"] or "{}"))
        for text, one in zip(texts, documents, strict=True)
    }


def write(workspace: Workspace, reader: DatasetReader, **more: Any) -> dict[str, Any]:
    recipe = ExportDataRecipe(dataset=reader.name, **more)
    return export.run(recipe, context(workspace))


@contextmanager
def again(
    workspace: Workspace, reader: DatasetReader, format: str, **more: Any
) -> Iterator[tuple[DatasetReader, dict[str, Any]]]:
    """The data set that comes of its export."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out"
        said = write(workspace, reader, format=format, output=str(out), **more)
        scores = "pairs" if format == "scored" else "auto"
        result, made = bring(workspace, out, dev_share=0, test_share=0, scores=scores)
        assert [one["code"] for one in result["problems"] if one["severity"] == "error"] == []
        yield made, said
    workspace.datasets.remove(made.name)


# -- any data set ----------------------------------------------------------------------------

#: Each example is written and read again nine times: making a failing one smaller takes minutes.
UNSHRUNK = [Phase.explicit, Phase.reuse, Phase.generate]
WORDS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)


@st.composite
def changes(draw: st.DrawFn) -> Changes:
    """Any data set, as changes to one that has a query and a document to drop."""
    documents = draw(
        st.lists(st.tuples(WORDS, st.booleans(), st.booleans()), min_size=1, max_size=6)
    )
    queries = draw(st.lists(st.tuples(WORDS, st.sampled_from(SPLITS)), min_size=1, max_size=5))
    rows, columns = st.integers(0, len(queries) - 1), st.integers(0, len(documents) - 1)
    links = st.tuples(rows, columns)
    judged = draw(st.dictionaries(links, st.integers(0, 3), max_size=12))
    offered = draw(st.dictionaries(links, st.none() | st.integers(0, 9), max_size=12))
    for row in range(len(queries)):
        judged[row, draw(columns)] = draw(st.integers(1, 3))
    texts = [f"{text} d{place}" for place, (text, *_) in enumerate(documents)]
    pairs = list(offered)
    return Changes(
        drop_queries=[0],
        drop_documents=[0],
        new_documents=pa.table(
            {
                "id": [f"doc {n}" if own else None for n, (_, own, _) in enumerate(documents)],
                "title": [f"T{n}" if titled else "" for n, (_, _, titled) in enumerate(documents)],
                "text": texts,
                "fields": ['{"year": 2020}' if own else None for _, own, _ in documents],
            }
        ),
        new_queries=pa.table(
            {
                "text": [f"{text} q{place}" for place, (text, _) in enumerate(queries)],
                "prompt": pa.array(
                    draw(
                        st.lists(
                            st.none() | st.just("Find: "),
                            min_size=len(queries),
                            max_size=len(queries),
                        )
                    ),
                    pa.string(),
                ),
                "split": [split for _, split in queries],
            }
        ),
        add_judgments=[(1 + row, 1 + column, grade) for (row, column), grade in judged.items()],
        candidates=pa.table(
            {
                "query": pa.array([1 + row for row, _ in pairs], pa.int64()),
                "document": pa.array([1 + column for _, column in pairs], pa.int64()),
                "score": pa.array([offered[one] for one in pairs], pa.float32()),
            }
        ),
    )


@contextmanager
def dataset(workspace: Workspace, made_of: Changes) -> Iterator[DatasetReader]:
    with tempfile.TemporaryDirectory() as folder:
        path = lines(Path(folder) / "train.jsonl", [{"query": "base", "pos": ["base"]}])
        base = bring(workspace, path, dev_share=0, test_share=0)[1]
    new_version(workspace, base.name, made_of, {"what": "drawn"})
    yield workspace.datasets.read(base.name)
    workspace.datasets.remove(base.name)


@settings(max_examples=12, phases=UNSHRUNK)
@given(made_of=changes())
def test_nothing_is_lost_that_the_shape_can_hold(workspace: Workspace, made_of: Changes) -> None:
    with dataset(workspace, made_of) as reader:
        queries, documents = known(reader)
        queries = {text: one for text, one in queries.items() if one.right}
        linked = {text for one in queries.values() for text in one.right | one.wrong}

        with again(workspace, reader, "flagembedding") as (made, _):
            found, texts = known(made)
            assert found.keys() == queries.keys() and texts.keys() == linked
            for text, one in queries.items():
                other = found[text]
                assert (other.split, other.prompt) == (one.split, one.prompt)
                assert other.right == one.right and other.wrong == one.wrong
                if one.complete:
                    assert other.scores == one.scores

        for kind in ("jsonl", "csv", "parquet"):
            with again(workspace, reader, "pairs", file_type=kind) as (made, _):
                found, _ = known(made)
                assert {text: (one.split, one.right) for text, one in found.items()} == {
                    text: (one.split, one.right) for text, one in queries.items()
                }

        opposed = {text: one for text, one in queries.items() if one.wrong}
        if opposed:
            with again(workspace, reader, "triplets") as (made, said):
                found, _ = known(made)
                assert {t: (o.split, o.right, o.wrong) for t, o in found.items()} == {
                    t: (o.split, o.right, o.wrong) for t, o in opposed.items()
                }
                bare = any("without a negative" in one for one in said["left_out"])
                assert bare == (len(opposed) < len(queries))

        with again(workspace, reader, "beir") as (made, _):
            found, texts = known(made)
            assert texts == documents
            assert {t: (o.id, o.split, o.grades) for t, o in found.items()} == {
                t: (o.id, o.split, o.grades) for t, o in queries.items()
            }

            assert {t: o.prompt for t, o in found.items()} == {
                t: o.prompt for t, o in queries.items()
            }

        with again(workspace, reader, "llamaindex") as (made, _):
            found, texts = known(made)
            assert {text: id for text, (id, *_) in texts.items()} == {
                text: id for text, (id, *_) in documents.items()
            }
            assert {t: (o.id, o.split, o.right) for t, o in found.items()} == {
                t: (o.id, o.split, o.right) for t, o in queries.items()
            }

        with again(workspace, reader, "reranker-csv") as (made, _):
            found, texts = known(made)
            assert texts.keys() == linked
            for text, one in queries.items():
                graded = {name: grade for name, grade in one.grades.items() if grade > 0}
                assert found[text].grades == graded and found[text].wrong == one.wrong
                assert (found[text].id, found[text].split) == (one.id, one.split)


@settings(max_examples=15, phases=UNSHRUNK)
@given(
    rows=st.lists(
        st.tuples(WORDS, WORDS, st.floats(width=32, allow_nan=False, allow_infinity=False)),
        min_size=1,
        max_size=8,
    )
)
@pytest.mark.parametrize("kind", ["jsonl", "csv", "parquet"])
def test_scored_pairs_come_back(workspace: Workspace, rows: list[Any], kind: str) -> None:
    rows = [
        (f"{a} l{n}", f"{b} r{n}", min(max(c, -1e30), 1e30)) for n, (a, b, c) in enumerate(rows)
    ]
    with tempfile.TemporaryDirectory() as folder:
        for place, split in enumerate(SPLITS):
            mine = [{"sentence1": a, "sentence2": b, "score": c} for a, b, c in rows[place::3]]
            if mine:
                lines(Path(folder) / f"{split}.jsonl", mine)
        reader = bring(workspace, Path(folder), dev_share=0, test_share=0, scores="pairs")[1]
    assert reader.counts["pairs"] == len(rows)
    with again(workspace, reader, "scored", file_type=kind) as (made, said):
        key = [("left", "ascending")]
        assert made.pairs().sort_by(key) == reader.pairs().sort_by(key)
        assert said["left_out"] == []


Triples = list[tuple[str, str, np.float32]]


def scored(reader: DatasetReader) -> Triples:
    rows = reader.pairs().to_pylist()
    return sorted((one["left"], one["right"], np.float32(one["score"])) for one in rows)


@settings(max_examples=12, phases=UNSHRUNK)
@given(made_of=changes())
@pytest.mark.parametrize("kind", ["jsonl", "csv", "parquet"])
def test_any_data_set_is_written_as_scored_pairs(
    workspace: Workspace, made_of: Changes, kind: str
) -> None:
    with dataset(workspace, made_of) as reader:
        queries, _ = known(reader)
        highest = max(grade for one in queries.values() for grade in one.grades.values())
        graded = sorted(
            (text, other, np.float32(one.grades.get(other, 0) / highest))
            for text, one in queries.items()
            for other in one.right | one.wrong
        )
        with again(workspace, reader, "scored", file_type=kind, scores_from="grades") as (
            made,
            said,
        ):
            assert scored(made) == graded
            assert {one["left"]: one["split"] for one in made.pairs().to_pylist()} == {
                text: one.split for text, one in queries.items() if one.right | one.wrong
            }
            told = "grades: 1 is" if highest == 1 else f"divided by {highest}, the highest"
            assert told in said["scores"]
            unjudged = sum(len(one.scores.keys() - one.grades.keys()) for one in queries.values())
            assert any("with the score 0" in one for one in said["left_out"]) == bool(unjudged)
        taught = sorted(
            (text, other, np.float32(score))
            for text, one in queries.items()
            for other, score in one.scores.items()
            if score is not None
        )
        if taught:
            with again(workspace, reader, "scored", file_type=kind) as (made, said):
                assert scored(made) == taught
                assert "The scores are the teacher's own" in said["scores"]
                lacking = any("without a teacher's score" in one for one in said["left_out"])
                assert lacking == (len(taught) < len(graded))


# -- what is said, and where it goes ---------------------------------------------------------


@pytest.fixture
def reader(workspace: Workspace, tmp_path: Path) -> DatasetReader:
    rows = [
        {"query": "q0", "pos": ["p0"], "neg": ["n0"], "prompt": "Find: ", "query_id": "own"},
        {"query": "q1", "pos": ["p1"], "pos_scores": [0.5], "neg": ["n0", "n1"]},
        {"query": "q2", "pos": ["p2"]},
    ]
    source = lines(tmp_path / "in/train.jsonl", rows)
    return bring(workspace, source, dev_share=0, test_share=0)[1]


def test_what_a_shape_cannot_hold_is_said(
    workspace: Workspace, reader: DatasetReader, tmp_path: Path
) -> None:
    said = write(workspace, reader, format="pairs", output=str(tmp_path / "pairs"))
    assert said["left_out"] == [
        "the queries' own ids (1)",
        "candidates (negatives) (4)",
        "a teacher's scores (1)",
        "prompts of queries (1)",
    ]
    assert said["files"] == [{"file": "train.jsonl", "rows": 3}]
    said = write(workspace, reader, format="triplets", output=str(tmp_path / "triplets"))
    assert "queries without a negative: a triplet needs one (1)" in said["left_out"]
    said = write(workspace, reader, format="flagembedding", output=str(tmp_path / "flag"))
    missing = "a teacher's scores of queries for which others are missing (1)"
    assert missing in said["left_out"]


@pytest.mark.parametrize("format", ["beir", "llamaindex", "reranker-csv", "flagembedding"])
def test_equal_texts_under_several_ids_are_kept_or_told_of(
    workspace: Workspace, tmp_path: Path, format: str
) -> None:
    texts = {"d1": "same", "d2": "other", "d3": "same"}
    lines(tmp_path / "in/corpus.jsonl", [{"_id": id, "text": text} for id, text in texts.items()])
    lines(tmp_path / "in/queries.jsonl", [{"_id": id, "text": "what"} for id in ("q1", "q2")])
    (tmp_path / "in/qrels").mkdir()
    judged = "query-id\tcorpus-id\tscore\nq1\td1\t1\nq1\td2\t1\nq2\td3\t1\n"
    (tmp_path / "in/qrels/train.tsv").write_text(judged)
    reader = bring(workspace, tmp_path / "in", dev_share=0, test_share=0)[1]
    assert (reader.counts["queries"], reader.counts["documents"]) == (2, 3)
    with again(workspace, reader, format) as (made, said):
        whole = (made.counts["queries"], made.counts["documents"]) == (2, 3)
        joined = [
            "queries that have another one's text: they become one (1)",
            "documents that have another one's text: they become one (1)",
        ]
        assert whole == (format == "beir")
        assert [one for one in said["left_out"] if "become one" in one] == joined * (not whole)


def test_the_shapes_are_what_others_read(
    workspace: Workspace, reader: DatasetReader, tmp_path: Path
) -> None:
    out = {name: tmp_path / name for name in ("flagembedding", "triplets", "beir", "llamaindex")}
    for name, path in out.items():
        write(workspace, reader, format=name, output=str(path))
    first = json.loads((out["flagembedding"] / "train.jsonl").read_text().splitlines()[0])
    assert first == {"query": "q0", "pos": ["p0"], "neg": ["n0"], "prompt": "Find: "}
    first = json.loads((out["triplets"] / "train.jsonl").read_text().splitlines()[0])
    assert first == {"anchor": "q0", "positive": "p0", "negative": "n0"}
    corpus = [json.loads(line) for line in (out["beir"] / "corpus.jsonl").read_text().splitlines()]
    assert corpus[0].keys() == {"_id", "title", "text", "metadata"} and len(corpus) == 5
    with (out["beir"] / "qrels/train.tsv").open() as file:
        rows = list(csv.reader(file, delimiter="\t"))
    assert rows[:2] == [["query-id", "corpus-id", "score"], ["own", corpus[0]["_id"], "1"]]
    whole = json.loads((out["llamaindex"] / "train.json").read_text())
    assert whole.keys() == {"queries", "corpus", "relevant_docs", "mode"}
    assert whole["relevant_docs"]["own"] == [corpus[0]["_id"]]
    csv_out = tmp_path / "rerank.csv"
    write(workspace, reader, format="reranker-csv", split="train", output=str(csv_out))
    assert csv_out.read_text().splitlines()[:2] == [
        "query_id,queries,passages,labels",
        "own,q0,p0,1",
    ]


def test_one_file_a_zip_or_a_folder(
    workspace: Workspace, reader: DatasetReader, tmp_path: Path
) -> None:
    write(workspace, reader, format="pairs", output=str(tmp_path / "a.parquet"))
    assert pq.read_table(tmp_path / "a.parquet").column_names == ["anchor", "positive"]
    write(workspace, reader, format="beir", output=str(tmp_path / "b.zip"))
    with zipfile.ZipFile(tmp_path / "b.zip") as archive:
        assert archive.namelist() == ["corpus.jsonl", "qrels/train.tsv", "queries.jsonl"]
    with pytest.raises(BadInput, match=r"cannot be written as 'c\.jsonl'"):
        write(workspace, reader, format="beir", output=str(tmp_path / "c.jsonl"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.parquet", "b.zip", "in"]


def test_without_a_place_it_waits_with_the_job(workspace: Workspace, reader: DatasetReader) -> None:
    at = context(workspace)
    export.run(ExportDataRecipe(dataset=reader.name, format="beir"), at)
    assert [path.name for path in at.folder.iterdir()] == [KEPT]


def test_nothing_is_overwritten(
    workspace: Workspace, reader: DatasetReader, tmp_path: Path
) -> None:
    with pytest.raises(BadInput, match="already"):
        write(workspace, reader, format="pairs", output=str(tmp_path / "in"))
    with pytest.raises(BadInput, match="no scored pairs"):
        write(workspace, reader, format="scored", scores_from="own", output=str(tmp_path / "x"))
    with pytest.raises(BadInput, match="no scored pairs, and no judgments to make them of in test"):
        write(workspace, reader, format="scored", split="test", output=str(tmp_path / "x"))
    with pytest.raises(BadInput, match="in test"):
        write(workspace, reader, format="pairs", split="test", output=str(tmp_path / "x"))


def test_a_stopped_export_leaves_nothing(
    workspace: Workspace, reader: DatasetReader, tmp_path: Path
) -> None:
    recipe = ExportDataRecipe(dataset=reader.name, format="beir", output=str(tmp_path / "out"))
    with pytest.raises(JobCancelled):
        export.run(recipe, context(workspace, cancel_after=1))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in"]


def test_large_sets_are_written_batch_by_batch(
    workspace: Workspace, reader: DatasetReader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(workspace, reader, format="flagembedding", output=str(tmp_path / "one.jsonl"))
    monkeypatch.setattr("workbench.data.export_held.BATCH", 2)
    write(workspace, reader, format="flagembedding", output=str(tmp_path / "two.jsonl"))
    assert (tmp_path / "one.jsonl").read_bytes() == (tmp_path / "two.jsonl").read_bytes()
