"""An index as JSON and as lines for the terminal."""

from typing import Any

from storage.records import Index
from workbench.cli.output import columns, size_words
from workbench.search.stale import Stale, stale
from workbench.workspace import Workspace

MEASURED = ("structure", "dimensions", "recall@10", "queries", "queries_from", "ms_p50", "ms_p95")


def document(workspace: Workspace, index: Index) -> dict[str, Any]:
    """What ``index list`` says of one; of an index from before it was measured, None."""
    return {
        "name": index.name,
        "model": index.model,
        "type": index.type,
        "documents": index.documents,
        "bytes": index.bytes,
        "version": index.version,
        **{name: index.summary.get(name) for name in MEASURED},
        "stale": [one.to_dict() for one in stale(workspace, index)],
    }


def table(found: list[dict[str, Any]]) -> str:
    heads = ["name", "model", "structure", "documents", "disk", "recall@10", "ms", "fits"]
    rows = [
        [
            one["name"],
            one["model"],
            one["structure"] or "flat",
            one["documents"],
            size_words(one["bytes"]),
            "" if one["recall@10"] is None else f"{one['recall@10']:.3f}",
            "" if one["ms_p50"] is None else f"{one['ms_p50']:.2f}",
            ", ".join(reason["code"] for reason in one["stale"]) or "yes",
        ]
        for one in found
    ]
    return columns(heads, rows)


def lines(index: Index, reasons: list[Stale]) -> str:
    """One index in full."""
    summary = index.summary
    rows: list[list[Any]] = [
        ["model", index.model],
        ["documents", f"{index.documents:,} (version {index.version} of the data set)"],
        ["disk", size_words(index.bytes)],
    ]
    if "recall@10" in summary:
        plan = {
            name: value
            for name, value in summary["plan"].items()
            if value and name not in ("structure", "dimensions", "notes", "normalize", "cut")
        }
        settings = ", ".join(f"{name} {value}" for name, value in plan.items())
        rows += [
            ["structure", f"{summary['structure']}, {summary['dimensions']} dimensions"],
            *([["parameters", settings]] if settings else []),
            [
                "recall@10",
                f"{summary['recall@10']:.3f} of exact search, by {summary['queries']} queries "
                f"({summary['queries_from']})",
            ],
            ["per query", f"{summary['ms_p50']:.2f} ms (p50), {summary['ms_p95']:.2f} ms (p95)"],
        ]
        rows += [["note", note] for note in summary.get("notes", [])]
    if left := summary.get("left_out"):
        rows.append(["left out", f"{len(left):,} documents"])
    rows += [["out of date", f"{one.sentence} {_mend(index, one)}".strip()] for one in reasons]
    return columns(["", index.name], rows)


def _mend(index: Index, reason: Stale) -> str:
    return f"Mend it with: python -m workbench index update {index.name}" if reason.mend else ""
