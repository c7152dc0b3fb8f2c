"""Query by query: gains and losses, two rankings, and a judgment that becomes a version."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.workbench.comparison.exploring import evaluation, grounds
from workbench.cli.main import main
from workbench.comparison.explore import Pairing, changes, common, judge, pairing, rankings, rows_of
from workbench.data.reader import DatasetReader
from workbench.data.versions import Changes, new_version, versions
from workbench.errors import BadInput, NotFound
from workbench.workspace import Workspace


@pytest.fixture
def workspace(home: Path) -> Any:
    opened = Workspace.open(home)
    yield opened
    opened.close()


@pytest.fixture
def reader(workspace: Workspace, tmp_path: Path) -> DatasetReader:
    return grounds(workspace, tmp_path)


@pytest.fixture
def pair(workspace: Workspace, reader: DatasetReader) -> Pairing:
    return pairing(workspace, evaluation(workspace, reader), "tuned", "base")


def test_gains_and_losses_in_order(workspace: Workspace, pair: Pairing) -> None:
    queries = len(pair.queries)
    assert pair.counted == (queries - 1, 1, 0)
    (lost,) = changes(workspace, pair, pair.sorted(losses=True))
    assert lost.query == pair.queries[-1]
    assert (lost.before, lost.after) == (1.0, pytest.approx(1 / 3))
    best = changes(workspace, pair, pair.sorted()[:3])
    assert [round(one.delta, 3) for one in best] == [0.667] * 3
    assert all(one.text.startswith("which grey thing") for one in best)
    # The values are those of the evaluation itself.
    assert pair.values.mean() == pytest.approx(pair.after.metrics["map@100"])


def test_both_rankings_with_what_was_judged(workspace: Workspace, pair: Pairing) -> None:
    query = int(pair.queries[0])
    found = rankings(workspace, pair, query)
    assert [hit.rank for hit in found.before] == [1, 2, 3] and found.relevant == 1
    right = found.after[0]
    assert right.relevant and right.text.startswith("Grey it is") and right.other_rank == 3
    assert [hit.grade for hit in found.before] == [None, None, 1]
    with pytest.raises(NotFound):
        rankings(workspace, pair, 10_000)


def test_a_job_or_any_of_its_evaluations_is_enough(workspace: Workspace, pair: Pairing) -> None:
    assert [one.model for one in rows_of(workspace, "ev1")] == ["base", "tuned"]
    assert [one.model for one in rows_of(workspace, pair.after.id)] == ["base", "tuned"]
    with pytest.raises(NotFound):
        rows_of(workspace, "none")
    with pytest.raises(NotFound, match="Did you mean 'tuned'"):
        pairing(workspace, "ev1", "tunde", "base")
    with pytest.raises(BadInput, match="with itself"):
        pairing(workspace, "ev1", "base", "base")


def test_a_judgment_is_a_new_version_with_its_lineage(
    workspace: Workspace, reader: DatasetReader, pair: Pairing
) -> None:
    query = int(pair.queries[0])
    wrong = rankings(workspace, pair, query).before[0]
    assert wrong.grade is None
    name, version = judge(workspace, pair, query, wrong.document)
    assert (name, version) == (reader.name, 2)
    after = workspace.datasets.read(name)
    judged = after.judgments("test").to_pylist()
    assert {"query": query, "document": wrong.document, "grade": 1} in judged
    assert len(judged) == reader.counts["judgments"] + 1
    last = versions(workspace, name)[-1]
    assert (last.version, last.parent, last.by) == (2, 1, "a person")
    assert last.lineage[-1]["recipe"]["document"] == wrong.id
    # What was measured stays; the rankings say that it was judged since.
    again = rankings(workspace, pair, query).before[0]
    assert again.relevant and again.since
    assert pair.values.mean() == pytest.approx(pair.after.metrics["map@100"])
    with pytest.raises(BadInput, match="already"):
        judge(workspace, pair, query, wrong.document)


def test_what_was_corrected_since_is_not_lost(
    workspace: Workspace, reader: DatasetReader, pair: Pairing
) -> None:
    """The judgment goes to the current version, in which rows have moved."""
    query = int(pair.queries[1])
    wrong = rankings(workspace, pair, query).before[0]
    gone = (
        next(
            row
            for row in range(reader.counts["documents"])
            if row < wrong.document and row not in _relevant(reader)
        )
        if wrong.document
        else None
    )
    drop = {"drop_queries": {int(pair.queries[0])}}
    if gone is not None:
        drop["drop_documents"] = {gone}
    new_version(workspace, reader.name, Changes(**drop), {"what": "corrected"})
    judge(workspace, pair, query, wrong.document)
    now = workspace.datasets.read(reader.name)
    assert now.version == 3 and now.counts["queries"] == reader.counts["queries"] - 1
    ids = dict(zip(now.queries()["row"].to_pylist(), now.queries()["id"].to_pylist(), strict=True))
    documents = now.documents()["id"].to_pylist()
    judged = {
        (ids[one["query"]], documents[one["document"]]) for one in now.judgments().to_pylist()
    }
    (asked,) = changes(workspace, pair, [1])
    assert (asked.id, wrong.id) in judged
    with pytest.raises(BadInput, match="no longer has this query"):
        judge(workspace, pair, int(pair.queries[0]), wrong.document)


def test_one_judged_not_relevant_can_be_right_after_all(
    workspace: Workspace, reader: DatasetReader, pair: Pairing
) -> None:
    query = int(pair.queries[0])
    wrong = rankings(workspace, pair, query).before[0]
    refused = Changes(add_judgments=[(query, wrong.document, 0)])
    new_version(workspace, reader.name, refused, {"what": "judged"})
    judge(workspace, pair, query, wrong.document)
    table = workspace.datasets.read(reader.name).edges("judgments", query, query + 1).to_pylist()
    assert [one["grade"] for one in table if one["document"] == wrong.document] == [1]


def _relevant(reader: DatasetReader) -> set[int]:
    return set(reader.judgments()["document"].to_pylist())


@pytest.mark.parametrize(
    ("query", "text", "marked"),
    [
        ("the grey cat", "A GREY cat, the category", ["GREY", "cat"]),
        ("what is x.y?", "x.y", []),
        ("of the", "of the", []),
        ("中国首都", "首都是北京", ["首都"]),
        ("a1 2", "a1 and 2 and 22", ["a1", "2"]),
    ],
)
def test_words_in_common(query: str, text: str, marked: list[str]) -> None:
    pieces = common(query, text)
    assert "".join(piece for piece, _ in pieces) == text
    assert [piece for piece, shared in pieces if shared] == marked


def test_the_command_line_says_the_same(
    capsys: Any, workspace: Workspace, home: Path, pair: Pairing
) -> None:
    def run(*argv: str) -> Any:
        options = ["--model", "tuned", "--against", "base", *argv]
        assert main(["--home", str(home), "--json", "evaluations", "explore", "ev1", *options]) == 0
        return json.loads(capsys.readouterr().out)

    found = run("--top", "2")
    assert (found["gains"], found["losses"]) == pair.counted[:2]
    assert len(found["biggest_gains"]) == 2 and len(found["biggest_losses"]) == 1
    lowest = run("--which", "all", "--sort", "after", "--reverse", "--top", "1")
    assert (lowest["of"], lowest["sort"], lowest["descending"]) == (30, "after", False)
    assert [one["id"] for one in lowest["listed"]] == [found["biggest_losses"][0]["id"]]
    assert run("--which", "unchanged")["listed"] == []
    query = found["biggest_gains"][0]["id"]
    shown = run("--query", query)
    assert [hit["rank"] for hit in shown["after"]] == [1, 2, 3]
    assert shown["after"][0]["words_in_common"] == ["grey", "0"]
    judged = run("--query", query, "--judge", shown["before"][0]["id"])
    assert judged["judged"]["version"] == 2
    plain = ["--home", str(home), "evaluations", "explore", "ev1", "--model", "tuned"]
    assert main([*plain, "--against", "base"]) == 0
    assert "1 lost" in capsys.readouterr().out
    assert main([*plain, "--against", "base", "--which", "lost", "--sort", "length"]) == 0
    assert "1 of 1 query (lost), by length" in capsys.readouterr().out
    assert main([*plain, "--against", "base", "--sort", "length"]) == 2
    assert "--which" in capsys.readouterr().err
    assert main([*plain, "--against", "none"]) == 2
