"""A script repeats its run: the same loss at every step, and the same weights."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests import warm
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
from workbench.errors import BadInput
from workbench.models.contract import Contract
from workbench.models.registry import new_model
from workbench.recipes.decided import Schedule
from workbench.recipes.train import TrainEmbeddingRecipe
from workbench.takeaway.script import write_script
from workbench.takeaway.snippet import replaced_files

# Each trains a real model, twice.
pytestmark = pytest.mark.slow

REPEATED = [
    Cell("embedding", "bert", "full"),
    Cell("embedding", "bert", "lora"),
    Cell("embedding", "qwen2", "lora"),
    Cell("embedding", "mistral", "qlora-4"),
    Cell("reranker", "bert", "full"),
    Cell("reranker", "bert", "lora"),
    Cell("reranker", "qwen2-lm", "lora"),
    Cell("late-interaction", "bert", "full"),
    Cell("late-interaction", "m3", "lora"),
]
CHANGES: dict[str, dict[str, Any]] = {
    "embedding-bert-full": {"query_prompt": "query: ", "scheduler": "cosine", "negatives": 2},
    "embedding-mistral-qlora-4": {"dropout": 0.2},
    "reranker-bert-full": {"dropout": 0.0, "freeze_word_embeddings": True},
    "reranker-bert-lora": {"objective": "contrastive", "temperature": 0.5},
    "embedding-qwen2-lora": {"objective": "cached-contrastive", "symmetric": True},
    "embedding-bert-lora": {"gradient_accumulation": 2, "matryoshka_dims": "16"},
}
OUTSIDE = {"HF_HUB_OFFLINE": "1", "PYTHONPATH": ""}


def save_base(name: str, folder: Path) -> Path:
    if name == "bert":
        return save_tiny_model(folder)
    if name == "m3":
        return save_late(folder, layout="m3")
    return save_decoder(folder, name.partition("-")[0], answers=name.endswith("-lm"))


def uneven() -> Any:
    """Every third training row has no negatives of its own, and every fourth has two."""
    splits = animal_splits()
    rows = [
        (
            query,
            right,
            [] if at % 3 == 0 else [*wrong, "no animal at all"] if at % 4 == 0 else wrong,
        )
        for at, (query, right, wrong) in enumerate(splits["train"])
    ]
    return {**splits, "train": rows}


@pytest.mark.parametrize("cell", REPEATED, ids=lambda cell: cell.name)
def test_the_script_has_the_run_s_losses(cell: Cell, tmp_path: Path) -> None:
    workspace = FakeWorkspace(tmp_path / "home", FakeReader(uneven()))
    context = FakeContext(workspace, tmp_path / "home" / "jobs" / "job")
    base = save_base(cell.base, tmp_path / "base")
    changes = CHANGES.get(cell.name, {})
    result = run_training(recipe_for(cell, base, epochs=2.0, **changes), context)

    folder = tmp_path / "taken"
    written = write_script(workspace, workspace.models.added[0], folder)
    assert written["rows"] == result["rows"]
    text = (folder / "train.py").read_text(encoding="utf-8")
    assert f"the checkpoint that was best on dev, of step {result['best_step']}." in text
    assert "workbench" not in text and repr(str(base)) in text
    # Elsewhere: neither the repository nor its folder is near.
    done = repeat(folder, cold=cell is REPEATED[0])
    assert done.returncode == 0, done.stderr[-3000:]
    losses = [entry["loss"] for entry in json.loads((folder / "output/losses.json").read_text())]
    expected = [values["loss"] for _, values in context.of("train")]
    assert len(losses) == len(expected) == result["steps"]
    assert np.allclose(losses, expected, rtol=1e-3, atol=1e-6)
    assert not paths_in(workspace, workspace.models.added[0], base)
    same_weights(folder / "output", workspace.path(workspace.models.added[0].path))


@pytest.mark.parametrize(("method", "given"), [("full", False), ("full", True), ("lora", True)])
def test_the_script_of_a_run_that_decides_gives_its_weights(
    method: str, given: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are an average, blended with the base, of a training that saw the carved dev too; where
    the data gives no negatives, on those that the look had found."""
    monkeypatch.setattr("workbench.auto.decisions.BLENDS", (0.5,))
    monkeypatch.setattr(TrainEmbeddingRecipe, "schedule", Schedule(fewest=6))
    reader = FakeReader(animal_splits(40, 10))
    reader.summary = {"carved": {"dev": 10}}
    if not given:
        reader._candidates.clear()
    workspace = FakeWorkspace(tmp_path / "home", reader)
    context = FakeContext(workspace, tmp_path / "home" / "jobs" / "job00001")
    cell = Cell("embedding", "bert", method)
    decides = {"auto": "max_steps,blend", "average_weights": 0.33, "metric": "map@100"}
    recipe = recipe_for(cell, save_base("bert", tmp_path / "base"), **decides)
    result = run_training(recipe, context)
    assert result["rows"] == 50
    assert {one["name"]: one["value"] for one in result["decisions"]}["blend"] == 0.5

    folder = tmp_path / "taken"
    assert write_script(workspace, workspace.models.added[0], folder)["rows"] == 50
    lines = (folder / "rows.jsonl").read_text(encoding="utf-8").splitlines()
    assert any(json.loads(line)["negatives"] for line in lines)
    kept = f"weights after the last step, {result['steps']}, averaged, blended with the base's."
    assert kept in (folder / "train.py").read_text(encoding="utf-8")
    done = repeat(folder, cold=False)
    assert done.returncode == 0, done.stderr[-3000:]
    same_weights(folder / "output", workspace.path(workspace.models.added[0].path))


