"""Queries whose judgments are all 0: kept with them, never learnt from or measured on."""

import json
from pathlib import Path

import numpy as np
import pytest

from tests.workbench.data.fakes import bring, context
from tests.workbench.data.test_change import at_work
from workbench.data import export, resplit
from workbench.data.reader import DatasetReader
from workbench.errors import NoGoodRows
from workbench.evaluation.pool import dev_pool, whole_pool
from workbench.recipes.data import ExportDataRecipe, ResplitRecipe
from workbench.workspace import Workspace

NOTE = "1 query has no relevant document: kept, never trained or measured on."


def by_ids(folder: Path, qrels: dict[str, list[tuple[str, str, int]]], queries: int = 3) -> Path:
    """A corpus of five texts, queries, and judgments by split."""
    (folder / "qrels").mkdir(parents=True)
    rows = [{"_id": f"d{n}", "text": f"text {n}"} for n in range(5)]
    (folder / "corpus.jsonl").write_text("\n".join(map(json.dumps, rows)))
    rows = [{"_id": f"q{n}", "text": f"query {n}"} for n in range(queries)]
    (folder / "queries.jsonl").write_text("\n".join(map(json.dumps, rows)))
    for split, judged in qrels.items():
        lines = ["\t".join(map(str, one)) for one in judged]
        head = "query-id\tcorpus-id\tscore"
        (folder / f"qrels/{split}.tsv").write_text("\n".join([head, *lines]))
    return folder


def grades(reader: DatasetReader) -> list[tuple[str, str, int]]:
    """Query, document and grade of each judgment."""
    ids = dict(zip(*(reader.queries()[name].to_pylist() for name in ("row", "id")), strict=True))
    documents = reader.documents()["id"].to_pylist()
    return sorted(
        (ids[one["query"]], documents[one["document"]], one["grade"])
        for one in reader.judgments().to_pylist()
    )


DEV = [("q0", "d0", 1), ("q0", "d1", 2), ("q1", "d3", 1), ("q2", "d4", 0)]


def test_they_are_kept_and_said(workspace: Workspace, tmp_path: Path) -> None:
    result, reader = bring(workspace, by_ids(tmp_path / "set", {"dev": DEV}))
    assert (result["queries"], result["documents"], result["judgments"]) == (3, 5, 4)
    assert result["splits"] == {"train": 0, "dev": 3, "test": 0}
    assert grades(reader) == sorted(DEV)
    assert NOTE in result["notes"]
    assert result["problems"] == []


def test_nothing_is_measured_or_learnt_on_them(workspace: Workspace, tmp_path: Path) -> None:
    judged = {"dev": DEV, "train": [("q3", "d2", 1), ("q4", "d1", 0)]}
    _, reader = bring(workspace, by_ids(tmp_path / "set", judged, queries=5))
    assert whole_pool(reader, "dev").texts == ["query 0", "query 1"]
    pool = dev_pool(reader, max_queries=10, max_documents=10, seed=1)
    assert sorted(pool.texts) == ["query 0", "query 1"]
    rows = reader.training_rows(2, 1)
    assert reader.queries("train")["id"].take(rows["query"]).to_pylist() == ["q3"]


def test_a_set_of_them_comes_back_from_its_export(workspace: Workspace, tmp_path: Path) -> None:
    _, reader = bring(workspace, by_ids(tmp_path / "set", {"dev": DEV}))
    recipe = ExportDataRecipe(dataset=reader.name, format="beir", output=str(tmp_path / "out"))
    export.run(recipe, context(workspace))
    pairs = ExportDataRecipe(
        dataset=reader.name, format="flagembedding", output=str(tmp_path / "flag")
    )
    lost = export.run(pairs, context(workspace))["left_out"]
    assert "queries without a relevant document, and what is judged or given of them (1)" in lost
    result, again = bring(workspace, tmp_path / "out")
    assert grades(again) == sorted(DEV)
    assert result["splits"] == {"train": 0, "dev": 3, "test": 0}


@pytest.mark.parametrize("by", ["query", "document"])
def test_no_split_is_of_them_alone(workspace: Workspace, tmp_path: Path, by: str) -> None:
    judged = [(f"q{n}", f"d{n % 5}", int(n > 4)) for n in range(12)]
    # Only irrelevant documents in dev: the dev queries are then set aside from train.
    qrels = {"dev": judged[:5], "train": judged[5:]}
    result, reader = bring(workspace, by_ids(tmp_path / "set", qrels, queries=12), name=f"by {by}")
    assert result["splits"]["dev"] == 6
    assert any("1 of train was set aside" in note for note in result["notes"])
    recipe = ResplitRecipe(dataset=reader.name, by=by, dev_share=0.3, test_share=0.3)
    resplit.run(recipe, at_work(workspace))
    changed = workspace.datasets.read(reader.name)
    assert sum(changed.counts["splits"].values()) == 12
    for split, count in changed.counts["splits"].items():
        relevant = np.array(changed.judgments(split)["grade"].to_pylist()) > 0
        assert relevant.any() == bool(count)


def test_equal_texts_stay_together(workspace: Workspace, tmp_path: Path) -> None:
    folder = by_ids(tmp_path / "set", {"train": [(f"q{n}", "d1", 1) for n in range(9)]}, queries=9)
    twins = [{"_id": f"t{n}", "text": f"query {n}"} for n in range(9)]
    with (folder / "queries.jsonl").open("a") as file:
        file.write("\n" + "\n".join(map(json.dumps, twins)))
    with (folder / "qrels/train.tsv").open("a") as file:
        file.write("".join(f"\nt{n}\td2\t0" for n in range(9)))
    _, reader = bring(workspace, folder)
    homes: dict[str, set[str]] = {}
    for one in reader.queries().to_pylist():
        homes.setdefault(one["text"], set()).add(one["split"])
    assert len(homes) == 9 and all(len(one) == 1 for one in homes.values())


def test_without_anything_relevant_there_is_nothing_to_keep(
    workspace: Workspace, tmp_path: Path
) -> None:
    with pytest.raises(NoGoodRows):
        bring(workspace, by_ids(tmp_path / "set", {"dev": [("q0", "d0", 0)]}))
