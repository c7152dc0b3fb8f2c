"""From a data set's documents to an index's folder, whole and measured. Worker processes only.

Memory: what FAISS needs of the index, and one part of the documents. The vectors wait in a file of
the job's folder; they are needed again for training, filling and measuring. A build that was
stopped goes on from the kept encodings (``workbench.evaluation.cache``): what was encoded is read,
not encoded again, and the rest is quick.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from workbench.data.reader import DatasetReader
from workbench.errors import BadInput
from workbench.evaluation.encode import CachedEncoder, with_cache
from workbench.evaluation.texts import join_documents
from workbench.jobs.context import JobContext
from workbench.models.load import LoadedEmbedding, load_embedding
from workbench.models.resolve import ResolvedModel
from workbench.recipes.evaluate import IndexRecipe
from workbench.search.measure import measure, sample_queries
from workbench.search.plan import Plan
from workbench.search.searcher import Searcher
from workbench.search.stale import identity
from workbench.search.structures import Built, build
from workbench.search.texts import numbered, write_documents
from workbench.search.vectors import Spool

#: Documents encoded at a time; sorting them by length saves padding, so not too few.
PART = 10_000
_SPOOL = "vectors.f32"
Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Material:
    """What an index is made from. ``recipe`` has its settings."""

    recipe: IndexRecipe
    resolved: ResolvedModel
    encoder: LoadedEmbedding | CachedEncoder
    reader: DatasetReader
    context: JobContext


@dataclass(frozen=True, slots=True)
class Made:
    """A finished folder: its documents, bytes, and what the record's summary says."""

    documents: int
    bytes: int
    summary: dict[str, Any]


def load_material(
    recipe: IndexRecipe, resolved: ResolvedModel, reader: DatasetReader, context: JobContext
) -> Material:
    """Load the model; raises :class:`BadInput` for a data set without documents."""
    workspace = context.workspace
    total = reader.counts["documents"]
    if not total:
        raise BadInput(f"The data set '{reader.name}' has no documents.")
    context.progress(0, total, "documents", "Loading the model")
    model = load_embedding(
        resolved,
        device=recipe.device,
        precision=recipe.precision,
        trust_remote_code=workspace.trust_remote_code,
    )
    encoder = with_cache(model, resolved, workspace, recipe.use_cache)
    return Material(recipe, resolved, encoder, reader, context)


def make_folder(material: Material, folder: Path, plan: Plan, rows: Rows) -> Made:
    """Build the index over the documents at these rows into an empty folder."""
    context = material.context
    spool = encode(material, rows)
    try:

        def tell(message: str) -> None:
            context.progress(0, len(rows), "documents", message)
            context.check_cancelled()

        def done(count: int) -> None:
            context.progress(count, len(rows), "documents", "Filling the index")
            context.check_cancelled()

        built = build(plan, spool, tell, done)
        return finish(material, folder, built, spool, rows)
    finally:
        spool.remove()


def encode(material: Material, rows: Rows) -> Spool:
    """The vectors of the documents at these rows, in this order, in a file of the job's folder."""
    context, total = material.context, len(rows)
    spool = Spool(context.folder / _SPOOL, total, material.encoder.dimensions)

    def report(inside: int, _part: int) -> None:
        context.progress(spool.rows + inside, total, "documents", "Encoding")

    try:
        for table in parts(material.reader, rows):
            texts = join_documents(table, material.encoder.contract).to_pylist()
            spool.add(
                material.encoder.encode(
                    texts, "document", progress=report, stop=context.check_cancelled
                )
            )
    except BaseException:
        spool.remove()
        raise
    return spool


def parts(reader: DatasetReader, rows: Rows) -> Iterator[pa.Table]:
    """The documents at these rows, in this order, some at a time, with their row numbers."""
    for start in range(0, len(rows), PART):
        chosen = rows[start : start + PART]
        yield numbered(reader.documents_at(chosen.tolist()), chosen)


def finish(material: Material, folder: Path, built: Built, spool: Spool, rows: Rows) -> Made:
    """Write everything an index's folder has, open it as a search does, and measure it."""
    context, total = material.context, len(rows)
    context.progress(total, total, "documents", "Writing the index")
    material.encoder.contract.write(folder)
    size = built.write(folder)
    write_documents(folder, parts(material.reader, rows))
    context.check_cancelled()
    context.progress(total, total, "documents", "Measuring the index")
    queries, source = sample_queries(
        material.reader, material.encoder, spool, context.check_cancelled
    )
    context.check_cancelled()
    measured = measure(Searcher(built.plan, folder), spool, queries)
    plan = built.plan
    for note in plan.notes:
        context.note(note)
    summary = {
        "plan": plan.to_dict(),
        "structure": plan.structure,
        "dimensions": plan.dimensions,
        **measured,
        "queries_from": source,
        "bytes": size,
        "notes": list(plan.notes),
        "settings": material.recipe.model_dump(mode="json"),
        "model": identity(material.resolved),
    }
    return Made(total, size, summary)
