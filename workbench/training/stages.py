"""The first stage of kinds that order candidates: its model, and the dev ground."""

from pathlib import Path
from typing import Any

from workbench.data.reader import DatasetReader
from workbench.evaluation.candidates import freeze
from workbench.evaluation.encode import with_cache
from workbench.jobs.context import JobContext
from workbench.models.load import load_embedding
from workbench.models.resolve import resolve
from workbench.recipes.train_rerank import MODEL_FREE, TrainCandidatesRecipe
from workbench.training.dev import Dev, Reranking
from workbench.training.run import Place


def reports(context: JobContext, message: str) -> dict[str, Any]:
    """Progress and cancelling for what a first stage does."""

    def progress(done: int, total: int) -> None:
        context.progress(done, total, "texts", message)

    return {"progress": progress, "stop": context.check_cancelled}


def first_stage_model(recipe: TrainCandidatesRecipe, context: JobContext, place: Place) -> Any:
    """The embedding model that finds candidates, or None where none is needed."""
    if recipe.first_stage in MODEL_FREE:
        return None
    workspace = context.workspace
    resolved = resolve(workspace, recipe.first_stage)
    loaded = load_embedding(
        resolved,
        device=place.device,
        precision=place.precision,
        trust_remote_code=workspace.trust_remote_code,
    )
    return with_cache(loaded, resolved, workspace)


def reranking_dev(
    recipe: TrainCandidatesRecipe,
    context: JobContext,
    reader: DatasetReader,
    output: Path,
    place: Place,
) -> Dev:
    """The dev queries with their candidates, frozen before the first step."""
    frozen = freeze(
        reader,
        "dev",
        first_stage=recipe.first_stage,
        k=recipe.candidates,
        max_queries=recipe.dev_queries,
        seed=recipe.seed,
        exclude=recipe.exclude_query_document,
        encoder=first_stage_model(recipe, context, place),
        **reports(context, "Finding candidates for dev"),
    )
    return Dev(Reranking(frozen), context, output)
