"""What is wrong with a merge or a blend is said at the click, without torch."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from workbench.errors import BadInput, DatasetNotFound, ModelNotFound, NameTaken
from workbench.models.registry import new_model
from workbench.prepare import prepare
from workbench.recipes.merge import BlendRecipe, MergeRecipe
from workbench.workspace import Workspace


@pytest.fixture
def workspace(home: Path) -> Iterator[Workspace]:
    """With the packaged model, and an adapter 'mine' on it."""
    opened = Workspace.open(home)
    base = opened.models.ensure_packaged()
    id, folder = opened.models.new_folder()
    config = {"base_model_name_or_path": base.name, "peft_type": "LORA"}
    (folder / "adapter_config.json").write_text(json.dumps(config))
    save_weights(folder / "adapter_model.safetensors")
    opened.models.add(new_model(id, "mine", contract={}, summary={"base_id": base.id}))
    yield opened
    opened.close()


def save_weights(path: Path) -> None:
    import numpy as np
    from safetensors.numpy import save_file

    save_file({"base_model.model.lora_A.weight": np.ones((2, 2), np.float32)}, path)


def test_a_free_name_is_made(workspace: Workspace) -> None:
    assert prepare(MergeRecipe(model="mine"), workspace).name == "mine-merged"
    folder = workspace.models.folder("mine")
    found = prepare(MergeRecipe(model=str(folder), name=" whole "), workspace)
    assert (found.model, found.name) == (str(folder.resolve()), "whole")


def test_only_adapters_are_merged(workspace: Workspace) -> None:
    with pytest.raises(BadInput, match="not an adapter"):
        prepare(MergeRecipe(model="all-MiniLM-L6-v2"), workspace)
    with pytest.raises(ModelNotFound):
        prepare(MergeRecipe(model="nobody"), workspace)
    assert prepare(MergeRecipe(model="later"), workspace, True).name == "later-merged"


def test_a_taken_name_is_refused(workspace: Workspace) -> None:
    with pytest.raises(NameTaken, match="mine"):
        prepare(MergeRecipe(model="mine", name="mine"), workspace)


def test_a_blend_wants_full_models_and_data(workspace: Workspace) -> None:
    about: dict[str, Any] = {"base": "all-MiniLM-L6-v2", "dataset": "tea", "second_dataset": "tea"}
    with pytest.raises(BadInput, match="Merge it first"):
        prepare(BlendRecipe(model="mine", **about), workspace)
    with pytest.raises(DatasetNotFound):
        prepare(BlendRecipe(model="all-MiniLM-L6-v2", **about), workspace)
    kept = prepare(BlendRecipe(model="later", keep=0.5, **about), workspace, True)
    assert kept.name == "later-blend-0.5"
    assert prepare(BlendRecipe(model="later", **about), workspace, True).name == ""
