"""Measures the pipelines of an evaluation: first stages, alone and with second ones. Workers only.

First stages (BM25, embedding models) search all documents. Second stages (rerankers, and late
interaction where there are too many documents for exact MaxSim) order candidates that a first
stage found, and that first stage's own order gets a row before them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

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
from workbench.evaluation.cached import CachedEncoder, Quickened, with_cache
from workbench.evaluation.candidates import (
    Bm25Scorer,
    CandidateSet,
    as_scorer,
    freeze,
    reading,
    rerank,
)
from workbench.evaluation.exact_search import Run
from workbench.evaluation.measure import (
    Clock,
    Measured,
    Progress,
    ranking,
    retrieve,
    score,
    search_exactly,
)
from workbench.evaluation.metrics import calculated
from workbench.evaluation.named import (
    AUTO,
    BM25,
    GIVEN,
    Named,
    first_stage_name,
    no_first_stage,
    no_order_of_pictures,
    no_retriever,
    no_search,
    no_second_stage,
    nothing_to_order,
)
from workbench.evaluation.pictures import FromPictures, OnPictures, Turned, has_pictures
from workbench.evaluation.pool import Pool, asked_pool, excluding
from workbench.evaluation.results import (
    Entry,
    lengths_of,
    order_name,
    searched_entry,
    searched_words,
)
from workbench.jobs.reporting import JobContext
from workbench.models.locate import locate
from workbench.models.resolve import ResolvedModel, resolve
from workbench.recipes.evaluate import EvaluateRecipe


def load(recipe: EvaluateRecipe, context: JobContext, resolved: ResolvedModel) -> Any:
    """A model of any kind in memory; an embedding model with what it encoded before."""
    from workbench.models.load import LoadedEmbedding, load_model

    local = locate(context.workspace, resolved)
    model = load_model(local, device=recipe.device, precision=recipe.precision)
    if isinstance(model, LoadedEmbedding):
        reader = context.workspace.datasets.read(recipe.dataset, recipe.dataset_version)
        heard: dict[str, Any] = {"tell": context.note, "rank": ranking(reader, recipe.split)}
        return with_cache(model, local, context.workspace, recipe.use_cache, **heard)
    return model


@dataclass(frozen=True, slots=True)
class _Candidates:
    """What a first stage found for second stages, and the row of its own order."""

    frozen: CandidateSet
    order: Entry


class Stages:
    """The models of one evaluation, measured one after the other; one at a time is in memory.

    ``timed``: rows say what each stage takes per query. Nothing that decides it is then read from
    disk: queries are encoded and candidates scored again. Models that cannot be a first stage are
    refused.
    """

    def __init__(
        self,
        recipe: EvaluateRecipe,
        context: JobContext,
        reader: DatasetReader,
        pool: Pool,
        timed: bool = False,
    ) -> None:
        self.recipe = recipe
        self.context = context
        self.reader = reader
        self.pool = pool
        self.timed = timed
        self.depth = max(recipe.top_k, DEPTH, recipe.candidates if recipe.rerankers else 0)
        self.stop = context.check_cancelled
        self.steps = self.step = 0
        #: What first stages found, by their name: candidates for ``rerankers``.
        self._found: dict[str, _Candidates] = {}
        self._shared: _Candidates | None = None

    def measure(self, models: Sequence[Named], rerankers: Sequence[Named]) -> list[Entry]:
        """The table's rows: the models in their order, each first stage's rerankings after it."""
        self.steps = len(models) + len(rerankers)
        groups = [self._model(one) for one in models]
        if rerankers and not self._found:
            raise nothing_to_order()
        seconds = [self._reranker(one) for one in rerankers]
        rows: list[Entry] = []
        for model, group in zip(models, groups, strict=True):
            if self.recipe.evaluation_mode == PIPELINE:
                # What a first stage finds alone was measured in another mode.
                group = [row for row in group if row.evaluation_mode == PIPELINE]
            rows += group
            if model.name in self._found:
                order = self._found[model.name].order
                rows += [order, *(second[model.name] for second in seconds)]
        # A first stage's order may stand before several models; once is enough.
        once: dict[str, Entry] = {}
        for row in rows:
            once.setdefault(row.name, row)
        return list(once.values())

    # -- models that stand alone -----------------------------------------------------------------

    def _model(self, named: Named) -> list[Entry]:
        self._begin(named.name, "Model")
        if self.recipe.evaluation_mode == RERANKING:
            return [self._shared_candidates().order, self._own(named)]
        how: dict[str, Any] = {"k": self.depth, "stop": self.stop}
        how["progress"] = self._progress(named.name)
        clock = Clock()
        if named.resolved is None:
            run = retrieve_bm25(self.pool, clock=clock, **how)
            return [self._searched(named, run, None, clock)]
        model = load(self.recipe, self.context, named.resolved)
        kind = model.contract.model_kind
        if self.timed and not kind.first_stage:
            raise no_retriever(named.name)
        if kind.reads_pictures:
            return self._both_ways(model, named)
        everything = self.recipe.evaluation_mode == RETRIEVAL
        if kind.encodes:
            run = retrieve(model, self.pool, asking=self._asking(model), clock=clock, **how)
        elif kind.token_vectors and (
            everything or self.pool.documents <= self.recipe.exact_documents
        ):
            run = search_exactly(model, self.pool, **how)
        elif everything:
            raise no_search(named.name)
        else:
            found = self._shared_candidates()
            scorer = self._scorer(model, named.resolved)
            return [found.order, self._reordered(scorer, named, named.name, found, how["progress"])]
        return [self._searched(named, run, model, clock)]

    def _asking(self, model: Any) -> Any:
        """Who encodes the queries."""
        if not self.timed:
            return model
        # Kept encodings would make the queries' time a lie, and so would measuring what computes
        # them.
        plain = model.model if isinstance(model, CachedEncoder) else model
        if isinstance(plain, Quickened):
            plain = plain.computed(self.pool.texts, "query", self.stop)
        # The first batch pays for what is loaded on first use.
        plain.encode(self.pool.texts[:1], "query", stop=self.stop)
        return plain

    def _both_ways(self, model: Any, named: Named) -> list[Entry]:
        """A model of pictures and texts: captions search the pictures, pictures the captions. On
        data without pictures it is an embedding model of texts."""
        assert named.resolved is not None  # it was loaded
        recipe, reader = self.recipe, self.reader
        k = max(recipe.top_k, DEPTH)
        plain = OnPictures(model, reader.folder)
        encoder = with_cache(plain, named.resolved, self.context.workspace, recipe.use_cache)
        seen = has_pictures(reader)
        progress = self._progress(named.name, 0, 2 if seen else 1)
        run = retrieve(encoder, self.pool, k=k, progress=progress, stop=self.stop)
        entry = searched_entry(named, model.contract, self.pool, score(self.pool, run))
        if not seen:
            return [entry]
        turned = asked_pool(Turned(reader), recipe.split, recipe)
        progress = self._progress(named.name, 1, 2)
        run = retrieve(FromPictures(encoder), turned, k=k, progress=progress, stop=self.stop)
        back = replace(
            searched_entry(named, model.contract, turned, score(turned, run)),
            name=f"{named.name}, picture to text",
            searched=ALL_CAPTIONS,
            turned=True,
        )
        return [replace(entry, searched=ALL_PICTURES), back]

    def _own(self, named: Named) -> Entry:
        """Any model, BM25 too, orders each query's own candidates; all are compared with the first
        model, for all saw the same."""
        scorer: Any = Bm25Scorer()
        if named.resolved is not None:
            model = load(self.recipe, self.context, named.resolved)
            kind = model.contract.model_kind
            if kind.reads_pictures and has_pictures(self.reader):
                raise no_order_of_pictures(named.name)
            scorer = as_scorer(self._scorer(model, named.resolved) if kind.scores else model)
        progress = self._progress(named.name)
        found = self._shared_candidates()
        return replace(self._reordered(scorer, named, named.name, found, progress), against="")

    def _searched(self, named: Named, run: Run, model: Any, clock: Clock) -> Entry:
        """A run over all documents; what a first stage found is kept for the rerankers."""
        contract = None if model is None else model.contract
        entry = searched_entry(named, contract, self.pool, score(self.pool, run))
        entry = replace(entry, milliseconds=self._per_query(clock))
        if self.recipe.rerankers and (contract is None or contract.model_kind.first_stage):
            best = slice(None), slice(self.recipe.candidates)
            found = Run(run.documents[best], run.scores[best])
            frozen = CandidateSet(self.pool, found, reading(self.reader), named.name)
            self._found[named.name] = self._candidates(frozen, entry.milliseconds)
        return entry

    def _shared_candidates(self) -> _Candidates:
        """What second stages among the models put in order; found once for all of them."""
        if self._shared is None:
            recipe = self.recipe
            name, encoder = first_stage_name(recipe.first_stage), None
            name = GIVEN if recipe.evaluation_mode == RERANKING else name
            if name not in (AUTO, GIVEN, BM25):
                encoder = load(recipe, self.context, resolve(self.context.workspace, name))
                if not encoder.contract.model_kind.first_stage:
                    raise no_first_stage(name)
            frozen = freeze(
                self.reader,
                recipe.split,
                self.pool,
                first_stage=name,
                k=recipe.candidates,
                encoder=encoder,
                whole=True,
                progress=self._progress(f"candidates of {name}"),
                stop=self.stop,
            )
            if frozen.left_out:
                self.context.note(
                    "Queries without an irrelevant candidate in the data: "
                    f"{frozen.left_out}. Rerankers are not measured on them."
                )
            self._shared = self._candidates(frozen, {})
        return self._shared

    # -- second stages ---------------------------------------------------------------------------

    def _reranker(self, named: Named) -> dict[str, Entry]:
        """By first stage: its documents in this model's order."""
        self._begin(named.name, "Second stage")
        if named.resolved is None:
            raise no_second_stage(named.name)
        model = load(self.recipe, self.context, named.resolved)
        if not model.contract.model_kind.scores:
            raise no_second_stage(named.name)
        scorer, rows = self._scorer(model, named.resolved), {}
        for at, (name, found) in enumerate(self._found.items()):
            both = f"{name} + {named.name}"
            progress = self._progress(both, at, len(self._found))
            rows[name] = self._reordered(scorer, named, both, found, progress)
        return rows

    def _scorer(self, model: Any, resolved: ResolvedModel) -> Any:
        """A second stage with the scores that it gave before; without them where it is timed."""
        use = self.recipe.use_cache and not self.timed
        return with_cache(model, resolved, self.context.workspace, use)

    def _reordered(
        self, scorer: Any, named: Named, name: str, found: _Candidates, progress: Progress
    ) -> Entry:
        frozen, order, clock = found.frozen, found.order, Clock()
        with clock.running("rerank"):
            measured = rerank(scorer, frozen, progress=progress, stop=self.stop)
        bm25 = named.resolved is None
        return replace(
            order,
            name=name,
            kind=BM25 if bm25 else scorer.contract.kind,
            measured=measured,
            model=named.resolved,
            against=order.name,
            lengths={} if bm25 else lengths_of(scorer.contract),
            own_lengths=named.own_lengths,
            whole=_full_list_map(frozen, measured),
            milliseconds={**order.milliseconds, **self._per_query(clock)},
        )

    def _candidates(self, frozen: CandidateSet, milliseconds: Mapping[str, float]) -> _Candidates:
        """With the first stage's own order: the row a second stage has to beat."""
        k, measured = self.recipe.candidates, score(frozen.pool, frozen.run)
        order = Entry(
            name=order_name(frozen.origin, k),
            kind="first-stage",
            searched=searched_words(frozen.origin, k),
            asked=frozen.pool.queries,
            documents=len(frozen.rows),
            measured=measured,
            whole=_full_list_map(frozen, measured),
            excluding=excluding(frozen.pool),
            milliseconds=milliseconds,
        )
        return _Candidates(frozen, order)

    # -- progress --------------------------------------------------------------------------------

    def _per_query(self, clock: Clock) -> dict[str, float]:
        """Milliseconds by stage, where they are wanted."""
        if not self.timed:
            return {}
        return {
            stage: 1000 * took / len(self.pool.queries) for stage, took in clock.seconds.items()
        }

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


def _full_list_map(frozen: CandidateSet, measured: Measured) -> dict[str, float]:
    """{"longest_list", "map"}: average precision over whole lists, however long, which others call
    plain MAP; {} where none is longer than the metrics look (then MAP@100 is that very number), or
    a first stage's list was cut."""
    pool, documents = frozen.pool, measured.run.documents
    longest = int((documents >= 0).sum(axis=1).max(initial=0))
    if frozen.origin != GIVEN or longest <= DEPTH:
        return {}
    found = calculated([AP(rel=1)], pool.queries, documents, pool.judgments)[AP(rel=1)]
    return {"longest_list": longest, "map": float(found.mean())}
