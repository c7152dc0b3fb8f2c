"""What a look measures on: judged queries, and the documents that are hardest for them. Torch-free.

Queries are those of train and dev, never test. A collection that is small is searched whole. Of a
larger one the documents are the relevant ones, and then BM25's first, second, third ... of every
query until there is no room for more: documents by chance are easy, and a model that is measured on
them looks better than it is.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from workbench.auto.readable import SPLITS
from workbench.comparison.names import DEPTH
from workbench.data.clusters import relevant_clusters
from workbench.data.reader import DatasetReader
from workbench.errors import BadInput
from workbench.evaluation.bm25 import retrieve_bm25
from workbench.evaluation.exact_search import Run
from workbench.evaluation.measure import Progress, Stop
from workbench.evaluation.metrics import Judgments
from workbench.evaluation.own_document import AUTO, query_itself
from workbench.evaluation.pool import (
    Pool,
    over_corpus,
    over_documents,
    read_judgments,
)
from workbench.mining.mine import excluded_documents, positives_of
from workbench.mining.rules import TextKeys, below_positives, screen

Rows = NDArray[np.int64]
Floats = NDArray[np.float32]

#: The most queries that a base is measured by, and documents that it encodes.
QUERIES, DOCUMENTS = 1_500, 3_000
#: A collection of at most so many documents is searched whole, where there are tokens for it.
WHOLE = 6_000
#: Tokens that a pass may encode: so many for each query, at least, and at most. Two epochs of
#: training with passages of 256 tokens cost about 1,500 for each query.
TOKENS_PER_QUERY, LEAST_TOKENS, MOST_TOKENS = 400, 150_000, 1_000_000
#: Of the documents that have room, those that may be relevant ones.
RELEVANT = 2 / 3
#: A collection that is larger is a sample of so many documents to BM25.
INDEXED = 200_000
#: Of BM25's first documents for a query so many are looked at, and so many stay, as documents that
#: its model is judged among.
FIRST, WORDS = 50, 10
#: Negatives that a query gets by the base's ranking: several, so that each pass has others.
MINED = 10


@dataclass(frozen=True)
class Asked:
    """Queries with something relevant: a table with row, id and text, and what is relevant."""

    reader: DatasetReader
    table: Any
    judgments: Judgments

    @property
    def rows(self) -> Rows:
        """(n,), ascending."""
        found: Rows = self.table["row"].to_numpy().astype(np.int64)
        return found

    def some(self, places: Sequence[int] | Rows) -> "Asked":
        """Those at these places."""
        return replace(self, table=self.table.take(pa.array(np.asarray(places, np.int64))))

    def relevant(self) -> list[list[int]]:
        """For each query (n) its relevant documents."""
        grades = (self.judgments[row] for row in self.rows.tolist())
        return [[one for one, grade in some.items() if grade >= 1] for some in grades]


def judged(reader: DatasetReader, splits: Sequence[str] = SPLITS) -> Asked:
    """The queries of train and dev, or of other splits, with a relevant document; raises
    :class:`BadInput` without."""
    judgments: dict[int, dict[int, int]] = {}
    for split in splits:
        judgments.update(read_judgments(reader, split))
    table = pa.concat_tables([reader.queries(split) for split in splits])
    known = [
        any(grade >= 1 for grade in judgments.get(row, {}).values())
        for row in table["row"].to_pylist()
    ]
    table = table.filter(pa.array(known, pa.bool_())).sort_by("row")
    if not table.num_rows:
        raise BadInput(
            f"The data set '{reader.name}' has no {' or '.join(splits)} queries with a relevant "
            "document.",
            "Import data that has some.",
        )
    return Asked(reader, table, judgments)


def sampled(asked: Asked, queries: int, documents: int, seed: int) -> Rows:
    """Places of at most so many queries, ascending, chosen by chance, that have at most so many
    relevant documents together (one query at least)."""
    relevant, known, chosen = asked.relevant(), set[int](), list[int]()
    for place in np.random.default_rng(seed).permutation(len(relevant)).tolist():
        new = known.union(relevant[place])
        if chosen and len(new) > documents:
            continue
        known = new
        chosen.append(place)
        if len(chosen) == queries:
            break
    return np.array(sorted(chosen), np.int64)


def room(queries: int, tokens: float) -> int:
    """How many documents of so many tokens may be encoded in a pass."""
    budget = min(MOST_TOKENS, max(LEAST_TOKENS, TOKENS_PER_QUERY * queries))
    return max(1, int(budget / max(1.0, tokens)))


@dataclass(frozen=True)
class Ground:
    """Where a base is measured: the pool of the chosen queries, and BM25's ranking of every judged
    query (n, DEPTH) over the collection, or a sample of it."""

    asked: Asked
    #: Places of the pool's queries among the asked ones.
    places: Rows
    pool: Pool
    #: Rows of the pool's documents, ascending.
    documents: Rows
    #: Whether these are all that there are.
    whole: bool
    everywhere: Pool
    bm25: Run

    @property
    def clusters(self) -> Rows:
        """(n,) of the pool's queries; what joins them may be a query that is not asked."""
        found = relevant_clusters(self.asked.rows, self.asked.judgments)[self.places]
        return np.asarray(np.unique(found, return_inverse=True)[1], np.int64)


