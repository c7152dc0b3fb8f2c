"""The task 'matrix': retrievers x rerankers x top k, with what each stage takes. Workers only.

Each retriever searches once, each reranker scores each retriever's candidates once, as deep as
they go; every top k is cut from that.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from workbench.comparison.conditions import SWITCH
from workbench.comparison.names import DEPTH
from workbench.comparison.table import ALL_DOCUMENTS, PIPELINE, RETRIEVAL
from workbench.data.reader import DatasetReader
from workbench.evaluation.bm25 import Bm25
from workbench.evaluation.candidates import CandidateSet, frozen_run, rerank
from workbench.evaluation.encode import CachedEncoder
from workbench.evaluation.exact_search import Run, search
from workbench.evaluation.measure import score
from workbench.evaluation.metrics import cut_scores
from workbench.evaluation.named import BM25, Named, find, no_retriever, no_second_stage
from workbench.evaluation.pool import Pool, Rows, excluding, whole_pool
from workbench.evaluation.results import Entry, lengths_of, record_entry, searched_words
from workbench.evaluation.stages import load
from workbench.evaluation.texts import join_documents
from workbench.jobs.reporting import JobContext
from workbench.models.contract import Contract
from workbench.recipes.evaluate import EvaluateRecipe, MatrixRecipe

Progress = Callable[[int, int], None]
#: Texts between two looks at whether the person wants to stop.
STEP = 200


def run(recipe: MatrixRecipe, context: JobContext) -> dict[str, Any]:
    """Measure all pipelines; the result is ``matrix``'s JSON."""
    workspace = context.workspace
    # Every name is looked up before any work: a wrong last one should not cost an hour.
    retrievers = [find(workspace, name) for name in recipe.retrievers]
    rerankers = [find(workspace, name) for name in recipe.rerankers]
    reader = workspace.datasets.read(recipe.dataset, recipe.dataset_version)
    return _Matrix(recipe, context, reader).measure(retrievers, rerankers)


@dataclass
class _Clock:
    """Seconds by stage."""

    seconds: dict[str, float] = field(default_factory=dict)

    def add(self, stage: str, started: float) -> None:
        self.seconds[stage] = self.seconds.get(stage, 0.0) + time.perf_counter() - started


@dataclass(frozen=True)
class _Found:
    """What one retriever found, and what that took per query."""

    named: Named
    kind: str
    run: Run
    milliseconds: dict[str, float]
    lengths: dict[str, int]


