"""From texts to vectors and from pairs to scores, through the resident search worker."""

import math
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray
from starlette.concurrency import run_in_threadpool

from workbench.search.asked import PAIRS, Role
from workbench.search.client import SearchClient
from workbench.serving.models import Served
from workbench.serving.queue import Together

Vector = NDArray[np.float32]
#: A text's vector, or a pair's score; and its tokens.
Embedded = tuple[Vector, int]
Judged = tuple[float, int]
#: ('model', role) for texts.
EmbedKey = tuple[str, Role]
#: ('model', whether it may be a language model) for pairs.
RerankKey = tuple[str, bool]
#: Of a language model so many pairs at once: others wait for the whole batch.
SLOW_PAIRS = 8


class Work:
    """Two lines of waiting requests over one search worker."""

    def __init__(self, search: SearchClient) -> None:
        self._search = search
        self.embedding: Together[str, Embedded] = Together(self._embed, length=len)
        self.reranking: Together[tuple[str, str], Judged] = Together(
            self._rerank, at_once=_pairs_at_once, length=lambda pair: len(pair[1])
        )

    async def embed(self, model: Served, texts: list[str], role: Role) -> list[Embedded]:
        return await self.embedding.ask((model.known, role), texts)

    async def rerank(self, model: Served, query: str, documents: list[str]) -> list[Judged]:
        key = (model.known, model.slow)
        return await self.reranking.ask(key, [(query, one) for one in documents])

    async def _embed(self, key: EmbedKey, texts: list[str]) -> Sequence[Embedded]:
        model, role = key
        found = await run_in_threadpool(self._search.encoded, model, texts, role)
        return list(zip(found.vectors, found.tokens, strict=True))

    async def _rerank(self, key: RerankKey, pairs: list[tuple[str, str]]) -> Sequence[Judged]:
        """Each text is sent once, however many pairs it is in."""
        model, _ = key
        queries = _numbered(query for query, _ in pairs)
        documents = _numbered(document for _, document in pairs)
        places = [(queries[query], documents[document]) for query, document in pairs]
        asked = (model, list(queries), list(documents), places)
        found = await run_in_threadpool(self._search.scored, *asked)
        return list(zip(found.scores.tolist(), found.tokens, strict=True))


def _pairs_at_once(key: RerankKey) -> int:
    return SLOW_PAIRS if key[1] else PAIRS


def cut(vector: Vector, dimensions: int | None, normalize: bool) -> Vector:
    """The first so many numbers of a vector, to length 1 again where it should have that."""
    if dimensions is None or dimensions >= len(vector):
        return vector
    short = vector[:dimensions]
    length = float(np.linalg.norm(short))
    return short / length if normalize and length > 0 else short


def probability(logit: float) -> float:
    """A reranker's logit as a number between 0 and 1; keeps the order."""
    small = math.exp(-abs(logit))
    return (1 if logit >= 0 else small) / (1 + small)


def _numbered(texts: Iterable[str]) -> dict[str, int]:
    """Each different text and its number, in the order they came."""
    return {text: at for at, text in enumerate(dict.fromkeys(texts))}
