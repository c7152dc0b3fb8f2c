"""Answers searches, and encodes and scores what others send, from loaded models and indexes.
Imports torch: the resident worker only."""

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray

from storage.records import Index
from workbench.data.reader import DatasetReader
from workbench.errors import DatasetNotFound, ModelUnusable, SearchUnavailable
from workbench.evaluation.cached import weights_digest
from workbench.models.contract import Contract, Scorer
from workbench.models.image_text import LoadedImageText
from workbench.models.inference import tokenizing
from workbench.models.load import Loaded, LoadedEmbedding, Role, load_model
from workbench.models.locate import locate
from workbench.models.resolve import ResolvedModel, resolve
from workbench.pictures.opening import opened_apart
from workbench.search.encoded import Encoded, Scored
from workbench.search.found import (
    Clock,
    Known,
    LruCache,
    OpenIndex,
    check_kind,
    find,
    generation,
    score_documents,
)
from workbench.search.pictures import only_texts
from workbench.search.plan import PlannedIndex
from workbench.search.protocol import CANDIDATES, SearchResult
from workbench.search.registry import plan_of
from workbench.search.staleness import documents_reader
from workbench.search.texts import DOCUMENTS_FILE, open_documents
from workbench.workspace import Workspace

#: Two sides, and what orders both anew.
_MODELS_KEPT = 3
_INDEXES_KEPT = 4
#: Two sides whose records need not be looked up while nothing is written.
_READY_KEPT = 2
#: Texts whose tokens are counted at a time.
_BATCH = 64
_REBUILD = "Build the index again."
#: Seconds in which whoever waits for the engine gets it.
_GIVE_WAY = 0.01
#: What encodes a question: of an index of pictures, a model that sees.
Encodes = LoadedEmbedding | LoadedImageText


