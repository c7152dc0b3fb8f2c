"""A row's or a passage's other columns, as the JSON object that is stored of them."""

import json
import math
from collections.abc import Mapping, Set
from typing import Any

#: Columns of other columns.
_PACKED = ("metadata", "fields")
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
        inner = _unpacked(value) if key in _PACKED else {}
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


def as_fields(values: dict[str, Any]) -> str:
    """Own fields as they are stored; what JSON does not know becomes text."""
    if not values:
        return ""
    try:
        text = json.dumps(values, ensure_ascii=False, default=str, allow_nan=False)
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
