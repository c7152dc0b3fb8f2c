"""Documents without queries: an id, a title and a text; what else a row holds goes along."""

import json
import math
from dataclasses import dataclass
from typing import Any

from workbench.data.formats.jsonlines import describe
from workbench.data.report import Report
from workbench.data.shapes.fields import identifier
from workbench.data.shapes.row import Document

TEXTS = ("text", "contents", "content", "body", "passage", "document", "chunk", "page_content")
#: Columns of other columns.
_PACKED = ("metadata", "fields")
IDS = ("_id", "id", "docid", "doc_id", "document_id", "pid", "passage_id", "psg_id")


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


def own_fields(row: dict[str, Any], used: set[str | None]) -> str:
    """A row's other columns as JSON; '' where none holds anything."""
    kept: dict[str, Any] = {}
    for key, value in row.items():
        if key in used or _nothing(value):
            continue
        # Exports put what they have no column for into one.
        inner = _unpacked(value) if key in _PACKED else {}
        kept |= inner or {str(key): value}
    return as_fields(kept)


def as_fields(values: dict[str, Any]) -> str:
    """A document's own fields as they are stored; what JSON does not know becomes text."""
    if not values:
        return ""
    try:
        return json.dumps(values, ensure_ascii=False, default=str, allow_nan=False)
    except ValueError:  # A number somewhere inside that is none.
        kept = {name: str(value) for name, value in values.items()}
        return json.dumps(kept, ensure_ascii=False)


def _unpacked(value: Any) -> dict[str, Any]:
    """What a column that holds other columns holds, also as JSON text."""
    if isinstance(value, str) and value.startswith("{"):
        try:
            value = json.loads(value)
        except ValueError:
            return {}
    return value if isinstance(value, dict) else {}


def _nothing(value: Any) -> bool:
    return value in (None, "", [], {}) or (isinstance(value, float) and math.isnan(value))
