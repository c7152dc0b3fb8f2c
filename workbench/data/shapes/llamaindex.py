"""LlamaIndex's question-answer sets: one JSON object of ``queries``, ``corpus``, ``relevant_docs``.

The first two map an id to a text, the third a query's id to the ids of its documents. They are
walked over, not loaded: first the texts, then, in a second reading, what belongs together.
"""

from collections.abc import Iterator
from typing import Any

from workbench.data.formats.jsonrows import Cursor, describe, members, reason, value_of
from workbench.data.lines import Block
from workbench.data.problems import Report
from workbench.data.shapes.columns import label_number
from workbench.data.shapes.fields import identifier
from workbench.data.shapes.row import Document
from workbench.data.shapes.shape import ById, Shape

KEYS = {"queries", "corpus", "relevant_docs"}


def read(
    first: Iterator[Block],
    again: Iterator[Block],
    into: ById,
    report: Report,
    silent: Report,
) -> None:
    """Read the file's blocks twice; ``silent`` swallows what was reported the first time."""
    try:
        _texts(Cursor(first), into, report)
        into.flush()
        _relations(Cursor(again), into, report, silent)
    except ValueError as error:
        report.add("not-json", 0, detail=reason(error))
    into.flush()


def _texts(cursor: Cursor, into: ById, report: Report) -> None:
    for line, key in members(cursor, report):
        if key not in ("queries", "corpus"):
            value_of(cursor, report, line)
            continue
        for at, id in members(cursor, report):
            text = _text(value_of(cursor, report, at), f"{key}.{id}", at, report)
            if text is not None:
                kind = "query" if key == "queries" else "document"
                into.add(kind, at, Document(text, "", id))


def _text(value: Any, field: str, line: int, report: Report) -> str | None:
    if isinstance(value, dict):  # Nodes are sometimes kept whole.
        value = value.get("text")
    if isinstance(value, str) and value and not value.isspace():
        return value
    if isinstance(value, str):
        report.add("empty-text", line, field)
    else:
        detail = f"{describe(value)}, where text is needed"
        report.add("wrong-type", line, field, detail=detail)
    return None


def _relations(cursor: Cursor, into: ById, report: Report, silent: Report) -> None:
    for line, key in members(cursor, silent):
        if key != "relevant_docs":
            value_of(cursor, silent, line)
            continue
        for at, query in members(cursor, report):
            _judge(value_of(cursor, report, at), query, at, into, report)


def _judge(value: Any, query: str, line: int, into: ById, report: Report) -> None:
    """Ids in a list (relevant), or id -> grade."""
    items = value if isinstance(value, list | dict) else [value]
    if not items:
        report.add("no-positive", line, f"relevant_docs.{query}")
    for item in items:
        id = identifier(item)
        given = value[item] if isinstance(value, dict) else 1
        grade = label_number(given)
        field = f"relevant_docs.{query}"
        if id is None:
            detail = f"{describe(item)}, where an id is needed"
            report.add("wrong-type", line, field, detail=detail)
        elif grade is None or not grade.is_integer() or not 0 <= grade <= 1_000_000:
            detail = "no whole number from 0 on, which a grade must be"
            report.add("bad-score", line, field, detail=detail, severity="error")
        else:
            into.judge(line, query, id, int(grade))


SHAPE = Shape("llamaindex", "one JSON object with queries, corpus and relevant_docs", "LlamaIndex")
