"""New versions: what changes, what is shared, what stays as it was."""

import json
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from tests.workbench.data.fakes import bring, context, everything, lines
from tests.workbench.test_named_records import GONE
from workbench import named_records
from workbench.data.edit import EVERY
from workbench.data.reader import DatasetReader
from workbench.data.splits import CODES
from workbench.data.versions import Changes, new_version, versions
from workbench.data.writer import Manifest
from workbench.errors import BadInput, JobCancelled
from workbench.workspace import Workspace

HOW = {"what": "changed by a test", "by": "a person"}


@pytest.fixture
def reader(workspace: Workspace, tmp_path: Path) -> DatasetReader:
    """Six queries (four train, one dev, one test), each with a positive and two negatives."""
    rows = [
        {"query": f"q{n}", "pos": [f"right {n}"], "neg": [f"wrong {n}", "wrong for all"]}
        for n in range(6)
    ]
    files = [
        lines(tmp_path / "train.jsonl", rows[:4]),
        lines(tmp_path / "dev.jsonl", rows[4:5]),
        lines(tmp_path / "test.jsonl", rows[5:]),
    ]
    return bring(workspace, *files)[1]


def changed(workspace: Workspace, reader: DatasetReader, **changes: Any) -> DatasetReader:
    number = new_version(workspace, reader.name, Changes(**changes), HOW)
    assert number == workspace.datasets.get(reader.name).version
    return workspace.datasets.read(reader.name)


def document(reader: DatasetReader, text: str) -> int:
    return reader.documents()["text"].to_pylist().index(text)


def test_a_query_is_dropped_and_the_rest_is_as_it_was(
    workspace: Workspace, reader: DatasetReader
) -> None:
    before = everything(reader)
    after = changed(workspace, reader, drop_queries={1})
    assert everything(after) == {query: row for query, row in before.items() if query != "q1"}
    assert everything(reader) == before
    assert after.counts["splits"] == {"train": 3, "dev": 1, "test": 1}
    summary = workspace.datasets.get(reader.name).summary
    assert (summary["queries"], summary["judgments"], summary["candidates"]) == (5, 5, 10)
    assert sum(after.histograms["query"]["counts"]) == 5


def test_unchanged_files_are_shared(workspace: Workspace, reader: DatasetReader) -> None:
    after = changed(workspace, reader, drop_queries={1})
    assert after.manifest.documents == reader.manifest.documents
    assert after.manifest.queries["test"] == reader.manifest.queries["test"]
    assert after.manifest.queries["train"] != reader.manifest.queries["train"]
    mined = pa.table({"query": [0], "document": [document(after, "right 3")]})
    third = changed(workspace, after, candidates=mined)
    assert third.manifest.queries == after.manifest.queries
    assert third.manifest.judgments == after.manifest.judgments
    assert third.manifest.candidates.startswith("v3/")


def test_duplicates_hand_over_what_was_judged(workspace: Workspace, reader: DatasetReader) -> None:
    first, second, third = (document(reader, f"right {n}") for n in range(3))
    after = changed(workspace, reader, same_documents={third: second, second: first})
    assert after.counts["documents"] == reader.counts["documents"] - 2
    assert [everything(after)[f"q{n}"][1] for n in range(4)] == [
        ["right 0"],
        ["right 0"],
        ["right 0"],
        ["right 3"],
    ]
    with pytest.raises(BadInput, match="circle"):
        changed(workspace, reader, same_documents={first: second, second: first})


def test_two_names_of_one_document_are_judged_once(
    workspace: Workspace, reader: DatasetReader
) -> None:
    right, wrong = document(reader, "right 0"), document(reader, "wrong 0")
    both = changed(workspace, reader, add_judgments=[(0, wrong, 2)])
    after = changed(workspace, both, same_documents={wrong: right})
    assert [row for row in after.judgments().to_pylist() if row["query"] == 0] == [
        {"query": 0, "document": document(after, "right 0"), "grade": 2}
    ]


def test_what_is_judged_relevant_is_no_negative_any_more(
    workspace: Workspace, reader: DatasetReader
) -> None:
    after = changed(workspace, reader, add_judgments={(0, document(reader, "wrong 0"), 1)})
    assert everything(after)["q0"] == ("train", ["right 0", "wrong 0"], ["wrong for all"])
    assert after.manifest.queries == reader.manifest.queries
    assert (
        document(after, "wrong 0")
        not in after.candidates("train")
        .filter(pa.compute.equal(after.candidates("train")["query"], 0))["document"]
        .to_pylist()
    )


def test_a_query_that_loses_its_last_positive_is_left_out(
    workspace: Workspace, reader: DatasetReader
) -> None:
    after = changed(workspace, reader, drop_judgments=[(2, document(reader, "right 2"))])
    assert "q2" not in everything(after)
    assert versions(workspace, reader.name)[-1].counts == {"queries_left_without_relevant": 1}


