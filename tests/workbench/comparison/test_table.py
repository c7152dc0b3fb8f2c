"""An evaluation's JSON as Markdown, plain text and CSV."""

import csv
import io
from typing import Any

import pytest

from workbench.comparison.names import METRICS, label
from workbench.comparison.table import build_table, safe_cell, to_csv, to_markdown, to_text


@pytest.fixture
def result() -> dict[str, Any]:
    low = dict.fromkeys(METRICS, 0.5)
    high = {**dict.fromkeys(METRICS, 0.6), "mrr@10": 0.4, "recall@100": 0.50004}
    return {
        "dataset": "pets",
        "split": "test",
        "rows": [
            {"model": "base", "queries": 300, **low},
            {"model": "tuned|=1", "queries": 300, **high},
        ],
        "comparisons": [
            {
                "model": "tuned|=1",
                "against": "base",
                "metric": "map@100",
                "delta": 0.1,
                "ci95": [0.05, 0.15],
                "p_value": 0.0001,
                "wins": 200,
                "losses": 50,
                "ties": 50,
            }
        ],
    }


def test_best_of_each_metric_is_marked_and_equal_ones_both(result: dict[str, Any]) -> None:
    base, tuned = build_table(result).rows
    best = {metric: (base.best[at], tuned.best[at]) for at, metric in enumerate(METRICS)}
    assert best["map@100"] == (False, True)
    assert best["mrr@10"] == (True, False)
    assert best["recall@100"] == (True, True)  # 0.500 both, as they are shown


def test_markdown(result: dict[str, Any]) -> None:
    lines = to_markdown(build_table(result)).splitlines()
    assert lines[0].startswith("| Model | Queries | MAP@100 | MRR@10 |")
    assert "| **0.600** |" in lines[3]
    assert lines[3].startswith("| tuned\\|=1 | 300 |")
    assert "+0.100 [+0.050, +0.150], p < 0.001 | better |" in lines[3]
    cells = {line.replace("\\|", "").count("|") for line in lines}
    assert len(cells) == 1


def test_text_is_aligned(result: dict[str, Any]) -> None:
    title, head, base, tuned = to_text(build_table(result)).splitlines()
    assert title == "pets, test split"
    end = head.index("MAP@100") + len("MAP@100")
    assert base[:end].endswith("0.500") and tuned[:end].endswith("0.600*")


def test_csv_has_full_precision_and_no_formulas(result: dict[str, Any]) -> None:
    result["rows"][0]["model"] = "=cmd()"
    result["comparisons"][0].update(against="=cmd()", delta=-0.123456789)
    rows = list(csv.DictReader(io.StringIO(to_csv(build_table(result)))))
    assert rows[0]["model"] == "'=cmd()" and rows[1]["against"] == "'=cmd()"
    assert float(rows[1]["delta"]) == -0.123456789
    assert rows[0]["delta"] == ""
    assert float(rows[1]["recall@100"]) == 0.50004


@pytest.mark.parametrize("text", ["=1", "+1", "-1", "@x", "\tx", "\rx"])
def test_safe_cell(text: str) -> None:
    assert safe_cell(text) == "'" + text


def test_few_queries_are_said(result: dict[str, Any]) -> None:
    for row in result["rows"]:
        row["queries"] = 12
    assert build_table(result).rows[1].comparison.verdict == "too few queries to judge"


def test_labels() -> None:
    assert [label(metric) for metric in METRICS[:4]] == [
        "MAP@100",
        "MRR@10",
        "NDCG@10",
        "Recall@10",
    ]
    assert label("hit_rate@5") == "Hit rate@5"
