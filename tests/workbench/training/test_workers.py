"""One cell of each row of the table, through real workers: from submitted job to saved model.

The whole table is trained in test_cells.py, in the test's own process.
"""

from pathlib import Path
from typing import Any

import pytest

from tests.workbench.training.fakes import save_decoder, save_late, save_tiny_model
from tests.workbench.training.real import Real, running
from tests.workbench.training.test_cells import Cell, recipe_for

# A worker each, which imports torch, and one process that compares all models.
pytestmark = pytest.mark.slow

ROWS = [
    Cell("embedding", "bert", "qlora-4"),
    Cell("embedding", "qwen3", "lora"),
    Cell("reranker", "bert", "lora"),
    Cell("reranker", "qwen2-lm", "full"),
    Cell("late-interaction", "m3", "lora"),
]


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with running(tmp_path_factory.mktemp("workers") / "home") as found:
        yield found


def base_of(cell: Cell, folder: Path) -> Path:
    if cell.base == "bert":
        return save_tiny_model(folder)
    if cell.base == "m3":
        return save_late(folder, layout="m3")
    return save_decoder(folder, cell.base.partition("-")[0], answers=cell.base.endswith("-lm"))


@pytest.mark.parametrize("cell", ROWS, ids=lambda cell: cell.name)
def test_a_worker_trains_it(cell: Cell, real: Real, tmp_path: Path) -> None:
    base = base_of(cell, tmp_path / cell.base)
    job = real.done(recipe_for(cell, base, name=cell.name, epochs=3.0, eval_steps=10))
    result = job.result or {}
    losses = [values["loss"] for _, kind, values in real.rows(job) if kind == "train"]
    assert sum(losses[-3:]) < sum(losses[:3])
    if cell.kind != "reranker":
        # On these rows a reranker's loss falls, no more; test_cells.py has rows that it ranks.
        assert result["best"]["mrr@10"] > result["untrained"]["mrr@10"]
    model = real.workspace.models.get(cell.name)
    assert model.kind == cell.kind
    assert (real.workspace.path(model.path) / "contract.json").is_file()
