"""From a plan to files. What did not change is shared with the version before, by its path."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from workbench.data.digests import DigestRows
from workbench.data.edges import cuts
from workbench.data.edit import EVERY, keys_of
from workbench.data.edit_plan import Part, Plan, free_ids
from workbench.data.splits import CODES, SPLITS, codes_of
from workbench.data.text_counts import Lengths
from workbench.data.writer import (
    CANDIDATES,
    DOCUMENTS,
    JUDGMENTS,
    PAIRS,
    QUERIES,
    Inline,
    Manifest,
    TableWriter,
    along,
)

# The judgments and candidates of a new version, written range by range of its queries.
#
# Within a split queries keep their order, so one walk through the old edges of each split finds
# them in the order of their new rows; what is added joins them by row. Memory holds one range at a
# time.

Array = np.ndarray[Any, Any]
#: Edges that are held at a time, where no single query has more.
RANGE = 200_000
_FREE = np.zeros(0, bool)


@dataclass(frozen=True, slots=True)
class Range:
    """New rows ``first`` to ``stop``: the old rows they come from, or none for new queries."""

    first: int
    stop: int
    part: Part | None = None
    start: int = 0
    end: int = 0
    chosen: Array | None = None


def write_edges(
    plan: Plan,
    judgments: TableWriter | None,
    candidates: TableWriter | None,
    check: Callable[[], None],
) -> None:
    """Write the tables that have a writer."""
    for one in ranges(plan):
        check()
        sure = _judgments(plan, one)
        if judgments is not None:
            judgments.write(pa.table(list(sure.T), schema=JUDGMENTS))
        if candidates is not None:
            candidates.write(_candidates(plan, one, sure))


def ranges(plan: Plan) -> Iterator[Range]:
    """All queries of the new version in the order of their rows."""
    counted = [_edge_counts(part) for part in plan.parts]
    start = 0
    for name in SPLITS:
        row, stop = start, start + plan.splits[name]
        for part, counts in zip(plan.parts, counted, strict=True):
            chosen = part.own_queries & (part.queries >= 0) & (part.splits == CODES[name])
            for first, last in _cut(chosen, counts):
                rows = part.queries[first:last][chosen[first:last]]
                yield Range(row, row + len(rows), part, first, last, chosen)
                row += len(rows)
        if row < stop:
            yield Range(row, stop)
        start = stop


def _cut(chosen: Array, counts: Array) -> Iterator[tuple[int, int]]:
    """Ranges of old rows between the first and last chosen one that have a chosen one in them."""
    places = np.flatnonzero(chosen)
    if not len(places):
        return
    low, high = int(places[0]), int(places[-1]) + 1
    for first, last in cuts(counts[low:high], RANGE):
        if chosen[low + first : low + last].any():
            yield low + first, low + last


def _edge_counts(part: Part) -> Array:
    """How many edges each old query has, and one more: a range of many bare queries ends too."""
    counts = np.ones(len(part.queries), np.int64)
    for kind in ("judgments", "candidates"):
        for edges in part.reader.iter_edges(kind):
            counts += np.bincount(edges["query"].to_numpy(), minlength=len(counts))
    return counts


# -- judgments -------------------------------------------------------------------------------


def _judgments(plan: Plan, one: Range) -> Array:
    """query, document, grade of a range: each pair once, with its highest grade."""
    added = plan.judgments
    low, high = np.searchsorted(added[:, 0], [one.first, one.stop])
    found = np.concatenate([_old_judgments(one), added[low:high]])
    keys = keys_of(found[:, 0], found[:, 1])
    best = _first_of_each(keys, np.lexsort((-found[:, 2], keys)))
    found = found[np.sort(best)]
    return np.asarray(found[np.argsort(found[:, 0], kind="stable")])


def _old_judgments(one: Range) -> Array:
    if one.part is None:
        return np.zeros((0, 3), np.int64)
    edges = one.part.reader.edges("judgments", one.start, one.end)
    query, document = edges["query"].to_numpy(), edges["document"].to_numpy()
    keep = _stays(one, query, document, one.part.dropped_judgments)
    grades = edges["grade"].to_numpy().astype(np.int64)[keep]
    return np.stack([*_moved(one.part, query[keep], document[keep]), grades], axis=1)


# -- candidates ------------------------------------------------------------------------------


def _candidates(plan: Plan, one: Range, sure: Array) -> pa.Table:
    """The candidates of a range: each pair once, and no positive but with a teacher's score.

    Of a pair given twice the one with a score counts; the newer one if both have it.
    """
    old = _old_candidates(one)
    queries = plan.candidates["query"].to_numpy()
    low, high = np.searchsorted(queries, [one.first, one.stop])
    added = plan.candidates.slice(int(low), int(high - low))
    found = pa.concat_tables([old, added])
    keys = keys_of(found["query"].to_numpy(), found["document"].to_numpy())
    scored = pc.is_valid(found["score"]).to_numpy()
    new = np.arange(len(keys)) >= old.num_rows
    weight = np.where(scored, np.where(new, 0, 1), np.where(new, 3, 2))
    best = np.sort(_first_of_each(keys, np.lexsort((weight, keys))))
    relevant = sure[sure[:, 2] > 0]
    best = best[~np.isin(keys[best], keys_of(relevant[:, 0], relevant[:, 1])) | scored[best]]
    best = best[np.argsort(keys[best] >> 32, kind="stable")]
    return _ranked(found.take(pa.array(best)))


def _old_candidates(one: Range) -> pa.Table:
    if one.part is None or one.part.replaced == EVERY:
        return CANDIDATES.empty_table()
    edges = one.part.reader.edges("candidates", one.start, one.end).cast(CANDIDATES)
    query, document = edges["query"].to_numpy(), edges["document"].to_numpy()
    keep = _stays(one, query, document, one.part.dropped_candidates)
    if one.part.replaced:
        keep &= ~pc.equal(edges["origin"], one.part.replaced).to_numpy()
    rows = _moved(one.part, query[keep], document[keep])
    kept = edges.filter(pa.array(keep))
    for at, name in enumerate(("query", "document")):
        kept = kept.set_column(at, CANDIDATES.field(name), pa.array(rows[at]))
    return kept


def _ranked(table: pa.Table) -> pa.Table:
    """Ranks are places among a query's candidates, from 1."""
    queries = table["query"].to_numpy()
    begins = np.searchsorted(queries, queries, side="left")
    ranks = pa.array((np.arange(len(queries)) - begins + 1).astype(np.int32))
    return table.set_column(3, CANDIDATES.field("rank"), ranks)


