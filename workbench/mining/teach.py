"""Scores of a query and a document, from vectors or from a second stage: what is kept to learn."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from workbench.data.reader import DatasetReader
from workbench.errors import WorkbenchError
from workbench.evaluation.candidates import score_rows
from workbench.evaluation.measure import Encoder, Progress, Stop
from workbench.evaluation.texts import join_documents
from workbench.models.scorer import Scorer

Rows = NDArray[np.int64]
Floats = NDArray[np.float32]

#: Documents whose vectors are in memory at once.
BLOCK = 10_000


class Teacher(Protocol):
    """Scores (m,) of queries (places in the texts) and documents (rows)."""

    def __call__(
        self, queries: Rows, documents: Rows, progress: Progress, stop: Stop
    ) -> Floats: ...


@dataclass(frozen=True)
class ByVectors:
    """The embedding model itself: inner products, as it searches by."""

    encoder: Encoder
    reader: DatasetReader
    texts: list[str]

    def __call__(self, queries: Rows, documents: Rows, progress: Progress, stop: Stop) -> Floats:
        asked, place = np.unique(queries, return_inverse=True)
        words = [self.texts[at] for at in asked.tolist()]
        vectors = _finite(self.encoder.encode(words, "query", stop=stop))
        scores = np.empty(len(queries), np.float32)
        done = 0
        for mine, rows, column in blocks(documents, BLOCK):
            table = self.reader.documents_at(rows.tolist())
            joined = join_documents(table, self.encoder.contract).to_pylist()
            found = _finite(self.encoder.encode(joined, "document", stop=stop))
            scores[mine] = np.einsum("nd,nd->n", vectors[place[mine]], found[column])
            done += len(mine)
            progress(done, len(queries))
        return scores


@dataclass(frozen=True)
class ByReading:
    """A reranker or a late-interaction model."""

    scorer: Scorer
    reader: DatasetReader
    texts: list[str]

    def __call__(self, queries: Rows, documents: Rows, progress: Progress, stop: Stop) -> Floats:
        def read(rows: Rows) -> Any:
            return self.reader.documents_at(rows.tolist())

        return _finite(
            score_rows(
                self.scorer, self.texts, read, queries, documents, progress=progress, stop=stop
            )
        )


def blocks(documents: Rows, size: int) -> Iterator[tuple[Rows, Rows, Rows]]:
    """Distinct rows, ``size`` at a time: the places that name them, the rows (ascending), and
    for each place which of these rows it names."""
    rows, column = np.unique(documents, return_inverse=True)
    for start in range(0, len(rows), size):
        mine = np.flatnonzero((column >= start) & (column < start + size))
        yield mine, rows[start : start + size], column[mine] - start


def _finite(values: Any) -> Any:
    if not np.isfinite(values).all():
        raise WorkbenchError(
            "The model gives numbers that are none, so nothing can be scored with it.",
            "Try fp32 precision; if that does not help, the model's weights are broken.",
        )
    return values
