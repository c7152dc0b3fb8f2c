"""Sample, merge, other splits: what comes out, and what stays together."""

import json
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from tests.workbench.data.fakes import FakeContext, bring, context, everything, lines
from workbench.data import merge, resplit, subset
from workbench.data.reader import DatasetReader
from workbench.data.versions import Changes, new_version, versions
from workbench.errors import BadInput, NameTaken
from workbench.jobs import outcome
from workbench.recipes.data import MergeDataRecipe, ResplitRecipe, SampleRowsRecipe
from workbench.workspace import Workspace


@dataclass
class FakeJob:
    id: str = "job1"


def at_work(workspace: Workspace) -> FakeContext:
    return context(workspace, job=FakeJob())


def rows(count: int, share: int = 1, name: str = "") -> list[dict[str, Any]]:
    """``share`` queries in a row have one positive."""
    return [
        {"query": f"q{name}{n}", "pos": [f"p{name}{n // share}"], "neg": ["n", f"n{n}"]}
        for n in range(count)
    ]


def three(workspace: Workspace, folder: Path, sizes: tuple[int, int, int]) -> DatasetReader:
    train, dev, test = (rows(size, name=split) for size, split in zip(sizes, "abc", strict=True))
    files = {"train": train, "dev": dev, "test": test}
    return bring(workspace, *(lines(folder / f"{k}.jsonl", v) for k, v in files.items()))[1]


# -- sample ----------------------------------------------------------------------------------


def test_a_sample_has_its_share_of_each_split(workspace: Workspace, tmp_path: Path) -> None:
    reader = three(workspace, tmp_path, (80, 10, 1))
    recipe = SampleRowsRecipe(dataset=reader.name, size=20, name="twenty")
    job = at_work(workspace)
    result = subset.run(recipe, job)
    assert outcome.made(workspace.store, job.folder) == result
    assert result["splits"] == {"train": 17, "dev": 2, "test": 1}
    made = workspace.datasets.read("twenty")
    held = everything(reader)
    assert all(held[query] == row for query, row in everything(made).items())
    linked = {text for row in everything(made).values() for text in [*row[1], *row[2]]}
    assert set(made.documents()["text"].to_pylist()) == linked
    assert made.manifest.lineage[-1]["what"] == f"a sample of '{reader.name}', version 1"
    again = subset.run(recipe.model_copy(update={"name": "again"}), at_work(workspace))
    assert everything(workspace.datasets.read(again["name"])) == everything(made)


def test_a_sample_may_keep_every_document(workspace: Workspace, tmp_path: Path) -> None:
    reader = three(workspace, tmp_path, (9, 1, 1))
    recipe = SampleRowsRecipe(dataset=reader.name, size=3, documents="all", name="few")
    assert subset.run(recipe, at_work(workspace))["documents"] == reader.counts["documents"]


def test_a_sample_of_a_version_outlives_it(workspace: Workspace, tmp_path: Path) -> None:
    reader = three(workspace, tmp_path, (9, 1, 1))
    made = subset.run(SampleRowsRecipe(dataset=reader.name, size=3), at_work(workspace))
    workspace.datasets.remove(reader.name)
    assert len(everything(workspace.datasets.read(made["name"]))) == 3


def test_a_sample_as_large_as_the_whole_is_refused(workspace: Workspace, tmp_path: Path) -> None:
    reader = three(workspace, tmp_path, (9, 1, 1))
    with pytest.raises(BadInput, match="11 queries"):
        subset.run(SampleRowsRecipe(dataset=reader.name, size=11), at_work(workspace))


def test_a_name_that_is_taken_leaves_nothing_behind(workspace: Workspace, tmp_path: Path) -> None:
    reader = three(workspace, tmp_path, (9, 1, 1))
    before = sorted((workspace.home / "datasets").iterdir())
    with pytest.raises(NameTaken):
        recipe = SampleRowsRecipe(dataset=reader.name, size=3, name=reader.name)
        subset.run(recipe, at_work(workspace))
    assert sorted((workspace.home / "datasets").iterdir()) == before


# -- merge -----------------------------------------------------------------------------------


def merged(workspace: Workspace, *readers: DatasetReader) -> tuple[dict[str, Any], DatasetReader]:
    recipe = MergeDataRecipe(datasets=[reader.name for reader in readers])
    result = merge.run(recipe, at_work(workspace))
    return result, workspace.datasets.read(result["name"])


def test_equal_texts_become_one(workspace: Workspace, tmp_path: Path) -> None:
    one = [{"query": "q", "pos": ["p"], "neg": ["n"]}, {"query": "only one", "pos": ["p"]}]
    two = [{"query": "q", "pos": ["p2"], "neg": ["p", "n2"]}, {"query": "only two", "pos": ["n"]}]
    held = {"dev_share": 0, "test_share": 0}
    first = bring(workspace, lines(tmp_path / "a/train.jsonl", one), **held)[1]
    second = bring(workspace, lines(tmp_path / "b/train.jsonl", two), **held)[1]
    result, made = merged(workspace, first, second)
    assert everything(made) == {
        "q": ("train", ["p", "p2"], ["n", "n2"]),
        "only one": ("train", ["p"], []),
        "only two": ("train", ["n"], []),
    }
    assert result["counts"] == {"documents_joined": 2, "queries_joined": 1}
    assert sorted(made.documents()["text"].to_pylist()) == ["n", "n2", "p", "p2"]
    ids = made.documents()["id"].to_pylist() + made.queries()["id"].to_pylist()
    assert len(set(ids)) == len(ids)


