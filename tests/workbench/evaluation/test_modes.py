"""Retrieval, reranking and pipeline: told apart, and never ranked against each other."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.workbench.evaluation import test_stages
from tests.workbench.evaluation.test_stages import (
    DATA,
    OWN,
    Make,
    evaluated,
    names,
    recipe,
    verdicts,
)
from workbench.comparison.table import build_table, to_text
from workbench.comparison.text import full_list_lines, result_text
from workbench.errors import BadInput
from workbench.prepare import prepare

make: Callable[..., Any] = test_stages.make
BROUGHT: dict[str, Any] = {"dev": OWN}


def evaluation_modes(result: dict[str, Any]) -> list[str]:
    return [row["evaluation_mode"] for row in result["rows"]]


def test_every_row_says_its_mode(make: Make) -> None:
    result = evaluated(make(DATA), ["bm25", "embed"], rerankers=["right"], candidates=4)
    assert evaluation_modes(result) == ["retrieval", "pipeline", "pipeline"] * 2


def test_every_kind_can_order_the_queries_own_candidates(make: Make) -> None:
    models = ["bm25", "embed", "late", "right", "wrong"]
    result = evaluated(make(BROUGHT), models, evaluation_mode="reranking")
    assert names(result) == ["given order", *models]
    assert set(evaluation_modes(result)) == {"reranking"}
    values = {row["model"]: row["map@100"] for row in result["rows"]}
    # BM25 takes the short wrong documents before the long right one, as over all documents.
    assert values["bm25"] == pytest.approx(0.25)
    assert values["embed"] == values["late"] == values["right"] == 1.0
    # All saw the same, so all are compared with the first model.
    assert {against for against, _ in verdicts(result).values()} == {"bm25"}
    assert verdicts(result)["embed"] == ("bm25", "better")
    assert result["rows"][1]["kind"] == "bm25" and result["rows"][2]["kind"] == "embedding"


def test_the_queries_own_candidates_are_never_cut(make: Make) -> None:
    result = evaluated(make(BROUGHT), ["wrong"], evaluation_mode="reranking", candidates=2)
    whole = evaluated(make(BROUGHT), ["wrong"], evaluation_mode="reranking", candidates=50)
    assert result["rows"] == whole["rows"]


def test_longer_lists_than_the_metrics_see_are_told_of_and_measured_whole(make: Make) -> None:
    asked = [
        (query, right, [f"no{n} {m}" for m in range(150)])
        for n, (query, right, _) in enumerate(OWN[:3])
    ]
    result = evaluated(
        make({"dev": asked}), ["wrong", "right"], evaluation_mode="reranking", metric="map@100"
    )
    rows = {row["model"]: row for row in result["rows"]}
    assert {row["longest_list"] for row in rows.values()} == {151}
    # 'wrong' puts the right document last: beyond what MAP@100 sees, and not beyond the list.
    assert rows["wrong"]["map@100"] == 0.0
    assert rows["wrong"]["map"] == pytest.approx(1 / 151)
    assert rows["right"]["map"] == rows["right"]["map@100"] == 1.0
    (said,) = full_list_lines(result)
    assert "lists of up to 151 candidates" in said and "wrong 0.007, right 1.000" in said
    assert said in result_text(result)


def test_of_shorter_lists_nothing_is_said(make: Make) -> None:
    result = evaluated(make(BROUGHT), ["wrong"], evaluation_mode="reranking")
    assert "longest_list" not in result["rows"][0] and full_list_lines(result) == []


def test_mined_negatives_are_no_candidates_to_measure_by(make: Make) -> None:
    context = make(BROUGHT)
    context.workspace.datasets.reader.origin = "mined:bm25"
    with pytest.raises(BadInput, match="have no candidates in the data"):
        prepare(recipe(["embed"], evaluation_mode="reranking"), context.workspace)


def test_a_second_data_set_without_candidates_is_refused_at_the_click(make: Make) -> None:
    context = make(BROUGHT)
    datasets = context.workspace.datasets
    first, second = datasets.reader, make(DATA).workspace.datasets.reader
    datasets.read = lambda name, *_: second if name == "other" else first
    datasets.exists = lambda _name: True
    with pytest.raises(BadInput, match="have no candidates in the data"):
        prepare(
            recipe(["embed"], evaluation_mode="reranking", second_dataset="other"),
            context.workspace,
        )


def test_a_pipeline_leaves_out_what_was_measured_otherwise(make: Make) -> None:
    result = evaluated(
        make(DATA), ["embed"], rerankers=["right"], candidates=4, evaluation_mode="pipeline"
    )
    assert names(result) == ["embed, first 4", "embed + right"]
    assert set(evaluation_modes(result)) == {"pipeline"}


def test_retrieval_searches_however_many_documents_there_are(make: Make) -> None:
    result = evaluated(make(DATA), ["late"], evaluation_mode="retrieval", exact_documents=0)
    assert result["rows"][0]["searched"] == "all documents"


def test_a_first_model_of_another_way_is_no_reference(make: Make) -> None:
    result = evaluated(make(BROUGHT), ["right", "bm25", "embed"])
    assert dict(zip(names(result), evaluation_modes(result), strict=True)) == {
        "given order": "reranking",
        "right": "reranking",
        "bm25": "retrieval",
        "embed": "retrieval",
    }
    assert {name: against for name, (against, _) in verdicts(result).items()} == {
        "right": "given order",
        "embed": "bm25",
    }


def test_the_best_is_the_best_of_its_mode(make: Make) -> None:
    result = evaluated(make(DATA), ["bm25", "embed"], rerankers=["wrong"], candidates=4)
    table = build_table(result)
    assert table.evaluation_modes == ("retrieval", "pipeline")
    best = {row.model for row in table.rows if row.best[0]}
    # Over all documents 'embed' is the best; among pipelines its own order is.
    assert best == {"embed", "embed, first 4"}
    lines = to_text(table).splitlines()
    assert [line for line in lines if line.startswith("--")] == [
        "-- Retrieval: over all documents",
        "-- Pipeline: over what a retriever found",
    ]
    at = lines.index("-- Pipeline: over what a retriever found")
    *rows, lengths = lines[at + 1 :]
    assert all("+" in line or ", first" in line for line in rows)
    assert len(rows) == 4 and lengths.startswith("Tokens: ")


@pytest.mark.parametrize(
    ("data", "models", "values", "says"),
    [
        (DATA, ["right"], {"evaluation_mode": "retrieval"}, "cannot search all documents"),
        (
            DATA,
            ["embed"],
            {"evaluation_mode": "retrieval", "rerankers": ["right"]},
            "no part in 'retrieval'",
        ),
        (DATA, ["embed"], {"evaluation_mode": "pipeline"}, "needs a second stage"),
        (DATA, ["embed"], {"evaluation_mode": "reranking"}, "have no candidates in the data"),
        (
            BROUGHT,
            ["embed"],
            {"evaluation_mode": "reranking", "rerankers": ["right"]},
            "among the models",
        ),
    ],
)
def test_what_a_way_cannot_do_is_refused_at_the_click(
    make: Make, data: dict[str, Any], models: list[str], values: dict[str, Any], says: str
) -> None:
    context = make(data)
    with pytest.raises(BadInput) as error:
        prepare(recipe(models, **values), context.workspace)
    assert says in str(error.value)
