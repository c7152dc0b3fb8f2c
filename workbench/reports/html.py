"""What every HTML report is made of: one file, no script, no network, light, dark and on paper."""

from collections.abc import Sequence
from datetime import UTC, datetime
from html import escape

from workbench.comparison.table import cells, heads, markdown_line
from workbench.reports.gather import METHOD, Report, curve_table, slice_table

_STYLE = """
:root { color-scheme: light dark; --line: #d0d5dd; --quiet: #667085; }
@media (prefers-color-scheme: dark) { :root { --line: #475467; --quiet: #98a2b3; } }
body { font: 15px/1.55 system-ui, sans-serif; max-width: 1000px; margin: 2rem auto;
  padding: 0 1rem; overflow-wrap: break-word; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.1rem; margin-top: 2rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: 0.9rem; margin: 0.6rem 0; }
th, td { padding: 4px 10px; border-bottom: 1px solid var(--line); text-align: left; }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
svg { width: 100%; max-width: 760px; height: auto; display: block; margin: 0.6rem 0; }
.charts { display: grid; gap: 8px 20px;
  grid-template-columns: repeat(auto-fit, minmax(320px, 1fr)); max-width: 800px; }
.wide svg { min-width: 560px; } td:first-child { min-width: 7.5rem; }
.quiet { color: var(--quiet); font-size: 0.9rem; } dt { color: var(--quiet); }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 2px 16px; } dd { margin: 0; }
@media (max-width: 480px) { dl { grid-template-columns: 1fr; } dd { margin-bottom: 6px; } }
@media print {
  :root { color-scheme: light; --line: #d0d5dd; --quiet: #667085; }
  body { max-width: none; margin: 0; padding: 0; font-size: 10pt; }
  .scroll { overflow: visible; } .wide svg { min-width: 0; } td:first-child { min-width: 0; }
  table { font-size: 8pt; } th, td { padding: 2px 5px; }
  td.number, th.number { white-space: normal; }
  svg, tr, figure { break-inside: avoid; } h2 { break-after: avoid; }
}
"""


def page(title: str, body: str) -> str:
    """One file that looks the same wherever it is opened. ``body`` is markup."""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head>\n"
        f"<body>\n{body}\n</body></html>\n"
    )


def bullets(lines: Sequence[str]) -> str:
    return f"<ul>{''.join(f'<li>{escape(line)}</li>' for line in lines)}</ul>"


def text_table(
    names: Sequence[str], rows: Sequence[Sequence[str]], numbers: Sequence[int] | None = None
) -> str:
    """Cells that are all text; ``numbers`` are aligned right (all but the first column)."""
    escaped = [[escape(cell) for cell in row] for row in rows]
    return drawn_table(names, escaped, range(1, len(names)) if numbers is None else numbers)


def drawn_table(names: Sequence[str], rows: Sequence[Sequence[str]], numbers: Sequence[int]) -> str:
    """Cells that are markup already, under heads that are text."""
    head = "".join(_cell("th", escape(name), at in numbers) for at, name in enumerate(names))
    body = "".join(
        f"<tr>{''.join(_cell('td', cell, at in numbers) for at, cell in enumerate(row))}</tr>"
        for row in rows
    )
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    return f'<div class="scroll">{table}</div>'


def definitions(pairs: Sequence[tuple[str, str]]) -> str:
    inner = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in pairs)
    return f"<dl>{inner}</dl>"


def _cell(tag: str, content: str, number: bool) -> str:
    return f"<{tag}{' class=number' if number else ''}>{content}</{tag}>"


# A comparison's tables for a paper: LaTeX with booktabs, one ``table`` each.

_ESCAPES = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#",
    "_": r"\_", "%": r"\%", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"$<$",
    ">": r"$>$", "|": r"\textbar{}", "–": "--", "—": "---", "−": "$-$", "\n": " ", "\r": " ",
}  # fmt: skip
#: Takes no part in escaping: what it marks becomes \textbf.
BEST = "\x00{}"


def to_latex(found: Report) -> str:
    """Tables to be pasted or \\input; the preamble needs booktabs and graphicx."""
    parts = [preamble(f"{found.title}, comparison {found.id}.")]
    for at, one in enumerate(found.tables):
        what = "scored pairs" if one.unit == "pairs" else "queries"
        caption = f"{one.dataset}, {one.split} {what}. The best of each column is bold. {METHOD}"
        caption = " ".join([caption, *one.notes])
        rows = [cells(row, BEST, one) for row in one.rows]
        numbers = 1 + len(one.labels)
        parts.append(table(heads(one), rows, caption, f"{found.id}-{at}", numbers))
    if found.curves:
        names, rows = curve_table(found.curves)
        caption = "Embeddings cut to their first dimensions."
        parts.append(table(names, rows, caption, f"{found.id}-dimensions", len(names) - 1))
    for slicing in found.slicings:
        names, rows = slice_table(slicing)
        caption = "Means with 95% bootstrap intervals, not tested."
        parts.append(table(names, rows, caption, f"{found.id}-{slicing.by}", len(names) - 1))
    return "\n\n".join(parts) + "\n"


def preamble(about: str) -> str:
    """Comments: what the tables are of, and what a document needs to show them."""
    return (
        f"% {_line(about)}\n"
        r"% Needs \usepackage{booktabs} and \usepackage{graphicx}; for names beyond Latin letters"
        "\n% compile with XeLaTeX or LuaLaTeX."
    )


def escaped(text: str) -> str:
    """Text as LaTeX prints it."""
    bold = text.startswith("\x00")
    plain = "".join(_ESCAPES.get(sign, sign) for sign in text.lstrip("\x00"))
    return rf"\textbf{{{plain}}}" if bold else plain


def table(
    names: Sequence[str],
    rows: Sequence[Sequence[str]],
    caption: str,
    id: str,
    numbers: int,
    texts: int = 1,
) -> str:
    """``numbers``: how many columns after the first ``texts`` are aligned right."""
    columns = "l" * texts + "r" * numbers + "l" * (len(names) - texts - numbers)
    lines = [" & ".join(map(escaped, line)) + r" \\" for line in (names, *rows)]
    inner = "\n".join([r"\toprule", lines[0], r"\midrule", *lines[1:], r"\bottomrule"])
    return (
        "\\begin{table}\n\\centering\n"
        f"\\caption{{{escaped(caption)}}}\n\\label{{tab:{id}}}\n"
        "\\resizebox{\\textwidth}{!}{%\n"
        f"\\begin{{tabular}}{{{columns}}}\n{inner}\n\\end{{tabular}}}}\n\\end{{table}}"
    )


def _line(text: str) -> str:
    """For a comment: nothing in it may end the line."""
    return " ".join(text.split())


# What every Markdown report is made of.


def markdown_table(names: Sequence[str], rows: Sequence[Sequence[str]], texts: int = 1) -> str:
    """``texts``: how many columns at the left are no numbers."""
    rule = ["---"] * texts + ["---:"] * (len(names) - texts)
    return "\n".join(markdown_line(list(line)) for line in (names, rule, *rows))


def when(measured_at: float) -> str:
    """Seconds since the epoch, as a person reads them."""
    return datetime.fromtimestamp(measured_at, UTC).strftime("%Y-%m-%d %H:%M UTC")
