"""An evaluation's result as a table: for the page, the terminal, Markdown and CSV."""

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from workbench.comparison.names import METRICS, label
from workbench.comparison.significance import second_stage_verdict, verdict

#: A spreadsheet runs a cell that begins with one of these.
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")


@dataclass(frozen=True, slots=True)
class Row:
    """One model's measures, and how it compares with the first model (None for the first)."""

    model: str
    queries: int
    values: tuple[float, ...]
    best: tuple[bool, ...]
    comparison: "Difference | None"
    #: 'all documents', 'top 50 of bm25' ...; '' in results from before second stages.
    searched: str = ""
    kind: str = ""


@dataclass(frozen=True, slots=True)
class Difference:
    """One entry of the result's ``comparisons``, with its verdict in words."""

    against: str
    metric: str
    delta: float
    low: float
    high: float
    p_value: float
    wins: int
    losses: int
    ties: int
    verdict: str
    #: The model is compared with the first stage whose candidates it put in order.
    second_stage: bool = False

    @property
    def text(self) -> str:
        return f"{self.delta:+.3f} [{self.low:+.3f}, {self.high:+.3f}], p {p_text(self.p_value)}"


@dataclass(frozen=True, slots=True)
class Table:
    """What was measured on one split of one data set, ready to be shown."""

    dataset: str
    split: str
    metrics: tuple[str, ...]
    rows: tuple[Row, ...]

    @property
    def labels(self) -> tuple[str, ...]:
        return tuple(label(metric) for metric in self.metrics)

    @property
    def staged(self) -> bool:
        """Whether anything but all documents was searched: then the table says what was."""
        return any(row.searched not in ("", "all documents") for row in self.rows)


def build_table(result: Mapping[str, Any]) -> Table:
    """The JSON of ``evaluate`` as a table; the best value of each metric is marked.

    Values that read the same at three decimals are both marked: nobody sees which is higher.
    """
    rows = list(result["rows"])
    metrics = tuple(metric for metric in METRICS if all(metric in row for row in rows))
    highest = [max((round(row[metric], 3) for row in rows), default=0.0) for metric in metrics]
    differences = _differences(result.get("comparisons", ()), rows)
    return Table(
        dataset=str(result["dataset"]),
        split=str(result["split"]),
        metrics=metrics,
        rows=tuple(_row(row, metrics, highest, differences) for row in rows),
    )


def to_markdown(table: Table) -> str:
    """A GitHub table; the best of each column in bold."""
    head = _head(table)
    numbers = 1 + len(table.labels)
    rule = ["---"] + ["---:"] * numbers + ["---"] * (len(head) - 1 - numbers)
    lines = [_markdown_line(head), _markdown_line(rule)]
    lines += [_markdown_line(_cells(row, "**{}**", table.staged)) for row in table.rows]
    return "\n".join(lines) + "\n"


def to_text(table: Table) -> str:
    """Aligned columns for the terminal; the best of each column has a star."""
    head = _head(table)
    lines = [head] + [_cells(row, "{}*", table.staged) for row in table.rows]
    numbers = 1 + len(table.labels)
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    aligned = [
        "  ".join(_align(cell, widths[i], i == 0 or i > numbers) for i, cell in enumerate(line))
        for line in lines
    ]
    title = f"{table.dataset}, {table.split} split"
    return "\n".join([title, *(line.rstrip() for line in aligned)]) + "\n"


def to_csv(table: Table) -> str:
    """Comma-separated values with full precision; text cells cannot act as formulas."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    compared = ("against", "metric", "delta", "ci95_low", "ci95_high", "p_value")
    counted = ("wins", "losses", "ties", "verdict")
    writer.writerow(["model", "queries", *table.metrics, *compared, *counted, "searched"])
    for row in table.rows:
        cells = [safe_cell(row.model), row.queries, *row.values, *_compared(row)]
        writer.writerow([*cells, safe_cell(row.searched)])
    return out.getvalue()


def safe_cell(text: str) -> str:
    """Text that a spreadsheet shows instead of running it."""
    return f"'{text}" if text.startswith(FORMULA_STARTS) else text


def p_text(p_value: float) -> str:
    return "< 0.001" if p_value < 0.001 else f"{p_value:.3f}"


def _differences(comparisons: Any, rows: list[Mapping[str, Any]]) -> dict[str, Difference]:
    queries = {row["model"]: int(row["queries"]) for row in rows}
    return {one["model"]: _difference(one, queries[one["model"]]) for one in comparisons}


def _difference(one: Mapping[str, Any], queries: int) -> Difference:
    low, high = one["ci95"]
    second = bool(one.get("second_stage"))
    judge = second_stage_verdict if second else verdict
    return Difference(
        against=one["against"],
        metric=one["metric"],
        delta=one["delta"],
        low=low,
        high=high,
        p_value=one["p_value"],
        wins=one["wins"],
        losses=one["losses"],
        ties=one["ties"],
        verdict=judge(one["delta"], one["p_value"], int(one.get("queries", queries))),
        second_stage=second,
    )


def _row(
    row: Mapping[str, Any],
    metrics: tuple[str, ...],
    highest: list[float],
    differences: Mapping[str, Difference],
) -> Row:
    values = tuple(float(row[metric]) for metric in metrics)
    return Row(
        model=str(row["model"]),
        queries=int(row["queries"]),
        values=values,
        best=tuple(round(value, 3) == top for value, top in zip(values, highest, strict=True)),
        comparison=differences.get(row["model"]),
        searched=str(row.get("searched", "")),
        kind=str(row.get("kind", "")),
    )


def _head(table: Table) -> list[str]:
    searched = ["Searched", "Difference"] if table.staged else ["Difference to the first"]
    return ["Model", "Queries", *table.labels, *searched, "Verdict"]


def _cells(row: Row, emphasis: str, staged: bool) -> list[str]:
    numbers = [
        emphasis.format(f"{value:.3f}") if best else f"{value:.3f}"
        for value, best in zip(row.values, row.best, strict=True)
    ]
    searched = [row.searched] if staged else []
    difference = row.comparison
    words = [difference.text, difference.verdict] if difference else ["", ""]
    if staged and difference:
        words[0] = f"to {difference.against}: {words[0]}"
    return [row.model, str(row.queries), *numbers, *searched, *words]


def _compared(row: Row) -> list[Any]:
    one = row.comparison
    if one is None:
        return [""] * 10
    text = [safe_cell(one.against), one.metric, one.delta, one.low, one.high, one.p_value]
    return [*text, one.wins, one.losses, one.ties, one.verdict]


def _markdown_line(cells: list[str]) -> str:
    escaped = (cell.replace("|", "\\|").replace("\n", " ") for cell in cells)
    return "| " + " | ".join(escaped) + " |"


def _align(cell: str, width: int, text: bool) -> str:
    return cell.ljust(width) if text else cell.rjust(width)
