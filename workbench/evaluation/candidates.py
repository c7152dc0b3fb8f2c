"""Candidates frozen before anything is trained or compared: what a first stage finds per query.

Rerankers and late interaction put them in order; the first stage's own order is their baseline.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow.compute as pc
from numpy.typing import NDArray

from workbench.data.reader import DatasetReader
from workbench.errors import BadInput, WorkbenchError
from workbench.evaluation.bm25 import Bm25, retrieve_bm25
from workbench.evaluation.cached import counted, score_some
from workbench.evaluation.exact_search import Run, cut
from workbench.evaluation.measure import Encoder, Measured, Progress, Stop, retrieve, score
from workbench.evaluation.metrics import Judgments
from workbench.evaluation.named import AUTO, BM25, GIVEN
from workbench.evaluation.own_document import NO, query_itself
from workbench.evaluation.pool import Pool, Rows, whole_pool
from workbench.evaluation.texts import join_documents
from workbench.models.contract import Contract, Scorer
from workbench.recipes.mine import MINED

# The candidates a data set brings itself, by query, in the order it brings them.


def given_for_most(reader: DatasetReader, split: str) -> bool:
    """Whether most of the split's queries bring candidates of their own."""
    queries = reader.counts["splits"].get(split, 0)
    having = pc.count_distinct(brought(reader, split)["query"]).as_py()
    return bool(2 * having > queries)


def brought(reader: DatasetReader, split: str) -> Any:
    """The split's candidates (query, document, origin, rank, score) without those that were mined
    here: what a model of this workspace found is nothing to measure the others by."""
    table = reader.candidates(split)
    mined = pc.fill_null(pc.starts_with(table["origin"], MINED), False)
    return table.filter(pc.invert(mined))


def none_given(reader: DatasetReader, split: str) -> BadInput:
    return BadInput(
        f"The {split} queries of '{reader.name}' have no candidates in the data.",
        "Choose 'bm25' or an embedding model as the first stage.",
    )


def own_candidates(table: Any) -> dict[int, list[int]]:
    """Query row -> the table's candidates, best first; some may be judged relevant."""
    if "rank" in table.column_names:
        table = table.sort_by([("query", "ascending"), ("rank", "ascending")])
    found: dict[int, list[int]] = {}
    columns = (table[name].to_pylist() for name in ("query", "document"))
    for query, document in zip(*columns, strict=True):
        found.setdefault(query, []).append(document)
    return found


def own_run(pool: Pool, own: dict[int, list[int]], k: int | None) -> tuple[Rows, Run]:
    """The pool's queries that bring a wrong candidate (places in the pool), and each one's
    candidates, its own document aside: all of them, or up to ``k``, those judged first, then the
    others by rank.

    The order they are put in is fixed and tells nothing: it is that of a hash of query and
    document. In the data's order the relevant ones would come first, or last.
    """
    shut = np.full(len(pool.queries), -1) if pool.own is None else pool.own
    asked = zip(pool.queries.tolist(), shut.tolist(), strict=True)
    chosen = [_chosen(query, itself, own, pool.judgments, k) for query, itself in asked]
    kept = np.array([at for at, one in enumerate(chosen) if one], dtype=np.int64)
    width = max((len(chosen[at]) for at in kept), default=0)
    documents = np.full((len(kept), width), -1, dtype=np.int64)
    scores = np.full((len(kept), width), -np.inf, dtype=np.float32)
    for row, at in enumerate(kept.tolist()):
        ordered = _shuffled(int(pool.queries[at]), chosen[at])
        documents[row, : len(ordered)] = ordered
        scores[row, : len(ordered)] = -np.arange(len(ordered))
    return kept, Run(documents, scores)


def _chosen(
    query: int, itself: int, own: dict[int, list[int]], judgments: Judgments, k: int | None
) -> list[int]:
    """Empty where nothing is there that is not relevant: any order would be a perfect one."""
    grades = judgments.get(query, {})
    everything = list(dict.fromkeys([*grades, *own.get(query, [])]))
    everything = [one for one in everything if one != itself]
    if all(grades.get(one, 0) >= 1 for one in everything):
        return []
    return everything if k is None else everything[: max(k, len(grades) + 1)]


def _shuffled(query: int, documents: list[int]) -> Rows:
    rows = np.array(documents, dtype=np.int64)
    return rows[np.argsort(_mixed(rows, query), kind="stable")]


