"""Objectives are offered by what the data holds."""

from typing import Any

import pyarrow as pa
import pytest

from workbench.checks.run_facts import objectives
from workbench.recipes.describe import describe
from workbench.recipes.train import TrainEmbeddingRecipe
from workbench.recipes.train_kinds import TrainRerankerRecipe


class Held:
    """A reader of a data set that holds so many training queries, pairs and scores."""

    def __init__(self, queries: int, pairs: int, scores: list[float | None]) -> None:
        self.counts = {"splits": {"train": queries}}
        self.summary: dict[str, Any] = {"pair_splits": {"train": pairs}} if pairs else {}
        self._scores = scores

    def candidates(self, split: str) -> Any:
        assert split == "train"
        return pa.table({"score": pa.array(self._scores, pa.float32())})


def choices(recipe: Any) -> tuple[str, ...]:
    return next(spec.choices for spec in describe(recipe) if spec.name == "objective")


ALL = choices(TrainEmbeddingRecipe)
PLAIN = ("contrastive", "cached-contrastive", "gist", "cached-gist")


@pytest.mark.parametrize(
    ("held", "offered"),
    [
        (Held(5, 0, []), PLAIN),
        (Held(5, 0, [None, None]), PLAIN),
        (Held(5, 0, [None, 0.5]), (*PLAIN, "distill-kl", "margin-mse")),
        (Held(0, 5, []), ("cosent", "cosine")),
        (Held(5, 5, []), (*PLAIN, "cosent", "cosine")),
        (Held(0, 0, []), ALL),
    ],
)
def test_what_is_offered(held: Any, offered: tuple[str, ...]) -> None:
    assert objectives(held, ALL) == offered


def test_a_rerankers_objectives_all_take_queries() -> None:
    every = choices(TrainRerankerRecipe)
    assert objectives(Held(5, 0, []), every) == every  # type: ignore[arg-type]
