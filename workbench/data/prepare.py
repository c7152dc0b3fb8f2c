"""Checks import and sample recipes when they are submitted: bad input stops at the click."""

from pathlib import Path

from workbench.data.encoding import named
from workbench.data.hub import PREFIX, is_hub, repo_of
from workbench.data.mapping import read_map
from workbench.data.pieces import cutter_for
from workbench.errors import BadInput, NameTaken
from workbench.recipes.data import ImportRecipe, SampleRecipe
from workbench.workspace import Workspace


def prepare_import(recipe: ImportRecipe, workspace: Workspace, waits: bool) -> ImportRecipe:
    """The recipe with absolute paths that exist and a free name.

    Raises :class:`BadInput` for a missing path or an unknown encoding, :class:`NameTaken`.
    """
    paths = [_checked(path, waits) for path in dict.fromkeys(recipe.paths)]
    if recipe.encoding != "auto":
        named(recipe.encoding)
    read_map(recipe.mapping)
    if recipe.pieces != "none":
        cutter_for(workspace, recipe.piece_size, recipe.piece_overlap, recipe.piece_model)
    changes = {
        "paths": paths,
        "name": free_dataset_name(recipe.name, workspace),
    }
    return recipe.model_copy(update=changes)


def _checked(said: str, waits: bool) -> str:
    """The absolute path, or the hub's data set, if it is there to be read."""
    if is_hub(said):
        return PREFIX + repo_of(said)
    path = Path(said).expanduser()
    if not (path.is_file() or path.is_dir()) and not waits:
        raise BadInput(f"There is no file or folder '{path}'.", "Check the path.")
    return str(path.absolute())


def prepare_sample(recipe: SampleRecipe, workspace: Workspace, _waits: bool) -> SampleRecipe:
    """The recipe with a free name; raises :class:`NameTaken`."""
    return recipe.model_copy(update={"name": free_dataset_name(recipe.name, workspace)})


def free_dataset_name(name: str, workspace: Workspace) -> str:
    """A data set's name as it will stand; raises :class:`BadInput` and :class:`NameTaken`."""
    plain = " ".join(name.split())
    if not plain or not plain.isprintable():
        raise BadInput("A data set needs a name of visible characters.", "Give it a name.")
    if workspace.datasets.exists(plain):
        raise NameTaken(
            f"There is already a data set named '{plain}'.",
            f"Choose another name, for example '{workspace.datasets.free_name(plain)}'.",
        )
    return plain
