"""Where negatives are looked for: by a model, by words in common, or by chance."""

from collections.abc import Callable, Sequence

import numpy as np

from workbench.evaluation.bm25 import retrieve_bm25
from workbench.evaluation.measure import Encoder, retrieve
from workbench.evaluation.own_document import same_words
from workbench.evaluation.pool import Pool, Rows
from workbench.evaluation.retrieve import Run

Stop = Callable[[], None]
Progress = Callable[[int, int], None]


def positives_of(pool: Pool) -> list[Rows]:
    """For each of the pool's queries the rows of what was judged relevant to it, ascending."""
    grades = (pool.judgments.get(query, {}) for query in pool.queries.tolist())
    return [
        np.array(sorted(document for document, grade in one.items() if grade >= 1), np.int64)
        for one in grades
    ]


def never(pool: Pool, positives: Sequence[Rows]) -> list[Rows]:
    """What can be no negative: each query's positives, and those of queries with the same text
    (one question may stand under several ids, with its judgments spread over them)."""
    texts = same_words(pool.texts)
    by_text: dict[int, set[int]] = {}
    for text, own in zip(texts, positives, strict=True):
        by_text.setdefault(text, set()).update(own.tolist())
    return [np.array(sorted(by_text[text]), np.int64) for text in texts]


def searched(
    pool: Pool, encoder: Encoder | None, depth: int, progress: Progress, stop: Stop
) -> Run:
    """The first ``depth`` documents of each query: the model's, or BM25's without one."""
    depth = min(depth, pool.documents)
    if encoder is None:
        return retrieve_bm25(pool, k=depth, progress=progress, stop=stop)
    return retrieve(encoder, pool, k=depth, progress=progress, stop=stop)


def drawn(pool: Pool, positives: Sequence[Rows], count: int, seed: int, stop: Stop) -> Run:
    """``count`` documents and some to spare for each query, by chance; without scores."""
    random = np.random.default_rng(seed)
    spare = max((len(one) for one in positives), default=0)
    # Twice as many, and a few: some repeat a positive's text or each other's.
    width = min(pool.documents, 2 * count + spare + 8)
    documents = np.full((len(pool.queries), width), -1, np.int64)
    for at in range(len(documents)):
        if at % 1000 == 0:
            stop()
        documents[at] = random.choice(pool.documents, width, replace=False)
    return Run(documents, np.zeros(documents.shape, np.float32))
