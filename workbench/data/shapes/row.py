"""One row as every shape reads it: a query, its documents, what is known of each."""

import json
import math
from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass
from typing import Any

from workbench.data.problems import Report

# A row's or a passage's other columns, as the JSON object that is stored of them.

#: Columns of other columns.
PACKED = ("metadata", "fields")
#: Lists and objects in each other: what reads JSON gives up at some hundred, sooner the more calls
#: it stands in.
_DEEPEST = 100
#: In place of a value that is deeper.
_TOO_DEEP = "(nested too deeply)"


def own_fields(row: Mapping[str, Any], used: Set[str | None]) -> str:
    """A row's other columns as JSON; '' where none holds anything."""
    kept: dict[str, Any] = {}
    for key, value in row.items():
        if key in used or _nothing(value):
            continue
        # Exports put what they have no column for into one.
        inner = _unpacked(value) if key in PACKED else {}
        if not inner or _twice(inner, key, row, kept, used):
            kept[str(key)] = value
        else:
            kept |= inner
    return as_fields(kept)


def _twice(
    inner: dict[str, Any],
    key: str,
    row: Mapping[str, Any],
    kept: dict[str, Any],
    used: Set[str | None],
) -> bool:
    """Whether a name inside a packed column stands beside it, too: two of one name stay two."""
    return any((name in row or name in kept) and name != key and name not in used for name in inner)


#: ``json.dumps`` with arguments makes an encoder anew each time.
_dumps = json.JSONEncoder(ensure_ascii=False, default=str, allow_nan=False).encode


def as_fields(values: dict[str, Any]) -> str:
    """Own fields as they are stored; what JSON does not know becomes text."""
    if not values:
        return ""
    try:
        text = _dumps(values)
        # Nearly all have fewer brackets than would be too deep, which is quick to see.
        if text.count("[") + text.count("{") <= _DEEPEST:
            return text
    except (ValueError, RecursionError):
        pass  # A number somewhere inside that is none, or a list in a list, thousands deep.
    kept = {name: _storable(value) for name, value in values.items()}
    return json.dumps(kept, ensure_ascii=False, default=str)


def _storable(value: Any) -> Any:
    if _deep(value):
        return _TOO_DEEP
    try:
        json.dumps(value, default=str, allow_nan=False)
    except ValueError:
        return str(value)
    return value


def _deep(value: Any) -> bool:
    """Whether lists and objects lie in each other further than is stored."""
    level = [value]
    for _ in range(_DEEPEST):
        level = [
            inner
            for one in level
            if isinstance(one, dict | list)
            for inner in (one.values() if isinstance(one, dict) else one)
        ]
        if not level:
            return False
    return True


def _unpacked(value: Any) -> dict[str, Any]:
    """What a column that holds other columns holds, also as JSON text."""
    if isinstance(value, str) and value.startswith("{"):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return {}
    return value if isinstance(value, dict) else {}


def _nothing(value: Any) -> bool:
    return value in (None, "", [], {}) or (isinstance(value, float) and math.isnan(value))


@dataclass(frozen=True, slots=True)
class Document:
    """A document with more than its text. Its length is that of all that is read of it."""

    text: str
    title: str = ""
    id: str | None = None
    #: Its other columns, and where it comes from, as a JSON object; '' where there are none.
    fields: str = ""
    #: A picture's path below the data set's folder; its text is then its caption.
    picture: str = ""
    #: The prompt of a query that is called by its id.
    prompt: str = ""

    def __len__(self) -> int:
        return len(self.text) + len(self.title) + len(self.fields)

    def __bool__(self) -> bool:
        """It is there, though its text may be empty: a picture without a caption."""
        return True


@dataclass(slots=True)
class Row:
    """``documents``, ``grades`` and ``scores`` run side by side. Grade 0: given, not judged
    relevant (a negative); 1 and more: judged. ``scores`` is None where the row has none."""

    query: str
    documents: list[str | Document]
    grades: list[int]
    scores: list[float | None] | None = None
    prompt: str | None = None
    query_id: str | None = None
    #: The row's other columns as a JSON object, kept with the query; '' where there are none.
    fields: str = ""
    #: The column that has no relevant text in this row: another row must bring one for the query.
    lacks: str = ""


@dataclass(frozen=True, slots=True)
class Pair:
    """Two texts and how alike they are, or how well one answers the other."""

    left: str
    right: str
    score: float
    #: The row's other columns as a JSON object; '' where there are none.
    fields: str = ""


#: What one row of a file becomes.
Item = Row | Pair | Document


@dataclass(frozen=True, slots=True)
class Plan:
    """How rows with one set of columns are read. ``read`` gives None for a row left out, after
    telling the report why; ``format`` is '' where none can be read. ``unknown`` are columns
    that are not known, each with a hint; ``guessed`` says that their use was guessed. ``family``:
    'rows' (a query with its documents), 'graded' (one judged document of a query), 'pairs' or
    'documents'."""

    format: str
    read: Callable[[dict[str, Any], Report], Item | None]
    unknown: tuple[tuple[str, str], ...] = ()
    guessed: bool = False
    family: str = "rows"
    #: The column whose numbers decide between 'graded' and 'pairs', where they do.
    score: str | None = None
    #: Columns that are kept as they are, with the query or the pair.
    own: tuple[str, ...] = ()
