"""Is a difference between two models more than luck? Paired, over the same queries.

The interval is the percentile bootstrap of the mean difference (Efron 1979; Efron & Tibshirani
1993). The p-value is that of the paired randomization test, which Smucker, Allan & Carterette
(CIKM 2007) recommend for comparing retrieval systems: were the two models alike, each query's
difference could as well have had the other sign. Where several models are compared at once, Holm's
step-down correction (Scandinavian Journal of Statistics 1979) keeps the chance of one false
discovery among all of them below the level, and their intervals widen with it.

Queries that share relevant documents are no separate observations. Where it is known which do
(:mod:`workbench.data.clusters`), whole clusters get a sign and are drawn (the cluster bootstrap:
Field & Welsh, JRSS B 2007); with every query its own cluster that is the same test. The bootstrap
is too narrow for a handful of clusters: there the interval is the randomization test's own, of the
differences that it does not reject (Good, Permutation, Parametric and Bootstrap Tests of Hypotheses
2005), and none where no difference could be rejected.
"""

import math
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
#: Up to so many clusters the interval is that of the randomization test instead of the bootstrap's.
FEW_CLUSTERS = 8
#: Numbers held at once while drawing: 4 million doubles are 32 MB.
BLOCK = 4_000_000
#: Differences of per-query metrics below this are rounding, not a win.
SAME = 1e-9


@dataclass(frozen=True, slots=True)
class Comparison:
    """What one model gains over another on the same queries; positive favours the first."""

    queries: int
    #: Groups of queries that share relevant documents: what was drawn; as many where none do.
    clusters: int
    delta: float
    #: (draws,) the mean difference in each resample.
    resampled: Floats
    p_value: float
    wins: int
    losses: int
    ties: int
    #: Up to :data:`FEW_CLUSTERS`: the sum of each cluster's differences, and how many they are.
    few: tuple[Floats, Floats] | None = None

    @property
    def ci95(self) -> tuple[float, float] | None:
        return self.interval()

    def interval(self, confidence: float = 0.95) -> tuple[float, float] | None:
        """Of the mean difference; None where there are too few clusters for any."""
        if self.few is not None:
            return randomization_interval(*self.few, confidence)
        return _percentiles(self.resampled, confidence)

    def row(self, model: str, against: str, metric: str, corrected: "Corrected") -> dict[str, Any]:
        """What a result says of it, without the number of queries (or pairs) it rests on.
        ``ci95`` is of this comparison alone, ``interval`` of it among all that were made."""
        return {
            "model": model,
            "against": against,
            "metric": metric,
            "delta": self.delta,
            "ci95": _listed(self.ci95),
            "p_value": self.p_value,
            "wins": self.wins,
            "losses": self.losses,
            "ties": self.ties,
            "p_holm": corrected.p_value,
            "interval": _listed(self.interval(corrected.confidence)),
            "confidence": corrected.confidence,
        }


def compare(
    values: Floats,
    against: Floats,
    *,
    seed: int,
    draws: int = DRAWS,
    clusters: NDArray[Any] | None = None,
) -> Comparison:
    """Compare per-query values, both of shape (queries,) and in the same order of queries.

    ``clusters`` (queries,): numbers of queries that share relevant documents; None: none do.
    Raises ValueError when the shapes differ or there is no query.
    """
    if values.shape != against.shape or values.ndim != 1 or values.size == 0:
        raise ValueError("two lists of per-query values of the same length are needed")
    differences = np.asarray(values, dtype=np.float64) - np.asarray(against, dtype=np.float64)
    differences[np.abs(differences) < SAME] = 0.0
    sums, sizes = _by_cluster(differences, clusters)
    return Comparison(
        queries=int(differences.size),
        clusters=len(sums),
        delta=float(differences.mean()),
        resampled=_resampled_means(sums, sizes, seed, draws),
        p_value=randomization_p_value(sums, seed=seed, draws=draws),
        wins=int((differences > 0).sum()),
        losses=int((differences < 0).sum()),
        ties=int((differences == 0).sum()),
        few=(sums, sizes) if len(sums) <= FEW_CLUSTERS else None,
    )


def _listed(interval: tuple[float, float] | None) -> list[float] | None:
    return None if interval is None else list(interval)


def mean_interval(
    values: Floats,
    *,
    seed: int,
    draws: int = DRAWS,
    confidence: float = 0.95,
    clusters: NDArray[Any] | None = None,
) -> tuple[float, float] | None:
    """Of the mean of ``values`` (queries,): the bootstrap's percentiles, of few clusters what the
    randomization test does not reject; None where that are all."""
    sums, sizes = _by_cluster(values, clusters)
    if len(sums) <= FEW_CLUSTERS:
        return randomization_interval(sums, sizes, confidence)
    return _percentiles(_resampled_means(sums, sizes, seed, draws), confidence)


def randomization_p_value(differences: Floats, *, seed: int, draws: int = DRAWS) -> float:
    """The two-sided p-value of the paired randomization (sign-flip) test, in (0, 1].
    ``differences``: of single queries, or summed by cluster."""
    moved = np.sort(np.abs(differences[np.abs(differences) >= SAME]))
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


