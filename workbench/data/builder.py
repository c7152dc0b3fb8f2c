"""Rows in, tables out: merges queries and documents by their text, batch by batch.

Nothing is kept per text but its digest; texts go to disk as soon as a batch is full. Queries wait
in a spool until every file is read, because only then their splits are known.
"""

import array
from collections import Counter
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from workbench.data import digests
from workbench.data.batch import Batch, Details, content, filled, from_rows, joined, size_of
from workbench.data.edges import GIVEN, IRRELEVANT, SCORED, EdgeSpool, Said
from workbench.data.problems import Report
from workbench.data.shapes.row import Row
from workbench.data.splits import CODES, DEV, TRAIN, UNKNOWN
from workbench.data.text_counts import Lengths, lists_in
from workbench.data.writer import DOCUMENTS, QUERIES, Background, TableWriter

Array = np.ndarray[Any, Any]
_BATCH_ROWS = 5_000
_BATCH_CHARS = 1 << 20
#: Texts that are added at once: every call costs the same for few as for many.
_BATCH_BYTES = 2 << 20
#: Marks on a query: something is relevant to it; a judgment was left out for its split; it is
#: judged, if only irrelevant.
POSITIVE, LEAKED, JUDGED = 1, 2, 4
SPOOLED_QUERIES = pa.schema(
    [QUERIES.field(name) for name in ("id", "text", "prompt", "fields")],
)
#: Positives of a row that are compared one after the other; more are sorted.
_FEW = 8
#: Odd numbers that tell a row's places apart when its digests are added up.
_PLACES = np.random.default_rng(7).integers(1, 2**63, 4096, dtype=np.uint64) * np.uint64(2) + (
    np.uint64(1)
)