class _Matrix:
    def __init__(self, recipe: MatrixRecipe, context: JobContext, reader: DatasetReader) -> None:
        self.recipe = recipe
        self.context = context
        self.reader = reader
        self.pool = whole_pool(
            reader,
            recipe.split,
            max_queries=recipe.max_queries,
            seed=recipe.seed,
            exclude=recipe.exclude_query_document,
        )
        #: As the evaluation these measurements are on record as.
        self.settings = EvaluateRecipe(
            dataset=recipe.dataset,
            dataset_version=reader.version,
            split=recipe.split,
            models=recipe.retrievers,
            rerankers=recipe.rerankers,
            candidates=recipe.candidates,
            max_queries=recipe.max_queries,
            exclude_query_document=recipe.exclude_query_document,
            precision=recipe.precision,
            device=recipe.device,
            use_cache=recipe.use_cache,
            seed=recipe.seed,
        )
        self.steps = len(recipe.retrievers) * (1 + len(recipe.rerankers))
        self.step = 0

    def measure(self, retrievers: Sequence[Named], rerankers: Sequence[Named]) -> dict[str, Any]:
        found = [self._retrieve(named) for named in retrievers]
        frozen = [self._candidates(one) for one in found] if rerankers else []
        cells: dict[tuple[str, str], tuple[dict[str, Any], Entry]] = {
            (one.named.name, ""): self._alone(one) for one in found
        }
        for named in rerankers:
            # One model is in memory at a time, and orders what every retriever found.
            for key, cell in self._rerank(named, found, frozen).items():
                cells[key] = cell
        order = [(a.name, b) for a in retrievers for b in ("", *(one.name for one in rerankers))]
        kept = [
            record_entry(self.settings, self.context, self.reader, cells[key][1]) for key in order
        ]
        return {
            "dataset": self.recipe.dataset,
            "dataset_version": self.reader.version,
            "split": self.recipe.split,
            "queries": len(self.pool.queries),
            "documents": self.pool.documents,
            "candidates": self.recipe.candidates,
            SWITCH: self.recipe.exclude_query_document,
            **excluding(self.pool),
            "top_k": list(range(1, self.recipe.top_k + 1)),
            "rows": [
                {**cells[key][0], "evaluation": one.id}
                for key, one in zip(order, kept, strict=True)
            ],
            "evaluations": [one.id for one in kept],
        }

    # -- retrievers ------------------------------------------------------------------------------

    def _retrieve(self, named: Named) -> _Found:
        self._begin(f"{named.name}, loading")
        k = max(DEPTH, self.recipe.candidates)
        clock = _Clock()
        progress = self._progress(named.name)
        if named.resolved is None:
            run = _search_words(self.pool, k, clock, progress, self.context.check_cancelled)
            return self._found(named, BM25, run, clock, {})
        model = load(self.settings, self.context, named.resolved)
        if not model.contract.model_kind.first_stage:
            raise no_retriever(named.name)
        run = _search_vectors(model, self.pool, k, clock, progress, self.context.check_cancelled)
        return self._found(named, model.contract.kind, run, clock, lengths_of(model.contract))

    def _found(
        self, named: Named, kind: str, run: Run, clock: _Clock, lengths: dict[str, int]
    ) -> _Found:
        return _Found(named, kind, run, self._per_query(clock.seconds), lengths)

    def _per_query(self, seconds: dict[str, float]) -> dict[str, float]:
        return {stage: 1000 * took / len(self.pool.queries) for stage, took in seconds.items()}

    def _alone(self, found: _Found) -> tuple[dict[str, Any], Entry]:
        entry = Entry(
            name=found.named.name,
            kind=found.kind,
            searched=ALL_DOCUMENTS,
            asked=self.pool.queries,
            documents=self.pool.documents,
            measured=score(self.pool, found.run),
            model=found.named.resolved,
            excluding=excluding(self.pool),
            lengths=found.lengths,
        )
        return self._row(entry, found.named.name, "", RETRIEVAL, found.milliseconds), entry

    # -- rerankers -------------------------------------------------------------------------------

    def _candidates(self, found: _Found) -> CandidateSet:
        best = slice(None), slice(self.recipe.candidates)
        run = Run(found.run.documents[best], found.run.scores[best])
        return frozen_run(self.reader, self.pool, run, found.named.name)

    def _rerank(
        self, named: Named, found: Sequence[_Found], frozen: Sequence[CandidateSet]
    ) -> dict[tuple[str, str], tuple[dict[str, Any], Entry]]:
        self.context.check_cancelled()
        if named.resolved is None:
            raise no_second_stage(named.name)
        model = load(self.settings, self.context, named.resolved)
        if not model.contract.model_kind.scores:
            raise no_second_stage(named.name)
        cells = {}
        for first, candidates in zip(found, frozen, strict=True):
            name = f"{first.named.name} + {named.name}"
            self._begin(name)
            started = time.perf_counter()
            measured = rerank(
                model,
                candidates,
                progress=self._progress(name),
                stop=self.context.check_cancelled,
            )
            took = self._per_query({"rerank": time.perf_counter() - started})
            entry = Entry(
                name=name,
                kind=model.contract.kind,
                searched=searched_words(candidates.origin, self.recipe.candidates),
                asked=candidates.queries,
                documents=len(candidates.rows),
                measured=measured,
                model=named.resolved,
                against=first.named.name,
                excluding=excluding(self.pool),
                lengths=lengths_of(model.contract),
            )
            milliseconds = {**first.milliseconds, **took}
            row = self._row(entry, first.named.name, named.name, PIPELINE, milliseconds)
            cells[first.named.name, named.name] = row, entry
        return cells

    def _row(
        self,
        entry: Entry,
        retriever: str,
        reranker: str,
        evaluation_mode: str,
        milliseconds: dict[str, float],
    ) -> dict[str, Any]:
        cutoffs = range(1, self.recipe.top_k + 1)
        ranked = entry.measured.run.documents
        return {
            "retriever": retriever,
            "reranker": reranker,
            "evaluation_mode": evaluation_mode,
            "kind": entry.kind,
            **entry.lengths,
            "milliseconds": {**milliseconds, "total": sum(milliseconds.values())},
            "top": cut_scores(entry.asked, ranked, self.pool.judgments, cutoffs),
        }

    # -- progress --------------------------------------------------------------------------------

    def _begin(self, message: str) -> None:
        self.context.check_cancelled()
        self.step += 1
        self._say(0.0, message)

    def _progress(self, message: str) -> Progress:
        return lambda done, total: self._say(done / max(1, total), message)

    def _say(self, part: float, message: str) -> None:
        # Every pipeline is as many texts as all of them have, whatever it counts itself.
        texts = len(self.pool.queries) + self.pool.documents
        done = round(texts * (self.step - 1 + part))
        words = f"{self.step} of {self.steps}: {message}"
        self.context.progress(done, texts * self.steps, "texts", words)


