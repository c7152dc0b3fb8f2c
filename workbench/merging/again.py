"""The merged model on the same dev ground that training had. Imports torch: workers only."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from workbench.errors import NotFound
from workbench.jobs.context import JobContext
from workbench.recipes.kinds import KINDS
from workbench.training.dev import Dev
from workbench.training.embedding import EmbeddingKind
from workbench.training.image_text import ImageTextKind
from workbench.training.late_interaction import LateInteractionKind
from workbench.training.outputs import CONFIG
from workbench.training.reranker import RerankerKind
from workbench.training.run import Kind, Place

_TRAINED: dict[str, type[Kind]] = {
    "embedding": EmbeddingKind,
    "reranker": RerankerKind,
    "late-interaction": LateInteractionKind,
    "image-text": ImageTextKind,
}


def measure_again(
    context: JobContext, adapter: Path, merged: Any, trained: Mapping[str, float]
) -> dict[str, Any] | None:
    """Dev values of the merged model beside those of the run (``trained``, empty where unknown).

    The adapter's folder says what the run measured on. None for an adapter from elsewhere, and
    where the data set is gone or has no dev queries.
    """
    path = adapter / CONFIG
    if not path.is_file():
        return None
    values = json.loads(path.read_text(encoding="utf-8"))
    precision = values.pop("resolved", {}).get("precision", "fp32")
    kind = merged.contract.kind
    recipe = KINDS[kind].read(values)
    datasets = context.workspace.datasets
    if not datasets.exists(recipe.dataset):
        return None
    reader = datasets.read(recipe.dataset, recipe.dataset_version)
    if not reader.counts["splits"].get("dev"):
        return None
    if precision == "fp16" and merged.device == "cpu":
        precision = "fp32"
    try:
        dev: Dev = _TRAINED[kind]().dev(
            recipe, context, reader, context.folder, Place(merged.device, precision)
        )
    except NotFound as error:
        # The first stage was a model that has been removed since.
        context.note(f"The merged model was not measured again: {error}")
        return None

    def progress(done: int, total: int) -> None:
        context.progress(done, total, "texts", "Measuring the merged model on dev")

    # As dev was measured in training, in its number format.
    measured = dev.ground.measure(
        replace(merged, precision=precision), progress=progress, stop=context.check_cancelled
    )
    return {
        "dataset": recipe.dataset,
        "dataset_version": reader.version,
        "split": "dev",
        "queries": dev.ground.queries,
        "metric": recipe.metric,
        "trained": dict(trained),
        "merged": measured.scores.means(),
    }