class Builder:
    """Collects a data set's rows in ``folder``; ``write_dataset`` completes it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.background = Background()
        self.documents = TableWriter(folder / "files/documents.parquet", DOCUMENTS, self.background)
        self.queries = TableWriter(
            folder / "spool/queries.arrow", SPOOLED_QUERIES, self.background, spool=True
        )
        self.edges = EdgeSpool(folder / "spool/edges.bin")
        self.lengths = {"query": Lengths(), "document": Lengths()}
        self.splits = array.array("b")  # per query: its split as the files say
        self.marks = array.array("b")  # per query: POSITIVE, LEAKED, JUDGED
        self.groups = array.array("i")  # per query: the first query of the same text
        self.leaked: Counter[str] = Counter()
        self.said = {"query": Said(), "document": Said()}
        self.rows = 0
        #: Rows of one query are meant to come one by one: that one comes again is no news.
        self.gathers = False
        self.query_texts = digests.DigestRows()
        self.document_texts = digests.DigestRows()
        self._row_digests = digests.DigestRows()
        self._ids = {"query": digests.DigestRows(), "document": digests.DigestRows()}
        self._rows: list[Row] = []
        self._lines: list[int] = []
        self._chars = 0
        self._batches: list[Batch] = []
        self._held = 0
        self._report: Report | None = None
        self._split = TRAIN
        #: The files that rows came from, in their order.
        self.files: list[Report] = []
        #: Rows without a relevant text: file, line, column, query. Another row may bring one.
        self._lacking: list[tuple[int, int, str, int]] = []
        #: The queries of those that were told of.
        self.told_lacking: set[int] = set()
        #: Texts that look like a list, each counted once.
        self.list_texts = 0

    @property
    def has_positive(self) -> bool:
        """Whether anything was judged relevant. Ask after :meth:`flush`."""
        return bool((np.frombuffer(self.marks, np.int8) & POSITIVE).any())

    def begin(self, report: Report, split: str | None) -> None:
        """The rows that follow come from this file."""
        self.flush()
        self._report, self._split, self.gathers = report, CODES[split or "train"], False
        self.files.append(report)

    def add(self, line: int, row: Row) -> None:
        """One row; rows are collected until there are enough of them."""
        self._rows.append(row)
        self._lines.append(line)
        self._chars += len(row.query) + len(row.fields)
        self._chars += sum(map(len, row.documents)) + 32 * len(row.documents)
        if self._chars >= _BATCH_CHARS or len(self._rows) >= _BATCH_ROWS:
            self._gather()

    def take(self, batch: Batch) -> None:
        """Many rows; batches are collected until they are large enough."""
        self._gather()
        self._hold(batch)

    def flush(self) -> None:
        """Add what was collected."""
        self._gather()
        batches, self._batches, self._held = self._batches, [], 0
        if batches:
            self._add(joined(batches))

    def _gather(self) -> None:
        rows, lines = self._rows, self._lines
        self._rows, self._lines, self._chars = [], [], 0
        if rows:
            self._hold(from_rows(rows, lines))

    def _hold(self, batch: Batch) -> None:
        size = batch.bytes
        if size >= _BATCH_BYTES:  # By itself: with others it would be held twice while they join.
            self.flush()
        self._batches.append(batch)
        self._held += size
        if self._held >= _BATCH_BYTES:
            self.flush()

    def forget_texts(self) -> None:
        """Let go of the digests: no row will be added any more."""
        self.query_texts = self.document_texts = self._row_digests = digests.DigestRows()
        self._ids = {}

    def close(self) -> None:
        """Stop the writing thread, whatever state the files are in."""
        self.background.close()
        self.edges.close()

    # -- one batch ---------------------------------------------------------------------------

    def _add(self, batch: Batch) -> None:
        """Add the rows of a batch: to what is known already, or as something new."""
        query_rows, fresh = self._queries(batch)
        keys = content(batch.texts, batch.details)
        keep = self.tell_leaks(query_rows, self._split, batch.lines)
        keep &= self._unseen(batch, query_rows, fresh, keys, keep)
        self._remember_lacking(batch, query_rows, keep)
        places = np.flatnonzero(keep[batch.owner] & self._no_positive(batch, keys, keep))
        document_rows, first = self.document_texts.resolve(keys[places], self.documents.rows)
        new = places[first]
        details = batch.details.at(new) if batch.details else None
        self.write_documents(batch.texts, new, details, batch.lines[batch.owner[new]])
        scores = batch.scores[places] if batch.scores is not None else None
        owners = query_rows[batch.owner[places]]
        lines = batch.lines[batch.owner[places]]
        self._add_edges(owners, document_rows, batch.grades[places], scores, lines)
        if batch.details:
            again = np.ones(len(places), bool)
            again[first] = False
            known = batch.details.at(places[again])
            self.said["document"].again(
                document_rows[again], known.ids, known.fields, self._ids["document"]
            )
        self.rows += int(keep.sum())

    def _queries(self, batch: Batch) -> tuple[Array, Array]:
        """Each row's query number, and which rows brought a query for the first time."""
        start = len(self.splits)
        numbers, first = self.query_texts.resolve(digests.of_strings(batch.queries), start)
        fresh = np.zeros(len(batch), bool)
        fresh[first] = True
        self.write_queries(
            batch.queries,
            first,
            _at(batch.ids, first),
            _at(batch.prompts, first),
            np.arange(start, start + len(first)),
            batch.lines[first],
            self._split,
            _at(batch.fields, first),
        )
        again = np.flatnonzero(~fresh)
        ids, fields = _at(batch.ids, again), _at(batch.fields, again)
        self.said["query"].again(numbers[again], ids, fields, self._ids["query"])
        return numbers, fresh

    def write_queries(
        self,
        texts: pa.StringArray,
        places: Array,
        ids: pa.StringArray | None,
        prompts: pa.StringArray | None,
        groups: Array,
        lines: Array,
        split: int,
        fields: pa.StringArray | None = None,
        id_keys: Array | None = None,
    ) -> None:
        """Append the queries at these places; ``split`` UNKNOWN until a judgment tells it.
        ``ids`` (``id_keys``: their digests, where they are known), ``prompts`` and ``fields`` run
        beside ``places``."""
        count = len(places)
        names = self._claim("query", ids, len(self.splits), lines, id_keys)
        texts, places = _worth_holding(texts, places)

        def table() -> pa.Table:
            chosen = _picked(texts, places)
            self.lengths["query"].add(chosen)
            self.list_texts += lists_in(chosen)
            said, own = (_or_null(column, count) for column in (prompts, fields))
            return pa.table([names, chosen, said, own], schema=SPOOLED_QUERIES)

        self.queries.write_later(table, count, size_of(texts, prompts, fields))
        self.splits.extend([split] * count)
        self.marks.extend([0] * count)
        self.said["query"].extend(fields, count)
        self.groups.extend(groups.tolist())

    def write_documents(
        self,
        texts: pa.StringArray,
        places: Array,
        details: Details | None,
        lines: Array,
        id_keys: Array | None = None,
    ) -> None:
        """Append the documents at these places; each came from its line. ``id_keys``: digests of
        their ids, where they are known."""
        count = len(places)
        known = details or Details()
        ids = self._claim("document", known.ids, self.documents.rows, lines, id_keys)
        self.said["document"].extend(known.fields, count)
        texts, places = _worth_holding(texts, places)

        def table() -> pa.Table:
            chosen = _picked(texts, places)
            self.lengths["document"].add(chosen)
            self.list_texts += lists_in(chosen)
            titles = pa.repeat("", count) if known.titles is None else known.titles
            seen, own = (_or_null(column, count) for column in (known.pictures, known.fields))
            columns = [ids, titles, chosen, seen, own]
            return pa.table(columns, schema=DOCUMENTS)

        self.documents.write_later(table, count, size_of(texts) + known.bytes)

    def tell_leaks(self, queries: Array, split: int, lines: Array) -> Array:
        """Report the places whose query belongs elsewhere; True for those that may stay."""
        homes = self._settle(queries, split)
        same = homes == split
        marks = np.frombuffer(self.marks, np.int8)
        marks[queries[~same]] |= LEAKED
        for place in np.flatnonzero(~same).tolist():
            other = "dev" if homes[place] == DEV else "test"
            self.leaked[other] += 1
            self._tell(f"leaked-{other}-query", int(lines[place]), "query")
        return np.asarray(same)

    def _settle(self, query_rows: Array, split: int) -> Array:
        """The split each query is judged in: this one, unless another was read before. Queries of
        one text share it."""
        home = np.frombuffer(self.splits, np.int8)
        leaders = np.frombuffer(self.groups, np.int32)[query_rows]
        home[leaders[home[leaders] == UNKNOWN]] = split
        return np.asarray(home[leaders])

    def _unseen(
        self, batch: Batch, query_rows: Array, fresh: Array, keys: Array, keep: Array
    ) -> Array:
        """False for rows that stood before as they are; both kinds of repetition are reported."""
        marks = _PLACES[(batch.place * 2 + (batch.grades > 0)) % len(_PLACES)]
        # A judgment of another grade is no repetition.
        marks *= np.where(batch.grades > 1, 2 * batch.grades + 1, 1).astype(np.uint64)
        # A sum of digests, each times an odd number of its place, is as evenly spread as they are.
        total = np.zeros((len(keys) + 1, 2), np.uint64)
        np.cumsum(keys * marks[:, None], axis=0, out=total[1:])
        ends = np.cumsum(np.bincount(batch.owner, minlength=len(batch)))
        sums = np.diff(total[ends], axis=0, prepend=total[:1])
        row_keys = query_rows.astype(np.uint64)[:, None] * _PLACES[:2] + sums
        _, first = self._row_digests.resolve(row_keys, 0)
        unseen = np.zeros(len(batch), bool)
        unseen[first] = True
        again = np.flatnonzero(keep & ~fresh).tolist()
        for is_new, places in groupby(again, unseen.tolist().__getitem__):
            if self._report is not None and not (self.gathers and is_new):
                code = "duplicate-query" if is_new else "duplicate-row"
                self._report.add_rows(code, batch.lines[list(places)].tolist(), "query")
        return unseen

    def _no_positive(self, batch: Batch, keys: Array, keep: Array) -> Array:
        """False for negatives that are a positive of the same row, by title and text."""
        positive = np.flatnonzero(batch.grades > 0)
        doubled = np.zeros(len(keys), bool)
        seen = np.zeros((len(batch), 2), np.uint64)
        # A row has one positive or a few: each is compared with all documents of its row at once.
        for _ in range(_FEW):
            seen[batch.owner[positive]] = keys[positive]
            taken = (seen[batch.owner[positive]] == keys[positive]).all(axis=1)
            doubled |= (batch.grades <= 0) & (seen[batch.owner] == keys).all(axis=1)
            positive = positive[~taken]
            if not len(positive):
                break
        else:
            doubled |= (batch.grades <= 0) & _also_among(batch.owner, keys, positive)
        for row in dict.fromkeys(batch.owner[doubled].tolist()):
            if keep[row]:
                self._tell("positive-equals-negative", int(batch.lines[row]), None)
        return np.asarray(~doubled)

    def _add_edges(
        self, queries: Array, documents: Array, grades: Array, scores: Array | None, lines: Array
    ) -> None:
        """Grades of 1 and more become judgments; the others, and all scores, candidates."""
        relevant = grades > 0
        self.judge(queries[relevant], documents[relevant], grades[relevant], lines[relevant])
        given = ~relevant if scores is None else ~relevant | ~np.isnan(scores)
        negative = IRRELEVANT if self.gathers else GIVEN
        marks = np.where(relevant[given], SCORED, negative)
        said = np.full(len(marks), np.nan, np.float32) if scores is None else scores[given]
        file = len(self.files) - 1
        self.edges.add(queries[given], documents[given], marks, said, file, lines[given])

    def judge(
        self,
        queries: Array,
        documents: Array,
        grades: Array,
        lines: Array | int = 0,
        scores: Array | None = None,
    ) -> None:
        """Add judgments, of grade 0 too; a grade below 0 is a candidate's, with its score."""
        none = np.full(len(queries), np.nan, np.float32) if scores is None else scores
        self.edges.add(queries, documents, grades, none, len(self.files) - 1, lines)
        marks = np.frombuffer(self.marks, np.int8)
        marks[queries[grades > 0]] |= POSITIVE
        marks[queries[grades >= 0]] |= JUDGED

    def _remember_lacking(self, batch: Batch, queries: Array, keep: Array) -> None:
        file = len(self.files) - 1
        for place, field in enumerate(batch.lacks or ()):
            if field and keep[place]:
                where = (file, int(batch.lines[place]), field, int(queries[place]))
                self._lacking.append(where)

    def tell_lacking(self) -> None:
        """Report the rows of negatives alone whose query has nothing relevant in any row. Call it
        once, when all rows are in."""
        marks = np.frombuffer(self.marks, np.int8)
        for file, line, field, query in self._lacking:
            if not marks[query] & POSITIVE:
                self.told_lacking.add(query)
                detail = ", here or in another row"
                self.files[file].add("no-positive", line, field, detail=detail)
        self._lacking = []

    def _claim(
        self,
        kind: str,
        wanted: pa.StringArray | None,
        start: int,
        lines: Array,
        keys: Array | None,
    ) -> pa.StringArray:
        """Ids of new rows: the file's own where it has them and they are free, else a number.
        ``keys``: the digests of those wanted, if known."""
        if wanted is None:
            return _numbered(kind, start, len(lines))
        given = np.flatnonzero(wanted.is_valid())
        keys = digests.of_strings(wanted.drop_null()) if keys is None else keys
        fresh = self._ids[kind].assign(keys, given + start)
        if fresh.all():
            found = wanted
        else:
            ids = wanted.to_pylist()
            for place in given[~fresh].tolist():
                self._tell("duplicate-id", int(lines[place]), "id", ids[place])
                ids[place] = f"{ids[place]}~{start + place}"
            found = pa.array(ids, pa.string())
        if len(given) == len(found):
            return found
        return pc.coalesce(found, _numbered(kind, start, len(lines)))

    def _tell(self, code: str, line: int, field: str | None, detail: str = "") -> None:
        if self._report is not None:
            self._report.add(code, line, field, detail=detail)


