"""A pipeline matrix as Markdown, as HTML (one file with its charts) and as LaTeX."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from storage.records import Job, JobStatus
from workbench.comparison.matrix import MEASURED, NONE, best_at, notes, pipeline_name, value_at
from workbench.comparison.names import label
from workbench.errors import BadInput
from workbench.recipes.evaluate import MatrixRecipe
from workbench.reports import html
from workbench.reports.gather import settings_of
from workbench.reports.html import markdown_table, when
from workbench.reports.svg import COLOURS, Line, legend, lines

#: One a reranker; those of the page's chart.
DASHES = ("", "8 4", "2 3", "8 3 2 3", "14 5", "14 3 3 3")
STAGES = ("encode", "search", "rerank", "total")
#: Of more cutoffs than this only round ones have a column.
COLUMNS = 10
ROUND = (1, 2, 3, 5, 10, 15, 20, 30, 40, 50)
METHOD = (
    "Each retriever searches all documents once, each reranker orders the first documents that a "
    "retriever found, and every top k is cut from that: the pipeline's best k documents are handed "
    "over, and all measures are of these. Means over the queries. Times are milliseconds per "
    "query, of queries asked in batches on the machine that measured; documents were encoded "
    "before. No difference is tested for luck here: a comparison of two models says that."
)


@dataclass(frozen=True, slots=True)
class _Table:
    """Heads and cells; the first ``texts`` columns are no numbers."""

    title: str
    heads: list[str]
    rows: list[list[str]]
    texts: int


def written(job: Job, form: str) -> str:
    """``form``: 'md', 'html' or 'tex'. Raises :class:`BadInput` where nothing was measured."""
    if job.status is not JobStatus.SUCCEEDED or not job.result:
        raise BadInput(
            f"'{job.name}' has no result: it is {job.status.value}.", "Measure the matrix again."
        )
    return {"md": _markdown, "html": _html, "tex": _latex}[form](job, job.result)


def _title(result: Mapping[str, Any]) -> str:
    return f"Pipelines on {result['dataset']}"


def _facts(result: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [
        ("Data set", f"{result['dataset']}, version {result.get('dataset_version', '?')}"),
        ("Split", f"{result['split']}, {result['queries']:,} queries"),
        ("Documents", f"{result['documents']:,}"),
        ("Rerankers order", f"the first {result['candidates']:,} of each retriever"),
        *(("How", one) for one in notes(result)),
    ]


# -- tables --------------------------------------------------------------------------------------


def _tables(result: Mapping[str, Any], best: str) -> list[_Table]:
    """``best``: how the best of a column is dressed, with ``{}`` for it."""
    return [_deepest(result, best), _cutoffs(result, best)]


def _deepest(result: Mapping[str, Any], best: str) -> _Table:
    k = max(result["top_k"])
    stages = [name for name in STAGES if any(name in row["milliseconds"] for row in result["rows"])]
    heads = ["Retriever", "Reranker", *(label(f"{name}@{k}") for name in MEASURED)]
    heads += ["ms per query" if name == "total" else f"{name}, ms" for name in stages]
    rows = []
    for row in result["rows"]:
        values = [_value(result, row, name, k, best) for name in MEASURED]
        rows.append([*_names(row), *values, *_took(row["milliseconds"], stages)])
    return _Table(f"The best {k} documents of each pipeline", heads, rows, 2)


def _cutoffs(result: Mapping[str, Any], best: str) -> _Table:
    """Every measure at every top k: a row per pipeline and measure."""
    tops = shown_cutoffs(result["top_k"])
    heads = ["Retriever", "Reranker", "Metric", *(f"top_{k}" for k in tops)]
    rows = [
        [*_names(row), label(name), *(_value(result, row, name, k, best) for k in tops)]
        for row in result["rows"]
        for name in MEASURED
    ]
    return _Table("By top k", heads, rows, 3)


def shown_cutoffs(cutoffs: Sequence[int]) -> list[int]:
    """All of a few; of many the round ones, and the last."""
    if len(cutoffs) <= COLUMNS:
        return list(cutoffs)
    return [k for k in cutoffs if k in ROUND or k == cutoffs[-1]]


def _names(row: Mapping[str, Any]) -> list[str]:
    return [str(row["retriever"]), str(row["reranker"] or NONE)]


def _value(result: Mapping[str, Any], row: Mapping[str, Any], name: str, k: int, best: str) -> str:
    value = value_at(row, name, k)
    shown = f"{value:.3f}"
    return best.format(shown) if round(value, 3) == best_at(result, name, k) else shown


def _took(milliseconds: Mapping[str, float], stages: Sequence[str]) -> list[str]:
    return [f"{milliseconds[name]:,.1f}" if name in milliseconds else "" for name in stages]


# -- writing -------------------------------------------------------------------------------------


def _markdown(job: Job, result: Mapping[str, Any]) -> str:
    parts = [f"# {_title(result)}", f"Measured {_when(job)}, pipeline matrix `{job.id}`."]
    parts.append("\n".join(f"- {name}: {value}" for name, value in _facts(result)))
    for table in _tables(result, "**{}**"):
        parts += [f"## {table.title}", markdown_table(table.heads, table.rows, table.texts)]
    settings = "; ".join(
        f"`{name}` = {value}" for name, value in settings_of(job.recipe, MatrixRecipe)
    )
    parts += ["## How", METHOD, f"Settings: {settings}."]
    return "\n\n".join(parts) + "\n"


def _html(job: Job, result: Mapping[str, Any]) -> str:
    return html.page(_title(result), "\n".join(_html_parts(job, result)))


def _html_parts(job: Job, result: Mapping[str, Any]) -> Iterator[str]:
    yield f"<h1>{escape(_title(result))}</h1>"
    yield f'<p class="quiet">Measured {_when(job)}, pipeline matrix {escape(job.id)}.</p>'
    yield html.definitions(_facts(result))
    deepest, cutoffs = _tables(result, "<strong>{}</strong>")
    yield f"<h2>{escape(deepest.title)}</h2>{_html_table(deepest)}"
    yield f"<h2>{escape(cutoffs.title)}</h2>"
    charts = "".join(chart(result, name) for name in MEASURED)
    yield f'<div class="charts">{charts}</div>{legend(chart_lines(result, MEASURED[0]))}'
    yield _html_table(cutoffs)
    settings = html.definitions(settings_of(job.recipe, MatrixRecipe))
    yield f'<h2>How</h2><p class="quiet">{METHOD}</p>{settings}'


def _html_table(table: _Table) -> str:
    # Only what was put around a number is markup; names are text.
    rows = [[*map(escape, row[: table.texts]), *row[table.texts :]] for row in table.rows]
    return html.drawn_table(table.heads, rows, range(table.texts, len(table.heads)))


def chart(result: Mapping[str, Any], metric: str) -> str:
    """One metric by top k, a line per pipeline."""
    return lines(label(metric), result["top_k"], chart_lines(result, metric), "top k")


def chart_lines(result: Mapping[str, Any], metric: str) -> list[Line]:
    """A colour per retriever, a dash per reranker."""
    retrievers = list(dict.fromkeys(row["retriever"] for row in result["rows"]))
    rerankers = list(dict.fromkeys(row["reranker"] for row in result["rows"]))
    return [
        Line(
            pipeline_name(row),
            tuple(value_at(row, metric, k) for k in result["top_k"]),
            COLOURS[retrievers.index(row["retriever"]) % len(COLOURS)],
            DASHES[rerankers.index(row["reranker"]) % len(DASHES)],
        )
        for row in result["rows"]
    ]


def _latex(job: Job, result: Mapping[str, Any]) -> str:
    parts = [html.preamble(f"{_title(result)}, pipeline matrix {job.id}.")]
    about = "; ".join(f"{name.lower()}: {value}" for name, value in _facts(result))
    for at, table in enumerate(_tables(result, html.BEST)):
        caption = f"{table.title}; {about}. The best of each column is bold. {METHOD}"
        if at:
            caption = f"{table.title}; {about}. The best of each measure at each k is bold."
        numbers = len(table.heads) - table.texts
        id = f"{job.id}-{at}"
        parts.append(html.table(table.heads, table.rows, caption, id, numbers, table.texts))
    return "\n\n".join(parts) + "\n"


def _when(job: Job) -> str:
    return when(job.finished_at or job.created_at)
