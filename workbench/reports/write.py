"""A comparison as Markdown, as HTML (one file, no script, no network) and as LaTeX (booktabs)."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from html import escape
from typing import TYPE_CHECKING

from workbench.comparison.table import Table, cells, heads, markdown_line, to_markdown
from workbench.comparison.text import sentences
from workbench.reports import svg
from workbench.reports.gather import METHOD, Report, curve_table, gather, slice_table
from workbench.reports.latex import to_latex

if TYPE_CHECKING:
    from workbench.workspace import Workspace

MEDIA = {"md": "text/markdown", "html": "text/html", "tex": "application/x-tex"}

_STYLE = """
:root { color-scheme: light dark; --line: #d0d5dd; --quiet: #667085; }
@media (prefers-color-scheme: dark) { :root { --line: #475467; --quiet: #98a2b3; } }
body { font: 15px/1.55 system-ui, sans-serif; max-width: 1000px; margin: 2rem auto;
  padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.1rem; margin-top: 2rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: 0.9rem; }
th, td { padding: 4px 10px; border-bottom: 1px solid var(--line); text-align: left; }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
svg { width: 100%; max-width: 760px; height: auto; display: block; margin: 0.6rem 0; }
.quiet { color: var(--quiet); font-size: 0.9rem; } dt { color: var(--quiet); }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 2px 16px; } dd { margin: 0; }
"""


def report(workspace: "Workspace", id: str, form: str) -> str:
    """The text of a comparison's report; ``form``: 'md', 'html' or 'tex'. Raises what
    :func:`workbench.reports.gather.gather` raises."""
    found = gather(workspace, id)
    writers = {"md": to_report_markdown, "html": to_html, "tex": to_latex}
    return writers[form](found)


def to_report_markdown(found: Report) -> str:
    """Everything in tables, for a model card or a pull request."""
    parts = [f"# {found.title}", f"Measured {_when(found)}, comparison `{found.id}`."]
    parts.append("\n".join(f"- {name}: {value}" for name, value in found.facts))
    for table in found.tables:
        parts += [f"## {table_title(table)}", to_markdown(table).strip()]
    if found.forgotten:
        parts += ["## Check against forgetting"]
        parts.append("\n".join(f"- {one.text}" for one in found.forgotten))
    if found.curves:
        parts += ["## Fewer dimensions", _markdown(*curve_table(found.curves))]
    if found.slicings:
        parts += ["## By kind of query", SLICES_NOTE]
        parts += [_markdown(*slice_table(one)) for one in found.slicings]
    settings = "; ".join(f"`{name}` = {value}" for name, value in found.settings)
    parts += ["## How", METHOD, f"Settings: {settings}."]
    return "\n\n".join(parts) + "\n"


def to_html(found: Report) -> str:
    """One file that looks the same wherever it is opened."""
    body = "\n".join(_html_parts(found))
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(found.title)}</title><style>{_STYLE}</style></head>\n"
        f"<body>\n{body}\n</body></html>\n"
    )


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
    yield f'<p class="quiet">Measured {_when(found)}, comparison {escape(found.id)}.</p>'
    yield _definitions(found.facts)
    for table in found.tables:
        yield f"<h2>{escape(table_title(table))}</h2>"
        yield _numbers(table)
        yield svg.bars(table)
        compared = [(row.model, row.comparison) for row in table.rows if row.comparison]
        if compared:
            # In words, not in columns: those would lie beyond the edge of most screens.
            yield _list(sentences(table))
            yield svg.intervals(compared)
    if found.forgotten:
        yield "<h2>Check against forgetting</h2>"
        yield _list([one.text for one in found.forgotten])
    if found.curves:
        yield "<h2>Fewer dimensions</h2>"
        yield svg.curves(found.curves)
        yield _html_table(*curve_table(found.curves))
    if found.slicings:
        yield f'<h2>By kind of query</h2><p class="quiet">{SLICES_NOTE}</p>'
        for one in found.slicings:
            yield _html_table(*slice_table(one))
    yield f'<h2>How</h2><p class="quiet">{METHOD}</p>{_definitions(found.settings)}'


def _numbers(table: Table) -> str:
    """The measures alone."""
    numbers = range(2, 2 + len(table.labels))
    shown = [0, 1, *numbers, *([numbers.stop] if table.staged else [])]
    rows = [cells(row, "<strong>{}</strong>", table.staged) for row in table.rows]
    # Only what ``cells`` put around a number is markup; everything else is text.
    dressed = [[row[at] if at in numbers else escape(row[at]) for at in shown] for row in rows]
    names = heads(table)
    return _drawn([names[at] for at in shown], dressed, (1, *numbers))


def _list(lines: Sequence[str]) -> str:
    return f"<ul>{''.join(f'<li>{escape(line)}</li>' for line in lines)}</ul>"


def _html_table(names: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    escaped = [[escape(cell) for cell in row] for row in rows]
    return _drawn(names, escaped, range(1, len(names)))


def _drawn(names: Sequence[str], rows: Sequence[Sequence[str]], numbers: Sequence[int]) -> str:
    head = "".join(_cell("th", escape(name), at in numbers) for at, name in enumerate(names))
    body = "".join(
        f"<tr>{''.join(_cell('td', cell, at in numbers) for at, cell in enumerate(row))}</tr>"
        for row in rows
    )
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    return f'<div class="scroll">{table}</div>'


def _cell(tag: str, content: str, number: bool) -> str:
    return f"<{tag}{' class=number' if number else ''}>{content}</{tag}>"


def _definitions(pairs: Sequence[tuple[str, str]]) -> str:
    inner = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in pairs)
    return f"<dl>{inner}</dl>"


def _markdown(names: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    rule = ["---", *["---:"] * (len(names) - 1)]
    return "\n".join(markdown_line(list(line)) for line in (names, rule, *rows))


def _when(found: Report) -> str:
    return datetime.fromtimestamp(found.measured_at, UTC).strftime("%Y-%m-%d %H:%M UTC")
