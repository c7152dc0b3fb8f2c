"""The documents' own fields as columns, and which documents a filter leaves. Torch-free.

Fields are JSON per document; they are read once per open index, on its first filtered search. A
value is compared as a number where both sides are numbers, and by its year where a date written
year first meets one; else as text (such dates sort rightly as text). A word is neither above nor
below a number. A list has a value where one of its items is it. A document without the field meets
no condition on it.
"""

import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from workbench.errors import BadInput
from workbench.search.where import Condition

Mask = NDArray[np.bool_]
#: Python's own reading takes '1_2' and 'infinity' as well.
_NUMBER = re.compile(r"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*", re.ASCII)
_DATE = re.compile(r"(\d{4})-\d\d", re.ASCII)
#: Values of a field that a menu offers.
SHOWN = 50


@dataclass
class _Column:
    """One field: which document (n,) has which value; a list's items are several entries."""

    values: dict[str, int] = field(default_factory=dict)
    documents: list[int] = field(default_factory=list)
    codes: list[int] = field(default_factory=list)

    def add(self, document: int, value: Any) -> None:
        text = as_text(value)
        self.documents.append(document)
        self.codes.append(self.values.setdefault(text, len(self.values)))


class Fields:
    """The fields of an index's documents (n)."""

    def __init__(self, texts: Iterable[str | None]) -> None:
        columns: dict[str, _Column] = {}
        count = 0
        for text in texts:
            if text:
                for name, value in _flat(orjson.loads(text)):
                    columns.setdefault(name, _Column()).add(count, value)
            count += 1
        self.count = count
        self._names = list(columns)
        self._columns = {
            name: (
                list(one.values),
                np.asarray(one.documents, np.int64),
                np.asarray(one.codes, np.int64),
            )
            for name, one in columns.items()
        }

    def mask(self, conditions: Sequence[Condition]) -> Mask:
        """Which documents (n,) meet all conditions; raises :class:`BadInput` for an unknown field
        with 'did you mean'."""
        found = np.ones(self.count, bool)
        for condition in conditions:
            found &= self._meets(condition)
        return found

    def menu(self) -> dict[str, list[tuple[str, int]]]:
        """Each field's most frequent values and how many documents have them."""
        return {name: self._frequent(name) for name in self._names}

    def _frequent(self, name: str) -> list[tuple[str, int]]:
        values, _, codes = self._columns[name]
        counts = np.bincount(codes, minlength=len(values))
        best = np.argsort(-counts, kind="stable")[:SHOWN]
        return [(values[at], int(counts[at])) for at in best.tolist()]

    def _meets(self, condition: Condition) -> Mask:
        if condition.field not in self._columns:
            raise _unknown(condition.field, self._names)
        values, documents, codes = self._columns[condition.field]
        right = np.array([_holds(condition, value) for value in values], bool)
        met = np.zeros(self.count, bool)
        if condition.operator == "!=":
            met[documents] = True
            met[documents[~right[codes]]] = False
        else:
            met[documents[right[codes]]] = True
        return met


def as_text(value: Any) -> str:
    """A JSON value as it is compared and shown."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else orjson.dumps(value).decode()


def _holds(condition: Condition, value: str) -> bool:
    """Whether one value meets the condition; for '!=' whether it is another one."""
    if condition.operator in ("=", "in"):
        return any(_same(value, wanted) for wanted in condition.values)
    wanted = condition.values[0]
    if condition.operator == "!=":
        return not _same(value, wanted)
    left, right = number(value), number(wanted)
    if left is None and right is not None and (dated := _DATE.match(value)):
        left = float(dated[1])
    if right is not None:
        return left is not None and _compare(condition.operator, left, right)
    return _compare(condition.operator, value, wanted)


def _compare(operator: str, left: Any, right: Any) -> bool:
    if operator == ">":
        return bool(left > right)
    if operator == "<":
        return bool(left < right)
    return bool(left >= right) if operator == ">=" else bool(left <= right)


def _same(value: str, wanted: str) -> bool:
    if value == wanted:
        return True
    left, right = number(value), number(wanted)
    return left is not None and left == right


def number(text: str) -> float | None:
    """A text as a number, where it is a finite one as JSON or a person writes it."""
    if not _NUMBER.fullmatch(text):
        return None
    found = float(text)
    return found if math.isfinite(found) else None


def _flat(value: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """A document's fields by name; fields of fields with a dot, items of lists one by one."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _flat(inner, f"{prefix}.{name}" if prefix else str(name))
    elif isinstance(value, list):
        for inner in value:
            yield from _flat(inner, prefix)
    elif value is not None and prefix:
        yield prefix, value


def _unknown(name: str, known: list[str]) -> BadInput:
    import difflib

    if not known:
        return BadInput(
            f"There is no field '{name}': these documents have no fields of their own.",
            "Search without a filter.",
        )
    close = difflib.get_close_matches(name, known, n=1)
    hint = f"Did you mean '{close[0]}'?" if close else f"The fields are {', '.join(known[:20])}."
    return BadInput(f"The documents have no field '{name}'.", hint)
