"""Which rows each share of a learning curve holds."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.workbench.training.fakes import FakeReader, FakeWorkspace
from workbench.auto.shares import Parts, prepare_learning_curve, share_of
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


def test_a_fold_is_never_trained_on_by_what_is_measured() -> None:
    parts = dealt()
    for fold in range(3):
        for share in (25, 50, 100):
            chosen = parts.training(fold, share)
            assert not (chosen & (parts.folds == fold)).any()
            clusters = parts.material.clusters
            assert not set(clusters[chosen]) & set(clusters[parts.folds == fold])
    assert [int(parts.training(0, share).sum()) for share in (25, 50, 100)] == [10, 20, 40]
    assert parts.total == 75
    assert parts.trained_on(parts.training(0, 25)).counts["splits"] == {
        "train": 10,
        "dev": 0,
        "test": 0,
    }
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
    assert dealt(TRAIN[:20], shares="50, 100").total == 25


def test_few_queries_are_refused_at_the_click(tmp_path: Path) -> None:
    workspace: Any = FakeWorkspace(tmp_path, reader(TRAIN[:20]))
    with pytest.raises(BadInput, match="The data set has 20 training queries: 25%"):
        prepare_learning_curve(recipe(), workspace, True)


def test_dev_of_the_files_judges_and_carved_dev_trains() -> None:
    dev = [(f"dev {n}", [f"good {n}"], []) for n in range(12)]
    for carved in (False, True):
        held = FakeReader({"train": TRAIN, "dev": dev})
        held.summary = {"carved": {"dev": 12 if carved else 0}}
        parts = Parts.of(held, recipe())  # type: ignore[arg-type]
        assert parts.measured().counts["splits"]["dev"] == 72
        assert parts.total == (87 if carved else 75)
        trained = np.any([parts.training(fold, 100) for fold in range(3)], axis=0)
        assert trained[60:].all() if carved else not trained[60:].any()
