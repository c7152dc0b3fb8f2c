"""Measures each model of an evaluation as its kind is measured. Loads models: workers only.

First stages (BM25, embedding models) search all documents. Second stages (rerankers, and late
interaction where there are too many documents for exact MaxSim) order candidates that a first
stage found, and that first stage's own order gets a row before them.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from ir_measures import AP

from workbench.comparison.names import DEPTH
from workbench.comparison.table import (
    ALL_CAPTIONS,
    ALL_PICTURES,
    PIPELINE,
    RERANKING,
    RETRIEVAL,
)
from workbench.data.reader import DatasetReader
from workbench.evaluation.bm25 import retrieve_bm25
from workbench.evaluation.candidates import (
    Bm25Scorer,
    CandidateSet,
    EmbeddingScorer,
    first_stage,
    freeze,
    frozen_run,
    rerank,
)
from workbench.evaluation.encode import with_cache
from workbench.evaluation.exact_search import Run
from workbench.evaluation.maxsim import search_exactly
from workbench.evaluation.measure import Measured, retrieve, score
from workbench.evaluation.metrics import Judgments, calculated
from workbench.evaluation.named import (
    AUTO,
    BM25,
    GIVEN,
    Named,
    first_stage_name,
    no_first_stage,
    no_order_of_pictures,
    no_search,
    no_second_stage,
    nothing_to_order,
)
from workbench.evaluation.pictures import FromPictures, OnPictures, Turned, has_pictures
from workbench.evaluation.pool import Pool, Rows, excluding, whole_pool
from workbench.evaluation.results import (
    ALL_DOCUMENTS,
    Entry,
    lengths_of,
    order_name,
    searched_words,
)
from workbench.evaluation.scores import with_kept_scores
from workbench.jobs.reporting import JobContext
from workbench.model_kinds import first_stages
from workbench.models.locate import locate
from workbench.models.resolve import ResolvedModel, resolve
from workbench.recipes.evaluate import EvaluateRecipe

# Average precision over whole lists of candidates, however long: what others call plain MAP.


def full_list_map(queries: Rows, run: Run, judgments: Judgments) -> dict[str, float]:
    """{"longest_list", "map"} of a run whose lists are whole, or {} where none is longer than the
    metrics look (then MAP@100 is that very number)."""
    longest = int((run.documents >= 0).sum(axis=1).max(initial=0))
    if longest <= DEPTH:
        return {}
    values = [one for _, _, one in calculated([AP(rel=1)], queries, run.documents, judgments)]
    return {"longest_list": longest, "map": float(np.sum(values)) / len(queries)}


Progress = Callable[[int, int], None]


def load(recipe: EvaluateRecipe, context: JobContext, resolved: ResolvedModel) -> Any:
    """A model of any kind in memory; an embedding model with what it encoded before."""
    from workbench.models.load import LoadedEmbedding, load_model

    local = locate(context.workspace, resolved)
    model = load_model(local, device=recipe.device, precision=recipe.precision)
    if isinstance(model, LoadedEmbedding):
        return with_cache(model, local, context.workspace, recipe.use_cache)
    return model


class Stages:
    """The models of one evaluation, measured one after the other; one at a time is in memory."""

    def __init__(
        self, recipe: EvaluateRecipe, context: JobContext, reader: DatasetReader, pool: Pool
    ) -> None:
        self.recipe = recipe
        self.context = context
        self.reader = reader
        self.pool = pool
        self.steps = len(recipe.models) + len(recipe.rerankers)
        self.step = 0
        #: What first stages found, by their name: candidates for ``rerankers``.
        self._found: dict[str, CandidateSet] = {}
        self._frozen: CandidateSet | None = None

    def measure(self, models: Sequence[Named], rerankers: Sequence[Named]) -> list[Entry]:
        """The table's rows: the models in their order, each first stage's rerankings after it."""
        groups = [self._model(one) for one in models]
        if rerankers and not self._found:
            raise nothing_to_order()
        orders = {name: self._order(frozen) for name, frozen in self._found.items()}
        seconds = [self._reranker(one) for one in rerankers]
        rows: list[Entry] = []
        for model, group in zip(models, groups, strict=True):
            if self.recipe.evaluation_mode == PIPELINE:
                # What a first stage finds alone was measured in another mode.
                group = [row for row in group if row.evaluation_mode == PIPELINE]
            rows += group
            if rerankers and model.name in orders:
                rows += [orders[model.name], *(second[model.name] for second in seconds)]
        # A first stage's order may stand before several models; once is enough.
        once: dict[str, Entry] = {}
        for row in rows:
            once.setdefault(row.name, row)
        return list(once.values())

    # -- models that stand alone -----------------------------------------------------------------

    def _model(self, named: Named) -> list[Entry]:
        self._begin(named.name, "Model")
        k = max(self.recipe.top_k, DEPTH, self.recipe.candidates if self.recipe.rerankers else 0)
        stop = self.context.check_cancelled
        if self.recipe.evaluation_mode == RERANKING:
            return self._own(named)
        if named.resolved is None:
            run = retrieve_bm25(self.pool, k=k, progress=self._progress(named.name), stop=stop)
            return [self._searched(named, BM25, run, None)]
        model = load(self.recipe, self.context, named.resolved)
        kind = model.contract.model_kind
        progress = self._progress(named.name)
        if kind.reads_pictures:
            return self._both_ways(model, named)
        if kind.encodes:
            run = retrieve(model, self.pool, k=k, progress=progress, stop=stop)
            return [self._searched(named, kind.name, run, model)]
        everything = self.recipe.evaluation_mode == RETRIEVAL
        if kind.token_vectors and (
            everything or self.pool.documents <= self.recipe.exact_documents
        ):
            run = search_exactly(model, self.pool, k=k, progress=progress, stop=stop)
            return [self._searched(named, kind.name, run, model)]
        if everything:
            raise no_search(named.name)
        frozen = self._candidates()
        order = self._order(frozen)
        scorer = self._scorer(model, named.resolved)
        return [order, self._reordered(scorer, named, named.name, frozen, progress)]

    def _both_ways(self, model: Any, named: Named) -> list[Entry]:
        """A model of pictures and texts: captions search the pictures, pictures the captions. On
        data without pictures it is an embedding model of texts."""
        assert named.resolved is not None  # it was loaded
        recipe, reader = self.recipe, self.reader
        k, stop = max(recipe.top_k, DEPTH), self.context.check_cancelled
        plain = OnPictures(model, reader.folder)
        encoder = with_cache(plain, named.resolved, self.context.workspace, recipe.use_cache)
        seen = has_pictures(reader)
        progress = self._progress(named.name, 0, 2 if seen else 1)
        run = retrieve(encoder, self.pool, k=k, progress=progress, stop=stop)
        entry = self._searched(named, model.contract.kind, run, model)
        if not seen:
            return [entry]
        turned = whole_pool(
            Turned(reader),
            recipe.split,
            max_queries=recipe.max_queries,
            seed=recipe.seed,
            exclude=recipe.exclude_query_document,
        )
        progress = self._progress(named.name, 1, 2)
        run = retrieve(FromPictures(encoder), turned, k=k, progress=progress, stop=stop)
        back = Entry(
            name=f"{named.name}, picture to text",
            kind=model.contract.kind,
            searched=ALL_CAPTIONS,
            asked=turned.queries,
            documents=turned.documents,
            measured=score(turned, run),
            model=named.resolved,
            turned=True,
            excluding=excluding(turned),
            lengths=lengths_of(model.contract),
        )
        return [replace(entry, searched=ALL_PICTURES), back]

    def _own(self, named: Named) -> list[Entry]:
        """Any model, BM25 too, orders each query's own candidates; all are compared with the first
        model, for all saw the same."""
        frozen = self._candidates()
        name, kind = named.name, BM25
        scorer: Any = Bm25Scorer()
        if named.resolved is not None:
            model: Any = load(self.recipe, self.context, named.resolved)
            kind = model.contract.kind
            sees = model.contract.model_kind.reads_pictures
            if sees and has_pictures(self.reader):
                raise no_order_of_pictures(name)
            scorer = self._scorer(model, named.resolved)
            if model.contract.model_kind.encodes:
                scorer = EmbeddingScorer(model)
        row = self._reordered(scorer, named, name, frozen, self._progress(name))
        return [self._order(frozen), replace(row, kind=kind, against="")]

    def _searched(self, named: Named, kind: str, run: Run, model: Any) -> Entry:
        """A run over all documents; what a first stage found is kept for the rerankers."""
        if self.recipe.rerankers and kind in (BM25, *first_stages()):
            best = slice(None), slice(self.recipe.candidates)
            found = Run(run.documents[best], run.scores[best])
            self._found[named.name] = frozen_run(self.reader, self.pool, found, named.name)
        return Entry(
            name=named.name,
            kind=kind,
            searched=ALL_DOCUMENTS,
            asked=self.pool.queries,
            documents=self.pool.documents,
            measured=score(self.pool, run),
            model=named.resolved,
            excluding=excluding(self.pool),
            lengths={} if model is None else lengths_of(model.contract),
        )

    def _candidates(self) -> CandidateSet:
        """What second stages among the models put in order; found once for all of them."""
        if self._frozen is None:
            recipe = self.recipe
            name, encoder = first_stage_name(recipe.first_stage), None
            name = GIVEN if recipe.evaluation_mode == RERANKING else name
            if name not in (AUTO, GIVEN, BM25):
                encoder = load(recipe, self.context, resolve(self.context.workspace, name))
                if not encoder.contract.model_kind.first_stage:
                    raise no_first_stage(name)
            self._frozen = freeze(
                self.reader,
                recipe.split,
                first_stage=name,
                k=recipe.candidates,
                max_queries=recipe.max_queries,
                seed=recipe.seed,
                encoder=encoder,
                whole=True,
                exclude=recipe.exclude_query_document,
                progress=self._progress(f"candidates of {name}"),
                stop=self.context.check_cancelled,
            )
            if self._frozen.left_out:
                self.context.note(
                    "Queries without an irrelevant candidate in the data: "
                    f"{self._frozen.left_out}. Rerankers are not measured on them."
                )
        return self._frozen

    # -- second stages ---------------------------------------------------------------------------

    def _reranker(self, named: Named) -> dict[str, Entry]:
        """By first stage: its documents in this model's order."""
        self._begin(named.name, "Second stage")
        if named.resolved is None:
            raise no_second_stage(named.name)
        model = load(self.recipe, self.context, named.resolved)
        if not model.contract.model_kind.scores:
            raise no_second_stage(named.name)
        model, rows = self._scorer(model, named.resolved), {}
        for at, (name, frozen) in enumerate(self._found.items()):
            both = f"{name} + {named.name}"
            progress = self._progress(both, at, len(self._found))
            rows[name] = self._reordered(model, named, both, frozen, progress)
        return rows

    def _scorer(self, model: Any, resolved: ResolvedModel) -> Any:
        """A second stage with the scores that it gave before."""
        return with_kept_scores(model, resolved, self.context.workspace, self.recipe.use_cache)

    def _reordered(
        self, model: Any, named: Named, name: str, frozen: CandidateSet, progress: Progress
    ) -> Entry:
        measured = rerank(model, frozen, progress=progress, stop=self.context.check_cancelled)
        return replace(
            self._order(frozen),
            name=name,
            kind=model.contract.kind,
            measured=measured,
            model=named.resolved,
            against=order_name(frozen.origin, self.recipe.candidates),
            lengths={} if named.resolved is None else lengths_of(model.contract),
            whole=_whole(frozen, measured),
        )

    def _order(self, frozen: CandidateSet) -> Entry:
        """The first stage's own order: the row a second stage has to beat."""
        k, measured = self.recipe.candidates, first_stage(frozen)
        return Entry(
            name=order_name(frozen.origin, k),
            kind="first-stage",
            searched=searched_words(frozen.origin, k),
            asked=frozen.queries,
            documents=len(frozen.rows),
            measured=measured,
            whole=_whole(frozen, measured),
            excluding=frozen.excluding,
        )

    # -- progress --------------------------------------------------------------------------------

    def _begin(self, name: str, what: str) -> None:
        self.context.check_cancelled()
        self.step += 1
        self._say(0, 1, f"{what} {self.step} of {self.steps}: {name}, loading")

    def _progress(self, name: str, at: int = 0, of: int = 1) -> Progress:
        message = f"{self.step} of {self.steps}: {name}"
        return lambda done, total: self._say(at + done / max(1, total), of, message)

    def _say(self, done: float, of: int, message: str) -> None:
        """Every model is as many texts as all of them have, whatever it counts itself."""
        texts = len(self.pool.queries) + self.pool.documents
        now = round(texts * (self.step - 1 + done / of))
        self.context.progress(now, texts * self.steps, "texts", message)


def _whole(frozen: CandidateSet, measured: Measured) -> dict[str, float]:
    """Each query's own candidates are put in order whole; what a first stage found is cut."""
    if frozen.origin != GIVEN:
        return {}
    return full_list_map(frozen.queries, measured.run, frozen.judgments)
