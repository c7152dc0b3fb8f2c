"""Rows that name their documents by id, which stand in a corpus beside them.

Tevatron 2: ``query_id, query, positive_document_ids, negative_document_ids``. PyLate's
distillation: ``query_id, document_ids, scores``, with the queries in a file of their own.
"""

import ast
from collections.abc import Mapping
from typing import Any

from workbench.data.formats.jsonlines import describe
from workbench.data.problems import Report
from workbench.data.shapes.beir import QUERY_IDS
from workbench.data.shapes.columns import Meaning, meaning
from workbench.data.shapes.fields import identifier, query_text, scores_of
from workbench.data.shapes.row import Document
from workbench.data.shapes.shape import ById, Judging, Records, Shape

_QUERY = ("query", "query_text", "question")
_DOCUMENTS = ("document_ids", "doc_ids", "docids", "passage_ids", "corpus_ids")
_SCORES = ("scores", "score", "teacher_scores")


def _column(row: Mapping[str, Any], wanted: tuple[str, ...]) -> str | None:
    lower = {str(key).strip().lower(): key for key in reversed(list(row))}
    return next((lower[name] for name in wanted if name in lower), None)


def _of_side(row: Mapping[str, Any], side: str, holds: str) -> str | None:
    return next((key for key in row if meaning(str(key)) == Meaning(side, holds)), None)


# -- Tevatron 2 ------------------------------------------------------------------------------


def _names_documents(sample: Mapping[str, Any]) -> bool:
    """A query with its text, the ids of its positives, and no texts of them."""
    if _column(sample, QUERY_IDS) is None or _column(sample, _QUERY) is None:
        return False
    if _of_side(sample, "positive", "texts") is not None:
        return False
    return _of_side(sample, "positive", "ids") is not None


def read_named(records: Records, into: ById, report: Report) -> None:
    """Queries with the ids of their positives and negatives."""
    known: set[str] = set()
    for line, row in records:
        report.line = line
        id = _query_id(row, report)
        field = _column(row, _QUERY)
        text = query_text(row, field or "query", report) if id is not None else None
        if id is None or text is None:
            continue
        positives = _ids(row, _of_side(row, "positive", "ids"), report)
        negatives = _ids(row, _of_side(row, "negative", "ids"), report)
        if not positives and not negatives:
            report.add("no-positive", None, _of_side(row, "positive", "ids"))
            continue
        if id not in known:
            known.add(id)
            into.add("query", line, Document(text, "", id))
        for one in positives:
            into.judge(line, id, one, 1)
        for one in negatives:
            into.offer(line, id, one)
    into.flush()


# -- PyLate ----------------------------------------------------------------------------------


def _scores_documents(sample: Mapping[str, Any]) -> bool:
    """A query's id with a list of documents' ids and a teacher's scores of them."""
    named = _column(sample, QUERY_IDS) is not None and _column(sample, _DOCUMENTS) is not None
    return named and _column(sample, _SCORES) is not None


def read_scored(records: Records, into: ById, report: Report) -> None:
    """A teacher's scores: they judge nothing, and are kept as candidates' scores."""
    for line, row in records:
        report.line = line
        id = _query_id(row, report)
        if id is None:
            continue
        ids = _ids(row, _column(row, _DOCUMENTS), report)
        field = _column(row, _SCORES) or "scores"
        value = _listed(row.get(field))
        scores = scores_of(value if isinstance(value, list) else [value], len(ids), field, report)
        for one, score in zip(ids, scores, strict=True):
            into.offer(line, id, one, score)
    into.flush()


# -- what both need --------------------------------------------------------------------------


def _query_id(row: Mapping[str, Any], report: Report) -> str | None:
    field = _column(row, QUERY_IDS)
    found = identifier(row[field]) if field is not None else None
    if found is None:
        report.add("missing-field", None, field or "query_id", detail=field or "query_id")
    return found


def _ids(row: Mapping[str, Any], field: str | None, report: Report) -> list[str]:
    """The ids of a column: a list, one id, or ids with spaces between them."""
    value = _listed(row.get(field)) if field is not None else None
    if isinstance(value, str):
        value = value.split()
    items = value if isinstance(value, list) else [] if value is None else [value]
    found = []
    for place, item in enumerate(items):
        id = identifier(item)
        if id is None:
            detail = f"{describe(item)}, where an id is needed"
            name = f"{field}[{place}]"
            report.add("wrong-type", None, name, detail=detail, severity="warning")
        else:
            found.append(id)
    return found


def _listed(value: Any) -> Any:
    """A list that was written as a text; anything else as it is."""
    if not isinstance(value, str) or not value.startswith("["):
        return value
    try:
        found = ast.literal_eval(value)
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        return value
    return found if isinstance(found, list) else value


SHAPES = (
    Shape(
        "document-ids",
        "query_id, query, positive_document_ids[], negative_document_ids[] beside a corpus",
        "Tevatron 2",
        judging=Judging(_names_documents, read_named, with_queries=True),
    ),
    Shape(
        "document-scores",
        "query_id, document_ids[], scores[] beside a corpus, queries and judgments (qrels)",
        "PyLate",
        judging=Judging(_scores_documents, read_scored, alone="scores-alone"),
    ),
)
