"""Paired tests: hand-computed cases, and laws that hold for any numbers."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.comparison.significance import (
    EXACT_UP_TO,
    compare,
    correct,
    holm,
    mean_interval,
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
    assert (result.p_value, result.delta, result.ci95) == (1.0, 0.0, None)
    assert (result.wins, result.losses, result.ties) == (0, 0, 2)


def test_interval_is_that_of_the_normal_distribution_for_many_queries() -> None:
    differences = np.random.default_rng(2).normal(0.05, 0.2, 2000)
    found = mean_interval(differences, seed=3)
    assert found is not None
    low, high = found
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
    if there.ci95 is None or back.ci95 is None:
        assert there.ci95 == back.ci95
        return
    assert back.ci95[0] == pytest.approx(-there.ci95[1], abs=1e-9)
    assert back.ci95[1] == pytest.approx(-there.ci95[0], abs=1e-9)


@settings(max_examples=60, deadline=None)
@given(pairs)
def test_bounds(pair: tuple[np.ndarray, ...]) -> None:
    result = compare(*pair, seed=7, draws=500)
    differences = pair[0] - pair[1]
    assert 0 < result.p_value <= 1
    if result.ci95 is not None:
        low, high = result.ci95
        assert differences.min() - 1e-9 <= low <= high <= differences.max() + 1e-9
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


# -- queries that share relevant documents ---------------------------------------------------


def shared(seed: int, clusters: int = 40, each: int = 8) -> tuple[np.ndarray, np.ndarray]:
    """Differences of which nearly all is their cluster's, and the clusters."""
    random = np.random.default_rng(seed)
    numbers = np.repeat(np.arange(clusters), each)
    differences = random.normal(0.06, 0.2, clusters)[numbers] + random.normal(0, 0.02, len(numbers))
    mixed = random.permutation(len(numbers))
    return differences[mixed], numbers[mixed]


def test_every_query_its_own_cluster_is_the_plain_test() -> None:
    differences, _ = shared(1)
    against = np.zeros(len(differences))
    plain = compare(differences, against, seed=3)
    alone = compare(differences, against, seed=3, clusters=np.arange(len(differences))[::-1])
    assert (plain.p_value, plain.ci95) == (alone.p_value, alone.ci95)
    assert plain.clusters == alone.clusters == plain.queries == 320


def test_what_clusters_share_widens_the_interval_and_raises_p() -> None:
    differences, clusters = shared(2)
    against = np.zeros(len(differences))
    plain = compare(differences, against, seed=3)
    grouped = compare(differences, against, seed=3, clusters=clusters)
    assert (grouped.queries, grouped.clusters, grouped.delta) == (320, 40, plain.delta)
    assert plain.ci95 is not None and grouped.ci95 is not None
    width, wider = (high - low for low, high in (plain.ci95, grouped.ci95))
    # Eight queries that say the same are one: the interval is the square root of 8 times as wide.
    assert wider / width == pytest.approx(8**0.5, rel=0.25)
    assert plain.p_value < 0.001 < grouped.p_value
    assert mean_interval(differences, seed=3, clusters=clusters) == grouped.ci95


def test_no_difference_is_found_once_in_twenty_by_clusters_and_often_by_query() -> None:
    found = []
    for seed in range(400):
        differences, clusters = shared(seed)
        differences -= 0.06
        against = np.zeros(len(differences))
        ways = (None, clusters)
        found.append(
            [compare(differences, against, seed=1, draws=199, clusters=one) for one in ways]
        )
    plain, grouped = np.array([[one.p_value < 0.05 for one in pair] for pair in found]).mean(axis=0)
    assert grouped <= 0.05 + 4 * (0.05 * 0.95 / 400) ** 0.5
    assert plain > 0.3


