"""Each objective trains: its loss is a number, falls, and the model gets better on dev."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.workbench.training.fakes import (
    FakeContext,
    FakeReader,
    FakeWorkspace,
    animal_splits,
    save_tiny_model,
)
from workbench.errors import BadInput
from workbench.recipes.train import TrainEmbeddingRecipe
from workbench.recipes.train_rerank import TrainRerankerRecipe

# Each trains a real, tiny model: about two seconds after the imports.
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_model(tmp_path_factory.mktemp("base") / "tiny")


def start(home: Path) -> FakeContext:
    return FakeContext(FakeWorkspace(home, FakeReader(animal_splits())), home / "job")


def settings(tiny: Path, **values: Any) -> dict[str, Any]:
    shared = {"dataset": "pets", "model": str(tiny), "name": "mine", "learning_rate": 5e-3}
    return {**shared, "precision": "fp32", "device": "cpu", "eval_steps": 6, **values}


def learned(context: FakeContext, result: dict[str, Any]) -> None:
    losses = [values["loss"] for _, values in context.of("train")]
    assert np.isfinite(losses).all() and np.mean(losses[-4:]) < np.mean(losses[:4])
    assert result["best"]["map@100"] > result["untrained"]["map@100"]


@pytest.mark.parametrize(
    "values",
    [
        {"objective": "cached-contrastive", "mini_batch_size": 4},
        {"objective": "gist"},
        {"objective": "cached-gist", "mini_batch_size": 4},
        {"symmetric": True},
        {"in_batch_negatives": False},
        {"matryoshka_dims": "16, 8"},
        {"gradient_checkpointing": True},
    ],
    ids=lambda values: "-".join(map(str, values.values())),
)
def test_embedding(values: dict[str, Any], tiny: Path, tmp_path: Path) -> None:
    from workbench.training.embedding import run

    context = start(tmp_path)
    more = {"guide_model": str(tiny)} if "gist" in str(values.get("objective")) else {}
    recipe = TrainEmbeddingRecipe(**settings(tiny, batch_size=16, epochs=3.0, **values, **more))
    learned(context, run(recipe, context))


@pytest.mark.parametrize("objective", ["contrastive", "listnet", "lambda"])
def test_reranker(objective: str, tiny: Path, tmp_path: Path) -> None:
    from workbench.training.reranker import run

    context = start(tmp_path)
    values: dict[str, Any] = {"objective": objective, "batch_size": 8, "epochs": 4.0}
    lengths = {"query_max_len": 16, "passage_max_len": 32, "first_stage": "bm25", "candidates": 10}
    recipe = TrainRerankerRecipe(**settings(tiny, **values, **lengths, eval_steps=12))
    learned(context, run(recipe, context))


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"objective": "margin-mse"}, "needs its score for every document"),
        ({"matryoshka_dims": "64"}, "32 dimensions; 64 were asked for"),
        ({"in_batch_negatives": False, "negatives": 0}, "negatives of its own"),
    ],
    ids=["no-teacher", "too-long", "no-negatives"],
)
def test_what_cannot_work_says_why(
    values: dict[str, Any], sentence: str, tiny: Path, tmp_path: Path
) -> None:
    from workbench.training.embedding import run

    context = start(tmp_path)
    with pytest.raises(BadInput, match=sentence):
        run(TrainEmbeddingRecipe(**settings(tiny, batch_size=16, **values)), context)
