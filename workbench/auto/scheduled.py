"""A run's settings by the rules alone, where nothing is measured to decide them. Torch-free."""

from collections.abc import Collection

from workbench.auto import decisions
from workbench.auto.decisions import Decision
from workbench.models.contract import Contract
from workbench.recipes.train import TrainEmbeddingRecipe

#: What the rules say something of.
RULED = ("max_steps", "batch_size", "learning_rate", "negatives")


def scheduled(
    recipe: TrainEmbeddingRecipe,
    base: Contract,
    queries: int,
    given: int,
    names: Collection[str] = RULED,
) -> tuple[TrainEmbeddingRecipe, list[Decision]]:
    """The recipe with these settings as the rules have them for so many training queries.
    ``given``: those that bring documents which do not answer them."""
    batch = decisions.batch_size(queries)
    rate = decisions.learning_rate(
        base.dimensions, adapter=recipe.method != "full", decoder=base.causal
    )
    found = [
        decisions.max_steps(queries, int(batch.value)),
        batch,
        rate,
        decisions.negatives(given, recipe.negatives),
    ]
    if recipe.chosen_objective.rows == "teacher":
        # It learns the scores of the documents that the data gives.
        found.pop()
    ruled = [one for one in found if one.name in names]
    return recipe.model_copy(update={one.name: one.value for one in ruled}), ruled
