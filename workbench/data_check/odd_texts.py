"""Texts that are hardly meant as texts: lists written out, numbers alone, placeholders.

They come of cells that were read as they stood: a list that was no list any more, an empty cell
that a program wrote as 'nan'.
"""

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from workbench.data.text_counts import ODD_KINDS, odd_kind
from workbench.data_check.checked import Array, CheckedVersion, everywhere, queries_of
from workbench.data_check.report import EXAMPLES, Example, Finding, Fix, Severity
from workbench.plurals import counted

_SEVERITY: dict[str, Severity] = {"placeholder": "error", "list": "warning", "number": "note"}
#: What they look like, and what to do.
_SAID = {
    "placeholder": (
        "a placeholder for an empty text (nan, None, null, N/A, [], TODO ...)",
        "Leave the cell empty in the file, or fix it here.",
    ),
    "list": (
        "a list that was read as one text",
        "Write the cell as JSON or Python writes a list, or as a list in JSONL or Parquet, and "
        "import the file again.",
    ),
    "number": (
        "a number alone",
        "Look whether an id, a label or a score was read as the text; if so, import the file again "
        "and say which column holds what.",
    ),
}


def odd_queries(data: CheckedVersion) -> Iterator[Finding]:
    """Queries that are a placeholder, a list or a number."""
    for kind, rows in _found(data.query_texts()).items():
        fixes = [everywhere("drop-placeholder-queries", rows)] if kind == "placeholder" else []
        yield Finding(
            f"{kind}-query",
            _SEVERITY[kind],
            len(rows),
            data.queries,
            _sentence(kind, queries_of(len(rows))),
            data.query_examples(rows),
            fixes,
        )


def odd_documents(data: CheckedVersion) -> Iterator[Finding]:
    """Documents of these kinds, and how many of them are relevant to a query."""
    found = _found(data.document_texts())
    if not found:
        return
    relevant = np.unique(data.positives()[1])
    for kind, rows in found.items():
        right = np.isin(rows, relevant)
        # The relevant ones do the most harm: they are shown first.
        shown = [*rows[right].tolist(), *rows[~right].tolist()][:EXAMPLES]
        some = f" ({int(right.sum()):,} of them relevant to a query)"
        yield Finding(
            f"{kind}-document",
            _SEVERITY[kind],
            len(rows),
            data.documents,
            _sentence(kind, counted(len(rows), "document") + some),
            [_example(data, row, bool(row in relevant)) for row in shown],
            [_without(data, rows)] if kind == "placeholder" else [],
        )


def odd_pairs(data: CheckedVersion) -> Iterator[Finding]:
    """Scored pairs with such a text on either side."""
    sides = [_found(data.pair_texts(side)) for side in ("left", "right")]
    for kind in ODD_KINDS:
        parts = [side[kind] for side in sides if kind in side]
        if not parts:
            continue
        rows = np.unique(np.concatenate(parts))
        fix = everywhere("drop-placeholder-pairs", rows, pairs=True)
        yield Finding(
            f"{kind}-pair-text",
            _SEVERITY[kind],
            len(rows),
            data.pairs.num_rows,
            _sentence(kind, counted(len(rows), "scored pair")),
            [data.pair(row) for row in rows[:EXAMPLES].tolist()],
            [fix] if kind == "placeholder" else [],
        )


def _found(parts: Iterable[tuple[int, list[str]]]) -> dict[str, Array]:
    """The rows of each kind, for the kinds that there are."""
    rows: dict[str, list[int]] = {kind: [] for kind in ODD_KINDS}
    for start, texts in parts:
        for place, text in enumerate(texts):
            kind = odd_kind(text)
            if kind is not None:
                rows[kind].append(start + place)
    return {kind: np.array(found, np.int64) for kind, found in rows.items() if found}


def _sentence(kind: str, what: str) -> str:
    looks, hint = _SAID[kind]
    return f"The whole text looks like {looks}: {what}. {hint}"


def _example(data: CheckedVersion, row: int, relevant: bool) -> Example:
    note = "relevant to a query" if relevant else ""
    return Example({"document": row}, [("document", data.document(row))], note)


def _without(data: CheckedVersion, documents: Array) -> Fix:
    """Judgments and candidates that name these documents go; the documents stay in the corpus."""
    edges: dict[str, Any] = {}
    for kind in ("judgments", "candidates"):
        found = [np.zeros((0, 2), np.int64)]
        for table in data.edges(kind):
            both = np.stack([table["query"].to_numpy(), table["document"].to_numpy()], axis=1)
            found.append(both[np.isin(both[:, 1], documents)])
        edges[f"drop_{kind}"] = np.concatenate(found)
    words = (
        f"Take away what is judged or given of {counted(len(documents), 'document')}, in every "
        "split; queries without another relevant document go too."
    )
    return Fix("drop-placeholder-documents", words, edges)
