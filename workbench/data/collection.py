"""Documents, queries and judgments that name each other by id: BEIR, MTEB, LlamaIndex.

In a corpus with ids the id is what a text is known by: two queries of one text stay two, so that
the numbers measured here are those that others measure. (They do go into one split together.)
Where ids are made up per file, as LlamaIndex does, ``merge`` joins equal texts as for plain rows.
"""

import math
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from workbench.data import digests
from workbench.data.batch import Judgments, TextBatch, content
from workbench.data.builder import Builder
from workbench.data.edges import GIVEN, SCORED
from workbench.data.problems import Report
from workbench.data.shapes.fields import whole_number
from workbench.data.shapes.row import Document
from workbench.data.splits import CODES, UNKNOWN
from workbench.data.text_counts import bytes_of

Array = np.ndarray[Any, Any]
_BATCH_ROWS = 5_000
_BATCH_CHARS = 1 << 20
#: Bytes that a number may begin with.
_MAY_BEGIN = np.arange(256) >= 0x80
_MAY_BEGIN[[*b"-0123456789"]] = True


class Collection:
    """Adds to a builder by id. Call :meth:`flush` after each file."""

    def __init__(self, builder: Builder, merge: bool = False) -> None:
        self._builder = builder
        self._merge = merge
        self._ids = {"query": digests.DigestRows(), "document": digests.DigestRows()}
        self._items: list[tuple[int, Document]] = []
        self._kind = "document"
        self._chars = 0
        self._judgments: list[tuple[int, str, str, int, float]] = []
        #: Ids such as '1.0' of each kind as whole numbers, with their rows; -1 where two are one.
        self._whole: dict[str, dict[str, int]] = {"query": {}, "document": {}}
        self._report: Report | None = None
        self._split = "train"
        self.used = {"query": 0, "document": 0, "judgment": 0}

    def begin(self, report: Report, split: str | None = None) -> None:
        """What follows comes from this file."""
        self.flush()
        self._builder.begin(report, split)
        self._report, self._split = report, split or "train"

    def add(self, kind: str, line: int, item: Document) -> None:
        """A document or (kind 'query') a query, which must have an id."""
        if kind != self._kind:
            self._flush_items()
            self._kind = kind
        self._items.append((line, item))
        self._chars += len(item)
        if len(self._items) >= _BATCH_ROWS or self._chars >= _BATCH_CHARS:
            self._flush_items()

    def judge(self, line: int, query: str, document: str, grade: int) -> None:
        self._name(line, query, document, grade, math.nan)

    def offer(self, line: int, query: str, document: str, score: float | None = None) -> None:
        """A candidate of the query: a given negative, or a document that a teacher scored."""
        if score is None:
            self._name(line, query, document, GIVEN, math.nan)
        else:
            self._name(line, query, document, SCORED, score)

    def _name(self, line: int, query: str, document: str, grade: int, score: float) -> None:
        self._judgments.append((line, query, document, grade, score))
        if len(self._judgments) >= 4 * _BATCH_ROWS:
            self._flush_judgments()

    def flush(self) -> None:
        self._flush_items()
        self._flush_judgments()

    def take(self, kind: str, batch: TextBatch) -> None:
        """Many documents or queries at once, each with an id."""
        self._flush_items()
        self._take(kind, batch)

    def _flush_items(self) -> None:
        items, self._items, self._chars = self._items, [], 0
        if items:
            self._take(self._kind, TextBatch.of(items))

    def _take(self, kind: str, batch: TextBatch) -> None:
        ids = batch.details.ids
        assert ids is not None
        keys = digests.of_strings(ids)
        known = self._ids[kind]
        places = known.fresh(keys)
        if len(places) < len(batch):
            again = np.ones(len(batch), bool)
            again[places] = False
            for place in np.flatnonzero(again).tolist():
                self._tell("repeated-id", int(batch.lines[place]), "id", ids[place].as_py())
            batch, keys, ids = batch.at(places), keys[places], ids.take(pa.array(places))
        write = self._documents if kind == "document" else self._queries
        rows = write(batch, keys)
        known.assign(keys, rows)
        self._remember_whole(kind, ids, rows)
        self.used[kind] += len(batch)

    def _remember_whole(self, kind: str, ids: pa.StringArray, rows: Array) -> None:
        """Keep the ids that are whole numbers written otherwise, such as '1.0'."""
        into = self._whole[kind]
        ends, held = bytes_of(ids)
        # Those of digits alone are written as they are.
        plain = pc.ascii_is_decimal(ids).to_numpy(zero_copy_only=False)
        for place in np.flatnonzero(_MAY_BEGIN[held[ends[:-1]]] & ~plain).tolist():
            id = ids[place].as_py()
            whole = whole_number(id)
            if whole is not None and whole != id:
                into[whole] = -1 if whole in into else int(rows[place])

    def _documents(self, batch: TextBatch, ids: Array) -> Array:
        """Write the documents and return their rows; with ``merge`` known texts keep theirs.
        ``ids``: digests of the ids."""
        keys = content(batch.texts, batch.details)
        start = self._builder.documents.rows
        if self._merge:
            rows, first = self._builder.document_texts.resolve(keys, start)
            new = batch.details.at(first)
        else:
            first = np.arange(len(batch))
            rows, new = first + start, batch.details
            self._builder.document_texts.assign(keys, rows)
        self._builder.write_documents(batch.texts, first, new, batch.lines[first], ids[first])
        return np.asarray(rows)

    def _queries(self, batch: TextBatch, ids: Array) -> Array:
        keys = digests.of_strings(batch.texts)
        seen = self._builder.query_texts
        start = len(self._builder.splits)
        if self._merge:
            rows, first = seen.resolve(keys, start)
            leaders = rows[first]
            batch, ids = batch.at(first), ids[first]
        else:
            first = np.arange(len(batch))
            rows = first + start
            seen.assign(keys, rows)
            leaders = seen.find(keys)
        about = batch.details
        self._builder.write_queries(
            batch.texts,
            np.arange(len(batch)),
            about.ids,
            batch.prompts,
            leaders,
            batch.lines,
            UNKNOWN,
            about.fields,
            ids,
        )
        return np.asarray(rows)

    def _flush_judgments(self) -> None:
        self._flush_items()
        named, self._judgments = self._judgments, []
        if not named:
            return
        lines, queries, documents, grades, scores = zip(*named, strict=True)
        self._judge(
            np.array(lines, np.int64),
            pa.array(queries, pa.string()),
            pa.array(documents, pa.string()),
            np.array(grades, np.int32),
            np.array(scores, np.float32),
        )

    def judge_all(self, found: Judgments) -> None:
        """Many judgments at once."""
        self._flush_judgments()
        none = np.full(len(found.lines), np.nan, np.float32)
        self._judge(found.lines, found.queries, found.documents, found.grades, none)

    def _judge(
        self,
        lines: Array,
        names: pa.StringArray,
        others: pa.StringArray,
        grades: Array,
        scores: Array,
    ) -> None:
        queries = self._find("query", names, lines)
        # A candidate is left out alone: its row has others, or its positives.
        severities = None
        if grades.min(initial=0) < 0:
            severities = ["" if grade >= 0 else "warning" for grade in grades.tolist()]
        documents = self._find("document", others, lines, severities)
        good = np.flatnonzero((queries >= 0) & (documents >= 0))
        stay = good[self._builder.tell_leaks(queries[good], CODES[self._split], lines[good])]
        self._builder.judge(queries[stay], documents[stay], grades[stay], lines[stay], scores[stay])
        self._builder.rows += len(stay)
        self.used["judgment"] += len(stay)

    def _find(
        self, kind: str, ids: pa.StringArray, lines: Array, severities: list[str] | None = None
    ) -> Array:
        rows = self._exact(kind, ids)
        for place in np.flatnonzero(rows < 0).tolist():
            id = ids[place].as_py()
            rows[place] = self._as_whole_number(kind, id)
            if rows[place] < 0:
                severity = severities[place] if severities else ""
                self._tell("unknown-id", int(lines[place]), kind, id, severity)
            elif self._report is not None:
                self._report.line = int(lines[place])
                self._report.once("id-as-number", kind, detail=id, hint="")
        return rows

    def _exact(self, kind: str, ids: pa.StringArray) -> Array:
        return self._ids[kind].find(digests.of_strings(ids))

    def _as_whole_number(self, kind: str, id: str) -> int:
        """The row of the one text whose id is the same number ('1', '1.0', '1e0'), else -1."""
        whole = whole_number(id)
        if whole is None:
            return -1
        rows = [self._whole[kind].get(whole)]
        if whole != id:
            exact = int(self._exact(kind, pa.array([whole]))[0])
            rows.append(exact if exact >= 0 else None)
        found = [row for row in rows if row is not None]
        return found[0] if len(found) == 1 else -1

    def _tell(self, code: str, line: int, field: str, detail: str, severity: str = "") -> None:
        if self._report is not None:
            self._report.add(code, line, field, detail=detail, severity=severity)
