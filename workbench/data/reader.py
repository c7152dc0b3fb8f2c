"""Reads a data set version: whole tables for jobs, pages for people. Torch-free.

Tables are linked by row numbers: a judgment's ``query`` and ``document`` are rows of those tables.
Queries are stored by split and edges by query, so a page of a million rows costs what a page of
ten does: the row groups it lies in.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from workbench.data.problems import Problem
from workbench.data.splits import SPLITS, codes_of
from workbench.data.writer import PAIRS, QUERIES, Manifest, RowTable
from workbench.errors import BadInput

#: Rows whose own columns are looked at.
_LOOKED_AT = 2_000
_ROW = pa.field("row", pa.int64())
_NEGATIVES = pa.schema(
    [("query", pa.int64()), ("positive", pa.int64()), ("negatives", pa.list_(pa.int64()))]
)


@dataclass(frozen=True, slots=True)
class PageRow:
    """One query as a person looks at it. Texts are as they were sent, titles before them."""

    query: str
    split: str
    positives: list[str]
    negatives: list[str]
    #: Rows of the positives that are pictures.
    pictures: tuple[int, ...] = ()


class DatasetReader:
    """One version of a data set. Cheap to make; opens files on use and keeps none open."""

    def __init__(self, name: str, manifest: Path, summary: dict[str, Any]) -> None:
        self.name = name
        self.summary = summary
        self.manifest = Manifest.read(manifest)
        self._folder = manifest.parent.parent

    @property
    def version(self) -> int:
        return self.manifest.version

    @property
    def folder(self) -> Path:
        """Where the manifest's paths begin."""
        return self._folder

    @property
    def counts(self) -> dict[str, Any]:
        """documents, queries, judgments, candidates; and ``splits`` -> queries in each."""
        return {"pairs": 0, **self.manifest.rows, "splits": dict(self.manifest.splits)}

    @property
    def lineage(self) -> list[dict[str, Any]]:
        """What each version on the way here did, oldest first; nothing of the import."""
        return self.manifest.lineage

    @property
    def histograms(self) -> dict[str, Any]:
        """'query' and 'document' -> {unit, edges, counts, mean, longest}."""
        return self.manifest.histograms

    @property
    def problem_counts(self) -> dict[str, int]:
        return self.manifest.problem_counts

    def problems(self, offset: int, limit: int, code: str | None = None) -> list[Problem]:
        """A page of the problems found at import."""
        return read_problems(self._folder / self.manifest.problems, offset, limit, code)

    # -- documents ---------------------------------------------------------------------------

    def documents(self, start: int = 0, stop: int | None = None) -> pa.Table:
        """Documents ``start`` to ``stop``: id, title, text, picture, fields."""
        return self._documents.slice(start, self._documents.rows if stop is None else stop)

    def iter_documents(self, batch: int = 10_000) -> Iterator[pa.Table]:
        """All documents in order, in tables of at most ``batch`` rows."""
        for start in range(0, self._documents.rows, batch):
            yield self.documents(start, start + batch)

    def documents_at(self, rows: Sequence[int], columns: list[str] | None = None) -> pa.Table:
        """The documents at these rows, in this order; all columns, or those named: ids of a
        million documents fit where their texts would not."""
        return self._documents.at(rows, columns)

    # -- queries and what belongs to them ----------------------------------------------------

    def queries(self, split: str | None = None) -> pa.Table:
        """id, text, prompt, split, fields, and ``row``: the number other tables call the query
        by."""
        return pa.concat_tables(
            [self._numbered(name, 0, self.manifest.splits[name]) for name in self._chosen(split)]
        )

    def query_codes(self) -> Any:
        """The split of each query row, by its number."""
        return np.repeat(codes_of(SPLITS), [self.manifest.splits[name] for name in SPLITS])

    def iter_queries(self, split: str | None = None) -> Iterator[pa.Table]:
        """id, text, prompt, split and fields of the queries in their order, part by part."""
        for name in self._chosen(split):
            yield from self._queries[name].groups()

    def queries_between(self, split: str, start: int, stop: int) -> pa.Table:
        """id, text, prompt, split and fields of a split's queries ``start`` to ``stop``."""
        return self._queries[self._chosen(split)[0]].slice(start, stop)

    def iter_edges(self, kind: str) -> Iterator[pa.Table]:
        """All 'judgments' or 'candidates', part by part."""
        return self._edges(kind).groups()

    def edges(self, kind: str, first: int, stop: int) -> pa.Table:
        """The 'judgments' or 'candidates' of the queries ``first`` to ``stop``."""
        return self._edges(kind).between(first, stop)

    def judgments(self, split: str | None = None) -> pa.Table:
        """query, document, grade; sorted by query."""
        return self._judgments.between(*self._range(split))

    def candidates(self, split: str | None = None) -> pa.Table:
        """query, document, origin, rank, score; sorted by query."""
        return self._candidates.between(*self._range(split))

    def pairs(self, split: str | None = None) -> pa.Table:
        """Scored pairs: left, right, score, split, fields. Empty where the data set has none."""
        if split is not None:
            self._chosen(split)
        if not self.manifest.pairs:
            return PAIRS.empty_table()
        parts = []
        for table in RowTable(self._folder / self.manifest.pairs, PAIRS).groups():
            parts.append(table if split is None else table.filter(pc.equal(table["split"], split)))
        return pa.concat_tables([PAIRS.empty_table(), *parts])

    def pair_page(self, start: int, stop: int, split: str | None = None) -> pa.Table:
        """Scored pairs ``start`` to ``stop`` of a split or of all, in the order they came."""
        if split is None and self.manifest.pairs:
            return RowTable(self._folder / self.manifest.pairs, PAIRS).slice(start, stop)
        return self.pairs(split).slice(start, max(0, stop - start))

    def own_columns(self) -> list[str]:
        """Those of queries, documents and pairs, as far as their first rows tell."""
        found: dict[str, None] = {}
        pairs = iter([self.pair_page(0, _LOOKED_AT)])
        for tables in (self.iter_queries(), self.iter_documents(_LOOKED_AT), pairs):
            looked = 0
            for table in tables:
                texts = table["fields"].slice(0, _LOOKED_AT - looked).to_pylist()
                looked += table.num_rows
                for text in filter(None, texts):
                    found |= dict.fromkeys(json.loads(text))
                if looked >= _LOOKED_AT:
                    break
        return list(found)

    def training_rows(self, negatives: int, seed: int, split: str = "train") -> pa.Table:
        """One row per query and relevant document: query, positive, and up to ``negatives`` of
        the query's candidates (a list; empty where it has none), all as row numbers.

        Which of more candidates are taken is decided by ``seed``, for each row anew.
        """
        judged = self.judgments(split)
        judged = judged.filter(pc.greater_equal(judged["grade"], 1))
        queries = judged["query"].to_numpy()
        given = _Candidates(self.candidates(split), judged)
        chosen, lengths = given.draw(queries, negatives, np.random.default_rng(seed))
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
        lists = pa.ListArray.from_arrays(pa.array(offsets), pa.array(chosen, pa.int64()))
        columns = [judged["query"], judged["document"], lists]
        return pa.table(columns, schema=_NEGATIVES)

    # -- for people --------------------------------------------------------------------------

    def page(
        self, offset: int, limit: int, split: str | None = None, search: str = ""
    ) -> list[PageRow]:
        """Queries ``offset`` to ``offset + limit``, of a split or of all, with their documents.

        ``search`` keeps those whose query contains it, whatever the case; that reads the queries
        up to the page's end.
        """
        if search:
            queries = self._found(offset, limit, split, search)
        else:
            queries = self._slice(offset, limit, split)
        rows = queries["row"].to_pylist()
        if not rows:
            return []
        positives = self._linked(self._judgments, rows, graded=True)
        negatives = self._linked(self._candidates, rows)
        for row in rows:  # A positive with a teacher's score is a candidate too, but no negative.
            negatives[row] = [one for one in negatives[row] if one not in positives[row]]
        texts, pictures = self._shown([*_all(positives), *_all(negatives)])
        return [
            PageRow(
                text,
                part,
                [texts[d] for d in positives[row]],
                [texts[d] for d in negatives[row]],
                tuple(d for d in positives[row] if d in pictures),
            )
            for row, text, part in zip(
                rows, queries["text"].to_pylist(), queries["split"].to_pylist(), strict=True
            )
        ]

    def _slice(self, offset: int, limit: int, split: str | None) -> pa.Table:
        parts = []
        for name in self._chosen(split):
            count = self.manifest.splits[name]
            start, end = min(offset, count), min(offset + limit, count)
            parts.append(self._numbered(name, start, end))
            offset, limit = offset - start, limit - (end - start)
        return pa.concat_tables(parts)

    def _found(self, offset: int, limit: int, split: str | None, search: str) -> pa.Table:
        parts, missing = [], offset + limit
        for name in self._chosen(split):
            start = self.manifest.start(name)
            for table in self._queries[name].groups():
                table = _with_row(table, start)
                start += table.num_rows
                hits = pc.match_substring(table["text"], search, ignore_case=True)
                parts.append(table.filter(hits).slice(0, missing))
                missing -= parts[-1].num_rows
                if missing <= 0:
                    return pa.concat_tables(parts).slice(offset, limit)
        if not parts:
            return self._slice(0, 0, split)
        return pa.concat_tables(parts).slice(offset, limit)

    def _linked(
        self, table: RowTable, rows: list[int], graded: bool = False
    ) -> dict[int, list[int]]:
        """Query row -> its documents. The rows come in order, with gaps where they were searched
        for; a gap is cheaper to step over by reading each run of rows by itself."""
        found: dict[int, list[int]] = {row: [] for row in rows}
        for first, last in _runs(rows):
            edges = table.between(first, last + 1)
            if graded:
                edges = edges.filter(pc.greater(edges["grade"], 0))
            pairs = zip(edges["query"].to_pylist(), edges["document"].to_pylist(), strict=True)
            for query, document in pairs:
                found[query].append(document)
        return found

    def _shown(self, documents: list[int]) -> tuple[dict[int, str], set[int]]:
        """Row -> title and text, and which rows are pictures."""
        wanted = sorted(set(documents))
        table = self.documents_at(wanted).select(["title", "text", "picture"])
        rows = dict(zip(wanted, table.to_pylist(), strict=True))
        texts = {
            row: f"{one['title']}\n{one['text']}" if one["title"] else one["text"]
            for row, one in rows.items()
        }
        return texts, {row for row, one in rows.items() if one["picture"]}

    # -- files -------------------------------------------------------------------------------

    def _chosen(self, split: str | None) -> tuple[str, ...]:
        if split is None:
            return SPLITS
        if split not in SPLITS:
            raise BadInput(f"There is no split '{split}'.", "The splits are train, dev and test.")
        return (split,)

    def _range(self, split: str | None) -> tuple[int, int]:
        """The rows of a split's queries."""
        if split is None:
            return 0, self.manifest.rows["queries"]
        start = self.manifest.start(self._chosen(split)[0])
        return start, start + self.manifest.splits[split]

    def _numbered(self, split: str, start: int, stop: int) -> pa.Table:
        return _with_row(
            self._queries[split].slice(start, stop), self.manifest.start(split) + start
        )

    def _edges(self, kind: str) -> RowTable:
        return self._judgments if kind == "judgments" else self._candidates

    @cached_property
    def _documents(self) -> RowTable:
        return RowTable(self._folder / self.manifest.documents)

    @cached_property
    def _queries(self) -> dict[str, RowTable]:
        paths = self.manifest.queries.items()
        return {name: RowTable(self._folder / path, QUERIES) for name, path in paths}

    @cached_property
    def _judgments(self) -> RowTable:
        return RowTable(self._folder / self.manifest.judgments)

    @cached_property
    def _candidates(self) -> RowTable:
        return RowTable(self._folder / self.manifest.candidates)


