"""From changes to a plan: where each row of a version goes in the next one."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from workbench.data import digests
from workbench.data.edit import (
    NEW_QUERIES,
    Changes,
    candidates_of,
    judgments_of,
    keys_of,
    links_of,
    rows_of,
    with_columns,
)
from workbench.data.reader import DatasetReader
from workbench.data.splits import CODES, SPLITS, codes_of
from workbench.data.writer import CANDIDATES, DOCUMENTS
from workbench.errors import BadInput

Array = np.ndarray[Any, Any]
_NONE = np.zeros(0, np.int64)


@dataclass(slots=True)
class Part:
    """What becomes of one data set's rows: old row -> new row, -1 for what is left out.

    Rows of ``own_documents`` and ``own_queries`` are written from this part, in their order; the
    others go where their new row is written from elsewhere.
    """

    reader: DatasetReader
    documents: Array
    own_documents: Array
    queries: Array
    own_queries: Array
    #: The new split of each query and of each scored pair (-1: left out).
    splits: Array
    pairs: Array
    dropped_judgments: Array = field(default_factory=_NONE.copy)
    dropped_candidates: Array = field(default_factory=_NONE.copy)
    replaced: str = ""


@dataclass(slots=True)
class Plan:
    """Parts, and what is added to them. Everything added is in the new version's row numbers."""

    parts: list[Part]
    splits: dict[str, int]
    documents: int
    new_documents: pa.Table
    new_queries: pa.Table
    #: query, document, grade; sorted by query.
    judgments: Array
    candidates: pa.Table
    #: The tables that differ from the first part's: the others are shared with it.
    changed: set[str]
    #: Queries left out because nothing relevant to them is left.
    unjudged: int = 0
    #: Several data sets: their ids may clash.
    merged: bool = False


def plan_of(reader: DatasetReader, changes: Changes) -> Plan:
    """The plan for one data set's changes; raises :class:`BadInput` for rows that are not there."""
    counts = reader.counts
    new_queries = _new_queries(changes.new_queries)
    new_documents = _filled(changes.new_documents, DOCUMENTS, "title")
    documents, own = _documents(changes, counts["documents"], new_documents.num_rows)
    asked = counts["queries"] + new_queries.num_rows
    judged = judgments_of(changes.add_judgments)
    offered = candidates_of(changes.candidates, "added")
    _check("query", asked, judged[:, 0], offered["query"].to_numpy())
    _check("document", len(documents), judged[:, 1], offered["document"].to_numpy())
    codes = _query_splits(reader, changes)
    alive, unjudged = _alive(reader, changes, documents, codes, judged, asked)
    queries, splits = _number(codes, new_queries, alive)
    keep_new = alive[counts["queries"] :]
    part = Part(
        reader,
        documents[: counts["documents"]],
        own,
        queries[: counts["queries"]],
        queries[: counts["queries"]] >= 0,
        codes,
        _pair_splits(reader, changes),
        links_of(changes.drop_judgments),
        links_of(changes.drop_candidates),
        changes.replace_origin,
    )
    return Plan(
        [part],
        splits,
        int(documents.max(initial=-1)) + 1,
        _with_ids("document", reader, new_documents),
        _with_ids("query", reader, new_queries.filter(pa.array(keep_new))),
        moved_judgments(judged, queries, documents),
        moved_candidates(offered, queries, documents),
        _changed(changes, unjudged),
        unjudged,
    )


def moved_judgments(judged: Array, queries: Array, documents: Array) -> Array:
    """Judgments with both rows translated, sorted by query; without those left out."""
    moved = np.stack([queries[judged[:, 0]], documents[judged[:, 1]], judged[:, 2]], axis=1)
    moved = moved[(moved[:, 0] >= 0) & (moved[:, 1] >= 0)]
    return np.asarray(moved[np.argsort(moved[:, 0], kind="stable")])


