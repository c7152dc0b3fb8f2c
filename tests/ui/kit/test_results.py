"""The tables and the chart of what a comparison measured."""

from typing import Any

from tests.ui.tabs.conftest import BAD, EVALUATED
from tests.workbench.comparison.test_table import PAIRS
from ui.kit import results
from workbench.comparison.table import build_table, pair_table


def test_the_best_of_each_column_is_bold_and_the_verdict_is_in_words() -> None:
    drawn = results.table_html(build_table(EVALUATED), EVALUATED)
    assert "<strong>0.683</strong>" in drawn
    assert "<strong>0.600</strong>" in drawn
    assert "<strong>0.589</strong>" not in drawn
    assert "+0.094 [+0.050, +0.130], p &lt; 0.001" in drawn
    assert "300 test queries over 1,500 documents" in drawn
    assert 'class="rw-badge good"' in drawn


def test_a_difference_that_may_be_luck_is_not_green() -> None:
    one = {**EVALUATED["comparisons"][0], "p_value": 0.4}
    result = {**EVALUATED, "comparisons": [one]}
    assert "rw-badge good" not in results.table_html(build_table(result), result)


def test_names_are_text() -> None:
    rows = [{**row, "model": BAD + row["model"]} for row in EVALUATED["rows"]]
    result = {**EVALUATED, "dataset": BAD, "rows": rows, "comparisons": []}
    for drawn in (
        results.table_html(build_table(result), result),
        results.short_table(result),
    ):
        assert "<script" not in drawn
        assert "<img" not in drawn


def test_the_chart_has_a_bar_for_each_model_in_each_metric() -> None:
    figure = results.chart(build_table(EVALUATED))
    assert [bar.name for bar in figure.data] == ["base", "tuned"]
    assert list(figure.data[0].x) == ["MAP@100", "MRR@10"]


def test_the_short_table_shows_what_its_note_explains() -> None:
    lengths = {"query_max_len": 64, "passage_max_len": 256}
    result = {**EVALUATED, "rows": [{**row, **lengths} for row in EVALUATED["rows"]]}
    drawn = results.short_table(result)
    assert "Tokens: so many are read" in drawn and "64 / 256" in drawn


STAGED: dict[str, Any] = {
    "dataset": "tea",
    "split": "test",
    "documents": 1500,
    "rows": [
        {"model": "bm25", "queries": 300, "searched": "all documents", "map@100": 0.4},
        {
            "model": "bm25, first 50",
            "queries": 300,
            "searched": "top 50 of bm25",
            "kind": "first-stage",
            "map@100": 0.389,
        },
        {
            "model": "bm25 + cross",
            "queries": 300,
            "searched": "top 50 of bm25",
            "kind": "reranker",
            "map@100": 0.161,
        },
    ],
    "comparisons": [
        {
            **EVALUATED["comparisons"][0],
            "model": "bm25 + cross",
            "against": "bm25, first 50",
            "delta": -0.228,
            "ci95": [-0.26, -0.2],
            "second_stage": True,
        }
    ],
}


def test_a_second_stage_says_what_it_searched_and_whether_it_earned_its_time() -> None:
    drawn = results.table_html(build_table(STAGED), STAGED)
    assert "what it searched</th>" in drawn and "all documents" in drawn
    assert "the top 50 of bm25" in drawn and "first-stage order" in drawn
    assert 'class="rw-badge bad">worse than the first stage' in drawn
    assert "vs. bm25, first 50" in drawn and "only move up" in drawn
    own = {**STAGED["rows"][2], "searched": "the query's own candidates"}
    result = {**STAGED, "rows": [*STAGED["rows"][:2], own]}
    assert "the query’s own candidates" in results.table_html(build_table(result), result)


def test_where_all_documents_were_searched_the_rows_do_not_say_so() -> None:
    rows = [{**row, "searched": "all documents"} for row in EVALUATED["rows"]]
    result = {**EVALUATED, "rows": rows}
    assert "searched" not in results.table_html(build_table(result), result)


def test_each_evaluation_mode_has_a_table_of_its_own() -> None:
    rows = [
        {"model": "bm25", "queries": 60, "searched": "all documents", "map@100": 0.4},
        {"model": "bm25 + x", "queries": 60, "searched": "top 50 of bm25", "map@100": 0.3},
    ]
    result = {"dataset": "tea", "split": "test", "rows": rows, "comparisons": []}
    drawn = results.table_html(build_table(result), result)
    assert drawn.count("<table") == 2 and "Pipeline: over what" in drawn
    assert "<strong>0.400</strong>" in drawn and "<strong>0.300</strong>" in drawn


def test_scored_pairs_are_shown_with_their_intervals_and_apart() -> None:
    drawn = results.results_html(PAIRS)
    assert "200 test scored pairs" in drawn and "never by MAP" in drawn
    assert "<strong>0.800</strong>" in drawn and "[0.750, 0.850]" in drawn
    assert "not distinguishable on 200 pairs" in drawn and "MAP@100" not in drawn
    both = results.results_html({**EVALUATED, "pairs": PAIRS["pairs"]})
    assert both.count("<table") == 2 and both.index("MAP@100") < both.index("Spearman")
    left_out = {**PAIRS["pairs"], "left_out": ["bm25"]}
    assert "need a model: bm25" in results.results_html({**PAIRS, "pairs": left_out})


def test_a_chart_of_correlations_has_room_below_zero() -> None:
    rows = [{**row, "spearman": -0.4} for row in PAIRS["pairs"]["rows"]]
    table = pair_table({**PAIRS, "pairs": {**PAIRS["pairs"], "rows": rows}})
    assert table is not None
    assert results.chart(table).layout.yaxis.range[0] < -0.4
    assert results.chart(build_table(EVALUATED)).layout.yaxis.range[0] == 0


def test_a_second_data_set_is_a_check_against_forgetting() -> None:
    worse = {**EVALUATED["comparisons"][0], "delta": -0.05, "ci95": [-0.08, -0.02]}
    second = {**EVALUATED, "dataset": BAD, "comparisons": [worse]}
    drawn = results.results_html({**EVALUATED, "second_dataset": second})
    assert drawn.count("<table") == 2 and "<script" not in drawn
    assert 'class="rw-badge bad">worse' in drawn
    assert "it has lost ground there." in drawn


def test_wins_and_losses_are_said_and_corrections_too() -> None:
    drawn = results.results_html(EVALUATED)
    assert "150 won, 50 lost, 100 tied" in drawn and "Holm" not in drawn
    rows = [*EVALUATED["rows"], {**EVALUATED["rows"][1], "model": "third"}]
    more = [{**EVALUATED["comparisons"][0], "model": name} for name in ("tuned", "third")]
    assert "2 simultaneous comparisons" in results.results_html(
        {**EVALUATED, "rows": rows, "comparisons": more}
    )


def test_a_row_says_its_lengths_and_offers_its_base_at_them() -> None:
    rows = [
        {**row, "query_max_len": 64, "passage_max_len": at}
        for row, at in zip(EVALUATED["rows"], (256, 128), strict=True)
    ]
    result = {**EVALUATED, "rows": rows}
    drawn = results.results_html(result, {"tuned": f"Measure {BAD}"})
    assert "64 / 256 tokens" in drawn and "64 / 128 tokens" in drawn
    assert drawn.count("data-pick=") == 1 and 'data-pick="tuned"' in drawn
    assert "<script" not in drawn
    assert "tokens" not in results.results_html(EVALUATED)
