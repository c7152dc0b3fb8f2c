"""An evaluation's JSON as Markdown, plain text and CSV."""

import csv
import io
from typing import Any

import pytest

from workbench.comparison.names import METRICS, Metric, label
from workbench.comparison.table import (
    build_table,
    pair_table,
    safe_cell,
    to_csv,
    to_markdown,
    to_text,
)
from workbench.errors import BadInput
from workbench.reports.svg import intervals


@pytest.fixture
def result() -> dict[str, Any]:
    low = dict.fromkeys(METRICS.names(), 0.5)
    high = {**dict.fromkeys(METRICS.names(), 0.6), "mrr@10": 0.4, "recall@100": 0.50004}
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
    best = {metric: (base.best[at], tuned.best[at]) for at, metric in enumerate(METRICS.names())}
    assert best["map@100"] == (False, True)
    assert best["mrr@10"] == (True, False)
    assert best["recall@100"] == (True, True)  # 0.500 both, as they are shown


def test_markdown(result: dict[str, Any]) -> None:
    lines = to_markdown(build_table(result)).splitlines()
    assert lines[0].startswith("| Model | Queries | MAP@100 | MRR@10 |")
    assert "| **0.600** |" in lines[3]
    assert lines[3].startswith("| tuned\\|=1 | 300 |")
    assert "+0.100 [+0.050, +0.150], p < 0.001 | 200 / 50 / 50 | better |" in lines[3]
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
    assert [label(metric) for metric in METRICS.names()[:4]] == [
        "MAP@100",
        "MRR@10",
        "NDCG@10",
        "Recall@10",
    ]
    assert label("hit_rate@5") == "Hit rate@5"


def compared(model: str, p_value: float) -> dict[str, Any]:
    about = {"model": model, "against": "base", "metric": "map@100", "delta": 0.1}
    counts = {"wins": 200, "losses": 50, "ties": 50}
    return {**about, "ci95": [0.05, 0.15], "p_value": p_value, **counts}


def test_several_comparisons_are_corrected_also_in_old_results(result: dict[str, Any]) -> None:
    result["rows"] += [{**result["rows"][1], "model": name} for name in ("b", "c")]
    given = (("tuned|=1", 0.03), ("b", 0.01), ("c", 0.6))
    result["comparisons"] = [compared(model, p) for model, p in given]
    found = [row.comparison for row in build_table(result).rows[1:]]
    assert [one.p_holm for one in found] == pytest.approx([0.06, 0.03, 0.6])
    assert [one.verdict for one in found] == [
        "not distinguishable on 300 queries",
        "better",
        "not distinguishable on 300 queries",
    ]
    assert [one.sure for one in found] == [False, True, False]
    assert "p 0.010 (0.030 after Holm)" in to_text(build_table(result))
    rows = list(csv.DictReader(io.StringIO(to_csv(build_table(result)))))
    assert float(rows[2]["p_holm"]) == pytest.approx(0.03) and rows[0]["p_holm"] == ""


def test_groups_and_widened_intervals_are_said(result: dict[str, Any]) -> None:
    for row in result["rows"]:
        row["clusters"] = 80
    result["rows"].append({**result["rows"][1], "model": "b"})
    among = {"interval": [-0.02, 0.22], "confidence": 0.975, "clusters": 80}
    result["comparisons"] = [{**compared(name, 0.3), **among} for name in ("tuned|=1", "b")]
    table = build_table(result)
    found = table.rows[1].comparison
    assert (found.low, found.high, found.ci95) == (-0.02, 0.22, (0.05, 0.15))
    assert found.verdict == "not distinguishable on 300 queries in 80 groups that share documents"
    assert "+0.100 [-0.020, +0.220]" in to_markdown(table)
    said = " ".join(table.notes)
    assert "300 queries are in 80 groups that share relevant documents" in said
    assert "With 2 simultaneous comparisons, intervals are widened" in said
    (_, row, _) = csv.DictReader(io.StringIO(to_csv(table)))
    shown = [float(row[name]) for name in ("ci95_low", "low", "confidence", "clusters")]
    assert shown == [0.05, -0.02, 0.975, 80]


def test_old_results_know_neither_groups_nor_looks(result: dict[str, Any]) -> None:
    table = build_table(result)
    assert table.notes == () and table.rows[1].comparison.clusters is None


