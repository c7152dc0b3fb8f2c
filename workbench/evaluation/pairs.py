"""Scored pairs: how well a model's scores follow the given ones. Never by MAP: nothing is ranked.

Spearman's correlation compares the orders, Pearson's the values. Which of a pair's texts is the
query follows the data's columns: ``left`` is encoded as a query, ``right`` as a document.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.comparison.correlation import (
    compare_correlations,
    correlation,
    measure,
)
from workbench.comparison.names import CORRELATIONS
from workbench.comparison.significance import correct, verdict
from workbench.errors import BadInput
from workbench.evaluation.candidates import as_scorer
from workbench.evaluation.measure import Progress, Stop
from workbench.models.resolve import ResolvedModel

Floats = NDArray[np.float64]
SPEARMAN = "spearman"


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
    #: After how many tokens the model cut the texts, and whether these are its own lengths.
    lengths: Mapping[str, int] = field(default_factory=dict)
    own_lengths: bool = True

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
    corrected = correct([one.p_value for one in found])
    return [
        {
            **result.row(one.name, first.name, SPEARMAN, judged),
            "pairs": result.queries,
            "verdict": verdict(result.delta, judged.p_value, result.queries, unit="pairs"),
        }
        for one, result, judged in zip(others, found, corrected, strict=True)
    ]