class Engine:
    """Loads on use and keeps a few; one search at a time, since each takes all cores."""

    def __init__(self, workspace: Workspace, more_models: int = 0) -> None:
        """``more_models`` are kept in memory besides those that searches use."""
        self._workspace = workspace
        self._models: LruCache[Loaded] = LruCache(_MODELS_KEPT + more_models)
        self._indexes: LruCache[OpenIndex] = LruCache(_INDEXES_KEPT)
        self._ready: LruCache[tuple[OpenIndex, Encodes]] = LruCache(_READY_KEPT)
        self._lock = threading.Lock()
        #: How many encode outside the lock, and how many measurements go on, in which nobody may.
        self._outside = 0
        self._measurements = 0
        self._changed = threading.Condition()
        #: Models of which it is not known yet what computes them the fastest.
        self._undecided: list[LoadedEmbedding] = []

    def search(
        self,
        names: list[str],
        query: str,
        top_k: int,
        reranker: str | None = None,
        candidates: int = CANDIDATES,
        where: str = "",
    ) -> list[SearchResult]:
        """The best documents of each index for one query; ``reranker`` is a second stage's name,
        which orders each index's first ``candidates`` anew. ``where`` is a filter on the documents'
        own fields."""
        with self._lock:
            return [self._search(name, query, top_k, reranker, candidates, where) for name in names]

    def search_picture(
        self, names: list[str], picture: str, top_k: int, where: str = "", without: str = ""
    ) -> list[SearchResult]:
        """The pictures of each index that are most like the one in this file. ``without``: a
        picture of the data set that is left out, as :attr:`Hit.picture` names it.

        Raises :class:`PictureUnusable` for a file that cannot be opened.
        """
        started = time.perf_counter()
        # Whatever the file is, others' searches do not wait while it is opened.
        image = opened_apart(Path(picture))
        opening = (time.perf_counter() - started) * 1000
        found = []
        with self._lock:
            for name in names:
                opened, model = self._sought(name)
                mask = opened.mask(where)
                clock = Clock(opening)
                vector = _seeing(model, opened).encode_pictures([image])[0]
                clock.lap("encode")
                hits = find(opened, vector, top_k + bool(without), mask).hits(None)
                hits = [hit for hit in hits if not without or hit.picture != without][:top_k]
                clock.lap("search")
                found.append(
                    SearchResult(
                        hits=hits,
                        milliseconds=clock.milliseconds(),
                        model=opened.record.model,
                        index=opened.record.name,
                        dataset_id=opened.record.dataset_id,
                        build=opened.record.path,
                        image=Path(picture).name,
                        where=where,
                        matching=None if mask is None else int(np.count_nonzero(mask)),
                    )
                )
        return found

    def fields(self, name: str) -> dict[str, list[tuple[str, int]]]:
        """The own fields of an index's documents, and each one's most frequent values."""
        with self._lock:
            return self._open(name).fields.menu()

    def warm(
        self, names: list[str], reranker: str | None = None, served: str | None = None
    ) -> None:
        """Load what searching these indexes needs, and the second stage; and find out now what
        computes the texts of the model ``served``."""
        with self._lock:
            for name in names:
                opened = self._open(name)
                self._model(opened).encode(["warm"], "query")
            if reranker:
                self._scorer(reranker)[0].score(["warm"], ["warm"], np.zeros((1, 2), np.int64))
            loaded = self._resolved(resolve(self._workspace, served)) if served else None
            if isinstance(loaded, LoadedEmbedding):
                with self._measuring():
                    loaded.served().decided(self._give_way)

    def decide(self) -> None:
        """Measure what computes the models that were loaded without knowing it. It is called when
        nobody asks; a question that comes meanwhile waits for the part that runs."""
        with self._lock:
            while self._undecided:
                with self._measuring():
                    self._undecided.pop().decided(self._give_way)

    @contextmanager
    def _measuring(self) -> Iterator[None]:
        """For who has the lock: nobody encodes outside it. That would slow down what is measured,
        and its processor time would be taken for a part of it."""
        with self._changed:
            self._changed.wait_for(lambda: not self._outside)
        self._measurements += 1
        try:
            yield
        finally:
            self._measurements -= 1

    def _count_outside(self, more: int) -> None:
        with self._changed:
            self._outside += more
            self._changed.notify_all()

    def _give_way(self) -> None:
        self._lock.release()
        # Whoever waits gets it before we do.
        time.sleep(_GIVE_WAY)
        self._lock.acquire()

    def embed(self, model: str, texts: Sequence[str], role: Role) -> Encoded:
        """Vectors of texts by a MODEL, used as its contract says."""
        with self._lock:
            found = resolve(self._workspace, model)
            served = as_served(self._resolved(found), found.name)
            tokens = _tokens(served, texts, role)
            if isinstance(served, LoadedEmbedding):
                self._await(served)
                served = served.computed(texts, role)
            if self._measurements or getattr(served, "workers", 1) == 1:
                return embed(served, found.name, texts, role, tokens)
            self._count_outside(1)
        try:
            # Each batch has a core of its own: others' texts may be computed beside these.
            return embed(served, found.name, texts, role, tokens)
        finally:
            self._count_outside(-1)

    def rerank(
        self,
        model: str,
        queries: Sequence[str],
        documents: Sequence[str],
        pairs: Sequence[Sequence[int]],
    ) -> Scored:
        """Scores of pairs (m, 2) of rows of both, by a MODEL that can be a second stage."""
        with self._lock:
            scorer, name = self._scorer(model)
            return score(scorer, name, queries, documents, pairs)

    def loaded(self) -> dict[str, list[str]]:
        return {"models": self._models.keys(), "indexes": self._indexes.keys()}

    def _search(
        self,
        name: str,
        query: str,
        top_k: int,
        reranker: str | None,
        candidates: int,
        where: str = "",
    ) -> SearchResult:
        # The clock starts after loading: what a first search waits for is not the search's time.
        opened, model = self._sought(name)
        scorer, second = self._scorer(reranker) if reranker else (None, None)
        mask = opened.mask(where)
        clock = Clock()
        vector = model.encode([query], "query")[0]
        clock.lap("encode")
        found = find(opened, vector, candidates if scorer else top_k, mask)
        known = opened.known.grades(query) if opened.known else None
        clock.lap("search")
        considered = len(found.rows)
        if scorer is not None and second is not None:
            found = found.reordered(score_documents(scorer, second, query, found.documents), top_k)
            clock.lap("rerank")
        return SearchResult(
            hits=found.hits(known),
            milliseconds=clock.milliseconds(),
            model=opened.record.model,
            index=opened.record.name,
            dataset_id=opened.record.dataset_id,
            build=opened.record.path,
            query=query,
            known_relevant=None if known is None else sum(one >= 1 for one in known.values()),
            reranker=second,
            candidates=considered if second else None,
            where=where,
            matching=None if mask is None else int(np.count_nonzero(mask)),
        )

    def _sought(self, name: str) -> tuple[OpenIndex, Encodes]:
        return self._ready.get(name, lambda: self._look(name), generation(self._workspace))

    def _look(self, name: str) -> tuple[OpenIndex, Encodes]:
        opened = self._open(name)
        return opened, self._model(opened)

    def _open(self, name: str) -> OpenIndex:
        record = self._workspace.indexes.get(name)
        reader = self._data(record)
        # One that was brought up to date has another folder; judgments come with a new version.
        mark = (record.path, reader.version if reader else None)
        return self._indexes.get(record.id, lambda: self._read(record, reader), mark)

    def _data(self, record: Index) -> DatasetReader | None:
        """What the index was built from; None where that was removed, and the index, which has its
        documents beside it, is all that is left."""
        try:
            return documents_reader(self._workspace, record)
        except DatasetNotFound:
            if not (self._workspace.path(record.path) / DOCUMENTS_FILE).is_file():
                raise
            return None

    def _read(self, record: Index, reader: DatasetReader | None) -> OpenIndex:
        folder = self._workspace.path(record.path)
        try:
            searcher = PlannedIndex.read(plan_of(record), folder)
        except FileNotFoundError:
            raise SearchUnavailable(
                f"The file of the index '{record.name}' is missing.", _REBUILD
            ) from None
        known = Known(reader) if reader else None
        return OpenIndex(record, searcher, open_documents(folder, reader), known)

    def _model(self, opened: OpenIndex) -> Encodes:
        record = opened.record
        wanted = record.model_id or record.model
        loaded = self._models.get(wanted, lambda: self._load(wanted), self._mark(wanted))
        if not isinstance(loaded, Encodes) or loaded.dimensions != opened.dimensions:
            raise ModelUnusable(
                f"The model '{record.model}' is no longer the one the index '{record.name}' was"
                " built with.",
                _REBUILD,
            )
        return loaded.with_contract(Contract.model_validate(record.contract))

    def _scorer(self, name: str) -> tuple[Scorer, str]:
        """The second stage and what it is called. It is looked up at each use: one that was
        removed meanwhile is not used on from memory."""
        resolved = resolve(self._workspace, name)
        if resolved.contract is not None:
            check_kind(resolved.name, resolved.contract.kind)
        loaded = self._resolved(resolved)
        check_kind(resolved.name, loaded.contract.kind)
        return cast(Scorer, loaded), resolved.name

    def _resolved(self, resolved: ResolvedModel) -> Loaded:
        key = resolved.model_id or resolved.source
        return self._models.get(key, lambda: self._load(resolved), self._mark(key))

    def _mark(self, wanted: str) -> object:
        """The contract on record: a model whose contract was changed is loaded again."""
        models = self._workspace.models
        return models.get(wanted).contract if models.exists(wanted) else None

    def _load(self, model: str | ResolvedModel) -> Loaded:
        local = locate(self._workspace, model)
        loaded = load_model(local)
        if isinstance(loaded, LoadedEmbedding):
            about = (self._workspace.home, weights_digest(local), local.name)
            loaded = loaded.with_engines(*about, use="questions", worth=None)
            # What is made or loaded on first use is so now, and not in a search's time.
            loaded.encode(["warm"], "query")
            self._await(loaded)
        return loaded

    def _await(self, loaded: LoadedEmbedding) -> None:
        """Have it measured when nobody asks, if it is not known what computes it: not within a
        person's question."""
        engines, waiting = loaded.engines, [one.engines for one in self._undecided]
        if engines and not engines.settled and engines not in waiting:
            self._undecided.append(loaded)


