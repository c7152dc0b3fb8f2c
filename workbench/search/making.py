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
from workbench.evaluation.pictures import OnPictures, no_pictures
from workbench.evaluation.texts import join_documents
from workbench.jobs.context import JobContext
from workbench.models.image_text import LoadedImageText
from workbench.models.load import LoadedEmbedding, load_model
from workbench.models.resolve import ResolvedModel
from workbench.recipes.evaluate import IndexRecipe
from workbench.search import pictures
from workbench.search.measure import measure, sample_queries
from workbench.search.pictures import Seeing, Skipped
from workbench.search.plan import Plan, make_plan
from workbench.search.searcher import Searcher
from workbench.search.second import no_encoder
from workbench.search.stale import identity
from workbench.search.structures import Built, build
from workbench.search.texts import as_rows, numbered, write_documents
from workbench.search.vectors import Spool, Vectors

#: Documents encoded at a time; sorting them by length saves padding, so not too few.
PART = 10_000
_SPOOL = "vectors.f32"
Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Material:
    """What an index is made from. ``recipe`` has its settings; ``seeing`` is the model without its
    memory where pictures are indexed, None for an index of texts."""

    recipe: IndexRecipe
    resolved: ResolvedModel
    encoder: LoadedEmbedding | OnPictures | CachedEncoder
    reader: DatasetReader
    context: JobContext
    seeing: Seeing | None = None

    @property
    def unit(self) -> str:
        """What progress counts."""
        return "documents" if self.seeing is None else "pictures"

    def rows(self) -> Rows:
        """The rows of the documents that can be in the index: all of them, or those with a
        picture."""
        if self.seeing is None:
            return np.arange(int(self.reader.counts["documents"]))
        return pictures.rows_with_pictures(self.reader)

    def plan(self, documents: int) -> Plan:
        """How an index of so many documents is made; raises :class:`BadInput`."""
        encoder = self.encoder
        return make_plan(self.recipe, documents, encoder.dimensions, encoder.contract.normalize)


@dataclass(frozen=True)
class Ready:
    """The documents' vectors in a file, the data set's rows they are of, and pictures that could
    not be opened."""

    spool: Spool
    rows: Rows
    skipped: list[Skipped]


@dataclass(frozen=True, slots=True)
class Made:
    """A finished folder: its documents, bytes, and what the record's summary says."""

    documents: int
    bytes: int
    summary: dict[str, Any]


def load_material(
    recipe: IndexRecipe, resolved: ResolvedModel, reader: DatasetReader, context: JobContext
) -> Material:
    """Load the model; raises :class:`BadInput` for a data set without documents, or without
    pictures where the model sees, and :class:`ModelUnusable` for a model that gives no vectors."""
    workspace = context.workspace
    total = reader.counts["documents"]
    if not total:
        raise BadInput(f"The data set '{reader.name}' has no documents.")
    context.progress(0, total, "documents", "Loading the model")
    model = load_model(
        resolved,
        device=recipe.device,
        precision=recipe.precision,
        trust_remote_code=workspace.trust_remote_code,
    )
    if isinstance(model, LoadedImageText):
        seeing = Seeing(model, reader.folder)
        watched = with_cache(seeing, resolved, workspace, recipe.use_cache)
        return Material(recipe, resolved, watched, reader, context, seeing)
    if not isinstance(model, LoadedEmbedding):
        raise no_encoder(resolved.name, model.contract.kind)
    encoder = with_cache(model, resolved, workspace, recipe.use_cache)
    return Material(recipe, resolved, encoder, reader, context)


def make_folder(material: Material, folder: Path, rows: Rows) -> Made:
    """Build the index over the documents at these rows into an empty folder."""
    context = material.context
    if not len(rows):
        raise no_pictures(material.reader)
    material.plan(len(rows))  # What cannot be is refused before anything is encoded.
    ready = encode(material, rows)
    total = len(ready.rows)
    try:

        def tell(message: str) -> None:
            context.progress(0, total, material.unit, message)
            context.check_cancelled()

        def done(count: int) -> None:
            context.progress(count, total, material.unit, "Filling the index")
            context.check_cancelled()

        built = build(material.plan(total), ready.spool, tell, done)
        return finish(material, folder, built, ready)
    finally:
        ready.spool.remove()


def encode(material: Material, rows: Rows) -> Ready:
    """The vectors of the documents at these rows, in this order, in a file of the job's folder.

    Pictures that cannot be opened are left out; raises :class:`BadInput` where none can.
    """
    spool = Spool(material.context.folder / _SPOOL, len(rows), material.encoder.dimensions)
    kept: list[Rows] = []
    skipped: list[Skipped] = []
    try:
        for table in parts(material.reader, rows):
            vectors, good, broken = _part(material, table, spool.rows + len(skipped), len(rows))
            spool.add(vectors)
            kept.append(as_rows(table)[good])
            skipped += broken
        if not spool.rows:
            raise pictures.none_left(material.reader.name, skipped)
    except BaseException:
        spool.remove()
        raise
    return Ready(spool, np.concatenate(kept), skipped)


def _part(
    material: Material, table: pa.Table, before: int, total: int
) -> tuple[Vectors, NDArray[np.bool_], list[Skipped]]:
    """Vectors (m, d) of some documents (n), which of them (n,) have one, and the other ones."""
    context = material.context

    def report(inside: int, _part: int) -> None:
        context.progress(before + inside, total, material.unit, "Encoding")

    how: dict[str, Any] = {"progress": report, "stop": context.check_cancelled}
    if material.seeing is not None:
        return pictures.encode_pictures(material.encoder, material.seeing, table, **how)
    texts = join_documents(table, material.encoder.contract).to_pylist()
    vectors = material.encoder.encode(texts, "document", **how)
    return vectors, np.ones(len(texts), bool), []


def parts(reader: DatasetReader, rows: Rows) -> Iterator[pa.Table]:
    """The documents at these rows, in this order, some at a time, with their row numbers."""
    for start in range(0, len(rows), PART):
        chosen = rows[start : start + PART]
        yield numbered(reader.documents_at(chosen.tolist()), chosen)


def finish(material: Material, folder: Path, built: Built, ready: Ready) -> Made:
    """Write everything an index's folder has, open it as a search does, and measure it."""
    context, total, unit = material.context, len(ready.rows), material.unit
    context.progress(total, total, unit, "Writing the index")
    material.encoder.contract.write(folder)
    size = built.write(folder)
    write_documents(folder, parts(material.reader, ready.rows))
    context.check_cancelled()
    context.progress(total, total, unit, "Measuring the index")
    queries, source = sample_queries(
        material.reader, material.encoder, ready.spool, context.check_cancelled
    )
    context.check_cancelled()
    measured = measure(Searcher(built.plan, folder), ready.spool, queries)
    plan = built.plan
    seen: dict[str, Any] = {"notes": []}
    if material.seeing is not None:
        seen = pictures.summary(material.reader, ready.rows, ready.skipped)
    notes = [*plan.notes, *seen.pop("notes")]
    for note in notes:
        context.note(note)
    summary = {
        "plan": plan.to_dict(),
        "structure": plan.structure,
        "dimensions": plan.dimensions,
        **measured,
        "queries_from": source,
        "bytes": size,
        **seen,
        "notes": notes,
        "settings": material.recipe.model_dump(mode="json"),
        "model": identity(material.resolved),
    }
    return Made(total, size, summary)