# -- both ------------------------------------------------------------------------------------


def _stays(one: Range, query: Array, document: Array, dropped: Array) -> Array:
    if one.part is None or one.chosen is None:
        return _FREE
    keep = one.chosen[query] & (one.part.documents[document] >= 0)
    return np.asarray(keep & ~np.isin(keys_of(query, document), dropped))


def _moved(part: Part, query: Array, document: Array) -> tuple[Array, Array]:
    return part.queries[query], part.documents[document]


def _first_of_each(keys: Array, order: Array) -> Array:
    """In an order by keys: the first place of each key."""
    first = np.ones(len(order), bool)
    first[1:] = keys[order][1:] != keys[order][:-1]
    return np.asarray(order[first])


Tick = Callable[[str], None]
_EDGE_GROUP = 50_000


@dataclass(slots=True)
class Written:
    """The files of a version, relative to the data set's folder, and what is in them."""

    documents: str = ""
    queries: dict[str, str] = field(default_factory=dict)
    judgments: str = ""
    candidates: str = ""
    pairs: str = ""
    rows: dict[str, int] = field(default_factory=dict)
    histograms: dict[str, Any] = field(default_factory=dict)


def write(plan: Plan, folder: Path, prefix: str, tick: Tick, *, share: bool) -> Written:
    """Write what changed into ``folder/prefix``; all of it, unless files may be shared.

    ``tick`` is called often, with what is being written; it may raise.
    """
    return _Writing(plan, folder, prefix, tick, share).run()


