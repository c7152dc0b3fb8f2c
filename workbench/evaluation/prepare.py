"""Checks an evaluation when it is submitted, so that a wrong name stops at the click."""

from workbench.errors import BadInput
from workbench.models.resolve import resolve
from workbench.recipes.evaluate import EvaluateRecipe
from workbench.workspace import Workspace


def prepare_evaluate(
    recipe: EvaluateRecipe, workspace: Workspace, waits: bool = False
) -> EvaluateRecipe:
    """The recipe with each model once and the data set's version pinned.

    ``waits``: another job comes first and may bring the data set or the models; then names that are
    not there yet are left for the run. Raises a :class:`BadInput` that says what is missing.
    """
    changes: dict[str, object] = {"models": list(dict.fromkeys(recipe.models))}
    if workspace.datasets.exists(recipe.dataset):
        changes["dataset_version"] = _version(recipe, workspace)
    elif not waits:
        workspace.datasets.get(recipe.dataset)
    if not waits:
        for model in recipe.models:
            resolve(workspace, model)
    return recipe.model_copy(update=changes)


def _version(recipe: EvaluateRecipe, workspace: Workspace) -> int:
    reader = workspace.datasets.read(recipe.dataset, recipe.dataset_version)
    splits = reader.counts["splits"]
    if not splits.get(recipe.split):
        have = ", ".join(name for name, count in splits.items() if count) or "none"
        raise BadInput(
            f"The data set '{recipe.dataset}' has no {recipe.split} queries.",
            f"Splits with queries: {have}.",
        )
    return int(reader.version)