@pytest.mark.parametrize(("looks", "notes"), [(1, 0), (7, 1), (20, 1), (21, 2)])
def test_looks_at_the_test_split_are_counted(
    result: dict[str, Any], looks: int, notes: int
) -> None:
    """Beyond twenty, fresh test queries are offered."""
    result["looks"] = looks
    found = build_table(result).notes
    assert len(found) == notes
    assert notes < 1 or f"had been looked at {looks} times" in found[0]
    assert notes < 2 or "data resplit pets" in found[1]
    assert "looked at" in to_text(build_table(result)) or looks == 1
    # Dev is there to be looked at.
    assert build_table({**result, "split": "dev"}).notes == ()


PAIRS: dict[str, Any] = {
    "dataset": "sts",
    "split": "test",
    "rows": [{"model": "base", "queries": 0, "pairs": 200, "spearman": 0.7, "pearson": 0.6}],
    "comparisons": [],
    "pairs": {
        "rows": [
            {
                "model": name,
                "pairs": 200,
                "spearman": value,
                "pearson": value - 0.1,
                "spearman_ci95": [value - 0.05, value + 0.05],
                "pearson_ci95": [value - 0.15, value - 0.05],
            }
            for name, value in (("base", 0.7), ("tuned", 0.8))
        ],
        "comparisons": [
            {**compared("tuned", 0.2), "metric": "spearman", "pairs": 200, "p_holm": 0.2}
        ],
    },
}


def test_scored_pairs_have_a_table_of_their_own(result: dict[str, Any]) -> None:
    assert pair_table(result) is None
    table = pair_table(PAIRS)
    assert table is not None and table.labels == ("Spearman", "Pearson")
    lines = to_text(table).splitlines()
    assert lines[0] == "sts, test split, scored pairs"
    assert "0.800 [0.750, 0.850]*" in lines[3]
    assert lines[3].endswith("not distinguishable on 200 pairs")
    assert build_table(PAIRS).rows == ()


@pytest.mark.parametrize("name", ["precision", "precision@0", "precision@101", "precision@five"])
def test_a_metric_has_a_cutoff_that_rankings_reach(name: str) -> None:
    with pytest.raises(BadInput, match="no cutoff from 1 to 100"):
        Metric(name, "Precision", "P(rel=1)")


def test_every_row_says_its_lengths_where_they_are_known(result: dict[str, Any]) -> None:
    """BM25 truncates nothing. Of a result that does not say, there is no such column."""
    base, tuned = result["rows"]
    base |= {"query_max_len": 64, "passage_max_len": 1024}
    tuned |= {"query_max_len": 64, "passage_max_len": 128}
    result["rows"].append({**base, "model": "bm25", "query_max_len": None, "passage_max_len": None})
    table = build_table(result)
    assert [row.tokens for row in table.rows] == ["64 / 1,024", "64 / 128", ""]
    head, _, first, *_ = to_markdown(table).splitlines()
    assert " | Tokens | Difference to the first | " in head
    assert " | 64 / 1,024 | " in first and len(head.split("|")) == len(first.split("|"))
    for drawn in (to_markdown(table), to_text(table)):
        assert "of a query / of a document at most" in drawn
    for row in result["rows"]:
        row |= {"query_max_len": None, "passage_max_len": None}
    assert "Tokens" not in to_text(build_table(result))


def test_what_has_no_interval_is_shown_without(result: dict[str, Any]) -> None:
    """Of too few groups there is none; nobody is told that they are better."""
    few = {"ci95": None, "interval": None, "queries": 300, "clusters": 4, "p_value": 0.125}
    table = build_table({**result, "comparisons": [{**result["comparisons"][0], **few}]})
    (one,) = table.compared
    assert one.text == "+0.100 [-], p 0.125" and one.verdict == "too few groups to judge"
    assert "+0.100 [-]" in to_markdown(table) and "+0.100 [-]" in to_text(table)
    (line,) = list(csv.DictReader(io.StringIO(to_csv(table))))[1:]
    assert (line["ci95_low"], line["low"], line["p_value"]) == ("", "", "0.125")
    assert "tuned" in intervals([("tuned", one)])