def moved_candidates(offered: pa.Table, queries: Array, documents: Array) -> pa.Table:
    """Candidates with both rows translated, sorted by query; without those left out."""
    rows = queries[offered["query"].to_numpy()], documents[offered["document"].to_numpy()]
    moved = offered.set_column(0, CANDIDATES.field("query"), pa.array(rows[0]))
    moved = moved.set_column(1, CANDIDATES.field("document"), pa.array(rows[1]))
    kept = np.flatnonzero((rows[0] >= 0) & (rows[1] >= 0))
    return moved.take(pa.array(kept[np.argsort(rows[0][kept], kind="stable")]))


# -- what stays, and where it goes -----------------------------------------------------------


def _documents(changes: Changes, old: int, new: int) -> tuple[Array, Array]:
    """Each document's new row, and which of the old ones are written."""
    target = np.arange(old + new)
    same = changes.same_documents
    pairs = np.array(list(same.items()), np.int64).reshape(-1, 2)
    pairs = pairs[pairs[:, 0] != pairs[:, 1]]
    dropped = rows_of(changes.drop_documents)
    _check("document", old, dropped, pairs[:, 0])
    _check("document", old + new, pairs[:, 1])
    target[pairs[:, 0]] = pairs[:, 1]
    for _ in range(len(pairs)):  # A duplicate of a duplicate goes where that one goes.
        further = target[target]
        if (further == target).all():
            break
        target = further
    standing = np.ones(old + new, bool)
    standing[pairs[:, 0]] = False
    if not standing[target].all():
        raise BadInput("Documents are named as duplicates of each other in a circle.")
    standing[dropped] = False
    rows = np.where(standing, np.cumsum(standing) - 1, -1)
    return rows[target], standing[:old]


def _query_splits(reader: DatasetReader, changes: Changes) -> Array:
    """The split of each old query once some have moved; -1 for one that is dropped."""
    codes = reader.query_codes()
    moved = np.array(list(changes.move_queries), np.int64)
    dropped = rows_of(changes.drop_queries)
    _check("query", len(codes), moved, dropped)
    codes[moved] = [_code(split) for split in changes.move_queries.values()]
    codes[dropped] = -1
    return codes


def _pair_splits(reader: DatasetReader, changes: Changes) -> Array:
    count = reader.counts.get("pairs", 0)
    codes = codes_of(reader.pairs()["split"].to_pylist() if count else ())
    moved, dropped = np.array(list(changes.move_pairs), np.int64), rows_of(changes.drop_pairs)
    _check("pair", count, moved, dropped)
    codes[moved] = [_code(split) for split in changes.move_pairs.values()]
    codes[dropped] = -1
    return codes


def _alive(
    reader: DatasetReader,
    changes: Changes,
    documents: Array,
    codes: Array,
    judged: Array,
    asked: int,
) -> tuple[Array, int]:
    """Which queries stay: those not dropped that have something relevant, or never had.

    Only judgments that go, or queries that come, can change that.
    """
    alive = np.ones(asked, bool)
    alive[: len(codes)] = codes >= 0
    if not (len(changes.drop_judgments) or len(changes.drop_documents) or asked > len(codes)):
        return alive, 0
    had, has = np.zeros(asked, bool), np.zeros(asked, bool)
    had[len(codes) :] = True
    gone = links_of(changes.drop_judgments)
    for edges in reader.iter_edges("judgments"):
        edges = edges.filter(pc.greater(edges["grade"], 0))
        query, document = edges["query"].to_numpy(), edges["document"].to_numpy()
        had[query] = True
        stays = (documents[document] >= 0) & ~np.isin(keys_of(query, document), gone)
        has[query[stays]] = True
    good = judged[(judged[:, 2] > 0) & (documents[judged[:, 1]] >= 0)]
    has[good[:, 0]] = True
    lost = alive & had & ~has
    return alive & ~lost, int(lost.sum())


