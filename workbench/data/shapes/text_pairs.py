"""Two columns of text: a query and what is relevant to it, by their names or by their order."""

from typing import Any

from workbench.data.mapping import role_of
from workbench.data.shapes.columns import NEGATIVE, PAIRED, POSITIVE, QUERY, SCORES, Columns, is_id
from workbench.data.shapes.lists import ListReader, list_plan
from workbench.data.shapes.row import Plan
from workbench.data.shapes.shape import Shape

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
