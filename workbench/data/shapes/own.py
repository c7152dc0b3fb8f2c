"""A row's or a passage's other columns, as the JSON object that is stored of them."""

import json
import math
from collections.abc import Mapping, Set
from typing import Any

#: Columns of other columns.
_PACKED = ("metadata", "fields")


def own_fields(row: Mapping[str, Any], used: Set[str | None]) -> str:
    """A row's other columns as JSON; '' where none holds anything."""
    kept: dict[str, Any] = {}
    for key, value in row.items():
        if key in used or _nothing(value):
            continue
        # Exports put what they have no column for into one.
        inner = _unpacked(value) if key in _PACKED else {}
        # Two of one name stay two.
        beside = {*kept, *row} - {key, *used}
        kept |= {str(key): value} if inner.keys() & beside or not inner else inner
    return as_fields(kept)


def as_fields(values: dict[str, Any]) -> str:
    """Own fields as they are stored; what JSON does not know becomes text."""
    if not values:
        return ""
    try:
        return json.dumps(values, ensure_ascii=False, default=str, allow_nan=False)
    except ValueError:  # A number somewhere inside that is none.
        kept = {name: value if _finite(value) else str(value) for name, value in values.items()}
        return json.dumps(kept, ensure_ascii=False, default=str)


def _finite(value: Any) -> bool:
    try:
        json.dumps(value, default=str, allow_nan=False)
    except ValueError:
        return False
    return True


def _unpacked(value: Any) -> dict[str, Any]:
    """What a column that holds other columns holds, also as JSON text."""
    if isinstance(value, str) and value.startswith("{"):
        try:
            value = json.loads(value)
        except ValueError:
            return {}
    return value if isinstance(value, dict) else {}


def _nothing(value: Any) -> bool:
    return value in (None, "", [], {}) or (isinstance(value, float) and math.isnan(value))