def _seeing(model: Encodes, opened: OpenIndex) -> LoadedImageText:
    """The model, where it sees; raises :class:`ModelUnusable` for one of texts."""
    if not isinstance(model, LoadedImageText):
        raise only_texts(opened.record)
    return model


# What others send is encoded as :meth:`LoadedEmbedding.served` says, and scored in fp32 where the
# weights are.


def as_served(loaded: Loaded, name: str) -> LoadedEmbedding | LoadedImageText:
    """The model as it encodes what others send; raises :class:`ModelUnusable` for another kind."""
    if not loaded.contract.model_kind.encodes:
        raise ModelUnusable(
            f"'{name}' is a {loaded.contract.kind} model and gives no vector of a text.",
            "Choose an embedding model, or ask this one to rerank.",
        )
    found = loaded.served() if isinstance(loaded, LoadedEmbedding) else _steady(loaded)
    return cast(LoadedEmbedding | LoadedImageText, found)


def embed(
    served: LoadedEmbedding | LoadedImageText,
    name: str,
    texts: Sequence[str],
    role: Role,
    tokens: list[int],
) -> Encoded:
    """Vectors of ``texts`` in their order, with their tokens; raises :class:`ModelUnusable` where
    a vector is not made of finite numbers."""
    # Nothing to encode still tells how long vectors are.
    vectors = served.encode(list(texts), role)
    if not np.isfinite(vectors).all():
        raise ModelUnusable(
            f"The model '{name}' gave vectors that are not finite numbers.",
            "Its weights may be damaged, or its training went wrong.",
        )
    return Encoded(vectors, tokens)


