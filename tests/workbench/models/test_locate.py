"""A located model's files are here, looked into, and its contract is known."""

import os
from pathlib import Path
from typing import Any

import pytest

from tests.workbench.models.fakes import located, write_json, write_plain
from workbench.errors import ModelUnusable
from workbench.models.contract import Contract
from workbench.models.locate import locate, locate_folder
from workbench.models.resolve import resolve


def adapter(folder: Path, base: str) -> Path:
    write_json(folder / "adapter_config.json", {"base_model_name_or_path": base})
    (folder / "adapter_model.safetensors").write_bytes(b"weights")
    return folder


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> dict[str, Path]:
    """What the hub would send, by its ids; nothing of it is in the cache."""
    there: dict[str, Path] = {}
    monkeypatch.setattr("workbench.models.resolve.cached_snapshot", lambda _name: None)
    monkeypatch.setattr("workbench.models.locate.fetch", there.__getitem__)
    for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"):
        monkeypatch.delitem(os.environ, name, raising=False)
    return there


def test_a_hub_model_is_what_its_files_and_the_catalogue_say(
    workspace: Any, hub: dict[str, Path], tmp_path: Path
) -> None:
    name = "BAAI/bge-base-zh-v1.5"
    hub[name] = write_plain(tmp_path / "snapshot")
    assert resolve(workspace, name).contract is None
    found = locate(workspace, name)
    assert (found.name, found.hub_id, found.folder) == (name, name, hub[name])
    assert (found.layout, found.contract.pooling) == ("transformers", "cls")
    assert found.weights == found.folder
    assert locate(workspace, found) is found


def test_an_adapter_on_the_hub_brings_its_base(
    workspace: Any, hub: dict[str, Path], tmp_path: Path
) -> None:
    hub["owner/base"] = write_plain(tmp_path / "base")
    hub["owner/lora"] = adapter(tmp_path / "lora", "owner/base")
    found = locate(workspace, "owner/lora")
    assert found.base is not None and found.base.folder == hub["owner/base"]
    assert found.contract == found.base.contract.model_copy(update={"base_model": "owner/base"})
    # So does one in a folder: what its base is, is known once that is here.
    assert resolve(workspace, str(hub["owner/lora"])).contract is None
    assert locate(workspace, str(hub["owner/lora"])).contract == found.contract


def test_what_a_job_knows_better_than_the_files(workspace: Any, tmp_path: Path) -> None:
    base = located(write_plain(tmp_path / "base"))
    folder = adapter(tmp_path / "lora", "/gone/base")
    with pytest.raises(ModelUnusable, match="'/gone/base', which is not here"):
        locate_folder(workspace, folder)
    trained = Contract(query_prompt="ask: ")
    found = locate_folder(workspace, folder, contract=trained, base=base)
    assert (found.name, found.contract, found.base) == ("lora", trained, base)
