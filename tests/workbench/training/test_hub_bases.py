"""A base named by its hub id is what its files say it is, with the hub at hand or not."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.workbench.models.tiny import pickled
from tests.workbench.training.fakes import (
    FakeContext,
    FakeReader,
    FakeWorkspace,
    animal_splits,
    save_decoder,
    save_late,
    save_tiny_model,
)
from tests.workbench.training.test_cells import Cell, recipe_for, run_training
from workbench.merging.blend import _brings_head
from workbench.models.locate import locate

# Each trains a tiny model for a step or two.
pytestmark = pytest.mark.slow

LISTED = "Qwen/Qwen2-1.5B-Instruct"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The hub's cache. As far as the workbench knows, the hub may be asked."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"):
        monkeypatch.delitem(os.environ, name, raising=False)
    return tmp_path / "hub"


def keep(cache: Path, hub_id: str, made: Path) -> None:
    """Put a folder where the hub's client keeps a download."""
    place, commit = cache / f"models--{hub_id.replace('/', '--')}", "a" * 40
    shutil.move(made, place / "snapshots" / commit)
    (place / "refs").mkdir()
    (place / "refs" / "main").write_text(commit)


def train(kind: str, base: str, home: Path, **values: Any) -> Path:
    """Trains from a hub id for two steps; the model's folder."""
    workspace = FakeWorkspace(home, FakeReader(animal_splits()))
    cell = Cell(kind, "", "lora")
    recipe = recipe_for(cell, Path(base), **{"max_steps": 2, "eval_steps": 2, **values})
    run_training(recipe, FakeContext(workspace, home / "job"))
    return Path(home / workspace.models.get("mine").path)


def read(folder: Path, name: str) -> dict[str, Any]:
    return dict(json.loads((folder / name).read_text()))


def test_a_language_model_becomes_an_llm_reranker(cache: Path, tmp_path: Path) -> None:
    keep(cache, LISTED, save_decoder(tmp_path / "made", "qwen2", answers=True))
    template = "{query} ? {document} : {yes} {no} :"
    found = train("reranker", LISTED, tmp_path, prompt_template=template)
    contract = read(found, "contract.json")
    # The catalogue lists it as an embedding model first, which says nothing of this use.
    assert (contract["architecture"], contract["pooling"]) == ("llm", "lasttoken")
    assert contract["query_prompt"] == ""
    adapter = read(found, "adapter_config.json")
    assert (adapter["base_model_name_or_path"], adapter["modules_to_save"]) == (LISTED, None)


def test_a_listed_reranker_keeps_its_answers(cache: Path, tmp_path: Path) -> None:
    from workbench.training.reranker import RerankerTraining

    hub_id = "BAAI/bge-reranker-v2-gemma"
    keep(cache, hub_id, save_decoder(tmp_path / "made", "qwen2", answers=True))
    workspace: Any = FakeWorkspace(tmp_path, FakeReader(animal_splits()))
    base = locate(workspace, hub_id, "reranker")
    start = RerankerTraining().start(recipe_for(Cell("reranker", "", "full"), base.name), base)
    assert (start.architecture, start.yes_token) == ("llm", "Yes")


def test_an_encoders_random_head_is_trained_and_saved(cache: Path, tmp_path: Path) -> None:
    save_tiny_model(tmp_path / "made")
    keep(cache, "owner/encoder", pickled(tmp_path / "made-plain"))
    found = train("reranker", "owner/encoder", tmp_path)
    assert "classifier" in read(found, "adapter_config.json")["modules_to_save"]


def test_a_projection_is_found_in_the_download(cache: Path, tmp_path: Path) -> None:
    keep(cache, "owner/late", save_late(tmp_path / "made", layout="stanford"))
    workspace: Any = FakeWorkspace(tmp_path, FakeReader(animal_splits()))
    found = train("late-interaction", "owner/late", tmp_path)
    contract = read(found, "contract.json")
    # Its own projection, not a random one of 128 dimensions.
    assert contract["dimensions"] == 16
    base = locate(workspace, "owner/late", "late-interaction")
    assert _brings_head(base, base.contract)
