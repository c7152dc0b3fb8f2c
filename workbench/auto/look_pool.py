"""What a look measures on: judged queries, and the documents that are hardest for them. Torch-free.

Queries are those of train and dev, never test. A collection that is small is searched whole. Of a
larger one the documents are the relevant ones, and then BM25's first, second, third ... of every
query until there is no room for more: documents by chance are easy, and a model that is measured on
them looks better than it is.
"""

from collections.abc import Sequence
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
from workbench.mining.rules import TextKeys, screen

Rows = NDArray[np.int64]

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
#: From each ranking, as hard negatives of a query.
HARD = 50
#: From BM25's, as documents that a query's model is judged among.
WORDS = 10


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


def hard_negatives(ground: Ground, ranked: Run) -> dict[int, Rows]:
    """Query row -> documents that are near it and not relevant to it, the hardest first: those of
    ``ranked`` (the pool's queries) and BM25's in turn. Neither the query itself, nor what has the
    words of a relevant document, is among them; of queries that the base was not asked, BM25's."""
    own, words = ranked.documents[:, :HARD], ground.bm25.documents[:, :HARD]
    both = np.full((len(ground.bm25.documents), 2 * HARD), -1, np.int64)
    both[ground.places, 0 : 2 * own.shape[1] : 2] = own
    both[:, 1 : 2 * words.shape[1] : 2] = words
    return _not_right(ground, both, 2 * HARD)


def bm25_negatives(ground: Ground) -> dict[int, Rows]:
    """The same of BM25's ranking alone, at most :data:`WORDS` of each query."""
    return _not_right(ground, ground.bm25.documents[:, :HARD], WORDS)


def _not_right(ground: Ground, ranked: Rows, most: int) -> dict[int, Rows]:
    """Query row -> at most so many of its documents in ``ranked`` (judged queries, depth; -1 for
    none) that are not relevant, nor say what a relevant one says, nor are the query itself."""
    pool = ground.everywhere
    positives = positives_of(pool)
    known = query_itself(ground.asked.reader, ground.asked.table)
    itself = [np.array(known.get(query, []), np.int64) for query in pool.queries.tolist()]
    shut = excluded_documents(pool, positives)
    keys = TextKeys(ground.asked.reader, np.concatenate([ranked[ranked >= 0], *shut, *itself]))
    run = Run(ranked, np.zeros(ranked.shape, np.float32))
    left, _ = screen(run, shut, itself, keys, most)
    lines = zip(pool.queries.tolist(), left.documents, strict=True)
    return {query: line[line >= 0] for query, line in lines}


def everywhere(asked: Asked, seed: int, exclude: str = AUTO, most: int = INDEXED) -> Pool:
    """All judged queries against all documents, or the relevant ones and a sample of ``most``."""
    reader, corpus = asked.reader, int(asked.reader.counts["documents"])
    if corpus <= most:
        return over_corpus(reader, asked.table, asked.judgments, exclude)
    relevant = np.unique([one for some in asked.relevant() for one in some]).astype(np.int64)
    drawn = np.random.default_rng(seed).choice(corpus, most, replace=False)
    chosen = np.union1d(relevant, drawn)
    return over_documents(reader, asked.table, asked.judgments, chosen, exclude)
