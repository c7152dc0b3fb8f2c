"""An evaluation's result as a table, with the conditions it was measured under: for the page, the
terminal, Markdown and CSV."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from workbench.comparison.evidence import grouped, looked, widened
from workbench.comparison.names import CORRELATIONS, METRICS, label
from workbench.comparison.significance import Corrected, correct, second_stage_verdict, verdict

# How a model can be measured. Rows of different evaluation modes are never ranked together.
#
# To choose among all documents is harder than among fifty, and what a retriever missed its
# reranker cannot find: numbers are comparable only within one mode.

#: Over all documents of the data set.
RETRIEVAL = "retrieval"
#: Over each query's own candidates, which the data brings.
RERANKING = "reranking"
#: Over what a retriever found first.
PIPELINE = "pipeline"
#: The three that can be asked for.
EVALUATION_MODES = (RETRIEVAL, RERANKING, PIPELINE)
#: How a model of pictures and texts is measured on pictures: captions search all pictures, and
#: pictures search all captions. To find a caption by its words is another matter than either.
TEXT_TO_PICTURE, PICTURE_TO_TEXT = "text-to-picture", "picture-to-text"
#: The order in which a table's groups stand.
ORDER = (*EVALUATION_MODES, TEXT_TO_PICTURE, PICTURE_TO_TEXT)

ALL_DOCUMENTS = "all documents"
ALL_PICTURES = "all pictures"
ALL_CAPTIONS = "all captions"
OWN_CANDIDATES = "the query's own candidates"

#: As headings of tables.
TITLES = {
    RETRIEVAL: "Retrieval: over all documents",
    RERANKING: "Reranking: over each query's own candidates",
    PIPELINE: "Pipeline: over what a retriever found",
    TEXT_TO_PICTURE: "Text to picture: captions search all pictures",
    PICTURE_TO_TEXT: "Picture to text: pictures search all captions",
}


def mode_of(searched: str) -> str:
    """The evaluation mode of a row by what it ``searched``; old rows, which do not say, all."""
    if searched in ("", ALL_DOCUMENTS):
        return RETRIEVAL
    if searched in (ALL_PICTURES, ALL_CAPTIONS):
        return TEXT_TO_PICTURE if searched == ALL_PICTURES else PICTURE_TO_TEXT
    return RERANKING if searched == OWN_CANDIDATES else PIPELINE


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
    #: Of each value, its 95% interval; () where none was computed.
    intervals: tuple[tuple[float, float], ...] = ()
    #: After how many tokens the model cuts a query, and a document; () where that is not known.
    lengths: tuple[int, ...] = ()

    @property
    def evaluation_mode(self) -> str:
        return mode_of(self.searched)

    @property
    def tokens(self) -> str:
        """'64 / 256': the most that are read of a query, and of a document; '' where unknown."""
        return " / ".join(f"{length:,}" for length in self.lengths)


@dataclass(frozen=True, slots=True)
class Difference:
    """One entry of the result's ``comparisons``, with its verdict in words."""

    against: str
    metric: str
    delta: float
    #: The interval that is shown: as wide as ``confidence`` asks.
    #: None where there are too few groups of queries for any.
    low: float | None
    high: float | None
    #: That of this difference alone.
    ci95: tuple[float, float] | None
    p_value: float
    wins: int
    losses: int
    ties: int
    verdict: str
    #: The model is compared with the first stage whose candidates it put in order.
    second_stage: bool = False
    #: The p-value after Holm's correction over ``compared`` comparisons; what the verdict is by.
    p_holm: float = 1.0
    compared: int = 1
    #: Above 0.95 where the interval is corrected as the p-value is.
    confidence: float = 0.95
    #: Groups of queries that share relevant documents; None: not known.
    clusters: int | None = None

    @property
    def text(self) -> str:
        interval = f"{self.delta:+.3f} {interval_text(self.low, self.high)}"
        corrected = f" ({p_text(self.p_holm)} after Holm)" if self.compared > 1 else ""
        return f"{interval}, p {p_text(self.p_value)}{corrected}"

    @property
    def counted(self) -> str:
        """Queries (or pairs) on which the model did better, worse, the same."""
        return f"{self.wins} / {self.losses} / {self.ties}"

    @property
    def sure(self) -> bool:
        """Whether the verdict is 'better' or 'worse', not a word about what is not known."""
        return self.verdict.startswith(("better", "worse"))


def interval_text(low: float | None, high: float | None) -> str:
    """'[+0.012, +0.051]'; '[-]' where there is none."""
    return "[-]" if low is None or high is None else f"[{low:+.3f}, {high:+.3f}]"


