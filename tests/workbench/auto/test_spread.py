"""What several seeds say together: an interval of queries and seeds, and which model is kept."""

import json

import numpy as np
import pytest

from workbench.auto.spread import AVERAGE, FIRST, better, chosen, spread
from workbench.comparison.significance import randomization_interval


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


def test_few_groups_of_queries_have_a_wider_interval_or_none() -> None:
    """Six groups whose gains have one sign are one pattern of 64; of five none is rare enough."""
    random = np.random.default_rng(3)
    for groups in (8, 5):
        clusters = np.arange(40) % groups
        base = random.uniform(0.2, 0.6, 40)
        gains = random.uniform(0.0, 0.2, groups)[clusters]
        values = np.stack([base + gains] * 2)
        found = spread(values, None, base, clusters, seeds=[1, 2])
        sums, sizes = np.bincount(clusters, gains), np.bincount(clusters).astype(float)
        expected = randomization_interval(sums, sizes)
        if groups == 5:
            assert found["ci95"] is None and "[-]" in found["sentence"]
            assert found["p_value"] == pytest.approx(2.0**-5)
            continue
        assert expected is not None
        low, high = found["ci95"]
        assert low <= expected[0] + 1e-9 and high >= expected[1] - 1e-9


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


def test_a_kept_model_below_the_base_is_no_better_though_the_seeds_are_on_the_mean() -> None:
    """What is tested is the mean of the seeds; what is kept is one of them."""
    random = np.random.default_rng(0)
    base = random.uniform(0.2, 0.8, 300)
    values = np.stack([base - 0.001, base + 0.1, base + 0.1])
    found = spread(values, base - 0.05, base, np.arange(300), seeds=range(3))
    assert found["kept"] == FIRST and found["gain"] > 0.05
    assert not better({**found, "p_value": 0.001})
    found = spread(values, base + 0.08, base, np.arange(300), seeds=range(3))
    assert found["kept"] == AVERAGE and better({**found, "p_value": 0.001})
    assert not better({**found, "p_value": 0.2})


def test_adapters_have_no_average() -> None:
    base = np.linspace(0.2, 0.8, 60)
    values = np.stack([base + 0.1, base + 0.2])
    found = spread(values, None, base, np.arange(60), seeds=range(2))
    assert (found["kept"], found["average"]) == (FIRST, None)
    assert str(found["sentence"]).endswith("drawn anew. Kept: the first seed's model.")
    assert better({**found, "p_value": 0.001})
