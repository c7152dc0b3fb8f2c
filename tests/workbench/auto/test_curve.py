"""A learning curve's law is found again; its forecast is bounded and honest."""

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.auto import curve
from workbench.auto.curve import Law, Point, fit, learning_curve, sentence

ROWS = (100.0, 200.0, 400.0, 800.0)
UNIT = st.floats(0.0, 1.0)


def measured(means: Any, *, noise: float = 0.0, queries: int = 90, seed: int = 0) -> dict[str, Any]:
    """The curve of points at ``ROWS`` whose queries differ as queries do."""
    random = np.random.default_rng(seed)
    hard = random.uniform(-0.2, 0.2, queries)
    points = [
        Point(100 * rows / ROWS[-1], rows, rows, mean + hard + random.normal(0, noise, queries))
        for rows, mean in zip(ROWS, means, strict=False)
    ]
    folds = np.arange(queries) % 3
    clusters = np.arange(queries) // 3
    base = np.full(queries, 0.4) + hard
    return learning_curve(points, base, folds, clusters, total=1200, seed=1)


@given(st.floats(0.5, 1.0), st.floats(0.05, 2.0), st.floats(0.15, 1.2))
@settings(max_examples=60, deadline=None)
def test_a_law_is_found_again(a: float, b: float, c: float) -> None:
    true = Law(a, b, c)
    values = [a - b * rows**-c for rows in ROWS]
    found = fit(ROWS, values)
    assert np.allclose(
        [found.at(rows) for rows in ROWS], [true.at(rows) for rows in ROWS], atol=2e-3
    )
    doubled, wanted = found.at(1600) - found.at(800), true.at(1600) - true.at(800)
    assert doubled == pytest.approx(wanted, abs=2e-3)
    assert doubled >= 0


@given(st.lists(UNIT, min_size=2, max_size=6), st.floats(0.0, 0.2))
@settings(max_examples=100, deadline=None)
def test_any_values_give_a_bounded_law(values: list[float], noise: float) -> None:
    rows = [50.0 * 2**at for at in range(len(values))]
    law = fit(rows, values, noise)
    assert np.isfinite([law.a, law.b, law.c]).all()
    assert 0 <= law.a <= 1
    assert all(0 <= law.at(n) <= 1 for n in (1, rows[-1], 2 * rows[-1], 10**9))


@given(st.lists(UNIT, min_size=2, max_size=4), st.integers(0, 100))
@settings(max_examples=10, deadline=None)
def test_any_points_give_numbers(means: list[float], seed: int) -> None:
    found = measured(means, noise=0.1, seed=seed)
    # JSON without NaN or infinities, which would be refused here.
    json.dumps(found, allow_nan=False)
    low, high = found["doubled"]["ci95"]
    assert low <= high


def test_shares_of_the_same_rows_give_numbers() -> None:
    """Of few rows, two shares can be the same ones."""
    law = fit([2.0, 2.0], [0.3, 0.5])
    assert law.at(4) == pytest.approx(0.4)


def test_a_curve_needs_two_points() -> None:
    with pytest.raises(ValueError, match="two points"):
        fit([100.0], [0.5])


def test_a_curve_that_rises_is_forecast_to_rise() -> None:
    true = Law(0.9, 2.0, 0.4)
    found = measured([true.at(rows) for rows in ROWS], noise=0.03)
    low, high = found["doubled"]["ci95"]
    assert 0 < low < found["doubled"]["gain"] < high
    assert low < true.at(2400) - true.at(1200) < high
    assert found["sentence"].endswith("more labels like these help.")
    assert [one["share"] for one in found["points"]] == [12.5, 25, 50, 100]
    assert found["points"][-1]["gain"] > found["points"][0]["gain"] > 0
    assert len(found["points"][0]["folds"]) == 3
    assert found["baseline"] == pytest.approx(0.4, abs=0.05)


def test_a_flat_curve_is_called_flat() -> None:
    found = measured([0.6] * 4, noise=0.005, queries=300)
    assert "The curve is flat" in found["sentence"]


def test_noise_is_not_called_a_gain() -> None:
    found = measured([0.6] * 4, noise=0.15, queries=45)
    low, high = found["doubled"]["ci95"]
    assert low < 0 < high
    assert "The interval holds 0" in found["sentence"]


def test_a_curve_that_falls_is_said_to_fall() -> None:
    found = measured([0.7, 0.6, 0.5, 0.4], noise=0.01)
    assert found["doubled"]["gain"] < 0
    assert found["sentence"].endswith("more labels like these do harm.")


def test_the_sentence_has_no_minus_zero() -> None:
    assert sentence(-0.0001, -0.0002, 0.0) == (
        "Twice the labels: +0.000 [+0.000, +0.000] MAP@100. "
        "The curve is flat: more labels like these would change next to nothing."
    )


def test_the_interval_holds_the_truth_mostly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 40 simulated data sets whose folds' models differ by luck, too."""
    monkeypatch.setattr(curve, "DRAWS", 200)
    true, random = Law(0.8, 1.0, 0.35), np.random.default_rng(5)
    held = 0
    for at in range(40):
        folds = np.arange(150) % 3
        clusters = np.arange(150) // 3
        hard = random.uniform(-0.15, 0.15, 50)[clusters]
        points = [
            Point(
                100 * rows / ROWS[-1],
                rows,
                rows,
                true.at(rows)
                + hard
                + random.normal(0, 0.008, 3)[folds]
                + random.normal(0, 0.08, 150),
            )
            for rows in ROWS
        ]
        found = learning_curve(points, hard, folds, clusters, total=1200, seed=at)
        low, high = found["doubled"]["ci95"]
        held += low <= true.at(2400) - true.at(1200) <= high
    assert held >= 34
