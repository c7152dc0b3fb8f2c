"""What a training run decided and found, in sentences."""

from typing import Any

import pytest

from workbench.cli.running import words
from workbench.comparison import trained

AUTO: dict[str, Any] = {
    "job": "j1",
    "kind": "embedding",
    "model": "minilm-scifact",
    "metric": "map@100",
    "baseline": {"map@100": 0.605},
    "baseline_name": "the original",
    "untrained": {"map@100": 0.605},
    "best": {"map@100": 0.636},
    "beats_base": True,
    "verdict": "",
    "recommended": "minilm-scifact",
    "p_value": 0.001,
    "ci95": [0.012, 0.051],
    "dev_queries": 432,
    "groups": 80,
    "folds": 3,
    "steps": 240,
    "seconds": 95.0,
    "decisions": [
        {
            "name": "serving_length",
            "value": 256,
            "reason": "The base's MAP@100 on your queries is .944 at 256 tokens, .920 at 128.",
            "by": "measured",
        },
        {"name": "learning_rate", "value": 5e-5, "reason": "Width 384.", "by": "rule"},
        {"name": "max_steps", "value": 1200, "reason": "You set it.", "by": "you"},
    ],
    "look": {
        "lengths": [{"length": 128, "map@100": 0.92}, {"length": 256, "map@100": 0.944}],
        "bm25": 0.98,
        "unknown": 0.59,
        "documents": 1500,
        "queries": 432,
        "warnings": ["59% of your tokens are unknown to this model."],
    },
    "forecast": {"gain": 0.041, "low": 0.012, "high": 0.084, "runs": 4, "right": 3},
}
NO_BETTER = {
    **AUTO,
    "beats_base": False,
    "verdict": "no-better",
    "p_value": 0.21,
    "ci95": [-0.011, 0.02],
    "best": {"map@100": 0.609},
    "recommended": "all-MiniLM-L6-v2",
}
#: A run as it was written, without decisions.
WRITTEN = {
    key: AUTO[key]
    for key in ("model", "metric", "baseline", "best", "beats_base", "steps", "seconds", "kind")
}


def test_the_verdict_is_one_sentence_with_its_evidence() -> None:
    assert trained.verdict(AUTO) == (
        "Better than the original: MAP@100 0.636 against 0.605, +0.031 [+0.012, +0.051], "
        "p = 0.001, 432 queries in 80 groups; use minilm-scifact."
    )
    assert "3 folds" in trained.estimate(AUTO)
    assert "folds" not in trained.estimate({**AUTO, "folds": 1})


def test_few_groups_have_no_interval_and_it_is_said() -> None:
    few = {**AUTO, "ci95": None, "groups": 4}
    assert "+0.031 [-], p = 0.001, 432 queries in 4 groups" in trained.verdict(few)
    assert "[-]" in words({**few, "query_max_len": 64, "passage_max_len": 256})


FORGOTTEN: dict[str, Any] = {
    "dataset": "stdlib-code",
    "dataset_version": 1,
    "split": "test",
    "queries": 100,
    "groups": 100,
    "documents": 300,
    "metric": "map@100",
    "kept": 1.0,
    "curve": [
        {"ratio": 0.0, "general": 0.71, "own": 0.6},
        {"ratio": 0.25, "general": 0.712, "own": None},
        {"ratio": 0.5, "general": 0.705, "own": 0.629},
        {"ratio": 0.75, "general": 0.7, "own": None},
        {"ratio": 1.0, "general": 0.68, "own": 0.631},
    ],
    "delta": -0.03,
    "ci95": [-0.051, -0.009],
    "p_value": 0.004,
}


def test_what_was_forgotten_is_a_sentence_and_a_table() -> None:
    result = {**AUTO, "forgetting": FORGOTTEN}
    assert trained.forgotten(result) == (
        "On the general set stdlib-code: MAP@100 0.710 -> 0.680 (-0.030 [-0.051, -0.009], "
        "p = 0.004; 100 queries over 300 documents)."
    )
    _, rows = trained.forgetting_table(result)
    assert rows[0] == ["0 (base)", "0.600", "0.710"] and rows[1] == ["0.25", "", "0.712"]
    assert rows[-1] == ["1 (kept)", "0.631", "0.680"]
    assert trained.forgotten(result) in words(result) and "0.75" in words(result)
    assert trained.forgotten(AUTO) == "" and trained.forgetting_table(AUTO)[1] == []


def test_a_smaller_share_that_keeps_the_gain_and_loses_less_is_named() -> None:
    result = {**AUTO, "forgetting": FORGOTTEN}
    assert trained.smaller_share(result) == (
        "With 0.5 of the trained weights, the rest being the base's, the model would keep 94% of "
        "its gain on your queries and lose 0.005 instead of 0.030 on stdlib-code: blend it with "
        "its base on Models."
    )
    assert trained.smaller_share(result) in words(result)


