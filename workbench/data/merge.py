"""The task 'data-merge': several data sets as one, equal texts becoming one.

Test is never touched: a query that stands in one set's test and in another's train or dev keeps
only what test says of it; likewise for dev and train.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from workbench.data import digests
from workbench.data.batch import Details, content
from workbench.data.edit import NEW_QUERIES
from workbench.data.edit_plan import (
    Part,
    Plan,
    moved_candidates,
    moved_judgments,
)
from workbench.data.reader import DatasetReader
from workbench.data.splits import CODES, SPLITS, codes_of
from workbench.data.versions import new_dataset
from workbench.data.writer import CANDIDATES, DOCUMENTS
from workbench.errors import BadInput
from workbench.jobs.reporting import JobContext
from workbench.recipes.data import MergeDataRecipe

Array = np.ndarray[Any, Any]


def run(recipe: MergeDataRecipe, context: JobContext) -> dict[str, Any]:
    """Make the merged data set; returns what ``data add`` does. Raises :class:`BadInput`."""
    datasets = context.workspace.datasets
    readers = [datasets.read(name) for name in recipe.datasets]
    plan, counts = merge_of(readers, context)
    name = recipe.name or datasets.free_name("+".join(recipe.datasets)[:70])
    merged = [f"'{one.name}', version {one.version}" for one in readers]
    how = {
        "what": "merged from " + " and ".join(merged),
        "by": recipe.task,
        "recipe": recipe.model_dump(mode="json"),
        "counts": counts,
    }
    formats = " + ".join(sorted({part for one in readers for part in _formats(one)}))
    return new_dataset(context, name, plan, how, formats)


def merge_of(readers: Sequence[DatasetReader], context: JobContext) -> tuple[Plan, dict[str, int]]:
    """The plan, and how many texts became one or were left out."""
    if len({reader.folder for reader in readers}) < len(readers):
        raise BadInput("A data set cannot be merged with itself.", "Name each only once.")
    merging = _Merging(context)
    homes = _homes(readers, merging)
    parts = [merging.part(reader, homes) for reader in readers]
    splits = _number(parts)
    judgments, candidates = _joined(parts)
    return (
        Plan(
            parts,
            splits,
            merging.rows,
            DOCUMENTS.empty_table(),
            NEW_QUERIES.empty_table(),
            judgments,
            candidates,
            {"documents", "queries", "judgments", "candidates", "pairs"},
            merged=True,
        ),
        merging.counts,
    )


@dataclass
class _Homes:
    """Text -> the highest split it stands in: test is above dev, and dev above train."""

    queries: digests.DigestRows = field(default_factory=digests.DigestRows)
    lefts: digests.DigestRows = field(default_factory=digests.DigestRows)
    #: Pairs, whichever text stands left.
    mirrored: digests.DigestRows = field(default_factory=digests.DigestRows)


@dataclass
class _Merging:
    context: JobContext
    rows: int = 0
    documents: digests.DigestRows = field(default_factory=digests.DigestRows)
    queries: digests.DigestRows = field(default_factory=digests.DigestRows)
    pairs: digests.DigestRows = field(default_factory=digests.DigestRows)
    seen: int = 0
    counts: dict[str, int] = field(default_factory=dict)

    def part(self, reader: DatasetReader, homes: _Homes) -> Part:
        documents, own = self._documents(reader)
        splits = reader.query_codes()
        keys = _keys(table["text"] for table in reader.iter_queries())
        stays = splits == homes.queries.find(keys)
        self._count("queries_left_out", ~stays)
        # For now a query's number among all; rows are dealt when all parts are known.
        numbers = self.queries.find(keys)
        mine = numbers < 0
        numbers[mine] = self.seen + np.flatnonzero(mine)
        self._count("queries_joined", stays & ~mine)
        self.queries.assign(keys[stays & mine], numbers[stays & mine])
        self.seen += len(keys)
        numbers[~stays] = -1
        return Part(
            reader,
            documents,
            own,
            numbers,
            mine & stays,
            np.where(stays, splits, -1),
            self._pairs(reader, homes),
        )

    def _documents(self, reader: DatasetReader) -> tuple[Array, Array]:
        keys = np.concatenate([np.zeros((0, 2), np.uint64), *map(_content, self._tables(reader))])
        rows = self.documents.find(keys)
        own = rows < 0
        self._count("documents_joined", ~own)
        rows[own] = self.rows + np.arange(int(own.sum()))
        self.documents.assign(keys[own], rows[own])
        self.rows += int(own.sum())
        return rows, own

    def _tables(self, reader: DatasetReader) -> Iterator[pa.Table]:
        for table in reader.iter_documents():
            self.context.check_cancelled()
            yield table

    def _pairs(self, reader: DatasetReader, homes: _Homes) -> Array:
        if not reader.counts["pairs"]:
            return np.zeros(0, np.int8)
        table = reader.pairs()
        codes = codes_of(table["split"].to_pylist())
        stays = codes == homes.lefts.find(_keys([table["left"]]))
        stays &= codes == homes.mirrored.find(_mirrored(table))
        self._count("pairs_left_out", ~stays)
        both = _keys([_rows(table)])
        new = self.pairs.find(both) < 0
        self._count("pairs_joined", stays & ~new)
        self.pairs.assign(both[stays & new], np.zeros(int((stays & new).sum()), np.int64))
        return np.where(stays & new, codes, -1)

    def _count(self, what: str, which: Array) -> None:
        if which.any():
            self.counts[what] = self.counts.get(what, 0) + int(which.sum())


def _homes(readers: Sequence[DatasetReader], merging: _Merging) -> _Homes:
    homes = _Homes()
    for code in sorted(CODES.values(), reverse=True):
        for reader in readers:
            merging.context.check_cancelled()
            splits = reader.query_codes()
            keys = _keys(table["text"] for table in reader.iter_queries())[splits == code]
            homes.queries.assign(keys, np.full(len(keys), code))
            if reader.counts["pairs"]:
                table = reader.pairs()
                mine = codes_of(table["split"].to_pylist()) == code
                homes.lefts.assign(_keys([table["left"]])[mine], np.full(int(mine.sum()), code))
                homes.mirrored.assign(_mirrored(table)[mine], np.full(int(mine.sum()), code))
    return homes


def _number(parts: list[Part]) -> dict[str, int]:
    """Turn the queries' numbers into rows: by split, in each part after part."""
    most = max((int(part.queries.max(initial=-1)) for part in parts), default=-1) + 1
    rows = np.full(most + 1, -1, np.int64)  # The last place is for -1.
    counts, start = {}, 0
    for name in SPLITS:
        before = start
        for part in parts:
            chosen = part.own_queries & (part.splits == CODES[name])
            rows[part.queries[chosen]] = start + np.arange(int(chosen.sum()))
            start += int(chosen.sum())
        counts[name] = start - before
    for part in parts:
        part.queries = rows[part.queries]
    return counts


