"""From a plan to files. What did not change is shared with the version before, by its path."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from workbench.data.digests import DigestRows
from workbench.data.edit_edges import write_edges
from workbench.data.edit_plan import Plan, free_ids
from workbench.data.histogram import Lengths
from workbench.data.manifest import Manifest
from workbench.data.parts import SPLITS
from workbench.data.splits import CODES
from workbench.data.writer import (
    CANDIDATES,
    DOCUMENTS,
    JUDGMENTS,
    PAIRS,
    QUERIES,
    Inline,
    TableWriter,
)

Array = np.ndarray[Any, Any]
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
            start = 0
            for table in part.reader.iter_documents():
                keep = part.own_documents[start : start + table.num_rows]
                start += table.num_rows
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
            start = 0
            for table in part.reader.iter_queries():
                yield table, codes[start : start + table.num_rows]
                start += table.num_rows
        new = self._plan.new_queries
        yield new, np.array([CODES[split] for split in new["split"].to_pylist()], np.int8)

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
