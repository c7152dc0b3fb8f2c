"""The learning curve: what training brings at growing shares of the rows, and would with twice.

The law is the power law that learning curves were found to follow over many tasks and sizes
(Hestness et al., "Deep learning scaling is predictable, empirically", 2017; Rosenfeld et al., "A
constructive prediction of the generalization error across scales", ICLR 2020):
MAP(n) = a - b * n^-c. Three numbers from four noisy points would often run away, so ``a`` stays a
MAP (0 to 1) and ``c`` is drawn to the exponents of those papers as strongly as the points' noise
lets it (maximum a posteriori with a log-normal prior). ``b`` may be negative: rows can harm.

The forecast's interval is a bootstrap over folds and, within them, over clusters of queries that
share a relevant document (Davison & Hinkley, "Bootstrap methods and their application", 1997,
section 3.8). It holds the training's own variation, too: each fold's model saw other rows.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.comparison.names import HEADLINE

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

#: The exponents that are tried, and the prior: 95% of it lies between .08 and 1.2.
EXPONENTS = np.geomspace(0.02, 3.0, 101)
USUAL_EXPONENT, SPREAD = 0.3, 0.7
#: Below this, the noise of a point is rounding.
LEAST_NOISE = 1e-5
DRAWS = 2_000
#: A change of MAP that nobody would notice: a curve that certainly stays within it is flat.
FLAT = 0.005


@dataclass(frozen=True, slots=True)
class Point:
    """The models trained on one share (in percent) of the rows, one for each fold; ``rows`` and
    ``queries`` are what they were trained on, the folds' mean. ``values`` (measured queries,) are
    the average precisions, each by the model of the fold that left the query out."""

    share: float
    rows: float
    queries: float
    values: Floats


@dataclass(frozen=True, slots=True)
class Law:
    """MAP(n) = a - b * n^-c."""

    a: float
    b: float
    c: float

    def at(self, rows: float) -> float:
        """The MAP after training on so many rows, within 0 and 1."""
        return float(np.clip(self.a - self.b * rows**-self.c, 0.0, 1.0))


def fit(rows: Sequence[float], values: Sequence[float], noise: float = LEAST_NOISE) -> Law:
    """The law through points (rows, MAP), of which ``noise`` is the standard deviation around it.

    Raises ValueError where there are fewer than two points, or one of no rows.
    """
    a, b, c = _fitted(np.asarray(rows, float), np.asarray([values], float), noise)
    return Law(float(a[0]), float(b[0]), float(c[0]))


def _fitted(rows: Floats, values: Floats, noise: float) -> tuple[Floats, Floats, Floats]:
    """Laws of many draws at once: values (draws, points) -> a, b, c (draws,)."""
    if len(rows) < 2 or len(rows) != values.shape[1] or rows.min() <= 0:
        raise ValueError("a curve needs two points or more, each of some rows")
    largest, noise = rows.max(), max(noise, LEAST_NOISE)
    best = np.full(len(values), np.inf)
    found = np.zeros((3, len(values)))
    for c in EXPONENTS:
        x = (rows / largest) ** -c
        a, b = _line(x, values)
        off = ((values - a[:, None] + b[:, None] * x) ** 2).sum(axis=1) / noise**2
        off += (np.log(c / USUAL_EXPONENT) / SPREAD) ** 2
        better = off < best
        best = np.where(better, off, best)
        found = np.where(better, np.stack([a, b * largest**c, np.full_like(a, c)]), found)
    return found[0], found[1], found[2]


def _line(x: Floats, values: Floats) -> tuple[Floats, Floats]:
    """The least squares of values = a - b * x, with ``a`` within 0 and 1."""
    off = x - x.mean()
    spread = float(off @ off)
    b = -(values @ off) / spread if spread > 0 else np.zeros(len(values))
    a = values.mean(axis=1) + b * x.mean()
    bounded = np.clip(a, 0.0, 1.0)
    b = np.where(bounded == a, b, ((bounded[:, None] - values) @ x) / float(x @ x))
    return bounded, b


# The whole curve, with its forecast.


def learning_curve(
    points: Sequence[Point], base: Floats, folds: Ints, clusters: Ints, *, total: int, seed: int
) -> dict[str, Any]:
    """What the task's result says of the measured points, in JSON.

    ``base`` (queries,): the untrained model on the same queries; ``folds`` and ``clusters``
    (queries,): which fold left the query out, and which queries share a relevant document.
    ``total``: all rows that there are, which a model for use is trained on; the forecast is for
    twice as many. Raises ValueError as :func:`fit` does.
    """
    values = np.stack([base, *(one.values for one in points)])
    drawn = _draws(values, folds, clusters, np.random.default_rng(seed))
    rows = np.array([one.rows for one in points])
    means = values.mean(axis=1)
    noise = _noise(drawn[:, 1:])
    law = fit(rows.tolist(), means[1:].tolist(), noise)
    a, b, c = _fitted(rows, drawn[:, 1:], noise)
    here, twice = (np.clip(a - b * float(n) ** -c, 0, 1) for n in (total, 2 * total))
    gain = law.at(2 * total) - law.at(total)
    ci95 = _interval(twice - here)
    return {
        "metric": HEADLINE,
        "baseline": float(means[0]),
        "measured_queries": len(base),
        "points": [
            {
                "share": one.share,
                "rows": round(one.rows),
                "queries": round(one.queries),
                HEADLINE: float(means[at]),
                **dict(zip(("low", "high"), _interval(drawn[:, at]), strict=True)),
                "folds": [float(one.values[folds == fold].mean()) for fold in np.unique(folds)],
                "gain": float(means[at] - means[0]),
                "gain_ci95": _interval(drawn[:, at] - drawn[:, 0]),
            }
            for at, one in enumerate(points, start=1)
        ],
        "fit": {"a": law.a, "b": law.b, "c": law.c},
        "rows": total,
        "doubled": {"rows": 2 * total, "gain": gain, "ci95": ci95},
        "sentence": sentence(gain, ci95[0], ci95[1]),
    }


def sentence(gain: float, low: float, high: float) -> str:
    """What twice the labels would bring, and whether that is certain."""
    said = f"Twice the labels: {_signed(gain)} [{_signed(low)}, {_signed(high)}] MAP@100."
    if max(abs(low), abs(high)) <= FLAT:
        return f"{said} The curve is flat: more labels like these would change next to nothing."
    if low > 0:
        return f"{said} The curve still rises: more labels like these help."
    if high < 0:
        return f"{said} The curve falls: more labels like these do harm."
    return f"{said} The interval holds 0: these labels do not tell whether more of them would help."


def _signed(value: float) -> str:
    """Never '-0.000'."""
    return f"{round(value, 3) + 0.0:+.3f}"


def _draws(values: Floats, folds: Ints, clusters: Ints, random: np.random.Generator) -> Floats:
    """Bootstrap means (draws, models) of values (models, queries): folds drawn with replacement,
    and in each its clusters."""
    sums = [_sums(values[:, folds == one], clusters[folds == one]) for one in np.unique(folds)]
    found = np.empty((DRAWS, len(values)))
    for at in range(DRAWS):
        drawn = np.zeros(len(values) + 1)
        for fold in random.integers(len(sums), size=len(sums)):
            table = sums[fold]
            drawn += table[random.integers(len(table), size=len(table))].sum(axis=0)
        found[at] = drawn[:-1] / drawn[-1]
    return found


def _sums(values: Floats, clusters: Ints) -> Floats:
    """(clusters, models + 1): the values' sums in each cluster, and last its number of queries."""
    places = np.unique(clusters, return_inverse=True)[1]
    counted = np.vstack([values, np.ones(values.shape[1])])
    found = np.zeros((places.max() + 1, len(counted)))
    np.add.at(found, places, counted.T)
    return found


def _noise(drawn: Floats) -> float:
    """The standard deviation of a point around the curve: what all points of a draw have in
    common, its easy or hard queries, moves the curve as a whole."""
    return float(np.std(drawn - drawn.mean(axis=1, keepdims=True), axis=0).mean())


def _interval(drawn: Floats) -> list[float]:
    low, high = np.quantile(drawn, [0.025, 0.975])
    return [float(low), float(high)]
