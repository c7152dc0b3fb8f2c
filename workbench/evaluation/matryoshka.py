"""An embedding model cut to its first dimensions, several at once, from one pass of encoding.

A model trained with Matryoshka representation learning (Kusupati et al., NeurIPS 2022) keeps most
of its quality in its first dimensions; any other can be looked at in the same way.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from workbench.evaluation.measure import Encoder, Measured, Stop, score
from workbench.evaluation.pool import Pool
from workbench.evaluation.retrieve import Run, merge, nothing, search
from workbench.evaluation.texts import join_documents
from workbench.recipes.dimensions import dimensions_of

Vectors = NDArray[np.float32]


def measure_cut(
    encoder: Encoder,
    pool: Pool,
    *,
    wanted: str,
    k: int,
    progress: Callable[[int, int], None] | None = None,
    stop: Stop | None = None,
) -> dict[int, Measured]:
    """What each number of dimensions is worth, the largest first.

    ``wanted`` as in the recipe. Each block of documents is encoded once and searched once for each
    number of dimensions. Vectors are cut, then brought to length 1 again where the contract does
    that. ``progress`` gets (texts encoded, texts in all).
    """
    queries = encoder.encode(pool.texts, "query", stop=stop)
    sizes = dimensions_of(wanted, queries.shape[1])
    unit = encoder.contract.normalize
    asked = {size: cut_to(queries, size, unit) for size in sizes}
    best: dict[int, Run] = {size: nothing(len(queries)) for size in sizes}
    done, total = len(pool.texts), len(pool.texts) + pool.documents
    deep = pool.depth(k)
    for rows, table in pool.blocks():
        texts = join_documents(table, encoder.contract).to_pylist()
        vectors = encoder.encode(texts, "document", stop=stop)
        for size in sizes:
            blocks = [(rows, cut_to(vectors, size, unit))]
            found = search(asked[size], blocks, k=deep, order=pool.order)
            best[size] = merge(best[size], found, deep, pool.order)
        done += len(texts)
        if progress is not None:
            progress(done, total)
    return {size: score(pool, pool.without_own(best[size], k)) for size in sizes}


def cut_to(vectors: Vectors, size: int, unit: bool) -> Vectors:
    """(n, d) -> (n, size): the first dimensions, of length 1 where ``unit``."""
    cut = vectors[:, :size]
    if not unit:
        return np.ascontiguousarray(cut)
    lengths = np.linalg.norm(cut, axis=1, keepdims=True)
    found: Vectors = cut / np.maximum(lengths, np.finfo(np.float32).tiny)
    return found
