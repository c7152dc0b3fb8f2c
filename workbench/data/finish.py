"""From the builder's spools to a data set's files: splits, queries by split, sorted edges."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from workbench.data.builder import JUDGED, POSITIVE, Builder
from workbench.data.edges import disputed, judged, offered
from workbench.data.parts import SPLITS
from workbench.data.splits import CODES, Shares, carve, seated
from workbench.data.writer import CANDIDATES, JUDGMENTS, QUERIES, Inline, TableWriter

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
    builder.background.submit(_write_queries, builder, np.where(keep, splits, -1), check)
    rows = _write_edges(builder, new_row, check)
    builder.background.wait()
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
    start = 0
    with pq.ParquetFile(builder.queries.path) as spool:
        for group in range(spool.num_row_groups):
            check()
            if group % _TRIM == 0:  # Spooled texts come and go in large pieces.
                pa.default_memory_pool().release_unused()
            table = spool.read_row_group(group, use_threads=False)
            codes = splits[start : start + table.num_rows]
            start += table.num_rows
            for name, writer in writers.items():
                part = table.filter(pa.array(codes == CODES[name]))
                label = pa.array([name] * part.num_rows, pa.string())
                labelled = part.append_column("split", label)
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
        origin = pa.array(["given"] * len(picked), pa.string())
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