class _Writing:
    def __init__(self, plan: Plan, folder: Path, prefix: str, tick: Tick, share: bool) -> None:
        self._plan = plan
        self._folder = folder
        self._prefix = prefix
        self._tick = tick
        self._share = share
        self._ids = {"document": DigestRows(), "query": DigestRows()}
        self._before: Manifest = plan.parts[0].reader.manifest
        self._done = Written(
            rows={**self._before.rows, "queries": sum(plan.splits.values())},
            histograms=dict(self._before.histograms),
        )

    def run(self) -> Written:
        self._documents()
        self._queries()
        self._edges()
        self._pairs()
        return self._done

    def _shared(self, name: str) -> bool:
        return self._share and name not in self._plan.changed

    def _writer(self, name: str, schema: pa.Schema, **more: Any) -> tuple[str, TableWriter]:
        path = f"{self._prefix}/{name}.parquet"
        return path, TableWriter(self._folder / path, schema, Inline(), **more)

    def _named(self, kind: str, table: pa.Table, row: int) -> pa.Table:
        """The rows with ids of their own, where those of several data sets come together."""
        if not self._plan.merged:
            return table
        ids = free_ids(kind, table["id"].to_pylist(), row, self._ids[kind])
        return table.set_column(0, "id", pa.array(ids, pa.string()))

    # -- texts -------------------------------------------------------------------------------

    def _documents(self) -> None:
        if self._shared("documents"):
            self._done.documents = self._before.documents
            return
        self._done.documents, writer = self._writer("documents", DOCUMENTS)
        lengths = Lengths()
        for table in self._all_documents():
            self._tick("documents")
            lengths.add(_texts(table))
            writer.write(self._named("document", table, writer.rows).cast(DOCUMENTS))
        writer.close()
        self._done.rows["documents"] = writer.rows
        self._done.histograms["document"] = lengths.to_dict()

    def _all_documents(self) -> Iterator[pa.Table]:
        for part in self._plan.parts:
            for table, keep in along(part.reader.iter_documents(), part.own_documents):
                yield table.filter(pa.array(keep))
        yield self._plan.new_documents

    def _queries(self) -> None:
        if self._shared("queries"):
            self._done.queries = dict(self._before.queries)
            return
        writers: dict[str, TableWriter] = {}
        for name in SPLITS:
            if self._share and self._same_split(name):
                self._done.queries[name] = self._before.queries[name]
            else:
                path, writers[name] = self._writer(f"queries-{name}", QUERIES)
                self._done.queries[name] = path
        lengths = Lengths()
        rows = 0
        for table, codes in self._all_queries():
            self._tick("queries")
            table, codes = table.filter(pa.array(codes >= 0)), codes[codes >= 0]
            table, rows = self._named("query", table, rows), rows + table.num_rows
            lengths.add(_texts(table))
            for name, writer in writers.items():
                writer.write(_labelled(table.filter(pa.array(codes == CODES[name])), name))
        for writer in writers.values():
            writer.close()
        self._done.histograms["query"] = lengths.to_dict()

    def _all_queries(self) -> Iterator[tuple[pa.Table, Array]]:
        """Queries and the split each goes to (-1: none); the new ones last."""
        for part in self._plan.parts:
            codes = np.where(part.own_queries & (part.queries >= 0), part.splits, -1)
            yield from along(part.reader.iter_queries(), codes)
        new = self._plan.new_queries
        yield new, codes_of(new["split"].to_pylist())

    def _same_split(self, name: str) -> bool:
        """Whether a split's queries are just those that it had."""
        part, count = self._plan.parts[0], self._before.splits[name]
        start = self._before.start(name)
        old = part.splits[start : start + count] == CODES[name]
        stays = bool((old & (part.queries[start : start + count] >= 0)).all())
        return stays and self._plan.splits[name] == count

    # -- edges -------------------------------------------------------------------------------

    def _edges(self) -> None:
        done, before = self._done, self._before
        done.judgments, done.candidates = before.judgments, before.candidates
        writers: dict[str, TableWriter] = {}
        for name, schema in (("judgments", JUDGMENTS), ("candidates", CANDIDATES)):
            if not self._shared(name):
                path, writers[name] = self._writer(name, schema, group_rows=_EDGE_GROUP)
                setattr(done, name, path)
        if writers:
            check = lambda: self._tick("judgments")  # noqa: E731
            write_edges(self._plan, writers.get("judgments"), writers.get("candidates"), check)
        for name, writer in writers.items():
            writer.close()
            done.rows[name] = writer.rows

    # -- scored pairs ------------------------------------------------------------------------

    def _pairs(self) -> None:
        held = [part for part in self._plan.parts if part.reader.manifest.pairs]
        if not held or self._shared("pairs"):
            self._done.pairs = self._before.pairs
            return
        self._done.pairs, writer = self._writer("pairs", PAIRS)
        for name in SPLITS:
            for part in held:
                self._tick("pairs")
                table = part.reader.pairs()
                chosen = table.filter(pa.array(part.pairs == CODES[name]))
                writer.write(_labelled(chosen.select(PAIRS.names), name).cast(PAIRS))
        writer.close()
        self._done.rows["pairs"] = writer.rows


def _labelled(table: pa.Table, split: str) -> pa.Table:
    """The same rows, as rows of that split."""
    at = table.column_names.index("split")
    label = pa.array([split] * table.num_rows, pa.string())
    return table.set_column(at, "split", label)


def _texts(table: pa.Table) -> pa.StringArray:
    column = table["text"].combine_chunks()
    if isinstance(column, pa.ChunkedArray):  # More than two gigabytes in one group.
        column = pa.concat_arrays(column.chunks)
    return column
