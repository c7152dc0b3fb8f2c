"""The round trip: a question stays if its own passage is among the best that a model finds."""

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.data.reader import DatasetReader
from workbench.evaluation.bm25 import retrieve_bm25
from workbench.evaluation.encode import with_cache
from workbench.evaluation.measure import Encoder, retrieve
from workbench.evaluation.named import BM25
from workbench.evaluation.own_document import NO
from workbench.evaluation.pool import Pool, whole_pool
from workbench.models.resolve import resolve
from workbench.synthesis.prepare import no_searcher
from workbench.synthesis.version import Asked

if TYPE_CHECKING:
    from workbench.workspace import Workspace

Progress = Callable[[int, int], None]


def find_again(
    reader: DatasetReader,
    asked: Asked,
    k: int,
    encoder: Encoder | None,
    progress: Progress,
    stop: Callable[[], None],
) -> tuple[Asked, list[tuple[str, int]]]:
    """What is found among the first ``k`` documents, and (question, row) of what is not.

    ``encoder`` None searches by BM25. A question of several passages loses those not found.
    """
    pool = _pool(reader, asked.texts)
    k = min(k, pool.documents)
    if encoder is None:
        run = retrieve_bm25(pool, k=k, progress=progress, stop=stop)
    else:
        run = retrieve(encoder, pool, k=k, progress=progress, stop=stop)
    kept = Asked(known=asked.known, repeated=asked.repeated)
    lost: list[tuple[str, int]] = []
    for text, rows, found in zip(asked.texts, asked.documents, run.documents, strict=True):
        good = [row for row in rows if row in found]
        lost += [(text, row) for row in rows if row not in found]
        if good:
            kept.texts.append(text)
            kept.documents.append(good)
    return kept, lost


def _pool(reader: DatasetReader, texts: list[str]) -> Pool:
    """The new questions against all documents."""
    # New questions have no ids yet, so none is a document by its id.
    pool = whole_pool(reader, "train", judged_only=False, exclude=NO)
    rows = np.arange(len(texts), dtype=np.int64)
    return replace(pool, queries=rows, texts=texts, judgments={}, own=None)


def load_encoder(workspace: "Workspace", name: str, device: str) -> Any:
    """The embedding model that searches; None for BM25."""
    if name.strip().lower() == BM25:
        return None
    from workbench.models.load import LoadedEmbedding, load_model

    resolved = resolve(workspace, name)
    model = load_model(
        resolved,
        device=device,
        precision="auto",
        trust_remote_code=workspace.trust_remote_code,
    )
    if not isinstance(model, LoadedEmbedding):
        raise no_searcher(name)
    return with_cache(model, resolved, workspace)
