"""A teacher's scores of a query's documents, as the data brings them (``pos_scores``, ...)."""

from typing import Any

import numpy as np

from workbench.data.reader import DatasetReader
from workbench.errors import BadInput
from workbench.training.rows import TrainingRows


def teacher_scores(reader: DatasetReader, rows: TrainingRows) -> list[list[float]]:
    """(n, 1 + m) scores of each row's positive and negatives.

    Raises :class:`BadInput` where a document of a row has no score.
    """
    known = _known(reader)
    documents = np.concatenate([rows.positives[:, None], rows.negatives], axis=1)
    found = []
    for query, line in zip(rows.queries.tolist(), documents.tolist(), strict=True):
        scores = [known.get((query, document)) for document in line]
        if any(score is None for score in scores):
            raise BadInput(
                "Learning from a teacher needs its score for every document of every row; "
                f"{sum(score is None for score in scores)} of {len(line)} are missing for one "
                "query.",
                "Give pos_scores and neg_scores with as many numbers as texts, mine negatives with "
                "the teacher and accept them, or choose the contrastive objective.",
            )
        found.append([float(score) for score in scores if score is not None])
    return found


def _known(reader: DatasetReader) -> dict[tuple[int, int], float]:
    table: Any = reader.candidates("train")
    columns = (table[name].to_pylist() for name in ("query", "document", "score"))
    return {
        (query, document): score
        for query, document, score in zip(*columns, strict=True)
        if score is not None
    }
