"""Is a difference between two models more than luck? Paired, over the same queries.

The interval is the percentile bootstrap of the mean difference (Efron 1979; Efron & Tibshirani
1993). The p-value is that of the paired randomization test, which Smucker, Allan & Carterette
(CIKM 2007) recommend for comparing retrieval systems: were the two models alike, each query's
difference could as well have had the other sign. Where several models are compared at once, Holm's
step-down correction (Scandinavian Journal of Statistics 1979) keeps the chance of one false
discovery among all of them below the level.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.comparison.names import ENOUGH_QUERIES

Floats = NDArray[np.float64]

DRAWS = 10_000
#: Up to this many non-zero differences all sign patterns (2**20) are counted instead of drawn.
EXACT_UP_TO = 20
#: Numbers held at once while drawing: 4 million doubles are 32 MB.
BLOCK = 4_000_000
#: Differences of per-query metrics below this are rounding, not a win.
SAME = 1e-9


@dataclass(frozen=True, slots=True)
class Comparison:
    """What one model gains over another on the same queries; positive favours the first."""

    queries: int
    delta: float
    ci95: tuple[float, float]
    p_value: float
    wins: int
    losses: int
    ties: int

    def row(self, model: str, against: str, metric: str, p_holm: float) -> dict[str, Any]:
        """What a result says of it, without the number of queries (or pairs) it rests on.
        ``p_holm``: the p-value after Holm's correction."""
        return {
            "model": model,
            "against": against,
            "metric": metric,
            "delta": self.delta,
            "ci95": list(self.ci95),
            "p_value": self.p_value,
            "wins": self.wins,
            "losses": self.losses,
            "ties": self.ties,
            "p_holm": p_holm,
        }


def compare(values: Floats, against: Floats, *, seed: int, draws: int = DRAWS) -> Comparison:
    """Compare per-query values, both of shape (queries,) and in the same order of queries.

    Raises ValueError when the shapes differ or there is no query.
    """
    if values.shape != against.shape or values.ndim != 1 or values.size == 0:
        raise ValueError("two lists of per-query values of the same length are needed")
    differences = np.asarray(values, dtype=np.float64) - np.asarray(against, dtype=np.float64)
    differences[np.abs(differences) < SAME] = 0.0
    return Comparison(
        queries=int(differences.size),
        delta=float(differences.mean()),
        ci95=bootstrap_interval(differences, seed=seed, draws=draws),
        p_value=randomization_p_value(differences, seed=seed, draws=draws),
        wins=int((differences > 0).sum()),
        losses=int((differences < 0).sum()),
        ties=int((differences == 0).sum()),
    )


def bootstrap_interval(
    differences: Floats, *, seed: int, draws: int = DRAWS, confidence: float = 0.95
) -> tuple[float, float]:
    """The percentile bootstrap interval of the mean of ``differences`` (queries,)."""
    random = np.random.default_rng(seed)
    count = differences.size
    means = [
        differences[random.integers(count, size=(block, count))].mean(axis=1)
        for block in _blocks(draws, count)
    ]
    tail = (1.0 - confidence) / 2.0
    low, high = np.quantile(np.concatenate(means), [tail, 1.0 - tail])
    return float(low), float(high)


def randomization_p_value(differences: Floats, *, seed: int, draws: int = DRAWS) -> float:
    """The two-sided p-value of the paired randomization (sign-flip) test, in (0, 1]."""
    moved = np.sort(np.abs(differences[differences != 0]))
    if moved.size == 0:
        return 1.0
    # Rounding must not turn a sum as extreme as the observed one into a less extreme one.
    observed = abs(float(differences.sum())) - SAME
    if moved.size <= EXACT_UP_TO:
        return float((np.abs(_all_signed_sums(moved)) >= observed).mean())
    random = np.random.default_rng(seed)
    extreme = 0
    for block in _blocks(draws, moved.size):
        signs = random.integers(2, size=(block, moved.size), dtype=np.int8) * 2.0 - 1.0
        extreme += int((np.abs(signs @ moved) >= observed).sum())
    # The observed pattern is one of the possible ones; so p is never 0.
    return (extreme + 1) / (draws + 1)


def holm(p_values: Sequence[float]) -> list[float]:
    """Each p-value as it counts among all of them (Holm 1979), in the order given.

    The smallest is multiplied by how many there are, the next by one fewer, and none ends up below
    one that was smaller. A single one stays what it is.
    """
    ordered = np.argsort(np.asarray(p_values, dtype=np.float64), kind="stable")
    corrected = np.zeros(len(p_values))
    highest = 0.0
    for at, place in enumerate(ordered.tolist()):
        highest = max(highest, min(1.0, (len(p_values) - at) * float(p_values[place])))
        corrected[place] = highest
    return [float(one) for one in corrected]


def verdict(
    delta: float, p_value: float, queries: int, alpha: float = 0.05, unit: str = "queries"
) -> str:
    """The difference in words a person can act on. Of several comparisons made at once,
    ``p_value`` is the corrected one (:func:`holm`)."""
    if queries < ENOUGH_QUERIES:
        return f"too few {unit} to judge"
    if p_value >= alpha or delta == 0:
        return f"not distinguishable on {queries} {unit}"
    return "better" if delta > 0 else "worse"


def second_stage_verdict(delta: float, p_value: float, queries: int, alpha: float = 0.05) -> str:
    """The same for a second stage against the order it was given: it has to earn its time."""
    if queries < ENOUGH_QUERIES:
        return "too few queries to judge"
    if p_value < alpha and delta != 0:
        return f"{'better' if delta > 0 else 'worse'} than the first stage"
    if delta <= 0:
        return "no better than the first stage"
    return f"not distinguishable from the first stage on {queries} queries"


def _all_signed_sums(sizes: Floats) -> Floats:
    sums = np.zeros(1)
    for size in sizes:
        sums = np.concatenate([sums + size, sums - size])
    return sums


def _blocks(draws: int, width: int) -> Iterator[int]:
    step = max(1, BLOCK // width)
    for start in range(0, draws, step):
        yield min(step, draws - start)