def test_a_dropped_document_takes_its_judgments_along(
    workspace: Workspace, reader: DatasetReader
) -> None:
    after = changed(
        workspace,
        reader,
        drop_documents=[document(reader, f"{one} 2") for one in ("right", "wrong")],
    )
    assert "q2" not in everything(after)
    assert everything(after)["q3"] == everything(reader)["q3"]


def test_mined_candidates_replace_those_of_their_origin(
    workspace: Workspace, reader: DatasetReader
) -> None:
    wanted = [document(reader, f"right {n}") for n in (3, 0, 2)]
    mined = pa.table({"query": [0, 0, 0], "document": wanted, "score": [0.5, 0.9, None]})
    mined = mined.append_column("origin", pa.array(["mined:m"] * 3))
    second = changed(workspace, reader, candidates=mined)
    rows = [row for row in second.candidates().to_pylist() if row["query"] == 0]
    assert [row["origin"] for row in rows] == ["given", "given", *["mined:m"] * 3]
    assert [row["rank"] for row in rows] == [1, 2, 3, 4, 5]
    # The positive stays for its score alone; training does not take it for a negative.
    assert everything(second)["q0"][2] == ["wrong 0", "wrong for all", "right 3", "right 2"]
    again = mined.slice(0, 1)
    third = changed(workspace, second, candidates=again, replace_origin="mined:m")
    assert everything(third)["q0"][2] == ["wrong 0", "wrong for all", "right 3"]
    fourth = changed(workspace, third, candidates=again, replace_origin=EVERY)
    assert everything(fourth)["q0"][2] == ["right 3"]
    assert fourth.counts["candidates"] == 1


def test_a_teachers_score_joins_the_candidate_that_was_there(
    workspace: Workspace, reader: DatasetReader
) -> None:
    scored = pa.table({"query": [5], "document": [document(reader, "wrong 5")], "score": [0.25]})
    after = changed(workspace, reader, candidates=scored)
    rows = [row for row in after.candidates("test").to_pylist() if row["score"] is not None]
    assert [(row["query"], row["score"]) for row in rows] == [(5, 0.25)]
    assert after.counts["candidates"] == reader.counts["candidates"]


def test_queries_move_with_all_that_belongs_to_them(
    workspace: Workspace, reader: DatasetReader
) -> None:
    after = changed(workspace, reader, move_queries={0: "test", 5: "train", 2: "dev"})
    before = everything(reader)
    moved = {"q0": "test", "q5": "train", "q2": "dev"}
    assert everything(after) == {
        query: (moved.get(query, split), right, wrong)
        for query, (split, right, wrong) in before.items()
    }
    assert after.queries("test")["split"].to_pylist() == ["test"]
    queries = after.judgments()["query"].to_pylist()
    assert queries == sorted(queries)


def test_new_queries_and_documents_come_with_judgments(
    workspace: Workspace, reader: DatasetReader
) -> None:
    queries, documents = reader.counts["queries"], reader.counts["documents"]
    after = changed(
        workspace,
        reader,
        new_queries=pa.table(
            {"text": ["asked", "unjudged", "tested"], "split": ["train", "train", "test"]}
        ),
        new_documents=pa.table({"text": ["written"], "title": ["T"]}),
        add_judgments=[(queries, documents, 1), (queries + 2, 0, 1)],
        candidates=pa.table({"query": [queries], "document": [0]}),
    )
    rows = everything(after)
    first = reader.documents()["text"][0].as_py()
    assert rows["asked"] == ("train", ["T\nwritten"], [first])
    assert rows["tested"] == ("test", [first], [])
    assert "unjudged" not in rows
    assert {query: rows[query] for query in everything(reader)} == everything(reader)
    ids = after.queries()["id"].to_pylist() + after.documents()["id"].to_pylist()
    assert len(set(ids)) == len(ids)


def test_ids_are_given_to_nobody_twice(workspace: Workspace, reader: DatasetReader) -> None:
    taken = reader.documents()["id"][0].as_py()
    less = changed(workspace, reader, drop_documents=[document(reader, "wrong 1")])
    after = changed(
        workspace, less, new_documents=pa.table({"id": [taken, None], "text": ["one", "two"]})
    )
    ids = after.documents()["id"].to_pylist()
    assert len(set(ids)) == len(ids) == reader.counts["documents"] + 1
    assert ids[-2].startswith(f"{taken}~")


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"drop_queries": [6]},
        {"add_judgments": [(0, 99, 1)]},
        {"drop_documents": [-1]},
        {"move_queries": {0: "exam"}},
        {"drop_queries": range(6)},
    ],
)
def test_what_cannot_be_leaves_nothing_behind(
    workspace: Workspace, reader: DatasetReader, changes: dict[str, Any]
) -> None:
    before = sorted(path.name for path in reader.folder.iterdir())
    with pytest.raises(BadInput):
        new_version(workspace, reader.name, Changes(**changes), HOW)
    assert sorted(path.name for path in reader.folder.iterdir()) == before


