"""Correlations of scored pairs: by order and by value, and what cannot be told."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from workbench.errors import BadInput
from workbench.evaluation.pairs import correlations, score_pairs
from workbench.models.contract import Contract


class Words:
    """Vectors that count letters; scores by their inner product."""

    def __init__(self, kind: str = "embedding") -> None:
        self.contract = Contract(kind=kind)

    def encode(self, texts: list[str], role: str, **_: object) -> np.ndarray:
        return np.array([[text.count("a"), text.count("b")] for text in texts], np.float32)


@pytest.mark.parametrize("kind", ["embedding", "image-text"])
def test_each_pair_has_its_own_score(kind: str) -> None:
    found = score_pairs(Words(kind), ["aa", "b", "ab"], ["a", "bbb", "ab"])
    assert found.tolist() == [2.0, 3.0, 2.0]


def test_order_and_value() -> None:
    given = np.array([0.0, 1.0, 2.0, 10.0])
    found = np.array([0.1, 0.2, 0.3, 0.4])
    values = correlations(found, given)
    assert values["spearman"] == pytest.approx(1.0)
    assert values["pearson"] == pytest.approx(stats.pearsonr(found, given).statistic)


def test_what_tells_nothing() -> None:
    assert correlations(np.ones(3), np.array([1.0, 2.0, 3.0])) == {"spearman": 0.0, "pearson": 0.0}
    for same in (np.ones(3), np.ones(1)):
        with pytest.raises(BadInput, match="different scores"):
            correlations(np.arange(len(same), dtype=float), same)


@settings(deadline=None)
@given(
    st.lists(st.integers(0, 1000), min_size=3, max_size=20, unique=True),
    st.floats(0.1, 10),
    st.floats(-5, 5),
)
def test_a_rising_line_changes_nothing(given: list[int], slope: float, shift: float) -> None:
    scores = np.array(given, np.float64)
    values = correlations(scores * slope + shift, scores)
    assert values["spearman"] == pytest.approx(1.0)
    assert values["pearson"] == pytest.approx(1.0)
