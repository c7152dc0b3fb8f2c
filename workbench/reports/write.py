"""A comparison as Markdown, as HTML (one file, no script, no network) and as LaTeX (booktabs)."""

from collections.abc import Iterator
from html import escape
from typing import TYPE_CHECKING

from workbench.comparison.table import Table, cells, heads, to_markdown
from workbench.comparison.text import sentences
from workbench.recipes.evaluate import MatrixRecipe
from workbench.reports import html, pipelines, svg
from workbench.reports.gather import METHOD, Report, curve_table, gather, job_of, slice_table
from workbench.reports.html import markdown_table, to_latex, when

if TYPE_CHECKING:
    from workbench.workspace import Workspace

MEDIA = {"md": "text/markdown", "html": "text/html", "tex": "application/x-tex"}


def report(workspace: "Workspace", id: str, form: str) -> str:
    """The text of a comparison's report, or of a pipeline matrix's; ``form``: 'md', 'html' or
    'tex'. Raises what :func:`workbench.reports.gather.gather` raises."""
    job = job_of(workspace, id)
    if job.task == MatrixRecipe.task:
        return pipelines.written(job, form)
    found = gather(workspace, id)
    writers = {"md": to_report_markdown, "html": to_html, "tex": to_latex}
    return writers[form](found)


def to_report_markdown(found: Report) -> str:
    """Everything in tables, for a model card or a pull request."""
    parts = [f"# {found.title}", f"Measured {when(found.measured_at)}, comparison `{found.id}`."]
    parts.append("\n".join(f"- {name}: {value}" for name, value in found.facts))
    for table in found.tables:
        parts += [f"## {table_title(table)}", to_markdown(table).strip()]
    if found.forgotten:
        parts += ["## Check against forgetting"]
        parts.append("\n".join(f"- {one.text}" for one in found.forgotten))
    if found.curves:
        parts += ["## Reduced dimensions", markdown_table(*curve_table(found.curves))]
    if found.slicings:
        parts += ["## By kind of query", SLICES_NOTE]
        parts += [markdown_table(*slice_table(one)) for one in found.slicings]
    settings = "; ".join(f"`{name}` = {value}" for name, value in found.settings)
    parts += ["## How", METHOD, f"Settings: {settings}."]
    return "\n\n".join(parts) + "\n"


def to_html(found: Report) -> str:
    """One file that looks the same wherever it is opened."""
    return html.page(found.title, "\n".join(_html_parts(found)))


SLICES_NOTE = (
    "Means with 95% intervals. Nothing is tested here: among many slices one always looks "
    "remarkable."
)


def table_title(table: Table) -> str:
    """What a table is about, in a heading."""
    what = "scored pairs" if table.unit == "pairs" else "queries"
    return f"{table.dataset}, {table.split} {what}"


def _html_parts(found: Report) -> Iterator[str]:
    yield f"<h1>{escape(found.title)}</h1>"
    yield f'<p class="quiet">Measured {when(found.measured_at)}, comparison {escape(found.id)}.</p>'
    yield html.definitions(found.facts)
    for table in found.tables:
        yield f"<h2>{escape(table_title(table))}</h2>"
        yield _numbers(table)
        if table.notes:
            yield f'<p class="quiet">{escape(" ".join(table.notes))}</p>'
        yield svg.bars(table)
        compared = [(row.model, row.comparison) for row in table.rows if row.comparison]
        if compared:
            # In words, not in columns: those would lie beyond the edge of most screens.
            yield html.bullets(sentences(table))
            yield svg.intervals(compared)
    if found.forgotten:
        yield "<h2>Check against forgetting</h2>"
        yield html.bullets([one.text for one in found.forgotten])
    if found.curves:
        yield "<h2>Reduced dimensions</h2>"
        yield svg.curves(found.curves)
        yield html.text_table(*curve_table(found.curves))
    if found.slicings:
        yield f'<h2>By kind of query</h2><p class="quiet">{SLICES_NOTE}</p>'
        for one in found.slicings:
            yield html.text_table(*slice_table(one))
    yield f'<h2>How</h2><p class="quiet">{METHOD}</p>{html.definitions(found.settings)}'


def _numbers(table: Table) -> str:
    """The measures alone."""
    numbers = range(2, 2 + len(table.labels))
    about = numbers.stop + table.has_lengths + table.staged
    shown = [0, 1, *numbers, *range(numbers.stop, about)]
    rows = [cells(row, "<strong>{}</strong>", table) for row in table.rows]
    # Only what ``cells`` put around a number is markup; everything else is text.
    dressed = [[row[at] if at in numbers else escape(row[at]) for at in shown] for row in rows]
    names = heads(table)
    return html.drawn_table([names[at] for at in shown], dressed, (1, *numbers))