def _mixed(rows: Rows, query: int) -> NDArray[np.uint64]:
    """Whole numbers without a pattern, the same wherever it runs (splitmix64's mixer)."""
    seed = (query * 0xD1342543DE82EF95) % 2**64
    mixed = rows.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(seed)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))


#: Documents whose texts are in memory at once while candidates are put in order: of a page each
#: they take 60 MB.
BLOCK = 20_000


@dataclass(frozen=True)
class CandidateSet:
    """What is put in order: a pool's queries and, for each, what the first stage found."""

    pool: Pool
    #: The first stage's order: document rows (n, k), -1 where fewer; its scores.
    run: Run
    #: Document rows -> their table (title, text). Not all texts are held at once: those of ten
    #: thousand queries' candidates would take gigabytes.
    read: Callable[[Rows], Any]
    #: 'given', 'bm25', or the embedding model's name.
    origin: str
    #: Queries without a wrong candidate of their own ('given' only): nothing could be put in order.
    left_out: int = 0

    @cached_property
    def rows(self) -> Rows:
        """The distinct document rows, ascending."""
        return np.unique(self.run.documents[self.run.documents >= 0])


def freeze(
    reader: DatasetReader,
    split: str,
    pool: Pool,
    *,
    first_stage: str = AUTO,
    k: int = 50,
    encoder: Encoder | None = None,
    whole: bool = False,
    progress: Progress | None = None,
    stop: Stop | None = None,
) -> CandidateSet:
    """The queries of the split's pool with up to ``k`` candidates each.

    ``first_stage``: 'auto' takes the data's own candidates where most of the split's queries have
    some, else BM25 over all documents; 'given' and 'bm25' are these two; any other name is the
    embedding model in ``encoder``. What a first stage other than 'given' missed stays missed.
    ``whole`` takes all of the data's own, however many: cut, they would lose wrong ones only, and
    the numbers would be better than those that others report of the same lists.
    ``progress`` gets (texts done, texts in all). Raises :class:`BadInput` when no query has
    candidates of its own.
    """
    if first_stage == GIVEN or (first_stage == AUTO and given_for_most(reader, split)):
        return _given(reader, split, pool, None if whole else k)
    name, encoder = _finder(first_stage, encoder)
    run = find(pool, encoder, k=k, progress=progress, stop=stop)
    return CandidateSet(pool, run, reading(reader), name)


def find(
    pool: Pool,
    encoder: Encoder | None,
    *,
    k: int,
    progress: Progress | None = None,
    stop: Stop | None = None,
) -> Run:
    """The first ``k`` documents of each query: the model's, or BM25's without one."""
    if encoder is None:
        return retrieve_bm25(pool, k=k, progress=progress, stop=stop)
    return retrieve(encoder, pool, k=k, progress=progress, stop=stop)


def _finder(first_stage: str, encoder: Encoder | None) -> tuple[str, Encoder | None]:
    """What finds candidates, by name, and its model: 'auto' is BM25, which has none."""
    if first_stage in (AUTO, BM25):
        return BM25, None
    if encoder is None:
        raise BadInput(
            f"The first stage '{first_stage}' is not loaded.",
            "Choose 'auto', 'given', 'bm25', or an embedding model.",
        )
    return first_stage, encoder


def reading(reader: DatasetReader) -> Callable[[Rows], Any]:
    """Document rows -> their table (title, text)."""
    return lambda rows: reader.documents_at(rows.tolist(), ["title", "text"])


def rerank(
    scorer: Scorer,
    frozen: CandidateSet,
    *,
    progress: Progress | None = None,
    stop: Stop | None = None,
) -> Measured:
    """The candidates in the scorer's order; equal scores by document id, as everywhere.

    ``progress`` gets pairs done and in all. Raises as :func:`score_rows`.
    """
    places, _ = found = np.nonzero(frozen.run.documents >= 0)
    documents = frozen.run.documents[found]
    scores = score_rows(
        scorer, frozen.pool.texts, frozen.read, places, documents, progress=progress, stop=stop
    )
    ordered = np.full(frozen.run.documents.shape, -np.inf, dtype=np.float32)
    ordered[frozen.run.documents >= 0] = scores
    k = frozen.run.documents.shape[1]
    reordered = cut(Run(frozen.run.documents, ordered), k, frozen.pool.order)
    return score(frozen.pool, reordered)


