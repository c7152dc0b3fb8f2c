"""Which rows each share of a learning curve holds."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.workbench.training.fakes import FakeReader, FakeWorkspace
from workbench.auto.shares import Parts, clusters_of, prepare_learning_curve, share_of
from workbench.errors import BadInput
from workbench.recipes.curve import LearningCurveRecipe


@given(
    st.lists(st.integers(0, 12), min_size=2, max_size=60),
    st.floats(1, 100),
    st.floats(1, 100),
    st.integers(0, 50),
)
@settings(deadline=None)
def test_a_larger_share_holds_the_smaller(
    clusters: list[int], first: float, second: float, seed: int
) -> None:
    places = np.array(clusters)
    small, large = (share_of(places, one, seed=seed) for one in sorted((first, second)))
    assert not (small & ~large).any()
    assert small.sum() >= 2
    assert share_of(places, 100, seed=seed).all()
    # Whole clusters.
    assert not set(places[large]) & set(places[~large])


def test_a_share_has_about_its_size() -> None:
    clusters = np.arange(400) // 2
    assert [int(share_of(clusters, one, seed=3).sum()) for one in (12.5, 25, 50)] == [50, 100, 200]


#: Two queries of each document, and one more relevant document for each fourth query.
TRAIN = [
    (f"query {n}", [f"document {n // 2}", *([f"another {n}"] if n % 4 == 0 else [])], [])
    for n in range(60)
]


def reader(train: list[Any] = TRAIN) -> FakeReader:
    return FakeReader({"train": train, "test": [("test", ["secret"], [])]})


def recipe(**values: Any) -> LearningCurveRecipe:
    return LearningCurveRecipe.read({"dataset": "pets", "shares": "25, 50, 100", **values})


def dealt(train: list[Any] = TRAIN, **values: Any) -> Parts:
    return Parts.of(reader(train), recipe(**values))  # type: ignore[arg-type]


def test_queries_of_one_document_are_a_cluster() -> None:
    found = clusters_of(reader(), np.arange(60))  # type: ignore[arg-type]
    assert found.tolist() == [n // 2 for n in range(60)]


def test_a_fold_is_never_trained_on_by_what_is_measured() -> None:
    parts = dealt()
    for fold in range(3):
        for share in (25, 50, 100):
            chosen = parts.training(fold, share)
            assert not (chosen & (parts.folds == fold)).any()
            assert not set(parts.clusters[chosen]) & set(parts.clusters[parts.folds == fold])
    assert [int(parts.training(0, share).sum()) for share in (25, 50, 100)] == [10, 20, 40]
    assert parts.rows.sum() == 75
    assert parts.trained_on(0, 25).counts["splits"] == {"train": 10, "dev": 0, "test": 0}
    assert parts.measured().counts["splits"] == {"train": 0, "dev": 60, "test": 0}


def test_a_large_cluster_is_parted() -> None:
    """One document is relevant to most of the queries: whole, it would be every share."""
    hub = [(f"query {n}", ["hub" if n % 3 else f"document {n}"], []) for n in range(60)]
    parts = dealt(hub)
    assert int(parts.training(0, 25).sum()) == 10


def test_too_few_queries_are_refused() -> None:
    with pytest.raises(BadInput, match="fewer than 4") as caught:
        dealt(TRAIN[:20])
    assert "at least 24 training queries" in str(caught.value)
    assert len(dealt(TRAIN[:20], shares="50, 100").queries) == 20


def test_few_queries_are_refused_at_the_click(tmp_path: Path) -> None:
    workspace: Any = FakeWorkspace(tmp_path, reader(TRAIN[:20]))
    with pytest.raises(BadInput, match="The data set has 20 training queries: 25%"):
        prepare_learning_curve(recipe(), workspace, True)
