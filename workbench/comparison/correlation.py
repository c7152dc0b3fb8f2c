"""Is one model's agreement with given scores better than another's by more than luck?

Intervals are percentile bootstraps over the pairs, ranks taken anew in every resample. The p-value
is that of the permutation test in which, pair by pair, the two models' scores are exchanged: made
comparable first (places for Spearman, standardised values for Pearson), because two models' scores
have no unit in common (Deutsch, Dror and Roth, TACL 2021, who find it the most powerful of the
tests for correlations of metrics).

Pairs are counted singly, also where they share a text: a correlation is no mean over them, so
cluster sums, by which rankings are tested, do not exist here.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from workbench.comparison.names import CORRELATIONS
from workbench.comparison.significance import SAME, Comparison

Floats = NDArray[np.float64]

DRAWS = 2_000
FEWEST_DRAWS = 500
#: Numbers that may be drawn in all, so that 100,000 pairs take seconds too: fewer resamples then.
WORK = 20_000_000
#: Numbers held at once: 2 million doubles are 16 MB, and there are about ten such arrays.
BLOCK = 2_000_000


@dataclass(frozen=True, slots=True)
class Correlation:
    """How well one model's scores agree with the given ones."""

    value: float
    ci95: tuple[float, float]


def correlation(metric: str, scores: Floats, given: Floats) -> float:
    """Spearman's or Pearson's correlation of scores (n,) with the given ones (n,).

    0 where either has one value only: what does not vary agrees with nothing.
    """
    return float(_correlations(metric, scores[None], given[None])[0])


def measure(metric: str, scores: Floats, given: Floats, *, seed: int) -> Correlation:
    """The correlation and its 95% bootstrap interval over the pairs."""
    drawn = [
        _correlations(metric, scores[rows], given[rows]) for rows in _resamples(len(given), seed)
    ]
    return Correlation(correlation(metric, scores, given), _interval(drawn))


def compare_correlations(
    metric: str,
    scores: Floats,
    against: Floats,
    given: Floats,
    *,
    seed: int,
    draws: int = DRAWS,
) -> Comparison:
    """What one model's correlation has over another's on the same pairs (n,).

    A win is a pair whose place among all comes closer to its given place.
    """
    if metric not in CORRELATIONS or not len(scores) == len(against) == len(given) > 1:
        raise ValueError("two lists of scores for the same pairs and a correlation are needed")
    drawn = [
        _correlations(metric, scores[rows], given[rows])
        - _correlations(metric, against[rows], given[rows])
        for rows in _resamples(len(given), seed, draws)
    ]
    delta = correlation(metric, scores, given) - correlation(metric, against, given)
    closer = _distance(against, given) - _distance(scores, given)
    return Comparison(
        queries=len(given),
        clusters=len(given),
        delta=delta,
        resampled=np.concatenate(drawn),
        p_value=_exchange_p_value(metric, scores, against, given, delta, seed, draws),
        wins=int((closer > SAME).sum()),
        losses=int((closer < -SAME).sum()),
        ties=int((np.abs(closer) <= SAME).sum()),
    )


def _correlations(metric: str, first: Floats, second: Floats) -> Floats:
    """Row by row: (draws, n) and (draws, n) -> (draws,)."""
    if metric == "spearman":
        first, second = rankdata(first, axis=1), rankdata(second, axis=1)
    first = first - first.mean(axis=1, keepdims=True)
    second = second - second.mean(axis=1, keepdims=True)
    product = (first * second).sum(axis=1)
    size = np.sqrt((first**2).sum(axis=1) * (second**2).sum(axis=1))
    # Rounding of values that are all alike must not look like variation.
    found: Floats = np.divide(product, size, out=np.zeros_like(product), where=size > 1e-12)
    return found


def _exchange_p_value(
    metric: str,
    scores: Floats,
    against: Floats,
    given: Floats,
    delta: float,
    seed: int,
    draws: int,
) -> float:
    one, other = _comparable(metric, scores), _comparable(metric, against)
    aim = _comparable(metric, given)
    if np.abs(one - other).max() < SAME:
        return 1.0
    random = np.random.default_rng(seed)
    extreme, total = 0, _draws(len(given), draws)
    for block in _blocks(total, len(given)):
        kept = random.integers(2, size=(block, len(given)), dtype=np.int8).astype(bool)
        first, second = np.where(kept, one, other), np.where(kept, other, one)
        goal = np.broadcast_to(aim, first.shape)
        gained = _correlations("pearson", first, goal) - _correlations("pearson", second, goal)
        extreme += int((np.abs(gained) >= abs(delta) - SAME).sum())
    # The observed one is one of the possible exchanges; so p is never 0.
    return (extreme + 1) / (total + 1)


def _comparable(metric: str, values: Floats) -> Floats:
    values = rankdata(values) if metric == "spearman" else values
    spread = values.std()
    centred: Floats = values - values.mean()
    return centred / spread if spread > SAME else centred


def _distance(scores: Floats, given: Floats) -> Floats:
    found: Floats = np.abs(rankdata(scores) - rankdata(given))
    return found


def _resamples(count: int, seed: int, draws: int = DRAWS) -> Iterator[NDArray[np.int64]]:
    random = np.random.default_rng(seed)
    for block in _blocks(_draws(count, draws), count):
        yield random.integers(count, size=(block, count))


def _interval(drawn: list[Floats]) -> tuple[float, float]:
    low, high = np.quantile(np.concatenate(drawn), [0.025, 0.975])
    return float(low), float(high)


def _draws(count: int, wanted: int) -> int:
    return min(wanted, max(FEWEST_DRAWS, WORK // max(1, count)))


def _blocks(draws: int, width: int) -> Iterator[int]:
    step = max(1, BLOCK // width)
    for start in range(0, draws, step):
        yield min(step, draws - start)
