"""Checks an ``index`` recipe when it is submitted. Torch-free, without network."""

from workbench.errors import DatasetNotFound, ModelNotFound, ModelUnusable, NameTaken
from workbench.models.names import check_name
from workbench.models.resolve import resolve
from workbench.recipes.evaluate import IndexRecipe
from workbench.search.second import KINDS
from workbench.workspace import Workspace


def prepare_index(recipe: IndexRecipe, workspace: Workspace, waits: bool) -> IndexRecipe:
    """The recipe with the data set's version and a free name filled in.

    Raises :class:`DatasetNotFound`, :class:`ModelNotFound`, :class:`ModelUnusable` or
    :class:`NameTaken`. With ``waits``, data set and model may be what another job will make.
    """
    return recipe.model_copy(
        update={
            "dataset_version": _version(recipe, workspace, waits),
            "name": _name(recipe, workspace, _model_name(recipe, workspace, waits)),
        }
    )


def _version(recipe: IndexRecipe, workspace: Workspace, waits: bool) -> int | None:
    try:
        return recipe.dataset_version or workspace.datasets.get(recipe.dataset).version
    except DatasetNotFound:
        if waits:
            return None
        raise


def _model_name(recipe: IndexRecipe, workspace: Workspace, waits: bool) -> str:
    try:
        found = resolve(workspace, recipe.model)
    except ModelNotFound:
        if waits:
            return recipe.model
        raise
    if found.contract is not None and found.contract.kind in KINDS:
        raise ModelUnusable(
            f"'{found.name}' is a {found.contract.kind} model; an index is built with an embedding"
            " model.",
            "It can order what an index finds: choose it as second stage of a search.",
        )
    return found.name


def _name(recipe: IndexRecipe, workspace: Workspace, model: str) -> str:
    if not recipe.name.strip():
        return workspace.indexes.free_name(f"{recipe.dataset}-{model.replace('/', '-')}")
    name = check_name(recipe.name)
    if workspace.indexes.exists(name):
        raise NameTaken(f"There is already an index named '{name}'.", "Choose another name.")
    return name
