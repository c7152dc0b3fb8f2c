"""Models are registered once, needed ones stay, the packaged one is what was published."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from storage.records import Index
from tests.workbench.models.fakes import write_modules
from workbench.errors import InUse, ModelNotFound, ModelUnusable, NameTaken
from workbench.models import registry
from workbench.models.registry import new_model
from workbench.workspace import Workspace

_ENSURE = """
import sys
from workbench.workspace import Workspace
workspace = Workspace.open(sys.argv[1])
print(workspace.models.ensure_packaged().id, 'torch' in sys.modules)
"""


def register(workspace: Any, name: str, **summary: Any) -> str:
    id, folder = workspace.models.new_folder()
    write_modules(folder)
    workspace.models.add(new_model(id, name, contract={}, summary=summary))
    return str(id)


def test_the_packaged_model_is_copied_with_its_contract(workspace: Any) -> None:
    model = workspace.models.ensure_packaged()
    folder = workspace.models.folder(model.name)
    assert (folder / "model.safetensors").stat().st_size > 90_000_000
    assert model.contract["pooling"] == "mean"
    assert model.contract["normalize"]
    assert (model.contract["query_max_len"], model.contract["dimensions"]) == (256, 384)
    assert workspace.models.ensure_packaged() == model
    assert workspace.models.bytes(model) > 90_000_000


def test_altered_weights_are_refused_and_leave_nothing(
    workspace: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    altered = write_modules(tmp_path / "altered")
    monkeypatch.setattr(registry, "packaged_folder", lambda: altered)
    with pytest.raises(ModelUnusable, match="not the published ones"):
        workspace.models.ensure_packaged()
    assert workspace.models.list() == []
    assert [path for path in (workspace.home / "models").iterdir() if path.is_dir()] == []


def test_two_processes_copy_it_once(home: Path) -> None:
    Workspace.open(home).close()
    command = [sys.executable, "-c", _ENSURE, str(home)]
    both = [
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=dict(os.environ))
        for _ in range(2)
    ]
    said = [process.communicate(timeout=300)[0].split() for process in both]
    assert said[0] == said[1]
    assert said[0][1] == "False"
    assert len([path for path in (home / "models").iterdir() if path.is_dir()]) == 1


def test_names_are_unique_and_free_ones_are_found(workspace: Any) -> None:
    register(workspace, "mine")
    with pytest.raises(NameTaken):
        register(workspace, "mine")
    assert workspace.models.free_name("mine") == "mine-2"
    with pytest.raises(ModelNotFound, match="Did you mean 'mine'"):
        workspace.models.get("mime")


def test_removing_takes_the_folder_along(workspace: Any) -> None:
    register(workspace, "mine")
    folder = workspace.models.folder("mine")
    workspace.models.remove("mine")
    assert not folder.exists()
    assert not workspace.models.exists("mine")


def test_a_model_that_an_index_or_adapter_needs_stays(workspace: Any) -> None:
    id = register(workspace, "mine")
    workspace.store.indexes.insert(
        Index("i1", "my index", "d1", 1, "mine", id, "exact", "indexes/i1", 3, 10)
    )
    register(workspace, "my-lora", base_id=id)
    with pytest.raises(InUse, match="the index 'my index', the adapter 'my-lora'"):
        workspace.models.remove("mine")
    assert workspace.models.folder("mine").is_dir()
