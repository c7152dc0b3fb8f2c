"""Exact late interaction: MaxSim of every query with every document, a block at a time."""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from workbench.errors import WorkbenchError
from workbench.evaluation.exact_search import Run, cut, merge, widen
from workbench.evaluation.pool import Pool
from workbench.evaluation.texts import join_documents
from workbench.models.contract import Contract

#: Documents whose token vectors are in memory at once: 250 of 220 tokens in 128 dimensions take
#: 28 MB.
BLOCK = 250

Stop = Callable[[], None]
Progress = Callable[[int, int], None]


class LateInteraction(Protocol):
    """What exact search needs of a late-interaction model in memory."""

    @property
    def contract(self) -> Contract: ...

    def encode(self, texts: Sequence[str], role: Any, *, stop: Stop | None = None) -> list[Any]:
        """Texts (n) -> n arrays of token vectors (tokens, d)."""
        ...

    def max_sim(self, queries: Sequence[Any], documents: Sequence[Any]) -> NDArray[np.float32]:
        """Token vectors of queries and documents -> scores (queries, documents)."""
        ...


def search_exactly(
    model: LateInteraction,
    pool: Pool,
    *,
    k: int,
    progress: Progress | None = None,
    stop: Stop | None = None,
) -> Run:
    """The ``k`` documents of highest MaxSim per query, its own aside; equal scores by id.

    ``progress`` gets (texts encoded, texts in all). Raises :class:`WorkbenchError` when scores are
    not numbers, and what ``stop`` raises.
    """
    total = len(pool.texts) + pool.documents
    queries = model.encode(pool.texts, "query", stop=stop)
    done, deep = len(pool.texts), pool.depth(k)
    best = Run(
        np.full((len(queries), 0), -1, dtype=np.int64),
        np.full((len(queries), 0), -np.inf, dtype=np.float32),
    )
    for rows, table in pool.blocks():
        texts = join_documents(table, model.contract).to_pylist()
        for start in range(0, len(texts), BLOCK):
            documents = model.encode(texts[start : start + BLOCK], "document", stop=stop)
            scores = model.max_sim(queries, documents)
            if not np.isfinite(scores).all():
                raise WorkbenchError(
                    "The model gives vectors that are not numbers, so nothing can be searched.",
                    "Try fp32 precision; if that does not help, the model's weights are broken.",
                )
            found = np.broadcast_to(rows[start : start + BLOCK], scores.shape)
            here = cut(Run(found, scores), deep, pool.order)
            best = merge(best, here, deep, pool.order)
            done += len(documents)
            if progress:
                progress(done, total)
    return pool.without_own(widen(best, deep), k)
