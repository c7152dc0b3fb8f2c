"""The whole of a run that decides its settings, on a tiny model with random weights."""

from pathlib import Path
from typing import Any

import pytest

from tests.workbench.training.fakes import (
    FakeContext,
    FakeReader,
    FakeWorkspace,
    animal_splits,
    save_tiny_model,
)
from workbench.recipes.train import TrainEmbeddingRecipe

# Importing torch and sentence-transformers takes 6 to 11 s; each run after that a few.
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_model(tmp_path_factory.mktemp("base") / "tiny")


def start(home: Path, train: int = 96, dev: int = 24, **more: Any) -> FakeContext:
    reader = FakeReader(animal_splits(train, dev))
    reader.summary = {"carved": {"dev": dev}}
    return FakeContext(FakeWorkspace(home, reader), home / "jobs" / "job", **more)


def train(context: FakeContext, tiny: Path, **values: Any) -> dict[str, Any]:
    from workbench.training.task import run

    settings: dict[str, Any] = {
        "dataset": "pets", "model": str(tiny), "name": "mine", "learning_rate": 5e-3,
        "precision": "fp32", "device": "cpu",
    }  # fmt: skip
    preset = TrainEmbeddingRecipe.presets["auto"]
    recipe = TrainEmbeddingRecipe.read({**preset, **settings, **values})
    return run(recipe, context)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def whole(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[FakeContext, Any]:
    context = start(tmp_path_factory.mktemp("whole"))
    return context, train(context, tiny)


def test_what_is_better_is_recommended_and_says_why(whole: tuple[FakeContext, Any]) -> None:
    context, result = whole
    assert result["best"]["map@100"] > result["baseline"]["map@100"] + 0.2
    assert result["p_value"] < 0.01 and result["beats_base"] is True
    low, high = result["ci95"]
    assert 0 < low < result["best"]["map@100"] - result["baseline"]["map@100"] < high
    assert result["recommended"] == result["model"] == "mine"
    assert (result["dev_queries"], result["folds"], result["looks"]) == (120, 3, 0)
    assert set(result["best"]) == set(result["baseline"])
    assert context.workspace.models.added[0].summary["p_value"] == result["p_value"]
