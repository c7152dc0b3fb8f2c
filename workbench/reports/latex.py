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
BEST = "\x00{}"


def to_latex(found: Report) -> str:
    """Tables to be pasted or \\input; the preamble needs booktabs and graphicx."""
    parts = [preamble(f"{found.title}, comparison {found.id}.")]
    for at, one in enumerate(found.tables):
        what = "scored pairs" if one.unit == "pairs" else "queries"
        caption = f"{one.dataset}, {one.split} {what}. The best of each column is bold. {METHOD}"
        caption = " ".join([caption, *one.notes])
        rows = [cells(row, BEST, one.staged) for row in one.rows]
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
