"""What is in a data set that a shape may not be able to hold, counted and said in sentences."""

import hashlib
import re
from collections import Counter
from collections.abc import Iterable

import numpy as np
import pyarrow.compute as pc

from workbench.data.export_rows import joined
from workbench.data.reader import DatasetReader
from workbench.data.splits import SPLITS
from workbench.jobs.reporting import JobContext

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
    start = 0
    for table in reader.iter_documents():
        context.check_cancelled()
        mine = named[start : start + table.num_rows]
        start += table.num_rows
        titles = table["title"].to_pylist()
        counts["titles"] += sum(map(bool, titles))
        texts = zip(titles, table["text"].to_pylist(), strict=True)
        documents.add(joined(title, text) for title, text in texts)
        counts["document_ids"] += _own_ids(table["id"].to_pylist())
        counts["fields"] += len(mine) - table["fields"].null_count
        counts["pictures"] += len(mine) - table["picture"].null_count
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
