"""Checks on single fields, shared by the shapes: texts, lists of texts, scores."""

import math
import re
from collections.abc import Collection, Sequence
from typing import Any

from workbench.data.formats.jsonrows import describe
from workbench.data.problems import Report
from workbench.data.shapes.columns import label_number
from workbench.data.shapes.row import Document, own_fields

Doc = str | Document

_TEXT = ("text", "contents", "content", "body", "passage")
#: What a row says of its passage, and not the passage of itself.
SAID_TOGETHER = {"score", "title_score", "label", "grade", "relevance", "rank", "has_answer"}
#: A number as programs write floats; and the first whole number that floats do not tell apart.
_FLOAT = re.compile(r"-?\d+(\.\d*)?([eE][+-]?\d+)?")
_EXACT = 2.0**53
_ID = ("docid", "doc_id", "_id", "id", "pid", "passage_id", "psg_id")


def query_text(row: dict[str, Any], field: str, report: Report) -> str | None:
    """The query, or None with the reason reported."""
    value = row.get(field)
    if type(value) is str and value and not value.isspace():
        return value
    if value is None:
        report.add("missing-field", None, field, detail=field)
    elif isinstance(value, str):
        report.add("empty-text", None, field)
    else:
        report.add("wrong-type", None, field, detail=f"{describe(value)}, where text is needed")
    return None


def identifier(value: Any) -> str | None:
    """An id as text; None for what cannot be one. A whole number that a table keeps as a float
    (1.0) is that number (1)."""
    if isinstance(value, str):
        return value if value and not value.isspace() else None
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < _EXACT else None
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else None


def whole_number(id: str) -> str | None:
    """The whole number that an id is or is written as: '7' for '7', '7.0' and '7e0'; else None."""
    if id.isascii() and id.isdigit():
        return id
    if _FLOAT.fullmatch(id) and (value := float(id)).is_integer() and abs(value) < _EXACT:
        return str(int(value))
    return None


def plain(values: list[Any]) -> bool:
    """Every one a text that is not empty: nearly all rows, so it is checked first and fast."""
    for value in values:  # noqa: SIM110 - a generator costs twice as much here
        if type(value) is not str or not value or value.isspace():
            return False
    return True


def documents(
    value: Any, field: str, problems: list[tuple[str, str, str]]
) -> list[tuple[int, Doc]]:
    """The usable documents of a field with their place in it; what is not usable is appended to
    ``problems`` as (code, field, detail), for the caller to weigh."""
    items = value if isinstance(value, list) else [] if value is None else [value]
    found: list[tuple[int, Doc]] = []
    for place, item in enumerate(items):
        name = f"{field}[{place}]" if isinstance(value, list) else field
        document = _document(item, name, problems)
        if document is not None:
            found.append((place, document))
    return found


def _document(item: Any, name: str, problems: list[tuple[str, str, str]]) -> Doc | None:
    if isinstance(item, str):
        if item and not item.isspace():
            return item
        problems.append(("empty-text", name, ""))
    elif isinstance(item, dict):
        return _passage(item, name, problems)
    else:
        problems.append(("wrong-type", name, f"{describe(item)}, where text is needed"))
    return None


def _passage(item: dict[str, Any], name: str, problems: list[tuple[str, str, str]]) -> Doc | None:
    field = next((key for key in _TEXT if key in item), None)
    if field is None:
        problems.append(("missing-field", name, "text"))
        return None
    text = item[field]
    if not isinstance(text, str):
        problems.append(("wrong-type", f"{name}.{field}", f"{describe(text)}, not a text"))
        return None
    title = item.get("title")
    title = title if isinstance(title, str) and not title.isspace() else ""
    if not title and (not text or text.isspace()):
        problems.append(("empty-text", f"{name}.{field}", ""))
        return None
    key = next((key for key in _ID if key in item), None)
    found = identifier(item[key]) if key else None
    fields = own_fields(item, {field, "title", key, *SAID_TOGETHER}) if len(item) > 1 else ""
    return Document(text, title, found, fields) if title or found or fields else text


def tell(
    problems: Sequence[tuple[str, str, str]], report: Report, severity: str = "warning"
) -> None:
    """Report what :func:`documents` found wrong: as warnings where the row was kept."""
    for code, field, detail in problems:
        report.add(code, None, field, detail=detail, severity=severity)


def prompt_of(row: dict[str, Any], field: str | None) -> str | None:
    """The query's prompt, where the row has one."""
    value = row.get(field) if field else None
    return value if isinstance(value, str) and value else None


def scores_of(value: Any, count: int, field: str, report: Report) -> list[float | None]:
    """``count`` scores side by side with the documents; None where there is none or a bad one."""
    if value is None or value == []:
        return [None] * count
    if not isinstance(value, list) or len(value) != count:
        given = (
            f"missing for some texts ({len(value)} for {count})"
            if isinstance(value, list)
            else describe(value)
        )
        report.add("bad-score", None, field, detail=given)
        return [None] * count
    return [_score(one, field, report) for one in value]


def _score(value: Any, field: str, report: Report) -> float | None:
    if value is None:
        return None
    if isinstance(value, int | float) and not isinstance(value, bool):
        try:
            score = float(value)
        except OverflowError:
            score = math.inf
        # Teacher scores are kept as 32-bit floats.
        if math.isfinite(score) and abs(score) < 3e38:
            return score
        report.add("bad-score", None, field, detail="not a finite number")
    else:
        report.add("bad-score", None, field, detail=describe(value))
    return None


# What a passage says of itself and its query together: a retriever's score, a rank, a label.
#
# The score is kept as a teacher's. For the rest there is no place, and the report says so once a
# file.


def passage_scores(
    passages: list[Any], field: str, report: Report, used: Collection[str] = ()
) -> list[float | None]:
    """The score of each passage, None where it has none; ``used`` are keys that were read."""
    found: list[float | None] = []
    for place, one in enumerate(passages):
        if not isinstance(one, dict):
            found.append(None)
            continue
        for key in one.keys() & SAID_TOGETHER - {"score", *used}:
            if one[key] not in (None, ""):
                report.once("passage-key-dropped", key, detail=key, hint="")
        found.append(None if "score" in used else _passage_score(one, f"{field}[{place}]", report))
    return found


def _passage_score(passage: dict[str, Any], name: str, report: Report) -> float | None:
    value = passage.get("score")
    score = label_number(value)
    if score is None and value not in (None, ""):
        shown = "not a finite number" if isinstance(value, float) else describe(value)
        report.add("bad-score", None, f"{name}.score", detail=shown)
    return score
