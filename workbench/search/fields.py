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

# Filters as a person types them: ``year >= 2020 and lang in en, de``.
#
# A condition is a field of the documents' own, an operator, and a value; several are joined by
# 'and'. Fields and values with spaces, commas or 'and' in them stand in double quotes.

OPERATORS = ("=", "!=", ">=", "<=", ">", "<", "in")
_HINT = "Write it as: year >= 2020 and lang in en, de"
_TOKEN = re.compile(r'\s*(?:"((?:[^"\\]|\\.)*)"|(>=|<=|!=|==|=|>|<|,)|([^\s"<>=!,]+|!))')


@dataclass(frozen=True, slots=True)
class Condition:
    """``values`` has one value, or several for 'in'."""

    field: str
    operator: str
    values: tuple[str, ...]

    def __str__(self) -> str:
        values = ", ".join(_quoted(one) for one in self.values)
        return f"{_quoted(self.field)} {self.operator} {values}"


@dataclass(frozen=True, slots=True)
class _Token:
    text: str
    #: 'word', 'quoted' or 'sign'.
    kind: str


def checked_filter(where: str) -> str:
    """A filter without the blanks around it; raises :class:`BadInput` like :func:`parse`."""
    parse(where)
    return where.strip()


def parse(text: str) -> tuple[Condition, ...]:
    """The conditions of a filter, all of which must hold; none for an empty text.

    Raises :class:`BadInput` that says where it is not understood.
    """
    tokens = _tokens(text)
    found: list[Condition] = []
    at = 0
    while at < len(tokens):
        condition, at = _condition(text, tokens, at)
        found.append(condition)
        if at < len(tokens):
            if not _is_and(tokens[at]) or at + 1 == len(tokens):
                raise _wrong(text, f"after '{condition}' there is '{tokens[at].text}'")
            at += 1
    return tuple(found)


def joined(filters: list[str]) -> str:
    """Several filters as one: all must hold."""
    return " and ".join(one.strip() for one in filters if one.strip())


def _condition(text: str, tokens: list[_Token], at: int) -> tuple[Condition, int]:
    """One condition; a field's name may be several plain words."""
    start = at
    while at < len(tokens) and not _operator(tokens[at]):
        at += 1
    field = " ".join(token.text for token in tokens[start:at]).strip()
    if not field:
        raise _wrong(text, "a field's name is missing")
    if at == len(tokens):
        raise _wrong(text, f"'{field}' is not followed by one of {', '.join(OPERATORS)}")
    operator = _operator(tokens[at])
    values, at = _values(text, tokens, at + 1, several=operator == "in")
    return Condition(field, operator, values), at


def _values(
    text: str, tokens: list[_Token], at: int, *, several: bool
) -> tuple[tuple[str, ...], int]:
    """Values up to the next 'and'; plain words beside each other are one value."""
    values: list[list[str]] = [[]]
    while at < len(tokens) and not _is_and(tokens[at]):
        token = tokens[at]
        if token == _Token(",", "sign") and several:
            values.append([])
        elif token.kind == "sign":
            raise _wrong(text, f"'{token.text}' is where a value should be")
        else:
            values[-1].append(token.text)
        at += 1
    if not all(values):
        raise _wrong(text, "a value is missing")
    return tuple(" ".join(words) for words in values), at


def _tokens(text: str) -> list[_Token]:
    found: list[_Token] = []
    at, end = 0, len(text.rstrip())
    while at < end:
        match = _TOKEN.match(text, at)
        if match is None:
            raise _wrong(text, f"there is no telling what {text[at:].strip()[:20]!r} is")
        quoted, sign, word = match.groups()
        if quoted is not None:
            found.append(_Token(re.sub(r"\\(.)", r"\1", quoted), "quoted"))
        elif sign:
            found.append(_Token("=" if sign == "==" else sign, "sign"))
        else:
            found.append(_Token(word, "word"))
        at = match.end()
    return found


def _operator(token: _Token) -> str:
    if token.kind == "sign" and token.text in OPERATORS:
        return token.text
    return "in" if token.kind == "word" and token.text.lower() == "in" else ""


def _is_and(token: _Token) -> bool:
    return token.kind == "word" and token.text.lower() == "and"


def _quoted(text: str) -> str:
    plain = re.fullmatch(r'[^\s"<>=!,\\]+', text) and text.lower() not in ("and", "in")
    if plain:
        return text
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _wrong(text: str, why: str) -> BadInput:
    return BadInput(f"The filter '{text.strip()}' is not understood: {why}.", _HINT)


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
