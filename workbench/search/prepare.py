"""Checks ``index`` and ``index-update`` recipes when they are submitted. Torch-free, without
network."""

from workbench.errors import DatasetNotFound, ModelNotFound, NameTaken
from workbench.evaluation.pictures import has_pictures, no_pictures
from workbench.models.names import check_name
from workbench.models.resolve import resolve
from workbench.recipes.evaluate import IndexRecipe
from workbench.recipes.index_update import IndexUpdateRecipe
from workbench.search.pictures import KIND
from workbench.search.plan import make_plan
from workbench.search.second import KINDS, no_encoder
from workbench.workspace import Workspace


def prepare_index(recipe: IndexRecipe, workspace: Workspace, waits: bool) -> IndexRecipe:
    """The recipe with the data set's version and a free name filled in.

    Raises :class:`DatasetNotFound`, :class:`ModelNotFound`, :class:`ModelUnusable` or
    :class:`NameTaken`. With ``waits``, data set and model may be what another job will make.
    """
    _check_dimensions(recipe, workspace, waits)
    _check_pictures(recipe, workspace, waits)
    return recipe.model_copy(
        update={
            "dataset_version": _version(recipe, workspace, waits),
            "name": _name(recipe, workspace, _model_name(recipe, workspace, waits)),
        }
    )


def prepare_update(
    recipe: IndexUpdateRecipe, workspace: Workspace, waits: bool
) -> IndexUpdateRecipe:
    """Raises :class:`IndexNotFound`, :class:`DatasetNotFound` or :class:`ModelNotFound` where the
    index, or what it is made from, is gone."""
    if waits and not workspace.indexes.exists(recipe.index):
        return recipe
    index = workspace.indexes.get(recipe.index)
    workspace.datasets.get(index.dataset_id)
    resolve(workspace, index.model_id or index.model)
    return recipe.model_copy(update={"index": index.name})


def _check_dimensions(recipe: IndexRecipe, workspace: Workspace, waits: bool) -> None:
    """Refuse what cannot be before anything is encoded, as far as the model is known."""
    if waits or (recipe.truncate_dim is None and recipe.code_bytes is None):
        return
    contract = resolve(workspace, recipe.model).contract
    if contract is not None and contract.dimensions:
        documents = workspace.datasets.read(recipe.dataset).counts["documents"]
        make_plan(recipe, documents, contract.dimensions, contract.normalize)


def _check_pictures(recipe: IndexRecipe, workspace: Workspace, waits: bool) -> None:
    """A model that sees needs something to see."""
    if waits:
        return
    contract = resolve(workspace, recipe.model).contract
    if contract is not None and contract.kind == KIND:
        reader = workspace.datasets.read(recipe.dataset, recipe.dataset_version)
        if not has_pictures(reader):
            raise no_pictures(reader)


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
        raise no_encoder(found.name, found.contract.kind)
    return found.name


def _name(recipe: IndexRecipe, workspace: Workspace, model: str) -> str:
    if not recipe.name.strip():
        return workspace.indexes.free_name(f"{recipe.dataset}-{model.replace('/', '-')}")
    name = check_name(recipe.name)
    if workspace.indexes.exists(name):
        raise NameTaken(f"There is already an index named '{name}'.", "Choose another name.")
    return name
