"""Batches in which no query meets one of its own relevant documents as a negative."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sentence_transformers.base.sampler import NoDuplicatesBatchSampler

from workbench.training.rows import TrainingRows

#: Of a query's other relevant documents so many are kept out of its batches: the matrix below is
#: as wide as the most, and a query with hundreds would make it large for nothing.
OTHERS = 16


class Batches(NoDuplicatesBatchSampler):
    """sentence-transformers' NO_DUPLICATES, over row numbers instead of texts.

    Its own form compares texts and so sees repeated texts only. Ours also keeps a row out of a
    batch that holds *another* relevant document of the row's query: as an in-batch negative that
    would teach the model to push away what it should find.
    """

    def __init__(self, rows: TrainingRows, dataset: Any, **options: Any) -> None:
        super().__init__(dataset, **options)
        # The library fills this from hashes of the texts when asked to; ours is ready-made.
        self.precompute_hashes = True
        self._row_hashes = conflict_matrix(rows)


def conflict_matrix(rows: TrainingRows) -> NDArray[np.int64]:
    """(n, width): two rows that share a number may not be in one batch.

    Queries are numbered from -1 downwards, documents from 0 upwards; short rows repeat their query.
    """
    query = -1 - rows.queries[:, None]
    others = _other_relevant(rows, query)
    return np.concatenate([query, rows.positives[:, None], rows.negatives, others], axis=1)


def _other_relevant(rows: TrainingRows, query: NDArray[np.int64]) -> NDArray[np.int64]:
    most = max((len(documents) for documents in rows.relevant.values()), default=1)
    others = np.repeat(query, max(0, min(most - 1, OTHERS)), axis=1)
    if others.shape[1]:
        for at, (asked, positive) in enumerate(zip(rows.queries, rows.positives, strict=True)):
            rest = [one for one in rows.relevant.get(int(asked), ()) if one != positive]
            kept = rest[: others.shape[1]]
            others[at, : len(kept)] = kept
    return others