def randomization_interval(
    sums: Floats, sizes: Floats, confidence: float = 0.95
) -> tuple[float, float] | None:
    """The mean differences that the two-sided randomization test does not reject; None where that
    are all. ``sums`` and ``sizes`` (n,), n small: of each cluster's differences.

    Where the true mean is taken away, the clusters with one sign and those with the other are as
    extreme as what was observed if that mean lies between the means of the two; so each way to
    halve the clusters adds 2 of the 2**n patterns to the p-value of all means between.
    """
    least = (1.0 - confidence) * 2.0 ** (len(sums) - 1)
    # The observed pattern is in every p-value; so many more keep a mean from being rejected.
    more = math.ceil(least - SAME) - 1
    if more < 1:
        return None
    # The last cluster is always on the other side: each way to halve them is there once.
    halves = np.arange(1, 2 ** (len(sums) - 1))[:, None] >> np.arange(len(sums)) & 1
    one, other = ((half @ sums) / (half @ sizes) for half in (halves, 1 - halves))
    lows, highs = np.sort(np.minimum(one, other)), np.sort(np.maximum(one, other))
    return float(lows[more - 1]), float(highs[-more])


def _by_cluster(values: Floats, clusters: NDArray[Any] | None) -> tuple[Floats, Floats]:
    """The sum of each cluster's values, and how many they are."""
    if clusters is None:
        return values, np.ones(len(values))
    place = np.unique(clusters, return_inverse=True)[1]
    sizes = np.bincount(place).astype(np.float64)
    if len(sizes) == len(values):
        return values, sizes  # In the order they came: then nothing changes.
    return np.bincount(place, values).astype(np.float64), sizes


def _resampled_means(sums: Floats, sizes: Floats, seed: int, draws: int) -> Floats:
    """(draws,) the mean over the queries of as many clusters, drawn with replacement."""
    random = np.random.default_rng(seed)
    alone = bool((sizes == 1).all())
    means = []
    for block in _blocks(draws, sums.size):
        drawn = random.integers(sums.size, size=(block, sums.size))
        queries = sums.size if alone else sizes[drawn].sum(axis=1)
        means.append(sums[drawn].sum(axis=1) / queries)
    return np.concatenate(means)


def _percentiles(resampled: Floats, confidence: float) -> tuple[float, float]:
    tail = (1.0 - confidence) / 2.0
    low, high = np.quantile(resampled, [tail, 1.0 - tail])
    return float(low), float(high)


@dataclass(frozen=True, slots=True)
class Corrected:
    """What one comparison among several is judged by."""

    #: After Holm's correction.
    p_value: float
    #: Of its interval.
    confidence: float


def correct(p_values: Sequence[float], alpha: float = 0.05) -> list[Corrected]:
    """For each p-value, in the order given, the corrected one and the confidence of an interval
    that agrees with it.

    Holm holds the smallest of m p-values to alpha / m, the next to alpha / (m - 1), and so on until
    one fails; all from there on stay undecided. The interval of one that passed is at 1 minus what
    it was held to; those of the k undecided are at 1 - alpha / k, as Strassburger & Bretz
    (Statistics in Medicine 2008) give them. So interval and p-value say the same, where those of
    Bonferroni (1 - alpha / m for all) now and then cover 0 beside a p-value that says "better"; in
    return they do not all cover the truth together with probability 1 - alpha, as those would.
    """
    found = holm(p_values)
    undecided = sum(one >= alpha for one in found)
    ranks = np.argsort(np.argsort(np.asarray(p_values, dtype=np.float64), kind="stable"))
    steps = [
        undecided if p_holm >= alpha else len(found) - int(rank)
        for p_holm, rank in zip(found, ranks, strict=True)
    ]
    return [Corrected(p, 1.0 - alpha / step) for p, step in zip(found, steps, strict=True)]


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


#: Queries that share relevant documents are one observation.
TOO_FEW_GROUPS = "too few groups to judge"


def verdict(
    delta: float,
    p_value: float,
    queries: int,
    alpha: float = 0.05,
    unit: str = "queries",
    clusters: int | None = None,
) -> str:
    """The difference in words a person can act on. Of several comparisons made at once,
    ``p_value`` is the corrected one (:func:`holm`). ``clusters``: of queries, None where that is
    not known."""
    if queries < ENOUGH_QUERIES:
        return f"too few {unit} to judge"
    if clusters is not None and clusters < ENOUGH_QUERIES:
        return TOO_FEW_GROUPS
    if p_value >= alpha or delta == 0:
        return f"not distinguishable on {_counted(queries, unit, clusters)}"
    return "better" if delta > 0 else "worse"


def second_stage_verdict(
    delta: float,
    p_value: float,
    queries: int,
    alpha: float = 0.05,
    clusters: int | None = None,
) -> str:
    """The same for a second stage against the order it was given: it has to earn its time."""
    if queries < ENOUGH_QUERIES:
        return "too few queries to judge"
    if clusters is not None and clusters < ENOUGH_QUERIES:
        return TOO_FEW_GROUPS
    if p_value < alpha and delta != 0:
        return f"{'better' if delta > 0 else 'worse'} than the first stage"
    if delta <= 0:
        return "no better than the first stage"
    on = _counted(queries, "queries", clusters)
    return f"not distinguishable from the first stage on {on}"


def _counted(queries: int, unit: str, clusters: int | None) -> str:
    if clusters is None or clusters >= queries:
        return f"{queries} {unit}"
    return f"{queries} {unit} in {clusters} groups that share documents"


def _all_signed_sums(sizes: Floats) -> Floats:
    sums = np.zeros(1)
    for size in sizes:
        sums = np.concatenate([sums + size, sums - size])
    return sums


def _blocks(draws: int, width: int) -> Iterator[int]:
    step = max(1, BLOCK // width)
    for start in range(0, draws, step):
        yield min(step, draws - start)
