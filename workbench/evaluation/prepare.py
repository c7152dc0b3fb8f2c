"""Checks an evaluation when it is submitted, so that a wrong name stops at the click."""

from workbench.errors import BadInput
from workbench.evaluation.named import (
    AUTO,
    BM25,
    GIVEN,
    find,
    first_stage_name,
    model_name,
    no_first_stage,
    no_second_stage,
    nothing_to_order,
)
from workbench.recipes.evaluate import EvaluateRecipe
from workbench.workspace import Workspace


def prepare_evaluate(
    recipe: EvaluateRecipe, workspace: Workspace, waits: bool = False
) -> EvaluateRecipe:
    """The recipe with each model once and the data set's version pinned.

    ``waits``: another job comes first and may bring the data set or the models; then names that are
    not there yet are left for the run. Raises a :class:`BadInput` that says what is missing.
    """
    changes: dict[str, object] = {
        "models": _once(recipe.models),
        "rerankers": _once(recipe.rerankers),
        "first_stage": first_stage_name(recipe.first_stage),
    }
    if workspace.datasets.exists(recipe.dataset):
        changes["dataset_version"] = _version(recipe, workspace)
    elif not waits:
        workspace.datasets.get(recipe.dataset)
    recipe = recipe.model_copy(update=changes)
    if not waits:
        _check_stages(recipe, workspace)
    return recipe


def _check_stages(recipe: EvaluateRecipe, workspace: Workspace) -> None:
    """Every name is known and does what it is asked to; a hub model's kind shows in the run."""
    kinds = [find(workspace, name).kind for name in recipe.models]
    for name in recipe.rerankers:
        if find(workspace, name).kind in (BM25, "embedding"):
            raise no_second_stage(name)
    if recipe.rerankers and not {BM25, "embedding", None} & set(kinds):
        raise nothing_to_order()
    stage = recipe.first_stage
    if stage not in (AUTO, GIVEN, BM25) and find(workspace, stage).kind not in ("embedding", None):
        raise no_first_stage(stage)


def _once(names: list[str]) -> list[str]:
    return list(dict.fromkeys(model_name(name) for name in names))


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