class _Candidates:
    """Candidates by query, without those judged relevant."""

    def __init__(self, candidates: pa.Table, judged: pa.Table) -> None:
        queries, documents = (candidates[name].to_numpy() for name in ("query", "document"))
        keys = (queries.astype(np.int64) << 32) | documents
        relevant = (judged["query"].to_numpy() << 32) | judged["document"].to_numpy()
        free = ~np.isin(keys, relevant)
        self.queries, self.documents = queries[free], documents[free]

    def draw(self, queries: Any, most: int, random: np.random.Generator) -> tuple[Any, Any]:
        """Up to ``most`` documents for each query, one list after the other, and their lengths."""
        starts = np.searchsorted(self.queries, queries, side="left")
        counts = np.searchsorted(self.queries, queries, side="right") - starts
        lengths = np.minimum(counts, most)
        chosen = [
            self.documents[start : start + count]
            if count <= most
            else self.documents[start + np.sort(random.choice(count, most, replace=False))]
            for start, count in zip(starts.tolist(), counts.tolist(), strict=True)
        ]
        return np.concatenate([np.zeros(0, np.int64), *chosen]), lengths


def _with_row(table: pa.Table, start: int) -> pa.Table:
    return table.append_column(_ROW, pa.array(np.arange(start, start + table.num_rows)))


