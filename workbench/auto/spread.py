"""Was it the seed: what several models that were trained alike, but for the seed, say together.

Which rows come first, what dropout leaves out and how a fresh head begins change a model as much as
many a setting does, and a comparison that trains once takes that for an effect (Bouthillier et al.,
"Accounting for variance in machine learning benchmarks", MLSys 2021). So the interval draws both
queries (whole clusters of those that share a relevant document) and seeds, each with replacement
and crossed with the other (the pigeonhole bootstrap: Owen, Annals of Applied Statistics 2007). Of a
handful of clusters that is too narrow: there it is at least as wide as what the randomization test
does not reject of the seeds' mean gains, and there is none where that are all.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.auto.choice import LEVEL
from workbench.comparison.significance import FEW_CLUSTERS, SAME, randomization_interval
from workbench.comparison.table import interval_text

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

DRAWS = 5_000
#: What is registered.
AVERAGE, FIRST = "average", "first"


def spread(
    values: Floats, average: Floats | None, base: Floats, clusters: Ints, *, seeds: Sequence[int]
) -> dict[str, Any]:
    """What a result says, in JSON, of the models' values (seeds, queries), of those of the model
    with their average weights (None: there is none), and of the original's (both (queries,)).

    ``clusters`` (queries,); ``seeds``: what each model was trained with, two at least.
    """
    means = values.mean(axis=1)
    drawn = _drawn(values - base, clusters, seeds[0])
    # One-sided, of no gain.
    p_value = float((1 + (drawn <= 0).sum()) / (1 + DRAWS))
    low, high = np.quantile(drawn, [0.025, 0.975]).tolist()
    interval: tuple[float, float] | None = (low, high)
    if len(np.unique(clusters)) <= FEW_CLUSTERS:
        p_value, interval = _of_few((values - base).mean(axis=0), clusters, p_value, (low, high))
    averaged = None if average is None else float(average.mean())
    gain = float(means.mean() - base.mean())
    found = {
        "values": [
            {"seed": seed, "value": float(one)} for seed, one in zip(seeds, means, strict=True)
        ],
        "mean": float(means.mean()),
        "spread": float(means.std(ddof=1)),
        "average": averaged,
        "baseline": float(base.mean()),
        "gain": gain,
        "ci95": list(interval) if interval else None,
        "p_value": p_value,
        "kept": FIRST if averaged is None else chosen(means, averaged),
    }
    return {**found, "sentence": _sentence(found)}


def better(found: Mapping[str, Any]) -> bool:
    """Whether the model that is kept is better than the original: the seeds are on the mean, by
    the test, and it is none of those that are not."""
    kept = found["average"] if found["kept"] == AVERAGE else found["values"][0]["value"]
    return bool(found["p_value"] < LEVEL and kept > found["baseline"])


def chosen(means: Floats, average: float) -> str:
    """Which model is registered: the average of all weights where it is at least as good as the
    models are on the mean, else the first seed's.

    Never the best seed's: the maximum of several noisy values is mostly noise, and what it promises
    on these queries it does not keep on others.
    """
    return AVERAGE if average >= means.mean() - SAME else FIRST


def _drawn(gains: Floats, clusters: Ints, seed: int) -> Floats:
    """The mean gain (draws,) of gains (seeds, queries), queries and seeds drawn anew."""
    random = np.random.default_rng(seed)
    models = len(gains)
    places = np.unique(clusters, return_inverse=True)[1]
    sums = np.zeros((places.max() + 1, models + 1))
    np.add.at(sums, places, np.vstack([gains, np.ones(gains.shape[1])]).T)
    drawn = np.empty(DRAWS)
    for at in range(DRAWS):
        found = sums[random.integers(len(sums), size=len(sums))].sum(axis=0)
        means = found[:-1] / found[-1]
        some = means[random.integers(models, size=models)].mean()
        # Drawn from so few, means lie too close together, by this factor.
        drawn[at] = means.mean() + (some - means.mean()) * np.sqrt(models / (models - 1))
    return drawn


def _of_few(
    gains: Floats, clusters: Ints, p_value: float, drawn: tuple[float, float]
) -> tuple[float, tuple[float, float] | None]:
    """p-value and interval of mean gains (queries,) in few clusters: never more than the signs of
    the clusters tell, nor more than what was ``drawn``."""
    place = np.unique(clusters, return_inverse=True)[1]
    sums = np.bincount(place, gains).astype(np.float64)
    sizes = np.bincount(place).astype(np.float64)
    signs = 1 - 2 * (np.arange(2 ** len(sums))[:, None] >> np.arange(len(sums)) & 1)
    by_signs = float((signs @ sums >= sums.sum() - SAME).mean())
    found = randomization_interval(sums, sizes)
    if found is not None:
        found = min(found[0], drawn[0]), max(found[1], drawn[1])
    return max(p_value, by_signs), found


def _sentence(found: dict[str, Any]) -> str:
    kept = "their average" if found["kept"] == AVERAGE else "the first seed's model"
    average = found["average"]
    averaged = "" if average is None else f" The average of their weights: {average:.3f}."
    return (
        f"{len(found['values'])} seeds: mean {found['mean']:.3f}, standard deviation "
        f"{found['spread']:.3f}, gain over the original {found['gain']:+.3f} "
        f"{interval_text(*(found['ci95'] or (None, None)))} when queries and seeds are drawn anew."
        f"{averaged} Kept: {kept}."
    )
