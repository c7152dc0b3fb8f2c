"""Puts what an evaluation measured on record: its files, then its row. Never overwritten."""

import time
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from storage.records import Evaluation
from workbench.data.reader import DatasetReader
from workbench.evaluation.entry import Entry
from workbench.evaluation.pairs import ScoredPairs
from workbench.evaluation.pictures import Turned
from workbench.evaluation.save import save_measured
from workbench.jobs.context import JobContext
from workbench.models.resolve import ResolvedModel
from workbench.recipes.evaluate import EvaluateRecipe

PAIRS_FILE = "pairs.parquet"


def record_entry(
    recipe: EvaluateRecipe,
    context: JobContext,
    reader: DatasetReader | Turned,
    entry: Entry,
    **about: Any,
) -> Evaluation:
    """A row of the table: the run, the metrics of each query, the judgments."""
    # A model alone is known by its own name, whatever it was called; a row that a first stage has
    # a part in by both.
    model = entry.model.name if entry.model and not entry.against else entry.name
    id, folder = context.workspace.evaluations.new_folder()
    save_measured(folder, reader, recipe.split, model, entry.asked, entry.measured)
    return _add(
        recipe,
        context,
        reader,
        id=id,
        folder=folder,
        name=model,
        model=entry.model,
        queries=len(entry.measured.scores.queries),
        documents=entry.documents,
        metrics=entry.measured.scores.means(),
        about={
            "row": entry.name,
            "kind": entry.kind,
            "searched": entry.searched,
            **entry.excluding,
            **entry.lengths,
            **about,
        },
    )


def record_pairs(
    recipe: EvaluateRecipe,
    context: JobContext,
    reader: DatasetReader,
    scored: ScoredPairs,
    metrics: dict[str, float],
) -> Evaluation:
    """One model's score of each pair beside the given one."""
    id, folder = context.workspace.evaluations.new_folder()
    columns = {"given": scored.given, "score": scored.scores}
    pq.write_table(pa.table(columns), folder / PAIRS_FILE)
    return _add(
        recipe,
        context,
        reader,
        id=id,
        folder=folder,
        name=scored.model.name,
        model=scored.model,
        queries=0,
        documents=0,
        metrics=metrics,
        about={"row": scored.name, "kind": scored.kind, "pairs": len(scored.given)},
    )


def _add(
    recipe: EvaluateRecipe,
    context: JobContext,
    reader: DatasetReader | Turned,
    *,
    id: str,
    folder: Path,
    name: str,
    model: ResolvedModel | None,
    queries: int,
    documents: int,
    metrics: dict[str, float],
    about: dict[str, Any],
) -> Evaluation:
    workspace = context.workspace
    # With the data set's name, for when the data set is gone and its id says nothing.
    settings = recipe.model_dump(mode="json", exclude={"models"})
    return workspace.evaluations.add(
        Evaluation(
            id=id,
            job_id=context.job.id,
            dataset_id=workspace.datasets.get(recipe.dataset).id,
            version=reader.version,
            split=recipe.split,
            model=name,
            model_id=model.model_id if model else None,
            queries=queries,
            documents=documents,
            metrics=metrics,
            settings={**settings, **about},
            path=folder.relative_to(workspace.home).as_posix(),
            created_at=time.time(),
        )
    )
