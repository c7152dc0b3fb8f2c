"""A data set's queries as an export writes them, and what a shape may not be able to hold."""

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from workbench.data.edges import cuts
from workbench.data.reader import DatasetReader
from workbench.data.splits import SPLITS
from workbench.jobs.reporting import JobContext

# Queries with all that belongs to them, as an export writes them: a batch at a time.

Array = np.ndarray[Any, Any]
#: Edges whose texts are held at a time.
BATCH = 50_000


@dataclass(frozen=True, slots=True)
class Linked:
    """A document of a query. ``score`` is a teacher's, None where there is none."""

    text: str
    id: str
    grade: int
    score: float | None = None
    judged: bool = True


@dataclass(slots=True)
class QueryRow:
    """``positives`` are judged relevant; ``others`` are the candidates that are not, and what was
    judged 0."""

    id: str
    text: str
    prompt: str | None
    #: Its own columns.
    fields: dict[str, Any] = field(default_factory=dict)
    positives: list[Linked] = field(default_factory=list)
    others: list[Linked] = field(default_factory=list)

    @property
    def complete(self) -> bool:
        """Whether every document has a teacher's score."""
        linked = [*self.positives, *self.others]
        return bool(linked) and all(one.score is not None for one in linked)


def query_rows(reader: DatasetReader, split: str, context: JobContext) -> Iterator[QueryRow]:
    """The split's queries in their order. Memory holds one batch of them."""
    count = reader.manifest.splits[split]
    start = reader.manifest.start(split)
    done = sum(reader.manifest.splits[name] for name in SPLITS[: SPLITS.index(split)])
    total = sum(reader.manifest.splits.values())
    for first, stop in cuts(_edge_counts(reader, start, count), BATCH):
        context.progress(done + first, total, "queries", f"writing {split}")
        context.check_cancelled()
        yield from _batch(reader, split, start + first, start + stop)


def joined(title: str | None, text: str) -> str:
    """Title and text as one, as models are given them."""
    return f"{title}\n{text}" if title and text else title or text


def _edge_counts(reader: DatasetReader, start: int, count: int) -> Array:
    counts = np.ones(count, np.int64)
    for kind in ("judgments", "candidates"):
        for edges in reader.iter_edges(kind):
            rows = edges["query"].to_numpy() - start
            counts += np.bincount(rows[(rows >= 0) & (rows < count)], minlength=count)
    return counts


def _batch(reader: DatasetReader, split: str, first: int, stop: int) -> list[QueryRow]:
    judgments = reader.edges("judgments", first, stop)
    candidates = reader.edges("candidates", first, stop)
    texts = _texts(reader, [judgments, candidates])
    begin = reader.manifest.start(split)
    queries = reader.queries_between(split, first - begin, stop - begin).to_pylist()
    rows = [
        QueryRow(one["id"], one["text"], one["prompt"], json.loads(one["fields"] or "{}"))
        for one in queries
    ]
    scores = {
        (one["query"], one["document"]): one["score"]
        for one in candidates.select(["query", "document", "score"]).to_pylist()
    }
    judged = set()
    for one in judgments.to_pylist():
        key = one["query"], one["document"]
        judged.add(key)
        row = rows[key[0] - first]
        id, text = texts[key[1]]
        linked = Linked(text, id, one["grade"], scores.get(key))
        (row.positives if one["grade"] > 0 else row.others).append(linked)
    for key, score in scores.items():
        if key not in judged:
            id, text = texts[key[1]]
            rows[key[0] - first].others.append(Linked(text, id, 0, score, False))
    return rows


def _texts(reader: DatasetReader, edges: list[pa.Table]) -> dict[int, tuple[str, str]]:
    """Document -> id and text."""
    wanted = np.unique(np.concatenate([table["document"].to_numpy() for table in edges])).tolist()
    table = reader.documents_at(wanted).select(["id", "title", "text"])
    columns = (table[name].to_pylist() for name in ("id", "title", "text"))
    return {
        row: (id, joined(title, text))
        for row, id, title, text in zip(wanted, *columns, strict=True)
    }


#: Equal texts under several ids: held by shapes that call things by their ids.
REPEATED = ("repeated_queries", "repeated_documents")
_GENERATED = re.compile(r"(document|query):\d+(~\d+)?")

