"""A reranker's head that the base does not bring is trained alone first."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.workbench.training.fakes import (
    FakeContext,
    FakeReader,
    FakeWorkspace,
    animal_splits,
    save_tiny_model,
)
from workbench.recipes.train_kinds import TrainRerankerRecipe

# torch and a tiny model.
pytestmark = pytest.mark.slow


def trained(folder: Path, base: Path, **values: Any) -> tuple[dict[str, Any], FakeContext, Path]:
    """The result, the job, and its output folder, with a checkpoint after each second step."""
    from workbench.training.task import run

    context = FakeContext(FakeWorkspace(folder, FakeReader(animal_splits())), folder / "job")
    settings = {
        "model": str(base),
        "dataset": "pets",
        "batch_size": 8,
        "max_steps": 4,
        "save_steps": 2,
        "checkpoints_kept": 9,
        "first_stage": "bm25",
        "candidates": 5,
        "precision": "fp32",
        "device": "cpu",
        "dropout": 0.0,
        "head_first": 0.5,
        "warmup": 0.0,
        **values,
    }
    return run(TrainRerankerRecipe(**settings), context), context, context.folder / "output"


def weights(folder: Path) -> dict[str, Any]:
    from safetensors.torch import load_file

    [file] = [*folder.glob("model.safetensors"), *folder.glob("adapter_model.safetensors")]
    return load_file(file)


@pytest.mark.parametrize("method", ["full", "lora"])
def test_only_the_head_moves_in_its_share_of_the_steps(method: str, tmp_path: Path) -> None:
    import torch

    base = save_tiny_model(tmp_path / "base")
    result, context, output = trained(tmp_path / "home", base, method=method)
    first, last = (weights(output / f"checkpoint-{step}") for step in (2, 4))
    assert result["steps"] == 4
    assert any("in the first 2 of 4 steps it is trained alone" in one for one in context.notes)
    heads = [name for name in first if "classifier" in name or "pooler" in name]
    assert heads and all((first[name] != last[name]).any() for name in heads)
    body = [name for name in first if name not in heads]
    if method == "lora":
        # What an adapter adds is nothing until its second matrix moves.
        second = [name for name in body if "lora_B" in name]
        assert second and all((first[name] == 0).all() for name in second)
        assert all((last[name] != 0).any() for name in second)
        return
    before = weights(base / "0_Transformer" if (base / "0_Transformer").is_dir() else base)
    for name in body:
        known = before[name.split(".", 1)[1]]
        assert torch.equal(first[name], known), name
    assert any((last[name] != first[name]).any() for name in body)


def test_a_head_that_the_base_brings_is_not_trained_alone(tmp_path: Path) -> None:
    base = save_tiny_model(tmp_path / "base")
    _, context, _ = trained(tmp_path / "one", base, name="own")
    [model] = context.workspace.models.added
    folder = context.workspace.home / model.path
    _, again, _ = trained(tmp_path / "two", folder, name="further")
    assert not any("trained alone" in one for one in again.notes)
    _, without, output = trained(tmp_path / "three", base, head_first=0.0)
    assert not any("trained alone" in one for one in without.notes)
    first, last = (weights(output / f"checkpoint-{step}") for step in (2, 4))
    assert sum((first[name] != last[name]).any().item() for name in first) > 5


def test_the_warm_up_begins_when_the_head_was_trained() -> None:
    import torch
    from transformers import get_linear_schedule_with_warmup

    from workbench.training.reranker import HeadFirst
    from workbench.training.run import warmup_steps

    recipe = TrainRerankerRecipe(dataset="pets", warmup=0.1)
    assert [warmup_steps(recipe, 100, head) for head in (0, 10)] == [10, 19]
    assert warmup_steps(recipe, 4, 3) == 3
    model = torch.nn.ModuleDict({"body": torch.nn.Linear(2, 2), "head": torch.nn.Linear(2, 1)})
    optimizer = torch.optim.SGD(model.parameters(), lr=2.0)
    schedule = get_linear_schedule_with_warmup(optimizer, 19, 100)
    callback = HeadFirst(model, ("head",), 10, 0.5)
    rates = []
    for step in range(30):
        state = SimpleNamespace(global_step=step)
        given = SimpleNamespace(warmup_steps=19)
        callback.on_pre_optimizer_step(given, state, None, optimizer=optimizer)
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    assert rates[:10] == [0.5] * 10
    assert rates[10:19] == pytest.approx([2 * at / 9 for at in range(9)])
    assert rates[19:] == pytest.approx([2 * (100 - at) / 81 for at in range(19, 30)])
