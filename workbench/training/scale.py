"""What scores are divided by before they are learnt, so that the model's own can express them.

Cosines of a query's documents lie close together, within about half of their range, whatever a
teacher's scores look like: logits of a cross-encoder, percentages, probabilities. Torch-free.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from workbench.errors import BadInput
from workbench.models.contract import Contract
from workbench.plurals import counted
from workbench.recipes.train import TrainEmbeddingRecipe

#: How far the cosines of one query's documents can lie apart in practice.
ATTAINABLE = 0.5
#: The teacher's usual spread: so large a share of the rows is not above it.
USUAL = 0.95


@dataclass(frozen=True, slots=True)
class Teacher:
    """A teacher's scores (n, 1 + m) as they are learnt, and what they were divided by."""

    scores: list[list[float]]
    divided_by: float
    notes: tuple[str, ...]


def scale_of(recipe: TrainEmbeddingRecipe, contract: Contract) -> float:
    """What the model's scores are multiplied by before a softmax.

    Inner products of vectors that keep their length are large as they are: they are divided by a
    temperature only where one is asked for that is not the default.
    """
    default = type(recipe).model_fields["temperature"].default
    if not contract.normalize and recipe.temperature == default:
        return 1.0
    return 1.0 / recipe.temperature


def fitted(
    scores: Sequence[Sequence[float]], recipe: TrainEmbeddingRecipe, contract: Contract
) -> Teacher:
    """The teacher's scores divided by its temperature: the recipe's, else one that fits.

    Cosines get the teacher's scores shrunk until their usual spread is one that cosines reach, and
    never stretched; inner products take them as they are. Raises :class:`BadInput` where a teacher
    tells nothing: all documents of every row have one score.
    """
    table = np.array(scores, dtype=np.float64)
    spread = table.max(axis=1) - table.min(axis=1)
    notes = _equal(spread)
    margins = "temperature" not in recipe.chosen_objective.fields
    if recipe.teacher_temperature is not None:
        by = recipe.teacher_temperature
    elif not contract.normalize:
        by = 1.0
    else:
        usual = float(np.quantile(spread[spread > 0], USUAL))
        by = max(1.0, usual / ATTAINABLE) * (1.0 if margins else recipe.temperature)
    if by != 1.0:
        what = "margins" if margins else "scores"
        notes += (
            f"The teacher's {what} were divided by {by:.3g}, so that this model's scores can "
            "follow them; teacher_temperature sets another number.",
        )
    return Teacher((table / by).tolist(), by, notes)


def _equal(spread: np.ndarray[tuple[int], np.dtype[np.float64]]) -> tuple[str, ...]:
    """What is to be said of rows whose documents all have one score."""
    equal = int((spread == 0).sum())
    if equal == len(spread):
        raise BadInput(
            "The teacher gives all documents of a row the same score, in every row: there is no "
            "difference to learn.",
            "Check pos_scores and neg_scores, or choose the contrastive objective.",
        )
    if not equal:
        return ()
    return (
        f"In {equal:,} of {counted(len(spread), 'row')} the teacher gives all documents the same "
        "score, so the model cannot learn to rank them.",
    )