def test_a_stopped_writer_leaves_nothing_behind(
    workspace: Workspace, reader: DatasetReader
) -> None:
    before = sorted(path.name for path in reader.folder.iterdir())
    stopped = context(workspace, cancel_after=1)
    with pytest.raises(JobCancelled):
        new_version(workspace, reader.name, Changes(drop_queries=[0]), HOW, stopped)
    assert sorted(path.name for path in reader.folder.iterdir()) == before
    assert workspace.datasets.get(reader.name).version == 1


def test_what_a_killed_writer_left_takes_nobodys_number_and_is_swept(
    workspace: Workspace, reader: DatasetReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    change = Changes(drop_queries=[0])
    with monkeypatch.context() as patch:
        patch.setattr("workbench.data.versions.write", killed)
        patch.setattr("workbench.data.versions.discard", lambda *_: None)
        patch.setattr(named_records, "this_process", lambda: GONE)
        with pytest.raises(KeyboardInterrupt):
            new_version(workspace, reader.name, change, HOW)
    left = reader.folder / "v2"
    assert left.is_dir()
    assert new_version(workspace, reader.name, change, HOW) == 3
    workspace.jobs.recover()
    assert not left.exists()
    assert workspace.datasets.read(reader.name).version == 3


def test_writers_at_the_same_time_get_numbers_of_their_own(
    workspace: Workspace, reader: DatasetReader
) -> None:
    numbers: list[int] = []

    def write(row: int) -> None:
        numbers.append(new_version(workspace, reader.name, Changes(drop_queries=[row]), HOW))

    threads = [threading.Thread(target=write, args=[row]) for row in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(numbers) == [2, 3, 4, 5]
    for row, number in enumerate(numbers):
        assert workspace.datasets.read(reader.name, number).counts["queries"] >= 5, row


def test_versions_tell_where_they_come_from(workspace: Workspace, reader: DatasetReader) -> None:
    how = {**HOW, "counts": {"queries": 1}, "recipe": {"n": 1}}
    new_version(workspace, reader.name, Changes(drop_queries=[0]), how)
    new_version(workspace, reader.name, Changes(drop_queries=[1]), HOW, base_version=1)
    first, second, third = versions(workspace, reader.name)
    assert first.what.startswith("imported from ") and "train.jsonl" in first.what
    assert (second.what, second.by, second.counts) == (
        "changed by a test",
        "a person",
        {"queries": 1},
    )
    assert (second.parent, third.parent) == (1, 1)
    assert [one.current for one in (first, second, third)] == [False, False, True]
    assert len(third.lineage) == 1
    workspace.datasets.make_current(reader.name, 2)
    assert workspace.datasets.read(reader.name).version == 2
    fourth = new_version(workspace, reader.name, Changes(drop_queries=[0]), HOW)
    assert fourth == 4
    assert [one["version"] for one in workspace.datasets.read(reader.name).manifest.lineage] == [
        2,
        4,
    ]


def test_a_manifest_from_before_is_read(reader: DatasetReader) -> None:
    path = reader.folder / "v1/manifest.json"
    values = json.loads(path.read_text())
    del values["lineage"], values["pairs"]
    path.write_text(json.dumps(values))
    assert Manifest.read(path).lineage == []


def test_what_a_person_brings_or_moves_is_not_taken_for_carved(
    workspace: Workspace, tmp_path: Path
) -> None:
    rows = [{"query": f"q{n}", "pos": [f"p{n}"]} for n in range(100)]
    _, reader = bring(workspace, lines(tmp_path / "all.jsonl", rows))
    assert reader.summary["carved"] == {"test": 10, "dev": 10}
    codes = reader.query_codes()
    dev, train = (int(np.flatnonzero(codes == CODES[name])[0]) for name in ("dev", "train"))
    fewer = changed(workspace, reader, drop_queries=[dev])
    assert fewer.summary["carved"] == {"test": 10, "dev": 9}
    new = pa.table({"text": ["their own"], "split": ["dev"]})
    judged = [(fewer.counts["queries"], 0, 1)]
    brought = changed(workspace, fewer, new_queries=new, add_judgments=judged)
    assert brought.summary["carved"] == {"test": 10}
    moved = changed(workspace, brought, move_queries={train: "test"})
    assert moved.summary["carved"] == {}
