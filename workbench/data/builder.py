"""Rows in, tables out: merges queries and documents by their text, batch by batch.

Nothing is kept per text but its digest; texts go to disk as soon as a batch is full. Queries wait
in a spool until every file is read, because only then their splits are known.
"""

import array
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from workbench.data import digests
from workbench.data.edges import EdgeSpool
from workbench.data.histogram import Lengths
from workbench.data.report import Report
from workbench.data.shapes.row import Document, Row
from workbench.data.splits import CODES, DEV, TRAIN, UNKNOWN
from workbench.data.writer import DOCUMENTS, Background, TableWriter

Array = np.ndarray[Any, Any]
_BATCH_ROWS = 5_000
_BATCH_CHARS = 4 << 20
#: Marks on a query: something is relevant to it; a judgment was left out for its split.
POSITIVE, LEAKED = 1, 2
SPOOLED_QUERIES = pa.schema([("id", pa.string()), ("text", pa.string()), ("prompt", pa.string())])
#: Odd numbers that tell a row's places apart when its digests are added up.
_PLACES = np.random.default_rng(7).integers(1, 2**63, 4096, dtype=np.uint64) * np.uint64(2) + (
    np.uint64(1)
)


@dataclass(slots=True)
class _Batch:
    rows: list[Row] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)
    chars: int = 0


