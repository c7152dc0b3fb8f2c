"""The tests for luck against scipy's, on planted effects and on data without any."""

import numpy as np
import pytest
from scipy import stats

from workbench.comparison.correlation import compare_correlations, correlation, measure
from workbench.comparison.significance import compare, holm


def average_precisions(seed: int, queries: int, gain: float) -> tuple[np.ndarray, np.ndarray]:
    """Two models' values per query, alike but for noise and a planted gain."""
    random = np.random.default_rng(seed)
    hard = random.beta(1.0, 1.0, queries)
    noisy = [np.clip(hard + random.normal(0, 0.15, queries), 0, 1) for _ in range(2)]
    return noisy[0], np.clip(noisy[1] + gain, 0, 1)


def permutation(differences: np.ndarray) -> float:
    """scipy's paired permutation test: the sign of each difference is exchanged."""
    found = stats.permutation_test(
        (differences, np.zeros_like(differences)),
        lambda one, other, axis: (one - other).mean(axis=axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=10_000,
        rng=3,
    )
    return float(found.pvalue)


@pytest.mark.parametrize(("queries", "gain"), [(12, 0.06), (80, 0.02), (200, 0.03), (400, 0.0)])
def test_the_randomization_test_agrees_with_scipy(queries: int, gain: float) -> None:
    base, tuned = average_precisions(queries, queries, gain)
    found = compare(tuned, base, seed=1)
    assert found.p_value == pytest.approx(permutation(tuned - base), abs=0.015)
    assert found.p_value == pytest.approx(stats.ttest_rel(tuned, base).pvalue, abs=0.04)


@pytest.mark.parametrize("queries", [60, 300])
def test_the_interval_agrees_with_scipy(queries: int) -> None:
    base, tuned = average_precisions(5, queries, 0.04)
    found = compare(tuned, base, seed=1)
    theirs = stats.bootstrap(
        (tuned - base,), np.mean, n_resamples=10_000, method="percentile", rng=2
    ).confidence_interval
    width = theirs.high - theirs.low
    assert found.ci95 == pytest.approx((theirs.low, theirs.high), abs=0.04 * width)


def test_planted_effects_are_found_and_the_interval_covers_them() -> None:
    covered = 0
    for seed in range(100):
        random = np.random.default_rng(seed)
        base = random.normal(0.5, 0.2, 150)
        tuned = base + random.normal(0.08, 0.2, 150)
        found = compare(tuned, base, seed=seed, draws=1000)
        # It is 4.9 standard errors large, so none of these is missed.
        assert found.p_value < 0.05
        covered += found.ci95[0] <= 0.08 <= found.ci95[1]
    # 95 of 100 are meant; 88 and fewer would happen in less than 1 of 200 such tests.
    assert 89 <= covered <= 100


@pytest.mark.parametrize("queries", [15, 60])
def test_without_an_effect_the_p_values_are_uniform(queries: int) -> None:
    """Also below EXACT_UP_TO queries, where every sign pattern is counted."""
    found = []
    for seed in range(400):
        random = np.random.default_rng(10_000 * queries + seed)
        one, other = random.normal(0.5, 0.2, (2, queries))
        found.append(compare(one, other, seed=seed, draws=1000).p_value)
    assert stats.kstest(found, "uniform").pvalue > 0.01
    assert 0.02 <= np.mean(np.array(found) < 0.05) <= 0.08


def test_holm_on_a_worked_example() -> None:
    # Holm 1979: 4 * 0.005, 3 * 0.01, then 2 * 0.03 and not below it.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.2]) == [0.2]
    assert holm([]) == []
    assert holm([0.9, 0.8]) == [1.0, 1.0]


def test_holm_keeps_false_discoveries_rare() -> None:
    """Five comparisons without an effect: at least one p below 0.05 in 1 of 20 families only."""
    random = np.random.default_rng(4)
    families = random.uniform(size=(2000, 5))
    corrected = np.array([holm(one) for one in families])
    assert np.mean((corrected < 0.05).any(axis=1)) == pytest.approx(0.05, abs=0.015)
    assert np.mean((families < 0.05).any(axis=1)) > 0.2


def scored(seed: int, pairs: int, first: float, second: float) -> tuple[np.ndarray, ...]:
    """Given scores 0 to 5, and two models that follow them with that much noise."""
    random = np.random.default_rng(seed)
    given = random.integers(0, 6, pairs).astype(float)
    return given, *(given + random.normal(0, noise, pairs) for noise in (first, second))


def test_correlations_are_scipys_ties_included() -> None:
    given, one, _ = scored(1, 200, 1.0, 1.0)
    rough = np.round(one)
    assert correlation("spearman", rough, given) == pytest.approx(
        stats.spearmanr(rough, given).statistic
    )
    assert correlation("pearson", one, given) == pytest.approx(stats.pearsonr(one, given).statistic)
    assert correlation("pearson", np.full(200, 0.3), given) == 0.0


@pytest.mark.parametrize("metric", ["spearman", "pearson"])
def test_the_interval_of_a_correlation_agrees_with_scipy(metric: str) -> None:
    given, one, _ = scored(2, 300, 1.5, 1.0)
    found = measure(metric, one, given, seed=0)
    function = stats.spearmanr if metric == "spearman" else stats.pearsonr
    theirs = stats.bootstrap(
        (one, given),
        lambda a, b: function(a, b).statistic,
        paired=True,
        vectorized=False,
        n_resamples=1000,
        method="percentile",
        rng=1,
    ).confidence_interval
    width = theirs.high - theirs.low
    assert found.ci95 == pytest.approx((theirs.low, theirs.high), abs=0.15 * width)


def test_a_planted_gain_in_correlation_is_found() -> None:
    given, base, tuned = scored(3, 300, 3.0, 1.5)
    found = compare_correlations("spearman", tuned, base, given, seed=0)
    assert found.delta > 0.1 and found.p_value < 0.01 and found.ci95[0] > 0
    assert found.wins > found.losses
    assert found.wins + found.losses + found.ties == 300
    back = compare_correlations("spearman", base, tuned, given, seed=0)
    assert (back.delta, back.wins) == (pytest.approx(-found.delta), found.losses)


def test_scores_in_another_unit_are_no_difference() -> None:
    given, base, _ = scored(4, 120, 1.0, 1.0)
    for metric in ("spearman", "pearson"):
        found = compare_correlations(metric, 30 * base - 4, base, given, seed=0)
        assert found.p_value == 1.0 and found.delta == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("metric", ["spearman", "pearson"])
def test_two_equally_good_models_differ_by_luck_only(metric: str) -> None:
    found = []
    for seed in range(150):
        given, one, other = scored(1000 + seed, 60, 2.0, 2.0)
        compared = compare_correlations(metric, one, other, given, seed=seed, draws=300)
        found.append(compared.p_value)
    assert stats.kstest(found, "uniform").pvalue > 0.01
