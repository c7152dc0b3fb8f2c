"""What the steps of one training task hand to each other."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench.data.reader import DatasetReader
from workbench.jobs.context import JobContext
from workbench.models.contract import Contract
from workbench.models.load import LoadedEmbedding, load_embedding
from workbench.models.resolve import ResolvedModel
from workbench.recipes.train import TrainEmbeddingRecipe
from workbench.training.dev import Dev


@dataclass(frozen=True, slots=True)
class Run:
    """What every step of the task needs."""

    recipe: TrainEmbeddingRecipe
    context: JobContext
    reader: DatasetReader
    base: ResolvedModel
    output: Path
    device: str
    precision: str
    dev: Dev | None

    def load(self, model: ResolvedModel) -> LoadedEmbedding:
        return load_embedding(
            model,
            device=self.device,
            precision=self.precision,
            trust_remote_code=self.context.workspace.trust_remote_code,
        )


@dataclass(frozen=True, slots=True)
class Trained:
    """What came out of the step loop."""

    steps: int
    best_step: int
    best: dict[str, float]
    rows: int
    contract: Contract
    history: list[dict[str, Any]]
    notes: tuple[str, ...]
