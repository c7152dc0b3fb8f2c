"""Training on scored pairs: two texts and how alike they are, instead of a query's documents."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.comparison.trained import ORIGINAL
from workbench.data.reader import DatasetReader, no_pairs
from workbench.errors import BadInput
from workbench.evaluation.measure import Measured
from workbench.evaluation.pairs import correlations, score_pairs
from workbench.recipes.train import TrainRecipe
from workbench.training.dev import Means
from workbench.training.rows import Texts, TrainingRows

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Scored:
    """``rows`` number the pairs; ``left`` and ``right`` are their texts, ``scores`` (n,)."""

    rows: TrainingRows
    left: Texts
    right: Texts
    scores: Floats
    notes: tuple[str, ...] = ()


def scored_rows(reader: DatasetReader, recipe: TrainRecipe) -> Scored:
    """The training split's pairs; raises :class:`BadInput` where there are none.

    An objective that learns scores by value compares them with cosines: scores beyond -1 to 1
    (STS's 0 to 5) are brought to 0 to 1, by the least and the greatest of the training split.
    CoSENT needs their order alone.
    """
    table = reader.pairs("train")
    if table.num_rows == 0:
        raise no_pairs(reader, "train")
    if recipe.max_rows is not None and recipe.max_rows < table.num_rows:
        random = np.random.default_rng(recipe.seed)
        table = table.take(np.sort(random.choice(table.num_rows, recipe.max_rows, replace=False)))
    numbers = np.arange(table.num_rows, dtype=np.int64)
    left, right = (Texts(numbers, table[name].combine_chunks()) for name in ("left", "right"))
    scores = table["score"].to_numpy().astype(np.float64)
    notes: tuple[str, ...] = ()
    low, high = float(scores.min()), float(scores.max())
    if low == high:
        raise BadInput(
            f"All {len(scores):,} training pairs have the score {low:g}: there is no difference to "
            "learn.",
            "Give pairs that are alike and pairs that are not; for alike ones alone, import them "
            "as queries with their documents.",
        )
    if recipe.chosen_objective.by_value and (low < -1 or high > 1):
        scores = (scores - low) / (high - low or 1.0)
        notes = (f"Scores from {low:g} to {high:g} were brought to 0 to 1, as cosines are.",)
    rows = TrainingRows(numbers, numbers, np.empty((len(numbers), 0), np.int64), {}, notes)
    return Scored(rows, left, right, scores, notes)


@dataclass(frozen=True, slots=True)
class Correlated:
    """What ``measure`` gives, in the form that other grounds have."""

    values: Means

    @property
    def scores(self) -> "Correlated":
        return self

    def means(self) -> Means:
        return self.values


@dataclass(frozen=True, slots=True)
class Correlating:
    """Dev of scored pairs: how well the model's scores follow the given ones. It must beat the
    original, as retrieval must."""

    left: list[str]
    right: list[str]
    given: Floats
    baseline_name: str = ORIGINAL

    @property
    def queries(self) -> int:
        return len(self.left)

    @property
    def documents(self) -> int:
        return len(self.right)

    @property
    def excluding(self) -> dict[str, int]:
        return {}

    def baseline(self) -> Means | None:
        return None

    def orders(self) -> Mapping[str, Measured]:
        return {}

    def measure(self, model: Any, **options: Any) -> Correlated:
        found = score_pairs(model, self.left, self.right, **options)
        return Correlated(correlations(found, self.given))


def correlating_dev(reader: DatasetReader, *, most: int | None, seed: int) -> Correlating:
    """At most so many of the dev split's pairs, chosen by the seed; None takes all."""
    table = reader.pairs("dev")
    if most is not None and table.num_rows > most:
        chosen = np.random.default_rng(seed).choice(table.num_rows, most, replace=False)
        table = table.take(np.sort(chosen))
    left, right = (table[name].to_pylist() for name in ("left", "right"))
    return Correlating(left, right, table["score"].to_numpy().astype(np.float64))
