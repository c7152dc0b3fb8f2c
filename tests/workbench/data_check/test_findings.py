"""Each finding planted and found, and fixed; healthy data has none."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.workbench.data.fakes import everything
from tests.workbench.data_check.conftest import Checker, healthy
from workbench.data.reader import DatasetReader
from workbench.data.versions import versions
from workbench.recipes.data import CHECKS

Make = Callable[..., DatasetReader]


def row(query: str, pos: str | list[str], *neg: str) -> dict[str, Any]:
    return {"query": query, "pos": [pos] if isinstance(pos, str) else pos, "neg": list(neg)}


def split_up(rows: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    return {"train": rows[:30], "dev": rows[30:35], "test": rows[35:]}


def kept(before: DatasetReader, after: DatasetReader, without: set[str]) -> bool:
    """Whether these queries are gone, and nothing else has changed."""
    old = everything(before)
    return everything(after) == {query: own for query, own in old.items() if query not in without}


def test_healthy_data_has_no_findings(data: Make, checker: Checker) -> None:
    found = checker.check(data(**split_up(healthy())).name, tokenizer="all-MiniLM-L6-v2")
    assert found == {}
    assert checker.report["checks"] == list(CHECKS)
    assert "no judge was chosen" in checker.report["notes"][0]


def test_empty_and_one_word_queries(data: Make, checker: Checker) -> None:
    rows = healthy()
    rows[3]["query"], rows[31]["query"], rows[36]["query"] = "?!", "...", "Kettle"
    rows[4]["query"], rows[5]["query"] = "lamp", "灯光"
    reader = data(**split_up(rows))
    found = checker.check(reader.name, "queries")
    assert found["empty-query"]["severity"] == "error"
    assert found["empty-query"]["count"] == 2
    assert {e["texts"][0]["text"] for e in found["empty-query"]["examples"]} == {"?!", "..."}
    assert found["one-word-query"]["count"] == 3
    assert found["one-word-query"]["fixes"][0]["counts"] == {"drop_queries": 2}
    done, after = checker.fix(reader.name, "empty-query")
    assert kept(reader, after, {"?!", "..."})
    assert done["version"] == 2
    assert done["before"]["queries"] - done["after"]["queries"] == 2
    checker.check(reader.name, "queries")
    _, last = checker.fix(reader.name, "drop-one-word-queries")
    assert kept(after, last, {"lamp", "灯光"})


def test_queries_in_two_splits(data: Make, checker: Checker) -> None:
    rows = healthy()
    asked = rows[36]["query"]
    rows[2]["query"], rows[32]["query"] = asked.upper(), f"  {asked}"
    reader = data(**split_up(rows))
    found = checker.check(reader.name, "splits")["query-in-two-splits"]
    assert (found["count"], found["of"]) == (2, 40)
    assert [t["role"] for t in found["examples"][0]["texts"]] == ["query (test)", "query (train)"]
    _, after = checker.fix(reader.name, "query-in-two-splits")
    assert kept(reader, after, {asked.upper(), f"  {asked}"})
    assert after.counts["splits"]["test"] == reader.counts["splits"]["test"]
    assert checker.check(reader.name, "splits") == {}


def test_nearly_the_same_query_in_two_splits(data: Make, checker: Checker) -> None:
    rows = healthy()
    long = "which of the two letters in the tower was written by the keeper of the garden in"
    rows[2]["query"], rows[36]["query"], rows[3]["query"] = f"{long} 1911", f"{long} 1912", "other"
    reader = data(**split_up(rows))
    found = checker.check(reader.name, "splits")
    assert list(found) == ["similar-query-in-two-splits"]
    assert found["similar-query-in-two-splits"]["count"] == 1
    _, after = checker.fix(reader.name, "drop-similar-queries")
    assert kept(reader, after, {f"{long} 1911"})


def test_duplicate_queries_are_joined(data: Make, checker: Checker) -> None:
    rows = [*healthy(), row("Who  sings?", "the choir", "the cat", "the dog")]
    rows.append(row("who sings?", ["the tenor", "the cat"], "the dog", "the bird"))
    reader = data(train=rows, test=healthy(50)[40:])
    found = checker.check(reader.name, "duplicates")
    assert found["duplicate-query"]["count"] == 1
    _, after = checker.fix(reader.name, "join-queries")
    old, new = everything(reader), everything(after)
    split, positives, negatives = new.pop("Who  sings?")
    assert (split, set(positives)) == ("train", {"the choir", "the tenor", "the cat"})
    assert negatives == ["the dog", "the bird"]
    assert new == {q: own for q, own in old.items() if q.lower().split() != ["who", "sings?"]}


def test_duplicate_documents_are_joined(data: Make, checker: Checker) -> None:
    rows = healthy()
    rows[7]["pos"] = [rows[6]["pos"][0].replace(" ", "  ")]
    reader = data(**split_up(rows))
    found = checker.check(reader.name, "duplicates", "near-duplicates")
    assert list(found) == ["duplicate-document"]  # and no second time as a near one
    _, after = checker.fix(reader.name, "duplicate-document")
    assert after.counts["documents"] == reader.counts["documents"] - 1
    expected = everything(reader)
    expected[rows[7]["query"]] = ("train", rows[6]["pos"], rows[7]["neg"])
    assert everything(after) == expected


def test_near_duplicate_documents_are_joined(data: Make, checker: Checker) -> None:
    rows = healthy()
    rows[7]["pos"] = [rows[6]["pos"][0].rstrip(".") + "!"]
    chinese = (
        "合同终止后，双方应当按照约定办理交接手续，任何一方不得无故拖延，否则应当承担违约责任。"
    )
    rows[8]["pos"], rows[9]["pos"] = [chinese], [chinese.replace("，", "").replace("任何", "任")]
    reader = data(**split_up(rows))
    found = checker.check(reader.name, "near-duplicates", similarity=0.8)
    assert found["near-duplicate-document"]["count"] == 2
    _, after = checker.fix(reader.name, "join-near-documents")
    expected = everything(reader)
    expected[rows[7]["query"]] = ("train", rows[6]["pos"], rows[7]["neg"])
    expected[rows[9]["query"]] = ("train", rows[8]["pos"], rows[9]["neg"])
    assert everything(after) == expected


def test_a_positive_among_the_negatives(data: Make, checker: Checker) -> None:
    rows = healthy()
    copy = rows[5]["pos"][0].replace(" ", "  ")
    rows[5]["neg"] = [copy, *rows[5]["neg"]]
    rows[6]["neg"] = [copy, *rows[6]["neg"]]  # right for another query only: that is no clash
    reader = data(**split_up(rows))
    found = checker.check(reader.name, "negatives")
    assert found["positive-is-negative"]["count"] == 1
    assert found["positive-is-negative"]["of"] == 42
    _, after = checker.fix(reader.name, "positive-is-negative")
    expected = everything(reader)
    expected[rows[5]["query"]] = ("train", rows[5]["pos"], rows[5]["neg"][1:])
    assert everything(after) == expected


def test_a_document_that_answers_everything(data: Make, checker: Checker) -> None:
    rows = healthy()
    for n in range(8):
        rows[n]["pos"] = ["It depends."] if n % 2 else [*rows[n]["pos"], "It depends."]
    rows[36]["pos"] = ["It depends."]
    reader = data(**split_up(rows))
    found = checker.check(reader.name, "popular", many_queries=3)
    assert found["document-for-many-queries"]["examples"][0]["note"] == "right for 9 queries"
    assert found["document-for-many-queries"]["fixes"][0]["counts"] == {"drop_judgments": 5}
    _, after = checker.fix(reader.name, "thin-popular-documents")
    old, new = everything(reader), everything(after)
    left = [query for query, (split, *_) in new.items() if split == "train"]
    assert sum("It depends." in new[query][1] for query in left) == 3
    assert new[rows[36]["query"]] == old[rows[36]["query"]]
    assert all(new[query][1:] == old[query][1:] or "It depends." in old[query][1] for query in left)


def test_many_negatives_for_one_positive(data: Make, checker: Checker) -> None:
    rows = healthy()
    rows[4]["neg"] = [f"wrong answer number {n} about nothing" for n in range(9)]
    rows[36]["neg"] = [f"wrong answer number {n} about nothing" for n in range(9)]
    reader = data(**split_up(rows))
    found = checker.check(reader.name, "imbalance", imbalance=4)
    assert found["label-imbalance"]["count"] == 1
    _, after = checker.fix(reader.name, "label-imbalance")
    expected = everything(reader)
    expected[rows[4]["query"]] = ("train", rows[4]["pos"], rows[4]["neg"][:4])
    assert everything(after) == expected


def test_labels_of_pairs_out_of_balance(data: Make, checker: Checker) -> None:
    texts = healthy(100)
    pairs = [
        {"sentence1": one["query"], "sentence2": one["pos"][0], "score": float(n % 20 == 0)}
        for n, one in enumerate(texts)
    ]
    reader = data(train=pairs[:80], test=pairs[80:])
    found = checker.check(reader.name, "imbalance", imbalance=5)
    assert found["pair-label-imbalance"]["count"] == 95
    dropped = found["pair-label-imbalance"]["fixes"][0]["counts"]["drop_pairs"]
    _, after = checker.fix(reader.name, "balance-pairs")
    trained = after.pairs("train")["score"].to_pylist()
    assert trained.count(0.0) == 5 * trained.count(1.0)
    assert after.counts["pairs"] == reader.counts["pairs"] - dropped
    assert after.pairs("test") == reader.pairs("test")


def test_languages_that_are_mixed(data: Make, checker: Checker) -> None:
    rows = healthy()
    rows[1]["query"] = "Wer hat gestern Abend die alte Lampe im Garten vergessen?"
    rows[2]["query"] = "Warum steht der Kessel noch immer in der Küche meiner Tante?"
    rows[3]["query"] = "昨天晚上是谁把旧灯忘在花园里了，为什么没有人去拿回来？"
    rows[36]["query"] = "Welche Brücke führt über den Fluss zum Bahnhof der Stadt?"
    reader = data(**split_up(rows))
    found = checker.check(reader.name, "languages")["languages-mixed"]
    assert found["count"] == 4
    assert {e["note"] for e in found["examples"]} == {"de", "zh"}
    _, after = checker.fix(reader.name, "languages-mixed")
    assert kept(reader, after, {rows[n]["query"] for n in (1, 2, 3)})


def test_texts_that_are_cut(data: Make, checker: Checker) -> None:
    rows = healthy()
    rows[4]["query"] = "who " * 40
    rows[5]["pos"], rows[6]["pos"] = ["word " * 90], ["short enough", "word " * 95]
    rows[36]["pos"] = ["word " * 99]
    reader = data(**split_up(rows))
    found = checker.check(
        reader.name,
        "cut",
        tokenizer="all-MiniLM-L6-v2",
        query_max_len=32,
        passage_max_len=64,
    )
    assert (found["cut-query"]["count"], found["cut-document"]["count"]) == (1, 3)
    assert [e["note"] for e in found["cut-document"]["examples"]] == [
        "101 tokens",
        "97 tokens",
        "92 tokens",
    ]
    assert "101 would leave all documents whole" in found["cut-document"]["sentence"]
    _, after = checker.fix(reader.name, "cut-query", "cut-document")
    assert kept(reader, after, {rows[4]["query"], rows[5]["query"]})


def test_several_fixes_at_once_are_one_version_with_its_lineage(
    data: Make, checker: Checker
) -> None:
    rows = healthy()
    rows[3]["query"], rows[4]["query"] = "?!", rows[36]["query"].upper()
    rows[7]["pos"] = [rows[6]["pos"][0].replace(" ", "  ")]
    reader = data(**split_up(rows))
    checker.check(reader.name)
    done, after = checker.fix(reader.name, "empty-query", "query-in-two-splits", "join-documents")
    assert after.counts["queries"] == reader.counts["queries"] - 2
    assert after.counts["documents"] == reader.counts["documents"] - 1
    said = versions(checker.workspace, reader.name)[-1]
    assert said.what == "fixed: drop-empty-queries, drop-leaked-queries, join-documents"
    assert (said.parent, said.by) == (1, "data-fix")
    assert said.counts["join-documents"] == {"same_documents": 1}
    assert done["fixes"] == ["drop-empty-queries", "drop-leaked-queries", "join-documents"]


@pytest.mark.parametrize("check", CHECKS)
def test_data_without_queries_is_checked_too(data: Make, checker: Checker, check: str) -> None:
    reader = data(docs=[{"id": f"d{n}", "text": one["pos"][0]} for n, one in enumerate(healthy())])
    assert checker.check(reader.name, check, tokenizer="all-MiniLM-L6-v2") == {}


def test_nearly_the_same_query_in_one_split(data: Make, checker: Checker) -> None:
    rows = healthy()
    rows[8]["query"] = rows[2]["query"] + "?!"
    rows[9]["query"] = rows[2]["query"].upper()  # The very same: another finding's.
    rows[37]["query"] = rows[36]["query"] + " ?"
    reader = data(**split_up(rows))
    found = checker.check(reader.name, "splits", "near-duplicates", similarity=0.9)
    assert list(found) == ["near-duplicate-query"]
    near = found["near-duplicate-query"]
    assert (near["count"], near["fixes"][0]["counts"]) == (2, {"drop_queries": 1})
    _, after = checker.fix(reader.name, "near-duplicate-query")
    assert kept(reader, after, {rows[8]["query"]})
