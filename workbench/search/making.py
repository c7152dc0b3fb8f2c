"""From a data set's documents to an index's folder, whole and measured. Worker processes only.

Memory: what the index's type needs, and one part of the documents. The vectors wait in a file of
the job's folder; they are needed again for training, filling and measuring. A build that was
stopped goes on from the kept encodings (``workbench.evaluation.encoding_cache``):
what was encoded is read, not encoded again, and the rest is quick.
"""

import logging
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from storage.records import Index
from workbench.data.reader import DatasetReader
from workbench.errors import BadInput, JobCancelled
from workbench.evaluation.cached import CachedEncoder, with_cache
from workbench.evaluation.measure import Encoder, ranking
from workbench.evaluation.pictures import OnPictures, no_pictures
from workbench.evaluation.texts import join_documents
from workbench.jobs.files import folder_bytes, write_made
from workbench.jobs.reporting import JobContext
from workbench.models.engine_choice import WORTH
from workbench.models.image_text import LoadedImageText
from workbench.models.load import LoadedEmbedding, load_model
from workbench.models.locate import LocalModel, locate
from workbench.recipes.evaluate import IndexRecipe
from workbench.search import pictures
from workbench.search.found import no_encoder
from workbench.search.index_types import Plan, Searchable, Vectors
from workbench.search.pictures import Seeing, Skipped
from workbench.search.plan import PlannedIndex, Spool, check_memory, make_plan
from workbench.search.staleness import identity
from workbench.search.texts import as_rows, numbered, write_documents

log = logging.getLogger(__name__)

# What an index finds of what an exact search finds, and how quickly.
#
# The measure is recall@10: of the ten best documents by the model's full vectors, the share that
# the index has among its first ten, averaged over a sample of the data set's own queries.

DEPTH = 10
#: Queries of the sample; enough to tell .95 from .98. Where an index compares all of a million
#: documents, those would take a minute: after some seconds no more than the least are asked.
QUERIES, LEAST, SECONDS = 200, 50, 10.0
_SEED = 13
#: Scores this close are the same, as a part of both vectors' lengths: another order of adding up
#: changes the last digits.
_CLOSE = 1e-5


def sample_queries(
    reader: DatasetReader, encoder: Encoder, spool: Spool, stop: Callable[[], None]
) -> tuple[Vectors, str]:
    """Vectors (q, d) of up to ``QUERIES`` of the data set's queries, and where they come from:
    'test', 'dev' or 'train', or 'documents' where there are no queries."""
    for split in ("test", "dev", "train"):
        count = reader.counts["splits"].get(split, 0)
        if not count:
            continue
        texts = reader.queries(split)["text"]
        chosen = np.random.default_rng(_SEED).permutation(count)[:QUERIES]
        return encoder.encode(texts.take(np.sort(chosen)).to_pylist(), "query", stop=stop), split
    return spool.sample(QUERIES, _SEED), "documents"


def measure(searcher: Searchable, spool: Spool, queries: Vectors) -> dict[str, Any]:
    """recall@10 and milliseconds per query, asked one at a time, without encoding; 'queries' is how
    many there was time for."""
    depth = min(DEPTH, spool.rows)
    last = exact_tenth(spool, queries, depth)
    took: list[float] = []
    right = 0
    began = time.perf_counter()
    # By chance: the first ones may be all there is time for.
    for at in np.random.default_rng(_SEED).permutation(len(queries)).tolist():
        vector, least, started = queries[at], last[at], time.perf_counter()
        if len(took) >= LEAST and started - began > SECONDS:
            break
        _, found = searcher.search(vector, depth)
        took.append((time.perf_counter() - started) * 1000)
        documents = spool.at(np.sort(found))
        close = _CLOSE * np.linalg.norm(vector) * np.linalg.norm(documents, axis=1)
        right += int((documents @ vector >= least - close).sum())
    return {
        "recall@10": right / (depth * len(took)),
        "queries": len(took),
        "ms_p50": float(np.percentile(took, 50)),
        "ms_p95": float(np.percentile(took, 95)),
    }


def exact_tenth(spool: Spool, queries: Vectors, depth: int) -> NDArray[np.float32]:
    """The score of each query's ``depth``-th best document by full vectors: (q,)."""
    best = np.full((len(queries), depth), -np.inf, np.float32)
    for block in spool.blocks():
        scores = np.concatenate([best, queries @ block.T], axis=1)
        best = -np.partition(-scores, depth - 1, axis=1)[:, :depth]
    return best.min(axis=1)


#: Documents encoded at a time; sorting them by length saves padding, so not too few.
PART = 10_000
_SPOOL = "vectors.f32"
Rows = NDArray[np.int64]


@dataclass(frozen=True)
class IndexSource:
    """What an index is made from. ``recipe`` has its settings; ``seeing`` is the model without its
    memory where pictures are indexed, None for an index of texts."""

    recipe: IndexRecipe
    model: LocalModel
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
class EncodedDocuments:
    """The documents' vectors in a file, the data set's rows they are of, and pictures that could
    not be opened."""

    spool: Spool
    rows: Rows
    skipped: list[Skipped]


@dataclass(frozen=True, slots=True)
class BuiltIndex:
    """A finished folder: its documents, bytes, and what the record's summary says."""

    documents: int
    bytes: int
    summary: dict[str, Any]


