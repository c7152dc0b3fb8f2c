"""What several seeds say together: an interval of queries and seeds, and which model is kept."""

import json

import numpy as np
import pytest

from workbench.auto.spread import AVERAGE, FIRST, chosen, spread


def test_the_best_seed_is_never_taken_for_its_value() -> None:
    means = np.array([0.50, 0.70, 0.60])
    assert chosen(means, 0.60) == AVERAGE
    assert chosen(means, 0.59) == FIRST


def measured(luck: float, seeds: int = 4, gain: float = 0.05, draw: int = 0) -> dict[str, object]:
    """Seeds whose values differ by ``luck``, over 120 queries in 60 clusters."""
    random = np.random.default_rng(draw)
    base = random.uniform(0.2, 0.8, 120)
    clusters = np.arange(120) // 2
    shift = np.repeat(random.normal(0, 0.05, 60), 2)
    values = base + gain + shift + random.normal(0, luck, (seeds, 1))
    return spread(values, values.mean(axis=0), base, clusters, seeds=range(7, 7 + seeds))


def width(found: dict[str, object]) -> float:
    low, high = found["ci95"]  # type: ignore[misc]
    return float(high - low)


def test_seeds_that_differ_widen_the_interval() -> None:
    alike, apart = measured(0.0), measured(0.1)
    assert width(apart) > 2 * width(alike)
    assert alike["spread"] == pytest.approx(0.0, abs=1e-9)
    assert alike["p_value"] < 0.01  # type: ignore[operator]
    low, high = alike["ci95"]  # type: ignore[misc]
    assert low < alike["gain"] < high  # type: ignore[operator]


def test_it_says_each_seed_and_all_of_them() -> None:
    found = measured(0.01)
    assert [one["seed"] for one in found["values"]] == [7, 8, 9, 10]  # type: ignore[attr-defined]
    assert str(found["sentence"]).startswith("4 seeds: mean ")
    assert str(found["sentence"]).endswith("Kept: their average.")
    json.dumps(found, allow_nan=False)


def test_the_interval_holds_the_truth_mostly() -> None:
    """Where three seeds differ as much as queries do."""
    held = 0
    for draw in range(40):
        low, high = measured(0.02, seeds=3, draw=draw)["ci95"]  # type: ignore[misc]
        held += low <= 0.05 <= high
    assert held >= 32
