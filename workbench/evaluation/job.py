"""The task 'evaluate': models on one split, side by side on the same queries."""

import time
from typing import Any

from storage.records import Evaluation
from workbench.data.reader import DatasetReader
from workbench.evaluation.entry import Entry, comparisons
from workbench.evaluation.named import find
from workbench.evaluation.pool import whole_pool
from workbench.evaluation.save import save_measured
from workbench.evaluation.stages import Stages
from workbench.jobs.context import JobContext
from workbench.recipes.evaluate import EvaluateRecipe


def run(recipe: EvaluateRecipe, context: JobContext) -> dict[str, Any]:
    """Measure each model; the result is ``evaluate``'s JSON.

    Second stages are compared with the order they were given, all others with the first model.
    """
    workspace = context.workspace
    # Every name is looked up before any work: a wrong last one should not cost an hour.
    models = [find(workspace, name) for name in recipe.models]
    rerankers = [find(workspace, name) for name in recipe.rerankers]
    reader = workspace.datasets.read(recipe.dataset, recipe.dataset_version)
    pool = whole_pool(reader, recipe.split, max_queries=recipe.max_queries, seed=recipe.seed)
    entries = Stages(recipe, context, reader, pool).measure(models, rerankers)
    evaluations = [_record(recipe, context, reader, entry) for entry in entries]
    return {
        "dataset": recipe.dataset,
        "dataset_version": reader.version,
        "split": recipe.split,
        "documents": pool.documents,
        "rows": [entry.row() for entry in entries],
        "comparisons": comparisons(entries, models[0].name, metric=recipe.metric, seed=recipe.seed),
        "evaluations": [one.id for one in evaluations],
    }


def _record(
    recipe: EvaluateRecipe, context: JobContext, reader: DatasetReader, entry: Entry
) -> Evaluation:
    workspace = context.workspace
    id, folder = workspace.evaluations.new_folder()
    save_measured(folder, reader, entry.asked, entry.measured)
    settings = recipe.model_dump(mode="json", exclude={"models", "dataset"})
    about = {"row": entry.name, "kind": entry.kind, "searched": entry.searched}
    return workspace.evaluations.add(
        Evaluation(
            id=id,
            job_id=context.job.id,
            dataset_id=workspace.datasets.get(recipe.dataset).id,
            version=reader.version,
            split=recipe.split,
            # A model alone is known by its own name, whatever it was called; a row that a first
            # stage has a part in by both.
            model=entry.model.name if entry.model and not entry.against else entry.name,
            model_id=entry.model.model_id if entry.model else None,
            queries=len(entry.measured.scores.queries),
            documents=entry.documents,
            metrics=entry.measured.scores.means(),
            settings={**settings, **about},
            path=folder.relative_to(workspace.home).as_posix(),
            created_at=time.time(),
        )
    )
