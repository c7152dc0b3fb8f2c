"""Documents that come without queries: read as they are, or cut from longer texts.

One with an id is known by that id, as in any corpus; one without by its title and text, and a
picture by what it shows.
"""

import numpy as np
import pyarrow as pa

from workbench.data.builder import Builder, content
from workbench.data.collection import Collection
from workbench.data.report import Report
from workbench.data.shapes.row import Document

_BATCH_ROWS = 5_000
_BATCH_CHARS = 1 << 20


class Texts:
    """Adds documents to a builder. ``used`` counts those that were written."""

    def __init__(self, builder: Builder) -> None:
        self._builder = builder
        self._named = Collection(builder)
        self._items: list[tuple[int, Document]] = []
        self._chars = 0
        self._report: Report | None = None
        self._written = 0

    @property
    def used(self) -> int:
        return self._written + self._named.used["document"]

    def begin(self, report: Report) -> None:
        """What follows comes from this file."""
        self.flush()
        self._named.begin(report)
        self._report = report

    def add(self, line: int, item: Document) -> None:
        if item.id is not None and not item.picture:
            self._named.add("document", line, item)
            return
        self._items.append((line, item))
        self._chars += len(item)
        if len(self._items) >= _BATCH_ROWS or self._chars >= _BATCH_CHARS:
            self._flush_items()

    def flush(self) -> None:
        self._named.flush()
        self._flush_items()

    def _flush_items(self) -> None:
        items, self._items, self._chars = self._items, [], 0
        if not items:
            return
        texts = pa.array([item.text for _, item in items], pa.string())
        keys = content(texts, [item for _, item in items])
        lines = np.array([line for line, _ in items], np.int64)
        _, first = self._builder.document_texts.resolve(keys, self._builder.documents.rows)
        for place in sorted(set(range(len(items))) - set(first.tolist())):
            if self._report is not None:
                self._report.add("duplicate-row", int(lines[place]))
        details: list[Document | None] = [items[place][1] for place in first.tolist()]
        self._builder.write_documents(texts, first, details, lines[first])
        self._written += len(first)