#: What may be there -> how a person is told that a shape has no place for it, and for how many.
SAID = {
    "titles": "titles of their own: each is the first line of its text ({})",
    "document_ids": "the documents' own ids ({})",
    "query_ids": "the queries' own ids ({})",
    "repeated_queries": "queries that have another one's text: they become one ({})",
    "repeated_documents": "documents that have another one's text: they become one ({})",
    "unlinked": "documents that belong to none of these queries ({})",
    "grades": "grades above 1: such documents are relevant, and no more ({})",
    "zeros": "judgments of grade 0 ({})",
    "zeros_offered": "judgments of grade 0: they are written as negatives ({})",
    "candidates": "candidates (negatives) ({})",
    "origins": "where candidates were mined ({})",
    "scores": "a teacher's scores ({})",
    "partial_scores": "a teacher's scores of queries for which others are missing ({})",
    "prompts": "prompts of queries ({})",
    "fields": "the documents' own columns ({})",
    "query_fields": "the queries' own columns ({})",
    "pair_fields": "own columns of scored pairs ({})",
    "pictures": "pictures ({})",
    "unseen": "documents without a picture ({})",
    "pairs": "scored pairs: write them as 'scored' ({})",
    "own_pairs": "scored pairs of its own: write them with --scores-from own ({})",
    "unjudged": "candidates that nobody judged: they are written with the score 0 ({})",
    "unscored": "documents of queries without a teacher's score ({})",
    "queries": "queries with their judgments: they are no scored pairs ({})",
    "irrelevant": "queries without a relevant document, and what is judged or given of them ({})",
    "bare": "queries without a negative: a triplet needs one ({})",
}


def held(reader: DatasetReader, splits: Iterable[str], context: JobContext) -> Counter[str]:
    """How many of each there are in these splits, and in the documents."""
    chosen = [split for split in SPLITS if split in set(splits)]
    counts: Counter[str] = Counter()
    named = np.zeros(reader.counts["documents"], bool)
    queries, documents = Repeats(), Repeats()
    for split in chosen:
        context.check_cancelled()
        _edges(reader, split, named, counts)
        for table in reader.iter_queries(split):
            counts["queries"] += table.num_rows
            counts["prompts"] += table.num_rows - table["prompt"].null_count
            counts["query_fields"] += table.num_rows - table["fields"].null_count
            counts["query_ids"] += _own_ids(table["id"].to_pylist())
            queries.add(table["text"].to_pylist())
        if reader.counts["pairs"]:
            pairs = reader.pairs(split)
            counts["pairs"] += pairs.num_rows
            counts["pair_fields"] += pairs.num_rows - pairs["fields"].null_count
    counts["unlinked"] = int((~named).sum())
    for table in reader.iter_documents():
        context.check_cancelled()
        titles = table["title"].to_pylist()
        counts["titles"] += sum(map(bool, titles))
        texts = zip(titles, table["text"].to_pylist(), strict=True)
        documents.add(joined(title, text) for title, text in texts)
        counts["document_ids"] += _own_ids(table["id"].to_pylist())
        counts["fields"] += table.num_rows - table["fields"].null_count
        counts["pictures"] += table.num_rows - table["picture"].null_count
    counts["repeated_queries"], counts["repeated_documents"] = queries.count, documents.count
    return counts


class Repeats:
    """How many texts were there before; 16 bytes and a little more for each that was not."""

    def __init__(self) -> None:
        self._seen: set[bytes] = set()
        self.count = 0

    def add(self, texts: Iterable[str]) -> None:
        for text in texts:
            digest = hashlib.blake2b(text.encode(), digest_size=16).digest()
            self.count += digest in self._seen
            self._seen.add(digest)


def told(counts: Counter[str], holds: Iterable[str]) -> list[str]:
    """What a shape that holds these has no place for, each with how many there are."""
    known = set(holds)
    return [
        said.format(f"{counts[what]:,}")
        for what, said in SAID.items()
        if counts[what] and what not in known
    ]


def _edges(
    reader: DatasetReader,
    split: str,
    named: np.ndarray[tuple[int], np.dtype[np.bool_]],
    counts: Counter[str],
) -> None:
    judged, offered = reader.judgments(split), reader.candidates(split)
    grades = judged["grade"].to_numpy()
    counts["grades"] += int((grades > 1).sum())
    counts["zeros"] += int((grades <= 0).sum())
    counts["zeros_offered"] = counts["zeros"]
    asked = len(np.unique(judged["query"].to_numpy()[grades > 0]))
    counts["irrelevant"] += reader.counts["splits"][split] - asked
    counts["candidates"] += offered.num_rows
    counts["origins"] += int(pc.sum(pc.not_equal(offered["origin"], "given")).as_py() or 0)
    counts["scores"] += offered.num_rows - offered["score"].null_count
    for table in (judged, offered):
        named[table["document"].to_numpy()] = True


def _own_ids(ids: list[str]) -> int:
    return sum(_GENERATED.fullmatch(id) is None for id in ids)
