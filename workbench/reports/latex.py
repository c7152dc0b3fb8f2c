"""A comparison's tables for a paper: LaTeX with booktabs, one ``table`` each."""

from collections.abc import Sequence

from workbench.comparison.table import cells, heads
from workbench.reports.gather import METHOD, Report, curve_table, slice_table

_ESCAPES = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "_": r"\_",
    "%": r"\%",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"$<$",
    ">": r"$>$",
    "|": r"\textbar{}",
    "–": "--",
    "—": "---",
    "−": "$-$",
    "\n": " ",
    "\r": " ",
}
#: Takes no part in escaping: what it marks becomes \textbf.
_BEST = "\x00{}"


def to_latex(found: Report) -> str:
    """Tables to be pasted or \\input; the preamble needs booktabs and graphicx."""
    parts = [
        f"% {_line(found.title)}, comparison {_line(found.id)}.",
        r"% Needs \usepackage{booktabs} and \usepackage{graphicx}; for names beyond Latin letters"
        "\n% compile with XeLaTeX or LuaLaTeX.",
    ]
    for at, table in enumerate(found.tables):
        what = "scored pairs" if table.unit == "pairs" else "queries"
        caption = (
            f"{table.dataset}, {table.split} {what}. The best of each column is bold. {METHOD}"
        )
        rows = [cells(row, _BEST, table.staged) for row in table.rows]
        numbers = 1 + len(table.labels)
        parts.append(_table(heads(table), rows, caption, f"{found.id}-{at}", numbers))
    if found.curves:
        names, rows = curve_table(found.curves)
        caption = "Embeddings cut to their first dimensions."
        parts.append(_table(names, rows, caption, f"{found.id}-dimensions", len(names) - 1))
    for one in found.slicings:
        names, rows = slice_table(one)
        caption = "Means with 95% bootstrap intervals, not tested."
        parts.append(_table(names, rows, caption, f"{found.id}-{one.by}", len(names) - 1))
    return "\n\n".join(parts) + "\n"


def escaped(text: str) -> str:
    """Text as LaTeX prints it."""
    bold = text.startswith("\x00")
    plain = "".join(_ESCAPES.get(sign, sign) for sign in text.lstrip("\x00"))
    return rf"\textbf{{{plain}}}" if bold else plain


def _table(
    names: Sequence[str], rows: Sequence[Sequence[str]], caption: str, id: str, numbers: int
) -> str:
    """``numbers``: how many columns after the first are aligned right."""
    columns = "l" + "r" * numbers + "l" * (len(names) - 1 - numbers)
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
