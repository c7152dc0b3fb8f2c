"""Splits by an own column: the latest values become test, those before them dev.

The column is the queries' own, the documents' (a query then counts as the latest of its relevant
documents) or the scored pairs'. Where it stands with the queries, that is what goes.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from workbench.data import digests
from workbench.data.parts import split_of
from workbench.data.reader import DatasetReader
from workbench.data.splits import CODES, DEV, TEST, TRAIN
from workbench.errors import BadInput
from workbench.recipes.data_change import ResplitRecipe

Array = np.ndarray[Any, Any]
Check = Callable[[], None]
#: 2024, 2024-06, 2024-06-15, with a time after it or without; also 2024/06/15 and 20240615T12:00.
_YEAR_FIRST = re.compile(r"[12]\d{3}($|[-/.]\d{2}($|\D)|\d{4}($|\D))")
#: Rows whose columns are looked at for a menu.
_LOOKED_AT = 2_000


@dataclass(frozen=True, slots=True)
class Found:
    """The new split of each query and of each pair; None where they have no such column."""

    queries: Array | None
    pairs: Array | None


def by_field(reader: DatasetReader, recipe: ResplitRecipe, check: Check) -> Found:
    """Raises :class:`BadInput` where nothing has a value in the column, or none that has an
    order."""
    name = recipe.field
    if not name:
        raise BadInput("By which column?", "Name an own column of the queries or documents.")
    queries = _values(_tables(reader.iter_queries(), check), name)
    latest = _row_values(queries, reader.counts["queries"])
    if not queries and reader.counts["queries"]:
        documents = _values(_tables(reader.iter_documents(), check), name)
        queries, latest = documents, _latest(reader, documents, check)
    table = reader.pairs()
    pairs = _values([table], name)
    if not queries and not pairs:
        known = ", ".join(columns_of(reader)) or "none"
        raise BadInput(
            f"Nothing in '{reader.name}' has a value in '{name}'.", f"The own columns: {known}."
        )
    return Found(
        _splits(latest, recipe) if queries else None,
        _splits(_shared(table, pairs), recipe) if pairs else None,
    )


def columns_of(reader: DatasetReader) -> list[str]:
    """The own columns of queries, documents and pairs, as far as their first rows tell."""
    found: dict[str, None] = {}
    pairs = iter([reader.pair_page(0, _LOOKED_AT)])
    for tables in (reader.iter_queries(), reader.iter_documents(_LOOKED_AT), pairs):
        looked = 0
        for table in tables:
            texts = table["fields"].slice(0, _LOOKED_AT - looked).to_pylist()
            looked += table.num_rows
            for text in filter(None, texts):
                found |= dict.fromkeys(json.loads(text))
            if looked >= _LOOKED_AT:
                break
    return list(found)


def _tables(tables: Iterable[pa.Table], check: Check) -> Iterator[pa.Table]:
    for table in tables:
        check()
        yield table


def _values(tables: Iterable[pa.Table], name: str) -> dict[int, Any]:
    """Row -> its value; numbers where all of them are."""
    found: dict[int, Any] = {}
    row = 0
    for table in tables:
        for text in table["fields"].to_pylist():
            value = json.loads(text).get(name) if text else None
            if isinstance(value, str | int | float) and value != "":
                found[row] = value
            row += 1
    return _comparable(found)


def _row_values(found: dict[int, Any], count: int) -> list[Any]:
    return [found.get(row) for row in range(count)]


def _latest(reader: DatasetReader, values: dict[int, Any], check: Check) -> list[Any]:
    """Each query by the latest of its relevant documents; those without a value train."""
    latest: list[Any] = [None] * reader.counts["queries"]
    for edges in _tables(reader.iter_edges("judgments"), check):
        columns = (edges[name].to_pylist() for name in ("query", "document", "grade"))
        for query, document, grade in zip(*columns, strict=True):
            value = values.get(document)
            if grade > 0 and value is not None:
                known = latest[query]
                latest[query] = value if known is None else max(known, value)
    return latest


def _shared(table: pa.Table, values: dict[int, Any]) -> list[Any]:
    """Each pair's value; pairs of one left text, which stay together, share their latest."""
    known = digests.DigestRows()
    keys = [digests.of_strings(chunk) for chunk in table["left"].chunks]
    groups, _ = known.resolve(np.concatenate([np.zeros((0, 2), np.uint64), *keys]), 0)
    latest: dict[int, Any] = {}
    for row, value in values.items():
        group = int(groups[row])
        latest[group] = max(latest.get(group, value), value)
    return [latest.get(group) for group in groups.tolist()]


def _splits(values: list[Any], recipe: ResplitRecipe) -> Array:
    if named := _named_splits(values):
        return np.array([CODES[named[one]] if one is not None else TRAIN for one in values])
    return _by_order(values, recipe)


def _named_splits(values: list[Any]) -> dict[str, str]:
    """Value -> split, where all values are names of splits."""
    held = {value for value in values if value is not None}
    named = {value: split_of(value) for value in held if isinstance(value, str)}
    known = {value: split for value, split in named.items() if split}
    return known if held and len(known) == len(held) else {}


def _by_order(values: list[Any], recipe: ResplitRecipe) -> Array:
    held = [value for value in values if value is not None]
    _refuse_unordered(held, recipe.field)
    order = {value: place for place, value in enumerate(sorted(set(held)))}
    ranks = np.array([-1 if value is None else order[value] for value in values])
    codes = np.full(len(values), TRAIN)
    later = 0
    for code, share in ((TEST, recipe.test_share), (DEV, recipe.dev_share)):
        later += round(share * len(values))
        # Equal values are never parted: the border moves to where a value begins.
        border = np.sort(ranks)[len(ranks) - later] if later else len(order)
        codes[(codes == TRAIN) & (ranks >= max(border, 0))] = code
    if (codes != TRAIN).all():
        raise BadInput(
            f"'{recipe.field}' has too few different values to leave anything to train on.",
            "Set smaller shares, or split by query.",
        )
    return codes


def _refuse_unordered(held: list[Any], field: str) -> None:
    """Texts are put in order as texts are, which is right for dates that begin with the year."""
    wrong = next((one for one in held if isinstance(one, str) and not _YEAR_FIRST.match(one)), None)
    if wrong is not None:
        raise BadInput(
            f"'{wrong}' in '{field}' is neither a number nor a date that begins with the year: "
            "there is no telling what came later.",
            "Write dates as 2024-06-15, or split by query.",
        )


def _comparable(found: dict[int, Any]) -> dict[int, Any]:
    try:
        return {row: float(value) for row, value in found.items()}
    except ValueError:  # Dates that begin with the year sort as texts do.
        return {row: str(value) for row, value in found.items()}