def _joined(parts: list[Part]) -> tuple[Array, pa.Table]:
    """The edges of queries that another part writes."""
    judgments, candidates = [np.zeros((0, 3), np.int64)], [CANDIDATES.empty_table()]
    for part in parts:
        elsewhere = (part.queries >= 0) & ~part.own_queries
        if not elsewhere.any():
            continue
        for edges in part.reader.iter_edges("judgments"):
            edges = edges.filter(pa.array(elsewhere[edges["query"].to_numpy()]))
            columns = [edges[name].to_numpy() for name in ("query", "document", "grade")]
            found = np.stack(columns, axis=1).astype(np.int64)
            judgments.append(moved_judgments(found, part.queries, part.documents))
        for edges in part.reader.iter_edges("candidates"):
            edges = edges.filter(pa.array(elsewhere[edges["query"].to_numpy()]))
            moved = moved_candidates(edges.cast(CANDIDATES), part.queries, part.documents)
            candidates.append(moved)
    every = np.concatenate(judgments)
    return every[np.argsort(every[:, 0], kind="stable")], pa.concat_tables(candidates).sort_by(
        [("query", "ascending")]
    )


def _formats(reader: DatasetReader) -> list[str]:
    return reader.manifest.format.split(" + ")


def _keys(columns: Any) -> Array:
    found = [digests.of_strings(chunk) for column in columns for chunk in column.chunks]
    return np.concatenate([np.zeros((0, 2), np.uint64), *found])


def _mirrored(table: pa.Table) -> Array:
    # A sum knows no order.
    return np.asarray(_keys([table["left"]]) + _keys([table["right"]]))


def _rows(table: pa.Table) -> pa.ChunkedArray:
    """Each pair and its score as one text."""
    columns = (table[name].to_pylist() for name in ("left", "right", "score"))
    rows = [f"{left}\0{right}\0{score}" for left, right, score in zip(*columns, strict=True)]
    return pa.chunked_array([pa.array(rows, pa.string())])


def _content(table: pa.Table) -> Array:
    texts, titles, pictures = (
        table[name].fill_null("").combine_chunks() for name in ("text", "title", "picture")
    )
    return content(texts, Details(titles=titles, pictures=pictures))
