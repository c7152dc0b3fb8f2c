"""Tiny bases of every kind, and adapters on them that were trained for a few steps."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

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


@dataclass(frozen=True)
class Bench:
    """A workspace whose one model, 'mine', was trained, and the context of the next job."""

    workspace: Any
    context: FakeContext
    result: dict[str, Any]

    @property
    def record(self) -> Any:
        return self.workspace.models.get("mine")

    @property
    def folder(self) -> Path:
        return Path(self.workspace.home / self.record.path)


@pytest.fixture(scope="session")
def bases(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("bases")
    return {
        "bert": save_tiny_model(folder / "bert"),
        "qwen2": save_decoder(folder / "qwen2", "qwen2"),
        "qwen2-lm": save_decoder(folder / "qwen2-lm", "qwen2", answers=True),
        "m3": save_late(folder / "m3", layout="m3"),
    }


@pytest.fixture
def trained(bases: dict[str, Path], tmp_path: Path) -> Callable[..., Bench]:
    """(kind, base, method) -> a model trained for one epoch, which is ten steps or so."""

    def train(kind: str, base: str, method: str, **values: Any) -> Bench:
        workspace = FakeWorkspace(tmp_path, FakeReader(animal_splits()))
        recipe = recipe_for(
            Cell(kind, base, method), bases[base], **{"epochs": 1.0, "eval_steps": 6, **values}
        )
        done = run_training(recipe, FakeContext(workspace, tmp_path / "jobs" / "train"))
        return Bench(workspace, FakeContext(workspace, tmp_path / "jobs" / "next"), done)

    return train