def _runs(rows: list[int]) -> Iterator[tuple[int, int]]:
    """Consecutive rows as (first, last)."""
    first = last = rows[0]
    for row in rows[1:]:
        if row != last + 1:
            yield first, last
            first = row
        last = row
    yield first, last


def _all(linked: dict[int, list[int]]) -> list[int]:
    return [document for documents in linked.values() for document in documents]


# What to say where a data set lacks the queries that something needs.


def no_pairs(reader: DatasetReader, split: str) -> BadInput:
    """A data set has no scored pairs in a split."""
    there = "" if not reader.counts["pairs"] else f" in {split}"
    return BadInput(
        f"The data set '{reader.name}' has no scored pairs{there}.",
        "Import rows of two texts and a score, or choose an objective that learns from queries "
        "and their documents.",
    )


def no_queries(reader: DatasetReader, split: str) -> BadInput:
    """A data set has no queries in a split: what it has instead, and what to do."""
    counts = reader.counts
    what = (
        f"The data set '{reader.name}' has no {'training' if split == 'train' else split} queries"
    )
    if counts["queries"]:
        have = ", ".join(name for name, count in counts["splits"].items() if count)
        return BadInput(
            f"{what}.",
            f"Splits with queries: {have}. Import data that has {split} queries with relevant "
            "documents, or hold out some of these.",
        )
    if counts["pairs"]:
        return BadInput(
            f"{what}: it holds {counts['pairs']:,} scored pairs.",
            "Scored pairs have an objective and a measure of their own; for retrieval, import "
            "queries with their relevant documents.",
        )
    return BadInput(
        f"{what}: it holds documents only.",
        "It can be indexed and searched. To train or to evaluate, import queries with their "
        "relevant documents, or have queries written from the documents.",
    )


