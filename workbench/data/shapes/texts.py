"""Documents without queries: an id, a title and a text; what else a row holds goes along."""

from dataclasses import dataclass
from typing import Any

from workbench.data.batch import TextBatch
from workbench.data.formats.jsonrows import describe
from workbench.data.problems import Report
from workbench.data.shapes.blocks import Blockwise, Doubt, RowBlock, identifiers, text_batch
from workbench.data.shapes.columns import HITS, Columns
from workbench.data.shapes.fields import identifier
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
        ids = identifiers(rows.values(self.id)) if self.id in rows.names else None
        if ids is not None and None in ids:
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


SHAPE = Shape("documents", "_id, title, text (or contents)", "documents only", order=70, plan=_plan)