@pytest.mark.parametrize(
    "change",
    [
        {"p_value": 0.2},
        {"delta": 0.03},
        {"kept": 0.5},
        {"curve": [{**one, "own": None} for one in FORGOTTEN["curve"]]},
        {"curve": [{**one, "own": 0.6 + 0.03 * one["ratio"]} for one in FORGOTTEN["curve"]][::2]},
    ],
    ids=["luck", "better there", "kept already", "not known", "keeps too little"],
)
def test_nothing_is_named_where_it_is_not_so(change: dict[str, Any]) -> None:
    assert trained.smaller_share({**AUTO, "forgetting": {**FORGOTTEN, **change}}) == ""


def test_what_may_be_luck_is_not_called_better() -> None:
    said = trained.verdict(NO_BETTER)
    assert said.startswith("Not shown to be better than the original: ")
    assert "p = 0.210" in said and "keep all-MiniLM-L6-v2." in said
    assert said.endswith("The trained model is kept as minilm-scifact.")


def test_queries_that_are_all_apart_are_no_groups() -> None:
    assert trained.asked({"dev_queries": 432, "groups": 432}) == "432 queries"
    assert trained.asked({"dev_queries": 432}) == "432 queries"
    assert trained.asked({}) == ""


@pytest.mark.parametrize("result", [WRITTEN, {**WRITTEN, "p_value": None, "ci95": None}])
def test_a_run_that_was_not_tested_says_nothing_of_it(result: dict[str, Any]) -> None:
    assert (trained.verdict(result), trained.estimate(result)) == ("", "")
    assert trained.decided(result) == [] and trained.looked(result) == ""
    assert trained.look_table(result)[1] == [] and trained.warnings(result) == []


def test_decisions_are_cells_in_words() -> None:
    cells = [one.cells for one in trained.decided(AUTO)]
    assert [row[0] for row in cells] == ["Serving length", "learning_rate", "max_steps"]
    assert [row[1] for row in cells] == ["256", "5e-05", "1,200"]
    assert [row[2] for row in cells] == ["measured", "rule", "you"]
    assert [trained.value_text(one) for one in (None, True, "0, 0.5")] == ["", "yes", "0, 0.5"]


def test_the_look_is_a_table_with_bm25_below() -> None:
    assert trained.look_table(AUTO)[1] == [["128", "0.920"], ["256", "0.944"], ["BM25", "0.980"]]
    assert trained.looked(AUTO).endswith("59% of your tokens are unknown to it.")
    known = {**AUTO, "look": {**AUTO["look"], "unknown": 0.004}}
    assert "unknown" not in trained.looked(known)


def test_what_to_expect_is_said_with_how_often_it_came_true() -> None:
    told = {"gain": 0.041, "low": -0.001, "high": 0.084, "runs": 0, "right": 0}
    said = trained.expected({"forecast": told})
    assert said == (
        "Expected from the look: about +0.04 MAP@100 (four of five times between +0.00 and +0.08)."
    )
    known = trained.expected({"forecast": {**told, "runs": 4, "right": 3}})
    assert known == f"{said} Such forecasts were right in 3 of 4 earlier runs."
    once = trained.expected({"forecast": {**told, "runs": 1, "right": 1}})
    assert once.endswith("in 1 of 1 earlier run.")
    small = trained.expected({"forecast": {**told, "gain": 0.0113, "low": -0.0035}})
    assert "about +0.011 MAP@100 (four of five times between -0.004 and" in small


@pytest.mark.parametrize("result", [{}, {"forecast": None}])
def test_without_a_forecast_nothing_is_expected(result: dict[str, Any]) -> None:
    assert trained.expected(result) == ""


def test_the_best_of_several_looks_is_said_to_be() -> None:
    assert "the highest of 9 evaluations" in trained.of_looks({**WRITTEN, "looks": 9})
    assert trained.of_looks({**WRITTEN, "looks": 1}) == ""
    assert trained.of_looks({**AUTO, "looks": 3}) == ""


def test_a_run_that_could_not_measure_says_its_own_reason_and_keeps_the_original() -> None:
    why = "There is no time to measure within the minutes that you give."
    found = {**NO_BETTER, "p_value": None, "best": {}, "baseline": {}, "unmeasured": why}
    said = f"{why} Until you have compared them, keep all-MiniLM-L6-v2."
    assert trained.unmeasured(found) == said
    assert said in words(found) and "no dev queries" not in words(found)
    assert "no dev queries" in words({**WRITTEN, "best": {}, "baseline": {}})
