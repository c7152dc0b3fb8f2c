"""A row's other columns: a date, a topic, a source. They are kept with its query, or its pair.

With the query and not with its documents, because a document may stand in many rows, and what a row
says beside its texts was said of that row.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from workbench.data.report import Report
from workbench.data.shapes.own import own_fields
from workbench.data.shapes.row import Document, Item, Pair, Plan


@dataclass(frozen=True, slots=True)
class Keeping:
    """Reads as ``read`` does, and keeps the columns of ``own`` besides."""

    read: Callable[[dict[str, Any], Report], Item | None]
    own: tuple[str, ...]

    def __call__(self, row: dict[str, Any], report: Report) -> Item | None:
        found = self.read(row, report)
        if found is None or isinstance(found, Document):
            return found
        fields = own_fields({name: row[name] for name in self.own if name in row}, set())
        if isinstance(found, Pair):
            return replace(found, fields=fields) if fields else found
        found.fields = fields
        return found


def keeping(plan: Plan) -> Plan:
    """The plan, whose rows keep their own columns where they have any."""
    return replace(plan, read=Keeping(plan.read, plan.own)) if plan.own else plan
