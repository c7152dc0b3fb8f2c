"""A model is found by name, by folder, by hub id; what is not found gets a sentence."""

import os
from pathlib import Path
from typing import Any

import pytest

from tests.workbench.models.fakes import FakeWorkspace, write_json, write_modules
from workbench.errors import BadInput, ModelNotFound, ModelUnusable
from workbench.models.contract import Contract
from workbench.models.registry import new_model
from workbench.models.resolve import resolve


def register(workspace: Any, name: str) -> str:
    id, folder = workspace.models.new_folder()
    write_modules(folder)
    workspace.models.add(new_model(id, name, contract={}, summary={}))
    return str(id)


def adapter(folder: Path, base: str) -> Path:
    write_json(folder / "adapter_config.json", {"base_model_name_or_path": base})
    (folder / "adapter_model.safetensors").write_bytes(b"weights")
    return folder


def test_a_name_of_the_workspace_comes_first(workspace: Any, tmp_path: Path) -> None:
    id = register(workspace, "mine")
    found = resolve(workspace, " mine ")
    assert (found.name, found.model_id) == ("mine", id)
    assert found.local
    assert resolve(workspace, id).name == "mine"


def test_a_folder_is_found_by_its_path(workspace: Any, tmp_path: Path) -> None:
    folder = write_modules(tmp_path / "my-model")
    found = resolve(workspace, str(folder))
    assert (found.name, found.source, found.model_id) == ("my-model", str(folder), None)


def test_a_missing_folder_is_not_taken_for_a_hub_id(workspace: Any, tmp_path: Path) -> None:
    with pytest.raises(ModelUnusable, match="no folder"):
        resolve(workspace, str(tmp_path / "nowhere"))


def test_a_typing_mistake_is_answered_with_the_name_meant(workspace: Any) -> None:
    register(workspace, "support-tuned")
    with pytest.raises(ModelNotFound, match="Did you mean 'support-tuned'"):
        resolve(workspace, "suport-tuned")


def test_a_hub_model_offline_and_not_cached_is_a_sentence(
    workspace: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(ModelNotFound, match="access to the Hub is off") as failure:
        resolve(workspace, "owner/never-downloaded")
    assert "HF_HUB_OFFLINE" in failure.value.hint


def test_a_hub_model_in_the_cache_is_used_offline(
    workspace: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cached = write_modules(tmp_path / "snapshot")
    monkeypatch.setattr("workbench.models.resolve.cached_snapshot", lambda _name: cached)
    found = resolve(workspace, "owner/cached")
    assert (found.name, found.source) == ("owner/cached", str(cached))


def test_a_hub_model_online_is_left_to_the_worker(
    workspace: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workbench.models.resolve.cached_snapshot", lambda _name: None)
    monkeypatch.delitem(os.environ, "HF_HUB_OFFLINE")
    monkeypatch.delitem(os.environ, "TRANSFORMERS_OFFLINE")
    found = resolve(workspace, "owner/name")
    assert (found.source, found.contract, found.local) == ("owner/name", None, False)


def test_the_packaged_model_comes_by_its_own_and_its_hub_name(workspace: Any) -> None:
    first = resolve(workspace, "all-MiniLM-L6-v2")
    second = resolve(workspace, "sentence-transformers/all-MiniLM-L6-v2")
    assert first.model_id == second.model_id
    assert first.contract is not None
    assert first.contract.passage_max_len == 256


@pytest.mark.parametrize("base", ["mine", "/gone/from/here/mine", "owner/mine"])
def test_an_adapters_base_is_found_by_the_last_part_of_its_name(
    workspace: Any, tmp_path: Path, base: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workbench.models.resolve.cached_snapshot", lambda _name: None)
    register(workspace, "mine")
    found = resolve(workspace, str(adapter(tmp_path / "lora", base)))
    assert found.base is not None
    assert found.base.name == "mine"
    assert found.contract is not None
    assert (found.contract.base_model, found.contract.dimensions) == ("mine", 32)


def test_an_adapters_own_contract_wins(workspace: Any, tmp_path: Path) -> None:
    register(workspace, "mine")
    folder = adapter(tmp_path / "lora", "mine")
    Contract(query_prompt="ask: ").write(folder)
    found = resolve(workspace, str(folder))
    assert found.contract is not None
    assert found.contract.query_prompt == "ask: "


def test_an_adapter_without_its_base_says_which_is_missing(workspace: Any, tmp_path: Path) -> None:
    with pytest.raises(ModelUnusable, match="'/gone/base', which is not here"):
        resolve(workspace, str(adapter(tmp_path / "lora", "/gone/base")))


def test_an_adapter_whose_base_is_itself_does_not_go_round(workspace: Any, tmp_path: Path) -> None:
    folder = adapter(tmp_path / "lora", ".")
    with pytest.raises(ModelUnusable):
        resolve(workspace, str(folder))


def test_a_model_whose_folder_is_gone_says_so(workspace: Any) -> None:
    register(workspace, "mine")
    workspace.models.folder("mine").rename(workspace.home / "elsewhere")
    with pytest.raises(ModelUnusable, match="is missing from the workspace"):
        resolve(workspace, "mine")


@pytest.mark.parametrize("name", ["", "bm25", "BM25", "nothing-like-it", "a b/c d"])
def test_names_that_cannot_be_models(workspace: FakeWorkspace, name: str) -> None:
    with pytest.raises(BadInput) as failure:
        resolve(workspace, name)  # type: ignore[arg-type]
    assert failure.value.hint
