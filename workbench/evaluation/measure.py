"""One model against one pool: encode, search exactly, score. The same everywhere it is asked."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from workbench.comparison.names import DEPTH, HEADLINE
from workbench.data.reader import DatasetReader
from workbench.errors import BadInput, WorkbenchError
from workbench.evaluation.exact_search import Run, cut, merge, nothing, search, widen
from workbench.evaluation.metrics import Scores, score_run
from workbench.evaluation.pictures import PICTURE
from workbench.evaluation.pool import Pool, Rows, small_pool
from workbench.evaluation.texts import join_documents
from workbench.models.contract import Contract
from workbench.recipes.base import dimensions_of

Stop = Callable[[], None]
Progress = Callable[[int, int], None]
#: Of a model: its MAP over judged queries and at most so many documents, and how many these were.
#: None where nothing is judged. The last is called before each batch, and may raise.
Rank = Callable[[Any, int, Stop], tuple[float, int] | None]
T = TypeVar("T")


class Encoder(Protocol):
    """What a measurement needs of a model (``workbench.models.load.LoadedEmbedding`` has it)."""

    @property
    def contract(self) -> Contract: ...

    def encode(
        self,
        texts: list[str],
        role: Any,
        *,
        progress: Progress | None = None,
        stop: Stop | None = None,
    ) -> NDArray[np.float32]:
        """Texts (n) -> vectors (n, d), with the role's prompt and length."""
        ...


#: Judged queries by which two ways to compute a model are compared.
_RANKING = 50


@dataclass(frozen=True, slots=True)
class Measured:
    """The run (queries in the pool's order) and its scores."""

    run: Run
    scores: Scores


def measure(
    encoder: Encoder,
    pool: Pool,
    *,
    progress: Progress | None = None,
    stop: Stop | None = None,
) -> Measured:
    """Measure one model. ``progress`` gets (texts encoded, texts in all).

    Runs are searched as deep as the metrics look, else recall@100 would lie.
    Raises what ``stop`` raises, and :class:`WorkbenchError` when vectors are not numbers.
    """
    return score(pool, retrieve(encoder, pool, k=DEPTH, progress=progress, stop=stop))


def score(pool: Pool, run: Run) -> Measured:
    """What a run over the pool's queries is worth."""
    return Measured(run, score_run(pool.queries, run.documents, pool.judgments))


