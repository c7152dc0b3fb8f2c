"""Rows of the same columns, column by column: how a shape reads many of them in a few calls.

A reader of rows that has a method ``by_columns`` is given blocks of rows; it makes of them what it
would make of the rows one by one, or raises :class:`Doubt` where some row is not as plain as that:
then they are read one by one, which says what is wrong and where.
"""

import json
import math
from collections.abc import Callable, Iterable, Sequence, Set
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any, Protocol, Self, TypeVar

import numpy as np
import pyarrow as pa

from workbench.data.batch import Array, Batch, Details, TextBatch, filled, some_texts
from workbench.data.shapes.fields import identifier
from workbench.data.shapes.row import PACKED, own_fields


class Doubt(Exception):
    """Some row is to be read by itself, and it is not known which."""


class RowBlock(Protocol):
    """Rows of the columns ``names``, with the line of each."""

    @property
    def lines(self) -> Array: ...

    @property
    def names(self) -> tuple[str, ...]: ...

    def __len__(self) -> int: ...

    def without(self, name: str) -> Self:
        """The rows without this column."""

    def values(self, name: str) -> Sequence[Any]:
        """The cells of a column."""

    def text(self, name: str) -> pa.StringArray:
        """A column of one text in each row. Raises :class:`Doubt` for a cell that is none."""

    def texts(self, names: Sequence[str]) -> tuple[pa.StringArray, Array]:
        """The texts of columns of texts or lists of texts, row by row, and how many each column
        (first axis) has in each row. An empty cell has none. Raises :class:`Doubt` for a cell of
        another kind, and for an empty text in a list."""


#: Reads a block of rows. Raises :class:`Doubt`.
Blockwise = Callable[[RowBlock], Batch | TextBatch]
Found = TypeVar("Found")


def undoubted(read: Callable[..., Found], rows: RowBlock | None, *more: Any) -> Found | None:
    """What ``read`` makes of the rows; None where they have to be read one by one."""
    if rows is not None:
        with suppress(Doubt):
            return read(rows, *more)
    return None


def blockwise(read: Any) -> Blockwise | None:
    """How a reader reads many rows at once; None for one that reads only one by one."""
    by_columns: Callable[[], Blockwise | None] | None = getattr(read, "by_columns", None)
    return by_columns() if by_columns is not None else None


@dataclass(frozen=True, slots=True)
class ValueBlock:
    """Rows as Python values, all of them with these columns in this order."""

    lines: Array
    columns: dict[str, Sequence[Any]]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self.columns)

    def __len__(self) -> int:
        return len(self.lines)

    def without(self, name: str) -> "ValueBlock":
        rest = {one: values for one, values in self.columns.items() if one != name}
        return replace(self, columns=rest)

    def values(self, name: str) -> Sequence[Any]:
        return self.columns[name]

    def text(self, name: str) -> pa.StringArray:
        return _plain_texts(self.columns.get(name, ()), len(self))

    def texts(self, names: Sequence[str]) -> tuple[pa.StringArray, Array]:
        columns = [_lists(self.columns.get(name, ())) for name in names]
        counts = np.array([np.fromiter(map(len, one), np.int64, len(self)) for one in columns])
        rows = zip(*columns, strict=True) if len(columns) > 1 else iter(columns)
        flat = list(chain.from_iterable(chain.from_iterable(rows)))
        return _plain_texts(flat, int(counts.sum())), counts


def _plain_texts(values: Sequence[Any], count: int) -> pa.StringArray:
    try:
        if len(values) != count or not all(values) or any(map(str.isspace, values)):
            raise Doubt
        return pa.array(values, pa.string())
    except (TypeError, pa.ArrowException) as error:
        raise Doubt from error


def _lists(values: Sequence[Any]) -> Sequence[Sequence[Any]]:
    """Each cell as the list of what is in it."""
    kinds = set(map(type, values))
    if kinds == {list}:
        return values
    if kinds == {str} and all(values):
        return list(zip(values, strict=True))
    if kinds <= {str, list, type(None)}:
        return [one if type(one) is list else [one] if one else [] for one in values]
    raise Doubt


# What columns beside the texts say.


def identifiers(rows: RowBlock, name: str) -> pa.StringArray:
    """A column's cells as ids; null for one that is none."""
    with suppress(Doubt):
        return rows.text(name)
    return pa.array(map(identifier, rows.values(name)), pa.string())


def titles(rows: RowBlock, name: str) -> pa.StringArray | None:
    """A column's cells as documents' titles, '' for what is none; None where none is one."""
    with suppress(Doubt):
        return rows.text(name)
    return some_texts(
        [one if type(one) is str and not one.isspace() else "" for one in rows.values(name)]
    )


def prompts(values: Sequence[Any]) -> pa.StringArray | None:
    """Each cell as a query's prompt; None where none of them is one."""
    return some_texts([one if type(one) is str and one else None for one in values])


