"""A data set in the making: its builder, its problems and notes, and how it is completed."""

import shutil
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from workbench.data.batch import TextBatch, content
from workbench.data.builder import JUDGED, POSITIVE, Builder
from workbench.data.collection import Collection
from workbench.data.edges import FILE as PAIRS_FILE
from workbench.data.edges import PairSpool, disputed, judged, offered
from workbench.data.problems import SHOWN, ProblemLog, Report
from workbench.data.shapes.row import Document
from workbench.data.splits import (
    CODES,
    ENOUGH,
    SPLITS,
    Shares,
    carve,
    pair_remarks,
    remarks,
    seated,
)
from workbench.data.writer import (
    CANDIDATES,
    JUDGMENTS,
    QUERIES,
    Inline,
    Manifest,
    TableWriter,
    along,
    spooled,
)
from workbench.errors import NoGoodRows, StrictRefused
from workbench.jobs.files import folder_bytes
from workbench.jobs.reporting import JobContext
from workbench.plurals import counted

# Documents that come without queries: read as they are, or cut from longer texts.
#
# One with an id is known by that id, as in any corpus; one without by its title and text, and a
# picture by what it shows.

_BATCH_ROWS = 5_000
_BATCH_CHARS = 1 << 20


class Texts:
    """Adds documents to a builder. ``used`` counts those that were written."""

    def __init__(self, builder: Builder) -> None:
        self._builder = builder
        self._named = Collection(builder)
        self._items: list[tuple[int, Document]] = []
        self._chars = 0
        self._report: Report | None = None
        self._written = 0

    @property
    def used(self) -> int:
        return self._written + self._named.used["document"]

    def begin(self, report: Report) -> None:
        """What follows comes from this file."""
        self.flush()
        self._named.begin(report)
        self._report = report

    def add(self, line: int, item: Document) -> None:
        if item.id is not None and not item.picture:
            self._named.add("document", line, item)
            return
        self._items.append((line, item))
        self._chars += len(item)
        if len(self._items) >= _BATCH_ROWS or self._chars >= _BATCH_CHARS:
            self._flush_items()

    def flush(self) -> None:
        self._named.flush()
        self._flush_items()

    def take(self, batch: TextBatch) -> None:
        """Many documents at once: all of them with an id, or none."""
        if batch.details.ids is not None:
            self._named.take("document", batch)
        else:
            self._flush_items()
            self._take(batch)

    def _flush_items(self) -> None:
        items, self._items, self._chars = self._items, [], 0
        if items:
            self._take(TextBatch.of(items))

    def _take(self, batch: TextBatch) -> None:
        keys = content(batch.texts, batch.details)
        _, first = self._builder.document_texts.resolve(keys, self._builder.documents.rows)
        if self._report is not None:
            again = np.ones(len(batch), bool)
            again[first] = False
            for line in batch.lines[again].tolist():
                self._report.add("duplicate-row", line)
        details = batch.details.at(first)
        self._builder.write_documents(batch.texts, first, details, batch.lines[first])
        self._written += len(first)


# From the builder's spools to a data set's files: splits, queries by split, sorted edges.

Array = np.ndarray[Any, Any]
FILES = {
    "documents": "files/documents.parquet",
    "judgments": "files/judgments.parquet",
    "candidates": "files/candidates.parquet",
}
QUERY_FILES = {split: f"files/queries-{split}.parquet" for split in SPLITS}
_EDGE_GROUP = 50_000
#: Memory is given back to the system every so many row groups.
_TRIM = 8


@dataclass(frozen=True, slots=True)
class Finished:
    """What became of the rows. ``carved``: queries set aside because the files brought none;
    ``irrelevant``: queries whose judgments are all 0; ``unjudged``: those left out."""

    rows: dict[str, int]
    splits: dict[str, int]
    carved: dict[str, int]
    irrelevant: int
    unjudged: int


def finish(builder: Builder, shares: Shares, check: Callable[[], None]) -> Finished:
    """Write all tables and remove the spools. ``check`` is called often; it may raise."""
    builder.flush()
    builder.forget_texts()
    builder.documents.close()
    builder.queries.close()
    pa.default_memory_pool().release_unused()
    groups = np.frombuffer(builder.groups, np.int32)
    said = np.frombuffer(builder.splits, np.int8)[groups] if len(groups) else np.zeros(0, np.int8)
    marks = np.frombuffer(builder.marks, np.int8)
    relevant = (marks & POSITIVE) != 0
    keep = relevant | ((marks & JUDGED) != 0) & relevant.any()
    splits = said.copy()
    splits[relevant] = carve(said[relevant], groups[relevant], shares)
    splits = seated(splits, groups, relevant)
    new_row = _renumber(splits, keep)
    counts = {name: int((keep & (splits == code)).sum()) for name, code in CODES.items()}
    # One after the other: both at once would need the memory of both.
    _write_queries(builder, np.where(keep, splits, -1), check)
    rows = _write_edges(builder, new_row, check)
    shutil.rmtree(builder.folder / "spool")
    return Finished(
        {"documents": builder.documents.rows, "queries": int(keep.sum()), **rows},
        counts,
        {
            name: int((relevant & (splits != said) & (splits == CODES[name])).sum())
            for name in ("test", "dev")
        },
        int((keep & ~relevant).sum()),
        int((marks == 0).sum()),
    )


