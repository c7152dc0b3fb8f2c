"""A shape of rows: a line of dialogue, and what was and was not a fitting reply."""

from typing import Any

from workbench.data.problems import ProblemKind, Report
from workbench.data.shapes.columns import Columns
from workbench.data.shapes.row import Plan, Row
from workbench.data.shapes.shape import ROW_SHAPES, Shape, plan_for


def read(row: dict[str, Any], report: Report) -> Row | None:
    """``line``, and ``replies`` of which each begins with '+' or '-'."""
    replies = row["replies"] if isinstance(row["replies"], list) else []
    marked = [one for one in replies if isinstance(one, str) and one[:1] in ("+", "-")]
    if len(marked) < len(replies) or not marked:
        report.add("unmarked-reply", None, "replies")
        return None
    return Row(row["line"], [one[1:] for one in marked], [int(one[0] == "+") for one in marked])


def plan(columns: Columns) -> Plan | None:
    if not {"line", "replies"} <= columns.names.keys():
        return None
    return plan_for("dialogue", read, columns, {"line", "replies"})


DIALOGUE = Shape(
    "dialogue",
    "line, replies[] of which each begins with + or -",
    "a test",
    plan=plan,
    problems={
        "unmarked-reply": ProblemKind("error", "A reply has no mark.", "Begin it with + or -."),
    },
)

ROW_SHAPES.register(DIALOGUE)
