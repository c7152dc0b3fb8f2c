"""The task ``index``: encode a data set's documents into a FAISS index. Worker processes only."""

import shutil
import time
from typing import Any

from storage.records import Index
from workbench.jobs.context import JobContext
from workbench.models.resolve import resolve
from workbench.recipes.evaluate import IndexRecipe
from workbench.search.making import Made, Material, load_material, make_folder

#: What the result says besides of an index of pictures.
OF_PICTURES = ("skipped", "skipped_pictures", "without_picture")


def run(recipe: IndexRecipe, context: JobContext) -> dict[str, Any]:
    """Build, measure and register the index; the result has its name, size, speed and recall."""
    workspace = context.workspace
    dataset = workspace.datasets.get(recipe.dataset)
    version = recipe.dataset_version or dataset.version
    reader = workspace.datasets.read(recipe.dataset, version)
    material = load_material(recipe, resolve(workspace, recipe.model), reader, context)
    started = time.monotonic()
    id, folder = workspace.indexes.new_folder()
    try:
        made = make_folder(material, folder, material.rows())
        context.check_cancelled()
        record = _save(material, made, id, dataset.id, version)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return result_of(record, dataset.name, time.monotonic() - started)


def result_of(record: Index, dataset: str, seconds: float) -> dict[str, Any]:
    """What a job that made or changed an index says of it."""
    shown = ("structure", "dimensions", "recall@10", "queries", "queries_from", "ms_p50", "notes")
    return {
        "index": record.name,
        "id": record.id,
        "dataset": dataset,
        "model": record.model,
        "type": record.type,
        "documents": record.documents,
        "bytes": record.bytes,
        **{name: record.summary[name] for name in shown},
        **{name: record.summary[name] for name in OF_PICTURES if name in record.summary},
        "seconds": seconds,
        "documents_per_second": record.documents / seconds if seconds else None,
    }


def _save(material: Material, made: Made, id: str, dataset_id: str, version: int) -> Index:
    indexes = material.context.workspace.indexes
    recipe, resolved = material.recipe, material.resolved
    record = Index(
        id=id,
        name=indexes.free_name(recipe.name or f"{recipe.dataset}-{resolved.name}"),
        dataset_id=dataset_id,
        version=version,
        model=resolved.name if resolved.model_id else resolved.source,
        model_id=resolved.model_id,
        type=recipe.type,
        path=f"indexes/{id}",
        documents=made.documents,
        bytes=made.bytes,
        contract=material.encoder.contract.model_dump(),
        summary=made.summary,
        created_at=time.time(),
    )
    return indexes.add(record)