def ranking(reader: DatasetReader, split: str | None = None) -> Rank:
    """Ranks some judged queries of a data set over some of its documents, the same ones for each
    model that is given; of the first split that has judged ones, where none is named."""

    @lru_cache(maxsize=1)
    def judged(documents: int) -> Pool | None:
        most = min(_RANKING, documents // 2)
        for one in [split] if split else ("dev", "test", "train"):
            if reader.counts["splits"].get(one):
                with suppress(BadInput):
                    return small_pool(reader, one, queries=most, documents=documents)
        return None

    def rank(encoder: Any, documents: int, stop: Stop) -> tuple[float, int] | None:
        pool = judged(documents)
        if pool is None:
            return None
        return measure(encoder, pool, stop=stop).scores.means()[HEADLINE], pool.documents

    return rank


class Clock:
    """Seconds that queries take, by stage; what is done once for all documents is left out."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def running(self, stage: str) -> Iterator[None]:
        began = time.perf_counter()
        yield
        self._add(stage, time.perf_counter() - began)

    def without(self, stage: str, blocks: Iterable[T]) -> Iterator[T]:
        """The blocks; what it takes to get them does not count to the stage that asks for them."""
        coming = iter(blocks)
        while True:
            began = time.perf_counter()
            block = next(coming, None)
            self._add(stage, began - time.perf_counter())
            if block is None:
                return
            yield block

    def _add(self, stage: str, seconds: float) -> None:
        self.seconds[stage] = self.seconds.get(stage, 0.0) + seconds


def retrieve(
    encoder: Encoder,
    pool: Pool,
    *,
    k: int,
    progress: Progress | None = None,
    stop: Stop | None = None,
    asking: Encoder | None = None,
    clock: Clock | None = None,
) -> Run:
    """The ``k`` documents of the pool whose vectors are closest to each query's, the query's own
    document aside.

    ``asking`` encodes the queries, where ``encoder`` has them from an earlier day and their time is
    wanted. ``clock`` gets the seconds of the stages 'encode' and 'search'.
    """
    clock = clock or Clock()
    counter = _Counter(progress, len(pool.queries) + pool.documents)
    with clock.running("encode"):
        queries = _encode(asking or encoder, pool.texts, "query", counter, stop)

    def blocks() -> Iterator[tuple[Rows, NDArray[np.float32]]]:
        for rows, table in pool.blocks():
            yield rows, encode_documents(encoder, table, counter, stop)

    with clock.running("search"):
        timed = clock.without("search", blocks())
        on = device_of(asking or encoder)
        found = search(queries, timed, k=pool.depth(k), order=pool.order, device=on)
        return pool.without_own(found, k)


def device_of(encoder: Encoder) -> str:
    """Where the model computes: it searches there, too. What only looks vectors up says nothing."""
    return str(getattr(encoder, "device", "cpu"))


def encode_documents(
    encoder: Encoder, table: Any, counter: "_Counter", stop: Stop | None
) -> NDArray[np.float32]:
    """Documents (n) -> vectors (n, d): by their pictures where the model sees and they have one,
    else by title and text."""
    texts = join_documents(table, encoder.contract).to_pylist()
    sees = encoder.contract.model_kind.reads_pictures
    pictures = table["picture"].to_pylist() if sees else []
    seen = [at for at, place in enumerate(pictures) if place]
    if not seen:
        return _encode(encoder, texts, "document", counter, stop)
    vectors = _encode(encoder, [pictures[at] for at in seen], PICTURE, counter, stop)
    found = np.zeros((len(texts), vectors.shape[1]), np.float32)
    found[seen] = vectors
    if rest := [at for at, place in enumerate(pictures) if not place]:
        found[rest] = _encode(encoder, [texts[at] for at in rest], "document", counter, stop)
    return found


class _Counter:
    """Adds up the texts of several calls to ``encode``."""

    def __init__(self, progress: Progress | None, total: int) -> None:
        self.progress = progress
        self.total = total
        self.before = 0

    def __call__(self, done: int, _of: int) -> None:
        if self.progress is not None:
            self.progress(self.before + done, self.total)


def _encode(
    encoder: Encoder, texts: list[str], role: str, counter: _Counter, stop: Stop | None
) -> NDArray[np.float32]:
    vectors = encoder.encode(texts, role, progress=counter, stop=stop)
    counter.before += len(texts)
    if not np.isfinite(vectors).all():
        raise WorkbenchError(
            "The model gives vectors that are not numbers, so nothing can be searched with it.",
            "Try fp32 precision; if that does not help, the model's weights are broken.",
        )
    return vectors


# An embedding model cut to its first dimensions, several at once, from one pass of encoding.
#
# A model trained with Matryoshka representation learning (Kusupati et al., NeurIPS 2022) keeps
# most of its quality in its first dimensions; any other can be looked at in the same way.

Vectors = NDArray[np.float32]


def measure_cut(
    encoder: Encoder,
    pool: Pool,
    *,
    wanted: str,
    k: int,
    whole: Measured | None = None,
    progress: Progress | None = None,
    stop: Stop | None = None,
) -> dict[int, Measured]:
    """What each number of dimensions is worth, the largest first.

    ``wanted`` as in the recipe. ``whole``: what all of them are worth, where it was measured
    already. Each block of documents is encoded once and searched once for each
    number of dimensions. Vectors are cut, then brought to length 1 again where the contract does
    that. ``progress`` gets (texts encoded, texts in all).
    """
    counter = _Counter(progress, len(pool.texts) + pool.documents)
    queries = _encode(encoder, pool.texts, "query", counter, stop)
    sizes = dimensions_of(wanted, queries.shape[1])
    unit = encoder.contract.normalize
    known = {} if whole is None else {queries.shape[1]: whole}
    asked = {size: cut_to(queries, size, unit) for size in sizes if size not in known}
    best: dict[int, Run] = {size: nothing(len(queries)) for size in asked}
    deep = pool.depth(k)
    for rows, table in pool.blocks():
        vectors = encode_documents(encoder, table, counter, stop)
        for size in asked:
            blocks = [(rows, cut_to(vectors, size, unit))]
            on = device_of(encoder)
            found = search(asked[size], blocks, k=deep, order=pool.order, device=on)
            best[size] = merge(best[size], found, deep, pool.order)
    return {
        size: known[size] if size in known else score(pool, pool.without_own(best[size], k))
        for size in sizes
    }


def cut_to(vectors: Vectors, size: int, unit: bool) -> Vectors:
    """(n, d) -> (n, size): the first dimensions, of length 1 where ``unit``."""
    cut = vectors[:, :size]
    if not unit:
        return np.ascontiguousarray(cut)
    lengths = np.linalg.norm(cut, axis=1, keepdims=True)
    found: Vectors = cut / np.maximum(lengths, np.finfo(np.float32).tiny)
    return found


# Exact late interaction: MaxSim of every query with every document, a block at a time.

#: Documents whose token vectors are in memory at once: 250 of 220 tokens in 128 dimensions take
#: 28 MB.
BLOCK = 250


class LateInteraction(Protocol):
    """What exact search needs of a late-interaction model in memory."""

    @property
    def contract(self) -> Contract: ...

    def encode(self, texts: Sequence[str], role: Any, *, stop: Stop | None = None) -> list[Any]:
        """Texts (n) -> n arrays of token vectors (tokens, d)."""
        ...

    def max_sim(self, queries: Sequence[Any], documents: Sequence[Any]) -> NDArray[np.float32]:
        """Token vectors of queries and documents -> scores (queries, documents)."""
        ...


def search_exactly(
    model: LateInteraction,
    pool: Pool,
    *,
    k: int,
    progress: Progress | None = None,
    stop: Stop | None = None,
) -> Run:
    """The ``k`` documents of highest MaxSim per query, its own aside; equal scores by id.

    ``progress`` gets (texts encoded, texts in all). Raises :class:`WorkbenchError` when scores are
    not numbers, and what ``stop`` raises.
    """
    total = len(pool.texts) + pool.documents
    queries = model.encode(pool.texts, "query", stop=stop)
    done, deep = len(pool.texts), pool.depth(k)
    best = nothing(len(queries))
    for rows, table in pool.blocks():
        texts = join_documents(table, model.contract).to_pylist()
        for start in range(0, len(texts), BLOCK):
            documents = model.encode(texts[start : start + BLOCK], "document", stop=stop)
            scores = model.max_sim(queries, documents)
            if not np.isfinite(scores).all():
                raise WorkbenchError(
                    "The model gives vectors that are not numbers, so nothing can be searched.",
                    "Try fp32 precision; if that does not help, the model's weights are broken.",
                )
            found = np.broadcast_to(rows[start : start + BLOCK], scores.shape)
            here = cut(Run(found, scores), deep, pool.order)
            best = merge(best, here, deep, pool.order)
            done += len(documents)
            if progress:
                progress(done, total)
    return pool.without_own(widen(best, deep), k)
