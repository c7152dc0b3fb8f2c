"""Under which conditions a result's numbers were measured, in sentences that stand beside them."""

from collections.abc import Mapping, Sequence
from typing import Any

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
