"""First stages asked to order what a second stage would: each query's own candidates.

How T2Ranking and MTEB's reranking tasks measure any model, and what shows whether a reranker is
worth more than the similarity everybody has already.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.evaluation.bm25 import Bm25
from workbench.evaluation.measure import Encoder
from workbench.models.contract import Contract

#: Pairs whose vectors lie beside one another at once.
PAIRS = 4096


class EmbeddingOrder:
    """An embedding model as a scorer: the inner product of the two vectors."""

    def __init__(self, encoder: Encoder) -> None:
        self.encoder = encoder

    @property
    def contract(self) -> Contract:
        return self.encoder.contract

    def score(
        self,
        queries: Sequence[str],
        documents: Sequence[str],
        pairs: NDArray[np.int64],
        *,
        progress: Callable[[int, int], None] | None = None,
        stop: Callable[[], None] | None = None,
    ) -> NDArray[np.float32]:
        total = len(queries) + len(documents)
        says = progress or (lambda _done, _total: None)
        asked = self.encoder.encode(
            list(queries), "query", progress=lambda done, _: says(done, total), stop=stop
        )
        found = self.encoder.encode(
            list(documents),
            "document",
            progress=lambda done, _: says(len(queries) + done, total),
            stop=stop,
        )
        scores = np.empty(len(pairs), np.float32)
        for start in range(0, len(pairs), PAIRS):
            left, right = pairs[start : start + PAIRS].T
            np.einsum("ij,ij->i", asked[left], found[right], out=scores[start : start + PAIRS])
        return scores


class WordOrder:
    """BM25 as a scorer. All candidates together are its collection: how rare a word is, is counted
    among them."""

    contract = Contract()
    #: It must see all candidates at once: see ``candidates.rerank``.
    whole = True

    def score(
        self,
        queries: Sequence[str],
        documents: Sequence[str],
        pairs: NDArray[np.int64],
        *,
        progress: Callable[[int, int], None] | None = None,
        stop: Callable[[], None] | None = None,
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
