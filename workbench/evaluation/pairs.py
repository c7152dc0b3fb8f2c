"""Any model as a scorer of pairs, and how well its scores of pairs follow the given ones. That is
never measured by MAP: nothing is ranked.

Spearman's correlation compares the orders, Pearson's the values. Which of a pair's texts is the
query follows the data's columns: ``left`` is encoded as a query, ``right`` as a document.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.comparison.correlation import (
    compare_correlations,
    correlation,
    measure,
)
from workbench.comparison.names import CORRELATIONS
from workbench.comparison.significance import holm, verdict
from workbench.errors import BadInput
from workbench.evaluation.bm25 import Bm25
from workbench.evaluation.measure import Encoder, Progress, Stop
from workbench.models.contract import Contract
from workbench.models.resolve import ResolvedModel
from workbench.models.scorer import Scorer

Floats = NDArray[np.float64]
SPEARMAN = "spearman"


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
        self._queries: dict[str, NDArray[np.float32]] = {}

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
        new = [text for text in dict.fromkeys(queries) if text not in self._queries]
        vectors = self.encoder.encode(
            new, "query", progress=lambda done, _: says(done, total), stop=stop
        )
        self._queries.update(zip(new, vectors, strict=True))
        asked = np.stack([self._queries[text] for text in queries])
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


class Bm25Scorer:
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


def score_pairs(
    model: Any,
    left: Sequence[str],
    right: Sequence[str],
    *,
    progress: Progress | None = None,
    stop: Stop | None = None,
) -> Floats:
    """The model's score of each pair: two lists of n texts -> (n,)."""
    both = np.arange(len(left), dtype=np.int64)
    pairs = np.stack([both, both], axis=1)
    return (
        as_scorer(model).score(left, right, pairs, progress=progress, stop=stop).astype(np.float64)
    )


def correlations(found: Floats, given: Floats) -> dict[str, float]:
    """'spearman' and 'pearson' of two lists of n scores.

    0 where the model gives all pairs one score: then it tells nothing. Raises :class:`BadInput`
    for fewer than two pairs, or where the data gives all of them one score.
    """
    refuse_alike(given)
    return {metric: correlation(metric, found, given) for metric in CORRELATIONS}


def refuse_alike(given: Floats) -> None:
    if len(given) < 2 or np.ptp(given) == 0:
        raise BadInput(
            "A correlation needs at least two pairs with different scores.",
            "Import pairs whose scores differ.",
        )


@dataclass(frozen=True)
class ScoredPairs:
    """One model's score of each pair, and the given ones, both (n,)."""

    #: As it was called.
    name: str
    model: ResolvedModel
    kind: str
    scores: Floats
    given: Floats

    def row(self, seed: int) -> dict[str, Any]:
        """The correlations with their 95% bootstrap intervals, as in ``evaluate``'s JSON."""
        refuse_alike(self.given)
        row: dict[str, Any] = {"model": self.name, "pairs": len(self.given), "kind": self.kind}
        for metric in CORRELATIONS:
            found = measure(metric, self.scores, self.given, seed=seed)
            row |= {metric: found.value, f"{metric}_ci95": list(found.ci95)}
        return row


def pair_comparisons(scored: Sequence[ScoredPairs], seed: int) -> list[dict[str, Any]]:
    """Every model against the first, in Spearman's correlation; judged after Holm's correction."""
    first, *others = scored
    found = [
        compare_correlations(SPEARMAN, one.scores, first.scores, first.given, seed=seed)
        for one in others
    ]
    corrected = holm([one.p_value for one in found])
    return [
        {
            **result.row(one.name, first.name, SPEARMAN, p_holm),
            "pairs": result.queries,
            "verdict": verdict(result.delta, p_holm, result.queries, unit="pairs"),
        }
        for one, result, p_holm in zip(others, found, corrected, strict=True)
    ]
