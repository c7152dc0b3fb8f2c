"""Likely false negatives, by a real model of a few kilobytes."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.workbench.data.fakes import everything
from tests.workbench.data_check.conftest import Checker
from tests.workbench.models import tiny
from workbench.data.reader import DatasetReader

pytestmark = pytest.mark.slow  # loads torch


@pytest.fixture(scope="module")
def judge(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tiny.bert(tmp_path_factory.mktemp("judge")))


def rows() -> list[dict[str, Any]]:
    asked = ["quick brown fox", "lazy dog sat", "the cat mat", "fox jumps over"]
    wrong = ["by and for in of", "is on it and", "to a the of", "by it is on"]
    made = [
        {"query": query, "pos": [f"{query} quick"], "neg": [other]}
        for query, other in zip(asked, wrong, strict=True)
    ]
    # The query itself is its own best answer to any model; the 'positive' is not.
    made.append({"query": "dog sat on mat", "pos": ["of to in is"], "neg": ["dog sat on mat ."]})
    return made


OTHERS = [
    {"query": "brown cat", "pos": ["brown cat sat"], "neg": ["of to"]},
    {"query": "quick dog", "pos": ["quick dog jumps"], "neg": ["in is"]},
]


@pytest.mark.parametrize("cache", [True, False])
def test_a_negative_that_is_right_is_found_and_taken_away(
    data: Callable[..., DatasetReader], checker: Checker, judge: str, cache: bool
) -> None:
    reader = data(train=rows(), dev=OTHERS[:1], test=OTHERS[1:])
    values = {"judge": judge, "precision": "fp32", "margin": 0.05, "use_cache": cache}
    found = checker.check(reader.name, "false-negatives", **values)["likely-false-negative"]
    assert "dog sat on mat" in [example["texts"][0]["text"] for example in found["examples"]]
    first = found["examples"][0]
    roles = ["query (train)", "positive", "negative"]
    assert [text["role"] for text in first["texts"]] == roles
    assert float(first["note"]) > 0.05
    suspected = {example["texts"][0]["text"] for example in found["examples"]}
    _, after = checker.fix(reader.name, "likely-false-negative")
    expected = {
        query: (split, right, [] if query in suspected else wrong)
        for query, (split, right, wrong) in everything(reader).items()
    }
    assert everything(after) == expected


def test_the_judge_sees_no_more_queries_than_asked(
    data: Callable[..., DatasetReader], checker: Checker, judge: str
) -> None:
    reader = data(train=rows(), dev=OTHERS[:1], test=OTHERS[1:])
    values = {"judge": judge, "precision": "fp32", "judged_queries": 2, "margin": -10.0}
    found = checker.check(reader.name, "false-negatives", **values)["likely-false-negative"]
    assert (found["count"], found["of"]) == (2, 2)
    assert "The judge saw 2 of 7 queries" in checker.report["notes"][0]


def test_every_split_is_looked_at_or_the_chosen_one(
    data: Callable[..., DatasetReader], checker: Checker, judge: str
) -> None:
    reader = data(train=rows(), dev=OTHERS[:1], test=OTHERS[1:])
    values = {"judge": judge, "precision": "fp32", "margin": -10.0}
    found = checker.check(reader.name, "false-negatives", **values)["likely-false-negative"]
    assert (found["count"], found["of"]) == (7, 7)
    kept, held = found["fixes"]
    assert (kept["counts"], held["counts"]) == ({"drop_candidates": 5}, {"drop_candidates": 2})
    values["judged_split"] = "test"
    found = checker.check(reader.name, "false-negatives", **values)["likely-false-negative"]
    assert (found["count"], [fix["code"] for fix in found["fixes"]]) == (
        1,
        ["drop-held-out-false-negatives"],
    )
    assert found["examples"][0]["texts"][0]["role"] == "query (test)"
    _, after = checker.fix(reader.name, "likely-false-negative")
    before = everything(reader)
    before["quick dog"] = (*before["quick dog"][:2], [])
    assert everything(after) == before


def test_no_model_is_loaded_where_there_is_nothing_to_judge(
    data: Callable[..., DatasetReader],
    checker: Checker,
    judge: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reader = data(train=[{**row, "neg": []} for row in rows()], dev=OTHERS[:1], test=OTHERS[1:])
    monkeypatch.setattr("workbench.models.load.load_model", None)
    values = {"judge": judge, "judged_split": "train"}
    assert checker.check(reader.name, "false-negatives", **values) == {}
    assert "No query there has both" in checker.report["notes"][0]
