"""Which models can be merged, blended and quantized. Torch-free, without network."""

from pathlib import Path

from workbench.errors import BadInput
from workbench.models.resolve import ResolvedModel, resolve
from workbench.models.towers import refuse_two
from workbench.workspace import Workspace


def adapter_of(workspace: Workspace, model: str) -> ResolvedModel:
    """The adapter of that name, with its base; raises :class:`BadInput` for any other model."""
    found = resolve(workspace, model)
    if found.base is None:
        raise BadInput(
            f"'{found.name}' is not an adapter, so there is nothing to merge.",
            "It can be used, downloaded and trained further as it is.",
        )
    return found


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


def whole_model(workspace: Workspace, model: str) -> ResolvedModel:
    """A model with weights of its own; raises :class:`BadInput` for an adapter."""
    found = resolve(workspace, model)
    if found.base is not None:
        raise BadInput(
            f"'{found.name}' is an adapter: what is quantized are a whole model's weights.",
            f"Merge it first: python -m workbench merge {found.name}",
        )
    return found


def is_adapter(folder: Path) -> bool:
    """Whether a model's folder holds an adapter."""
    return (folder / "adapter_config.json").is_file()