def score_rows(
    scorer: Scorer,
    texts: Sequence[str],
    read: Callable[[Rows], Any],
    places: Rows,
    documents: Rows,
    *,
    progress: Progress | None = None,
    stop: Stop | None = None,
) -> NDArray[np.float32]:
    """Scores (m,) of queries (places in ``texts``) with documents (rows, which ``read`` gives a
    table of). Texts are read and scored by blocks of documents, so that each document comes once.
    ``progress`` gets pairs done and in all. Raises :class:`WorkbenchError` when scores are not
    numbers, and what ``stop`` raises."""
    rows, column = np.unique(documents, return_inverse=True)
    by_document = np.argsort(column, kind="stable")
    scores = np.zeros(len(documents), np.float32)
    size = BLOCK if not getattr(scorer, "whole", False) else max(1, len(rows))
    done = 0
    for start in range(0, len(rows), size):
        shown = join_documents(read(rows[start : start + size]), scorer.contract).to_pylist()
        ends = np.searchsorted(column[by_document], [start, start + size])
        mine = np.sort(by_document[ends[0] : ends[1]])
        pairs = np.stack([places[mine], column[mine] - start], axis=1).astype(np.int64)
        says = counted(progress, done, len(mine), len(documents))
        scores[mine] = score_some(scorer, texts, shown, pairs, progress=says, stop=stop)
        done += len(mine)
    if not np.isfinite(scores).all():
        raise WorkbenchError(
            "The model's scores are not numbers, so it cannot rank anything.",
            "Try fp32 precision; if that does not help, the model's weights are broken.",
        )
    return scores


def mine(
    reader: DatasetReader,
    split: str,
    *,
    k: int,
    seed: int,
    first_stage: str = AUTO,
    encoder: Encoder | None = None,
    progress: Progress | None = None,
    stop: Stop | None = None,
) -> tuple[dict[int, list[int]], str]:
    """Documents to train against: query row -> up to ``k`` rows not judged relevant, best first;
    never the query itself, by id or by its words.

    'auto' takes the data's own candidates, filled up from BM25 where there are fewer, and, where
    BM25 finds too few as well, from all documents by chance (``seed``); 'given' takes the data's
    own alone. Also returns where they come from, such as 'given', 'bm25' or 'given + bm25'.
    Raises :class:`BadInput` when 'given' is asked for and there are none.
    """
    pool = _never_itself(reader, split, whole_pool(reader, split, judged_only=False, exclude=NO))
    found: dict[int, list[int]] = {int(query): [] for query in pool.queries}
    origins: list[str] = []
    if first_stage in (AUTO, GIVEN):
        own = own_candidates(reader.candidates(split))
        _extend(found, own, pool, k, GIVEN, origins)
        if first_stage == GIVEN:
            if not origins:
                raise none_given(reader, split)
            return found, GIVEN
    short = [at for at, query in enumerate(pool.queries) if len(found[int(query)]) < k]
    if short:
        asked = pool.asking(short)
        # As many more as could be judged relevant or be there already.
        known = max(len(pool.judgments.get(int(query), ())) for query in asked.queries)
        deep = k + known + max(len(found[int(query)]) for query in asked.queries)
        name, encoder = _finder(first_stage, encoder)
        run = find(asked, encoder, k=deep, progress=progress, stop=stop)
        rows = (row[row >= 0].tolist() for row in run.documents)
        _extend(found, dict(zip(asked.queries.tolist(), rows, strict=True)), pool, k, name, origins)
        _extend(found, _by_chance(asked, found, k, seed), pool, k, "chance", origins)
    return found, " + ".join(origins)


def _never_itself(reader: DatasetReader, split: str, pool: Pool) -> Pool:
    """The pool with each query's own documents among those that are no wrong answers to it."""
    judgments = {query: dict(grades) for query, grades in pool.judgments.items()}
    for query, own in query_itself(reader, reader.queries(split)).items():
        judgments[query] = {**judgments.get(query, {}), **dict.fromkeys(own, 1)}
    return replace(pool, judgments=judgments)


def _extend(
    found: dict[int, list[int]],
    more: dict[int, list[int]],
    pool: Pool,
    k: int,
    name: str,
    origins: list[str],
) -> None:
    """Fill ``found`` up to k each; ``origins`` gets the name if anything was taken."""
    for query, documents in more.items():
        mine = found[query]
        grades = pool.judgments.get(query, {})
        new = [one for one in documents if grades.get(one, 0) < 1 and one not in mine]
        mine += new[: max(0, k - len(mine))]
        if new and len(mine) and name not in origins:
            origins.append(name)


