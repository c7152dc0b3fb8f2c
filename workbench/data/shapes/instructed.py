"""Texts that carry their instruction: ``[instruction, text]``, as INSTRUCTOR and uniem write them.

The query's instruction becomes its prompt. A document's instruction belongs to a model, not to the
document: it is left out, and the report says so once.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, TypeGuard

from workbench.data.report import Report
from workbench.data.shapes.lists import ListReader
from workbench.data.shapes.row import Row

_ASIDE = "Documents have no prompt of their own: give one with the model's settings."


def is_instructed(value: Any) -> TypeGuard[list[str]]:
    """Exactly two texts."""
    return (
        isinstance(value, list) and len(value) == 2 and all(isinstance(one, str) for one in value)
    )


@dataclass(frozen=True, slots=True)
class InstructedReader:
    """Takes the instructions off, and leaves the rest to the reader of plain rows."""

    plain: ListReader

    def __call__(self, row: dict[str, Any], report: Report) -> Row | None:
        query = row.get(self.plain.query)
        if not is_instructed(query):
            return self.plain(row, report)
        bare = {**row, self.plain.query: query[1]}
        for name in (*self.plain.positives, *self.plain.negatives):
            if name in row:
                bare[name] = _bare(row[name], name, report)
        found = self.plain(bare, report)
        if found is not None and not found.prompt and query[0].strip():
            found = replace(found, prompt=query[0])
        return found


def _bare(value: Any, name: str, report: Report) -> Any:
    """``[instruction, text]`` is one text; a list of those is a list of texts."""
    if is_instructed(value):
        report.once("instruction-dropped", name, detail=value[0], hint=_ASIDE)
        return [value[1]]
    if isinstance(value, list) and value and all(is_instructed(one) for one in value):
        report.once("instruction-dropped", name, detail=value[0][0], hint=_ASIDE)
        return [one[1] for one in value]
    return value


def instructed(
    format: str, reader: ListReader, query: Any
) -> tuple[str, Callable[[dict[str, Any], Report], Row | None]]:
    """The format and the reader for rows with instructions, where the query has one."""
    return ("instructed", InstructedReader(reader)) if is_instructed(query) else (format, reader)