def score(
    scorer: Scorer, name: str, queries: Sequence[str], documents: Sequence[str], pairs: Any
) -> Scored:
    """Scores of ``pairs`` (m, 2), rows of both; raises :class:`ModelUnusable` where one is not a
    finite number."""
    if not len(pairs):
        return Scored(np.empty(0, np.float32), [])
    asked: NDArray[np.int64] = np.asarray(pairs, dtype=np.int64)
    scores = cast(Scorer, _steady(cast(Loaded, scorer))).score(queries, documents, asked)
    if not np.isfinite(scores).all():
        raise ModelUnusable(
            f"The model '{name}' gave scores that are not finite numbers.",
            "Its weights may be damaged, or its training went wrong.",
        )
    lengths = [_lengths(scorer, texts) for texts in (queries, documents)]
    tokens = [lengths[0][query] + lengths[1][document] for query, document in asked.tolist()]
    return Scored(np.asarray(scores, dtype=np.float32), tokens)


def _steady(loaded: Any) -> Any:
    """The same model without autocast, where all its weights are fp32."""
    model = loaded.model
    if getattr(loaded, "precision", "fp32") == "fp32" or not isinstance(model, torch.nn.Module):
        return loaded
    floats = {one.dtype for one in model.parameters() if one.is_floating_point()}
    return replace(loaded, precision="fp32") if floats == {torch.float32} else loaded


def _tokens(loaded: Any, texts: Sequence[str], role: Role) -> list[int]:
    """Tokens of each text as the model reads it: with prompt and special tokens, once cut."""
    contract = loaded.contract
    query = role == "query"
    prompt = contract.query_prompt if query else contract.document_prompt
    most = contract.query_max_len if query else contract.passage_max_len
    found = _lengths(loaded, [prompt + text for text in texts], special=True)
    return [min(count, most) for count in found]


def _lengths(loaded: Any, texts: Sequence[str], special: bool = False) -> list[int]:
    """How many tokens each text has; words, for a model that keeps its tokenizer to itself."""
    tokenizer = getattr(loaded.model, "tokenizer", None)
    # A model of texts and pictures has one for both, with that of texts inside.
    tokenizer = getattr(tokenizer, "tokenizer", tokenizer)
    if tokenizer is None:
        return [len(text.split()) for text in texts]
    found: list[int] = []
    for start in range(0, len(texts), _BATCH):
        batch = list(texts[start : start + _BATCH])
        with tokenizing():
            if hasattr(tokenizer, "encode_batch"):
                lines = tokenizer.encode_batch(batch, add_special_tokens=special)
                found += [len(line.ids) for line in lines]
            else:
                lines = tokenizer(batch, add_special_tokens=special, verbose=False)
                found += [len(ids) for ids in lines["input_ids"]]
    return found
