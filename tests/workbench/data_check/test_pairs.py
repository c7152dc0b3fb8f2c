"""Each finding about scored pairs planted and found, and fixed; healthy pairs have none."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.workbench.data_check.conftest import PLACES, SUBJECTS, Checker
from workbench.data.reader import DatasetReader
from workbench.data.versions import Changes, new_version
from workbench.recipes.data import CHECKS

Make = Callable[..., DatasetReader]
Row = dict[str, Any]


def pair(left: str, right: str, score: float) -> Row:
    return {"sentence1": left, "sentence2": right, "score": score}


def healthy(count: int = 40) -> list[Row]:
    """English sentences, each unlike the others, of fractional scores."""
    rows = []
    for n in range(count):
        thing, place = SUBJECTS[n % 10], PLACES[n // 10 % 10]
        left = f"Somebody has left the old {thing} behind in the {place}."
        rows.append(pair(left, f"My aunt forgot her {thing} when she left our {place}.", n / 40))
    return rows


def split_up(rows: list[Row]) -> dict[str, list[Row]]:
    return {"train": rows[:30], "dev": rows[30:35], "test": rows[35:]}


Held = list[tuple[str, str, float, str]]


def held(reader: DatasetReader) -> Held:
    return sorted(
        (one["left"], one["right"], round(one["score"], 3), one["split"])
        for one in reader.pairs().to_pylist()
    )


def without(reader: DatasetReader, *rows: Row) -> Held:
    """What a version holds but for these rows."""
    gone = {(one["sentence1"], one["sentence2"], round(one["score"], 3)) for one in rows}
    kept = [one for one in held(reader) if one[:3] not in gone]
    assert len(kept) == len(held(reader)) - len(gone)
    return kept


def only(found: dict[str, dict[str, Any]], code: str) -> dict[str, Any]:
    """The one finding there is."""
    assert list(found) == [code]
    return found[code]


def test_healthy_pairs_have_no_findings(data: Make, checker: Checker) -> None:
    values = {"tokenizer": "all-MiniLM-L6-v2", "similarity": 0.9}
    assert checker.check(data(**split_up(healthy())).name, **values) == {}
    assert checker.report["checks"] == list(CHECKS)
    assert checker.report["notes"] == []  # no negatives, so no judge is missed


def test_empty_and_one_word_texts(data: Make, checker: Checker) -> None:
    rows = healthy()
    rows[3]["sentence2"], rows[36]["sentence1"] = "?!", "..."
    rows[5]["sentence1"], rows[38]["sentence2"] = "Kettle", "lamp"
    reader = data(**split_up(rows))
    found = checker.check(reader.name, "queries")
    assert found["empty-pair-text"]["count"] == 2
    shown = [[one["text"] for one in e["texts"]] for e in found["empty-pair-text"]["examples"]]
    assert [rows[3]["sentence1"], "?!"] in shown
    assert found["one-word-pair-text"]["count"] == 2
    assert found["one-word-pair-text"]["fixes"][0]["counts"] == {"drop_pairs": 1}
    done, after = checker.fix(reader.name, "empty-pair-text", "one-word-pair-text")
    assert held(after) == without(reader, rows[3], rows[5], rows[36])
    assert (done["before"]["pairs"], done["after"]["pairs"]) == (40, 37)


def moved(checker: Checker, reader: DatasetReader, one: Row, split: str) -> DatasetReader:
    """A version in which that pair stands in another split: an import would not let it."""
    row = reader.pairs()["left"].to_pylist().index(one["sentence1"])
    changes = Changes(move_pairs={row: split})
    new_version(checker.workspace, reader.name, changes, {"what": "moved"})
    return checker.workspace.datasets.read(reader.name)


def test_a_pair_in_two_splits_stays_in_test(data: Make, checker: Checker) -> None:
    rows = healthy()
    left, right = rows[4]["sentence1"], rows[4]["sentence2"]
    rows[9] = pair(right.upper(), f" {left}", 0.9)
    reader = moved(checker, data(**split_up(rows)), rows[9], "test")
    found = only(checker.check(reader.name, "splits"), "pair-in-two-splits")
    assert (found["severity"], found["count"]) == ("error", 1)
    roles = [one["role"] for one in found["examples"][0]["texts"]]
    assert roles == ["left (test, 0.9)", "right", "left (train, 0.1)", "right"]
    _, after = checker.fix(reader.name, "pair-in-two-splits")
    assert held(after) == without(reader, rows[4])


@pytest.mark.parametrize(
    ("scores", "stays"), [((0.2, 0.8), 0), ((0.8, 0.2), 1), ((0.1, 0.9, 0.5), 2)]
)
def test_of_several_scores_the_middle_one_stays(
    data: Make, checker: Checker, scores: tuple[float, ...], stays: int
) -> None:
    rows = healthy()
    twins = [pair(rows[0]["sentence1"].upper(), rows[0]["sentence2"], one) for one in scores]
    reader = data(train=[*twins, *rows[1:30]], dev=rows[30:35], test=rows[35:])
    # An import takes rows for one that differ in nothing; these differ in their scores.
    found = only(checker.check(reader.name, "duplicates"), "pair-with-two-scores")
    assert found["count"] == len(scores) - 1
    _, after = checker.fix(reader.name, "keep-middle-score")
    gone = [twin for place, twin in enumerate(twins) if place != stays]
    assert held(after) == without(reader, *gone)


def test_the_same_pair_with_the_same_score(data: Make, checker: Checker) -> None:
    rows = healthy()
    rows[7] = pair(rows[2]["sentence2"], rows[2]["sentence1"].lower(), rows[2]["score"])
    reader = data(**split_up(rows))
    found = only(checker.check(reader.name, "duplicates"), "duplicate-pair")
    assert len(found["examples"][0]["texts"]) == 4
    _, after = checker.fix(reader.name, "duplicate-pair")
    assert held(after) == without(reader, rows[7])


def test_nearly_the_same_pair(data: Make, checker: Checker) -> None:
    rows = healthy()
    left, right = rows[2]["sentence1"], rows[2]["sentence2"]
    rows[8] = pair(left.rstrip(".") + "!", right.rstrip("."), 0.3)
    reader = data(**split_up(rows))
    found = only(
        checker.check(reader.name, "near-duplicates", similarity=0.95), "near-duplicate-pair"
    )
    assert (found["count"], found["examples"][0]["note"]) == (1, "100% alike")
    _, after = checker.fix(reader.name, "near-duplicate-pair")
    assert held(after) == without(reader, rows[8])


def test_nearly_the_same_pair_in_two_splits_stays_in_test(data: Make, checker: Checker) -> None:
    rows = healthy()
    rows[36] = pair(rows[2]["sentence1"] + "!!", rows[2]["sentence2"], 0.3)
    reader = data(**split_up(rows))
    found = checker.check(reader.name, "near-duplicates", similarity=0.95)
    assert only(found, "similar-pair-in-two-splits")["count"] == 1
    _, after = checker.fix(reader.name, "similar-pair-in-two-splits")
    assert held(after) == without(reader, rows[2])


def test_languages_are_compared_side_by_side(data: Make, checker: Checker) -> None:
    rows = healthy()
    for n, row in enumerate(rows):  # Translations: two languages, and each side has one.
        row["sentence2"] = f"Meine Tante hat die Nummer {n} gestern in der Küche liegen gelassen."
    reader = data(**split_up(rows))
    assert checker.check(reader.name, "languages") == {}
    for n in (1, 2, 33):
        rows[n]["sentence2"] = (
            f"Ma tante a laissé le numéro {n} hier soir dans la cuisine de son frère."
        )
    reader = data(**split_up(rows))
    found = only(checker.check(reader.name, "languages"), "pair-languages-mixed")
    assert found["count"] == 3
    assert {one["note"] for one in found["examples"]} == {"fr"}
    _, after = checker.fix(reader.name, "pair-languages-mixed")
    assert held(after) == without(reader, rows[1], rows[2])


def test_cut_pairs_by_the_side_they_are_read_as(data: Make, checker: Checker) -> None:
    rows = healthy()
    rows[3]["sentence1"] = "tea " * 30
    rows[4]["sentence2"] = "tea " * 30
    rows[39]["sentence2"] = "tea " * 60
    reader = data(**split_up(rows))
    values = {"tokenizer": "all-MiniLM-L6-v2", "query_max_len": 20, "passage_max_len": 40}
    found = only(checker.check(reader.name, "cut", **values), "cut-pair")
    assert found["count"] == 2
    assert [one["note"] for one in found["examples"]] == ["62 tokens", "32 tokens"]
    assert "left 32 tokens, right 62 tokens" in found["sentence"]
    _, after = checker.fix(reader.name, "cut-pair")
    assert held(after) == without(reader, rows[3])
