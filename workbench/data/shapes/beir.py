"""Documents named by id: BEIR's and MTEB's ``corpus``, ``queries`` and ``qrels``, and rows that
name those of a corpus beside them. Each file may be JSONL, CSV/TSV or Parquet.
"""

import ast
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from workbench.data.batch import Judgments, TextBatch
from workbench.data.formats.jsonrows import Record, describe
from workbench.data.problems import Report
from workbench.data.shapes.blocks import Doubt, RowBlock, grades, identifiers, prompts, text_batch
from workbench.data.shapes.columns import Meaning, label_number, meaning
from workbench.data.shapes.fields import identifier, query_text, scores_of
from workbench.data.shapes.row import Document, own_fields
from workbench.data.shapes.shape import ById, Judging, Records, Shape

IDS = (
    "_id",
    "id",
    "pid",  # Before the document's: MS MARCO's passages have both.
    "docid",
    "doc_id",
    "corpus-id",
    "corpus_id",
    "document_id",
    "query_id",
    "query-id",
    "qid",
)
TEXTS = ("text", "contents", "content", "query", "question", "passage", "body")
QUERY_IDS = ("query-id", "query_id", "qid", "topic", "queryid")
DOCUMENT_IDS = ("corpus-id", "corpus_id", "docid", "doc_id", "pid", "document_id", "passage_id")
GRADES = ("score", "label", "relevance", "grade", "rel", "relevancy")
_LARGEST = 1_000_000
_PLAIN = {"_id", "title", "text"}


def looks_like_qrels(sample: Mapping[str, Any]) -> bool:
    """Rows that name a query and a document, with a grade that is a number or none at all."""
    lower = {str(name).strip().lower(): value for name, value in sample.items()}
    grade = next((lower[name] for name in GRADES if name in lower), None)
    named = any(name in lower for name in QUERY_IDS) and any(name in lower for name in DOCUMENT_IDS)
    return named and not lower.keys() & {"query", "text", "pos", "positive"} and _numeric(grade)


def _numeric(value: Any) -> bool:
    return value in (None, "") or label_number(value) is not None


def looks_like_texts(sample: dict[str, Any]) -> bool:
    """Rows of a corpus or of queries: an id and a text."""
    return any(name in sample for name in IDS) and any(name in sample for name in TEXTS)


def read_texts(kind: str, records: Iterator[Record], into: ById, report: Report) -> None:
    """A corpus (kind 'document') or queries (kind 'query')."""
    for line, row in records:
        report.line = line
        id = _id(row, IDS, "_id", report)
        if id is None:
            continue
        field = next((name for name in TEXTS if name in row), "text")
        text = row.get(field)
        title = row.get("title") if kind == "document" else None
        title = title if isinstance(title, str) and not title.isspace() else ""
        if text is None and not title:
            report.add("missing-field", None, field, detail=field)
        elif not isinstance(text, str | None):
            detail = f"{describe(text)}, where text is needed"
            report.add("wrong-type", None, field, detail=detail)
        elif not title and (not text or text.isspace()):
            report.add("empty-text", None, field)
        else:
            prompt = row.get("prompt") if kind == "query" else None
            prompt = prompt if isinstance(prompt, str) else ""
            fields = _beside(kind, row, field)
            into.add(kind, line, Document(text or "", title, id, fields, prompt=prompt))
    into.flush()


def texts_of(rows: RowBlock, kind: str) -> TextBatch:
    """Many rows of a corpus or of queries at once. Raises :class:`Doubt`."""
    id = next((name for name in IDS if name in rows.names), None)
    ids = identifiers(rows, id) if id is not None else None
    if ids is None or ids.null_count:
        raise Doubt
    field = next((name for name in TEXTS if name in rows.names), "text")
    title = "title" if kind == "document" else None
    found = text_batch(rows, field, title, ids, {field, id, title or "prompt"})
    if kind == "query" and "prompt" in rows.names:
        found.prompts = prompts(rows.values("prompt"))
    return found


def _beside(kind: str, row: dict[str, Any], text: str) -> str:
    """What goes along as the text's own fields."""
    if row.keys() <= _PLAIN and kind == "document":
        return ""
    id = next((name for name in IDS if row.get(name) is not None), None)
    return own_fields(row, {text, id, "title" if kind == "document" else "prompt"})


def read_qrels(records: Iterator[Record], into: ById, report: Report) -> None:
    for line, row in records:
        report.line = line
        names = {str(key).strip().lower(): key for key in row}
        lower = {name: row[key] for name, key in names.items()}
        query = _id(lower, QUERY_IDS, "query-id", report)
        document = _id(lower, DOCUMENT_IDS, "corpus-id", report) if query is not None else None
        if query is None or document is None:
            continue
        grade = _grade(lower, report)
        if grade is not None:
            into.judge(line, query, document, grade)
    into.flush()


def judgments_of(rows: RowBlock) -> Judgments:
    """Many rows of qrels at once. Raises :class:`Doubt`."""
    names = {name.strip().lower(): name for name in rows.names}

    def first(wanted: tuple[str, ...]) -> str | None:
        return next((names[name] for name in wanted if name in names), None)

    query, document, grade = map(first, (QUERY_IDS, DOCUMENT_IDS, GRADES))
    if query is None or document is None:
        raise Doubt
    queries, documents = (identifiers(rows, name) for name in (query, document))
    if queries.null_count or documents.null_count:
        raise Doubt
    found = np.ones(len(rows), np.int32)
    if grade is not None:
        found = grades(rows.values(grade), label_number, _LARGEST)
    return Judgments(rows.lines, queries, documents, found)


def _id(row: dict[str, Any], names: tuple[str, ...], usual: str, report: Report) -> str | None:
    field = next((name for name in names if row.get(name) is not None), None)
    if field is None:
        report.add("missing-field", None, usual, detail=usual)
        return None
    found = identifier(row[field])
    if found is None:
        shown = "an empty id" if isinstance(row[field], str) else describe(row[field])
        report.add("wrong-type", None, field, detail=f"{shown}, where an id is needed")
    return found


def _grade(row: dict[str, Any], report: Report) -> int | None:
    """The grade as a whole number; without a column of grades each is 1, as in BEIR's smallest
    files."""
    field = next((name for name in GRADES if row.get(name) not in (None, "")), None)
    if field is None:
        field = next((name for name in GRADES if name in row), None)
        if field is None:
            return 1
        report.add("bad-score", None, field, detail="missing", severity="error")
        return None
    number = label_number(row[field])
    if number is None or not number.is_integer() or abs(number) > _LARGEST:
        detail = "no whole number, which a grade must be"
        report.add("bad-score", None, field, detail=detail, severity="error")
        return None
    return max(0, int(number))


# Rows that name their documents by id, which stand in a corpus beside them.
#
# Tevatron 2: ``query_id, query, positive_document_ids, negative_document_ids``. PyLate's
# distillation: ``query_id, document_ids, scores``, with the queries in a file of their own.

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


BEIR = Shape(
    "beir",
    "corpus (_id, title, text), queries (_id, text) and qrels (query-id, corpus-id, score)",
    "BEIR, MTEB, TREC",
    judging=Judging(looks_like_qrels, read_qrels, together=judgments_of),
)
SHAPES = (
    BEIR,
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
