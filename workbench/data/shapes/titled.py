"""A row's title, where the row has exactly one document and that is a plain text: the document's.

Beside several documents, or beside a negative, nothing says whose title it is: it stays the query's
own column. A column that is named as the relevant text's ('pos_title', or a title mapped by hand)
is its title whatever stands beside it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from workbench.data.manifest import OF_POSITIVE
from workbench.data.report import Report
from workbench.data.shapes.lists import ListReader
from workbench.data.shapes.row import Document, Item, Plan, Row


@dataclass(frozen=True, slots=True)
class Titled:
    """Reads as ``read`` does, and gives the one document of a row its title. ``alone``: only where
    none of the columns ``negatives`` holds anything."""

    read: Callable[[dict[str, Any], Report], Item | None]
    title: str
    positive: str
    negatives: tuple[str, ...]
    alone: bool

    def __call__(self, row: dict[str, Any], report: Report) -> Item | None:
        if not self.takes(row):
            return self.read(row, report)
        bare = {name: value for name, value in row.items() if name != self.title}
        found = self.read(bare, report)
        if isinstance(found, Row):
            # The relevant text comes first.
            first, *others = found.documents
            found.documents = [_with_title(first, row[self.title]), *others]
        return found

    def takes(self, row: Mapping[str, Any]) -> bool:
        """Whether the row's title is its document's."""
        title, text = row.get(self.title), row.get(self.positive)
        if not isinstance(title, str) or not title.strip() or not isinstance(text, str):
            return False
        return not (self.alone and any(row.get(name) for name in self.negatives))


def with_title(plan: Plan, plain: Any, names: Mapping[str, str], sample: Mapping[str, Any]) -> Plan:
    """The plan, whose rows give their title away if they have one; ``plain`` is its reader without
    anything around it."""
    if not isinstance(plain, ListReader) or len(plain.positives) > 1:
        return plan
    title = next((names[name] for name in (*OF_POSITIVE, "title") if name in names), None)
    if title is None or title not in plan.own:
        return plan
    alone = title.strip().lower() == "title"
    reader = Titled(plan.read, title, plain.positive, plain.negatives, alone)
    known = tuple(one for one in plan.unknown if one[0] != title)
    own = tuple(one for one in plan.own if one != title or not reader.takes(sample))
    return replace(plan, read=reader, unknown=known, own=own)


def _with_title(document: str | Document, title: str) -> Document:
    if isinstance(document, str):
        return Document(document, title)
    return document if document.title else replace(document, title=title)