def test_a_run_with_several_seeds_has_no_script(tmp_path: Path) -> None:
    workspace = FakeWorkspace(tmp_path, FakeReader(animal_splits()))
    id, folder = workspace.models.new_folder()
    values = recipe_for(Cell("embedding", "bert", "full"), tmp_path, seeds=2).model_dump()
    config = {**values, "resolved": {"contract": Contract().model_dump()}}
    (folder / "training_config.json").write_text(json.dumps(config))
    summary = {"seeds": {"kept": "average"}}
    made = new_model(id, "twice", contract=Contract().model_dump(), summary=summary)
    with pytest.raises(BadInput, match="several seeds"):
        write_script(workspace, workspace.models.add(made), tmp_path / "taken")


def repeat(folder: Path, cold: bool) -> "subprocess.CompletedProcess[str]":
    """Run the script; ``cold``: by a Python of its own, far from the repository."""
    environment = {**os.environ, **OUTSIDE}
    if not cold:
        run = "import runpy; runpy.run_path('train.py', run_name='__main__')"
        return warm.run([sys.executable, "-c", run], cwd=folder, env=environment)
    return subprocess.run(
        [sys.executable, "train.py"],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def paths_in(workspace: Any, model: Any, base: Path) -> list[str]:
    """The files that name the base's folder, of those that are taken away."""
    folder = workspace.path(model.path)
    instead = replaced_files(workspace, model)
    files = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*.*")}
    return [
        name
        for name, path in files.items()
        if str(base).encode() in instead.get(name, path.read_bytes())
    ]


def same_weights(first: Path, second: Path) -> None:
    from safetensors.numpy import load_file

    names = [path.relative_to(first) for path in sorted(first.rglob("*.safetensors"))]
    assert names == [path.relative_to(second) for path in sorted(second.rglob("*.safetensors"))]
    for name in names:
        found, expected = load_file(first / name), load_file(second / name)
        assert found.keys() == expected.keys()
        for key, value in expected.items():
            assert np.allclose(found[key], value, atol=1e-3), key


def test_a_model_that_was_not_trained_here_has_no_script(tmp_path: Path) -> None:
    workspace = FakeWorkspace(tmp_path, FakeReader(animal_splits()))
    contract = Contract().model_dump()
    id, _ = workspace.models.new_folder()
    added = workspace.models.add(new_model(id, "brought", contract=contract, summary={}))
    with pytest.raises(BadInput, match="was not trained in this workspace"):
        write_script(workspace, added, tmp_path / "taken")


def test_the_command_line_says_why_there_is_none(home: Path, tmp_path: Path) -> None:
    from workbench.takeaway.snippet import write_in_own_process
    from workbench.workspace import Workspace

    workspace = Workspace.open(home)
    id, _ = workspace.models.new_folder()
    model = new_model(id, "brought", contract=Contract().model_dump(), summary={})
    workspace.models.add(model)
    with pytest.raises(BadInput, match="was not trained in this workspace"):
        write_in_own_process(workspace, id, tmp_path / "taken")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    with pytest.raises(BadInput, match="not an empty folder"):
        write_in_own_process(workspace, id, tmp_path / "full")
    workspace.close()