@dataclass(frozen=True, slots=True)
class Table:
    """What was measured on one split of one data set, ready to be shown."""

    dataset: str
    split: str
    metrics: tuple[str, ...]
    rows: tuple[Row, ...]
    #: What was asked: 'queries', or 'pairs' where scores were compared with given ones.
    unit: str = "queries"
    #: How it was measured, in sentences: see ``conditions``.
    notes: tuple[str, ...] = ()

    @property
    def compared(self) -> tuple[Difference, ...]:
        return tuple(row.comparison for row in self.rows if row.comparison)

    @property
    def labels(self) -> tuple[str, ...]:
        return tuple(label(metric) for metric in self.metrics)

    @property
    def evaluation_modes(self) -> tuple[str, ...]:
        """The evaluation modes of the rows, in order; rows of one mode stand together."""
        return tuple(dict.fromkeys(row.evaluation_mode for row in self.rows))

    @property
    def staged(self) -> bool:
        """Whether anything but all documents was searched: then the table says what was."""
        return any(row.searched not in ("", "all documents") for row in self.rows)

    @property
    def has_lengths(self) -> bool:
        """Whether it is known after how many tokens the models truncated texts."""
        return any(row.lengths for row in self.rows)


def build_table(result: Mapping[str, Any]) -> Table:
    """The JSON of ``evaluate`` as a table; the best value of each metric is marked.

    Values that read the same at three decimals are both marked: nobody sees which is higher.
    Scored pairs have a table of their own (:func:`pair_table`); without queries this one is empty.
    """
    rows = [row for row in result["rows"] if any(metric in row for metric in METRICS.names())]
    comparisons = result.get("comparisons", ()) if rows else ()
    return _table(result, rows, comparisons, METRICS.names(), "queries")


def pair_table(result: Mapping[str, Any]) -> Table | None:
    """What scored pairs said of the models, or None where the data set has none."""
    found = result.get("pairs")
    if not found:
        return None
    return _table(result, found["rows"], found["comparisons"], CORRELATIONS, "pairs")


def _table(
    result: Mapping[str, Any],
    rows: Sequence[Mapping[str, Any]],
    comparisons: Sequence[Mapping[str, Any]],
    names: Sequence[str],
    unit: str,
) -> Table:
    metrics = tuple(m for m in names if rows and all(m in row for row in rows))
    # Rows of different evaluation modes are ranked separately, each with a best of its own.
    rows = sorted(rows, key=lambda row: ORDER.index(mode_of(str(row.get("searched", "")))))
    highest = {
        mode: [max(round(row[metric], 3) for row in found) for metric in metrics]
        for mode, found in _by_mode(rows).items()
    }
    asked = {row["model"]: int(row[unit]) for row in rows}
    differences = _differences(comparisons, asked, unit)
    return Table(
        dataset=str(result["dataset"]),
        split=str(result["split"]),
        metrics=metrics,
        rows=tuple(
            _row(row, metrics, highest[mode], differences, unit)
            for mode, found in _by_mode(rows).items()
            for row in found
        ),
        unit=unit,
        notes=(
            *(() if unit == "pairs" else excluded(result)),
            *_tokens_note(rows),
            *grouped(rows),
            *widened([one.confidence for one in differences.values()]),
            *looked(result),
        ),
    )