def _renumber(splits: Array, keep: Array) -> Array:
    """Each spooled query's final row: train first, then dev, then test; -1 for one left out."""
    new_row = np.full(len(splits), -1, np.int32)
    start = 0
    for name in SPLITS:
        chosen = np.flatnonzero(keep & (splits == CODES[name]))
        new_row[chosen] = start + np.arange(len(chosen))
        start += len(chosen)
    return new_row


def _write_queries(builder: Builder, splits: Array, check: Callable[[], None]) -> None:
    writers = {
        name: TableWriter(builder.folder / path, QUERIES, Inline())
        for name, path in QUERY_FILES.items()
    }
    for number, (table, codes) in enumerate(along(spooled(builder.queries.path), splits)):
        check()
        if number % _TRIM == 0:  # Spooled texts come and go in large pieces.
            pa.default_memory_pool().release_unused()
        for name, writer in writers.items():
            chosen = codes == CODES[name]
            if not chosen.any():
                continue
            part = table if chosen.all() else table.filter(pa.array(chosen))
            labelled = part.append_column("split", pa.repeat(name, part.num_rows))
            writer.write(labelled.select(QUERIES.names).cast(QUERIES))
    for writer in writers.values():
        writer.close()


def _write_edges(builder: Builder, new_row: Array, check: Callable[[], None]) -> dict[str, int]:
    judgments, candidates = (
        TableWriter(builder.folder / FILES[name], schema, Inline(), _EDGE_GROUP)
        for name, schema in (("judgments", JUDGMENTS), ("candidates", CANDIDATES))
    )
    for edges in builder.edges.ranges(new_row):
        check()
        pa.default_memory_pool().release_unused()
        _tell_disputed(builder, edges)
        sure = judged(edges)
        columns = [sure["query"], sure["document"], sure["grade"]]
        judgments.write(_table(columns, JUDGMENTS))
        picked, rank = offered(edges, sure)
        origin = pa.repeat("given", len(picked))
        score = pa.array(picked["score"], pa.float32(), mask=np.isnan(picked["score"]))
        columns = [picked["query"], picked["document"], origin, rank, score]
        candidates.write(_table(columns, CANDIDATES))
    judgments.close()
    candidates.close()
    return {"judgments": judgments.rows, "candidates": candidates.rows}


def _tell_disputed(builder: Builder, edges: Array) -> None:
    """Report judgments of one query and document that contradict each other."""
    said, before, negatives = disputed(edges)
    for edge, first in zip(said, before.tolist(), strict=True):
        if edge["file"] >= 0:
            detail = f"{edge['grade']} here, {first} before"
            report = builder.files[edge["file"]]
            report.add("two-grades", int(edge["line"]), None, detail=detail)
    for edge in negatives:
        if edge["file"] >= 0:
            report = builder.files[edge["file"]]
            report.add("positive-equals-negative", int(edge["line"]), None)


def _table(columns: list[Any], schema: pa.Schema) -> pa.Table:
    arrays = [
        column if isinstance(column, pa.Array) else pa.array(column.astype(kind.to_pandas_dtype()))
        for column, kind in zip(columns, schema.types, strict=True)
    ]
    return pa.table(arrays, schema=schema)


MANIFEST = "v1/manifest.json"
_PROBLEMS = "v1/problems.parquet"
NO_QUERIES = (
    "There are documents and no queries: they can be indexed and searched. To train or to "
    "evaluate, add queries with their relevant documents, or have them written from the documents."
)


