"""Paired tests: hand-computed cases, and laws that hold for any numbers."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.comparison.significance import (
    EXACT_UP_TO,
    bootstrap_interval,
    compare,
    randomization_p_value,
    second_stage_verdict,
    verdict,
)

values = st.lists(st.floats(0, 1), min_size=1, max_size=40).map(np.array)
pairs = st.integers(1, 40).flatmap(
    lambda n: st.tuples(
        *[st.lists(st.floats(0, 1), min_size=n, max_size=n).map(np.array) for _ in range(2)]
    )
)


def test_exact_p_value_counts_all_sign_patterns() -> None:
    differences = np.array([0.5, 0.25, -0.125, 0.0])
    moved = [0.5, 0.25, 0.125]
    sums = [abs(sum(s * d for s, d in zip(signs, moved, strict=True))) for signs in SIGNS]
    expected = sum(one >= 0.625 - 1e-12 for one in sums) / len(sums)
    assert randomization_p_value(differences, seed=0) == pytest.approx(expected)


SIGNS = list(product((1, -1), repeat=3))


def test_three_gains_of_three_cannot_be_significant() -> None:
    # The smallest p that three queries allow is 2 of 8 patterns.
    assert randomization_p_value(np.array([0.1, 0.2, 0.3]), seed=0) == pytest.approx(0.25)


def test_drawn_p_value_agrees_with_the_exact_one() -> None:
    differences = np.random.default_rng(1).normal(0.1, 0.3, EXACT_UP_TO)
    exact = randomization_p_value(differences, seed=0)
    # Repeating all but nothing: one tiny extra difference pushes it over to drawing.
    drawn = randomization_p_value(np.append(differences, 1e-6), seed=0)
    assert drawn == pytest.approx(exact, abs=0.02)


def test_no_difference_at_all_has_p_one() -> None:
    same = np.array([0.2, 0.4])
    result = compare(same, same.copy(), seed=0)
    assert (result.p_value, result.delta, result.ci95) == (1.0, 0.0, (0.0, 0.0))
    assert (result.wins, result.losses, result.ties) == (0, 0, 2)


def test_interval_is_that_of_the_normal_distribution_for_many_queries() -> None:
    differences = np.random.default_rng(2).normal(0.05, 0.2, 2000)
    low, high = bootstrap_interval(differences, seed=3)
    error = differences.std() / np.sqrt(len(differences))
    assert low == pytest.approx(differences.mean() - 1.96 * error, abs=0.1 * error)
    assert high == pytest.approx(differences.mean() + 1.96 * error, abs=0.1 * error)


def test_blocks_do_not_change_how_many_are_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    differences = np.random.default_rng(4).normal(0.02, 0.2, 50)
    whole = randomization_p_value(differences, seed=5)
    monkeypatch.setattr("workbench.comparison.significance.BLOCK", 50 * 7)
    assert randomization_p_value(differences, seed=5) == pytest.approx(whole, abs=0.02)


@settings(max_examples=60, deadline=None)
@given(pairs)
def test_swapping_the_models_turns_the_comparison_round(pair: tuple[np.ndarray, ...]) -> None:
    there = compare(*pair, seed=7, draws=500)
    back = compare(*pair[::-1], seed=7, draws=500)
    assert back.delta == pytest.approx(-there.delta)
    assert (back.wins, back.losses, back.ties) == (there.losses, there.wins, there.ties)
    assert back.p_value == there.p_value
    assert back.ci95[0] == pytest.approx(-there.ci95[1], abs=1e-9)
    assert back.ci95[1] == pytest.approx(-there.ci95[0], abs=1e-9)


@settings(max_examples=60, deadline=None)
@given(pairs)
def test_bounds(pair: tuple[np.ndarray, ...]) -> None:
    result = compare(*pair, seed=7, draws=500)
    differences = pair[0] - pair[1]
    assert 0 < result.p_value <= 1
    assert differences.min() - 1e-9 <= result.ci95[0] <= result.ci95[1] <= differences.max() + 1e-9
    assert result.wins + result.losses + result.ties == result.queries == len(differences)


def test_different_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match="same length"):
        compare(np.zeros(2), np.zeros(3), seed=0)


@pytest.mark.parametrize(
    ("delta", "p", "queries", "words"),
    [
        (0.1, 0.01, 300, "better"),
        (-0.1, 0.01, 300, "worse"),
        (0.1, 0.2, 300, "not distinguishable on 300 queries"),
        (0.1, 0.0001, 49, "too few queries to judge"),
        (0.0, 1.0, 50, "not distinguishable on 50 queries"),
    ],
)
def test_verdict(delta: float, p: float, queries: int, words: str) -> None:
    assert verdict(delta, p, queries) == words


@pytest.mark.parametrize(
    ("delta", "p_value", "words"),
    [
        (-0.2, 0.001, "worse than the first stage"),
        (0.2, 0.001, "better than the first stage"),
        (-0.01, 0.4, "no better than the first stage"),
        (0.0, 1.0, "no better than the first stage"),
        (0.01, 0.4, "not distinguishable from the first stage on 100 queries"),
    ],
)
def test_a_second_stage_has_to_beat_the_order_it_was_given(
    delta: float, p_value: float, words: str
) -> None:
    assert second_stage_verdict(delta, p_value, 100) == words
    assert second_stage_verdict(delta, p_value, 49) == "too few queries to judge"
