"""Scored pairs: how well a model's scores follow the given ones. Never by MAP: nothing is ranked.

Spearman's correlation compares the orders, Pearson's the values. Which of a pair's texts is the
query follows the data's columns: ``left`` is encoded as a query, ``right`` as a document.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from workbench.comparison.correlation import Correlation, compare_correlations, measure
from workbench.comparison.names import CORRELATIONS
from workbench.comparison.significance import Comparison, holm, verdict
from workbench.errors import BadInput
from workbench.models.resolve import ResolvedModel

Floats = NDArray[np.float64]
Progress = Callable[[int, int], None]

SPEARMAN = "spearman"
PEARSON = "pearson"


def score_pairs(
    model: Any,
    left: Sequence[str],
    right: Sequence[str],
    *,
    progress: Progress | None = None,
    stop: Callable[[], None] | None = None,
) -> Floats:
    """The model's score of each pair: two lists of n texts -> (n,).

    An embedding model's is the similarity its contract searches by; a reranker's and a
    late-interaction model's is their own.
    """
    if model.contract.model_kind.scores:
        both = np.arange(len(left), dtype=np.int64)
        pairs = np.stack([both, both], axis=1)
        found = model.score(left, right, pairs, progress=progress, stop=stop)
        return np.asarray(found, dtype=np.float64)
    total = 2 * len(left)

    def later(done: int, _of: int) -> None:
        if progress is not None:
            progress(len(left) + done, total)

    def first(done: int, _of: int) -> None:
        if progress is not None:
            progress(done, total)

    queries = model.encode(list(left), "query", progress=first, stop=stop)
    documents = model.encode(list(right), "document", progress=later, stop=stop)
    found = np.einsum("nd,nd->n", queries, documents, dtype=np.float64)
    return np.asarray(found, dtype=np.float64)


def correlations(found: Floats, given: Floats) -> dict[str, float]:
    """'spearman' and 'pearson' of two lists of n scores.

    0 where the model gives all pairs one score: then it tells nothing. Raises :class:`BadInput`
    for fewer than two pairs, or where the data gives all of them one score.
    """
    if len(given) < 2 or np.ptp(given) == 0:
        raise BadInput(
            "A correlation needs at least two pairs with different scores.",
            "Import pairs whose scores differ.",
        )
    if np.ptp(found) == 0:
        return {SPEARMAN: 0.0, PEARSON: 0.0}
    return {
        SPEARMAN: float(stats.spearmanr(found, given).statistic),
        PEARSON: float(stats.pearsonr(found, given).statistic),
    }


@dataclass(frozen=True)
class ScoredPairs:
    """One model's score of each pair, and the given ones, both (n,)."""

    #: As it was called.
    name: str
    model: ResolvedModel
    kind: str
    scores: Floats
    given: Floats


def pair_rows(scored: Sequence[ScoredPairs], seed: int) -> list[dict[str, Any]]:
    """Each model's correlations with their 95% bootstrap intervals, as ``evaluate``'s JSON."""
    return [_pair_row(one, seed) for one in scored]


def pair_comparisons(scored: Sequence[ScoredPairs], seed: int) -> list[dict[str, Any]]:
    """Every model against the first, in Spearman's correlation; judged after Holm's correction."""
    first, *others = scored
    found = [
        compare_correlations(SPEARMAN, one.scores, first.scores, first.given, seed=seed)
        for one in others
    ]
    corrected = holm([one.p_value for one in found])
    return [
        _pair_comparison(one.name, first.name, result, p_holm)
        for one, result, p_holm in zip(others, found, corrected, strict=True)
    ]


def _pair_row(one: ScoredPairs, seed: int) -> dict[str, Any]:
    correlations(one.scores, one.given)  # refuses pairs that tell nothing
    row: dict[str, Any] = {"model": one.name, "pairs": len(one.given), "kind": one.kind}
    for metric in CORRELATIONS:
        found: Correlation = measure(metric, one.scores, one.given, seed=seed)
        row |= {metric: found.value, f"{metric}_ci95": list(found.ci95)}
    return row


def _pair_comparison(model: str, against: str, result: Comparison, p_holm: float) -> dict[str, Any]:
    return {
        "model": model,
        "against": against,
        "metric": SPEARMAN,
        **result.to_dict(),
        "p_holm": p_holm,
        "pairs": result.queries,
        "verdict": verdict(result.delta, p_holm, result.queries, unit="pairs"),
    }