def _by_chance(asked: Pool, found: dict[int, list[int]], k: int, seed: int) -> dict[int, list[int]]:
    """Documents for the queries that are still short, enough to skip those they cannot take."""
    random = np.random.default_rng(seed)
    drawn = {}
    for query in asked.queries.tolist():
        if len(found[query]) < k:
            count = k + len(found[query]) + len(asked.judgments.get(query, ()))
            count = min(count, asked.documents)
            drawn[query] = random.choice(asked.documents, count, replace=False).tolist()
    return drawn


def _given(reader: DatasetReader, split: str, pool: Pool, k: int | None) -> CandidateSet:
    kept, run = own_run(pool, own_candidates(brought(reader, split)), k)
    if not len(kept):
        raise none_given(reader, split)
    left_out = len(pool.queries) - len(kept)
    return CandidateSet(pool.asking(kept.tolist()), run, reading(reader), GIVEN, left_out)


# First stages asked to order what a second stage would: each query's own candidates.
#
# How T2Ranking and MTEB's reranking tasks measure any model, and what shows whether a reranker is
# worth more than the similarity everybody has already.

#: Pairs whose vectors lie beside one another at once.
PAIRS = 4096


def as_scorer(model: Any) -> Scorer:
    """Any model as a scorer of pairs: a reranker's and a late-interaction model's score is their
    own, an embedding model's the similarity its contract searches by."""
    scorer: Scorer = model if model.contract.model_kind.scores else EmbeddingScorer(model)
    return scorer


class EmbeddingScorer:
    """An embedding model as a scorer: the inner product of the two vectors. Those of the queries
    are remembered: blocks of documents come one after another with the same queries."""

    def __init__(self, encoder: Encoder) -> None:
        self.encoder = encoder
        self._places: dict[str, int] = {}
        self._vectors: NDArray[np.float32] | None = None

    @property
    def contract(self) -> Contract:
        return self.encoder.contract

    def score(
        self,
        queries: Sequence[str],
        documents: Sequence[str],
        pairs: NDArray[np.int64],
        *,
        progress: Progress | None = None,
        stop: Stop | None = None,
    ) -> NDArray[np.float32]:
        total = len(queries) + len(documents)
        says = progress or (lambda _done, _total: None)
        asked = self._asked(queries, progress=lambda done, _: says(done, total), stop=stop)
        places = np.array([self._places[text] for text in queries], np.int64)
        found = self.encoder.encode(
            list(documents),
            "document",
            progress=lambda done, _: says(len(queries) + done, total),
            stop=stop,
        )
        scores = np.empty(len(pairs), np.float32)
        for start in range(0, len(pairs), PAIRS):
            left, right = pairs[start : start + PAIRS].T
            some = asked[places[left]]
            np.einsum("ij,ij->i", some, found[right], out=scores[start : start + PAIRS])
        return scores

    def _asked(self, queries: Sequence[str], **how: Any) -> NDArray[np.float32]:
        """The vectors of all queries so far, these among them."""
        new = [text for text in dict.fromkeys(queries) if text not in self._places]
        if new or self._vectors is None:
            vectors = self.encoder.encode(new, "query", **how)
            before = [] if self._vectors is None else [self._vectors]
            self._vectors = np.concatenate([*before, vectors]) if before else vectors
            self._places |= {text: len(self._places) + at for at, text in enumerate(new)}
        return self._vectors


class Bm25Scorer:
    """BM25 as a scorer. All candidates together are its collection: how rare a word is, is counted
    among them."""

    contract = Contract()
    #: It must see all candidates at once: see :func:`score_rows`.
    whole = True

    def score(
        self,
        queries: Sequence[str],
        documents: Sequence[str],
        pairs: NDArray[np.int64],
        *,
        progress: Progress | None = None,
        stop: Stop | None = None,
    ) -> NDArray[np.float32]:
        index = Bm25().fit(documents)
        scores = np.zeros(len(pairs), np.float32)
        # Pairs come query by query.
        ends = np.searchsorted(pairs[:, 0], np.arange(len(queries)), side="right")
        start = 0
        for at, end in enumerate(ends.tolist()):
            if stop:
                stop()
            scores[start:end] = _scores(index, queries[at], len(documents))[pairs[start:end, 1]]
            start = end
            if progress:
                progress(at + 1, len(queries))
        return scores


def _scores(index: Bm25, query: str, documents: int) -> NDArray[Any]:
    run = index.search([query], documents)
    scores = np.zeros(documents, np.float32)
    found = run.documents[0] >= 0
    scores[run.documents[0][found]] = run.scores[0][found]
    return scores
