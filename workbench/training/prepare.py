"""Checks a training recipe when it is submitted, and fills in what can be known by then."""

import re
from pathlib import Path
from typing import TypeVar

from workbench.errors import BadInput, NameTaken
from workbench.models.resolve import resolve
from workbench.recipes.train import TrainRecipe
from workbench.workspace import Workspace

R = TypeVar("R", bound=TrainRecipe)


def prepare_train(recipe: R, workspace: Workspace, waits: bool = False) -> R:
    """The recipe with the data set's version pinned, a free name, and an absolute model folder.

    ``waits``: another job comes first and may bring the data set or the model; what is not there
    yet is left for the run. Raises a :class:`BadInput` that says what is missing.
    """
    changes: dict[str, object] = {}
    if workspace.datasets.exists(recipe.dataset):
        changes["dataset_version"] = _version(recipe, workspace)
    elif not waits:
        workspace.datasets.get(recipe.dataset)
    if not waits:
        resolve(workspace, recipe.model)
    folder = Path(recipe.model).expanduser()
    if folder.is_dir() and not workspace.models.exists(recipe.model):
        # The worker starts in another folder than the one the person stands in.
        changes["model"] = str(folder.resolve())
    changes["name"] = _name(recipe, workspace)
    return recipe.model_copy(update=changes)


def _version(recipe: TrainRecipe, workspace: Workspace) -> int:
    reader = workspace.datasets.read(recipe.dataset, recipe.dataset_version)
    if not reader.counts["splits"].get("train"):
        raise BadInput(
            f"The data set '{recipe.dataset}' has no training queries.",
            "Import data whose training part has queries with relevant documents.",
        )
    return int(reader.version)


def _name(recipe: TrainRecipe, workspace: Workspace) -> str:
    if recipe.name:
        if workspace.models.exists(recipe.name):
            raise NameTaken(
                f"There is already a model named '{recipe.name}'.",
                f"Choose another name, for example '{workspace.models.free_name(recipe.name)}'.",
            )
        return recipe.name
    base = re.sub(r"[^\w.-]+", "-", Path(recipe.model).name) or "model"
    return workspace.models.free_name(f"{base}-{recipe.dataset}"[:100])