def choosing_split(reader: DatasetReader, wanted: str, *, or_test: bool = False) -> str:
    """The split whose queries something is chosen by: for 'auto' dev, else train.

    Never test, for what was chosen by it cannot be judged by it any more; ``or_test`` takes it
    where nothing else is there. Raises :class:`BadInput` where the split has no queries.
    """
    splits = reader.counts["splits"]
    known = ("dev", "train", "test") if or_test else ("dev", "train")
    asked = known if wanted == "auto" else (wanted,)
    for name in asked:
        if splits.get(name):
            return name
    if wanted != "auto":
        raise no_queries(reader, wanted)
    raise BadInput(
        f"The data set '{reader.name}' has neither dev nor train queries to choose by.",
        "Choose another data set, or hold out some of its queries as dev.",
    )


def chosen_by(split: str, name: str) -> list[str]:
    """What has to be known of a choice that was not made by dev queries."""
    if split == "train":
        return [
            f"'{name}' was measured by training queries, which a model trained on them has seen: "
            "they favour it."
        ]
    if split == "test":
        return [
            f"'{name}' was measured on test queries: what is chosen on them can no longer be "
            "evaluated on them."
        ]
    return []


def read_problems(path: Path, offset: int, limit: int, code: str | None = None) -> list[Problem]:
    """A page of the list, in the order the problems were found."""
    with pq.ParquetFile(path) as file:
        found: list[Problem] = []
        for group in range(file.num_row_groups):
            rows = file.metadata.row_group(group).num_rows
            if code is None and offset >= rows:
                offset -= rows
                continue
            table = file.read_row_group(group)
            picked = [row for row in table.to_pylist() if code in (None, row["code"])]
            found += [Problem(**row) for row in picked[offset : offset + limit - len(found)]]
            offset = max(0, offset - len(picked))
            if len(found) >= limit:
                break
        return found
