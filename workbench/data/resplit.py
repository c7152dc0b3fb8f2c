"""The task 'data-resplit': which queries are train, dev and test, decided anew.

Whatever goes by chance goes in groups: queries of one text are never parted, nor, by 'document',
queries that share something relevant, directly or through others.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from workbench.data import digests
from workbench.data.clusters import components
from workbench.data.edit import Changes
from workbench.data.reader import DatasetReader
from workbench.data.splits import CODES, DEV, TEST, TRAIN, codes_of, seated, split_of
from workbench.data.versions import new_version
from workbench.errors import BadInput
from workbench.jobs.reporting import JobContext
from workbench.recipes.data import ResplitRecipe

# Splits by an own column: the latest values become test, those before them dev.
#
# The column is the queries' own, the documents' (a query then counts as the latest of its relevant
# documents) or the scored pairs'. Where it stands with the queries, that is what goes.

Array = np.ndarray[Any, Any]
Check = Callable[[], None]
#: 2024, 2024-06, 2024-06-15, with a time after it or without; also 2024/06/15 and 20240615T12:00.
_YEAR_FIRST = re.compile(r"[12]\d{3}($|[-/.]\d{2}($|\D)|\d{4}($|\D))")


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
        known = ", ".join(reader.own_columns()) or "none"
        raise BadInput(
            f"Nothing in '{reader.name}' has a value in '{name}'.", f"Additional columns: {known}."
        )
    return Found(
        _splits(latest, recipe) if queries else None,
        _splits(_shared(table, pairs), recipe) if pairs else None,
    )


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
    groups = _text_groups([table["left"]])
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


def run(recipe: ResplitRecipe, context: JobContext) -> dict[str, Any]:
    """Make the new version; returns its number and counts. Raises :class:`BadInput`."""
    workspace = context.workspace
    reader = workspace.datasets.read(recipe.dataset, recipe.dataset_version)
    changes = resplit(reader, recipe, context.check_cancelled)
    moved = len(changes.move_queries) + len(changes.move_pairs)
    how = {
        "what": f"split again by {recipe.field if recipe.by == 'field' else recipe.by}",
        "by": recipe.task,
        "recipe": recipe.model_dump(mode="json"),
        "job": context.job.id,
        "counts": {"moved": moved},
    }

    def result(made: DatasetReader) -> dict[str, Any]:
        return {
            "dataset": reader.name,
            "version": made.version,
            "moved": moved,
            "splits": made.counts["splits"],
            "pair_splits": made.summary.get("pair_splits"),
        }

    number = new_version(workspace, recipe.dataset, changes, how, context, reader.version, result)
    return result(workspace.datasets.read(recipe.dataset, number))


def resplit(reader: DatasetReader, recipe: ResplitRecipe, check: Check) -> Changes:
    """Who moves; raises :class:`BadInput` where nobody can."""
    if recipe.dev_share + recipe.test_share >= 1:
        raise BadInput("Nothing would be left to train on.", "Set smaller shares.")
    if recipe.by == "field":
        return _field_changes(reader, recipe, check)
    if not reader.counts["queries"] + reader.counts["pairs"]:
        raise BadInput(f"'{reader.name}' has no queries to split.", "Add queries first.")
    queries, pairs = {}, {}
    if reader.counts["queries"]:
        groups = _query_groups(reader, recipe.by == "document", check)
        queries = _moved(reader.query_codes(), _dealt(reader, groups, recipe))
    if reader.counts["pairs"]:
        table = reader.pairs()
        pairs = _moved(
            codes_of(table["split"].to_pylist()),
            _deal(_pair_groups(table, recipe.by == "document"), recipe),
        )
    return Changes(move_queries=queries, move_pairs=pairs)


def _field_changes(reader: DatasetReader, recipe: ResplitRecipe, check: Check) -> Changes:
    """By a column of the queries, of their documents, or of scored pairs."""
    found = by_field(reader, recipe, check)
    return Changes(
        move_queries=_moved(reader.query_codes(), found.queries),
        move_pairs=_moved(codes_of(reader.pairs()["split"].to_pylist()), found.pairs),
    )


def _moved(old: Array, new: Array | None) -> dict[int, str]:
    """The rows whose split changes, and to which; none do where there is no new one."""
    if new is None:
        return {}
    names = {code: name for name, code in CODES.items()}
    return {row: names[int(new[row])] for row in np.flatnonzero(old != new).tolist()}


# -- groups that stay together ---------------------------------------------------------------


def _query_groups(reader: DatasetReader, by_document: bool, check: Check) -> Array:
    groups = _text_groups(table["text"] for table in reader.iter_queries())
    if not by_document:
        return groups
    documents = reader.counts["documents"]
    links = [(groups, np.full(len(groups), -1))]
    for edges in reader.iter_edges("judgments"):
        check()
        relevant = edges["grade"].to_numpy() > 0
        queries = edges["query"].to_numpy()[relevant]
        links.append((groups[queries], edges["document"].to_numpy()[relevant]))
    left, right = (np.concatenate(side) for side in zip(*links, strict=True))
    return components(left[right >= 0], right[right >= 0], len(groups), documents)[groups]


def _pair_groups(table: pa.Table, by_document: bool) -> Array:
    """Pairs of one left text stay together, and a pair with its mirror image; by document all
    that share a text on either side."""
    both = _text_groups([table["left"], table["right"]])
    left, right = both[: table.num_rows], both[table.num_rows :]
    if by_document:
        # Each text is its own other side, so that both sides are one kind.
        every = np.arange(len(both))
        sides = np.concatenate([left, every]), np.concatenate([right, every])
        return components(*sides, len(both), len(both))[left]
    low, high = np.minimum(left, right), np.maximum(left, right)
    _, mirrored = np.unique(np.stack([low, high], axis=1), axis=0, return_inverse=True)
    return components(left, mirrored.ravel(), len(both), table.num_rows)[left]


def _text_groups(columns: Any) -> Array:
    """A number for each text, the same for equal texts."""
    known, found, rows = digests.DigestRows(), [np.zeros(0, np.int64)], 0
    for column in columns:
        for chunk in column.chunks:
            numbers, _ = known.resolve(digests.of_strings(chunk), rows)
            rows = max(rows, int(numbers.max(initial=-1)) + 1)
            found.append(numbers)
    return np.concatenate(found)


def _dealt(reader: DatasetReader, groups: Array, recipe: ResplitRecipe) -> Array:
    """The new split of each query: dealt among those that have something relevant."""
    relevant = np.zeros(len(groups), bool)
    for edges in reader.iter_edges("judgments"):
        relevant[edges["query"].to_numpy()[edges["grade"].to_numpy() > 0]] = True
    codes = reader.query_codes()
    codes[relevant] = _deal(groups[relevant], recipe)
    return seated(codes, groups, relevant)


def _deal(groups: Array, recipe: ResplitRecipe) -> Array:
    """Groups by chance to test and dev, as long as they fit; the rest, and what is too large,
    trains."""
    names, place, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    codes = np.full(len(names), TRAIN)
    room = {TEST: recipe.test_share * len(groups), DEV: recipe.dev_share * len(groups)}
    room = {code: round(most) for code, most in room.items()}
    for group in np.random.default_rng(recipe.seed).permutation(len(names)).tolist():
        for code in room:
            if sizes[group] <= room[code]:
                room[code] -= int(sizes[group])
                codes[group] = code
                break
        if not any(room.values()):
            break
    if (codes == TRAIN).all() and recipe.test_share + recipe.dev_share > 0:
        raise BadInput(
            "These queries cannot be parted: too many of them belong together.",
            "Split by query, or set larger shares.",
        )
    return np.asarray(codes[place])
