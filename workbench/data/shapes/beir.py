"""BEIR and MTEB: ``corpus`` and ``queries`` by id, and ``qrels`` that say which belong together.

Each may be JSONL, CSV/TSV or Parquet.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from workbench.data.formats.jsonlines import Record, describe
from workbench.data.problems import Report
from workbench.data.shapes.fields import identifier
from workbench.data.shapes.labels import label_number
from workbench.data.shapes.row import Document, own_fields
from workbench.data.shapes.shape import ById, Judging, Shape

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


SHAPE = Shape(
    "beir",
    "corpus (_id, title, text), queries (_id, text) and qrels (query-id, corpus-id, score)",
    "BEIR, MTEB, TREC",
    judging=Judging(looks_like_qrels, read_qrels),
)
