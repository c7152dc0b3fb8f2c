"""Checks an ``add-model`` recipe when it is submitted. Torch-free, without network."""

from pathlib import Path

from workbench.errors import BadInput, NameTaken
from workbench.models.edit import rules_for
from workbench.models.names import check_name, name_from
from workbench.models.resolve import resolve
from workbench.models.towers import pair_checked, pictures_of
from workbench.recipes.data import AddModelRecipe
from workbench.workspace import Workspace


def prepare_add(recipe: AddModelRecipe, workspace: Workspace, waits: bool) -> AddModelRecipe:
    """The recipe with an absolute source and a free name.

    Raises :class:`ModelUnusable` or :class:`ModelNotFound` where the source holds no model,
    :class:`BadRecipe` where it cannot be used as asked, and :class:`NameTaken`. With ``waits``,
    the source may be something another job will make.
    """
    source = recipe.source.strip()
    folder = Path(source).expanduser()
    paired = bool(recipe.pictures_by.strip())
    if workspace.models.exists(source) and not folder.is_dir() and not paired:
        raise BadInput(f"The model '{source}' is in the workspace already.")
    if folder.is_dir():
        source = str(folder.absolute())
    name = recipe.name
    pictures = pictures_of(recipe)
    if not waits:
        found = resolve(workspace, source)
        source = found.source
        if found.local:
            # What is on the hub only is checked once it is here.
            rules_for(found).apply(recipe)
        pictures = pair_checked(recipe, found, workspace)
        if found.model_id and not name.strip():
            name = workspace.models.free_name(f"{found.name}-with-pictures")
    given = recipe.model_copy(update={"name": name, "pictures_by": pictures})
    return given.model_copy(update={"source": source, "name": _name(given, source, workspace)})


def _name(recipe: AddModelRecipe, source: str, workspace: Workspace) -> str:
    if not recipe.name.strip():
        return workspace.models.free_name(name_from(source))
    name = check_name(recipe.name)
    if workspace.models.exists(name):
        raise NameTaken(f"There is already a model named '{name}'.", "Choose another name.")
    return name
