"""Which trained candidate to take, and whether it is better than the base: one honest answer.

Taking the best of several candidates (lengths, steps, blends) and judging it by the same queries
finds a gain where there is none. So the candidate that stands for a group's queries is chosen on
the other groups' queries (nested cross-validation: Stone, JRSS B 1974; Varma & Simon, BMC
Bioinformatics 2006), and the pooled values are compared with the base's.

The groups' pooled values are not independent even so. Where one group's luck makes another take the
candidate that is lucky there too, both gain: with two candidates and two groups the sum varies by a
third more than its parts. So the test makes the choices again: under the null hypothesis each
cluster's differences, those of all candidates together, could as well have had the other sign
(the paired randomization test: Smucker, Allan & Carterette, CIKM 2007), and every pattern of signs
goes through the whole procedure. It holds exactly, whatever is chosen from, also where a cluster's
queries lie in several groups. The interval draws whole clusters with replacement and makes the
choices again likewise (percentile bootstrap: Efron & Tibshirani 1993). Of a handful of clusters it
would be too narrow: there it holds the gains that the randomization test does not reject, and there
is none where that are all.

The base at its best length is not known either. Taking the length that is best on the very queries
overstates the base, never the gain; but the differences from another length may vary more. So the
candidate has to beat the base at every length, each by the test: the p-value is the largest one
(an intersection-union test: Berger, Technometrics 1982), which needs no correction.

What is tested are the models that were trained. The luck of one training run shows as far as the
groups were measured by models of their own; a handful of groups cannot tell its size.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.comparison.significance import (
    BLOCK,
    DRAWS,
    EXACT_UP_TO,
    FEW_CLUSTERS,
    SAME,
    randomization_interval,
)

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

#: A candidate with a one-sided p-value below this is recommended.
LEVEL = 0.05


@dataclass(frozen=True, slots=True)
class Choice:
    """What was chosen, and what the whole way of choosing gains over the base."""

    #: The candidate chosen on all queries: the one to use.
    candidate: str
    #: The base's best length on all queries.
    baseline: str
    #: Group -> the candidate that stood for its queries, chosen on the other groups'.
    chosen: dict[int, str]
    #: (n,) each query's value by the candidate that was chosen without its group.
    values: Floats
    #: (n,) the base's values at its best length.
    base: Floats
    #: How many groups of queries share relevant documents: what the test counts.
    clusters: int
    delta: float
    #: One-sided: how often chance alone gains as much, against the length hardest to beat.
    p_value: float
    #: None where there are too few clusters for any.
    ci95: tuple[float, float] | None
    recommended: bool


def choose(
    bases: Mapping[str, Floats],
    candidates: Mapping[str, Floats],
    groups: NDArray[Any],
    clusters: NDArray[Any],
    *,
    seed: int,
    draws: int = DRAWS,
) -> Choice:
    """Choose among ``candidates`` (name -> (n,) values per query) and compare with ``bases``
    (name of a length -> (n,)).

    ``groups`` (n,): numbers of the folds, each candidate's values measured by a model that saw none
    of the group's queries; with one split that was held out, groups that
    :func:`workbench.auto.folds.deal` makes of it. ``clusters`` (n,): numbers of queries that share
    relevant documents. Of equally good candidates the one named first is taken. Raises ValueError
    for lists of different lengths, and where there are not two groups.
    """
    _refuse_uneven(bases, candidates, groups, clusters)
    names, lengths = list(candidates), list(bases)
    values = np.stack([np.asarray(candidates[name], np.float64) for name in names])
    base = np.stack([np.asarray(bases[name], np.float64) for name in lengths])
    best = int(base.mean(axis=1).argmax())
    numbers, group = np.unique(groups, return_inverse=True)
    cluster = np.unique(clusters, return_inverse=True)[1]
    chosen = _best_elsewhere(values, group)
    nested = values[chosen[group], np.arange(len(group))]
    sums = [_Sums.of(values - one, group, cluster) for one in base]
    p_value = max(
        _p_value(one, float((nested - length).sum()), seed, draws)
        for one, length in zip(sums, base, strict=True)
    )
    delta = float((nested - base[best]).mean())
    return Choice(
        candidate=names[int(values.mean(axis=1).argmax())],
        baseline=lengths[best],
        chosen={int(numbers[at]): names[one] for at, one in enumerate(chosen.tolist())},
        values=nested,
        base=base[best],
        clusters=int(cluster.max()) + 1,
        delta=delta,
        p_value=p_value,
        ci95=_interval(sums[best], nested - base[best], cluster, seed, draws),
        recommended=p_value < LEVEL and delta > 0,
    )


def _refuse_uneven(
    bases: Mapping[str, Floats],
    candidates: Mapping[str, Floats],
    groups: NDArray[Any],
    clusters: NDArray[Any],
) -> None:
    shapes = {np.shape(one) for one in (*bases.values(), *candidates.values(), groups, clusters)}
    if not bases or not candidates or len(shapes) != 1 or len(shapes.pop()) != 1:
        raise ValueError("a base and a candidate are needed, each with one value for each query")
    if len(np.unique(groups)) < 2:
        raise ValueError("at least two groups of queries are needed to choose on the others")


def _best_elsewhere(values: Floats, group: Ints) -> Ints:
    """For each group the place of the candidate that is best on the others; ``values``
    (candidates, n)."""
    return np.array(
        [int(values[:, group != one].mean(axis=1).argmax()) for one in range(int(group.max()) + 1)]
    )


@dataclass(frozen=True, slots=True)
class _Sums:
    """Differences from one base, added up by cluster."""

    #: (clusters, groups, candidates)
    differences: Floats
    #: (clusters,): how many queries.
    sizes: Floats

    @classmethod
    def of(cls, differences: Floats, group: Ints, cluster: Ints) -> "_Sums":
        """``differences`` (candidates, n)."""
        shape = int(cluster.max()) + 1, int(group.max()) + 1
        place = np.ravel_multi_index((cluster, group), shape)
        size = shape[0] * shape[1]
        summed = [np.bincount(place, one, size).reshape(shape) for one in differences]
        return cls(np.stack(summed, axis=2), np.bincount(cluster).astype(np.float64))

    def gains(self, weights: Floats) -> Floats:
        """The summed gain of the whole procedure for each pattern of ``weights`` (patterns,
        clusters)."""
        flat = self.differences.reshape(len(self.sizes), -1)
        gained = (weights @ flat).reshape(-1, *self.differences.shape[1:])
        # For one group's choice the largest sum is the largest mean: it has the same queries.
        chosen = (gained.sum(axis=1, keepdims=True) - gained).argmax(axis=2)
        return np.asarray(np.take_along_axis(gained, chosen[:, :, None], axis=2).sum(axis=(1, 2)))

    def blocks(self, patterns: int) -> Iterator[tuple[int, int]]:
        """Ranges of so many patterns, each with at most :data:`BLOCK` numbers at once."""
        step = max(1, BLOCK // max(len(self.sizes), self.differences[0].size))
        for start in range(0, patterns, step):
            yield start, min(start + step, patterns)


def _p_value(sums: _Sums, observed: float, seed: int, draws: int) -> float:
    """How often the procedure gains ``observed`` (a sum) where each cluster's differences have
    their signs by chance."""
    moved = (np.abs(sums.differences) > SAME).any(axis=(1, 2))
    count = int(moved.sum())
    if count == 0:
        return 1.0
    sums = _Sums(sums.differences[moved], sums.sizes[moved])
    random = np.random.default_rng(seed)
    exact = count <= EXACT_UP_TO
    extreme = 0
    for start, end in sums.blocks(2**count if exact else draws):
        if exact:
            bits = (np.arange(start, end)[:, None] >> np.arange(count)) & 1
        else:
            bits = random.integers(2, size=(end - start, count))
        # Rounding must not turn a gain as large as the observed one into a smaller one.
        extreme += int((sums.gains(np.asarray(bits * 2 - 1, np.float64)) >= observed - SAME).sum())
    # The observed pattern is among all of them; beside drawn ones it counts as one more.
    return extreme / 2**count if exact else (extreme + 1) / (draws + 1)


def _interval(
    sums: _Sums, gained: Floats, cluster: Ints, seed: int, draws: int
) -> tuple[float, float] | None:
    """The central 95% of the mean gain over clusters drawn with replacement; of few clusters what
    the randomization test does not reject of the gains (n,), as they were chosen."""
    count = len(sums.sizes)
    if count <= FEW_CLUSTERS:
        summed = np.bincount(cluster, gained).astype(np.float64)
        return randomization_interval(summed, sums.sizes)
    random = np.random.default_rng(seed)
    means = []
    for start, end in sums.blocks(draws):
        drawn = random.integers(count, size=(end - start, count))
        drawn += np.arange(end - start)[:, None] * count
        times = np.bincount(drawn.ravel(), minlength=drawn.size)
        weights = times.reshape(drawn.shape).astype(np.float64)
        means.append(sums.gains(weights) / (weights @ sums.sizes))
    low, high = np.quantile(np.concatenate(means), [0.025, 0.975])
    return float(low), float(high)