class Assembly:
    """Fills a folder; :meth:`complete` makes a data set of it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "v1").mkdir(parents=True)
        self.builder = Builder(folder)
        self.pairs = PairSpool(folder, self.builder.background)
        self.texts = Texts(self.builder)
        self.log = ProblemLog(folder / _PROBLEMS)
        self.notes: list[str] = []
        self.sources: list[dict[str, Any]] = []
        self.formats: Counter[str] = Counter()
        #: Columns that were kept with the queries, or the pairs, as they are.
        self.own: dict[str, None] = {}

    def complete(
        self, name: str, shares: Shares, context: JobContext, *, strict: bool = False
    ) -> dict[str, Any]:
        """Write all files, the manifest last; the result is ``data add``'s JSON and a summary.

        Raises :class:`NoGoodRows` and :class:`StrictRefused`.
        """
        self.builder.flush()
        self.pairs.flush()
        self.texts.flush()
        self.builder.tell_lacking()
        self._refuse(strict)
        context.note(f"{self.builder.rows:,} rows were read; now they are sorted by query.")
        pairs = self.pairs.finish(shares, context.check_cancelled)
        finished = finish(self.builder, shares, context.check_cancelled)
        # What contradicts itself is known only now.
        self._refuse_strictly(strict)
        self.log.close()
        finished.rows["pairs"] = sum(pairs.values())
        self.notes += self._remarks(finished, pairs)
        summary = {
            "format": self._format(),
            **finished.rows,
            "splits": finished.splits,
            **({"pair_splits": pairs} if pairs else {}),
            # Of what is held out by us, who trains may use it again.
            "carved": {name: count for name, count in finished.carved.items() if count},
            "problem_counts": dict(self.log.counts.most_common()),
            "problems_total": self.log.total,
            "set_aside": {
                "rows_refused": self.log.refused_rows,
                "files_without_rows": sum(not one["rows"] for one in self.sources),
                "own_columns": [shown_name(name) for name in self.own],
                "list_texts": self.builder.list_texts,
                # Those whose rows were refused are counted there.
                "queries_left_out": finished.unjudged - len(self.builder.told_lacking),
            },
            "notes": self.notes,
            "too_few": bool(finished.rows["queries"]) and finished.splits["test"] < ENOUGH,
        }
        self._manifest(finished, summary).write(self.folder / MANIFEST)
        problems = [problem.to_dict() for problem in self.log.first]
        return {"name": name, **summary, "bytes": folder_bytes(self.folder), "problems": problems}

    def close(self) -> None:
        """Stop the writing thread and let go of the files, however the work ended."""
        self.builder.close()
        self.log.abandon()

    def _format(self) -> str:
        return " + ".join(sorted(name for name in self.formats if name)) or "unknown"

    def _refuse_strictly(self, strict: bool) -> None:
        if strict and self.log.refusable:
            raise StrictRefused(
                f"'strict' refuses these files: {self.log.refusable:,} problems were found, "
                f"first {_first(self._found)}",
                "Fix the rows, or import without 'strict' to leave them out.",
                **self._about,
            )

    @property
    def _found(self) -> list[dict[str, Any]]:
        return [problem.to_dict() for problem in self.log.first]

    @property
    def _about(self) -> dict[str, Any]:
        return {"problems": self._found[:SHOWN], "problem_counts": dict(self.log.counts)}

    def _refuse(self, strict: bool) -> None:
        self._refuse_strictly(strict)
        problems = self._found
        if not (self.builder.has_positive or self.pairs.rows or self.texts.used):
            errors = [one for one in problems if one["severity"] == "error"]
            said = f" The first problem: {_first(errors or problems)}" if problems else ""
            raise NoGoodRows(
                f"No row of these files could be used.{said}",
                "Fix the files, or see in the documentation which rows are read.",
                **self._about,
            )

    def _remarks(self, finished: Finished, pairs: dict[str, int]) -> list[str]:
        said = self._own()
        for split, count in (self.builder.leaked + self.pairs.leaked).items():
            rows = counted(count, "row was", "rows were")
            said.append(
                f"{rows} left out of the other splits, because the query is in {split} too."
            )
        if count := finished.irrelevant:
            some = counted(count, "query has", "queries have")
            said.append(f"{some} no relevant document: kept, never trained or measured on.")
        if finished.unjudged:
            some = counted(finished.unjudged, "query was", "queries were")
            said.append(f"{some} left out for lack of a relevant document.")
        if pairs:
            said += pair_remarks(pairs, self.pairs.carved)
        if finished.rows["queries"]:
            return said + remarks(finished.splits, finished.carved)
        return said if pairs else [*said, NO_QUERIES]

    def _own(self) -> list[str]:
        """What became of columns beside the texts."""
        said = []
        if self.own:
            said.append(own_columns(self.own))
        queries, documents = (self.builder.said[kind].differing for kind in ("query", "document"))
        if count := queries["own"]:
            rows = counted(count, "row says", "rows say")
            said.append(
                f"{rows} something else in its own columns than its query's first row, which stays."
            )
        if count := documents["own"]:
            said.append(
                f"Documents that came again with other columns of their own: {count:,}. "
                "The first ones stay."
            )
        if count := queries["ids"] + documents["ids"]:
            said.append(f"Texts that came again under another id: {count:,}. The first ids stay.")
        return said

    def _manifest(self, finished: Finished, summary: dict[str, Any]) -> Manifest:
        return Manifest(
            version=1,
            format=summary["format"],
            queries=QUERY_FILES,
            documents=FILES["documents"],
            judgments=FILES["judgments"],
            candidates=FILES["candidates"],
            pairs=PAIRS_FILE if finished.rows["pairs"] else "",
            problems=_PROBLEMS,
            rows=finished.rows,
            splits=finished.splits,
            histograms={kind: one.to_dict() for kind, one in self.builder.lengths.items()},
            problem_counts=summary["problem_counts"],
            notes=self.notes,
            sources=self.sources,
        )


def own_columns(names: Iterable[str]) -> str:
    """The note on columns that are kept as they are."""
    listed = ", ".join(f"'{shown_name(name)}'" for name in list(names)[:20])
    return f"Additional columns of the rows were kept: {listed}."


def shown_name(name: str) -> str:
    """A column's name; pandas writes its row numbers under none."""
    return name if name.strip() else "(no name)"


def _first(problems: list[dict[str, Any]]) -> str:
    if not problems:
        return ""
    first = problems[0]
    line = f", line {first['line']}" if first["line"] else ""
    return f"{first['file']}{line}: {first['message']}"
