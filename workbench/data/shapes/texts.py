"""Rows of texts alone: documents without queries (an id, a title and a text; what else a row holds
goes along), and two columns of text, a query and what is relevant to it."""

from dataclasses import dataclass
from typing import Any

from workbench.data.batch import TextBatch
from workbench.data.formats.jsonrows import describe
from workbench.data.mapping import role_of
from workbench.data.problems import Report
from workbench.data.shapes.blocks import Blockwise, Doubt, RowBlock, identifiers, text_batch
from workbench.data.shapes.columns import (
    HITS,
    NEGATIVE,
    PAIRED,
    POSITIVE,
    QUERY,
    SCORES,
    Columns,
    is_id,
)
from workbench.data.shapes.fields import identifier
from workbench.data.shapes.lists import ListReader, list_plan
from workbench.data.shapes.row import Document, Plan, own_fields
from workbench.data.shapes.shape import Shape

TEXTS = ("text", "contents", "content", "body", "passage", "document", "chunk", "page_content")
IDS = ("_id", "id", "pid", "docid", "doc_id", "document_id", "passage_id", "psg_id")


@dataclass(frozen=True, slots=True)
class DocumentReader:
    """The names are the row's own; every other column is kept among the document's fields."""

    text: str
    title: str | None = None
    id: str | None = None

    def __call__(self, row: dict[str, Any], report: Report) -> Document | None:
        text = row.get(self.text)
        title = row.get(self.title) if self.title else None
        title = title if isinstance(title, str) and not title.isspace() else ""
        if text is None and not title:
            report.add("missing-field", None, self.text, detail=self.text)
        elif not isinstance(text, str | None):
            detail = f"{describe(text)}, where text is needed"
            report.add("wrong-type", None, self.text, detail=detail)
        elif not title and (not text or text.isspace()):
            report.add("empty-text", None, self.text)
        else:
            id = identifier(row.get(self.id)) if self.id else None
            used = {self.text, self.title, self.id}
            return Document(text or "", title, id, own_fields(row, used))
        return None

    def by_columns(self) -> Blockwise:
        """Reads many rows at once."""
        return self._batch

    def _batch(self, rows: RowBlock) -> TextBatch:
        ids = identifiers(rows, self.id) if self.id in rows.names else None
        if ids is not None and ids.null_count:
            raise Doubt  # Some are known by their ids, and some by their texts.
        return text_batch(rows, self.text, self.title, ids, {self.text, self.title, self.id})


def _plan(columns: Columns) -> Plan | None:
    """A text, and no query to it."""
    text = columns.first(TEXTS)
    if columns.query is not None or text is None or columns.positives or columns.negatives:
        return None
    if {*HITS, "image", "file_name"} & columns.names.keys():
        return None
    reader = DocumentReader(text, columns.names.get("title"), columns.first(IDS))
    return Plan("documents", reader, family="documents")


# Two columns of text: a query and what is relevant to it, by their names or by their order.

#: Columns that tell of a text and are none.
_ABOUT = {"title", "url", "image", "source", "lang", "language", "date", "author", "category"}


def _named(columns: Columns) -> Plan | None:
    """``query, passage``; ``question1, question2``."""
    query, other = columns.query, None
    if query is not None:
        texts = (columns.names[name] for name in PAIRED if name in columns.names)
        other = next((key for key in texts if key != query), None)
    if other is None and columns.sides is not None:
        query, other = columns.sides
    if query is None or other is None:
        return None
    prompt = columns.names.get("prompt")
    reader = ListReader(query, (other,), prompt=prompt, query_id=columns.query_id(query))
    return list_plan("text-pairs", reader, columns)


def _guessed(columns: Columns) -> Plan | None:
    """Two columns of text with names of their own: the first is taken for the query, unless their
    names say the opposite."""
    row = columns.row
    texts = [key for key, value in row.items() if isinstance(value, str) and str(key).strip()]
    known = {str(key).strip().lower() for key in texts}
    alone = known & {*SCORES, *POSITIVE, *NEGATIVE, *_ABOUT} or any(map(is_id, known))
    sided = columns.positives or columns.negatives
    if len(row) != 2 or len(texts) != 2 or alone or sided:
        return None
    first, second = texts
    if role_of(str(first)) == "positive" or role_of(str(second)) == "query":
        first, second = second, first
    return Plan("text-pairs", ListReader(first, (second,)), _taken(first, second), guessed=True)


def _taken(first: Any, second: Any) -> tuple[tuple[str, str], ...]:
    """What to say of the two; nothing of one whose name says it already."""
    said = (
        (QUERY, first, "It was taken for the query: name it 'query' if that is right."),
        (
            (*POSITIVE, *PAIRED),
            second,
            "It was taken for the relevant text: name it 'positive' if that is right.",
        ),
    )
    return tuple(
        (str(key), hint) for known, key, hint in said if str(key).strip().lower() not in known
    )


SHAPES = (
    Shape("documents", "_id, title, text (or contents)", "documents only", order=70, plan=_plan),
    Shape(
        "text-pairs",
        "query, passage (document, answer, response, context, ...), title",
        "sentence-transformers, AutoTrain",
        order=40,
        plan=_named,
    ),
    Shape(
        "two-texts",
        "two columns of text with names of their own: a guess, and the report says so",
        "any",
        order=60,
        plan=_guessed,
    ),
)
