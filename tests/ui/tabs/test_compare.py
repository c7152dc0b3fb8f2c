"""The comparison: the table, the chart, and that nothing is measured again without being asked."""

from storage.records import JobStatus
from tests.ui.tabs.conftest import BAD, EVALUATED, evaluated, put
from ui.services import Services
from ui.tabs import compare
from workbench.comparison.table import build_table


def test_the_best_of_each_column_is_bold_and_the_verdict_is_in_words() -> None:
    drawn = compare.table_html(build_table(EVALUATED), EVALUATED)
    assert "<strong>0.683</strong>" in drawn
    assert "<strong>0.600</strong>" in drawn
    assert "<strong>0.589</strong>" not in drawn
    assert "+0.094 [+0.050, +0.130], p &lt; 0.001" in drawn
    assert "300 test queries over 1,500 documents" in drawn
    assert 'class="rw-badge good"' in drawn


def test_a_difference_that_may_be_luck_is_not_green() -> None:
    one = {**EVALUATED["comparisons"][0], "p_value": 0.4}
    result = {**EVALUATED, "comparisons": [one]}
    assert "rw-badge good" not in compare.table_html(build_table(result), result)


def test_names_are_text() -> None:
    rows = [{**row, "model": BAD + row["model"]} for row in EVALUATED["rows"]]
    result = {**EVALUATED, "dataset": BAD, "rows": rows, "comparisons": []}
    for drawn in (compare.table_html(build_table(result), result), compare.short_table(result)):
        assert "<script" not in drawn
        assert "<img" not in drawn


def test_a_finished_comparison_is_shown_whole(services: Services) -> None:
    job = evaluated(services)
    card, _cancel, table, actions, plot, markdown, csv = compare.view(services, job)
    assert card == ""
    assert "0.683" in table
    assert actions.visible
    assert plot.visible
    assert "| tuned |" in markdown
    assert csv.startswith("model,queries,map@100")


def test_the_chart_has_a_bar_for_each_model_in_each_metric() -> None:
    figure = compare.chart(build_table(EVALUATED))
    assert [bar.name for bar in figure.data] == ["base", "tuned"]
    assert list(figure.data[0].x) == ["MAP@100", "MRR@10"]


def test_one_that_runs_says_so_and_can_be_stopped(services: Services) -> None:
    job = put(
        services,
        "ev2",
        task="evaluate",
        status=JobStatus.RUNNING,
        recipe={"dataset": "tea", "models": ["a"], "split": "test"},
        progress={"done": 5, "total": 10, "unit": "texts", "message": "Model 1 of 2"},
    )
    card, cancel, table, *_ = compare.view(services, job)
    assert "5 of 10 texts" in card
    assert cancel.visible
    assert table == ""


def test_earlier_ones_of_the_same_data_set_can_be_chosen(services: Services) -> None:
    evaluated(services, "old", created_at=1.0)
    evaluated(services, "new", created_at=2.0)
    other = {"dataset": "coffee", "models": ["a"], "split": "dev"}
    evaluated(services, "other", recipe=other)
    menu = compare.past_menu(services, "tea", "old")
    assert [id for _, id in menu["choices"]] == ["new", "old"]
    assert menu["value"] == "old"
    assert not compare.past_menu(services, "none", None)["visible"]


def test_looking_measures_nothing(services: Services) -> None:
    evaluated(services)
    compare.fill(services, {"job": "ev1", "dataset": "tea"}, "tea", [])
    compare.fill(services, {}, None, [])
    assert len(services.workspace.jobs.list()) == 1


def test_models_to_compare_can_be_handed_over(services: Services) -> None:
    filled = compare.fill(services, {"dataset": "tea", "models": ["base", "tuned"]}, None, ["x"])
    assert filled[1]["value"] == ["base", "tuned"]


def test_models_that_were_compared_before_show_how(services: Services) -> None:
    evaluated(services)
    shown = compare.fill(services, {"dataset": "tea", "models": ["tuned", "base"]}, None, [])
    assert "0.683" in shown[5]
    other = compare.fill(services, {"dataset": "tea", "models": ["base", "new"]}, None, [])
    assert "rw-empty" in other[5]


def test_with_nothing_to_show_it_says_what_to_do(services: Services) -> None:
    table = compare.view(services, None)[2]
    assert "rw-empty" in table
    assert "run the sample" in table
