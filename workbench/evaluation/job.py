"""The task 'evaluate': models on one split, side by side on the same queries."""

import time
from dataclasses import dataclass
from typing import Any

from storage.records import Evaluation
from workbench.comparison.significance import compare, verdict
from workbench.data.reader import DatasetReader
from workbench.evaluation.measure import Measured, measure
from workbench.evaluation.pool import Pool, whole_pool
from workbench.evaluation.save import save_measured
from workbench.jobs.context import JobContext
from workbench.models.load import load_embedding
from workbench.models.resolve import ResolvedModel, resolve
from workbench.recipes.evaluate import EvaluateRecipe


@dataclass(frozen=True, slots=True)
class _Judge:
    """What all models of the job share."""

    recipe: EvaluateRecipe
    context: JobContext
    reader: DatasetReader
    pool: Pool


def run(recipe: EvaluateRecipe, context: JobContext) -> dict[str, Any]:
    """Measure each model and compare all with the first; the result is ``evaluate``'s JSON."""
    workspace = context.workspace
    # Every name is looked up before any work: a wrong last one should not cost an hour.
    models = [resolve(workspace, name) for name in recipe.models]
    reader = workspace.datasets.read(recipe.dataset, recipe.dataset_version)
    pool = whole_pool(reader, recipe.split, max_queries=recipe.max_queries, seed=recipe.seed)
    judge = _Judge(recipe, context, reader, pool)
    measured = [_measure(judge, model, at) for at, model in enumerate(models)]
    evaluations = [_record(judge, model, one) for model, one in zip(models, measured, strict=True)]
    return {
        "dataset": recipe.dataset,
        "dataset_version": reader.version,
        "split": recipe.split,
        "documents": pool.documents,
        "rows": [
            {"model": name, "queries": len(one.scores.queries), **one.scores.means()}
            for name, one in zip(recipe.models, measured, strict=True)
        ],
        "comparisons": _comparisons(recipe, measured),
        "evaluations": [one.id for one in evaluations],
    }


def _measure(judge: _Judge, model: ResolvedModel, at: int) -> Measured:
    context, recipe = judge.context, judge.recipe
    names = recipe.models
    message = f"Model {at + 1} of {len(names)}: {names[at]}"
    context.check_cancelled()
    texts = len(judge.pool.queries) + judge.pool.documents
    context.progress(at * texts, len(names) * texts, "texts", f"{message}, loading")
    encoder = load_embedding(
        model,
        device=recipe.device,
        precision=recipe.precision,
        trust_remote_code=context.workspace.trust_remote_code,
    )

    def progress(done: int, total: int) -> None:
        context.progress(at * total + done, len(names) * total, "texts", message)

    return measure(
        encoder, judge.pool, depth=recipe.top_k, progress=progress, stop=context.check_cancelled
    )


def _record(judge: _Judge, model: ResolvedModel, measured: Measured) -> Evaluation:
    recipe, workspace = judge.recipe, judge.context.workspace
    id, folder = workspace.evaluations.new_folder()
    save_measured(folder, judge.reader, judge.pool, measured)
    settings = recipe.model_dump(mode="json", exclude={"models", "dataset"})
    return workspace.evaluations.add(
        Evaluation(
            id=id,
            job_id=judge.context.job.id,
            dataset_id=workspace.datasets.get(recipe.dataset).id,
            version=judge.reader.version,
            split=recipe.split,
            model=model.name,
            model_id=model.model_id,
            queries=len(measured.scores.queries),
            documents=judge.pool.documents,
            metrics=measured.scores.means(),
            settings=settings,
            path=folder.relative_to(workspace.home).as_posix(),
            created_at=time.time(),
        )
    )


def _comparisons(recipe: EvaluateRecipe, measured: list[Measured]) -> list[dict[str, Any]]:
    metric = recipe.metric
    first = measured[0].scores.values[metric]
    found = []
    for name, one in zip(recipe.models[1:], measured[1:], strict=True):
        result = compare(one.scores.values[metric], first, seed=recipe.seed)
        found.append(
            {
                "model": name,
                "against": recipe.models[0],
                "metric": metric,
                "delta": result.delta,
                "ci95": list(result.ci95),
                "p_value": result.p_value,
                "wins": result.wins,
                "losses": result.losses,
                "ties": result.ties,
                "verdict": verdict(result.delta, result.p_value, result.queries),
            }
        )
    return found