def scores(values: Sequence[Any], counts: Array) -> Array:
    """The scores of documents, of cells that hold as many of them as the row has documents, or
    nothing. Raises :class:`Doubt` for anything else."""
    if not set(map(type, values)) <= {list, type(None)}:
        raise Doubt
    filled = [one or [None] * count for one, count in zip(values, counts.tolist(), strict=True)]
    if not (np.fromiter(map(len, filled), np.int64, len(filled)) == counts).all():
        raise Doubt
    return numbers(list(chain.from_iterable(filled)))


def numbers(values: Sequence[Any]) -> Array:
    """Scores as they are kept, NaN for None. Raises :class:`Doubt` for what is no score."""
    if not set(map(type, values)) <= {int, float, type(None)}:
        raise Doubt
    try:
        found = np.array([np.nan if one is None else one for one in values], np.float64)
    except OverflowError as error:
        raise Doubt from error
    given = np.fromiter((one is not None for one in values), bool, len(values))
    if not (np.abs(found[given]) < 3e38).all():  # Infinity and NaN are none either.
        raise Doubt
    return found.astype(np.float32)


def text_batch(
    rows: RowBlock,
    text: str,
    title: str | None,
    ids: pa.StringArray | None,
    used: Set[str | None],
) -> TextBatch:
    """Rows of one text each, a document or a query; columns that are not ``used`` are its own.
    Raises :class:`Doubt` where there is neither a text nor a title."""
    said = titles(rows, title) if title is not None and title in rows.names else None
    try:
        texts = rows.text(text)
    except Doubt:
        texts = _beside_titles(rows.values(text) if text in rows.names else (), said)
    own = own_texts(rows, (name for name in rows.names if name not in used))
    return TextBatch(rows.lines, texts, Details(ids, said, own))


def _beside_titles(texts: Sequence[Any], titles: pa.StringArray | None) -> pa.StringArray:
    """Texts that may be empty where there is a title."""
    if titles is None or len(texts) != len(titles):
        raise Doubt
    for one, title in zip(texts, filled(titles).tolist(), strict=True):
        if type(one) is not str and one is not None:
            raise Doubt
        if not title and (not one or one.isspace()):
            raise Doubt
    return pa.array([one or "" for one in texts], pa.string())


def grades(values: Sequence[Any], number: Callable[[Any], float | None], most: int) -> Array:
    """Labels as grades, those below 0 as 0. Raises :class:`Doubt` for one that is no whole number
    from ``-most`` to ``most``."""
    try:
        known = {one: number(one) for one in set(values)}
    except TypeError as error:  # A list, or an object.
        raise Doubt from error
    if any(one is None or not one.is_integer() or abs(one) > most for one in known.values()):
        raise Doubt
    found = np.array([known[one] for one in values], np.float64)
    return np.maximum(found, 0).astype(np.int32)


def own_texts(rows: RowBlock, names: Iterable[str]) -> pa.StringArray | None:
    """The columns of these names as each row's own fields, as :func:`own_fields` writes them; None
    where no row has any."""
    columns = {name: rows.values(name) for name in names}
    if not columns:
        return None
    members = [_members(name, values) for name, values in columns.items()]
    parts = [one for one in members if one is not None]
    if len(parts) == len(members):
        joined = [", ".join(filter(None, row)) for row in zip(*parts, strict=True)]
        found = [f"{{{one}}}" if one else "" for one in joined]
    else:
        cells = zip(*columns.values(), strict=True)
        found = [own_fields(dict(zip(columns, row, strict=True)), set()) for row in cells]
    return some_texts(found)


def _members(name: str, values: Sequence[Any]) -> list[str] | None:
    """Each cell with its name as a member of a JSON object, '' for one that holds nothing; None
    where some cell is no text, number, true or false."""
    kinds = set(map(type, values)) - {type(None)}
    if name in PACKED or not kinds <= _WRITTEN.keys():
        return None
    before = _text(name) + ": "
    if kinds <= {str} or kinds <= {int} or kinds <= {bool}:
        write = _WRITTEN[kinds.pop()] if kinds else _text
        distinct = set(values)
        if 2 * len(distinct) < len(values):
            known = {one: before + write(one) for one in distinct - {None, ""}}
            return [known.get(one, "") for one in values]
        return ["" if one is None or one == "" else before + write(one) for one in values]
    if any(one in (math.inf, -math.inf) for one in values):
        return None
    return [
        "" if one is None or one == "" or one != one else before + _WRITTEN[type(one)](one)
        for one in values
    ]


_text = json.JSONEncoder(ensure_ascii=False).encode
#: How JSON writes what one cell holds.
_WRITTEN: dict[type, Callable[[Any], str]] = {
    str: _text,
    int: int.__repr__,
    float: float.__repr__,
    bool: {True: "true", False: "false"}.__getitem__,
}