def _tokens_note(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """What the rows' lengths are, where some are known: each row says its own."""
    if not any(all(row.get(name) for name in LENGTHS) for row in rows):
        return []
    return ["Tokens: so many are read of a query / of a document at most."]


def _by_mode(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[Mapping[str, Any]]]:
    found: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        found.setdefault(mode_of(str(row.get("searched", ""))), []).append(row)
    return found


def to_markdown(table: Table) -> str:
    """A GitHub table; the best of each column in bold."""
    head = heads(table)
    numbers = 1 + len(table.labels)
    rule = ["---"] + ["---:"] * numbers + ["---"] * (len(head) - 1 - numbers)
    lines = [markdown_line(head), markdown_line(rule)]
    lines += [markdown_line(cells(row, "**{}**", table)) for row in table.rows]
    if table.notes:
        lines += ["", " ".join(table.notes)]
    return "\n".join(lines) + "\n"


def to_text(table: Table) -> str:
    """Aligned columns for the terminal; the best of each column has a star."""
    head = heads(table)
    lines = [head] + [cells(row, "{}*", table) for row in table.rows]
    pairs = ", scored pairs" if table.unit == "pairs" else ""
    title = f"{table.dataset}, {table.split} split{pairs}"
    first, *body = aligned(lines, slice(1, 2 + len(table.labels)))
    return "\n".join([title, first, *_in_groups(table, body), *table.notes]) + "\n"


def _in_groups(table: Table, lines: Sequence[str]) -> list[str]:
    """The lines, each group under the heading of its evaluation mode where there are several."""
    if len(table.evaluation_modes) < 2:
        return list(lines)
    found = []
    for mode in table.evaluation_modes:
        found.append(f"-- {TITLES[mode]}")
        found += [
            line for line, row in zip(lines, table.rows, strict=True) if row.evaluation_mode == mode
        ]
    return found


def to_csv(table: Table) -> str:
    """Comma-separated values with full precision; text cells cannot act as formulas."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    compared = ("against", "metric", "delta", "ci95_low", "ci95_high", "p_value")
    counted = ("wins", "losses", "ties", "verdict")
    more = ("searched", "p_holm", *LENGTHS, "clusters", "low", "high", "confidence")
    writer.writerow(["model", table.unit, *table.metrics, *compared, *counted, *more])
    for row in table.rows:
        values = [safe_cell(row.model), row.queries, *row.values, *_compared(row)]
        one = row.comparison
        p_holm = one.p_holm if one else ""
        values += [safe_cell(row.searched), p_holm, *(row.lengths or ("", ""))]
        # What is None is an empty cell.
        shown = [one.clusters or "", one.low, one.high, one.confidence] if one else [""] * 4
        writer.writerow([*values, *shown])
    return out.getvalue()


def safe_cell(text: str) -> str:
    """Text that a spreadsheet shows instead of running it."""
    return f"'{text}" if text.startswith(FORMULA_STARTS) else text


def p_text(p_value: float) -> str:
    return "< 0.001" if p_value < 0.001 else f"{p_value:.3f}"


def _differences(
    comparisons: Sequence[Mapping[str, Any]], asked: Mapping[str, int], unit: str
) -> dict[str, Difference]:
    # Evaluations from before the correction are corrected here.
    corrected = correct([float(one["p_value"]) for one in comparisons])
    return {
        one["model"]: _difference(one, judged, len(comparisons), asked[one["model"]], unit)
        for one, judged in zip(comparisons, corrected, strict=True)
    }


def _difference(
    one: Mapping[str, Any], corrected: Corrected, compared: int, asked: int, unit: str
) -> Difference:
    # Their intervals cannot be: what was drawn is not on record.
    low, high = one.get("interval", one["ci95"]) or (None, None)
    second = bool(one.get("second_stage"))
    count, clusters = int(one.get(unit, asked)), one.get("clusters")
    p_holm = corrected.p_value
    judged = (
        second_stage_verdict(one["delta"], p_holm, count, clusters=clusters)
        if second
        else verdict(one["delta"], p_holm, count, unit=unit, clusters=clusters)
    )
    return Difference(
        against=one["against"],
        metric=one["metric"],
        delta=one["delta"],
        low=low,
        high=high,
        ci95=(one["ci95"][0], one["ci95"][1]) if one["ci95"] else None,
        p_value=one["p_value"],
        wins=one["wins"],
        losses=one["losses"],
        ties=one["ties"],
        verdict=judged,
        second_stage=second,
        p_holm=p_holm,
        compared=compared,
        confidence=one.get("confidence", 0.95),
        clusters=clusters,
    )


def _row(
    row: Mapping[str, Any],
    metrics: tuple[str, ...],
    highest: list[float],
    differences: Mapping[str, Difference],
    unit: str,
) -> Row:
    values = tuple(float(row[metric]) for metric in metrics)
    return Row(
        model=str(row["model"]),
        queries=int(row[unit]),
        values=values,
        best=tuple(round(value, 3) == top for value, top in zip(values, highest, strict=True)),
        comparison=differences.get(row["model"]),
        searched=str(row.get("searched", "")),
        kind=str(row.get("kind", "")),
        intervals=tuple(
            (float(low), float(high))
            for low, high in (row[f"{m}_ci95"] for m in metrics if f"{m}_ci95" in row)
        ),
        lengths=tuple(int(row[name]) for name in LENGTHS if row.get(name)),
    )


def heads(table: Table) -> list[str]:
    """The columns of the table as text: the terminal, Markdown, HTML and LaTeX have the same."""
    searched = ["Searched", "Difference"] if table.staged else ["Difference to the first"]
    tokens = ["Tokens"] if table.has_lengths else []
    count = table.unit.capitalize()
    return ["Model", count, *table.labels, *tokens, *searched, "Wins / losses / ties", "Verdict"]


def cells(row: Row, emphasis: str, table: Table) -> list[str]:
    """A row's cells under :func:`heads`; the best values dressed in ``emphasis`` ('**{}**')."""
    numbers = [value_text(row, at) for at in range(len(row.values))]
    numbers = [
        emphasis.format(number) if best else number
        for number, best in zip(numbers, row.best, strict=True)
    ]
    tokens = [row.tokens] if table.has_lengths else []
    searched = [row.searched] if table.staged else []
    difference = row.comparison
    words = [difference.text, difference.counted, difference.verdict] if difference else [""] * 3
    if table.staged and difference:
        words[0] = f"to {difference.against}: {words[0]}"
    return [row.model, str(row.queries), *numbers, *tokens, *searched, *words]


def value_text(row: Row, at: int) -> str:
    """'0.683', and its interval where there is one."""
    value = f"{row.values[at]:.3f}"
    if not row.intervals:
        return value
    low, high = row.intervals[at]
    return f"{value} [{low:.3f}, {high:.3f}]"


def _compared(row: Row) -> list[Any]:
    one = row.comparison
    if one is None:
        return [""] * 10
    ci95 = one.ci95 or ("", "")
    text = [safe_cell(one.against), one.metric, one.delta, *ci95, one.p_value]
    return [*text, one.wins, one.losses, one.ties, one.verdict]


def markdown_line(cells: list[str]) -> str:
    escaped = (cell.replace("|", "\\|").replace("\n", " ") for cell in cells)
    return "| " + " | ".join(escaped) + " |"


def aligned(lines: Sequence[Sequence[str]], numbers: slice) -> list[str]:
    """Lines of cells in columns of one width each; those of ``numbers`` stand to the right."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    right = set(range(len(widths))[numbers])
    return [
        "  ".join(
            cell.rjust(width) if at in right else cell.ljust(width)
            for at, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    ]


# Under which conditions a result's numbers were measured, in sentences that stand beside them.

#: In results and records: the recipe's switch, how many queries have a document of their own that
#: was left out of their ranking, and how many have one that stayed because it is judged relevant.
SWITCH = "exclude_query_document"
EXCLUDED = "query_documents_excluded"
STAYED = "query_documents_judged_relevant"
#: In rows and records: after how many tokens a model cuts a query, and a document.
LENGTHS = ("query_max_len", "passage_max_len")


def conditions(result: Mapping[str, Any], rows: Sequence[Mapping[str, Any]] = ()) -> list[str]:
    """What was left out of the rankings, and the lengths of the rows (of the result, where none
    are given)."""
    return [*excluded(result), *lengths(rows or result.get("rows") or ())]


def blended(result: Mapping[str, Any]) -> list[str]:
    """The conditions of a blend: each data set has its own queries; the lengths are the tuned
    model's at every ratio."""
    left_out = [said for row in result["rows"] for said in excluded({**result, **row})]
    said = [*dict.fromkeys(left_out), *lengths([{**result, "model": result["tuned"]}])]
    return [*said, *result.get("notes", ())]


def excluded(result: Mapping[str, Any]) -> list[str]:
    """Whether queries could find their own documents, where they have some."""
    if result.get(SWITCH) == "no":
        return ["Queries may find the document with their own id: exclude_query_document is 'no'."]
    said = []
    if count := int(result.get(EXCLUDED) or 0):
        said.append(
            f"The document with a query's own id is left out of its ranking: {count:,} queries "
            "have one."
        )
    if count := int(result.get(STAYED) or 0):
        said.append(
            f"The document with a query's own id is judged relevant to it and stays in its "
            f"ranking: {count:,} queries have one."
        )
    return said


def lengths(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """After how many tokens each model cuts texts; one number where all of them agree."""
    found = {
        str(row.get("model", "")): (int(row[LENGTHS[0]]), int(row[LENGTHS[1]]))
        for row in rows
        if all(row.get(name) for name in LENGTHS)
    }
    if not found:
        return []
    if len(set(found.values())) == 1:
        query, document = next(iter(found.values()))
        return [f"Texts are truncated: queries to {query:,} tokens, documents to {document:,}."]
    each = ", ".join(
        f"{name} {query:,} / {document:,}" for name, (query, document) in found.items()
    )
    return [f"Max length in tokens (query / document): {each}."]


def excludes(settings: Mapping[str, Any]) -> tuple[Any, ...]:
    """Of a measurement on record, what must be equal for two of them to be comparable."""
    return int(settings.get(EXCLUDED) or 0), int(settings.get(STAYED) or 0)