class Builder:
    """Collects a data set's rows in ``folder``; :mod:`workbench.data.finish` completes it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.background = Background()
        self.documents = TableWriter(folder / "files/documents.parquet", DOCUMENTS, self.background)
        self.queries = TableWriter(
            folder / "spool/queries.parquet", SPOOLED_QUERIES, self.background, compression="lz4"
        )
        self.edges = EdgeSpool(folder / "spool/edges.bin")
        self.lengths = {"query": Lengths(), "document": Lengths()}
        self.splits = array.array("b")  # per query: its split as the files say
        self.marks = array.array("b")  # per query: POSITIVE, LEAKED
        self.groups = array.array("i")  # per query: the first query of the same text
        self.leaked: Counter[str] = Counter()
        self.rows = 0
        self.query_texts = digests.DigestRows()
        self.document_texts = digests.DigestRows()
        self._row_digests = digests.DigestRows()
        self._ids = {"query": digests.DigestRows(), "document": digests.DigestRows()}
        self._batch = _Batch()
        self._report: Report | None = None
        self._split = TRAIN

    @property
    def has_positive(self) -> bool:
        """Whether anything was judged relevant. Ask after :meth:`flush`."""
        return bool((np.frombuffer(self.marks, np.int8) & POSITIVE).any())

    def begin(self, report: Report, split: str | None) -> None:
        """The rows that follow come from this file."""
        self.flush()
        self._report, self._split = report, CODES[split or "train"]

    def add(self, line: int, row: Row) -> None:
        batch = self._batch
        batch.rows.append(row)
        batch.lines.append(line)
        batch.chars += len(row.query) + 32 * len(row.documents)
        for document in row.documents:
            batch.chars += len(document) if type(document) is str else len(document[0])
        if batch.chars >= _BATCH_CHARS or len(batch.rows) >= _BATCH_ROWS:
            self.flush()

    def flush(self) -> None:
        batch, self._batch = self._batch, _Batch()
        if batch.rows:
            self._take(batch)

    def close(self) -> None:
        """Stop the writing thread, whatever state the files are in."""
        self.background.close()
        self.edges.close()

    # -- one batch ---------------------------------------------------------------------------

    def _take(self, batch: _Batch) -> None:
        rows = batch.rows
        query_rows, fresh = self._queries(batch)
        counts = np.fromiter((len(row.documents) for row in rows), np.int64, len(rows))
        flat = [document for row in rows for document in row.documents]
        grades = np.fromiter((g for row in rows for g in row.grades), np.int32, len(flat))
        texts, keys = content(flat)
        keep = self.tell_leaks(query_rows, self._split, batch.lines)
        keep &= self._unseen(batch, query_rows, fresh, keys, grades, counts, keep)
        owner = np.repeat(np.arange(len(rows)), counts)
        picked = np.flatnonzero(keep[owner])
        document_rows = self._add_documents(flat, texts, keys, picked, owner, batch.lines)
        scores = _scores(rows, counts)[picked]
        self.add_edges(query_rows[owner[picked]], document_rows, grades[picked], scores)
        self.rows += int(keep.sum())

    def _queries(self, batch: _Batch) -> tuple[Array, Array]:
        """Each row's query number, and which rows brought a query for the first time."""
        texts = pa.array([row.query for row in batch.rows], pa.string())
        start = len(self.splits)
        numbers, first = self.query_texts.resolve(digests.of_strings(texts), start)
        fresh = np.zeros(len(batch.rows), bool)
        fresh[first] = True
        new = [batch.rows[place] for place in first.tolist()]
        self.write_queries(
            texts.take(pa.array(first)),
            [row.query_id for row in new],
            pa.array([row.prompt for row in new], pa.string()),
            np.arange(start, start + len(new)),
            [batch.lines[place] for place in first.tolist()],
            self._split,
        )
        return numbers, fresh

    def write_queries(
        self,
        texts: pa.StringArray,
        wanted: list[str | None],
        prompts: pa.StringArray,
        groups: Array,
        lines: list[int],
        split: int,
    ) -> None:
        """Append queries; ``split`` UNKNOWN until a judgment tells it."""
        ids = self._claim("query", wanted, len(self.splits), lines)
        self.queries.write(pa.table([ids, texts, prompts], schema=SPOOLED_QUERIES))
        self.lengths["query"].add(texts)
        self.splits.extend([split] * len(wanted))
        self.marks.extend([0] * len(wanted))
        self.groups.extend(groups.tolist())

    def _settle(self, query_rows: Array, split: int) -> Array:
        """Where these queries may be judged in this split: it is theirs, or now becomes theirs.
        Otherwise the split that was read before keeps them. Same text, same split."""
        home = np.frombuffer(self.splits, np.int8)
        leaders = np.frombuffer(self.groups, np.int32)[query_rows]
        home[leaders[home[leaders] == UNKNOWN]] = split
        return np.asarray(home[leaders])

    def tell_leaks(self, queries: Array, split: int, lines: list[int]) -> Array:
        """Report the places whose query belongs elsewhere; True for those that may stay."""
        homes = self._settle(queries, split)
        same = homes == split
        lost = np.frombuffer(self.marks, np.int8)
        lost[queries[~same]] |= LEAKED
        for place in np.flatnonzero(~same).tolist():
            other = "dev" if homes[place] == DEV else "test"
            self.leaked[other] += 1
            self.tell(f"leaked-{other}-query", lines[place], "query")
        return np.asarray(same)

    def _unseen(
        self,
        batch: _Batch,
        query_rows: Array,
        fresh: Array,
        keys: Array,
        grades: Array,
        counts: Array,
        keep: Array,
    ) -> Array:
        """False for rows that stood before as they are; both kinds of repetition are reported."""
        starts = np.cumsum(counts) - counts
        places = (np.arange(len(keys)) - np.repeat(starts, counts)) * 2 + (grades > 0)
        marks = _PLACES[places % len(_PLACES)]
        row_keys = np.add.reduceat(keys * marks[:, None], starts, axis=0)
        row_keys += query_rows.astype(np.uint64)[:, None] * _PLACES[:2]
        # High bits must be spread evenly: the digest rows are kept in slices by them.
        row_keys = digests.of_bytes([key.tobytes() for key in row_keys])
        _, first = self._row_digests.resolve(row_keys, 0)
        unseen = np.zeros(len(row_keys), bool)
        unseen[first] = True
        for place in np.flatnonzero(keep & ~fresh).tolist():
            code = "duplicate-query" if unseen[place] else "duplicate-row"
            self.tell(code, batch.lines[place], "query")
        return unseen

    def _add_documents(
        self,
        flat: list[Any],
        texts: pa.StringArray,
        keys: Array,
        picked: Array,
        owner: Array,
        lines: list[int],
    ) -> Array:
        """Document numbers of the picked places; new documents are written."""
        numbers, first = self.document_texts.resolve(keys[picked], self.documents.rows)
        new = picked[first]
        self.write_documents(flat, texts, new, [lines[row] for row in owner[new].tolist()])
        return numbers

    def write_documents(
        self, flat: list[Any], texts: pa.StringArray, places: Array, lines: list[int]
    ) -> None:
        """Append the documents at these places of a batch; each came from its line."""
        chosen = texts.take(pa.array(places))
        documents = [flat[place] for place in places.tolist()]
        wanted = [None if type(one) is str else one.id for one in documents]
        ids = self._claim("document", wanted, self.documents.rows, lines)
        titles = ["" if type(one) is str else one.title for one in documents]
        nothing = pa.nulls(len(documents), pa.string())
        columns = [ids, pa.array(titles, pa.string()), chosen, nothing, nothing]
        self.documents.write(pa.table(columns, schema=DOCUMENTS))
        self.lengths["document"].add(chosen)

    def add_edges(self, queries: Array, documents: Array, grades: Array, scores: Array) -> None:
        """Grades of 1 and more become judgments; the others, and all scores, candidates."""
        relevant = grades > 0
        self.judge(queries[relevant], documents[relevant], grades[relevant])
        given = ~relevant | ~np.isnan(scores)
        marks = np.full(int(given.sum()), -1, np.int32)
        self.edges.add(queries[given], documents[given], marks, scores[given])

    def judge(self, queries: Array, documents: Array, grades: Array) -> None:
        """Add judgments, of grade 0 too."""
        nothing = np.full(len(queries), np.nan, np.float32)
        self.edges.add(queries, documents, grades, nothing)
        np.frombuffer(self.marks, np.int8)[queries[grades > 0]] |= POSITIVE

    def _claim(
        self, kind: str, wanted: list[str | None], start: int, lines: list[int]
    ) -> pa.StringArray:
        """Ids of new rows: the file's own where it has them and they are free, else a number."""
        numbers = np.arange(start, start + len(wanted))
        made = pc.binary_join_element_wise(f"{kind}:", pa.array(numbers).cast(pa.string()), "")
        given = [place for place, one in enumerate(wanted) if one is not None]
        if not given:
            return made
        names = [str(wanted[place]) for place in given]
        keys = digests.of_bytes([name.encode() for name in names])
        fresh = self._ids[kind].assign(keys, numbers[given])
        ids = made.to_pylist()
        for place, name, free in zip(given, names, fresh.tolist(), strict=True):
            ids[place] = name if free else f"{name}~{start + place}"
            if not free:
                self.tell("duplicate-id", lines[place], "id", name)
        return pa.array(ids, pa.string())

    def tell(self, code: str, line: int, field: str, detail: str = "") -> None:
        if self._report is not None:
            self._report.add(code, line, field, detail=detail)


def content(flat: list[Any]) -> tuple[pa.StringArray, Array]:
    """The texts, and the digest of title and text of each."""
    titled = [place for place, one in enumerate(flat) if type(one) is Document]
    texts = pa.array(
        flat if not titled else [one if type(one) is str else one.text for one in flat],
        pa.string(),
    )
    keys = digests.of_strings(texts)
    with_title = [place for place in titled if flat[place].title]
    if with_title:
        both = [f"{flat[place].title}\0{flat[place].text}".encode() for place in with_title]
        keys = keys.copy()
        keys[with_title] = digests.of_bytes(both)
    return texts, keys


def _scores(rows: list[Row], counts: Array) -> Array:
    scores = np.full(int(counts.sum()), np.nan, np.float32)
    at = 0
    for row in rows:
        if row.scores is not None:
            given = [np.nan if score is None else score for score in row.scores]
            scores[at : at + len(given)] = given
        at += len(row.documents)
    return scores
