"""The task ``index``: encode a data set's documents into a FAISS index. Worker processes only.

Row numbers in the index are the documents' row numbers. Memory: the index itself (4 bytes times
dimensions times documents) and one part of the documents.
"""

import shutil
import time
from pathlib import Path
from typing import Any

import faiss
import pyarrow as pa

from storage.records import Index
from workbench.errors import BadInput
from workbench.evaluation.encode import CachedEncoder, with_cache
from workbench.jobs.context import JobContext
from workbench.models.contract import Contract
from workbench.models.load import LoadedEmbedding, load_embedding
from workbench.models.resolve import ResolvedModel, resolve
from workbench.recipes.evaluate import IndexRecipe
from workbench.search.registry import FILE

#: Documents encoded at a time; sorting them by length saves padding, so not too few.
PART = 10_000


def run(recipe: IndexRecipe, context: JobContext) -> dict[str, Any]:
    """Build and register the index; the result has its name, size and speed."""
    workspace = context.workspace
    dataset = workspace.datasets.get(recipe.dataset)
    version = recipe.dataset_version or dataset.version
    total = workspace.datasets.read(recipe.dataset, version).counts["documents"]
    if not total:
        raise BadInput(f"The data set '{dataset.name}' has no documents.")
    context.progress(0, total, "documents", "Loading the model")
    resolved = resolve(workspace, recipe.model)
    model = load_embedding(
        resolved,
        device=recipe.device,
        precision=recipe.precision,
        trust_remote_code=workspace.trust_remote_code,
    )
    loaded = with_cache(model, resolved, workspace, recipe.use_cache)
    started = time.monotonic()
    index = encode_documents(
        loaded, workspace.datasets.read(recipe.dataset, version), total, context
    )
    seconds = time.monotonic() - started
    record = _save(index, recipe, context, resolved, loaded.contract, dataset.id, version)
    return {
        "index": record.name,
        "id": record.id,
        "dataset": dataset.name,
        "model": resolved.name,
        "documents": total,
        "dimensions": loaded.dimensions,
        "bytes": record.bytes,
        "seconds": seconds,
        "documents_per_second": total / seconds if seconds else None,
    }


def encode_documents(
    loaded: LoadedEmbedding | CachedEncoder, reader: Any, total: int, context: JobContext
) -> faiss.IndexFlatIP:
    """An exact inner-product index over all documents: cosine where the contract normalizes."""
    index = faiss.IndexFlatIP(loaded.dimensions)

    def report(inside: int, _part: int) -> None:
        context.progress(index.ntotal + inside, total, "documents", "Encoding")

    for part in reader.iter_documents(PART):
        texts = document_texts(part, loaded.contract)
        index.add(loaded.encode(texts, "document", progress=report, stop=context.check_cancelled))
    return index


def document_texts(part: pa.Table | pa.RecordBatch, contract: Contract) -> list[str]:
    """Documents as the model reads them: title and text joined, without the prompt."""
    titles, texts = part.column("title").to_pylist(), part.column("text").to_pylist()
    pairs = zip(titles, texts, strict=True)
    return [contract.join(title or "", text or "") for title, text in pairs]


def _save(
    index: faiss.IndexFlatIP,
    recipe: IndexRecipe,
    context: JobContext,
    resolved: ResolvedModel,
    contract: Contract,
    dataset_id: str,
    version: int,
) -> Index:
    indexes = context.workspace.indexes
    id, folder = indexes.new_folder()
    try:
        context.progress(index.ntotal, index.ntotal, "documents", "Writing the index")
        contract.write(folder)
        size = _write(index, folder)
        record = Index(
            id=id,
            name=indexes.free_name(recipe.name or f"{recipe.dataset}-{resolved.name}"),
            dataset_id=dataset_id,
            version=version,
            model=resolved.name if resolved.model_id else resolved.source,
            model_id=resolved.model_id,
            type=recipe.type,
            path=f"indexes/{id}",
            documents=index.ntotal,
            bytes=size,
            contract=contract.model_dump(),
            created_at=time.time(),
        )
        context.check_cancelled()
        return indexes.add(record)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _write(index: faiss.IndexFlatIP, folder: Path) -> int:
    """Write beside and rename; the file's bytes."""
    partial = folder / f"{FILE}.partial"
    faiss.write_index(index, str(partial))
    return partial.rename(folder / FILE).stat().st_size