def test_a_test_query_stays_out_of_train(workspace: Workspace, tmp_path: Path) -> None:
    train = [{"query": f"q{n}", "pos": [f"from train {n}"]} for n in range(3)]
    test = [{"query": "q1", "pos": ["from test"]}]
    held = {"dev_share": 0, "test_share": 0}
    first = bring(workspace, lines(tmp_path / "a/train.jsonl", train), **held)[1]
    second = bring(workspace, lines(tmp_path / "b/test.jsonl", test), **held)[1]
    for order in ((first, second), (second, first)):
        result, made = merged(workspace, *order)
        assert result["counts"]["queries_left_out"] == 1
        found = everything(made)
        assert found["q1"] == ("test", ["from test"], [])
        assert (found["q0"][0], found["q2"][1]) == ("train", ["from train 2"])
        queries = made.judgments()["query"].to_pylist()
        assert queries == sorted(queries) == list(range(3))


def test_large_sets_merge_part_by_part(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workbench.data.edit_write.RANGE", 7)
    first = three(workspace, tmp_path / "a", (30, 5, 5))
    second = bring(workspace, lines(tmp_path / "b/train.jsonl", rows(20, name="a")[:15]))[1]
    _, made = merged(workspace, first, second)
    found, old = everything(made), everything(first)
    for query, row in everything(second).items():
        if row[0] == found[query][0] and query in old and old[query][0] == row[0]:
            assert found[query] == old[query]
    assert all(found[query] == old[query] for query in old if query[1] != "a")


def test_a_set_is_not_merged_with_itself(workspace: Workspace, tmp_path: Path) -> None:
    reader = three(workspace, tmp_path, (4, 1, 1))
    with pytest.raises(BadInput, match="itself"):
        merged(workspace, reader, reader)


# -- other splits ----------------------------------------------------------------------------


def split_again(workspace: Workspace, reader: DatasetReader, **more: Any) -> DatasetReader:
    recipe = ResplitRecipe(dataset=reader.name, **more)
    job = at_work(workspace)
    result = resplit.run(recipe, job)
    assert outcome.made(workspace.store, job.folder) == result
    made = workspace.datasets.read(reader.name)
    assert result["version"] == made.version and result["splits"] == made.counts["splits"]
    return made


def test_queries_are_dealt_out_anew(workspace: Workspace, tmp_path: Path) -> None:
    reader = three(workspace, tmp_path, (35, 4, 1))
    made = split_again(workspace, reader, dev_share=0.1, test_share=0.25)
    assert made.counts["splits"] == {"train": 26, "dev": 4, "test": 10}
    without = {query: row[1:] for query, row in everything(made).items()}
    assert without == {query: row[1:] for query, row in everything(reader).items()}
    assert versions(workspace, reader.name)[-1].what == "split again by query"


def test_no_documents_queries_stand_in_two_splits(workspace: Workspace, tmp_path: Path) -> None:
    reader = bring(workspace, lines(tmp_path / "train.jsonl", rows(60, share=3)))[1]
    made = split_again(workspace, reader, by="document", dev_share=0.1, test_share=0.2)
    homes = defaultdict(set)
    for split, right, _ in everything(made).values():
        homes[right[0]].add(split)
    assert all(len(splits) == 1 for splits in homes.values())
    assert made.counts["splits"] == {"train": 42, "dev": 6, "test": 12}


def test_what_all_hangs_together_cannot_be_parted(workspace: Workspace, tmp_path: Path) -> None:
    reader = bring(workspace, lines(tmp_path / "train.jsonl", rows(20, share=20)))[1]
    with pytest.raises(BadInput, match="cannot be parted"):
        split_again(workspace, reader, by="document")


def dated(workspace: Workspace, folder: Path, dates: list[Any], field: str) -> DatasetReader:
    """A query for each date, relevant to a document of that date."""
    reader = bring(workspace, lines(folder / "train.jsonl", rows(len(dates))))[1]
    documents = pa.table(
        {
            "text": [f"of {date}" for date in dates],
            "fields": [json.dumps({field: date}) if date is not None else None for date in dates],
        }
    )
    texts = [row["text"] for row in reader.queries().to_pylist()]
    numbers = sorted(range(len(dates)), key=lambda row: int(texts[row][1:]))
    count = reader.counts["documents"]
    judged = [(numbers[place], count + place, 1) for place in range(len(dates))]
    changes = Changes(new_documents=documents, add_judgments=judged)
    new_version(workspace, reader.name, changes, {"what": "dated"})
    return workspace.datasets.read(reader.name)


def test_the_latest_become_test(workspace: Workspace, tmp_path: Path) -> None:
    dates = [f"2024-{month:02}-01" for month in range(1, 11)]
    reader = dated(workspace, tmp_path, dates, "published")
    made = split_again(
        workspace, reader, by="field", field="published", dev_share=0.2, test_share=0.3
    )
    splits = {query: row[0] for query, row in everything(made).items()}
    assert [splits[f"q{n}"] for n in range(10)] == ["train"] * 5 + ["dev"] * 2 + ["test"] * 3


def test_equal_times_are_never_parted(workspace: Workspace, tmp_path: Path) -> None:
    reader = dated(workspace, tmp_path, [2, 10, 9, 10, 10, None], "year")
    made = split_again(workspace, reader, by="field", field="year", dev_share=0.1, test_share=0.2)
    splits = {query: row[0] for query, row in everything(made).items()}
    assert [splits[f"q{n}"] for n in range(6)] == [
        "train",
        "test",
        "train",
        "test",
        "test",
        "train",
    ]


def test_a_column_of_splits_is_taken_at_its_word(workspace: Workspace, tmp_path: Path) -> None:
    reader = dated(workspace, tmp_path, ["valid", "train", "test", "train"], "part")
    made = split_again(workspace, reader, by="field", field="part")
    splits = {query: row[0] for query, row in everything(made).items()}
    assert [splits[f"q{n}"] for n in range(4)] == ["dev", "train", "test", "train"]


def test_an_unknown_column_is_named(workspace: Workspace, tmp_path: Path) -> None:
    reader = dated(workspace, tmp_path, [1, 2, 3], "year")
    with pytest.raises(BadInput, match="Additional columns: year"):
        split_again(workspace, reader, by="field", field="date")


@pytest.mark.parametrize("dates", [["15/06/2020", "31/12/2019"], ["June 2020", "2021"]])
def test_dates_that_sort_wrongly_are_refused(
    workspace: Workspace, tmp_path: Path, dates: list[str]
) -> None:
    reader = dated(workspace, tmp_path, dates, "published")
    with pytest.raises(BadInput, match="begins with the year"):
        split_again(workspace, reader, by="field", field="published")


@pytest.mark.parametrize("date", ["2024", "2024-06", "2024/06/15", "2024-06-15T12:00", "20240615"])
def test_dates_that_begin_with_the_year_are_taken(
    workspace: Workspace, tmp_path: Path, date: str
) -> None:
    # One that is no number, so that all are read as texts.
    older = [f"2019-01-0{day}" for day in range(1, 6)]
    reader = dated(workspace, tmp_path, [date, *older], "published")
    made = split_again(
        workspace, reader, by="field", field="published", dev_share=0.34, test_share=0.17
    )
    splits = {query: row[0] for query, row in everything(made).items()}
    assert [splits[f"q{n}"] for n in range(6)] == ["test", *["train"] * 3, *["dev"] * 2]


# -- scored pairs ----------------------------------------------------------------------------


def scored(workspace: Workspace, folder: Path, **splits: list[tuple[str, str, float]]) -> Any:
    for split, found in splits.items():
        named = [{"sentence1": a, "sentence2": b, "score": c} for a, b, c in found]
        lines(folder / f"{split}.jsonl", named)
    return bring(workspace, folder, dev_share=0, test_share=0)[1]


def pairs_of(reader: DatasetReader) -> dict[tuple[str, str], str]:
    return {(row["left"], row["right"]): row["split"] for row in reader.pairs().to_pylist()}


def test_scored_pairs_are_sampled_and_split(workspace: Workspace, tmp_path: Path) -> None:
    train = [(f"a{n // 2}", f"b{n}", n / 40) for n in range(40)]
    reader = scored(workspace, tmp_path, train=train, test=[("x", "y", 0.5)])
    made = subset.run(SampleRowsRecipe(dataset=reader.name, size=10), at_work(workspace))
    assert (made["pairs"], made["pair_splits"]) == (10, {"train": 9, "dev": 0, "test": 1})
    again = split_again(workspace, reader, test_share=0.25, dev_share=0.1)
    homes = defaultdict(set)
    for (left, _), split in pairs_of(again).items():
        homes[left].add(split)
    assert pairs_of(again).keys() == pairs_of(reader).keys()
    assert all(len(splits) == 1 for splits in homes.values())
    counts = workspace.datasets.get(reader.name).summary["pair_splits"]
    assert counts["test"] in (9, 10) and counts["train"] + counts["dev"] + counts["test"] == 41


def test_merged_pairs_keep_test_to_itself(workspace: Workspace, tmp_path: Path) -> None:
    one = [("a", "b", 0.5), ("c", "d", 0.25), ("e", "f", 0.75)]
    first = scored(workspace, tmp_path / "one", train=one)
    second = scored(
        workspace, tmp_path / "two", test=[("b", "a", 0.5), ("c", "x", 1.5)], train=[one[2]]
    )
    result, made = merged(workspace, first, second)
    assert pairs_of(made) == {("e", "f"): "train", ("b", "a"): "test", ("c", "x"): "test"}
    assert result["counts"] == {"pairs_left_out": 2, "pairs_joined": 1}