def load_material(
    recipe: IndexRecipe, name: str, reader: DatasetReader, context: JobContext
) -> IndexSource:
    """Load the model of that name; raises :class:`BadInput` for a data set without documents, or
    without pictures where the model sees, and :class:`ModelUnusable` for one without vectors."""
    workspace = context.workspace
    total = reader.counts["documents"]
    if not total:
        raise BadInput(f"The data set '{reader.name}' has no documents.")
    context.progress(0, total, "documents", "Loading the model")
    local = locate(workspace, name)
    model = load_model(local, device=recipe.device, precision=recipe.precision)
    if isinstance(model, LoadedImageText):
        seeing = Seeing(model, reader.folder)
        watched = with_cache(seeing, local, workspace, recipe.use_cache)
        return IndexSource(recipe, local, watched, reader, context, seeing)
    if not isinstance(model, LoadedEmbedding):
        raise no_encoder(local.name, model.contract.kind)
    heard: dict[str, Any] = {"tell": context.note, "rank": ranking(reader)}
    encoder = with_cache(model, local, workspace, recipe.use_cache, **heard)
    return IndexSource(recipe, local, encoder, reader, context)


def make_folder(material: IndexSource, folder: Path, rows: Rows) -> BuiltIndex:
    """Build the index over the documents at these rows into an empty folder."""
    context = material.context
    if not len(rows):
        raise no_pictures(material.reader)
    # What cannot be is refused before anything is encoded.
    check_memory(material.plan(len(rows)), len(rows))
    ready = encode(material, rows)
    total = len(ready.rows)
    try:

        def tell(message: str) -> None:
            context.progress(0, total, material.unit, message)
            context.check_cancelled()

        def done(count: int) -> None:
            context.progress(count, total, material.unit, "Filling the index")
            context.check_cancelled()

        built = PlannedIndex.empty(material.plan(total))
        built.fill(ready.spool, tell, done)
        return finish(material, folder, built, ready)
    finally:
        ready.spool.remove()


def encode(material: IndexSource, rows: Rows) -> EncodedDocuments:
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
    return EncodedDocuments(spool, np.concatenate(kept), skipped)


def _part(
    material: IndexSource, table: pa.Table, before: int, total: int
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


def finish(
    material: IndexSource, folder: Path, built: PlannedIndex, ready: EncodedDocuments
) -> BuiltIndex:
    """Write everything an index's folder has, open it as a search does, and measure it."""
    context, total, unit = material.context, len(ready.rows), material.unit
    context.progress(total, total, unit, "Writing the index")
    material.encoder.contract.write(folder)
    before = folder_bytes(folder)
    built.write(folder)
    size = folder_bytes(folder) - before
    write_documents(folder, parts(material.reader, ready.rows))
    context.check_cancelled()
    context.progress(total, total, unit, "Measuring the index")
    queries, source = sample_queries(
        material.reader, material.encoder, ready.spool, context.check_cancelled
    )
    context.check_cancelled()
    measured = measure(PlannedIndex.read(built.plan, folder), ready.spool, queries)
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
        "model": identity(material.model),
    }
    return BuiltIndex(total, size, summary)


# The task ``index``: encode a data set's documents into an index.

#: What the result says besides of an index of pictures.
OF_PICTURES = ("skipped", "skipped_pictures", "without_picture")


def run_build(recipe: IndexRecipe, context: JobContext) -> dict[str, Any]:
    """Build, measure and register the index; the result has its name, size, speed and recall."""
    workspace = context.workspace
    dataset = workspace.datasets.get(recipe.dataset)
    version = recipe.dataset_version or dataset.version
    reader = workspace.datasets.read(recipe.dataset, version)
    material = load_material(recipe, recipe.model, reader, context)
    started = time.monotonic()
    id, folder = workspace.indexes.new_folder()
    try:
        made = make_folder(material, folder, material.rows())
        context.check_cancelled()
        record = _record(material, made, id, dataset.id, version)
        result = result_of(record, dataset.name, time.monotonic() - started)
        write_made(context.folder, record.path, result)
        workspace.indexes.add(record)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    # The index is whole without it.
    _decide_questions(material, made.documents)
    return result


def _decide_questions(material: IndexSource, documents: int) -> None:
    """Measure now what computes single questions, as the search process would load the model: else
    it does when nobody asks, and so it does where measuring fails. A small index is built sooner
    without."""
    recipe, encoder, context = material.recipe, material.encoder, material.context
    model = encoder.model if isinstance(encoder, CachedEncoder) else encoder
    as_searched = (recipe.device, recipe.precision) == ("auto", "auto")
    if as_searched and documents >= WORTH and isinstance(model, LoadedEmbedding):
        message = "Measuring how questions are computed"
        context.progress(documents, documents, material.unit, message)
        try:
            model.used("questions").decided(context.check_cancelled)
        except JobCancelled:
            log.info("Cancelled when the index was whole: it stays, and the job has succeeded.")
        except Exception:
            log.exception("How questions are computed could not be measured.")


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


def _record(
    material: IndexSource, made: BuiltIndex, id: str, dataset_id: str, version: int
) -> Index:
    indexes = material.context.workspace.indexes
    recipe, local = material.recipe, material.model
    return Index(
        id=id,
        name=indexes.free_name(recipe.name or f"{recipe.dataset}-{local.name}"),
        dataset_id=dataset_id,
        version=version,
        model=local.name if local.model_id or local.hub_id else local.source,
        model_id=local.model_id,
        type=recipe.type,
        path=f"indexes/{id}",
        documents=made.documents,
        bytes=made.bytes,
        contract=material.encoder.contract.model_dump(),
        summary=made.summary,
        created_at=time.time(),
    )