def test_clusters_that_cancel_out_are_no_difference() -> None:
    differences = np.array([0.1, 0.2, -0.3] * 20)
    found = compare(differences, np.zeros(60), seed=1, clusters=np.arange(60) // 3)
    assert found.p_value == 1.0 and (found.wins, found.losses) == (40, 20)
    assert found.ci95 == pytest.approx((0.0, 0.0))


@pytest.mark.parametrize("clusters", [1, 4, 5, 6, 7, 8])
def test_with_a_handful_of_clusters_the_interval_says_what_the_p_value_says(clusters: int) -> None:
    for seed in range(30):
        random = np.random.default_rng(seed)
        numbers = np.repeat(np.arange(clusters), random.integers(5, 60, clusters))
        differences = random.normal(0.1, 0.1, clusters)[numbers]
        found = compare(differences, np.zeros(len(numbers)), seed=1, clusters=numbers)
        if clusters < 6:  # No pattern of so few signs is rarer than 2 in 2**5.
            assert found.ci95 is None and found.p_value > 0.05
            continue
        assert found.ci95 is not None
        low, high = found.ci95
        assert low <= found.delta <= high
        assert (low <= 0 <= high) == (found.p_value >= 0.05)
        for level in (low - 1e-6, high + 1e-6):
            moved = compare(differences - level, np.zeros(len(numbers)), seed=1, clusters=numbers)
            assert moved.p_value < 0.05
        inside = compare(differences - low - 1e-6, differences * 0, seed=1, clusters=numbers)
        assert inside.p_value >= 0.05


def test_groups_are_what_is_counted() -> None:
    """Queries that share relevant documents are one observation."""
    assert verdict(0.1, 0.001, 400, clusters=49) == "too few groups to judge"
    assert second_stage_verdict(0.1, 0.001, 400, clusters=49) == "too few groups to judge"
    assert verdict(0.1, 0.001, 400, clusters=50) == "better"


def test_verdicts_say_how_many_groups_there_are() -> None:
    words = "not distinguishable on 432 queries in 80 groups that share documents"
    assert verdict(0.01, 0.2, 432, clusters=80) == words
    assert verdict(0.01, 0.2, 432, clusters=432) == "not distinguishable on 432 queries"
    words = words.replace("distinguishable", "distinguishable from the first stage")
    assert second_stage_verdict(0.01, 0.2, 432, clusters=80) == words


# -- several comparisons at once -------------------------------------------------------------


def test_one_comparison_is_not_corrected() -> None:
    (only,) = correct([0.03])
    assert (only.p_value, only.confidence) == (0.03, pytest.approx(0.95))


def test_intervals_are_at_the_level_of_holms_step() -> None:
    """The smallest is held to a third of 5%; the two that stay undecided to half of it."""
    found = correct([0.6, 0.01, 0.03])
    assert [one.p_value for one in found] == holm([0.6, 0.01, 0.03])
    levels = [1 - one.confidence for one in found]
    assert levels == pytest.approx([0.025, 0.05 / 3, 0.025])
    # Where all pass, the last needs no more than 5%.
    levels = [1 - one.confidence for one in correct([0.01, 0.03, 0.02])]
    assert levels == pytest.approx([0.05 / 3, 0.05, 0.025])


def test_a_corrected_interval_says_what_the_corrected_p_value_says() -> None:
    """Models whose gains are about two standard errors: alone, more intervals leave 0 out."""
    alone = together = 0
    for seed in range(6):
        random = np.random.default_rng(seed)
        gained = [random.normal(gain, 1, 400) for gain in (0.02, 0.12, 0.12, 0.12, 0.4)]
        found = [compare(one, np.zeros(400), seed=1) for one in gained]
        judged = correct([one.p_value for one in found])
        limits = zip(found, judged, strict=True)
        shown = [(one.interval(by.confidence) or (0,))[0] > 0 for one, by in limits]
        assert shown == [by.p_value < 0.05 for by in judged]
        alone += sum((one.ci95 or (0,))[0] > 0 for one in found)
        together += sum(shown)
    assert 6 < together < alone