def ground(
    reader: DatasetReader,
    tokens: float,
    *,
    seed: int,
    exclude: str = AUTO,
    progress: Progress | None = None,
    stop: Stop | None = None,
) -> Ground:
    """``tokens``: what a document has on average, as the model cuts it. ``progress`` gets BM25's
    texts, done and in all."""
    asked, corpus = judged(reader), int(reader.counts["documents"])
    most = room(asked.table.num_rows, tokens)
    whole = corpus <= min(WHOLE, most)
    most = corpus if whole else min(DOCUMENTS, most)
    places = sampled(asked, QUERIES, corpus if whole else int(RELEVANT * most), seed)
    all_of_it = everywhere(asked, seed, exclude)
    bm25 = retrieve_bm25(all_of_it, k=DEPTH, progress=progress, stop=stop)
    some = asked.some(places)
    documents = np.arange(corpus) if whole else hardest(some, bm25.documents[places], most)
    pool = over_documents(reader, some.table, some.judgments, documents, exclude)
    return Ground(asked, places, pool, documents, whole, all_of_it, bm25)


def pool_of(reader: DatasetReader, queries: Rows, documents: Rows, exclude: str = AUTO) -> Pool:
    """A look's pool, or part of it: these queries against these documents (rows)."""
    asked = judged(reader)
    some = asked.some(np.flatnonzero(np.isin(asked.rows, queries)))
    return over_documents(reader, some.table, some.judgments, np.sort(documents), exclude)


def hardest(asked: Asked, ranked: Rows, most: int) -> Rows:
    """At most so many documents, ascending: the relevant ones (all of them), what else was judged,
    then what is ranked first, second, third ... by each query (n, depth)."""
    chosen = np.unique([one for some in asked.relevant() for one in some]).astype(np.int64)
    others = [one for row in asked.rows.tolist() for one in asked.judgments[row]]
    for more in (np.array(others, np.int64), *ranked.T):
        _, first = np.unique(more, return_index=True)
        fresh = more[np.sort(first)]
        fresh = fresh[(fresh >= 0) & ~np.isin(fresh, chosen)]
        chosen = np.union1d(chosen, fresh[: max(0, most - len(chosen))])
    return chosen


def mined_negatives(ground: Ground, ranked: Run) -> dict[int, Rows]:
    """Query row -> at most :data:`MINED` documents that the base puts near it and that probably do
    not answer it, the hardest first. ``ranked``: the base's ranking for the pool's queries.

    They are not relevant to the query nor to one of the same words, do not say what a relevant one
    says, and their score is below that of every relevant document by the margin of
    :func:`below_positives`. A query whose relevant documents are not all ranked has none: what is
    ranked is above them. Nor has one that the base was not asked, as BM25's documents have no score
    that could be held against the relevant one's.
    """
    shape = len(ground.bm25.documents), ranked.documents.shape[1]
    found = Run(np.full(shape, -1, np.int64), np.zeros(shape, np.float32))
    found.documents[ground.places] = ranked.documents
    found.scores[ground.places] = ranked.scores
    floors = _lowest_of_relevant(ground, ranked)
    near = {
        query: (documents.tolist(), scores.tolist())
        for query, documents, scores in _not_right(ground, found, shape[1])
        if query in floors
    }
    kept = below_positives(near, floors, most=MINED)
    return {query: np.array(kept.get(query, []), np.int64) for query in floors}


def _lowest_of_relevant(ground: Ground, ranked: Run) -> dict[int, float]:
    """Query row -> the lowest score of its relevant documents, where all of them are ranked."""
    some = ground.asked.some(ground.places)
    lines = zip(some.rows.tolist(), some.relevant(), ranked.documents, ranked.scores, strict=True)
    found = dict[int, float]()
    for query, relevant, documents, scores in lines:
        right = np.isin(documents, relevant)
        if right.sum() == len(relevant):
            found[query] = float(scores[right].min())
    return found


def bm25_negatives(ground: Ground) -> dict[int, Rows]:
    """Query row -> at most :data:`WORDS` of BM25's first documents that are not relevant to it."""
    first = ground.bm25.documents[:, :FIRST]
    run = Run(first, np.zeros(first.shape, np.float32))
    return {query: documents for query, documents, _ in _not_right(ground, run, WORDS)}


def _not_right(ground: Ground, ranked: Run, most: int) -> Iterator[tuple[int, Rows, Floats]]:
    """Of each judged query at most so many of its documents in ``ranked`` (judged queries, depth;
    -1 for none), and their scores, that are not relevant, nor say what a relevant one says, nor are
    the query itself."""
    pool = ground.everywhere
    positives = positives_of(pool)
    known = query_itself(ground.asked.reader, ground.asked.table)
    itself = [np.array(known.get(query, []), np.int64) for query in pool.queries.tolist()]
    shut = excluded_documents(pool, positives)
    rows = np.concatenate([ranked.documents[ranked.documents >= 0], *shut, *itself])
    left, _ = screen(ranked, shut, itself, TextKeys(ground.asked.reader, rows), most)
    for query, documents, scores in zip(
        pool.queries.tolist(), left.documents, left.scores, strict=True
    ):
        yield query, documents[documents >= 0], scores[documents >= 0]


def everywhere(asked: Asked, seed: int, exclude: str = AUTO, most: int = INDEXED) -> Pool:
    """All judged queries against all documents, or the relevant ones and a sample of ``most``."""
    reader, corpus = asked.reader, int(asked.reader.counts["documents"])
    if corpus <= most:
        return over_corpus(reader, asked.table, asked.judgments, exclude)
    relevant = np.unique([one for some in asked.relevant() for one in some]).astype(np.int64)
    drawn = np.random.default_rng(seed).choice(corpus, most, replace=False)
    chosen = np.union1d(relevant, drawn)
    return over_documents(reader, asked.table, asked.judgments, chosen, exclude)
