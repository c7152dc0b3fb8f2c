"""A pipeline matrix as a table: for the terminal, as Markdown, and as published ones look.

Torch-free: the page and the command line show with it what a worker measured.
"""

from collections.abc import Mapping
from typing import Any

from workbench.comparison.evidence import looked
from workbench.comparison.names import label
from workbench.comparison.table import aligned, conditions, markdown_line

#: In this order, everywhere.
MEASURED = ("hit_rate", "mrr", "map", "ndcg")
#: What published reranker tables give at each top k.
PUBLISHED = ("hit_rate", "mrr")
NONE = "none"


def pipeline_name(row: Mapping[str, Any]) -> str:
    """'bm25', or 'bm25 + cross'."""
    return f"{row['retriever']} + {row['reranker']}" if row["reranker"] else str(row["retriever"])


def pipeline_rows(result: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Best first by hit rate, then MRR, at the highest top k: as published tables stand."""
    k = max(result["top_k"])
    return sorted(result["rows"], key=lambda row: [-value_at(row, name, k) for name in PUBLISHED])


def value_at(row: Mapping[str, Any], metric: str, k: int) -> float:
    return float(next(one[metric] for one in row["top"] if one["k"] == k))


def best_at(result: Mapping[str, Any], metric: str, k: int) -> float:
    """The highest value among all pipelines, as it reads at three decimals."""
    return max(round(value_at(row, metric, k), 3) for row in result["rows"])


def heads(k: int) -> list[str]:
    """The columns of the table at one top k."""
    metrics = [label(f"{metric}@{k}") for metric in MEASURED]
    return ["Retriever", "Reranker", *metrics, "ms per query"]


def to_markdown(result: Mapping[str, Any], k: int | None = None) -> str:
    """The table at one top k (None: the highest); the best of each column in bold."""
    k = k or max(result["top_k"])
    lines = [markdown_line(heads(k)), markdown_line(["---", "---", *["---:"] * 5])]
    lines += [markdown_line(_cells(result, row, k, "**{}**")) for row in result["rows"]]
    return _with_notes(result, lines)


def to_published(result: Mapping[str, Any]) -> str:
    """``top_1 ... top_N``: hit rate and MRR of each pipeline, as rerankers' makers publish them."""
    tops = [f"top_{k}" for k in result["top_k"]]
    lines = [
        markdown_line(["Retriever", "Reranker", "Metric", *tops]),
        markdown_line(["---", "---", "---", *["---:"] * len(tops)]),
    ]
    for row in pipeline_rows(result):
        for metric in PUBLISHED:
            values = [f"{value_at(row, metric, k):.4f}" for k in result["top_k"]]
            names = [str(row["retriever"]), str(row["reranker"] or NONE)]
            lines.append(markdown_line([*names, metric, *values]))
    return _with_notes(result, lines)


def to_text(result: Mapping[str, Any]) -> str:
    """Aligned columns for the terminal, every cutoff below the other; the best have a star."""
    lines = [[*heads(0)[:2], "top k", *(label(one) for one in MEASURED), "ms per query"]]
    for row in result["rows"]:
        for k in result["top_k"]:
            cells = _cells(result, row, k, "{}*")
            lines.append([*cells[:2], str(k), *cells[2:]])
    about = (
        f"{result['dataset']}, {result['queries']} {result['split']} queries over "
        f"{result['documents']} documents; rerankers order the first {result['candidates']}"
    )
    columns = aligned(lines, slice(2, None))
    return "\n".join([about, *columns, *notes(result)]) + "\n"


def notes(result: Mapping[str, Any]) -> list[str]:
    """How it was measured: what was left out, the lengths of each model, and how often the test
    split was looked at."""
    rows = [{**row, "model": row["reranker"] or row["retriever"]} for row in result["rows"]]
    return [*conditions(result, rows), *looked(result)]


def _with_notes(result: Mapping[str, Any], lines: list[str]) -> str:
    said = notes(result)
    return "\n".join([*lines, *(["", " ".join(said)] if said else [])]) + "\n"


def _cells(result: Mapping[str, Any], row: Mapping[str, Any], k: int, emphasis: str) -> list[str]:
    values = []
    for metric in MEASURED:
        value = value_at(row, metric, k)
        best = round(value, 3) == best_at(result, metric, k)
        values.append(emphasis.format(f"{value:.3f}") if best else f"{value:.3f}")
    took = f"{row['milliseconds']['total']:.1f}"
    return [str(row["retriever"]), str(row["reranker"] or NONE), *values, took]
