"""Checks merge and blend recipes when they are submitted. Torch-free, without network."""

from pathlib import Path

from workbench.data.reader import choosing_split
from workbench.errors import BadInput, NameTaken
from workbench.models.contract import check_name, name_from
from workbench.models.resolve import ResolvedModel, resolve
from workbench.models.towers import refuse_two
from workbench.recipes.merge import BlendRecipe, MergeRecipe
from workbench.workspace import Workspace


def prepare_merge(recipe: MergeRecipe, workspace: Workspace, waits: bool = False) -> MergeRecipe:
    """The recipe with an absolute source and a free name.

    ``waits``: another job comes first and may make the adapter. Raises :class:`BadInput` where the
    model is no adapter, and what an unknown model or a taken name raise.
    """
    if not waits:
        adapter_of(workspace, recipe.model)
    model = recipe.model.strip()
    wanted = f"{name_from(model)[:100]}-merged"
    return recipe.model_copy(
        update={"model": model, "name": chosen(recipe.name, wanted, workspace)}
    )


def adapter_of(workspace: Workspace, model: str) -> ResolvedModel:
    """The adapter of that name, with its base; raises :class:`BadInput` for any other model."""
    found = resolve(workspace, model)
    if found.base is None:
        raise BadInput(
            f"'{found.name}' is not an adapter, so there is nothing to merge.",
            "It can be used, downloaded and trained further as it is.",
        )
    return found


def prepare_blend(recipe: BlendRecipe, workspace: Workspace, waits: bool = False) -> BlendRecipe:
    """The recipe with absolute folders, and a free name where a model will be kept.

    Raises :class:`BadInput` for adapters, and what unknown names raise. ``waits`` as above.
    """
    if not waits:
        for model in (recipe.model, recipe.base):
            full_model(workspace, model)
        for dataset in (recipe.dataset, recipe.second_dataset):
            choosing_split(workspace.datasets.read(dataset), recipe.split)
    changes = {
        "model": recipe.model.strip(),
        "base": recipe.base.strip(),
    }
    if recipe.keep is not None:
        wanted = f"{name_from(changes['model'])[:100]}-blend-{recipe.keep:g}"
        changes["name"] = chosen(recipe.name, wanted, workspace)
    return recipe.model_copy(update=changes)


def full_model(workspace: Workspace, model: str) -> ResolvedModel:
    """A model with all its weights; raises :class:`BadInput` for an adapter."""
    found = resolve(workspace, model)
    if found.base is not None:
        raise BadInput(
            f"'{found.name}' is an adapter, whose weights are not its base's.",
            f"Merge it first: python -m workbench merge {found.name}",
        )
    refuse_two(found.name, found.contract)
    return found


def is_adapter(folder: Path) -> bool:
    """Whether a model's folder holds an adapter."""
    return (folder / "adapter_config.json").is_file()


def chosen(name: str, wanted: str, workspace: Workspace) -> str:
    """The name that was given, if it is free, or one like ``wanted``."""
    if not name.strip():
        return workspace.models.free_name(wanted)
    clean = check_name(name)
    if workspace.models.exists(clean):
        raise NameTaken(
            f"There is already a model named '{clean}'.",
            f"Choose another name, for example '{workspace.models.free_name(clean)}'.",
        )
    return clean
