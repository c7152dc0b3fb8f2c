"""Checks what is to be done with a data set when it is asked for: bad input stops at the click."""

from pathlib import Path

from workbench.data.reader import DatasetReader
from workbench.errors import BadInput, NameTaken
from workbench.recipes.data_change import (
    ExportDataRecipe,
    MergeDataRecipe,
    ResplitRecipe,
    SampleRowsRecipe,
)
from workbench.workspace import Workspace


def prepare_sample(recipe: SampleRowsRecipe, workspace: Workspace, waits: bool) -> SampleRowsRecipe:
    """With a free name, and the version as it is now. Raises :class:`BadInput`."""
    name = _free(workspace, recipe.name, f"{recipe.dataset}-sample")
    if waits:
        return recipe.model_copy(update={"name": name})
    reader = _read(workspace, recipe)
    return recipe.model_copy(update={"name": name, "dataset_version": reader.version})


def prepare_merge(recipe: MergeDataRecipe, workspace: Workspace, waits: bool) -> MergeDataRecipe:
    """With a free name. Raises :class:`BadInput` for one data set named twice, or unknown ones."""
    if len(set(recipe.datasets)) < len(recipe.datasets):
        raise BadInput("A data set cannot be merged with itself.", "Name each only once.")
    for name in recipe.datasets:
        if not waits:
            workspace.datasets.get(name)
    name = _free(workspace, recipe.name, "+".join(recipe.datasets)[:70])
    return recipe.model_copy(update={"name": name})


def prepare_resplit(recipe: ResplitRecipe, workspace: Workspace, waits: bool) -> ResplitRecipe:
    """With the version as it is now. Raises :class:`BadInput`."""
    if recipe.dev_share + recipe.test_share >= 1:
        raise BadInput("Nothing would be left to train on.", "Set smaller shares.")
    if recipe.by == "field" and not recipe.field:
        raise BadInput("By which column?", "Name an own column of the queries or documents.")
    if waits:
        return recipe
    return recipe.model_copy(update={"dataset_version": _read(workspace, recipe).version})


def prepare_export(recipe: ExportDataRecipe, workspace: Workspace, waits: bool) -> ExportDataRecipe:
    """With an absolute output that holds nothing yet. Raises :class:`BadInput`."""
    changes: dict[str, object] = {}
    if recipe.output:
        path = Path(recipe.output).expanduser().absolute()
        refuse_taken(path)
        changes["output"] = str(path)
    if not waits:
        changes["dataset_version"] = _read(workspace, recipe).version
    return recipe.model_copy(update=changes)


def refuse_taken(path: Path) -> None:
    """Nothing is ever overwritten by an export."""
    if path.is_file() or (path.is_dir() and any(path.iterdir())):
        raise BadInput(f"There is something at '{path}' already.", "Choose another place.")


def _read(
    workspace: Workspace, recipe: SampleRowsRecipe | ResplitRecipe | ExportDataRecipe
) -> DatasetReader:
    return workspace.datasets.read(recipe.dataset, recipe.dataset_version)


def _free(workspace: Workspace, name: str, wanted: str) -> str:
    if not name:
        return workspace.datasets.free_name(wanted)
    plain = " ".join(name.split())
    if workspace.datasets.exists(plain):
        raise NameTaken(
            f"There is already a data set named '{plain}'.",
            f"Choose another name, for example '{workspace.datasets.free_name(plain)}'.",
        )
    return plain