def _also_among(owner: Array, keys: Array, some: Array) -> Array:
    """Which documents are, in the same row, also among ``some`` of them. Sorts all."""
    order = np.lexsort((keys[:, 1], keys[:, 0], owner))
    sorted_keys, sorted_owner = keys[order], owner[order]
    differs = np.ones(len(order), bool)
    differs[1:] = (sorted_keys[1:] != sorted_keys[:-1]).any(axis=1)
    differs[1:] |= sorted_owner[1:] != sorted_owner[:-1]
    group = np.empty(len(order), np.int64)
    group[order] = np.cumsum(differs) - 1
    marked = np.zeros(len(order), bool)
    marked[group[some]] = True
    return np.asarray(marked[group])


def _worth_holding(texts: pa.StringArray, places: Array) -> tuple[pa.StringArray, Array]:
    """The texts at these places, and theirs among them: what waits to be written keeps all texts in
    memory that it is picked from, and few may be new of many."""
    if 2 * len(places) >= len(texts):
        return texts, places
    return texts.take(pa.array(places)), np.arange(len(places))


def _picked(texts: pa.StringArray, places: Array) -> pa.StringArray:
    """The texts at these places, which are all different and ascending."""
    return texts if len(places) == len(texts) else texts.take(pa.array(places))


def _numbered(kind: str, start: int, count: int) -> pa.StringArray:
    """Ids of so many rows that bring none."""
    numbers = pa.array(np.arange(start, start + count)).cast(pa.string())
    return pc.binary_join_element_wise(f"{kind}:", numbers, "")


def _at(column: pa.StringArray | None, places: Array) -> pa.StringArray | None:
    return None if column is None else column.take(pa.array(places))


def _or_null(column: pa.StringArray | None, count: int) -> pa.StringArray:
    """The texts, null for an empty one."""
    if column is None:
        return pa.nulls(count, pa.string())
    some = filled(column)
    return column if some.all() else pc.if_else(pa.array(some), column, None)