def _number(codes: Array, new: pa.Table, alive: Array) -> tuple[Array, dict[str, int]]:
    """Each query's new row: by split, in each the old ones in their order, then the new ones."""
    splits = np.concatenate([codes, codes_of(new["split"].to_pylist())])
    rows = np.full(len(splits), -1, np.int64)
    counts, start = {}, 0
    for name in SPLITS:
        chosen = np.flatnonzero((splits == CODES[name]) & alive)
        rows[chosen] = start + np.arange(len(chosen))
        start += len(chosen)
        counts[name] = len(chosen)
    return rows, counts


def _changed(changes: Changes, unjudged: int) -> set[str]:
    documents = len(changes.same_documents) + len(changes.drop_documents)
    queries = len(changes.drop_queries) + len(changes.move_queries) + unjudged
    queries += changes.new_queries is not None
    judgments = len(changes.add_judgments) + len(changes.drop_judgments)
    candidates = changes.candidates is not None or len(changes.drop_candidates)
    found = {
        "documents": documents or changes.new_documents is not None,
        "queries": queries,
        "judgments": documents or queries or judgments,
        # What is judged relevant is no negative, so judgments that come may take candidates away.
        "candidates": documents
        or queries
        or candidates
        or changes.replace_origin
        or len(changes.add_judgments),
        "pairs": len(changes.drop_pairs) + len(changes.move_pairs),
    }
    return {name for name, differs in found.items() if differs}


# -- what comes ------------------------------------------------------------------------------


def _new_queries(table: pa.Table | None) -> pa.Table:
    queries = _filled(table, NEW_QUERIES)
    for split in set(queries["split"].to_pylist()):
        _code(split)
    return queries


def _filled(table: pa.Table | None, schema: pa.Schema, *blank: str) -> pa.Table:
    """The table with all columns of the schema; in the blank ones '' stands for null."""
    if table is None:
        return schema.empty_table()
    whole = with_columns(table, schema)
    for name in blank:
        at = schema.get_field_index(name)
        whole = whole.set_column(at, schema.field(name), pc.fill_null(whole[name], ""))
    return whole


def _with_ids(kind: str, reader: DatasetReader, table: pa.Table) -> pa.Table:
    """New rows with ids that no old row has: their own, or numbers."""
    if not table.num_rows:
        return table
    known = known_ids(kind, reader)
    start = reader.counts["documents" if kind == "document" else "queries"]
    return table.set_column(
        0, table.schema.field("id"), pa.array(free_ids(kind, table["id"].to_pylist(), start, known))
    )


def known_ids(kind: str, reader: DatasetReader) -> digests.DigestRows:
    """All ids of a data set's documents or queries."""
    known = digests.DigestRows()
    tables = reader.iter_documents() if kind == "document" else reader.iter_queries()
    for table in tables:
        ids = [one.encode() for one in table["id"].to_pylist()]
        known.assign(digests.of_bytes(ids), np.arange(len(ids)))
    return known


def free_ids(
    kind: str, wanted: list[str | None], start: int, known: digests.DigestRows
) -> list[str]:
    """Each wanted id where it is free, else with a number behind it; they are known from then on.

    ``start``: the row number of the first.
    """
    names = [one or f"{kind}:{start + place}" for place, one in enumerate(wanted)]
    fresh = known.assign(digests.of_bytes([one.encode() for one in names]), np.arange(len(names)))
    for place in np.flatnonzero(~fresh).tolist():
        names[place] = _another(names[place], start + place, known)
    return names


def _another(name: str, row: int, known: digests.DigestRows) -> str:
    number = row
    while True:
        other = f"{name}~{number}"
        if known.assign(digests.of_bytes([other.encode()]), np.zeros(1, np.int64))[0]:
            return other
        number += 1


def _code(split: str | None) -> int:
    if split not in CODES:
        raise BadInput(f"There is no split '{split}'.", "The splits are train, dev and test.")
    return CODES[split]


def _check(what: str, count: int, *rows: Array) -> None:
    for some in rows:
        bad = some[(some < 0) | (some >= count)]
        if len(bad):
            raise BadInput(
                f"There is no {what} {int(bad[0])}.", f"This version has {count:,} of them."
            )