def _search_words(
    pool: Pool, k: int, clock: _Clock, progress: Progress, stop: Callable[[], None]
) -> Run:
    """BM25 as :func:`workbench.evaluation.bm25.retrieve_bm25`, with the index's making left out of
    the time: it is made once, queries are asked for ever."""
    rows: list[Rows] = []
    total = pool.documents + len(pool.queries)

    def texts() -> Iterator[str]:
        done = 0
        for block, table in pool.blocks():
            rows.append(block)
            for text in join_documents(table, Contract()).to_pylist():
                if done % STEP == 0:
                    stop()
                    progress(done, total)
                yield text
                done += 1

    known: list[Rows] = []

    def order(places: Rows) -> Rows:
        return pool.order(known[0][places])

    index = Bm25(order).fit(texts())
    known.append(np.concatenate([np.zeros(0, np.int64), *rows]))
    started = time.perf_counter()
    found = index.search(pool.texts, pool.depth(k), stop=stop)
    clock.add("search", started)
    progress(total, total)
    places = np.maximum(found.documents, 0)
    documents = np.where(found.documents >= 0, known[0][places], -1)
    return pool.without_own(Run(documents, found.scores), k)


def _search_vectors(
    model: Any, pool: Pool, k: int, clock: _Clock, progress: Progress, stop: Callable[[], None]
) -> Run:
    """Exact search as in :func:`workbench.evaluation.measure.retrieve`, timed: what queries cost
    is their encoding and the search; documents are encoded once, for all that will be asked."""
    total = len(pool.queries) + pool.documents
    # Kept encodings would make the queries' time a lie.
    plain = model.encoder if isinstance(model, CachedEncoder) else model
    # The first batch pays for what is loaded on first use.
    plain.encode(pool.texts[:1], "query", stop=stop)
    started = time.perf_counter()
    queries = plain.encode(
        pool.texts, "query", progress=lambda done, _: progress(done, total), stop=stop
    )
    clock.add("encode", started)
    outside = _Clock()

    def blocks() -> Iterator[tuple[Rows, Any]]:
        done = len(pool.queries)
        for rows, table in _timed(pool.blocks(), outside):
            began = time.perf_counter()
            texts = join_documents(table, model.contract).to_pylist()
            vectors = model.encode(
                texts,
                "document",
                progress=lambda some, _, before=done: progress(before + some, total),
                stop=stop,
            )
            done += len(texts)
            outside.add("documents", began)
            yield rows, vectors

    started = time.perf_counter()
    found = search(queries, blocks(), k=pool.depth(k), order=pool.order)
    run = pool.without_own(found, k)
    clock.add("search", started)
    clock.seconds["search"] -= outside.seconds.get("documents", 0.0)
    return run


def _timed(blocks: Iterator[Any], clock: _Clock) -> Iterator[Any]:
    """Reading the documents is no part of a search either."""
    while True:
        started = time.perf_counter()
        one = next(blocks, None)
        clock.add("documents", started)
        if one is None:
            return
        yield one
